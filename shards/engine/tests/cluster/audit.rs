//! What must hold whenever nothing is in flight, counted anew from what the shards answer.

use std::collections::BTreeMap;

use book::RestingOrder;
use engine::{
    AssetProof, Command, OrderFilter, OrderView, Query, Refusal, Reply, TapeEntry, TradeView,
    WithdrawalView,
};
use money::{AssetId, Lots, OrderId, Side, SymbolId, TradeId, Units, UserId, WithdrawalStatus};

use super::Cluster;
use super::world::{SYMBOLS, USERS};

/// Everything that users can see, with order ids replaced by what names an order in every cluster.
#[derive(Debug, PartialEq)]
pub struct Picture {
    pub balances: BTreeMap<(UserId, AssetId), (Units, Units)>,
    pub orders: BTreeMap<String, OrderView>,
    pub trades: BTreeMap<UserId, Vec<(String, TradeView)>>,
    pub tapes: BTreeMap<SymbolId, Vec<(String, String, TapeEntry)>>,
    pub books: BTreeMap<SymbolId, Vec<(String, RestingOrder)>>,
    pub withdrawals: BTreeMap<UserId, Vec<WithdrawalView>>,
    pub proof: Vec<AssetProof>,
}

impl Cluster {
    pub fn prove(&mut self) -> Vec<AssetProof> {
        match self.call(Command::Prove) {
            Reply::Proof(proofs) => proofs,
            other => panic!("{other:?}"),
        }
    }

    pub fn all_orders(&self, user: UserId) -> Vec<OrderView> {
        let mut orders = self.orders(user, OrderFilter::Open);
        orders.extend(self.orders(user, OrderFilter::Ended));
        orders
    }

    /// Newest first. None of a user who is not there.
    pub fn withdrawals(
        &self,
        user: UserId,
        status: Option<WithdrawalStatus>,
    ) -> Vec<WithdrawalView> {
        match self.query(Query::Withdrawals { user, status, limit: 1_000 }) {
            Reply::Withdrawals(rows) => rows,
            Reply::Refused(Refusal::UnknownUser) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    /// Newest first, over all symbols.
    pub fn trades(&self, user: UserId) -> Vec<TradeView> {
        let mut all = Vec::new();
        for symbol in SYMBOLS {
            let mut before: Option<TradeId> = None;
            loop {
                let symbol = Some(symbol);
                match self.query(Query::Trades { user, symbol, before, limit: 1_000 }) {
                    Reply::Trades(page) if page.is_empty() => break,
                    Reply::Trades(page) => {
                        before = page.last().map(|view| view.trade);
                        all.extend(page);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        all
    }

    pub fn tape(&self, symbol: SymbolId) -> Vec<TapeEntry> {
        let mut all: Vec<TapeEntry> = Vec::new();
        loop {
            let after = all.last().map_or(TradeId(0), |entry| entry.trade);
            match self.query(Query::Tape { symbol, after, limit: 1_000 }) {
                Reply::Tape(page) if page.is_empty() => return all,
                Reply::Tape(page) => all.extend(page),
                Reply::Refused(Refusal::UnknownSymbol) => return all,
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn book(&self, symbol: SymbolId) -> Vec<RestingOrder> {
        let mut all: Vec<RestingOrder> = Vec::new();
        for &side in Side::ALL {
            let mut after = None;
            loop {
                match self.query(Query::Book { symbol, side, after, limit: 1_000 }) {
                    Reply::Book(page) if page.is_empty() => break,
                    Reply::Book(page) => {
                        after = page.last().map(|order| order.id);
                        all.extend(page);
                    }
                    Reply::Refused(Refusal::UnknownSymbol) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
        all
    }

    /// Panics unless reservations, books, histories and sums agree. Nothing may be in flight.
    pub fn audit(&mut self) {
        for shard in &self.shards {
            let (first, other) = (self.shards[0].engine.registry(), shard.engine.registry());
            assert_eq!(first.symbols(), other.symbols(), "rules and references are everyone's");
            assert_eq!(first.assets(), other.assets());
        }
        let proof = self.prove();
        let mut sums: BTreeMap<AssetId, (Units, Units)> = BTreeMap::new();
        let mut open: BTreeMap<SymbolId, Vec<OrderView>> = BTreeMap::new();
        for user in USERS {
            let orders = self.all_orders(user);
            self.audit_user(user, &orders, &mut sums);
            for order in orders.into_iter().filter(|order| order.status.is_open()) {
                open.entry(order.symbol).or_default().push(order);
            }
        }
        for symbol in SYMBOLS {
            self.audit_book(symbol, open.remove(&symbol).unwrap_or_default());
        }
        for AssetProof { asset, totals } in &proof {
            assert!(AssetProof { asset: *asset, totals: *totals }.is_balanced(), "{totals:?}");
            assert_eq!(totals.in_flight, 0, "nothing is in flight");
            let sum = sums.get(asset).copied().unwrap_or_default();
            assert_eq!((totals.avail, totals.frozen), sum, "asset {asset}");
        }
    }

    fn audit_user(
        &self,
        user: UserId,
        orders: &[OrderView],
        sums: &mut BTreeMap<AssetId, (Units, Units)>,
    ) {
        let mut frozen: BTreeMap<AssetId, Units> = BTreeMap::new();
        for order in orders.iter().filter(|order| order.status.is_open()) {
            let registry = self.shards[0].engine.registry();
            let entry = registry.symbol(order.symbol).unwrap();
            let remaining = Lots(order.qty.0 - order.filled.0);
            assert!(remaining.0 > 0, "an open order has something left: {order:?}");
            let (asset, amount) = match order.side {
                Side::Buy => (entry.spec.quote, entry.scale.quote_ceil(order.price, remaining)),
                Side::Sell => (entry.spec.base, Some(entry.scale.base(remaining))),
            };
            *frozen.entry(asset).or_default() += amount.unwrap();
        }
        for withdrawal in self.withdrawals(user, Some(WithdrawalStatus::Pending)) {
            *frozen.entry(withdrawal.asset).or_default() += withdrawal.amount;
        }
        let Reply::Balances(balances) = self.query(Query::Balances { user }) else { return };
        for balance in balances {
            let held = frozen.remove(&balance.asset).unwrap_or(0);
            assert_eq!(balance.frozen, held, "user {user}, asset {}", balance.asset);
            let sum = sums.entry(balance.asset).or_default();
            sum.0 += balance.avail;
            sum.1 += balance.frozen;
        }
        assert!(
            frozen.is_empty(),
            "user {user} has orders or withdrawals without a balance: {frozen:?}"
        );
        let mut filled: BTreeMap<OrderId, (u64, Units)> = BTreeMap::new();
        for trade in self.trades(user) {
            let registry = self.shards[0].engine.registry();
            let scale = registry.symbol(trade.symbol).unwrap().scale;
            let sum = filled.entry(trade.order).or_default();
            sum.0 += trade.qty.0;
            sum.1 += scale.quote_floor(trade.price, trade.qty).unwrap();
        }
        for order in orders {
            let sum = filled.get(&order.order).copied().unwrap_or_default();
            assert_eq!((order.filled.0, order.filled_quote), sum, "{order:?}");
            assert!(order.filled <= order.qty, "{order:?}");
        }
    }

    fn audit_book(&self, symbol: SymbolId, mut open: Vec<OrderView>) {
        let mut resting = self.book(symbol);
        resting.sort_by_key(|order| order.id);
        open.sort_by_key(|order| order.order);
        let of_homes: Vec<RestingOrder> = open
            .iter()
            .map(|order| RestingOrder {
                id: order.order,
                user: order.user,
                side: order.side,
                price: order.price,
                remaining: Lots(order.qty.0 - order.filled.0),
            })
            .collect();
        assert_eq!(resting, of_homes, "the book of symbol {symbol} and the homes' open orders");
        let tape = self.tape(symbol);
        assert!(tape.iter().zip(1..).all(|(entry, number)| entry.trade.0 == number));
    }

    /// What users see now. Every order must have a `cid`.
    pub fn picture(&mut self) -> Picture {
        let proof = self.prove();
        let mut picture = Picture {
            balances: BTreeMap::new(),
            orders: BTreeMap::new(),
            trades: BTreeMap::new(),
            tapes: BTreeMap::new(),
            books: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            proof,
        };
        let mut names: BTreeMap<OrderId, String> = BTreeMap::new();
        for user in USERS {
            for view in self.all_orders(user) {
                let name = format!("{user}/{}", view.cid.expect("every order has one"));
                names.insert(view.order, name.clone());
                picture.orders.insert(name, OrderView { order: OrderId(0), ..view });
            }
            picture.withdrawals.insert(user, self.withdrawals(user, None));
            let Reply::Balances(balances) = self.query(Query::Balances { user }) else { continue };
            for balance in balances {
                let amounts = (balance.avail, balance.frozen);
                picture.balances.insert((user, balance.asset), amounts);
            }
        }
        let name = |id: OrderId| names[&id].clone();
        for user in USERS {
            let trades = self.trades(user).into_iter();
            let named =
                trades.map(|view| (name(view.order), TradeView { order: OrderId(0), ..view }));
            picture.trades.insert(user, named.collect());
        }
        let nobody = OrderId(0);
        for symbol in SYMBOLS {
            let tape = self.tape(symbol).into_iter().map(|entry| {
                let (taker, maker) = (name(entry.taker), name(entry.maker));
                (taker, maker, TapeEntry { taker: nobody, maker: nobody, ..entry })
            });
            picture.tapes.insert(symbol, tape.collect());
            let book = self.book(symbol).into_iter();
            let named = book.map(|order| (name(order.id), RestingOrder { id: nobody, ..order }));
            picture.books.insert(symbol, named.collect());
        }
        picture
    }
}

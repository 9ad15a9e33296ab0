//! All that can be asked of the shards, asked at once: for checks, past the gate.

use std::collections::BTreeMap;

use book::RestingOrder;
use engine::{
    Engine, OrderFilter, OrderView, Query, Refusal, Reply, TapeEntry, TradeView, WithdrawalView,
};
use money::{AssetId, OrderId, Placement, ShardId, Side, SymbolId, TradeId, Units, UserId};

const PAGE: usize = 1_000;

/// The engines of one process, by shard.
pub(crate) struct Engines<'a> {
    pub engines: Vec<&'a Engine>,
    pub placement: Placement,
}

impl Engines<'_> {
    pub fn query(&self, query: &Query) -> Reply {
        let owner = query.owner(self.placement, self.engines[0].registry());
        self.engines[owner.0 as usize].query(query)
    }

    /// Available and frozen units by asset; `None` for a user that is not there.
    pub fn balances(&self, user: UserId) -> Option<BTreeMap<AssetId, (Units, Units)>> {
        let Reply::Balances(balances) = self.query(&Query::Balances { user }) else { return None };
        let amounts = balances.iter().map(|one| (one.asset, (one.avail, one.frozen)));
        Some(amounts.collect())
    }

    /// Newest first.
    pub fn withdrawals(&self, user: UserId) -> Vec<WithdrawalView> {
        let query = Query::Withdrawals { user, status: None, limit: PAGE };
        match self.query(&query) {
            Reply::Withdrawals(rows) => {
                assert!(rows.len() < PAGE, "more than can be looked at");
                rows
            }
            Reply::Refused(Refusal::UnknownUser) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    /// Of all users of one shard, oldest first.
    pub fn pending_withdrawals(&self, shard: ShardId) -> Vec<WithdrawalView> {
        match self.query(&Query::PendingWithdrawals { shard, limit: PAGE }) {
            Reply::Withdrawals(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    /// The users of one shard by id, page after page.
    pub fn users(&self, shard: ShardId) -> Vec<UserId> {
        let mut all: Vec<UserId> = Vec::new();
        loop {
            let after = all.last().copied();
            match self.query(&Query::Users { shard, after, limit: 3 }) {
                Reply::Accounts(page) if page.is_empty() => return all,
                Reply::Accounts(page) => all.extend(page.into_iter().map(|view| view.user)),
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn orders(&self, user: UserId) -> BTreeMap<OrderId, OrderView> {
        let mut orders = BTreeMap::new();
        for filter in [OrderFilter::Open, OrderFilter::Ended] {
            let mut before = None;
            loop {
                let query = Query::Orders { user, symbol: None, filter, before, limit: PAGE };
                let Reply::Orders(page) = self.query(&query) else { return orders };
                let Some(last) = page.last() else { break };
                before = Some(last.order);
                for view in page {
                    let other = orders.insert(view.order, view);
                    assert!(other.is_none(), "listed twice: {other:?}");
                }
            }
        }
        orders
    }

    /// Newest first.
    pub fn trades(&self, user: UserId, symbols: u32) -> BTreeMap<SymbolId, Vec<TradeView>> {
        let mut all: BTreeMap<SymbolId, Vec<TradeView>> = BTreeMap::new();
        for symbol in (0..symbols).map(SymbolId) {
            let found = all.entry(symbol).or_default();
            loop {
                // The last trade once more: of one with oneself the other half may come behind it.
                let before = found.last().map(|last| TradeId(last.trade.0 + 1));
                let query = Query::Trades { user, symbol: Some(symbol), before, limit: PAGE };
                let Reply::Trades(page) = self.query(&query) else { break };
                let length = found.len();
                let tail = found[length.saturating_sub(2)..].to_vec();
                found.extend(page.into_iter().filter(|trade| !tail.contains(trade)));
                if found.len() == length {
                    break;
                }
            }
        }
        all
    }

    /// Oldest first.
    pub fn tape(&self, symbol: SymbolId) -> Vec<TapeEntry> {
        let mut all: Vec<TapeEntry> = Vec::new();
        loop {
            let after = all.last().map_or(TradeId(0), |entry| entry.trade);
            match self.query(&Query::Tape { symbol, after, limit: PAGE }) {
                Reply::Tape(page) if page.is_empty() => return all,
                Reply::Tape(page) => all.extend(page),
                Reply::Refused(Refusal::UnknownSymbol) => return all,
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn book(&self, symbol: SymbolId, side: Side) -> Vec<RestingOrder> {
        let mut all: Vec<RestingOrder> = Vec::new();
        loop {
            let after = all.last().map(|order| order.id);
            match self.query(&Query::Book { symbol, side, after, limit: PAGE }) {
                Reply::Book(page) if page.is_empty() => return all,
                Reply::Book(page) => all.extend(page),
                Reply::Refused(Refusal::UnknownSymbol) => return all,
                other => panic!("{other:?}"),
            }
        }
    }
}

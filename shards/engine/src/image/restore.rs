//! From pieces back to an engine.
//!
//! A checksum has vouched for the bytes before they come here. What is checked here is that the
//! pieces make sense together, so that a mistake of ours, or a file made by hand, is an error at the
//! start instead of a wrong balance later.

use std::collections::BTreeMap;

use book::{RestoreError, Taker};
use ledger::{Account, Balance, Hold, Payment, PaymentKind, Reservation, Slot, Totals, Withdrawal};
use money::{
    AssetId, Lots, OrderId, Price, SHARD_BITS, ShardId, Side, SymbolId, TimeInForce, Units, UserId,
    WithdrawalStatus,
};

use super::piece::*;
use crate::command::NewSymbol;
use crate::cut::{Collection, Cut};
use crate::engine::{Engine, EngineConfig, Market};
use crate::history::TradeHistory;
use crate::message::{AssetTotals, Ticket};
use crate::orders::{ENDED_ORDERS, Order};
use crate::pending::{Origins, Pending, Question};
use crate::registry::MAX_SYMBOLS;
use crate::reply::Refusal;

/// Why pieces make no engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It does not begin with its counters, or has them twice.
    #[error("the image does not begin with its counters")]
    Counters,
    /// It is the image of another shard.
    #[error("the image is of shard {shard} of {shards}")]
    Foreign {
        /// Of which.
        shard: ShardId,
        /// Of how many.
        shards: u16,
    },
    /// A piece belongs to one that is not there.
    #[error("{0} without what they belong to")]
    Stray(&'static str),
    /// An asset or symbol breaks the rules.
    #[error("{0}")]
    Definition(Refusal),
    /// A user who is not there, is there twice, or lives on another shard.
    #[error("user {0} is unknown, there twice, or not of this shard")]
    User(UserId),
    /// A symbol that is not there or has no book here.
    #[error("symbol {0} is unknown or not of this shard")]
    Symbol(SymbolId),
    /// An asset that is not there, or a balance of it that is there twice.
    #[error("asset {0} is unknown or there twice")]
    Asset(AssetId),
    /// An order that is there twice, or cannot be in the list where it stands.
    #[error("order {0} is there twice or in the wrong list")]
    Order(OrderId),
    /// A resting order that fits in no book.
    #[error("{0}")]
    Resting(#[from] RestoreError),
    /// More trades, or links further back, than can be.
    #[error("the trade history has impossible links")]
    Trades,
    /// A payment, question or cut that is there twice.
    #[error("{0} twice")]
    Twice(&'static str),
    /// A role, key or session that is there twice or out of its bounds.
    #[error("{0} is there twice or out of its bounds")]
    Identity(&'static str),
    /// A withdrawal in two steps whose `ref` is known, or that has ended and not ended.
    #[error("a withdrawal of user {0} is there twice or in a state that cannot be")]
    Withdrawal(UserId),
    /// What is frozen is not what the open orders and pending withdrawals hold.
    #[error(
        "user {user} has {frozen} units of asset {asset} frozen, open orders and pending withdrawals \
         hold {held}"
    )]
    Frozen {
        /// Whose.
        user: UserId,
        /// Of what.
        asset: AssetId,
        /// What the balance says.
        frozen: Units,
        /// What the orders and withdrawals say.
        held: Units,
    },
    /// A sum past all bounds.
    #[error("an amount is too large to count")]
    TooLarge,
}

/// Most of anything that room is made for beforehand: growing takes time, a wrong number must not take
/// all memory.
const MAX_RESERVED: u64 = 1 << 21;
/// How many orders ahead the memory is fetched that an order will take.
const FETCHED_AHEAD: usize = 8;

/// An engine that is being restored, piece by piece.
pub struct Restore {
    engine: Engine,
    begun: bool,
    /// By slot of the ledger: what open orders and pending withdrawals hold there.
    held: Vec<Units>,
    /// Where symbols that are still to come were placed by hand.
    placed: BTreeMap<SymbolId, ShardId>,
    market: Option<SymbolId>,
    peer: Option<ShardId>,
    /// The cut whose totals come, and whether they are a collection's.
    cut: Option<(Ticket, bool)>,
}

impl Restore {
    /// Begins with an empty shard.
    pub fn new(config: EngineConfig) -> Restore {
        Restore {
            engine: Engine::new(config),
            begun: false,
            held: Vec::new(),
            placed: BTreeMap::new(),
            market: None,
            peer: None,
            cut: None,
        }
    }

    /// Adds the next piece.
    ///
    /// # Errors
    /// When it makes no sense with those before; nothing can be done with the rest then.
    pub fn piece(&mut self, piece: Piece) -> Result<(), ImageError> {
        match piece {
            Piece::Counters(counters) => return self.counters(counters),
            _ if !self.begun => return Err(ImageError::Counters),
            Piece::Assets(assets) => {
                for asset in assets {
                    self.engine.registry.restore_asset(asset).map_err(ImageError::Definition)?;
                }
            }
            Piece::Placed(placed) => placed.into_iter().try_for_each(|one| self.placed(one))?,
            Piece::Symbols(symbols) => {
                symbols.into_iter().try_for_each(|symbol| self.symbol(symbol))?;
            }
            Piece::EarlyReferences(references) => {
                for (symbol, price) in references {
                    if price == Price(0) || self.engine.registry.symbol(symbol).is_some() {
                        return Err(ImageError::Symbol(symbol));
                    }
                    self.engine.registry.set_reference(symbol, price);
                }
            }
            Piece::House(houses) => houses.iter().try_for_each(|house| self.house(house))?,
            Piece::People(people) => people.into_iter().try_for_each(|one| self.person(one))?,
            Piece::Payments(payments) => {
                payments.into_iter().try_for_each(|payment| self.payment(payment))?;
            }
            Piece::Trades(trades) => {
                for trade in &trades {
                    self.engine.registry.symbol(trade.symbol).ok_or(ImageError::Trades)?;
                    if !self.engine.history.restore(trade) {
                        return Err(ImageError::Trades);
                    }
                }
            }
            Piece::Open(orders) => self.orders(&orders, true)?,
            Piece::Ended(orders) => self.orders(&orders, false)?,
            Piece::Market(market) => self.market(market)?,
            Piece::Resting(side, orders) => self.resting(side, &orders)?,
            Piece::Tape(entries) => {
                let market = self.open_market("trades")?;
                entries.into_iter().for_each(|entry| market.tape.push(entry));
            }
            Piece::Minute(minute) => self.open_market("a minute")?.klines.restore_minute(minute),
            Piece::Candles(interval, candles) => {
                let klines = &mut self.open_market("candles")?.klines;
                if !candles.into_iter().all(|candle| klines.restore(interval, candle)) {
                    return Err(ImageError::Twice("a candle"));
                }
            }
            Piece::Peer(peer) => self.peer(peer)?,
            Piece::Kept(messages) => {
                let peer = self.peer.ok_or(ImageError::Stray("messages"))?;
                for message in messages {
                    self.engine.peers.restore_kept(peer, message);
                }
            }
            Piece::Questions(questions) => {
                questions.into_iter().try_for_each(|one| self.question(one))?;
            }
            Piece::Cut(cut) => self.cut(cut)?,
            Piece::CutTotals(totals) => self.cut_totals(&totals)?,
            Piece::Withdrawals(withdrawals) => {
                withdrawals.into_iter().try_for_each(|one| self.withdrawal(one))?;
            }
            Piece::Identities(_) | Piece::Keys(_) | Piece::Sessions(_) => self.identities(piece)?,
        }
        Ok(())
    }

    /// The engine, once all pieces are there.
    ///
    /// # Errors
    /// When what is frozen is not what the open orders and pending withdrawals hold.
    pub fn finish(self) -> Result<Engine, ImageError> {
        let Restore { engine, begun, held, placed, .. } = self;
        if !begun {
            return Err(ImageError::Counters);
        }
        if let Some(&symbol) = placed.keys().next() {
            return Err(ImageError::Symbol(symbol));
        }
        for account in 0..engine.ledger.users() as u32 {
            let account = Account(account);
            let user = engine.ledger.user(account);
            for (slot, balance) in engine.ledger.slots_of(account) {
                let held = held.get(slot.index()).copied().unwrap_or(0);
                if held != balance.frozen {
                    let Balance { asset, frozen, .. } = balance;
                    return Err(ImageError::Frozen { user, asset, frozen, held });
                }
            }
        }
        Ok(engine)
    }

    fn counters(&mut self, counters: Counters) -> Result<(), ImageError> {
        let Counters { shard, shards, .. } = counters;
        if self.begun {
            return Err(ImageError::Counters);
        }
        if shard != self.engine.here || shards != self.engine.placement.shards() {
            return Err(ImageError::Foreign { shard, shards });
        }
        if counters.first_trade == 0 {
            return Err(ImageError::Trades);
        }
        self.begun = true;
        self.engine.now_ms = counters.now_ms;
        self.engine.state_hash = counters.state_hash;
        self.engine.order_count = counters.order_count;
        self.engine.user_count = counters.user_count;
        self.engine.pending.restore_next(counters.next_ticket);
        self.engine.history = TradeHistory::restored(counters.first_trade);
        let room = |count: u64| count.min(MAX_RESERVED) as usize;
        self.engine.ledger.reserve(room(counters.users), room(counters.balances));
        self.engine.orders.reserve(room(counters.orders));
        Ok(())
    }

    fn symbol(&mut self, image: SymbolImage) -> Result<(), ImageError> {
        let symbol = NewSymbol { spec: image.spec, reference: image.reference };
        let placement = self.engine.placement;
        let registry = &mut self.engine.registry;
        let placed = self.placed.remove(&SymbolId(registry.symbols().len() as u32));
        let id = registry.restore_symbol(symbol, placed, placement);
        self.engine.open_market(id.map_err(ImageError::Definition)?);
        Ok(())
    }

    fn placed(&mut self, (symbol, asked): (SymbolId, ShardId)) -> Result<(), ImageError> {
        let is_known = self.engine.registry.symbol(symbol).is_some();
        let can_be = asked.0 < 1 << SHARD_BITS && (symbol.0 as usize) < MAX_SYMBOLS;
        let is_new = self.placed.insert(symbol, asked).is_none();
        if can_be && is_new && !is_known { Ok(()) } else { Err(ImageError::Symbol(symbol)) }
    }

    fn house(&mut self, house: &HouseImage) -> Result<(), ImageError> {
        let HouseImage { asset, deposits, withdrawals, fees } = *house;
        self.engine.registry.asset(asset).ok_or(ImageError::Asset(asset))?;
        let totals = Totals { deposits, withdrawals, fees, ..Totals::default() };
        self.engine.ledger.restore_house(asset, totals).map_err(|_| ImageError::TooLarge)
    }

    fn person(&mut self, person: PersonImage) -> Result<(), ImageError> {
        let PersonImage { user, name, frozen, last_trade, balances } = person;
        if self.engine.placement.home_of(user) != self.engine.here {
            return Err(ImageError::User(user));
        }
        let ledger = &mut self.engine.ledger;
        let account = ledger.create_user(user, name).map_err(|_| ImageError::User(user))?;
        ledger.set_frozen(account, frozen);
        self.engine.history.restore_account(last_trade);
        for (asset, avail, frozen) in balances {
            self.engine.registry.asset(asset).ok_or(ImageError::Asset(asset))?;
            let balance = Balance { asset, avail, frozen };
            let slot = self.engine.ledger.restore_balance(account, balance);
            slot.ok_or(ImageError::Asset(asset))?;
        }
        Ok(())
    }

    fn payment(&mut self, image: PaymentImage) -> Result<(), ImageError> {
        let PaymentImage { user, reference, is_withdrawal, asset, amount } = image;
        self.engine.account(user).map_err(|_| ImageError::User(user))?;
        if self.engine.payments.find(user, &reference).is_some() {
            return Err(ImageError::Twice("a payment"));
        }
        let kind = if is_withdrawal { PaymentKind::Withdrawal } else { PaymentKind::Deposit };
        self.engine.payments.record(user, reference, Payment { kind, asset, amount });
        Ok(())
    }

    fn order(&mut self, image: &OrderImage, is_open: bool) -> Result<(), ImageError> {
        let wrong = ImageError::Order(image.id);
        let too_many = !is_open && self.engine.orders.ended().len() >= ENDED_ORDERS;
        if image.status.is_open() != is_open || too_many {
            return Err(wrong);
        }
        let account = self.engine.account(image.user).map_err(|_| ImageError::User(image.user))?;
        let entry = self.engine.registry.symbol(image.symbol);
        let entry = entry.ok_or(ImageError::Symbol(image.symbol))?;
        let (scale, base, quote) = (entry.scale, entry.spec.base, entry.spec.quote);
        let ledger = &mut self.engine.ledger;
        let reservation = Reservation {
            side: image.side,
            price: image.hold_price,
            qty: if is_open { image.hold_remaining } else { Lots(0) },
            budget: if is_open { image.hold_budget } else { None },
            base: ledger.slot(account, base),
            quote: ledger.slot(account, quote),
        };
        let hold = Hold::restore(scale, reservation).map_err(|_| ImageError::TooLarge)?;
        self.hold(hold.paying(), hold.frozen())?;
        let order = Order::restored(image, account, hold);
        if self.engine.orders.restore(order) { Ok(()) } else { Err(wrong) }
    }

    fn orders(&mut self, orders: &[OrderImage], is_open: bool) -> Result<(), ImageError> {
        for (at, order) in orders.iter().enumerate() {
            if let Some(ahead) = orders.get(at + FETCHED_AHEAD) {
                self.engine.orders.expect(ahead.id);
                let account = self.engine.ledger.account(ahead.user);
                if let Some((account, cid)) = account.zip(ahead.cid) {
                    self.engine.orders.expect_cid(account, &cid);
                }
            }
            self.order(order, is_open)?;
        }
        Ok(())
    }

    fn market(&mut self, image: MarketImage) -> Result<(), ImageError> {
        let MarketImage { symbol, last_trade, last_update } = image;
        let market = self.engine.market_mut(symbol).ok_or(ImageError::Symbol(symbol))?;
        market.last_trade = last_trade;
        market.last_update = last_update;
        self.market = Some(symbol);
        Ok(())
    }

    fn open_market(&mut self, what: &'static str) -> Result<&mut Market, ImageError> {
        let symbol = self.market.ok_or(ImageError::Stray(what))?;
        self.engine.market_mut(symbol).ok_or(ImageError::Symbol(symbol))
    }

    fn resting(&mut self, side: Side, orders: &[RestingImage]) -> Result<(), ImageError> {
        let market = self.open_market("resting orders")?;
        for (at, order) in orders.iter().enumerate() {
            if let Some(ahead) = orders.get(at + FETCHED_AHEAD) {
                market.book.expect(ahead.id);
            }
            market.book.restore(&Taker {
                id: order.id,
                user: order.user,
                side,
                price: order.price,
                qty: order.remaining,
                budget: None,
                time_in_force: TimeInForce::Gtc,
                post_only: order.post_only,
                market: false,
                self_trade: order.self_trade,
            })?;
        }
        Ok(())
    }

    fn peer(&mut self, image: PeerImage) -> Result<(), ImageError> {
        let PeerImage { peer, first_kept, applied } = image;
        if peer.0 >= self.engine.placement.shards() || peer == self.engine.here || first_kept == 0 {
            return Err(ImageError::Stray("a peer's messages"));
        }
        self.engine.peers.restore(peer, first_kept, applied);
        self.peer = Some(peer);
        Ok(())
    }

    fn question(&mut self, image: QuestionImage) -> Result<(), ImageError> {
        let QuestionImage { ticket, kind, outstanding, probes, count } = image;
        let question = match kind {
            QuestionKind::Place(order) => Question::Place(order),
            QuestionKind::Change(order) => Question::Change(order),
            QuestionKind::CancelAll { more } => Question::CancelAll { more },
            QuestionKind::Asset(asset) => Question::Asset(asset),
            QuestionKind::Symbol(symbol) => Question::Symbol(symbol),
            QuestionKind::Identity(outcome) => Question::Identity(*outcome),
        };
        let origins = Origins::default();
        let pending = Pending { question, outstanding, probes, count, refusal: None, origins };
        let is_new = self.engine.pending.restore(ticket, pending);
        if is_new { Ok(()) } else { Err(ImageError::Twice("a question")) }
    }

    /// Notes what an order or a withdrawal has frozen.
    fn hold(&mut self, slot: Slot, units: Units) -> Result<(), ImageError> {
        if slot.index() >= self.held.len() {
            self.held.resize(self.engine.ledger.slots(), 0);
        }
        let held = &mut self.held[slot.index()];
        *held = held.checked_add(units).ok_or(ImageError::TooLarge)?;
        Ok(())
    }

    fn withdrawal(&mut self, withdrawal: Withdrawal) -> Result<(), ImageError> {
        let &Withdrawal { user, asset, amount, status, ended_at_ms, .. } = &withdrawal;
        let account = self.engine.account(user).map_err(|_| ImageError::User(user))?;
        self.engine.registry.asset(asset).ok_or(ImageError::Asset(asset))?;
        let is_pending = status == WithdrawalStatus::Pending;
        let is_payment = self.engine.payments.find(user, &withdrawal.reference).is_some();
        if is_payment || is_pending != ended_at_ms.is_none() {
            return Err(ImageError::Withdrawal(user));
        }
        if is_pending {
            let slot = self.engine.ledger.slot(account, asset);
            self.hold(slot, amount)?;
        }
        let is_new = self.engine.withdrawals.record(withdrawal);
        if is_new { Ok(()) } else { Err(ImageError::Withdrawal(user)) }
    }

    fn identities(&mut self, piece: Piece) -> Result<(), ImageError> {
        let table = &mut self.engine.identities;
        let (what, fits) = match piece {
            Piece::Identities(users) => {
                let mut users = users.into_iter();
                ("a user's role", users.all(|(user, known)| table.restore_user(user, known)))
            }
            Piece::Keys(keys) => ("a key", keys.into_iter().all(|key| table.restore_key(key))),
            Piece::Sessions(sessions) => {
                let mut sessions = sessions.into_iter();
                ("a session", sessions.all(|session| table.restore_session(session)))
            }
            _ => ("a piece", false),
        };
        if fits { Ok(()) } else { Err(ImageError::Identity(what)) }
    }

    fn cut(&mut self, image: CutImage) -> Result<(), ImageError> {
        let CutImage { ticket, missing } = image;
        let cuts = &mut self.engine.cuts;
        let totals = Vec::new();
        let is_collection = matches!(missing, CutMissing::Reports(_));
        let is_new = match missing {
            CutMissing::Markers(waiting) => {
                if waiting.len() != usize::from(self.engine.placement.shards()) {
                    return Err(ImageError::Stray("markers of a cut"));
                }
                cuts.open.insert(ticket, Cut { totals, waiting }).is_none()
            }
            CutMissing::Reports(missing) => {
                let collection = Collection { origin: None, totals, missing };
                cuts.collections.insert(ticket, collection).is_none()
            }
        };
        self.cut = Some((ticket, is_collection));
        if is_new { Ok(()) } else { Err(ImageError::Twice("a cut")) }
    }

    fn cut_totals(&mut self, part: &[AssetTotals]) -> Result<(), ImageError> {
        let (ticket, is_collection) = self.cut.ok_or(ImageError::Stray("totals of a cut"))?;
        let cuts = &mut self.engine.cuts;
        let totals = match is_collection {
            true => cuts.collections.get_mut(&ticket).map(|collection| &mut collection.totals),
            false => cuts.open.get_mut(&ticket).map(|cut| &mut cut.totals),
        };
        totals.ok_or(ImageError::Stray("totals of a cut"))?.extend_from_slice(part);
        Ok(())
    }
}

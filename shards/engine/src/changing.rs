//! The home side, changing: cancels, reductions and moves are checked and sent to the symbol's
//! shard.

use ledger::LedgerError;
use money::{Lots, OrderId, OrderKind, Price, RuleBreak, Side, SymbolId, SymbolStatus, UserId};

use crate::command::{CANCEL_ALL_LIMIT, OrderRef};
use crate::effect::{BalanceReason, Effects};
use crate::engine::{Engine, Step, reply};
use crate::message::{Message, Ticket};
use crate::orders::{List, Order, OrderSlot};
use crate::pending::Question;
use crate::reply::{Origin, Refusal, Reply};

/// What a command ends in at once.
pub(crate) type Applied = Result<Step, Refusal>;

impl Engine {
    pub(crate) fn find_order(&self, user: UserId, order: OrderRef) -> Result<OrderSlot, Refusal> {
        let account = self.account(user)?;
        let slot = match order {
            OrderRef::Cid(cid) => self.orders.find_cid(account, &cid),
            OrderRef::Id(id) => self.orders.find(id),
        };
        slot.filter(|&slot| self.orders.get(slot).account == account).ok_or(Refusal::OrderNotFound)
    }

    fn find_open(&self, user: UserId, order: OrderRef) -> Result<OrderSlot, Refusal> {
        let slot = self.find_order(user, order)?;
        self.orders.expect_change(slot);
        let status = self.orders.get(slot).status;
        if status.is_open() { Ok(slot) } else { Err(Refusal::OrderNotOpen(status)) }
    }

    /// Opens a question about one order.
    fn ask_about(&mut self, order: OrderId, origin: Option<Origin>) -> Ticket {
        let ticket = self.pending.ticket();
        self.pending.open(ticket, Question::Change(order), 1, origin);
        self.mix(order.0 ^ ticket << 32);
        ticket
    }

    fn refuse_if_halted(&self, symbol: SymbolId) -> Result<(), Refusal> {
        match self.registry.symbol(symbol).map(|entry| entry.rules().status) {
            Some(status @ SymbolStatus::Halted) => Err(Refusal::SymbolNotTrading(status)),
            _ => Ok(()),
        }
    }

    pub(crate) fn cancel(
        &mut self,
        user: UserId,
        order: OrderRef,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let slot = self.find_open(user, order)?;
        let (id, symbol) = (self.orders.get(slot).id, self.orders.get(slot).symbol);
        self.refuse_if_halted(symbol)?;
        if let Some(market) = self.market(symbol) {
            market.book.expect(id);
        }
        self.orders.expect_end(slot);
        let ticket = self.ask_about(id, origin);
        let message = Message::Cancel { ticket, order: id, symbol };
        self.deliver(self.shard_of(symbol), message, out);
        Ok(Step::Changed)
    }

    pub(crate) fn reduce(
        &mut self,
        user: UserId,
        order: OrderRef,
        by: Lots,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let slot = self.find_open(user, order)?;
        let order = self.orders.get(slot);
        let (id, symbol) = (order.id, order.symbol);
        if self.ledger.is_frozen(order.account) {
            return Err(Refusal::UserFrozen);
        }
        self.refuse_if_halted(symbol)?;
        if by.0 == 0 {
            return Err(Refusal::Rule(RuleBreak::QtyMin));
        }
        let ticket = self.ask_about(id, origin);
        let message = Message::Reduce { ticket, order: id, symbol, by };
        self.deliver(self.shard_of(symbol), message, out);
        Ok(Step::Changed)
    }

    pub(crate) fn move_price(
        &mut self,
        user: UserId,
        order: OrderRef,
        price: Price,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let slot = self.find_open(user, order)?;
        let order = self.orders.get(slot);
        let (id, symbol, old) = (order.id, order.symbol, order.price);
        if self.ledger.is_frozen(order.account) {
            return Err(Refusal::UserFrozen);
        }
        if order.kind == OrderKind::Market {
            return Err(Refusal::MoveMarket);
        }
        if order.moving_to().is_some() {
            return Err(Refusal::MoveUnderWay);
        }
        self.check_move(order, price)?;

        // Until the book has answered, the order may fill at either price: hold for the dearer.
        let (account, slots) = (self.orders.get(slot).account, self.orders.get(slot).hold.slots());
        let before = self.before(account, slots, out);
        let scale = self.registry.symbol(symbol).expect("was checked").scale;
        let order = self.orders.get_mut(slot);
        order.hold.reprice(&mut self.ledger, scale, old.max(price)).map_err(
            |error| match error {
                LedgerError::Insufficient { needed, avail } => {
                    let spec = &self.registry.symbol(symbol).expect("of an order").spec;
                    let asset = if order.side == Side::Buy { spec.quote } else { spec.base };
                    Refusal::InsufficientBalance { asset, needed, avail }
                }
                LedgerError::TooLarge | LedgerError::UserExists => {
                    Refusal::Rule(RuleBreak::Overflow)
                }
            },
        )?;
        order.set_moving_to(Some(price));
        self.tell_balances(account, before, None, BalanceReason::OrderPlaced, out);
        let ticket = self.ask_about(id, origin);
        let message = Message::Move { ticket, order: id, symbol, price };
        self.deliver(self.shard_of(symbol), message, out);
        Ok(Step::Changed)
    }

    /// The rules of a limit order at the new price, as far as a price can break them.
    fn check_move(&self, order: &Order, price: Price) -> Result<(), Refusal> {
        let entry = self.registry.symbol(order.symbol).ok_or(Refusal::UnknownSymbol)?;
        let rules = entry.rules();
        if rules.status != SymbolStatus::Trading {
            return Err(Refusal::SymbolNotTrading(rules.status));
        }
        if price.0 == 0 {
            return Err(Refusal::Rule(RuleBreak::PriceZero));
        }
        let (lower, upper) = rules.band(entry.reference);
        if price < lower || price > upper {
            return Err(Refusal::Rule(RuleBreak::PriceBand));
        }
        let notional = entry.scale.quote_floor(price, order.hold.remaining());
        if notional.ok_or(Refusal::Rule(RuleBreak::Overflow))? < rules.min_notional {
            return Err(Refusal::Rule(RuleBreak::Notional));
        }
        Ok(())
    }

    pub(crate) fn cancel_user(
        &mut self,
        user: UserId,
        symbol: Option<SymbolId>,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let account = self.account(user)?;
        let mut chosen: Vec<(OrderId, SymbolId)> = Vec::new();
        for (_, order) in self.orders.list(account, List::Open, None) {
            if chosen.len() > CANCEL_ALL_LIMIT {
                break;
            }
            let wanted = symbol.is_none_or(|symbol| symbol == order.symbol);
            // In a halted symbol nothing is canceled by its users.
            if wanted && self.refuse_if_halted(order.symbol).is_ok() {
                chosen.push((order.id, order.symbol));
            }
        }
        Ok(self.cancel_chosen(chosen, origin, out))
    }

    pub(crate) fn cancel_shard(
        &mut self,
        symbol: Option<SymbolId>,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let mut chosen: Vec<(OrderId, SymbolId)> = Vec::new();
        'users: for account in 0..self.ledger.users() as u32 {
            for (_, order) in self.orders.list(ledger::Account(account), List::Open, None) {
                if chosen.len() > CANCEL_ALL_LIMIT {
                    break 'users;
                }
                if symbol.is_none_or(|symbol| symbol == order.symbol) {
                    chosen.push((order.id, order.symbol));
                }
            }
        }
        Ok(self.cancel_chosen(chosen, origin, out))
    }

    fn cancel_chosen(
        &mut self,
        mut chosen: Vec<(OrderId, SymbolId)>,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Step {
        let more = chosen.len() > CANCEL_ALL_LIMIT;
        chosen.truncate(CANCEL_ALL_LIMIT);
        if chosen.is_empty() {
            reply(out, origin, || Reply::CanceledAll { count: 0, more: false });
            return Step::Unchanged;
        }
        let ticket = self.pending.ticket();
        self.pending.open(ticket, Question::CancelAll { more }, chosen.len() as u32, origin);
        for (order, symbol) in chosen {
            self.mix(order.0 ^ ticket << 32);
            let message = Message::Cancel { ticket, order, symbol };
            self.deliver(self.shard_of(symbol), message, out);
        }
        Step::Changed
    }
}

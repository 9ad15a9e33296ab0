//! The home side, settling: what the symbol's shard reports of an order is settled and answered.

use money::{OrderId, OrderKind, OrderStatus, Role, SymbolStatus};

use crate::effect::{BalanceReason, Effects};
use crate::engine::Engine;
use crate::message::{Answer, Fill, Ticket};
use crate::orders::OrderSlot;
use crate::pending::Question;
use crate::reply::{Refusal, Reply};

impl Engine {
    /// A fill of one of this shard's orders: settles its side.
    #[inline]
    pub(crate) fn on_fill(&mut self, fill: &Fill, out: &mut Effects) {
        let slot = self.orders.find(fill.order).expect("an order is known until it has ended");
        let (account, slots) = (self.orders.get(slot).account, self.orders.get(slot).hold.slots());
        let before = self.before(account, slots, out);
        let order = self.orders.get_mut(slot);
        let entry = self.registry.symbol(fill.symbol).expect("of an order");
        let settled =
            order.hold.settle(&mut self.ledger, entry.scale, fill.price, fill.qty, fill.fee_ppm);
        order.filled.0 += fill.qty.0;
        // Only shown, so it may stop at the end; more than 2^18 fills of all there is go before.
        order.filled_quote = order.filled_quote.saturating_add(settled.notional);
        order.updated_at_ms = fill.at_ms;
        order.status = OrderStatus::PartiallyFilled;
        if fill.role == Role::Taker
            && order.matched
            && let Some(price) = order.moving_to()
        {
            // Past its first matching an order takes only when it is moved: the price is in force.
            order.price = price;
        }
        let link = self.history.push(order.account, fill, settled.fee, order.last_trade);
        order.last_trade = link;
        let paying = order.hold.paying();
        // An order by quote budget ends when the book says so.
        let is_filled = order.hold.remaining().0 == 0 && order.quote_qty().is_none();
        self.mix(fill.trade.0 ^ settled.notional as u64 ^ (fill.order.0 << 20));
        self.tell_fill(account, link, out);
        self.tell_balances(account, before, Some(paying), BalanceReason::TradeSettled, out);
        if is_filled {
            self.end_order(slot, OrderStatus::Filled, fill.at_ms, out);
        } else {
            self.tell_order(slot, out);
        }
    }

    pub(crate) fn on_maker_expired(&mut self, order: OrderId, at_ms: u64, out: &mut Effects) {
        let slot = self.orders.find(order).expect("an order is known until it has ended");
        self.end_order(slot, OrderStatus::Expired, at_ms, out);
    }

    /// The book's answer to a question about one order.
    pub(crate) fn on_done(
        &mut self,
        ticket: Ticket,
        id: OrderId,
        answer: Answer,
        probes: u16,
        at_ms: u64,
        out: &mut Effects,
    ) {
        let mut refusal = None;
        // An order may have been filled, and even forgotten, before its answer came.
        if let Some(slot) = self.orders.find(id) {
            refusal = self.apply_answer(slot, ticket, answer, at_ms, out);
        } else if answer == Answer::Gone {
            refusal = Some(Refusal::OrderNotFound);
        }
        let Some(pending) = self.pending.get_mut(ticket) else { return };
        pending.outstanding -= 1;
        pending.probes += i32::from(probes);
        pending.count += u32::from(answer == Answer::Canceled);
        pending.refusal = refusal;
        self.finish(ticket, out);
    }

    fn apply_answer(
        &mut self,
        slot: OrderSlot,
        ticket: Ticket,
        answer: Answer,
        at_ms: u64,
        out: &mut Effects,
    ) -> Option<Refusal> {
        let (account, slots) = (self.orders.get(slot).account, self.orders.get(slot).hold.slots());
        let before = self.before(account, slots, out);
        let order = self.orders.get_mut(slot);
        order.matched |= order.ticket == ticket;
        let is_open = order.status.is_open();
        let scale = self.registry.symbol(order.symbol).expect("of an order").scale;
        let ended = match answer {
            Answer::Filled if order.is_filled() => Some(OrderStatus::Filled),
            Answer::Filled => Some(OrderStatus::Expired),
            Answer::Expired => Some(OrderStatus::Expired),
            Answer::WouldTake | Answer::NotTrading => Some(OrderStatus::Rejected),
            Answer::Canceled => Some(OrderStatus::Canceled),
            Answer::Rested | Answer::Moved | Answer::Reduced(_) => None,
            Answer::Gone | Answer::NotMoved => None,
        };
        if let Some(status) = ended {
            if is_open {
                self.end_order(slot, status, at_ms, out);
            }
            return None;
        }
        let mut mixed = 0;
        match answer {
            Answer::Moved => {
                order.price = order.moving_to().expect("a move is answered once");
                order.set_moving_to(None);
                order.updated_at_ms = at_ms;
                let price = order.price;
                order
                    .hold
                    .reprice(&mut self.ledger, scale, price)
                    .expect("held for the dearer price");
                mixed = price.0;
            }
            Answer::NotMoved => {
                order.set_moving_to(None);
                let price = order.price;
                order
                    .hold
                    .reprice(&mut self.ledger, scale, price)
                    .expect("held for the dearer price");
                let (symbol, kind) = (order.symbol, order.kind);
                self.tell_balances(account, before, None, BalanceReason::OrderEnded, out);
                let entry = self.registry.symbol(symbol).expect("of an order");
                let status = entry.rules().status;
                if kind == OrderKind::PostOnly && status == SymbolStatus::Trading {
                    return Some(Refusal::MoveWouldTake);
                }
                return Some(Refusal::SymbolNotTrading(status));
            }
            Answer::Reduced(by) => {
                order.qty.0 -= by.0;
                order.updated_at_ms = at_ms;
                order.hold.reduce(&mut self.ledger, scale, by);
                mixed = by.0;
            }
            Answer::Gone => return Some(Refusal::OrderNotOpen(order.status)),
            _ => {}
        }
        let id = order.id;
        self.mix(id.0 ^ mixed << 16);
        self.tell_balances(account, before, None, BalanceReason::OrderEnded, out);
        // That an order rests changes nothing of what its user was told when it was placed.
        if answer != Answer::Rested {
            self.tell_order(slot, out);
        }
        None
    }

    pub(crate) fn on_probe_done(&mut self, ticket: Ticket, out: &mut Effects) {
        let Some(pending) = self.pending.get_mut(ticket) else { return };
        pending.probes -= 1;
        self.finish(ticket, out);
    }

    /// Answers a question once nothing more is to come for it.
    pub(crate) fn finish(&mut self, ticket: Ticket, out: &mut Effects) {
        let Some(pending) = self.pending.take_if_complete(ticket) else { return };
        if pending.origins.is_empty() {
            return;
        }
        let answer = match pending.question {
            Question::Place(id) => match self.orders.find(id) {
                Some(slot) => self.matched(slot),
                None => Reply::Refused(Refusal::OrderNotFound),
            },
            Question::Change(id) => match (pending.refusal, self.orders.find(id)) {
                (Some(refusal), _) => Reply::Refused(refusal),
                (None, Some(slot)) => Reply::Order(Box::new(self.orders.get(slot).view())),
                (None, None) => Reply::Refused(Refusal::OrderNotFound),
            },
            Question::CancelAll { more } => Reply::CanceledAll { count: pending.count, more },
            Question::Asset(asset) => Reply::Asset(asset),
            Question::Symbol(symbol) => Reply::Symbol(symbol),
            Question::Identity(outcome) => Reply::Identity(outcome),
        };
        let mut origins = pending.origins.iter().peekable();
        while let Some(origin) = origins.next() {
            if origins.peek().is_none() {
                out.replies.push((origin, answer));
                break;
            }
            out.replies.push((origin, answer.clone()));
        }
    }

    fn end_order(&mut self, slot: OrderSlot, status: OrderStatus, at_ms: u64, out: &mut Effects) {
        let (account, slots) = (self.orders.get(slot).account, self.orders.get(slot).hold.slots());
        let before = self.before(account, slots, out);
        let order = self.orders.get_mut(slot);
        order.hold.end(&mut self.ledger);
        let id = order.id;
        self.orders.end(slot, status, at_ms);
        self.mix(id.0 << 8 | status as u64);
        self.tell_balances(account, before, None, BalanceReason::OrderEnded, out);
        self.tell_order(slot, out);
    }
}

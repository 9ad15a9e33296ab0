//! The home side: a user's commands are checked, reserved and sent to the symbol's shard, and what
//! comes back from there is settled.

use ledger::{Hold, LedgerError};
use money::{
    Lots, OrderId, OrderKind, OrderStatus, Price, RuleBreak, Side, SymbolId, SymbolStatus, Units,
    UserId,
};

use crate::command::{CANCEL_ALL_LIMIT, OrderRef, Place};
use crate::effect::{Effects, Event};
use crate::engine::{Engine, Step, reply};
use crate::message::{Answer, Fill, Message, Submit, Ticket};
use crate::orders::{List, NewOrder, OrderSlot};
use crate::pending::Question;
use crate::reply::{Origin, Refusal, Reply, TradeView};

/// What a command ends in at once.
pub(crate) type Applied = Result<Step, Refusal>;

/// What an order asks of the book and of the ledger, once its rules are checked.
struct Terms {
    /// The worst price it trades at.
    bound: Price,
    /// The most lots it trades.
    qty: Lots,
    /// What the book may spend or receive.
    book_budget: Option<Units>,
    /// What the hold freezes instead of the formula of a limit order.
    hold_budget: Option<Units>,
}

impl Engine {
    pub(crate) fn place(
        &mut self,
        place: &Place,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let account = self.account(place.user)?;
        if let Some(cid) = &place.cid
            && let Some(slot) = self.orders.find_cid(account, cid)
        {
            return Ok(self.place_again(slot, place.wait, origin, out));
        }
        if self.ledger.is_frozen(account) {
            return Err(Refusal::UserFrozen);
        }
        let entry = self.registry.symbol(place.symbol).ok_or(Refusal::UnknownSymbol)?;
        if entry.rules().status != SymbolStatus::Trading {
            return Err(Refusal::SymbolNotTrading(entry.rules().status));
        }
        let (scale, base, quote) = (entry.scale, entry.spec.base, entry.spec.quote);
        let paying = match place.side {
            Side::Buy => quote,
            Side::Sell => base,
        };
        let avail = self.ledger.find(account, paying).avail;
        let terms = self.terms(place, avail)?;
        let id = self.next_order_id()?;

        // Nothing may change before here: a refused order is not journaled.
        let probe = match place.side {
            Side::Buy => match terms.hold_budget {
                Some(budget) => Some(budget),
                None => scale.quote_ceil(terms.bound, terms.qty),
            },
            Side::Sell => Some(scale.base(terms.qty)),
        };
        let needed = probe.ok_or(Refusal::Rule(RuleBreak::Overflow))?;
        if needed > avail {
            return Err(Refusal::InsufficientBalance { asset: paying, needed, avail });
        }

        self.order_count += 1;
        let slots = (self.ledger.slot(account, base), self.ledger.slot(account, quote));
        let mut hold =
            Hold::new(place.side, scale, terms.bound, terms.qty, terms.hold_budget, slots);
        hold.take(&mut self.ledger).expect("was checked to be available");
        let ticket = self.pending.ticket();
        self.mix(id.0 ^ ticket << 32);
        self.orders.insert(NewOrder {
            id,
            cid: place.cid,
            user: place.user,
            account,
            symbol: place.symbol,
            side: place.side,
            kind: place.kind,
            time_in_force: place.time_in_force,
            price: place.price,
            qty: terms.qty,
            quote_qty: place.quote_qty,
            hold,
            ticket,
            now_ms: self.now_ms,
        });
        self.note_order(place.user, id, OrderStatus::New, out);
        if place.wait {
            self.pending.open(ticket, Question::Place(id), 1, origin);
        } else {
            let at_ms = self.now_ms;
            reply(out, origin, || Reply::Accepted { order: id, cid: place.cid, at_ms });
        }
        let submit = Submit {
            ticket,
            order: id,
            user: place.user,
            symbol: place.symbol,
            side: place.side,
            time_in_force: place.time_in_force,
            self_trade: place.self_trade,
            post_only: place.kind == OrderKind::PostOnly,
            market: place.kind == OrderKind::Market,
            wait: place.wait,
            price: terms.bound,
            qty: terms.qty,
            budget: terms.book_budget,
        };
        self.deliver(self.placement.shard_of(place.symbol), Message::Submit(submit), out);
        Ok(Step::Changed)
    }

    /// Checks the symbol's rules and turns the order into bounds and a reservation.
    fn terms(&self, place: &Place, avail: Units) -> Result<Terms, Refusal> {
        let entry = self.registry.symbol(place.symbol).expect("the caller has it");
        let (rules, scale) = (entry.rules(), entry.scale);
        if place.kind != OrderKind::Market {
            rules
                .check_limit(scale, place.price, place.qty, entry.reference)
                .map_err(Refusal::Rule)?;
            return Ok(Terms {
                bound: place.price,
                qty: place.qty,
                book_budget: None,
                hold_budget: None,
            });
        }
        let bound = rules.market_bound(place.side, entry.reference);
        let Some(quote_qty) = place.quote_qty else {
            rules.check_qty(place.qty).map_err(Refusal::Rule)?;
            if place.side == Side::Sell {
                return Ok(Terms { bound, qty: place.qty, book_budget: None, hold_budget: None });
            }
            // The home knows no prices: it reserves up to the end of the band, at most what is
            // there, and the book keeps to that.
            let reference = entry.reference.ok_or(Refusal::NoReference)?;
            let most = match rules.price_band_ppm {
                0 => None,
                _ => scale.quote_ceil(bound, place.qty),
            };
            let budget = most.map_or(avail, |most| most.min(avail));
            if budget == 0 {
                let needed = scale.quote_ceil(reference, place.qty).unwrap_or(Units::MAX);
                return Err(Refusal::InsufficientBalance {
                    asset: entry.spec.quote,
                    needed,
                    avail,
                });
            }
            return Ok(Terms {
                bound,
                qty: place.qty,
                book_budget: Some(budget),
                hold_budget: Some(budget),
            });
        };
        if quote_qty == 0 || quote_qty < rules.min_notional {
            return Err(Refusal::Rule(RuleBreak::Notional));
        }
        if place.side == Side::Buy {
            return Ok(Terms {
                bound,
                qty: rules.max_qty,
                book_budget: Some(quote_qty),
                hold_budget: Some(quote_qty),
            });
        }
        // Selling for a sum: hold as much base as the worst price in the band could need.
        let there = scale.lots(avail).unwrap_or(rules.max_qty).min(rules.max_qty);
        let needed = Lots(scale.affordable(bound, quote_qty, Lots(there.0)).0.saturating_add(1));
        let qty = needed.min(there);
        if qty.0 == 0 {
            let needed = scale.base(Lots(1));
            return Err(Refusal::InsufficientBalance { asset: entry.spec.base, needed, avail });
        }
        Ok(Terms { bound, qty, book_budget: Some(quote_qty), hold_budget: None })
    }

    /// The same `cid` again: answers with the first order.
    fn place_again(
        &mut self,
        slot: OrderSlot,
        wait: bool,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Step {
        let order = self.orders.get(slot);
        let (id, ticket, matched) = (order.id, order.ticket, order.matched);
        if !wait {
            let (cid, at_ms) = (order.cid, order.created_at_ms);
            reply(out, origin, || Reply::Accepted { order: id, cid, at_ms });
            return Step::Unchanged;
        }
        if let Some(pending) = self.pending.get_mut(ticket) {
            pending.origins.extend(origin);
            return Step::Unchanged;
        }
        if matched {
            reply(out, origin, || self.matched(slot));
            return Step::Unchanged;
        }
        self.pending.open(ticket, Question::Place(id), 1, origin);
        Step::Changed
    }

    fn matched(&self, slot: OrderSlot) -> Reply {
        let order = self.orders.get(slot);
        let fills = self.history.of_order(order.last_trade);
        Reply::Matched { order: Box::new(order.view()), fills }
    }

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
        let status = self.orders.get(slot).status;
        if status.is_open() { Ok(slot) } else { Err(Refusal::OrderNotOpen(status)) }
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
        let ticket = self.pending.ticket();
        self.pending.open(ticket, Question::Change(id), 1, origin);
        let message = Message::Cancel { ticket, order: id, symbol };
        self.deliver(self.placement.shard_of(symbol), message, out);
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
        let (id, symbol) = (self.orders.get(slot).id, self.orders.get(slot).symbol);
        self.refuse_if_halted(symbol)?;
        if by.0 == 0 {
            return Err(Refusal::Rule(RuleBreak::QtyMin));
        }
        let ticket = self.pending.ticket();
        self.pending.open(ticket, Question::Change(id), 1, origin);
        let message = Message::Reduce { ticket, order: id, symbol, by };
        self.deliver(self.placement.shard_of(symbol), message, out);
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
        if order.moving_to.is_some() {
            return Err(Refusal::MoveUnderWay);
        }
        self.check_move(symbol, price)?;

        // Until the book has answered, the order may fill at either price: hold for the dearer.
        let order = self.orders.get_mut(slot);
        order.hold.reprice(&mut self.ledger, old.max(price)).map_err(|error| match error {
            LedgerError::Insufficient { needed, avail } => {
                let spec = &self.registry.symbol(symbol).expect("of an order").spec;
                let asset = if order.side == Side::Buy { spec.quote } else { spec.base };
                Refusal::InsufficientBalance { asset, needed, avail }
            }
            LedgerError::TooLarge | LedgerError::UserExists => Refusal::Rule(RuleBreak::Overflow),
        })?;
        order.moving_to = Some(price);
        let ticket = self.pending.ticket();
        self.pending.open(ticket, Question::Change(id), 1, origin);
        let message = Message::Move { ticket, order: id, symbol, price };
        self.deliver(self.placement.shard_of(symbol), message, out);
        Ok(Step::Changed)
    }

    fn check_move(&self, symbol: SymbolId, price: Price) -> Result<(), Refusal> {
        let entry = self.registry.symbol(symbol).ok_or(Refusal::UnknownSymbol)?;
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
            let message = Message::Cancel { ticket, order, symbol };
            self.deliver(self.placement.shard_of(symbol), message, out);
        }
        Step::Changed
    }

    /// A fill of one of this shard's orders: settles its side.
    #[inline]
    pub(crate) fn on_fill(&mut self, fill: &Fill, out: &mut Effects) {
        let slot = self.orders.find(fill.order).expect("an order is known until it has ended");
        let order = self.orders.get_mut(slot);
        let settled = order.hold.settle(&mut self.ledger, fill.price, fill.qty, fill.fee_ppm);
        order.filled.0 += fill.qty.0;
        order.filled_quote += settled.notional;
        order.updated_at_ms = fill.at_ms;
        order.status = OrderStatus::PartiallyFilled;
        let spec = &self.registry.symbol(fill.symbol).expect("of an order").spec;
        let view = TradeView {
            trade: fill.trade,
            order: fill.order,
            symbol: fill.symbol,
            side: fill.side,
            price: fill.price,
            qty: fill.qty,
            fee: settled.fee,
            fee_asset: if fill.side == Side::Buy { spec.base } else { spec.quote },
            role: fill.role,
            at_ms: fill.at_ms,
        };
        order.last_trade = self.history.push(order.account, view, order.last_trade);
        let (user, id) = (order.user, order.id);
        // An order by quote budget ends when the book says so.
        let is_filled = order.hold.remaining().0 == 0 && order.quote_qty.is_none();
        self.mix(fill.trade.0 ^ settled.notional as u64 ^ (fill.order.0 << 20));
        if is_filled {
            self.end_order(slot, OrderStatus::Filled, fill.at_ms, out);
        } else {
            self.note_order(user, id, OrderStatus::PartiallyFilled, out);
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
        let order = self.orders.get_mut(slot);
        order.matched |= order.ticket == ticket;
        let is_open = order.status.is_open();
        let ended = match answer {
            Answer::Filled => Some(OrderStatus::Filled),
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
                order.price = order.moving_to.take().expect("a move is answered once");
                order.updated_at_ms = at_ms;
                let price = order.price;
                order.hold.reprice(&mut self.ledger, price).expect("held for the dearer price");
                mixed = price.0;
            }
            Answer::NotMoved => {
                order.moving_to = None;
                let price = order.price;
                order.hold.reprice(&mut self.ledger, price).expect("held for the dearer price");
                if order.kind == OrderKind::PostOnly {
                    return Some(Refusal::MoveWouldTake);
                }
                let entry = self.registry.symbol(order.symbol).expect("of an order");
                return Some(Refusal::SymbolNotTrading(entry.rules().status));
            }
            Answer::Reduced(by) => {
                order.qty.0 -= by.0;
                order.updated_at_ms = at_ms;
                order.hold.reduce(&mut self.ledger, by);
                mixed = by.0;
            }
            Answer::Gone => return Some(Refusal::OrderNotOpen(order.status)),
            _ => {}
        }
        let (user, id, status) = (order.user, order.id, order.status);
        self.mix(id.0 ^ mixed << 16);
        self.note_order(user, id, status, out);
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
        };
        for origin in pending.origins {
            out.replies.push((origin, answer.clone()));
        }
    }

    fn end_order(&mut self, slot: OrderSlot, status: OrderStatus, at_ms: u64, out: &mut Effects) {
        let order = self.orders.get_mut(slot);
        order.hold.end(&mut self.ledger);
        let (user, id) = (order.user, order.id);
        self.orders.end(slot, status, at_ms);
        self.mix(id.0 << 8 | status as u64);
        self.note_order(user, id, status, out);
    }

    #[inline]
    fn note_order(&self, user: UserId, order: OrderId, status: OrderStatus, out: &mut Effects) {
        if out.wants_events {
            out.events.push(Event::Order { user, order, status });
        }
    }
}

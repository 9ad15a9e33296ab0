//! The home side, placing: a new order is checked, reserved and sent to the symbol's shard.

use ledger::{Hold, Reservation};
use money::{Lots, OrderId, OrderKind, Price, RuleBreak, Side, SymbolId, SymbolStatus, Units};

use crate::changing::Applied;
use crate::command::Place;
use crate::effect::{BalanceReason, Effects};
use crate::engine::{Engine, Step, reply};
use crate::message::{Message, Submit, Ticket};
use crate::orders::{NewOrder, OrderSlot};
use crate::pending::Question;
use crate::registry::SymbolEntry;
use crate::reply::{Origin, Refusal, Reply};

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
        let cid_hash = place.cid.map_or(0, |cid| self.orders.cid_hash(account, &cid));
        if let Some(cid) = &place.cid
            && let Some(slot) = self.orders.find_cid_hashed(account, cid, cid_hash)
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
        let terms = terms(entry, place, avail)?;
        let needed = terms.needed(entry, place.side)?;
        if needed > avail {
            return Err(Refusal::InsufficientBalance { asset: paying, needed, avail });
        }
        let id = self.next_order_id()?;

        // Nothing may change before here: a refused order is not journaled.
        self.order_count += 1;
        let reservation = Reservation {
            side: place.side,
            price: terms.bound,
            qty: terms.qty,
            budget: terms.hold_budget,
            base: self.ledger.slot(account, base),
            quote: self.ledger.slot(account, quote),
        };
        let before = self.before(account, [reservation.base, reservation.quote], out);
        let hold = Hold::take(&mut self.ledger, scale, reservation);
        let hold = hold.expect("was checked to be available");
        let ticket = self.pending.ticket();
        self.mix(id.0 ^ ticket << 32);
        let is_market = place.kind == OrderKind::Market;
        let slot = self.orders.insert(NewOrder {
            id,
            cid: place.cid,
            cid_hash,
            user: place.user,
            account,
            symbol: place.symbol,
            side: place.side,
            kind: place.kind,
            time_in_force: place.time_in_force,
            // What the kind has no use for must not show later, nor keep the order open.
            price: if is_market { Price(0) } else { place.price },
            qty: terms.qty,
            quote_qty: place.quote_qty.filter(|_| is_market),
            hold,
            ticket,
            now_ms: self.now_ms,
        });
        self.tell_balances(account, before, None, BalanceReason::OrderPlaced, out);
        self.tell_order(slot, out);
        if place.wait {
            self.pending.open(ticket, Question::Place(id), 1, origin);
        } else {
            let at_ms = self.now_ms;
            reply(out, origin, || Reply::Accepted { order: id, cid: place.cid, at_ms });
        }
        self.submit(place, &terms, id, ticket, out);
        self.expect_next(place.symbol);
        Ok(Step::Changed)
    }

    /// Has the memory that the next order will likely take fetched, while others are served.
    #[inline]
    fn expect_next(&self, symbol: SymbolId) {
        let Ok(id) = self.next_order_id() else { return };
        self.orders.expect_new(id);
        if let Some(market) = self.market(symbol) {
            market.book.expect_new(id);
        }
    }

    fn submit(
        &mut self,
        place: &Place,
        terms: &Terms,
        order: OrderId,
        ticket: Ticket,
        out: &mut Effects,
    ) {
        let submit = Submit {
            ticket,
            order,
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
        let shard = self.shard_of(place.symbol);
        self.crossing_count += u64::from(shard != self.here);
        self.deliver(shard, Message::Submit(submit), out);
    }

    /// The same `cid` again: answers with the first order. To one who waits now, but did not when
    /// it was placed, a third shard's maker may still be unsettled.
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
            pending.origins.add(origin);
            return Step::Unchanged;
        }
        if matched {
            reply(out, origin, || self.matched(slot));
            return Step::Unchanged;
        }
        self.pending.open(ticket, Question::Place(id), 1, origin);
        Step::Changed
    }

    pub(crate) fn matched(&self, slot: OrderSlot) -> Reply {
        let order = self.orders.get(slot);
        let fills = self.history.of_order(order.last_trade, &self.registry);
        Reply::Matched { order: Box::new(order.view()), fills }
    }
}

impl Terms {
    /// What a hold on these terms freezes, in units of what the side pays with.
    fn needed(&self, entry: &SymbolEntry, side: Side) -> Result<Units, Refusal> {
        let needed = match (side, self.hold_budget) {
            (Side::Sell, _) => Some(entry.scale.base(self.qty)),
            (Side::Buy, Some(budget)) => Some(budget),
            (Side::Buy, None) => entry.scale.quote_ceil(self.bound, self.qty),
        };
        needed.ok_or(Refusal::Rule(RuleBreak::Overflow))
    }
}

/// Checks the symbol's rules and turns the order into bounds and a reservation.
fn terms(entry: &SymbolEntry, place: &Place, avail: Units) -> Result<Terms, Refusal> {
    let (rules, scale) = (entry.rules(), entry.scale);
    if place.kind != OrderKind::Market {
        rules.check_limit(scale, place.price, place.qty, entry.reference).map_err(Refusal::Rule)?;
        let (bound, qty) = (place.price, place.qty);
        return Ok(Terms { bound, qty, book_budget: None, hold_budget: None });
    }
    if let Some(quote_qty) = place.quote_qty {
        return terms_by_quote(entry, place.side, quote_qty, avail);
    }
    rules.check_qty(place.qty).map_err(Refusal::Rule)?;
    let (bound, qty) = (rules.market_bound(place.side, entry.reference), place.qty);
    if place.side == Side::Sell {
        return Ok(Terms { bound, qty, book_budget: None, hold_budget: None });
    }
    // The home knows no prices: it reserves up to the end of the band, at most what is there, and
    // the book keeps to that.
    let reference = entry.reference.ok_or(Refusal::NoReference)?;
    let most = match rules.price_band_ppm {
        0 => None,
        _ => scale.quote_ceil(bound, qty),
    };
    let budget = most.map_or(avail, |most| most.min(avail));
    if budget == 0 {
        let needed = scale.quote_ceil(reference, qty).unwrap_or(Units::MAX);
        return Err(Refusal::InsufficientBalance { asset: entry.spec.quote, needed, avail });
    }
    Ok(Terms { bound, qty, book_budget: Some(budget), hold_budget: Some(budget) })
}

/// A market order that spends, or is to receive, a sum.
fn terms_by_quote(
    entry: &SymbolEntry,
    side: Side,
    quote_qty: Units,
    avail: Units,
) -> Result<Terms, Refusal> {
    let (rules, scale) = (entry.rules(), entry.scale);
    if quote_qty == 0 || quote_qty < rules.min_notional {
        return Err(Refusal::Rule(RuleBreak::Notional));
    }
    let bound = rules.market_bound(side, entry.reference);
    let book_budget = Some(quote_qty);
    if side == Side::Buy {
        return Ok(Terms { bound, qty: rules.max_qty, book_budget, hold_budget: book_budget });
    }
    // Hold as much base as the worst price in the band could need.
    let there = scale.lots(avail).unwrap_or(rules.max_qty).min(rules.max_qty);
    let needed = Lots(scale.affordable(bound, quote_qty, there).0.saturating_add(1));
    let qty = needed.min(there);
    if qty.0 == 0 {
        let needed = scale.base(Lots(1));
        return Err(Refusal::InsufficientBalance { asset: entry.spec.base, needed, avail });
    }
    Ok(Terms { bound, qty, book_budget, hold_budget: None })
}

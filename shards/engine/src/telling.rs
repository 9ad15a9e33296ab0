//! Telling whoever watches what happened. Nothing here changes the state, and nothing is made up for
//! nobody: an event costs its user's account one look into a table.

use book::Event as BookEvent;
use ledger::{Account, Slot};
use money::{Price, Side, SymbolId, Units};

use crate::effect::{BalanceReason, Effects, Event};
use crate::engine::Engine;
use crate::history::Link;
use crate::orders::OrderSlot;

/// What was available in some balances before they changed; empty when nobody watches.
#[derive(Clone, Copy, Default)]
pub(crate) struct Before {
    slots: [Option<(Slot, Units)>; 2],
}

impl Before {
    /// Only the first balance.
    pub fn first(self) -> Before {
        Before { slots: [self.slots[0], None] }
    }
}

impl Engine {
    /// Notes balances of an account that are about to change.
    #[inline]
    pub(crate) fn before(&self, account: Account, slots: [Slot; 2], out: &Effects) -> Before {
        if !out.watch.has(account) {
            return Before::default();
        }
        Before { slots: slots.map(|slot| Some((slot, self.ledger.balance(slot).avail))) }
    }

    /// Tells of the balances that were noted, as far as they have changed.
    #[inline]
    pub(crate) fn tell_balances(
        &self,
        account: Account,
        before: Before,
        frozen_changed: Option<Slot>,
        reason: BalanceReason,
        out: &mut Effects,
    ) {
        if before.slots[0].is_some() {
            self.tell_changed(account, before, frozen_changed, reason, out);
        }
    }

    #[inline(never)]
    fn tell_changed(
        &self,
        account: Account,
        before: Before,
        frozen_changed: Option<Slot>,
        reason: BalanceReason,
        out: &mut Effects,
    ) {
        for (slot, avail_before) in before.slots.into_iter().flatten() {
            let balance = self.ledger.balance(slot);
            if balance.avail != avail_before || frozen_changed == Some(slot) {
                out.events.push(Event::Balance {
                    user: self.ledger.user(account),
                    asset: balance.asset,
                    avail: balance.avail,
                    frozen: balance.frozen,
                    avail_before,
                    reason,
                });
            }
        }
    }

    /// Tells how an order stands now.
    #[inline]
    pub(crate) fn tell_order(&self, slot: OrderSlot, out: &mut Effects) {
        let order = self.orders.get(slot);
        if out.watch.has(order.account) {
            out.events.push(Event::Order(Box::new(order.view())));
        }
    }

    /// Tells of a trade of an order.
    #[inline]
    pub(crate) fn tell_fill(&self, account: Account, link: Link, out: &mut Effects) {
        if out.watch.has(account)
            && let Some(trade) = self.history.view(link, &self.registry)
        {
            let user = self.ledger.user(account);
            out.events.push(Event::Fill { user, trade: Box::new(trade) });
        }
    }

    /// Tells what is left at one price of a book.
    #[inline]
    pub(crate) fn tell_level(&self, symbol: SymbolId, side: Side, price: Price, out: &mut Effects) {
        if !out.watch.market {
            return;
        }
        let Some(market) = self.market(symbol) else { return };
        let (update, qty) = (market.last_update, market.book.qty_at(side, price));
        // An order that meets many others at one price changes that price once.
        let same = |event: &Event| {
            matches!(*event, Event::Level { symbol: known, update: last, side: there, price: at, .. }
                if (known, last, there, at) == (symbol, update, side, price))
        };
        if out.events.last().is_some_and(same) {
            out.events.pop();
        }
        out.events.push(Event::Level { symbol, update, side, price, qty });
    }

    /// Tells what is left at every price where a taker of `taker_side` met orders, and at its own.
    pub(crate) fn tell_levels(
        &self,
        symbol: SymbolId,
        taker_side: Side,
        own_prices: [Option<Price>; 2],
        events: &[BookEvent],
        out: &mut Effects,
    ) {
        if !out.watch.market {
            return;
        }
        let mut last = None;
        for event in events {
            let (BookEvent::Fill { price, .. } | BookEvent::MakerExpired { price, .. }) = *event;
            // Best first: the same price comes in one run.
            if last.replace(price) != Some(price) {
                self.tell_level(symbol, taker_side.opposite(), price, out);
            }
        }
        for price in own_prices.into_iter().flatten() {
            self.tell_level(symbol, taker_side, price, out);
        }
    }
}

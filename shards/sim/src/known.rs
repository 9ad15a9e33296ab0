//! What one client knows of its orders and payments, and what must stay true of them for ever.

use engine::{Command, OrderView, Place};
use money::{Lots, OrderId, OrderStatus, Price, Units};

/// What is known of one order.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub place: Place,
    /// Refused, as far as the client knows: not asked again.
    pub given_up: bool,
    /// Acknowledged: its id, and when it was accepted if that was told.
    pub accepted: Option<(OrderId, Option<u64>)>,
    pub filled: Lots,
    pub filled_quote: Units,
    /// A cancel of all was acknowledged that covered it.
    pub cancel_promised: bool,
    /// It has ended so.
    pub ended: Option<OrderStatus>,
    /// What it looked like when it had ended.
    pub last_view: Option<OrderView>,
    /// Its quantity after the reductions that were answered.
    pub qty: Lots,
    /// A reduction is under way.
    pub reducing: bool,
    /// Lots that lost reductions may or may not have taken off.
    pub unsure: u64,
    /// A move is under way.
    pub moving: bool,
    /// Every request for it asked to wait for both sides, and it was never moved: so an answer's
    /// fills as a taker are settled on both sides.
    pub is_waited_for: bool,
    /// Its price, unless the answer to a move was lost.
    pub price: Option<Price>,
}

/// What a client knew of an order when it asked: an answer may not fall behind that. Other answers
/// may have overtaken it since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    pub accepted: bool,
    pub filled: Lots,
    pub filled_quote: Units,
    pub ended: Option<OrderStatus>,
}

impl Known {
    pub fn new(place: Place) -> Known {
        Known {
            place,
            given_up: false,
            accepted: None,
            filled: Lots(0),
            filled_quote: 0,
            cancel_promised: false,
            ended: None,
            last_view: None,
            qty: place.qty,
            reducing: false,
            unsure: 0,
            moving: false,
            is_waited_for: place.wait,
            price: Some(place.price),
        }
    }

    pub fn past(&self) -> Past {
        Past {
            accepted: self.accepted.is_some(),
            filled: self.filled,
            filled_quote: self.filled_quote,
            ended: self.ended,
        }
    }

    /// An answer that shows the order.
    pub fn observe(&mut self, view: &OrderView, past: &Past) {
        self.check(view, past);
        self.accept(view.order, Some(view.created_at_ms));
        if view.filled > self.filled {
            self.filled = view.filled;
            self.filled_quote = view.filled_quote;
        }
        if !view.status.is_open() {
            self.end(view.status);
            self.last_view = Some(*view);
        }
    }

    pub fn accept(&mut self, order: OrderId, at_ms: Option<u64>) {
        if let Some((known, known_at)) = self.accepted {
            assert_eq!(order, known, "one cid, two orders: {:?}", self.place);
            if let (Some(known), Some(now)) = (known_at, at_ms) {
                assert_eq!(known, now, "accepted at two times: {:?}", self.place);
            }
        }
        let known_at = self.accepted.and_then(|(_, at_ms)| at_ms);
        self.accepted = Some((order, known_at.or(at_ms)));
        self.given_up = false;
    }

    pub fn end(&mut self, status: OrderStatus) {
        if let Some(known) = self.ended {
            assert_eq!(known, status, "an order ended twice: {self:?}");
        }
        self.ended = Some(status);
    }

    /// Panics when a view contradicts what was known before.
    pub fn check(&self, view: &OrderView, past: &Past) {
        assert_eq!(view.cid, self.place.cid, "another order: {self:?}");
        if let Some((order, at_ms)) = self.accepted {
            assert_eq!(view.order, order, "{self:?}");
            assert!(at_ms.is_none_or(|at_ms| at_ms == view.created_at_ms), "{view:?} {self:?}");
        }
        assert!(
            view.filled >= past.filled && view.filled_quote >= past.filled_quote,
            "a fill was taken back: {view:?}, but the client knew {past:?}"
        );
        if let Some(ended) = past.ended {
            assert_eq!(view.status, ended, "an ended order lives again: {view:?} {self:?}");
        }
        if let Some(last) = &self.last_view
            && !view.status.is_open()
        {
            assert_eq!(view, last, "an ended order changed");
        }
    }

    /// As [`Known::check`], against everything known, when nobody is changing the order.
    pub fn check_at_rest(&self, view: &OrderView) {
        self.check(view, &self.past());
        assert!(!(self.cancel_promised && view.status.is_open()), "canceled, but open: {self:?}");
        if view.quote_qty.is_none() && !self.reducing {
            let least = self.qty.0.saturating_sub(self.unsure);
            let within = least <= view.qty.0 && view.qty.0 <= self.qty.0;
            assert!(within, "a reduction was lost or applied twice: {view:?} {self:?}");
        }
        if let (Some(price), true, false) = (self.price, view.status.is_open(), self.moving) {
            assert_eq!(view.price, price, "a move was lost: {view:?} {self:?}");
        }
    }
}

/// What is known of one deposit or withdrawal.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub command: Command,
    pub acknowledged: bool,
    pub given_up: bool,
}

//! What the tests of the book share.
#![allow(dead_code, missing_docs)]

use book::{Book, Event, FastBook, Level, NaiveBook, Outcome, RestingOrder, Taker};
use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce, UserId};

/// A book that tests can make and check.
pub trait TestBook: Book {
    fn make(scale: Scale) -> Self;
    fn check_invariants(&self);
}

impl TestBook for FastBook {
    fn make(scale: Scale) -> Self {
        FastBook::new(scale, 0x5eed)
    }
    fn check_invariants(&self) {
        self.check();
    }
}

impl TestBook for NaiveBook {
    fn make(scale: Scale) -> Self {
        NaiveBook::new(scale)
    }
    fn check_invariants(&self) {}
}

/// One tick times one lot is one quote unit.
pub fn plain_scale() -> Scale {
    Scale::new(1, 0, 1, 0, 0).unwrap()
}

/// A GTC limit order of user `id` without self-trade prevention.
pub fn order(id: u64, side: Side, price: u64, qty: u64) -> Taker {
    Taker {
        id: OrderId(id),
        user: UserId(id),
        side,
        price: Price(price),
        qty: Lots(qty),
        budget: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        market: false,
        self_trade: SelfTrade::None,
    }
}

pub fn buy(id: u64, price: u64, qty: u64) -> Taker {
    order(id, Side::Buy, price, qty)
}

pub fn sell(id: u64, price: u64, qty: u64) -> Taker {
    order(id, Side::Sell, price, qty)
}

/// Places and returns what happened.
pub fn place<B: TestBook>(book: &mut B, taker: Taker) -> (Outcome, Vec<Event>) {
    let mut events = Vec::new();
    let outcome = book.place(&taker, &mut events);
    book.check_invariants();
    (outcome, events)
}

/// Places several that are expected to rest.
pub fn fill_book<B: TestBook>(book: &mut B, takers: &[Taker]) {
    for &taker in takers {
        let outcome = Outcome::Rested { remaining: taker.qty };
        assert_eq!(place(book, taker), (outcome, vec![]), "{taker:?}");
    }
}

pub fn all_orders<B: Book>(book: &B, side: Side) -> Vec<RestingOrder> {
    let mut out = Vec::new();
    book.orders(side, None, usize::MAX, &mut out);
    out
}

pub fn all_levels<B: Book>(book: &B, side: Side) -> Vec<Level> {
    let mut out = Vec::new();
    book.depth(side, usize::MAX, &mut out);
    out
}

/// Ids of a side in priority order.
pub fn ids<B: Book>(book: &B, side: Side) -> Vec<u64> {
    all_orders(book, side).iter().map(|order| order.id.0).collect()
}

/// `(maker, price, qty)` of the fills.
pub fn fills(events: &[Event]) -> Vec<(u64, u64, u64)> {
    let fill = |event: &Event| match *event {
        Event::Fill { maker, price, qty, .. } => Some((maker.0, price.0, qty.0)),
        Event::MakerExpired { .. } => None,
    };
    events.iter().filter_map(fill).collect()
}

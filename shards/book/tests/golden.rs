//! Replays real flows and compares every fill and the final book with what is expected of them.

mod common;
#[path = "common/flows.rs"]
mod flows;

use book::{FastBook, NaiveBook, RestingOrder};
use common::*;
use flows::{Command, Flow, trade};
use money::{Side, UserId};

fn replay<B: TestBook>(set: &str, expected_fills: usize) {
    let Some(flow) = Flow::load(set) else { return };
    assert_eq!(flow.trades.len(), expected_fills);
    let mut book = B::make(flow.symbol.scale().unwrap());
    let mut expected = flow.trades.iter();
    let mut events = Vec::new();
    for (number, command) in flow.commands.iter().enumerate() {
        match command {
            Command::Place(taker) => {
                book.place(taker, &mut events);
                for event in events.drain(..) {
                    let seen = trade(taker.id, &event);
                    assert_eq!(Some(&seen), expected.next(), "command {number}");
                }
            }
            Command::Cancel(id) => drop(book.cancel(*id)),
            Command::Reduce(id, by) => drop(book.reduce(*id, *by)),
        }
    }
    assert_eq!(expected.next(), None);
    book.check_invariants();
    let mut seen = all_orders(&book, Side::Buy);
    seen.extend(all_orders(&book, Side::Sell));
    let nameless = seen.into_iter().map(|order| RestingOrder { user: UserId(0), ..order });
    assert!(nameless.eq(flow.book_after.iter().copied()), "final book");
}

#[test]
fn a_real_nasdaq_hour() {
    replay::<FastBook>("lobster-aapl", 4_058);
}

#[test]
fn a_real_nasdaq_hour_by_the_oracle() {
    replay::<NaiveBook>("lobster-aapl", 4_058);
}

#[test]
fn a_real_futures_day() {
    replay::<FastBook>("cme-es", 6_256);
}

#[test]
fn another_exchange_with_cancels() {
    replay::<FastBook>("zxi-1k-cancel", 616);
    replay::<NaiveBook>("zxi-1k-cancel", 616);
}

#[test]
fn another_exchange_with_a_deep_book() {
    replay::<FastBook>("zxi-100k", 47_886);
}

/// A million orders: in an optimized build only, where it takes seconds.
#[test]
#[cfg_attr(debug_assertions, ignore = "slow without optimization")]
fn another_exchange_with_a_million_orders() {
    replay::<FastBook>("zxi-1m3-cancel", 538_487);
}

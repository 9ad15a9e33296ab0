//! The order book of one symbol and its matching: price-time priority, fills at the maker's price.
//!
//! Two books live here behind one trait, [`Book`]: [`FastBook`], which serves, and [`NaiveBook`], a
//! few dozen obvious lines, which is the oracle in every property test. Promises: no allocation per
//! command in steady state, cancel by id in O(1), no walk whose length is not paid for by fills. The
//! crate is pure: no I/O, clock, randomness, threads or async, and nothing iterates a hash map.

mod api;
mod fast;
mod naive;

pub use api::{Book, Event, Level, Moved, Outcome, Reduced, RestingOrder, RestoreError, Taker};
pub use fast::FastBook;
pub use naive::NaiveBook;

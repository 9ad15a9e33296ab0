//! The one rule: **nothing leaves a shard before the journal record that caused it is durable.**
//!
//! Not an answer, not a push, not a market-data update, not a message to another shard; a read's
//! answer too waits for what it shows. A shard puts everything that is to leave through its [`Gate`],
//! under the number of the record that caused it, and the only key that opens the gate is a
//! [`Durable`], which only the journal makes, after write and sync of that record succeeded.

use std::collections::VecDeque;

use crate::format::Lsn;

/// Proof that all records up to a number are durable. Only the journal makes one: after a completed
/// write and sync, or in recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable(Lsn);

impl Durable {
    /// Only where a sync has just succeeded.
    pub(crate) fn proven(lsn: Lsn) -> Durable {
        Durable(lsn)
    }

    /// The last durable record.
    pub fn lsn(self) -> Lsn {
        self.0
    }
}

/// A value that waits for its record. The value is out of reach until the gate lets it go.
#[derive(Debug)]
pub struct Held<T> {
    lsn: Lsn,
    value: T,
}

impl<T> Held<T> {
    /// The record that it waits for.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }
}

/// Everything that is to leave a shard, in order, waiting for its record to be durable.
///
/// What was caused by no record of its own (the answer to a query) is held under the last record
/// that was appended: it shows that record's effect. If that one is durable already, the next
/// [`Gate::release`] with [`Journal::durable`](crate::Journal::durable) lets it go, so call that once
/// at the end of a turn too and not only when a batch completes.
#[derive(Debug)]
pub struct Gate<T> {
    held: VecDeque<Held<T>>,
}

impl<T> Default for Gate<T> {
    fn default() -> Gate<T> {
        Gate { held: VecDeque::new() }
    }
}

impl<T> Gate<T> {
    /// An empty gate.
    pub fn new() -> Gate<T> {
        Gate::default()
    }

    /// Keeps a value until record `lsn` is durable. Values leave in the order in which they came: one
    /// that names an earlier record than the value before it waits for that value's record.
    #[inline]
    pub fn hold(&mut self, lsn: Lsn, value: T) {
        let lsn = self.held.back().map_or(lsn, |last| lsn.max(last.lsn));
        self.held.push_back(Held { lsn, value });
    }

    /// Lets go, in order, what waits for no record beyond `durable`. What the caller does not take
    /// out of the iterator is dropped.
    pub fn release(&mut self, durable: Durable) -> impl Iterator<Item = T> {
        let count = self.held.partition_point(|held| held.lsn <= durable.lsn());
        self.held.drain(..count).map(|held| held.value)
    }

    /// The value that leaves next, if any waits.
    pub fn first(&self) -> Option<&Held<T>> {
        self.held.front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_before_its_record_is_durable() {
        let mut gate = Gate::new();
        gate.hold(Lsn(1), "a");
        gate.hold(Lsn(2), "b");
        gate.hold(Lsn(2), "c");
        gate.hold(Lsn(4), "d");
        assert!(gate.release(Durable::proven(Lsn(0))).next().is_none());
        assert_eq!(gate.release(Durable::proven(Lsn(3))).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(gate.first().map(Held::lsn), Some(Lsn(4)));
        assert_eq!(gate.release(Durable::proven(Lsn(4))).collect::<Vec<_>>(), ["d"]);
        assert!(gate.is_empty());
    }

    #[test]
    fn a_read_of_durable_state_leaves_at_the_next_release() {
        let mut gate = Gate::new();
        let durable = Durable::proven(Lsn(9));
        gate.hold(Lsn(9), "read");
        assert_eq!(gate.release(durable).collect::<Vec<_>>(), ["read"]);
    }

    #[test]
    fn a_value_never_overtakes_the_one_before_it() {
        let mut gate = Gate::new();
        gate.hold(Lsn(5), "first");
        gate.hold(Lsn(3), "second");
        assert!(gate.release(Durable::proven(Lsn(4))).next().is_none());
        assert_eq!(gate.release(Durable::proven(Lsn(5))).collect::<Vec<_>>(), ["first", "second"]);
    }
}

//! When orders were to be sent, for whoever sees what comes of them on another connection or thread.
//!
//! A ring of a fixed size without locks: an entry lives until as many others have come, which is far
//! longer than a push takes. Whoever comes too late finds nothing and says so.

use std::sync::atomic::{AtomicU64, Ordering};

/// Entries of a ring, a power of two: 16 MiB, ten seconds at 100,000 orders per second.
const SLOTS: usize = 1 << 20;

/// Times by numbers.
pub struct Times {
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    /// The number and one, 0 while there is none.
    key: AtomicU64,
    ns: AtomicU64,
}

impl Times {
    /// Empty.
    pub fn new() -> Times {
        Times { slots: (0..SLOTS).map(|_| Slot::default()).collect() }
    }

    fn slot(&self, number: u64) -> &Slot {
        // Fibonacci hashing: numbers that differ in high bits only must not share a slot.
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SLOTS.trailing_zeros());
        &self.slots[mixed as usize]
    }

    /// Notes the time of a number.
    pub fn note(&self, number: u64, ns: u64) {
        let slot = self.slot(number);
        // Nobody takes the old time for the new number's, nor the other way round.
        slot.key.store(0, Ordering::SeqCst);
        slot.ns.store(ns, Ordering::SeqCst);
        slot.key.store(number + 1, Ordering::SeqCst);
    }

    /// The time of a number, if it is still known.
    pub fn look(&self, number: u64) -> Option<u64> {
        let slot = self.slot(number);
        let is_there = || slot.key.load(Ordering::SeqCst) == number + 1;
        if !is_there() {
            return None;
        }
        let ns = slot.ns.load(Ordering::SeqCst);
        is_there().then_some(ns)
    }

    /// The same, once.
    pub fn take(&self, number: u64) -> Option<u64> {
        let ns = self.look(number)?;
        let key = &self.slot(number).key;
        let taken = key.compare_exchange(number + 1, 0, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok().then_some(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_found_until_it_is_taken() {
        let times = Times::new();
        assert_eq!(times.look(0), None);
        (0..1_000).for_each(|number| times.note(number, number * 10));
        let found = (0..1_000).filter(|&number| times.look(number) == Some(number * 10)).count();
        // The last ones are; some of the others may have had to share a slot.
        assert!(found > 990 && times.look(999) == Some(9_990), "{found}");
        assert_eq!(times.take(999), Some(9_990));
        assert_eq!((times.take(999), times.look(999)), (None, None));
    }

    #[test]
    fn the_newest_of_a_slot_is_kept() {
        let times = Times::new();
        let same = |&number: &u64| std::ptr::eq(times.slot(7), times.slot(number));
        let other = (8..u64::MAX).find(same).expect("another number of the slot");
        times.note(7, 1);
        times.note(other, 2);
        assert_eq!((times.look(7), times.look(other)), (None, Some(2)));
    }
}

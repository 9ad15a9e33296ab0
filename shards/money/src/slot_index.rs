//! From a hash to a slot: how orders are found.
//!
//! Open addressing with linear probing and 8-byte entries, so that a lookup touches one cache line.
//! An entry holds 32 bits of the key's hash, which tell its home without looking at what it stands
//! for; removal shifts the followers back, so there are no tombstones and no rehash in steady state.
//! The table grows a few entries per insertion, never all at once: no command pays for all orders.
//!
//! The keys are with what is in the slots: whoever asks compares them. Clients choose, more or less,
//! which keys there are, so hashes must be seeded with what no client knows.

use crate::OrderId;
use crate::prefetch::prefetch;

const EMPTY: u64 = 0;
const INITIAL_LENGTH: usize = 16;
/// Places emptied per insertion while the table grows, and to the end of a run of entries. At a load
/// between 0.3 and 0.6 four would do; more ends the time with two tables sooner.
const EMPTIED_PER_INSERT: usize = 12;

/// Slots by the hashes of their keys.
#[derive(Clone, Debug)]
pub struct SlotIndex {
    current: Entries,
    /// The smaller table that is being emptied into `current`, or a table without entries.
    former: Entries,
    /// Where emptying `former` goes on.
    cursor: usize,
}

/// `places.len()` is a power of two; an entry is `hash << 32 | slot + 1`.
#[derive(Clone, Debug)]
struct Entries {
    places: Vec<u64>,
    used: usize,
    /// Right shift from a 32-bit hash to its home.
    shift: u32,
}

impl Entries {
    fn new(length: usize) -> Entries {
        assert!(length.is_power_of_two() && length <= 1 << 32, "a place for a 32-bit hash");
        // `vec![0; n]` takes zeroed pages from the system, which cost nothing until touched.
        Entries { places: vec![EMPTY; length], used: 0, shift: 32 - length.trailing_zeros() }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len() - 1
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) >> self.shift) as usize
    }

    /// Where the entry is, or else where it may be put.
    #[inline]
    fn probe(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Result<usize, usize> {
        let mask = self.mask();
        let mut at = self.home(hash);
        loop {
            let entry = self.places[at & mask];
            if entry == EMPTY {
                return Err(at & mask);
            }
            if hash_of(entry) == hash && is_it(slot_of(entry)) {
                return Ok(at & mask);
            }
            at += 1;
        }
    }

    /// Puts in an entry that is not there.
    #[inline]
    fn insert(&mut self, entry: u64) {
        let mask = self.mask();
        let mut at = self.home(hash_of(entry));
        while self.places[at & mask] != EMPTY {
            at += 1;
        }
        self.places[at & mask] = entry;
        self.used += 1;
    }

    /// Empties the place `hole` and moves followers back into it, each at most to its home.
    #[inline]
    fn remove_at(&mut self, mut hole: usize) {
        let mask = self.mask();
        self.used -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.places[at];
            if entry == EMPTY {
                break;
            }
            let home = self.home(hash_of(entry));
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.places[hole] = entry;
                hole = at;
            }
        }
        self.places[hole] = EMPTY;
    }
}

#[inline]
fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

#[inline]
fn slot_of(entry: u64) -> u32 {
    entry as u32 - 1
}

impl Default for SlotIndex {
    fn default() -> SlotIndex {
        SlotIndex { current: Entries::new(INITIAL_LENGTH), former: Entries::new(1), cursor: 0 }
    }
}

impl SlotIndex {
    /// How many slots it knows.
    pub fn len(&self) -> usize {
        self.current.used + self.former.used
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot of a key. `is_it` tells whether a slot, of the same hash, is the key's.
    #[inline]
    pub fn get(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if let Ok(at) = self.current.probe(hash, &is_it) {
            return Some(slot_of(self.current.places[at]));
        }
        if self.former.used == 0 {
            return None;
        }
        let at = self.former.probe(hash, is_it).ok()?;
        Some(slot_of(self.former.places[at]))
    }

    /// Remembers where a key is, which must be new: two entries would be found by either.
    ///
    /// # Panics
    /// When `slot` is `u32::MAX`.
    #[inline]
    pub fn insert(&mut self, hash: u32, slot: u32) {
        assert!(slot < u32::MAX, "a slot that can be counted");
        if self.len() * 8 >= self.current.places.len() * 5 {
            self.grow();
        }
        self.current.insert((u64::from(hash) << 32) | u64::from(slot + 1));
        if self.former.used > 0 {
            self.carry();
        }
    }

    /// Forgets a key and says where it was.
    #[inline]
    pub fn remove(&mut self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if let Ok(at) = self.current.probe(hash, &is_it) {
            let slot = slot_of(self.current.places[at]);
            self.current.remove_at(at);
            return Some(slot);
        }
        if self.former.used == 0 {
            return None;
        }
        let at = self.former.probe(hash, is_it).ok()?;
        let slot = slot_of(self.former.places[at]);
        self.former.remove_at(at);
        Some(slot)
    }

    /// Makes room for so many keys more, all at once: before a bulk of insertions.
    pub fn reserve(&mut self, more: usize) {
        // Less than 5/8 is used after it.
        let length = ((self.len() + more) * 8 / 5 + 1).next_power_of_two();
        if length > self.current.places.len() {
            self.change_to(Entries::new(length));
        }
    }

    /// Has the memory of a key's entry fetched, for whoever will ask for it soon.
    #[inline]
    pub fn expect(&self, hash: u32) {
        prefetch(&self.current.places[self.current.home(hash)]);
    }

    #[cold]
    fn grow(&mut self) {
        let length = self.current.places.len() * 2;
        self.change_to(Entries::new(length));
    }

    fn change_to(&mut self, larger: Entries) {
        while self.former.used > 0 {
            self.carry();
        }
        self.former = std::mem::replace(&mut self.current, larger);
        // Behind an empty place a run of entries begins: never is there no such place.
        let empty = self.former.places.iter().position(|&entry| entry == EMPTY);
        self.cursor = empty.expect("a table is never full");
    }

    /// Moves some entries over from the former table. Whole runs: what is left of one would not be
    /// found any more from its home.
    #[cold]
    fn carry(&mut self) {
        let mask = self.former.mask();
        let begin = self.cursor;
        loop {
            let entry = std::mem::replace(&mut self.former.places[self.cursor & mask], EMPTY);
            self.cursor += 1;
            if entry != EMPTY {
                self.former.used -= 1;
                self.current.insert(entry);
            } else if self.cursor - begin >= EMPTIED_PER_INSERT {
                break;
            }
            if self.former.used == 0 {
                self.former = Entries::new(1);
                break;
            }
        }
    }
}

/// Hashes order ids for a [`SlotIndex`]: they are dense, and clients choose which of them last.
#[derive(Clone, Copy, Debug)]
pub struct IdHasher {
    seed: u64,
    multiplier: u64,
}

impl IdHasher {
    /// `seed` reaches no output; it must be unknown to clients.
    pub fn new(seed: u64) -> IdHasher {
        let multiplier = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd6e8_feb8_6659_fd93;
        IdHasher { seed, multiplier: multiplier | 1 }
    }

    /// Hash of an id.
    #[inline]
    pub fn hash(&self, id: OrderId) -> u32 {
        let product = u128::from(id.0 ^ self.seed) * u128::from(self.multiplier);
        let folded = (product >> 64) as u64 ^ product as u64;
        // The middle of a product is its best mixed part; the fold alone leaves dense ids in rows.
        (folded.wrapping_mul(0x9fb2_1c65_1e98_df25) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn room_that_was_made_is_enough() {
        let mut index = SlotIndex::default();
        let (first, more) = (100u32, 5_000u32);
        (0..first).for_each(|slot| index.insert(slot.wrapping_mul(0x9e37_79b9), slot));
        index.reserve(more as usize);
        let length = index.current.places.len();
        (first..first + more).for_each(|slot| index.insert(slot.wrapping_mul(0x9e37_79b9), slot));
        assert_eq!((index.len(), index.current.places.len()), (5_100, length));
        for slot in 0..first + more {
            assert_eq!(index.get(slot.wrapping_mul(0x9e37_79b9), |at| at == slot), Some(slot));
        }
    }

    proptest! {
        /// Few hashes, so that most collide; a slot is its own key.
        #[test]
        fn it_knows_what_a_list_knows(
            steps in prop::collection::vec((any::<bool>(), 0u32..400, 0u32..8), 0..800),
            reserved in 0usize..100,
        ) {
            let mut index = SlotIndex::default();
            let mut known: Vec<u32> = Vec::new();
            let hash = |slot: u32, bits: u32| (slot % 16) << (28 - bits);
            let bits = steps.first().map_or(0, |step| step.2);
            for (at, &(is_insert, slot, _)) in steps.iter().enumerate() {
                if at == steps.len() / 2 {
                    index.reserve(reserved);
                }
                let place = known.iter().position(|&one| one == slot);
                index.expect(hash(slot, bits));
                let found = index.get(hash(slot, bits), |one| one == slot);
                prop_assert_eq!(found, place.map(|_| slot));
                match (is_insert, place) {
                    (true, None) => {
                        index.insert(hash(slot, bits), slot);
                        known.push(slot);
                    }
                    (false, place) => {
                        let removed = index.remove(hash(slot, bits), |one| one == slot);
                        prop_assert_eq!(removed, place.map(|place| known.swap_remove(place)));
                    }
                    (true, Some(_)) => {}
                }
                prop_assert_eq!(index.len(), known.len());
            }
            for &slot in &known {
                prop_assert_eq!(index.get(hash(slot, bits), |one| one == slot), Some(slot));
            }
        }
    }
}

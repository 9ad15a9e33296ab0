//! From an order's id to its slot.
//!
//! Open addressing with linear probing and 8-byte entries, so that a lookup touches one cache line.
//! An entry holds 32 bits of the id's hash, which tell its home without looking at the order;
//! removal shifts the followers back, so there are no tombstones and no rehash in steady state. The
//! table grows a few entries per insertion, never all at once: no command pays for the whole book.
//!
//! Ids are assigned by the server, but a client chooses which of its orders rest: the hash is
//! seeded, so that it cannot choose those that collide.

use money::OrderId;

use super::orders::Orders;

const EMPTY: u64 = 0;
const INITIAL_LENGTH: usize = 16;
/// Entries carried over per insertion while the table grows. At a load between 0.3 and 0.6 two
/// would do; more ends the time with two tables sooner.
const CARRIED_PER_INSERT: usize = 8;

/// The index of all resting orders.
#[derive(Clone, Debug)]
pub(super) struct IdIndex {
    seed: u64,
    multiplier: u64,
    current: Table,
    /// The smaller table that is being emptied into `current`, or a table without entries.
    former: Table,
    /// Where emptying `former` goes on.
    cursor: usize,
}

/// `entries.len()` is a power of two; an entry is `hash << 32 | slot + 1`.
#[derive(Clone, Debug)]
struct Table {
    entries: Vec<u64>,
    used: usize,
    /// Right shift from a 32-bit hash to its home.
    shift: u32,
}

impl Table {
    fn new(length: usize) -> Table {
        // `vec![0; n]` takes zeroed pages from the system, which cost nothing until touched.
        Table { entries: vec![EMPTY; length], used: 0, shift: 32 - length.trailing_zeros() }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) >> self.shift) as usize
    }

    /// Where the id's entry is, or else where it may be put.
    #[inline]
    fn probe(&self, hash: u32, id: OrderId, orders: &Orders) -> Result<usize, usize> {
        let mask = self.mask();
        let mut at = self.home(hash);
        loop {
            let entry = self.entries[at & mask];
            if entry == EMPTY {
                return Err(at & mask);
            }
            if (entry >> 32) as u32 == hash && orders[slot_of(entry)].id == id {
                return Ok(at & mask);
            }
            at += 1;
        }
    }

    /// Puts in an entry that comes from another table.
    fn insert(&mut self, entry: u64) {
        let mask = self.mask();
        let mut at = self.home((entry >> 32) as u32);
        while self.entries[at & mask] != EMPTY {
            at += 1;
        }
        self.entries[at & mask] = entry;
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
            let entry = self.entries[at];
            if entry == EMPTY {
                break;
            }
            let home = self.home((entry >> 32) as u32);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = EMPTY;
    }
}

#[inline]
fn slot_of(entry: u64) -> u32 {
    entry as u32 - 1
}

impl IdIndex {
    pub(super) fn new(seed: u64) -> IdIndex {
        let multiplier = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd6e8_feb8_6659_fd93;
        IdIndex {
            seed,
            multiplier: multiplier | 1,
            current: Table::new(INITIAL_LENGTH),
            former: Table::new(1),
            cursor: 0,
        }
    }

    #[inline]
    fn hash(&self, id: OrderId) -> u32 {
        let product = u128::from(id.0 ^ self.seed) * u128::from(self.multiplier);
        let folded = (product >> 64) as u64 ^ product as u64;
        // The middle of a product is its best mixed part; the fold alone leaves dense ids in rows.
        (folded.wrapping_mul(0x9fb2_1c65_1e98_df25) >> 32) as u32
    }

    pub(super) fn len(&self) -> usize {
        self.current.used + self.former.used
    }

    /// The slot of an id.
    #[inline]
    pub(super) fn get(&self, id: OrderId, orders: &Orders) -> Option<u32> {
        let hash = self.hash(id);
        if let Ok(at) = self.current.probe(hash, id, orders) {
            return Some(slot_of(self.current.entries[at]));
        }
        if self.former.used == 0 {
            return None;
        }
        let at = self.former.probe(hash, id, orders).ok()?;
        Some(slot_of(self.former.entries[at]))
    }

    /// Remembers where an id is.
    ///
    /// # Panics
    /// When the id is there already.
    #[inline]
    pub(super) fn insert(&mut self, id: OrderId, slot: u32, orders: &Orders) {
        if (self.current.used + self.former.used) * 8 >= self.current.entries.len() * 5 {
            self.grow();
        }
        let hash = self.hash(id);
        let is_new = self.former.used == 0 || self.former.probe(hash, id, orders).is_err();
        let Some(at) = self.current.probe(hash, id, orders).err().filter(|_| is_new) else {
            panic!("order {id} is already in the book");
        };
        self.current.entries[at] = (u64::from(hash) << 32) | u64::from(slot + 1);
        self.current.used += 1;
        if self.former.used > 0 {
            self.carry();
        }
    }

    /// Forgets an id and says where it was.
    #[inline]
    pub(super) fn remove(&mut self, id: OrderId, orders: &Orders) -> Option<u32> {
        let hash = self.hash(id);
        if let Ok(at) = self.current.probe(hash, id, orders) {
            let slot = slot_of(self.current.entries[at]);
            self.current.remove_at(at);
            return Some(slot);
        }
        if self.former.used == 0 {
            return None;
        }
        let at = self.former.probe(hash, id, orders).ok()?;
        let slot = slot_of(self.former.entries[at]);
        self.former.remove_at(at);
        Some(slot)
    }

    #[cold]
    fn grow(&mut self) {
        while self.former.used > 0 {
            self.carry();
        }
        let larger = Table::new(self.current.entries.len() * 2);
        self.former = std::mem::replace(&mut self.current, larger);
        self.cursor = 0;
    }

    /// Moves some entries over from the former table.
    #[cold]
    fn carry(&mut self) {
        for _ in 0..CARRIED_PER_INSERT {
            let mask = self.former.mask();
            let entry = self.former.entries[self.cursor & mask];
            if entry == EMPTY {
                self.cursor += 1;
            } else {
                // Removal may move a follower into this place: the cursor stays.
                self.former.remove_at(self.cursor & mask);
                self.current.insert(entry);
            }
        }
        if self.former.used == 0 {
            self.former = Table::new(1);
        }
    }
}

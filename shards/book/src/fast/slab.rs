//! Slots that are reused: the memory of the book grows to its largest size and then stands still.

use std::ops::{Index, IndexMut};

use money::prefetch;

/// The index that names no slot.
pub(super) const NONE: u32 = u32::MAX;

/// First index that is not given out: the ladder uses the top bit to tell nodes from levels.
const SLOT_LIMIT: usize = 1 << 31;

/// A vector of slots with a stack of the free ones. The last freed is the first reused, because it
/// is the one still in the cache.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts a value into a free slot, or into a new one.
    #[inline]
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = value;
            return slot;
        }
        self.insert_new(value)
    }

    #[inline(never)]
    fn insert_new(&mut self, value: T) -> u32 {
        let slot = self.slots.len();
        assert!(slot < SLOT_LIMIT, "the book is full");
        let grows = slot == self.slots.capacity();
        self.slots.push(value);
        if grows {
            // So that freeing never allocates, however many slots are freed in a row.
            self.free.reserve_exact(self.slots.capacity() - self.free.len());
        }
        slot as u32
    }

    /// Gives a slot back. Its value stays readable until the slot is reused.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Has the slot that the next value will take fetched.
    #[inline]
    pub(super) fn expect_new(&self) {
        if let Some(&slot) = self.free.last() {
            prefetch(&self.slots[slot as usize]);
        }
    }

    /// Slots in use.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, slot: u32) -> &T {
        &self.slots[slot as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.slots[slot as usize]
    }
}

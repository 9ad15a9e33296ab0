//! From an order's id to its slot.

use money::{IdHasher, OrderId, SlotIndex};

use super::orders::Orders;

/// The index of all resting orders.
#[derive(Clone, Debug)]
pub(super) struct IdIndex {
    hasher: IdHasher,
    slots: SlotIndex,
}

impl IdIndex {
    pub(super) fn new(seed: u64) -> IdIndex {
        IdIndex { hasher: IdHasher::new(seed), slots: SlotIndex::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot of an id.
    #[inline]
    pub(super) fn get(&self, id: OrderId, orders: &Orders) -> Option<u32> {
        self.slots.get(self.hasher.hash(id), |slot| orders[slot].id == id)
    }

    /// Remembers where an id is.
    ///
    /// # Panics
    /// When the id is there already.
    #[inline]
    pub(super) fn insert(&mut self, id: OrderId, slot: u32, orders: &Orders) {
        let hash = self.hasher.hash(id);
        // The slot itself has the id by now, but the index does not know it yet.
        let known = self.slots.get(hash, |slot| orders[slot].id == id);
        assert!(known.is_none(), "order {id} is already in the book");
        self.slots.insert(hash, slot);
    }

    /// Forgets an id and says where it was.
    #[inline]
    pub(super) fn remove(&mut self, id: OrderId, orders: &Orders) -> Option<u32> {
        self.slots.remove(self.hasher.hash(id), |slot| orders[slot].id == id)
    }

    /// Has what will soon be asked about an id fetched.
    #[inline]
    pub(super) fn expect(&self, id: OrderId) {
        self.slots.expect(self.hasher.hash(id));
    }
}

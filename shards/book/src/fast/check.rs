//! The invariants of the fast book, for tests.

use money::Side;

use super::FastBook;
use super::slab::NONE;

impl FastBook {
    /// Panics unless totals, links, tries and index agree. Walks the whole book.
    #[doc(hidden)]
    pub fn check(&self) {
        let mut count = 0;
        for side in [Side::Buy, Side::Sell] {
            let ladder = self.ladder(side);
            ladder.check();
            let mut level_slot = ladder.best();
            while level_slot != NONE {
                count += self.check_level(side, level_slot);
                level_slot = ladder.worse(level_slot);
            }
        }
        assert_eq!(count, self.orders.len(), "orders in use");
        assert_eq!(count, self.index.len(), "orders in the index");
        let (bid, ask) = (self.ladder(Side::Buy), self.ladder(Side::Sell));
        if bid.best() != NONE {
            assert!(!ask.reaches(ask.key(bid.price(bid.level(bid.best()).key))), "book is crossed");
        }
    }

    fn check_level(&self, side: Side, level_slot: u32) -> usize {
        let level = self.ladder(side).level(level_slot);
        let (mut orders, mut qty) = (0, 0);
        let (mut slot, mut before) = (level.head, NONE);
        while slot != NONE {
            let order = &self.orders[slot];
            assert!(order.remaining.0 > 0, "order {} is empty", order.id);
            assert_eq!((order.before, order.level, order.side), (before, level_slot, side));
            assert_eq!(self.index.get(order.id, &self.orders), Some(slot), "index finds the order");
            orders += 1;
            qty += u128::from(order.remaining.0);
            (before, slot) = (slot, order.after);
        }
        assert_eq!(level.tail, before, "tail");
        assert_eq!((level.orders, level.qty), (orders, qty), "totals");
        assert!(orders > 0, "an empty level");
        orders as usize
    }
}

//! The book that serves.
//!
//! Orders lie in slots, linked into the queue of their level; levels lie in slots, found by price
//! and in order in a trie ([`ladder`]); an index finds orders by id ([`index`]). Every slot is reused, so nothing is allocated once the book has reached its size.
//! Cancel and reduce are O(1); placing is O(1) plus its fills plus, at a price with no order yet, at
//! most eleven steps down the trie.

mod check;
mod index;
mod ladder;
mod matching;
mod orders;
mod slab;

use money::{Lots, OrderId, Price, Scale, Side};

use crate::{Book, Event, Level, Moved, Outcome, Reduced, RestingOrder, RestoreError, Taker};
use index::IdIndex;
use ladder::Ladder;
use orders::{Order, Orders};
use slab::{NONE, Slab};

/// The fast [`Book`].
#[derive(Clone, Debug)]
pub struct FastBook {
    scale: Scale,
    orders: Orders,
    index: IdIndex,
    /// By `Side as usize`.
    ladders: [Ladder; 2],
}

impl FastBook {
    /// An empty book. `hash_seed` reaches no output; it must be unknown to clients.
    pub fn new(scale: Scale, hash_seed: u64) -> FastBook {
        FastBook {
            scale,
            orders: Slab::new(),
            index: IdIndex::new(hash_seed),
            ladders: [Ladder::new(Side::Buy), Ladder::new(Side::Sell)],
        }
    }

    #[inline]
    fn ladder(&self, side: Side) -> &Ladder {
        &self.ladders[side as usize]
    }

    /// Puts what is left of a taker at the end of its level's queue.
    #[inline]
    fn rest(&mut self, taker: &Taker, remaining: Lots) {
        let slot = self.orders.insert(Order {
            id: taker.id,
            user: taker.user,
            remaining,
            before: NONE,
            after: NONE,
            level: NONE,
            side: taker.side,
            self_trade: taker.self_trade,
            post_only: taker.post_only,
        });
        // First, because its line is the likeliest to be far: the rest goes on meanwhile.
        self.index.insert(taker.id, slot, &self.orders);
        self.queue(slot, taker.side, taker.price, remaining);
    }

    /// Puts an order, in no level, behind all others at a price.
    #[inline]
    fn queue(&mut self, slot: u32, side: Side, price: Price, remaining: Lots) {
        let ladder = &mut self.ladders[side as usize];
        let level_slot = ladder.find_or_insert(ladder.key(price));
        let level = ladder.level_mut(level_slot);
        let before = std::mem::replace(&mut level.tail, slot);
        level.orders += 1;
        level.qty += u128::from(remaining.0);
        if before == NONE {
            level.head = slot;
        } else {
            self.orders[before].after = slot;
        }
        let order = &mut self.orders[slot];
        order.before = before;
        order.after = NONE;
        order.level = level_slot;
    }

    /// Takes an order, already out of the index, out of its level and frees its slot.
    #[inline]
    fn unlink(&mut self, slot: u32) -> Order {
        let order = self.unqueue(slot);
        self.orders.remove(slot);
        order
    }

    /// Takes an order out of its level.
    #[inline]
    fn unqueue(&mut self, slot: u32) -> Order {
        let order = self.orders[slot];
        let ladder = &mut self.ladders[order.side as usize];
        let level = ladder.level_mut(order.level);
        level.qty -= u128::from(order.remaining.0);
        level.orders -= 1;
        if order.before == NONE {
            level.head = order.after;
        } else {
            self.orders[order.before].after = order.after;
        }
        if order.after == NONE {
            level.tail = order.before;
        } else {
            self.orders[order.after].before = order.before;
        }
        if level.orders == 0 {
            ladder.remove(order.level);
        }
        order
    }

    /// Has what will soon be asked about an order fetched. Changes nothing.
    #[inline]
    pub fn expect(&self, id: OrderId) {
        self.index.expect(id);
    }

    /// Has what the next new order will take fetched. Changes nothing.
    #[inline]
    pub fn expect_new(&self, id: OrderId) {
        self.expect(id);
        self.orders.expect_new();
    }

    /// All orders of a side at one price together, in lots; 0 where there are none.
    pub fn qty_at(&self, side: Side, price: Price) -> u128 {
        let ladder = self.ladder(side);
        ladder.find(ladder.key(price)).map_or(0, |level| ladder.level(level).qty)
    }

    /// The resting orders of a side in priority order, each as the taker that would rest just so:
    /// handed to [`FastBook::restore`] of an empty book in this order they make the same book.
    pub fn image(&self, side: Side) -> impl Iterator<Item = Taker> + '_ {
        let ladder = self.ladder(side);
        ladder.iter().flat_map(move |level| {
            let price = ladder.price(level.key);
            let mut slot = level.head;
            std::iter::from_fn(move || {
                let order = (slot != NONE).then(|| &self.orders[slot])?;
                slot = order.after;
                Some(order.taker(price))
            })
        })
    }

    /// Rests an order from a book's [`FastBook::image`], behind those restored before.
    ///
    /// # Errors
    /// When no book can hold it beside the others: nothing has changed then.
    pub fn restore(&mut self, order: &Taker) -> Result<(), RestoreError> {
        if order.qty.0 == 0 {
            return Err(RestoreError::Empty(order.id));
        }
        if self.index.get(order.id, &self.orders).is_some() {
            return Err(RestoreError::Twice(order.id));
        }
        let makers = self.ladder(order.side.opposite());
        if makers.reaches(makers.key(order.price)) {
            return Err(RestoreError::Crossed(order.id));
        }
        self.rest(order, order.qty);
        Ok(())
    }

    fn resting(&self, slot: u32) -> RestingOrder {
        let order = &self.orders[slot];
        let ladder = self.ladder(order.side);
        RestingOrder {
            id: order.id,
            user: order.user,
            side: order.side,
            price: ladder.price(ladder.level(order.level).key),
            remaining: order.remaining,
        }
    }
}

impl Book for FastBook {
    #[inline]
    fn place(&mut self, taker: &Taker, events: &mut Vec<Event>) -> Outcome {
        assert!(taker.qty.0 > 0, "order {} has no quantity", taker.id);
        let makers = self.ladder(taker.side.opposite());
        if makers.reaches(makers.key(taker.price)) || taker.budget == Some(0) {
            return self.place_crossing(taker, events);
        }
        self.end(taker, taker.qty)
    }

    #[inline]
    fn cancel(&mut self, id: OrderId) -> Option<Lots> {
        let slot = self.index.remove(id, &self.orders)?;
        Some(self.unlink(slot).remaining)
    }

    #[inline]
    fn reduce(&mut self, id: OrderId, by: Lots) -> Option<Reduced> {
        let slot = self.index.get(id, &self.orders)?;
        let order = &mut self.orders[slot];
        if by >= order.remaining {
            return self.cancel(id).map(|remaining| Reduced::Removed { remaining });
        }
        order.remaining.0 -= by.0;
        let (remaining, level) = (order.remaining, order.level);
        let level = self.ladders[order.side as usize].level_mut(level);
        level.qty -= u128::from(by.0);
        Some(Reduced::Left { remaining })
    }

    fn move_price(&mut self, id: OrderId, price: Price, events: &mut Vec<Event>) -> Option<Moved> {
        let slot = self.index.get(id, &self.orders)?;
        let order = self.orders[slot];
        let ladder = self.ladder(order.side);
        if ladder.level(order.level).key == ladder.key(price) {
            return Some(Moved::Unchanged);
        }
        let makers = self.ladder(order.side.opposite());
        if !makers.reaches(makers.key(price)) {
            // It only changes its queue: its slot, and so what the index says of it, stay.
            self.unqueue(slot);
            self.queue(slot, order.side, price, order.remaining);
            return Some(Moved::Placed(Outcome::Rested { remaining: order.remaining }));
        }
        if order.post_only {
            return Some(Moved::WouldTake);
        }
        self.index.remove(id, &self.orders);
        self.unlink(slot);
        Some(Moved::Placed(self.place(&order.taker(price), events)))
    }

    fn get(&self, id: OrderId) -> Option<RestingOrder> {
        self.index.get(id, &self.orders).map(|slot| self.resting(slot))
    }

    fn best(&self, side: Side) -> Option<Level> {
        let ladder = self.ladder(side);
        ladder.iter().next().map(|level| level.seen(ladder))
    }

    fn depth(&self, side: Side, limit: usize, out: &mut Vec<Level>) {
        let ladder = self.ladder(side);
        out.extend(ladder.iter().take(limit).map(|level| level.seen(ladder)));
    }

    fn orders(
        &self,
        side: Side,
        after: Option<OrderId>,
        limit: usize,
        out: &mut Vec<RestingOrder>,
    ) {
        let ladder = self.ladder(side);
        let (mut slot, mut level) = match after {
            Some(id) => {
                let slot =
                    self.index.get(id, &self.orders).filter(|&at| self.orders[at].side == side);
                let Some(slot) = slot else { return };
                (self.orders[slot].after, self.orders[slot].level)
            }
            None if ladder.best() == NONE => return,
            None => (ladder.level(ladder.best()).head, ladder.best()),
        };
        for _ in 0..limit {
            if slot == NONE {
                level = ladder.worse(level);
                if level == NONE {
                    return;
                }
                slot = ladder.level(level).head;
            }
            out.push(self.resting(slot));
            slot = self.orders[slot].after;
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.orders.len()
    }
}

impl ladder::Level {
    fn seen(&self, ladder: &Ladder) -> Level {
        Level { price: ladder.price(self.key), qty: self.qty, orders: self.orders }
    }
}

//! Once the book has reached its size, no command allocates.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use book::{Book, Event, FastBook, Taker};
use common::*;
use money::{Lots, OrderId, Price, Side, TimeInForce};

/// Counts, and passes on to the system.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Small, repeatable pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const RESTING: u64 = 5_000;

/// One command of every kind in turn, over a book that keeps about [`RESTING`] orders.
fn round(book: &mut FastBook, random: &mut Random, next_id: &mut u64, events: &mut Vec<Event>) {
    events.clear();
    let known = OrderId(*next_id - 1 - random.below(RESTING).min(*next_id - 1));
    match random.below(10) {
        0..5 => {
            let side = Side::ALL[random.below(2) as usize];
            let base = if side == Side::Buy { 1_000 } else { 1_400 };
            let mut taker = order(*next_id, side, base + random.below(500), 1 + random.below(9));
            if random.below(5) == 0 {
                taker.time_in_force = TimeInForce::ALL[random.below(3) as usize];
            }
            if random.below(50) == 0 {
                taker.price = Price(random.below(u64::MAX));
                taker.time_in_force = TimeInForce::Gtc;
                taker.post_only = true;
            }
            book.place(&Taker { self_trade: money::SelfTrade::ExpireMaker, ..taker }, events);
            *next_id += 1;
        }
        5 => {
            book.reduce(known, Lots(1));
        }
        6 => {
            book.move_price(known, Price(1_200 + random.below(400)), events);
        }
        _ => {
            book.cancel(known);
        }
    }
    // Keeps the size: the oldest go, as if their users had waited long enough.
    book.cancel(OrderId(next_id.saturating_sub(RESTING)));
}

#[test]
fn no_command_allocates_in_steady_state() {
    let mut book = FastBook::new(plain_scale(), 7);
    let (mut random, mut next_id) = (Random(88_172_645_463_325_252), 1);
    let mut events = Vec::with_capacity(10_000);
    for _ in 0..200_000 {
        round(&mut book, &mut random, &mut next_id, &mut events);
    }
    assert!(book.len() > 500, "the test needs a book: {}", book.len());
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..200_000 {
        round(&mut book, &mut random, &mut next_id, &mut events);
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
    book.check();
}

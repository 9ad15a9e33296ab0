//! Handing over a record allocates nothing on the calling thread, whether it finds room or not.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use audit::{Detail, Kind, Trail, TrailConfig};
use common::*;
use money::{Cid, Side};

/// Counts for each thread, and passes on to the system.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged; the count is a plain cell that needs no allocation.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_order_is_recorded_and_dropped_without_an_allocation() {
    let directory = tempfile::tempdir().unwrap();
    let small = config(directory.path(), &Hand::at(NOON_MS));
    let trail = Trail::start(TrailConfig { order_queue_records: 64, ..small }, 1).unwrap();
    let sender = trail.sender(0);
    let cid = Cid::parse("mine-1").ok();
    let before = ALLOCATIONS.get();
    for step in 0..200_000 {
        let mut order = record(NOON_MS, Kind::Order, step);
        order.detail = Detail::Order {
            symbol: Some(1),
            side: Some(Side::Buy),
            price_ticks: Some(step),
            qty_lots: Some(1),
            order_id: Some(step),
            cid,
        };
        sender.record(order);
    }
    assert_eq!(ALLOCATIONS.get(), before);
    trail.close().unwrap();
    let counters = trail.counters();
    assert!(
        counters.written[1] > 0 && counters.dropped[1] > 0,
        "both must have been: {counters:?}"
    );
    drop(Detail::text("one"));
    assert!(ALLOCATIONS.get() > before, "the counting works");
}

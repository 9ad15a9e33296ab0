//! Appending allocates nothing once its buffers have their size.
#![allow(unsafe_code)] // A counting allocator cannot be written without.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::mem_disk::MemDisk;
use common::{peer, place, replay};
use journal::{JournalConfig, block_on};
use money::ShardId;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn appending_and_sealing_allocate_nothing_in_steady_state() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &JournalConfig::new(ShardId(0), 1)).unwrap();
    let inputs: Vec<_> = (0..64).map(place).chain((0..4).map(|n| peer(n, 200))).collect();
    let mut allocations = [0; 8];
    for count in &mut allocations {
        let before = ALLOCATIONS.with(Cell::get);
        for input in &inputs {
            journal.append(1, input).unwrap();
        }
        let batch = journal.take_batch().unwrap();
        *count = ALLOCATIONS.with(Cell::get) - before;
        journal.complete(block_on(batch.write())).unwrap();
    }
    assert_eq!(allocations[2..], [0; 6], "{allocations:?}");
}

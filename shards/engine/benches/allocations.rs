//! What a shard allocates for a command, and the book for one: counted, so the same on every machine.
//!
//! `cargo bench -p ringbook-engine --bench allocations -- [--json FILE]`
//!
//! Counted is the second half of each flow, when tables have reached their size. That the book alone
//! allocates nothing is also a test, `shards/book/tests/allocations.rs`.

#[path = "../tests/cluster/data.rs"]
mod data;
#[path = "../../book/benches/harness/mod.rs"]
mod harness;
#[path = "common/market.rs"]
mod market;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use book::{Book, FastBook};
use data::Set;
use engine::{Effects, Input, Origin};
use harness::mix::{self, Mixed, Op};
use market::{HERE, open_market};
use suite::{Better, Figure, write_figures};

const SETS: [&str; 3] = ["lobster-aapl", "cme-es", "zxi-1m3-cancel"];
const RESTING: usize = 10_000;
const COMMANDS: usize = 400_000;

/// Counts, and passes on to the system.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and their bytes so far. Growing something is one: it allocates anew.
fn counted() -> [u64; 2] {
    [CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed)]
}

fn since(before: [u64; 2], commands: usize) -> [f64; 2] {
    let now = counted();
    [0, 1].map(|at| (now[at] - before[at]) as f64 / commands as f64)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this too, without it.
    if !words.iter().any(|word| word == "--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let is_quick = words.iter().any(|word| word == "--quick");
    let mut figures = told("book", "the book alone, mix", of_book());
    figures[0] = figures[0].clone().target(0.0);
    for name in SETS.into_iter().take(if is_quick { 2 } else { 3 }) {
        let Some(set) = Set::load(name) else { continue };
        figures.extend(told(name, &format!("a shard, {name}"), of_shard(&set)));
    }
    if let Some(at) = words.iter().position(|word| word == "--json") {
        let path = words.get(at + 1).expect("--json FILE");
        write_figures(Path::new(path), &figures).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn told(row: &str, title: &str, [calls, bytes]: [f64; 2]) -> Vec<Figure> {
    println!("{title:<28} {calls:>8.4} allocations {bytes:>8.1} bytes a command");
    let figure = |what: &str, unit: &str, value| {
        let row = format!("allocations/{row}{what}");
        Figure::new(&row, &format!("{title}, {unit}"), unit, Better::Lower, vec![value]).from(
            "the second half of the flow",
            "cargo bench -p ringbook-engine --bench allocations",
        )
    };
    vec![figure("", "allocations/command", calls), figure("/bytes", "bytes/command", bytes)]
}

fn of_book() -> [f64; 2] {
    let mixed = Mixed::make(RESTING, COMMANDS);
    let mut book = FastBook::new(mix::scale(), 1);
    let mut events = Vec::with_capacity(1_024);
    let mut apply = |ops: &[Op]| {
        for op in ops {
            match op {
                Op::Place(taker) => drop(book.place(taker, &mut events)),
                Op::Cancel(id) => drop(book.cancel(*id)),
                Op::Move(id, price, ..) => drop(book.move_price(*id, *price, &mut events)),
            }
            events.clear();
        }
    };
    apply(&mixed.filling);
    let (first, second) = mixed.ops.split_at(COMMANDS / 2);
    apply(first);
    let before = counted();
    apply(second);
    since(before, second.len())
}

fn of_shard(set: &Set) -> [f64; 2] {
    let inputs: Vec<Input> = set.flow.iter().cloned().map(Input::Command).collect();
    let mut engine = open_market(set);
    let mut out = Effects::default();
    let mut apply = |inputs: &[Input], from: usize| {
        for (input, token) in inputs.iter().zip(from as u64..) {
            let origin = Some(Origin { shard: HERE, token });
            let _ = engine.step(2 + token / 1_000, input, origin, &mut out);
            out.clear();
        }
    };
    let (first, second) = inputs.split_at(inputs.len() / 2);
    apply(first, 0);
    let before = counted();
    apply(second, first.len());
    since(before, second.len())
}

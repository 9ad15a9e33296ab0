//! What the trail costs: `cargo run --release -p ringbook-audit --example record_cost [DIRECTORY]`.
//!
//! Prints the time that handing over a record takes on the calling core, while the writer runs and
//! while the queue is full; the lines that the writer manages; and how long a query takes that finds
//! nothing in all of them, plain and compressed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit::{Actor, Detail, Kind, LogQuery, Record, Symbol, Trail, TrailConfig};
use money::{Cid, Side};

const PATIENCE: Duration = Duration::from_secs(300);
/// Handed over at once, with pauses in which the writer empties the queue.
const BURST: u64 = 10_000;
const BURSTS: u64 = 50;
const WRITTEN: u64 = 1_000_000;
const DROPPED: u64 = 10_000_000;

fn main() {
    let root = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(root).expect("a directory");
    let mut config = TrailConfig::new(directory.path());
    config.archive_after = None;
    config.scan_bytes = 4 << 30;
    let trail = Trail::start(config, 1).expect("a trail");
    let symbol = Symbol {
        name: "BTC-USDT".into(),
        tick_mantissa: 1,
        tick_decimals: 2,
        lot_units: 1,
        base_decimals: 8,
    };
    trail.name_symbol(0, symbol).expect("a name");
    let sender = trail.sender(0);
    let cid = Cid::parse("client-order-000001").ok();

    let mut spent = Duration::ZERO;
    for burst in 0..BURSTS {
        let since = Instant::now();
        for step in 0..BURST {
            sender.record(order(burst * BURST + step, cid));
        }
        spent += since.elapsed();
        while trail.counters().queued > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let ns = spent.as_nanos() / u128::from(BURST * BURSTS);
    println!("record, in bursts of {BURST}: {ns} ns; {} bytes each", size_of::<Record>());

    let before = trail.counters().written[Kind::Order as usize];
    let since = Instant::now();
    for step in 0..WRITTEN {
        if step % 1_000 == 0 {
            while trail.counters().queued > 30_000 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        sender.record(order(step, cid));
    }
    while trail.counters().written[Kind::Order as usize] < before + WRITTEN {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("writer: {:.0} lines/s", WRITTEN as f64 / since.elapsed().as_secs_f64());

    let since = Instant::now();
    for step in 0..DROPPED {
        sender.record(order(step, cid));
    }
    let (ns, counters) = (since.elapsed().as_nanos() / u128::from(DROPPED), trail.counters());
    println!("record, faster than the writer: {ns} ns, {} dropped", counters.dropped[1]);

    search(&trail, "plain");
    let since = Instant::now();
    let files = trail.archive().expect("a place").wait(PATIENCE).expect("in time");
    println!("archive: {files:?} files in {:.1} s", since.elapsed().as_secs_f64());
    search(&trail, "compressed");
    trail.close().expect("closed");
}

fn search(trail: &Trail, what: &str) {
    let query = LogQuery { user: Some(u64::MAX), to_ms: 1_999_999_999_999, ..LogQuery::default() };
    let bytes = trail.counters().bytes.iter().sum::<u64>() as f64 / f64::from(1 << 20);
    let since = Instant::now();
    let page =
        trail.logs(query).expect("a place").wait(PATIENCE).expect("in time").expect("a page");
    let seconds = since.elapsed().as_secs_f64();
    let gaps = page.lines.len();
    println!("query, {what}: {bytes:.0} MiB in {seconds:.2} s, {gaps} gaps found");
}

fn order(step: u64, cid: Option<Cid>) -> Record {
    Record {
        at_ms: 1_769_860_800_000 + step / 100,
        kind: Kind::Order,
        action: "order.place",
        user: Some(1_000 + step % 1_000),
        actor: Actor::Key(step % 1_000),
        address: Some([10, 0, 0, 1].into()),
        dialect: "native",
        status: 202,
        code: "OK",
        detail: Detail::Order {
            symbol: Some(0),
            side: Some(Side::Buy),
            price_ticks: Some(6_500_000 + step % 1_000),
            qty_lots: Some(100_000),
            order_id: Some(step << 10),
            cid,
        },
    }
}

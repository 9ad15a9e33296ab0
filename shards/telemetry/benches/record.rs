//! What recording costs: `cargo bench -p ringbook-telemetry`. Every line should be below 30 ns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use telemetry::{Gauges, Process, ShardMetrics, render};

const ROUNDS: u64 = 20_000_000;
const SNAPSHOT_ROUNDS: u64 = 200;

fn main() {
    let metrics = ShardMetrics::new(&["GET /one", "POST /two"]);
    measure("connection opened, closed", ROUNDS, |_| {
        metrics.connection_opened();
        metrics.connection_closed();
    });
    measure("command applied", ROUNDS, |_| metrics.command_applied());
    measure("parcel sent", ROUNDS, |round| metrics.parcel_sent(round & 15));
    measure("request started, ended", ROUNDS, |round| {
        metrics.request_started();
        // Spread over all cells that a real latency meets.
        let latency = Duration::from_nanos(round.wrapping_mul(0x9E37_79B9) & 0xF_FFFF);
        metrics.request_ended((round & 1) as usize, 202, latency);
    });
    measure("batch committed (three histograms)", ROUNDS, |round| {
        let latency = Duration::from_nanos(40_000 + (round.wrapping_mul(0x9E37_79B9) & 0xFFFF));
        metrics.committed(latency, round & 255, (round & 63) << 12);
    });
    measure("snapshot", SNAPSHOT_ROUNDS, |_| {
        black_box(metrics.snapshot(Gauges::default()));
    });
    let shards = [(0, metrics.snapshot(Gauges::default()))];
    measure("render", SNAPSHOT_ROUNDS, |_| {
        let mut text = String::new();
        render(Process::default(), &shards, &mut text);
        black_box(text);
    });
}

fn measure(name: &str, rounds: u64, mut work: impl FnMut(u64)) {
    let start = Instant::now();
    for round in 0..rounds {
        work(black_box(round));
    }
    let ns = start.elapsed().as_nanos() as f64 / rounds as f64;
    println!("{name:<36} {ns:>10.1} ns");
}

//! What recording costs: `cargo bench -p ringbook-telemetry --bench record -- [--quick] [--json FILE]`.
//! Every line but the last three should be below 30 ns.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use suite::{Better, Figure, Spread, write_figures};
use telemetry::{Gauges, Part, Process, ShardMetrics, render};

const TIMES: u64 = 4_000_000;
/// What the clock costs is the machine's affair.
const CLOCK_TIMES: u64 = 1_000_000;
const SNAPSHOT_TIMES: u64 = 200;
const ROUNDS: usize = 5;
/// Of one recording, in ns.
const AIM: f64 = 30.0;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs this too, without it.
    if !words.iter().any(|word| word == "--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let is_quick = words.iter().any(|word| word == "--quick");
    let mut figures = Vec::new();
    let mut measure = |name: &str, times: u64, work: &mut dyn FnMut(u64)| {
        figures.push(figure(name, times, is_quick, work));
    };
    let metrics = ShardMetrics::new(&["GET /one", "POST /two"]);
    measure("connection opened, closed", TIMES, &mut |_| {
        metrics.connection_opened();
        metrics.connection_closed();
    });
    measure("command applied", TIMES, &mut |_| metrics.command_applied());
    measure("parcel sent", TIMES, &mut |round| metrics.parcel_sent(round & 15));
    measure("request started, ended", TIMES, &mut |round| {
        metrics.request_started();
        // Spread over all cells that a real latency meets.
        let latency = Duration::from_nanos(round.wrapping_mul(0x9E37_79B9) & 0xF_FFFF);
        metrics.request_ended((round & 1) as usize, 202, latency);
    });
    measure("batch committed (three histograms)", TIMES, &mut |round| {
        let latency = Duration::from_nanos(40_000 + (round.wrapping_mul(0x9E37_79B9) & 0xFFFF));
        metrics.committed(latency, round & 255, (round & 63) << 12);
    });
    measure("part of a request", TIMES, &mut |round| {
        metrics.part_ended(Part::Read, Duration::from_nanos(500 + (round & 0xFFF)));
    });
    let since = Instant::now();
    measure("part of a request, with the clock", CLOCK_TIMES, &mut |_| {
        metrics.part_ended(Part::Write, since.elapsed());
    });
    measure("snapshot", SNAPSHOT_TIMES, &mut |_| {
        black_box(metrics.snapshot(Gauges::default()));
    });
    let shards = [(0, metrics.snapshot(Gauges::default()))];
    measure("render", SNAPSHOT_TIMES, &mut |_| {
        let mut text = String::new();
        render(Process::default(), &shards, &mut text);
        black_box(text);
    });
    if let Some(at) = words.iter().position(|word| word == "--json") {
        let path = words.get(at + 1).expect("--json FILE");
        write_figures(Path::new(path), &figures).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn figure(name: &str, times: u64, is_quick: bool, work: &mut dyn FnMut(u64)) -> Figure {
    let round = |_| {
        let start = Instant::now();
        for time in 0..times {
            work(black_box(time));
        }
        start.elapsed().as_nanos() as f64 / times as f64
    };
    let values: Vec<f64> = (0..if is_quick { 2 } else { ROUNDS }).map(round).collect();
    let median = Spread::of(&values).map_or(0.0, |spread| spread.median);
    println!("{name:<36} {median:>10.1} ns");
    let row = format!("metrics/{}", name.replace(", ", "-").replace(' ', "-"));
    let figure = Figure::new(&row, name, "ns", Better::Lower, values)
        .from("one thread", "cargo bench -p ringbook-telemetry --bench record");
    if times == TIMES { figure.target(AIM) } else { figure }
}

//! How long each command of a flow takes, and which are the slow ones.
//!
//! Each command is timed by itself, over several rounds. A round's maximum is mostly the machine: an
//! interrupt hits one command or another. So a command's *own* time is its fastest round: what is slow
//! every time is slow by what it does, and that is told with it. The clock's own cost is in every time
//! and stands beside.

use std::hint::black_box;
use std::time::Instant;

use book::{Event, FastBook};
use hdrhistogram::Histogram;
use suite::{Better, Figure};

use crate::flows::{Command, Flow};
use crate::{FLAGS, HASH_SEED, apply, command};

const ROUNDS: usize = 9;
const QUICK_ROUNDS: usize = 3;
const CLOCK_PAIRS: usize = 10_000;
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// A command's fastest round, and how many fills it made.
#[derive(Clone, Copy)]
struct Own {
    ns: u64,
    fills: usize,
}

/// The figures, which are printed too.
pub fn figures(flow: &Flow, quick: bool) -> Vec<Figure> {
    let mut own = vec![Own { ns: u64::MAX, fills: 0 }; flow.commands.len()];
    let mut rounds: [Vec<f64>; 4] = Default::default();
    for _ in 0..if quick { QUICK_ROUNDS } else { ROUNDS } {
        let times_ns = time(flow, &mut own);
        for (column, (_, quantile)) in rounds.iter_mut().zip(QUANTILES) {
            column.push(times_ns.value_at_quantile(quantile) as f64);
        }
    }
    let mut fastest = Histogram::<u64>::new(3).expect("a histogram");
    own.iter().for_each(|own| fastest.record(own.ns).expect("any time fits"));
    let clock = clock_ns();
    let slowest = slowest(flow, &own);
    println!("{}: {slowest}; the clock itself {clock} ns", flow.name);
    let name = &flow.name;
    let mut figures = Vec::new();
    for ((quantile, at), column) in QUANTILES.into_iter().zip(rounds) {
        let title = format!("{name}, {quantile} of a command as timed");
        let row = format!("book-latency/{name}/{quantile}");
        println!("{name}: {quantile} {column:?} ns, own {} ns", fastest.value_at_quantile(at));
        let own = vec![fastest.value_at_quantile(at) as f64];
        let figure = Figure::new(&row, &title, "ns", Better::Lower, column)
            .beside("each command's fastest round", own)
            .from(FLAGS, &command(name));
        figures.push(match quantile {
            "max" => figure.note(slowest.clone()),
            _ => figure.note(format!("the clock's own {clock} ns is in it")),
        });
    }
    figures
}

fn time(flow: &Flow, own: &mut [Own]) -> Histogram<u64> {
    let mut book = FastBook::new(flow.symbol.scale().expect("scale"), HASH_SEED);
    let mut events: Vec<Event> = Vec::with_capacity(1_024);
    let mut times_ns = Histogram::<u64>::new(3).expect("a histogram");
    for (command, own) in flow.commands.iter().zip(own) {
        let start = Instant::now();
        apply(&mut book, command, &mut events);
        let ns = start.elapsed().as_nanos() as u64;
        times_ns.record(ns).expect("any time fits");
        *own = Own { ns: own.ns.min(ns), fills: events.len() };
        events.clear();
    }
    times_ns
}

/// What the clock says about nothing, at the median.
fn clock_ns() -> u64 {
    let mut times_ns = Histogram::<u64>::new(3).expect("a histogram");
    for _ in 0..CLOCK_PAIRS {
        let start = black_box(Instant::now());
        let ns = start.elapsed().as_nanos() as u64;
        times_ns.record(ns).expect("any time fits");
    }
    times_ns.value_at_quantile(0.5)
}

/// Tells of the command that is slowest even in its fastest round.
fn slowest(flow: &Flow, own: &[Own]) -> String {
    let Some((at, slowest)) = own.iter().enumerate().max_by_key(|(_, own)| own.ns) else {
        return String::new();
    };
    let kind = match flow.commands[at] {
        Command::Place(_) => "an order",
        Command::Cancel(_) => "a cancel",
        Command::Reduce(..) => "a reduction",
    };
    let Own { ns, fills } = slowest;
    format!("slowest by itself: command {at}, {kind} with {fills} fills, {ns} ns")
}

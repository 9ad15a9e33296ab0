//! A whole shard without its disk: real order flows through `Engine::step`, ledger, protocol and
//! book together.
//!
//! `cargo bench -p ringbook-engine --bench shard -- [--quick] [--set NAME] [--json FILE]
//! [--once]`, the last of which runs the set once and nothing else, for whoever counts instructions.
//!
//! Commands are parsed before the clock starts; every one has its `ref` as client order id, and is
//! answered. A round opens the market anew, so that the shard starts as empty as a new server. The
//! rates are per second of CPU time, which other work on the machine disturbs less; the median of the
//! wall clock stands beside.

#[path = "../tests/cluster/data.rs"]
mod data;
#[path = "common/market.rs"]
mod market;

use std::path::Path;
use std::time::Instant;

use data::Set;
use engine::{Effects, Engine, Input, Origin, Step};
use market::{HERE, open_market};
use suite::{Better, Figure, Spread, write_figures};

const SETS: [&str; 3] = ["lobster-aapl", "cme-es", "zxi-1m3-cancel"];
/// A round is as many passes over the set as it takes for this many commands: the CPU time is counted
/// in steps of some milliseconds.
const COMMANDS_PER_ROUND: usize = 1_000_000;
const ROUNDS: usize = 11;
const QUICK_ROUNDS: usize = 3;
/// Million commands per second.
const AIM: f64 = 1.5;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let has = |name: &str| words.iter().any(|word| word == name);
    // `cargo test --all-targets` runs this too, without it.
    if !has("--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let rounds = if has("--quick") { QUICK_ROUNDS } else { ROUNDS };
    let only = after("--set");
    if has("--once") {
        let set = Set::load(only.as_deref().expect("--once needs --set")).expect("the set");
        let inputs: Vec<Input> = set.flow.iter().cloned().map(Input::Command).collect();
        counted_flow(&mut open_market(&set), &inputs);
        return println!("{} commands", inputs.len());
    }
    let mut results = Vec::new();
    println!(
        "{:<16} {:>9} {:>9} {:>11} {:>11} {:>11} {:>10} {:>11}",
        "set", "commands", "changed", "median M/s", "slowest", "fastest", "ns/command", "wall M/s"
    );
    // A round of the last set takes seconds.
    let sets = if has("--quick") && only.is_none() { &SETS[..2] } else { &SETS[..] };
    for name in sets.iter().copied().filter(|name| only.as_deref().is_none_or(|only| only == *name))
    {
        let Some(set) = Set::load(name) else { continue };
        let result = Measured::of(name, &set, rounds);
        println!("{result}");
        results.push(result);
    }
    if let Some(file) = after("--json") {
        let figures: Vec<Figure> = results.iter().flat_map(Measured::figures).collect();
        write_figures(Path::new(&file), &figures).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

struct Measured {
    set: &'static str,
    commands: usize,
    changed: usize,
    /// Million commands per second of CPU time, of every round.
    rates: Vec<f64>,
    /// The same by the wall clock.
    wall_rates: Vec<f64>,
}

impl Measured {
    fn of(name: &'static str, set: &Set, rounds: usize) -> Measured {
        let inputs: Vec<Input> = set.flow.iter().cloned().map(Input::Command).collect();
        let (mut changed, mut rates, mut wall_rates) = (0, Vec::new(), Vec::new());
        let passes = COMMANDS_PER_ROUND.div_ceil(inputs.len());
        let commands = (passes * inputs.len()) as f64;
        for _ in 0..rounds {
            let (mut cpu_seconds, mut wall_seconds) = (0.0, 0.0);
            for _ in 0..passes {
                let pass = Pass::run(set, &inputs);
                changed = pass.changed;
                cpu_seconds += pass.cpu_seconds;
                wall_seconds += pass.wall_seconds;
            }
            rates.push(commands / cpu_seconds / 1e6);
            wall_rates.push(commands / wall_seconds / 1e6);
        }
        Measured { set: name, commands: inputs.len(), changed, rates, wall_rates }
    }

    fn figures(&self) -> [Figure; 2] {
        let set = self.set;
        let command = format!("cargo bench -p ringbook-engine --bench shard -- --set {set}");
        let flags = "one thread, no disk, each command with a client order id and answered";
        let figure = |what: &str, title: &str, rates: &[f64]| {
            let (row, title) = (format!("shard/{set}{what}"), format!("{set}, {title}"));
            Figure::new(&row, &title, "M commands/s", Better::Higher, rates.to_vec())
                .target(AIM)
                .from(flags, &command)
        };
        [
            figure("", "per second of CPU", &self.rates),
            figure("/clock", "by the clock", &self.wall_rates),
        ]
    }
}

/// CPU time of this thread so far, as Linux counts it; `None` elsewhere.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

struct Pass {
    cpu_seconds: f64,
    wall_seconds: f64,
    changed: usize,
}

impl Pass {
    fn run(set: &Set, inputs: &[Input]) -> Pass {
        let mut engine = open_market(set);
        let (start, cpu_start) = (Instant::now(), cpu_seconds());
        let changed = counted_flow(&mut engine, inputs);
        let cpu = cpu_seconds().zip(cpu_start).map(|(end, start)| end - start);
        let wall_seconds = start.elapsed().as_secs_f64();
        Pass { cpu_seconds: cpu.unwrap_or(wall_seconds), wall_seconds, changed }
    }
}

/// Returns how many of them changed something. By its name a counter of instructions finds what is to
/// be counted.
#[inline(never)]
fn counted_flow(engine: &mut Engine, inputs: &[Input]) -> usize {
    let mut out = Effects::default();
    let (mut changed, mut answers) = (0, 0);
    for (token, input) in inputs.iter().enumerate() {
        let origin = Some(Origin { shard: HERE, token: token as u64 });
        let now_ms = 2 + token as u64 / 1_000;
        let step = engine.step(now_ms, input, origin, &mut out);
        changed += usize::from(step == Step::Changed);
        answers += out.replies.len();
        out.clear();
    }
    assert_eq!(answers, inputs.len(), "every command is answered");
    changed
}

impl std::fmt::Display for Measured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Some(cpu), Some(wall)) = (Spread::of(&self.rates), Spread::of(&self.wall_rates))
        else {
            return Ok(());
        };
        write!(
            formatter,
            "{:<16} {:>9} {:>9} {:>11.3} {:>11.3} {:>11.3} {:>10.0} {:>11.3}",
            self.set,
            self.commands,
            self.changed,
            cpu.median,
            cpu.lowest,
            cpu.highest,
            1e3 / cpu.median,
            wall.median,
        )
    }
}

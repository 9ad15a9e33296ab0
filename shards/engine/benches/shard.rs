//! A whole shard without its disk: real order flows through `Engine::step`, ledger, protocol and
//! book together.
//!
//! `cargo bench -p ringbook-engine --bench shard -- [--quick] [--set NAME] [--json FILE]`
//!
//! Commands are parsed before the clock starts; every one has its `ref` as client order id, and is
//! answered. A round opens the market anew, so that the shard starts as empty as a new server. The
//! rates are per second of CPU time, which other work on the machine disturbs less; the median of the
//! wall clock stands beside.

#[path = "../tests/cluster/data.rs"]
mod data;

use std::fmt::Write;
use std::time::Instant;

use data::Set;
use engine::{
    Command, Effects, Engine, EngineConfig, Input, NewSymbol, Origin, Refusal, Reply, Step,
    Transfer,
};
use money::{Asset, ShardId};

const SETS: [&str; 3] = ["lobster-aapl", "cme-es", "zxi-1m3-cancel"];
/// A round is as many passes over the set as it takes for this many commands: the CPU time is counted
/// in steps of some milliseconds.
const COMMANDS_PER_ROUND: usize = 1_000_000;
const ROUNDS: usize = 11;
const QUICK_ROUNDS: usize = 3;
const HERE: ShardId = ShardId(0);

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
    let mut results = Vec::new();
    println!(
        "{:<16} {:>9} {:>9} {:>11} {:>11} {:>11} {:>10} {:>11}",
        "set", "commands", "changed", "median/s", "slowest/s", "fastest/s", "ns/command", "wall/s"
    );
    for name in SETS.into_iter().filter(|name| only.as_deref().is_none_or(|only| only == *name)) {
        let Some(set) = Set::load(name) else { continue };
        let result = Measured::of(name, &set, rounds);
        println!("{result}");
        results.push(result);
    }
    if let Some(file) = after("--json") {
        std::fs::write(&file, json(&results)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

struct Measured {
    set: &'static str,
    commands: usize,
    changed: usize,
    /// Commands per second of CPU time of every round, slowest first.
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
            rates.push(commands / cpu_seconds);
            wall_rates.push(commands / wall_seconds);
        }
        rates.sort_by(f64::total_cmp);
        wall_rates.sort_by(f64::total_cmp);
        Measured { set: name, commands: inputs.len(), changed, rates, wall_rates }
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
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
        let mut out = Effects::default();
        let (mut changed, mut answers) = (0, 0);
        let (start, cpu_start) = (Instant::now(), cpu_seconds());
        for (token, input) in inputs.iter().enumerate() {
            let origin = Some(Origin { shard: HERE, token: token as u64 });
            let now_ms = 2 + token as u64 / 1_000;
            let step = engine.step(now_ms, input, origin, &mut out);
            changed += usize::from(step == Step::Changed);
            answers += out.replies.len();
            out.clear();
        }
        let cpu = cpu_seconds().zip(cpu_start).map(|(end, start)| end - start);
        let wall_seconds = start.elapsed().as_secs_f64();
        assert_eq!(answers, inputs.len(), "every command is answered");
        Pass { cpu_seconds: cpu.unwrap_or(wall_seconds), wall_seconds, changed }
    }
}

fn open_market(set: &Set) -> Engine {
    let mut engine = Engine::new(EngineConfig { shard: HERE, shards: 1, hash_seed: 1 });
    for (name, decimals) in set.assets.clone() {
        setup(&mut engine, Command::CreateAsset(Asset { name, decimals }));
    }
    let symbol = NewSymbol { spec: set.spec.clone(), reference: None };
    setup(&mut engine, Command::CreateSymbol(Box::new(symbol)));
    for (number, &(user, asset, amount)) in set.deposits.iter().enumerate() {
        setup(&mut engine, Command::CreateUser { user: Some(user), shard: HERE, name: None });
        let reference = number.to_string();
        setup(&mut engine, Command::Deposit(Transfer { user, asset, amount, reference }));
    }
    engine
}

fn setup(engine: &mut Engine, command: Command) {
    let mut out = Effects::default();
    let origin = Some(Origin { shard: HERE, token: 0 });
    let _ = engine.step(1, &Input::Command(command), origin, &mut out);
    match &out.replies[0].1 {
        // A user has several deposits.
        Reply::Refused(Refusal::UserExists) => {}
        Reply::Refused(refusal) => panic!("{refusal}"),
        _ => {}
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (slowest, fastest) = (self.rates[0], self.rates[self.rates.len() - 1]);
        write!(
            formatter,
            "{:<16} {:>9} {:>9} {:>11.0} {:>11.0} {:>11.0} {:>10.0} {:>11.0}",
            self.set,
            self.commands,
            self.changed,
            median(&self.rates),
            slowest,
            fastest,
            1e9 / median(&self.rates),
            median(&self.wall_rates),
        )
    }
}

fn json(results: &[Measured]) -> String {
    let mut text = String::from(
        "{\"benchmark\":\"shard\",\"unit\":\"commands per second of CPU time\",\"sets\":[",
    );
    for (at, result) in results.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let rates: Vec<String> = result.rates.iter().map(|rate| format!("{rate:.0}")).collect();
        write!(
            text,
            "{comma}\n {{\"set\":\"{}\",\"commands\":{},\"changed\":{},\"median\":{:.0},\"wall_median\":{:.0},\"rounds\":[{}]}}",
            result.set,
            result.commands,
            result.changed,
            median(&result.rates),
            median(&result.wall_rates),
            rates.join(",")
        )
        .unwrap();
    }
    text + "\n]}\n"
}

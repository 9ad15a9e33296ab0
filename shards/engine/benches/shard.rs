//! A whole shard without its disk: real order flows through `Engine::step`, ledger, protocol and
//! book together.
//!
//! `cargo bench -p ringbook-engine --bench shard -- [--quick] [--set NAME] [--json FILE]`
//!
//! Commands are parsed before the clock starts; every one has its `ref` as client order id, and is
//! answered. A round opens the market anew, so that the shard starts as empty as a new server.

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
const ROUNDS: usize = 11;
const QUICK_ROUNDS: usize = 3;
const HERE: ShardId = ShardId(0);

fn main() {
    // `cargo test` runs benches too, with this.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let has = |name: &str| words.iter().any(|word| word == name);
    if has("--test") {
        return;
    }
    let rounds = if has("--quick") { QUICK_ROUNDS } else { ROUNDS };
    let only = after("--set");
    let mut results = Vec::new();
    println!(
        "{:<16} {:>10} {:>10} {:>12} {:>12} {:>12} {:>9}",
        "set", "commands", "changed", "median/s", "slowest/s", "fastest/s", "ns/command"
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
    /// Commands per second of every round, slowest first.
    rates: Vec<f64>,
}

impl Measured {
    fn of(name: &'static str, set: &Set, rounds: usize) -> Measured {
        let inputs: Vec<Input> = set.flow.iter().cloned().map(Input::Command).collect();
        let mut changed = 0;
        let mut rates: Vec<f64> = (0..rounds)
            .map(|_| {
                let (seconds, count) = round(set, &inputs);
                changed = count;
                inputs.len() as f64 / seconds
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        Measured { set: name, commands: inputs.len(), changed, rates }
    }

    fn median(&self) -> f64 {
        self.rates[self.rates.len() / 2]
    }
}

/// Runs the flow once: how long it took, and how many commands changed something.
fn round(set: &Set, inputs: &[Input]) -> (f64, usize) {
    let mut engine = open_market(set);
    let mut out = Effects::default();
    let mut changed = 0;
    let mut answers = 0;
    let start = Instant::now();
    for (token, input) in inputs.iter().enumerate() {
        let origin = Origin { shard: HERE, token: token as u64 };
        let now_ms = 2 + token as u64 / 1_000;
        changed += usize::from(engine.step(now_ms, input, Some(origin), &mut out) == Step::Changed);
        answers += out.replies.len();
        out.clear();
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(answers, inputs.len(), "every command is answered");
    (seconds, changed)
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
            "{:<16} {:>10} {:>10} {:>12.0} {:>12.0} {:>12.0} {:>9.0}",
            self.set,
            self.commands,
            self.changed,
            self.median(),
            slowest,
            fastest,
            1e9 / self.median(),
        )
    }
}

fn json(results: &[Measured]) -> String {
    let mut text =
        String::from("{\"benchmark\":\"shard\",\"unit\":\"commands per second\",\"sets\":[");
    for (at, result) in results.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let rates: Vec<String> = result.rates.iter().map(|rate| format!("{rate:.0}")).collect();
        write!(
            text,
            "{comma}\n {{\"set\":\"{}\",\"commands\":{},\"changed\":{},\"median\":{:.0},\"rounds\":[{}]}}",
            result.set,
            result.commands,
            result.changed,
            result.median(),
            rates.join(",")
        )
        .unwrap();
    }
    text + "\n]}\n"
}

//! The simulator's command line: runs seeds on all cores, and says how to repeat the one that fails.

use std::cell::Cell;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use sim::{DEFAULT_STEPS, Mutation, Options, Totals, run};

/// Seeds after which progress is printed.
const PROGRESS_EVERY: u64 = 100;
/// What `--mutation` takes to plant each bug in turn.
const ALL: &str = "all";

/// Simulates a whole exchange under faults, one seed after the other.
#[derive(Parser)]
struct Arguments {
    /// Which seeds: `A..B` without B, or one.
    #[arg(long, default_value = "0..500", value_parser = parse_seeds)]
    seeds: (u64, u64),
    /// How many shards; without it from 1 to 4, by the seed, and now and then another number.
    #[arg(long)]
    shards: Option<u16>,
    /// Steps of the scheduler in one seed, at most.
    #[arg(long, default_value_t = DEFAULT_STEPS)]
    steps: u64,
    /// Plants this bug, which must be found; `all` tries each and says which seed found it.
    #[arg(long)]
    mutation: Option<String>,
    /// Runs every seed twice: both must end in the same state, after the same events.
    #[arg(long)]
    twice: bool,
    /// Threads; without it one per core.
    #[arg(long)]
    threads: Option<usize>,
}

thread_local! {
    /// The seed that this thread runs.
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn parse_seeds(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    match text.split_once("..") {
        Some((first, end)) => Ok((number(first)?, number(end)?)),
        None => number(text).map(|seed| (seed, seed + 1)),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.mutation.as_deref() {
        Some(ALL) => return plant_all(&arguments),
        Some(name) if Mutation::named(name).is_none() => {
            let names: Vec<_> = Mutation::ALL.iter().map(|(name, _)| *name).collect();
            eprintln!("no mutation {name:?}; there are {ALL}, {}", names.join(", "));
            return ExitCode::from(2);
        }
        _ => {}
    }
    tell_the_seed(&arguments);
    let since = Instant::now();
    let (totals, hash) = run_all(&arguments);
    print!("{totals}");
    println!("{:>12}  ms", since.elapsed().as_millis());
    println!("{hash:016x}  hash of all final states");
    ExitCode::SUCCESS
}

/// A panic ends the process: says how to get there again.
fn tell_the_seed(arguments: &Arguments) {
    let steps = arguments.steps;
    let (shards, twice) = (arguments.shards, arguments.twice);
    let mutation = arguments.mutation.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        let Some(seed) = SEED.get() else { return };
        let mut again = format!("scripts/sim --seeds {seed}..{}", seed + 1);
        if let Some(shards) = shards {
            again += &format!(" --shards {shards}");
        }
        if steps != DEFAULT_STEPS {
            again += &format!(" --steps {steps}");
        }
        if twice {
            again += " --twice";
        }
        if let Some(mutation) = &mutation {
            again += &format!(" --mutation {mutation}");
        }
        eprintln!("\nseed {seed} fails. Again: {again}");
        std::process::exit(1);
    }));
}

/// What happened in all seeds, and one hash of where they ended.
fn run_all(arguments: &Arguments) -> (Totals, u64) {
    let (first, end) = arguments.seeds;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let (next, sums) = (AtomicU64::new(first), Mutex::new((Totals::default(), 0u64)));
    let mutation = arguments.mutation.as_deref().and_then(Mutation::named);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            SEED.set(Some(seed));
            let shards = arguments.shards.unwrap_or(1 + (seed % 4) as u16);
            let steps = arguments.steps;
            let may_reshard = arguments.shards.is_none();
            let options = Options { seed, shards, steps, may_reshard, mutation };
            let outcome = run(&options);
            if arguments.twice {
                assert_eq!(outcome, run(&options), "the same seed ends in two ways");
            }
            let mut sums = sums.lock().expect("nobody panics with it");
            let (totals, hash) = &mut *sums;
            totals.add(&outcome.totals);
            // The threads end in any order.
            *hash = hash.wrapping_add(outcome.hash);
            if totals.seeds.is_multiple_of(PROGRESS_EVERY) {
                let crashes = totals.kills + totals.power_cuts;
                let seeds = totals.seeds;
                eprintln!("{seeds} of {} seeds, {crashes} crashes", end - first);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    sums.into_inner().expect("nobody panics with it")
}

/// Each planted bug in a process of its own, which must fail.
fn plant_all(arguments: &Arguments) -> ExitCode {
    let own = std::env::current_exe().expect("the path of this program");
    let (first, end) = arguments.seeds;
    let mut missed = 0;
    for (name, _) in Mutation::ALL {
        let mut command = Command::new(&own);
        command.args(["--seeds", &format!("{first}..{end}"), "--mutation", name]);
        command.args(["--steps", &arguments.steps.to_string()]);
        if let Some(shards) = arguments.shards {
            command.args(["--shards", &shards.to_string()]);
        }
        let output = command.stdout(Stdio::null()).output().expect("starts this program");
        let text = String::from_utf8_lossy(&output.stderr);
        let verdict = match output.status.code() {
            Some(1) => text.lines().find(|line| line.contains(" fails. Again: ")),
            _ => None,
        };
        let cause = text.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
        match verdict {
            Some(line) => println!("{name}: found\n    {line}\n    {}", cause.unwrap_or("")),
            None => {
                println!("{name}: NOT FOUND in seeds {first}..{end}");
                missed += 1;
            }
        }
    }
    println!("{} planted bugs, {missed} not found", Mutation::ALL.len());
    ExitCode::from(u8::from(missed > 0))
}

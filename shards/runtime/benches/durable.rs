//! A whole shard with its journal on disk, in process: real order flows, each command answered only when
//! it is durable.
//!
//! `cargo bench -p ringbook-runtime --bench durable -- [--quick] [--set NAME] [--json FILE]`
//!
//! A node of one shard on core 0, without a listener; its driver, on the same core, hands commands over as a
//! gateway does and takes their answers, so many under way at most. Each round is a new process with a new
//! data directory. What is told is commands per second from the first one to the last answer, and beside it
//! per second of the shard's processor time. As many
//! commands must be accepted, changed and refused as an engine alone accepts, changes and refuses.

#[path = "../../engine/tests/cluster/data.rs"]
mod data;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::{Duration, Instant};

use data::Set;
use engine::{
    Command, Effects, Engine, EngineConfig, Input, NewSymbol, Origin, Refusal, Reply, Transfer,
};
use money::{Asset, ShardId, UserId};
use runtime::cores::CoreList;
use runtime::{Client, NodeConfig, Request};
use suite::{Better, Figure, write_figures};

const SETS: [&str; 3] = ["lobster-aapl", "cme-es", "zxi-1m3-cancel"];
const ROUNDS: usize = 7;
const QUICK_ROUNDS: usize = 1;
/// Commands under way at most: what a disk that takes some milliseconds for a batch can keep busy.
const WINDOW: usize = 32_768;
/// Commands handed over before others have their turn.
const CHUNK: usize = 256;
const M: f64 = 1e6;
const AIM_M_PER_S: f64 = 1.0;
const HERE: ShardId = ShardId(0);
const FLAGS: &str =
    "one shard on core 0, O_DSYNC, direct I/O, answers when durable, 32,768 under way";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| words.iter().any(|word| word == name);
    let after = |name: &str| {
        let place = words.iter().position(|word| word == name)?;
        words.get(place + 1).cloned()
    };
    if let (Some(set), Some(data)) = (after("--round"), after("--data")) {
        return round(&set, PathBuf::from(data));
    }
    // `cargo test --all-targets` runs this too, without it.
    if !has("--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let rounds = if has("--quick") { QUICK_ROUNDS } else { ROUNDS };
    let only = after("--set");
    let scratch = std::env::var_os("BENCH_SCRATCH").map(PathBuf::from);
    let scratch = scratch.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let mut figures = Vec::new();
    for name in SETS.into_iter().filter(|name| only.as_deref().is_none_or(|only| only == *name)) {
        if Set::load(name).is_none() {
            continue;
        }
        let told: Vec<[f64; 2]> = (0..rounds).map(|_| measure(name, &scratch)).collect();
        let column = |place: usize| told.iter().map(|one| one[place] / M).collect::<Vec<f64>>();
        let title = format!("{name}, journal on disk");
        let figure = |row: &str, title: &str, place: usize| {
            let figure = Figure::new(row, title, "M commands/s", Better::Higher, column(place));
            figure.from(FLAGS, "scripts/bench durable")
        };
        let per_cpu = format!("{title}, per second of CPU");
        println!("{name}: {:?} M/s, per second of CPU {:?} M/s", column(0), column(1));
        figures.push(figure(&format!("durable/{name}"), &title, 0).target(AIM_M_PER_S));
        figures.push(figure(&format!("durable/{name}/cpu"), &per_cpu, 1));
    }
    if let Some(file) = after("--json") {
        write_figures(Path::new(&file), &figures).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// One round in a process of its own: commands per second, by the clock and by processor time.
fn measure(set: &str, scratch: &Path) -> [f64; 2] {
    let data = scratch.join("durable");
    let _ = std::fs::remove_dir_all(&data);
    let own = std::env::current_exe().expect("a program");
    let output = Program::new(own).args(["--round", set, "--data"]).arg(&data).output();
    let output = output.expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let mut numbers = text.split_whitespace().map(|word| word.parse::<f64>().expect("a number"));
    let _ = std::fs::remove_dir_all(&data);
    [(); 2].map(|()| numbers.next().expect("two numbers"))
}

/// The commands that make the market of a set.
fn opening(set: &Set) -> Vec<Command> {
    let asset = |(name, decimals): &(String, u8)| {
        Command::CreateAsset(Asset { name: name.clone(), decimals: *decimals })
    };
    let symbol = NewSymbol { spec: set.spec.clone(), reference: None };
    let mut commands: Vec<Command> = set.assets.iter().map(asset).collect();
    commands.push(Command::CreateSymbol(Box::new(symbol)));
    let mut users: Vec<UserId> = set.deposits.iter().map(|deposit| deposit.0).collect();
    users.sort_unstable();
    users.dedup();
    let user = |user| Command::CreateUser { user: Some(user), shard: HERE, name: None };
    commands.extend(users.into_iter().map(user));
    commands.extend(set.deposits.iter().map(|&(user, asset, amount)| {
        Command::Deposit(Transfer {
            user,
            asset,
            amount,
            reference: "opening".to_owned() + &asset.0.to_string(),
        })
    }));
    commands
}

/// How a flow was answered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answers {
    accepted: u64,
    changed: u64,
    refused: u64,
}

impl Answers {
    fn count(&mut self, reply: &Reply) {
        match reply {
            Reply::Refused(Refusal::Busy) => panic!("busy in the middle"),
            Reply::Refused(_) => self.refused += 1,
            Reply::Accepted { .. } => self.accepted += 1,
            _ => self.changed += 1,
        }
    }

    fn all(&self) -> usize {
        (self.accepted + self.changed + self.refused) as usize
    }
}

/// How an engine alone answers it.
fn expected(set: &Set) -> Answers {
    let mut engine = Engine::new(EngineConfig { shard: HERE, shards: 1, hash_seed: 1 });
    let (mut effects, mut answers) = (Effects::default(), Answers::default());
    let opening = opening(set);
    let begin = opening.len();
    let origin = Some(Origin { shard: HERE, token: 0 });
    for (place, command) in opening.into_iter().chain(set.flow.iter().cloned()).enumerate() {
        let _ = engine.step(1, &Input::Command(command), origin, &mut effects);
        if place >= begin {
            effects.replies.iter().for_each(|(_, reply)| answers.count(reply));
        }
        effects.clear();
    }
    answers
}

fn round(name: &str, data: PathBuf) {
    let set = Set::load(name).expect("was there");
    let config = NodeConfig {
        data,
        shards: Some(1),
        cores: Some("0".parse::<CoreList>().expect("a core")),
        listen: false,
        ..NodeConfig::default()
    };
    let driver: runtime::Driver = Box::new(move |client| Box::pin(drive(client, set)));
    runtime::run(config, Box::new(|_| {}), Some(driver)).expect("the node runs");
}

async fn drive(client: Client, set: Set) {
    for command in opening(&set) {
        let reply = client.call(Request::Command(command)).await;
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
    let expected = expected(&set);
    let requests: Vec<Request> = set.flow.iter().cloned().map(Request::Command).collect();
    let count = requests.len() as f64;
    let (since, cpu_s) = (Instant::now(), cpu_seconds());
    let answers = flow(&client, requests).await;
    let (elapsed_s, cpu_s) = (since.elapsed().as_secs_f64(), cpu_seconds() - cpu_s);
    assert_eq!(answers, expected, "other answers than those of an engine alone");
    println!("{} {}", count / elapsed_s, count / cpu_s);
}

/// Hands everything over and takes every answer.
async fn flow(client: &Client, requests: Vec<Request>) -> Answers {
    /// How long to leave a shard alone whose journal waits for its next segment.
    const BUSY_PAUSE: Duration = Duration::from_micros(200);
    let mut left = VecDeque::from(requests);
    let mut under_way = 0;
    let mut answers = Answers::default();
    while !left.is_empty() || under_way > 0 {
        for _ in 0..CHUNK.min(WINDOW - under_way) {
            let Some(request) = left.pop_front() else { break };
            // One that is refused in the middle of others would change the order.
            client.room().await;
            client.submit(request);
            under_way += 1;
        }
        let before = answers.all();
        while let Some((_, reply)) = client.try_next() {
            answers.count(&reply);
        }
        let answered = answers.all() - before;
        under_way -= answered;
        match answered == 0 && (under_way == WINDOW || left.is_empty()) {
            true => client.sleep(BUSY_PAUSE).await,
            false => client.yield_now().await,
        }
    }
    answers
}

/// Processor time of this thread so far, in s.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|text| text.parse::<f64>().ok()).expect("a number") / 1e9
}

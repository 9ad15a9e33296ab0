//! How fast a data directory is taken up again: replay of a journal, and start from a snapshot.
//!
//! `cargo bench --bench startup -- [--quick] [--json FILE] [DIRECTORY]`
//!
//! A node with one shard and one with two each take 100,000 users and 1,000,000 resting orders, with
//! journals on disk; then they are started from those journals, then from snapshots. Another takes
//! 1,000,000 orders of 1,000 users and cancels each soon: a market at work, where a replay meets what
//! it has just touched, instead of each order somewhere else in memory. What is told is
//! the node's own recovery time, from the start of its executors until all shards are recovered, which
//! is when it begins to listen. The files are in the page cache or not as the system has it: the node
//! reads past it in any case.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::{Command, NewSymbol, OrderRef, Place, Refusal, Reply, Transfer};
use journal::{JournalConfig, SnapshotHead, SnapshotWriter, StdDisk, block_on};
use money::{
    Asset, AssetId, Cid, Lots, OrderKind, Price, SelfTrade, ShardId, Side, SymbolId, SymbolRules,
    SymbolSpec, TimeInForce, UserId,
};
use runtime::{Client, Driver, Layout, NodeConfig, Ready, Request, SnapshotPolicy};
use suite::{Better, Figure, write_figures};

const USERS: u64 = 100_000;
const ORDERS: u64 = 1_000_000;
/// `--quick`: a tenth.
const QUICK_DIVISOR: u64 = 10;
/// Users and open orders of a market at work.
const ACTIVE_USERS: u64 = 1_000;
const ACTIVE_ORDERS: u64 = 1_000;
const SYMBOLS: u32 = 10;
/// Commands under way at once.
const WINDOW: usize = 4_096;
const ROUNDS: usize = 5;
/// A million open orders recovered, in s; records replayed, in millions a second.
const AIM_SNAPSHOT_S: f64 = 1.0;
const AIM_RECORDS: f64 = 2.0;
/// How long to leave a shard alone whose journal waits for its next segment.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// What a node takes.
#[derive(Clone, Copy)]
struct Size {
    users: u64,
    orders: u64,
    /// Every order is canceled when so many have come behind it.
    resting: u64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| words.iter().any(|word| word == name);
    // `cargo test --all-targets` runs this too, without it.
    if !has("--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let divisor = if has("--quick") { QUICK_DIVISOR } else { 1 };
    let orders = ORDERS / divisor;
    let large = Size { users: USERS / divisor, orders, resting: orders };
    let active = Size { users: ACTIVE_USERS, orders, resting: ACTIVE_ORDERS };
    let json = words.iter().position(|word| word == "--json").map(|at| at + 1);
    let is_parent = |at: usize, word: &str| !word.starts_with("--") && Some(at) != json;
    let parent = words.iter().enumerate().find(|(at, word)| is_parent(*at, word));
    let parent = parent.map(|(_, word)| word);
    let parent = parent.map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let directory = tempfile::Builder::new().prefix("startup-").tempdir_in(parent);
    let directory = directory.expect("a directory for journals");
    println!(
        "{:<30} {:>6} {:>12} {:>10} {:>10} {:>14}",
        "start from", "shards", "open orders", "median ms", "worst ms", "per second"
    );
    let mut figures = Vec::new();
    let counts: &[u16] = if has("--quick") { &[1] } else { &[1, 2] };
    for &shards in counts {
        let data = directory.path().join(format!("large-{shards}"));
        run(&data, shards, Some(fill(large)));
        figures.extend(measure("the journal, all orders open", &data, shards, large));
        write_snapshots(&data, shards);
        figures.extend(measure("snapshots", &data, shards, large));
        let data = directory.path().join(format!("active-{shards}"));
        run(&data, shards, Some(fill(active)));
        figures.extend(measure("the journal, a market at work", &data, shards, active));
    }
    if let Some(at) = json {
        let path = Path::new(&words[at]);
        write_figures(path, &figures).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Seconds and, of a journal, million records per second. The aims are those of a million orders.
fn figures(what: &str, shards: u16, size: Size, times: &[Duration], records: u64) -> Vec<Figure> {
    let name = match what {
        "snapshots" => "snapshot",
        "the journal, a market at work" => "journal",
        _ => "journal-open",
    };
    // A row of the document is of one size: a quick run must not stand there for a full one.
    let is_full = size.orders == ORDERS;
    let row = match (is_full, shards) {
        (false, _) => format!("start/{name}/of-{}", size.orders),
        (true, 1) => format!("start/{name}"),
        (true, _) => format!("start/{name}/{shards}"),
    };
    let plural = if shards == 1 { "" } else { "s" };
    let orders = size.resting.min(size.orders);
    let title = format!("{orders} open orders from {what}, {shards} shard{plural}");
    let flags = "cores all, the node's own recovery time";
    let command = "cargo bench --bench startup";
    let seconds: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    let rates = seconds.iter().map(|seconds| records as f64 / seconds / 1e6).collect();
    if name == "snapshot" {
        let figure = Figure::new(&row, &title, "s", Better::Lower, seconds).from(flags, command);
        return vec![if is_full { figure.target(AIM_SNAPSHOT_S) } else { figure }];
    }
    let time = Figure::new(&format!("{row}/time"), &title, "s", Better::Lower, seconds);
    let title = format!("{title}, replay");
    let rate = Figure::new(&row, &title, "M records/s", Better::Higher, rates);
    let rate = if is_full { rate.target(AIM_RECORDS) } else { rate };
    vec![rate, time].into_iter().map(|one| one.from(flags, command)).collect()
}

fn measure(what: &str, data: &Path, shards: u16, size: Size) -> Vec<Figure> {
    let mut times = Vec::new();
    let mut records = 0;
    for _ in 0..ROUNDS {
        let ready = run(data, shards, None);
        records = ready.recovered_records;
        times.push(ready.recovery);
    }
    times.sort_unstable();
    let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    let items = if records > size.orders { records } else { size.orders };
    let unit = if records > size.orders { "records" } else { "orders" };
    println!(
        "{what:<30} {shards:>6} {:>12} {:>10} {:>10} {:>9.2} M {unit}",
        size.resting.min(size.orders),
        median.as_millis(),
        worst.as_millis(),
        items as f64 / median.as_secs_f64() / 1e6
    );
    figures(what, shards, size, &times, records)
}

/// Starts a node, has it do something, and stops it.
fn run(data: &Path, shards: u16, driver: Option<Driver>) -> Ready {
    let config = NodeConfig {
        data: data.to_path_buf(),
        shards: Some(shards),
        listen: false,
        // None by themselves: what is measured is known.
        snapshots: SnapshotPolicy { every_bytes: 0, ..SnapshotPolicy::default() },
        ..NodeConfig::default()
    };
    let (sender, receiver) = channel();
    let on_ready = move |ready: &Ready| sender.send(ready.clone()).expect("somebody waits");
    let nothing: Driver = Box::new(|_| Box::pin(async {}));
    runtime::run(config, Box::new(on_ready), Some(driver.unwrap_or(nothing))).expect("a node");
    receiver.recv().expect("it was ready")
}

fn fill(size: Size) -> Driver {
    Box::new(move |client| {
        Box::pin(async move {
            let mut under_way = HashMap::new();
            for command in commands(size) {
                if is_definition(&command) {
                    client.call(Request::Command(command)).await;
                    continue;
                }
                submit(&client, &mut under_way, command);
                while under_way.len() >= WINDOW {
                    take_answer(&client, &mut under_way).await;
                }
            }
            while !under_way.is_empty() {
                take_answer(&client, &mut under_way).await;
            }
        })
    })
}

fn is_definition(command: &Command) -> bool {
    matches!(command, Command::CreateAsset(_) | Command::CreateSymbol(_))
}

fn submit(client: &Client, under_way: &mut HashMap<u64, Command>, command: Command) {
    let token = client.submit(Request::Command(command.clone()));
    under_way.insert(token, command);
}

async fn take_answer(client: &Client, under_way: &mut HashMap<u64, Command>) {
    let (token, reply) = client.next().await;
    let command = under_way.remove(&token).expect("was asked");
    match reply {
        // The next segment is being made.
        Reply::Refused(Refusal::Busy) => {
            client.sleep(BUSY_PAUSE).await;
            submit(client, under_way, command);
        }
        // It overtook its order, which had to be sent again.
        Reply::Refused(Refusal::OrderNotFound) => {}
        Reply::Refused(refusal) => panic!("refused: {refusal}"),
        _ => {}
    }
}

fn commands(size: Size) -> impl Iterator<Item = Command> {
    let names = (0..=SYMBOLS).map(|number| format!("A{number}"));
    let assets = names.map(|name| Command::CreateAsset(Asset { name, decimals: 8 }));
    let symbols = (0..SYMBOLS).map(|number| {
        let spec = SymbolSpec {
            name: format!("A{number}_A{SYMBOLS}"),
            base: AssetId(number),
            quote: AssetId(SYMBOLS),
            base_decimals: 8,
            quote_decimals: 8,
            tick_mantissa: 1,
            tick_decimals: 2,
            lot_units: 1,
            rules: SymbolRules::default(),
        };
        Command::CreateSymbol(Box::new(NewSymbol { spec, reference: None }))
    });
    let users = (0..size.users).map(|user| {
        let (user, shard) = (Some(UserId(user)), ShardId(0));
        Command::CreateUser { user, shard, name: None }
    });
    let deposits = (0..size.users).flat_map(|user| {
        [AssetId(user as u32 % SYMBOLS), AssetId(SYMBOLS)].map(|asset| {
            let reference = format!("{user}-{asset}");
            let (user, amount) = (UserId(user), 1 << 100 >> 20);
            Command::Deposit(Transfer { user, asset, amount, reference })
        })
    });
    let orders = (0..size.orders).flat_map(move |number| {
        let user = number % size.users;
        // Spread over 2,000 prices a side that never meet.
        let spread = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 2_000;
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let price = if side == Side::Buy { 100_000 - spread } else { 100_001 + spread };
        let place = Command::Place(Place {
            user: UserId(user),
            symbol: SymbolId(user as u32 % SYMBOLS),
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            self_trade: SelfTrade::None,
            wait: false,
            price: Price(price),
            qty: Lots(1 + number % 1_000),
            quote_qty: None,
            cid: Some(cid(number)),
        });
        let cancel = number.checked_sub(size.resting).map(|old| {
            let user = UserId(old % size.users);
            Command::Cancel { user, order: OrderRef::Cid(cid(old)) }
        });
        std::iter::once(place).chain(cancel)
    });
    assets.chain(symbols).chain(users).chain(deposits).chain(orders)
}

fn cid(number: u64) -> Cid {
    Cid::parse(&format!("order-{number}")).expect("a cid")
}

/// What the background thread of a running node does, at the end of its journals.
fn write_snapshots(data: &Path, shards: u16) {
    let layout = Layout::read(data).expect("a layout").expect("a layout");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let created_ms = since.as_millis() as u64;
    for shard in 0..shards {
        let disk = StdDisk::new(layout.shard_directory(data, shard)).direct();
        let journal = JournalConfig::new(ShardId(shard), shards);
        let written = block_on(async {
            let loaded = shard::load_engine(disk.clone(), journal, 1, created_ms, |_| {}).await;
            let (engine, report) = loaded.expect("a whole journal");
            let head = SnapshotHead {
                shard: ShardId(shard),
                shards,
                lsn: report.last,
                state_hash: engine.state_hash(),
                time_ms: engine.now_ms(),
                created_ms,
            };
            let mut writer = SnapshotWriter::begin(disk, head).await?;
            for piece in engine.image() {
                writer.piece(&piece).await?;
            }
            writer.finish().await
        });
        written.expect("a snapshot");
    }
}

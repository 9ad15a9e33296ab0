//! Recorded flows of `../shared/data` with their expected results, and a generated one.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::random::Random;
use super::server::run;

/// The files that a replay writes.
pub const RESULTS: [&str; 4] =
    ["trades.csv", "rejected.csv", "balances_after.csv", "book_after.csv"];

/// A flow and what must come of it.
#[derive(Clone, Debug)]
pub struct FlowSet {
    /// Its name, for messages.
    pub name: String,
    /// Its folder.
    pub directory: PathBuf,
}

/// A recorded set, or `None` where the data is absent, which is said.
pub fn recorded(name: &str) -> Option<FlowSet> {
    let given = std::env::var_os("RINGBOOK_DATA").map(PathBuf::from);
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let directory = given.unwrap_or_else(usual).join(name);
    if !directory.join("flow.csv.gz").is_file() {
        println!("SKIPPED {name}: {} is absent", directory.display());
        return None;
    }
    Some(FlowSet { name: name.to_owned(), directory })
}

/// The recorded set, or where it is absent a generated one in `directory`.
pub fn recorded_or_generated(name: &str, directory: &Path) -> FlowSet {
    recorded(name).unwrap_or_else(|| {
        let directory = directory.join(format!("instead-of-{name}"));
        generate(&directory, 1, 3_000)
    })
}

impl FlowSet {
    /// How many commands it has.
    pub fn commands(&self) -> u64 {
        let flow = read_packed(&self.directory.join("flow.csv.gz"));
        flow.iter().filter(|&&byte| byte == b'\n').count() as u64 - 1
    }

    /// The rows of one of its files, packed or not, without the heading.
    pub fn rows(&self, file: &str) -> Vec<String> {
        let plain = self.directory.join(file);
        let bytes = match plain.is_file() {
            true => std::fs::read(&plain).expect("a file of the set"),
            false => read_packed(&self.directory.join(format!("{file}.gz"))),
        };
        text(&bytes).lines().skip(1).map(str::to_owned).collect()
    }

    /// Panics unless a replay without fees has written the expected files.
    #[track_caller]
    pub fn expect_results(&self, out: &Path, how: &str) {
        for file in RESULTS {
            self.expect_file(file, &out.join(file), how);
        }
    }

    /// Panics unless one file is as the set's file of this name says.
    #[track_caller]
    pub fn expect_file(&self, expected: &str, found: &Path, how: &str) {
        let plain = self.directory.join(expected);
        let packed = self.directory.join(format!("{expected}.gz"));
        let wanted = match plain.is_file() {
            true => std::fs::read(&plain).expect("an expected file"),
            false => read_packed(&packed),
        };
        let read = std::fs::read(found);
        let found = read.unwrap_or_else(|error| panic!("{}: {error}", found.display()));
        if wanted == found {
            return;
        }
        let (wanted, found) = (text(&wanted), text(&found));
        let lines = wanted.lines().zip(found.lines()).enumerate();
        let first = lines.into_iter().find(|(_, (left, right))| left != right);
        match first {
            Some((at, (wanted, found))) => panic!(
                "{}, {how}: {expected} line {}: expected {wanted:?}, found {found:?}",
                self.name,
                at + 1
            ),
            None => panic!(
                "{}, {how}: {expected}: expected {} lines, found {}",
                self.name,
                wanted.lines().count(),
                found.lines().count()
            ),
        }
    }

    /// The arguments of a replay of this set.
    pub fn replay_arguments(&self, out: &Path, more: &[&str]) -> Vec<String> {
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let fixed = ["replay", "--set", &path(&self.directory), "--out", &path(out)];
        fixed.iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    /// Replays the set into `out`; panics if that fails.
    #[track_caller]
    pub fn replay(&self, out: &Path, more: &[&str]) {
        let arguments = self.replay_arguments(out, more);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = run(&words);
        assert!(
            output.status.success(),
            "ringbook {}: {}\n{}{}",
            words.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_packed(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    MultiGzDecoder::new(file).read_to_end(&mut bytes).expect("packed with gzip");
    bytes
}

const MARKET: &str = r#"{"symbol":"ABC_EUR","base":"ABC","quote":"EUR","base_decimals":3,
    "quote_decimals":2,"price_decimals":2,"tick":"0.05","lot":"0.001"}"#;
/// Users of a generated set. User 0 is one.
const USERS: u64 = 12;

/// Makes a set in the same format: every operation, every time in force, users that run out of
/// funds. What must come of it is what one shard in process makes of it.
pub fn generate(directory: &Path, seed: u64, commands: usize) -> FlowSet {
    std::fs::create_dir_all(directory).expect("a directory");
    let write = |name: &str, content: &str| {
        std::fs::write(directory.join(name), content).expect("a file of the set");
    };
    write("market.json", MARKET);
    let mut balances = "user_id,asset,amount\n".to_owned();
    for user in 0..USERS {
        balances += &format!("{user},ABC,{}.500\n{user},EUR,{}.37\n", 5 + user, 800 + user);
    }
    write("balances.csv", &balances);
    let file = std::fs::File::create(directory.join("flow.csv.gz")).expect("a file of the set");
    let mut packed = GzEncoder::new(file, Compression::fast());
    packed.write_all(flow(seed, commands).as_bytes()).expect("written");
    packed.finish().expect("written");
    let set = FlowSet { name: format!("generated-{seed}"), directory: directory.to_owned() };
    let out = directory.join("one-shard");
    set.replay(&out, &["--shards", "1"]);
    for file in RESULTS {
        std::fs::rename(out.join(file), directory.join(file)).expect("moved");
    }
    let out = directory.join("one-shard-fees");
    set.replay(&out, &["--shards", "1", "--maker-fee-ppm", "100", "--taker-fee-ppm", "200"]);
    let fees = directory.join("balances_after_fees.csv");
    std::fs::rename(out.join("balances_after.csv"), fees).expect("moved");
    set
}

fn flow(seed: u64, commands: usize) -> String {
    let mut random = Random::new(seed);
    let mut flow = "op,ref,user_id,side,tif,price,qty\n".to_owned();
    let mut orders: Vec<u64> = Vec::new();
    for _ in 0..commands {
        if !orders.is_empty() && random.chance(30) {
            // Mostly a recent order; old ones have often ended, which must do nothing.
            let back = 1 + random.below(orders.len().min(40) as u64) as usize;
            let order = orders.len() - back;
            let user = orders[order];
            flow += &match random.chance(60) {
                true => format!("cancel,{order},{user},,,,\n"),
                false => format!("reduce,{order},{user},,,,0.{:03}\n", 1 + random.below(900)),
            };
            continue;
        }
        let (order, user) = (orders.len(), random.below(USERS));
        orders.push(user);
        let side = if random.chance(50) { "BUY" } else { "SELL" };
        let time_in_force = match random.below(10) {
            0 | 1 => "IOC",
            2 => "FOK",
            _ => "GTC",
        };
        let price = 9_500 + random.below(200) * 5;
        let qty = 1 + random.below(4_000);
        flow += &format!(
            "place,{order},{user},{side},{time_in_force},{}.{:02},{}.{:03}\n",
            price / 100,
            price % 100,
            qty / 1_000,
            qty % 1_000
        );
    }
    flow
}

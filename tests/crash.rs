//! `kill -9` at random moments: what was acknowledged is there afterwards, once, and a replay that
//! goes on after each kill ends as if there had been none. The long campaign is `scripts/kill`.

mod load;
mod support;

use std::process::Child;
use std::time::{Duration, Instant};

use load::kills::{self, Settings};
use support::exchange::{check_proof, number};
use support::http::Client;
use support::random::{Random, seed};
use support::server::{self, Options, Server};
use support::sets::{FlowSet, recorded_or_generated};

const SEED_VARIABLE: &str = "RINGBOOK_CRASH_SEED";
/// How long a client tries to get one thing through, over all kills.
const CLIENT_LIMIT: Duration = Duration::from_secs(120);

/// Records that all shards have appended, if the server answers.
fn appended(admin: &mut Client) -> Option<u64> {
    let answer = admin.try_call("GET", "/api/v1/admin/shards", "", "").ok()?;
    let shards = answer.json()["data"].take();
    let records = shards.as_array()?.iter().map(|shard| number(&shard["appended_lsn"]));
    Some(records.sum())
}

/// Replays a set over HTTP while the server is killed so many times, spread over the whole of it.
fn replay_with_kills(set: &FlowSet, shards: u16, kills: u64, random: &mut Random) {
    let mut server = Server::empty(shards);
    let out = server::directory();
    let url = server.url();
    let arguments = set.replay_arguments(out.path(), &["--url", &url, "--reconnect-s", "60"]);
    let log = std::fs::File::create(out.path().join("log")).expect("a file");
    let mut driver = server::command()
        .args(arguments)
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("the binary starts");
    // A command is a record on one shard, and more of them on several.
    let records = set.commands() * if shards == 1 { 1 } else { 3 };
    // What is refused is no record, so a late moment may never come: the first two come in any case.
    let latest = |number| if number < 2 { records / 8 } else { records };
    let mut moments: Vec<u64> = (0..kills).map(|number| random.below(latest(number))).collect();
    moments.sort_unstable();
    let mut done = 0;
    for moment in moments {
        if !wait_for_records(&server, &mut driver, moment) {
            break;
        }
        // Not always between two looks at it.
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
        server.kill();
        server.spawn();
        if random.chance(25) {
            // In the middle of its recovery too.
            std::thread::sleep(Duration::from_millis(random.below(60)));
            server.kill();
            server.spawn();
            done += 1;
        }
        server.wait_until_ready();
        done += 1;
    }
    let status = wait_for_driver(&mut driver);
    let log = std::fs::read_to_string(out.path().join("log")).unwrap_or_default();
    assert!(status.success(), "{}, {shards} shards: {status}\n{log}", set.name);
    let how = format!("over HTTP on {shards} shards with {done} kills");
    set.expect_results(out.path(), &how);
    check_proof(&Client::admin(server.port).get("/api/v1/admin/proof").data());
    println!("{}: {how}: identical", set.name);
    assert!(done >= kills.min(2), "{}: the replay was over after {done} kills", set.name);
}

/// Whether the server came so far before the replay ended.
fn wait_for_records(server: &Server, driver: &mut Child, records: u64) -> bool {
    let mut admin = Client::admin(server.port);
    let begin = Instant::now();
    loop {
        if driver.try_wait().expect("the driver can be waited for").is_some() {
            return false;
        }
        if appended(&mut admin).is_some_and(|appended| appended >= records) {
            return true;
        }
        assert!(
            begin.elapsed() < CLIENT_LIMIT,
            "no progress to record {records}: {}",
            server.log()
        );
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn wait_for_driver(driver: &mut Child) -> std::process::ExitStatus {
    support::wait_for("the replay to end", 2 * CLIENT_LIMIT, || {
        driver.try_wait().expect("the driver can be waited for")
    })
}

fn replays_with_kills(name: &str, runs: &[(u16, u64)]) {
    let random = Random::new(seed(SEED_VARIABLE, "crash"));
    let directory = server::directory();
    let set = recorded_or_generated(name, directory.path());
    for (run, &(shards, kills)) in runs.iter().enumerate() {
        replay_with_kills(&set, shards, kills, &mut random.fork(run as u64));
    }
}

#[test]
fn a_small_replay_survives_kills() {
    replays_with_kills("zxi-1k-cancel", &[(1, 3), (2, 5)]);
}

#[test]
fn a_replay_of_the_stock_exchange_survives_kills() {
    replays_with_kills("lobster-aapl", &[(1, 6)]);
}

#[test]
fn a_replay_of_the_futures_exchange_survives_kills() {
    replays_with_kills("cme-es", &[(1, 6)]);
}

fn settings(shards: &[u16], kills: u64, clients: u64, seed: u64) -> Settings {
    let shards = shards.to_vec();
    Settings { kills, seed, shards, clients, arguments: Vec::new(), tells_progress: false }
}

#[test]
fn what_was_acknowledged_under_load_survives_kills() {
    let seed = seed(SEED_VARIABLE, "crash");
    for shards in [&[1][..], &[2], &[4, 1, 3]] {
        println!("{shards:?} shards: {}", kills::run(settings(shards, 6, 12, seed)));
    }
}

#[test]
fn what_waited_for_more_records_survives_kills_when_it_was_acknowledged() {
    let seed = seed(SEED_VARIABLE, "crash");
    for (shards, durability) in [(1, "fdatasync"), (2, "dsync")] {
        let arguments = ["--gather-us", "3000", "--durability", durability];
        let arguments = arguments.map(str::to_owned).to_vec();
        let settings = Settings { arguments, ..settings(&[shards], 4, 12, seed) };
        println!("{shards} shards, {durability}: {}", kills::run(settings));
    }
}

/// A number of the environment.
fn variable(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}"))
    })
}

#[test]
#[ignore = "takes minutes: scripts/kill runs it"]
fn a_campaign_of_kills_loses_nothing_and_doubles_nothing() {
    let [kills, seed, clients] =
        [("RINGBOOK_KILLS", 100), (SEED_VARIABLE, 1), ("RINGBOOK_KILL_CLIENTS", 24)]
            .map(|(name, default)| variable(name, default));
    let shards = std::env::var("RINGBOOK_KILL_SHARDS").unwrap_or_else(|_| "2,4,1,3".to_owned());
    let arguments = std::env::var("RINGBOOK_KILL_ARGUMENTS").unwrap_or_default();
    println!(
        "repeat with: scripts/kill --kills {kills} --seed {seed} --shards {shards} --clients \
         {clients} -- {arguments}"
    );
    let shards: Vec<u16> =
        shards.split(',').map(|count| count.parse().expect("numbers of shards")).collect();
    let arguments = arguments.split_whitespace().map(str::to_owned).collect();
    let tells_progress = true;
    let settings =
        Settings { arguments, tells_progress, ..settings(&shards, kills, clients, seed) };
    println!("{}", kills::run(settings));
}

#[test]
fn a_server_killed_while_it_begins_begins_again() {
    let mut random = Random::new(seed(SEED_VARIABLE, "crash"));
    // With the demo markets, which are made at the first start.
    let options = Options {
        shards: 2,
        arguments: ["--segment-mib", "2", "--shard-ports"].map(str::to_owned).to_vec(),
    };
    let mut server = Server::start(options);
    let expected = definitions(&server);
    for _ in 0..12 {
        server.kill();
        std::fs::remove_dir_all(server.data()).expect("removed");
        for _ in 0..3 {
            server.spawn();
            std::thread::sleep(Duration::from_millis(random.below(40)));
            server.kill();
        }
        server.spawn();
        server.wait_until_ready();
        assert_eq!(definitions(&server), expected);
    }
}

/// Assets, symbols and who has what.
fn definitions(server: &Server) -> (String, Vec<String>) {
    let mut client = Client::anonymous(server.port);
    let info = client.get("/api/v1/public/exchange_info").text().to_owned();
    let balances = (1001..1011)
        .map(|user| Client::user(server.port, user).get("/api/v1/balances").text().to_owned());
    (info, balances.collect())
}

//! Another `--shards` at the next start, in the middle of a replay: it ends as if nothing had happened,
//! whether the server was stopped or killed, and also if it is killed while it redistributes.

mod support;

use std::process::Child;
use std::time::{Duration, Instant};

use support::exchange::{check_proof, number};
use support::http::Client;
use support::random::{Random, seed};
use support::server::{self, Server};
use support::sets::{FlowSet, recorded_or_generated};

const SEED_VARIABLE: &str = "RINGBOOK_RESHARD_SEED";
/// The shard counts of one run, in order.
const SHARDS: [u16; 4] = [1, 4, 2, 3];
/// How long the whole may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Longest life of a start that is killed, in ms: some end before they have begun, some while they
/// redistribute, some while they serve.
const SHORT_LIFE_MS: u64 = 120;

/// Records that all shards have appended since the last change of their number.
fn appended(admin: &mut Client) -> Option<u64> {
    let answer = admin.try_call("GET", "/api/v1/admin/shards", "", "").ok()?;
    let shards = answer.json()["data"].take();
    let records = shards.as_array()?.iter().map(|shard| number(&shard["appended_lsn"]));
    Some(records.sum())
}

fn replay_through_changes(set: &FlowSet, random: &mut Random) {
    let mut server = Server::empty(SHARDS[0]);
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
    let share = set.commands() / SHARDS.len() as u64;
    let mut changes = 0;
    for shards in SHARDS.into_iter().skip(1) {
        // Every command is one record at least.
        let moment = 1 + share / 2 + random.below(share);
        if !wait_for_records(&server, &mut driver, moment) {
            break;
        }
        change_shards(&mut server, shards, random);
        changes += 1;
    }
    let status = support::wait_for("the replay to end", LIMIT, || {
        driver.try_wait().expect("the driver can be waited for")
    });
    let log = std::fs::read_to_string(out.path().join("log")).unwrap_or_default();
    assert!(status.success(), "{}: {status}\n{log}\n{}", set.name, server.log());
    let how = format!("over HTTP with {changes} changes of the shard count");
    set.expect_results(out.path(), &how);
    check_proof(&Client::admin(server.port).get("/api/v1/admin/proof").data());
    println!("{}: {how}: identical", set.name);
    assert_eq!(changes + 1, SHARDS.len(), "{}: the replay was over too early", set.name);
}

fn change_shards(server: &mut Server, shards: u16, random: &mut Random) {
    if random.chance(50) {
        assert!(server.stop().success(), "a stop: {}", server.log());
    } else {
        server.kill();
    }
    server.set_shards(shards);
    server.spawn();
    for _ in 0..random.below(4) {
        std::thread::sleep(Duration::from_millis(random.below(SHORT_LIFE_MS)));
        server.kill();
        server.spawn();
    }
    server.wait_until_ready();
    let told = Client::anonymous(server.port).get("/api/v1/shards").data();
    assert_eq!(number(&told["shards"]), u64::from(shards));
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
        assert!(begin.elapsed() < LIMIT, "no progress to record {records}: {}", server.log());
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn through_changes(name: &str, runs: u64) {
    let random = Random::new(seed(SEED_VARIABLE, "reshard"));
    let directory = server::directory();
    let set = recorded_or_generated(name, directory.path());
    for run in 0..runs {
        replay_through_changes(&set, &mut random.fork(run));
    }
}

#[test]
fn a_replay_goes_on_through_changes_of_the_shard_count() {
    through_changes("zxi-1k-cancel", 3);
}

#[test]
#[ignore = "takes minutes"]
fn a_replay_of_the_stock_exchange_goes_on_through_changes_of_the_shard_count() {
    through_changes("lobster-aapl", 1);
}

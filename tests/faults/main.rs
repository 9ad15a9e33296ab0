//! Real I/O errors under the real binary: writes and flushes that fail, a file system that goes away,
//! a disk that is full. They need root and programs of the system, so `scripts/faults` runs them.

#[path = "../load/mod.rs"]
mod load;
mod stand;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use load::audit::{audit, audit_without_proof};
use load::market::{FIRST_USER, SYMBOLS, configuration};
use load::{Load, wait_until_quiet};
use stand::{Failing, Shutdown, Stand};
use support::http::Client;
use support::random::Random;
use support::server::{Options, Server};
use support::wait_for;

const CLIENTS: u64 = 16;
const SHARDS: u16 = 2;
/// A file system with room for what a run writes.
const ROOMY_MIB: u64 = 512;
/// One that is soon full.
const SMALL_MIB: u64 = 96;
/// What is in the way there until it is removed.
const BALLAST_MIB: usize = 48;
/// How soon after an error the process must have ended, and after room is made must go on: with
/// much to spare, for a busy machine.
const REACTION_LIMIT: Duration = Duration::from_secs(20);

/// A number of the environment.
fn variable(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}"))
    })
}

/// The random numbers of one test, and how often it is to be repeated.
fn settings() -> (Random, u64) {
    (Random::new(variable("RINGBOOK_FAULTS_SEED", 1)), variable("RINGBOOK_FAULTS_ROUNDS", 2))
}

/// A server on a stand, with snapshots this often, or never.
fn serve(stand: &Stand, snapshot_every_mib: &str) -> Server {
    let arguments = ["--segment-mib", "2", "--snapshot-every-mib", snapshot_every_mib];
    let arguments = arguments.map(str::to_owned).to_vec();
    let options = Options { shards: SHARDS, arguments };
    let data = stand.mount_point().join("data");
    let mut server = Server::on(options, &configuration(CLIENTS), stand.directory(), data);
    server.spawn();
    server.wait_until_ready();
    server
}

/// Retries what has no answer, and looks for everything that was acknowledged.
fn check(server: &Server, load: &mut Load) -> u64 {
    wait_until_quiet(server.port);
    load.resolve_during(server.port, || {});
    assert_eq!(load.unanswered(), 0, "the server went away again: {}", server.log());
    wait_until_quiet(server.port);
    let findings = audit(server.port, &load.traders);
    findings.expect_none();
    findings.checked
}

/// As [`check`], of a server that takes nothing new. Nothing may be unanswered.
fn check_reads(port: u16, load: &Load) -> u64 {
    wait_until_quiet(port);
    let findings = audit_without_proof(port, &load.traders);
    findings.expect_none();
    findings.checked
}

/// The line in which the process says why it ends.
#[track_caller]
fn cause(log: &str) -> &str {
    let line = log.lines().find(|line| line.starts_with("ringbook: "));
    line.unwrap_or_else(|| panic!("it does not say why it ends:\n{log}"))
}

/// Takes the disk away under load, again and again; the server must end by itself, say why, and have
/// told nobody what is not so.
fn take_disk_away(
    what: &str,
    mut stand: Stand,
    snapshot_every_mib: &str,
    random: &mut Random,
    rounds: u64,
    mut break_it: impl FnMut(&mut Stand),
) {
    let mut server = serve(&stand, snapshot_every_mib);
    let mut load = Load::new(CLIENTS, random);
    for _ in 0..rounds {
        let (port, told) = (server.port, server.log().len());
        let pause = Duration::from_millis(200 + random.below(1_300));
        let (status, reaction) = load.trade_during(&[port], || {
            std::thread::sleep(pause);
            break_it(&mut stand);
            let begin = Instant::now();
            (server.wait_for_exit(), begin.elapsed())
        });
        load.disconnect();
        let log = server.log()[told..].to_owned();
        assert_eq!(status.code(), Some(1), "{what}: {status}\n{log}");
        let cause = cause(&log);
        // A spare is about to become a segment.
        let names_file = ["segment-", "spare-"].iter().any(|name| cause.contains(name));
        let names_it = names_file && cause.contains("offset") && cause.contains("os error");
        assert!(names_it, "{what}: no file, offset and error: {cause}");
        assert!(reaction < REACTION_LIMIT, "{what}: it ended after {} s", reaction.as_secs());
        let unanswered = load.unanswered();
        stand.repair();
        server.spawn();
        server.wait_until_ready();
        let checked = check(&server, &mut load);
        let acknowledged = load.counts().acknowledged;
        println!(
            "{what}: exit code 1 after {} ms, {cause:?}; healed: {acknowledged} commands \
             acknowledged so far, {checked} facts checked, 0 lost, {unanswered} without an answer \
             retried, 0 doubled",
            reaction.as_millis()
        );
    }
}

#[test]
#[ignore = "needs root and qemu-storage-daemon: scripts/faults runs it"]
fn a_failed_write_or_flush_ends_the_server_and_loses_nothing() {
    let (mut random, rounds) = settings();
    for (failing, once) in [
        (Failing::Write, false),
        (Failing::Write, true),
        (Failing::Flush, false),
        (Failing::Flush, true),
    ] {
        let what = format!("{failing:?} {}", if once { "fails once" } else { "fails for good" });
        let break_it = |stand: &mut Stand| stand.fail(failing, once);
        let stand = Stand::failing(ROOMY_MIB);
        // A snapshot that meets the only error is made again later, and nothing ends.
        let every = if once { "0" } else { "1" };
        take_disk_away(&what, stand, every, &mut random, rounds, break_it);
    }
}

#[test]
#[ignore = "needs root: scripts/faults runs it"]
fn a_file_system_that_is_shut_down_ends_the_server_and_loses_nothing() {
    let (mut random, rounds) = settings();
    for how in [Shutdown::Whole, Shutdown::Journal, Shutdown::Nothing] {
        let break_it = |stand: &mut Stand| stand.shut_down(how);
        let what = format!("shutdown of ext4, {how:?} written first");
        let stand = Stand::plain(ROOMY_MIB);
        take_disk_away(&what, stand, "1", &mut random, rounds, break_it);
    }
}

/// Whether a shard says that it has no room.
fn is_full(port: u16) -> bool {
    let metrics = Client::anonymous(port).get("/metrics");
    metrics.text().lines().any(|line| {
        line.starts_with("ringbook_shard_state")
            && line.contains("state=\"read_only\"")
            && line.ends_with(" 1")
    })
}

/// What the server tells of itself without waiting for its disk.
fn numbers(port: u16) -> String {
    let metrics = Client::anonymous(port).get("/metrics");
    let lines = metrics.text().lines().filter(|line| {
        let is_meant = ["shard_state", "journal_", "held", "in_flight", "mesh_", "unconfirmed"]
            .iter()
            .any(|name| line.contains(name));
        is_meant && !line.starts_with('#') && !line.contains("bucket") && !line.ends_with(" 0")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Everything that only looks must be answered, soon.
fn expect_reads(port: u16) -> Duration {
    let mut slowest = Duration::ZERO;
    let symbol = SYMBOLS[0].name;
    for user in FIRST_USER..FIRST_USER + CLIENTS {
        let mut client = Client::user(port, user);
        for path in [
            "/api/v1/balances".to_owned(),
            "/api/v1/orders".to_owned(),
            "/api/v1/trades".to_owned(),
            format!("/api/v1/public/depth?symbol={symbol}"),
            "/healthz".to_owned(),
            "/metrics".to_owned(),
        ] {
            let begin = Instant::now();
            let answer = client.get(&path);
            assert_eq!(answer.status, 200, "{path}: {answer}");
            slowest = slowest.max(begin.elapsed());
        }
    }
    slowest
}

/// Every client's next order must be refused for want of room; gives the message.
fn expect_refusals(port: u16, load: &mut Load) -> String {
    let mut message = String::new();
    for trader in &mut load.traders {
        let answer = trader.place_one(port).expect("an answer");
        assert_eq!(answer.error(), (503, 5001), "{answer}");
        assert!(answer.header("retry-after").is_some(), "no Retry-After: {answer}");
        message = answer.message();
        assert!(message.contains("disk"), "this does not tell why: {message}");
    }
    message
}

/// Fills a small disk under load, with and without a crash while it is full, and makes room again.
fn fill_disk(random: &mut Random, kill_while_full: bool) {
    let stand = Stand::plain(SMALL_MIB);
    let ballast = stand.mount_point().join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_MIB << 20]).expect("room for the ballast");
    // With them it would make room by itself.
    let mut server = serve(&stand, "0");
    let mut load = Load::new(CLIENTS, random);
    let (port, process) = (server.port, server.process_id());
    load.trade_during(&[port], || {
        wait_for("the disk to be full", Duration::from_secs(120), || is_full(port).then_some(()));
        // Against the full disk for a while.
        std::thread::sleep(Duration::from_millis(2_500));
    });
    assert_eq!(load.unanswered(), 0, "no answer on a full disk:\n{}", numbers(port));
    let refused = load.counts().unavailable;
    assert!(server.is_running(), "it has ended:\n{}", server.log());
    let message = expect_refusals(port, &mut load);
    let slowest_read = expect_reads(port);
    let checked_full = check_reads(port, &load);
    if kill_while_full {
        load.disconnect();
        server.kill_and_restart();
        expect_refusals(port, &mut load);
        expect_reads(port);
        check_reads(port, &load);
    }
    std::fs::remove_file(&ballast).expect("removed");
    let begin = Instant::now();
    for trader in &mut load.traders {
        wait_for("orders to be taken again", REACTION_LIMIT, || {
            let answer = trader.place_one(port).expect("an answer");
            (answer.status != 503).then_some(())
        });
    }
    let back = begin.elapsed();
    assert!(kill_while_full || server.process_id() == process, "it was started again");
    load.trade_during(&[port], || {
        std::thread::sleep(Duration::from_millis(500));
        server.kill();
    });
    load.disconnect();
    server.spawn();
    server.wait_until_ready();
    let checked = check(&server, &mut load);
    println!(
        "full disk{}: {refused} requests refused, as {message:?}; slowest read {} ms, {checked_full} \
         facts checked while full; orders again {} ms after room was made; after kill -9: {} commands \
         acknowledged, {checked} facts checked, 0 lost, 0 doubled",
        if kill_while_full { ", killed and started while full" } else { "" },
        slowest_read.as_millis(),
        back.as_millis(),
        load.counts().acknowledged
    );
}

#[test]
#[ignore = "needs root: scripts/faults runs it"]
fn a_full_disk_refuses_orders_and_goes_on_when_there_is_room() {
    let (mut random, rounds) = settings();
    for _ in 0..rounds {
        for kill_while_full in [false, true] {
            fill_disk(&mut random, kill_while_full);
        }
    }
}

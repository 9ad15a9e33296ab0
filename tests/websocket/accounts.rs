//! Orders, trades and balances as their users are told of them.

use std::process::Child;
use std::time::Instant;

use super::flow::Flow;
use super::followers::{Expected, Followers};
use crate::support::exchange::check_proof;
use crate::support::http::Client;
use crate::support::server::{self, Server};
use crate::support::sets::{FlowSet, generate, recorded};
use crate::support::{LIMIT, wait_for};

/// Replays a set while everyone listens, and kills the server so many times meanwhile.
fn follow_a_replay(set: &FlowSet, shards: u16, kills: u64) {
    let mut server = Server::empty(shards);
    let flow = Flow::read(set, usize::MAX);
    flow.define(server.port);
    // Before anything is paid in: each user is told of all that it ever has.
    let mut followers = Followers::connect(&server, &flow.symbol, &flow.users);
    let out = server::directory();
    let mut driver = replay(set, &server, out.path());
    // Every command is an event at least, on both connections.
    let share = 2 * set.commands() / (kills + 1);
    let (mut killed, begin) = (0, Instant::now());
    let status = loop {
        followers.listen();
        if let Some(status) = driver.try_wait().expect("the driver can be waited for") {
            break status;
        }
        if killed < kills && followers.received > share {
            server.kill();
            wait_for("everyone to notice", LIMIT, || (followers.listen() == 0).then_some(()));
            server.spawn();
            server.wait_until_ready();
            followers.reconnect();
            killed += 1;
        }
        if begin.elapsed() > 10 * LIMIT {
            let _ = driver.kill();
            panic!("the replay does not end");
        }
    };
    let log = std::fs::read_to_string(out.path().join("log")).unwrap_or_default();
    assert!(status.success(), "{}: {status}\n{log}\n{}", set.name, server.log());
    set.expect_results(out.path(), "followed");
    assert_eq!(killed, kills, "{}: the replay was over too early", set.name);
    let expected = Expected::of_set(set);
    followers.listen_to_the_end(&expected);
    followers.check(&expected);
}

fn replay(set: &FlowSet, server: &Server, out: &std::path::Path) -> Child {
    let arguments = set.replay_arguments(out, &["--url", &server.url(), "--reconnect-s", "60"]);
    let log = std::fs::File::create(out.join("log")).expect("a file");
    server::command()
        .args(arguments)
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("the binary starts")
}

#[test]
fn what_users_are_told_adds_up_to_the_balances_after_a_real_day() {
    let Some(set) = recorded("cme-es") else { return };
    follow_a_replay(&set, 1, 0);
}

#[test]
fn what_users_are_told_adds_up_on_two_shards() {
    let Some(set) = recorded("zxi-1k-cancel") else { return };
    follow_a_replay(&set, 2, 0);
}

#[test]
fn what_users_are_told_adds_up_through_kills() {
    let directory = server::directory();
    let set = recorded("zxi-1k-cancel");
    let set = set.unwrap_or_else(|| generate(directory.path(), 5, 1_200));
    follow_a_replay(&set, 2, 2);
}

#[test]
#[ignore = "takes minutes"]
fn what_users_are_told_adds_up_through_kills_on_a_real_day() {
    for shards in [1, 2] {
        let Some(set) = recorded("cme-es") else { return };
        follow_a_replay(&set, shards, 4);
    }
}

#[test]
fn what_users_are_told_adds_up_when_everything_happens_at_once() {
    let Some(set) = recorded("cme-es") else { return };
    let server = Server::empty(2);
    let flow = Flow::read(&set, 12_000);
    flow.define(server.port);
    let mut followers = Followers::connect(&server, &flow.symbol, &flow.users);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            flow.deposit(server.port);
            flow.send(server.port);
        });
        while !sending.is_finished() {
            followers.listen();
        }
    });
    check_proof(&Client::admin(server.port).get("/api/v1/admin/proof").data());
    // Orders are on their way when the last answer has come.
    let expected = wait_for("the exchange to come to rest", LIMIT, || {
        let look = || {
            let shards = Client::admin(server.port).get("/api/v1/admin/shards").data();
            let shards = shards.as_array().expect("shards").clone();
            let is_quiet = shards.iter().all(|shard| shard["unconfirmed_messages"] == 0);
            is_quiet.then_some(shards)
        };
        let before = look()?;
        let expected = Expected::of_queries(server.port, &flow.symbol, &flow.users);
        let hashes = |shards: Vec<serde_json::Value>| -> Vec<serde_json::Value> {
            shards.iter().map(|shard| shard["state_hash"].clone()).collect()
        };
        (hashes(before) == hashes(look()?)).then_some(expected)
    });
    followers.listen_to_the_end(&expected);
    followers.check(&expected);
    let trades: usize = expected.fills.values().map(Vec::len).sum();
    assert!(trades > 100, "too few trades to say anything: {trades}");
}

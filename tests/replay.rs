//! `ringbook replay`: whatever carries a flow, what comes of it is the same to the last byte. The
//! long runs of this are `scripts/replay-all`.

mod support;

use support::random::seed;
use support::server::{self, Server, run};
use support::sets::{FlowSet, generate, recorded};

const FEES: [&str; 4] = ["--maker-fee-ppm", "100", "--taker-fee-ppm", "200"];

fn in_process(set: &FlowSet, shards: &[&str]) {
    for shards in shards {
        let (out, data) = (server::directory(), server::directory());
        let data = data.path().to_str().expect("a path in UTF-8");
        set.replay(out.path(), &["--shards", shards, "--data", data]);
        set.expect_results(out.path(), &format!("{shards} shards in process"));
    }
}

fn with_fees(set: &FlowSet, more: &[&str]) {
    let out = server::directory();
    set.replay(out.path(), &[&FEES, more].concat());
    let found = out.path().join("balances_after.csv");
    set.expect_file("balances_after_fees.csv", &found, "with fees");
}

fn over_http(set: &FlowSet, shards: u16) {
    let server = Server::empty(shards);
    let out = server::directory();
    set.replay(out.path(), &["--url", &server.url()]);
    set.expect_results(out.path(), &format!("over HTTP on {shards} shards"));
}

#[test]
fn the_small_set_is_replayed_on_any_number_of_shards() {
    let Some(set) = recorded("zxi-1k-cancel") else { return };
    in_process(&set, &["1", "2", "4"]);
    with_fees(&set, &["--shards", "1"]);
    with_fees(&set, &["--shards", "4"]);
    over_http(&set, 1);
    over_http(&set, 2);
}

#[test]
fn the_large_sets_are_replayed_in_process() {
    for name in ["zxi-100k", "lobster-aapl", "cme-es"] {
        let Some(set) = recorded(name) else { continue };
        in_process(&set, &["1"]);
        with_fees(&set, &["--shards", "1"]);
    }
}

#[test]
fn the_tapes_of_real_exchanges_are_replayed_over_http() {
    for name in ["lobster-aapl", "cme-es"] {
        let Some(set) = recorded(name) else { continue };
        over_http(&set, 1);
    }
}

#[test]
fn a_generated_flow_comes_to_the_same_everywhere() {
    let seed = seed("RINGBOOK_REPLAY_SEED", "replay");
    let directory = server::directory();
    let set = generate(directory.path(), seed, 2_000);
    let refused = std::fs::read_to_string(directory.path().join("rejected.csv")).expect("a file");
    assert!(refused.lines().count() > 20, "users that run out of funds: {refused}");
    in_process(&set, &["2", "3", "4"]);
    with_fees(&set, &["--shards", "2"]);
    over_http(&set, 1);
    over_http(&set, 2);
}

#[test]
fn a_replay_needs_a_market_of_its_own() {
    let directory = server::directory();
    let set = generate(directory.path(), 3, 200);
    let server = Server::empty(1);
    let out = server::directory();
    set.replay(out.path(), &["--url", &server.url()]);
    // A second one would mix with what the first has left.
    let arguments = set.replay_arguments(out.path(), &["--url", &server.url()]);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&words);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ABC_EUR") && text.contains("fresh data directory"), "{text}");
}

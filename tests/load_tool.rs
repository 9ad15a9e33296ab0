//! `ringbook load` from outside, against the real binary: that its counts add up and agree with the
//! server's, and that what cannot be run says why.

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::exchange::{Exchange, number, proof_of, word};
use support::server::{directory, run};

/// Low enough for a busy machine.
const RATE: u64 = 200;
const DURATION_S: u64 = 2;

/// `ringbook load http` against a server, with further arguments.
fn load(url: &str, more: &[&str]) -> Output {
    let fixed = ["load", "http", "--url", url, "--connections", "8", "--users", "20"];
    let arguments: Vec<&str> = fixed.iter().chain(more).copied().collect();
    run(&arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it to its good end and returns the JSON and the table.
#[track_caller]
fn results(url: &str, directory: &Path, more: &[&str]) -> (Value, String) {
    let file = directory.join("result.json");
    let file_text = file.to_str().expect("a path in UTF-8");
    let output = load(url, &[&["--json", file_text], more].concat());
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    let json = std::fs::read_to_string(&file).expect("the results");
    (serde_json::from_str(&json).expect("JSON"), text(&output.stdout))
}

#[track_caller]
fn expect_failure(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().expect("an object").values().map(number).sum()
}

#[test]
fn counts_add_up_and_are_those_of_the_server() {
    let (exchange, directory) = (Exchange::open(2, 0), directory());
    let (rate, duration_s) = (RATE.to_string(), DURATION_S.to_string());
    let (json, table) = results(
        &exchange.server.url(),
        directory.path(),
        &["--rate", &rate, "--duration-s", &duration_s, "--warmup-s", "1", "--window-ms", "500"],
    );
    let requests = &json["requests"];
    let of = |name: &str| number(&requests[name]);
    assert_eq!(of("due"), RATE * DURATION_S);
    assert_eq!(of("warmup"), RATE);
    assert_eq!(of("due"), of("answered") + of("unanswered") + of("lost") + of("unsent"));
    assert_eq!(of("answered"), sum(&json["statuses"]));
    assert_eq!(number(&json["latency_ns"]["count"]), of("due") - of("lost"));
    assert_eq!(number(&json["service_ns"]["count"]), of("answered"));
    let errors = json["errors"].as_array().expect("errors").iter();
    let errors: u64 = errors.map(|error| number(&error["count"])).sum();
    let good = |status: &str| json["statuses"].get(status).map_or(0, number);
    assert_eq!(of("answered"), good("200") + good("202") + errors);
    let windows = json["windows"].as_array().expect("windows");
    assert_eq!(windows.len(), 4);
    let in_windows: u64 = windows.iter().map(|window| number(&window["count"])).sum();
    assert_eq!(in_windows, number(&json["latency_ns"]["count"]));
    assert_eq!(number(&json["shards"]), 2);
    // No order was refused: the users were there and had enough.
    let places = &json["kinds"]["place"];
    assert_eq!(number(&places["statuses"]["202"]), number(&places["answered"]), "{json}");
    assert!(number(&places["answered"]) > RATE, "{json}");
    for part in ["service time", "p99.9", "own lag", "from second"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    // The orders are the server's: some trade, and nothing is created or lost.
    let tape = exchange.anonymous().get("/api/v1/public/trades?symbol=BTC_USDT").data();
    assert!(!tape.as_array().expect("trades").is_empty());
    assert!(proof_of(&mut exchange.admin())["BTC"].deposits > 0);
}

#[test]
fn a_second_run_pays_nothing_twice_and_a_closed_loop_counts_too() {
    let (exchange, directory) = (Exchange::open(1, 0), directory());
    let more = ["--rate", "0", "--duration-s", "1", "--warmup-s", "0", "--threads", "2", "--mix"];
    let mut runs = Vec::new();
    for mix in ["place=2,place_wait=1,cancel=1", "place=1,balances=1,depth=1"] {
        let (json, _) =
            results(&exchange.server.url(), directory.path(), &[&more[..], &[mix]].concat());
        let of = |name: &str| number(&json["requests"][name]);
        assert!(of("answered") > 0 && of("answered") == of("due"), "{json}");
        assert_eq!((of("lost"), of("unsent"), of("unanswered")), (0, 0, 0), "{json}");
        let kinds = json["kinds"].as_object().expect("kinds").len();
        assert_eq!(kinds, 3, "{json}");
        runs.push(proof_of(&mut exchange.admin())["USDT"].deposits);
    }
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn what_cannot_be_run_says_why() {
    let (exchange, directory) = (Exchange::open(1, 1), directory());
    let url = exchange.server.url();
    expect_failure(&load("http://127.0.0.1:1", &[]), 1, &["no server answers", "127.0.0.1:1"]);
    let unknown = load(&url, &["--symbols", "BTC_USDT,ETH_USDT"]);
    expect_failure(&unknown, 1, &["symbols: ETH_USDT is unknown", "it has BTC_USDT"]);
    let refused = load(&url, &["--admin-token", "wrong"]);
    expect_failure(&refused, 1, &["users: the server has no user 1000001", "--admin-token"]);
    let refused = load(&url, &["--admin-token", "wrong", "--setup", "always"]);
    expect_failure(&refused, 1, &["admin-token"]);
    expect_failure(&load(&url, &["--duration-s", "0"]), 2, &["duration-s"]);
    let file = directory.path().join("not").join("there.json");
    let file = file.to_str().expect("a path in UTF-8");
    expect_failure(&load(&url, &["--json", file]), 1, &["json: cannot write", file]);
    exchange.patch_symbol("BTC_USDT", r#"{"status":"HALTED"}"#);
    expect_failure(&load(&url, &["--symbols", "BTC_USDT"]), 1, &["BTC_USDT is HALTED"]);
    expect_failure(&load(&url, &[]), 1, &["none that is TRADING"]);
    // Nothing of all that has reached a book.
    let depth = exchange.anonymous().get("/api/v1/public/depth?symbol=BTC_USDT").data();
    assert_eq!(word(&depth["symbol"]), "BTC_USDT");
    assert_eq!(number(&depth["last_update_id"]), 0);
}

#[test]
fn users_who_are_there_can_trade_without_the_admin_token() {
    let (exchange, directory) = (Exchange::open(1, 3), directory());
    let more = ["--users", "1001..1003", "--admin-token", "wrong", "--rate", "50"];
    let times = ["--duration-s", "1", "--warmup-s", "0", "--mix", "balances=1"];
    let file = directory.path().join("result.json");
    let file = file.to_str().expect("a path in UTF-8");
    let url = exchange.server.url();
    let fixed = ["load", "http", "--url", &url, "--connections", "2", "--json", file];
    let arguments: Vec<&str> = fixed.iter().chain(&more).chain(&times).copied().collect();
    let output = run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the admin token is refused"));
}

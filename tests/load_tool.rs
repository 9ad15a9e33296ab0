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

/// `ringbook load ws` to its good end: the JSON and the table.
#[track_caller]
fn ws_results(url: &str, directory: &Path, more: &[&str]) -> (Value, String) {
    let file = directory.join("ws.json");
    let file_text = file.to_str().expect("a path in UTF-8");
    let fixed = ["load", "ws", "--url", url, "--json", file_text];
    let output = run(&[&fixed[..], more].concat());
    let (table, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {said}\n{table}", output.status);
    let json = std::fs::read_to_string(&file).expect("the results");
    (serde_json::from_str(&json).expect("JSON"), table)
}

/// Nothing is missing, double or out of order, for anybody.
#[track_caller]
fn expect_integrity(json: &Value) {
    let integrity = &json["integrity"];
    for side in ["public", "private"] {
        for count in ["gaps", "missed", "duplicates", "disorder"] {
            assert_eq!(number(&integrity[side][count]), 0, "{side} {count}: {integrity}");
        }
    }
    for count in ["untold_orders", "unreadable", "unmatched_trades", "dropped_trades"] {
        assert_eq!(number(&integrity[count]), 0, "{count}: {integrity}");
    }
    assert_eq!(integrity["is_settled"], true, "{integrity}");
    assert_eq!(number(&json["lost_connections"]), 0, "{json}");
}

fn accepted(json: &Value) -> u64 {
    let statuses = json["kinds"]["place"]["statuses"].as_object().expect("statuses").iter();
    statuses.filter(|(status, _)| status.starts_with('2')).map(|(_, count)| number(count)).sum()
}

#[test]
fn websockets_trade_and_are_told_everything_once_and_in_order() {
    const RATE: u64 = 500;
    let (exchange, directory) = (Exchange::open(2, 0), directory());
    exchange.admin().post("/api/v1/admin/assets", r#"{"asset":"ETH","decimals":8}"#).data();
    exchange.add_symbol(r#""symbol":"ETH_USDT","base":"ETH","quote":"USDT""#);
    let pid = exchange.server.process_id().to_string();
    let connections = ["--connections", "50", "--traders", "10", "--threads", "2", "--pid", &pid];
    let times = ["--rate", "500", "--duration-s", "2", "--warmup-s", "1", "--window-ms", "500"];
    let channels = ["--channels", "trades,depth,bbo,ticker,kline_1m"];
    let more = [&connections[..], &times, &channels].concat();
    let (json, table) = ws_results(&exchange.server.url(), directory.path(), &more);
    expect_integrity(&json);
    let of = |name: &str| number(&json["orders"][name]);
    assert_eq!((of("due"), of("warmup")), (RATE * DURATION_S, RATE), "{json}");
    assert_eq!(of("due"), of("answered") + of("unanswered") + of("lost") + of("unsent"));
    assert_eq!(number(&json["order_to_answer_ns"]["count"]), of("due") - of("lost"));
    // Every accepted order was told to its owner, once.
    assert!(accepted(&json) > RATE, "{json}");
    assert_eq!(number(&json["order_to_push_ns"]["count"]), accepted(&json), "{json}");
    for latency in ["order_to_answer_ns", "order_to_push_ns", "order_to_public_trade_ns"] {
        for quantile in ["p50", "p90", "p99", "p99_9", "max"] {
            assert!(number(&json[latency][quantile]) > 0, "{latency} {quantile}: {json}");
        }
    }
    // Each trade that somebody follows comes on 40 connections.
    let traded = number(&json["order_to_public_trade_ns"]["count"]);
    assert!(traded > 0 && traded.is_multiple_of(40), "{traded}");
    let messages = &json["messages"];
    let streams = messages["streams"].as_object().expect("streams");
    for count in [("count", "messages"), ("bytes", "bytes")] {
        let sum: u64 = streams.values().map(|stream| number(&stream[count.1])).sum();
        assert_eq!(number(&messages[count.0]), sum, "{messages}");
        let windows = json["windows"].as_array().expect("windows").iter();
        let sum: u64 = windows.map(|window| number(&window[count.1])).sum();
        assert_eq!(number(&messages[count.0]), sum, "{messages}");
    }
    let kinds = ["trades:BTC_USDT", "depth:ETH_USDT", "bbo:BTC_USDT", "order.update", "answers"];
    for stream in kinds {
        assert!(number(&streams[stream]["messages"]) > 0, "{stream}: {messages}");
    }
    assert_eq!(json["opening"]["connections"], 50);
    assert!(number(&json["server"]["resident_open_bytes"]) > 0, "{json}");
    assert!(json["server"]["cpu_s_per_million_messages"].is_f64(), "{json}");
    for part in ["messages/s", "push", "public trade", "complete and in order", "CPU"] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    proof_of(&mut exchange.admin());
}

#[test]
fn orders_over_http_are_told_to_the_websockets_of_their_owners() {
    let (exchange, directory) = (Exchange::open(2, 0), directory());
    let more = ["--connections", "12", "--traders", "4", "--drive", "http", "--rate", "200"];
    let times = ["--duration-s", "1", "--warmup-s", "0", "--channels", "depth_realtime,trades"];
    let (json, table) =
        ws_results(&exchange.server.url(), directory.path(), &[&more[..], &times].concat());
    expect_integrity(&json);
    assert!(accepted(&json) > 100, "{json}");
    assert_eq!(number(&json["order_to_push_ns"]["count"]), accepted(&json), "{json}");
    assert!(number(&json["order_to_public_trade_ns"]["count"]) > 0, "{json}");
    assert!(table.contains("over HTTP"), "{table}");
}

#[test]
fn connections_that_only_listen_need_neither_users_nor_orders() {
    let (exchange, directory) = (Exchange::open(1, 0), directory());
    let more = ["--connections", "20", "--channels", "depth,depth_realtime", "--channels-each"];
    let times = ["1", "--duration-s", "1", "--warmup-s", "0", "--admin-token", "wrong"];
    let url = exchange.server.url();
    let (json, _) = ws_results(&url, directory.path(), &[&more[..], &times].concat());
    expect_integrity(&json);
    assert_eq!(number(&json["orders"]["due"]), 0);
    // It finds the server by its port.
    assert_eq!(number(&json["server"]["pid"]), u64::from(exchange.server.process_id()));
    let refused = |more: &[&str]| run(&[&["load", "ws", "--url", &url][..], more].concat());
    expect_failure(&refused(&["--channels", "depths"]), 2, &["channels", "depths"]);
    expect_failure(&refused(&["--channels", "depth:X_Y"]), 1, &["channels: depth:X_Y"]);
    let both = refused(&["--channels", "depth,depth_realtime"]);
    expect_failure(&both, 1, &["channels: depth", "cannot be told apart", "--channels-each"]);
    expect_failure(&refused(&["--pid", "4294967295"]), 1, &["pid: there is no process"]);
    let nobody = run(&["load", "ws", "--url", "http://127.0.0.1:1"]);
    expect_failure(&nobody, 1, &["no server answers"]);
}

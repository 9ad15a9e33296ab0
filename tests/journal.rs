//! The journal on disk: damage is found and named, a torn end is cut, and its records can be read.

mod support;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::LIMIT;
use support::exchange::{Exchange, limit, number, word};
use support::server::{Server, run, run_within};

const ALICE: u64 = 1001;
const BOB: u64 = 1002;
const BLOCK_BYTES: usize = 4096;
const BATCH_MAGIC: &[u8] = b"RBKBATCH";
/// Behind the header of a batch.
const IN_A_RECORD: u64 = 100;

/// A stopped server with orders in its journal, one batch each.
fn stopped(shards: u16, orders: usize) -> Exchange {
    let mut exchange = Exchange::open(shards, 2);
    for number in 0..orders {
        let user = if number % 2 == 0 { ALICE } else { BOB };
        let cid = format!(r#","cid":"c-{number}""#);
        exchange.user(user).trade(&limit("BUY", "1", "1", &cid));
    }
    assert_eq!(exchange.server.stop().code(), Some(0), "{}", exchange.server.log());
    exchange
}

/// Where batches begin in a shard's first segment.
fn batches(server: &Server, shard: u16) -> (PathBuf, Vec<u64>) {
    let segment = server.segments(shard).swap_remove(0);
    let bytes = std::fs::read(&segment).expect("a segment");
    let blocks = bytes.chunks(BLOCK_BYTES).enumerate();
    let starts = blocks.filter(|(_, block)| block.starts_with(BATCH_MAGIC));
    let offsets = starts.map(|(number, _)| (number * BLOCK_BYTES) as u64).collect();
    (segment, offsets)
}

/// Turns one bit over.
fn flip(file: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).expect("a segment");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("read");
    file.write_all_at(&[byte[0] ^ 0x40], offset).expect("written");
}

fn verify(server: &Server) -> (Option<i32>, String) {
    let data = server.data().to_str().expect("a path in UTF-8");
    let output = run(&["journal", "verify", "--data", data]);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code(), text)
}

fn dump(server: &Server, more: &[&str]) -> Vec<Value> {
    let data = server.data().to_str().expect("a path in UTF-8");
    let output = run(&[&["journal", "dump", "--data", data], more].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    text.lines().map(parse).collect()
}

/// Both the server and `verify` must refuse, naming file and offset.
#[track_caller]
fn expect_damage(server: &Server, file: &Path, offset: u64) {
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let offset = format!("offset {offset}");
    let arguments = server.arguments(server.shards(), server.port, server.data());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run_within(LIMIT, &arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (code, verified) = verify(server);
    for (code, text) in [(output.status.code(), text), (code, verified)] {
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(name) && text.contains(&offset), "no {name} {offset}: {text}");
    }
}

#[test]
fn damage_in_the_middle_is_refused_with_file_and_offset() {
    for shards in [1, 2] {
        let mut exchange = stopped(shards, 20);
        let shard = shards - 1;
        let (segment, offsets) = batches(&exchange.server, shard);
        assert!(offsets.len() > 10, "{offsets:?}");
        for batch in [offsets[0], offsets[offsets.len() / 2], offsets[offsets.len() - 2]] {
            // In its header, in a record, and in the zeros behind them.
            for within in [0, 9, 60, IN_A_RECORD, BLOCK_BYTES as u64 - 1] {
                flip(&segment, batch + within);
                expect_damage(&exchange.server, &segment, batch);
                flip(&segment, batch + within);
            }
        }
        flip(&segment, 20);
        expect_damage(&exchange.server, &segment, 0);
        flip(&segment, 20);
        // Nothing has been changed by all that looking.
        assert_eq!(verify(&exchange.server).0, Some(0));
        exchange.server.spawn();
        exchange.server.wait_until_ready();
        exchange.proof();
    }
}

#[test]
fn a_missing_or_cut_segment_is_refused() {
    let exchange = stopped(1, 5);
    let server = &exchange.server;
    let segments = server.segments(0);
    assert!(segments.len() >= 2, "{segments:?}");
    let hidden = segments[0].with_extension("hidden");
    std::fs::rename(&segments[0], &hidden).expect("renamed");
    let arguments = server.arguments(1, server.port, server.data());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run_within(LIMIT, &arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let name = segments[0].file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(text.contains(name), "{text}");
    std::fs::rename(&hidden, &segments[0]).expect("renamed");
    let file = OpenOptions::new().write(true).open(&segments[0]).expect("a segment");
    file.set_len(BLOCK_BYTES as u64 * 3).expect("cut");
    expect_damage(server, &segments[0], BLOCK_BYTES as u64 * 3);
}

#[test]
fn a_torn_end_is_cut_and_the_rest_is_there() {
    for shards in [1, 2] {
        let mut exchange = stopped(shards, 0);
        exchange.server.spawn();
        exchange.server.wait_until_ready();
        // The last record of its shard, so that nothing of it has reached another one.
        let user = ALICE + u64::from(shards - 1);
        let home = (user % u64::from(shards)) as u16;
        exchange.user(user).trade(&limit("BUY", "1", "1", r#","cid":"stays""#));
        exchange.state();
        exchange.deposit(user, "USDT", "7", "torn");
        exchange.server.kill();
        let (segment, offsets) = batches(&exchange.server, home);
        let last = *offsets.last().expect("batches");
        flip(&segment, last + IN_A_RECORD);
        let (code, text) = verify(&exchange.server);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("unfinished write"), "{text}");
        for _ in 0..2 {
            exchange.server.spawn();
            exchange.server.wait_until_ready();
            let order = exchange.user(user).get("/api/v1/order?cid=stays").data();
            assert_eq!(order["status"], "NEW");
            exchange.expect_balance(user, "USDT", "999999.00", "1.00");
            exchange.proof();
            exchange.server.kill();
        }
        // What follows the cut is found too.
        exchange.server.spawn();
        exchange.server.wait_until_ready();
        exchange.deposit(user, "USDT", "7", "torn");
        exchange.server.kill_and_restart();
        exchange.expect_balance(user, "USDT", "1000006.00", "1.00");
        assert_eq!(verify(&exchange.server).0, Some(0));
    }
}

#[test]
fn records_are_read_as_json_lines() {
    let mut exchange = stopped(2, 10);
    // A server may be at work on it.
    exchange.server.spawn();
    exchange.server.wait_until_ready();
    let server = &exchange.server;
    let all = dump(server, &[]);
    for record in &all {
        assert!(record["kind"].is_string() && record["time"].is_string(), "{record}");
    }
    // Each shard's are numbered from 1 without gaps.
    for shard in 0..2 {
        let of_shard = dump(server, &["--shard", &shard.to_string()]);
        let numbers: Vec<u64> = of_shard.iter().map(|record| number(&record["lsn"])).collect();
        assert_eq!(numbers, (1..=of_shard.len() as u64).collect::<Vec<u64>>());
        assert!(of_shard.iter().all(|record| record["shard"] == shard));
        let expected = all.iter().filter(|record| record["shard"] == shard).count();
        assert_eq!(of_shard.len(), expected);
    }
    let cids = |records: &[Value]| {
        let mut cids: Vec<String> =
            records.iter().filter_map(|record| record["cid"].as_str().map(str::to_owned)).collect();
        cids.sort();
        cids
    };
    let expected =
        |first: usize| (first..10).step_by(2).map(|n| format!("c-{n}")).collect::<Vec<_>>();
    assert_eq!(cids(&dump(server, &["--user", "1001"])), expected(0));
    assert_eq!(cids(&dump(server, &["--user", "1002"])), expected(1));
    assert!(dump(server, &["--user", "77"]).is_empty());
    let times: Vec<u64> = all.iter().map(|record| number(&record["time_ms"])).collect();
    let (first, last) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let (from, to) = (first.to_string(), (last + 1).to_string());
    assert_eq!(dump(server, &["--from", &from, "--to", &to]).len(), all.len());
    assert!(dump(server, &["--to", &from]).is_empty());
    assert!(dump(server, &["--from", &to]).is_empty());
    let at_last = all.iter().find(|record| number(&record["time_ms"]) == last).unwrap();
    let later = dump(server, &["--from", word(&at_last["time"])]);
    assert!(!later.is_empty() && later.len() < all.len());
    let (code, text) = verify(server);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn what_is_no_journal_is_said_to_be_none() {
    for command in ["dump", "verify"] {
        let output = run(&["journal", command, "--data", "/nonexistent/ringbook"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("/nonexistent/ringbook"), "{text}");
    }
}

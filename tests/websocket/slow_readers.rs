//! Who reads slowly, or never, costs a bounded amount of memory and nobody else anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::books::{Book, query};
use super::flow::pipeline;
use crate::support::StopAtEnd;
use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, limit, number, units, word};
use crate::support::http::Client;
use crate::support::raw::request;
use crate::support::server::Server;
use crate::support::websocket::{Heard, Socket, parse};

const SLOW_CONSUMER: u16 = 1013;
/// Connections that nobody reads.
const SILENT: u16 = 16;
/// What the server may hold for one of them, and a little for what an allocator does with it.
const MAX_EACH_BYTES: u64 = 2 << 20;
/// What everything else may grow by meanwhile: ended orders are remembered.
const OTHERWISE_BYTES: u64 = 96 << 20;
/// Orders that are placed and canceled in one go.
const BATCH: u64 = 1_500;
/// Longest that anybody else waits for an answer on this busy machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// Orders of the first user that rest and are canceled again.
fn batch(number: u64) -> Vec<String> {
    let pair = |order: u64| {
        let cid = number * BATCH + order;
        // Different prices: each is a level of its own.
        let price = format!("{}.{:02}", 50 + order % 40, order % 100);
        let place = limit("BUY", &price, "0.0001", &format!(r#","cid":"{cid}""#));
        let cancel = format!(r#"{{"cid":"{cid}"}}"#);
        [
            request("POST", "/api/v1/create_order", "", &place),
            request("POST", "/api/v1/cancel_order", "", &cancel),
        ]
    };
    (0..BATCH).flat_map(pair).collect()
}

fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// The sum of a counter over all shards.
fn counter(server: &Server, name: &str) -> u64 {
    let text = Client::anonymous(server.port).get("/metrics");
    let values = text.text().lines().filter(|line| line.starts_with(&format!("{name}{{")));
    values
        .map(|line| line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0u64))
        .sum()
}

/// Panics unless each balance of an asset follows from the one before. How many there were.
#[track_caller]
fn check_chain(messages: &[Value]) -> usize {
    let changes = messages.iter().filter(|message| message["type"] == "balance.update");
    let usdt = changes.map(|message| &message["data"]).filter(|data| data["asset"] == "USDT");
    let mut before: Option<i128> = None;
    let mut count = 0;
    for data in usdt {
        let (avail, delta) = (units(word(&data["avail"])), units(word(&data["delta"])));
        if let Some(before) = before {
            assert_eq!(before + delta, avail, "a hole before {data}");
        }
        before = Some(avail);
        count += 1;
    }
    count
}

#[test]
fn who_never_reads_is_closed_and_costs_nobody_anything() {
    let exchange = Exchange::open(2, 2);
    let server = &exchange.server;
    let at = |number: u16| server.shard_port(number % 2);
    let mut silent: Vec<Socket> =
        (0..SILENT).map(|number| Socket::user(at(number), FIRST_USER)).collect();
    let mut reading = Socket::user(at(0), FIRST_USER);
    let mut bystander = Socket::user(at(1), FIRST_USER + 1);
    let is_over = AtomicBool::new(false);
    let before = resident_bytes(server);
    let (told, slowest) = std::thread::scope(|scope| {
        let is_over = &is_over;
        let listening = scope.spawn(move || {
            let mut told = Vec::new();
            loop {
                match reading.hear(Duration::from_millis(300)) {
                    Heard::Text(text) => told.push(parse(&text)),
                    Heard::Closed(code) => panic!("who reads was closed with {code:?}"),
                    Heard::Nothing if is_over.load(Ordering::Relaxed) => return told,
                    Heard::Nothing => {}
                }
            }
        });
        let asking = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let begin = Instant::now();
                bystander.ask(&json!({"type": "order.query", "id": 1, "data": {"order_id": 1}}));
                slowest = slowest.max(begin.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            slowest
        });
        let stop = StopAtEnd(is_over);
        let mut batches = 0;
        while counter(server, SLOW_CONSUMERS) < u64::from(SILENT) {
            assert!(batches < 25, "nobody was closed after {batches} batches");
            let statuses = pipeline(server.port, &batch(batches));
            let (refused, all) =
                (statuses.iter().filter(|&&status| status >= 500).count(), statuses.len());
            assert!(all == 2 * BATCH as usize && refused == 0, "{refused} of {all} refused");
            batches += 1;
        }
        // Each is told everything up to the end, and then why it is one.
        for socket in &mut silent {
            let (messages, code) = socket.read_to_close(Duration::from_secs(10));
            assert_eq!(code, Some(SLOW_CONSUMER), "behind {} messages", messages.len());
            let changes = check_chain(&messages);
            assert!(changes as u64 > BATCH, "too few: {changes} of {} messages", messages.len());
        }
        let statuses = pipeline(server.port, &batch(batches));
        assert_eq!(statuses.len(), 2 * BATCH as usize);
        let grown = resident_bytes(server).saturating_sub(before);
        let most = u64::from(SILENT) * MAX_EACH_BYTES + OTHERWISE_BYTES;
        assert!(grown < most, "{} MiB more, {} MiB at most", grown >> 20, most >> 20);
        println!("{batches} batches; {} MiB more", grown >> 20);
        drop(stop);
        (listening.join().expect("listened"), asking.join().expect("asked"))
    });
    check_chain(&told);
    // Placing freezes and canceling gives back: both are orders' events too.
    let (balances, orders): (Vec<&Value>, Vec<&Value>) =
        told.iter().partition(|message| message["type"] == "balance.update");
    assert_eq!(balances.len(), orders.len());
    let last = told.last().expect("some");
    assert!(last["data"]["status"] == "CANCELED" || last["data"]["frozen"] == "0.00", "{last}");
    assert!(slowest < PATIENCE, "somebody else waited {} ms", slowest.as_millis());
}

/// Of `/metrics`: connections that were closed because they did not read.
const SLOW_CONSUMERS: &str = "ringbook_slow_consumers_total";

#[test]
fn a_slow_reader_of_a_book_gets_a_new_one_instead_of_a_gap() {
    let exchange = Exchange::open(2, 1);
    let server = &exchange.server;
    let mut slow: Vec<Socket> = Vec::new();
    for shard in 0..2 {
        let mut socket = Socket::anonymous(server.shard_port(shard));
        let channels = ["depth_realtime", "bbo", "ticker"].map(|kind| format!("{kind}:{SYMBOL}"));
        socket.send(&json!({"type": "subscribe", "channels": channels}).to_string());
        socket.next_of("subscribe.success");
        slow.push(socket);
    }
    let mut batches = 0;
    // A book is put in order for each reader that has fallen behind.
    while counter(server, CONFLATED) < 2 * 2 {
        assert!(batches < 30, "nobody has fallen behind after {batches} batches");
        pipeline(server.port, &batch(batches));
        batches += 1;
    }
    for round in 0..3 {
        // Something stays, so that an empty book is not all that has to be right.
        let stays = limit("BUY", &format!("{}", 20 + round), "1", "");
        exchange.user(FIRST_USER).place(&stays).data();
        pipeline(server.port, &batch(batches + round));
    }
    let mut last = 0;
    let (update, levels) =
        crate::support::wait_for("the book to come to rest", PATIENCE * 5, || {
            std::thread::sleep(Duration::from_millis(50));
            let (update, levels) = query(&mut exchange.anonymous(), SYMBOL);
            (std::mem::replace(&mut last, update) == update).then_some((update, levels))
        });
    for socket in &mut slow {
        let (mut book, mut skipped, mut best) = (Book::default(), 0, 0);
        while book.update != Some(update) {
            let message = socket.next();
            match word(&message["type"]) {
                "depth.snapshot" | "depth.update" => {
                    let first = number(&message["first_update_id"]);
                    skipped += first.saturating_sub(book.update.unwrap_or(first) + 1);
                    book.take(&message);
                }
                "bbo" => {
                    let id = number(&message["last_update_id"]);
                    assert!(id >= best, "goes back from {best}: {message}");
                    best = id;
                }
                "ticker" => {}
                other => panic!("nobody asked for {other}: {message}"),
            }
        }
        assert_eq!(book.levels(), levels);
        assert!(book.snapshots >= 2 && skipped > 0, "{} books, {skipped} left out", book.snapshots);
        println!(
            "{batches} batches, {} books, {skipped} of {update} changes left out",
            book.snapshots
        );
    }
}

/// Of `/metrics`: times that a reader of market data fell behind.
const CONFLATED: &str = "ringbook_pushes_conflated_total";

//! Books as those have them who follow them: the same as the server's, at every change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::flow::Flow;
use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, limit, number, units, word};
use crate::support::http::Client;
use crate::support::server::{self, Server};
use crate::support::sets::{generate, recorded};
use crate::support::websocket::{Heard, Socket, parse};
use crate::support::{LIMIT, StopAtEnd};

/// Prices and quantities as they are written, bids by falling price and asks by rising price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    bids: Vec<(String, String)>,
    asks: Vec<(String, String)>,
}

/// A book that is put together of a snapshot and changes.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// By price in its smallest step.
    bids: BTreeMap<i128, (String, String)>,
    asks: BTreeMap<i128, (String, String)>,
    /// The last change that is in here; `None` before the first snapshot.
    pub update: Option<u64>,
    /// How many snapshots there were.
    pub snapshots: usize,
}

fn rows(value: &Value) -> Vec<(String, String)> {
    let rows = value.as_array().expect("levels").iter();
    rows.map(|row| (word(&row[0]).to_owned(), word(&row[1]).to_owned())).collect()
}

impl Levels {
    /// The answer to a query, or a snapshot.
    pub fn of(data: &Value) -> Levels {
        Levels { bids: rows(&data["bids"]), asks: rows(&data["asks"]) }
    }
}

impl Book {
    /// Takes a `depth.snapshot` or `depth.update`; panics when changes are missing before it.
    #[track_caller]
    pub fn take(&mut self, message: &Value) {
        let (first, last) =
            (number(&message["first_update_id"]), number(&message["last_update_id"]));
        match word(&message["type"]) {
            "depth.snapshot" => {
                let is_newer = self.update.is_none_or(|update| update <= last);
                assert!(is_newer, "a snapshot of {last} behind {:?}", self.update);
                let snapshots = self.snapshots + 1;
                *self = Book { snapshots, ..Book::default() };
            }
            "depth.update" => {
                let wanted = self.update.expect("a snapshot comes first") + 1;
                assert_eq!(first, wanted, "a gap before {message}");
                assert!(first <= last, "ends before it begins: {message}");
            }
            other => panic!("no message about a book: {other}"),
        }
        self.update = Some(last);
        for (side, changes) in
            [(&mut self.bids, &message["bids"]), (&mut self.asks, &message["asks"])]
        {
            for (price, qty) in rows(changes) {
                let key = units(&price);
                match qty.as_str() {
                    "0" => side.remove(&key),
                    _ => side.insert(key, (price, qty)),
                };
            }
        }
    }

    /// All levels.
    pub fn levels(&self) -> Levels {
        Levels {
            bids: self.bids.values().rev().cloned().collect(),
            asks: self.asks.values().cloned().collect(),
        }
    }
}

impl Levels {
    /// The best ones of each side.
    fn best(mut self, most: usize) -> Levels {
        self.bids.truncate(most);
        self.asks.truncate(most);
        self
    }
}

/// What the server says of a book now.
pub fn query(client: &mut Client, symbol: &str) -> (u64, Levels) {
    let path = format!("/api/v1/public/depth?symbol={symbol}&limit={QUERY_LEVELS}");
    let depth = client.get(&path).data();
    (number(&depth["last_update_id"]), Levels::of(&depth))
}

/// Levels of a side that a query tells at most.
pub const QUERY_LEVELS: usize = 1_000;

/// A connection that follows a channel.
fn subscribed(port: u16, channel: &str) -> Socket {
    let mut socket = Socket::anonymous(port);
    let subscribe = json!({"type": "subscribe", "channels": [channel], "id": channel});
    let answer = socket.ask(&subscribe);
    assert_eq!(answer["type"], "subscribe.success", "{answer}");
    socket
}

/// Follows a channel until all is over and nothing more comes.
fn listen(mut socket: Socket, channel: &str, is_over: &AtomicBool) -> Vec<Value> {
    const QUIET: Duration = Duration::from_millis(800);
    let (mut messages, mut quiet_since) = (Vec::new(), Instant::now());
    loop {
        match socket.hear(Duration::from_millis(100)) {
            Heard::Text(text) => {
                messages.push(parse(&text));
                quiet_since = Instant::now();
            }
            Heard::Nothing if is_over.load(Ordering::Relaxed) && quiet_since.elapsed() > QUIET => {
                return messages;
            }
            Heard::Nothing => {}
            Heard::Closed(code) => panic!("{channel}: closed with {code:?}"),
        }
    }
}

/// The book at each of these changes, as far as it is followed by then. Between two messages about each
/// change the book is as it was.
fn histories(messages: &[Value], wanted: &BTreeSet<u64>) -> BTreeMap<u64, Levels> {
    let mut book = Book::default();
    let mut histories = BTreeMap::new();
    for (at, message) in messages.iter().enumerate() {
        book.take(message);
        let update = book.update.expect("taken");
        let next = messages.get(at + 1).map_or(u64::MAX, |next| number(&next["last_update_id"]));
        for &update in wanted.range(update..next) {
            histories.insert(update, book.levels());
        }
    }
    assert_eq!(book.snapshots, 1, "a reader that keeps up needs no other one");
    histories
}

#[test]
fn a_book_of_changes_is_the_book_of_the_server_at_every_change() {
    const COMMANDS: usize = 20_000;
    let directory = server::directory();
    let set = recorded("lobster-aapl");
    let set = set.unwrap_or_else(|| generate(directory.path(), 9, 3_000));
    let flow = Flow::read(&set, COMMANDS);
    let server = Server::empty(2);
    flow.define(server.port);
    flow.deposit(server.port);
    let symbol = flow.symbol.as_str();
    let is_over = AtomicBool::new(false);
    let (realtime, late, delayed, best, polls) = std::thread::scope(|scope| {
        let is_over = &is_over;
        let follow = |kind: &str, shard: u16| {
            let channel = format!("{kind}:{symbol}");
            let socket = subscribed(server.shard_port(shard), &channel);
            scope.spawn(move || listen(socket, &channel, is_over))
        };
        let realtime = [0, 1].map(|shard| follow("depth_realtime", shard));
        let delayed = [0, 1].map(|shard| follow("depth", shard));
        let best = [0, 1].map(|shard| follow("bbo", shard));
        let late = [0, 1].map(|shard| {
            let (channel, port) = (format!("depth_realtime:{symbol}"), server.shard_port(shard));
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(400));
                listen(subscribed(port, &channel), &channel, is_over)
            })
        });
        let mut clients = [0, 1].map(|shard| Client::anonymous(server.shard_port(shard)));
        let polling = scope.spawn(move || {
            let mut polls = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                clients.iter_mut().for_each(|client| polls.push(query(client, symbol)));
                std::thread::sleep(Duration::from_millis(20));
            }
            clients.iter_mut().for_each(|client| polls.push(query(client, symbol)));
            polls
        });
        let stop = StopAtEnd(is_over);
        flow.send(server.port);
        // Some may still be on their way.
        let mut client = Client::anonymous(server.port);
        let mut before = 0;
        crate::support::wait_for("the book to come to rest", LIMIT, || {
            std::thread::sleep(Duration::from_millis(100));
            let update = query(&mut client, symbol).0;
            (std::mem::replace(&mut before, update) == update).then_some(())
        });
        drop(stop);
        let messages = |thread: std::thread::ScopedJoinHandle<'_, Vec<Value>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let polls = polling.join().expect("polled");
        (
            realtime.map(messages),
            late.map(messages),
            delayed.map(messages),
            best.map(messages),
            polls,
        )
    });

    let update_of = |message: &Value| number(&message["last_update_id"]);
    let mut wanted: BTreeSet<u64> = polls.iter().map(|(update, _)| *update).collect();
    delayed.iter().chain(&best).for_each(|messages| wanted.extend(messages.iter().map(update_of)));
    let reference = histories(&realtime[0], &wanted);
    let last = polls.last().expect("a query at the end").0;
    assert!(last > 2_000, "too few changes to say anything: {last}");
    // It began before the first change, so it knows all.
    assert_eq!(update_of(&realtime[0][0]), 0, "the first snapshot");
    for (update, queried) in &polls {
        let followed = reference[update].clone().best(QUERY_LEVELS);
        assert_eq!(followed, *queried, "after change {update}");
    }
    for messages in realtime.iter().chain(&late) {
        let found = histories(messages, &wanted);
        assert!(found.len() > 3, "followed for too short a time: {}", found.len());
        for (update, levels) in found {
            assert_eq!(levels, reference[&update], "another connection after change {update}");
        }
    }
    for messages in &delayed {
        let mut book = Book::default();
        for message in messages {
            book.take(message);
            assert_eq!(book.levels(), reference[&update_of(message)], "depth behind {message}");
        }
        assert_eq!(book.levels(), reference[&last], "depth at the end");
        assert_eq!(book.snapshots, 1, "a reader that keeps up needs no other one");
    }
    for messages in &best {
        let mut before = None;
        for message in messages {
            let levels = &reference[&update_of(message)];
            let best = |side: &[(String, String)]| {
                side.first().map_or(json!(null), |best| json!([best.0, best.1]))
            };
            let wanted = [best(&levels.bids), best(&levels.asks)];
            assert_eq!([&message["bid"], &message["ask"]], wanted.each_ref(), "{message}");
            assert!(before.replace(wanted.clone()) != Some(wanted), "said twice: {message}");
        }
        let levels = &reference[&last];
        let told = messages.last().expect("some");
        assert_eq!(told["bid"][0].as_str(), levels.bids.first().map(|best| best.0.as_str()));
        assert_eq!(told["ask"][0].as_str(), levels.asks.first().map(|best| best.0.as_str()));
    }
    println!("{last} changes, {} queries", polls.len());
}

#[test]
fn what_leaves_a_book_as_it_is_counts_as_no_change_of_it() {
    let exchange = Exchange::open(2, 2);
    let mut socket = Socket::anonymous(exchange.server.port);
    let subscribe = json!({"type": "subscribe", "channels": [format!("depth_realtime:{SYMBOL}")]});
    socket.send(&subscribe.to_string()).next_of("depth.snapshot");
    exchange.user(FIRST_USER).trade(&limit("SELL", "100", "1", ""));
    let mut told = number(&socket.next_of("depth.update")["last_update_id"]);
    for order in [
        limit("BUY", "99", "1", r#","time_in_force":"IOC""#),
        limit("BUY", "100", "2", r#","time_in_force":"FOK""#),
        limit("BUY", "100", "1", r#","post_only":true"#),
    ] {
        exchange.user(FIRST_USER + 1).trade(&order);
        // Who follows has either been told of a change or there was none: whoever compares the two
        // would wait for ever for the change that the query speaks of.
        for message in socket.drain(Duration::from_millis(200)) {
            told = number(&message["last_update_id"]);
        }
        let (update, _) = query(&mut exchange.anonymous(), SYMBOL);
        assert_eq!(update, told, "a change that nobody was told of, by {order}");
    }
}

#[test]
fn every_trade_is_told_once_and_in_order() {
    let directory = server::directory();
    let set = recorded("zxi-1k-cancel");
    let set = set.unwrap_or_else(|| generate(directory.path(), 11, 1_500));
    let flow = Flow::read(&set, usize::MAX);
    let server = Server::empty(2);
    flow.define(server.port);
    flow.deposit(server.port);
    let channel = format!("trades:{}", flow.symbol);
    let mut sockets = [0, 1].map(|shard| Socket::anonymous(server.shard_port(shard)));
    for socket in &mut sockets {
        let subscribe = json!({"type": "subscribe", "channels": [channel], "id": 1});
        assert_eq!(socket.ask(&subscribe)["type"], "subscribe.success");
    }
    flow.send(server.port);
    for mut socket in sockets {
        let told = socket.drain(Duration::from_millis(500));
        assert!(told.len() > 20, "too few trades to say anything: {}", told.len());
        // A query tells of the newest thousand, which are all.
        let path = format!("/api/v1/public/trades?symbol={}&limit=1000", flow.symbol);
        let mut queried = Client::anonymous(server.port).get(&path).data();
        let queried = queried.as_array_mut().expect("trades");
        queried.reverse();
        for (at, (told, queried)) in told.iter().zip(queried.iter()).enumerate() {
            assert_eq!(told["id"], at as u64 + 1);
            let mut wanted = queried.clone();
            wanted["type"] = "public.trade".into();
            wanted["symbol"] = flow.symbol.clone().into();
            assert_eq!(*told, wanted);
        }
        assert_eq!(told.len(), queried.len());
    }
}

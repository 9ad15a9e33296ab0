//! When a client has received a push, a query shows at least that state, on any shard.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, limit, number, units, word};
use crate::support::http::Client;
use crate::support::random::{Random, seed};
use crate::support::websocket::{Heard, Socket, parse};

const SHARDS: u16 = 3;
const USERS: u64 = 4;
const ROUNDS: u64 = 120;
/// Time in which nothing more comes of a round.
const PAUSE: Duration = Duration::from_millis(25);

/// One user: where it listens, and where it asks.
struct Watcher {
    user: u64,
    socket: Socket,
    queries: Vec<Client>,
    /// `(asset, avail, frozen)` as told, oldest first.
    balances: Vec<(String, String, String)>,
    /// What queries said, with how many balances had been told before.
    queried: Vec<(usize, Value)>,
}

impl Watcher {
    /// Takes the events of a round, asking every shard behind each.
    fn listen(&mut self) -> usize {
        let mut events = 0;
        while let Heard::Text(text) = self.socket.hear(PAUSE) {
            let message = parse(&text);
            let data = &message["data"];
            events += 1;
            match word(&message["type"]) {
                "order.update" => self.expect_order(data),
                "trade" => self.expect_trade(data),
                "balance.update" => {
                    let of = |name: &str| word(&data[name]).to_owned();
                    self.balances.push((of("asset"), of("avail"), of("frozen")));
                    for client in &mut self.queries {
                        let balances = client.get("/api/v1/balances").data();
                        self.queried.push((self.balances.len(), balances));
                    }
                }
                other => panic!("nobody asked for {other}: {message}"),
            }
        }
        events
    }

    fn expect_order(&mut self, told: &Value) {
        let path = format!("/api/v1/order/{}", told["order_id"]);
        for (shard, client) in self.queries.iter_mut().enumerate() {
            let shown = client.get(&path).data();
            let filled = |order: &Value| units(word(&order["filled_qty"]));
            let is_there = rank(&shown) >= rank(told)
                && filled(&shown) >= filled(told)
                && number(&shown["updated_at"]) >= number(&told["updated_at"]);
            assert!(is_there, "shard {shard} shows {shown} behind {told}");
        }
    }

    fn expect_trade(&mut self, told: &Value) {
        let path = format!("/api/v1/trades?symbol={SYMBOL}&limit=100");
        for (shard, client) in self.queries.iter_mut().enumerate() {
            let shown = client.get(&path).data();
            let is_there = shown.as_array().expect("trades").contains(told);
            assert!(is_there, "shard {shard} does not show {told} but {shown}");
        }
    }

    /// Each answer was what had been told last, or what was told later.
    fn check_balances(&self) {
        for (told, balances) in &self.queried {
            for row in balances.as_array().expect("balances") {
                let of = |name: &str| word(&row[name]).to_owned();
                let shown = (of("asset"), of("avail"), of("frozen"));
                let is_same = |balance: &&(String, String, String)| balance.0 == shown.0;
                let before = self.balances[..*told].iter().rev().find(is_same);
                let is_later = self.balances[*told..].contains(&shown);
                let is_known = before.is_none_or(|before| *before == shown) || is_later;
                assert!(is_known, "user {}: shown {shown:?} behind {before:?}", self.user);
            }
        }
    }
}

/// How far an order has come.
fn rank(order: &Value) -> u8 {
    match word(&order["status"]) {
        "NEW" => 0,
        "PARTIALLY_FILLED" => 1,
        _ => 2,
    }
}

#[test]
fn a_query_shows_at_least_what_has_been_told() {
    let random = &mut Random::new(seed("RINGBOOK_QUERIES_SEED", "websocket"));
    let exchange = Exchange::open(SHARDS, USERS);
    let mut watchers: Vec<Watcher> = (FIRST_USER..FIRST_USER + USERS)
        .map(|user| {
            let port = exchange.server.shard_port(random.below(u64::from(SHARDS)) as u16);
            let queries = (0..SHARDS).map(|shard| exchange.user_at(shard, user)).collect();
            let socket = Socket::user(port, user);
            Watcher { user, socket, queries, balances: Vec::new(), queried: Vec::new() }
        })
        .collect();
    let mut events = 0;
    std::thread::scope(|scope| {
        for _ in 0..ROUNDS {
            let user = FIRST_USER + random.below(USERS);
            let shard = random.below(u64::from(SHARDS)) as u16;
            let side = if random.chance(50) { "BUY" } else { "SELL" };
            let (price, qty) = (98 + random.below(5), 1 + random.below(3));
            let body = limit(side, &price.to_string(), &qty.to_string(), "");
            let cancels = random.chance(20);
            let mut client = exchange.user_at(shard, user);
            let placing = scope.spawn(move || {
                client.place(&body).data();
                if cancels {
                    client.call("DELETE", "/api/v1/orders", "").data();
                }
            });
            // All at the same time: each shard is asked by several while it settles.
            let listening: Vec<usize> = std::thread::scope(|inner| {
                let threads: Vec<_> =
                    watchers.iter_mut().map(|watcher| inner.spawn(|| watcher.listen())).collect();
                threads.into_iter().map(|thread| thread.join().expect("listened")).collect()
            });
            events += listening.iter().sum::<usize>();
            placing.join().expect("placed");
        }
    });
    for watcher in &mut watchers {
        watcher.listen();
        watcher.check_balances();
    }
    assert!(events > 200, "too few events to say anything: {events}");
    println!("{events} events, {} queries behind each", SHARDS);
}

#[test]
fn a_query_shows_at_least_the_market_that_has_been_told() {
    let exchange = Exchange::open(SHARDS, 2);
    let channels = [format!("depth_realtime:{SYMBOL}"), format!("trades:{SYMBOL}")];
    for at in 0..SHARDS {
        let mut socket = Socket::anonymous(exchange.server.shard_port(at));
        socket.ask(&json!({"type": "subscribe", "channels": channels, "id": 1}));
        socket.next_of("depth.snapshot");
        let mut queries: Vec<Client> =
            (0..SHARDS).map(|shard| Client::anonymous(exchange.server.shard_port(shard))).collect();
        let (mut maker, mut taker) =
            (exchange.user_at(at, FIRST_USER), exchange.user(FIRST_USER + 1));
        for _ in 0..15 {
            maker.place(&limit("SELL", "100", "0.01", "")).data();
            taker.place(&limit("BUY", "100", "0.01", "")).data();
            let mut seen = 0;
            while seen < 3 {
                let message = socket.next();
                seen += 1;
                for (shard, client) in queries.iter_mut().enumerate() {
                    if message["type"] == "public.trade" {
                        let path = format!("/api/v1/public/trades?symbol={SYMBOL}&limit=1");
                        let newest = client.get(&path).data();
                        let is_there = number(&newest[0]["id"]) >= number(&message["id"]);
                        assert!(is_there, "shard {shard} shows {newest} behind {message}");
                    } else {
                        let path = format!("/api/v1/public/depth?symbol={SYMBOL}&limit=1");
                        let depth = client.get(&path).data();
                        let is_there =
                            number(&depth["last_update_id"]) >= number(&message["last_update_id"]);
                        assert!(is_there, "shard {shard} shows {depth} behind {message}");
                    }
                }
            }
        }
    }
}

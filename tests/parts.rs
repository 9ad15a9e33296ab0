//! Where the time of a request goes, as `/metrics` tells it, and what a wait before each commit does.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::exchange::{Exchange, FIRST_USER, SYMBOL, limit, number};
use support::http::Client;
use support::raw::{Raw, request};
use support::server::Options;
use support::websocket::Socket;
use support::{LIMIT, wait_for};

const ALICE: u64 = FIRST_USER;
const ORDERS: u64 = 20;
const COMMIT: &str = "ringbook_journal_commit_duration_seconds";
const PART: &str = "ringbook_part_seconds";

/// One reading of `/metrics`.
struct Metrics {
    text: String,
}

impl Metrics {
    fn read(exchange: &Exchange) -> Metrics {
        Metrics { text: exchange.anonymous().get("/metrics").text().to_owned() }
    }

    /// The sum of a series over those of its samples that have this label.
    fn sum(&self, series: &str, label: &str) -> f64 {
        let samples = self.text.lines().filter(|line| {
            line.strip_prefix(series).is_some_and(|rest| rest.starts_with('{'))
                && line.contains(label)
        });
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn count(&self, family: &str, label: &str) -> f64 {
        self.sum(&format!("{family}_count"), label)
    }

    fn seconds(&self, family: &str, label: &str) -> f64 {
        self.sum(&format!("{family}_sum"), label)
    }
}

fn part(name: &str) -> String {
    format!("part=\"{name}\"")
}

fn with(shards: u16, users: u64, arguments: &[&str]) -> Exchange {
    let mut options = Options::shards(shards);
    options.arguments.extend(arguments.iter().map(|&word| word.to_owned()));
    Exchange::with(options, users)
}

#[test]
fn the_parts_of_lone_orders_are_counted_and_lie_within_their_time() {
    let exchange = Exchange::open(1, 1);
    let mut alice = exchange.user(ALICE);
    let since = Instant::now();
    let before = Metrics::read(&exchange);
    for _ in 0..ORDERS {
        alice.trade(&limit("BUY", "1", "1", ""));
    }
    let after = Metrics::read(&exchange);
    let window = since.elapsed().as_secs_f64();
    let count = |family, label: &str| after.count(family, label) - before.count(family, label);
    let seconds =
        |family, label: &str| after.seconds(family, label) - before.seconds(family, label);
    // An order is a record, which is a batch when nobody else asks.
    let orders = ORDERS as f64;
    assert_eq!(count(COMMIT, ""), orders);
    assert_eq!(count(PART, &part("gather")), orders);
    assert_eq!(count(PART, &part("release")), orders);
    assert_eq!(count(PART, &part("hop")), 0.0);
    // And of the two questions for the metrics the reading of the second and the writing of the first.
    assert_eq!(count(PART, &part("read")), orders + 1.0);
    assert_eq!(count(PART, &part("write")), orders + 1.0);
    // What lies within something else is not longer, whatever the machine does meanwhile.
    let [read, gather, release, write] =
        ["read", "gather", "release", "write"].map(|name| seconds(PART, &part(name)));
    let commit = seconds(COMMIT, "");
    assert!([read, gather, commit, release, write].iter().all(|&time| time > 0.0));
    let inside = gather + commit + release;
    let request = seconds("ringbook_request_duration_seconds", "route=\"create_order\"");
    assert!(inside <= request, "{gather} + {commit} + {release} s are more than {request} s");
    let all = read + inside + write;
    assert!(all <= window, "{all} s inside of the server are more than {window} s around it");
}

#[test]
fn what_another_shard_takes_is_a_hop() {
    let exchange = Exchange::open(2, 1);
    // The user's home is shard 1, the first symbol is on shard 0.
    assert_eq!((ALICE % 2, SYMBOL), (1, "BTC_USDT"));
    let mut alice = exchange.user_at(1, ALICE);
    let before = Metrics::read(&exchange);
    for _ in 0..ORDERS {
        alice.trade(&limit("BUY", "1", "1", ""));
    }
    let after = Metrics::read(&exchange);
    for shard in [0, 1] {
        let label = format!("shard=\"{shard}\",part=\"hop\"");
        let hops = after.count(PART, &label) - before.count(PART, &label);
        assert!(hops >= ORDERS as f64, "shard {shard}: {hops} hops of {ORDERS} orders");
        let of_shard = format!("shard=\"{shard}\"");
        let parcels = after.sum("ringbook_mesh_parcels_received_total", &of_shard);
        let hops = after.count(PART, &label);
        assert!(hops <= parcels, "shard {shard}: {hops} hops with {parcels} parcels");
        // The order at its home, what became of it there; the order at the book.
        let gathered = format!("shard=\"{shard}\",part=\"gather\"");
        let batches = after.count(PART, &gathered) - before.count(PART, &gathered);
        assert!(batches >= ORDERS as f64, "shard {shard}: {batches} batches");
    }
}

#[test]
fn messages_of_a_websocket_and_refused_requests_are_parts_too() {
    let exchange = Exchange::open(1, 1);
    let before = Metrics::read(&exchange);
    let mut alice = exchange.user(ALICE);
    let refused = alice.place(&limit("BUY", "1", "0", ""));
    assert_eq!(refused.status, 400, "{refused}");
    let mut socket = Socket::user(exchange.server.port, ALICE);
    let order = json!({"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "price": "1", "qty": "1"});
    socket.ask(&json!({"type": "order.place", "id": "a", "data": order}));
    let after = Metrics::read(&exchange);
    let count = |name| after.count(PART, &part(name)) - before.count(PART, &part(name));
    // The refused order, the handshake, the message, and the second question for the metrics.
    assert_eq!(count("read"), 4.0);
    assert!(count("write") >= 4.0);
}

#[test]
fn a_lone_order_is_answered_although_nobody_follows_it() {
    // As long as can be asked for; an order between shards waits three times.
    const GATHER: &str = "100000";
    for (shards, commits) in [(1, 1.0), (2, 3.0)] {
        let exchange = with(shards, 1, &["--gather-us", GATHER]);
        let mut alice = exchange.user(ALICE);
        let before = Metrics::read(&exchange);
        let since = Instant::now();
        for _ in 0..3 {
            let order = alice.trade(&limit("BUY", "1", "1", ""));
            assert_eq!(order["status"], "NEW");
        }
        let waited = since.elapsed();
        let after = Metrics::read(&exchange);
        // Nobody comes, so each record waits as long as is configured: not less.
        let least = Duration::from_millis(100).mul_f64(3.0 * commits);
        assert!(waited >= least, "{shards} shards: answered after {waited:?}");
        let batches = after.count(PART, &part("gather")) - before.count(PART, &part("gather"));
        let gathered = after.seconds(PART, &part("gather")) - before.seconds(PART, &part("gather"));
        assert!(batches >= 3.0 * commits, "{shards} shards: {batches} batches");
        assert!(gathered >= least.as_secs_f64(), "{shards} shards: {gathered} s");
        assert_eq!(alice.get("/api/v1/orders").data().as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn orders_that_come_within_the_wait_share_a_write() {
    const TOGETHER: usize = 4;
    // Between two of them a write that waits for nobody is long over.
    const APART: Duration = Duration::from_millis(5);
    let exchange = with(1, 1, &["--gather-us", "100000"]);
    let order = request("POST", "/api/v1/create_order", "", &limit("BUY", "1", "1", ""));
    let mut rounds = 0;
    // On a machine that stops for longer than the wait they may not come together: another round then.
    wait_for("four orders to share a write", LIMIT, || {
        rounds += 1;
        let before = Metrics::read(&exchange).count(COMMIT, "");
        let place = |_| {
            let mut raw = Raw::open(exchange.server.port);
            raw.send(&order);
            std::thread::sleep(APART);
            raw
        };
        let mut users: Vec<Raw> = (0..TOGETHER).map(place).collect();
        for raw in &mut users {
            let answer = raw.answer();
            assert_eq!(answer.status, 202, "{answer}");
        }
        let commits = Metrics::read(&exchange).count(COMMIT, "") - before;
        assert!(commits >= 1.0, "answered before it was durable");
        (commits == 1.0).then_some(())
    });
    let open = exchange.user(ALICE).get("/api/v1/orders").data();
    assert_eq!(open.as_array().map(Vec::len), Some(TOGETHER * rounds));
}

#[test]
fn a_server_that_waits_for_more_records_stops_with_all_that_it_answered() {
    for durability in ["dsync", "fdatasync"] {
        let arguments = ["--gather-us", "20000", "--durability", durability];
        let mut exchange = with(2, 4, &arguments);
        let place = |port, user| {
            let mut client = Client::user(port, user);
            (0..10).map(move |_| client.place(&limit("BUY", "1", "1", "")).data()).collect()
        };
        let port = exchange.server.port;
        let told: Vec<Vec<serde_json::Value>> = std::thread::scope(|scope| {
            let users = (ALICE..ALICE + 4).map(|user| scope.spawn(move || place(port, user)));
            let users: Vec<_> = users.collect();
            users.into_iter().map(|user| user.join().expect("a client")).collect()
        });
        // Killed at once on one of them: what was answered needs no orderly end.
        if durability == "dsync" {
            exchange.server.kill();
        } else {
            assert_eq!(exchange.server.stop().code(), Some(0), "{}", exchange.server.log());
        }
        exchange.server.spawn();
        exchange.server.wait_until_ready();
        for (user, told) in (ALICE..).zip(told) {
            let mut client = exchange.user(user);
            for order in told {
                let id = number(&order["order_id"]);
                assert_eq!(client.get(&format!("/api/v1/order/{id}")).status, 200, "{durability}");
            }
        }
        exchange.proof();
    }
}

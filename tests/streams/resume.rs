//! What a user is told comes once and in order, also to who comes back for it.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Event, Id, Stream, text};
use crate::support::exchange::{Exchange, FIRST_USER, limit, number};
use crate::support::http::Client;
use crate::support::random::Random;

/// Events of one user that the server keeps.
const KEPT: usize = 1_024;
/// Longer than anything takes to come that is under way.
const PAUSE: Duration = Duration::from_millis(300);

fn id(event: &Event) -> Id {
    event.id.unwrap_or_else(|| panic!("an event without an id: {event:?}"))
}

/// Panics unless the numbers rise by one, all in one epoch.
#[track_caller]
fn expect_whole(events: &[Event]) {
    for pair in events.windows(2) {
        let (before, after) = (id(&pair[0]), id(&pair[1]));
        assert_eq!(after, (before.0, before.1 + 1), "{pair:?}");
    }
}

/// Without what is the time of sending.
fn plain(events: &[Event]) -> Vec<Event> {
    let plain = |event: &Event| {
        let mut event = event.clone();
        if event.kind == "account" {
            event.data["ts_ns"] = Value::Null;
        }
        event
    };
    events.iter().map(plain).collect()
}

#[track_caller]
fn expect_replay_unavailable(event: &Event, after: Id) {
    assert_eq!((event.kind.as_str(), event.id), ("error", None), "{event:?}");
    let (word, last_id) = (&event.data["error"], &event.data["last_id"]);
    assert_eq!((word, last_id), (&json!("replay_unavailable"), &json!(text(after))));
    assert!(event.data["message"].as_str().expect("text").starts_with("last_id: "), "{event:?}");
}

fn place(client: &mut Client, side: &str, price: &str, qty: &str) -> u64 {
    let placed = client.post("/api/v1/create_order?wait=true", &limit(side, price, qty, ""));
    number(&placed.data()["order_id"])
}

/// Makes four events: an order and what it holds, its end and what that gives back.
fn place_and_cancel(client: &mut Client) {
    let order = place(client, "BUY", "1", "1");
    client.post("/api/v1/cancel_order", &format!(r#"{{"order_id":{order}}}"#)).data();
}

/// The last event of something that ends with a canceled order: what it gives back.
#[track_caller]
fn expect_end_of_cancel(events: &[Event]) {
    let is_canceled = |event: &Event| event.data["status"] == "CANCELLED";
    assert!(events.iter().any(is_canceled), "{events:?}");
}

#[test]
fn a_user_is_told_of_its_orders_fills_and_balances() {
    let exchange = Exchange::open(2, 2);
    for (user, other) in [(FIRST_USER, FIRST_USER + 1), (FIRST_USER + 1, FIRST_USER)] {
        for shard in 0..2 {
            let port = exchange.server.shard_port(shard);
            let mut stream = Stream::user(port, user);
            // What comes first shows that the user is followed.
            let Some(first) = first_market(&mut stream) else { panic!("no market") };
            assert_eq!(first["symbol"], "BTC_USDT");
            let (mut maker, mut taker) = (exchange.user(other), exchange.user(user));
            place(&mut maker, "SELL", "100", "1");
            let order = place(&mut taker, "BUY", "100", "2");
            let cancel = format!(r#"{{"order_id":{order}}}"#);
            taker.post("/api/v1/cancel_order", &cancel).data();
            let mut events = stream.until(|event| event.data["status"] == "CANCELLED");
            events.extend(stream.drain(PAUSE));
            expect_whole(&events);
            let statuses: Vec<&Value> = events
                .iter()
                .filter(|event| event.kind == "order_update")
                .map(|event| {
                    assert_eq!(event.data["venue_order_id"], order, "{event:?}");
                    &event.data["status"]
                })
                .collect();
            assert_eq!(statuses, ["NEW", "PARTIALLY_FILLED", "CANCELLED"]);
            let fills: Vec<&Event> = events.iter().filter(|event| event.kind == "fill").collect();
            assert_eq!(fills.len(), 1, "{events:?}");
            let fill = &fills[0].data;
            assert_eq!((&fill["venue_order_id"], &fill["role"]), (&json!(order), &json!("TAKER")));
            // What was told last of each balance is what it is.
            let account = exchange.user(user).get("/api/account").json();
            for balance in account["balances"].as_array().expect("balances") {
                let told = events.iter().rev().find(|event| {
                    event.kind == "account"
                        && event.data["balances"][0]["asset"] == balance["asset"]
                });
                assert_eq!(&told.expect("told").data["balances"][0], balance);
            }
        }
    }
}

fn first_market(stream: &mut Stream) -> Option<Value> {
    use super::client::Heard;
    match stream.hear(Duration::from_secs(10)) {
        Heard::Event(event) if event.kind == "market" => Some(event.data),
        other => panic!("not market: {other:?}"),
    }
}

#[test]
fn who_comes_back_gets_what_it_has_missed_on_any_shard() {
    let exchange = Exchange::open(2, 2);
    for user in [FIRST_USER, FIRST_USER + 1] {
        let ports = [0, 1].map(|shard| exchange.server.shard_port(shard));
        let mut stream = Stream::user(ports[0], user);
        first_market(&mut stream);
        let mut client = exchange.user(user);
        (0..5).for_each(|_| place_and_cancel(&mut client));
        let all = stream.take(20);
        expect_whole(&all);
        expect_end_of_cancel(&all);
        for (cut, port) in [(0, ports[1]), (6, ports[0]), (13, ports[1]), (18, ports[1])] {
            let after = id(&all[cut]);
            let mut resumed = Stream::resume(port, user, after);
            assert_eq!(plain(&resumed.take(19 - cut)), plain(&all[cut + 1..]));
            let query = format!("?user_id={user}&last_id={}&symbols=BTCUSDT", text(after));
            let mut resumed =
                Stream::try_open(port, &query, "").unwrap_or_else(|_| panic!("no stream"));
            assert_eq!(plain(&resumed.take(19 - cut)), plain(&all[cut + 1..]));
            assert_eq!(resumed.drain(PAUSE), [], "something came twice");
        }
        // The header is newer than the parameter.
        let query = format!("?user_id={user}&last_id={}", text(id(&all[2])));
        let header = format!("Last-Event-ID: {}\r\n", text(id(&all[17])));
        let opened = Stream::try_open(ports[1], &query, &header);
        let mut resumed = opened.unwrap_or_else(|answer| panic!("{answer}"));
        assert_eq!(plain(&resumed.take(2)), plain(&all[18..]));
        // Who has everything is sent nothing, and then what is new.
        let mut resumed = Stream::resume(ports[1], user, id(&all[19]));
        place_and_cancel(&mut client);
        let new = stream.take(4);
        assert_eq!(plain(&resumed.take(4)), plain(&new));
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_things_happen() {
    let exchange = Exchange::open(2, 2);
    let ports = [0, 1].map(|shard| exchange.server.shard_port(shard));
    let user = FIRST_USER;
    let mut steady = Stream::user(ports[0], user);
    first_market(&mut steady);
    std::thread::scope(|scope| {
        let trader = scope.spawn(|| {
            let (mut own, mut other) = (exchange.user(user), exchange.user(user + 1));
            for _ in 0..60 {
                place_and_cancel(&mut own);
                place(&mut own, "BUY", "100", "1");
                place(&mut other, "SELL", "100", "1");
            }
            place(&mut own, "BUY", "7", "0.0007")
        });
        let mut random = Random::new(7);
        let mut told: Vec<Event> = steady.take(1);
        let mut port = 0;
        // Comes back on the other shard again and again, sometimes while much has been missed.
        while !trader.is_finished() {
            port = 1 - port;
            let last = id(told.last().expect("some"));
            let mut stream = Stream::resume(ports[port], user, last);
            for _ in 0..random.below(12) {
                match stream.hear(Duration::from_millis(20)) {
                    super::client::Heard::Event(event) if event.kind != "market" => {
                        told.push(event)
                    }
                    _ => {}
                }
            }
        }
        let order = trader.join().expect("traded");
        let is_last =
            |event: &Event| event.kind == "order_update" && event.data["venue_order_id"] == order;
        let last = id(told.last().expect("some"));
        if !told.iter().any(is_last) {
            told.extend(Stream::resume(ports[1 - port], user, last).until(is_last));
        }
        let mut all = vec![told[0].clone()];
        all.extend(steady.until(is_last));
        let end = all.len();
        expect_whole(&all);
        expect_whole(&told);
        assert!(told.len() >= end, "{} of {end}", told.len());
        assert_eq!(plain(&told[..end]), plain(&all));
    });
}

#[test]
fn what_cannot_be_had_any_more_is_said() {
    let mut exchange = Exchange::open(2, 2);
    let user = FIRST_USER;
    let ports = [0, 1].map(|shard| exchange.server.shard_port(shard));
    let mut stream = Stream::user(ports[0], user);
    first_market(&mut stream);
    let mut client = exchange.user(user);
    place_and_cancel(&mut client);
    let first = stream.take(4);
    let after = id(&first[3]);
    drop(stream);
    // As many as are kept can be had, one more cannot.
    (0..KEPT / 4).for_each(|_| place_and_cancel(&mut client));
    let mut resumed = Stream::resume(ports[1], user, after);
    let missed = resumed.take(KEPT);
    expect_whole(&missed);
    assert_eq!(id(&missed[0]), (after.0, after.1 + 1));
    let too_old = id(&first[2]);
    let mut resumed = Stream::resume(ports[0], user, too_old);
    expect_replay_unavailable(&resumed.next(), too_old);
    // It goes on with what happens from now on, whole to its newest event.
    place_and_cancel(&mut client);
    let newest = (after.0, after.1 + KEPT as u64 + 4);
    let rest = resumed.until(|event| event.id == Some(newest));
    expect_whole(&rest);
    // Numbers that were never given.
    for unknown in [(after.0, newest.1 + 1), (after.0, u64::MAX), (after.0 + 1, 1), (1, 1)] {
        let mut resumed = Stream::resume(ports[1], user, unknown);
        expect_replay_unavailable(&resumed.next(), unknown);
        assert_eq!(resumed.drain(PAUSE), []);
    }
    for bad in ["1", "a-1", "1-2-3", "01-1"] {
        let header = format!("Last-Event-ID: {bad}\r\n");
        let refused = Stream::try_open(ports[0], &format!("?user_id={user}"), &header);
        let refused = refused.err().unwrap_or_else(|| panic!("{bad} is an id"));
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("bad_params")));
    }
    // Another run of the server.
    exchange.server.kill_and_restart();
    let mut resumed = Stream::resume(ports[0], user, newest);
    expect_replay_unavailable(&resumed.next(), newest);
    place_and_cancel(&mut exchange.user(user));
    let events = resumed.take(4);
    expect_whole(&events);
    assert!(id(&events[0]).0 > newest.0, "{events:?}");
}

#[test]
fn nobody_gets_a_stream_for_a_user_that_does_not_exist() {
    let exchange = Exchange::open(2, 1);
    for shard in 0..2 {
        let port = exchange.server.shard_port(shard);
        for query in ["?user_id=4242", "?user_id=4243", "?user_id=alice"] {
            let refused = Stream::try_open(port, query, "").err().expect("refused");
            assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("unauthorized")));
        }
        let refused = Stream::try_open(port, "", "X-User-ID: 4242\r\n").err().expect("refused");
        assert_eq!(refused.status, 401);
        // A page of another host cannot say who its user is.
        let foreign = "Origin: http://example.com\r\n";
        let refused = Stream::try_open(port, "?user_id=1001", foreign).err().expect("refused");
        assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("forbidden")));
        // Nobody in particular gets market data.
        let mut nobody = Stream::try_open(port, "", foreign).unwrap_or_else(|_| panic!("refused"));
        first_market(&mut nobody);
    }
}

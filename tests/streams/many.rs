//! Many streams at once, and quiet ones.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::client::{Heard, Stream};
use crate::support::exchange::{Exchange, FIRST_USER, limit, number};

#[test]
fn a_thousand_clients_each_see_their_own_order() {
    const USERS: u64 = 50;
    const STREAMS: u64 = 1_000;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("raised");
    let exchange = Exchange::open(2, USERS);
    let user_of = |stream: u64| FIRST_USER + stream % USERS;
    let mut streams: Vec<Stream> =
        (0..STREAMS).map(|stream| Stream::user(exchange.server.port, user_of(stream))).collect();
    // Whoever has its market data is followed: its user was confirmed before.
    for stream in &mut streams {
        let heard = stream.hear(Duration::from_secs(10));
        assert!(matches!(heard, Heard::Event(event) if event.kind == "market"));
    }
    let place = |user| {
        let placed = exchange.user(user).post("/api/v1/create_order", &limit("BUY", "1", "1", ""));
        number(&placed.data()["order_id"])
    };
    let orders: Vec<u64> = (FIRST_USER..FIRST_USER + USERS).map(place).collect();
    for (stream, index) in streams.iter_mut().zip(0..) {
        let events = stream.until(|event| event.kind == "order_update");
        let told = events.last().expect("some");
        assert_eq!(told.data["venue_order_id"], orders[(index % USERS) as usize]);
        let numbers: Vec<u64> = events.iter().map(|event| event.id.expect("an id").1).collect();
        assert_eq!(numbers, Vec::from_iter(1..=events.len() as u64));
    }
}

#[test]
fn a_quiet_stream_is_kept_alive() {
    let exchange = Exchange::open(1, 1);
    let mut stream = Stream::user(exchange.server.port, FIRST_USER);
    let heard = stream.hear(Duration::from_secs(10));
    assert!(matches!(heard, Heard::Event(event) if event.kind == "market"));
    let since = Instant::now();
    assert_eq!(stream.hear(Duration::from_secs(12)), Heard::Comment("keep-alive".to_owned()));
    assert!(since.elapsed() > Duration::from_secs(6), "after {:?}", since.elapsed());
}

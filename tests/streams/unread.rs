//! A stream that its client does not read.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket,
};

use super::client::Stream;
use crate::support::exchange::{Exchange, FIRST_USER, limit};
use crate::support::http::Client;
use crate::support::raw::{Raw, request};

/// Orders that are sent at once.
const BATCH: usize = 64;

/// A connection with little room for what is not read.
fn narrow(port: u16) -> TcpStream {
    let descriptor =
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).expect("a socket");
    setsockopt(&descriptor, RcvBuf, &4_096).expect("set");
    let server = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    connect(descriptor.as_raw_fd(), &server).expect("connected");
    TcpStream::from(descriptor)
}

fn slow_consumers(client: &mut Client) -> u64 {
    let metrics = client.get("/metrics");
    let lines = metrics.text().lines();
    let counts = lines.filter(|line| line.starts_with("ringbook_slow_consumers_total{"));
    counts
        .map(|line| line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a count"))
        .sum()
}

#[test]
fn a_stream_that_is_not_read_ends() {
    let exchange = Exchange::open(2, 1);
    let query = format!("?user_id={FIRST_USER}");
    let stream = Stream::try_open_on(narrow(exchange.server.shard_port(0)), &query, "");
    let stream = stream.unwrap_or_else(|answer| panic!("{answer}"));
    let mut admin = exchange.admin();
    let count = |admin: &mut Client| {
        admin.get("/api/v1/admin/sessions").data()["counts"]["EVENT_STREAM"].clone()
    };
    assert_eq!(count(&mut admin), 1);
    // One user on both sides: each trade makes eight events.
    let mut raw = Raw::open(exchange.server.port);
    let post = |side: &str, qty: &str| {
        request("POST", "/api/v1/create_order", "", &limit(side, "100", qty, ""))
    };
    let makers = post("SELL", "0.0001").repeat(BATCH);
    let taker = post("BUY", "0.0064");
    let since = Instant::now();
    while slow_consumers(&mut admin) == 0 {
        raw.send(&makers).send(&taker);
        for _ in 0..=BATCH {
            assert_eq!(raw.answer().status, 202);
        }
        assert!(since.elapsed() < Duration::from_secs(30), "nobody was too slow");
    }
    // Nobody has to wait for its client: a WebSocket has five seconds.
    let since = Instant::now();
    while count(&mut admin) != 0 {
        let waited = since.elapsed();
        assert!(
            waited < Duration::from_secs(12),
            "still open {} s after its end",
            waited.as_secs()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(stream);
}

//! How many connections there may be, and how fast who talks on them may be.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use serde_json::{Value, json};

use super::client::Stream;
use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, word};
use crate::support::http::Answer;
use crate::support::raw::Raw;
use crate::support::server::{Options, Server};
use crate::support::websocket::{Heard, Socket};
use crate::support::{LIMIT, wait_for};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn options(arguments: &[&str]) -> Options {
    let mut options = Options::shards(2);
    options.arguments.extend(arguments.iter().map(|&word| word.to_owned()));
    options
}

/// A connection that has been served, or what it was told instead.
fn knock(port: u16) -> Result<Raw, Answer> {
    let mut raw = Raw::open(port);
    raw.send(HEALTH);
    let answer = raw.answer();
    if answer.status == 200 { Ok(raw) } else { Err(answer) }
}

/// Exactly so many connections, once those of the start are gone.
fn fill(port: u16, most: usize) -> Vec<Raw> {
    wait_for("room for all", LIMIT, || (0..most).map(|_| knock(port).ok()).collect())
}

#[track_caller]
fn expect_refusal(answer: &Answer, limit: &str, most: usize) {
    assert_eq!(answer.error(), (503, 5001), "{answer}");
    assert!(answer.message().starts_with(&format!("UNAVAILABLE: {limit}: ")), "{answer}");
    assert!(answer.message().contains(&most.to_string()), "{answer}");
    assert_eq!(answer.header("connection"), Some("close"));
}

/// Panics unless one more is refused, and one less makes room.
#[track_caller]
fn expect_full(port: u16, mut open: Vec<Raw>, limit: &str) {
    let most = open.len();
    let refused = knock(port).err().expect("refused");
    expect_refusal(&refused, limit, most);
    // Who says nothing is told too, and so is who wants something else than HTTP.
    expect_refusal(&Raw::open(port).answer(), limit, most);
    let refused = Socket::try_open(port, "/ws").err().expect("refused");
    assert!(refused.starts_with("503") && refused.contains(limit), "{refused}");
    let refused = Stream::try_open(port, "", "").err().expect("refused");
    expect_refusal(&refused, limit, most);
    // Those that are open are served on.
    for raw in &mut open {
        assert_eq!(raw.send(HEALTH).answer().status, 200);
    }
    open.pop();
    let again = wait_for("room", LIMIT, || knock(port).ok());
    expect_refusal(&knock(port).err().expect("refused"), limit, most);
    // Whatever a connection has become, it is one.
    drop(again);
    let socket = wait_for("room", LIMIT, || Socket::try_open(port, "/ws").ok());
    expect_refusal(&knock(port).err().expect("refused"), limit, most);
    drop(socket);
    let stream = wait_for("room", LIMIT, || Stream::try_open(port, "", "").ok());
    expect_refusal(&knock(port).err().expect("refused"), limit, most);
    drop(stream);
    wait_for("room", LIMIT, || knock(port).ok());
}

#[test]
fn all_shards_together_have_so_many_connections() {
    let server = Server::start(options(&["--max-connections", "5"]));
    let open = fill(server.port, 5);
    expect_full(server.port, open, "max_connections");
}

#[test]
fn a_shard_has_so_many_connections() {
    let server = Server::start(options(&["--max-connections-per-shard", "3"]));
    let (full, other) = (server.shard_port(0), server.shard_port(1));
    let open = fill(full, 3);
    fill(other, 3);
    expect_full(full, open, "max_connections_per_shard");
}

#[test]
fn an_address_has_so_many_connections() {
    let server = Server::start(options(&["--max-connections-per-address", "4"]));
    let open = fill(server.port, 4);
    // Another address of this machine.
    let elsewhere = connect_from(Ipv4Addr::new(127, 0, 0, 2), server.port);
    let stream = Stream::try_open_on(elsewhere, "", "");
    assert!(stream.is_ok(), "refused");
    expect_full(server.port, open, "max_connections_per_address");
}

fn connect_from(address: Ipv4Addr, port: u16) -> TcpStream {
    let address = SockaddrIn::from(std::net::SocketAddrV4::new(address, 0));
    let SocketAddr::V4(server) = SocketAddr::from((Ipv4Addr::LOCALHOST, port)) else { panic!() };
    let descriptor =
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).expect("a socket");
    bind(descriptor.as_raw_fd(), &address).expect("bound");
    connect(descriptor.as_raw_fd(), &SockaddrIn::from(server)).expect("connected");
    TcpStream::from(descriptor)
}

#[test]
fn who_talks_too_fast_is_told_so_and_not_heard() {
    const RATE: usize = 5;
    const MANY: usize = 40;
    let exchange = Exchange::with(options(&["--max-messages-per-s", "5"]), 1);
    let port = exchange.server.port;
    let mut socket = Socket::user(port, FIRST_USER);
    let since = Instant::now();
    for _ in 0..MANY {
        socket.send(r#"{"type":"ping"}"#);
    }
    let answers: Vec<Value> = (0..MANY).map(|_| socket.next()).collect();
    let answered = answers.iter().filter(|answer| answer["type"] == "pong").count();
    // As many at once, and what has come back since.
    let most = RATE + 1 + (since.elapsed().as_millis() as usize * RATE).div_ceil(1_000);
    assert!((RATE..=most).contains(&answered), "{answered} of {most}");
    let refused = answers.iter().find(|answer| answer["type"] != "pong").expect("too many");
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(4291)), "{refused}");
    assert!(word(&refused["msg"]).starts_with("RATE_LIMITED: max_messages_per_s: "), "{refused}");
    // An order that is one too many is not placed, and another connection is not meant.
    let place = format!(
        r#"{{"type":"order.place","data":{{"symbol":"{SYMBOL}","side":"BUY","type":"LIMIT","price":"1","qty":"1"}}}}"#
    );
    for _ in 0..MANY {
        socket.send(&place);
    }
    let (mut placed, mut refused) = (0, 0);
    while placed + refused < MANY {
        let answer = socket.next();
        match word(&answer["type"]) {
            "order.place.success" => placed += 1,
            "error" => refused += 1,
            _ => {}
        }
    }
    assert!(refused > 0, "all were placed");
    let orders = exchange.user(FIRST_USER).get("/api/v1/orders").data();
    assert_eq!(orders.as_array().expect("orders").len(), placed);
    let mut other = Socket::user(port, FIRST_USER);
    assert_eq!(other.ask(&json!({"type": "ping", "id": 1}))["type"], "pong");
    // The dialect beside it, in its own words.
    let mut rpc = Socket::open(port, "/orders");
    for _ in 0..MANY {
        rpc.send(r#"{"method":"ping","id":1}"#);
    }
    let answers: Vec<Value> = (0..MANY).map(|_| rpc.next()).collect();
    let refused = answers.iter().find(|answer| answer["error"].is_object()).expect("too many");
    assert_eq!(refused["error"]["code"], 42901, "{refused}");
    assert_eq!(refused["error"]["details"]["field"], "max_messages_per_s", "{refused}");
    // After a second of silence it is heard again.
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(socket.ask(&json!({"type": "ping", "id": 2}))["type"], "pong");
    assert_eq!(socket.hear(Duration::ZERO), Heard::Nothing);
}

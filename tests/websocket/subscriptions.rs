//! What a connection gets is what it has asked for, once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, limit, word};
use crate::support::websocket::Socket;

/// Most subscriptions of one connection.
const MOST: usize = 1_024;
/// Time in which everything has come that comes at all.
const PAUSE: Duration = Duration::from_millis(350);
const KINDS: [&str; 12] = [
    "trades",
    "depth",
    "depth_realtime",
    "bbo",
    "ticker",
    "kline_1m",
    "kline_5m",
    "kline_15m",
    "kline_30m",
    "kline_1h",
    "kline_4h",
    "kline_1d",
];

fn change(socket: &mut Socket, kind: &str, channels: &[String]) -> Value {
    socket.ask(&json!({"type": kind, "channels": channels, "id": kind}))
}

/// Types of messages, each once.
fn kinds(messages: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<&str> = messages.iter().map(|message| word(&message["type"])).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// One trade of a new resting order.
fn trade(exchange: &Exchange) {
    exchange.user(FIRST_USER).trade(&limit("SELL", "100", "0.5", ""));
    exchange.user(FIRST_USER + 1).trade(&limit("BUY", "100", "0.5", ""));
}

#[test]
fn a_connection_has_1024_subscriptions_and_no_more() {
    let exchange = Exchange::open(2, 1);
    let mut channels = Vec::new();
    let letters: Vec<char> = ('A'..='Z').collect();
    while channels.len() < MOST + 2 * KINDS.len() {
        let number = channels.len() / KINDS.len();
        let base = format!("C{}{}", letters[number / 26], letters[number % 26]);
        exchange
            .admin()
            .post("/api/v1/admin/assets", &format!(r#"{{"asset":"{base}","decimals":8}}"#))
            .data();
        exchange.add_symbol(&format!(r#""symbol":"{base}_USDT","base":"{base}","quote":"USDT""#));
        channels.extend(KINDS.map(|kind| format!("{kind}:{base}_USDT")));
    }
    for (mut socket, most) in [
        (Socket::anonymous(exchange.server.shard_port(0)), MOST),
        // The three private channels are among them.
        (Socket::user(exchange.server.shard_port(1), FIRST_USER), MOST - 3),
    ] {
        let (first, second) = channels[..most].split_at(500);
        assert_eq!(change(&mut socket, "subscribe", first)["type"], "subscribe.success");
        let all = change(&mut socket, "subscribe", second);
        assert_eq!(all["channels"].as_array().map(Vec::len), Some(most - 500), "{all}");
        let refused = change(&mut socket, "subscribe", &channels[most..=most]);
        assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(1001)));
        assert!(
            word(&refused["msg"]).contains("channels") && word(&refused["msg"]).contains("1024")
        );
        // None of a list that is too long, not a part of it; those it has are no more.
        assert_eq!(change(&mut socket, "subscribe", first)["type"], "subscribe.success");
        assert_eq!(change(&mut socket, "unsubscribe", &first[..1])["type"], "unsubscribe.success");
        assert_eq!(change(&mut socket, "subscribe", &channels[most..most + 2])["type"], "error");
        assert_eq!(
            change(&mut socket, "subscribe", &channels[most..=most])["type"],
            "subscribe.success"
        );
        assert_eq!(socket.ask(&json!({"type": "ping", "id": "alive"}))["type"], "pong");
    }
}

#[test]
fn what_is_no_longer_subscribed_does_not_come() {
    let exchange = Exchange::open(2, 2);
    for shard in 0..2 {
        let mut socket = Socket::anonymous(exchange.server.shard_port(shard));
        let channels = KINDS.map(|kind| format!("{kind}:{SYMBOL}"));
        change(&mut socket, "subscribe", &channels);
        socket.drain(PAUSE);
        trade(&exchange);
        let told = socket.drain(PAUSE);
        assert_eq!(kinds(&told), ["bbo", "depth.update", "kline", "public.trade", "ticker"]);
        // One by one they fall silent.
        let mut wanted = vec!["bbo", "depth.update", "kline", "public.trade", "ticker"];
        for (kind, silent) in [("trades", "public.trade"), ("ticker", "ticker"), ("bbo", "bbo")] {
            let answer = change(&mut socket, "unsubscribe", &[format!("{kind}:{SYMBOL}")]);
            assert_eq!(answer["channels"], json!([format!("{kind}:{SYMBOL}")]));
            socket.drain(PAUSE);
            trade(&exchange);
            wanted.retain(|kind| *kind != silent);
            assert_eq!(kinds(&socket.drain(PAUSE)), wanted);
        }
        change(&mut socket, "unsubscribe", &channels);
        socket.drain(PAUSE);
        trade(&exchange);
        assert_eq!(socket.drain(PAUSE), Vec::<Value>::new());
        // And begins anew with a snapshot.
        change(&mut socket, "subscribe", &channels[1..2]);
        assert_eq!(socket.next()["type"], "depth.snapshot");
    }
}

#[test]
fn private_channels_can_be_given_up_too() {
    let exchange = Exchange::open(2, 2);
    let mut socket = Socket::user(exchange.server.port, FIRST_USER);
    let names = ["balance_updates", "trades"].map(str::to_owned);
    change(&mut socket, "unsubscribe", &names);
    trade(&exchange);
    assert_eq!(kinds(&socket.drain(PAUSE)), ["order.update"]);
    change(&mut socket, "subscribe", &names);
    trade(&exchange);
    assert_eq!(kinds(&socket.drain(PAUSE)), ["balance.update", "order.update", "trade"]);
}

#[test]
fn what_is_subscribed_twice_comes_once() {
    let exchange = Exchange::open(2, 2);
    let channel = [format!("trades:{SYMBOL}")];
    let twice = [channel[0].clone(), channel[0].clone()];
    let mut sockets: Vec<Socket> =
        (0..4).map(|number| Socket::anonymous(exchange.server.shard_port(number % 2))).collect();
    for socket in &mut sockets {
        assert_eq!(change(socket, "subscribe", &channel)["type"], "subscribe.success");
        assert_eq!(change(socket, "subscribe", &twice)["type"], "subscribe.success");
    }
    trade(&exchange);
    for socket in &mut sockets {
        let told = socket.drain(PAUSE);
        assert_eq!(told.len(), 1, "{told:?}");
    }
    // One goes and one gives up; the others are not disturbed.
    let gone = sockets.remove(0);
    drop(gone);
    assert_eq!(change(&mut sockets[0], "unsubscribe", &twice)["type"], "unsubscribe.success");
    trade(&exchange);
    let told: Vec<usize> = sockets.iter_mut().map(|socket| socket.drain(PAUSE).len()).collect();
    assert_eq!(told, [0, 1, 1]);
    // The user's own channel has the same name up to the symbol and is another one.
    let mut alice = Socket::user(exchange.server.port, FIRST_USER);
    change(&mut alice, "subscribe", &channel);
    trade(&exchange);
    let told = alice.drain(PAUSE);
    assert_eq!(kinds(&told), ["balance.update", "order.update", "public.trade", "trade"]);
}

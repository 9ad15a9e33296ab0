//! What clients say and are answered, also when it makes no sense.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, balance_of, number, word};
use crate::support::random::{Random, seed};
use crate::support::raw::Raw;
use crate::support::websocket::{Socket, parse, text_frame, upgrade_request};

const POLICY: u16 = 1008;
const PROTOCOL: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_LONG: u16 = 1009;

/// An order that is placed over `/ws`.
fn place(id: &str, side: &str, price: &str, qty: &str) -> Value {
    json!({"type": "order.place", "id": id, "data": {
        "symbol": SYMBOL, "side": side, "type": "LIMIT", "price": price, "qty": qty,
    }})
}

/// Panics unless it is an error with this code whose text begins with the field.
#[track_caller]
fn expect_error(answer: &Value, code: u64, field: &str) {
    assert_eq!((&answer["type"], number(&answer["code"])), (&json!("error"), code), "{answer}");
    let (_, detail) = word(&answer["msg"]).split_once(": ").expect("a detail");
    assert!(detail.starts_with(field), "{answer}: does not name {field}");
}

#[test]
fn orders_are_placed_canceled_and_queried() {
    for shards in [1, 2] {
        let exchange = Exchange::open(shards, 2);
        let mut alice = Socket::user(exchange.server.port, FIRST_USER);
        let mut bob = Socket::user(exchange.server.shard_port(shards - 1), FIRST_USER + 1);
        let placed = alice.ask(&place("sell", "SELL", "100", "2"));
        assert_eq!(placed["type"], "order.place.success");
        assert_eq!(placed["data"]["status"], "ACCEPTED");
        let order = number(&placed["data"]["order_id"]);
        let told = alice.next_of("order.update");
        assert_eq!(
            (&told["data"]["status"], number(&told["data"]["order_id"])),
            (&json!("NEW"), order)
        );

        let mut buy = place("buy", "BUY", "101", "0.5");
        buy["wait"] = true.into();
        let bought = bob.ask(&buy);
        assert_eq!(
            (&bought["type"], &bought["id"]),
            (&json!("order.place.success"), &json!("buy"))
        );
        assert_eq!(bought["data"]["status"], "FILLED");
        assert_eq!(bought["data"]["fills"][0]["price"], "100.00");
        let trade = alice.next_of("trade");
        assert_eq!(
            (&trade["data"]["role"], &trade["data"]["qty"]),
            (&json!("MAKER"), &json!("0.50000000"))
        );

        // What is answered is what HTTP answers.
        let queried =
            alice.ask(&json!({"type": "order.query", "id": 3, "data": {"order_id": order}}));
        assert_eq!(queried["type"], "order.query.success");
        let shown = exchange.user(FIRST_USER).get(&format!("/api/v1/order/{order}")).data();
        assert_eq!(queried["data"], shown);
        let cancel = json!({"type": "order.cancel", "id": 4.5, "data": {"order_id": order}});
        let canceled = alice.ask(&cancel);
        assert_eq!(
            (&canceled["type"], &canceled["data"]["status"]),
            (&json!("order.cancel.success"), &json!("CANCELED"))
        );
        expect_error(&alice.ask(&cancel), 4002, "");
        let unknown = json!({"type": "order.query", "id": 5, "data": {"order_id": 1}});
        expect_error(&alice.ask(&unknown), 4001, "");
        let (avail, frozen) = balance_of(&mut exchange.user(FIRST_USER), "BTC");
        assert_eq!((avail.as_str(), frozen.as_str()), ("999.50000000", "0.00000000"));
        exchange.proof();
    }
}

#[test]
fn ids_come_back_as_they_were_given_and_answers_can_overtake() {
    let exchange = Exchange::open(2, 1);
    let mut alice = Socket::user(exchange.server.port, FIRST_USER);
    for id in ["7", "-0", "1.50e+3", "9007199254740993", r#""""#, r#""\"\\ ü \u0001""#] {
        alice.send(&format!(r#"{{"type":"ping","id":{id}}}"#));
        let answer = alice.next();
        assert_eq!(answer["type"], "pong");
        let wanted: Value = parse(id);
        assert_eq!(answer["id"], wanted);
    }
    alice.send(r#"{"type":"ping"}"#);
    assert_eq!(alice.next(), json!({"type": "pong"}));
    // More at once than may be under way: all are answered, each once.
    const MANY: u64 = 300;
    for number in 0..MANY {
        alice.send(&place(&number.to_string(), "BUY", "1", "0.0001").to_string());
    }
    let mut answered = vec![0; MANY as usize];
    while answered.iter().sum::<u32>() < MANY as u32 {
        let message = alice.next();
        if message["type"] == "order.place.success" {
            answered[word(&message["id"]).parse::<usize>().expect("a number")] += 1;
        } else {
            assert!(message["id"].is_null(), "{message}");
        }
    }
    assert!(answered.iter().all(|&times| times == 1), "{answered:?}");
}

/// Who waits for each answer is read only behind it, and is noticed when it waits no longer.
#[test]
fn a_client_that_stops_waiting_for_its_answers_is_read_on() {
    /// Far more than it takes to be known as a client that waits, or as one that does not.
    const ONE_BY_ONE: u64 = 60;
    /// More than may be under way, and longer than one read takes.
    const AT_ONCE: u64 = 300;
    for shards in [1, 2] {
        let exchange = Exchange::open(shards, 1);
        let mut alice = Socket::user(exchange.server.port, FIRST_USER);
        let order = |id: String| place(&id, "BUY", "1", "0.0001");
        for round in 0..3 {
            for number in 0..ONE_BY_ONE {
                let answer = alice.ask(&order(format!("{round}-one-{number}")));
                assert_eq!(answer["type"], "order.place.success", "{answer}");
            }
            for number in 0..AT_ONCE {
                alice.send(&order(format!("{round}-many-{number}")).to_string());
            }
            // Is answered at once, and behind all of them.
            alice.send(r#"{"type":"ping","id":"last"}"#);
            let (mut answered, mut pongs) = (0, 0);
            while answered < AT_ONCE || pongs == 0 {
                match word(&alice.next()["type"]) {
                    "order.place.success" => answered += 1,
                    "pong" => pongs += 1,
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let exchange = Exchange::open(2, 1);
    let mut alice = Socket::user(exchange.server.port, FIRST_USER);
    let order = |change: &dyn Fn(&mut Value)| {
        let mut message = place("x", "BUY", "100", "1");
        change(&mut message["data"]);
        message
    };
    let bad: [(Value, u64, &str); 12] = [
        (order(&|data| data["side"] = "LONG".into()), 1001, "side"),
        (order(&|data| data["symbol"] = "NO_SUCH".into()), 1004, "symbol"),
        (order(&|data| data["price"] = "100.001".into()), 1003, "price"),
        (order(&|data| data["qty"] = "0".into()), 1003, "qty"),
        (order(&|data| data["qty"] = json!(null)), 1001, "qty"),
        (order(&|data| data["qty"] = "100000000".into()), 1002, ""),
        (json!({"type": "order.place", "id": "x"}), 1001, "data"),
        (json!({"type": "order.cancel", "id": "x", "data": {}}), 1001, ""),
        (json!({"type": "order.dance", "id": "x"}), 1001, "type"),
        (json!({"id": "x"}), 1001, "type"),
        (
            json!({"type": "subscribe", "id": "x", "channels": ["trades", "nothing"]}),
            1001,
            "channels[1]",
        ),
        (
            json!({"type": "subscribe", "id": "x", "channels": ["depth:NO_SUCH"]}),
            1004,
            "channels[0]",
        ),
    ];
    for (message, code, field) in &bad {
        let answer = alice.ask(message);
        expect_error(&answer, *code, field);
    }
    // Without an id that could be told again.
    for (text, field) in [
        ("nonsense", "message"),
        ("", "message"),
        ("[]", "message"),
        (r#"{"type":"ping","id":{}}"#, "id"),
        (r#"{"type":"ping"} x"#, "message"),
    ] {
        let answer = alice.send(text).next();
        expect_error(&answer, 1001, field);
    }
    let mut nobody = Socket::anonymous(exchange.server.port);
    expect_error(&nobody.ask(&place("x", "BUY", "100", "1")), 2001, "type");
    let private = json!({"type": "subscribe", "id": "y", "channels": ["order_updates"]});
    expect_error(&nobody.ask(&private), 2001, "channels[0]");
    // Nobody was closed for it.
    for socket in [&mut alice, &mut nobody] {
        assert_eq!(socket.ask(&json!({"type": "ping", "id": 1}))["type"], "pong");
    }
}

#[test]
fn who_is_not_known_is_told_so_and_closed() {
    let exchange = Exchange::open(2, 1);
    for shard in 0..2 {
        let port = exchange.server.shard_port(shard);
        // Some of them would live on each shard.
        for user in [1, 2, 3, 999_999] {
            let (messages, code) = Socket::open(port, &format!("/ws?user_id={user}"))
                .read_to_close(Duration::from_secs(10));
            assert_eq!((messages.len(), code), (1, Some(POLICY)), "{messages:?}");
            assert_eq!(
                (&messages[0]["type"], &messages[0]["code"]),
                (&json!("auth.error"), &json!(2002))
            );
            assert!(word(&messages[0]["msg"]).contains("user_id"), "{messages:?}");
        }
        let mut socket = Socket::anonymous(port);
        socket.send(r#"{"type":"auth","token":"no-such-token","id":1}"#);
        let (messages, code) = socket.read_to_close(Duration::from_secs(10));
        assert_eq!((&messages[0]["type"], code), (&json!("auth.error"), Some(POLICY)));
        let refused = Socket::try_open(port, "/ws?user_id=alice").err().expect("refused");
        assert!(refused.starts_with("401") && refused.contains("user_id"), "{refused}");
    }
}

#[test]
fn binary_and_broken_frames_get_an_error_and_a_code() {
    let exchange = Exchange::open(1, 1);
    let port = exchange.server.port;
    let mut alice = Socket::user(port, FIRST_USER);
    let answer = alice.send_binary(b"\x00\x01binary").next();
    expect_error(&answer, 1001, "message");
    // One that is too long ends the connection, and so does what is no WebSocket.
    alice.send(&"x".repeat(70_000));
    assert_eq!(alice.read_to_close(Duration::from_secs(10)).1, Some(TOO_LONG));
    let unmasked = b"\x81\x02hi".to_vec();
    let reserved = vec![0xf1, 0x80, 0, 0, 0, 0];
    let not_utf8 = vec![0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28];
    for (frame, code) in [(unmasked, PROTOCOL), (reserved, PROTOCOL), (not_utf8, NOT_UTF8)] {
        let mut raw = Raw::open(port);
        raw.send(upgrade_request("/ws"));
        assert_eq!(raw.try_answer().expect("an answer").status, 101);
        raw.send(&frame);
        assert_eq!(close_code(&mut raw), Some(code), "{frame:02x?}");
    }
}

/// The code of the close frame that comes after whatever else.
fn close_code(raw: &mut Raw) -> Option<u16> {
    const CLOSE: u8 = 0x88;
    let mut bytes = Vec::new();
    loop {
        let more = raw.bytes();
        if more.is_empty() {
            break;
        }
        bytes.extend(more);
    }
    let mut rest = bytes.as_slice();
    while let [kind, length, payload @ ..] = rest {
        let length = usize::from(*length);
        if *kind == CLOSE {
            return payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
        }
        rest = payload.get(length..)?;
    }
    None
}

#[test]
fn who_sends_noise_disturbs_nobody() {
    let random = &mut Random::new(seed("RINGBOOK_NOISE_SEED", "websocket"));
    let mut exchange = Exchange::open(2, 2);
    let mut alice = Socket::user(exchange.server.port, FIRST_USER);
    for round in 0..150 {
        let mut raw = Raw::open(exchange.server.shard_port(round % 2));
        raw.send(upgrade_request(&format!("/ws?user_id={FIRST_USER}")));
        if random.chance(30) {
            let noise: Vec<u8> = (0..random.below(3_000)).map(|_| random.next() as u8).collect();
            raw.send(noise);
        } else {
            // Frames that are right, around text that is nearly.
            let good = place("n", "BUY", "100", "1").to_string();
            for _ in 0..random.below(20) {
                let mut text = good.clone().into_bytes();
                for _ in 0..random.below(4) {
                    let at = random.below(text.len() as u64) as usize;
                    text[at] = b"{}[]\",:0x "[random.below(10) as usize];
                }
                raw.send(text_frame(std::str::from_utf8(&text).expect("ASCII")));
            }
        }
        if random.chance(50) {
            raw.finish();
        }
    }
    assert_eq!(alice.ask(&json!({"type": "ping", "id": "still"}))["type"], "pong");
    let mut bob = Socket::user(exchange.server.port, FIRST_USER + 1);
    assert_eq!(bob.ask(&place("b", "SELL", "500", "1"))["type"], "order.place.success");
    exchange.proof();
    assert!(exchange.server.is_running());
}

#[test]
fn messages_behind_the_upgrade_request_are_answered() {
    let exchange = Exchange::open(2, 1);
    for shard in 0..2 {
        for path in ["/ws".to_owned(), format!("/ws?user_id={FIRST_USER}")] {
            let is_known = path.contains("user_id");
            let mut bytes = upgrade_request(&path);
            bytes.extend(text_frame(r#"{"type":"ping","id":"first"}"#));
            let subscribe = format!(r#"{{"type":"subscribe","channels":["bbo:{SYMBOL}"],"id":2}}"#);
            bytes.extend(text_frame(&subscribe));
            if is_known {
                // Its user is known before it is read, though that is asked on another shard.
                bytes.extend(text_frame(&place("order", "BUY", "1", "1").to_string()));
            }
            bytes.extend(text_frame(r#"{"type":"ping","id":"last"}"#));
            let mut raw = Raw::open(exchange.server.shard_port(shard));
            raw.send(bytes);
            let answer = raw.try_answer().expect("an answer");
            assert_eq!(answer.status, 101, "{answer}");
            assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            let wanted: &[&str] = match is_known {
                true => &[
                    r#""first""#,
                    "subscribe.success",
                    r#""last""#,
                    "order.place.success",
                    "balance.update",
                ],
                false => &[r#""first""#, "subscribe.success", r#""last""#],
            };
            let mut text = String::new();
            while !wanted.iter().all(|word| text.contains(word)) {
                let more = raw.bytes();
                assert!(!more.is_empty(), "{path} at shard {shard}: ended after {text}");
                text += &String::from_utf8_lossy(&more);
            }
            assert!(text.find("connected") < text.find("first"), "{text}");
        }
    }
}

#[test]
fn every_client_is_told_that_the_server_goes() {
    const GOING_AWAY: u16 = 1001;
    let mut exchange = Exchange::open(2, 4);
    let mut sockets = Vec::new();
    for shard in 0..2 {
        sockets.push(Socket::anonymous(exchange.server.shard_port(shard)));
        for user in FIRST_USER..FIRST_USER + 4 {
            sockets.push(Socket::user(exchange.server.shard_port(shard), user));
        }
    }
    // One in the middle of something.
    sockets[1].send(&place("last", "BUY", "1", "1").to_string());
    sockets[1].answer(&json!("last"));
    exchange.server.terminate();
    for socket in &mut sockets {
        assert_eq!(socket.read_to_close(Duration::from_secs(10)).1, Some(GOING_AWAY));
    }
    assert!(exchange.server.wait_for_exit().success(), "{}", exchange.server.log());
}

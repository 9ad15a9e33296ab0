//! Requests that two readers could understand in two ways: the server understands them in none, and
//! closes. Behind each waits an order with good credentials, which must never be placed.

use serde_json::Value;

use super::stand::{ALICE, ORDER, Stand, order};
use crate::support::raw::Raw;

/// Stands for the smuggled request, and for its length and that of what is before it.
const SMUGGLED: &str = "{S}";

/// What follows the headers of a request to cancel nothing; its headers; the status.
///
/// `{S}` is the order, `{s}` its length, `{s+5}` that of `0 CR LF CR LF` and it together.
#[rustfmt::skip]
const AMBIGUOUS: &[(&str, &str, u16)] = &[
    // Two lengths of one body.
    ("Content-Length: {s+5}\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\nContent-Length: {s+5}\r\n", "0\r\n\r\n{S}", 400),
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{S}", 400),
    ("Content-Length: 0\r\nContent-Length: {s}\r\n", "{S}", 400),
    ("Content-Length: {s}\r\nContent-Length: 0\r\n", "{S}", 400),
    ("Content-Length: 0\r\ncontent-length: 0\r\n", "{S}", 400),
    // What is no length.
    ("Content-Length: +0\r\n", "{S}", 400),
    ("Content-Length: -0\r\n", "{S}", 400),
    ("Content-Length: 0, 0\r\n", "{S}", 400),
    ("Content-Length: 0,{s}\r\n", "{S}", 400),
    ("Content-Length: 0 0\r\n", "{S}", 400),
    ("Content-Length: 0x0\r\n", "{S}", 400),
    ("Content-Length: 0;\r\n", "{S}", 400),
    ("Content-Length: 0.0\r\n", "{S}", 400),
    ("Content-Length: \"0\"\r\n", "{S}", 400),
    ("Content-Length:\r\n", "{S}", 400),
    ("Content-Length: 0\u{b}\r\n", "{S}", 400),
    ("Content-Length: \u{660}\r\n", "{S}", 400),
    ("Content-Length: 18446744073709551616\r\n", "{S}", 413),
    ("Content-Length : 0\r\n", "{S}", 400),
    // What is no chunk.
    ("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "+0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "-0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", " 0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0g\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", ";a=b\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "00000000000000000\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFF\r\n\r\n{S}", 413),
    ("Transfer-Encoding: chunked\r\n", "0\n\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0\r\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0;a\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0;a\u{0}\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "2\r\n{}0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "2\r\n{}\n0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "2\r\n{}  0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0\r\n : x\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\n", "0\r\nX: y\n\n{S}", 400),
    // Codings that one reader knows and another does not.
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding : chunked\r\nContent-Length: {s+5}\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding:\u{b}chunked\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding:\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    ("\u{0}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}", 400),
    // Heads that end in two places.
    ("X: y\n\n{S}", "", 400),
    ("X: y\r\n\n{S}", "", 400),
    ("X: y\n\r\n{S}", "", 400),
    ("X: y\r\r\n\r\n{S}", "", 400),
    ("X: a\u{0}b\r\n", "{S}", 400),
    ("X\u{0}: b\r\n", "{S}", 400),
    ("X: a\r\n b\r\n", "{S}", 400),
    ("X: a\r\n\tb\r\n", "{S}", 400),
    ("X\r\n", "{S}", 400),
    (": x\r\n", "{S}", 400),
    // Two opinions of where it goes.
    ("Host: elsewhere\r\n", "{S}", 400),
    ("host: localhost\r\n", "{S}", 400),
];

/// Whole request lines and hosts in place of the good ones.
#[rustfmt::skip]
const HEADS: &[(&str, u16)] = &[
    ("POST /api/v1/cancel_order HTTP/1.1\r\n", 400),
    ("POST http://elsewhere/api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST http://localhost@elsewhere/api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST //elsewhere/api HTTP/1.1 \r\nHost: localhost\r\n", 400),
    ("POST  /api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST\t/api/v1/cancel_order\tHTTP/1.1\r\nHost: localhost\r\n", 400),
    (" POST /api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST /api/v1/cancel_order HTTP/1.1\nHost: localhost\r\n", 400),
    ("POST /api/v1/cancel_order\r\nHost: localhost\r\n", 400),
    ("POST /api/v1/cancel_order HTTP/2.0\r\nHost: localhost\r\n", 505),
    ("POST /api/v1/cancel_order HTTP/1.2\r\nHost: localhost\r\n", 505),
    ("POST /api/v1/cancel_order#x HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST elsewhere:443 HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST /api/v1/cancel_order HTTP/1.1\r\n Host: localhost\r\n", 400),
    ("\nPOST /api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("\r\rPOST /api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n", 400),
    ("POST /api/v1/cancel_order HTTP/1.1\r\n\u{0}Host: localhost\r\n", 400),
];

/// A good order, as it goes over the wire.
fn smuggled(bearer: &str) -> String {
    let body = order("smuggled");
    let length = body.len();
    format!(
        "POST {ORDER} HTTP/1.1\r\nHost: localhost\r\n{bearer}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn open_orders(stand: &Stand, bearer: &str) -> Value {
    stand.at(0).call_with("GET", "/api/v1/orders", bearer, "").data()
}

/// One answer of this status, the end, and no order.
#[track_caller]
fn expect_nothing(stand: &Stand, bearer: &str, bytes: &str, status: u16) {
    for pieces in [1, 2] {
        let mut raw = Raw::open(stand.server.shard_port(0));
        // Also with the order in a packet of its own.
        let at = bytes.rfind("POST").filter(|_| pieces == 2).unwrap_or(bytes.len());
        raw.send(&bytes[..at]);
        if at < bytes.len() {
            std::thread::sleep(std::time::Duration::from_millis(2));
            raw.send(&bytes[at..]);
        }
        // Where the server only waits for more of a head, it learns that there is none.
        raw.finish();
        let answers = raw.answers_to_end();
        let found: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(found, [status], "{bytes:?} {answers:?}");
        assert_eq!(answers[0].header("connection"), Some("close"), "{bytes:?}");
    }
    let open = open_orders(stand, bearer);
    assert_eq!(open.as_array().expect("orders").len(), 0, "smuggled by {bytes:?}: {open}");
}

#[test]
fn nothing_is_smuggled_behind_a_request_of_two_meanings() {
    let stand = Stand::unlimited();
    let bearer = stand.bearer(ALICE);
    let order = smuggled(&bearer);
    let line = "POST /api/v1/cancel_order HTTP/1.1\r\nHost: localhost\r\n";
    for (headers, behind, status) in AMBIGUOUS {
        let fill = |text: &str| {
            text.replace("{s+5}", &(order.len() + 5).to_string())
                .replace("{s}", &order.len().to_string())
                .replace(SMUGGLED, &order)
        };
        let bytes = format!("{line}{bearer}{}\r\n{}", fill(headers), fill(behind));
        expect_nothing(&stand, &bearer, &bytes, *status);
    }
    for (head, status) in HEADS {
        expect_nothing(&stand, &bearer, &format!("{head}{bearer}\r\n{order}"), *status);
    }
    // Who could smuggle could place this: the order itself is good.
    let mut raw = Raw::open(stand.server.shard_port(0));
    assert_eq!(raw.send(&order).answer().status, 202);
    assert_eq!(open_orders(&stand, &bearer).as_array().expect("orders").len(), 1);
}

/// Bodies hold what looks like a request; what comes behind them is one.
#[test]
fn a_body_is_no_request_and_what_is_behind_it_is_one() {
    let stand = Stand::unlimited();
    let bearer = stand.bearer(ALICE);
    let order = smuggled(&bearer);
    let length = order.len();
    let hosts = format!("Host: localhost\r\n{bearer}");
    for head in [
        format!("GET /api/v1/me HTTP/1.1\r\n{hosts}Content-Length: {length}\r\n\r\n{order}"),
        format!("HEAD /healthz HTTP/1.1\r\n{hosts}Content-Length: {length}\r\n\r\n{order}"),
        format!("DELETE /api/v1/orders HTTP/1.1\r\n{hosts}Content-Length: {length}\r\n\r\n{order}"),
        format!(
            "GET /api/v1/me HTTP/1.1\r\n{hosts}Transfer-Encoding: chunked\r\n\r\n\
             {length:x};x=\"y\"\r\n{order}\r\n0\r\nX: y\r\n\r\n"
        ),
        format!(
            "GET http://LOCALHOST/api/v1/me HTTP/1.1\r\n{hosts}Content-Length: {length}\r\n\r\n{order}"
        ),
    ] {
        let mut raw = Raw::open(stand.server.shard_port(1));
        raw.send(format!("{head}GET /api/v1/orders HTTP/1.1\r\n{hosts}\r\n"));
        match head.starts_with("HEAD") {
            true => assert_eq!(raw.answer_to_head().status, 200, "{head}"),
            false => assert_eq!(raw.answer().status, 200, "{head}"),
        }
        let orders = raw.answer().data();
        assert_eq!(orders.as_array().expect("orders").len(), 0, "{head}: {orders}");
    }
    // An upgrade takes all that comes behind it, and none of it as HTTP.
    let upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut raw = Raw::open(stand.server.shard_port(0));
    assert_eq!(raw.send(format!("{upgrade}\r\n{order}")).answer().status, 101);
    while !raw.bytes().is_empty() {}
    let mut raw = Raw::open(stand.server.shard_port(0));
    let bytes = format!("{upgrade}Content-Length: {length}\r\n\r\n{order}");
    assert_eq!(raw.send(bytes).answer().status, 400);
    assert_eq!(open_orders(&stand, &bearer).as_array().expect("orders").len(), 0);
}

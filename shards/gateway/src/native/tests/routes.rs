//! Who may ask, when, and how connections are kept.

use super::super::{Serving, draining, internal, not_ready, overloaded};
use super::Exchange;
use crate::http::response::Framing;
use crate::http::{Connection, RejectionReason};
use crate::native::action::{Respond, Shape};

#[test]
fn who_asks_must_be_said_and_be_known() {
    let mut exchange = Exchange::open();
    let mut ask = |headers: &str| exchange.call("GET", "/api/v1/balances", headers, "").error();
    assert_eq!(ask(""), (401, 2001, "MISSING_AUTH: X-User-ID: header is required".into()));
    for bad in ["abc", "", "-1", "1.0", "9007199254740992", "99999999999999999999999", "+5"] {
        let (status, code, message) = ask(&format!("X-User-ID: {bad}\r\n"));
        assert_eq!((status, code), (401, 2002), "{bad}: {message}");
    }
    assert_eq!(
        ask("X-User-ID: 4242\r\n"),
        (401, 2002, "AUTH_FAILED: X-User-ID: unknown user".into())
    );
    exchange.auth.is_development = false;
    let (status, code, _) = exchange.taker("GET", "balances", "").error();
    assert_eq!((status, code), (401, 2002));
}

#[test]
fn only_the_administrator_administrates() {
    let mut exchange = Exchange::open();
    let mut ask = |headers: &str| exchange.call("GET", "/api/v1/admin/proof", headers, "").error();
    assert_eq!((ask("").0, ask("").1), (401, 2001));
    assert_eq!(ask("X-User-ID: 1001\r\n").1, 2003);
    for bad in ["", "dev-admi", "dev-admin2", "DEV-ADMIN"] {
        let (status, code, _) = ask(&format!("X-Admin-Token: {bad}\r\n"));
        assert_eq!((status, code), (403, 2003), "{bad}");
    }
    exchange.auth.admin_token = None;
    let headers = "X-Admin-Token: \r\n";
    assert_eq!(exchange.call("GET", "/api/v1/admin/proof", headers, "").error().1, 2003);
}

#[test]
fn shards_tell_where_things_are_to_anybody() {
    let mut exchange = Exchange::open();
    let shards = exchange.public("shards").data();
    assert_eq!((&shards["shards"], &shards["port"]), (&1.into(), &8080.into()));
    assert!(shards["user_shard"].is_null());
    assert_eq!(shards["shard_ports"][0], 8081);
    assert_eq!(shards["symbols"][1]["symbol"], "ESH4_USDT");
    assert_eq!(exchange.taker("GET", "shards", "").data()["user_shard"], 0);
}

#[test]
fn a_server_that_does_not_serve_says_when_to_come_again() {
    let mut exchange = Exchange::open();
    assert_eq!(exchange.call("GET", "/readyz", "", "").status, 200);
    for (serving, closes) in [(Serving::Recovering, false), (Serving::Draining, true)] {
        exchange.serving = serving;
        let answered = exchange.taker("GET", "balances", "");
        assert_eq!((answered.error().0, answered.error().1), (503, 5001));
        assert!(answered.head.contains("retry-after: 1\r\n"), "{}", answered.head);
        assert_eq!(answered.head.contains("connection: close\r\n"), closes);
        assert_eq!(exchange.call("GET", "/readyz", "", "").status, 503);
        assert_eq!(exchange.call("GET", "/healthz", "", "").status, 200);
        assert_eq!(exchange.call("GET", "/metrics", "", "").body, "x 1\n");
    }
}

#[test]
fn head_and_options_are_answered_without_a_body() {
    let mut exchange = Exchange::open();
    let get = exchange.public("public/symbols");
    let head = exchange.call("HEAD", "/api/v1/public/symbols", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.head, get.head);
    let options = exchange.call("OPTIONS", "/api/v1/orders", "", "");
    assert_eq!((options.status, options.body.as_str()), (204, ""));
    assert!(options.head.contains("allow: GET, HEAD, DELETE, OPTIONS"), "{}", options.head);
    assert!(!options.head.contains("content-length"));
    assert_eq!(exchange.send("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status, 204);
    let wrong = exchange.taker("GET", "create_order", "");
    assert!(wrong.head.contains("allow: POST, OPTIONS\r\n"), "{}", wrong.head);
    assert_eq!(exchange.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").error().1, 1006);
}

#[test]
fn the_connection_header_says_what_the_client_must_know() {
    let mut exchange = Exchange::open();
    let mut header = |text: &str| {
        let head = exchange.send(text).head;
        head.lines().find(|line| line.starts_with("connection")).map(str::to_owned)
    };
    assert_eq!(header("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), None);
    assert_eq!(header("GET /healthz HTTP/1.0\r\n\r\n").as_deref(), Some("connection: close"));
    assert_eq!(
        header("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").as_deref(),
        Some("connection: keep-alive")
    );
    assert_eq!(
        header("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_deref(),
        Some("connection: close")
    );
}

#[test]
fn a_rejection_is_answered_in_the_envelope_and_closes() {
    let mut connection = Connection::new();
    connection.feed(b"GET /slow");
    assert_eq!(connection.next_request(), Ok(None));
    let rejection = connection.reject(RejectionReason::HeadTimeout);
    connection.complete(rejection.slot, |out| super::super::reject(&rejection, out));
    let text = String::from_utf8(connection.output().to_vec()).unwrap();
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
    assert!(text.contains("connection: close\r\n"));
    assert!(text.ends_with(
        "{\"code\":1000,\"msg\":\"BAD_REQUEST: request: headers were not complete within 10000 ms\",\"data\":null}"
    ));
}

#[test]
fn the_answers_of_the_runtime_are_in_the_envelope() {
    let framing =
        Framing { persistence: crate::http::Persistence::KeepAlive, is_head: false, budget: None };
    let respond = Respond { shape: Shape::Own, framing };
    let write = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let text = write(&|out| overloaded(&respond, out));
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: 1\r\n"), "{text}");
    assert!(text.contains("\"code\":5001,\"msg\":\"UNAVAILABLE: "), "{text}");
    assert!(write(&|out| not_ready(&respond, out)).contains("being recovered"));
    assert!(write(&|out| draining(&respond, out)).contains("connection: close\r\n"));
    assert!(write(&|out| internal(&respond, "x", out)).starts_with("HTTP/1.1 500 "));
}

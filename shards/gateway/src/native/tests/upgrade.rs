//! `GET /ws`: who gets a WebSocket, as whom, and what the others are told.

use super::super::Action;
use super::super::ws::Credential;
use super::{Answered, Exchange};
use crate::auth::{Hidden, Shown};
use crate::http::Connection;

const HEADERS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn open(exchange: &mut Exchange, target: &str, headers: &str) -> Answered {
    exchange.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n{HEADERS}{headers}\r\n"))
}

fn credential(target: &str, headers: &str) -> Credential {
    let exchange = Exchange::open();
    let mut connection = Connection::new();
    connection
        .feed(format!("GET {target} HTTP/1.1\r\nHost: x\r\n{HEADERS}{headers}\r\n").as_bytes());
    let request = connection.next_request().unwrap().unwrap();
    match crate::enter(&request, &exchange.context(), std::net::Ipv4Addr::LOCALHOST.into()).action {
        Action::Upgrade(upgrade) => upgrade.credential,
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn a_websocket_is_opened_for_whom_it_says() {
    let user = Exchange::open().caller(Some(money::UserId(1001)));
    assert_eq!(credential("/ws", ""), Credential::None);
    assert_eq!(credential("/ws?user_id=1001", ""), Credential::Caller(user));
    assert_eq!(credential("/ws", "X-User-ID: 1001\r\n"), Credential::Caller(user));
    let both = credential("/ws?user_id=1001", "X-User-ID: 1001\r\n");
    assert_eq!(both, Credential::Caller(user));
    assert_eq!(
        credential("/ws?token=a%2Eb", ""),
        Credential::Shown(Shown::Token(Hidden::new("a.b")))
    );
    let answered = open(&mut Exchange::open(), "/ws?user_id=1001", "");
    assert_eq!((answered.status, answered.body.as_str()), (101, ""));
    assert!(answered.head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn what_is_no_websocket_is_told_what_is_missing() {
    let mut exchange = Exchange::open();
    let plain = exchange.call("GET", "/ws", "", "");
    let (status, code, message) = plain.error();
    assert_eq!((status, code), (426, 1009));
    assert!(message.starts_with("UPGRADE_REQUIRED: Upgrade: "), "{message}");
    for header in ["upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"] {
        assert!(plain.head.contains(&format!("{header}\r\n")), "{}", plain.head);
    }
    let head = exchange.call("HEAD", "/ws", "", "");
    assert_eq!((head.status, head.body.as_str()), (426, ""));
    let old = exchange.send(&format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\n{}\r\n",
        HEADERS.replace("Version: 13", "Version: 8")
    ));
    assert_eq!(
        old.error(),
        (426, 1009, "UPGRADE_REQUIRED: Sec-WebSocket-Version: must be 13".into())
    );
    let keyless = exchange.send(&format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\n{}\r\n",
        HEADERS.replace("Sec-WebSocket-Key: d", "Sec-WebSocket-Key: ")
    ));
    let (status, code, message) = keyless.error();
    assert_eq!((status, code), (400, 1001));
    assert!(message.starts_with("INVALID_PARAMETER: Sec-WebSocket-Key: must be"), "{message}");
    assert_eq!(exchange.call("POST", "/ws", "", "{}").error().1, 1007);
}

#[test]
fn who_is_nobody_gets_no_websocket() {
    let mut exchange = Exchange::open();
    for (target, headers, status, code, message) in [
        ("/ws?user_id=", "", 401, 2002, "user_id: is not a user id"),
        ("/ws?user_id=-1", "", 401, 2002, "user_id: is not a user id"),
        ("/ws?user_id=9007199254740992", "", 401, 2002, "user_id: is not a user id"),
        ("/ws", "X-User-ID: me\r\n", 401, 2002, "X-User-ID: is not a user id"),
        ("/ws?user_id=1", "X-User-ID: 2\r\n", 400, 1001, "user_id: differs from X-User-ID"),
        ("/ws?user_id=1&user_id=1", "", 400, 1001, "user_id: is given twice"),
        ("/ws?user_id=1&token=x", "", 400, 1001, "token: cannot be given together"),
        ("/ws?token=%ff", "", 400, 1001, "token: is not percent-encoded"),
    ] {
        let (got_status, got_code, got) = open(&mut exchange, target, headers).error();
        assert_eq!((got_status, got_code), (status, code), "{target} {headers}: {got}");
        assert!(got.split_once(": ").unwrap().1.starts_with(message), "{target}: {got}");
    }
    exchange.auth.is_development = false;
    let (status, code, message) = open(&mut exchange, "/ws?user_id=1001", "").error();
    assert_eq!((status, code), (401, 2002), "{message}");
    assert_eq!(open(&mut exchange, "/ws", "").status, 101);
}

#[test]
fn a_page_of_another_host_cannot_trade_through_its_visitors_browser() {
    let mut exchange = Exchange::open();
    for origin in ["http://evil.com", "null", "http://localhost.evil.com:8080"] {
        let origin = format!("Origin: {origin}\r\n");
        let (status, code, message) = open(&mut exchange, "/ws?user_id=1001", &origin).error();
        assert_eq!((status, code), (403, 2003), "{message}");
        assert_eq!(open(&mut exchange, "/ws", &origin).status, 101);
    }
    let local = "Origin: http://localhost:5173\r\n";
    assert_eq!(open(&mut exchange, "/ws?user_id=1001", local).status, 101);
    let two = format!("{local}Origin: http://evil.com\r\n");
    assert_eq!(open(&mut exchange, "/ws?user_id=1001", &two).status, 403);
}

#[test]
fn a_server_that_does_not_serve_opens_no_websocket() {
    let mut exchange = Exchange::open();
    exchange.serving = super::Serving::Draining;
    let answered = open(&mut exchange, "/ws", "");
    assert_eq!((answered.error().0, answered.error().1), (503, 5001));
}

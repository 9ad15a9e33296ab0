//! Who gets a WebSocket, and what the others are told.

use money::UserId;

use super::{Endpoint, exchange};
use crate::auth::{Hidden, Shown};
use crate::http::Connection;
use crate::native::tests::Exchange;
use crate::native::ws::Credential;
use crate::native::{Action, Serving};
use crate::rpc::endpoint;

const HEADERS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn ask(exchange: &Exchange, method: &str, target: &str, headers: &str) -> Action {
    let mut connection = Connection::new();
    let text = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    assert_eq!(connection.feed(text.as_bytes()), text.len());
    let request = connection.next_request().unwrap().unwrap();
    crate::enter(&request, &exchange.context(), std::net::Ipv4Addr::LOCALHOST.into()).action
}

fn open(exchange: &Exchange, target: &str, headers: &str) -> Action {
    ask(exchange, "GET", target, &format!("{HEADERS}{headers}"))
}

fn answer(action: Action) -> String {
    match action {
        Action::Answer(answer) => String::from_utf8(answer.bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_endpoint_is_found_by_its_path() {
    for at in [Endpoint::Orders, Endpoint::MarketData, Endpoint::UserData] {
        assert_eq!(endpoint(at.path()), Some(at));
    }
    for path in ["/", "/orders/", "/Orders", "/market_data", "/ws", ""] {
        assert_eq!(endpoint(path), None, "{path}");
    }
}

#[test]
fn a_websocket_is_opened_for_whom_it_says() {
    let exchange = exchange();
    let user = Credential::Caller(exchange.caller(Some(UserId(1001))));
    for (target, headers, wanted) in [
        ("/orders", "", Credential::None),
        ("/user-data?user_id=1001", "", user.clone()),
        ("/market-data", "X-User-ID: 1001\r\n", user),
        ("/orders?token=a.b", "", Credential::Shown(Shown::Token(Hidden::new("a.b")))),
    ] {
        let Action::Upgrade(upgrade) = open(&exchange, target, headers) else { panic!("{target}") };
        assert_eq!(upgrade.credential, wanted, "{target}");
        assert!(upgrade.answer.starts_with(b"HTTP/1.1 101 "));
    }
    let wrong = answer(open(&exchange, "/orders?user_id=me", ""));
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
}

#[test]
fn what_is_no_websocket_is_told_what_is_missing() {
    let mut exchange = exchange();
    for (method, target, status) in [
        ("GET", "/orders", "426"),
        ("HEAD", "/market-data", "426"),
        ("POST", "/orders", "405"),
        ("OPTIONS", "/user-data", "204"),
        ("GET", "/elsewhere", "404"),
    ] {
        let told = answer(ask(&exchange, method, target, ""));
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {target}: {told}");
    }
    exchange.serving = Serving::Draining;
    let told = answer(open(&exchange, "/orders", ""));
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("connection: close"), "{told}");
}

/// `auth.login` of a user id would let it in where `?user_id=` does not.
#[test]
fn a_page_of_another_host_cannot_trade_through_its_visitors_browser() {
    let mut exchange = exchange();
    let evil = "Origin: http://evil.com\r\n";
    for target in ["/orders", "/user-data", "/orders?token=x", "/market-data?user_id=1001"] {
        let told = answer(open(&exchange, target, evil));
        assert!(told.starts_with("HTTP/1.1 403 "), "{target}: {told}");
    }
    assert!(matches!(open(&exchange, "/market-data", evil), Action::Upgrade(_)));
    let local = "Origin: http://localhost:5173\r\n";
    assert!(matches!(open(&exchange, "/orders", local), Action::Upgrade(_)));
    exchange.auth.is_development = false;
    assert!(matches!(open(&exchange, "/orders", evil), Action::Upgrade(_)));
}

//! Which paths are the dialect's, who may ask, when, and from which page.

use super::{error, taker};
use crate::desk::{Kind, owns};
use crate::http::response::Framing;
use crate::native::action::{Respond, Shape};
use crate::native::tests::Exchange;
use crate::native::{self, Serving};

const ROUTES: [(&str, &str); 11] = [
    ("GET", "/health"),
    ("GET", "/api/health"),
    ("GET", "/api/config"),
    ("GET", "/api/market?symbol=BTCUSDT"),
    ("POST", "/api/order"),
    ("POST", "/api/cancel"),
    ("GET", "/api/orders"),
    ("GET", "/api/orders_state"),
    ("GET", "/api/order_state"),
    ("GET", "/api/account"),
    ("GET", "/api/stream"),
];

#[test]
fn the_other_dialects_keep_their_paths() {
    for path in ["/health", "/api/health", "/api/", "/api/nothing", "/api/v12", "/api/v1x/order"] {
        assert!(owns(path), "{path}");
    }
    for path in [
        "/",
        "*",
        "",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/order",
        "/api/v3",
        "/api/v3/order",
        "/healthz",
        "/health/",
        "/metrics",
        "/ws",
        "/apix",
    ] {
        assert!(!owns(path), "{path}");
    }
}

#[test]
fn any_page_may_read_every_answer() {
    const CORS: &str = "access-control-allow-origin: *";
    let mut exchange = Exchange::open();
    for (method, target) in ROUTES.into_iter().chain([("GET", "/api/nothing"), ("PUT", "/health")])
    {
        let answered = taker(&mut exchange, method, target, "");
        assert!(answered.head.contains(CORS), "{target}: {}", answered.head);
        let preflight = exchange.call("OPTIONS", target, "Origin: http://evil.com\r\n", "");
        assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
        for header in [
            CORS,
            "access-control-allow-headers: content-type, authorization, x-user-id, x-api-key, x-timestamp, x-signature, last-event-id, cache-control",
            "access-control-max-age: 600",
        ] {
            assert!(preflight.head.contains(header), "{target}: {}", preflight.head);
        }
    }
    let order = exchange.call("OPTIONS", "/api/order", "", "");
    assert!(order.head.contains("access-control-allow-methods: POST, OPTIONS\r\n"));
    let orders = exchange.call("OPTIONS", "/api/orders", "", "");
    assert!(orders.head.contains("access-control-allow-methods: GET, HEAD, OPTIONS\r\n"));
}

#[test]
fn a_page_of_another_host_cannot_trade_through_its_visitors_browser() {
    let mut exchange = Exchange::open();
    for (method, target) in ROUTES.into_iter().filter(|(_, target)| target.contains("order")) {
        let origin = "Origin: http://evil.com\r\n";
        let by_header = exchange.call(method, target, &format!("X-User-ID: 1001\r\n{origin}"), "");
        let by_query = exchange.call(method, &format!("{target}?user_id=1001"), origin, "");
        for answered in [by_header, by_query] {
            let (status, word, message, field) = error(&answered);
            assert_eq!((status, word.as_str()), (403, "forbidden"), "{target}: {message}");
            assert_eq!(field.as_deref(), Some("Origin"));
        }
    }
    let headers = "Origin: http://localhost:5173\r\n";
    assert_eq!(exchange.call("GET", "/api/account?user_id=1001", headers, "").status, 200);
    let public = "Origin: http://evil.com\r\n";
    assert_eq!(exchange.call("GET", "/api/market?symbol=BTCUSDT", public, "").status, 200);
    assert_eq!(exchange.call("GET", "/api/stream", public, "").status, 200);
}

#[test]
fn who_asks_must_be_said_and_be_known() {
    let mut exchange = Exchange::open();
    let mut ask = |target: &str, headers: &str| {
        let (status, word, message, field) = error(&exchange.call("GET", target, headers, ""));
        assert_eq!((status, word.as_str()), (401, "unauthorized"), "{message}");
        field.unwrap()
    };
    assert_eq!(ask("/api/account", ""), "X-User-ID");
    assert_eq!(ask("/api/account", "X-User-ID: me\r\n"), "X-User-ID");
    assert_eq!(ask("/api/account?user_id=", ""), "user_id");
    assert_eq!(ask("/api/account?user_id=9007199254740992", ""), "user_id");
    assert_eq!(ask("/api/account?user_id=4242", ""), "user_id");
    assert_eq!(ask("/api/stream?user_id=x", ""), "user_id");
    exchange.auth.is_development = false;
    let refused = taker(&mut exchange, "GET", "/api/account", "");
    assert_eq!((error(&refused).0, error(&refused).3.as_deref()), (401, Some("X-User-ID")));
}

#[test]
fn a_server_that_does_not_serve_says_when_to_come_again() {
    let mut exchange = Exchange::open();
    for (serving, closes) in [(Serving::Recovering, false), (Serving::Draining, true)] {
        exchange.serving = serving;
        for (method, target) in ROUTES {
            let answered = taker(&mut exchange, method, target, "");
            assert_eq!((error(&answered).0, error(&answered).1.as_str()), (503, "unavailable"));
            assert!(answered.head.contains("retry-after: 1\r\n"), "{}", answered.head);
            assert_eq!(answered.head.contains("connection: close\r\n"), closes);
        }
    }
}

#[test]
fn a_wrong_method_is_told_which_are_right() {
    let mut exchange = Exchange::open();
    for (method, target, allow) in [
        ("GET", "/api/order", "allow: POST, OPTIONS\r\n"),
        ("DELETE", "/api/order", "allow: POST, OPTIONS\r\n"),
        ("POST", "/api/orders", "allow: GET, HEAD, OPTIONS\r\n"),
        ("BREW", "/health", "allow: GET, HEAD, OPTIONS\r\n"),
    ] {
        let answered = taker(&mut exchange, method, target, "");
        assert_eq!((error(&answered).0, error(&answered).1.as_str()), (404, "not_found"));
        assert!(answered.head.contains(allow), "{}", answered.head);
    }
    let head = exchange.call("HEAD", "/health", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("content-length: 11"), "{}", head.head);
}

#[test]
fn the_answers_of_the_runtime_are_in_the_dialect() {
    let mut respond = Respond { shape: Shape::Desk(Kind::Cancel), framing: Framing::CLOSE };
    respond.stamp(1);
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    for (text, word) in [
        (written(&|out| native::overloaded(&respond, out)), "unavailable"),
        (written(&|out| native::no_room(&respond, out)), "unavailable"),
        (written(&|out| native::not_ready(&respond, out)), "unavailable"),
        (written(&|out| native::draining(&respond, out)), "unavailable"),
        (written(&|out| native::internal(&respond, "x", out)), "internal"),
        (written(&crate::desk::unknown_user), "unauthorized"),
        (
            written(&|out| crate::desk::refuse_stream(native::Code::RateLimited, "x", out)),
            "rate_limited",
        ),
    ] {
        let wanted = format!("{{\"error\":\"{word}\",\"message\":\"");
        assert!(text.contains(&wanted), "{text}");
        assert!(text.contains("access-control-allow-origin: *\r\n"), "{text}");
        assert!(text.contains("connection: close\r\n"), "{text}");
    }
}

#[test]
fn a_reply_that_does_not_fit_is_an_error_and_no_panic() {
    let exchange = Exchange::open();
    let respond = Respond { shape: Shape::Desk(Kind::Health), framing: Framing::CLOSE };
    let mut out = Vec::new();
    let reply = engine::Reply::Balances(Vec::new());
    native::respond(&respond, &reply, &exchange.context(), &mut out);
    assert!(out.starts_with(b"HTTP/1.1 500 "));
}

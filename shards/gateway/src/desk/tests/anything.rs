//! Whatever a client sends is answered, in the dialect.

use proptest::prelude::*;

use super::taker;
use crate::native::tests::{Answered, Exchange};

const PATHS: [&str; 12] = [
    "/health",
    "/api/health",
    "/api/config",
    "/api/market",
    "/api/order",
    "/api/cancel",
    "/api/orders",
    "/api/orders_state",
    "/api/order_state",
    "/api/account",
    "/api/stream",
    "/api/nothing",
];

/// An answer is good, or an error in the dialect; nothing that a client sends is the server's fault.
fn check(answered: &Answered) {
    assert!(answered.status < 500, "{answered:?}");
    assert!(answered.head.contains("access-control-allow-origin: *\r\n"), "{answered:?}");
    if answered.status >= 400 && !answered.body.is_empty() {
        super::error(answered);
    }
}

proptest! {
    #[test]
    fn any_target_is_answered(
        path in prop::sample::select(&PATHS[..]),
        query in "(symbol|symbols|status|limit|last_id|user_id|client_order_id|venue_order_id)=[A-Z0-9_,%=&-]{0,40}",
        header in "[ -~]{0,20}",
    ) {
        let mut exchange = Exchange::open();
        for method in ["GET", "POST", "HEAD", "DELETE", "OPTIONS", "BREW"] {
            for user in ["", "X-User-ID: 1001\r\n"] {
                let headers = format!("{user}Last-Event-ID: {header}\r\n");
                check(&exchange.call(method, &format!("{path}?{query}"), &headers, ""));
            }
        }
    }

    #[test]
    fn any_path_is_answered(path in "/api/[a-z/?=&%_0-9]{0,40}") {
        let mut exchange = Exchange::open();
        if crate::desk::owns(path.split('?').next().unwrap()) {
            check(&taker(&mut exchange, "GET", &path, ""));
            check(&taker(&mut exchange, "POST", &path, "{}"));
        }
    }

    #[test]
    fn a_damaged_body_is_answered_whatever_it_holds(
        path in prop::sample::select(&["/api/order", "/api/cancel"][..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[ -~]"), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut exchange = Exchange::open();
        let mut body = br#"{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","price":100.01,"qty":1.5,"client_order_id":"c-1"}"#.to_vec();
        for (index, with) in damage {
            let at = index.index(body.len());
            body[at] = with.as_bytes()[0];
        }
        body.truncate(cut.index(body.len() * 2));
        check(&taker(&mut exchange, "POST", path, std::str::from_utf8(&body).unwrap()));
    }

    #[test]
    fn any_symbol_is_looked_for(name in "\\PC{0,40}") {
        let exchange = Exchange::open();
        let _ = crate::desk::symbol::symbol_named(exchange.engine.registry(), "symbol", &name);
    }
}

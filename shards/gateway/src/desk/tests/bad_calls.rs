//! Every bad call gets an error that names the field, and changes nothing.

use super::{error, maker, taker};
use crate::native::tests::Exchange;

/// Method, target, body, HTTP status, word, how the message goes on.
const BAD_CALLS: &[(&str, &str, &str, u16, &str, &str)] = &[
    ("POST", "/api/order", "", 400, "bad_params", "body: is empty"),
    ("POST", "/api/order", "{}", 400, "bad_params", "symbol: is required"),
    ("POST", "/api/order", r#"{"symbol":7}"#, 400, "bad_params", "symbol: must be text"),
    ("POST", "/api/order", r#"{"symbol":"BTC-USDT"}"#, 404, "not_found", "symbol: unknown"),
    ("POST", "/api/order", r#"{"symbol":"btcusdt"}"#, 404, "not_found", "symbol: unknown"),
    ("POST", "/api/order", r#"{"symbol":"BTCUSDT"}"#, 400, "bad_params", "side: is required"),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"buy"}"#,
        400,
        "bad_params",
        "side: must be BUY or SELL",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","type":"STOP"}"#,
        400,
        "bad_params",
        "type: must be LIMIT, MARKET or POST_ONLY",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":1}"#,
        400,
        "bad_params",
        "price: is required",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","price":1}"#,
        400,
        "bad_params",
        "qty: is required",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":1,"price":100.001}"#,
        400,
        "bad_params",
        "price: is off the tick 0.01",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":1e-5,"price":100}"#,
        400,
        "bad_params",
        "qty: is off the lot 0.00010000",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":0,"price":100}"#,
        400,
        "bad_params",
        "qty: must be above zero",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":0.0001,"price":1}"#,
        400,
        "bad_params",
        "qty: price × qty is below min_notional 1.00",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":1,"price":5,"type":"MARKET"}"#,
        400,
        "bad_params",
        "price: a MARKET order has none",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":0,"type":"MARKET"}"#,
        400,
        "bad_params",
        "qty: or quote_qty is required",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":1,"price":1,"client_order_id":"a b"}"#,
        400,
        "bad_params",
        "client_order_id: may hold",
    ),
    (
        "POST",
        "/api/order",
        r#"{"symbol":"BTCUSDT","side":"BUY","qty":1,"price":1,"price":2}"#,
        400,
        "bad_params",
        "price: is given twice",
    ),
    ("POST", "/api/cancel", "{}", 400, "bad_params", "client_order_id: or venue_order_id"),
    (
        "POST",
        "/api/cancel",
        r#"{"client_order_id":"a","venue_order_id":1}"#,
        400,
        "bad_params",
        "venue_order_id: cannot be given together",
    ),
    (
        "POST",
        "/api/cancel",
        r#"{"client_order_id":"a","symbol":"NONE"}"#,
        404,
        "not_found",
        "symbol: unknown",
    ),
    ("GET", "/api/market", "", 400, "bad_params", "symbol: is required"),
    ("GET", "/api/market?symbol=", "", 404, "not_found", "symbol: unknown"),
    ("GET", "/api/market?symbol=%ff", "", 400, "bad_params", "symbol: is not percent-encoded"),
    ("GET", "/api/order_state", "", 400, "bad_params", "client_order_id: or venue_order_id"),
    ("GET", "/api/orders?limit=0", "", 400, "bad_params", "limit: must be an integer from 1"),
    ("GET", "/api/orders?limit=1001", "", 400, "bad_params", "limit: must be an integer"),
    ("GET", "/api/orders?symbol=X", "", 404, "not_found", "symbol: unknown"),
    ("GET", "/api/orders_state?status=CANCELED", "", 400, "bad_params", "status: must be ALL"),
    ("GET", "/api/orders?user_id=1002", "", 400, "bad_params", "user_id: differs from X-User-ID"),
    ("GET", "/api/stream?symbols=BTCUSDT,X", "", 404, "not_found", "symbols: unknown"),
    ("GET", "/api/stream?symbols=BTCUSDT,", "", 404, "not_found", "symbols: unknown"),
    ("GET", "/api/stream?last_id=7", "", 400, "bad_params", "last_id: must be the id of an event"),
    ("GET", "/api/stream?user_id=x", "", 400, "bad_params", "user_id: differs from X-User-ID"),
];

#[test]
fn a_bad_call_is_refused_naming_the_field() {
    let mut exchange = Exchange::open();
    let before = exchange.engine.state_hash();
    for (method, target, body, status, word, message) in BAD_CALLS {
        let answered = taker(&mut exchange, method, target, body);
        let (got_status, got_word, got, field) = error(&answered);
        assert_eq!((got_status, got_word.as_str()), (*status, *word), "{target} {body}: {got}");
        assert!(got.starts_with(message), "{target} {body}: {got}");
        let wanted = message.split_once(": ").map(|(field, _)| field);
        assert_eq!(field.as_deref(), wanted, "{target} {body}: {got}");
    }
    assert_eq!(exchange.engine.state_hash(), before);
}

#[test]
fn what_is_about_no_field_names_none() {
    let mut exchange = Exchange::open();
    let sell = r#"{"symbol":"BTCUSDT","side":"SELL","qty":1,"price":100,"client_order_id":"s"}"#;
    for (answered, status, word, message) in [
        (
            taker(&mut exchange, "POST", "/api/order", sell),
            400,
            "bad_params",
            "needs 1.00000000 BTC, 0.00000000 available",
        ),
        (
            taker(&mut exchange, "POST", "/api/cancel", r#"{"client_order_id":"s"}"#),
            404,
            "not_found",
            "no such order",
        ),
        (
            taker(&mut exchange, "GET", "/api/order_state?venue_order_id=5", ""),
            404,
            "not_found",
            "no such order",
        ),
        (
            taker(&mut exchange, "GET", "/api/auth/nothing", ""),
            404,
            "not_found",
            "/api/auth/nothing: no such route",
        ),
    ] {
        assert_eq!(error(&answered), (status, word.to_owned(), message.to_owned(), None));
    }
    assert_eq!(maker(&mut exchange, "POST", "/api/order", sell).status, 200);
    let cancel = r#"{"client_order_id":"s"}"#;
    assert_eq!(maker(&mut exchange, "POST", "/api/cancel", cancel).status, 200);
    let ended = maker(&mut exchange, "POST", "/api/cancel", cancel);
    assert_eq!(ended.body, r#"{"error":"bad_params","message":"order is CANCELLED","details":{}}"#);
    assert_eq!(ended.status, 400);
    exchange.admin("PATCH", "symbols/BTC_USDT", r#"{"status":"HALTED"}"#);
    let halted = maker(&mut exchange, "POST", "/api/order", &sell.replace("\"s\"", "\"t\""));
    let (status, word, message, field) = error(&halted);
    assert_eq!((status, word.as_str()), (400, "bad_params"));
    assert_eq!((message.as_str(), field.as_deref()), ("symbol: status is HALTED", Some("symbol")));
}

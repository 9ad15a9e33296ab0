//! Every bad order gets a 4xx that names the field, and changes nothing.

use proptest::prelude::*;

use super::Exchange;

/// Body of an order, HTTP status, code, how the message goes on behind its word.
const BAD_ORDERS: &[(&str, u16, u64, &str)] = &[
    ("", 400, 1001, "body: is empty"),
    ("   ", 400, 1001, "body: is empty"),
    ("[]", 400, 1001, "body: must be a JSON object"),
    ("\"BTC_USDT\"", 400, 1001, "body: must be a JSON object"),
    ("{", 400, 1001, "body: malformed JSON at byte 1"),
    ("{\"symbol\":\"BTC_USDT\"", 400, 1001, "symbol: malformed JSON at byte 20"),
    ("{}", 400, 1001, "symbol: is required"),
    (
        r#"{"symbol":"XXX_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#,
        404,
        1004,
        "symbol: unknown",
    ),
    (
        r#"{"symbol":7,"side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#,
        400,
        1001,
        "symbol: must be text",
    ),
    (
        r#"{"symbol":null,"side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#,
        400,
        1001,
        "symbol: is required, not null",
    ),
    (
        r#"{"symbol":"BTC_USDT","type":"LIMIT","price":"1","qty":"1"}"#,
        400,
        1001,
        "side: is required",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"buy","type":"LIMIT","price":"1","qty":"1"}"#,
        400,
        1001,
        "side: must be BUY or SELL",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":["BUY"],"type":"LIMIT","price":"1","qty":"1"}"#,
        400,
        1001,
        "side: must be text",
    ),
    (r#"{"symbol":"BTC_USDT","side":"BUY","price":"1","qty":"1"}"#, 400, 1001, "type: is required"),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"STOP","price":"1","qty":"1"}"#,
        400,
        1001,
        "type: must be LIMIT, MARKET or POST_ONLY",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"limit","price":"1","qty":"1"}"#,
        400,
        1001,
        "type: must be",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","order_type":"limit","price":"1","qty":"1"}"#,
        400,
        1001,
        "order_type: must be",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","order_type":"MARKET","price":"1","qty":"1"}"#,
        400,
        1001,
        "order_type: differs from type",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","time_in_force":"GTD","price":"1","qty":"1"}"#,
        400,
        1001,
        "time_in_force: must be GTC, IOC or FOK",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","time_in_force":"GTC","qty":"1"}"#,
        400,
        1001,
        "time_in_force: a MARKET order is IOC or FOK",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"POST_ONLY","time_in_force":"IOC","price":"1","qty":"1"}"#,
        400,
        1001,
        "time_in_force: a POST_ONLY order is GTC",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","post_only":true,"time_in_force":"FOK","price":"1","qty":"1"}"#,
        400,
        1001,
        "time_in_force: a POST_ONLY order is GTC",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"POST_ONLY","post_only":false,"price":"1","qty":"1"}"#,
        400,
        1001,
        "post_only: contradicts",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","post_only":true,"qty":"1"}"#,
        400,
        1001,
        "post_only: a MARKET order cannot be",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","post_only":1,"price":"1","qty":"1"}"#,
        400,
        1001,
        "post_only: must be true or false",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","qty":"1"}"#,
        400,
        1001,
        "price: is required",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":null,"qty":"1"}"#,
        400,
        1001,
        "price: is required, not null",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":true,"qty":"1"}"#,
        400,
        1001,
        "price: must be a decimal number",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":[1],"qty":"1"}"#,
        400,
        1001,
        "price: must be a decimal number",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":{"a":1},"qty":"1"}"#,
        400,
        1001,
        "price: must be a decimal number",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1.001","qty":"1"}"#,
        400,
        1003,
        "price: is off the tick 0.01",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":0.30000000000000004,"qty":"1"}"#,
        400,
        1003,
        "price: is off the tick 0.01",
    ),
    (
        r#"{"symbol":"ESH4_USDT","side":"BUY","type":"LIMIT","price":"4799.10","qty":"1"}"#,
        400,
        1003,
        "price: is off the tick 0.25",
    ),
    (
        r#"{"symbol":"ESH4_USDT","side":"BUY","type":"LIMIT","price":"4799.25","qty":1.5}"#,
        400,
        1003,
        "qty: is off the lot 1",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"0.00001"}"#,
        400,
        1003,
        "qty: is off the lot 0.0001",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"10000000000000000000000000000000000000000"}"#,
        400,
        1003,
        "qty: is too large",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1e40,"qty":"1"}"#,
        400,
        1003,
        "price: is too large",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1e309,"qty":"1"}"#,
        400,
        1003,
        "price: is too large",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1e309","qty":"1"}"#,
        400,
        1003,
        "price: is too large",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":-1,"qty":"1"}"#,
        400,
        1003,
        "price: must not be negative",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"-1"}"#,
        400,
        1003,
        "qty: must not be negative",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"0","qty":"1"}"#,
        400,
        1003,
        "price: must be above zero",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":0}"#,
        400,
        1003,
        "qty: must be above zero",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"NaN","qty":"1"}"#,
        400,
        1003,
        "price: is not a decimal number",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":NaN,"qty":"1"}"#,
        400,
        1001,
        "price: malformed JSON",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"","qty":"1"}"#,
        400,
        1003,
        "price: is not a decimal number",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","price":"2","qty":"1"}"#,
        400,
        1001,
        "price: is given twice",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","quote_qty":"1"}"#,
        400,
        1001,
        "quote_qty: is for MARKET orders only",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET"}"#,
        400,
        1001,
        "qty: or quote_qty is required",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"1","price":"1"}"#,
        400,
        1001,
        "price: a MARKET order has none",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"1","quote_qty":"1"}"#,
        400,
        1001,
        "quote_qty: cannot be given together with qty",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quote_qty":"0.001"}"#,
        400,
        1003,
        "quote_qty: has more than 2 decimals",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quote_qty":"0"}"#,
        400,
        1003,
        "quote_qty: must be above zero",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"0"}"#,
        400,
        1003,
        "qty: must be above zero",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"0.0001"}"#,
        409,
        1005,
        "symbol: has no reference price",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":""}"#,
        400,
        1001,
        "cid: must be 1 to 36 characters",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":"a b"}"#,
        400,
        1001,
        "cid: may hold printable ASCII only",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":"a\u0022b"}"#,
        400,
        1001,
        "cid: may hold printable ASCII only",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":"1234567890123456789012345678901234567"}"#,
        400,
        1001,
        "cid: must be 1 to 36 characters",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":true}"#,
        400,
        1001,
        "cid: must be text",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","stp":"EXPIRE"}"#,
        400,
        1001,
        "stp: must be NONE, EXPIRE_TAKER, EXPIRE_MAKER or EXPIRE_BOTH",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1001"}"#,
        400,
        1003,
        "qty: is above max_qty 1000.00000000",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"0.5"}"#,
        400,
        1003,
        "qty: price × qty is below min_notional 1.00",
    ),
    (
        r#"{"symbol":"ESH4_USDT","side":"BUY","type":"LIMIT","price":"5280.25","qty":"1"}"#,
        400,
        1003,
        "price: is outside the price band 4320.00 to 5280.00",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100000.01","qty":"1"}"#,
        400,
        1002,
        "needs 100000.01 USDT, 100000.00 available",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"184467440737095516.15","qty":"1000"}"#,
        400,
        1002,
        "needs ",
    ),
    (
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"184467440737095516.16","qty":"1"}"#,
        400,
        1003,
        "price: is too large",
    ),
];

#[test]
fn a_bad_order_is_refused_naming_the_field_and_changes_nothing() {
    let mut exchange = Exchange::open();
    let before = exchange.engine.state_hash();
    for (body, status, code, message) in BAD_ORDERS {
        for route in ["create_order", "order?wait=true"] {
            let answered = exchange.taker("POST", route, body);
            let (got_status, got_code, got) = answered.error();
            assert_eq!((got_status, got_code), (*status, *code), "{body}: {got}");
            let detail = got.split_once(": ").unwrap().1;
            assert!(detail.starts_with(message), "{body}: {got}");
        }
    }
    assert_eq!(exchange.engine.state_hash(), before);
    assert_eq!(exchange.taker("GET", "orders", "").data(), serde_json::json!([]));
}

proptest! {
    #[test]
    fn a_damaged_order_is_answered_whatever_it_holds(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), "[ -~]"), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut exchange = Exchange::open();
        let mut body = r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.01","qty":1.5,"cid":"c-1"}"#.as_bytes().to_vec();
        for (index, with) in damage {
            let at = index.index(body.len());
            body[at] = with.as_bytes()[0];
        }
        body.truncate(cut.index(body.len() * 2));
        let answered = exchange.taker("POST", "create_order", std::str::from_utf8(&body).unwrap());
        prop_assert!(answered.status == 202 || (400..500).contains(&answered.status));
        let text = answered.json();
        prop_assert!(text["msg"].is_string());
    }

    #[test]
    fn any_target_is_answered(target in "/api/v1/[a-z/?=&%_0-9]{0,40}") {
        let mut exchange = Exchange::empty();
        for method in ["GET", "POST", "DELETE", "PATCH", "OPTIONS"] {
            let headers = "X-User-ID: 1\r\nX-Admin-Token: dev-admin\r\n";
            let answered = exchange.call(method, &target, headers, "");
            prop_assert!(answered.status < 500, "{} {}", target, answered.body);
        }
    }
}

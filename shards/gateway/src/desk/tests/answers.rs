//! What good calls are answered, to the letter.

use engine::{OrderRef, OrderView, Query, Reply};
use money::{OrderId, UserId};
use serde_json::{Value, json};

use super::{NOW_NS, maker, taker};
use crate::desk::Kind;
use crate::http::response::Framing;
use crate::native;
use crate::native::action::{Respond, Shape};
use crate::native::tests::Exchange;

const BUY: &str =
    r#"{"symbol":"BTCUSDT","side":"BUY","qty":2,"price":100.50,"client_order_id":"c-1"}"#;

/// A market where 1002 has sold 0.5 at 100.50 to 1001, whose order of 2 rests with the rest.
fn traded() -> (Exchange, u64) {
    let mut exchange = Exchange::open();
    let sell = r#"{"symbol":"BTC_USDT","side":"SELL","qty":"0.5","price":"100.50"}"#;
    maker(&mut exchange, "POST", "/api/order", sell);
    let placed = taker(&mut exchange, "POST", "/api/order", BUY).json();
    (exchange, placed["venue_order_id"].as_u64().unwrap())
}

#[test]
fn an_order_is_placed_and_the_same_id_again_answers_the_same() {
    let mut exchange = Exchange::open();
    let first = taker(&mut exchange, "POST", "/api/order", BUY);
    let id = first.json()["venue_order_id"].as_u64().unwrap();
    assert_eq!(first.status, 200);
    assert_eq!(
        first.body,
        format!(r#"{{"ok":true,"client_order_id":"c-1","venue_order_id":{id}}}"#)
    );
    assert_eq!(taker(&mut exchange, "POST", "/api/order", BUY).body, first.body);
    let nameless = r#"{"symbol":"ESH4USDT","side":"BUY","qty":"1","price":"4800","type":"LIMIT"}"#;
    let answered = taker(&mut exchange, "POST", "/api/order", nameless);
    assert!(answered.body.starts_with(r#"{"ok":true,"client_order_id":null,"venue_order_id":"#));
}

#[test]
fn an_order_is_canceled_by_either_id() {
    let mut exchange = Exchange::open();
    let id = taker(&mut exchange, "POST", "/api/order", BUY).json()["venue_order_id"].clone();
    let cancel = r#"{"client_order_id":"c-1","symbol":"BTCUSDT"}"#;
    let canceled = taker(&mut exchange, "POST", "/api/cancel", cancel);
    assert_eq!(
        (canceled.status, canceled.body.as_str()),
        (200, r#"{"ok":true,"client_order_id":"c-1"}"#)
    );
    let again = BUY.replace("c-1", "c-2");
    let other = taker(&mut exchange, "POST", "/api/order", &again).json()["venue_order_id"].clone();
    assert_ne!(other, id);
    let cancel = format!(r#"{{"venue_order_id":{other}}}"#);
    let canceled = taker(&mut exchange, "POST", "/api/cancel", &cancel);
    assert_eq!(canceled.body, r#"{"ok":true,"client_order_id":"c-2"}"#);
}

#[test]
fn where_an_order_stands_is_told_in_exact_numbers() {
    let (mut exchange, id) = traded();
    let state = format!(
        r#"{{"client_order_id":"c-1","symbol":"BTC_USDT","side":"BUY","order_qty":2.00000000,"limit_price":100.50,"venue_order_id":{id},"status":"PARTIALLY_FILLED","executed_qty":0.50000000,"avg_price":100.50,"last_ts_ns":{NOW_NS}}}"#
    );
    for query in ["client_order_id=c%2D1".to_owned(), format!("venue_order_id={id}")] {
        let target = format!("/api/order_state?{query}");
        assert_eq!(taker(&mut exchange, "GET", &target, "").body, state);
    }
    let all = taker(&mut exchange, "GET", "/api/orders_state", "");
    assert_eq!(all.body, format!(r#"{{"items":[{state}]}}"#));
    let event = format!(
        r#"{{"type":"order_update","ts_ns":{NOW_NS},"client_order_id":"c-1","symbol":"BTC_USDT","side":"BUY","qty":2.00000000,"price":100.50,"status":"PARTIALLY_FILLED","venue_order_id":{id},"executed_qty":0.50000000,"avg_price":100.50}}"#
    );
    let events = taker(&mut exchange, "GET", "/api/orders?symbol=BTCUSDT", "");
    assert_eq!(events.body, format!(r#"{{"items":[{event}]}}"#));
}

#[test]
fn open_orders_come_before_ended_ones_and_cancelled_has_two_ls() {
    let (mut exchange, _) = traded();
    taker(&mut exchange, "POST", "/api/order", &BUY.replace("c-1", "c-2"));
    taker(&mut exchange, "POST", "/api/cancel", r#"{"client_order_id":"c-1"}"#);
    let market = r#"{"symbol":"BTC_USDT","side":"SELL","type":"MARKET","qty":1,"price":0,"client_order_id":"m"}"#;
    assert_eq!(maker(&mut exchange, "POST", "/api/order", market).status, 200);
    let mut told = |query: &str| {
        let items = taker(&mut exchange, "GET", &format!("/api/orders_state{query}"), "").json();
        let items = items["items"].as_array().unwrap().clone();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let parts = items.iter().map(|one| (text(&one["client_order_id"]), text(&one["status"])));
        parts.map(|(id, status)| format!("{id} {status}")).collect::<Vec<_>>()
    };
    assert_eq!(told(""), ["c-2 PARTIALLY_FILLED", "c-1 CANCELLED"]);
    assert_eq!(told("?status=ALL&limit=1"), ["c-2 PARTIALLY_FILLED"]);
    assert_eq!(told("?status=OPEN"), ["c-2 PARTIALLY_FILLED"]);
    assert_eq!(told("?status=ENDED"), ["c-1 CANCELLED"]);
    assert_eq!(told("?status=CANCELLED"), ["c-1 CANCELLED"]);
    assert!(told("?status=FILLED").is_empty());
    let sold = maker(&mut exchange, "GET", "/api/order_state?client_order_id=m", "").json();
    assert!(sold["limit_price"].is_null());
    assert_eq!(sold["status"], "FILLED");
}

#[test]
fn the_order_that_changed_last_is_the_first_event() {
    let (exchange, id) = traded();
    let query = Query::Order { user: UserId(1001), order: OrderRef::Id(OrderId(id)) };
    let Reply::Order(order) = exchange.engine.query(&query) else { panic!() };
    let at =
        |number: u64, updated_at_ms| OrderView { order: OrderId(number), updated_at_ms, ..*order };
    let reply = Reply::Orders(vec![at(1, 5), at(2, 7), at(3, 5), at(4, 9)]);
    let told = |kind| {
        let mut out = Vec::new();
        let respond = Respond { shape: Shape::Desk(kind), framing: Framing::CLOSE };
        native::respond(&respond, &reply, &exchange.context(), &mut out);
        let text = String::from_utf8(out).unwrap();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let ids = body["items"].as_array().unwrap().iter();
        ids.map(|one| one["venue_order_id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(told(Kind::Orders), [4, 2, 1, 3]);
    assert_eq!(told(Kind::OrdersState), [1, 2, 3, 4]);
}

#[test]
fn a_market_is_told_before_and_after_its_first_trade() {
    let mut empty = Exchange::open();
    assert_eq!(
        empty.call("GET", "/api/market?symbol=BTCUSDT", "", "").body,
        format!(r#"{{"symbol":"BTC_USDT","price":null,"ts_ns":{NOW_NS},"bid":null,"ask":null}}"#)
    );
    let (mut exchange, _) = traded();
    let answered = exchange.call("GET", "/api/market?symbol=BTC_USDT", "", "");
    assert_eq!(
        answered.body,
        format!(
            r#"{{"symbol":"BTC_USDT","price":100.50,"ts_ns":{NOW_NS},"bid":100.50,"ask":null}}"#
        )
    );
}

#[test]
fn balances_are_free_and_locked() {
    let (mut exchange, _) = traded();
    assert_eq!(
        taker(&mut exchange, "GET", "/api/account", "").body,
        format!(
            r#"{{"ts_ns":{NOW_NS},"balances":[{{"asset":"BTC","free":0.50000000,"locked":0.00000000}},{{"asset":"USDT","free":99799.00,"locked":150.75}}]}}"#
        )
    );
}

#[test]
fn the_server_tells_how_it_is_and_what_its_rules_are() {
    let mut exchange = Exchange::open();
    assert_eq!(exchange.call("GET", "/health", "", "").body, r#"{"ok":true}"#);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        exchange.call("GET", "/api/health", "", "").body,
        format!(
            r#"{{"ok":true,"shards":1,"version":"{version}","uptime_s":12.345,"memory_bytes":4096}}"#
        )
    );
    let config = exchange.call("GET", "/api/config", "", "").json();
    assert_eq!((&config["shards"], &config["version"]), (&json!(1), &json!(version)));
    assert_eq!(
        config["limits"],
        json!({"max_rows": 1000, "max_body_bytes": 65_536, "max_client_order_id_length": 36,
               "max_stream_symbols": 256})
    );
    assert_eq!(
        config["symbols"][1],
        json!({"symbol": "ESH4_USDT", "base": "ESH4", "quote": "USDT", "status": "TRADING",
               "tick": 0.25, "lot": 1, "min_qty": 1, "max_qty": null, "min_notional": 0.0,
               "maker_fee_ppm": 0, "taker_fee_ppm": 0, "price_band_ppm": 100_000})
    );
    let text = exchange.call("GET", "/api/config", "", "").body;
    assert!(text.contains(r#""tick":0.01,"lot":0.00010000,"min_qty":0.00010000,"#), "{text}");
    assert!(!text.contains("dev-admin"), "{text}");
}

#[test]
fn a_symbol_without_separator_must_mean_one() {
    let mut exchange = Exchange::open();
    for (asset, decimals) in [("BTCU", 0), ("SDT", 0)] {
        let body = format!(r#"{{"asset":"{asset}","decimals":{decimals}}}"#);
        assert_eq!(exchange.admin("POST", "assets", &body).status, 200);
    }
    let body = r#"{"symbol":"BTCU_SDT","base":"BTCU","quote":"SDT","tick":"1","lot":"1"}"#;
    assert_eq!(exchange.admin("POST", "symbols", body).status, 200);
    let joined = exchange.call("GET", "/api/market?symbol=BTCUSDT", "", "");
    assert_eq!(
        super::error(&joined),
        (
            400,
            "bad_params".into(),
            "symbol: may be BTC_USDT or BTCU_SDT, write it with _".into(),
            Some("symbol".into())
        )
    );
    assert_eq!(exchange.call("GET", "/api/market?symbol=BTC_USDT", "", "").status, 200);
    assert_eq!(exchange.call("GET", "/api/market?symbol=ESH4USDT", "", "").status, 200);
}

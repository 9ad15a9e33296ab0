//! What good calls are answered, to the letter.

use serde_json::{Value, json};

use super::{Exchange, NOW_MS};

const BUY: &str =
    r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.50","qty":2,"cid":"c-1"}"#;

fn id(value: &Value) -> u64 {
    value["order_id"].as_u64().expect("an order has an id")
}

#[test]
fn an_order_is_accepted_and_the_same_cid_again_answers_the_same() {
    let mut exchange = Exchange::open();
    let first = exchange.taker("POST", "create_order", BUY);
    assert_eq!(first.status, 202);
    assert!(first.head.contains("content-type: application/json\r\n"), "{}", first.head);
    assert!(first.head.ends_with(&format!("content-length: {}", first.body.len())));
    let data = first.data();
    assert_eq!(
        data,
        json!({"order_id": id(&data), "cid": "c-1", "status": "ACCEPTED", "accepted_at": NOW_MS})
    );
    assert_eq!(exchange.taker("POST", "order", BUY).data(), data);
}

#[test]
fn numbers_are_taken_as_they_are_written() {
    let mut exchange = Exchange::open();
    for (price, qty) in [("\"1005e-1\"", "\"2.0\""), ("100.5", "20e-1"), ("1.005E2", "\"0002\"")] {
        let body = format!(
            r#"{{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":{price},"qty":{qty},"extra":[{{}}]}}"#
        );
        let data = exchange.taker("POST", "create_order?wait=true", &body).data();
        assert_eq!((&data["price"], &data["qty"]), (&json!("100.50"), &json!("2.00000000")));
    }
}

#[test]
fn a_waiting_order_is_answered_with_its_fills() {
    let mut exchange = Exchange::open();
    let rest = r#"{"symbol":"BTC_USDT","side":"SELL","order_type":"POST_ONLY","price":"100.50","qty":"0.5"}"#;
    let maker = id(&exchange.maker("POST", "create_order", rest).data());
    let answered = exchange.call(
        "POST",
        "/api/v1/create_order",
        "X-User-ID: 1001\r\nPrefer: respond-async, wait=10\r\n",
        BUY,
    );
    assert_eq!(answered.status, 200);
    let data = answered.data();
    let taker = id(&data);
    let fill = json!({
        "trade_id": 1, "order_id": taker, "symbol": "BTC_USDT", "side": "BUY", "price": "100.50",
        "qty": "0.50000000", "fee": "0.00000000", "fee_asset": "BTC", "role": "TAKER",
        "traded_at": NOW_MS,
    });
    assert_eq!(
        data,
        json!({
            "order_id": taker, "cid": "c-1", "symbol": "BTC_USDT", "side": "BUY", "type": "LIMIT",
            "time_in_force": "GTC", "price": "100.50", "qty": "2.00000000",
            "filled_qty": "0.50000000", "filled_quote_qty": "50.25", "avg_price": "100.50",
            "status": "PARTIALLY_FILLED", "created_at": NOW_MS, "updated_at": NOW_MS,
            "fills": [fill],
        })
    );
    assert_eq!(exchange.taker("GET", "trades?symbol=BTC_USDT&limit=5", "").data(), json!([fill]));
    assert_eq!(
        exchange.public("public/trades?symbol=BTC_USDT").data(),
        json!([{"id": 1, "price": "100.50", "qty": "0.50000000", "quote_qty": "50.25",
                "time": NOW_MS, "is_buyer_maker": false}])
    );
    assert_eq!(
        exchange.admin("GET", "tape?symbol=BTC_USDT", "").data(),
        json!([{"id": 1, "taker_order_id": taker, "maker_order_id": maker, "price": "100.50",
                "qty": "0.50000000", "taker_side": "BUY", "time": NOW_MS}])
    );
    assert_eq!(
        exchange.maker("GET", "balances", "").data(),
        json!([
            {"asset": "BTC", "avail": "9.50000000", "frozen": "0.00000000", "total": "9.50000000"},
            {"asset": "USDT", "avail": "50.25", "frozen": "0.00", "total": "50.25"},
        ])
    );
}

#[test]
fn market_orders_have_no_price_and_a_budget_is_told() {
    let mut exchange = Exchange::open();
    let rest = r#"{"symbol":"BTC_USDT","side":"SELL","type":"LIMIT","price":"100","qty":"5"}"#;
    exchange.maker("POST", "create_order", rest);
    let market = r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quote_qty":"150"}"#;
    exchange.admin("PATCH", "symbols/BTC_USDT", r#"{"reference_price":"100"}"#);
    let data = exchange.taker("POST", "create_order?wait=true", market).data();
    assert_eq!(data["price"], Value::Null);
    assert_eq!(data["quote_qty"], "150.00");
    assert_eq!(data["filled_qty"], "1.50000000");
    assert_eq!(data["time_in_force"], "IOC");
    assert_eq!(data["status"], "FILLED");
}

#[test]
fn orders_are_found_canceled_reduced_and_moved() {
    let mut exchange = Exchange::open();
    let order = id(&exchange.taker("POST", "create_order", BUY).data());
    assert_eq!(exchange.taker("GET", &format!("order/{order}"), "").data()["avg_price"], "0");
    assert_eq!(id(&exchange.taker("GET", "order?cid=c%2D1", "").data()), order);
    let (status, code, _) = exchange.maker("GET", &format!("order/{order}"), "").error();
    assert_eq!((status, code), (404, 4001));

    let body = format!(r#"{{"order_id":{order},"reduce_qty":"0.5"}}"#);
    assert_eq!(exchange.taker("POST", "order/reduce", &body).data()["qty"], "1.50000000");
    let off = format!(r#"{{"order_id":{order},"reduce_qty":"0.00001"}}"#);
    let (status, code, message) = exchange.taker("POST", "order/reduce", &off).error();
    assert_eq!((status, code), (400, 1003));
    assert_eq!(message, "INVALID_PRICE_OR_QTY: reduce_qty: is off the lot 0.00010000");

    let moved = exchange.taker("POST", "order/move", r#"{"cid":"c-1","new_price":101}"#).data();
    assert_eq!((&moved["price"], id(&moved)), (&json!("101.00"), order));
    let off = exchange.taker("POST", "order/move", r#"{"cid":"c-1","new_price":0.001}"#).error();
    assert_eq!(off.2, "INVALID_PRICE_OR_QTY: new_price: is off the tick 0.01");
    let poor =
        exchange.taker("POST", "order/move", r#"{"cid":"c-1","new_price":"100000"}"#).error();
    assert_eq!(poor.1, 1002);

    let body = format!(r#"{{"order_id":"{order}"}}"#);
    assert_eq!(exchange.taker("POST", "cancel_order", &body).data()["status"], "CANCELED");
    let (status, code, message) = exchange.taker("POST", "cancel_order", &body).error();
    assert_eq!((status, code), (409, 4002));
    assert_eq!(message, "ORDER_NOT_OPEN: order is CANCELED");
    for (filter, count) in
        [("", 0), ("?status=ENDED", 1), ("?status=CANCELED", 1), ("?status=FILLED", 0)]
    {
        let orders = exchange.taker("GET", &format!("orders{filter}"), "").data();
        assert_eq!(orders.as_array().unwrap().len(), count, "{filter}");
    }
}

#[test]
fn candles_and_the_last_day_are_told_before_and_after_the_first_trade() {
    let mut exchange = Exchange::open();
    let klines = "public/klines?symbol=BTC_USDT&interval=5m";
    assert_eq!(exchange.public(klines).data(), json!([]));
    assert_eq!(
        exchange.public("public/ticker?symbol=BTC_USDT").data(),
        json!({"symbol": "BTC_USDT", "open_time": null, "close_time": null, "open": null,
               "high": null, "low": null, "last": null, "change": null, "change_percent": null,
               "volume": "0.00000000", "quote_volume": "0.00", "trade_count": 0, "bid": null,
               "ask": null})
    );
    let rest = r#"{"symbol":"BTC_USDT","side":"SELL","type":"LIMIT","price":"100.50","qty":"0.5"}"#;
    exchange.maker("POST", "create_order", rest);
    exchange.taker("POST", "create_order", BUY);
    let candle = json!({
        "open_time": 1_699_999_800_000u64, "close_time": 1_700_000_099_999u64, "open": "100.50",
        "high": "100.50", "low": "100.50", "close": "100.50", "volume": "0.50000000",
        "quote_volume": "50.25", "trade_count": 1,
    });
    assert_eq!(exchange.public(klines).data(), json!([candle]));
    let within = format!("{klines}&start=1699999800000&end=1699999800000&limit=1000");
    assert_eq!(exchange.public(&within).data(), json!([candle]));
    assert_eq!(exchange.public(&format!("{klines}&start=1699999800001")).data(), json!([]));
    assert_eq!(
        exchange.public("public/ticker?symbol=BTC_USDT").data(),
        json!({"symbol": "BTC_USDT", "open_time": NOW_MS - 86_400_000, "close_time": NOW_MS,
               "open": "100.50", "high": "100.50", "low": "100.50", "last": "100.50",
               "change": "0.00", "change_percent": "0.00", "volume": "0.50000000",
               "quote_volume": "50.25", "trade_count": 1, "bid": ["100.50", "1.50000000"],
               "ask": null})
    );
}

#[test]
fn depth_and_the_full_book_are_best_first() {
    let mut exchange = Exchange::open();
    for price in [99, 100] {
        let body = format!(
            r#"{{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":{price},"qty":"1"}}"#
        );
        exchange.taker("POST", "create_order", &body);
    }
    let depth = exchange.public("public/depth?symbol=BTC_USDT&limit=10").data();
    assert_eq!(depth["symbol"], "BTC_USDT");
    assert_eq!(depth["bids"], json!([["100.00", "1.00000000"], ["99.00", "1.00000000"]]));
    assert_eq!(depth["asks"], json!([]));
    assert!(depth["last_update_id"].is_u64());
    let book = exchange.admin("GET", "book?symbol=BTC_USDT&side=BUY", "").data();
    assert_eq!(book[0]["price"], "100.00");
    assert_eq!(book[0]["user_id"], 1001);
    assert_eq!(book[0]["remaining"], "1.00000000");
    let after = id(&book[0]);
    let rest = exchange.admin("GET", &format!("book?symbol=BTC_USDT&side=BUY&after={after}"), "");
    assert_eq!(rest.data().as_array().unwrap().len(), 1);
}

#[test]
fn cancel_all_counts_over_its_repetitions() {
    let mut exchange = Exchange::open();
    let small = r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#;
    let open = |exchange: &mut Exchange| {
        for _ in 0..engine::CANCEL_ALL_LIMIT + 5 {
            assert_eq!(exchange.taker("POST", "create_order", small).status, 202);
        }
    };
    open(&mut exchange);
    let canceled = exchange.taker("DELETE", "orders?symbol=BTC_USDT", "").data();
    assert_eq!(canceled, json!({"canceled": engine::CANCEL_ALL_LIMIT + 5}));
    open(&mut exchange);
    let canceled = exchange.admin("DELETE", "orders?user_id=1001&symbol=ESH4_USDT", "").data();
    assert_eq!(canceled, json!({"canceled": 0}));
    let canceled = exchange.admin("DELETE", "orders", "").data();
    assert_eq!(canceled, json!({"canceled": engine::CANCEL_ALL_LIMIT}));
}

#[test]
fn the_rules_are_told_in_decimals() {
    let mut exchange = Exchange::open();
    let info = exchange.public("public/exchange_info").data();
    assert_eq!(info["assets"], exchange.public("public/assets").data());
    assert_eq!(info["symbols"], exchange.public("public/symbols").data());
    assert_eq!(info["limits"]["max_rows"], 1000);
    assert_eq!(info["assets"][1], json!({"asset": "USDT", "decimals": 2}));
    assert_eq!(
        info["symbols"][1],
        json!({
            "symbol": "ESH4_USDT", "base": "ESH4", "quote": "USDT", "base_decimals": 0,
            "quote_decimals": 2, "tick": "0.25", "lot": "1", "min_qty": "1", "max_qty": null,
            "min_notional": "0.00", "maker_fee_ppm": 0, "taker_fee_ppm": 0,
            "price_band_ppm": 100000, "status": "TRADING", "reference_price": "4800.00",
            "shard": 0,
        })
    );
    assert_eq!(info["symbols"][0]["max_qty"], "1000.00000000");
    assert_eq!(info["symbols"][0]["reference_price"], Value::Null);
}

#[test]
fn administration_answers_what_it_made() {
    let mut exchange = Exchange::open();
    let asset = exchange.admin("POST", "assets", r#"{"asset":"ETH","decimals":"18"}"#).data();
    assert_eq!(asset, json!({"asset": "ETH", "decimals": 18}));
    let patched = exchange
        .admin("PATCH", "symbols/BTC%5FUSDT", r#"{"status":"HALTED","taker_fee_ppm":"250"}"#)
        .data();
    assert_eq!((&patched["status"], &patched["taker_fee_ppm"]), (&json!("HALTED"), &json!(250)));
    let refused = exchange.taker("POST", "create_order", BUY).error();
    assert_eq!(refused, (409, 1005, "SYMBOL_NOT_TRADING: symbol: status is HALTED".into()));
    assert!(exchange.admin("POST", "users", "{}").data()["user_id"].is_u64());
    let deposit = r#"{"user_id":1001,"asset":"BTC","amount":0.5,"ref":"once"}"#;
    for _ in 0..2 {
        assert_eq!(exchange.admin("POST", "deposits", deposit).data()["avail"], "0.50000000");
    }
    let out = r#"{"user_id":1001,"asset":"BTC","amount":"0.2","ref":"out"}"#;
    assert_eq!(exchange.admin("POST", "withdrawals", out).data()["avail"], "0.30000000");
    let balances = exchange.admin("GET", "balances?user_id=1001", "").data();
    assert_eq!(balances[0]["total"], "0.30000000");

    let proof = exchange.admin("GET", "proof", "").data();
    assert_eq!(
        proof[0],
        json!({"asset": "BTC", "deposits": "10.50000000", "withdrawals": "0.20000000",
               "avail": "10.30000000", "frozen": "0.00000000", "fees": "0.00000000",
               "in_flight": "0.00000000", "balanced": true})
    );
    let shard = &exchange.admin("GET", "shards", "").data()[0];
    assert_eq!((&shard["appended_lsn"], &shard["durable_lsn"]), (&json!(7), &json!(6)));
    assert_eq!(shard["snapshot_lsn"], 5);
    assert_eq!(shard["state_hash"].as_str().unwrap().len(), 16);
    assert_eq!(
        exchange.admin("GET", "snapshots", "").data()[0],
        json!({"shard": 0, "state": "idle", "made": 3, "lsn": 5, "created_ms": 1_700_000_000_000u64,
               "bytes": null, "took_ms": null, "failure": "no \"space\""})
    );
    let begun = exchange.admin("POST", "snapshots", "");
    assert_eq!(begun.data()[0]["state"], "waiting");
}

#[test]
fn a_frozen_user_is_told_so() {
    let mut exchange = Exchange::open();
    let frozen = exchange.admin("PATCH", "users/1001", r#"{"frozen":true}"#);
    assert_eq!(frozen.data(), json!({"user_id": 1001}));
    assert_eq!(exchange.taker("POST", "create_order", BUY).error().1, 2003);
}

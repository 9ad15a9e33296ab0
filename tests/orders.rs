//! Every type, time in force and self-trade rule of an order through HTTP, and what becomes of it.

mod support;

use serde_json::Value;
use support::exchange::{Exchange, SYMBOL, limit, market, number, word};

const ALICE: u64 = 1001;
const BOB: u64 = 1002;
const CAROL: u64 = 1003;

/// Status and filled quantity.
fn outcome(order: &Value) -> (&str, &str) {
    (word(&order["status"]), word(&order["filled_qty"]))
}

/// Two users, and two sells of Alice's: 1 at 100, 2 at 101.
fn with_asks(shards: u16) -> Exchange {
    let exchange = Exchange::open(shards, 3);
    let mut alice = exchange.user(ALICE);
    alice.trade(&limit("SELL", "100", "1", ""));
    alice.trade(&limit("SELL", "101", "2", ""));
    exchange
}

#[test]
fn gtc_rests_what_it_does_not_fill() {
    for shards in [1, 2] {
        let exchange = with_asks(shards);
        let order = exchange.user(BOB).trade(&limit("BUY", "100.5", "3", ""));
        assert_eq!(outcome(&order), ("PARTIALLY_FILLED", "1.00000000"));
        assert_eq!((&order["type"], &order["time_in_force"]), (&"LIMIT".into(), &"GTC".into()));
        exchange.expect_balance(BOB, "USDT", "999699.00", "201.00");
        assert_eq!(exchange.depth(SYMBOL).0, ["100.50×2.00000000"]);
        // The price of the one that rested.
        let sold = exchange.user(CAROL).trade(&limit("SELL", "50", "2", ""));
        assert_eq!(
            (outcome(&sold), &sold["avg_price"]),
            (("FILLED", "2.00000000"), &"100.50".into())
        );
    }
}

#[test]
fn ioc_expires_what_it_does_not_fill() {
    for shards in [1, 2] {
        let exchange = with_asks(shards);
        let ioc = r#","time_in_force":"IOC""#;
        let order = exchange.user(BOB).trade(&limit("BUY", "101", "5", ioc));
        assert_eq!(outcome(&order), ("EXPIRED", "3.00000000"));
        assert_eq!(order["fills"].as_array().map(Vec::len), Some(2));
        // 302 / 3, rounded down.
        assert_eq!(order["avg_price"], "100.6666666666");
        exchange.expect_balance(BOB, "USDT", "999698.00", "0.00");
        let nothing = exchange.user(BOB).trade(&limit("BUY", "101", "5", ioc));
        assert_eq!(outcome(&nothing), ("EXPIRED", "0.00000000"));
        assert_eq!(exchange.depth(SYMBOL), (vec![], vec![]));
        exchange.proof();
    }
}

#[test]
fn fok_fills_wholly_or_does_nothing() {
    for shards in [1, 2] {
        let exchange = with_asks(shards);
        let fok = r#","time_in_force":"FOK""#;
        let order = exchange.user(BOB).trade(&limit("BUY", "101", "3.0001", fok));
        assert_eq!(outcome(&order), ("EXPIRED", "0.00000000"));
        exchange.expect_balance(BOB, "USDT", "1000000.00", "0.00");
        assert_eq!(exchange.depth(SYMBOL).1.len(), 2);
        let order = exchange.user(BOB).trade(&limit("BUY", "101", "3", fok));
        assert_eq!(outcome(&order), ("FILLED", "3.00000000"));
    }
}

#[test]
fn post_only_never_takes() {
    for shards in [1, 2] {
        let exchange = with_asks(shards);
        let post_only = |price: &str, as_type: bool| {
            let body = limit("BUY", price, "1", "");
            match as_type {
                true => body.replace("LIMIT", "POST_ONLY"),
                false => limit("BUY", price, "1", r#","post_only":true"#),
            }
        };
        let mut bob = exchange.user(BOB);
        for as_type in [true, false] {
            let order = bob.trade(&post_only("100", as_type));
            assert_eq!(outcome(&order), ("REJECTED", "0.00000000"));
            assert_eq!(order["type"], "POST_ONLY");
        }
        exchange.expect_balance(BOB, "USDT", "1000000.00", "0.00");
        let order = bob.trade(&post_only("99.99", true));
        assert_eq!(outcome(&order), ("NEW", "0.00000000"));
        // Nor by being moved.
        let body = format!(r#"{{"order_id":{},"new_price":"100"}}"#, order["order_id"]);
        let refused = bob.post("/api/v1/order/move", &body);
        assert_eq!(refused.error(), (400, 1003), "{refused}");
        exchange.expect_balance(BOB, "USDT", "999900.01", "99.99");
        assert_eq!(exchange.depth(SYMBOL).0, ["99.99×1.00000000"]);
    }
}

#[test]
fn market_by_quantity_takes_what_is_there() {
    for shards in [1, 2] {
        let exchange = with_asks(shards);
        let mut bob = exchange.user(BOB);
        // Nobody has traded yet: there is no price to reserve by.
        let refused = bob.place(&market("BUY", r#""qty":"1""#));
        assert_eq!(refused.error(), (409, 1005), "{refused}");
        exchange.patch_symbol(SYMBOL, r#"{"reference_price":"100"}"#);
        let order = bob.trade(&market("BUY", r#""qty":"1.5""#));
        assert_eq!(outcome(&order), ("FILLED", "1.50000000"));
        assert_eq!((&order["type"], &order["price"]), (&"MARKET".into(), &Value::Null));
        exchange.expect_balance(BOB, "USDT", "999849.50", "0.00");
        let rest = bob.trade(&market("BUY", r#""qty":"9","time_in_force":"IOC""#));
        assert_eq!(outcome(&rest), ("EXPIRED", "1.50000000"));
        let none = bob.trade(&market("SELL", r#""qty":"1""#));
        assert_eq!(outcome(&none), ("EXPIRED", "0.00000000"));
        exchange.expect_balance(BOB, "BTC", "1003.00000000", "0.00000000");
        exchange.proof();
    }
}

#[test]
fn market_by_budget_spends_and_receives_no_more() {
    for shards in [1, 2] {
        let exchange = with_asks(shards);
        let mut bob = exchange.user(BOB);
        // 100 for the first; 50.0051 for 0.4951 at 101 is 50.00, rounded down as ever.
        let order = bob.trade(&market("BUY", r#""quote_qty":"150""#));
        assert_eq!(outcome(&order), ("FILLED", "1.49510000"));
        let spent = [&order["quote_qty"], &order["filled_quote_qty"]];
        assert_eq!(spent, ["150.00", "150.00"]);
        exchange.expect_balance(BOB, "USDT", "999850.00", "0.00");
        exchange.user(ALICE).trade(&limit("BUY", "100", "10", ""));
        let order = bob.trade(&market("SELL", r#""quote_qty":"200""#));
        assert_eq!(outcome(&order), ("FILLED", "2.00000000"));
        exchange.expect_balance(BOB, "USDT", "1000050.00", "0.00");
        exchange.expect_balance(BOB, "BTC", "999.49510000", "0.00000000");
        let refused = bob.place(&market("BUY", r#""quote_qty":"1000050.01""#));
        assert_eq!(refused.error(), (400, 1002), "{refused}");
        let dry = bob.trade(&market("BUY", r#""quote_qty":"1000000""#));
        assert_eq!(word(&dry["status"]), "EXPIRED");
        exchange.proof();
    }
}

/// What is left when Alice buys 3 at 101 against her own 1 at 100 and Bob's 1 at 101.
fn trade_with_oneself(shards: u16, stp: &str) -> (Exchange, Value, Value) {
    let exchange = Exchange::open(shards, 2);
    let mut alice = exchange.user(ALICE);
    let own = number(&alice.trade(&limit("SELL", "100", "1", ""))["order_id"]);
    exchange.user(BOB).trade(&limit("SELL", "101", "1", ""));
    let taker = alice.trade(&limit("BUY", "101", "3", stp));
    let own = alice.get(&format!("/api/v1/order/{own}")).data();
    exchange.proof();
    (exchange, taker, own)
}

#[test]
fn self_trade_rules_expire_the_side_that_they_name() {
    for shards in [1, 2] {
        let (exchange, taker, own) = trade_with_oneself(shards, "");
        assert_eq!(outcome(&taker), ("PARTIALLY_FILLED", "2.00000000"));
        assert_eq!(outcome(&own), ("FILLED", "1.00000000"));
        exchange.expect_balance(ALICE, "USDT", "999798.00", "101.00");
        exchange.expect_balance(ALICE, "BTC", "1001.00000000", "0.00000000");

        let (exchange, taker, own) = trade_with_oneself(shards, r#","stp":"EXPIRE_TAKER""#);
        assert_eq!(outcome(&taker), ("EXPIRED", "0.00000000"));
        assert_eq!(outcome(&own), ("NEW", "0.00000000"));
        exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
        exchange.expect_balance(ALICE, "BTC", "999.00000000", "1.00000000");

        let (exchange, taker, own) = trade_with_oneself(shards, r#","stp":"EXPIRE_MAKER""#);
        assert_eq!(outcome(&taker), ("PARTIALLY_FILLED", "1.00000000"));
        assert_eq!(outcome(&own), ("EXPIRED", "0.00000000"));
        exchange.expect_balance(ALICE, "USDT", "999697.00", "202.00");
        exchange.expect_balance(ALICE, "BTC", "1001.00000000", "0.00000000");

        let (exchange, taker, own) = trade_with_oneself(shards, r#","stp":"EXPIRE_BOTH""#);
        assert_eq!(outcome(&taker), ("EXPIRED", "0.00000000"));
        assert_eq!(outcome(&own), ("EXPIRED", "0.00000000"));
        exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
        exchange.expect_balance(ALICE, "BTC", "1000.00000000", "0.00000000");
        assert_eq!(exchange.depth(SYMBOL).1, ["101.00×1.00000000"]);
    }
}

#[test]
fn waiting_by_header_or_parameter_answers_with_the_matched_order() {
    let exchange = with_asks(2);
    let mut bob = exchange.user(BOB);
    let by_parameter = bob.post("/api/v1/order?wait=true", &limit("BUY", "100", "0.5", ""));
    assert_eq!((by_parameter.status, &by_parameter.data()["status"]), (200, &"FILLED".into()));
    let body = limit("BUY", "100", "0.5", "");
    let by_header =
        bob.call_with("POST", "/api/v1/create_order", "prefer: respond-async, WAIT=5\r\n", &body);
    assert_eq!((by_header.status, &by_header.data()["status"]), (200, &"FILLED".into()));
    let at_once = bob.post("/api/v1/create_order?wait=false", &body);
    assert_eq!((at_once.status, &at_once.data()["status"]), (202, &"ACCEPTED".into()));
    let unclear = bob.post("/api/v1/create_order?wait=maybe", &body);
    assert_eq!(unclear.error(), (400, 1001));
}

#[test]
fn numbers_are_read_exactly_as_text_or_as_numbers() {
    let exchange = Exchange::open(1, 1);
    let mut alice = exchange.user(ALICE);
    // 0.07 × 100 is 7.000000000000001 in a float, 1.1e2 and 1E-1 are decimals too.
    for (price, qty, frozen) in [
        ("0.07", "100", "7.00"),
        ("1.1e2", "1E-1", "11.00"),
        ("4503599627370.49", "0.0001", "450359962.74"),
    ] {
        for quote in ["", "\""] {
            let body = limit("BUY", "P", "Q", "")
                .replace("\"P\"", &format!("{quote}{price}{quote}"))
                .replace("\"Q\"", &format!("{quote}{qty}{quote}"));
            exchange.deposit(ALICE, "USDT", "1000000000", &format!("{price}{}", quote.len()));
            alice.trade(&body);
            assert_eq!(exchange.balance(ALICE, "USDT").1, frozen, "{body}");
            alice.call("DELETE", "/api/v1/orders", "").data();
        }
    }
}

//! Trading from outside: what users and administrators do over HTTP, and what they see of it on any
//! connection.

mod support;

use support::exchange::{Exchange, SYMBOL, balance_of, limit, number, payment, word};
use support::http::Client;
use support::{LIMIT, wait_for};

const ALICE: u64 = 1001;
const BOB: u64 = 1002;

/// Everything that both sides of a trade can look at, over a connection to one shard.
fn expect_trade_seen(exchange: &Exchange, shard: u16, sell: u64, buy: u64) {
    let mut alice = exchange.user_at(shard, ALICE);
    let mut bob = exchange.user_at(shard, BOB);
    let at = alice.get("/api/v1/shards").data();
    assert_eq!(number(&at["connection_shard"]), u64::from(shard));
    let expect_balance = |client: &mut Client, asset: &str, avail: &str, frozen: &str| {
        let found = balance_of(client, asset);
        assert_eq!((found.0.as_str(), found.1.as_str()), (avail, frozen), "{asset}, shard {shard}");
    };
    expect_balance(&mut alice, "BTC", "998.00000000", "0.50000000");
    expect_balance(&mut alice, "USDT", "1000150.00", "0.00");
    expect_balance(&mut bob, "BTC", "1001.50000000", "0.00000000");
    // Reserved at 101, filled at 100: the difference is back.
    expect_balance(&mut bob, "USDT", "999850.00", "0.00");

    let order = alice.get(&format!("/api/v1/order/{sell}")).data();
    assert_eq!(order["status"], "PARTIALLY_FILLED");
    assert_eq!((word(&order["qty"]), word(&order["filled_qty"])), ("2.00000000", "1.50000000"));
    assert_eq!(order, alice.get("/api/v1/order?cid=sell-1").data());
    assert_eq!(alice.get("/api/v1/orders").data()[0], order);
    let ended = bob.get("/api/v1/orders?status=FILLED").data();
    assert_eq!((&ended[0]["order_id"], &ended[0]["status"]), (&buy.into(), &"FILLED".into()));
    assert_eq!(ended[0]["avg_price"], "100.00");
    assert_eq!(bob.get("/api/v1/orders").data(), serde_json::json!([]));
    // Each sees its own orders only.
    assert_eq!(bob.get(&format!("/api/v1/order/{sell}")).error(), (404, 4001));

    for (client, order, role, side, fee) in
        [(&mut alice, sell, "MAKER", "SELL", "0.00"), (&mut bob, buy, "TAKER", "BUY", "0.00000000")]
    {
        let trades = client.get(&format!("/api/v1/trades?symbol={SYMBOL}")).data();
        assert_eq!(trades.as_array().map(Vec::len), Some(1), "{trades}");
        let trade = &trades[0];
        assert_eq!((number(&trade["trade_id"]), number(&trade["order_id"])), (1, order));
        assert_eq!((word(&trade["role"]), word(&trade["side"])), (role, side));
        assert_eq!((word(&trade["price"]), word(&trade["qty"])), ("100.00", "1.50000000"));
        assert_eq!((word(&trade["symbol"]), word(&trade["fee"])), (SYMBOL, fee));
    }
    let mut nobody = Client::anonymous(exchange.server.shard_port(shard));
    let depth = nobody.get(&format!("/api/v1/public/depth?symbol={SYMBOL}")).data();
    assert_eq!(depth["asks"], serde_json::json!([["100.00", "0.50000000"]]));
    assert_eq!(depth["bids"], serde_json::json!([]));
    let tape = nobody.get(&format!("/api/v1/public/trades?symbol={SYMBOL}")).data();
    assert_eq!((&tape[0]["id"], &tape[0]["quote_qty"]), (&1.into(), &"150.00".into()));
    assert_eq!(tape[0]["is_buyer_maker"], false);
}

#[test]
fn a_trade_is_seen_by_both_sides_on_every_shard() {
    for shards in [1, 2, 4] {
        let exchange = Exchange::open(shards, 2);
        let mut alice = exchange.user(ALICE);
        let placed = alice.place(&limit("SELL", "100", "2", r#","cid":"sell-1""#));
        assert_eq!(placed.status, 202, "{placed}");
        let placed = placed.data();
        assert_eq!((&placed["status"], &placed["cid"]), (&"ACCEPTED".into(), &"sell-1".into()));
        let sell = number(&placed["order_id"]);
        // Bob's order must not overtake it on its way to the book.
        wait_for("the order in the depth", LIMIT, || {
            (!exchange.depth(SYMBOL).1.is_empty()).then_some(())
        });
        let bought = exchange.user(BOB).trade(&limit("BUY", "101", "1.5", ""));
        assert_eq!((&bought["status"], &bought["avg_price"]), (&"FILLED".into(), &"100.00".into()));
        assert_eq!(bought["fills"][0]["role"], "TAKER");
        let buy = number(&bought["order_id"]);
        // Waited for: all of it is there at once, wherever one looks.
        for shard in 0..shards {
            expect_trade_seen(&exchange, shard, sell, buy);
        }
        exchange.proof();
    }
}

#[test]
fn shards_say_who_owns_what() {
    let exchange = Exchange::open(4, 4);
    for user in 1001..1005 {
        let shards = exchange.user(user).get("/api/v1/shards").data();
        assert_eq!((number(&shards["shards"]), number(&shards["user_shard"])), (4, user % 4));
        assert_eq!(shards["symbols"], serde_json::json!([{"symbol": SYMBOL, "shard": 0}]));
        let ports: Vec<u16> = (0..4).map(|shard| exchange.server.shard_port(shard)).collect();
        assert_eq!(shards["shard_ports"], serde_json::json!(ports));
        assert_eq!(number(&shards["port"]), u64::from(exchange.server.port));
    }
    let report = exchange.admin().get("/api/v1/admin/shards").data();
    let users: Vec<u64> = report.as_array().unwrap().iter().map(|s| number(&s["users"])).collect();
    assert_eq!(users, [1, 1, 1, 1]);
}

#[test]
fn one_cid_is_one_order_however_often_and_wherever_it_is_sent() {
    let exchange = Exchange::open(2, 2);
    let body = limit("BUY", "90", "1", r#","cid":"once""#);
    // All at the same time, over connections to both shards.
    let ids: Vec<u64> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|caller| {
                let mut client = exchange.user_at(caller % 2, ALICE);
                let body = &body;
                scope.spawn(move || number(&client.place(body).data()["order_id"]))
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    exchange.expect_balance(ALICE, "USDT", "999910.00", "90.00");
    // Other terms under the same cid place nothing either; somebody else's cid is his own.
    let mut alice = exchange.user(ALICE);
    let other = limit("SELL", "500", "7", r#","cid":"once""#);
    assert_eq!(number(&alice.place(&other).data()["order_id"]), ids[0]);
    assert_ne!(number(&exchange.user(BOB).place(&body).data()["order_id"]), ids[0]);
    // Ended, it is still the same one.
    alice.post("/api/v1/cancel_order", r#"{"cid":"once"}"#).data();
    let again = alice.trade(&body);
    assert_eq!((number(&again["order_id"]), word(&again["status"])), (ids[0], "CANCELED"));
    exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
    exchange.expect_balance(ALICE, "BTC", "1000.00000000", "0.00000000");
}

#[test]
fn a_canceled_order_gives_back_what_it_held() {
    let exchange = Exchange::open(2, 2);
    let (mut alice, mut bob) = (exchange.user(ALICE), exchange.user(BOB));
    let order = number(&alice.place(&limit("BUY", "99.99", "0.0003", "")).data()["order_id"]);
    // 0.029997 is rounded up.
    exchange.expect_balance(ALICE, "USDT", "999999.97", "0.03");
    let by_id = format!(r#"{{"order_id":{order}}}"#);
    assert_eq!(bob.post("/api/v1/cancel_order", &by_id).error(), (404, 4001));
    let canceled = alice.post("/api/v1/cancel_order", &by_id).data();
    assert_eq!(
        (&canceled["status"], &canceled["filled_qty"]),
        (&"CANCELED".into(), &"0.00000000".into())
    );
    assert_eq!(canceled["avg_price"], "0");
    exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
    assert_eq!(alice.post("/api/v1/cancel_order", &by_id).error(), (409, 4002));
    assert_eq!(exchange.depth(SYMBOL), (vec![], vec![]));
}

#[test]
fn cancel_all_cancels_just_what_was_named() {
    for shards in [1, 2] {
        let exchange = Exchange::open(shards, 2);
        exchange.admin().post("/api/v1/admin/assets", r#"{"asset":"ETH","decimals":8}"#).data();
        exchange.add_symbol(r#""symbol":"ETH_USDT","base":"ETH","quote":"USDT""#);
        let (mut alice, mut bob) = (exchange.user(ALICE), exchange.user(BOB));
        let place = |client: &mut Client, symbol: &str, count: u32| {
            for _ in 0..count {
                client.trade(&limit("BUY", "10", "1", "").replace(SYMBOL, symbol));
            }
        };
        place(&mut alice, SYMBOL, 3);
        place(&mut alice, "ETH_USDT", 2);
        place(&mut bob, SYMBOL, 4);
        place(&mut bob, "ETH_USDT", 1);
        let canceled = |client: &mut Client, path: &str| {
            number(&client.call("DELETE", path, "").data()["canceled"])
        };
        assert_eq!(canceled(&mut alice, "/api/v1/orders?symbol=ETH_USDT"), 2);
        assert_eq!(canceled(&mut alice, "/api/v1/orders"), 3);
        assert_eq!(canceled(&mut alice, "/api/v1/orders"), 0);
        exchange.expect_balance(BOB, "USDT", "999950.00", "50.00");
        let mut admin = exchange.admin();
        let of_bob = format!("/api/v1/admin/orders?symbol=ETH_USDT&user_id={BOB}");
        assert_eq!(canceled(&mut admin, &of_bob), 1);
        place(&mut alice, SYMBOL, 1);
        assert_eq!(canceled(&mut admin, "/api/v1/admin/orders"), 5);
        for user in [ALICE, BOB] {
            exchange.expect_balance(user, "USDT", "1000000.00", "0.00");
        }
        assert_eq!(exchange.depth(SYMBOL), (vec![], vec![]));
    }
}

#[test]
fn more_orders_than_one_batch_of_cancels_are_all_canceled() {
    const ORDERS: u64 = 2_500;
    let exchange = Exchange::open(2, 2);
    let mut alice = exchange.user(ALICE);
    for _ in 0..ORDERS {
        alice.place(&limit("BUY", "1", "0.1", "")).data();
    }
    let canceled = alice.call("DELETE", "/api/v1/orders", "").data();
    assert_eq!(number(&canceled["canceled"]), ORDERS);
    exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
    // The pages of ended orders hold each of them once.
    let (mut before, mut seen) = (String::new(), 0);
    loop {
        let path = format!("/api/v1/orders?status=ENDED&limit=1000{before}");
        let page = alice.get(&path).data();
        let Some(last) = page.as_array().unwrap().last() else { break };
        before = format!("&before={}", last["order_id"]);
        seen += page.as_array().unwrap().len() as u64;
    }
    assert_eq!(seen, ORDERS);
}

#[test]
fn a_reduced_order_keeps_its_place_and_a_moved_one_loses_it() {
    let exchange = Exchange::open(2, 3);
    let carol = 1003;
    let (mut alice, mut bob) = (exchange.user(ALICE), exchange.user(BOB));
    let first = number(&alice.trade(&limit("SELL", "100", "2", r#","cid":"first""#))["order_id"]);
    bob.trade(&limit("SELL", "100", "2", ""));
    let reduced =
        alice.post("/api/v1/order/reduce", r#"{"cid":"first","reduce_qty":"0.5"}"#).data();
    assert_eq!((number(&reduced["order_id"]), word(&reduced["qty"])), (first, "1.50000000"));
    exchange.expect_balance(ALICE, "BTC", "998.50000000", "1.50000000");
    exchange.user(carol).trade(&limit("BUY", "100", "1", ""));
    exchange.expect_balance(ALICE, "BTC", "998.50000000", "0.50000000");
    // Away and back: behind Bob's now.
    for price in ["101", "100"] {
        let body = format!(r#"{{"order_id":{first},"new_price":"{price}"}}"#);
        let moved = alice.post("/api/v1/order/move", &body).data();
        assert_eq!(moved["price"], format!("{price}.00"));
    }
    exchange.user(carol).trade(&limit("BUY", "100", "2", ""));
    exchange.expect_balance(ALICE, "BTC", "998.50000000", "0.50000000");
    exchange.expect_balance(BOB, "BTC", "998.00000000", "0.00000000");
    // At or past the remainder a reduction cancels.
    let body = format!(r#"{{"order_id":{first},"reduce_qty":"9"}}"#);
    assert_eq!(alice.post("/api/v1/order/reduce", &body).data()["status"], "CANCELED");
    exchange.expect_balance(ALICE, "BTC", "999.00000000", "0.00000000");
    assert_eq!(alice.post("/api/v1/order/reduce", &body).error(), (409, 4002));
    exchange.proof();
}

#[test]
fn a_move_reserves_first_and_matches_where_it_crosses() {
    let exchange = Exchange::open(2, 2);
    let (mut alice, mut bob) = (exchange.user(ALICE), exchange.user(BOB));
    let order = number(&alice.trade(&limit("BUY", "100", "100", ""))["order_id"]);
    exchange.expect_balance(ALICE, "USDT", "990000.00", "10000.00");
    let too_dear = format!(r#"{{"order_id":{order},"new_price":"10000.01"}}"#);
    let refused = alice.post("/api/v1/order/move", &too_dear);
    assert_eq!(refused.error(), (400, 1002), "{refused}");
    exchange.expect_balance(ALICE, "USDT", "990000.00", "10000.00");
    assert_eq!(exchange.depth(SYMBOL).0, ["100.00×100.00000000"]);

    bob.trade(&limit("SELL", "120", "40", ""));
    let crossing = format!(r#"{{"order_id":{order},"new_price":"125"}}"#);
    alice.post("/api/v1/order/move", &crossing).data();
    exchange.expect_balance(ALICE, "USDT", "987700.00", "7500.00");
    exchange.expect_balance(ALICE, "BTC", "1040.00000000", "0.00000000");
    assert_eq!(exchange.depth(SYMBOL), (vec!["125.00×60.00000000".to_owned()], vec![]));
    let trades = alice.get("/api/v1/trades").data();
    assert_eq!((&trades[0]["price"], &trades[0]["role"]), (&"120.00".into(), &"TAKER".into()));
    let cheaper = format!(r#"{{"order_id":{order},"new_price":"1"}}"#);
    alice.post("/api/v1/order/move", &cheaper).data();
    exchange.expect_balance(ALICE, "USDT", "995140.00", "60.00");
    exchange.proof();
}

#[test]
fn a_frozen_user_can_only_cancel() {
    let exchange = Exchange::open(2, 2);
    let (mut alice, mut admin) = (exchange.user(ALICE), exchange.admin());
    let order = number(&alice.trade(&limit("BUY", "100", "1", ""))["order_id"]);
    let freeze = |admin: &mut Client, frozen: bool| {
        let path = format!("/api/v1/admin/users/{ALICE}");
        admin.call("PATCH", &path, &format!(r#"{{"frozen":{frozen}}}"#)).data();
    };
    freeze(&mut admin, true);
    assert_eq!(alice.place(&limit("BUY", "100", "1", "")).error(), (403, 2003));
    let body = format!(r#"{{"order_id":{order},"new_price":"90"}}"#);
    assert_eq!(alice.post("/api/v1/order/move", &body).error(), (403, 2003));
    let withdrawal = payment(ALICE, "USDT", "1", "w");
    assert_eq!(admin.post("/api/v1/admin/withdrawals", &withdrawal).error(), (403, 2003));
    // What rests still trades, and may be canceled.
    exchange.user(BOB).trade(&limit("SELL", "100", "0.4", ""));
    exchange.expect_balance(ALICE, "BTC", "1000.40000000", "0.00000000");
    let cancel = format!(r#"{{"order_id":{order}}}"#);
    assert_eq!(alice.post("/api/v1/cancel_order", &cancel).data()["status"], "CANCELED");
    freeze(&mut admin, false);
    alice.place(&limit("BUY", "100", "1", "")).data();
}

#[test]
fn a_symbol_that_does_not_trade_takes_no_orders() {
    let exchange = Exchange::open(2, 2);
    let mut alice = exchange.user(ALICE);
    let order = number(&alice.trade(&limit("BUY", "100", "1", ""))["order_id"]);
    let cancel = format!(r#"{{"order_id":{order}}}"#);
    exchange.patch_symbol(SYMBOL, r#"{"status":"HALTED"}"#);
    assert_eq!(alice.place(&limit("BUY", "100", "1", "")).error(), (409, 1005));
    assert_eq!(alice.post("/api/v1/cancel_order", &cancel).error(), (409, 1005));
    assert_eq!(number(&alice.call("DELETE", "/api/v1/orders", "").data()["canceled"]), 0);
    let info = exchange.anonymous().get("/api/v1/public/symbols").data();
    assert_eq!(info[0]["status"], "HALTED");
    exchange.patch_symbol(SYMBOL, r#"{"status":"CANCEL_ONLY"}"#);
    assert_eq!(alice.place(&limit("SELL", "100", "1", "")).error(), (409, 1005));
    let body = format!(r#"{{"order_id":{order},"new_price":"90"}}"#);
    assert_eq!(alice.post("/api/v1/order/move", &body).error(), (409, 1005));
    assert_eq!(alice.post("/api/v1/cancel_order", &cancel).data()["status"], "CANCELED");
    exchange.patch_symbol(SYMBOL, r#"{"status":"TRADING"}"#);
    alice.place(&limit("BUY", "100", "1", "")).data();
}

#[test]
fn a_payment_is_made_once_per_ref() {
    let exchange = Exchange::open(2, 1);
    std::thread::scope(|scope| {
        for shard in [0, 1, 0, 1] {
            let mut admin = Client::admin(exchange.server.shard_port(shard));
            scope.spawn(move || {
                for number in 0..10 {
                    let body = payment(ALICE, "USDT", "10.00", &format!("in-{number}"));
                    admin.post("/api/v1/admin/deposits", &body).data();
                }
            });
        }
    });
    exchange.expect_balance(ALICE, "USDT", "1000100.00", "0.00");
    let mut admin = exchange.admin();
    let other = payment(ALICE, "USDT", "10.01", "in-1");
    assert_eq!(admin.post("/api/v1/admin/deposits", &other).error(), (400, 1001));
    for _ in 0..3 {
        let body = payment(ALICE, "BTC", "999.00000001", "out-1");
        let left = admin.post("/api/v1/admin/withdrawals", &body).data();
        assert_eq!((&left["avail"], &left["frozen"]), (&"0.99999999".into(), &"0.00000000".into()));
    }
    let body = payment(ALICE, "BTC", "1", "out-2");
    let refused = admin.post("/api/v1/admin/withdrawals", &body);
    assert_eq!(refused.error(), (400, 1002), "{refused}");
    let proof = exchange.proof();
    assert_eq!(
        (proof["BTC"].deposits, proof["BTC"].withdrawals),
        (100_000_000_000, 99_900_000_001)
    );
    assert_eq!(proof["USDT"].deposits, 100_010_000);
}

#[test]
fn fees_come_off_what_each_side_receives_rounded_down() {
    for shards in [1, 2] {
        let exchange = Exchange::open(shards, 2);
        exchange.patch_symbol(SYMBOL, r#"{"maker_fee_ppm":100,"taker_fee_ppm":200}"#);
        exchange.user(ALICE).trade(&limit("SELL", "333.33", "1.5", ""));
        let bought = exchange.user(BOB).trade(&limit("BUY", "333.33", "1.5", ""));
        let fill = &bought["fills"][0];
        assert_eq!((&fill["fee"], &fill["fee_asset"]), (&"0.00030000".into(), &"BTC".into()));
        // 499.995 is 499.99 received, 0.01 of it the fee of 0.049999; the buyer pays no dust.
        exchange.expect_balance(ALICE, "USDT", "1000499.95", "0.00");
        exchange.expect_balance(BOB, "BTC", "1001.49970000", "0.00000000");
        exchange.expect_balance(BOB, "USDT", "999500.01", "0.00");
        let made = exchange.user(ALICE).get("/api/v1/trades").data();
        assert_eq!((&made[0]["fee"], &made[0]["fee_asset"]), (&"0.04".into(), &"USDT".into()));
        let proof = exchange.proof();
        assert_eq!((proof["USDT"].fees, proof["BTC"].fees), (4, 30_000));
    }
}

#[test]
fn an_administrator_must_say_so_and_makes_things_once() {
    let exchange = Exchange::open(2, 1);
    let asset = r#"{"asset":"ETH","decimals":8}"#;
    for path in ["assets", "symbols", "users", "deposits", "withdrawals"] {
        let path = format!("/api/v1/admin/{path}");
        assert_eq!(exchange.user(ALICE).post(&path, asset).error(), (403, 2003));
    }
    for path in ["proof", "shards", "book?symbol=BTC_USDT", "tape?symbol=BTC_USDT"] {
        let path = format!("/api/v1/admin/{path}");
        let wrong = exchange.anonymous().call_with("GET", &path, "X-Admin-Token: no\r\n", "");
        assert_eq!(wrong.error(), (403, 2003), "{path}");
    }
    let mut admin = exchange.admin();
    admin.post("/api/v1/admin/assets", asset).data();
    assert_eq!(admin.post("/api/v1/admin/assets", asset).error(), (409, 1008));
    let user = format!(r#"{{"user_id":{ALICE}}}"#);
    assert_eq!(admin.post("/api/v1/admin/users", &user).error(), (409, 1008));
    let made = number(&admin.post("/api/v1/admin/users", "{}").data()["user_id"]);
    let other = number(&admin.post("/api/v1/admin/users", r#"{"name":"eve"}"#).data()["user_id"]);
    assert_ne!(made, other);
    exchange.deposit(made, "ETH", "1", "first");
    exchange.expect_balance(made, "ETH", "1.00000000", "0.00000000");
    let again = r#"{"symbol":"BTC_USDT","base":"BTC","quote":"USDT","tick":"1","lot":"1"}"#;
    assert_eq!(admin.post("/api/v1/admin/symbols", again).error(), (409, 1008));
}

//! Bad input over real connections: each is refused with the right status and code, the field is
//! named, and nothing has changed.

mod support;

use support::exchange::{Exchange, limit, number, payment};
use support::raw::{Raw, request};

const ALICE: u64 = 1001;
const BOB: u64 = 1002;
const FORTY_DIGITS: &str = "10000000000000000000000000000000000000000";

/// What bad input must leave alone.
#[derive(Debug, PartialEq)]
struct State {
    hashes: Vec<String>,
    users: Vec<[String; 2]>,
}

fn state(exchange: &Exchange) -> State {
    let of_user = |user| {
        let mut client = exchange.user(user);
        ["balances", "orders"].map(|what| client.get(&format!("/api/v1/{what}")).text().to_owned())
    };
    State { hashes: exchange.state(), users: vec![of_user(ALICE), of_user(BOB)] }
}

/// An exchange on which something rests and something has traded.
fn in_use(shards: u16) -> Exchange {
    let exchange = Exchange::open(shards, 2);
    let rules =
        r#"{"max_qty":"5000","min_qty":"0.0010","min_notional":"0.10","price_band_ppm":900000}"#;
    exchange.patch_symbol("BTC_USDT", rules);
    exchange.user(ALICE).trade(&limit("SELL", "100", "2", r#","cid":"rests""#));
    exchange.user(BOB).trade(&limit("BUY", "100", "1", ""));
    exchange
}

/// One refusal: what comes back, and how its message goes on behind the word for its code.
struct Refusal(u16, u64, &'static str);

const ABSENT: &str = "(absent)";

/// A good order with one field's JSON replaced.
fn order_with(field: &str, json: &str) -> String {
    let good = [
        ("symbol", r#""BTC_USDT""#),
        ("side", r#""BUY""#),
        ("type", r#""LIMIT""#),
        ("price", r#""90.5""#),
        ("qty", r#""1""#),
    ];
    let mut fields: Vec<(&str, &str)> =
        good.into_iter().filter(|(name, _)| *name != field).collect();
    if json != ABSENT {
        fields.push((field, json));
    }
    let text: Vec<String> =
        fields.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
    format!("{{{}}}", text.join(","))
}

#[rustfmt::skip]
fn bad_fields() -> Vec<(&'static str, String, Refusal)> {
    let text = |json: &str| json.to_owned();
    let mut bad = vec![
        ("symbol", text(r#""NO_SUCH""#), Refusal(404, 1004, "symbol: unknown")),
        ("symbol", text("7"), Refusal(400, 1001, "symbol: must be text")),
        ("symbol", text(ABSENT), Refusal(400, 1001, "symbol: is required")),
        ("side", text(r#""buy""#), Refusal(400, 1001, "side: must be BUY or SELL")),
        ("side", text(ABSENT), Refusal(400, 1001, "side: is required")),
        ("type", text(r#""STOP""#), Refusal(400, 1001, "type: must be")),
        ("type", text("null"), Refusal(400, 1001, "type: is required")),
        ("time_in_force", text(r#""DAY""#), Refusal(400, 1001, "time_in_force: must be")),
        ("stp", text(r#""YES""#), Refusal(400, 1001, "stp: must be")),
        ("post_only", text(r#""often""#), Refusal(400, 1001, "post_only: must be true or false")),
        ("quote_qty", text("5"), Refusal(400, 1001, "quote_qty: is for MARKET orders only")),
        ("cid", text(r#""a b""#), Refusal(400, 1001, "cid: ")),
        ("cid", text(r#""ä""#), Refusal(400, 1001, "cid: ")),
        ("cid", text(r#""1234567890123456789012345678901234567""#), Refusal(400, 1001, "cid: ")),
        ("price", text(r#""90.001""#), Refusal(400, 1003, "price: is off the tick 0.01")),
        ("price", text("90.00000000000001"), Refusal(400, 1003, "price: is off the tick 0.01")),
        ("price", text("1000000"), Refusal(400, 1003, "price: is outside the price band")),
        ("qty", text(r#""0.00001""#), Refusal(400, 1003, "qty: is off the lot 0.0001")),
        ("qty", text("0.0009"), Refusal(400, 1003, "qty: is below min_qty 0.0010")),
        ("qty", text("5000.0001"), Refusal(400, 1003, "qty: is above max_qty 5000.0")),
        ("qty", text("0.001"), Refusal(400, 1003, "qty: price × qty is below min_notional 0.10")),
    ];
    for (field, name) in [("price", "price: "), ("qty", "qty: ")] {
        for json in ["0", "-1", r#""-1""#, "-0.0001", "1e309", r#""1e309""#, "1e-400",
            "1e99999999999999999999", FORTY_DIGITS, r#""NaN""#, r#""Infinity""#, r#""0x10""#, r#""1,5""#,
            r#"" 1""#, r#""""#, r#""1.2.3""#] {
            bad.push((field, text(json), Refusal(400, 1003, name)));
        }
        bad.push((field, format!("\"{FORTY_DIGITS}\""), Refusal(400, 1003, name)));
        for json in ["NaN", "Infinity", "+1", "01", "1.", ".5", "1e", "true", "[1]", "{}", "null", ABSENT] {
            bad.push((field, text(json), Refusal(400, 1001, name)));
        }
    }
    bad
}

/// Sends it and looks at the answer; the message must begin with the word and the field.
#[track_caller]
fn expect(exchange: &Exchange, who: Who, method: &str, path: &str, body: &str, refusal: &Refusal) {
    let mut client = match who {
        Who::User => exchange.user(ALICE),
        Who::Admin => exchange.admin(),
    };
    let answer = client.call(method, path, body);
    let Refusal(status, code, detail) = refusal;
    assert_eq!(answer.error(), (*status, *code), "{method} {path} {body}: {answer}");
    let message = answer.message();
    let (word, found) = message.split_once(": ").unwrap_or((&message, ""));
    assert!(word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{message}");
    assert!(found.starts_with(detail), "{method} {path} {body}: {message}, not {detail}");
}

#[derive(Clone, Copy)]
enum Who {
    User,
    Admin,
}

#[test]
fn a_bad_field_of_an_order_is_named_and_nothing_changes() {
    let exchange = in_use(2);
    let before = state(&exchange);
    for (field, json, refusal) in bad_fields() {
        for path in ["/api/v1/create_order", "/api/v1/order?wait=true"] {
            expect(&exchange, Who::User, "POST", path, &order_with(field, &json), &refusal);
        }
    }
    assert_eq!(state(&exchange), before);
}

#[test]
fn a_body_that_is_no_json_object_is_refused_and_nothing_changes() {
    let exchange = in_use(2);
    let before = state(&exchange);
    let good = order_with("cid", r#""good""#);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let cut: Vec<String> = (0..good.len()).map(|length| good[..length].to_owned()).collect();
    let odd = [
        "[]",
        "null",
        "7",
        "\"\"",
        "{\"a\":1,}",
        "{'a':1}",
        "{\"a\" 1}",
        "{}{}",
        "\u{feff}{}",
        "{\"symbol\":\"BTC\\u_USDT\"}",
        "{\"symbol\":\"\\ud800\"}",
        "{\"symbol\":\"a\nb\"}",
    ];
    let odd = odd.map(str::to_owned);
    let twice = good.replacen('{', r#"{"cid":"other","#, 1);
    for body in cut.iter().chain(&odd).chain([&deep, &twice]) {
        for path in ["create_order", "cancel_order", "order/reduce", "order/move"] {
            let answer = exchange.user(ALICE).post(&format!("/api/v1/{path}"), body);
            assert_eq!(answer.error(), (400, 1001), "{path} {body}: {answer}");
        }
        let answer = exchange.admin().post("/api/v1/admin/deposits", body);
        assert_eq!(answer.error(), (400, 1001), "{body}: {answer}");
    }
    assert_eq!(state(&exchange), before);
}

#[test]
fn bytes_that_are_no_text_are_refused_and_nothing_changes() {
    let exchange = in_use(1);
    let before = state(&exchange);
    let good = order_with("cid", r#""good""#).into_bytes();
    // Any one byte made one that is in no UTF-8 text.
    for at in 0..good.len() {
        let mut body = good.clone();
        body[at] = 0xff;
        let mut raw = Raw::open(exchange.server.port);
        raw.send(
            request("POST", "/api/v1/create_order", "", "")
                .replace("Content-Length: 0", &format!("Content-Length: {}", body.len())),
        );
        let answer = raw.send(&body).answer();
        assert_eq!(answer.error().0, 400, "byte {at}: {answer}");
    }
    assert_eq!(state(&exchange), before);
}

#[rustfmt::skip]
const BAD_CALLS: &[(Who, &str, &str, &str, Refusal)] = &[
    (Who::User, "POST", "cancel_order", "{}", Refusal(400, 1001, "order_id: or cid is required")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":1.0}"#, Refusal(400, 1001, "order_id: must be an integer")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":1e3}"#, Refusal(400, 1001, "order_id: must be an integer")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":-1}"#, Refusal(400, 1001, "order_id: must be an integer")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":9007199254740992}"#, Refusal(400, 1001, "order_id: must be")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":NaN}"#, Refusal(400, 1001, "order_id: ")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":1,"cid":"a"}"#, Refusal(400, 1001, "cid: cannot be given")),
    (Who::User, "POST", "cancel_order", r#"{"order_id":7}"#, Refusal(404, 4001, "no such order")),
    (Who::User, "POST", "cancel_order", r#"{"cid":"nobody"}"#, Refusal(404, 4001, "no such order")),
    (Who::User, "POST", "order/reduce", r#"{"cid":"rests"}"#, Refusal(400, 1001, "reduce_qty: is required")),
    (Who::User, "POST", "order/reduce", r#"{"cid":"rests","reduce_qty":"-1"}"#, Refusal(400, 1003, "reduce_qty: ")),
    (Who::User, "POST", "order/reduce", r#"{"cid":"rests","reduce_qty":0}"#, Refusal(400, 1003, "reduce_qty: ")),
    (Who::User, "POST", "order/reduce", r#"{"cid":"rests","reduce_qty":"0.00001"}"#, Refusal(400, 1003, "reduce_qty: is off the lot")),
    (Who::User, "POST", "order/move", r#"{"cid":"rests"}"#, Refusal(400, 1001, "new_price: is required")),
    (Who::User, "POST", "order/move", r#"{"cid":"rests","new_price":"99.999"}"#, Refusal(400, 1003, "new_price: is off the tick")),
    (Who::User, "POST", "order/move", r#"{"cid":"rests","new_price":"1e40"}"#, Refusal(400, 1003, "new_price: is too large")),
    (Who::User, "POST", "order/move", r#"{"cid":"rests","new_price":"9999"}"#, Refusal(400, 1003, "new_price: is outside the price band")),
    (Who::User, "GET", "order/1.5", "", Refusal(400, 1001, "order_id: must be an integer")),
    (Who::User, "GET", "order/%zz", "", Refusal(400, 1001, "order_id: is not percent-encoded")),
    (Who::User, "GET", "orders?limit=0", "", Refusal(400, 1001, "limit: must be an integer from 1 to")),
    (Who::User, "GET", "orders?limit=1e2", "", Refusal(400, 1001, "limit: must be an integer")),
    (Who::User, "GET", "orders?status=OPENED", "", Refusal(400, 1001, "status: must be")),
    (Who::User, "GET", "orders?symbol=NO_SUCH", "", Refusal(404, 1004, "symbol: unknown")),
    (Who::User, "GET", "trades?before=-1&symbol=BTC_USDT", "", Refusal(400, 1001, "before: must be")),
    (Who::User, "GET", "public/depth", "", Refusal(400, 1001, "symbol: is required")),
    (Who::User, "GET", "public/depth?symbol=BTC_USDT&limit=1001", "", Refusal(400, 1001, "limit: must be")),
    (Who::User, "GET", "public/trades?symbol=%FF", "", Refusal(400, 1001, "symbol: ")),
    (Who::User, "DELETE", "orders?symbol=NO_SUCH", "", Refusal(404, 1004, "symbol: unknown")),
    (Who::User, "GET", "nothing", "", Refusal(404, 1006, "/api/v1/nothing: no such route")),
    (Who::User, "DELETE", "balances", "", Refusal(405, 1007, "/api/v1/balances: this method")),
    (Who::Admin, "POST", "admin/assets", r#"{"asset":"btc","decimals":8}"#, Refusal(400, 1001, "asset: must be")),
    (Who::Admin, "POST", "admin/assets", r#"{"asset":"ETH","decimals":1.5}"#, Refusal(400, 1001, "decimals: must be")),
    (Who::Admin, "POST", "admin/assets", r#"{"asset":"ETH","decimals":25}"#, Refusal(400, 1001, "decimals: must be")),
    (Who::Admin, "POST", "admin/assets", r#"{"asset":"BTC","decimals":8}"#, Refusal(409, 1008, "asset: exists already")),
    (Who::Admin, "POST", "admin/symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"0","lot":"1"}"#, Refusal(400, 1001, "tick: must be above zero")),
    (Who::Admin, "POST", "admin/symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1","lot":"0.001"}"#, Refusal(400, 1001, "lot: has more than 2 decimals")),
    (Who::Admin, "POST", "admin/symbols", r#"{"symbol":"USDT_ETH","base":"USDT","quote":"ETH","tick":"1","lot":"1"}"#, Refusal(400, 1001, "quote: unknown asset")),
    (Who::Admin, "POST", "admin/symbols", r#"{"symbol":"X","base":"USDT","quote":"BTC","tick":"1","lot":"1"}"#, Refusal(400, 1001, "symbol: must be BASE_QUOTE")),
    (Who::Admin, "PATCH", "admin/symbols/BTC_USDT", r#"{"tick":"1"}"#, Refusal(400, 1001, "tick: cannot be changed")),
    (Who::Admin, "PATCH", "admin/symbols/BTC_USDT", r#"{"taker_fee_ppm":-1}"#, Refusal(400, 1001, "taker_fee_ppm: must be")),
    (Who::Admin, "PATCH", "admin/symbols/BTC_USDT", r#"{"status":"CLOSED"}"#, Refusal(400, 1001, "status: must be")),
    (Who::Admin, "PATCH", "admin/symbols/BTC_USDT", "{}", Refusal(400, 1001, "body: names no rule")),
    (Who::Admin, "PATCH", "admin/symbols/NO_SUCH", r#"{"status":"HALTED"}"#, Refusal(404, 1004, "symbol: unknown")),
    (Who::Admin, "POST", "admin/users", r#"{"user_id":1.5}"#, Refusal(400, 1001, "user_id: must be")),
    (Who::Admin, "POST", "admin/users", r#"{"user_id":1001}"#, Refusal(409, 1008, "user_id: exists already")),
    (Who::Admin, "PATCH", "admin/users/77", r#"{"frozen":true}"#, Refusal(400, 1001, "user_id: unknown")),
    (Who::Admin, "PATCH", "admin/users/1001", r#"{"frozen":1}"#, Refusal(400, 1001, "frozen: must be true or false")),
    (Who::Admin, "GET", "admin/balances?user_id=77", "", Refusal(400, 1001, "user_id: unknown")),
    (Who::Admin, "GET", "admin/book?symbol=BTC_USDT&side=UP", "", Refusal(400, 1001, "side: must be")),
    (Who::Admin, "DELETE", "admin/orders?user_id=77", "", Refusal(400, 1001, "user_id: unknown")),
    (Who::Admin, "DELETE", "admin/orders?symbol=NO_SUCH", "", Refusal(404, 1004, "symbol: unknown")),
];

#[test]
fn a_bad_call_names_the_parameter_and_nothing_changes() {
    let exchange = in_use(2);
    let before = state(&exchange);
    for (who, method, path, body, refusal) in BAD_CALLS {
        expect(&exchange, *who, method, &format!("/api/v1/{path}"), body, refusal);
    }
    assert_eq!(state(&exchange), before);
}

#[test]
fn a_bad_payment_moves_nothing() {
    let exchange = in_use(2);
    let before = state(&exchange);
    #[rustfmt::skip]
    let bad = [
        (payment(77, "BTC", "1", "r"), Refusal(400, 1001, "user_id: unknown")),
        (payment(ALICE, "ETH", "1", "r"), Refusal(400, 1001, "asset: unknown asset")),
        (payment(ALICE, "USDT", "0.001", "r"), Refusal(400, 1001, "amount: has more than 2 decimals")),
        (payment(ALICE, "USDT", "0", "r"), Refusal(400, 1001, "amount: must be above zero")),
        (payment(ALICE, "USDT", "-1", "r"), Refusal(400, 1001, "amount: must not be negative")),
        (payment(ALICE, "USDT", "NaN", "r"), Refusal(400, 1001, "amount: is not a decimal number")),
        (payment(ALICE, "USDT", "1e309", "r"), Refusal(400, 1001, "amount: is too large")),
        (payment(ALICE, "USDT", FORTY_DIGITS, "r"), Refusal(400, 1001, "amount: is too large")),
        (payment(ALICE, "USDT", "1", ""), Refusal(400, 1001, "ref: must be 1 to")),
        (r#"{"user_id":1001,"asset":"USDT","amount":"1"}"#.to_owned(), Refusal(400, 1001, "ref: is required")),
        (payment(ALICE, "USDT", "1", "seed-usdt"), Refusal(400, 1001, "ref: was used for another payment")),
    ];
    for (body, refusal) in &bad {
        for path in ["/api/v1/admin/deposits", "/api/v1/admin/withdrawals"] {
            expect(&exchange, Who::Admin, "POST", path, body, refusal);
        }
    }
    // More than 128 bits of units together.
    let most = payment(ALICE, "USDT", "3402823669209384634633746074317682114.55", "most");
    let refusal = Refusal(400, 1001, "amount: is too large");
    expect(&exchange, Who::Admin, "POST", "/api/v1/admin/deposits", &most, &refusal);
    assert_eq!(state(&exchange), before);
}

#[test]
fn who_does_not_say_who_it_is_changes_nothing() {
    let exchange = in_use(2);
    let before = state(&exchange);
    let order = order_with("cid", r#""good""#);
    let mut nobody = exchange.anonymous();
    #[rustfmt::skip]
    let bad = [
        ("", Refusal(401, 2001, "X-User-ID: header is required")),
        ("X-User-ID: 77\r\n", Refusal(401, 2002, "X-User-ID: unknown user")),
        ("X-User-ID: \r\n", Refusal(401, 2002, "X-User-ID: is not a user id")),
        ("X-User-ID: -1\r\n", Refusal(401, 2002, "X-User-ID: is not a user id")),
        ("X-User-ID: 1001.0\r\n", Refusal(401, 2002, "X-User-ID: is not a user id")),
        ("X-User-ID: 1001,1002\r\n", Refusal(401, 2002, "X-User-ID: is not a user id")),
        ("X-User-ID: 99999999999999999999999\r\n", Refusal(401, 2002, "X-User-ID: is not a user id")),
        ("X-Admin-Token: dev-admin\r\n", Refusal(401, 2001, "X-User-ID: header is required")),
    ];
    for (header, Refusal(status, code, detail)) in &bad {
        let answer = nobody.call_with("POST", "/api/v1/create_order", header, &order);
        assert_eq!(answer.error(), (*status, *code), "{header}: {answer}");
        assert!(answer.message().contains(detail), "{header}: {answer}");
        let answer = nobody.call_with("DELETE", "/api/v1/orders", header, "");
        assert_eq!(answer.error(), (*status, *code), "{header}: {answer}");
    }
    assert_eq!(state(&exchange), before);
    let user = exchange.admin().post("/api/v1/admin/users", r#"{"user_id":77}"#).data();
    assert_eq!(number(&user["user_id"]), 77);
}

#[test]
fn a_body_that_ends_early_places_nothing() {
    let exchange = in_use(2);
    let before = state(&exchange);
    let whole = request("POST", "/api/v1/create_order", "", &order_with("cid", r#""cut""#));
    for missing in [1, 2, 20, 60] {
        let cut = &whole[..whole.len() - missing];
        let mut raw = Raw::open(exchange.server.port);
        raw.send(cut).finish().expect_closed();
        // And the same with an order before it on the connection, which is none the worse.
        let mut raw = Raw::open(exchange.server.port);
        raw.send(request("GET", "/api/v1/balances", "", "")).send(cut).finish();
        assert_eq!(raw.answer().status, 200);
        raw.expect_closed();
    }
    assert_eq!(state(&exchange), before);
}

//! Every bad input gets a 4xx that names the field, and changes nothing.

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
    (r#"{"symbol":"XXX_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#, 404, 1004, "symbol: unknown"),
    (r#"{"symbol":7,"side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#, 400, 1001, "symbol: must be text"),
    (r#"{"symbol":null,"side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#, 400, 1001, "symbol: is required, not null"),
    (r#"{"symbol":"BTC_USDT","type":"LIMIT","price":"1","qty":"1"}"#, 400, 1001, "side: is required"),
    (r#"{"symbol":"BTC_USDT","side":"buy","type":"LIMIT","price":"1","qty":"1"}"#, 400, 1001, "side: must be BUY or SELL"),
    (r#"{"symbol":"BTC_USDT","side":["BUY"],"type":"LIMIT","price":"1","qty":"1"}"#, 400, 1001, "side: must be text"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","price":"1","qty":"1"}"#, 400, 1001, "type: is required"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"STOP","price":"1","qty":"1"}"#, 400, 1001, "type: must be LIMIT, MARKET or POST_ONLY"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"limit","price":"1","qty":"1"}"#, 400, 1001, "type: must be"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","order_type":"limit","price":"1","qty":"1"}"#, 400, 1001, "order_type: must be"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","order_type":"MARKET","price":"1","qty":"1"}"#, 400, 1001, "order_type: differs from type"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","time_in_force":"GTD","price":"1","qty":"1"}"#, 400, 1001, "time_in_force: must be GTC, IOC or FOK"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","time_in_force":"GTC","qty":"1"}"#, 400, 1001, "time_in_force: a MARKET order is IOC or FOK"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"POST_ONLY","time_in_force":"IOC","price":"1","qty":"1"}"#, 400, 1001, "time_in_force: a POST_ONLY order is GTC"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","post_only":true,"time_in_force":"FOK","price":"1","qty":"1"}"#, 400, 1001, "time_in_force: a POST_ONLY order is GTC"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"POST_ONLY","post_only":false,"price":"1","qty":"1"}"#, 400, 1001, "post_only: contradicts"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","post_only":true,"qty":"1"}"#, 400, 1001, "post_only: a MARKET order cannot be"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","post_only":1,"price":"1","qty":"1"}"#, 400, 1001, "post_only: must be true or false"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","qty":"1"}"#, 400, 1001, "price: is required"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":null,"qty":"1"}"#, 400, 1001, "price: is required, not null"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":true,"qty":"1"}"#, 400, 1001, "price: must be a decimal number"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":[1],"qty":"1"}"#, 400, 1001, "price: must be a decimal number"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":{"a":1},"qty":"1"}"#, 400, 1001, "price: must be a decimal number"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1.001","qty":"1"}"#, 400, 1003, "price: is off the tick 0.01"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":0.30000000000000004,"qty":"1"}"#, 400, 1003, "price: is off the tick 0.01"),
    (r#"{"symbol":"ESH4_USDT","side":"BUY","type":"LIMIT","price":"4799.10","qty":"1"}"#, 400, 1003, "price: is off the tick 0.25"),
    (r#"{"symbol":"ESH4_USDT","side":"BUY","type":"LIMIT","price":"4799.25","qty":1.5}"#, 400, 1003, "qty: is off the lot 1"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"0.00001"}"#, 400, 1003, "qty: is off the lot 0.0001"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"10000000000000000000000000000000000000000"}"#, 400, 1003, "qty: is too large"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1e40,"qty":"1"}"#, 400, 1003, "price: is too large"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1e309,"qty":"1"}"#, 400, 1003, "price: is too large"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1e309","qty":"1"}"#, 400, 1003, "price: is too large"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":-1,"qty":"1"}"#, 400, 1003, "price: must not be negative"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"-1"}"#, 400, 1003, "qty: must not be negative"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"0","qty":"1"}"#, 400, 1003, "price: must be above zero"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":0}"#, 400, 1003, "qty: must be above zero"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"NaN","qty":"1"}"#, 400, 1003, "price: is not a decimal number"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":NaN,"qty":"1"}"#, 400, 1001, "price: malformed JSON"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"","qty":"1"}"#, 400, 1003, "price: is not a decimal number"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","price":"2","qty":"1"}"#, 400, 1001, "price: is given twice"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","quote_qty":"1"}"#, 400, 1001, "quote_qty: is for MARKET orders only"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET"}"#, 400, 1001, "qty: or quote_qty is required"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"1","price":"1"}"#, 400, 1001, "price: a MARKET order has none"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"1","quote_qty":"1"}"#, 400, 1001, "quote_qty: cannot be given together with qty"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quote_qty":"0.001"}"#, 400, 1003, "quote_qty: has more than 2 decimals"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quote_qty":"0"}"#, 400, 1003, "quote_qty: must be above zero"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"0"}"#, 400, 1003, "qty: must be above zero"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","qty":"0.0001"}"#, 409, 1005, "symbol: has no reference price"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":""}"#, 400, 1001, "cid: must be 1 to 36 characters"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":"a b"}"#, 400, 1001, "cid: may hold printable ASCII only"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":"a\u0022b"}"#, 400, 1001, "cid: may hold printable ASCII only"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":"1234567890123456789012345678901234567"}"#, 400, 1001, "cid: must be 1 to 36 characters"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":true}"#, 400, 1001, "cid: must be text"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","stp":"EXPIRE"}"#, 400, 1001, "stp: must be NONE, EXPIRE_TAKER, EXPIRE_MAKER or EXPIRE_BOTH"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1001"}"#, 400, 1003, "qty: is above max_qty 1000.00000000"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"0.5"}"#, 400, 1003, "qty: price × qty is below min_notional 1.00"),
    (r#"{"symbol":"ESH4_USDT","side":"BUY","type":"LIMIT","price":"5280.25","qty":"1"}"#, 400, 1003, "price: is outside the price band 4320.00 to 5280.00"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100000.01","qty":"1"}"#, 400, 1002, "needs 100000.01 USDT, 100000.00 available"),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"184467440737095516.15","qty":"1000"}"#, 400, 1002, "needs "),
    (r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"184467440737095516.16","qty":"1"}"#, 400, 1003, "price: is too large"),
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

/// Method, route, body, HTTP status, code, how the message goes on.
const BAD_CALLS: &[(&str, &str, &str, u16, u64, &str)] = &[
    ("POST", "cancel_order", "{}", 400, 1001, "order_id: or cid is required"),
    ("POST", "cancel_order", r#"{"order_id":1.0}"#, 400, 1001, "order_id: must be an integer from 0"),
    ("POST", "cancel_order", r#"{"order_id":-1}"#, 400, 1001, "order_id: must be an integer from 0"),
    ("POST", "cancel_order", r#"{"order_id":1e3}"#, 400, 1001, "order_id: must be an integer from 0"),
    ("POST", "cancel_order", r#"{"order_id":9007199254740992}"#, 400, 1001, "order_id: must be an integer from 0"),
    ("POST", "cancel_order", r#"{"order_id":"99999999999999999999999"}"#, 400, 1001, "order_id: must be an integer from 0"),
    ("POST", "cancel_order", r#"{"order_id":true}"#, 400, 1001, "order_id: must be an integer from 0"),
    ("POST", "cancel_order", r#"{"order_id":1,"cid":"a"}"#, 400, 1001, "cid: cannot be given together"),
    ("POST", "cancel_order", r#"{"order_id":9007199254740991}"#, 404, 4001, "no such order"),
    ("POST", "cancel_order", r#"{"cid":"nobody"}"#, 404, 4001, "no such order"),
    ("POST", "order/reduce", r#"{"order_id":1}"#, 400, 1001, "reduce_qty: is required"),
    ("POST", "order/reduce", r#"{"order_id":1,"reduce_qty":"-1"}"#, 400, 1003, "reduce_qty: must not be negative"),
    ("POST", "order/reduce", r#"{"order_id":1,"reduce_qty":"1"}"#, 404, 4001, "no such order"),
    ("POST", "order/move", r#"{"order_id":1}"#, 400, 1001, "new_price: is required"),
    ("POST", "order/move", r#"{"order_id":1,"new_price":"x"}"#, 400, 1003, "new_price: is not a decimal number"),
    ("GET", "order/abc", "", 400, 1001, "order_id: must be an integer"),
    ("GET", "order/1.5", "", 400, 1001, "order_id: must be an integer"),
    ("GET", "order/%31%", "", 400, 1001, "order_id: is not percent-encoded"),
    ("GET", "order/7", "", 404, 4001, "no such order"),
    ("GET", "order", "", 400, 1001, "order_id: or cid is required"),
    ("GET", "order?cid=%20", "", 400, 1001, "cid: may hold"),
    ("GET", "orders?limit=0", "", 400, 1001, "limit: must be an integer from 1 to 1000"),
    ("GET", "orders?limit=1001", "", 400, 1001, "limit: must be an integer from 1 to 1000"),
    ("GET", "orders?limit=", "", 400, 1001, "limit: must be an integer from 1 to 1000"),
    ("GET", "orders?limit=1e2", "", 400, 1001, "limit: must be an integer from 1 to 1000"),
    ("GET", "orders?limit=99999999999999999999", "", 400, 1001, "limit: must be"),
    ("GET", "orders?limit=1&limit=2", "", 400, 1001, "limit: is given twice"),
    ("GET", "orders?limit=%f", "", 400, 1001, "limit: is not percent-encoded"),
    ("GET", "orders?status=open", "", 400, 1001, "status: must be OPEN, ENDED, NEW"),
    ("GET", "orders?symbol=NO_SUCH", "", 404, 1004, "symbol: unknown"),
    ("GET", "orders?before=-1", "", 400, 1001, "before: must be an integer"),
    ("GET", "trades?before=5", "", 400, 1001, "before: needs symbol"),
    ("GET", "public/depth", "", 400, 1001, "symbol: is required"),
    ("GET", "public/depth?symbol=NO_SUCH", "", 404, 1004, "symbol: unknown"),
    ("GET", "public/depth?symbol=BTC_USDT&limit=1001", "", 400, 1001, "limit: must be"),
    ("GET", "public/trades?symbol=BTC_USDT&limit=-1", "", 400, 1001, "limit: must be"),
    ("DELETE", "orders?symbol=NO_SUCH", "", 404, 1004, "symbol: unknown"),
    ("GET", "public/klines?symbol=BTC_USDT", "", 404, 1006, "/api/v1/public/klines: no such route"),
    ("GET", "order/", "", 404, 1006, "/api/v1/order/: no such route"),
    ("GET", "create_order", "", 405, 1007, "/api/v1/create_order: this method"),
    ("PUT", "orders", "", 405, 1007, "/api/v1/orders: this method"),
    ("BREW", "orders", "", 405, 1007, "/api/v1/orders: this method"),
];

#[test]
fn a_bad_call_is_refused_naming_the_parameter() {
    let mut exchange = Exchange::open();
    for (method, route, body, status, code, message) in BAD_CALLS {
        let (got_status, got_code, got) = exchange.taker(method, route, body).error();
        assert_eq!((got_status, got_code), (*status, *code), "{method} {route} {body}: {got}");
        let detail = got.split_once(": ").unwrap().1;
        assert!(detail.starts_with(message), "{method} {route} {body}: {got}");
    }
}

const BAD_ADMINISTRATION: &[(&str, &str, &str, u16, u64, &str)] = &[
    ("POST", "assets", "{}", 400, 1001, "asset: is required"),
    ("POST", "assets", r#"{"asset":"btc","decimals":8}"#, 400, 1001, "asset: must be 1 to 16"),
    ("POST", "assets", r#"{"asset":"ETH"}"#, 400, 1001, "decimals: is required"),
    ("POST", "assets", r#"{"asset":"ETH","decimals":25}"#, 400, 1001, "decimals: must be an integer from 0 to 24"),
    ("POST", "assets", r#"{"asset":"ETH","decimals":1.5}"#, 400, 1001, "decimals: must be an integer from 0 to 24"),
    ("POST", "assets", r#"{"asset":"BTC","decimals":8}"#, 409, 1008, "asset: exists already"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"NO","tick":"1","lot":"1"}"#, 400, 1001, "quote: unknown asset"),
    ("POST", "symbols", r#"{"symbol":"USDTBTC","base":"USDT","quote":"BTC","tick":"1","lot":"1"}"#, 400, 1001, "symbol: must be BASE_QUOTE, here USDT_BTC"),
    ("POST", "symbols", r#"{"symbol":"BTC_BTC","base":"BTC","quote":"BTC","tick":"1","lot":"1"}"#, 400, 1001, "quote: must differ from base"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"0","lot":"1"}"#, 400, 1001, "tick: must be above zero"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e-19","lot":"1"}"#, 400, 1001, "tick: has more than 18 decimals"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e25","lot":"1"}"#, 400, 1001, "tick: is too large"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e-18","lot":"0.001"}"#, 400, 1001, "lot: has more than 2 decimals"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e-8","lot":"1","min_qty":"1.5"}"#, 400, 1001, "min_qty: is off the lot 1.00"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e-8","lot":"1","min_qty":"2","max_qty":"1"}"#, 400, 1001, "max_qty: must be at least min_qty"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e-8","lot":"1","maker_fee_ppm":100001}"#, 400, 1001, "maker_fee_ppm: must be at most 100000"),
    ("POST", "symbols", r#"{"symbol":"USDT_BTC","base":"USDT","quote":"BTC","tick":"1e-8","lot":"1","status":"OPEN"}"#, 400, 1001, "status: must be TRADING, CANCEL_ONLY or HALTED"),
    ("POST", "symbols", r#"{"symbol":"BTC_USDT","base":"BTC","quote":"USDT","tick":"1","lot":"1"}"#, 409, 1008, "symbol: exists already"),
    ("PATCH", "symbols/NO_SUCH", r#"{"status":"HALTED"}"#, 404, 1004, "symbol: unknown"),
    ("PATCH", "symbols/BTC_USDT", r#"{"tick":"0.1"}"#, 400, 1001, "tick: cannot be changed"),
    ("PATCH", "symbols/BTC_USDT", r#"{"lot":"0.1","status":"HALTED"}"#, 400, 1001, "lot: cannot be changed"),
    ("PATCH", "symbols/BTC_USDT", r#"{"base":"USDT"}"#, 400, 1001, "base: cannot be changed"),
    ("PATCH", "symbols/BTC_USDT", "{}", 400, 1001, "body: names no rule to change"),
    ("PATCH", "symbols/BTC_USDT", r#"{"price_band_ppm":1000000}"#, 400, 1001, "price_band_ppm: must be below"),
    ("PATCH", "symbols/BTC_USDT", r#"{"reference_price":"0.001"}"#, 400, 1001, "reference_price: is off the tick 0.01"),
    ("POST", "users", r#"{"user_id":1001}"#, 409, 1008, "user_id: exists already"),
    ("POST", "users", r#"{"user_id":"x"}"#, 400, 1001, "user_id: must be an integer"),
    ("POST", "users", r#"{"name":""}"#, 400, 1001, "name: must be 1 to 64 bytes long"),
    ("PATCH", "users/9", r#"{"frozen":true}"#, 400, 1001, "user_id: unknown"),
    ("PATCH", "users/1001", r#"{"frozen":"maybe"}"#, 400, 1001, "frozen: must be true or false"),
    ("PATCH", "users/1001", "{}", 400, 1001, "frozen: is required"),
    ("POST", "deposits", r#"{"user_id":1,"asset":"BTC","amount":"1","ref":"r"}"#, 400, 1001, "user_id: unknown"),
    ("POST", "deposits", r#"{"user_id":1001,"asset":"NO","amount":"1","ref":"r"}"#, 400, 1001, "asset: unknown asset"),
    ("POST", "deposits", r#"{"user_id":1001,"asset":"USDT","amount":"0.001","ref":"r"}"#, 400, 1001, "amount: has more than 2 decimals"),
    ("POST", "deposits", r#"{"user_id":1001,"asset":"USDT","amount":"0","ref":"r"}"#, 400, 1001, "amount: must be above zero"),
    ("POST", "deposits", r#"{"user_id":1001,"asset":"USDT","amount":"1"}"#, 400, 1001, "ref: is required"),
    ("POST", "deposits", r#"{"user_id":1001,"asset":"USDT","amount":"1","ref":"a"}"#, 400, 1001, "ref: was used for another payment"),
    ("POST", "deposits", r#"{"user_id":1001,"asset":"USDT","amount":"3402823669209384634633746074317682114.55","ref":"max"}"#, 400, 1001, "amount: is too large"),
    ("POST", "withdrawals", r#"{"user_id":1001,"asset":"BTC","amount":"1","ref":"w"}"#, 400, 1002, "needs 1.00000000 BTC, 0.00000000 available"),
    ("GET", "book?symbol=BTC_USDT", "", 400, 1001, "side: is required"),
    ("GET", "book?symbol=BTC_USDT&side=BUY&after=5", "", 400, 1001, "after: is not a resting order"),
    ("GET", "tape", "", 400, 1001, "symbol: is required"),
    ("GET", "balances", "", 400, 1001, "user_id: is required"),
    ("GET", "balances?user_id=77", "", 400, 1001, "user_id: unknown"),
    ("DELETE", "orders?user_id=77", "", 400, 1001, "user_id: unknown"),
];

#[test]
fn bad_administration_is_refused_naming_the_field() {
    let mut exchange = Exchange::open();
    let before = exchange.engine.state_hash();
    for (method, route, body, status, code, message) in BAD_ADMINISTRATION {
        let (got_status, got_code, got) = exchange.admin(method, route, body).error();
        assert_eq!((got_status, got_code), (*status, *code), "{method} {route} {body}: {got}");
        let detail = got.split_once(": ").unwrap().1;
        assert!(detail.starts_with(message), "{method} {route} {body}: {got}");
    }
    assert_eq!(exchange.engine.state_hash(), before);
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

//! What bad calls are answered: one error each, that names the field.

use proptest::prelude::*;
use serde_json::Value;

use super::{Endpoint, TAKER, call, error, exchange, read, text, told};
use crate::native::Serving;
use crate::rpc::MAX_SYMBOLS;

/// Parameters of a method at `/orders`, the code, the field, how the issue begins.
const BAD_PARAMS: &[(&str, &str, u64, &str, &str)] = &[
    ("order.place", "[]", 40001, "params", "must be an object"),
    ("order.place", "null", 40001, "symbol", "is required"),
    ("order.place", r#"{"symbol":"NO_SUCH"}"#, 40003, "symbol", "unknown"),
    ("order.place", r#"{"symbol":"BTC_USDT","symbol":"BTC_USDT"}"#, 40001, "symbol", "is given"),
    ("order.place", r#"{"symbol":"BTC_USDT"}"#, 40001, "side", "is required"),
    ("order.place", r#"{"symbol":"BTC_USDT","side":"buy"}"#, 40001, "side", "must be BUY or SELL"),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"STOP"}"#,
        40001,
        "type",
        "must be LIMIT, MARKET, IOC, FOK or POST_ONLY",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"IOC","quantity":1}"#,
        40001,
        "price",
        "is required",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quantity":1,"price":5}"#,
        40001,
        "price",
        "a MARKET order has none",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1}"#,
        40001,
        "quantity",
        "is required",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1,"quantity":0.00001}"#,
        40001,
        "quantity",
        "is off the lot",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1.001,"quantity":1}"#,
        40001,
        "price",
        "is off the tick 0.01",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":-1,"quantity":1}"#,
        40001,
        "price",
        "must not be negative",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1,"quantity":0}"#,
        40001,
        "quantity",
        "must be above zero",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":0.01,"quantity":1}"#,
        40001,
        "quantity",
        "price × quantity is below min_notional 1.00",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1,"quantity":1,"client_order_id":"a b"}"#,
        40001,
        "client_order_id",
        "may hold printable ASCII only",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":999999,"quantity":1}"#,
        40002,
        "quantity",
        "needs 999999.00 USDT",
    ),
    (
        "order.place",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1,"quantity":1,"account_id":1002}"#,
        40301,
        "account_id",
        "is not the account of this user",
    ),
    ("account.info", r#"{"account_id":"me"}"#, 40001, "account_id", "must be an integer"),
    ("order.cancel", "{}", 40001, "order_id", "or client_order_id is required"),
    (
        "order.cancel",
        r#"{"order_id":1,"client_order_id":"c"}"#,
        40001,
        "client_order_id",
        "cannot be given together with order_id",
    ),
    ("order.cancel", r#"{"order_id":"ord_"}"#, 40001, "order_id", "must be ord_ and an integer"),
    ("order.cancel", r#"{"order_id":"ord_ord_1"}"#, 40001, "order_id", "must be ord_ and"),
    ("order.cancel", r#"{"order_id":"ord_9007199254740992"}"#, 40001, "order_id", "must be ord_"),
    ("order.cancel", r#"{"order_id":true}"#, 40001, "order_id", "must be ord_ and"),
    ("order.cancel", r#"{"order_id":"ord_77"}"#, 40401, "order_id", "no such order"),
    ("order.status", r#"{"client_order_id":"x"}"#, 40401, "client_order_id", "no such order"),
    ("order.list", r#"{"status":"CANCELLED"}"#, 40001, "status", "must be OPEN, ENDED, NEW"),
    ("order.list", r#"{"limit":0}"#, 40001, "limit", "must be an integer from 1 to 1000"),
    ("order.list", r#"{"before":"trd_1"}"#, 40001, "before", "must be ord_ and"),
    ("account.trades", r#"{"before":1}"#, 40001, "before", "needs symbol"),
    ("account.trades", r#"{"symbol":5}"#, 40001, "symbol", "must be text"),
];

#[test]
fn bad_parameters_are_refused_naming_the_field() {
    let mut exchange = exchange();
    let before = exchange.engine.state_hash();
    for (method, params, code, field, issue) in BAD_PARAMS {
        let answer = call(&mut exchange, method, params, TAKER);
        assert_eq!(answer["id"], 1, "{method} {params}: {answer}");
        let told = error(&answer);
        assert_eq!((told.0, told.1.as_str()), (*code, *field), "{method} {params}: {answer}");
        assert!(told.2.starts_with(issue), "{method} {params}: {answer}");
    }
    assert_eq!(exchange.engine.state_hash(), before);
}

/// Messages, the `id` of the answer, the field, how the issue begins.
const BAD_MESSAGES: &[(&str, &str, &str, &str)] = &[
    ("", "null", "message", "is empty"),
    ("[]", "null", "message", "must be a JSON object"),
    ("{", "null", "message", "malformed JSON at byte 1"),
    (r#"{"id":7}"#, "7", "method", "is required"),
    (r#"{"id":7,"method":5}"#, "7", "method", "must be text"),
    (r#"{"id":7,"method":"ping","method":"ping"}"#, "7", "method", "is given twice"),
    (r#"{"id":7,"id":7,"method":"ping"}"#, "null", "id", "is given twice"),
    (r#"{"id":{},"method":"ping"}"#, "null", "id", "must be text or a number"),
    (r#"{"id":"x","method":"PING"}"#, "\"x\"", "method", "must be auth.login, auth.jwt, order."),
    (r#"{"id":7,"method":"ping","params":5}"#, "7", "params", "must be an object"),
    (r#"{"id":7,"method":"ping""#, "null", "method", "malformed JSON at byte 23"),
];

#[test]
fn a_bad_message_is_refused_naming_the_field() {
    let mut exchange = exchange();
    for (message, id, field, issue) in BAD_MESSAGES {
        let answer = told(&mut exchange, Endpoint::Orders, message, TAKER);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"].to_string(), *id, "{message}: {answer}");
        let told = error(&answer);
        assert_eq!((told.0, told.1.as_str()), (40001, *field), "{message}: {answer}");
        assert!(told.2.starts_with(issue), "{message}: {answer}");
    }
}

#[test]
fn a_method_at_the_wrong_endpoint_is_told_the_right_one() {
    let mut exchange = exchange();
    for (at, method, issue) in [
        (Endpoint::MarketData, "order.place", "order.place belongs to /orders"),
        (Endpoint::UserData, "order.list", "order.list belongs to /orders"),
        (Endpoint::MarketData, "account.info", "account.info belongs to /orders or /user-data"),
        (
            Endpoint::Orders,
            "market_data.subscribe",
            "market_data.subscribe belongs to /market-data",
        ),
    ] {
        let message = format!(r#"{{"method":"{method}","id":"m"}}"#);
        let answer = told(&mut exchange, at, &message, None);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"], "m");
        assert_eq!(error(&answer), (40001, "method".into(), issue.into()));
    }
}

#[test]
fn who_has_not_logged_in_gets_market_data_only() {
    let mut exchange = exchange();
    for method in ["order.place", "order.cancel", "order.status", "order.list", "account.info"] {
        let (code, field, issue) = error(&call(&mut exchange, method, "{}", None));
        assert_eq!((code, field.as_str()), (40101, "method"), "{issue}");
        assert!(issue.starts_with(method), "{issue}");
    }
}

#[test]
fn a_server_that_goes_down_says_so() {
    let mut exchange = exchange();
    for (serving, issue) in [
        (Serving::Draining, "the server is going down"),
        (Serving::Recovering, "the journal is being recovered"),
    ] {
        exchange.serving = serving;
        let told = error(&call(&mut exchange, "order.list", "{}", TAKER));
        assert_eq!(told, (50301, "method".into(), issue.into()));
    }
}

#[test]
fn lists_of_symbols_are_checked_and_bounded() {
    let mut exchange = exchange();
    let many = format!("[{}]", vec!["\"BTC_USDT\""; MAX_SYMBOLS + 1].join(","));
    for (params, code, field, issue) in [
        (r#"{"symbols":"BTC_USDT"}"#.to_owned(), 40001, "symbols", "must be an array"),
        (r#"{"symbols":[]}"#.to_owned(), 40001, "symbols", "must name a symbol"),
        (r#"{"symbols":["BTC_USDT",5]}"#.to_owned(), 40001, "symbols[1]", "must be text"),
        (r#"{"symbols":["NO_SUCH"]}"#.to_owned(), 40003, "symbols[0]", "unknown"),
        (format!(r#"{{"symbols":{many}}}"#), 40001, "symbols", "must name at most 1024"),
        (r#"{"depth":0}"#.to_owned(), 40001, "depth", "must be an integer from 1 to 100"),
        (r#"{"depth":1.5}"#.to_owned(), 40001, "depth", "must be an integer from 1 to 100"),
    ] {
        let message = format!(r#"{{"method":"market_data.subscribe","params":{params},"id":1}}"#);
        let answer = told(&mut exchange, Endpoint::MarketData, &message, None);
        let told = error(&serde_json::from_str(&answer).unwrap());
        assert_eq!((told.0, told.1.as_str()), (code, field), "{answer}");
        assert!(told.2.starts_with(issue), "{answer}");
    }
}

proptest! {
    #[test]
    fn every_text_gets_one_answer_with_its_id(
        method in "(order\\.(place|cancel|status|list)|market_data\\.(un)?subscribe|auth\\.(login|jwt)|account\\.(info|positions|trades)|ping|[a-z.]{0,8})",
        id in "-?[1-9][0-9]{0,9}|\"[a-z ]{0,20}\"",
        params in proptest::collection::vec(
            (
                "symbols?|side|type|price|quantity|order_id|client_order_id|account_id|status|limit|before|depth|api_key|api_secret|token",
                "null|true|-?(0|[1-9][0-9]{0,29})(\\.[0-9]{1,9})?(e[0-9]{1,3})?|\"(BTC_USDT|BUY|LIMIT|MARKET|ord_[0-9]{0,20}|[ -!#-\\[\\]-~]{0,12})\"|\\[(\"BTC_USDT\")?\\]|\\{\\}",
            ),
            0..6,
        ),
        place in 0..3usize,
        is_known in any::<bool>(),
    ) {
        let mut exchange = exchange();
        let at = [Endpoint::Orders, Endpoint::MarketData, Endpoint::UserData][place];
        let user = TAKER.filter(|_| is_known);
        let params: Vec<String> =
            params.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let message = format!(
            r#"{{"method":"{method}","params":{{{}}},"id":{id}}}"#, params.join(",")
        );
        use crate::rpc::ClientMessage;
        let tag = match read(&message, at, &exchange.context(), &exchange.caller(user)) {
            Ok(ClientMessage::Login { tag, .. } | ClientMessage::MarketSubscribe { tag, .. }
                | ClientMessage::MarketUnsubscribe { tag, .. }) => Some(tag),
            _ => None,
        };
        let answer = match tag {
            Some(tag) => text(|out| crate::rpc::overloaded(&tag, out)),
            None => told(&mut exchange, at, &message, user),
        };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        prop_assert_eq!(answer["id"].to_string(), id);
        prop_assert!(answer.get("result").is_some() != answer.get("error").is_some());
    }

    #[test]
    fn arbitrary_text_never_panics(message in "\\PC{0,40}|[\\[\\]{}:,\"\\\\a-z0-9.]{0,40}") {
        let exchange = exchange();
        if let Err(unread) = read(&message, Endpoint::Orders, &exchange.context(), &exchange.caller(TAKER)) {
            let answer: Value = serde_json::from_str(&text(|out| unread.write(out))).unwrap();
            error(&answer);
        }
    }
}

//! The dialect against a real engine of one shard: requests as text in, answers as text out.

mod answers;
mod anything;
mod bad_calls;
mod routes;
mod stream;

use crate::native::tests::{Answered, Exchange, NOW_MS};

/// [`NOW_MS`] as the dialect tells it.
const NOW_NS: u64 = NOW_MS * 1_000_000;

/// As user 1001, who is rich in USDT.
fn taker(exchange: &mut Exchange, method: &str, target: &str, body: &str) -> Answered {
    exchange.call(method, target, "X-User-ID: 1001\r\n", body)
}

/// As user 1002, who is rich in BTC.
fn maker(exchange: &mut Exchange, method: &str, target: &str, body: &str) -> Answered {
    exchange.call(method, target, "X-User-ID: 1002\r\n", body)
}

/// Status, word, message and field of an error.
fn error(answered: &Answered) -> (u16, String, String, Option<String>) {
    let json = answered.json();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let (word, message) = (text(&json["error"]).unwrap(), text(&json["message"]).unwrap());
    assert!(json["details"].is_object(), "{}", answered.body);
    (answered.status, word, message, text(&json["details"]["field"]))
}

//! The dialect against a real engine of one shard: messages as text in, answers as text out.

mod answers;
mod bad_calls;
mod login;
mod push;
mod upgrade;

use engine::Input;
use money::UserId;
use serde_json::Value;

use super::{ClientMessage, Endpoint, read, respond};
use crate::native::Action;
use crate::native::tests::Exchange;

const TAKER: Option<UserId> = Some(UserId(1001));
const MAKER: Option<UserId> = Some(UserId(1002));

/// [`Exchange::open`] and a market whose values have no decimals, of which 1002 has some.
fn exchange() -> Exchange {
    let mut exchange = Exchange::open();
    for (path, body) in [
        ("assets", r#"{"asset":"GOLD","decimals":0}"#),
        ("symbols", r#"{"symbol":"GOLD_USDT","base":"GOLD","quote":"USDT","tick":1,"lot":1}"#),
        ("deposits", r#"{"user_id":1002,"asset":"GOLD","amount":"100","ref":"g"}"#),
    ] {
        let answered = exchange.admin("POST", path, body);
        assert_eq!(answered.status, 200, "{path} {body}: {}", answered.body);
    }
    exchange
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// What a message is answered, to the letter.
fn told(exchange: &mut Exchange, at: Endpoint, message: &str, user: Option<UserId>) -> String {
    match read(message, at, &exchange.context(), &exchange.caller(user)) {
        Err(unread) => text(|out| unread.write(out)),
        Ok(ClientMessage::Answered(answered)) => text(|out| answered.write(out)),
        Ok(ClientMessage::Act { action, tag }) => {
            let (reply, how) = match action {
                Action::Command { command, respond, repeat_while_more: false } => {
                    (exchange.apply(Input::Command(command)), respond)
                }
                Action::Query { query, respond } => (exchange.engine.query(&query), respond),
                other => panic!("{message}: {other:?}"),
            };
            text(|out| respond(&how, &tag, &reply, &exchange.context(), out))
        }
        Ok(other) => panic!("{message}: {other:?}"),
    }
}

/// A call of a method at `/orders`, answered.
fn call(exchange: &mut Exchange, method: &str, params: &str, user: Option<UserId>) -> Value {
    let message = format!(r#"{{"method":"{method}","params":{params},"id":1}}"#);
    let answer = told(exchange, Endpoint::Orders, &message, user);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The result of a call that succeeds.
fn result(exchange: &mut Exchange, method: &str, params: &str, user: Option<UserId>) -> Value {
    let answer = call(exchange, method, params, user);
    assert_eq!((&answer["id"], &answer["error"]), (&1.into(), &Value::Null), "{params}: {answer}");
    answer["result"].clone()
}

/// Code, field and issue of an error.
fn error(answer: &Value) -> (u64, String, String) {
    assert!(answer.get("result").is_none(), "{answer}");
    let error = &answer["error"];
    let details = &error["details"];
    let word = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert!(!word(&error["message"]).is_empty());
    (error["code"].as_u64().unwrap(), word(&details["field"]), word(&details["issue"]))
}

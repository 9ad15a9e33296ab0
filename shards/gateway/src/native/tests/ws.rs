//! Messages of `/ws` against a real engine: text in, text out.

use engine::Input;
use money::{SymbolId, UserId};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::ws::{
    self, Channel, ClientMessage, MAX_REQUEST_ID_BYTES, PRIVATE_CHANNELS, RequestId, Subscriptions,
    auth_error, auth_success, connected, is_unknown_user, overloaded, pong, refuse_binary,
    subscribed, unsubscribed, user_query,
};
use super::super::{Action, Code, Interval, Serving};
use super::{Exchange, NOW_MS};
use crate::auth::Shown;

const TAKER: Option<UserId> = Some(UserId(1001));

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

impl Exchange {
    fn read(&self, text: &str, user: Option<UserId>) -> ClientMessage {
        ws::read(text, &self.context(), &self.caller(user))
            .unwrap_or_else(|unread| panic!("{text}: {unread:?}"))
    }

    /// What a message is answered.
    fn say(&mut self, message: &str, user: Option<UserId>) -> Value {
        let answer = match ws::read(message, &self.context(), &self.caller(user)) {
            Err(unread) => text(|out| unread.write(out)),
            Ok(ClientMessage::Order { action, tag }) => {
                let (reply, respond) = match action {
                    Action::Command { command, respond, .. } => {
                        (self.apply(Input::Command(command)), respond)
                    }
                    Action::Query { query, respond } => (self.engine.query(&query), respond),
                    other => panic!("{other:?}"),
                };
                text(|out| ws::respond(&respond, &tag, &reply, &self.context(), out))
            }
            Ok(other) => panic!("{message}: {other:?}"),
        };
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

#[test]
fn an_order_over_websocket_is_the_order_over_http() {
    let mut exchange = Exchange::open();
    let place = r#"{"type":"order.place","id":7,"data":{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.50","qty":2,"cid":"c-1"}}"#;
    let placed = exchange.say(place, TAKER);
    let order = placed["data"]["order_id"].as_u64().unwrap();
    assert_eq!(
        placed,
        json!({"type": "order.place.success", "id": 7, "data":
            {"order_id": order, "cid": "c-1", "status": "ACCEPTED", "accepted_at": NOW_MS}})
    );
    let over_http = exchange.taker("GET", &format!("order/{order}"), "").data();
    let query = format!(r#"{{"data":{{"order_id":{order}}},"id":"a\"b","type":"order.query"}}"#);
    assert_eq!(
        exchange.say(&query, TAKER),
        json!({"type": "order.query.success", "id": "a\"b", "data": over_http})
    );
    let canceled = exchange.say(r#"{"type":"order.cancel","data":{"cid":"c-1"}}"#, TAKER);
    assert_eq!(canceled["type"], "order.cancel.success");
    assert_eq!(canceled["data"]["status"], "CANCELED");
    assert!(canceled.get("id").is_none());
    assert_eq!(
        exchange.say(r#"{"type":"order.cancel","id":1.5,"data":{"cid":"c-1"}}"#, TAKER),
        json!({"type": "error", "id": 1.5, "code": 4002, "msg": "ORDER_NOT_OPEN: order is CANCELED"})
    );
}

#[test]
fn a_waiting_order_is_answered_with_its_fills() {
    let mut exchange = Exchange::open();
    let rest =
        r#"{"symbol":"BTC_USDT","side":"SELL","type":"POST_ONLY","price":"100.50","qty":"0.5"}"#;
    exchange.maker("POST", "create_order", rest);
    let place = r#"{"type":"order.place","id":7,"wait":true,"data":{"symbol":"BTC_USDT","side":"BUY","type":"MARKET","quote_qty":"50"}}"#;
    let placed = exchange.say(place, TAKER);
    assert_eq!(placed["data"]["fills"][0]["price"], "100.50", "{placed}");
    assert_eq!(placed["data"]["status"], "FILLED");
}

/// A message, the `id` of its answer, the code, how the message text goes on behind its word.
const BAD_MESSAGES: &[(&str, &str, u64, &str)] = &[
    ("", "null", 1001, "message: is empty"),
    ("[]", "null", 1001, "message: must be a JSON object"),
    ("{", "null", 1001, "message: malformed JSON at byte 1"),
    (r#"{"type":"ping","id":7"#, "null", 1001, "id: malformed JSON at byte 21"),
    (r#"{"id":7}"#, "7", 1001, "type: is required"),
    (
        r#"{"type":"PING","id":"x"}"#,
        r#""x""#,
        1001,
        "type: must be auth, ping, subscribe, unsubscribe, order.place, order.cancel or order.query",
    ),
    (r#"{"type":"ping","id":{}}"#, "null", 1001, "id: must be text or a number"),
    (r#"{"type":"auth","token":"x"}"#, "null", 1001, "type: this connection is authenticated"),
    (r#"{"type":"order.place"}"#, "null", 1001, "data: is required"),
    (r#"{"type":"order.place","data":[]}"#, "null", 1001, "data: must be an object"),
    (r#"{"type":"order.cancel","data":{}}"#, "null", 1001, "order_id: or cid is required"),
    (r#"{"type":"order.query","data":{"order_id":1}}"#, "null", 4001, "no such order"),
    (r#"{"type":"order.place","id":7,"data":{"symbol":"NO_SUCH"}}"#, "7", 1004, "symbol: unknown"),
    (
        r#"{"type":"order.place","id":7,"data":{"symbol":"BTC_USDT","symbol":"BTC_USDT"}}"#,
        "7",
        1001,
        "symbol: is given twice",
    ),
    (
        r#"{"type":"order.place","id":7,"data":{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","qty":1}}"#,
        "7",
        1001,
        "price: is required",
    ),
    (
        r#"{"type":"order.place","id":7,"data":{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1.001","qty":1}}"#,
        "7",
        1003,
        "price: is off the tick 0.01",
    ),
    (
        r#"{"type":"order.place","id":7,"data":{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"999999","qty":1}}"#,
        "7",
        1002,
        "needs 999999.00 USDT",
    ),
    (
        r#"{"type":"order.place","id":7,"wait":"soon","data":{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":1,"qty":1}}"#,
        "7",
        1001,
        "wait: must be true or false",
    ),
    (r#"{"type":"subscribe","id":7}"#, "7", 1001, "channels: is required"),
    (r#"{"type":"subscribe","channels":"trades"}"#, "null", 1001, "channels: must be an array"),
    (r#"{"type":"subscribe","channels":[]}"#, "null", 1001, "channels: must name a channel"),
    (r#"{"type":"subscribe","channels":["trades",5]}"#, "null", 1001, "channels[1]: must be text"),
    (
        r#"{"type":"subscribe","channels":["depth"]}"#,
        "null",
        1001,
        "channels[0]: must be order_updates,",
    ),
    (
        r#"{"type":"subscribe","channels":["kline_2m:BTC_USDT"]}"#,
        "null",
        1001,
        "channels[0]: must be order_updates,",
    ),
    (
        r#"{"type":"unsubscribe","channels":["trades:BTC_USDT","bbo:NO_SUCH"]}"#,
        "null",
        1004,
        "channels[1]: unknown symbol",
    ),
];

#[test]
fn a_bad_message_is_refused_naming_the_field() {
    let mut exchange = Exchange::open();
    let before = exchange.engine.state_hash();
    for (message, id, code, wanted) in BAD_MESSAGES {
        let answer = exchange.say(message, TAKER);
        assert_eq!(answer["type"], "error", "{message}: {answer}");
        assert_eq!(answer["id"].to_string(), *id, "{message}: {answer}");
        assert_eq!(answer["code"], *code, "{message}: {answer}");
        let (_, detail) = answer["msg"].as_str().unwrap().split_once(": ").unwrap();
        assert!(detail.starts_with(wanted), "{message}: {answer}");
    }
    assert_eq!(exchange.engine.state_hash(), before);
}

#[test]
fn an_id_that_is_too_long_to_keep_is_refused() {
    let mut exchange = Exchange::open();
    let say = |length| format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(length));
    exchange.read(&say(MAX_REQUEST_ID_BYTES), TAKER);
    let answer = exchange.say(&say(MAX_REQUEST_ID_BYTES + 1), TAKER);
    assert_eq!(answer["msg"], "INVALID_PARAMETER: id: must be at most 62 bytes long");
}

#[test]
fn who_has_not_said_who_it_is_gets_public_data_only() {
    let mut exchange = Exchange::open();
    for (message, wanted) in [
        (r#"{"type":"order.place","data":{}}"#, "MISSING_AUTH: type: is for authenticated"),
        (r#"{"type":"order.query","data":{}}"#, "MISSING_AUTH: type: is for authenticated"),
        (
            r#"{"type":"subscribe","channels":["bbo:BTC_USDT","order_updates"]}"#,
            "MISSING_AUTH: channels[1]: is for authenticated",
        ),
    ] {
        let answer = exchange.say(message, None);
        assert_eq!(answer["code"], 2001, "{answer}");
        assert!(answer["msg"].as_str().unwrap().starts_with(wanted), "{answer}");
    }
    let message = exchange.read(r#"{"type":"auth","token":"t","id":1}"#, None);
    assert!(
        matches!(message, ClientMessage::Auth { shown: Shown::Token(token), id: Some(_) } if token.reveal() == "t")
    );
    let answer = exchange.say(r#"{"type":"auth"}"#, None);
    assert_eq!(answer["msg"], "INVALID_PARAMETER: token: is required");
}

#[test]
fn every_channel_is_read_and_told_by_its_name() {
    let exchange = Exchange::open();
    let symbol = SymbolId(1);
    let mut channels = PRIVATE_CHANNELS.to_vec();
    channels.extend([
        Channel::Trades(symbol),
        Channel::Depth(symbol),
        Channel::DepthRealtime(symbol),
        Channel::Bbo(symbol),
        Channel::Ticker(symbol),
    ]);
    channels.extend(Interval::ALL.iter().map(|&interval| Channel::Kline(interval, symbol)));
    let registry = exchange.engine.registry();
    let names = text(|out| subscribed(None, &channels, registry, out));
    assert_eq!(
        names,
        r#"{"type":"subscribe.success","channels":["order_updates","balance_updates","trades","trades:ESH4_USDT","depth:ESH4_USDT","depth_realtime:ESH4_USDT","bbo:ESH4_USDT","ticker:ESH4_USDT","kline_1m:ESH4_USDT","kline_5m:ESH4_USDT","kline_15m:ESH4_USDT","kline_30m:ESH4_USDT","kline_1h:ESH4_USDT","kline_4h:ESH4_USDT","kline_1d:ESH4_USDT"]}"#
    );
    let message = names.replace("subscribe.success", "unsubscribe");
    assert_eq!(
        exchange.read(&message, TAKER),
        ClientMessage::Unsubscribe { channels: channels.clone(), id: None }
    );
    let mut subscriptions = Subscriptions::default();
    subscriptions.add(&channels).unwrap();
    assert!(subscriptions.contains(Channel::OwnTrades) && channels[2].is_private());
    assert_eq!(channels[3].symbol(), Some(symbol));
}

#[test]
fn greetings_and_small_answers_are_to_the_letter() {
    let exchange = Exchange::open();
    let id: Option<RequestId> = match exchange.read(r#"{"type":"ping","id":"p"}"#, None) {
        ClientMessage::Ping { id } => id,
        other => panic!("{other:?}"),
    };
    let id = id.as_ref();
    let user = UserId(1001);
    for (wanted, got) in [
        (r#"{"type":"connected","user_id":1001}"#, text(|out| connected(Some(user), out))),
        (r#"{"type":"connected"}"#, text(|out| connected(None, out))),
        (r#"{"type":"pong"}"#, text(|out| pong(None, out))),
        (r#"{"type":"pong","id":"p"}"#, text(|out| pong(id, out))),
        (r#"{"type":"auth.success","user_id":1001}"#, text(|out| auth_success(None, user, out))),
        (
            r#"{"type":"auth.error","id":"p","code":2002,"msg":"AUTH_FAILED: token: is not \"known\""}"#,
            text(|out| auth_error(id, Code::AuthFailed, "token: is not \"known\"", out)),
        ),
        (
            r#"{"type":"unsubscribe.success","id":"p","channels":["trades"]}"#,
            text(|out| {
                let registry = exchange.engine.registry();
                unsubscribed(id, &[Channel::OwnTrades], registry, out);
            }),
        ),
        (
            r#"{"type":"error","code":1001,"msg":"INVALID_PARAMETER: message: must be text, not binary"}"#,
            text(refuse_binary),
        ),
    ] {
        assert_eq!(got, wanted);
    }
}

#[test]
fn an_unknown_user_is_found_out_before_it_is_greeted() {
    let mut exchange = Exchange::open();
    let reply = |exchange: &Exchange, user| exchange.engine.query(&user_query(UserId(user)));
    assert!(is_unknown_user(&reply(&exchange, 4242)));
    assert!(!is_unknown_user(&reply(&exchange, 1001)));
    let answer =
        exchange.say(r#"{"type":"order.query","data":{"order_id":1}}"#, Some(UserId(4242)));
    assert_eq!(answer["msg"], "AUTH_FAILED: user_id: unknown user");
}

#[test]
fn orders_are_refused_while_the_server_goes_down_or_is_full() {
    let mut exchange = Exchange::open();
    let cancel = r#"{"type":"order.cancel","id":3,"data":{"order_id":1}}"#;
    let ClientMessage::Order { tag, .. } = exchange.read(cancel, TAKER) else { panic!() };
    assert_eq!(
        text(|out| overloaded(&tag, out)),
        r#"{"type":"error","id":3,"code":5001,"msg":"UNAVAILABLE: too many requests are under way, try again"}"#
    );
    exchange.serving = Serving::Draining;
    let answer = exchange.say(cancel, TAKER);
    assert_eq!((&answer["id"], &answer["code"]), (&json!(3), &json!(5001)));
    assert!(matches!(exchange.read(r#"{"type":"ping"}"#, TAKER), ClientMessage::Ping { .. }));
}

proptest! {
    #[test]
    fn random_messages_never_panic(
        kind in "order\\.(place|cancel|query)|(un)?subscribe|auth|ping|[a-z.]{0,8}",
        fields in proptest::collection::vec(
            ("type|id|data|channels|token|wait|x", "[\\[\\]{}:,\"a-z0-9.]{0,12}|\"trades(:BTC_USDT)?\"|\\[\"[a-z_1:]{0,12}\"\\]"),
            0..4,
        ),
    ) {
        let exchange = Exchange::open();
        let fields: String =
            fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        for message in [format!("{{\"type\":\"{kind}\"{fields}}}"), fields] {
            if let Err(unread) = ws::read(&message, &exchange.context(), &exchange.caller(TAKER)) {
                let answer: Value = serde_json::from_str(&text(|out| unread.write(out))).unwrap();
                prop_assert_eq!(&answer["type"], "error");
            }
        }
    }
}

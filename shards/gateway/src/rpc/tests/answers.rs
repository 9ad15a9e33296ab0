//! What good calls are answered, to the letter.

use engine::Reply;
use money::{AssetId, SymbolId};
use serde_json::{Value, json};

use super::{Endpoint, MAKER, TAKER, call, error, exchange, read, result, text, told};
use crate::native::tests::NOW_MS;
use crate::rpc::{
    ClientMessage, Code, DEFAULT_DEPTH_LEVELS, overloaded, rate_limited, refuse, refuse_binary,
    respond, subscribed, unsubscribed,
};

const BUY_GOLD: &str = r#"{"symbol":"GOLD_USDT","side":"BUY","type":"LIMIT","price":150,"quantity":10,"client_order_id":"c-1"}"#;
const SELL_GOLD: &str =
    r#"{"symbol":"GOLD_USDT","side":"SELL","type":"POST_ONLY","price":150,"quantity":4}"#;
const BUY_BTC: &str =
    r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":100.5,"quantity":"2"}"#;

fn number(order_id: &Value) -> u64 {
    order_id.as_str().unwrap().strip_prefix("ord_").unwrap().parse().unwrap()
}

#[test]
fn an_order_is_placed_asked_for_and_canceled_to_the_letter() {
    let mut exchange = exchange();
    let place = format!(r#"{{"method":"order.place","params":{BUY_GOLD},"id":"a\"b"}}"#);
    let placed = told(&mut exchange, Endpoint::Orders, &place, TAKER);
    let id = number(&serde_json::from_str::<Value>(&placed).unwrap()["result"]["order_id"]);
    assert_eq!(
        placed,
        format!(
            r#"{{"id":"a\"b","result":{{"order_id":"ord_{id}","status":"ACCEPTED","timestamp":{NOW_MS},"client_order_id":"c-1"}}}}"#
        )
    );
    let order = |status: &str| {
        format!(
            r#"{{"id":1.50,"result":{{"order_id":"ord_{id}","client_order_id":"c-1","symbol":"GOLD_USDT","side":"BUY","type":"LIMIT","price":150,"quantity":10,"filled_quantity":0,"average_price":0,"status":"{status}","created_at":{NOW_MS},"timestamp":{NOW_MS}}}}}"#
        )
    };
    for params in [
        format!(r#"{{"order_id":"ord_{id}"}}"#),
        format!(r#"{{"order_id":"{id}"}}"#),
        format!(r#"{{"order_id":{id}}}"#),
        r#"{"client_order_id":"c-1"}"#.to_owned(),
    ] {
        let ask = format!(r#"{{"id":1.50,"method":"order.status","params":{params}}}"#);
        assert_eq!(told(&mut exchange, Endpoint::Orders, &ask, TAKER), order("NEW"));
    }
    let cancel = r#"{"id":1.50,"method":"order.cancel","params":{"client_order_id":"c-1"}}"#;
    assert_eq!(told(&mut exchange, Endpoint::Orders, cancel, TAKER), order("CANCELED"));
    assert_eq!(
        told(&mut exchange, Endpoint::Orders, cancel, TAKER),
        r#"{"id":1.50,"error":{"code":40401,"message":"order not found","details":{"field":"client_order_id","issue":"order is CANCELED"}}}"#
    );
}

#[test]
fn values_with_decimals_are_text_with_the_decimals_of_tick_and_lot() {
    let mut exchange = exchange();
    let order_id = result(&mut exchange, "order.place", BUY_BTC, TAKER)["order_id"].clone();
    let params = json!({ "order_id": order_id }).to_string();
    let order = result(&mut exchange, "order.status", &params, TAKER);
    assert_eq!(
        order,
        json!({
            "order_id": order_id, "symbol": "BTC_USDT", "side": "BUY", "type": "LIMIT",
            "price": "100.50", "quantity": "2.0000", "filled_quantity": "0.0000",
            "average_price": "0", "status": "NEW", "created_at": NOW_MS, "timestamp": NOW_MS,
        })
    );
}

#[test]
fn each_type_is_told_as_it_was_placed() {
    let mut exchange = exchange();
    result(&mut exchange, "order.place", SELL_GOLD, MAKER);
    for (kind, price, status, filled) in [
        ("FOK", "150", "EXPIRED", 0),
        ("POST_ONLY", "150", "REJECTED", 0),
        ("IOC", "150", "EXPIRED", 4),
        ("IOC", "149", "EXPIRED", 0),
        ("LIMIT", "149", "NEW", 0),
        ("MARKET", "null", "EXPIRED", 0),
        ("MARKET", "0", "EXPIRED", 0),
        ("MARKET", "\"0.00\"", "EXPIRED", 0),
    ] {
        let params = format!(
            r#"{{"symbol":"GOLD_USDT","side":"BUY","type":"{kind}","price":{price},"quantity":"10"}}"#
        );
        let placed = result(&mut exchange, "order.place", &params, TAKER);
        assert_eq!(placed["status"], "ACCEPTED");
        let params = json!({ "order_id": placed["order_id"] }).to_string();
        let order = result(&mut exchange, "order.status", &params, TAKER);
        let told = (&order["type"], &order["status"], &order["filled_quantity"]);
        assert_eq!(told, (&kind.into(), &status.into(), &filled.into()), "{order}");
        assert_eq!(order["price"].is_null(), kind == "MARKET");
    }
}

#[test]
fn an_average_price_has_one_json_type_per_symbol() {
    let mut exchange = exchange();
    for price in [150, 151] {
        let rest = format!(
            r#"{{"symbol":"GOLD_USDT","side":"SELL","type":"LIMIT","price":{price},"quantity":5}}"#
        );
        result(&mut exchange, "order.place", &rest, MAKER);
    }
    let buy = BUY_GOLD.replace("150", "151");
    result(&mut exchange, "order.place", &buy, TAKER);
    let ask = r#"{"method":"order.status","params":{"client_order_id":"c-1"},"id":1}"#;
    let answer = told(&mut exchange, Endpoint::Orders, ask, TAKER);
    assert!(answer.contains(r#""filled_quantity":10,"average_price":150.5,"#), "{answer}");
}

#[test]
fn the_account_and_its_trades_are_told() {
    let mut exchange = exchange();
    result(&mut exchange, "order.place", SELL_GOLD, MAKER);
    let placed = result(&mut exchange, "order.place", BUY_GOLD, TAKER);
    let trade = json!({
        "trade_id": 1, "order_id": placed["order_id"], "symbol": "GOLD_USDT", "side": "BUY",
        "price": 150, "quantity": 4, "fee": 0, "fee_asset": "GOLD", "role": "TAKER",
        "timestamp": NOW_MS,
    });
    let trades = result(&mut exchange, "account.trades", r#"{"symbol":"GOLD_USDT"}"#, TAKER);
    assert_eq!(trades, json!({ "trades": [trade] }));
    let older = r#"{"symbol":"GOLD_USDT","before":1,"limit":5}"#;
    assert_eq!(result(&mut exchange, "account.trades", older, TAKER), json!({ "trades": [] }));
    assert_eq!(
        result(&mut exchange, "account.info", "null", TAKER),
        json!({"user_id": 1001, "balances": [
            {"asset": "USDT", "available": "98500.00", "frozen": "900.00", "total": "99400.00"},
            {"asset": "GOLD", "available": 4, "frozen": 0, "total": 4},
        ]})
    );
    // Whoever sells all of an asset has no position in it any more.
    let sell = r#"{"symbol":"GOLD_USDT","side":"SELL","type":"LIMIT","price":150,"quantity":4}"#;
    result(&mut exchange, "order.cancel", r#"{"client_order_id":"c-1"}"#, TAKER);
    result(&mut exchange, "order.place", sell, TAKER);
    let bid = r#"{"symbol":"GOLD_USDT","side":"BUY","type":"LIMIT","price":150,"quantity":4}"#;
    result(&mut exchange, "order.place", bid, MAKER);
    assert_eq!(
        result(&mut exchange, "account.positions", r#"{"account_id":"1001"}"#, TAKER),
        json!({"positions": [
            {"asset": "USDT", "quantity": "100000.00", "available": "100000.00", "frozen": "0.00"},
        ]})
    );
}

#[test]
fn orders_are_listed_by_status_newest_first() {
    let mut exchange = exchange();
    let first = result(&mut exchange, "order.place", BUY_BTC, TAKER)["order_id"].clone();
    let second = result(&mut exchange, "order.place", BUY_GOLD, TAKER)["order_id"].clone();
    let mut listed = |params: &str| -> Vec<Value> {
        let answer = result(&mut exchange, "order.list", params, TAKER);
        let orders = answer["orders"].as_array().unwrap();
        orders.iter().map(|order| order["order_id"].clone()).collect()
    };
    assert_eq!(listed("{}"), [second.clone(), first.clone()]);
    assert_eq!(listed(&json!({ "before": second }).to_string()), vec![first.clone()]);
    assert_eq!(listed(r#"{"symbol":"BTC_USDT","status":"NEW"}"#), [first]);
    assert_eq!(listed(r#"{"limit":1,"status":"OPEN"}"#), [second]);
    assert_eq!(listed(r#"{"status":"ENDED"}"#), [] as [Value; 0]);
}

#[test]
fn subscriptions_are_read_and_told() {
    let exchange = exchange();
    let context = exchange.context();
    let say = |message: &str| {
        let read = read(message, Endpoint::MarketData, &context, &crate::auth::Caller::NOBODY);
        read.unwrap_or_else(|unread| panic!("{message}: {unread:?}"))
    };
    let message = r#"{"method":"market_data.subscribe","params":{"symbols":["GOLD_USDT","BTC_USDT","GOLD_USDT"],"depth":"5"},"id":7}"#;
    let ClientMessage::MarketSubscribe { symbols, depth, tag } = say(message) else { panic!() };
    assert_eq!((&symbols, depth), (&Some(vec![SymbolId(0), SymbolId(2)]), 5));
    assert_eq!(
        text(|out| subscribed(&tag, symbols.as_deref(), depth, context.registry, out)),
        r#"{"id":7,"result":{"status":"SUBSCRIBED","symbols":["BTC_USDT","GOLD_USDT"],"depth":5}}"#
    );
    for params in ["", r#","params":null"#, r#","params":{"symbols":null}"#] {
        let message = format!(r#"{{"method":"market_data.subscribe"{params}}}"#);
        let ClientMessage::MarketSubscribe { symbols, depth, tag } = say(&message) else {
            panic!()
        };
        assert_eq!((&symbols, depth), (&None, DEFAULT_DEPTH_LEVELS));
        assert_eq!(
            text(|out| subscribed(&tag, None, depth, context.registry, out)),
            r#"{"id":null,"result":{"status":"SUBSCRIBED","symbols":null,"depth":10}}"#
        );
    }
    let message =
        r#"{"method":"market_data.unsubscribe","params":{"symbols":["BTC_USDT"]},"id":8}"#;
    let ClientMessage::MarketUnsubscribe { symbols, tag } = say(message) else { panic!() };
    assert_eq!(
        text(|out| unsubscribed(&tag, symbols.as_deref(), context.registry, out)),
        r#"{"id":8,"result":{"status":"UNSUBSCRIBED","symbols":["BTC_USDT"]}}"#
    );
}

#[test]
fn small_answers_are_to_the_letter() {
    let mut exchange = exchange();
    for at in [Endpoint::Orders, Endpoint::MarketData, Endpoint::UserData] {
        let pong = told(&mut exchange, at, r#"{"method":"ping","id":7}"#, None);
        assert_eq!(pong, r#"{"id":7,"result":{"pong":true}}"#);
    }
    assert_eq!(
        text(refuse_binary),
        r#"{"id":null,"error":{"code":40001,"message":"invalid parameters","details":{"field":"message","issue":"must be text, not binary"}}}"#
    );
    let message = r#"{"method":"account.info","id":7}"#;
    let read = read(message, Endpoint::UserData, &exchange.context(), &exchange.caller(TAKER));
    let Ok(ClientMessage::Act { action: crate::native::Action::Query { respond: how, .. }, tag }) =
        read
    else {
        panic!()
    };
    assert_eq!(
        text(|out| overloaded(&tag, out)),
        r#"{"id":7,"error":{"code":50301,"message":"unavailable","details":{"field":"method","issue":"too many requests are under way, try again"}}}"#
    );
    assert_eq!(
        text(|out| rate_limited(&tag, 250, out)),
        r#"{"id":7,"error":{"code":42901,"message":"rate limited","details":{"field":"method","issue":"too many requests of this user","retry_after_ms":250}}}"#
    );
    assert_eq!(
        text(|out| refuse(tag.id.as_ref(), Code::Forbidden, "a\"b", "no", out)),
        r#"{"id":7,"error":{"code":40301,"message":"forbidden","details":{"field":"a\"b","issue":"no"}}}"#
    );
    let stray = Reply::Asset(AssetId(0));
    let answer = text(|out| respond(&how, &tag, &stray, &exchange.context(), out));
    assert!(answer.starts_with(r#"{"id":7,"error":{"code":50001,"#), "{answer}");
}

#[test]
fn a_user_who_is_frozen_or_does_not_exist_is_told_so() {
    let mut exchange = exchange();
    exchange.admin("PATCH", "users/1001", r#"{"frozen":true}"#);
    let (code, field, issue) = error(&call(&mut exchange, "order.place", BUY_GOLD, TAKER));
    assert_eq!((code, field.as_str(), issue.as_str()), (40301, "user_id", "user is frozen"));
    let nobody = Some(money::UserId(7));
    let (code, field, issue) = error(&call(&mut exchange, "account.info", "{}", nobody));
    assert_eq!((code, field.as_str(), issue.as_str()), (40101, "user_id", "unknown user"));
}

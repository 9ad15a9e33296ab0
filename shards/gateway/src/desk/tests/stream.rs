//! Streams: what they are asked for, and every event to the letter.

use engine::{BalanceReason, OrderRef, OrderView, Query, Registry, Reply, TradeView};
use money::{
    AssetId, Lots, OrderId, OrderKind, OrderStatus, Price, Role, Side, SymbolId, TimeInForce,
    TradeId, UserId,
};
use serde_json::Value;

use super::{NOW_NS, maker, taker};
use crate::desk::stream::{
    MarketTick, account, error, fill, keep_alive, market, order_update, replay_unavailable,
};
use crate::desk::{ErrorWord, EventId, MAX_STREAM_SYMBOLS, StreamRequest};
use crate::http::Connection;
use crate::native::Action;
use crate::native::push::BalanceChange;
use crate::native::tests::{Exchange, NOW_MS};

const ID: Option<EventId> = Some(EventId { epoch: 7, sequence: 42 });

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn asked(exchange: &Exchange, target: &str, headers: &str) -> StreamRequest {
    let mut connection = Connection::new();
    connection.feed(format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes());
    let request = connection.next_request().unwrap().unwrap();
    match crate::enter(&request, &exchange.context(), std::net::Ipv4Addr::LOCALHOST.into()).action {
        Action::EventStream(stream) => stream,
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn a_stream_is_asked_for_what_it_names() {
    let mut exchange = Exchange::open();
    let all = asked(&exchange, "/api/stream", "");
    assert_eq!((all.caller.user, all.after), (None, None));
    assert_eq!(all.symbols, [SymbolId(0), SymbolId(1)]);
    assert_eq!(
        String::from_utf8(all.head).unwrap(),
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
         access-control-allow-origin: *\r\nconnection: close\r\n\r\n"
    );
    let one =
        asked(&exchange, "/api/stream?symbols=ESH4USDT,ESH4_USDT&last_id=3-9&user_id=1001", "");
    assert_eq!(one.caller.user, Some(UserId(1001)));
    assert_eq!(one.symbols, [SymbolId(1)]);
    assert_eq!(one.after, Some(EventId { epoch: 3, sequence: 9 }));
    let again = asked(&exchange, "/api/stream?last_id=3-9", "Last-Event-ID: 3-11\r\n");
    assert_eq!(again.after, Some(EventId { epoch: 3, sequence: 11 }));
    let first = asked(&exchange, "/api/stream?last_id=&symbols=", "Last-Event-ID: \r\n");
    assert_eq!((first.after, first.symbols.len()), (None, 2));
    exchange.admin("PATCH", "symbols/BTC_USDT", r#"{"status":"HALTED"}"#);
    assert_eq!(asked(&exchange, "/api/stream", "").symbols, [SymbolId(1)]);
    let bad = exchange.call("GET", "/api/stream", "Last-Event-ID: x\r\n", "");
    assert_eq!(super::error(&bad).3.as_deref(), Some("Last-Event-ID"));
    let head = exchange.call("HEAD", "/api/stream", "", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn a_stream_has_no_more_symbols_than_its_bound() {
    let mut exchange = Exchange::open();
    let mut names = Vec::new();
    for number in 0..MAX_STREAM_SYMBOLS {
        let asset = format!("A{number}");
        let body = format!(r#"{{"asset":"{asset}","decimals":0}}"#);
        exchange.admin("POST", "assets", &body);
        let body = format!(
            r#"{{"symbol":"{asset}_USDT","base":"{asset}","quote":"USDT","tick":"1","lot":"1"}}"#
        );
        assert_eq!(exchange.admin("POST", "symbols", &body).status, 200);
        names.push(format!("{asset}USDT"));
    }
    assert_eq!(asked(&exchange, "/api/stream", "").symbols.len(), MAX_STREAM_SYMBOLS);
    let most = format!("/api/stream?symbols={}", names.join(","));
    assert_eq!(asked(&exchange, &most, "").symbols.len(), MAX_STREAM_SYMBOLS);
    let more = exchange.call("GET", &format!("{most},BTCUSDT"), "", "");
    assert_eq!(super::error(&more).2, "symbols: names more than 256 symbols");
}

#[test]
fn events_of_a_user_are_to_the_letter() {
    let mut exchange = Exchange::open();
    let sell = r#"{"symbol":"BTC_USDT","side":"SELL","qty":"0.5","price":"100.50"}"#;
    maker(&mut exchange, "POST", "/api/order", sell);
    let buy = r#"{"symbol":"BTCUSDT","side":"BUY","qty":2,"price":100.5,"client_order_id":"c-1"}"#;
    let placed = taker(&mut exchange, "POST", "/api/order", buy).json();
    let id = placed["venue_order_id"].as_u64().unwrap();
    let (user, registry) = (UserId(1001), exchange.engine.registry());
    let query = Query::Order { user, order: OrderRef::Id(OrderId(id)) };
    let Reply::Order(order) = exchange.engine.query(&query) else { panic!() };
    assert_eq!(
        text(|out| order_update(ID, &order, registry, out)),
        format!(
            "id: 7-42\nevent: order_update\ndata: {{\"type\":\"order_update\",\"ts_ns\":{NOW_NS},\
             \"client_order_id\":\"c-1\",\"symbol\":\"BTC_USDT\",\"side\":\"BUY\",\
             \"qty\":2.00000000,\"price\":100.50,\"status\":\"PARTIALLY_FILLED\",\
             \"venue_order_id\":{id},\"executed_qty\":0.50000000,\"avg_price\":100.50}}\n\n"
        )
    );
    let query = Query::Trades { user, symbol: None, before: None, limit: 1 };
    let Reply::Trades(trades) = exchange.engine.query(&query) else { panic!() };
    assert_eq!(
        text(|out| fill(ID, &trades[0], registry, out)),
        format!(
            "id: 7-42\nevent: fill\ndata: {{\"type\":\"fill\",\"ts_ns\":{NOW_NS},\"trade_id\":1,\
             \"venue_order_id\":{id},\"symbol\":\"BTC_USDT\",\"side\":\"BUY\",\"qty\":0.50000000,\
             \"price\":100.50,\"fee\":0.00000000,\"fee_asset\":\"BTC\",\"role\":\"TAKER\"}}\n\n"
        )
    );
    let change = BalanceChange {
        asset: AssetId(0),
        avail: 50_000_000,
        frozen: 1,
        delta: 50_000_000,
        reason: BalanceReason::TradeSettled,
    };
    assert_eq!(
        text(|out| account(ID, NOW_MS, &change, registry, out)),
        format!(
            "id: 7-42\nevent: account\ndata: {{\"type\":\"account\",\"ts_ns\":{NOW_NS},\
             \"balances\":[{{\"asset\":\"BTC\",\"free\":0.50000000,\"locked\":0.00000001}}]}}\n\n"
        )
    );
}

#[test]
fn events_of_nobody_are_to_the_letter() {
    let exchange = Exchange::open();
    let registry = exchange.engine.registry();
    let tick = MarketTick {
        symbol: SymbolId(0),
        price: Some(Price(10_050)),
        bid: None,
        ask: Some(Price(10_051)),
        at_ms: NOW_MS,
    };
    assert_eq!(
        text(|out| market(&tick, registry, out)),
        format!(
            "event: market\ndata: {{\"type\":\"market\",\"symbol\":\"BTC_USDT\",\"price\":100.50,\
             \"ts_ns\":{NOW_NS},\"bid\":null,\"ask\":100.51}}\n\n"
        )
    );
    assert_eq!(
        text(|out| error(ErrorWord::Unavailable, "a\n\"b\"", out)),
        "event: error\ndata: {\"error\":\"unavailable\",\"message\":\"a\\u000a\\\"b\\\"\"}\n\n"
    );
    let last_id = EventId { epoch: 3, sequence: 9 };
    assert_eq!(
        text(|out| replay_unavailable(last_id, out)),
        "event: error\ndata: {\"error\":\"replay_unavailable\",\"message\":\"last_id: the events \
         behind it are not kept any more, ask for the state\",\"last_id\":\"3-9\"}\n\n"
    );
    assert_eq!(text(keep_alive), ": keep-alive\n\n");
}

#[test]
fn extremes_and_unknown_names_do_not_panic() {
    let registry = Registry::default();
    let (symbol, most) = (SymbolId(u32::MAX), Price(u64::MAX));
    let order = OrderView {
        order: OrderId(u64::MAX),
        cid: None,
        user: UserId(u64::MAX),
        symbol,
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        price: most,
        qty: Lots(u64::MAX),
        quote_qty: Some(u128::MAX),
        filled: Lots(u64::MAX),
        filled_quote: u128::MAX,
        status: OrderStatus::Rejected,
        created_at_ms: u64::MAX,
        updated_at_ms: u64::MAX,
    };
    let trade = TradeView {
        trade: TradeId(u64::MAX),
        order: OrderId(u64::MAX),
        symbol,
        side: Side::Sell,
        price: most,
        qty: Lots(u64::MAX),
        fee: u128::MAX,
        fee_asset: AssetId(u32::MAX),
        role: Role::Maker,
        at_ms: u64::MAX,
    };
    let change = BalanceChange {
        asset: AssetId(u32::MAX),
        avail: u128::MAX,
        frozen: u128::MAX,
        delta: i128::MIN,
        reason: BalanceReason::Deposit,
    };
    let tick =
        MarketTick { symbol, price: Some(most), bid: Some(most), ask: None, at_ms: u64::MAX };
    for told in [
        text(|out| order_update(None, &order, &registry, out)),
        text(|out| fill(None, &trade, &registry, out)),
        text(|out| account(None, u64::MAX, &change, &registry, out)),
        text(|out| market(&tick, &registry, out)),
    ] {
        let data = told.split_once("data: ").unwrap().1.strip_suffix("\n\n").unwrap();
        assert!(!data.contains('\n'), "{told}");
        serde_json::from_str::<Value>(data).unwrap();
    }
}

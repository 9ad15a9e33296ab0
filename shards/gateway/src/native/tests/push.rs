//! What is sent unasked, to the letter.

use engine::{BalanceReason, OrderRef, Query, Registry, Reply, TapeEntry};
use money::{AssetId, Lots, OrderId, Price, Side, SymbolId, TradeId, UserId};
use serde_json::{Value, json};

use super::super::push::{
    BalanceChange, Bbo, DepthChange, Kline, PriceLevel, balance_update, bbo, depth_snapshot,
    depth_update, kline, order_update, own_trade, public_trade, ticker,
};
use super::super::{Candle, Interval, Ticker};
use super::{Exchange, NOW_MS};

/// BTC_USDT of the tests: tick 0.01, lot 0.0001 of 8 decimals, quote of 2.
const SYMBOL: SymbolId = SymbolId(0);

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn level(price: u64, qty_lots: u128) -> PriceLevel {
    PriceLevel { price: Price(price), qty_lots }
}

#[test]
fn an_order_and_its_trade_are_told_as_the_routes_tell_them() {
    let mut exchange = Exchange::open();
    let rest =
        r#"{"symbol":"BTC_USDT","side":"SELL","type":"POST_ONLY","price":"100.50","qty":"0.5"}"#;
    exchange.maker("POST", "create_order", rest);
    let buy =
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.50","qty":2,"cid":"c-1"}"#;
    let placed = exchange.taker("POST", "create_order?wait=true", buy).data();
    let id = placed["order_id"].as_u64().unwrap();
    let user = UserId(1001);
    let registry = exchange.engine.registry();
    let query = Query::Order { user, order: OrderRef::Id(OrderId(id)) };
    let Reply::Order(order) = exchange.engine.query(&query) else { panic!() };
    assert_eq!(
        text(|out| order_update(&order, registry, out)),
        format!(
            r#"{{"type":"order.update","data":{{"order_id":{id},"cid":"c-1","symbol":"BTC_USDT","status":"PARTIALLY_FILLED","filled_qty":"0.50000000","avg_price":"100.50","updated_at":{NOW_MS}}}}}"#
        )
    );
    let query = Query::Trades { user, symbol: None, before: None, limit: 1 };
    let Reply::Trades(trades) = exchange.engine.query(&query) else { panic!() };
    let told: Value =
        serde_json::from_str(&text(|out| own_trade(&trades[0], registry, out))).unwrap();
    assert_eq!(told, json!({"type": "trade", "data": placed["fills"][0]}));
}

#[test]
fn a_balance_change_has_its_sign() {
    let exchange = Exchange::open();
    let registry = exchange.engine.registry();
    let change = BalanceChange {
        asset: AssetId(0),
        avail: 150_000_000,
        frozen: 1,
        delta: 100_000,
        reason: BalanceReason::TradeSettled,
    };
    assert_eq!(
        text(|out| balance_update(&change, registry, out)),
        r#"{"type":"balance.update","data":{"asset":"BTC","avail":"1.50000000","frozen":"0.00000001","delta":"+0.00100000","reason":"trade_settled"}}"#
    );
    for (delta, reason, wanted) in [
        (-150, BalanceReason::OrderPlaced, r#""delta":"-1.50","reason":"order_placed""#),
        (0, BalanceReason::OrderEnded, r#""delta":"0.00","reason":"order_ended""#),
        (1, BalanceReason::Deposit, r#""delta":"+0.01","reason":"deposit""#),
        (i128::MIN, BalanceReason::Withdrawal, r#"57.28","reason":"withdrawal""#),
    ] {
        let change = BalanceChange { asset: AssetId(1), delta, reason, ..change };
        let told = text(|out| balance_update(&change, registry, out));
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn market_data_is_to_the_letter() {
    let exchange = Exchange::open();
    let registry = exchange.engine.registry();
    let trade = TapeEntry {
        trade: TradeId(9),
        taker: OrderId(2),
        maker: OrderId(1),
        price: Price(10_050),
        qty: Lots(5_000),
        taker_side: Side::Sell,
        at_ms: NOW_MS,
    };
    assert_eq!(
        text(|out| public_trade(SYMBOL, &trade, registry, out)),
        r#"{"type":"public.trade","symbol":"BTC_USDT","id":9,"price":"100.50","qty":"0.50000000","quote_qty":"50.25","time":1700000000000,"is_buyer_maker":true}"#
    );
    let depth = DepthChange {
        symbol: SYMBOL,
        first_update_id: 5,
        last_update_id: 7,
        bids: &[level(10_050, 1), level(10_049, 0)],
        asks: &[],
    };
    let levels = r#""symbol":"BTC_USDT","first_update_id":5,"last_update_id":7,"bids":[["100.50","0.00010000"],["100.49","0"]],"asks":[]}"#;
    assert_eq!(
        text(|out| depth_update(&depth, registry, out)),
        format!(r#"{{"type":"depth.update",{levels}"#)
    );
    assert_eq!(
        text(|out| depth_snapshot(&depth, registry, out)),
        format!(r#"{{"type":"depth.snapshot",{levels}"#)
    );
    let best =
        Bbo { symbol: SYMBOL, bid: Some(level(10_050, 10_000)), ask: None, last_update_id: 7 };
    assert_eq!(
        text(|out| bbo(&best, registry, out)),
        r#"{"type":"bbo","symbol":"BTC_USDT","bid":["100.50","1.00000000"],"ask":null,"last_update_id":7}"#
    );
}

#[test]
fn candles_and_ticker_are_to_the_letter() {
    let exchange = Exchange::open();
    let registry = exchange.engine.registry();
    let candle = Candle {
        open_ms: 1_700_000_040_000,
        open: Price(10_000),
        high: Price(10_100),
        low: Price(9_900),
        close: Price(9_967),
        volume: 25_000,
        quote_volume: 25_012,
        trades: 3,
    };
    let one = Kline { symbol: SYMBOL, interval: Interval::M1, candle, is_closed: false };
    assert_eq!(
        text(|out| kline(&one, registry, out)),
        r#"{"type":"kline","symbol":"BTC_USDT","interval":"1m","open_time":1700000040000,"close_time":1700000099999,"open":"100.00","high":"101.00","low":"99.00","close":"99.67","volume":"2.50000000","quote_volume":"250.12","trade_count":3,"is_closed":false}"#
    );
    let day =
        Ticker { day: candle, until_ms: NOW_MS, bid: None, ask: Some((Price(10_000), 10_000)) };
    assert_eq!(
        text(|out| ticker(SYMBOL, &day, registry, out)),
        r#"{"type":"ticker","symbol":"BTC_USDT","open_time":1700000040000,"close_time":1700000000000,"open":"100.00","high":"101.00","low":"99.00","last":"99.67","change":"-0.33","change_percent":"-0.33","volume":"2.50000000","quote_volume":"250.12","trade_count":3,"bid":null,"ask":["100.00","1.00000000"]}"#
    );
}

#[test]
fn extremes_and_unknown_names_do_not_panic() {
    let registry = Registry::default();
    let (symbol, most) = (SymbolId(u32::MAX), Price(u64::MAX));
    let candle = Candle {
        open_ms: u64::MAX,
        open: Price(0),
        high: most,
        low: Price(0),
        close: most,
        volume: u128::MAX,
        quote_volume: u128::MAX,
        trades: u64::MAX,
    };
    let huge = Kline { symbol, interval: Interval::D1, candle, is_closed: true };
    let best = Some((most, u128::MAX));
    let day = Ticker { day: candle, until_ms: u64::MAX, bid: best, ask: best };
    let change = BalanceChange {
        asset: AssetId(u32::MAX),
        avail: u128::MAX,
        frozen: u128::MAX,
        delta: i128::MAX,
        reason: BalanceReason::Deposit,
    };
    for told in [
        text(|out| kline(&huge, &registry, out)),
        text(|out| ticker(symbol, &day, &registry, out)),
        text(|out| balance_update(&change, &registry, out)),
    ] {
        serde_json::from_str::<Value>(&told).unwrap();
    }
}

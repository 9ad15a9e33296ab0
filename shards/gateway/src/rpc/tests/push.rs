//! What is sent unasked, to the letter.

use engine::{OrderRef, Query, Registry, Reply, TapeEntry};
use money::{Cid, Lots, OrderId, Price, Side, SymbolId, TradeId, UserId};
use serde_json::Value;

use super::{MAKER, TAKER, exchange, result, text};
use crate::native::push::PriceLevel;
use crate::native::tests::NOW_MS;
use crate::rpc::{MarketState, market_data, order_event};

const BTC_USDT: SymbolId = SymbolId(0);
const GOLD_USDT: SymbolId = SymbolId(2);

fn trade(price: u64, qty: u64) -> TapeEntry {
    TapeEntry {
        trade: TradeId(9),
        taker: OrderId(2),
        maker: OrderId(1),
        price: Price(price),
        qty: Lots(qty),
        taker_side: Side::Sell,
        at_ms: NOW_MS,
    }
}

fn level(price: u64, qty_lots: u128) -> PriceLevel {
    PriceLevel { price: Price(price), qty_lots }
}

#[test]
fn market_data_is_to_the_letter() {
    let exchange = exchange();
    let registry = exchange.engine.registry();
    let whole = MarketState {
        symbol: GOLD_USDT,
        bids: &[level(150, 10), level(149, 3)],
        asks: &[],
        last_trade: Some(trade(150, 4)),
        tick: 7,
        timestamp_ms: NOW_MS,
    };
    assert_eq!(
        text(|out| market_data(&whole, registry, out)),
        r#"{"stream":"market_data","data":{"symbol":"GOLD_USDT","bids":[[150,10],[149,3]],"asks":[],"last_trade":{"price":150,"quantity":4,"timestamp":1700000000000},"tick":7,"timestamp":1700000000000}}"#
    );
    let fine = MarketState {
        symbol: BTC_USDT,
        bids: &[],
        asks: &[level(10_050, 5_000)],
        last_trade: None,
        ..whole
    };
    assert_eq!(
        text(|out| market_data(&fine, registry, out)),
        r#"{"stream":"market_data","data":{"symbol":"BTC_USDT","bids":[],"asks":[["100.50","0.5000"]],"last_trade":null,"tick":7,"timestamp":1700000000000}}"#
    );
}

#[test]
fn an_event_of_an_order_is_to_the_letter() {
    let mut exchange = exchange();
    let sell = r#"{"symbol":"GOLD_USDT","side":"SELL","type":"LIMIT","price":150,"quantity":4}"#;
    result(&mut exchange, "order.place", sell, MAKER);
    let buy = r#"{"symbol":"GOLD_USDT","side":"BUY","type":"LIMIT","price":150,"quantity":10,"client_order_id":"c-1"}"#;
    result(&mut exchange, "order.place", buy, TAKER);
    let cid = Cid::parse("c-1").unwrap();
    let query = Query::Order { user: UserId(1001), order: OrderRef::Cid(cid) };
    let Reply::Order(mut order) = exchange.engine.query(&query) else { panic!() };
    let registry = exchange.engine.registry();
    let id = order.order;
    assert_eq!(
        text(|out| order_event(&order, registry, out)),
        format!(
            r#"{{"stream":"user_data","data":{{"order_id":"ord_{id}","status":"PARTIALLY_FILLED","filled_quantity":4,"average_price":150,"timestamp":{NOW_MS},"client_order_id":"c-1"}}}}"#
        )
    );
    order.cid = None;
    let told = text(|out| order_event(&order, registry, out));
    assert!(told.ends_with(&format!(r#""timestamp":{NOW_MS}}}}}"#)), "{told}");
    // A symbol that is not defined is no reason to panic.
    order.symbol = SymbolId(u32::MAX);
    let told = text(|out| order_event(&order, &Registry::default(), out));
    serde_json::from_str::<Value>(&told).unwrap();
}

#[test]
fn extremes_do_not_panic() {
    let most = [level(u64::MAX, u128::MAX)];
    let state = MarketState {
        symbol: SymbolId(u32::MAX),
        bids: &most,
        asks: &most,
        last_trade: Some(trade(u64::MAX, u64::MAX)),
        tick: u64::MAX,
        timestamp_ms: u64::MAX,
    };
    let exchange = exchange();
    for (registry, symbol) in
        [(&Registry::default(), SymbolId(0)), (exchange.engine.registry(), BTC_USDT)]
    {
        let told = text(|out| market_data(&MarketState { symbol, ..state }, registry, out));
        serde_json::from_str::<Value>(&told).unwrap();
    }
}

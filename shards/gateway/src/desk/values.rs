//! Numbers, words and times as the desk dialect spells them, for orders, trades and balances alike.

use engine::{OrderView, Registry, TradeView};
use money::{
    AssetId, Cid, OrderKind, OrderStatus, Price, SymbolId, SymbolSpec, Units, write_units,
};

use crate::json::write;
use crate::native::amounts::{asset_parts, symbol_entry, write_average, write_price, write_qty};

/// Appends a name as it is given, quotes and comma included, and the time behind it.
pub(super) fn time(out: &mut Vec<u8>, name: &str, at_ms: Option<u64>) {
    const NS_PER_MS: u64 = 1_000_000;
    out.extend_from_slice(name.as_bytes());
    match at_ms {
        Some(at_ms) => write::integer(out, at_ms.saturating_mul(NS_PER_MS)),
        None => out.extend_from_slice(b"null"),
    }
}

/// A status. Only here a canceled order has two Ls.
pub(super) fn status_word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Canceled => "CANCELLED",
        other => other.as_str(),
    }
}

/// The client's id of an order, `null` where it has none.
pub(super) fn client_order_id(out: &mut Vec<u8>, name: &str, cid: Option<&Cid>) {
    out.extend_from_slice(name.as_bytes());
    match cid {
        Some(cid) => write::string(out, cid.as_str()),
        None => out.extend_from_slice(b"null"),
    }
}

/// A price, or `null`.
pub(super) fn price(out: &mut Vec<u8>, name: &str, spec: &SymbolSpec, price: Option<Price>) {
    out.extend_from_slice(name.as_bytes());
    match price {
        Some(price) => write_price(out, spec, price),
        None => out.extend_from_slice(b"null"),
    }
}

fn qty(out: &mut Vec<u8>, name: &str, spec: &SymbolSpec, lots: u64) {
    out.extend_from_slice(name.as_bytes());
    write_qty(out, spec, u128::from(lots));
}

fn text(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(name.as_bytes());
    write::string(out, text);
}

fn limit_price(order: &OrderView) -> Option<Price> {
    (order.kind != OrderKind::Market).then_some(order.price)
}

fn executed(out: &mut Vec<u8>, order: &OrderView, spec: &SymbolSpec) {
    qty(out, ",\"executed_qty\":", spec, order.filled.0);
    out.extend_from_slice(b",\"avg_price\":");
    write_average(out, spec, order.filled, order.filled_quote);
}

/// What is known of a market: the prices and when they were so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Prices {
    pub last: Option<Price>,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub at_ms: Option<u64>,
}

/// Appends the fields of a market, without braces.
pub(super) fn write_market(
    out: &mut Vec<u8>,
    symbol: SymbolId,
    prices: &Prices,
    registry: &Registry,
) {
    let spec = &symbol_entry(registry, symbol).spec;
    text(out, "\"symbol\":", &spec.name);
    price(out, ",\"price\":", spec, prices.last);
    time(out, ",\"ts_ns\":", prices.at_ms);
    price(out, ",\"bid\":", spec, prices.bid);
    price(out, ",\"ask\":", spec, prices.ask);
}

/// Appends the event that has made an order what it is.
pub(super) fn write_order_update(out: &mut Vec<u8>, order: &OrderView, registry: &Registry) {
    let spec = &symbol_entry(registry, order.symbol).spec;
    time(out, "{\"type\":\"order_update\",\"ts_ns\":", Some(order.updated_at_ms));
    client_order_id(out, ",\"client_order_id\":", order.cid.as_ref());
    text(out, ",\"symbol\":", &spec.name);
    text(out, ",\"side\":", order.side.as_str());
    qty(out, ",\"qty\":", spec, order.qty.0);
    price(out, ",\"price\":", spec, limit_price(order));
    text(out, ",\"status\":", status_word(order.status));
    out.extend_from_slice(b",\"venue_order_id\":");
    write::integer(out, order.order.0);
    executed(out, order, spec);
    out.push(b'}');
}

/// Appends where an order stands.
pub(super) fn write_order_state(out: &mut Vec<u8>, order: &OrderView, registry: &Registry) {
    let spec = &symbol_entry(registry, order.symbol).spec;
    client_order_id(out, "{\"client_order_id\":", order.cid.as_ref());
    text(out, ",\"symbol\":", &spec.name);
    text(out, ",\"side\":", order.side.as_str());
    qty(out, ",\"order_qty\":", spec, order.qty.0);
    price(out, ",\"limit_price\":", spec, limit_price(order));
    out.extend_from_slice(b",\"venue_order_id\":");
    write::integer(out, order.order.0);
    text(out, ",\"status\":", status_word(order.status));
    executed(out, order, spec);
    time(out, ",\"last_ts_ns\":", Some(order.updated_at_ms));
    out.push(b'}');
}

/// Appends a trade of a user.
pub(super) fn write_fill(out: &mut Vec<u8>, trade: &TradeView, registry: &Registry) {
    let spec = &symbol_entry(registry, trade.symbol).spec;
    let (fee_asset, fee_decimals) = asset_parts(registry, trade.fee_asset);
    time(out, "{\"type\":\"fill\",\"ts_ns\":", Some(trade.at_ms));
    out.extend_from_slice(b",\"trade_id\":");
    write::integer(out, trade.trade.0);
    out.extend_from_slice(b",\"venue_order_id\":");
    write::integer(out, trade.order.0);
    text(out, ",\"symbol\":", &spec.name);
    text(out, ",\"side\":", trade.side.as_str());
    qty(out, ",\"qty\":", spec, trade.qty.0);
    price(out, ",\"price\":", spec, Some(trade.price));
    out.extend_from_slice(b",\"fee\":");
    write_units(out, trade.fee, fee_decimals);
    text(out, ",\"fee_asset\":", fee_asset);
    text(out, ",\"role\":", trade.role.as_str());
    out.push(b'}');
}

/// Appends a balance.
pub(super) fn write_balance(
    out: &mut Vec<u8>,
    asset: AssetId,
    free: Units,
    locked: Units,
    registry: &Registry,
) {
    let (name, decimals) = asset_parts(registry, asset);
    text(out, "{\"asset\":", name);
    out.extend_from_slice(b",\"free\":");
    write_units(out, free, decimals);
    out.extend_from_slice(b",\"locked\":");
    write_units(out, locked, decimals);
    out.push(b'}');
}

//! What is sent unasked: states of a symbol, and events of a user's orders.

use engine::{OrderView, Registry, TapeEntry};
use money::SymbolId;

use super::answer::{client_order_id, word};
use super::values::{Steps, write_order_id};
use crate::json::write;
use crate::native::amounts::symbol_entry;
use crate::native::push::PriceLevel;

/// A symbol as it is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketState<'a> {
    /// Which.
    pub symbol: SymbolId,
    /// Buy side, best first, as deep as it was subscribed.
    pub bids: &'a [PriceLevel],
    /// Sell side, best first, as deep as it was subscribed.
    pub asks: &'a [PriceLevel],
    /// The last trade, if there was any.
    pub last_trade: Option<TapeEntry>,
    /// Counts the published states of the symbol.
    pub tick: u64,
    /// When it was so, in ms since the epoch.
    pub timestamp_ms: u64,
}

/// Appends `{"stream":"market_data","data":…}`.
pub fn market_data(state: &MarketState<'_>, registry: &Registry, out: &mut Vec<u8>) {
    let spec = &symbol_entry(registry, state.symbol).spec;
    let steps = Steps::of(spec);
    out.extend_from_slice(b"{\"stream\":\"market_data\",\"data\":{\"symbol\":");
    write::string(out, &spec.name);
    for (name, levels) in [(",\"bids\":", state.bids), (",\"asks\":", state.asks)] {
        out.extend_from_slice(name.as_bytes());
        write::array(out, levels, |out, level| {
            out.push(b'[');
            steps.write_price(out, level.price);
            out.push(b',');
            steps.write_quantity(out, level.qty_lots);
            out.push(b']');
        });
    }
    out.extend_from_slice(b",\"last_trade\":");
    match &state.last_trade {
        Some(trade) => write_last_trade(trade, &steps, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"tick\":");
    write::integer(out, state.tick);
    out.extend_from_slice(b",\"timestamp\":");
    write::integer(out, state.timestamp_ms);
    out.extend_from_slice(b"}}");
}

fn write_last_trade(trade: &TapeEntry, steps: &Steps, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"price\":");
    steps.write_price(out, trade.price);
    out.extend_from_slice(b",\"quantity\":");
    steps.write_quantity(out, u128::from(trade.qty.0));
    out.extend_from_slice(b",\"timestamp\":");
    write::integer(out, trade.at_ms);
    out.push(b'}');
}

/// Appends `{"stream":"user_data","data":…}`: where an order stands.
pub fn order_event(order: &OrderView, registry: &Registry, out: &mut Vec<u8>) {
    let spec = &symbol_entry(registry, order.symbol).spec;
    let steps = Steps::of(spec);
    out.extend_from_slice(b"{\"stream\":\"user_data\",\"data\":{\"order_id\":");
    write_order_id(out, order.order);
    word(out, ",\"status\":\"", order.status.as_str());
    out.extend_from_slice(b"\",\"filled_quantity\":");
    steps.write_quantity(out, u128::from(order.filled.0));
    out.extend_from_slice(b",\"average_price\":");
    steps.write_average(out, spec, order.filled, order.filled_quote);
    out.extend_from_slice(b",\"timestamp\":");
    write::integer(out, order.updated_at_ms);
    client_order_id(out, order.cid.as_ref());
    out.extend_from_slice(b"}}");
}

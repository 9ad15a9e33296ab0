//! The events of `GET /api/stream`, each appended whole: `id:`, `event:`, one line of `data:`, a blank
//! line.
//!
//! Pure functions from plain values to text: what many streams get is written once and shared. Data
//! never holds a line end, so no event can be taken for two.

use engine::{OrderView, Registry, TradeView};
use money::{Price, SymbolId};

use super::event_id::EventId;
use super::failure::{ErrorWord, write_fields};
use super::values::{Prices, time, write_balance, write_fill, write_market, write_order_update};
use crate::native::push::BalanceChange;

/// How long a stream may be silent, in ms; then [`keep_alive`].
pub const KEEP_ALIVE_INTERVAL_MS: u64 = 10_000;

/// Prices of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketTick {
    /// Whose.
    pub symbol: SymbolId,
    /// Of the last trade; `None` before the first.
    pub price: Option<Price>,
    /// The best buy; `None` where that side is empty.
    pub bid: Option<Price>,
    /// The best sell.
    pub ask: Option<Price>,
    /// When it was so, in ms since the epoch.
    pub at_ms: u64,
}

/// Appends `market`. It has no id: who comes again gets the prices of now.
pub fn market(tick: &MarketTick, registry: &Registry, out: &mut Vec<u8>) {
    let MarketTick { symbol, price, bid, ask, at_ms } = *tick;
    let prices = Prices { last: price, bid, ask, at_ms: Some(at_ms) };
    event(None, "market", out, |out| {
        out.extend_from_slice(b"{\"type\":\"market\",");
        write_market(out, symbol, &prices, registry);
        out.push(b'}');
    });
}

/// Appends `order_update`: where an order stands.
pub fn order_update(
    id: Option<EventId>,
    order: &OrderView,
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    event(id, "order_update", out, |out| write_order_update(out, order, registry));
}

/// Appends `fill`: one of the user's trades.
pub fn fill(id: Option<EventId>, trade: &TradeView, registry: &Registry, out: &mut Vec<u8>) {
    event(id, "fill", out, |out| write_fill(out, trade, registry));
}

/// Appends `account`: a balance that has changed, in the shape of `GET /api/account`.
pub fn account(
    id: Option<EventId>,
    at_ms: u64,
    change: &BalanceChange,
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    event(id, "account", out, |out| {
        time(out, "{\"type\":\"account\",\"ts_ns\":", Some(at_ms));
        out.extend_from_slice(b",\"balances\":[");
        write_balance(out, change.asset, change.avail, change.frozen, registry);
        out.extend_from_slice(b"]}");
    });
}

/// Appends `error`.
pub fn error(word: ErrorWord, message: &str, out: &mut Vec<u8>) {
    event(None, "error", out, |out| {
        write_fields(word.as_str(), message, out);
        out.push(b'}');
    });
}

/// Appends `error`: not all that came behind `last_id` is known any more. What still is follows.
pub fn replay_unavailable(last_id: EventId, out: &mut Vec<u8>) {
    const MESSAGE: &str = "last_id: the events behind it are not kept any more, ask for the state";
    event(None, "error", out, |out| {
        write_fields("replay_unavailable", MESSAGE, out);
        out.extend_from_slice(b",\"last_id\":\"");
        last_id.write(out);
        out.extend_from_slice(b"\"}");
    });
}

/// Appends what keeps the connection open and is no event.
pub fn keep_alive(out: &mut Vec<u8>) {
    out.extend_from_slice(b": keep-alive\n\n");
}

fn event(id: Option<EventId>, kind: &str, out: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        id.write(out);
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    data(out);
    out.extend_from_slice(b"\n\n");
}

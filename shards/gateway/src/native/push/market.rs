//! Market data: trades, depth, best bid and offer, candles, the last 24 hours.

use engine::{Registry, TapeEntry};
use money::{Price, SymbolId, SymbolSpec, write_units};

use super::write_signed;
use crate::json::write;
use crate::native::amounts::{symbol_entry, write_price, write_qty};
use crate::native::format::{write_level, write_public_trade_fields};
use engine::{Candle, Interval, Ticker};

/// One price of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceLevel {
    /// The price.
    pub price: Price,
    /// Lots of all its orders together; in a change, 0 removes the level.
    pub qty_lots: u128,
}

/// A book, or what has changed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthChange<'a> {
    /// Whose book.
    pub symbol: SymbolId,
    /// The first of the book's changes that are in here; of a whole book the last.
    pub first_update_id: u64,
    /// The last of them: the next change begins at the one behind it.
    pub last_update_id: u64,
    /// Buy side, best first.
    pub bids: &'a [PriceLevel],
    /// Sell side, best first.
    pub asks: &'a [PriceLevel],
}

/// The best of both sides, each `None` where that side is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bbo {
    /// Whose.
    pub symbol: SymbolId,
    /// The best buy.
    pub bid: Option<PriceLevel>,
    /// The best sell.
    pub ask: Option<PriceLevel>,
    /// Which change of the book this is.
    pub last_update_id: u64,
}

/// A candle, under way or finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// Whose.
    pub symbol: SymbolId,
    /// How long it lasts.
    pub interval: Interval,
    /// Its trades.
    pub candle: Candle,
    /// Nothing is added any more.
    pub is_closed: bool,
}

/// Appends `public.trade`, for `trades:SYMBOL`.
pub fn public_trade(symbol: SymbolId, trade: &TapeEntry, registry: &Registry, out: &mut Vec<u8>) {
    let entry = symbol_entry(registry, symbol);
    begin("public.trade", &entry.spec, out);
    out.push(b',');
    write_public_trade_fields(out, trade, entry);
    out.push(b'}');
}

/// Appends `depth.snapshot`, the first that `depth:SYMBOL` and `depth_realtime:SYMBOL` send and what
/// they send instead of changes that a slow client has missed.
pub fn depth_snapshot(depth: &DepthChange<'_>, registry: &Registry, out: &mut Vec<u8>) {
    write_depth("depth.snapshot", depth, registry, out);
}

/// Appends `depth.update`, for `depth:SYMBOL` and `depth_realtime:SYMBOL`: quantities that replace
/// those of their prices.
pub fn depth_update(depth: &DepthChange<'_>, registry: &Registry, out: &mut Vec<u8>) {
    write_depth("depth.update", depth, registry, out);
}

fn write_depth(kind: &str, depth: &DepthChange<'_>, registry: &Registry, out: &mut Vec<u8>) {
    let spec = &symbol_entry(registry, depth.symbol).spec;
    begin(kind, spec, out);
    out.extend_from_slice(b",\"first_update_id\":");
    write::integer(out, depth.first_update_id);
    out.extend_from_slice(b",\"last_update_id\":");
    write::integer(out, depth.last_update_id);
    for (name, levels) in [(",\"bids\":", depth.bids), (",\"asks\":", depth.asks)] {
        out.extend_from_slice(name.as_bytes());
        write::array(out, levels, |out, level| {
            if level.qty_lots == 0 {
                out.extend_from_slice(b"[\"");
                write_price(out, spec, level.price);
                out.extend_from_slice(b"\",\"0\"]");
            } else {
                write_level(out, spec, level.price, level.qty_lots);
            }
        });
    }
    out.push(b'}');
}

/// Appends `bbo`, for `bbo:SYMBOL`.
pub fn bbo(bbo: &Bbo, registry: &Registry, out: &mut Vec<u8>) {
    let spec = &symbol_entry(registry, bbo.symbol).spec;
    begin("bbo", spec, out);
    for (name, level) in [(",\"bid\":", bbo.bid), (",\"ask\":", bbo.ask)] {
        out.extend_from_slice(name.as_bytes());
        write_best(level, spec, out);
    }
    out.extend_from_slice(b",\"last_update_id\":");
    write::integer(out, bbo.last_update_id);
    out.push(b'}');
}

/// Appends `kline`, for `kline_1m:SYMBOL` and its like.
pub fn kline(kline: &Kline, registry: &Registry, out: &mut Vec<u8>) {
    let Kline { symbol, interval, candle, is_closed } = kline;
    let spec = &symbol_entry(registry, *symbol).spec;
    begin("kline", spec, out);
    out.extend_from_slice(b",\"interval\":\"");
    out.extend_from_slice(interval.as_str().as_bytes());
    out.push(b'"');
    write_candle_fields(candle, *interval, spec, out);
    out.extend_from_slice(match is_closed {
        true => b",\"is_closed\":true}".as_slice(),
        false => b",\"is_closed\":false}",
    });
}

/// Appends what a candle is, a comma before each field.
pub(in crate::native) fn write_candle_fields(
    candle: &Candle,
    interval: Interval,
    spec: &SymbolSpec,
    out: &mut Vec<u8>,
) {
    let close_ms = candle.open_ms.saturating_add(interval.length_ms() - 1);
    write_times(candle.open_ms, close_ms, out);
    write_prices(candle, "close", spec, out);
    write_volume(candle, spec, out);
}

/// Appends `ticker`, for `ticker:SYMBOL`: the last 24 hours.
pub fn ticker(symbol: SymbolId, ticker: &Ticker, registry: &Registry, out: &mut Vec<u8>) {
    let spec = &symbol_entry(registry, symbol).spec;
    begin("ticker", spec, out);
    write_ticker_fields(ticker, spec, out);
    out.push(b'}');
}

/// Appends the last 24 hours, a comma before each field.
pub(in crate::native) fn write_ticker_fields(
    ticker: &Ticker,
    spec: &SymbolSpec,
    out: &mut Vec<u8>,
) {
    write_times(ticker.day.open_ms, ticker.until_ms, out);
    write_prices(&ticker.day, "last", spec, out);
    write_change(&ticker.day, spec, out);
    write_volume(&ticker.day, spec, out);
    for (name, level) in [(",\"bid\":", ticker.bid), (",\"ask\":", ticker.ask)] {
        out.extend_from_slice(name.as_bytes());
        let level = level.map(|(price, qty_lots)| PriceLevel { price, qty_lots });
        write_best(level, spec, out);
    }
}

/// Appends the same fields of a symbol that has never traded.
pub(in crate::native) fn write_no_ticker_fields(spec: &SymbolSpec, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"open_time\":null,\"close_time\":null");
    out.extend_from_slice(b",\"open\":null,\"high\":null,\"low\":null,\"last\":null");
    out.extend_from_slice(b",\"change\":null,\"change_percent\":null,\"volume\":\"");
    write_qty(out, spec, 0);
    out.extend_from_slice(b"\",\"quote_volume\":\"");
    write_units(out, 0, spec.quote_decimals);
    out.extend_from_slice(b"\",\"trade_count\":0,\"bid\":null,\"ask\":null");
}

fn begin(kind: &str, spec: &SymbolSpec, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"symbol\":");
    write::string(out, &spec.name);
}

fn write_times(open_time_ms: u64, close_time_ms: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"open_time\":");
    write::integer(out, open_time_ms);
    out.extend_from_slice(b",\"close_time\":");
    write::integer(out, close_time_ms);
}

fn write_prices(candle: &Candle, last: &str, spec: &SymbolSpec, out: &mut Vec<u8>) {
    let Candle { open, high, low, close, .. } = *candle;
    for (name, price) in [("open", open), ("high", high), ("low", low), (last, close)] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":\"");
        write_price(out, spec, price);
        out.push(b'"');
    }
}

/// From the first to the last price: in quote per base, and in percent rounded towards zero.
fn write_change(candle: &Candle, spec: &SymbolSpec, out: &mut Vec<u8>) {
    const HUNDREDTHS_OF_PERCENT: u128 = 10_000;
    const PERCENT_DECIMALS: u8 = 2;
    let Candle { open, close, .. } = *candle;
    let is_negative = close < open;
    let ticks = u128::from(close.0.abs_diff(open.0));
    out.extend_from_slice(b",\"change\":\"");
    let units = ticks * u128::from(spec.tick_mantissa);
    write_signed(out, is_negative, units, spec.tick_decimals);
    out.extend_from_slice(b"\",\"change_percent\":\"");
    let percent = ticks * HUNDREDTHS_OF_PERCENT / u128::from(open.0.max(1));
    write_signed(out, is_negative, percent, PERCENT_DECIMALS);
    out.push(b'"');
}

fn write_volume(candle: &Candle, spec: &SymbolSpec, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"volume\":\"");
    write_qty(out, spec, candle.volume);
    out.extend_from_slice(b"\",\"quote_volume\":\"");
    write_units(out, candle.quote_volume, spec.quote_decimals);
    out.extend_from_slice(b"\",\"trade_count\":");
    write::integer(out, candle.trades);
}

/// The best of a side, `null` where it is empty.
fn write_best(level: Option<PriceLevel>, spec: &SymbolSpec, out: &mut Vec<u8>) {
    match level {
        Some(level) => write_level(out, spec, level.price, level.qty_lots),
        None => out.extend_from_slice(b"null"),
    }
}

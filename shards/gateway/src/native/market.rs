//! What anybody may ask: the rules, depth, trades, and where things are.

use engine::{Interval, MAX_ROWS, Query, SymbolEntry};
use money::{Asset, Lots, UserId, write_units};

use super::account::rows;
use super::action::{Action, Answer, Respond, Shape};
use super::amounts::{asset_parts, write_price, write_qty};
use super::context::Context;
use super::failure::Failure;
use super::fields::{Word, query_fields};
use super::format::envelope;
use super::order::symbol_of;
use crate::http::Request;
use crate::http::limits::MAX_BODY_BYTES;
use crate::http::response::{Framing, write_json};
use crate::json::write;

/// Candles of an answer where the caller does not say.
const DEFAULT_CANDLES: usize = 500;

impl Word for Interval {
    const WORDS: &'static [Interval] = &Interval::ALL;

    fn text(self) -> &'static str {
        self.as_str()
    }

    fn read(text: &str) -> Option<Interval> {
        Interval::parse(text)
    }
}

fn answer(framing: Framing, data: impl FnOnce(&mut Vec<u8>)) -> Action {
    let mut bytes = Vec::new();
    write_json(&mut bytes, 200, framing, |out| envelope(out, data));
    Action::Answer(Answer { bytes, shows_state: true })
}

/// `GET /api/v1/public/depth`.
pub(super) fn depth(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, limit] = query_fields(request.query, ["symbol", "limit"])?;
    let symbol = symbol_of(context, &symbol)?;
    let respond = Respond { shape: Shape::Market(symbol), framing };
    Ok(Action::Query { query: Query::Depth { symbol, limit: rows(&limit)? }, respond })
}

/// `GET /api/v1/public/trades`.
pub(super) fn trades(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, limit] = query_fields(request.query, ["symbol", "limit"])?;
    let symbol = symbol_of(context, &symbol)?;
    let respond = Respond { shape: Shape::Market(symbol), framing };
    Ok(Action::Query { query: Query::PublicTrades { symbol, limit: rows(&limit)? }, respond })
}

/// `GET /api/v1/public/klines`.
pub(super) fn klines(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, interval, limit, start, end] =
        query_fields(request.query, ["symbol", "interval", "limit", "start", "end"])?;
    let symbol = symbol_of(context, &symbol)?;
    let interval = interval.required_word::<Interval>()?;
    let limit = limit.integer(1, MAX_ROWS as u64)?.map_or(DEFAULT_CANDLES, |limit| limit as usize);
    // The range of ids is that of everything JavaScript reads without loss.
    let start_ms = start.id()?.unwrap_or(0);
    let end_ms = end.id()?.unwrap_or(u64::MAX);
    if start_ms > end_ms {
        return Err(start.failure("must not be after end"));
    }
    let query = Query::Klines { symbol, interval, start_ms, end_ms, limit };
    let respond = Respond { shape: Shape::Klines(symbol, interval), framing };
    Ok(Action::Query { query, respond })
}

/// `GET /api/v1/public/ticker`.
pub(super) fn ticker(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol] = query_fields(request.query, ["symbol"])?;
    let symbol = symbol_of(context, &symbol)?;
    let respond = Respond { shape: Shape::Market(symbol), framing };
    Ok(Action::Query { query: Query::Ticker { symbol }, respond })
}

/// `GET /api/v1/public/assets`.
pub(super) fn assets(context: &Context<'_>, framing: Framing) -> Action {
    answer(framing, |out| write::array(out, context.registry.assets(), write_asset))
}

/// `GET /api/v1/public/symbols`.
pub(super) fn symbols(context: &Context<'_>, framing: Framing) -> Action {
    answer(framing, |out| write_symbols(out, context))
}

/// `GET /api/v1/public/exchange_info`.
pub(super) fn exchange_info(context: &Context<'_>, framing: Framing) -> Action {
    answer(framing, |out| {
        out.extend_from_slice(b"{\"assets\":");
        write::array(out, context.registry.assets(), write_asset);
        out.extend_from_slice(b",\"symbols\":");
        write_symbols(out, context);
        out.extend_from_slice(b",\"limits\":{\"max_rows\":");
        write::integer(out, MAX_ROWS as u64);
        out.extend_from_slice(b",\"max_body_bytes\":");
        write::integer(out, MAX_BODY_BYTES as u64);
        out.extend_from_slice(b",\"max_cid_length\":");
        write::integer(out, money::MAX_CID_LENGTH_BYTES as u64);
        out.extend_from_slice(b"}}");
    })
}

pub(super) fn write_asset(out: &mut Vec<u8>, asset: &Asset) {
    out.extend_from_slice(b"{\"asset\":");
    write::string(out, &asset.name);
    out.extend_from_slice(b",\"decimals\":");
    write::integer(out, u64::from(asset.decimals));
    out.push(b'}');
}

fn write_symbols(out: &mut Vec<u8>, context: &Context<'_>) {
    write::array(out, context.registry.symbols(), |out, entry| write_symbol(out, entry, context));
}

pub(super) fn write_symbol(out: &mut Vec<u8>, entry: &SymbolEntry, context: &Context<'_>) {
    let (spec, rules) = (&entry.spec, entry.rules());
    let field = |out: &mut Vec<u8>, name: &str, text: &str| {
        out.extend_from_slice(name.as_bytes());
        write::string(out, text);
    };
    field(out, "{\"symbol\":", &spec.name);
    field(out, ",\"base\":", asset_parts(context.registry, spec.base).0);
    field(out, ",\"quote\":", asset_parts(context.registry, spec.quote).0);
    out.extend_from_slice(b",\"base_decimals\":");
    write::integer(out, u64::from(spec.base_decimals));
    out.extend_from_slice(b",\"quote_decimals\":");
    write::integer(out, u64::from(spec.quote_decimals));
    out.extend_from_slice(b",\"tick\":\"");
    write_price(out, spec, money::Price(1));
    out.extend_from_slice(b"\",\"lot\":\"");
    write_qty(out, spec, 1);
    out.extend_from_slice(b"\",\"min_qty\":\"");
    write_qty(out, spec, u128::from(rules.min_qty.0));
    if rules.max_qty == Lots(u64::MAX) {
        out.extend_from_slice(b"\",\"max_qty\":null");
    } else {
        out.extend_from_slice(b"\",\"max_qty\":\"");
        write_qty(out, spec, u128::from(rules.max_qty.0));
        out.push(b'"');
    }
    out.extend_from_slice(b",\"min_notional\":\"");
    write_units(out, rules.min_notional, spec.quote_decimals);
    for (name, ppm) in [
        ("\",\"maker_fee_ppm\":", rules.maker_fee_ppm),
        (",\"taker_fee_ppm\":", rules.taker_fee_ppm),
        (",\"price_band_ppm\":", rules.price_band_ppm),
    ] {
        out.extend_from_slice(name.as_bytes());
        write::integer(out, u64::from(ppm));
    }
    field(out, ",\"status\":", rules.status.as_str());
    match entry.reference {
        Some(price) => {
            out.extend_from_slice(b",\"reference_price\":\"");
            write_price(out, spec, price);
            out.push(b'"');
        }
        None => out.extend_from_slice(b",\"reference_price\":null"),
    }
    out.extend_from_slice(b",\"shard\":");
    write::integer(out, u64::from(entry.shard.0));
    out.push(b'}');
}

/// `GET /api/v1/shards`.
pub(super) fn shards(context: &Context<'_>, user: Option<UserId>, framing: Framing) -> Action {
    let placement = context.placement;
    answer(framing, |out| {
        out.extend_from_slice(b"{\"shards\":");
        write::integer(out, u64::from(placement.shards()));
        out.extend_from_slice(b",\"connection_shard\":");
        write::integer(out, u64::from(context.shard.0));
        out.extend_from_slice(b",\"user_shard\":");
        match user {
            Some(user) => write::integer(out, u64::from(placement.home_of(user).0)),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"port\":");
        write::integer(out, u64::from(context.ports.shared));
        out.extend_from_slice(b",\"shard_ports\":");
        write::array(out, &context.ports.per_shard, |out, port| {
            write::integer(out, u64::from(*port));
        });
        out.extend_from_slice(b",\"symbols\":");
        write::array(out, context.registry.symbols(), |out, entry| {
            out.extend_from_slice(b"{\"symbol\":");
            write::string(out, &entry.spec.name);
            out.extend_from_slice(b",\"shard\":");
            write::integer(out, u64::from(entry.shard.0));
            out.push(b'}');
        });
        out.push(b'}');
    })
}

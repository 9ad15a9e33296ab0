//! What anybody may know of the server: that it is well, how it is set up, its symbols' rules.

use engine::{MAX_ROWS, SymbolEntry};
use money::{Lots, MAX_CID_LENGTH_BYTES, Price, write_units};

use super::respond::write_ok;
use super::subscribe::MAX_STREAM_SYMBOLS;
use super::values;
use crate::http::limits::MAX_BODY_BYTES;
use crate::http::response::Framing;
use crate::json::write;
use crate::native::Context;
use crate::native::action::{Action, Answer, Respond};
use crate::native::amounts::{asset_parts, write_qty};

/// The version of the server.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the server knows of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// How long it has run, in ms.
    pub uptime_ms: u64,
    /// How much memory it takes, in bytes.
    pub resident_bytes: u64,
}

/// `GET /health`.
pub(super) fn health(framing: Framing) -> Action {
    let mut bytes = Vec::new();
    write_ok(&mut bytes, framing, |out| out.extend_from_slice(b"{\"ok\":true}"));
    Action::Answer(Answer { bytes, shows_state: false })
}

/// Appends the answer to `GET /api/health`.
pub fn respond_health(
    respond: &Respond,
    health: &Health,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    const MS_DECIMALS: u8 = 3;
    write_ok(out, respond.framing, |out| {
        out.extend_from_slice(b"{\"ok\":true,");
        write_server(out, context);
        out.extend_from_slice(b",\"uptime_s\":");
        write_units(out, u128::from(health.uptime_ms), MS_DECIMALS);
        out.extend_from_slice(b",\"memory_bytes\":");
        write::integer(out, health.resident_bytes);
        out.push(b'}');
    });
}

fn write_server(out: &mut Vec<u8>, context: &Context<'_>) {
    out.extend_from_slice(b"\"shards\":");
    write::integer(out, u64::from(context.placement.shards()));
    out.extend_from_slice(b",\"version\":");
    write::string(out, VERSION);
}

/// `GET /api/config`.
pub(super) fn config(context: &Context<'_>, framing: Framing) -> Action {
    let mut bytes = Vec::new();
    write_ok(&mut bytes, framing, |out| {
        out.push(b'{');
        write_server(out, context);
        for (name, bound) in [
            (",\"limits\":{\"max_rows\":", MAX_ROWS),
            (",\"max_body_bytes\":", MAX_BODY_BYTES),
            (",\"max_client_order_id_length\":", MAX_CID_LENGTH_BYTES),
            (",\"max_stream_symbols\":", MAX_STREAM_SYMBOLS),
        ] {
            out.extend_from_slice(name.as_bytes());
            write::integer(out, bound as u64);
        }
        out.extend_from_slice(b"},\"symbols\":");
        write::array(out, context.registry.symbols(), |out, entry| {
            write_symbol(out, entry, context);
        });
        out.push(b'}');
    });
    Action::Answer(Answer { bytes, shows_state: true })
}

fn write_symbol(out: &mut Vec<u8>, entry: &SymbolEntry, context: &Context<'_>) {
    let (spec, rules) = (&entry.spec, entry.rules());
    for (name, text) in [
        ("{\"symbol\":", spec.name.as_str()),
        (",\"base\":", asset_parts(context.registry, spec.base).0),
        (",\"quote\":", asset_parts(context.registry, spec.quote).0),
        (",\"status\":", rules.status.as_str()),
    ] {
        out.extend_from_slice(name.as_bytes());
        write::string(out, text);
    }
    values::price(out, ",\"tick\":", spec, Some(Price(1)));
    out.extend_from_slice(b",\"lot\":");
    write_qty(out, spec, 1);
    out.extend_from_slice(b",\"min_qty\":");
    write_qty(out, spec, u128::from(rules.min_qty.0));
    out.extend_from_slice(b",\"max_qty\":");
    if rules.max_qty == Lots(u64::MAX) {
        out.extend_from_slice(b"null");
    } else {
        write_qty(out, spec, u128::from(rules.max_qty.0));
    }
    out.extend_from_slice(b",\"min_notional\":");
    write_units(out, rules.min_notional, spec.quote_decimals);
    for (name, ppm) in [
        (",\"maker_fee_ppm\":", rules.maker_fee_ppm),
        (",\"taker_fee_ppm\":", rules.taker_fee_ppm),
        (",\"price_band_ppm\":", rules.price_band_ppm),
    ] {
        out.extend_from_slice(name.as_bytes());
        write::integer(out, u64::from(ppm));
    }
    out.push(b'}');
}

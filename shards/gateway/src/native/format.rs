//! Replies as HTTP: the envelope and what stands in it, written by hand into the output.

use engine::{Candle, Interval, OrderView, Registry, Reply, SymbolEntry, TapeEntry, TradeView};
use identity::Outcome;
use money::{OrderKind, Price, Side, SymbolId, SymbolSpec, write_units};

use super::action::{Respond, Shape, ShardReport};
use super::admin_format;
use super::amounts::{asset_parts, symbol_entry, write_average, write_price, write_qty};
use super::context::Context;
use super::failure::{Code, Failure, as_retry, closing, write_error};
use super::people::{write_account, write_me};
use super::push::{write_candle_fields, write_no_ticker_fields, write_ticker_fields};
use super::refusal::failure_of;
use super::withdrawals::write_withdrawal;
use crate::desk;
use crate::http::Rejection;
use crate::http::response::{self, Framing, write_json};
use crate::json::write;

/// Why nothing is served yet.
pub(crate) const RECOVERING: &str = "the journal is being recovered";
/// Why nothing is served any more.
pub(crate) const DRAINING: &str = "the server is going down";
/// Why one request is not.
pub(crate) const OVERLOADED: &str = "too many requests are under way, try again";

/// Appends `{"code":0,"msg":"ok","data":…}`.
pub(super) fn envelope(out: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"code\":0,\"msg\":\"ok\",\"data\":");
    data(out);
    out.push(b'}');
}

/// Appends the whole HTTP answer to a command or query.
pub fn respond(respond: &Respond, reply: &Reply, context: &Context<'_>, out: &mut Vec<u8>) {
    if let Shape::Desk(kind) = respond.shape {
        return desk::respond(kind, respond.framing, reply, context, out);
    }
    let status = match (reply, respond.shape) {
        (Reply::Refused(refusal), _) => {
            failure_of(refusal, respond.shape, context).write(respond.framing, out);
            return;
        }
        (Reply::Accepted { .. }, _) | (Reply::Withdrawal(_), Shape::Asked) => 202,
        (Reply::Depth { .. } | Reply::Ticker(_), Shape::Market(_))
        | (Reply::Klines(_), Shape::Klines(..))
        | (Reply::Tape(_), Shape::Market(_) | Shape::AdminMarket(_))
        | (Reply::Book(_), Shape::AdminMarket(_)) => 200,
        (
            Reply::Depth { .. }
            | Reply::Tape(_)
            | Reply::Book(_)
            | Reply::Klines(_)
            | Reply::Ticker(_)
            | Reply::Status(_),
            _,
        ) => {
            internal(respond, "a reply does not fit its request", out);
            return;
        }
        _ => 200,
    };
    write_json(out, status, respond.framing, |out| {
        envelope(out, |out| write_data(out, respond.shape, reply, context));
    });
}

/// Appends why a request is not done after all. `detail` begins with the field, if it is about one;
/// `retry_ms` is for what may be done later.
pub fn refuse(
    respond: &Respond,
    code: Code,
    detail: &str,
    retry_ms: Option<u64>,
    out: &mut Vec<u8>,
) {
    let failure = Failure { retry_ms: as_retry(retry_ms), ..Failure::new(code, detail) };
    write_refusal(respond, &failure, respond.framing, out);
}

/// Appends what a reply shows, `null` for a refusal.
pub(super) fn write_data(out: &mut Vec<u8>, shape: Shape, reply: &Reply, context: &Context<'_>) {
    let registry = context.registry;
    match reply {
        Reply::Refused(_) => out.extend_from_slice(b"null"),
        Reply::Accepted { order, cid, at_ms } => {
            out.extend_from_slice(b"{\"order_id\":");
            write::integer(out, order.0);
            if let Some(cid) = cid {
                write_cid(out, cid);
            }
            out.extend_from_slice(b",\"status\":\"ACCEPTED\",\"accepted_at\":");
            write::integer(out, *at_ms);
            out.push(b'}');
        }
        Reply::Matched { order, fills } => {
            write_order(out, order, registry);
            out.pop();
            out.extend_from_slice(b",\"fills\":");
            write::array(out, fills, |out, fill| write_trade(out, fill, registry));
            out.push(b'}');
        }
        Reply::Order(order) => write_order(out, order, registry),
        Reply::Orders(orders) => {
            write::array(out, orders, |out, order| write_order(out, order, registry));
        }
        Reply::Trades(trades) => {
            write::array(out, trades, |out, trade| write_trade(out, trade, registry));
        }
        Reply::CanceledAll { count, .. } => {
            out.extend_from_slice(b"{\"canceled\":");
            write::integer(out, u64::from(*count));
            out.push(b'}');
        }
        Reply::Withdrawal(one) => write_withdrawal(out, one, context),
        Reply::Withdrawals(some) => {
            write::array(out, some, |out, one| write_withdrawal(out, one, context));
        }
        Reply::Account(account) => match shape {
            Shape::Me(caller) => write_me(out, account, &caller, context),
            _ => write_account(out, account, context, true),
        },
        Reply::Accounts(accounts) => {
            write::array(out, accounts, |out, one| write_account(out, one, context, false));
        }
        Reply::Identity(Outcome::User(user)) => {
            out.extend_from_slice(b"{\"user_id\":");
            write::integer(out, user.0);
            out.push(b'}');
        }
        _ => of_market_or_admin(out, shape, reply, context),
    }
}

/// The replies that are about a symbol as a whole or for administrators.
fn of_market_or_admin(out: &mut Vec<u8>, shape: Shape, reply: &Reply, context: &Context<'_>) {
    match (reply, shape) {
        (Reply::Depth { bids, asks, last_update_id }, Shape::Market(symbol)) => {
            let spec = &symbol_entry(context.registry, symbol).spec;
            out.extend_from_slice(b"{\"symbol\":");
            write::string(out, &spec.name);
            for (name, levels) in [(",\"bids\":", bids), (",\"asks\":", asks)] {
                out.extend_from_slice(name.as_bytes());
                write::array(out, levels, |out, level| {
                    write_level(out, spec, level.price, level.qty);
                });
            }
            out.extend_from_slice(b",\"last_update_id\":");
            write::integer(out, *last_update_id);
            out.push(b'}');
        }
        (Reply::Tape(rows), Shape::Market(symbol)) => {
            write::array(out, rows, |out, row| {
                write_public_trade(out, row, symbol, context.registry);
            });
        }
        (Reply::Klines(candles), Shape::Klines(symbol, interval)) => {
            let spec = &symbol_entry(context.registry, symbol).spec;
            write::array(out, candles, |out, candle| {
                write_candle(out, candle, interval, spec);
            });
        }
        (Reply::Ticker(ticker), Shape::Market(symbol)) => {
            let spec = &symbol_entry(context.registry, symbol).spec;
            out.extend_from_slice(b"{\"symbol\":");
            write::string(out, &spec.name);
            match ticker {
                Some(ticker) => write_ticker_fields(ticker, spec, out),
                None => write_no_ticker_fields(spec, out),
            }
            out.push(b'}');
        }
        _ => admin_format::write_data(out, shape, reply, context),
    }
}

fn write_candle(out: &mut Vec<u8>, candle: &Candle, interval: Interval, spec: &SymbolSpec) {
    let brace_at = out.len();
    write_candle_fields(candle, interval, spec, out);
    // The fields bring a comma, for whatever else stands before them.
    out[brace_at] = b'{';
    out.push(b'}');
}

/// Appends `["price","qty"]` of this many lots.
pub(super) fn write_level(out: &mut Vec<u8>, spec: &SymbolSpec, price: Price, qty_lots: u128) {
    out.extend_from_slice(b"[\"");
    write_price(out, spec, price);
    out.extend_from_slice(b"\",\"");
    write_qty(out, spec, qty_lots);
    out.extend_from_slice(b"\"]");
}

pub(super) fn write_cid(out: &mut Vec<u8>, cid: &money::Cid) {
    // A cid holds nothing that needs escaping.
    out.extend_from_slice(b",\"cid\":\"");
    out.extend_from_slice(cid.as_str().as_bytes());
    out.push(b'"');
}

pub(crate) fn word(out: &mut Vec<u8>, name: &str, word: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(word.as_bytes());
}

fn write_order(out: &mut Vec<u8>, order: &OrderView, registry: &Registry) {
    let spec = &symbol_entry(registry, order.symbol).spec;
    out.extend_from_slice(b"{\"order_id\":");
    write::integer(out, order.order.0);
    if let Some(cid) = &order.cid {
        write_cid(out, cid);
    }
    out.extend_from_slice(b",\"symbol\":");
    write::string(out, &spec.name);
    word(out, ",\"side\":\"", order.side.as_str());
    word(out, "\",\"type\":\"", order.kind.as_str());
    word(out, "\",\"time_in_force\":\"", order.time_in_force.as_str());
    if order.kind == OrderKind::Market {
        out.extend_from_slice(b"\",\"price\":null,\"qty\":\"");
    } else {
        out.extend_from_slice(b"\",\"price\":\"");
        write_price(out, spec, order.price);
        out.extend_from_slice(b"\",\"qty\":\"");
    }
    write_qty(out, spec, u128::from(order.qty.0));
    if let Some(budget) = order.quote_qty {
        out.extend_from_slice(b"\",\"quote_qty\":\"");
        write_units(out, budget, spec.quote_decimals);
    }
    out.extend_from_slice(b"\",\"filled_qty\":\"");
    write_qty(out, spec, u128::from(order.filled.0));
    out.extend_from_slice(b"\",\"filled_quote_qty\":\"");
    write_units(out, order.filled_quote, spec.quote_decimals);
    out.extend_from_slice(b"\",\"avg_price\":\"");
    write_average(out, spec, order.filled, order.filled_quote);
    word(out, "\",\"status\":\"", order.status.as_str());
    out.extend_from_slice(b"\",\"created_at\":");
    write::integer(out, order.created_at_ms);
    out.extend_from_slice(b",\"updated_at\":");
    write::integer(out, order.updated_at_ms);
    out.push(b'}');
}

pub(super) fn write_trade(out: &mut Vec<u8>, trade: &TradeView, registry: &Registry) {
    let spec = &symbol_entry(registry, trade.symbol).spec;
    let (fee_asset, fee_decimals) = asset_parts(registry, trade.fee_asset);
    out.extend_from_slice(b"{\"trade_id\":");
    write::integer(out, trade.trade.0);
    out.extend_from_slice(b",\"order_id\":");
    write::integer(out, trade.order.0);
    out.extend_from_slice(b",\"symbol\":");
    write::string(out, &spec.name);
    word(out, ",\"side\":\"", trade.side.as_str());
    out.extend_from_slice(b"\",\"price\":\"");
    write_price(out, spec, trade.price);
    out.extend_from_slice(b"\",\"qty\":\"");
    write_qty(out, spec, u128::from(trade.qty.0));
    out.extend_from_slice(b"\",\"fee\":\"");
    write_units(out, trade.fee, fee_decimals);
    out.extend_from_slice(b"\",\"fee_asset\":");
    write::string(out, fee_asset);
    word(out, ",\"role\":\"", trade.role.as_str());
    out.extend_from_slice(b"\",\"traded_at\":");
    write::integer(out, trade.at_ms);
    out.push(b'}');
}

fn write_public_trade(out: &mut Vec<u8>, trade: &TapeEntry, symbol: SymbolId, registry: &Registry) {
    out.push(b'{');
    write_public_trade_fields(out, trade, symbol_entry(registry, symbol));
    out.push(b'}');
}

/// Appends the fields of a trade that everybody may see, without braces.
pub(super) fn write_public_trade_fields(out: &mut Vec<u8>, trade: &TapeEntry, entry: &SymbolEntry) {
    let quote = entry.scale.quote_floor(trade.price, trade.qty).unwrap_or(u128::MAX);
    out.extend_from_slice(b"\"id\":");
    write::integer(out, trade.trade.0);
    out.extend_from_slice(b",\"price\":\"");
    write_price(out, &entry.spec, trade.price);
    out.extend_from_slice(b"\",\"qty\":\"");
    write_qty(out, &entry.spec, u128::from(trade.qty.0));
    out.extend_from_slice(b"\",\"quote_qty\":\"");
    write_units(out, quote, entry.spec.quote_decimals);
    out.extend_from_slice(b"\",\"time\":");
    write::integer(out, trade.at_ms);
    out.extend_from_slice(match trade.taker_side {
        Side::Sell => b",\"is_buyer_maker\":true".as_slice(),
        Side::Buy => b",\"is_buyer_maker\":false",
    });
}

/// Appends the answer to `GET /api/v1/admin/shards` or to a request about `/api/v1/admin/snapshots`.
pub fn respond_shards(respond: &Respond, reports: &[ShardReport], out: &mut Vec<u8>) {
    if let Shape::Snapshots { begun } = respond.shape {
        let status = if begun { 202 } else { 200 };
        return write_json(out, status, respond.framing, |out| {
            envelope(out, |out| write::array(out, reports, admin_format::write_snapshot));
        });
    }
    write_json(out, 200, respond.framing, |out| {
        envelope(out, |out| write::array(out, reports, admin_format::write_shard));
    });
}

/// Appends an answer of plain text: metrics.
pub fn respond_text(respond: &Respond, content_type: &str, body: &[u8], out: &mut Vec<u8>) {
    response::write(out, 200, content_type, "", respond.framing, |out| {
        out.extend_from_slice(body);
    });
}

/// Appends the answer to a request that HTTP itself refuses; the connection is closed behind it.
pub fn reject(rejection: &Rejection, out: &mut Vec<u8>) {
    let detail = rejection.reason.to_string();
    write_error(out, rejection.reason.status(), Code::BadRequest, &detail, "", Framing::CLOSE);
}

/// Appends the answer to a connection that is not taken; it is closed behind it. `detail` begins with
/// the name of the bound.
pub fn refuse_connection(detail: &str, out: &mut Vec<u8>) {
    Failure::new(Code::Unavailable, detail).write(Framing::CLOSE, out);
}

/// Appends an error in the dialect of its request.
fn write_refusal(respond: &Respond, failure: &Failure, framing: Framing, out: &mut Vec<u8>) {
    match respond.shape {
        Shape::Desk(_) => desk::write_failure(failure, framing, out),
        _ => failure.write(framing, out),
    }
}

/// Appends 503: more is under way than is admitted.
pub fn overloaded(respond: &Respond, out: &mut Vec<u8>) {
    write_refusal(respond, &Failure::new(Code::Unavailable, OVERLOADED), respond.framing, out);
}

/// Appends 404: the server does not serve this path.
pub fn not_served(path: &str, out: &mut Vec<u8>) {
    let detail = format!("{path}: no such route");
    Failure::new(Code::NotFound, detail).write(Framing::CLOSE, out);
}

/// Appends 503: the disk has no room for what would have to be written.
pub fn no_room(respond: &Respond, out: &mut Vec<u8>) {
    let detail = "the disk is full: until there is room only questions are answered";
    write_refusal(respond, &Failure::new(Code::Unavailable, detail), respond.framing, out);
}

/// Appends 503: not recovered yet.
pub fn not_ready(respond: &Respond, out: &mut Vec<u8>) {
    write_refusal(respond, &Failure::new(Code::Unavailable, RECOVERING), respond.framing, out);
}

/// Appends 503 and closes: the server is going down.
pub fn draining(respond: &Respond, out: &mut Vec<u8>) {
    let failure = Failure::new(Code::Unavailable, DRAINING);
    write_refusal(respond, &failure, closing(respond.framing), out);
}

/// Appends 500: something that cannot be did happen.
pub fn internal(respond: &Respond, detail: &str, out: &mut Vec<u8>) {
    write_refusal(respond, &Failure::new(Code::Internal, detail), respond.framing, out);
}

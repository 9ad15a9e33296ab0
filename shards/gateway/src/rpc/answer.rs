//! Answers to messages: `{"id","result"}`, or `{"id","error"}`.

use engine::{BalanceView, OrderView, Refusal, Registry, Reply, TradeView};
use money::{Cid, OrderKind, SymbolId};

use super::endpoint::Method;
use super::failure::{Code, Failure, split, write_error, write_id};
use super::message::{About, Tag};
use super::orders::OrderType;
use super::values::{Steps, write_amount, write_order_id};
use crate::auth::Caller;
use crate::json::write;
use crate::native::action::{Respond, Shape};
use crate::native::amounts::{asset_parts, symbol_entry};
use crate::native::fields::Word;
use crate::native::format::OVERLOADED;
pub(super) use crate::native::format::word;
use crate::native::refusal::failure_of;
use crate::native::ws::RequestId;
use crate::native::{Context, write_permissions};

/// States of market data that one symbol publishes in a second at most: one in each tick of 1 ms.
const MARKET_DATA_PER_SECOND: u64 = 1_000;

/// Appends the answer to a login of a caller, which has a user, that succeeded.
pub fn login_success(tag: &Tag, caller: &Caller, context: &Context<'_>, out: &mut Vec<u8>) {
    let user = caller.user.unwrap_or_default();
    let rate = context.rate_of(user);
    result(tag.id.as_ref(), out, |out| {
        out.extend_from_slice(b"{\"authenticated\":true,\"user_id\":");
        write::integer(out, user.0);
        out.extend_from_slice(b",\"permissions\":");
        write_permissions(out, caller.permissions);
        for (name, value) in [
            (",\"rate_limits\":{\"orders_per_second\":", u64::from(rate.orders_per_second)),
            (",\"market_data_per_second\":", MARKET_DATA_PER_SECOND),
            (",\"burst_limit\":", u64::from(rate.burst)),
        ] {
            out.extend_from_slice(name.as_bytes());
            write::integer(out, value);
        }
        out.extend_from_slice(b"}}");
    });
}

/// Appends the answer to a login that failed. `detail` begins with the field, and a colon and a
/// space behind it.
pub fn login_failed(tag: &Tag, detail: &str, out: &mut Vec<u8>) {
    let (field, issue) = split(detail);
    let whole = if tag.method == Method::Jwt { "token" } else { "api_key" };
    refuse(tag.id.as_ref(), Code::NotAuthenticated, field.unwrap_or(whole), issue, out);
}

/// Appends the answer to [`super::ClientMessage::MarketSubscribe`]; `symbols` is `null` for all.
pub fn subscribed(
    tag: &Tag,
    symbols: Option<&[SymbolId]>,
    depth: usize,
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    result(tag.id.as_ref(), out, |out| {
        out.extend_from_slice(b"{\"status\":\"SUBSCRIBED\",\"symbols\":");
        write_names(symbols, registry, out);
        out.extend_from_slice(b",\"depth\":");
        write::integer(out, depth as u64);
        out.push(b'}');
    });
}

/// Appends the answer to [`super::ClientMessage::MarketUnsubscribe`]; `symbols` is `null` for all.
pub fn unsubscribed(
    tag: &Tag,
    symbols: Option<&[SymbolId]>,
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    result(tag.id.as_ref(), out, |out| {
        out.extend_from_slice(b"{\"status\":\"UNSUBSCRIBED\",\"symbols\":");
        write_names(symbols, registry, out);
        out.push(b'}');
    });
}

fn write_names(symbols: Option<&[SymbolId]>, registry: &Registry, out: &mut Vec<u8>) {
    match symbols {
        Some(symbols) => write::array(out, symbols, |out, symbol| {
            write::string(out, &symbol_entry(registry, *symbol).spec.name);
        }),
        None => out.extend_from_slice(b"null"),
    }
}

pub(super) fn write_pong(id: Option<&RequestId>, out: &mut Vec<u8>) {
    result(id, out, |out| out.extend_from_slice(b"{\"pong\":true}"));
}

/// Appends an error about a field of a message.
pub fn refuse(id: Option<&RequestId>, code: Code, field: &str, issue: &str, out: &mut Vec<u8>) {
    write_error(id, code, field, issue, None, out);
}

/// Appends the error for a binary message.
pub fn refuse_binary(out: &mut Vec<u8>) {
    refuse(None, Code::InvalidParameters, "message", "must be text, not binary", out);
}

/// Appends the error for a message that came while more is under way than is admitted.
pub fn overloaded(tag: &Tag, out: &mut Vec<u8>) {
    refuse(tag.id.as_ref(), Code::Unavailable, "method", OVERLOADED, out);
}

/// Appends the error for a message that is one too many for its user, and when to try again.
pub fn rate_limited(tag: &Tag, retry_after_ms: u64, out: &mut Vec<u8>) {
    let issue = "too many requests of this user";
    write_error(tag.id.as_ref(), Code::RateLimited, "method", issue, Some(retry_after_ms), out);
}

/// Appends the answer to a [`super::ClientMessage::Act`].
pub fn respond(
    respond: &Respond,
    tag: &Tag,
    reply: &Reply,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    let id = tag.id.as_ref();
    let registry = context.registry;
    match (reply, tag.method) {
        (Reply::Refused(refusal), _) => {
            refused(refusal, respond.shape, tag, context).write(id, out)
        }
        (Reply::Accepted { order, cid, at_ms }, _) => result(id, out, |out| {
            out.extend_from_slice(b"{\"order_id\":");
            write_order_id(out, *order);
            out.extend_from_slice(b",\"status\":\"ACCEPTED\",\"timestamp\":");
            write::integer(out, *at_ms);
            client_order_id(out, cid.as_ref());
            out.push(b'}');
        }),
        (Reply::Order(order), _) => result(id, out, |out| write_order(out, order, registry)),
        (Reply::Orders(orders), _) => {
            rows(id, "{\"orders\":", orders, out, |out, order| write_order(out, order, registry));
        }
        (Reply::Trades(trades), _) => {
            rows(id, "{\"trades\":", trades, out, |out, trade| write_trade(out, trade, registry));
        }
        (Reply::Balances(balances), Method::Info) => result(id, out, |out| {
            write_account(out, tag.about, balances, registry);
        }),
        (Reply::Balances(balances), Method::Positions) => {
            let held: Vec<&BalanceView> =
                balances.iter().filter(|held| held.avail > 0 || held.frozen > 0).collect();
            rows(id, "{\"positions\":", &held, out, |out, balance| {
                write_position(out, balance, registry);
            });
        }
        _ => refuse(id, Code::Internal, "method", "a reply does not fit its message", out),
    }
}

/// What a refusal is told as.
fn refused(refusal: &Refusal, shape: Shape, tag: &Tag, context: &Context<'_>) -> Failure {
    let whole = match (refusal, tag.about) {
        (Refusal::InsufficientBalance { .. }, _) => "quantity",
        (Refusal::UserFrozen | Refusal::UnknownUser, _) => "user_id",
        (Refusal::OrderNotFound | Refusal::OrderNotOpen(_) | Refusal::MoveUnderWay, about) => {
            match about {
                About::Order(field) => field,
                _ => "order_id",
            }
        }
        _ => "method",
    };
    Failure::of_native(failure_of(refusal, shape, context), whole)
}

/// Appends `{"id":…,"result":…}`.
fn result(id: Option<&RequestId>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write_id(id, out);
    out.extend_from_slice(b",\"result\":");
    write(out);
    out.push(b'}');
}

/// Appends an answer whose result is one list. `name` begins with the brace of the result.
fn rows<T>(
    id: Option<&RequestId>,
    name: &str,
    rows: &[T],
    out: &mut Vec<u8>,
    row: impl FnMut(&mut Vec<u8>, &T),
) {
    result(id, out, |out| {
        out.extend_from_slice(name.as_bytes());
        write::array(out, rows, row);
        out.push(b'}');
    });
}

/// Appends the client's id, if there is one, with its comma.
pub(super) fn client_order_id(out: &mut Vec<u8>, cid: Option<&Cid>) {
    if let Some(cid) = cid {
        // A cid holds nothing that needs escaping.
        word(out, ",\"client_order_id\":\"", cid.as_str());
        out.push(b'"');
    }
}

fn write_order(out: &mut Vec<u8>, order: &OrderView, registry: &Registry) {
    let spec = &symbol_entry(registry, order.symbol).spec;
    let steps = Steps::of(spec);
    out.extend_from_slice(b"{\"order_id\":");
    write_order_id(out, order.order);
    client_order_id(out, order.cid.as_ref());
    out.extend_from_slice(b",\"symbol\":");
    write::string(out, &spec.name);
    word(out, ",\"side\":\"", order.side.as_str());
    word(out, "\",\"type\":\"", OrderType::of(order.kind, order.time_in_force).text());
    out.extend_from_slice(b"\",\"price\":");
    match order.kind {
        OrderKind::Market => out.extend_from_slice(b"null"),
        OrderKind::Limit | OrderKind::PostOnly => steps.write_price(out, order.price),
    }
    out.extend_from_slice(b",\"quantity\":");
    steps.write_quantity(out, u128::from(order.qty.0));
    out.extend_from_slice(b",\"filled_quantity\":");
    steps.write_quantity(out, u128::from(order.filled.0));
    out.extend_from_slice(b",\"average_price\":");
    steps.write_average(out, spec, order.filled, order.filled_quote);
    word(out, ",\"status\":\"", order.status.as_str());
    out.extend_from_slice(b"\",\"created_at\":");
    write::integer(out, order.created_at_ms);
    out.extend_from_slice(b",\"timestamp\":");
    write::integer(out, order.updated_at_ms);
    out.push(b'}');
}

fn write_trade(out: &mut Vec<u8>, trade: &TradeView, registry: &Registry) {
    let spec = &symbol_entry(registry, trade.symbol).spec;
    let steps = Steps::of(spec);
    let (fee_asset, fee_decimals) = asset_parts(registry, trade.fee_asset);
    out.extend_from_slice(b"{\"trade_id\":");
    write::integer(out, trade.trade.0);
    out.extend_from_slice(b",\"order_id\":");
    write_order_id(out, trade.order);
    out.extend_from_slice(b",\"symbol\":");
    write::string(out, &spec.name);
    word(out, ",\"side\":\"", trade.side.as_str());
    out.extend_from_slice(b"\",\"price\":");
    steps.write_price(out, trade.price);
    out.extend_from_slice(b",\"quantity\":");
    steps.write_quantity(out, u128::from(trade.qty.0));
    out.extend_from_slice(b",\"fee\":");
    write_amount(out, trade.fee, fee_decimals);
    out.extend_from_slice(b",\"fee_asset\":");
    write::string(out, fee_asset);
    word(out, ",\"role\":\"", trade.role.as_str());
    out.extend_from_slice(b"\",\"timestamp\":");
    write::integer(out, trade.at_ms);
    out.push(b'}');
}

/// The result of `account.info`.
fn write_account(out: &mut Vec<u8>, about: About, balances: &[BalanceView], registry: &Registry) {
    out.extend_from_slice(b"{\"user_id\":");
    match about {
        About::User(user) => write::integer(out, user.0),
        About::Message | About::Order(_) => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"balances\":");
    write::array(out, balances, |out, balance| {
        let (name, decimals) = asset_parts(registry, balance.asset);
        out.extend_from_slice(b"{\"asset\":");
        write::string(out, name);
        write_held(out, balance, decimals);
        out.extend_from_slice(b",\"total\":");
        write_amount(out, balance.avail.saturating_add(balance.frozen), decimals);
        out.push(b'}');
    });
    out.push(b'}');
}

/// One of `account.positions`.
fn write_position(out: &mut Vec<u8>, balance: &BalanceView, registry: &Registry) {
    let (name, decimals) = asset_parts(registry, balance.asset);
    out.extend_from_slice(b"{\"asset\":");
    write::string(out, name);
    out.extend_from_slice(b",\"quantity\":");
    write_amount(out, balance.avail.saturating_add(balance.frozen), decimals);
    write_held(out, balance, decimals);
    out.push(b'}');
}

fn write_held(out: &mut Vec<u8>, balance: &BalanceView, decimals: u8) {
    out.extend_from_slice(b",\"available\":");
    write_amount(out, balance.avail, decimals);
    out.extend_from_slice(b",\"frozen\":");
    write_amount(out, balance.frozen, decimals);
}

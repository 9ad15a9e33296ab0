//! Replies of the engine as answers of the desk dialect.

use engine::{BalanceView, OrderView, Refusal, Reply, Ticker};
use identity::{KeyId, Role};
use money::{Cid, OrderId, SymbolId, UserId};

use super::failure::{CORS, UNKNOWN_USER, write_failure};
use super::keys::write_made;
use super::values::{
    Prices, client_order_id, status_word, time, write_balance, write_market, write_order_state,
    write_order_update,
};
use crate::http::response::{self, Framing};
use crate::json::write;
use crate::native::Context;
use crate::native::action::Shape;
use crate::native::failure::{Code, Failure};
use crate::native::refusal::failure_of;

/// Which answer is wanted, and what of it the reply does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An order was placed there.
    Place(SymbolId),
    /// An order was canceled.
    Cancel,
    /// Where an order stands.
    OrderState,
    /// Where orders stand.
    OrdersState,
    /// Orders as their last events.
    Orders,
    /// Prices of this symbol, at this time where it has none of its own.
    Market(SymbolId, Option<u64>),
    /// Balances at this time.
    Account(Option<u64>),
    /// The server itself: nothing comes from the engine.
    Health,
    /// A session is opened or refreshed.
    Session,
    /// Something is done, of which there is nothing to say.
    Ok,
    /// A key is made.
    KeyMade(KeyId),
    /// A key is revoked.
    KeyEnded(KeyId),
    /// A user has this role now.
    RoleSet(UserId, Role),
}

impl Kind {
    /// Notes the time of the answer, in ms since the epoch.
    pub(crate) fn stamp(&mut self, now_ms: u64) {
        if let Kind::Market(_, at_ms) | Kind::Account(at_ms) = self {
            *at_ms = Some(now_ms);
        }
    }
}

/// Appends a whole answer of JSON that any page may read.
pub(super) fn write_ok(out: &mut Vec<u8>, framing: Framing, body: impl FnOnce(&mut Vec<u8>)) {
    response::write(out, 200, response::JSON, CORS, framing, body);
}

/// Appends the whole HTTP answer to a command or query.
pub(crate) fn respond(
    kind: Kind,
    framing: Framing,
    reply: &Reply,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    let registry = context.registry;
    match (kind, reply) {
        (_, Reply::Refused(refusal)) => {
            write_failure(&refused(refusal, kind, context), framing, out);
        }
        (Kind::Place(_), Reply::Accepted { order, cid, .. }) => {
            write_ok(out, framing, |out| write_placed(out, *order, cid.as_ref()));
        }
        (Kind::Cancel, Reply::Order(order)) => write_ok(out, framing, |out| {
            client_order_id(out, "{\"ok\":true,\"client_order_id\":", order.cid.as_ref());
            out.push(b'}');
        }),
        (Kind::OrderState, Reply::Order(order)) => {
            write_ok(out, framing, |out| write_order_state(out, order, registry));
        }
        (Kind::OrdersState, Reply::Orders(orders)) => write_ok(out, framing, |out| {
            write_items(out, orders, |out, order| write_order_state(out, order, registry));
        }),
        (Kind::Orders, Reply::Orders(orders)) => write_ok(out, framing, |out| {
            write_items(out, &by_time(orders), |out, order| {
                write_order_update(out, order, registry);
            });
        }),
        (Kind::Market(symbol, at_ms), Reply::Ticker(ticker)) => write_ok(out, framing, |out| {
            out.push(b'{');
            write_market(out, symbol, &prices(ticker.as_deref(), at_ms), registry);
            out.push(b'}');
        }),
        (Kind::Account(at_ms), Reply::Balances(balances)) => {
            write_ok(out, framing, |out| write_account(out, at_ms, balances, context));
        }
        (kind, Reply::Identity(_)) => {
            write_ok(out, framing, |out| write_identity(out, kind, context));
        }
        _ => {
            let failure = Failure::new(Code::Internal, "a reply does not fit its request");
            write_failure(&failure, framing, out);
        }
    }
}

/// What a change of an identity is answered with.
fn write_identity(out: &mut Vec<u8>, kind: Kind, context: &Context<'_>) {
    match kind {
        Kind::KeyMade(key) => write_made(out, key, context),
        Kind::KeyEnded(key) => {
            out.extend_from_slice(b"{\"ok\":true,\"api_key\":\"");
            out.extend_from_slice(key.to_string().as_bytes());
            out.extend_from_slice(b"\"}");
        }
        Kind::RoleSet(user, role) => {
            out.extend_from_slice(b"{\"ok\":true,\"user_id\":");
            write::integer(out, user.0);
            out.extend_from_slice(b",\"role\":\"");
            out.extend_from_slice(role.as_str().as_bytes());
            out.extend_from_slice(b"\"}");
        }
        _ => out.extend_from_slice(b"{\"ok\":true}"),
    }
}

/// A refusal in the words of this dialect.
fn refused(refusal: &Refusal, kind: Kind, context: &Context<'_>) -> Failure {
    match refusal {
        Refusal::UnknownUser => match kind {
            // Named by an administrator, it is a parameter like any other.
            Kind::KeyMade(_) | Kind::RoleSet(..) => {
                Failure::new(Code::InvalidParameter, UNKNOWN_USER)
            }
            _ => Failure::new(Code::AuthFailed, UNKNOWN_USER),
        },
        Refusal::OrderNotOpen(status) => {
            Failure::new(Code::OrderNotOpen, format!("order is {}", status_word(*status)))
        }
        other => {
            let shape = match kind {
                Kind::Place(symbol) => Shape::Place(symbol),
                _ => Shape::Own,
            };
            failure_of(other, shape, context)
        }
    }
}

fn write_placed(out: &mut Vec<u8>, order: OrderId, cid: Option<&Cid>) {
    client_order_id(out, "{\"ok\":true,\"client_order_id\":", cid);
    out.extend_from_slice(b",\"venue_order_id\":");
    write::integer(out, order.0);
    out.push(b'}');
}

fn write_items<T>(out: &mut Vec<u8>, items: &[T], item: impl FnMut(&mut Vec<u8>, &T)) {
    out.extend_from_slice(b"{\"items\":");
    write::array(out, items, item);
    out.push(b'}');
}

/// The one that changed last first. Orders come open ones first, events have no such order.
fn by_time(orders: &[OrderView]) -> Vec<&OrderView> {
    let mut sorted: Vec<&OrderView> = orders.iter().collect();
    sorted.sort_by_key(|order| std::cmp::Reverse(order.updated_at_ms));
    sorted
}

fn prices(ticker: Option<&Ticker>, at_ms: Option<u64>) -> Prices {
    match ticker {
        Some(ticker) => Prices {
            last: Some(ticker.day.close),
            bid: ticker.bid.map(|(price, _)| price),
            ask: ticker.ask.map(|(price, _)| price),
            at_ms: Some(ticker.until_ms),
        },
        None => Prices { at_ms, ..Prices::default() },
    }
}

fn write_account(
    out: &mut Vec<u8>,
    at_ms: Option<u64>,
    balances: &[BalanceView],
    context: &Context<'_>,
) {
    time(out, "{\"ts_ns\":", at_ms);
    out.extend_from_slice(b",\"balances\":");
    write::array(out, balances, |out, balance| {
        write_balance(out, balance.asset, balance.avail, balance.frozen, context.registry);
    });
    out.push(b'}');
}

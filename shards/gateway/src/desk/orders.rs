//! What a user asks about its orders and balances.

use engine::{Command, MAX_ROWS, OrderFilter, OrderRef, Place, Query};
use money::{OrderId, OrderKind, OrderStatus, SelfTrade, Side, UserId};

use super::respond::Kind;
use super::symbol::{optional_symbol, symbol_of};
use super::values::status_word;
use crate::http::Request;
use crate::http::response::Framing;
use crate::json::Value;
use crate::native::Context;
use crate::native::action::{Action, Respond, Shape};
use crate::native::failure::{Code, Failure};
use crate::native::fields::{Field, body_fields, query_fields};
use crate::native::order::{limit_size, market_size, order_time_in_force};

fn command(command: Command, kind: Kind, framing: Framing) -> Action {
    let respond = Respond { shape: Shape::Desk(kind), framing };
    Action::Command { command, respond, repeat_while_more: false }
}

pub(super) fn query(query: Query, kind: Kind, framing: Framing) -> Action {
    Action::Query { query, respond: Respond { shape: Shape::Desk(kind), framing } }
}

/// `POST /api/order`.
pub(super) fn place(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, side, kind, time_in_force, price, qty, quote_qty, cid] = body_fields(
        request.body,
        ["symbol", "side", "type", "time_in_force", "price", "qty", "quote_qty", "client_order_id"],
    )?;
    let symbol_id = symbol_of(context, &symbol)?;
    let entry = context.registry.symbol(symbol_id).ok_or_else(|| symbol.failure("unknown"))?;
    let side = side.required_word::<Side>()?;
    let kind = kind.word::<OrderKind>()?.unwrap_or(OrderKind::Limit);
    let time_in_force = order_time_in_force(&time_in_force, kind)?;
    let (price, qty, quote_qty) = match kind {
        OrderKind::Market => {
            market_size(&entry.spec, &without_zero(price)?, &without_zero(qty)?, &quote_qty)?
        }
        OrderKind::Limit | OrderKind::PostOnly => {
            limit_size(&entry.spec, &price, &qty, &quote_qty)?
        }
    };
    let place = Place {
        user,
        symbol: symbol_id,
        side,
        kind,
        time_in_force,
        self_trade: SelfTrade::None,
        wait: false,
        price,
        qty,
        quote_qty,
        cid: cid.cid()?,
    };
    Ok(command(Command::Place(place), Kind::Place(symbol_id), framing))
}

/// A client whose form always has price and quantity fills in zero where there is none.
fn without_zero(field: Field<'_>) -> Result<Field<'_>, Failure> {
    let is_zero = field.decimal(Code::InvalidPriceOrQty)?.is_some_and(|value| value.is_zero());
    let value = if is_zero { Value::Absent } else { field.value };
    Ok(Field { name: field.name, value })
}

/// Exactly one of the client's and the exchange's id.
fn order_ref(client: &Field<'_>, venue: &Field<'_>) -> Result<OrderRef, Failure> {
    match (client.cid()?, venue.id()?) {
        (Some(cid), None) => Ok(OrderRef::Cid(cid)),
        (None, Some(id)) => Ok(OrderRef::Id(OrderId(id))),
        (Some(_), Some(_)) => Err(venue.failure("cannot be given together with client_order_id")),
        (None, None) => Err(client.failure("or venue_order_id is required")),
    }
}

/// `POST /api/cancel`.
pub(super) fn cancel(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [client, venue, symbol] =
        body_fields(request.body, ["client_order_id", "venue_order_id", "symbol"])?;
    // An id is unique among a user's orders of all symbols: the symbol adds nothing, and must only
    // be one.
    optional_symbol(context, &symbol)?;
    let order = order_ref(&client, &venue)?;
    Ok(command(Command::Cancel { user, order }, Kind::Cancel, framing))
}

/// `GET /api/order_state`.
pub(super) fn order_state(
    request: &Request<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [client, venue] = query_fields(request.query, ["client_order_id", "venue_order_id"])?;
    let order = order_ref(&client, &venue)?;
    Ok(query(Query::Order { user, order }, Kind::OrderState, framing))
}

/// `GET /api/orders` and `GET /api/orders_state`.
pub(super) fn list(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    kind: Kind,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, status, limit] = query_fields(request.query, ["symbol", "status", "limit"])?;
    let orders = Query::Orders {
        user,
        symbol: optional_symbol(context, &symbol)?,
        filter: filter(&status)?,
        before: None,
        limit: limit.integer(1, MAX_ROWS as u64)?.map_or(MAX_ROWS, |limit| limit as usize),
    };
    Ok(query(orders, kind, framing))
}

fn filter(status: &Field<'_>) -> Result<OrderFilter, Failure> {
    let Some(text) = status.text()? else { return Ok(OrderFilter::All) };
    match text {
        "ALL" => return Ok(OrderFilter::All),
        "OPEN" => return Ok(OrderFilter::Open),
        "ENDED" => return Ok(OrderFilter::Ended),
        _ => {}
    }
    let known = OrderStatus::ALL.iter().find(|&&known| status_word(known) == text);
    known.copied().map(OrderFilter::Status).ok_or_else(|| {
        let words: Vec<&str> = OrderStatus::ALL.iter().copied().map(status_word).collect();
        status.failure(format_args!("must be ALL, OPEN, ENDED or one of {}", words.join(", ")))
    })
}

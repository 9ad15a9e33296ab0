//! Commands about orders: place, cancel, cancel all, reduce, move.

use engine::{Command, OrderRef, Place, Query};
use money::{
    Lots, OrderId, OrderKind, Price, SelfTrade, Side, SymbolId, SymbolSpec, TimeInForce, Units,
    UserId,
};

use super::action::{Action, Change, Pending, Respond, Shape};
use super::amounts::{read_amount, read_price, read_qty};
use super::context::Context;
use super::failure::{Code, Failure};
use super::fields::{Field, body_fields, query_fields};
use crate::http::Request;
use crate::http::response::Framing;

/// The symbol that a field names.
pub(crate) fn symbol_of(context: &Context<'_>, field: &Field<'_>) -> Result<SymbolId, Failure> {
    let name = field.required_text()?;
    context.registry.symbol_named(name).ok_or_else(|| unknown_symbol(field.name))
}

/// The symbol that a field names, if it names one.
pub(crate) fn optional_symbol(
    context: &Context<'_>,
    field: &Field<'_>,
) -> Result<Option<SymbolId>, Failure> {
    if field.is_absent() {
        return Ok(None);
    }
    symbol_of(context, field).map(Some)
}

fn unknown_symbol(name: &str) -> Failure {
    Failure::new(Code::UnknownSymbol, format!("{name}: unknown"))
}

/// `POST /api/v1/create_order`.
pub(super) fn place(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let mut place = read_place(request.body, context, user)?;
    place.wait = waits(request)?;
    Ok(Action::Command {
        command: Command::Place(place),
        respond: Respond { shape: Shape::Place(place.symbol), framing },
        repeat_while_more: false,
    })
}

/// An order as a JSON object describes it. It does not wait for its match.
pub(super) fn read_place(
    body: &[u8],
    context: &Context<'_>,
    user: UserId,
) -> Result<Place, Failure> {
    let [symbol, side, kind, time_in_force, price, qty, quote_qty, cid, stp, post_only, alias] =
        body_fields(
            body,
            [
                "symbol",
                "side",
                "type",
                "time_in_force",
                "price",
                "qty",
                "quote_qty",
                "cid",
                "stp",
                "post_only",
                "order_type",
            ],
        )?;
    let symbol_id = symbol_of(context, &symbol)?;
    let spec = &context.registry.symbol(symbol_id).ok_or_else(|| unknown_symbol(symbol.name))?.spec;
    let side = side.required_word::<Side>()?;
    let kind = order_kind(&kind, &alias, &post_only)?;
    let time_in_force = order_time_in_force(&time_in_force, kind)?;
    let (price, qty, quote_qty) = match kind {
        OrderKind::Market => market_size(spec, &price, &qty, &quote_qty)?,
        OrderKind::Limit | OrderKind::PostOnly => limit_size(spec, &price, &qty, &quote_qty)?,
    };
    Ok(Place {
        user,
        symbol: symbol_id,
        side,
        kind,
        time_in_force,
        self_trade: stp.word()?.unwrap_or(SelfTrade::None),
        wait: false,
        price,
        qty,
        quote_qty,
        cid: cid.cid()?,
    })
}

/// LIMIT, MARKET or POST_ONLY from `type` or its alias, and `post_only`.
fn order_kind(
    kind: &Field<'_>,
    alias: &Field<'_>,
    post_only: &Field<'_>,
) -> Result<OrderKind, Failure> {
    let named = match (kind.word()?, alias.word()?) {
        (Some(kind), Some(other)) if kind != other => {
            return Err(alias.failure("differs from type"));
        }
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) => return Err(kind.missing()),
    };
    match (post_only.flag()?, named) {
        (Some(true), OrderKind::Market) => Err(post_only.failure("a MARKET order cannot be")),
        (Some(false), OrderKind::PostOnly) => Err(post_only.failure("contradicts type POST_ONLY")),
        (Some(true), _) => Ok(OrderKind::PostOnly),
        (_, named) => Ok(named),
    }
}

pub(crate) fn order_time_in_force(
    field: &Field<'_>,
    kind: OrderKind,
) -> Result<TimeInForce, Failure> {
    match (field.word()?, kind) {
        (None, OrderKind::Market) => Ok(TimeInForce::Ioc),
        (None, _) => Ok(TimeInForce::Gtc),
        (Some(TimeInForce::Gtc), OrderKind::Market) => {
            Err(field.failure("a MARKET order is IOC or FOK"))
        }
        (Some(TimeInForce::Ioc | TimeInForce::Fok), OrderKind::PostOnly) => {
            Err(field.failure("a POST_ONLY order is GTC"))
        }
        (Some(time_in_force), _) => Ok(time_in_force),
    }
}

pub(crate) type Size = (Price, Lots, Option<Units>);

pub(crate) fn limit_size(
    spec: &SymbolSpec,
    price: &Field<'_>,
    qty: &Field<'_>,
    quote_qty: &Field<'_>,
) -> Result<Size, Failure> {
    if !quote_qty.is_absent() {
        return Err(quote_qty.failure("is for MARKET orders only"));
    }
    let price_value = price.required_decimal(Code::InvalidPriceOrQty)?;
    let qty_value = qty.required_decimal(Code::InvalidPriceOrQty)?;
    Ok((read_price(spec, price.name, price_value)?, read_qty(spec, qty.name, qty_value)?, None))
}

pub(crate) fn market_size(
    spec: &SymbolSpec,
    price: &Field<'_>,
    qty: &Field<'_>,
    quote_qty: &Field<'_>,
) -> Result<Size, Failure> {
    if !price.is_absent() {
        return Err(price.failure("a MARKET order has none"));
    }
    let code = Code::InvalidPriceOrQty;
    match (qty.decimal(code)?, quote_qty.decimal(code)?) {
        (Some(value), None) => Ok((Price(0), read_qty(spec, qty.name, value)?, None)),
        (None, Some(value)) => {
            let budget = read_amount(quote_qty.name, code, value, spec.quote_decimals)?;
            Ok((Price(0), Lots(0), Some(budget)))
        }
        (Some(_), Some(_)) => Err(quote_qty.failure("cannot be given together with qty")),
        (None, None) => Err(qty.failure("or quote_qty is required")),
    }
}

/// `Prefer: wait` or `?wait=true`.
fn waits(request: &Request<'_>) -> Result<bool, Failure> {
    if request.query.is_empty() {
        return Ok(request.prefers_wait);
    }
    let [wait] = query_fields(request.query, ["wait"])?;
    Ok(wait.flag()?.unwrap_or(request.prefers_wait))
}

/// Exactly one of `order_id` and `cid`.
pub(super) fn order_ref(order: &Field<'_>, cid: &Field<'_>) -> Result<OrderRef, Failure> {
    match (order.id()?, cid.cid()?) {
        (Some(id), None) => Ok(OrderRef::Id(OrderId(id))),
        (None, Some(text)) => Ok(OrderRef::Cid(text)),
        (Some(_), Some(_)) => Err(cid.failure("cannot be given together with order_id")),
        (None, None) => Err(order.failure("or cid is required")),
    }
}

/// The order that a JSON object names.
pub(super) fn read_order_ref(body: &[u8]) -> Result<OrderRef, Failure> {
    let [order, cid] = body_fields(body, ["order_id", "cid"])?;
    order_ref(&order, &cid)
}

/// `POST /api/v1/cancel_order`.
pub(super) fn cancel(
    request: &Request<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let order = read_order_ref(request.body)?;
    Ok(Action::Command {
        command: Command::Cancel { user, order },
        respond: Respond { shape: Shape::Own, framing },
        repeat_while_more: false,
    })
}

/// `DELETE /api/v1/orders`.
pub(super) fn cancel_all(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol] = query_fields(request.query, ["symbol"])?;
    let symbol = optional_symbol(context, &symbol)?;
    Ok(Action::Command {
        command: Command::CancelUser { user, symbol },
        respond: Respond { shape: Shape::Own, framing },
        repeat_while_more: true,
    })
}

/// `POST /api/v1/order/reduce`.
pub(super) fn reduce(
    request: &Request<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [order, cid, by] = body_fields(request.body, ["order_id", "cid", "reduce_qty"])?;
    let order = order_ref(&order, &cid)?;
    let change = Change::Reduce(by.required_decimal(Code::InvalidPriceOrQty)?);
    Ok(resolve_first(user, order, change, framing))
}

/// `POST /api/v1/order/move`.
pub(super) fn move_price(
    request: &Request<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [order, cid, price] = body_fields(request.body, ["order_id", "cid", "new_price"])?;
    let order = order_ref(&order, &cid)?;
    let change = Change::Move(price.required_decimal(Code::InvalidPriceOrQty)?);
    Ok(resolve_first(user, order, change, framing))
}

/// The request does not name the symbol, and without it a decimal is no tick and no lot.
fn resolve_first(user: UserId, order: OrderRef, change: Change, framing: Framing) -> Action {
    let respond = Respond { shape: Shape::Own, framing };
    Action::Resolve {
        query: Query::Order { user, order },
        pending: Pending { user, change, respond },
    }
}

//! Questions of a user about its own orders, trades and balances.

use engine::{MAX_ROWS, OrderFilter, OrderRef, Query};
use money::{OrderId, OrderStatus, TradeId, UserId};

use super::action::{Action, Respond, Shape};
use super::context::Context;
use super::failure::Failure;
use super::fields::{Field, Word, choices, path_field, query_fields};
use super::order::{optional_symbol, order_ref};
use crate::http::Request;
use crate::http::response::Framing;

/// Rows of an answer where the caller does not say.
pub(super) const DEFAULT_ROWS: usize = 100;

/// The parameter `limit`.
pub(crate) fn rows(limit: &Field<'_>) -> Result<usize, Failure> {
    Ok(limit.integer(1, MAX_ROWS as u64)?.map_or(DEFAULT_ROWS, |limit| limit as usize))
}

fn own(query: Query, framing: Framing) -> Action {
    Action::Query { query, respond: Respond { shape: Shape::Own, framing } }
}

/// `GET /api/v1/order/{order_id}`.
pub(super) fn order_by_id(
    segment: &str,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let order = OrderRef::Id(OrderId(path_field("order_id", segment)?.required_id()?));
    Ok(own(Query::Order { user, order }, framing))
}

/// `GET /api/v1/order?cid=`, also `?order_id=`.
pub(super) fn order(
    request: &Request<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [order, cid] = query_fields(request.query, ["order_id", "cid"])?;
    let order = order_ref(&order, &cid)?;
    Ok(own(Query::Order { user, order }, framing))
}

/// `GET /api/v1/orders`.
pub(super) fn orders(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, status, limit, before] =
        query_fields(request.query, ["symbol", "status", "limit", "before"])?;
    let query = Query::Orders {
        user,
        symbol: optional_symbol(context, &symbol)?,
        filter: filter(&status)?,
        before: before.id()?.map(OrderId),
        limit: rows(&limit)?,
    };
    Ok(own(query, framing))
}

pub(crate) fn filter(status: &Field<'_>) -> Result<OrderFilter, Failure> {
    match status.text()? {
        None | Some("OPEN") => Ok(OrderFilter::Open),
        Some("ENDED") => Ok(OrderFilter::Ended),
        Some(text) => OrderStatus::read(text).map(OrderFilter::Status).ok_or_else(|| {
            status.failure(format_args!("must be OPEN, ENDED, {}", choices::<OrderStatus>()))
        }),
    }
}

/// `GET /api/v1/trades`.
pub(super) fn trades(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, limit, before] = query_fields(request.query, ["symbol", "limit", "before"])?;
    let symbol = optional_symbol(context, &symbol)?;
    let trade = before.id()?.map(TradeId);
    if trade.is_some() && symbol.is_none() {
        return Err(before.failure("needs symbol: trades are numbered per symbol"));
    }
    Ok(own(Query::Trades { user, symbol, before: trade, limit: rows(&limit)? }, framing))
}

/// `GET /api/v1/balances`.
pub(super) fn balances(user: UserId, framing: Framing) -> Action {
    own(Query::Balances { user }, framing)
}

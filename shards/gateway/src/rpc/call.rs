//! Methods of a user: what their parameters ask of the engine.

use engine::{Command, OrderRef, Query};
use money::{OrderId, TradeId, UserId};

use super::endpoint::Method;
use super::failure::{Code, Failure};
use super::message::About;
use super::orders::read_place;
use super::values::ORDER_ID_PREFIX;
use crate::json::Value;
use crate::native::account::{filter, rows};
use crate::native::action::{Action, Respond, Shape};
use crate::native::fields::{Field, body_fields};
use crate::native::format::{DRAINING, RECOVERING};
use crate::native::order::optional_symbol;
use crate::native::{Context, Serving};

/// The parameters of all these methods, read in one pass.
pub(super) struct Params<'a> {
    pub symbol: Field<'a>,
    pub side: Field<'a>,
    pub kind: Field<'a>,
    pub price: Field<'a>,
    pub quantity: Field<'a>,
    pub client_order_id: Field<'a>,
    account_id: Field<'a>,
    order_id: Field<'a>,
    status: Field<'a>,
    limit: Field<'a>,
    before: Field<'a>,
}

impl<'a> Params<'a> {
    fn read(params: &'a [u8]) -> Result<Params<'a>, Failure> {
        const NAMES: [&str; 11] = [
            "symbol",
            "side",
            "type",
            "price",
            "quantity",
            "client_order_id",
            "account_id",
            "order_id",
            "status",
            "limit",
            "before",
        ];
        let [
            symbol,
            side,
            kind,
            price,
            quantity,
            client_order_id,
            account_id,
            order_id,
            status,
            limit,
            before,
        ] = body_fields(params, NAMES)?;
        Ok(Params {
            symbol,
            side,
            kind,
            price,
            quantity,
            client_order_id,
            account_id,
            order_id,
            status,
            limit,
            before,
        })
    }
}

/// What a method asks for, and what its answer will be about.
pub(super) fn act(
    method: Method,
    params: &[u8],
    context: &Context<'_>,
    user: UserId,
) -> Result<(Action, About), Failure> {
    let unavailable = |issue| Err(Failure::new(Code::Unavailable, "method", issue));
    match context.serving {
        Serving::Ready => {}
        Serving::Recovering => return unavailable(RECOVERING),
        Serving::Draining => return unavailable(DRAINING),
    }
    let params = Params::read(params)?;
    check_account(&params.account_id, user)?;
    match method {
        Method::Place => {
            let place = read_place(&params, context, user)?;
            let shape = Shape::Place(place.symbol);
            Ok((command(Command::Place(place), shape), About::Message))
        }
        Method::Cancel => {
            let (order, field) = read_order_ref(&params)?;
            Ok((command(Command::Cancel { user, order }, Shape::Own), About::Order(field)))
        }
        Method::Status => {
            let (order, field) = read_order_ref(&params)?;
            Ok((query(Query::Order { user, order }), About::Order(field)))
        }
        Method::List => {
            let orders = Query::Orders {
                user,
                symbol: optional_symbol(context, &params.symbol)?,
                filter: filter(&params.status)?,
                before: read_order_id(&params.before)?,
                limit: rows(&params.limit)?,
            };
            Ok((query(orders), About::Message))
        }
        Method::Trades => {
            let symbol = optional_symbol(context, &params.symbol)?;
            let before = params.before.id()?.map(TradeId);
            if before.is_some() && symbol.is_none() {
                let issue = "needs symbol: trades are numbered per symbol";
                return Err(params.before.failure(issue).into());
            }
            let limit = rows(&params.limit)?;
            Ok((query(Query::Trades { user, symbol, before, limit }), About::Message))
        }
        Method::Info | Method::Positions => {
            Ok((query(Query::Balances { user }), About::User(user)))
        }
        Method::Login | Method::Jwt | Method::Subscribe | Method::Unsubscribe | Method::Ping => {
            Err(Failure::new(Code::Internal, "method", "is not acted upon"))
        }
    }
}

fn command(command: Command, shape: Shape) -> Action {
    let respond = Respond::of_message(shape);
    Action::Command { command, respond, repeat_while_more: false }
}

fn query(query: Query) -> Action {
    Action::Query { query, respond: Respond::of_message(Shape::Own) }
}

/// A user has one account, whose id is the user's.
fn check_account(account: &Field<'_>, user: UserId) -> Result<(), Failure> {
    match account.id()? {
        Some(id) if id != user.0 => {
            Err(Failure::new(Code::Forbidden, account.name, "is not the account of this user"))
        }
        _ => Ok(()),
    }
}

/// Exactly one of `order_id` and `client_order_id`, and the name of the one.
fn read_order_ref(params: &Params<'_>) -> Result<(OrderRef, &'static str), Failure> {
    let (order, client) = (&params.order_id, &params.client_order_id);
    match (read_order_id(order)?, client.cid()?) {
        (Some(id), None) => Ok((OrderRef::Id(id), order.name)),
        (None, Some(cid)) => Ok((OrderRef::Cid(cid), client.name)),
        (Some(_), Some(_)) => Err(client.failure("cannot be given together with order_id").into()),
        (None, None) => Err(order.failure("or client_order_id is required").into()),
    }
}

/// An order's id, with its prefix or without.
fn read_order_id(field: &Field<'_>) -> Result<Option<OrderId>, Failure> {
    let bare = match &field.value {
        Value::Text(text) => text.strip_prefix(ORDER_ID_PREFIX),
        _ => None,
    };
    let id = match bare {
        Some(bare) => Field { name: field.name, value: Value::Text(bare.into()) }.id(),
        None => field.id(),
    };
    let rule = || field.failure("must be ord_ and an integer from 0 to 9007199254740991");
    Ok(id.map_err(|_| rule())?.map(OrderId))
}

//! `order.place`, and how this dialect names what the engine calls kind and time in force.

use engine::Place;
use money::{Lots, OrderKind, Price, SelfTrade, Side, SymbolSpec, TimeInForce, UserId};

use super::call::Params;
use super::failure::Failure;
use crate::native::Context;
use crate::native::amounts::{read_price, read_qty, symbol_entry};
use crate::native::failure::Code as NativeCode;
use crate::native::fields::{Field, Word};
use crate::native::order::symbol_of;

/// The field `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderType {
    Limit,
    Market,
    Ioc,
    Fok,
    PostOnly,
}

impl Word for OrderType {
    const WORDS: &'static [OrderType] =
        &[OrderType::Limit, OrderType::Market, OrderType::Ioc, OrderType::Fok, OrderType::PostOnly];

    fn text(self) -> &'static str {
        match self {
            OrderType::Limit => "LIMIT",
            OrderType::Market => "MARKET",
            OrderType::Ioc => "IOC",
            OrderType::Fok => "FOK",
            OrderType::PostOnly => "POST_ONLY",
        }
    }

    fn read(text: &str) -> Option<OrderType> {
        OrderType::WORDS.iter().copied().find(|kind| kind.text() == text)
    }
}

impl OrderType {
    /// As the engine has it.
    fn parts(self) -> (OrderKind, TimeInForce) {
        match self {
            OrderType::Limit => (OrderKind::Limit, TimeInForce::Gtc),
            OrderType::Market => (OrderKind::Market, TimeInForce::Ioc),
            OrderType::Ioc => (OrderKind::Limit, TimeInForce::Ioc),
            OrderType::Fok => (OrderKind::Limit, TimeInForce::Fok),
            OrderType::PostOnly => (OrderKind::PostOnly, TimeInForce::Gtc),
        }
    }

    /// The name of what another dialect may have placed: a MARKET order of either time in force is
    /// MARKET.
    pub fn of(kind: OrderKind, time_in_force: TimeInForce) -> OrderType {
        match (kind, time_in_force) {
            (OrderKind::Market, _) => OrderType::Market,
            (OrderKind::PostOnly, _) => OrderType::PostOnly,
            (OrderKind::Limit, TimeInForce::Gtc) => OrderType::Limit,
            (OrderKind::Limit, TimeInForce::Ioc) => OrderType::Ioc,
            (OrderKind::Limit, TimeInForce::Fok) => OrderType::Fok,
        }
    }
}

/// The order that the parameters describe. It does not wait for its match.
pub(super) fn read_place(
    params: &Params<'_>,
    context: &Context<'_>,
    user: UserId,
) -> Result<Place, Failure> {
    let symbol = symbol_of(context, &params.symbol)?;
    let spec = &symbol_entry(context.registry, symbol).spec;
    let side = params.side.required_word::<Side>()?;
    let (kind, time_in_force) = params.kind.required_word::<OrderType>()?.parts();
    let price = match kind {
        OrderKind::Market => no_price(&params.price)?,
        OrderKind::Limit | OrderKind::PostOnly => limit_price(spec, &params.price)?,
    };
    Ok(Place {
        user,
        symbol,
        side,
        kind,
        time_in_force,
        self_trade: SelfTrade::None,
        wait: false,
        price,
        qty: quantity(spec, &params.quantity)?,
        quote_qty: None,
        cid: params.client_order_id.cid()?,
    })
}

fn limit_price(spec: &SymbolSpec, field: &Field<'_>) -> Result<Price, Failure> {
    let value = field.required_decimal(NativeCode::InvalidPriceOrQty)?;
    Ok(read_price(spec, field.name, value)?)
}

fn quantity(spec: &SymbolSpec, field: &Field<'_>) -> Result<Lots, Failure> {
    let value = field.required_decimal(NativeCode::InvalidPriceOrQty)?;
    Ok(read_qty(spec, field.name, value)?)
}

/// Clients with one form for all orders fill in a zero. Any other price would be a limit that does
/// not hold.
fn no_price(field: &Field<'_>) -> Result<Price, Failure> {
    match field.decimal(NativeCode::InvalidPriceOrQty)? {
        Some(price) if !price.is_zero() => Err(field.failure("a MARKET order has none").into()),
        _ => Ok(Price(0)),
    }
}

//! Bytes as the body of every request that has one.
//!
//! Promises: no panic; what is let through has passed the documented ranges ([`ranges`]); a number is
//! taken as it is written or refused; and the scanner agrees with another reader of JSON on what JSON
//! is, and on what it says.

use engine::{Command, OrderRef, OrderView, Place, Reply};
use gateway::http::{Connection, Persistence, Request};
use gateway::json::{JsonError, MAX_DEPTH, Value, read_object};
use gateway::native::{Action, Context, resolve};
use money::{
    Decimal, Lots, OrderId, OrderKind, OrderStatus, Price, Side, SymbolId, SymbolSpec, TimeInForce,
    UserId,
};
use serde_json::Value as Json;

use crate::answer::check_answer;
use crate::exchange::{Exchange, route};
use crate::ranges;

/// Every method and path that takes a body.
const ROUTES: [(&str, &str); 22] = [
    ("POST", "v1/create_order"),
    ("POST", "v1/order"),
    ("POST", "v1/cancel_order"),
    ("POST", "v1/order/reduce"),
    ("POST", "v1/order/move"),
    ("POST", "v1/admin/assets"),
    ("POST", "v1/admin/symbols"),
    ("PATCH", "v1/admin/symbols/ESH4_USDT"),
    ("POST", "v1/admin/users"),
    ("PATCH", "v1/admin/users/1001"),
    ("POST", "v1/admin/deposits"),
    ("POST", "v1/admin/withdrawals"),
    ("POST", "v1/admin/withdrawals/confirm"),
    ("POST", "v1/admin/withdrawals/reject"),
    ("POST", "v1/withdrawals"),
    ("POST", "order"),
    ("POST", "cancel"),
    ("POST", "auth/login"),
    ("POST", "auth/refresh"),
    ("POST", "auth/password"),
    ("POST", "auth/keys"),
    ("POST", "auth/roles"),
];

const FIELDS: [&str; 8] =
    ["symbol", "side", "type", "price", "qty", "quote_qty", "cid", "post_only"];

thread_local! {
    /// Nothing here changes it.
    static EXCHANGE: Exchange = Exchange::open();
}

/// Takes the bytes for a body.
pub fn run(data: &[u8]) {
    compare_readers(data);
    EXCHANGE.with(|exchange| {
        let context = exchange.context();
        for (method, path) in ROUTES {
            with_request(method, path, data, |request| {
                check_route(path, request, &context);
            });
        }
    });
}

fn with_request(method: &str, path: &str, body: &[u8], check: impl FnOnce(&Request<'_>)) {
    let mut connection = Connection::new();
    let head = format!(
        "{method} /api/{path} HTTP/1.1\r\nHost: x\r\nX-User-ID: 1001\r\n\
         X-Admin-Token: dev-admin\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.feed(head.as_bytes());
    connection.feed(body);
    match connection.next_request() {
        Ok(Some(request)) => check(&request),
        Ok(None) => panic!("a request is whole"),
        Err(rejection) => assert_eq!(rejection.reason.status(), 413, "{rejection:?}"),
    }
}

fn check_route(path: &str, request: &Request<'_>, context: &Context<'_>) {
    let action = route(request, context);
    ranges::check_action(&action, context);
    match &action {
        Action::Answer(answer) => {
            check_answer(&answer.bytes, false, Persistence::KeepAlive);
            return;
        }
        Action::Command { command: Command::Place(place), .. } => {
            check_decimals(request.body, place, context);
        }
        Action::Resolve { pending, .. } => {
            let reply = Reply::Order(Box::new(order()));
            let next = resolve(pending, &reply, context);
            ranges::check_action(&next, context);
            check_change(path, request.body, &next, context);
        }
        _ => {}
    }
    let body = serde_json::from_slice::<Json>(request.body);
    assert!(!body.is_ok_and(|body| !body.is_object()), "{path}: no object was taken for one");
}

/// An order that a reduction or move may be about.
fn order() -> OrderView {
    OrderView {
        order: OrderId(1024),
        cid: None,
        user: UserId(1001),
        symbol: SymbolId(1),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        price: Price(19_200),
        qty: Lots(10),
        quote_qty: None,
        filled: Lots(0),
        filled_quote: 0,
        status: OrderStatus::New,
        created_at_ms: 0,
        updated_at_ms: 0,
    }
}

/// A field as another reader finds it, as text.
fn field(body: &[u8], name: &str) -> Option<String> {
    let json: Json = serde_json::from_slice(body).ok()?;
    match &json[name] {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether ticks and lots are what the text says, exactly.
fn check_decimals(body: &[u8], place: &Place, context: &Context<'_>) {
    let spec = &context.registry.symbol(place.symbol).expect("was checked").spec;
    if let Some(text) = field(body, "price") {
        check_price(&text, spec, place.price);
    }
    if let Some(text) = field(body, "qty") {
        check_qty(&text, spec, place.qty);
    }
    if let Some(text) = field(body, "quote_qty") {
        let units = place.quote_qty.expect("was given");
        let decimal = Decimal::new(units, u32::from(spec.quote_decimals));
        assert_eq!(Decimal::parse(&text), Ok(decimal), "{text}");
    }
    if let (Some(text), Some(cid)) = (field(body, "cid"), place.cid) {
        assert_eq!(text, cid.as_str());
    }
}

fn check_price(text: &str, spec: &SymbolSpec, price: Price) {
    let mantissa = u128::from(price.0) * u128::from(spec.tick_mantissa);
    let decimal = Decimal::new(mantissa, u32::from(spec.tick_decimals));
    assert_eq!(Decimal::parse(text), Ok(decimal), "{text}");
}

fn check_qty(text: &str, spec: &SymbolSpec, qty: Lots) {
    let units = u128::from(qty.0) * u128::from(spec.lot_units);
    assert_eq!(
        Decimal::parse(text),
        Ok(Decimal::new(units, u32::from(spec.base_decimals))),
        "{text}"
    );
}

/// Whether a reduction or move is by or to what the text says, of the order that was resolved.
fn check_change(path: &str, body: &[u8], action: &Action, context: &Context<'_>) {
    let Action::Command { command, .. } = action else { return };
    let spec = &context.registry.symbol(SymbolId(1)).expect("is there").spec;
    let order = match command {
        Command::Reduce { order, by, .. } => {
            assert_eq!(path, "v1/order/reduce");
            if let Some(text) = field(body, "reduce_qty") {
                check_qty(&text, spec, *by);
            }
            order
        }
        Command::Move { order, price, .. } => {
            assert_eq!(path, "v1/order/move");
            if let Some(text) = field(body, "new_price") {
                check_price(&text, spec, *price);
            }
            order
        }
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(*order, OrderRef::Id(OrderId(1024)), "the order that was found, by its id");
}

/// The scanner and serde_json, on the same bytes.
fn compare_readers(body: &[u8]) {
    let theirs = serde_json::from_slice::<Json>(body);
    match read_object(body, &FIELDS) {
        Ok(values) => {
            let theirs = theirs.unwrap_or_else(|error| panic!("taken, but is no JSON: {error}"));
            for (name, value) in FIELDS.iter().zip(values) {
                check_value(name, &value, theirs.get(name));
            }
        }
        Err(JsonError::Malformed { .. } | JsonError::NotObject | JsonError::Empty) => {
            assert!(!theirs.is_ok_and(|json| json.is_object()), "refused, but is an object");
        }
        Err(JsonError::NotUtf8(_)) => assert!(std::str::from_utf8(body).is_err()),
        Err(JsonError::TooDeep) => assert!(body.len() >= MAX_DEPTH),
        // serde_json keeps the last one.
        Err(JsonError::Duplicate(name)) => {
            assert!(theirs.is_err() || theirs.is_ok_and(|json| json.get(name).is_some()));
        }
    }
}

fn check_value(name: &str, ours: &Value<'_>, theirs: Option<&Json>) {
    let is_same = match (ours, theirs) {
        (Value::Absent, None) | (Value::Null, Some(Json::Null)) => true,
        (Value::Bool(ours), Some(Json::Bool(theirs))) => ours == theirs,
        (Value::Text(ours), Some(Json::String(theirs))) => ours == theirs,
        (Value::Array { .. }, Some(Json::Array(_))) => true,
        (Value::Object { .. }, Some(Json::Object(_))) => true,
        (Value::Number(ours), Some(Json::Number(theirs))) => {
            let theirs = theirs.to_string();
            *ours == theirs || Decimal::parse(ours) == Decimal::parse(&theirs)
        }
        _ => false,
    };
    assert!(is_same, "{name}: {ours:?} is {theirs:?} to others");
}

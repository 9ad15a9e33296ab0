//! From a request to an action: which paths are this dialect's, and the one order of middleware.

use engine::Query;

use super::caller::required_caller;
use super::failure::write_failure;
use super::respond::Kind;
use super::symbol::symbol_of;
use super::{info, orders, subscribe};
use crate::http::response::{self, Framing};
use crate::http::{Method, Request};
use crate::native::action::{Action, Answer, Respond, Shape};
use crate::native::failure::{Code, Failure, closing};
use crate::native::fields::query_fields;
use crate::native::format::{DRAINING, RECOVERING};
use crate::native::{Context, Serving};

/// Dialects beside this one under `/api/`.
const OTHER_DIALECTS: [&str; 2] = ["v1", "v3"];

/// The headers of a preflight's answer. A browser may remember it for ten minutes.
macro_rules! preflight_headers {
    ($methods:literal) => {
        concat!(
            "allow: ",
            $methods,
            "\r\naccess-control-allow-origin: *\r\naccess-control-allow-methods: ",
            $methods,
            "\r\naccess-control-allow-headers: content-type, authorization, x-user-id, \
             last-event-id, cache-control\r\naccess-control-max-age: 600\r\n"
        )
    };
}

/// Whether a path is this dialect's, whether or not there is a route.
pub fn owns(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/") else { return path == "/health" };
    let first = rest.split('/').next().unwrap_or_default();
    !OTHER_DIALECTS.contains(&first)
}

/// What a request asks for. Does no I/O and changes nothing.
pub fn route(request: &Request<'_>, context: &Context<'_>) -> Action {
    let framing = match context.serving {
        Serving::Draining => closing(Framing::of(request)),
        _ => Framing::of(request),
    };
    dispatch(request, context, framing).unwrap_or_else(|failure| {
        let mut bytes = Vec::new();
        write_failure(&failure, framing, &mut bytes);
        Action::Answer(Answer { bytes, shows_state: false })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Health,
    ApiHealth,
    Config,
    Market,
    Order,
    Cancel,
    Orders,
    OrdersState,
    OrderState,
    Account,
    Stream,
}

fn find(path: &str) -> Option<Route> {
    Some(match path {
        "/health" => Route::Health,
        "/api/health" => Route::ApiHealth,
        "/api/config" => Route::Config,
        "/api/market" => Route::Market,
        "/api/order" => Route::Order,
        "/api/cancel" => Route::Cancel,
        "/api/orders" => Route::Orders,
        "/api/orders_state" => Route::OrdersState,
        "/api/order_state" => Route::OrderState,
        "/api/account" => Route::Account,
        "/api/stream" => Route::Stream,
        _ => return None,
    })
}

impl Route {
    fn is_post(self) -> bool {
        matches!(self, Route::Order | Route::Cancel)
    }

    fn allows(self, method: Method) -> bool {
        match method {
            Method::Get | Method::Head => !self.is_post(),
            Method::Post => self.is_post(),
            _ => false,
        }
    }

    /// The methods it has, as the header that tells them.
    fn allow(self) -> &'static str {
        match self.is_post() {
            true => "allow: POST, OPTIONS\r\n",
            false => "allow: GET, HEAD, OPTIONS\r\n",
        }
    }
}

fn dispatch(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let route = find(request.path);
    // A browser that asks whether it may ask must learn from the request itself why not.
    if request.method == Method::Options {
        return Ok(preflight(route, framing));
    }
    match context.serving {
        Serving::Ready => {}
        Serving::Recovering => return Err(Failure::new(Code::Unavailable, RECOVERING)),
        Serving::Draining => return Err(Failure::new(Code::Unavailable, DRAINING)),
    }
    let route = route
        .ok_or_else(|| Failure::new(Code::NotFound, format!("{}: no such route", request.path)))?;
    if !route.allows(request.method) {
        let detail = format!("{}: this method is not allowed here", request.path);
        let headers = route.allow();
        return Err(Failure { headers, ..Failure::new(Code::MethodNotAllowed, detail) });
    }
    match route {
        Route::Health => Ok(info::health(framing)),
        Route::ApiHealth => {
            let respond = Respond { shape: Shape::Desk(Kind::Health), framing };
            Ok(Action::Health { respond })
        }
        Route::Config => Ok(info::config(context, framing)),
        Route::Market => market(request, context, framing),
        Route::Stream => subscribe::stream(request, context),
        _ => of_user(route, request, context, framing),
    }
}

fn of_user(
    route: Route,
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let user = required_caller(request, context.auth)?;
    match route {
        Route::Order => orders::place(request, context, user, framing),
        Route::Cancel => orders::cancel(request, context, user, framing),
        Route::Orders => orders::list(request, context, user, Kind::Orders, framing),
        Route::OrdersState => orders::list(request, context, user, Kind::OrdersState, framing),
        Route::OrderState => orders::order_state(request, user, framing),
        Route::Account => Ok(orders::query(Query::Balances { user }, Kind::Account(None), framing)),
        _ => Err(Failure::new(Code::Internal, "route without a handler")),
    }
}

/// `GET /api/market`.
fn market(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol] = query_fields(request.query, ["symbol"])?;
    let symbol = symbol_of(context, &symbol)?;
    Ok(orders::query(Query::Ticker { symbol }, Kind::Market(symbol, None), framing))
}

/// What a page of any origin may send. It may be told anything that needs no user; who its user is,
/// only a page of this machine may say.
fn preflight(route: Option<Route>, framing: Framing) -> Action {
    let headers = match route.map(Route::is_post) {
        Some(true) => preflight_headers!("POST, OPTIONS"),
        Some(false) => preflight_headers!("GET, HEAD, OPTIONS"),
        None => preflight_headers!("GET, HEAD, POST, OPTIONS"),
    };
    let mut bytes = Vec::new();
    response::write_empty(&mut bytes, headers, framing);
    Action::Answer(Answer { bytes, shows_state: false })
}

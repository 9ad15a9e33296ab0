//! From a request to an action: the one order of middleware, and the table of routes.

use engine::Command;
use money::{ID_LIMIT, UserId};

use super::action::{Action, Answer, Respond, Shape};
use super::context::{Auth, Context, Serving};
use super::failure::{Code, Failure, closing};
use super::{account, admin, format, market, order, sessions, ws};
use crate::http::response::{self, Framing};
use crate::http::{Method, Request};

/// What a request asks for. Does no I/O and changes nothing.
pub fn route(request: &Request<'_>, context: &Context<'_>) -> Action {
    let framing = match context.serving {
        Serving::Draining => closing(Framing::of(request)),
        _ => Framing::of(request),
    };
    dispatch(request, context, framing).unwrap_or_else(|failure| {
        Action::Answer(Answer { bytes: failure.into_bytes(framing), shows_state: false })
    })
}

/// Everything that has a route, its path parameters borrowed from the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Healthz,
    Readyz,
    Metrics,
    WebSocket,
    CreateOrder,
    Order,
    OrderById(&'a str),
    CancelOrder,
    ReduceOrder,
    MoveOrder,
    Orders,
    Trades,
    Balances,
    ExchangeInfo,
    Assets,
    Symbols,
    Depth,
    PublicTrades,
    Klines,
    Ticker,
    Shards,
    AdminAssets,
    AdminSymbols,
    AdminSymbol(&'a str),
    AdminUsers,
    AdminUser(&'a str),
    AdminDeposits,
    AdminWithdrawals,
    AdminOrders,
    AdminProof,
    AdminShards,
    AdminSnapshots,
    AdminSessions,
    AdminSession(&'a str),
    AdminBook,
    AdminTape,
    AdminBalances,
}

fn find(path: &str) -> Option<Route<'_>> {
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return match path {
            "/healthz" => Some(Route::Healthz),
            "/readyz" => Some(Route::Readyz),
            "/metrics" => Some(Route::Metrics),
            "/ws" => Some(Route::WebSocket),
            _ => None,
        };
    };
    Some(match rest {
        "create_order" => Route::CreateOrder,
        "cancel_order" => Route::CancelOrder,
        "order" => Route::Order,
        "order/reduce" => Route::ReduceOrder,
        "order/move" => Route::MoveOrder,
        "orders" => Route::Orders,
        "trades" => Route::Trades,
        "balances" => Route::Balances,
        "public/exchange_info" => Route::ExchangeInfo,
        "public/assets" => Route::Assets,
        "public/symbols" => Route::Symbols,
        "public/depth" => Route::Depth,
        "public/trades" => Route::PublicTrades,
        "public/klines" => Route::Klines,
        "public/ticker" => Route::Ticker,
        "shards" => Route::Shards,
        "admin/assets" => Route::AdminAssets,
        "admin/symbols" => Route::AdminSymbols,
        "admin/users" => Route::AdminUsers,
        "admin/deposits" => Route::AdminDeposits,
        "admin/withdrawals" => Route::AdminWithdrawals,
        "admin/orders" => Route::AdminOrders,
        "admin/proof" => Route::AdminProof,
        "admin/shards" => Route::AdminShards,
        "admin/snapshots" => Route::AdminSnapshots,
        "admin/sessions" => Route::AdminSessions,
        "admin/book" => Route::AdminBook,
        "admin/tape" => Route::AdminTape,
        "admin/balances" => Route::AdminBalances,
        _ => {
            let (parent, last) = rest.rsplit_once('/')?;
            match parent {
                _ if last.is_empty() => return None,
                "order" => Route::OrderById(last),
                "admin/symbols" => Route::AdminSymbol(last),
                "admin/users" => Route::AdminUser(last),
                "admin/sessions" => Route::AdminSession(last),
                _ => return None,
            }
        }
    })
}

impl Route<'_> {
    /// The methods it has, as the header that tells them. HEAD goes where GET goes.
    fn allow(self) -> &'static str {
        match self {
            Route::Order => "allow: GET, HEAD, POST, OPTIONS\r\n",
            Route::Orders => "allow: GET, HEAD, DELETE, OPTIONS\r\n",
            Route::AdminSnapshots => "allow: GET, HEAD, POST, OPTIONS\r\n",
            Route::AdminSession(_) => "allow: GET, HEAD, DELETE, OPTIONS\r\n",
            Route::AdminOrders => "allow: DELETE, OPTIONS\r\n",
            Route::AdminSymbol(_) | Route::AdminUser(_) => "allow: PATCH, OPTIONS\r\n",
            Route::CreateOrder
            | Route::CancelOrder
            | Route::ReduceOrder
            | Route::MoveOrder
            | Route::AdminAssets
            | Route::AdminSymbols
            | Route::AdminUsers
            | Route::AdminDeposits
            | Route::AdminWithdrawals => "allow: POST, OPTIONS\r\n",
            _ => "allow: GET, HEAD, OPTIONS\r\n",
        }
    }

    fn allows(self, method: Method) -> bool {
        let word = match method {
            Method::Get | Method::Head => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Put | Method::Other => return false,
        };
        self.allow().contains(word)
    }
}

fn dispatch(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let route = find(request.path);
    if let Some(action) = health(route, request.method, context, framing) {
        return Ok(action);
    }
    match context.serving {
        Serving::Ready => {}
        Serving::Recovering => return Err(Failure::new(Code::Unavailable, format::RECOVERING)),
        Serving::Draining => return Err(Failure::new(Code::Unavailable, format::DRAINING)),
    }
    if request.method == Method::Options {
        return Ok(options(route, framing));
    }
    let route = route
        .ok_or_else(|| Failure::new(Code::NotFound, format!("{}: no such route", request.path)))?;
    if !route.allows(request.method) {
        let detail = format!("{}: this method is not allowed here", request.path);
        return Err(Failure {
            headers: route.allow(),
            ..Failure::new(Code::MethodNotAllowed, detail)
        });
    }
    match route {
        Route::ExchangeInfo => Ok(market::exchange_info(context, framing)),
        Route::Assets => Ok(market::assets(context, framing)),
        Route::Symbols => Ok(market::symbols(context, framing)),
        Route::WebSocket => ws::upgrade(request, context.auth).map(Action::Upgrade),
        Route::Depth => market::depth(request, context, framing),
        Route::PublicTrades => market::trades(request, context, framing),
        Route::Klines => market::klines(request, context, framing),
        Route::Ticker => market::ticker(request, context, framing),
        Route::Shards => {
            let user = request.user_id.map(|_| user_of(request, context.auth)).transpose()?;
            Ok(market::shards(context, user, framing))
        }
        Route::CreateOrder
        | Route::Order
        | Route::OrderById(_)
        | Route::CancelOrder
        | Route::ReduceOrder
        | Route::MoveOrder
        | Route::Orders
        | Route::Trades
        | Route::Balances => {
            let user = user_of(request, context.auth)?;
            of_user(route, request, context, user, framing)
        }
        _ => {
            check_admin(request, context.auth)?;
            of_admin(route, request, context, framing)
        }
    }
}

/// What is answered whether or not requests are taken.
fn health(
    route: Option<Route<'_>>,
    method: Method,
    context: &Context<'_>,
    framing: Framing,
) -> Option<Action> {
    if !matches!(method, Method::Get | Method::Head) {
        return None;
    }
    let (status, text) = match (route?, context.serving) {
        (Route::Healthz, _) => (200, "ok\n"),
        (Route::Readyz, Serving::Ready) => (200, "ready\n"),
        (Route::Readyz, Serving::Recovering) => (503, "recovering\n"),
        (Route::Readyz, Serving::Draining) => (503, "draining\n"),
        (Route::Metrics, _) => {
            return Some(Action::Metrics { respond: Respond { shape: Shape::Admin, framing } });
        }
        _ => return None,
    };
    let mut bytes = Vec::new();
    response::write(&mut bytes, status, "text/plain; charset=utf-8", "", framing, |out| {
        out.extend_from_slice(text.as_bytes());
    });
    Some(Action::Answer(Answer { bytes, shows_state: false }))
}

/// The methods of a route. No CORS headers: with them any web page could trade on a development
/// server through its visitor's browser, where `X-User-ID` is all it takes.
fn options(route: Option<Route<'_>>, framing: Framing) -> Action {
    let allow = route.map_or("allow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n", Route::allow);
    let mut bytes = Vec::new();
    response::write_empty(&mut bytes, allow, framing);
    Action::Answer(Answer { bytes, shows_state: false })
}

fn of_user(
    route: Route<'_>,
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    match (route, request.method) {
        (Route::CreateOrder, _) | (Route::Order, Method::Post) => {
            order::place(request, context, user, framing)
        }
        (Route::CancelOrder, _) => order::cancel(request, user, framing),
        (Route::ReduceOrder, _) => order::reduce(request, user, framing),
        (Route::MoveOrder, _) => order::move_price(request, user, framing),
        (Route::Orders, Method::Delete) => order::cancel_all(request, context, user, framing),
        (Route::Order, _) => account::order(request, user, framing),
        (Route::OrderById(segment), _) => account::order_by_id(segment, user, framing),
        (Route::Orders, _) => account::orders(request, context, user, framing),
        (Route::Trades, _) => account::trades(request, context, user, framing),
        (Route::Balances, _) => Ok(account::balances(user, framing)),
        _ => Err(Failure::new(Code::Internal, "route without a handler")),
    }
}

fn of_admin(
    route: Route<'_>,
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    match route {
        Route::AdminAssets => admin::create_asset(request, framing),
        Route::AdminSymbols => admin::create_symbol(request, context, framing),
        Route::AdminSymbol(segment) => admin::update_symbol(request, context, segment, framing),
        Route::AdminUsers => admin::create_user(request, context, framing),
        Route::AdminUser(segment) => admin::freeze_user(request, segment, framing),
        Route::AdminDeposits => admin::transfer(request, context, Command::Deposit, framing),
        Route::AdminWithdrawals => admin::transfer(request, context, Command::Withdraw, framing),
        Route::AdminOrders => admin::cancel_all(request, context, framing),
        Route::AdminProof => Ok(admin::proof(framing)),
        Route::AdminShards => Ok(admin::shards(framing)),
        Route::AdminSnapshots => Ok(admin::snapshots(request.method, framing)),
        Route::AdminSessions => sessions::sessions(request, framing),
        Route::AdminSession(id) => sessions::session(request.method, id, framing),
        Route::AdminBook => admin::book(request, context, framing),
        Route::AdminTape => admin::tape(request, context, framing),
        Route::AdminBalances => admin::balances(request, framing),
        _ => Err(Failure::new(Code::Internal, "route without a handler")),
    }
}

/// Who asks.
fn user_of(request: &Request<'_>, auth: &Auth) -> Result<UserId, Failure> {
    let Some(text) = request.user_id else {
        return Err(Failure::new(Code::MissingAuth, "X-User-ID: header is required"));
    };
    if !auth.is_development {
        return Err(Failure::new(Code::AuthFailed, "X-User-ID: is for the development mode only"));
    }
    user_id(text).ok_or_else(|| Failure::new(Code::AuthFailed, "X-User-ID: is not a user id"))
}

/// A user id, digits only.
pub(crate) fn user_id(text: &[u8]) -> Option<UserId> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let id = std::str::from_utf8(text).ok()?.parse().ok()?;
    (is_number && id < ID_LIMIT).then_some(UserId(id))
}

/// Whether an administrator asks.
fn check_admin(request: &Request<'_>, auth: &Auth) -> Result<(), Failure> {
    let Some(token) = request.admin_token else {
        return Err(Failure::new(Code::MissingAuth, "X-Admin-Token: header is required"));
    };
    let is_right = auth.admin_token.as_ref().is_some_and(|wanted| same(wanted.as_bytes(), token));
    if !is_right {
        return Err(Failure::new(Code::PermissionDenied, "X-Admin-Token: is wrong"));
    }
    Ok(())
}

/// Equality whose time does not tell where the difference is.
fn same(wanted: &[u8], given: &[u8]) -> bool {
    let differing = wanted.iter().zip(given).fold(0, |sum, (left, right)| sum | (left ^ right));
    wanted.len() == given.len() && differing == 0
}

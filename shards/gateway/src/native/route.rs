//! The table of the dialect's routes, and from a route to an action.

use std::net::IpAddr;

use engine::Command;
use money::{ID_LIMIT, UserId};

use super::action::{Action, Answer, Respond, Shape};
use super::context::{Context, Serving};
use super::failure::{Code, Failure};
use super::{account, admin, market, order, people, sessions, withdrawals, ws};
use crate::auth::Caller;
use crate::http::response::{self, Framing};
use crate::http::{Method, Request};

/// Everything that has a route, its path parameters borrowed from the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    Healthz,
    Readyz,
    Metrics,
    OpenApi,
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
    Me,
    Withdrawals,
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
    AdminConfirm,
    AdminReject,
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

/// The route of a path.
pub(crate) fn find(path: &str) -> Option<Route<'_>> {
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return match path {
            "/healthz" => Some(Route::Healthz),
            "/readyz" => Some(Route::Readyz),
            "/metrics" => Some(Route::Metrics),
            "/docs/openapi.yaml" => Some(Route::OpenApi),
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
        "me" => Route::Me,
        "withdrawals" => Route::Withdrawals,
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
        "admin/withdrawals/confirm" => Route::AdminConfirm,
        "admin/withdrawals/reject" => Route::AdminReject,
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
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Route::Order
            | Route::AdminSnapshots
            | Route::AdminUsers
            | Route::Withdrawals
            | Route::AdminWithdrawals => "allow: GET, HEAD, POST, OPTIONS\r\n",
            Route::Orders | Route::AdminSession(_) => "allow: GET, HEAD, DELETE, OPTIONS\r\n",
            Route::AdminOrders => "allow: DELETE, OPTIONS\r\n",
            Route::AdminSymbol(_) => "allow: PATCH, OPTIONS\r\n",
            Route::AdminUser(_) => "allow: GET, HEAD, PATCH, OPTIONS\r\n",
            Route::CreateOrder
            | Route::CancelOrder
            | Route::ReduceOrder
            | Route::MoveOrder
            | Route::AdminAssets
            | Route::AdminSymbols
            | Route::AdminDeposits
            | Route::AdminConfirm
            | Route::AdminReject => "allow: POST, OPTIONS\r\n",
            _ => "allow: GET, HEAD, OPTIONS\r\n",
        }
    }
}

/// What a request of a caller that may asks for.
pub(crate) fn handle(
    route: Route<'_>,
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    match route {
        Route::ExchangeInfo => Ok(market::exchange_info(context, framing)),
        Route::Assets => Ok(market::assets(context, framing)),
        Route::Symbols => Ok(market::symbols(context, framing)),
        Route::OpenApi => Ok(super::openapi::openapi(framing)),
        Route::Metrics => Ok(metrics(framing)),
        Route::WebSocket => ws::upgrade(request, caller).map(Action::Upgrade),
        Route::Depth => market::depth(request, context, framing),
        Route::PublicTrades => market::trades(request, context, framing),
        Route::Klines => market::klines(request, context, framing),
        Route::Ticker => market::ticker(request, context, framing),
        Route::Shards => Ok(market::shards(context, caller.user, framing)),
        Route::CreateOrder
        | Route::Order
        | Route::OrderById(_)
        | Route::CancelOrder
        | Route::ReduceOrder
        | Route::MoveOrder
        | Route::Orders
        | Route::Trades
        | Route::Balances
        | Route::Me
        | Route::Withdrawals => of_user(route, request, context, caller, framing),
        _ => of_admin(route, request, context, caller, framing),
    }
}

/// What is answered whether or not requests are taken.
pub(crate) fn health(
    route: Route<'_>,
    method: Method,
    context: &Context<'_>,
    address: IpAddr,
    framing: Framing,
) -> Option<Action> {
    if !matches!(method, Method::Get | Method::Head) {
        return None;
    }
    let (status, text) = match (route, context.serving) {
        (Route::Healthz, _) => (200, "ok\n"),
        (Route::Readyz, Serving::Ready) => (200, "ready\n"),
        (Route::Readyz, Serving::Recovering) => (503, "recovering\n"),
        (Route::Readyz, Serving::Draining) => (503, "draining\n"),
        (Route::Metrics, _) if context.auth.shows_metrics_to(address) => {
            return Some(metrics(framing));
        }
        _ => return None,
    };
    let mut bytes = Vec::new();
    response::write(&mut bytes, status, "text/plain; charset=utf-8", "", framing, |out| {
        out.extend_from_slice(text.as_bytes());
    });
    Some(Action::Answer(Answer { bytes, shows_state: false }))
}

fn metrics(framing: Framing) -> Action {
    Action::Metrics { respond: Respond { shape: Shape::Admin, framing } }
}

fn of_user(
    route: Route<'_>,
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let user = required_user(caller)?;
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
        (Route::Me, _) => Ok(people::me(caller, user, framing)),
        (Route::Withdrawals, Method::Post) => withdrawals::request(request, context, user, framing),
        (Route::Withdrawals, _) => withdrawals::of_user(request, user, framing),
        _ => Err(Failure::new(Code::Internal, "route without a handler")),
    }
}

fn of_admin(
    route: Route<'_>,
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let asks = matches!(request.method, Method::Get | Method::Head);
    match route {
        Route::AdminAssets => admin::create_asset(request, framing),
        Route::AdminSymbols => admin::create_symbol(request, context, framing),
        Route::AdminSymbol(segment) => admin::update_symbol(request, context, segment, framing),
        Route::AdminUsers if asks => people::users(request, framing),
        Route::AdminUsers => admin::create_user(request, context, framing),
        Route::AdminUser(segment) if asks => people::user(segment, framing),
        Route::AdminUser(segment) => people::update(request, context, caller, segment, framing),
        Route::AdminDeposits => admin::transfer(request, context, Command::Deposit, framing),
        Route::AdminWithdrawals if asks => withdrawals::of_all(request, framing),
        Route::AdminConfirm => withdrawals::end(request, true, framing),
        Route::AdminReject => withdrawals::end(request, false, framing),
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

/// The user who asks: the bearer of the administrator's token is none.
pub(crate) fn required_user(caller: &Caller) -> Result<UserId, Failure> {
    let detail = "X-User-ID: header is required";
    caller.user.ok_or_else(|| Failure::new(Code::MissingAuth, detail))
}

/// A user id, digits only.
pub(crate) fn user_id(text: &[u8]) -> Option<UserId> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let id = std::str::from_utf8(text).ok()?.parse().ok()?;
    (is_number && id < ID_LIMIT).then_some(UserId(id))
}

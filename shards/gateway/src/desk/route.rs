//! The table of the dialect's routes, and from a route to an action.

use engine::Query;

use super::respond::Kind;
use super::symbol::symbol_of;
use super::{audit, info, keys, orders, session, subscribe};
use crate::auth::Caller;
use crate::http::response::Framing;
use crate::http::{Method, Request};
use crate::native::Context;
use crate::native::action::{Action, Respond, Shape};
use crate::native::failure::{Code, Failure};
use crate::native::fields::query_fields;
use crate::native::route::required_user;

/// Dialects beside this one under `/api/`.
const OTHER_DIALECTS: [&str; 2] = ["v1", "v3"];

/// Whether a path is this dialect's, whether or not there is a route.
pub fn owns(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/") else { return path == "/health" };
    let first = rest.split('/').next().unwrap_or_default();
    !OTHER_DIALECTS.contains(&first)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
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
    Login,
    Refresh,
    Logout,
    Password,
    Keys,
    Roles,
    AuditLogs,
    AuditStats,
    AuditArchive,
}

/// The route of a path.
pub(crate) fn find(path: &str) -> Option<Route> {
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
        "/api/auth/login" => Route::Login,
        "/api/auth/refresh" => Route::Refresh,
        "/api/auth/logout" => Route::Logout,
        "/api/auth/password" => Route::Password,
        "/api/auth/keys" => Route::Keys,
        "/api/auth/roles" => Route::Roles,
        "/api/audit/logs" => Route::AuditLogs,
        "/api/audit/stats" => Route::AuditStats,
        "/api/audit/archive" => Route::AuditArchive,
        _ => return None,
    })
}

impl Route {
    /// The methods it has, as the header that tells them.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Route::Order
            | Route::Cancel
            | Route::Login
            | Route::Refresh
            | Route::Logout
            | Route::Password
            | Route::AuditArchive => "allow: POST, OPTIONS\r\n",
            Route::Keys => "allow: GET, HEAD, POST, DELETE, OPTIONS\r\n",
            Route::Roles => "allow: GET, HEAD, POST, OPTIONS\r\n",
            _ => "allow: GET, HEAD, OPTIONS\r\n",
        }
    }

    /// Whether the development mode takes the user from the query too: where a browser cannot set a header,
    /// and where the dialect's clients never did. Not where `user_id` means somebody else.
    pub(crate) fn names_user(self) -> bool {
        !matches!(self, Route::Keys | Route::Roles | Route::AuditLogs)
    }
}

/// What a request of a caller that may asks for.
pub(crate) fn handle(
    route: Route,
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    match route {
        Route::Health => Ok(info::health(framing)),
        Route::ApiHealth => {
            let respond = Respond { shape: Shape::Desk(Kind::Health), framing };
            Ok(Action::Health { respond })
        }
        Route::Config => Ok(info::config(context, framing)),
        Route::Market => market(request, context, framing),
        Route::Stream => subscribe::stream(request, context, caller),
        Route::Login => session::login(request, framing),
        Route::Refresh => session::refresh(request, context, framing),
        Route::Logout => session::logout(caller, framing),
        Route::Password => session::password(request, caller, framing),
        Route::Keys => match request.method {
            Method::Post => keys::create(request, context, caller, framing),
            Method::Delete => keys::revoke(request, caller, framing),
            _ => keys::list(request, context, caller, framing),
        },
        Route::Roles if request.method == Method::Post => keys::set_role(request, framing),
        Route::Roles => Ok(keys::roles(context, framing)),
        Route::AuditLogs => audit::logs(request, framing),
        Route::AuditStats => Ok(audit::stats(framing)),
        Route::AuditArchive => Ok(audit::archive(framing)),
        Route::Order
        | Route::Cancel
        | Route::Orders
        | Route::OrdersState
        | Route::OrderState
        | Route::Account => of_user(route, request, context, caller, framing),
    }
}

fn of_user(
    route: Route,
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let user = required_user(caller)?;
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

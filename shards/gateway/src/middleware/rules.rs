//! The table of all routes: what a caller must be allowed, what it costs, what is told to the audit trail.

use identity::Access;

use super::admission::Cost;
use super::dialect::Found;
use crate::http::Method;
use crate::{desk, native};

/// Whether it is asked who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Whatever is shown is not looked at.
    Never,
    /// It may be nobody; what is shown must be good.
    MayBe,
    /// It must be somebody.
    Must,
}

/// What kind of thing the audit trail is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditKind {
    /// Logins, logouts, and whoever is not let in.
    Auth,
    /// Orders.
    Order,
    /// Changes of the exchange, and payments.
    Admin,
    /// Keys, roles, passwords.
    Key,
}

/// What the audit trail is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Of which kind.
    pub kind: AuditKind,
    /// What was asked for.
    pub action: &'static str,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub access: Access,
    pub asks: Asks,
    pub cost: Cost,
    pub audited: Option<Audited>,
}

/// A login or a refresh: each is worth guessing at.
const LOGIN_WEIGHT: u32 = 5;
/// A list.
const LIST_WEIGHT: u32 = 2;

fn public(weight: u32) -> Rules {
    Rules { access: Access::Public, asks: Asks::Never, cost: Cost::Requests(weight), audited: None }
}

fn anybody(weight: u32) -> Rules {
    Rules { asks: Asks::MayBe, ..public(weight) }
}

fn of_class(access: Access, weight: u32) -> Rules {
    Rules { access, asks: Asks::Must, cost: Cost::Requests(weight), audited: None }
}

fn order(action: &'static str) -> Rules {
    let audited = Some(Audited { kind: AuditKind::Order, action });
    Rules { cost: Cost::Orders(1), audited, ..of_class(Access::Trade, 1) }
}

fn told(access: Access, kind: AuditKind, action: &'static str) -> Rules {
    Rules { audited: Some(Audited { kind, action }), ..of_class(access, 1) }
}

fn admin(action: &'static str) -> Rules {
    told(Access::Admin, AuditKind::Admin, action)
}

fn login(action: &'static str) -> Rules {
    Rules { audited: Some(Audited { kind: AuditKind::Auth, action }), ..public(LOGIN_WEIGHT) }
}

/// The row of a route.
pub(super) fn of(found: Found<'_>, method: Method) -> Rules {
    match found {
        Found::Native(route) => of_native(route, method),
        Found::Rpc(_) => anybody(1),
        Found::Desk(route) => of_desk(route, method),
    }
}

fn of_native(route: native::Route<'_>, method: Method) -> Rules {
    use native::Route::*;
    match (route, method) {
        (Healthz | Readyz, _) => Rules { cost: Cost::Free, ..public(0) },
        // To the networks that may scrape it is shown before this is asked.
        (Metrics, _) => of_class(Access::Look, 1),
        (OpenApi, _) => public(1),
        (WebSocket | Shards, _) => anybody(1),
        (ExchangeInfo | Assets | Symbols | Klines, _) => public(LIST_WEIGHT),
        (Depth | PublicTrades | Ticker, _) => public(1),

        (CreateOrder, _) | (Order, Method::Post) => order("order.place"),
        (CancelOrder, _) => order("order.cancel"),
        (ReduceOrder, _) => order("order.reduce"),
        (MoveOrder, _) => order("order.move"),
        (Orders, Method::Delete) => order("order.cancel_all"),
        (Order | OrderById(_) | Balances | Me, _) => of_class(Access::Read, 1),
        (Orders | Trades, _) => of_class(Access::Read, LIST_WEIGHT),
        (Withdrawals, Method::Post) => {
            told(Access::Withdraw, AuditKind::Admin, "withdrawal.request")
        }
        (Withdrawals, _) => of_class(Access::Read, LIST_WEIGHT),

        (AdminAssets, _) => admin("asset.create"),
        (AdminSymbols, _) => admin("symbol.create"),
        (AdminSymbol(_), _) => admin("symbol.update"),
        (AdminUsers, Method::Post) => admin("user.create"),
        (AdminUsers | AdminUser(_), Method::Get | Method::Head) => {
            of_class(Access::Look, LIST_WEIGHT)
        }
        (AdminUsers, _) => admin("user.create"),
        // Who may freeze may not make administrators: the handler asks for more where it is more.
        (AdminUser(_), _) => told(Access::Support, AuditKind::Admin, "user.update"),
        (AdminDeposits, _) => admin("deposit"),
        (AdminWithdrawals, Method::Post) => admin("withdrawal"),
        (AdminWithdrawals, _) => of_class(Access::Look, LIST_WEIGHT),
        (AdminConfirm, _) => admin("withdrawal.confirm"),
        (AdminReject, _) => admin("withdrawal.reject"),
        (AdminOrders, _) => told(Access::Support, AuditKind::Admin, "order.cancel_all"),
        (AdminProof, _) => of_class(Access::Audit, LIST_WEIGHT),
        (AdminSnapshots, Method::Post) => admin("snapshot"),
        (AdminSession(_), Method::Delete) => told(Access::Support, AuditKind::Admin, "session.end"),
        (AdminShards | AdminSnapshots | AdminSessions | AdminSession(_), _) => {
            of_class(Access::Look, 1)
        }
        (AdminBook | AdminTape | AdminBalances, _) => of_class(Access::Look, LIST_WEIGHT),
    }
}

fn of_desk(route: desk::Route, method: Method) -> Rules {
    use desk::Route::*;
    match (route, method) {
        (Health | ApiHealth | Config, _) => public(1),
        (Market, _) => public(1),
        (Stream, _) => anybody(1),
        (Order, _) => order("order.place"),
        (Cancel, _) => order("order.cancel"),
        (Orders | OrdersState, _) => of_class(Access::Read, LIST_WEIGHT),
        (OrderState | Account, _) => of_class(Access::Read, 1),
        (Login, _) => login("auth.login"),
        (Refresh, _) => login("auth.refresh"),
        (Logout, _) => told(Access::Read, AuditKind::Auth, "auth.logout"),
        (Password, _) => told(Access::Keys, AuditKind::Key, "password.change"),
        (Keys, Method::Post) => told(Access::Keys, AuditKind::Key, "key.create"),
        (Keys, Method::Delete) => told(Access::Keys, AuditKind::Key, "key.revoke"),
        (Keys, _) => of_class(Access::Keys, 1),
        (Roles, Method::Post) => told(Access::Admin, AuditKind::Key, "role.set"),
        (Roles, _) => of_class(Access::Look, LIST_WEIGHT),
        (AuditLogs | AuditStats, _) => of_class(Access::Audit, LIST_WEIGHT),
        (AuditArchive, _) => admin("audit.archive"),
    }
}

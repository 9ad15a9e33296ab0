//! Which dialect a path belongs to, and what of a route depends on it.

use std::net::IpAddr;

use super::Entry;
use crate::http::response::Framing;
use crate::http::{Method, Request};
use crate::native::failure::{Code, Failure, as_retry};
use crate::native::{self, Action, Context};
use crate::rpc::Endpoint;
use crate::{desk, rpc};

/// The words of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/api/v1/*`, `/ws`, and whatever is nobody's.
    Native,
    /// `/orders`, `/market-data`, `/user-data`.
    Rpc,
    /// `/health` and the rest of `/api/*`.
    Desk,
}

impl Dialect {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Native => "native",
            Dialect::Rpc => "rpc",
            Dialect::Desk => "desk",
        }
    }
}

/// A route of any dialect.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    Native(native::Route<'a>),
    Rpc(Endpoint),
    Desk(desk::Route),
}

/// Whose path it is, and its route.
pub(super) fn find(path: &str) -> (Dialect, Option<Found<'_>>) {
    if let Some(endpoint) = rpc::endpoint(path) {
        (Dialect::Rpc, Some(Found::Rpc(endpoint)))
    } else if desk::owns(path) {
        (Dialect::Desk, desk::find(path).map(Found::Desk))
    } else {
        (Dialect::Native, native::find(path).map(Found::Native))
    }
}

impl<'a> Found<'a> {
    /// The methods it has, as the header that tells them. HEAD goes where GET goes.
    pub fn allow(self) -> &'static str {
        match self {
            Found::Native(route) => route.allow(),
            Found::Rpc(_) => rpc::ALLOW,
            Found::Desk(route) => route.allow(),
        }
    }

    pub fn check_method(self, request: &Request<'_>) -> Result<(), Failure> {
        let word = match request.method {
            Method::Get | Method::Head => Some("GET"),
            Method::Post => Some("POST"),
            Method::Patch => Some("PATCH"),
            Method::Delete => Some("DELETE"),
            Method::Options => Some("OPTIONS"),
            Method::Put | Method::Other => None,
        };
        if word.is_some_and(|word| self.allow().contains(word)) {
            return Ok(());
        }
        let detail = format!("{}: this method is not allowed here", request.path);
        Err(Failure { headers: self.allow(), ..Failure::new(Code::MethodNotAllowed, detail) })
    }

    /// What is answered whether or not requests are taken.
    pub fn health(
        self,
        request: &Request<'_>,
        context: &Context<'_>,
        address: IpAddr,
        framing: Framing,
    ) -> Option<Action> {
        match self {
            Found::Native(route) => {
                native::health(route, request.method, context, address, framing)
            }
            Found::Rpc(_) | Found::Desk(_) => None,
        }
    }

    /// Whether the development mode takes the user from the query too.
    pub fn names_user(self) -> bool {
        match self {
            Found::Native(route) => matches!(route, native::Route::WebSocket),
            Found::Rpc(_) => true,
            Found::Desk(route) => route.names_user(),
        }
    }

    pub fn handle(
        self,
        request: &Request<'_>,
        context: &Context<'_>,
        entry: &Entry,
    ) -> Result<Action, Failure> {
        let (caller, framing) = (&entry.caller, entry.framing);
        match self {
            Found::Native(route) => native::handle(route, request, context, caller, framing),
            Found::Rpc(endpoint) => rpc::open(request, endpoint, context, caller),
            Found::Desk(route) => desk::handle(route, request, context, caller, framing),
        }
    }
}

pub(super) fn write_failure(
    dialect: Dialect,
    failure: &Failure,
    framing: Framing,
    out: &mut Vec<u8>,
) {
    match dialect {
        Dialect::Native | Dialect::Rpc => failure.write(framing, out),
        Dialect::Desk => desk::write_failure(failure, framing, out),
    }
}

/// Appends why a request is not done after all. `detail` begins with the field, if it is about one;
/// `retry_ms` is for what may be done later.
pub fn refuse(entry: &Entry, code: Code, detail: &str, retry_ms: Option<u64>, out: &mut Vec<u8>) {
    let failure = Failure { retry_ms: as_retry(retry_ms), ..Failure::new(code, detail) };
    write_failure(entry.dialect, &failure, entry.framing, out);
}

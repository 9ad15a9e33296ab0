//! From a request to a WebSocket of this dialect.

use super::endpoint::Endpoint;
use crate::auth::Caller;
use crate::http::Request;
use crate::native::failure::{Code, Failure};
use crate::native::ws::{is_loopback, upgrade};
use crate::native::{Action, Context};

/// The methods of every endpoint.
pub(crate) const ALLOW: &str = "allow: GET, HEAD, OPTIONS\r\n";

/// What a request to an endpoint asks for: [`Action::Upgrade`]. Errors are in the native envelope: a client
/// that gets that far speaks no WebSocket yet.
pub(crate) fn open(
    request: &Request<'_>,
    endpoint: Endpoint,
    context: &Context<'_>,
    caller: &Caller,
) -> Result<Action, Failure> {
    let upgrade = upgrade(request, caller)?;
    // In development mode `auth.login` believes a user id too, and a browser lets any page open a
    // WebSocket to any server. Market data is for every page.
    let believes = context.auth.is_development && endpoint != Endpoint::MarketData;
    if believes && !request.headers("origin").all(is_loopback) {
        let detail = "Origin: only a page from this machine may say who its user is";
        return Err(Failure::new(Code::PermissionDenied, detail));
    }
    Ok(Action::Upgrade(upgrade))
}

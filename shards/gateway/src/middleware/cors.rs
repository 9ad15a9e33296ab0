//! What pages of other origins may do.
//!
//! The desk dialect may be read by any page, so it answers preflights, which is what a browser asks before
//! it sends a header of ours. The others may not: with CORS any web page could trade on a development server
//! through its visitor's browser, where `X-User-ID` is all it takes.

use super::dialect::{Dialect, Found};
use crate::http::response::{self, Framing};
use crate::http::{Method, Request};
use crate::native::{Action, Answer};

/// The methods of everything, for what has no route.
const ALLOW_ALL: &str = "allow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n";
/// Headers that a page may send. A browser may remember it for ten minutes.
const HEADERS: &str = "access-control-allow-headers: content-type, authorization, x-user-id, \
    x-api-key, x-timestamp, x-signature, last-event-id, cache-control\r\n\
    access-control-max-age: 600\r\n";

/// A browser that asks whether it may ask must learn from the request itself why not.
pub(super) fn preflight(
    dialect: Dialect,
    found: Option<Found<'_>>,
    request: &Request<'_>,
    framing: Framing,
) -> Option<Action> {
    if dialect != Dialect::Desk || request.method != Method::Options {
        return None;
    }
    let allow = found.map_or(ALLOW_ALL, Found::allow);
    let methods = allow.strip_prefix("allow: ").unwrap_or(allow);
    let headers = format!(
        "{allow}access-control-allow-origin: *\r\naccess-control-allow-methods: {methods}{HEADERS}"
    );
    Some(empty(&headers, framing))
}

/// The methods of a route.
pub(super) fn options(found: Option<Found<'_>>, framing: Framing) -> Action {
    empty(found.map_or(ALLOW_ALL, Found::allow), framing)
}

fn empty(headers: &str, framing: Framing) -> Action {
    let mut bytes = Vec::new();
    response::write_empty(&mut bytes, headers, framing);
    Action::Answer(Answer { bytes, shows_state: false })
}

//! From a request to a WebSocket of this dialect.

use super::endpoint::{Endpoint, endpoint};
use crate::http::response::{self, Framing};
use crate::http::{Method, Request};
use crate::native::failure::{Code, Failure, closing};
use crate::native::format::{DRAINING, RECOVERING};
use crate::native::ws::{Upgrade, is_loopback, upgrade};
use crate::native::{Action, Answer, Auth, Context, Serving};

const ALLOW: &str = "allow: GET, HEAD, OPTIONS\r\n";

/// What a request to one of the endpoints asks for: [`Action::Upgrade`], or [`Action::Answer`] with an
/// error in the native envelope. A client that gets that far speaks no WebSocket yet.
pub fn route(request: &Request<'_>, context: &Context<'_>) -> Action {
    let framing = match context.serving {
        Serving::Draining => closing(Framing::of(request)),
        _ => Framing::of(request),
    };
    dispatch(request, context, framing)
        .unwrap_or_else(|failure| answer(failure.into_bytes(framing)))
}

fn dispatch(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    match context.serving {
        Serving::Ready => {}
        Serving::Recovering => return Err(Failure::new(Code::Unavailable, RECOVERING)),
        Serving::Draining => return Err(Failure::new(Code::Unavailable, DRAINING)),
    }
    let endpoint = endpoint(request.path)
        .ok_or_else(|| Failure::new(Code::NotFound, format!("{}: no such route", request.path)))?;
    match request.method {
        Method::Get | Method::Head => open(request, endpoint, context.auth).map(Action::Upgrade),
        Method::Options => {
            let mut bytes = Vec::new();
            response::write_empty(&mut bytes, ALLOW, framing);
            Ok(answer(bytes))
        }
        _ => {
            let detail = format!("{}: this method is not allowed here", request.path);
            Err(Failure { headers: ALLOW, ..Failure::new(Code::MethodNotAllowed, detail) })
        }
    }
}

fn answer(bytes: Vec<u8>) -> Action {
    Action::Answer(Answer { bytes, shows_state: false })
}

fn open(request: &Request<'_>, endpoint: Endpoint, auth: &Auth) -> Result<Upgrade, Failure> {
    let upgrade = upgrade(request, auth)?;
    // In development mode `auth.login` believes a user id too, and a browser lets any page open a
    // WebSocket to any server. Market data is for every page.
    let believes = auth.is_development && endpoint != Endpoint::MarketData;
    if believes && !request.headers("origin").all(is_loopback) {
        let detail = "Origin: only a page from this machine may say who its user is";
        return Err(Failure::new(Code::PermissionDenied, detail));
    }
    Ok(upgrade)
}

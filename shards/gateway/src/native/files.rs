//! Files of the operator's own: a page that shows the market, say.

use super::action::{Action, Answer};
use super::context::{Context, Serving};
use super::failure::closing;
use crate::http::response::{self, Framing};
use crate::http::{Method, Request};

/// Where every path is the server's own, whatever files there are.
const OWN_PREFIX: &str = "/api/";
/// Other paths of its own.
const OWN_PATHS: [&str; 5] = ["/ws", "/metrics", "/healthz", "/readyz", "/docs/openapi.yaml"];

/// Whether a request may be answered with a file: it only asks, and the server has no such route.
pub fn may_be_file(request: &Request<'_>) -> bool {
    let is_own = request.path.starts_with(OWN_PREFIX) || OWN_PATHS.contains(&request.path);
    matches!(request.method, Method::Get | Method::Head) && !is_own
}

/// Answers with a file.
pub fn file(
    request: &Request<'_>,
    context: &Context<'_>,
    content_type: &str,
    body: &[u8],
) -> Action {
    let framing = match context.serving {
        Serving::Draining => closing(Framing::of(request)),
        _ => Framing::of(request),
    };
    let mut bytes = Vec::new();
    response::write(&mut bytes, 200, content_type, "", framing, |out| {
        out.extend_from_slice(body);
    });
    // Shows nothing that waits, but is long: a client gets one after the other.
    Action::Answer(Answer { bytes, shows_state: true })
}

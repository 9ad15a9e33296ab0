//! The description of all routes for machines, built in.

use super::action::{Action, Answer};
use crate::http::response::{self, Framing};

const TEXT: &str = include_str!("../../../../docs/openapi.yaml");

/// `GET /docs/openapi.yaml`.
pub(super) fn openapi(framing: Framing) -> Action {
    let mut bytes = Vec::new();
    // Any page may read it: tools that show it are pages.
    let cors = "access-control-allow-origin: *\r\n";
    response::write(&mut bytes, 200, "application/yaml", cors, framing, |out| {
        out.extend_from_slice(TEXT.as_bytes());
    });
    // Shows nothing that waits, but is long: a client gets one after the other.
    Action::Answer(Answer { bytes, shows_state: true })
}

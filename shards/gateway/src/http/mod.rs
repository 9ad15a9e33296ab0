//! HTTP/1.1 over bytes: what arrives becomes [`Request`]s, what is answered leaves in order.
//!
//! Promises: a request is either understood in exactly one way or refused ([`Rejection`]), so that
//! no proxy in front can be made to disagree; how the bytes are split over reads changes nothing;
//! no allocation per request in steady state; every buffer is bounded (see [`limits`]).

mod chunked;
mod connection;
pub mod limits;
mod parser;
mod queue;
mod request;
pub mod response;

pub use connection::{Connection, Phase, Progress, Upgraded};
pub use queue::Slot;
pub use request::{Method, Persistence, Rejection, RejectionReason, Request};

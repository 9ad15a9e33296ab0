//! The desk dialect: `/health` and `/api/*` beside `/api/v1`, with Server-Sent Events.
//!
//! Promises: what an order may say and what is refused is what [`crate::native`] says; values are
//! JSON numbers whose digits are exact, times nanoseconds; every error is
//! `{"error","message","details"}` and names the field it is about, if there is one; every answer may
//! be read by any page (CORS), but only a page of this machine may say who its user is. Without
//! state: replay buffers and subscriptions are kept by the caller.
//!
//! # How the caller uses it
//!
//! 1. [`crate::enter`] gives the [`crate::native::Action`]. It is done as ever:
//!    [`crate::native::respond`] and its like write what the dialect of the request wants. Before
//!    that, [`crate::native::Respond::stamp`] gives the time to answers that tell it.
//! 2. [`crate::native::Action::Health`] is completed by [`respond_health`].
//! 3. For a [`crate::native::Action::EventStream`] with a user ask [`crate::native::ws::user_query`].
//!    If it [`crate::native::ws::is_unknown_user`], complete with [`unknown_user`], else write the head
//!    and then, for as long as the connection stands, what [`stream`] makes; every
//!    [`stream::KEEP_ALIVE_INTERVAL_MS`] without an event [`stream::keep_alive`].
//!    Where [`StreamRequest::after`] is not in the replay buffer any more, begin with
//!    [`stream::replay_unavailable`].

mod audit;
mod event_id;
mod failure;
mod info;
mod keys;
mod orders;
mod respond;
mod route;
mod session;
pub mod stream;
mod subscribe;
mod symbol;
#[cfg(test)]
mod tests;
mod values;

pub use audit::{AuditQuestion, AuditSearch, refuse_audit, respond_audit, write_records};
pub use event_id::EventId;
pub(crate) use failure::write_failure;
pub use failure::{ErrorWord, refuse_stream, unknown_user};
pub use info::{Health, respond_health};
pub(crate) use respond::{Kind, respond};
pub use route::owns;
pub(crate) use route::{Route, find, handle};
pub use session::{respond_grant, wrong_password};
pub use subscribe::{MAX_STREAM_SYMBOLS, StreamRequest};

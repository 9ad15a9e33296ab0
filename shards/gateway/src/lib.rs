//! The edge of the exchange: bytes in, commands and queries out; replies in, bytes out.
//!
//! Sans-I/O: no socket, clock, thread or async here; the caller reads, writes, keeps the time and
//! carries commands to the shards that own them. Promises: every request is answered exactly once
//! and in order; every bad input gets an answer that names the field and the rule; nothing panics on
//! input; buffers are bounded; an order costs no allocation in steady state.
//!
//! # How the caller uses it
//!
//! Per connection one [`http::Connection`]:
//!
//! 1. While [`http::Connection::wants_input`]: read into [`http::Connection::spare`], then
//!    [`http::Connection::advance`]; at the end of the stream
//!    [`http::Connection::end_of_input`].
//! 2. Take [`http::Connection::next_request`] until `None`; again after each completed answer.
//!    - `Err(rejection)`: `connection.complete(rejection.slot, |out| native::reject(&rejection, out))`.
//!    - `Ok(Some(request))`: remember `request.slot`, call [`enter`], and do what the
//!      [`native::Action`] says. If [`native::Action::is_bulky`],
//!      [`http::Connection::hold_until`] the slot.
//! 3. When a reply comes (after it is durable):
//!    `connection.complete(slot, |out| native::respond(&respond, &reply, &context, out))`.
//!    Out of order is fine.
//! 4. Write [`http::Connection::output`] ([`http::Connection::advance_output`]), or take it with
//!    [`http::Connection::swap_output`]. When [`http::Connection::is_finished`]: shut the writing
//!    side down, read what still comes for a moment (else the kernel may reset the connection and
//!    the last answer with it), close.
//!    Behind [`native::Action::Upgrade`] no more of HTTP comes: [`http::Connection::upgrade`], and once
//!    [`http::Connection::take_upgraded`] gives something, the socket belongs to a
//!    [`ws::Connection`]; see there and [`native::ws`] for how it goes on.
//! 5. Timers: when [`http::Connection::progress`] changes, start the limit of its phase anew
//!    ([`http::limits`]); past the head or body limit [`http::Connection::reject`] with the timeout,
//!    past the idle limit close. On quiet connections [`http::Connection::release_memory`].
//!
//! # One order of middleware
//!
//! Every request of every dialect goes through [`enter`]; its steps are the table in [`middleware`]. A further
//! dialect is a module beside [`native`], its routes rows of the table there.

pub mod auth;
pub mod desk;
pub mod http;
pub mod json;
pub mod middleware;
pub mod native;
pub mod query_string;
pub mod rpc;
pub mod ws;

pub use middleware::{Entered, Entry, enter};

//! The rpc dialect: WebSockets at `/orders`, `/market-data` and `/user-data`, where each frame is one
//! JSON object `{"method","params","id"}` and is answered by `{"id","result"}` or `{"id","error"}`.
//!
//! Promises: every message gets exactly one answer, with its `id` as it was given (`null` where it has
//! none that can be read); a bad one gets an error that names the field; decimals are exact both
//! ways. Without state: who is logged in and what is subscribed is kept by the caller. Prices and
//! quantities are JSON numbers where the symbol's tick or lot is whole, amounts where their asset has
//! no decimals; else they are text.
//!
//! # How the caller uses it
//!
//! 1. Where [`endpoint`] knows the path: [`crate::enter`] gives an [`crate::native::Action::Upgrade`], whose
//!    [`crate::native::ws::Credential`] is as on `/ws`. Nothing is sent as a greeting.
//! 2. [`read`] each message and do what the [`ClientMessage`] says; an [`Unread`] or [`Answered`]
//!    writes itself. Of a [`ClientMessage::Act`] the reply is written by [`respond`]. A binary message
//!    is answered with [`refuse_binary`].
//! 3. For a [`ClientMessage::Login`] whose caller is good ask [`crate::native::ws::user_query`], then
//!    [`login_success`] or [`login_failed`]. Behind a success `/user-data` gets [`order_event`] of each
//!    of the user's orders. A failure leaves the connection as it was.
//! 4. What is subscribed at `/market-data` gets [`market_data`].

mod answer;
mod call;
mod endpoint;
mod failure;
mod login;
mod message;
mod orders;
mod push;
#[cfg(test)]
mod tests;
mod upgrade;
mod values;

pub use answer::{
    login_failed, login_success, overloaded, rate_limited, refuse, refuse_binary, respond,
    subscribed, unsubscribed,
};
pub use endpoint::{Endpoint, endpoint};
pub use failure::Code;
pub use login::{MAX_API_KEY_BYTES, MAX_API_SECRET_BYTES, MAX_TOKEN_BYTES};
pub use message::{
    Answered, ClientMessage, DEFAULT_DEPTH_LEVELS, MAX_DEPTH_LEVELS, MAX_SYMBOLS, Tag, Unread, read,
};
pub use push::{MarketState, market_data, order_event};
pub(crate) use upgrade::{ALLOW, open};

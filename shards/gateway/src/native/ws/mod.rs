//! `/ws`: the messages of the native dialect, both ways. The frames are [`crate::ws`]'s.
//!
//! Promises: every message gets an answer, and a bad one an error that names the field; a client's own
//! `id` comes back in the answer as it was given; what an order may say and what it is answered is
//! what `/api/v1` says. Without state: what a connection has subscribed is kept by the caller in
//! [`Subscriptions`].
//!
//! # How the caller uses it
//!
//! 1. [`super::route`] gives an [`Upgrade`]. For [`Credential::User`] ask [`user_query`], and unless
//!    [`is_unknown_user`]: send [`connected`], subscribe to [`PRIVATE_CHANNELS`]. For
//!    [`Credential::None`] send [`connected`] without a user.
//! 2. [`read`] each message and do what the [`ClientMessage`] says; an [`Unread`] writes itself.
//!    A [`ClientMessage::Order`] is acted on like a request, its reply written by [`respond`].
//!    A binary message is answered with [`refuse_binary`].
//! 3. Answer [`pong`], [`subscribed`], [`unsubscribed`], [`auth_success`], or [`refuse`]. Behind
//!    [`auth_error`] close with [`crate::ws::close_code::POLICY`].

mod answer;
mod channel;
mod message;
mod request_id;
mod subscriptions;
mod upgrade;

pub use answer::{
    auth_error, auth_success, connected, is_unknown_user, overloaded, pong, refuse, refuse_binary,
    refuse_for, respond, subscribed, unsubscribed, user_query,
};
pub use channel::{Channel, PRIVATE_CHANNELS};
pub use message::{ClientMessage, Tag, Unread, read};
pub use request_id::{MAX_REQUEST_ID_BYTES, RequestId};
pub use subscriptions::{MAX_SUBSCRIPTIONS, SubscriptionError, Subscriptions};
pub use upgrade::{Credential, Upgrade};
pub(crate) use upgrade::{is_loopback, upgrade};

//! The native dialect: `/api/v1/*`, `/ws`, and what every server has (`/healthz`, `/readyz`,
//! `/metrics`).
//!
//! Stateless: [`crate::enter`] turns a request into an [`Action`], [`respond`] a reply into HTTP; [`ws`] does
//! the same for messages, and [`push`] writes what is sent unasked. The reference for people is
//! `docs/api.md`.

pub(crate) mod account;
pub(crate) mod action;
mod admin;
mod admin_format;
pub(crate) mod amounts;
mod context;
pub(crate) mod failure;
pub(crate) mod fields;
mod files;
pub(crate) mod format;
mod market;
mod openapi;
pub(crate) mod order;
mod people;
pub mod push;
pub(crate) mod refusal;
mod resolve;
pub(crate) mod route;
mod sessions;
#[cfg(test)]
pub(crate) mod tests;
mod withdrawals;
pub mod ws;

pub(crate) use account::rows;
pub use action::{
    Action, Answer, Gather, Granting, PasswordAction, Pending, Respond, ShardReport,
    SnapshotReport, SnapshotState, Then,
};
pub use context::{Context, Ports, Serving, World};
pub use engine::{Candle, Interval, Ticker};
pub use failure::Code;
pub use files::{file, may_be_file};
pub use format::{
    draining, internal, no_room, not_ready, not_served, overloaded, refuse, refuse_connection,
    reject, respond, respond_shards, respond_text,
};
pub(crate) use people::write_permissions;
pub use refusal::word_of;
pub use resolve::resolve;
pub(crate) use route::{Route, find, handle, health};
pub use sessions::{SessionFilter, SessionKind, SessionReport, respond_session, respond_sessions};

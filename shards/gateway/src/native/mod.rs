//! The native dialect: `/api/v1/*`, `/ws`, and what every server has (`/healthz`, `/readyz`,
//! `/metrics`).
//!
//! Stateless: [`route`] turns a request into an [`Action`], [`respond`] a reply into HTTP; [`ws`] does
//! the same for messages, and [`push`] writes what is sent unasked. The reference for people is
//! `docs/api.md`.

mod account;
mod action;
mod admin;
mod admin_format;
mod amounts;
mod context;
mod failure;
mod fields;
mod format;
mod market;
mod order;
pub mod push;
mod refusal;
mod resolve;
mod route;
#[cfg(test)]
mod tests;
pub mod ws;

pub use action::{
    Action, Answer, Gather, Pending, Respond, ShardReport, SnapshotReport, SnapshotState,
};
pub use context::{Auth, Context, Ports, Serving};
pub use engine::{Candle, Interval, Ticker};
pub use failure::Code;
pub use format::{
    draining, internal, no_room, not_ready, not_served, overloaded, reject, respond,
    respond_shards, respond_text,
};
pub use resolve::resolve;
pub use route::route;

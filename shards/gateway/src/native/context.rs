//! What the dialect knows of the server while it reads a request or writes an answer.

use engine::Registry;
use money::{Placement, ShardId};

/// Whether requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The journal is being replayed.
    Recovering,
    /// Yes.
    Ready,
    /// No more: the server is going down.
    Draining,
}

/// How a caller says who it is. Keys and tokens get their places here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// `X-User-ID` is believed. For a loopback address only.
    pub is_development: bool,
    /// What `X-Admin-Token` must be; `None`: nobody is an administrator.
    pub admin_token: Option<String>,
}

impl Auth {
    /// What the development mode uses where nothing else is configured.
    pub const DEVELOPMENT_ADMIN_TOKEN: &'static str = "dev-admin";

    /// The development mode with its default token.
    pub fn development() -> Auth {
        let admin_token = Some(Auth::DEVELOPMENT_ADMIN_TOKEN.to_owned());
        Auth { is_development: true, admin_token }
    }
}

/// The ports that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ports {
    /// The one that all shards share.
    pub shared: u16,
    /// Of each shard its own, by shard; empty when there are none.
    pub per_shard: Vec<u16>,
}

/// All of it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Assets and symbols as this shard knows them.
    pub registry: &'a Registry,
    /// Who owns what.
    pub placement: Placement,
    /// The shard of the connection.
    pub shard: ShardId,
    /// Who may ask.
    pub auth: &'a Auth,
    /// Where the server listens.
    pub ports: &'a Ports,
    /// Whether requests are taken.
    pub serving: Serving,
}

//! What the dialect knows of the server while it reads a request or writes an answer.

use std::net::IpAddr;

use engine::Registry;
use identity::{Identities, Rate};
use money::{Placement, ShardId, UserId};

use crate::auth::Auth;
use crate::middleware::Limits;

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

/// The ports that the server listens on.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ports {
    /// The one that all shards share.
    pub shared: u16,
    /// Of each shard its own, by shard; empty when there are none.
    pub per_shard: Vec<u16>,
}

/// What a dialect cannot do itself, because it is the same for nobody twice.
pub trait World {
    /// Fills with random bytes that nobody can guess.
    fn random(&self, bytes: &mut [u8]);

    /// Takes `weight` from what an address may ask without saying who it is.
    ///
    /// # Errors
    /// It has asked too much: in how many ms it may again.
    fn admit_address(&self, address: IpAddr, weight: u32) -> Result<(), u64>;
}

/// All of it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Assets and symbols as this shard knows them.
    pub registry: &'a Registry,
    /// Who owns what.
    pub placement: Placement,
    /// The shard of the connection.
    pub shard: ShardId,
    /// How callers say who they are.
    pub auth: &'a Auth,
    /// Roles, keys and sessions as this shard knows them.
    pub identities: &'a Identities,
    /// The time, in ms since the epoch.
    pub now_ms: u64,
    /// How fast whom.
    pub limits: &'a Limits,
    /// What lies outside.
    pub world: &'a dyn World,
    /// Where the server listens.
    pub ports: &'a Ports,
    /// Whether requests are taken.
    pub serving: Serving,
}

impl Context<'_> {
    /// How fast a user may place orders.
    pub(crate) fn rate_of(&self, user: UserId) -> Rate {
        self.limits.orders_of(user, self.identities)
    }
}

//! What one executor runs: a shard, its connections, its journal and its part of the mesh.
//!
//! Everything of one executor hangs on one [`Node`], shared by its tasks:
//!
//! | task | what it does |
//! | --- | --- |
//! | a session per connection | reads, parses, applies what this shard owns, sends on what it does not |
//! | the turn | takes what peers sent, lets go what is durable, sends a parcel per peer |
//! | the commit | writes the journal's batches, one after the other |
//! | the tick | limits of quiet connections, confirmations, the next segment, snapshots |
//!
//! Nothing is awaited while the shard is borrowed, so a borrow never meets another.

mod asking_trail;
mod auditing;
pub(crate) mod checkpoints;
pub(crate) mod client;
pub(crate) mod commit;
mod dispatch;
mod event_log;
mod event_stream;
mod feeds;
mod guard;
mod market;
mod measure;
#[allow(clippy::module_inception)]
mod node;
mod outlet;
pub(crate) mod parcel;
mod patience;
mod people;
mod private;
pub(crate) mod room;
mod rpc_speaking;
mod session;
pub(crate) mod sessions;
mod socket;
mod speaking;
mod stages;
mod streaming;
pub(crate) mod tick;
mod waiting;
mod watches;

pub(crate) use measure::start_uptime;
pub(crate) use node::{FATAL_EXIT_CODE, Node, NodeParts};

//! One shard, whole: the engine, its journal, and the gate between them and the world.
//!
//! This is where the one rule is kept: **nothing leaves a shard before the journal record that caused
//! it is durable.** Every input goes through [`Shard::command`], [`Shard::query`] or [`Shard::peer`];
//! each applies it to the engine, appends it to the journal and puts everything that it caused into
//! the gate. The only way out is [`Shard::release`], which lets go what the journal has proven
//! durable. The runtime and the simulator drive the same code; it does no I/O of its own (the journal
//! hands out write jobs), has no clock and no threads.

mod rebuild;
mod resharding;
mod shard;
mod snapshot;

pub use resharding::{BeginningError, load_engine, write_beginning};
pub use snapshot::{Checkpoint, SnapshotError, make_snapshot};

pub use shard::{
    CONFIRM_EVERY_MESSAGES, Output, RecoverShardError, Request, ResumeError, Shard, ShardError,
    ShardStatus,
};

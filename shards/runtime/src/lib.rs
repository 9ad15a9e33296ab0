//! The thin shell around the shards: executors, the mesh, sockets, timers, direct I/O. The only
//! crate that names glommio, and the only seam to the world: what the pure core needs of time,
//! network and disk enters here.
//!
//! It promises that a shard is one thread that nothing blocks and nobody else touches, that what it
//! sends arrives in order or the peer is known to be gone, and that a write reported durable is.
//!
//! # The pieces
//!
//! | module | what | the signatures to know |
//! | --- | --- | --- |
//! | [`cores`] | which core runs which shard | `ShardPlacement::decide(asked: Option<CoreList>, shards: Option<usize>)`; `"0-3,6".parse::<CoreList>()` |
//! | [`executor`] | one executor per shard | `ExecutorSettings::default().start(&placement, shard, \|\| async { … }) -> ExecutorJoinHandle<T>` |
//! | [`mesh`] | parcels between shards | `seats::<T>(shards, capacity) -> Vec<Seat<T>>`; in the executor `seat.connect().await -> Mesh<T>`, `mesh.receive(\|from, event\| …)`, `mesh.send(to, parcel)`, `mesh.depth(to)` |
//! | [`listener`] | sockets | `reserve(address, shards) -> Vec<Reserved>`; in the executor `reserved.listen() -> Listener`, `listener.stop_handle()`, `listener.serve(\|connection\| …).await`; `Connection::{receive, read_into, writer}`, `Writer::{try_write, try_flush, writable, write_all, shutdown}` |
//! | [`disk`] | direct I/O for the journal | `DirectDisk::open(directory, DirectDiskConfig::default())`, then the journal's `Disk` |
//! | [`wake`] | a notice to one task of the same executor | `Notify::{notify, notified, poll_notified}` |
//! | [`drain`] | `SIGTERM` to every executor | first in `main` `block_signals()`, then `Drain::on_signals()` or `Drain::on_signals_but_hang_up(\|\| …)`; `drain.noticed().await` |
//! | [`lock`] | the data directory's lock | `DirectoryLock::acquire(directory)` |
//! | [`clock`] | wall clock, once per turn | `CoarseClock::{turn, now_ms}` |
//!
//! # The start of a server
//!
//! In the main thread, so that every error comes before any executor: `block_signals`, `lock`,
//! `ShardPlacement::decide`, `reserve` (binds, does not listen), `mesh::seats`. Then one executor
//! per shard, which first of all connects its seat, opens its disk, recovers, and only then listens.

pub mod clock;
pub mod cores;
mod descriptors;
pub mod disk;
pub mod drain;
mod error;
pub mod executor;
mod files;
pub mod listener;
pub mod lock;
pub mod mesh;
mod rescue;
mod tls;
pub mod wake;

#[cfg(test)]
mod test_directory;

mod bucket;
mod config;
mod layout;
mod node;
mod passwords;
mod progress;
mod registry;
mod reshard;
mod secrets;
mod server;
mod snapshots;
mod throttle;

pub use audit::{Hours, Retention, TrailConfig};
pub use config::{AuthConfig, MAX_GATHER, NodeConfig, Ready, RunError};
pub use files::FilesError;
pub use layout::{Layout, LayoutError};
pub use node::client::{Client, Driver};
pub use registry::ConnectionLimits;
pub use secrets::make_secret;
pub use server::run;
pub use shard::Request;
pub use snapshots::{SnapshotPolicy, keep_to};
pub use tls::{TlsError, TlsFiles, TlsVersion};

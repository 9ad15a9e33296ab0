//! What a node is told at its start, and why it may end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use engine::Command;

use crate::cores::{CoreList, CoresError};
use crate::disk::{DiskError, Durability};
use crate::files::FilesError;
use crate::layout::LayoutError;
use crate::lock::LockError;
use crate::registry::ConnectionLimits;
use crate::snapshots::SnapshotPolicy;
use crate::tls::{TlsError, TlsFiles};

/// One node: all its shards, in one process.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 lets the kernel choose.
    pub port: u16,
    /// The data directory; made if it is not there.
    pub data: PathBuf,
    /// How many shards; `None` is one per available core.
    pub shards: Option<u16>,
    /// Which cores; `None` is all that the process may use.
    pub cores: Option<CoreList>,
    /// What `X-Admin-Token` must be; `None`: nobody is an administrator.
    pub admin_token: Option<String>,
    /// Whether shard i also listens alone on port + 1 + i.
    pub shard_ports: bool,
    /// How long an idle executor looks for work before it sleeps.
    pub spin: Option<Duration>,
    /// Length of journal segments, in bytes.
    pub segment_bytes: u64,
    /// When snapshots are made and what is kept.
    pub snapshots: SnapshotPolicy,
    /// How written bytes become durable.
    pub durability: Durability,
    /// Whether a data directory in memory (tmpfs) will do.
    pub allow_memory: bool,
    /// Files to serve at paths that are not the server's own; `None`: none.
    pub static_dir: Option<PathBuf>,
    /// Bounds on connections.
    pub connections: ConnectionLimits,
    /// With which certificate every port speaks TLS; `None`: none does.
    pub tls: Option<TlsFiles>,
    /// Whether to listen at all.
    pub listen: bool,
    /// Applied in order, by shard 0, when the data directory is new.
    pub bootstrap: Vec<Command>,
}

impl Default for NodeConfig {
    fn default() -> NodeConfig {
        NodeConfig {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            data: PathBuf::from("data"),
            shards: None,
            cores: None,
            admin_token: Some("dev-admin".to_owned()),
            shard_ports: false,
            spin: None,
            segment_bytes: journal::SEGMENT_BYTES,
            snapshots: SnapshotPolicy::default(),
            durability: Durability::default(),
            allow_memory: false,
            static_dir: None,
            connections: ConnectionLimits::default(),
            tls: None,
            listen: true,
            bootstrap: Vec::new(),
        }
    }
}

/// A node that serves.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it listens, if it does.
    pub address: Option<SocketAddr>,
    /// Whether it speaks TLS there.
    pub is_tls: bool,
    /// How many shards run.
    pub shards: u16,
    /// Journal records replayed, over all shards.
    pub recovered_records: u64,
    /// How long recovery took.
    pub recovery: Duration,
}

/// Why a node did not start, or ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data directory cannot be made.
    #[error("cannot make the data directory {}: {source}", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It cannot hold a journal.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The cores asked for are not there.
    #[error(transparent)]
    Cores(#[from] CoresError),
    /// Too many shards.
    #[error("--shards: {asked} is more than {most}")]
    Shards {
        /// What was asked for.
        asked: usize,
        /// The most.
        most: usize,
    },
    /// The journal's lengths do not fit together.
    #[error("journal: {0}")]
    JournalConfig(#[from] journal::ConfigError),
    /// The files to serve cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The data directory is not laid out as one, or cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The number of shards cannot be changed. The data directory is as it was.
    #[error("the number of shards cannot be changed: {0}")]
    Resharding(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Signals or threads cannot be set up.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// A shard could not be recovered or resumed.
    #[error("{0}")]
    Recovery(String),
}

//! What a node is told at its start, and why it may end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use audit::TrailConfig;
use engine::Command;
use gateway::auth::{Auth, Secret};
use gateway::middleware::Limits;
use identity::Network;

use crate::cores::{CoreList, CoresError};
use crate::disk::{DiskError, Durability};
use crate::files::FilesError;
use crate::layout::LayoutError;
use crate::lock::LockError;
use crate::registry::ConnectionLimits;
use crate::snapshots::SnapshotPolicy;
use crate::tls::{TlsError, TlsFiles};

/// The longest that a record may be made to wait for others. An order whose user and symbol are on
/// different shards waits so up to three times.
pub const MAX_GATHER: Duration = Duration::from_millis(100);

/// How callers say who they are.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `X-User-ID` and `X-Admin-Token` are believed. For a loopback address only.
    pub is_development: bool,
    /// What `X-Admin-Token` must be, in development mode; `None`: nobody is an administrator by it.
    pub admin_token: Option<String>,
    /// The server's secret, and behind it former ones; none: one is kept in the data directory, for the
    /// development mode.
    pub secrets: Vec<Secret>,
    /// Who is shown the metrics without saying who it is.
    pub metrics_from: Vec<Network>,
}

impl Default for AuthConfig {
    fn default() -> AuthConfig {
        AuthConfig {
            is_development: true,
            admin_token: Some(Auth::DEVELOPMENT_ADMIN_TOKEN.to_owned()),
            secrets: Vec::new(),
            metrics_from: Vec::new(),
        }
    }
}

/// One node: all its shards, in one process.
#[derive(Clone)]
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
    /// How callers say who they are.
    pub auth: AuthConfig,
    /// How fast whom.
    pub limits: Limits,
    /// Where and how the audit trail is kept; `None`: there is none.
    pub audit: Option<TrailConfig>,
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
    /// How long a record waits for others before they are written together, at most [`MAX_GATHER`].
    pub gather: Duration,
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
            auth: AuthConfig::default(),
            limits: Limits::OFF,
            audit: None,
            shard_ports: false,
            spin: None,
            segment_bytes: journal::SEGMENT_BYTES,
            snapshots: SnapshotPolicy::default(),
            durability: Durability::default(),
            gather: Duration::ZERO,
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
    /// A symbol that a new data directory begins with is to be on a shard that is not there.
    #[error("symbols: {symbol}: shard: {asked} must be 0 to {}, there are {shards} shards", shards - 1)]
    Place {
        /// Its name.
        symbol: String,
        /// What was asked for.
        asked: u16,
        /// How many there are.
        shards: u16,
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
    /// The audit trail cannot be kept.
    #[error(transparent)]
    Audit(#[from] audit::StartError),
    /// The server's secret cannot be made or read.
    #[error("{}: {source}", path.display())]
    Secret {
        /// Where.
        path: PathBuf,
        /// Why.
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

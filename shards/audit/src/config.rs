//! How the trail is kept, and what of a configuration is refused.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::record::Kind;

/// Room for orders that wait for the writer, per shard, in records of about 200 bytes.
pub const ORDER_QUEUE_RECORDS: usize = 32_768;
/// The same for each other kind.
pub const OTHER_QUEUE_RECORDS: usize = 2_048;
/// Most that a file may be told to hold, in bytes.
pub const MAX_FILE_BYTES: u64 = 2 << 30;
/// Least that a file may be told to hold, in bytes: a line of any length.
pub const MIN_FILE_BYTES: u64 = 8 << 10;
/// Most records of a queue.
const MAX_QUEUE_RECORDS: usize = 1 << 22;

/// Gives the time in ms since the epoch. It names files and decides what is old; called on the
/// threads of the trail, never on a shard's.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Arc::new(move || since_epoch().as_millis() as u64)
}

/// A time in hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours(pub u32);

/// For how many days the files of each kind are kept; 0: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Of [`Kind::Auth`].
    pub auth_days: u32,
    /// Of [`Kind::Order`].
    pub order_days: u32,
    /// Of [`Kind::Admin`].
    pub admin_days: u32,
    /// Of [`Kind::Key`].
    pub key_days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { auth_days: 365, order_days: 30, admin_days: 365, key_days: 365 }
    }
}

impl Retention {
    /// Days that the files of a kind are kept; 0: for ever.
    pub fn days(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Auth => self.auth_days,
            Kind::Order => self.order_days,
            Kind::Admin => self.admin_days,
            Kind::Key => self.key_days,
        }
    }
}

/// How the trail is kept.
#[derive(Clone)]
pub struct TrailConfig {
    /// Where; made if it is not there, with a directory for each kind in it. One process at a time.
    pub directory: PathBuf,
    /// A file that holds so many bytes is closed and the next one begun; [`MIN_FILE_BYTES`] to
    /// [`MAX_FILE_BYTES`].
    pub file_bytes: u64,
    /// Longest time between a write and the sync behind it, in ms; 0: every write is synced.
    pub sync_ms: u64,
    /// What is kept.
    pub retention: Retention,
    /// How old a closed file is when it is compressed; `None`: only when asked to.
    pub archive_after: Option<Hours>,
    /// Most that a query reads of one kind, in bytes as they were before compression; at least twice
    /// `file_bytes`.
    pub scan_bytes: u64,
    /// Orders that may wait for the writer, per shard, in records.
    pub order_queue_records: usize,
    /// The same for each other kind.
    pub other_queue_records: usize,
    /// Run by each thread of the trail at its beginning: for cores and priorities.
    pub on_thread: Option<Arc<dyn Fn() + Send + Sync>>,
    /// The time.
    pub clock: Clock,
}

impl TrailConfig {
    /// The defaults, in a directory.
    pub fn new(directory: impl Into<PathBuf>) -> TrailConfig {
        TrailConfig {
            directory: directory.into(),
            file_bytes: 100 << 20,
            sync_ms: 1_000,
            retention: Retention::default(),
            archive_after: Some(Hours(0)),
            scan_bytes: 256 << 20,
            order_queue_records: ORDER_QUEUE_RECORDS,
            other_queue_records: OTHER_QUEUE_RECORDS,
            on_thread: None,
            clock: system_clock(),
        }
    }

    pub(crate) fn check(&self, shards: u16) -> Result<(), StartError> {
        let refuse = |field, rule| Err(StartError::Config { field, rule });
        let queues = [self.order_queue_records, self.other_queue_records];
        if shards == 0 {
            return refuse("shards", "must be at least 1");
        }
        if !(MIN_FILE_BYTES..=MAX_FILE_BYTES).contains(&self.file_bytes) {
            return refuse("file_bytes", "must be 8 KiB to 2 GiB");
        }
        // A query that goes on from where another stopped reads one file again and then one more.
        if self.scan_bytes / 2 < self.file_bytes {
            return refuse("scan_bytes", "must be at least twice file_bytes");
        }
        if !queues.iter().all(|records| (2..=MAX_QUEUE_RECORDS).contains(records)) {
            return refuse("order_queue_records, other_queue_records", "must be 2 to 4194304");
        }
        Ok(())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }
}

/// Why there is no trail.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value that cannot be.
    #[error("audit: {field}: {rule}")]
    Config {
        /// Which.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The directory cannot be used.
    #[error("audit: {}: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("audit: cannot start a thread: {0}")]
    Thread(io::Error),
}

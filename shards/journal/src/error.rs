//! What can go wrong, as values.

use std::io;
use std::sync::Arc;

use crate::config::ConfigError;
use crate::format::{Lsn, MAX_RECORD_BYTES};
use crate::scan::BrokenBatch;

/// A disk operation that failed. The writer latches the first one and never retries it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} {file} at offset {offset}: {cause}")]
pub struct JournalError {
    /// What was tried.
    pub operation: &'static str,
    /// On which file; empty for the directory itself.
    pub file: String,
    /// At which byte offset; 0 when the operation has none.
    pub offset: u64,
    /// What the disk said.
    pub cause: Arc<io::Error>,
}

impl JournalError {
    pub(crate) fn new(
        operation: &'static str,
        file: &str,
        offset: u64,
        cause: io::Error,
    ) -> JournalError {
        JournalError { operation, file: file.to_owned(), offset, cause: Arc::new(cause) }
    }

    /// Whether the disk is full, or the quota used up.
    pub fn is_no_space(&self) -> bool {
        matches!(self.cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Why a record was not appended. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The record is longer than [`MAX_RECORD_BYTES`] (or than a batch, when that is configured
    /// shorter). A sender of peer messages must cut its batches, see
    /// [`MAX_PEER_MESSAGES`](crate::MAX_PEER_MESSAGES).
    #[error("record too long: more than {limit} bytes (never more than {MAX_RECORD_BYTES})")]
    Oversize {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// All gathering buffers are full. Admission keeps a server below this.
    #[error("journal queue is full")]
    Full,
    /// An earlier disk operation failed.
    #[error("journal failed: {0}")]
    Failed(#[from] JournalError),
}

/// Why a journal cannot be read. Every variant names the file, and the offset where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The disk failed.
    #[error("{0}")]
    Io(#[from] JournalError),
    /// A segment is not there although a later one is, or although the snapshot needs it.
    #[error("{file}: missing segment")]
    MissingSegment {
        /// The one that is not there.
        file: String,
    },
    /// A segment's first block is no segment header, or fails its checksum, or names another number.
    #[error("{file} at offset 0: damaged segment header: {why}")]
    SegmentHeader {
        /// Which file.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A segment is shorter or longer than its header says.
    #[error("{file} at offset {found}: the file ends here, but its length was {expected} bytes")]
    SegmentLength {
        /// Which file.
        file: String,
        /// Its length in bytes.
        found: u64,
        /// The length that it was made with, in bytes.
        expected: u64,
    },
    /// A segment or a batch of another shard.
    #[error("{file} at offset {offset}: belongs to shard {found}, not to shard {expected}")]
    ForeignShard {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// Whose it is.
        found: u16,
        /// Whose it should be.
        expected: u16,
    },
    /// Written by a server with another number of shards.
    #[error("{file} at offset 0: written with {found} shards, not {expected}")]
    ShardCount {
        /// Which file.
        file: String,
        /// How many it says.
        found: u16,
        /// How many there should be.
        expected: u16,
    },
    /// Written by a newer ringbook.
    #[error("{file} at offset {offset}: format version {version} is newer than this program")]
    NewerFormat {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// Its version.
        version: u16,
    },
    /// A whole batch that is not the next one.
    #[error("{file} at offset {offset}: {why} (record {found} here, expected {expected})")]
    OutOfOrder {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// What does not fit.
        why: &'static str,
        /// The first record it holds.
        found: Lsn,
        /// The record that should come next.
        expected: Lsn,
    },
    /// A broken batch that cannot be a torn write, because a whole one comes later.
    #[error(
        "{file} at offset {offset}: damaged batch ({why}): a whole batch with record {later_lsn} \
         follows in {later_file} at offset {later_offset}"
    )]
    Damaged {
        /// Which file.
        file: String,
        /// Where the batch should be.
        offset: u64,
        /// What is wrong with it.
        why: BrokenBatch,
        /// Where the whole one is.
        later_file: String,
        /// Where in it.
        later_offset: u64,
        /// Its first record.
        later_lsn: Lsn,
    },
    /// A record inside a whole batch that cannot be read: written wrong, or forged.
    #[error("{file} at offset {offset}: record {lsn} is unreadable: {why}")]
    Record {
        /// Which file.
        file: String,
        /// Where its frame is.
        offset: u64,
        /// Which record.
        lsn: Lsn,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The journal ends before a snapshot, or before the record that was asked for.
    #[error("{file} at offset {offset}: ends at record {last}, but record {after} is needed")]
    Behind {
        /// Which file is the last.
        file: String,
        /// Where its records end.
        offset: u64,
        /// The last record.
        last: Lsn,
        /// The record that the snapshot covers up to, or that was asked for.
        after: Lsn,
    },
    /// There is no journal here.
    #[error("no journal segments here")]
    Empty,
    /// A snapshot that is not as it was written.
    #[error("{file} at offset {offset}: damaged snapshot: {why}")]
    DamagedSnapshot {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A damaged snapshot that no older one can stand in for.
    #[error(
        "{file} at offset {offset}: damaged snapshot: {why}; nothing older will do without {missing}"
    )]
    NothingOlder {
        /// Which file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
        /// The file that an older state would need.
        missing: String,
    },
    /// There is a snapshot, but no journal that it belongs to.
    #[error("{file} covers the records up to {lsn}, but there are no journal segments here")]
    NoJournal {
        /// Which file.
        file: String,
        /// The last record that it covers.
        lsn: Lsn,
    },
    /// The journal did not begin with the state that its first record would now be applied to.
    #[error("{file} at offset 0: {why}")]
    Beginning {
        /// Which file.
        file: String,
        /// What does not fit.
        why: &'static str,
    },
}

/// Why recovery did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError<E> {
    /// The lengths do not fit together.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The journal cannot be read, or not be trusted.
    #[error("{0}")]
    Scan(#[from] ScanError),
    /// The disk failed.
    #[error("{0}")]
    Io(#[from] JournalError),
    /// The caller could not take in a snapshot although every byte of it is as it was written.
    #[error("{file}: {cause}")]
    Snapshot {
        /// Which file.
        file: String,
        /// What the caller said.
        cause: E,
    },
    /// The caller could not apply a record.
    #[error("record {lsn}: {cause}")]
    Replay {
        /// Which record.
        lsn: Lsn,
        /// What the caller said.
        cause: E,
    },
}

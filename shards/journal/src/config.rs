//! What the operator may choose about a journal.

use money::ShardId;

use crate::disk::BLOCK_BYTES;
use crate::format::{BATCH_HEADER_BYTES, FRAME_HEADER_BYTES, MAX_BATCH_BYTES};
use crate::scan::Identity;

/// Length of a segment, in bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// Length of the first segment of a new journal, in bytes: short, because the start waits for it to
/// be filled with zeros. The ones behind it are made in the background.
pub const FIRST_SEGMENT_BYTES: u64 = 8 << 20;
/// Longest segment, in bytes.
pub const MAX_SEGMENT_BYTES: u64 = 16 << 30;
/// Segments that stand ready beyond the current one.
pub const SEGMENTS_AHEAD: usize = 1;
/// Room, in bytes, that is kept for what cannot be refused (messages of peers, what already gathers)
/// when there is no next segment. At most a quarter of the current segment.
pub const RESERVE_BYTES: u64 = 8 << 20;

/// How a shard's journal is laid out. The lengths may differ from one run to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Whose journal.
    pub shard: ShardId,
    /// How many shards the server has. A journal written under another count is refused.
    pub shards: u16,
    /// Length of new segments, in bytes.
    pub segment_bytes: u64,
    /// Length of the very first segment, in bytes.
    pub first_segment_bytes: u64,
    /// Segments to keep ready beyond the current one.
    pub segments_ahead: usize,
    /// Longest batch, in bytes.
    pub batch_bytes: usize,
    /// See [`RESERVE_BYTES`].
    pub reserve_bytes: u64,
}

/// A length that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {value} bytes: must be a multiple of {BLOCK_BYTES}, from {least} to {most}")]
pub struct ConfigError {
    /// Which key.
    pub key: &'static str,
    /// What it is.
    pub value: u64,
    /// The least it may be.
    pub least: u64,
    /// The most it may be.
    pub most: u64,
}

impl JournalConfig {
    /// The defaults.
    pub fn new(shard: ShardId, shards: u16) -> JournalConfig {
        JournalConfig {
            shard,
            shards,
            segment_bytes: SEGMENT_BYTES,
            first_segment_bytes: FIRST_SEGMENT_BYTES,
            segments_ahead: SEGMENTS_AHEAD,
            batch_bytes: MAX_BATCH_BYTES,
            reserve_bytes: RESERVE_BYTES,
        }
    }

    /// Whose journal it is.
    pub fn identity(&self) -> Identity {
        Identity { shard: self.shard, shards: self.shards }
    }

    /// Whether the lengths fit together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let block = BLOCK_BYTES as u64;
        check_length("batch_bytes", self.batch_bytes as u64, block, MAX_BATCH_BYTES as u64)?;
        let least = self.batch_bytes as u64 + block;
        check_length("segment_bytes", self.segment_bytes, least, MAX_SEGMENT_BYTES)?;
        check_length("first_segment_bytes", self.first_segment_bytes, least, MAX_SEGMENT_BYTES)
    }
}

fn check_length(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if value.is_multiple_of(BLOCK_BYTES as u64) && (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError { key, value, least, most })
    }
}

const _: () = assert!(BLOCK_BYTES > BATCH_HEADER_BYTES + FRAME_HEADER_BYTES);

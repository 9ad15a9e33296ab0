//! Retention: what of a shard's directory may go, and in which order, so that a crash in between
//! leaves nothing that a start would refuse.
//!
//! [`inventory()`] looks, [`plan()`] decides, [`apply()`] does. The rules:
//!
//! - A snapshot goes when it is neither among the newest nor young enough.
//! - A segment goes when the *oldest* snapshot that is kept covers it whole: should the newer ones be
//!   damaged, a start can still go back to that one. Nothing goes before there are as many snapshots
//!   as are to be kept.
//! - Segments go from the oldest on, each durably before the next, so there is never a hole. One goes
//!   only when the segment behind it begins with a record that is in a snapshot, hence durable: what
//!   is left always has a batch to start from, and the segment that is being written always stays.
//! - A snapshot of record 0 stays as long as the first segment does: only with it do that segment's
//!   records mean something.

mod apply;
mod archive;
mod inventory;
mod plan;

use std::path::PathBuf;

use crate::config::SEGMENT_BYTES;

pub use apply::{Applied, RetentionError, apply};
pub use inventory::{Inventory, SegmentListing, SpareListing, inventory};
pub use plan::{Action, plan};

/// Snapshots kept at least: with one alone nothing could stand in for it.
pub const KEEP_SNAPSHOTS: usize = 2;
/// Segments kept as spares, to become the next ones: as many as are made while a snapshot is.
pub const SPARES: usize = 2;

/// What happens to segments that no start needs any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SegmentPolicy {
    /// They are deleted, or become spares.
    #[default]
    Delete,
    /// They stay for ever.
    Keep,
    /// They go to another directory, of this shard alone, and once they are durable there they are
    /// deleted here, or become spares.
    Archive(PathBuf),
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// So many of the newest snapshots; 0 counts as 1.
    pub keep_snapshots: usize,
    /// Besides, every snapshot that is younger than this, in ms.
    pub keep_snapshots_ms: u64,
    /// What happens to segments that no start needs any more.
    pub segments: SegmentPolicy,
    /// So many of those are left alone all the same, the newest of them.
    pub keep_segments: usize,
    /// And those with a record younger than this, in ms.
    pub keep_segments_ms: u64,
    /// How many spares there may be.
    pub spares: usize,
    /// Length of new segments, in bytes: others make no spares.
    pub segment_bytes: u64,
}

impl Default for RetentionPolicy {
    fn default() -> RetentionPolicy {
        RetentionPolicy {
            keep_snapshots: KEEP_SNAPSHOTS,
            keep_snapshots_ms: 0,
            segments: SegmentPolicy::default(),
            keep_segments: 0,
            keep_segments_ms: 0,
            spares: SPARES,
            segment_bytes: SEGMENT_BYTES,
        }
    }
}

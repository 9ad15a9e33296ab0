//! What is in a shard's directory.

use crate::disk::{Disk, DiskFile};
use crate::error::{JournalError, ScanError};
use crate::format::Lsn;
use crate::scan::{Identity, look_into, segment_numbers};
use crate::segment::{spare_name, spare_number};
use crate::snapshot::{SnapshotListing, list_snapshots};

/// A segment, as far as its header and its first batch tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentListing {
    /// Its number.
    pub number: u64,
    /// Its length, in bytes.
    pub length_bytes: u64,
    /// Number and time (in ms since the epoch) of its first record; `None` before a whole batch
    /// stands at its start.
    pub first: Option<(Lsn, u64)>,
}

/// A spare file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpareListing {
    /// Number of the last segment that it was.
    pub number: u64,
    /// Its length, in bytes.
    pub length_bytes: u64,
}

/// What is in a shard's directory, each from the oldest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Whole snapshots.
    pub snapshots: Vec<SnapshotListing>,
    /// Segments, those that stand ready included.
    pub segments: Vec<SegmentListing>,
    /// Files that may become segments.
    pub spares: Vec<SpareListing>,
}

/// Looks at a directory, that of a running server too, and writes nothing. Reads the first block of
/// every snapshot and the header and first batch of every segment.
///
/// Fails on what a start would refuse: a gap among the segments, a broken header, another shard's file.
pub async fn inventory<D: Disk>(disk: &D, identity: Identity) -> Result<Inventory, ScanError> {
    let snapshots = list_snapshots(disk).await?;
    let mut segments = Vec::new();
    for number in segment_numbers(disk).await? {
        let (segment, first) = look_into(disk, number, identity).await?;
        segments.push(SegmentListing { number, length_bytes: segment.length_bytes, first });
    }
    Ok(Inventory { snapshots, segments, spares: list_spares(disk).await? })
}

async fn list_spares<D: Disk>(disk: &D) -> Result<Vec<SpareListing>, JournalError> {
    let listed = disk.list().await;
    let names = listed.map_err(|cause| JournalError::new("list", "", 0, cause))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| spare_number(name)).collect();
    numbers.sort_unstable();
    let mut spares = Vec::new();
    for number in numbers {
        let name = spare_name(number);
        let file = match disk.open(&name).await {
            // It has just become a segment.
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            opened => opened.map_err(|cause| JournalError::new("open", &name, 0, cause))?,
        };
        let length = file.length().await;
        let length_bytes = length.map_err(|cause| JournalError::new("measure", &name, 0, cause))?;
        spares.push(SpareListing { number, length_bytes });
    }
    Ok(spares)
}

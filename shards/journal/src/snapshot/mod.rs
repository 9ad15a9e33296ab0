//! Snapshots: an engine's image in a file of its own, so that a start need not replay everything.
//!
//! A snapshot gets its name when it is whole and synced, so under its own name a broken one is
//! damage, never a crash. Every flipped byte and every cut length is found. Reading and writing take
//! bounded memory. The layout is in the crate's documentation.

mod format;
mod read;
mod write;

use money::ShardId;

use crate::disk::{BLOCK_BYTES, Disk, DiskFile};
use crate::error::JournalError;
use crate::format::Lsn;

pub use format::{MAX_PIECE_BYTES, SNAPSHOT_FRAME_BYTES};
pub use read::{read_snapshot, verify_snapshot};
pub use write::{SNAPSHOT_WRITE_BYTES, SnapshotWriter};

pub(crate) use read::Source;

const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".ringbook";
const UNFINISHED_SUFFIX: &str = ".preparing";
const LSN_DIGITS: usize = 16;

/// Which state a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// Whose state.
    pub shard: ShardId,
    /// Of how many.
    pub shards: u16,
    /// The last record whose effect is in it. 0: none, the journal begins behind it at record 1 (a
    /// state that a redistribution made).
    pub lsn: Lsn,
    /// The engine's running hash, see [`engine::Engine::state_hash`].
    pub state_hash: u64,
    /// The engine's time, in ms since the epoch.
    pub time_ms: u64,
    /// When it was written, in ms since the epoch.
    pub created_ms: u64,
}

/// A snapshot that was written or read from end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Name of the file.
    pub name: String,
    /// What it holds.
    pub head: SnapshotHead,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// How many pieces.
    pub pieces: u64,
    /// The xxh3-64 of everything before its end frame.
    pub hash: u64,
}

impl SnapshotFile {
    /// What the first segment of a journal that begins with this snapshot of record 0 says of it;
    /// never 0, which says that it began with nothing.
    pub fn beginning(&self) -> u64 {
        self.hash.max(1)
    }
}

/// A snapshot as far as its name and its first block tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotListing {
    /// Name of the file.
    pub name: String,
    /// The record in its name.
    pub lsn: Lsn,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// What it says it holds; `None` when that cannot be read ([`verify_snapshot`] says why).
    pub head: Option<SnapshotHead>,
}

/// Name of a snapshot that is whole.
pub(crate) fn snapshot_name(lsn: Lsn) -> String {
    format!("{PREFIX}{:0LSN_DIGITS$}{SUFFIX}", lsn.0)
}

/// Name of a snapshot that is being written.
pub(crate) fn unfinished_name(lsn: Lsn) -> String {
    format!("{PREFIX}{:0LSN_DIGITS$}{UNFINISHED_SUFFIX}", lsn.0)
}

/// The record in the name of a whole snapshot. Names that this crate would not write are not its own.
pub(crate) fn snapshot_lsn(name: &str) -> Option<Lsn> {
    lsn_in(name, SUFFIX)
}

/// Whether a name is that of a snapshot that was never finished.
pub(crate) fn is_unfinished(name: &str) -> bool {
    lsn_in(name, UNFINISHED_SUFFIX).is_some()
}

fn lsn_in(name: &str, suffix: &str) -> Option<Lsn> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
    let all_digits = digits.len() >= LSN_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let lsn: u64 = digits.parse().ok().filter(|_| all_digits)?;
    (digits == format!("{lsn:0LSN_DIGITS$}")).then_some(Lsn(lsn))
}

/// The records in the names of all whole snapshots, oldest first.
pub(crate) async fn snapshot_lsns<D: Disk>(disk: &D) -> Result<Vec<Lsn>, JournalError> {
    let listed = disk.list().await;
    let names = listed.map_err(|cause| JournalError::new("list", "", 0, cause))?;
    let mut lsns: Vec<Lsn> = names.iter().filter_map(|name| snapshot_lsn(name)).collect();
    lsns.sort_unstable();
    Ok(lsns)
}

/// All whole snapshots in a directory, oldest first. Reads their first blocks only.
pub async fn list_snapshots<D: Disk>(disk: &D) -> Result<Vec<SnapshotListing>, JournalError> {
    let mut listings = Vec::new();
    for lsn in snapshot_lsns(disk).await? {
        let name = snapshot_name(lsn);
        let failed = |operation, cause| JournalError::new(operation, &name, 0, cause);
        let file = disk.open(&name).await.map_err(|cause| failed("open", cause))?;
        let bytes = file.length().await.map_err(|cause| failed("measure", cause))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(|cause| failed("read", cause))?;
        let head = format::read_head(&block, &name, lsn).ok();
        listings.push(SnapshotListing { name, lsn, bytes, head });
    }
    Ok(listings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_this_crate_would_not_write_is_no_snapshot() {
        assert_eq!(snapshot_name(Lsn(7)), "snapshot-0000000000000007.ringbook");
        for lsn in [Lsn(0), Lsn(7), Lsn(u64::MAX)] {
            assert_eq!(snapshot_lsn(&snapshot_name(lsn)), Some(lsn));
            assert!(is_unfinished(&unfinished_name(lsn)));
        }
        for name in [
            "snapshot-7.ringbook",
            "snapshot-00000000000000007.ringbook",
            "snapshot-0000000000000007.preparing",
            "snapshot-+000000000000007.ringbook",
            "snapshot-99999999999999999999999.ringbook",
            "segment-0000000007.ringbook",
        ] {
            assert_eq!(snapshot_lsn(name), None, "{name}");
        }
    }
}

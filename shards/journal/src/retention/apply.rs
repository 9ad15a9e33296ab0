//! The deed: step by step, each durable before the next.

use std::io;

use super::Action;
use super::archive::archive_file;
use crate::disk::Disk;
use crate::error::JournalError;
use crate::segment::{segment_name, spare_name, spare_number};

/// What [`apply()`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files that are in the archive now.
    pub archived: u64,
    /// Files removed.
    pub removed: u64,
    /// Segments made spares.
    pub recycled: u64,
}

/// Why retention stopped. What it did before stays done, and a start goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The disk failed, or the archive's.
    #[error("{0}")]
    Io(#[from] JournalError),
    /// The plan archives, but there is no archive.
    #[error("{file} is to be archived, but there is no archive")]
    NoArchive {
        /// Which file.
        file: String,
    },
    /// The archive holds something else under this name, or cannot give back what it was given.
    #[error("{file} at offset {offset}: the archive's copy differs")]
    ArchiveDiffers {
        /// Which file.
        file: String,
        /// From which block on.
        offset: u64,
    },
}

/// Does what [`plan`](super::plan) says, in its order. A file that has been archived is removed only
/// in a later step, after its copy was read back. `archive` is the directory of
/// [`SegmentPolicy::Archive`](super::SegmentPolicy::Archive).
pub async fn apply<D: Disk, A: Disk>(
    disk: &D,
    archive: Option<&A>,
    actions: &[Action],
) -> Result<Applied, RetentionError> {
    let mut applied = Applied::default();
    for action in actions {
        match action {
            Action::Archive(name) => {
                let no_archive = || RetentionError::NoArchive { file: name.clone() };
                archive_file(disk, archive.ok_or_else(no_archive)?, name).await?;
                applied.archived += 1;
            }
            Action::Remove(name) => {
                let gone = match disk.remove(name).await {
                    // The live shard has taken it for its next segment.
                    Err(cause) if is_taken(name, &cause) => false,
                    removed => {
                        removed.map_err(|cause| JournalError::new("remove", name, 0, cause))?;
                        true
                    }
                };
                sync_names(disk).await?;
                applied.removed += u64::from(gone);
            }
            Action::Recycle(number) => {
                let name = segment_name(*number);
                let renamed = disk.rename(&name, &spare_name(*number)).await;
                renamed.map_err(|cause| JournalError::new("rename", &name, 0, cause))?;
                sync_names(disk).await?;
                applied.recycled += 1;
            }
        }
    }
    Ok(applied)
}

fn is_taken(name: &str, cause: &io::Error) -> bool {
    spare_number(name).is_some() && cause.kind() == io::ErrorKind::NotFound
}

/// Between any two changes of names: a power cut must not take the first and leave the second.
async fn sync_names<D: Disk>(disk: &D) -> Result<(), JournalError> {
    let synced = disk.sync_directory().await;
    synced.map_err(|cause| JournalError::new("sync directory of", "the journal", 0, cause))
}

//! Copying a file to another directory so that it is sure to be there.

use std::io;

use super::RetentionError;
use crate::batch::write_whole;
use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use crate::error::JournalError;

/// How much is copied at once, in bytes: small, because a shard's commit may have to wait behind it
/// on the device.
const COPY_CHUNK_BYTES: usize = 256 << 10;
/// Name of a copy that is not whole yet, behind the file's name.
const UNFINISHED_SUFFIX: &str = ".copying";

/// Copies a file of whole blocks under its own name, syncs it and its directory, and reads it back. A
/// copy that is there already, from an attempt that a crash cut short, only has to be the same.
pub(super) async fn archive_file<D: Disk, A: Disk>(
    disk: &D,
    archive: &A,
    name: &str,
) -> Result<(), RetentionError> {
    let failed = |operation, cause| JournalError::new(operation, name, 0, cause);
    let source = disk.open(name).await.map_err(|cause| failed("open", cause))?;
    match archive.open(name).await {
        Ok(copy) => {
            // Whoever made it may not have lived to sync its name.
            compare(&source, &copy, name).await?;
            let synced = copy.sync().await;
            synced.map_err(|cause| failed("sync the archive's copy of", cause))?;
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            copy_file(&source, archive, name).await?;
        }
        Err(cause) => return Err(failed("open the archive's copy of", cause).into()),
    }
    let synced = archive.sync_directory().await;
    synced.map_err(|cause| failed("sync the archive's directory for", cause))?;
    let copy = archive.open(name).await;
    let copy = copy.map_err(|cause| failed("open the archive's copy of", cause))?;
    compare(&source, &copy, name).await
}

async fn copy_file<F: DiskFile, A: Disk>(
    source: &F,
    archive: &A,
    name: &str,
) -> Result<(), JournalError> {
    let unfinished = format!("{name}{UNFINISHED_SUFFIX}");
    let failed = |operation, offset, cause| JournalError::new(operation, name, offset, cause);
    match archive.remove(&unfinished).await {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove the archive's copy of", 0, cause));
        }
        _ => {}
    }
    let created = archive.create(&unfinished, 0).await;
    let copy = created.map_err(|cause| failed("create the archive's copy of", 0, cause))?;
    let mut offset = 0;
    loop {
        let read = source.read_at(offset, COPY_CHUNK_BYTES).await;
        let bytes = read.map_err(|cause| failed("read", offset, cause))?;
        if bytes.is_empty() {
            break;
        }
        if !bytes.len().is_multiple_of(BLOCK_BYTES) {
            let cause = io::Error::new(io::ErrorKind::InvalidData, "a file of broken length");
            return Err(failed("read", offset, cause));
        }
        let mut buffer = archive.buffer(bytes.len());
        buffer.bytes_mut().copy_from_slice(&bytes);
        let (_, written) = write_whole(archive, &copy, buffer, offset).await;
        written.map_err(|cause| failed("write the archive's copy of", offset, cause))?;
        offset += bytes.len() as u64;
    }
    let synced = copy.sync().await;
    synced.map_err(|cause| failed("sync the archive's copy of", 0, cause))?;
    let renamed = archive.rename(&unfinished, name).await;
    renamed.map_err(|cause| failed("rename the archive's copy of", 0, cause))
}

async fn compare<F: DiskFile, A: DiskFile>(
    source: &F,
    copy: &A,
    name: &str,
) -> Result<(), RetentionError> {
    let mut offset = 0;
    loop {
        let failed = |cause| JournalError::new("read", name, offset, cause);
        let ours = source.read_at(offset, COPY_CHUNK_BYTES).await.map_err(failed)?;
        let theirs = copy.read_at(offset, COPY_CHUNK_BYTES).await.map_err(failed)?;
        if ours != theirs {
            return Err(RetentionError::ArchiveDiffers { file: name.to_owned(), offset });
        }
        if ours.is_empty() {
            return Ok(());
        }
        offset += ours.len() as u64;
    }
}

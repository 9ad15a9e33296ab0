//! A change of the shard count: the state of the old shards, dealt out into snapshots of new ones.
//!
//! Nothing is written into the old directories but what every recovery writes, so a crash at any
//! moment leaves them as they were, and the change begins anew. Which set of directories counts is
//! for the caller to say, once, atomically, when the new one is complete.

use engine::{Engine, EngineConfig, ImageError};
use journal::{
    Disk, JournalConfig, JournalError, Lsn, RecoverError, Recovery, ScanError, SnapshotFile,
    SnapshotHead, SnapshotWriter, recover, verify_snapshot,
};

use crate::rebuild::Rebuild;

/// Why a new shard's beginning could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BeginningError {
    /// It could not be written.
    #[error("cannot write: {0}")]
    Write(#[from] JournalError),
    /// What was written is not what can be read.
    #[error("cannot be read again: {0}")]
    Read(#[from] ScanError),
}

/// Recovers the state of one shard without going on with it. `progress` is told the number of every
/// record.
pub async fn load_engine<D: Disk>(
    disk: D,
    journal: JournalConfig,
    hash_seed: u64,
    now_ms: u64,
    progress: impl FnMut(u64),
) -> Result<(Engine, Recovery), RecoverError<ImageError>> {
    let config = EngineConfig { shard: journal.shard, shards: journal.shards, hash_seed };
    let mut rebuild = Rebuild::new(config, progress);
    let recovered = recover(disk, journal, now_ms, &mut rebuild).await?;
    Ok((rebuild.into_engine(), recovered.report))
}

/// Writes the snapshot that a new shard begins with, into its empty directory, and reads it again.
pub async fn write_beginning<D: Disk>(
    disk: D,
    engine: &Engine,
    created_ms: u64,
) -> Result<SnapshotFile, BeginningError> {
    let head = SnapshotHead {
        shard: engine.shard(),
        shards: engine.placement().shards(),
        lsn: Lsn(0),
        state_hash: engine.state_hash(),
        time_ms: engine.now_ms(),
        created_ms,
    };
    let mut writer = SnapshotWriter::begin(disk.clone(), head).await?;
    for piece in engine.image() {
        writer.piece(&piece).await?;
    }
    let file = writer.finish().await?;
    verify_snapshot(&disk, &file.name).await?;
    Ok(file)
}

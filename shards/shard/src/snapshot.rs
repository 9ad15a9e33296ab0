//! A snapshot of a shard that goes on serving.
//!
//! The live shard only notes a [`Checkpoint`]: how far its journal is and what its running hash is
//! there. Everything else happens beside it, from what is on disk: the newest snapshot is loaded, the
//! records behind it are replayed up to the checkpoint, and the image of that engine becomes the new
//! snapshot, if its hash is the live shard's. So every snapshot proves that a replay gives what was
//! served.

use engine::{EngineConfig, ImageError};
use journal::{
    Disk, JournalConfig, JournalError, Lsn, RecoverError, ScanError, SnapshotFile, SnapshotHead,
    SnapshotWriter, replay_until, verify_snapshot,
};
use money::ShardId;

use crate::rebuild::Rebuild;

/// What a live shard says of itself at one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which shard.
    pub shard: ShardId,
    /// The last record applied. The snapshot may begin once it is durable.
    pub lsn: u64,
    /// See [`engine::Engine::state_hash`].
    pub state_hash: u64,
    /// By peer: the last message that it has confirmed, so that the snapshot need not keep it.
    pub confirmed: Vec<u64>,
}

/// Why there is no new snapshot. The old ones are as they were.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The shard's journal has no record yet. A snapshot of record 0 is what a journal *begins* with:
    /// one made later would not be the one that this journal began with, and no start would take it.
    #[error("shard {shard}: nothing has happened yet that a snapshot could hold")]
    Nothing {
        /// Which shard.
        shard: ShardId,
    },
    /// The journal or the snapshot before could not be read.
    #[error("shard {shard}: cannot replay up to record {lsn}: {cause}")]
    Replay {
        /// Which shard.
        shard: ShardId,
        /// Up to which record.
        lsn: u64,
        /// Why not.
        cause: RecoverError<ImageError>,
    },
    /// A replay gives another state than the one that was served. Nothing that the live shard says
    /// can be trusted to be there after a restart.
    #[error(
        "shard {shard}: a replay up to record {lsn} gives the state {replayed:016x}, the live shard \
         has {live:016x}: what is served is not what a restart would recover"
    )]
    Differs {
        /// Which shard.
        shard: ShardId,
        /// At which record.
        lsn: u64,
        /// The live shard's hash.
        live: u64,
        /// The replay's.
        replayed: u64,
    },
    /// It could not be written.
    #[error("shard {shard}: cannot write the snapshot: {cause}")]
    Write {
        /// Which shard.
        shard: ShardId,
        /// Why not.
        cause: JournalError,
    },
    /// What was written is not what can be read.
    #[error("shard {shard}: the new snapshot cannot be read again: {cause}")]
    Read {
        /// Which shard.
        shard: ShardId,
        /// Why not.
        cause: ScanError,
    },
}

impl SnapshotError {
    /// Whether the live shard must not go on.
    pub fn is_fatal(&self) -> bool {
        matches!(self, SnapshotError::Differs { .. })
    }
}

/// Makes the snapshot of a checkpoint, whose record must be durable. `disk` is another way to the
/// live shard's directory, one that goes gently about a device that commits wait for.
pub async fn make_snapshot<D: Disk>(
    disk: D,
    journal: JournalConfig,
    checkpoint: &Checkpoint,
    created_ms: u64,
) -> Result<SnapshotFile, SnapshotError> {
    let (shard, shards, lsn) = (journal.shard, journal.shards, checkpoint.lsn);
    if lsn == 0 {
        return Err(SnapshotError::Nothing { shard });
    }
    // Reaches no output, and nobody chooses keys to collide here.
    let config = EngineConfig { shard, shards, hash_seed: checkpoint.state_hash };
    let mut rebuild = Rebuild::new(config, |_| {});
    let replayed = replay_until(&disk, journal.identity(), Lsn(lsn), &mut rebuild).await;
    replayed.map_err(|cause| SnapshotError::Replay { shard, lsn, cause })?;
    let mut engine = rebuild.into_engine();
    let (live, replayed) = (checkpoint.state_hash, engine.state_hash());
    if live != replayed {
        return Err(SnapshotError::Differs { shard, lsn, live, replayed });
    }
    for (peer, &confirmed) in engine.placement().all().zip(&checkpoint.confirmed) {
        if peer != shard {
            engine.confirm(peer, confirmed);
        }
    }
    let head = SnapshotHead {
        shard,
        shards,
        lsn: Lsn(lsn),
        state_hash: replayed,
        time_ms: engine.now_ms(),
        created_ms,
    };
    let failed = |cause| SnapshotError::Write { shard, cause };
    let mut writer = SnapshotWriter::begin(disk.clone(), head).await.map_err(failed)?;
    for piece in engine.image() {
        writer.piece(&piece).await.map_err(failed)?;
    }
    let file = writer.finish().await.map_err(failed)?;
    // Older files go because of this one, so it is read once while they are still there.
    let read = verify_snapshot(&disk, &file.name).await;
    read.map_err(|cause| SnapshotError::Read { shard, cause })?;
    Ok(file)
}

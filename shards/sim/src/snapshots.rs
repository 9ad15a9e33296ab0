//! The snapshots of one running shard: the twin of the runtime's checkpoints and of its thread beside
//! the shards. What runs is the real thing, on the shard's own disk, step by step between everything
//! else that happens there.

use engine::{ImageError, Piece};
use journal::retention::{self, Action, Applied, Inventory, RetentionPolicy};
use journal::{JournalConfig, SnapshotFile, SnapshotWriter, read_snapshot};
use money::ShardId;
use shard::{Checkpoint, Shard, SnapshotError, make_snapshot};

use crate::disk::SimDisk;
use crate::mutation::Mutation;
use crate::task::Task;

/// Where a shard's snapshots go.
pub(crate) struct Place<'a> {
    pub disk: &'a SimDisk,
    pub archive: &'a SimDisk,
    pub journal: &'a JournalConfig,
    pub policy: &'a RetentionPolicy,
    pub mutation: Option<Mutation>,
}

/// What has just ended.
pub(crate) enum Ended {
    Made(SnapshotFile),
    NotMade(SnapshotError),
    Tidied(Applied),
    /// Why files stay that nobody needs any more.
    NotTidied(String),
}

enum Job {
    Making(Task<Result<SnapshotFile, SnapshotError>>),
    Tidying(Task<Result<Applied, String>>),
}

#[derive(Default)]
pub(crate) struct Snapshots {
    /// Begins when its record is durable.
    taken: Option<Checkpoint>,
    job: Option<Job>,
}

impl Snapshots {
    /// A snapshot is wanted, of the state as it is now.
    pub fn want(&mut self, shard: &Shard<SimDisk>) {
        if self.taken.is_none() && self.job.is_none() {
            self.taken = Some(shard.checkpoint());
        }
    }

    pub fn is_making(&self) -> bool {
        matches!(self.job, Some(Job::Making(_)))
    }

    pub fn is_tidying(&self) -> bool {
        matches!(self.job, Some(Job::Tidying(_)))
    }

    pub fn is_idle(&self) -> bool {
        self.taken.is_none() && self.job.is_none()
    }

    /// Goes on as far as the disk lets it.
    pub fn poll(&mut self, shard: &Shard<SimDisk>, place: &Place, now_ms: u64) -> Option<Ended> {
        let durable = match place.mutation {
            Some(Mutation::EarlySnapshot) => u64::MAX,
            _ => shard.journal().durable().lsn().0,
        };
        if let Some(mut checkpoint) = self.taken.take_if(|checkpoint| checkpoint.lsn <= durable) {
            if place.mutation == Some(Mutation::ForgetfulSnapshot) {
                let peers = shard.engine().placement().all();
                checkpoint.confirmed = peers.map(|peer| last_sent(shard, peer)).collect();
            }
            let (disk, journal) = (place.disk.clone(), place.journal.clone());
            let forgets = place.mutation == Some(Mutation::ForgottenSessions);
            self.job = Some(Job::Making(Task::new(async move {
                let file = make_snapshot(disk.clone(), journal, &checkpoint, now_ms).await?;
                if forgets { forget_sessions(disk, file).await } else { Ok(file) }
            })));
        }
        let ended = match self.job.as_mut()? {
            Job::Making(task) => match task.poll()? {
                Ok(file) => Ended::Made(file),
                Err(error) => Ended::NotMade(error),
            },
            Job::Tidying(task) => match task.poll()? {
                Ok(applied) => Ended::Tidied(applied),
                Err(error) => Ended::NotTidied(error),
            },
        };
        self.job = None;
        Some(ended)
    }

    /// Starts to remove, recycle or archive what the snapshot has made superfluous.
    pub fn tidy(&mut self, place: &Place, now_ms: u64) {
        let (disk, archive) = (place.disk.clone(), place.archive.clone());
        let (identity, policy) = (place.journal.identity(), place.policy.clone());
        let is_greedy = place.mutation == Some(Mutation::GreedyRetention);
        self.job = Some(Job::Tidying(Task::new(async move {
            let inventory = retention::inventory(&disk, identity).await;
            let inventory = inventory.map_err(|error| error.to_string())?;
            let mut actions = retention::plan(&inventory, &policy, now_ms);
            if is_greedy {
                actions.extend(one_more(&inventory, &actions));
            }
            let applied = retention::apply(&disk, Some(&archive), &actions).await;
            applied.map_err(|error| error.to_string())
        })));
    }
}

fn last_sent(shard: &Shard<SimDisk>, peer: ShardId) -> u64 {
    match peer == shard.engine().shard() {
        true => 0,
        false => shard.engine().last_message(peer),
    }
}

/// Writes a snapshot again without one kind of its pieces.
async fn forget_sessions(disk: SimDisk, file: SnapshotFile) -> Result<SnapshotFile, SnapshotError> {
    let shard = file.head.shard;
    let mut pieces = Vec::new();
    let mut keep = |piece| {
        if !matches!(piece, Piece::Sessions(_)) {
            pieces.push(piece);
        }
        Ok::<(), ImageError>(())
    };
    let lsn = file.head.lsn.0;
    let read = read_snapshot(&disk, &file.name, None, &mut keep).await;
    read.map_err(|cause| SnapshotError::Replay { shard, lsn, cause })?;
    let failed = |cause| SnapshotError::Write { shard, cause };
    let mut writer = SnapshotWriter::begin(disk.clone(), file.head).await.map_err(failed)?;
    for piece in &pieces {
        writer.piece(piece).await.map_err(failed)?;
    }
    writer.finish().await.map_err(failed)
}

/// The removal of the segment behind those that go.
fn one_more(inventory: &Inventory, actions: &[Action]) -> Option<Action> {
    let is_segment = |action: &&Action| match action {
        Action::Archive(_) => false,
        Action::Remove(name) => name.starts_with("segment-"),
        Action::Recycle(_) => true,
    };
    let going = actions.iter().filter(is_segment).count();
    let next = inventory.segments.get(going).filter(|_| going > 0)?;
    Some(Action::Remove(format!("segment-{:010}.ringbook", next.number)))
}

//! When this shard's next snapshot is due, and handing it over.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;

use gateway::native::{SnapshotReport, SnapshotState};
use journal::JournalConfig;
use shard::{Checkpoint, Shard};

use crate::disk::DirectDisk;
use crate::snapshots::{Job, Service};

/// What a record takes in the journal, about, in bytes: to judge how much a start has replayed.
const RECORD_BYTES: u64 = 128;

/// What a shard needs to have snapshots made.
pub(crate) struct CheckpointParts {
    pub service: Arc<Service>,
    pub directory: PathBuf,
    /// Where inside an archive its files go.
    pub archive: PathBuf,
    pub journal: JournalConfig,
    /// Journal bytes between two snapshots; 0: only when asked for.
    pub every_bytes: u64,
}

/// One shard's side of its snapshots. Looked at from a timer: nothing here is urgent.
pub(crate) struct Checkpoints {
    parts: CheckpointParts,
    /// Somebody asked for one.
    wanted: Cell<bool>,
    /// Taken, and to be handed over when its record is durable.
    taken: RefCell<Option<Checkpoint>>,
    /// Handed over: how many jobs will have ended when it has.
    under_way: Cell<Option<u64>>,
    /// Journal bytes at the last checkpoint, as if all began at 0.
    bytes_before: Cell<i64>,
}

impl Checkpoints {
    pub fn new(parts: CheckpointParts, shard: &Shard<DirectDisk>) -> Checkpoints {
        // What the start has replayed is not covered by a snapshot either.
        let replayed = shard.recovery().replayed.saturating_mul(RECORD_BYTES);
        Checkpoints {
            parts,
            wanted: Cell::new(false),
            taken: RefCell::new(None),
            under_way: Cell::new(None),
            bytes_before: Cell::new(-i64::try_from(replayed).unwrap_or(i64::MAX)),
        }
    }

    /// Asks for a snapshot.
    pub fn want(&self) {
        self.wanted.set(true);
    }

    /// Goes one step further, if there is something to do.
    pub fn turn(&self, shard: &Shard<DirectDisk>) {
        let number = shard.engine().shard().0;
        if let Some(until) = self.under_way.get() {
            if self.parts.service.report(number).ended < until {
                return;
            }
            self.under_way.set(None);
        }
        if self.taken.borrow().is_none() && self.is_due(shard) {
            self.wanted.set(false);
            if shard.journal().last().0 == 0 {
                // Nothing has happened that it could hold.
                return;
            }
            self.bytes_before.set(written_bytes(shard));
            *self.taken.borrow_mut() = Some(shard.checkpoint());
        }
        let durable = shard.journal().durable().lsn().0;
        let is_durable = |checkpoint: &Checkpoint| checkpoint.lsn <= durable;
        if !self.taken.borrow().as_ref().is_some_and(is_durable) {
            return;
        }
        let Some(checkpoint) = self.taken.borrow_mut().take() else { return };
        let until = self.parts.service.report(number).ended + 1;
        let CheckpointParts { directory, archive, journal, .. } = &self.parts;
        let job = Job {
            directory: directory.clone(),
            archive: archive.clone(),
            journal: journal.clone(),
            checkpoint,
        };
        match self.parts.service.submit(job) {
            true => self.under_way.set(Some(until)),
            false => self.wanted.set(true),
        }
    }

    fn is_due(&self, shard: &Shard<DirectDisk>) -> bool {
        let every = i64::try_from(self.parts.every_bytes).unwrap_or(i64::MAX);
        let grown = written_bytes(shard).saturating_sub(self.bytes_before.get());
        self.wanted.get() || (every > 0 && grown >= every)
    }

    /// Where this shard's snapshots stand.
    pub fn report(&self, shard: &Shard<DirectDisk>) -> SnapshotReport {
        let report = self.parts.service.report(shard.engine().shard().0).clone();
        let state = match (self.under_way.get(), self.wanted.get()) {
            (Some(until), _) if report.ended < until => SnapshotState::Running,
            (_, true) => SnapshotState::Waiting,
            _ if self.taken.borrow().is_some() => SnapshotState::Waiting,
            _ => SnapshotState::Idle,
        };
        let last = report.last.as_ref().or(shard.recovery().snapshot.as_ref());
        SnapshotReport {
            state,
            made: report.made,
            lsn: last.map(|file| file.head.lsn.0),
            created_ms: last.map(|file| file.head.created_ms),
            bytes: last.map(|file| file.bytes),
            took_ms: (report.made > 0).then_some(report.took.as_millis() as u64),
            failure: report.failure,
        }
    }
}

fn written_bytes(shard: &Shard<DirectDisk>) -> i64 {
    i64::try_from(shard.journal().statistics().bytes).unwrap_or(i64::MAX)
}

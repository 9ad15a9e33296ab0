//! Snapshots and retention beside the running shards, and what they promise.

use journal::SnapshotFile;
use journal::retention::{RetentionPolicy, SegmentPolicy};
use shard::SnapshotError;

use super::World;
use super::starts::is_injected;
use crate::process::Process;
use crate::snapshots::{Ended, Place};

impl World {
    /// Somebody wants a snapshot of some shard.
    pub(super) fn want_snapshot(&mut self) {
        let at = self.random.index(self.disks.len());
        if let Process::Running(nodes) = &mut self.process {
            let node = &mut nodes[at];
            node.snapshots.want(&node.shard);
        }
    }

    /// Lets a shard's snapshot go on.
    pub(super) fn poll_snapshots(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let policy = RetentionPolicy {
            segment_bytes: self.configs[at].segment_bytes,
            ..self.settings.retention.clone()
        };
        loop {
            let Process::Running(nodes) = &mut self.process else { return };
            let node = &mut nodes[at];
            let place = Place {
                disk: &self.disks[at],
                archive: &self.archives[at],
                journal: &self.configs[at],
                policy: &policy,
                mutation: self.mutation,
            };
            let Some(ended) = node.snapshots.poll(&node.shard, &place, now_ms) else { return };
            if let Ended::Made(file) = &ended {
                node.snapshots.tidy(&place, now_ms);
                // What it removes nobody can read later.
                self.witness.follow_until(at, &self.disks[at], file.head.lsn.0);
            }
            self.note_snapshot(at, ended);
        }
    }

    /// Together with what was archived every journal is whole, from its first record on.
    pub fn check_archives(&self) {
        if self.settings.retention.segments == SegmentPolicy::Delete {
            return;
        }
        for (at, disk) in self.disks.iter().enumerate() {
            self.witness.check_whole(at, &disk.image_with(&self.archives[at]));
        }
    }

    fn note_snapshot(&mut self, at: usize, ended: Ended) {
        match ended {
            Ended::Made(file) => self.promise_snapshot(at, &file),
            Ended::NotMade(SnapshotError::Nothing { .. }) => {}
            Ended::NotMade(error) => {
                let is_fault = !error.is_fatal() && is_injected(&error.to_string());
                assert!(is_fault, "no snapshot without a fault: {error}");
                self.totals.snapshots_failed += 1;
            }
            Ended::Tidied(applied) => {
                self.totals.archived += applied.archived;
                self.totals.removed += applied.removed;
                self.totals.spared += applied.recycled;
            }
            Ended::NotTidied(error) => {
                assert!(is_injected(&error), "retention without a fault: {error}");
            }
        }
    }

    /// From now on no crash takes it.
    fn promise_snapshot(&mut self, at: usize, file: &SnapshotFile) {
        let lsn = file.head.lsn.0;
        let expected = self.hashes[at][lsn as usize - 1];
        assert_eq!(file.head.state_hash, expected, "shard {at}: {file:?}");
        // A start refuses a journal that ends before its snapshot.
        self.promised[at] = self.promised[at].max(lsn);
        self.snapshots[at] = Some(lsn);
        self.totals.snapshots += 1;
    }
}

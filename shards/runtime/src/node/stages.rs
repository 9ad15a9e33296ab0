//! Where the time of a request goes: the stamps between which its parts lie.
//!
//! The clock is read once per batch, turn, parcel and connection that is written to, never per record;
//! for a request that is alone each part begins where the one before ends. See [`telemetry::Part`].

use std::cell::{Cell, RefMut};
use std::time::Instant;

use journal::Lsn;
use money::ShardId;
use shard::{Shard, ShardError};
use telemetry::Part;

use super::node::Node;
use super::parcel::Parcel;
use crate::disk::DirectDisk;

/// The stamps of one shard.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// When the oldest record was appended that no batch has taken.
    gathering_since: Cell<Option<Instant>>,
    /// The last record that a batch has taken.
    taken: Cell<Lsn>,
    /// When that became durable which no turn has let go yet.
    durable_since: Cell<Option<Instant>>,
    /// The time of this turn, once somebody has asked for it.
    turn_at: Cell<Option<Instant>>,
}

impl Stages {
    /// Behind a recovery: everything up to this record is durable.
    pub fn new(last: Lsn) -> Stages {
        Stages { taken: Cell::new(last), ..Stages::default() }
    }

    /// The time of this turn, read at most once in it.
    fn turn_at(&self) -> Instant {
        let at = self.turn_at.get().unwrap_or_else(Instant::now);
        self.turn_at.set(Some(at));
        at
    }
}

impl Node {
    /// Applies something to the shard, and notes since when a record waits.
    pub(super) fn step(
        &self,
        apply: impl FnOnce(&mut Shard<DirectDisk>, u64) -> Result<(), ShardError>,
    ) -> Result<(), ShardError> {
        let since = self.stages.gathering_since.get().unwrap_or_else(Instant::now);
        let mut shard = self.shard.borrow_mut();
        let result = apply(&mut shard, self.clock.now_ms());
        // Not everything that is applied is a record.
        if shard.journal().last() > self.stages.taken.get() {
            self.stages.gathering_since.set(Some(since));
        }
        result
    }

    /// Since when the oldest record waits that no batch has taken; `None`: there is none.
    pub(super) fn gathering_since(&self) -> Option<Instant> {
        self.stages.gathering_since.get()
    }

    /// A batch that ends with this record goes to the disk at this moment.
    pub(super) fn batch_taken(&self, last: Lsn, at: Instant) {
        self.stages.taken.set(last);
        let Some(since) = self.stages.gathering_since.take() else { return };
        self.metrics.part_ended(Part::Gather, at.saturating_duration_since(since));
        if self.shard.borrow().journal().last() > last {
            // What found no room in the batch came later; how much later is not known.
            self.stages.gathering_since.set(Some(since));
        }
    }

    /// A batch has become durable.
    pub(super) fn batch_durable(&self, at: Instant) {
        if self.stages.durable_since.get().is_none() {
            self.stages.durable_since.set(Some(at));
        }
    }

    /// Something that waited for the disk is being let go.
    pub(super) fn letting_go(&self) {
        if let Some(since) = self.stages.durable_since.take() {
            let time = self.stages.turn_at().saturating_duration_since(since);
            self.metrics.part_ended(Part::Release, time);
        }
    }

    /// What goes to a peer at the end of the turn, to put something in.
    pub(super) fn parcel_for(&self, peer: ShardId) -> RefMut<'_, Parcel> {
        let parcels = self.parcels.borrow_mut();
        let mut parcel = RefMut::map(parcels, |parcels| &mut parcels[peer.0 as usize]);
        parcel.since.get_or_insert_with(Instant::now);
        parcel
    }

    /// A parcel that came is being taken.
    pub(super) fn parcel_taken(&self, parcel: &mut Parcel) {
        // One that found no room for all of it comes a second time.
        if let Some(since) = parcel.since.take() {
            let time = self.stages.turn_at().saturating_duration_since(since);
            self.metrics.part_ended(Part::Hop, time);
        }
    }

    /// The answers of a connection have been handed to the kernel, as far as it takes them.
    pub(super) fn answers_written(&self) {
        self.metrics.part_ended(Part::Write, self.stages.turn_at().elapsed());
    }

    /// A turn ends: the next one has a time of its own.
    pub(super) fn end_stages_of_turn(&self) {
        self.stages.turn_at.set(None);
    }
}

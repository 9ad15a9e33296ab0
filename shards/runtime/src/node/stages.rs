//! Where the time of a request goes: the stamps between which its parts lie.
//!
//! The clock is read once per batch, turn, parcel and connection that is written to, never per record;
//! for a request that is alone each part begins where the one before ends. See [`telemetry::Part`].

use std::cell::{Cell, RefMut};
use std::time::{Duration, Instant};

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

    /// Something is about to be applied: since when its record waits, if it becomes the oldest one.
    fn applying(&self) -> Instant {
        self.gathering_since.get().unwrap_or_else(Instant::now)
    }

    /// It is applied, and `last` the last record now. Not everything that is applied is a record.
    fn applied(&self, since: Instant, last: Lsn) {
        if last > self.taken.get() {
            self.gathering_since.set(Some(since));
        }
    }

    /// A batch that ends with `taken` has been taken of what goes up to `last`: how long it gathered.
    fn batch_taken(&self, taken: Lsn, last: Lsn, at: Instant) -> Option<Duration> {
        self.taken.set(taken);
        let since = self.gathering_since.get()?;
        // What found no room in the batch came later; how much later is not known.
        self.gathering_since.set((last > taken).then_some(since));
        Some(at.saturating_duration_since(since))
    }

    fn batch_durable(&self, at: Instant) {
        if self.durable_since.get().is_none() {
            self.durable_since.set(Some(at));
        }
    }

    /// Something is being let go: how long it waited for this turn, if it waited for a batch.
    fn letting_go(&self) -> Option<Duration> {
        let since = self.durable_since.take()?;
        Some(self.turn_at().saturating_duration_since(since))
    }

    /// The time of this turn, read at most once in it.
    fn turn_at(&self) -> Instant {
        let at = self.turn_at.get().unwrap_or_else(Instant::now);
        self.turn_at.set(Some(at));
        at
    }

    /// A turn begins: its time is not that of an answer given before it.
    fn begin_turn(&self) {
        self.turn_at.set(None);
    }

    /// The next turn has a time of its own; what was durable has been let go, if anything waited for it.
    fn end_turn(&self) {
        self.turn_at.set(None);
        self.durable_since.set(None);
    }
}

impl Node {
    /// Applies something to the shard, and notes since when a record waits.
    pub(super) fn step(
        &self,
        apply: impl FnOnce(&mut Shard<DirectDisk>, u64) -> Result<(), ShardError>,
    ) -> Result<(), ShardError> {
        let since = self.stages.applying();
        let mut shard = self.shard.borrow_mut();
        let result = apply(&mut shard, self.clock.now_ms());
        self.stages.applied(since, shard.journal().last());
        result
    }

    /// Since when the oldest record waits that no batch has taken; `None`: there is none.
    pub(super) fn gathering_since(&self) -> Option<Instant> {
        self.stages.gathering_since.get()
    }

    /// A batch that ends with this record goes to the disk at this moment.
    pub(super) fn batch_taken(&self, taken: Lsn, at: Instant) {
        let last = self.shard.borrow().journal().last();
        if let Some(time) = self.stages.batch_taken(taken, last, at) {
            self.metrics.part_ended(Part::Gather, time);
        }
    }

    /// A batch has become durable.
    pub(super) fn batch_durable(&self, at: Instant) {
        self.stages.batch_durable(at);
    }

    /// Something that waited for the disk is being let go.
    pub(super) fn letting_go(&self) {
        if let Some(time) = self.stages.letting_go() {
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

    /// How long ago a request came, as of this turn: what is answered in one turn has one time.
    pub(super) fn time_since(&self, since: Instant) -> Duration {
        let at = self.stages.turn_at();
        // What is answered at once has come in this turn.
        if at >= since { at.duration_since(since) } else { since.elapsed() }
    }

    /// The answers of a connection have been handed to the kernel, as far as it takes them.
    pub(super) fn answers_written(&self) {
        self.metrics.part_ended(Part::Write, self.stages.turn_at().elapsed());
    }

    /// A turn begins.
    pub(super) fn begin_stages_of_turn(&self) {
        self.stages.begin_turn();
    }

    /// A turn ends.
    pub(super) fn end_stages_of_turn(&self) {
        self.stages.end_turn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_batch_has_gathered_since_its_oldest_record_and_not_since_what_was_refused_before() {
        let (stages, start) = (Stages::new(Lsn(7)), Instant::now());
        stages.applied(start, Lsn(7));
        assert_eq!(stages.gathering_since.get(), None, "refused: no record");
        stages.applied(start + MS, Lsn(8));
        assert_eq!(stages.applying(), start + MS, "the second one joins the first");
        stages.applied(stages.applying(), Lsn(9));
        assert_eq!(stages.batch_taken(Lsn(9), Lsn(9), start + 3 * MS), Some(2 * MS));
        assert_eq!(stages.gathering_since.get(), None);
        assert_eq!(stages.batch_taken(Lsn(9), Lsn(9), start + 4 * MS), None);
    }

    #[test]
    fn what_found_no_room_in_a_batch_goes_on_gathering() {
        let (stages, start) = (Stages::new(Lsn(0)), Instant::now());
        stages.applied(start, Lsn(1));
        stages.applied(start, Lsn(2));
        assert_eq!(stages.batch_taken(Lsn(1), Lsn(2), start + MS), Some(MS));
        assert_eq!(stages.batch_taken(Lsn(2), Lsn(2), start + 2 * MS), Some(2 * MS));
        assert_eq!(stages.gathering_since.get(), None);
    }

    #[test]
    fn a_batch_that_nobody_waits_for_is_no_wait_of_the_next_one() {
        let (stages, start) = (Stages::new(Lsn(0)), Instant::now() - 50 * MS);
        stages.batch_durable(start);
        stages.end_turn();
        assert_eq!(stages.letting_go(), None);
        let later = start + 20 * MS;
        stages.batch_durable(later);
        stages.batch_durable(later + MS);
        let waited = stages.letting_go().expect("the first of both waits");
        assert_eq!(stages.turn_at() - waited, later);
        assert_eq!(stages.letting_go(), None, "told once");
    }
}

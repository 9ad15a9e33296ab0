//! A journal's owner in a few steps: append, commit, replay.

use std::convert::Infallible;

use engine::{Input, Piece};
use journal::{
    AppendError, Disk, Journal, JournalConfig, JournalError, Lsn, RecoverError, Recovery, Replay,
    SnapshotHead, block_on, recover,
};
use money::ShardId;

/// The time of every start.
pub const NOW_MS: u64 = 1_700_000_000_000;
/// Whose journal it is.
pub const SHARD: ShardId = ShardId(1);
/// Of how many.
pub const SHARDS: u16 = 3;

/// A record as it was appended or read.
pub type Record = (Lsn, u64, Input);

/// Collects what is replayed; what a snapshot holds is of no interest.
#[derive(Default)]
struct Collector {
    records: Vec<Record>,
}

impl Replay for Collector {
    type Error = Infallible;

    fn begin(&mut self, _: &SnapshotHead) {}

    fn piece(&mut self, _: Piece) -> Result<(), Infallible> {
        Ok(())
    }

    fn loaded(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn empty(&mut self) {}

    fn record(&mut self, lsn: Lsn, time_ms: u64, input: Input) -> Result<(), Infallible> {
        self.records.push((lsn, time_ms, input));
        Ok(())
    }
}

/// A journal that was opened.
pub struct Replayed<D: Disk> {
    /// Open for more.
    pub journal: Journal<D>,
    /// All that it held.
    pub records: Vec<Record>,
    /// What recovery met.
    pub report: Recovery,
}

/// Recovers and collects all records.
pub fn replay<D: Disk>(
    disk: &D,
    config: &JournalConfig,
) -> Result<Replayed<D>, RecoverError<Infallible>> {
    let mut collector = Collector::default();
    let recovered = block_on(recover(disk.clone(), config.clone(), NOW_MS, &mut collector))?;
    let (journal, report) = (recovered.journal, recovered.report);
    Ok(Replayed { journal, records: collector.records, report })
}

/// Appends a record. `false` when it is longer than this journal's batches, or too many gather.
pub fn append<D: Disk>(journal: &mut Journal<D>, time_ms: u64, input: &Input) -> bool {
    match journal.append(time_ms, input) {
        Ok(_) => true,
        Err(AppendError::Oversize { .. } | AppendError::Full) => false,
        Err(AppendError::Failed(failure)) => panic!("the disk has no faults: {failure}"),
    }
}

/// Writes what has gathered, batch after batch, making segments as needed. `after_batch` is told the
/// last record of each.
pub fn commit<D: Disk>(
    journal: &mut Journal<D>,
    mut after_batch: impl FnMut(Lsn),
) -> Result<(), JournalError> {
    loop {
        while let Some(preparation) = journal.preparation(NOW_MS) {
            let prepared = block_on(preparation.run());
            journal.complete_preparation(prepared)?;
        }
        let Some(batch) = journal.take_batch() else { return Ok(()) };
        let durable = journal.complete(block_on(batch.write()))?;
        after_batch(durable.lsn());
    }
}

//! Recovery: loads a snapshot, replays the journal behind it, cuts what a crash tore, and refuses what
//! no crash can explain.
//!
//! The writer has one batch under way at a time and syncs it before the next, so a crash can tear the
//! last batch and nothing else. That batch was never acknowledged. So everything broken is either
//! that, at the very end, or damage.
//!
//! # The decision table
//!
//! Segments, each by its name and its first block. A segment gets its name when it is whole and
//! synced, so no crash explains S1 and S3 to S6.
//!
//! | row | what is found | what it means | what is done |
//! | --- | --- | --- | --- |
//! | S1 | numbers with a gap; or the oldest left is not the first and the snapshot does not cover what is gone | a segment is missing | refuse |
//! | S2 | a file `segment-….preparing` or `spare-….preparing` | never finished, or half removed | remove it |
//! | S3 | the first block is no segment header, its checksum is wrong, or it names another segment | damage, or a renamed file | refuse |
//! | S4 | a higher format version | written by a newer ringbook | refuse |
//! | S5 | another shard, or another shard count | somebody else's file, or `--shards` changed without redistribution | refuse |
//! | S6 | the file's length is not what the header says, or none that a segment can have | a file cut off or grown | refuse |
//!
//! Batches. One is *due* at the place behind the last one; it must carry the next LSN and the hash of
//! the batch before it. A batch is *whole* when header, length and checksum agree.
//!
//! | row | what is found where a batch is due | what it means | what is done |
//! | --- | --- | --- | --- |
//! | B1 | a whole batch with this shard, segment, LSN and chain | the next batch | replay it |
//! | B2 | a whole batch of a higher format version or of another shard | as it says | refuse |
//! | B3 | a whole batch with another LSN, chain or a later segment | lost, doubled or mixed up | refuse |
//! | B4 | no whole batch, and the next segment begins with the one that is due | the writer went on to the next segment | go on there |
//! | B5 | no whole batch, and behind it, in this segment or a later one, at any block, there is one | damage: the later one was written after this was synced | refuse |
//! | B6 | no whole batch, and none behind it | zeros: the end. Anything else: a torn batch, or left over in a recycled file | cut here, erase |
//! | B7 | a record in a whole batch that its type does not allow | written by something else | refuse |
//!
//! Snapshots, each by its name and every byte of it. A snapshot gets its name when it is whole and
//! synced, and when every record that it covers is durable in the journal, so no crash explains N2 to
//! N6, N8, N9 and N11. The newest is tried first.
//!
//! | row | what is found | what it means | what is done |
//! | --- | --- | --- | --- |
//! | N1 | a file `snapshot-….preparing` | a snapshot that was never finished | remove it |
//! | N2 | a header, a frame, an end or a length that is not as it was written, or a file under another record's name | damage, or a renamed file | report it, and go on with the next older snapshot, or with nothing from the first segment on |
//! | N3 | a higher format version | written by a newer ringbook | refuse |
//! | N4 | another shard, or another shard count | as S5 | refuse |
//! | N5 | N2, and the segments behind an older snapshot are not all there | there is no other way to the state | refuse, naming the damaged one |
//! | N6 | the journal ends before the record of the newest snapshot, damaged or not | the journal has lost its end | refuse |
//! | N7 | a snapshot of record 0, and no segments | a redistribution made it, nothing happened since | begin a new journal with it |
//! | N8 | a snapshot of a later record, and no segments | the journal is lost | refuse |
//! | N9 | a first segment that began with another snapshot of record 0 than the one that is here, or with one and none is here, or with nothing and one is here; and no later snapshot | the first record would be applied to the wrong state | refuse |
//! | N10 | no snapshot, and the first segment or none at all | nothing was ever dropped | start from nothing |
//! | N11 | a whole piece, or whole image, that the engine refuses | written by something else | refuse |
//!
//! The walk over the batches starts with the last segment whose first batch holds no later record
//! than the one behind the snapshot; the segments before it are not read. That batch's number and
//! chain are taken at their word, unless it is the first of the journal.
//!
//! A whole last batch is kept even if its sync never returned: nobody was told, but nobody may have
//! been told otherwise either. It becomes durable before recovery returns. *Erase* writes zeros over
//! the reach of one batch behind the cut, in the last segment and in those that stand ready, so that
//! the remains can never stand behind a new, shorter batch.
//!
//! In a recycled file the end of the journal is followed by what another segment left. It is erased
//! without a word, unless it begins as a batch of this segment: so a torn batch whose very first sector
//! is lost is cut there without being told.
//!
//! What the table cannot tell apart: damage to the very last batch looks like a torn write, so it is
//! cut (and reported, see [`Recovery::cut`]). Whoever remembers a later number can notice: a snapshot
//! (N6), or a peer that was told one; beyond that this crate cannot.

use std::collections::VecDeque;

use crate::choose::{DamagedSnapshot, Start, load};
use crate::config::JournalConfig;
use crate::disk::{BLOCK_BYTES, Disk, DiskFile};
use crate::error::{JournalError, RecoverError, ScanError};
use crate::format::{BatchHeader, FORMAT_VERSION, GENESIS_CHAIN, Lsn, SegmentHeader};
use crate::replay::Replay;
use crate::scan::{BrokenBatch, Identity, Tail, Walk, remains, split_at_tail};
use crate::segment::{self, FIRST_NUMBER, Preparation, Segment, fill_with_zeros};
use crate::snapshot::{self, SnapshotFile};
use crate::writer::{Journal, Position};

/// A journal that is open for writing, and how it came to be.
pub struct Recovered<D: Disk> {
    /// The journal, behind its last record.
    pub journal: Journal<D>,
    /// What recovery met.
    pub report: Recovery,
}

/// What recovery met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The last record; 0 for an empty journal.
    pub last: Lsn,
    /// The snapshot that it started from, if there was one.
    pub snapshot: Option<SnapshotFile>,
    /// Newer snapshots that could not be used. Somebody should look at the disk.
    pub damaged_snapshots: Vec<DamagedSnapshot>,
    /// Records replayed: those behind the snapshot.
    pub replayed: u64,
    /// Batches read.
    pub batches: u64,
    /// Segments found, those that the snapshot covers included.
    pub segments: u64,
    /// Segments and snapshots removed because they were never finished.
    pub unfinished: u64,
    /// The torn end that was cut, if there was one.
    pub cut: Option<Cut>,
}

/// A torn end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In which file.
    pub file: String,
    /// From which offset.
    pub offset: u64,
    /// How many bytes from there were erased.
    pub length_bytes: u64,
    /// What stood where the next batch was due.
    pub why: &'static str,
}

/// Opens a shard's journal: loads the newest usable snapshot, replays all records behind it, and gives
/// back the journal, ready to append. An empty directory becomes a new journal. See the module's table
/// for what is cut and what is refused. Everything replayed is durable when this returns.
///
/// [`Replay`]'s methods run to their end between two reads, so this is for the start of a shard.
pub async fn recover<D: Disk, R: Replay>(
    disk: D,
    config: JournalConfig,
    now_ms: u64,
    replay: &mut R,
) -> Result<Recovered<D>, RecoverError<R::Error>> {
    config.check()?;
    let unfinished = remove_unfinished(&disk).await?;
    let start = load(&disk, config.identity(), Lsn(u64::MAX), replay).await?;
    let after = start.after();
    let Start { walk, snapshot, needed, damaged } = start;
    let mut report =
        Recovery { unfinished, damaged_snapshots: damaged, last: after, ..Recovery::default() };
    let Some(mut walk) = walk else {
        // N7 and N10.
        let beginning = snapshot.as_ref().map_or(0, SnapshotFile::beginning);
        report.snapshot = snapshot;
        let journal = begin(disk, config, beginning, now_ms).await?;
        return Ok(Recovered { journal, report });
    };
    report.snapshot = snapshot;
    report.segments = walk.found() as u64;
    while let Some(batch) = walk.next().await? {
        report.batches += 1;
        batch.records_within(after, Lsn(u64::MAX), |lsn, time_ms, _, input| {
            report.replayed += 1;
            let applied = replay.record(lsn, time_ms, input);
            applied.map_err(|cause| RecoverError::Replay { lsn, cause })
        })?;
    }
    let tail = tail_behind(&walk, needed)?;
    report.last = tail.last;
    report.cut = settle(&disk, walk.segments(), &tail).await?;
    let Some((current, ready)) = split_at_tail(walk.into_segments(), &tail) else {
        return Err(ScanError::Empty.into());
    };
    let Tail { offset, chain, last, .. } = tail;
    let position = Position { current, offset, chain, last, ready };
    Ok(Recovered { journal: Journal::new(disk, config, position), report })
}

/// Brings a state up to record `until`, which must be durable, and returns the last record of it. For
/// a journal that a running server may still be appending to: writes nothing, and reads no batch
/// behind the one with that record (only the start of each later segment, to find the first to read).
///
/// Uses the newest usable snapshot of `until` or an earlier record; damaged ones are passed over, as
/// they are at a start, whose report tells of them.
pub async fn replay_until<D: Disk, R: Replay>(
    disk: &D,
    identity: Identity,
    until: Lsn,
    replay: &mut R,
) -> Result<Lsn, RecoverError<R::Error>> {
    let start = load(disk, identity, until, replay).await?;
    let mut last = start.after();
    if last == until {
        return Ok(last);
    }
    let mut walk = start.walk.ok_or(ScanError::Empty)?;
    while last < until {
        let Some(batch) = walk.next().await? else { break };
        batch.records_within(last, until, |lsn, time_ms, _, input| {
            let applied = replay.record(lsn, time_ms, input);
            applied.map_err(|cause| RecoverError::Replay { lsn, cause })
        })?;
        last = last.max(batch.last_lsn().min(until));
    }
    if last < until {
        tail_behind(&walk, until)?;
    }
    Ok(last)
}

/// Row N6: the end of a journal that was read to its end, if that is not before `needed`.
fn tail_behind<D: Disk>(walk: &Walk<D>, needed: Lsn) -> Result<Tail, ScanError> {
    // Row S1: there is no batch to tell the number of the next one.
    let missing = || ScanError::MissingSegment { file: walk.name_before() };
    let tail = walk.tail().ok_or_else(missing)?;
    if tail.last < needed {
        let file = walk.segments()[tail.index].name.clone();
        let (offset, last, after) = (tail.offset, tail.last, needed);
        return Err(ScanError::Behind { file, offset, last, after });
    }
    Ok(tail)
}

/// Rows S2 and N1.
async fn remove_unfinished<D: Disk>(disk: &D) -> Result<u64, JournalError> {
    let listed = disk.list().await;
    let names = listed.map_err(|cause| JournalError::new("list", "", 0, cause))?;
    let mut removed = 0;
    for name in &names {
        if segment::is_unfinished(name) || snapshot::is_unfinished(name) {
            let result = disk.remove(name).await;
            result.map_err(|cause| JournalError::new("remove", name, 0, cause))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A new journal with its first segment.
async fn begin<D: Disk>(
    disk: D,
    config: JournalConfig,
    beginning: u64,
    now_ms: u64,
) -> Result<Journal<D>, JournalError> {
    let header = SegmentHeader {
        version: FORMAT_VERSION,
        shard: config.shard,
        shards: config.shards,
        number: FIRST_NUMBER,
        length_bytes: config.first_segment_bytes,
        created_ms: now_ms,
        beginning,
        is_recycled: false,
    };
    let current = Preparation { disk: disk.clone(), header }.run().await.result?;
    let position = Position {
        current,
        offset: BLOCK_BYTES as u64,
        chain: GENESIS_CHAIN,
        last: Lsn(0),
        ready: Default::default(),
    };
    Ok(Journal::new(disk, config, position))
}

/// Row B6: erases what a torn batch left, and makes durable what was replayed. A server that was
/// killed, not its machine, leaves bytes and names that a power cut could still take back.
async fn settle<D: Disk>(
    disk: &D,
    segments: &VecDeque<Segment<D::File>>,
    tail: &Tail,
) -> Result<Option<Cut>, JournalError> {
    let mut cut = None;
    for (index, segment) in segments.iter().enumerate().skip(tail.index) {
        let due = if index == tail.index { tail.offset } else { BLOCK_BYTES as u64 };
        if let Some((start, end)) = remains(segment, due).await? {
            // Before it is gone.
            let is_told = !segment.is_recycled || begins_here(segment, due).await?;
            fill_with_zeros(disk, &segment.file, &segment.name, start, end).await?;
            let (file, length_bytes) = (segment.name.clone(), end - due);
            let why = if index == tail.index { tail.why } else { BrokenBatch::End };
            if let Some(why) = torn(why).filter(|_| is_told) {
                cut = cut.or(Some(Cut { file, offset: due, length_bytes, why }));
            }
        }
        let synced = segment.file.sync().await;
        synced.map_err(|cause| JournalError::new("sync", &segment.name, 0, cause))?;
    }
    let synced = disk.sync_directory().await;
    synced.map_err(|cause| JournalError::new("sync directory of", "the journal", 0, cause))?;
    Ok(cut)
}

/// Whether what stands at a place begins as a batch of this segment does. In a recycled file anything
/// else may be what another segment left there.
async fn begins_here<F: DiskFile>(segment: &Segment<F>, offset: u64) -> Result<bool, JournalError> {
    let read = segment.file.read_at(offset, BLOCK_BYTES).await;
    let block = read.map_err(|cause| JournalError::new("read", &segment.name, offset, cause))?;
    let header = BatchHeader::read(&block);
    Ok(header.is_some_and(|header| header.segment == segment.number))
}

/// How to call what was erased; `None` for what was no torn batch.
fn torn(why: BrokenBatch) -> Option<&'static str> {
    Some(match why {
        BrokenBatch::End => "torn first batch of a segment",
        BrokenBatch::Zeros => "torn batch without its first block",
        BrokenBatch::NoHeader => "torn batch without its header",
        BrokenBatch::Length => "torn batch header",
        BrokenBatch::Checksum => "torn batch",
        BrokenBatch::Stale(_) => return None,
    })
}

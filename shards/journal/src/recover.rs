//! Recovery: replays a journal, cuts what a crash tore, and refuses what no crash can explain.
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
//! | S1 | numbers with a gap; or the oldest left is not the first and no snapshot covers what is gone | a segment is missing | refuse |
//! | S2 | a file `segment-….preparing` | a segment that was never finished | remove it |
//! | S3 | the first block is no segment header, its checksum is wrong, or it names another segment | damage, or a renamed file | refuse |
//! | S4 | a higher format version | written by a newer ringbook | refuse |
//! | S5 | another shard, or another shard count | somebody else's file, or `--shards` changed without redistribution | refuse |
//! | S6 | the file's length is not what the header says | a file cut off or grown | refuse |
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
//! A whole last batch is kept even if its sync never returned: nobody was told, but nobody may have
//! been told otherwise either. It becomes durable before recovery returns. *Erase* writes zeros over
//! the reach of one batch behind the cut, in the last segment and in those that stand ready, so that
//! the remains can never stand behind a new, shorter batch.
//!
//! What the table cannot tell apart: damage to the very last batch looks like a torn write, so it is
//! cut (and reported, see [`Recovery::cut`]). Whoever remembers a later number, such as a peer that was
//! told one or a snapshot, can notice; this crate cannot.

use engine::Input;

use crate::config::JournalConfig;
use crate::disk::{BLOCK_BYTES, Disk, DiskFile};
use crate::error::{JournalError, RecoverError, ScanError};
use crate::format::{FORMAT_VERSION, GENESIS_CHAIN, Lsn, SegmentHeader};
use crate::scan::{BrokenBatch, Identity, Tail, Walk, remains, split_at_tail};
use crate::segment::{
    FIRST_NUMBER, Preparation, Segment, fill_with_zeros, is_unfinished, segment_name,
};
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
    /// Records handed to the callback.
    pub replayed: u64,
    /// Batches read.
    pub batches: u64,
    /// Segments found.
    pub segments: u64,
    /// Segments removed because they were never finished.
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

/// Opens a shard's journal: replays all records behind `after` (0 for all; otherwise the last record
/// that a snapshot covers) through `on_record(lsn, time_ms, input)`, and gives back the journal, ready
/// to append. An empty directory becomes a new journal. See the module's table for what is cut and
/// what is refused. Everything replayed is durable when this returns.
///
/// The callback runs to its end between two reads, so this is for the start of a shard.
pub async fn recover<D: Disk, E>(
    disk: D,
    config: JournalConfig,
    after: Lsn,
    now_ms: u64,
    mut on_record: impl FnMut(Lsn, u64, Input) -> Result<(), E>,
) -> Result<Recovered<D>, RecoverError<E>> {
    config.check()?;
    let mut report =
        Recovery { unfinished: remove_unfinished(&disk).await?, ..Recovery::default() };
    let identity = Identity { shard: config.shard, shards: config.shards };
    let Some(mut walk) = Walk::open(&disk, Some(identity)).await? else {
        let journal = begin(disk, config, after, now_ms).await?;
        return Ok(Recovered { journal, report });
    };
    report.segments = walk.segments().len() as u64;
    let oldest = walk.segments()[0].number;
    while let Some(batch) = walk.next().await? {
        // S1, for the segments before the oldest.
        if report.batches == 0 && batch.first_lsn > after.next() {
            return Err(ScanError::MissingSegment { file: segment_name(oldest - 1) }.into());
        }
        report.batches += 1;
        batch.each_record(|lsn, time_ms, _, input| {
            if lsn <= after {
                return Ok(());
            }
            report.replayed += 1;
            on_record(lsn, time_ms, input).map_err(|cause| RecoverError::Replay { lsn, cause })
        })?;
    }
    let Some(tail) = walk.tail() else {
        return Err(ScanError::MissingSegment { file: segment_name(oldest - 1) }.into());
    };
    if tail.last < after {
        let file = walk.segments()[tail.index].name.clone();
        let (offset, last) = (tail.offset, tail.last);
        return Err(ScanError::Behind { file, offset, last, after }.into());
    }
    report.last = tail.last;
    report.cut = settle(&disk, walk.segments(), &tail).await?;
    let Some((current, ready)) = split_at_tail(walk.into_segments(), &tail) else {
        return Err(ScanError::Empty.into());
    };
    let Tail { offset, chain, last, .. } = tail;
    let position = Position { current, offset, chain, last, ready };
    Ok(Recovered { journal: Journal::new(disk, config, position), report })
}

/// Row S2.
async fn remove_unfinished<D: Disk>(disk: &D) -> Result<u64, JournalError> {
    let listed = disk.list().await;
    let names = listed.map_err(|cause| JournalError::new("list", "", 0, cause))?;
    let mut removed = 0;
    for name in names.iter().filter(|name| is_unfinished(name)) {
        let result = disk.remove(name).await;
        result.map_err(|cause| JournalError::new("remove", name, 0, cause))?;
        removed += 1;
    }
    Ok(removed)
}

/// A new journal with its first segment.
async fn begin<D: Disk, E>(
    disk: D,
    config: JournalConfig,
    after: Lsn,
    now_ms: u64,
) -> Result<Journal<D>, RecoverError<E>> {
    if after > Lsn(0) {
        return Err(ScanError::MissingSegment { file: segment_name(FIRST_NUMBER) }.into());
    }
    let header = SegmentHeader {
        version: FORMAT_VERSION,
        shard: config.shard,
        shards: config.shards,
        number: FIRST_NUMBER,
        length_bytes: config.first_segment_bytes,
        created_ms: now_ms,
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
    segments: &[Segment<D::File>],
    tail: &Tail,
) -> Result<Option<Cut>, JournalError> {
    let mut cut = None;
    for (index, segment) in segments.iter().enumerate().skip(tail.index) {
        let due = if index == tail.index { tail.offset } else { BLOCK_BYTES as u64 };
        if let Some((start, end)) = remains(segment, due).await? {
            fill_with_zeros(disk, &segment.file, &segment.name, start, end).await?;
            let (file, length_bytes) = (segment.name.clone(), end - due);
            let why = if index == tail.index { tail.why } else { BrokenBatch::End };
            if let Some(why) = torn(why) {
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

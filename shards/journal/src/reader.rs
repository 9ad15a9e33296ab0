//! Reading a journal without touching it: for `ringbook journal dump` and `verify`, and for the
//! replayer that writes snapshots.
//!
//! A reader may watch the journal of a running server. It sees the segments that were there when it
//! opened, and ends where the last whole batch ended when it got there.

use std::collections::VecDeque;
use std::path::Path;

use engine::Input;
use money::ShardId;

use crate::disk::Disk;
use crate::error::ScanError;
use crate::format::Lsn;
use crate::scan::{BrokenBatch, Walk};
use crate::std_disk::{StdDisk, block_on};

/// One record, and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number.
    pub lsn: Lsn,
    /// When its shard applied it, in ms since the epoch.
    pub time_ms: u64,
    /// Number of its segment.
    pub segment: u64,
    /// Offset of its frame in the segment's file, in bytes.
    pub offset: u64,
    /// The input.
    pub input: Input,
}

/// What a journal holds, as far as it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub shard: ShardId,
    /// Under how many shards it was written.
    pub shards: u16,
    /// Segments, those that stand ready included.
    pub segments: u64,
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// The first record; 0 when there is none.
    pub first: Lsn,
    /// The last record; 0 when there is none.
    pub last: Lsn,
    /// The file in which the records end.
    pub end_file: String,
    /// Where in it.
    pub end_offset: u64,
    /// Whether something stands there that is no whole batch: a torn write, which the next start
    /// cuts, or a write that a running server has under way.
    pub torn: bool,
}

/// Reads all records of a journal in order, and writes nothing.
pub struct Reader<D: Disk> {
    walk: Walk<D>,
    entries: VecDeque<Entry>,
    batches: u64,
    records: u64,
    first: Lsn,
    last: Lsn,
}

impl<D: Disk> Reader<D> {
    /// Opens the journal in this directory, whichever shard's it is.
    pub async fn open(disk: &D) -> Result<Reader<D>, ScanError> {
        let walk = Walk::open(disk, None).await?.ok_or(ScanError::Empty)?;
        let entries = VecDeque::new();
        Ok(Reader { walk, entries, batches: 0, records: 0, first: Lsn(0), last: Lsn(0) })
    }

    /// Whose journal it is.
    pub fn shard(&self) -> ShardId {
        self.walk.identity().shard
    }

    /// Under how many shards it was written.
    pub fn shards(&self) -> u16 {
        self.walk.identity().shards
    }

    /// The next record, or `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<Entry>, ScanError> {
        while self.entries.is_empty() {
            let Some(batch) = self.walk.next().await? else { return Ok(None) };
            let (segment, entries) = (batch.segment, &mut self.entries);
            batch.each_record(|lsn, time_ms, offset, input| {
                entries.push_back(Entry { lsn, time_ms, segment, offset, input });
                Ok::<(), ScanError>(())
            })?;
            self.batches += 1;
        }
        let entry = self.entries.pop_front();
        if let Some(entry) = &entry {
            self.records += 1;
            self.last = entry.lsn;
            if self.first == Lsn(0) {
                self.first = entry.lsn;
            }
        }
        Ok(entry)
    }

    /// What has been read so far, and where that ends.
    pub fn summary(&self) -> Verified {
        let tail = self.walk.tail();
        let index = tail.map_or(0, |tail| tail.index);
        let why = tail.map_or(BrokenBatch::Zeros, |tail| tail.why);
        Verified {
            shard: self.shard(),
            shards: self.shards(),
            segments: self.walk.segments().len() as u64,
            batches: self.batches,
            records: self.records,
            first: self.first,
            last: self.last,
            end_file: self.walk.segments()[index].name.clone(),
            end_offset: tail.map_or(0, |tail| tail.offset),
            torn: why.is_damage(),
        }
    }
}

/// Reads a whole journal and says what it holds; an error names what is damaged.
pub async fn verify<D: Disk>(disk: &D) -> Result<Verified, ScanError> {
    let mut reader = Reader::open(disk).await?;
    while reader.next().await?.is_some() {}
    Ok(reader.summary())
}

/// The records of a journal directory, for a program without an executor.
pub fn entries(directory: &Path) -> Result<Entries, ScanError> {
    let reader = block_on(Reader::open(&StdDisk::read_only(directory)))?;
    Ok(Entries { reader, failed: false })
}

/// Iterates over the records of a directory; ends after the first error.
pub struct Entries {
    reader: Reader<StdDisk>,
    failed: bool,
}

impl Entries {
    /// What has been read so far, and where that ends.
    pub fn summary(&self) -> Verified {
        self.reader.summary()
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = block_on(self.reader.next());
        self.failed = next.is_err();
        next.transpose()
    }
}

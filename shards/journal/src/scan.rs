//! Reading a journal from end to end: what recovery and the tools share.
//!
//! The rows named here (S1, B2, …) are those of the decision table in [`recover`](mod@crate::recover).
//! Nothing in this module writes.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use engine::Input;
use money::ShardId;

use crate::disk::{BLOCK_BYTES, Disk, DiskFile};
use crate::error::{JournalError, ScanError};
use crate::format::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, FORMAT_VERSION, FRAME_HEADER_BYTES,
    FRAME_TIME_OFFSET, GENESIS_CHAIN, Lsn, MAX_BATCH_BYTES, SegmentHeader, chain_of, read_u64,
};
use crate::record::{Frame, decode};
use crate::segment::{FIRST_NUMBER, Segment, segment_name, segment_number};

/// How much is read at once, in bytes.
const READ_CHUNK_BYTES: usize = 2 << 20;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// Why the bytes at some place are no whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenBatch {
    /// The segment has no block left.
    #[error("end of the segment")]
    End,
    /// All zeros: never written.
    #[error("zeros")]
    Zeros,
    /// Something else than a batch header.
    #[error("no batch header")]
    NoHeader,
    /// A header whose length cannot be.
    #[error("impossible length")]
    Length,
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// From an earlier life of a recycled file.
    #[error("left over from segment {0}")]
    Stale(u64),
}

impl BrokenBatch {
    /// Whether something was written there that is no whole batch, as opposed to nothing.
    pub(crate) fn is_damage(self) -> bool {
        matches!(self, BrokenBatch::NoHeader | BrokenBatch::Length | BrokenBatch::Checksum)
    }
}

/// What stands at a place.
enum Judged {
    Whole(BatchHeader),
    Broken(BrokenBatch),
}

/// One chunk of a file, kept so that the many small looks at it cost one read.
struct Window {
    /// How much is read at once, in bytes.
    chunk_bytes: usize,
    segment: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn new(chunk_bytes: usize) -> Window {
        Window { chunk_bytes, segment: 0, offset: 0, bytes: Vec::new() }
    }

    fn forget(&mut self) {
        self.bytes.clear();
    }

    /// Bytes of a segment; fewer only at the end of the file.
    async fn read<F: DiskFile>(
        &mut self,
        segment: &Segment<F>,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], JournalError> {
        let end = offset + length as u64;
        let held = self.offset..self.offset + self.bytes.len() as u64;
        if self.segment != segment.number || offset < held.start || end > held.end {
            let left = segment.length_bytes.saturating_sub(offset);
            let chunk = (self.chunk_bytes.max(length) as u64).min(left) as usize;
            let failed = |cause| JournalError::new("read", &segment.name, offset, cause);
            let bytes = segment.file.read_at(offset, chunk).await.map_err(failed)?;
            if bytes.len() < length {
                let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter");
                return Err(failed(cause));
            }
            (self.segment, self.offset, self.bytes) = (segment.number, offset, bytes);
        }
        let start = (offset - self.offset) as usize;
        Ok(&self.bytes[start..start + length])
    }
}

/// Who a journal or a snapshot should belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub shard: ShardId,
    /// Of how many.
    pub shards: u16,
}

/// A walk over all batches of a journal, in order.
pub(crate) struct Walk<D: Disk> {
    segments: VecDeque<Segment<D::File>>,
    /// How many segments there are, those before the start of the walk included.
    found: usize,
    identity: Identity,
    window: Window,
    /// Where the next batch is looked for: index in `segments`, and offset.
    index: usize,
    offset: u64,
    /// What the next batch must say. `None` before the first batch of a walk that does not start with
    /// the first segment: that one is taken at its word.
    expected: Option<(Lsn, u64)>,
    /// The first record of the first segment, if [`Walk::open_behind`] found a whole batch there.
    first: Option<Lsn>,
    why: BrokenBatch,
}

/// A whole batch, checked, in the place where it is due.
pub(crate) struct WholeBatch<'a> {
    pub segment: u64,
    pub file: &'a str,
    pub offset: u64,
    pub first_lsn: Lsn,
    pub count: u32,
    records: &'a [u8],
}

/// The end of the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub index: usize,
    pub offset: u64,
    pub chain: u64,
    pub last: Lsn,
    pub why: BrokenBatch,
}

impl<D: Disk> Walk<D> {
    /// Opens all segments and checks their names and headers: rows S1 to S6. `None` when there are
    /// none.
    pub async fn open(disk: &D, identity: Option<Identity>) -> Result<Option<Walk<D>>, ScanError> {
        let numbers = segment_numbers(disk).await?;
        let mut identity = identity;
        let mut segments = Vec::with_capacity(numbers.len());
        for &number in &numbers {
            segments.push(open_segment(disk, number, &mut identity).await?);
        }
        let Some(identity) = identity.filter(|_| !segments.is_empty()) else { return Ok(None) };
        Ok(Some(Walk::new(identity, numbers.len(), segments.into(), None)))
    }

    /// As [`Walk::open`], but starts with the last segment whose first batch holds no later record
    /// than the one behind `lsn`. The segments before it are not opened. When there is no such
    /// segment it starts with the oldest, and [`Walk::reaches`] says no.
    pub async fn open_behind(
        disk: &D,
        identity: Identity,
        lsn: Lsn,
    ) -> Result<Option<Walk<D>>, ScanError> {
        let numbers = segment_numbers(disk).await?;
        let mut segments = VecDeque::new();
        let mut first = None;
        for &number in numbers.iter().rev() {
            let (segment, found) = look_into(disk, number, identity).await?;
            segments.push_front(segment);
            first = found.map(|(first, _)| first);
            if first.is_some_and(|first| first <= lsn.next()) {
                break;
            }
        }
        let found = numbers.len();
        Ok((found > 0).then(|| Walk::new(identity, found, segments, first)))
    }

    fn new(
        identity: Identity,
        found: usize,
        segments: VecDeque<Segment<D::File>>,
        first: Option<Lsn>,
    ) -> Walk<D> {
        let number = segments.front().map(|segment| segment.number);
        let expected = (number == Some(FIRST_NUMBER)).then_some((Lsn(1), GENESIS_CHAIN));
        Walk {
            segments,
            found,
            identity,
            window: Window::new(READ_CHUNK_BYTES),
            index: 0,
            offset: BLOCK,
            expected,
            first,
            why: BrokenBatch::Zeros,
        }
    }

    /// Whether the record behind `lsn` is there, or would be the next one. For before the first
    /// [`Walk::next`].
    ///
    /// What [`Walk::open_behind`] saw holds, and is not looked at again: beside a running server that
    /// batch may be under way, and the next read need not find the same sectors of it.
    pub async fn reaches(&mut self, lsn: Lsn) -> Result<bool, ScanError> {
        if self.expected.is_some() || self.first.is_some_and(|first| first <= lsn.next()) {
            return Ok(true);
        }
        Ok(self.find_next().await?.is_some_and(|header| header.first_lsn <= lsn.next()))
    }

    /// What the first segment says the journal began with; `None` when the walk starts behind it.
    pub fn beginning(&self) -> Option<u64> {
        let first = self.segments.front().filter(|segment| segment.number == FIRST_NUMBER);
        first.map(|segment| segment.beginning)
    }

    /// How many segments there are, those before the start of the walk included.
    pub fn found(&self) -> usize {
        self.found
    }

    /// Name of the last segment before the start of the walk, whether it is there or not.
    pub fn name_before(&self) -> String {
        let first = self.segments.front().map_or(FIRST_NUMBER, |segment| segment.number);
        segment_name(first.saturating_sub(1).max(FIRST_NUMBER))
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    pub fn segments(&self) -> &VecDeque<Segment<D::File>> {
        &self.segments
    }

    pub fn into_segments(self) -> VecDeque<Segment<D::File>> {
        self.segments
    }

    /// The next batch, or `None` at the end of the journal.
    pub async fn next(&mut self) -> Result<Option<WholeBatch<'_>>, ScanError> {
        let Some(header) = self.find_next().await? else { return Ok(None) };
        let segment = &self.segments[self.index];
        let (file, offset) = (segment.name.as_str(), self.offset);
        let blocks = self.window.read(segment, offset, header.padded_bytes()).await?;
        let next_lsn = Lsn(header.first_lsn.0 + u64::from(header.count));
        self.expected = Some((next_lsn, chain_of(blocks)));
        self.offset += blocks.len() as u64;
        Ok(Some(WholeBatch {
            segment: segment.number,
            file,
            offset,
            first_lsn: header.first_lsn,
            count: header.count,
            records: &blocks[BATCH_HEADER_BYTES..header.length_bytes as usize],
        }))
    }

    /// Where the journal ends. For after [`Walk::next`] answered `None`; itself `None` when the
    /// beginning was archived and no batch is left to tell the number of the next one.
    pub fn tail(&self) -> Option<Tail> {
        let (next, chain) = self.expected?;
        let last = Lsn(next.0 - 1);
        Some(Tail { index: self.index, offset: self.offset, chain, last, why: self.why })
    }

    /// Finds the place of the next batch and moves there.
    async fn find_next(&mut self) -> Result<Option<BatchHeader>, ScanError> {
        let mut looked_twice = false;
        loop {
            match self.judge(self.index, self.offset).await? {
                // B1, or B2 and B3: whole, but not due here.
                Judged::Whole(header) => {
                    self.check_due(&header)?;
                    return Ok(Some(header));
                }
                Judged::Broken(why) => self.why = why,
            }
            // B4: the writer went on to the next segment.
            if let Some(header) = self.starts_next_segment().await? {
                (self.index, self.offset) = (self.index + 1, BLOCK);
                return Ok(Some(header));
            }
            // B6: the end, unless something whole follows.
            let Some((index, offset, lsn)) = self.find_later().await? else { return Ok(None) };
            // A tool may watch a running server, whose write completed between the two looks.
            if !looked_twice {
                looked_twice = true;
                self.window.forget();
                continue;
            }
            // B5.
            let (suspect, place, why) = self.suspect().await?;
            return Err(ScanError::Damaged {
                file: self.segments[suspect].name.clone(),
                offset: place,
                why,
                later_file: self.segments[index].name.clone(),
                later_offset: offset,
                later_lsn: lsn,
            });
        }
    }

    /// Whether the next segment begins with the batch that is due.
    async fn starts_next_segment(&mut self) -> Result<Option<BatchHeader>, ScanError> {
        if self.index + 1 == self.segments.len() {
            return Ok(None);
        }
        let Judged::Whole(header) = self.judge(self.index + 1, BLOCK).await? else {
            return Ok(None);
        };
        let due = self.expected == Some((header.first_lsn, header.chain))
            && header.segment == self.segments[self.index + 1].number
            && header.shard == self.identity.shard
            && header.version == FORMAT_VERSION;
        Ok(due.then_some(header))
    }

    /// Which place row B5 names: the next batch may have been due at the start of the next segment,
    /// and bytes that are broken there say more than a place never written.
    async fn suspect(&mut self) -> Result<(usize, u64, BrokenBatch), ScanError> {
        let here = (self.index, self.offset, self.why);
        if self.why.is_damage() || self.index + 1 == self.segments.len() {
            return Ok(here);
        }
        match self.judge(self.index + 1, BLOCK).await? {
            Judged::Broken(why) if why.is_damage() || self.why == BrokenBatch::End => {
                Ok((self.index + 1, BLOCK, why))
            }
            _ => Ok(here),
        }
    }

    /// Rows B2 and B3.
    fn check_due(&self, header: &BatchHeader) -> Result<(), ScanError> {
        let segment = &self.segments[self.index];
        let (file, offset) = (segment.name.clone(), self.offset);
        if header.version != FORMAT_VERSION {
            return Err(ScanError::NewerFormat { file, offset, version: header.version });
        }
        if header.shard != self.identity.shard {
            let (found, expected) = (header.shard.0, self.identity.shard.0);
            return Err(ScanError::ForeignShard { file, offset, found, expected });
        }
        let found = header.first_lsn;
        let (lsn, chain) = self.expected.unwrap_or((found, header.chain));
        let why = if header.segment != segment.number {
            "batch of a later segment"
        } else if found != lsn {
            "batch out of sequence"
        } else if header.chain != chain {
            "batch does not follow the one before it"
        } else if header.count == 0 || found.0.checked_add(u64::from(header.count)).is_none() {
            "batch with an impossible count"
        } else {
            return Ok(());
        };
        Err(ScanError::OutOfOrder { file, offset, why, found, expected: lsn })
    }

    /// The first whole batch anywhere behind the place where one is due but none is. Its length not
    /// being known, every later block is looked at.
    async fn find_later(&mut self) -> Result<Option<(usize, u64, Lsn)>, ScanError> {
        for index in self.index..self.segments.len() {
            let start = if index == self.index { self.offset + BLOCK } else { BLOCK };
            let mut offset = start;
            while offset + BLOCK <= self.segments[index].length_bytes {
                let segment = &self.segments[index];
                let block = self.window.read(segment, offset, BLOCK_BYTES).await?;
                if block[..8] == BATCH_MAGIC
                    && let Judged::Whole(header) = self.judge(index, offset).await?
                {
                    return Ok(Some((index, offset, header.first_lsn)));
                }
                offset += BLOCK;
            }
        }
        Ok(None)
    }

    /// Whether a whole batch stands at a place: by its header and checksum alone.
    async fn judge(&mut self, index: usize, offset: u64) -> Result<Judged, ScanError> {
        judge(&mut self.window, &self.segments[index], offset).await
    }
}

async fn judge<F: DiskFile>(
    window: &mut Window,
    segment: &Segment<F>,
    offset: u64,
) -> Result<Judged, ScanError> {
    let room = segment.length_bytes.saturating_sub(offset);
    if room < BLOCK {
        return Ok(Judged::Broken(BrokenBatch::End));
    }
    let block = window.read(segment, offset, BLOCK_BYTES).await?;
    let Some(header) = BatchHeader::read(block) else {
        let zeros = block.iter().all(|&byte| byte == 0);
        let why = if zeros { BrokenBatch::Zeros } else { BrokenBatch::NoHeader };
        return Ok(Judged::Broken(why));
    };
    if header.segment < segment.number {
        return Ok(Judged::Broken(BrokenBatch::Stale(header.segment)));
    }
    let least = BATCH_HEADER_BYTES + FRAME_HEADER_BYTES;
    let length = header.length_bytes as usize;
    let most = usize::try_from(room).unwrap_or(usize::MAX).min(MAX_BATCH_BYTES);
    if length < least || header.padded_bytes() > most {
        return Ok(Judged::Broken(BrokenBatch::Length));
    }
    let blocks = window.read(segment, offset, header.padded_bytes()).await?;
    match header.is_sealed(blocks) {
        true => Ok(Judged::Whole(header)),
        false => Ok(Judged::Broken(BrokenBatch::Checksum)),
    }
}

/// Opens one segment, and reads no more of it than its header and its first batch: rows S3 to S6.
/// Also gives the number and the time (in ms since the epoch) of the first record, if a whole batch
/// stands at its start.
pub(crate) async fn look_into<D: Disk>(
    disk: &D,
    number: u64,
    identity: Identity,
) -> Result<(Segment<D::File>, Option<(Lsn, u64)>), ScanError> {
    let segment = open_segment(disk, number, &mut Some(identity)).await?;
    let mut window = Window::new(BLOCK_BYTES);
    let Judged::Whole(header) = judge(&mut window, &segment, BLOCK).await? else {
        return Ok((segment, None));
    };
    let fits = header.segment == number
        && header.shard == identity.shard
        && header.version == FORMAT_VERSION;
    let block = window.read(&segment, BLOCK, BLOCK_BYTES).await?;
    let time_ms = read_u64(block, BATCH_HEADER_BYTES + FRAME_TIME_OFFSET);
    Ok((segment, fits.then_some((header.first_lsn, time_ms))))
}

/// Rows S2 to S6.
async fn open_segment<D: Disk>(
    disk: &D,
    number: u64,
    identity: &mut Option<Identity>,
) -> Result<Segment<D::File>, ScanError> {
    let name = segment_name(number);
    let failed = |operation, cause| JournalError::new(operation, &name, 0, cause);
    let file = disk.open(&name).await.map_err(|cause| failed("open", cause))?;
    let length_bytes = file.length().await.map_err(|cause| failed("measure", cause))?;
    let block = file.read_at(0, BLOCK_BYTES).await.map_err(|cause| failed("read", cause))?;
    let damaged = |why| ScanError::SegmentHeader { file: name.clone(), why };
    let header = SegmentHeader::read(&block).map_err(damaged)?;
    if header.version != FORMAT_VERSION {
        return Err(ScanError::NewerFormat { file: name, offset: 0, version: header.version });
    }
    if header.number != number {
        return Err(damaged("the file was renamed: its header names another segment"));
    }
    let Identity { shard, shards } =
        *identity.get_or_insert(Identity { shard: header.shard, shards: header.shards });
    if header.shard != shard {
        let (found, expected) = (header.shard.0, shard.0);
        return Err(ScanError::ForeignShard { file: name, offset: 0, found, expected });
    }
    if header.shards != shards {
        let (found, expected) = (header.shards, shards);
        return Err(ScanError::ShardCount { file: name, found, expected });
    }
    if header.length_bytes != length_bytes {
        let (found, expected) = (length_bytes, header.length_bytes);
        return Err(ScanError::SegmentLength { file: name, found, expected });
    }
    if length_bytes < 2 * BLOCK || !length_bytes.is_multiple_of(BLOCK) {
        return Err(damaged("a length without room for a batch, or with half a block"));
    }
    let SegmentHeader { beginning, is_recycled, .. } = header;
    Ok(Segment { number, name, length_bytes, beginning, is_recycled, file: Rc::new(file) })
}

/// The numbers of all segments, without a gap: row S1.
pub(crate) async fn segment_numbers<D: Disk>(disk: &D) -> Result<Vec<u64>, ScanError> {
    let mut looked_twice = false;
    loop {
        let listed = disk.list().await;
        let names = listed.map_err(|cause| JournalError::new("list", "", 0, cause))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        let hole = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]);
        match hole {
            None => return Ok(numbers),
            // A running server may have given a segment its name while the list was read.
            Some(_) if !looked_twice => looked_twice = true,
            Some(hole) => {
                return Err(ScanError::MissingSegment { file: segment_name(hole[0] + 1) });
            }
        }
    }
}

impl WholeBatch<'_> {
    /// Number of its last record.
    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.count) - 1)
    }

    /// Reads every record, in order: row B7 when one cannot be read. `on_record` gets the number, the
    /// time, the offset of the frame in the file, and the input; its error ends the walk.
    pub fn each_record<E: From<ScanError>>(
        &self,
        on_record: impl FnMut(Lsn, u64, u64, Input) -> Result<(), E>,
    ) -> Result<(), E> {
        self.records_within(Lsn(0), Lsn(u64::MAX), on_record)
    }

    /// As [`WholeBatch::each_record`], for the records behind `after` up to `until`; the others are
    /// passed over unread.
    pub fn records_within<E: From<ScanError>>(
        &self,
        after: Lsn,
        until: Lsn,
        mut on_record: impl FnMut(Lsn, u64, u64, Input) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.records;
        let mut lsn = self.first_lsn;
        for _ in 0..self.count {
            let done = BATCH_HEADER_BYTES + self.records.len() - rest.len();
            let offset = self.offset + done as u64;
            let unreadable =
                |why| ScanError::Record { file: self.file.to_owned(), offset, lsn, why };
            let frame = Frame::read(rest).map_err(unreadable)?;
            if lsn > after && lsn <= until {
                let input = decode(frame.payload)
                    .ok_or_else(|| unreadable("the archive breaks the rules of its type"))?;
                on_record(lsn, frame.time_ms, offset, input)?;
            }
            rest = &rest[frame.length_bytes..];
            lsn = lsn.next();
        }
        if !rest.is_empty() {
            let (file, offset) = (self.file.to_owned(), self.offset);
            let why = "the batch holds more than its count of records";
            return Err(ScanError::Record { file, offset, lsn, why }.into());
        }
        Ok(())
    }
}

/// What a cut must erase of one segment: from the first to the last block that is not zero, within
/// the reach of one batch behind `start`.
pub(crate) async fn remains<F: DiskFile>(
    segment: &Segment<F>,
    start: u64,
) -> Result<Option<(u64, u64)>, JournalError> {
    let end = segment.length_bytes.min(start + MAX_BATCH_BYTES as u64);
    let length = end.saturating_sub(start) as usize;
    let read = segment.file.read_at(start, length).await;
    let bytes = read.map_err(|cause| JournalError::new("read", &segment.name, start, cause))?;
    let used = |block: &[u8]| block.iter().any(|&byte| byte != 0);
    let mut blocks = bytes.chunks(BLOCK_BYTES);
    let Some(first) = blocks.clone().position(used) else { return Ok(None) };
    let last = blocks.rposition(used).unwrap_or(first);
    Ok(Some((start + first as u64 * BLOCK, start + (last as u64 + 1) * BLOCK)))
}

/// Splits the segments at the tail: the one that is written on, and those that stand ready.
pub(crate) fn split_at_tail<F>(
    segments: VecDeque<Segment<F>>,
    tail: &Tail,
) -> Option<(Segment<F>, VecDeque<Segment<F>>)> {
    let mut rest = segments.into_iter().skip(tail.index);
    let current = rest.next()?;
    Some((current, rest.collect()))
}

//! The writer: gathers records, hands out sealed batches, keeps the next segment ready.
//!
//! No method here waits, so the owner may keep the journal in a `RefCell` and borrow it for one call
//! at a time. What waits are the jobs that it hands out, and they own everything they touch:
//!
//! ```text
//! let lsn = journal.borrow_mut().append(time_ms, &input)?;      any number of times
//! gate.hold(lsn, effects);
//!
//! let batch = journal.borrow_mut().take_batch();                one task: commit
//! let written = batch.write().await;                            no borrow here
//! let durable = journal.borrow_mut().complete(written)?;
//! for effect in gate.release(durable) { … }
//!
//! let preparation = journal.borrow_mut().preparation(now_ms);   another task, in the background
//! let prepared = preparation.run().await;
//! journal.borrow_mut().complete_preparation(prepared)?;
//! ```

use std::collections::VecDeque;
use std::rc::Rc;

use engine::Input;

use crate::batch::{Batch, Gathering, Written};
use crate::config::JournalConfig;
use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer};
use crate::error::{AppendError, JournalError};
use crate::format::{
    BATCH_HEADER_BYTES, FORMAT_VERSION, FRAME_HEADER_BYTES, Lsn, MAX_RECORD_BYTES, SegmentHeader,
    chain_of,
};
use crate::gate::Durable;
use crate::record::Encoder;
use crate::segment::{Preparation, Prepared, Segment};

/// Most batches that gather while one is being written. Admission must keep a shard below it; past
/// it [`Journal::append`] answers [`AppendError::Full`].
pub const MAX_GATHERED_BATCHES: usize = 4;
/// How long after a full disk the next segment is tried again, in ms.
pub const PREPARE_RETRY_MS: u64 = 1_000;
/// Longest write buffer that is kept for the next batch, in bytes: the usual batch is a few blocks,
/// and an idle server should not sit on the buffer of its busiest moment.
const MAX_SPARE_BUFFER_BYTES: usize = 64 << 10;
/// Write buffers kept, each of a length of its own as far as possible.
const MAX_SPARE_BUFFERS: usize = 8;
/// Gathering buffers kept for reuse: one fills while the other's records are copied out.
const MAX_SPARE_GATHERINGS: usize = 2;

/// What a journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records appended.
    pub records: u64,
    /// Batches made durable.
    pub batches: u64,
    /// Bytes of those batches, padding included.
    pub bytes: u64,
    /// Segments entered, the one at the start not counted.
    pub segments: u64,
    /// Times the next segment could not be made because the disk was full.
    pub no_space: u64,
    /// Segments made out of a spare file.
    pub recycled: u64,
}

/// The journal of one shard, open for writing. See the module's source for the way to drive it, and
/// [`recover()`](crate::recover()) for the way to get one.
pub struct Journal<D: Disk> {
    disk: D,
    config: JournalConfig,
    /// The longest batch that fits every segment at hand.
    batch_bytes: usize,
    encoder: Encoder,
    /// Never empty: the last one is open, those before it are full.
    gathered: VecDeque<Gathering>,
    spare_gatherings: Vec<Gathering>,
    spare_buffers: VecDeque<D::Buffer>,
    current: Segment<D::File>,
    /// [`Segment::name`] of `current`, to share with a batch without an allocation.
    current_name: Rc<str>,
    offset: u64,
    chain: u64,
    last: Lsn,
    durable: Durable,
    in_flight: bool,
    ready: VecDeque<Segment<D::File>>,
    preparing: bool,
    no_space: bool,
    retry_at_ms: u64,
    failure: Option<JournalError>,
    statistics: Statistics,
}

/// Where recovery leaves off and the writer goes on.
pub(crate) struct Position<F> {
    pub current: Segment<F>,
    pub offset: u64,
    pub chain: u64,
    pub last: Lsn,
    pub ready: VecDeque<Segment<F>>,
}

impl<D: Disk> Journal<D> {
    pub(crate) fn new(disk: D, config: JournalConfig, position: Position<D::File>) -> Journal<D> {
        let Position { current, offset, chain, last, ready } = position;
        // Segments of an earlier run may be shorter than what the configuration says now.
        let shortest = ready.iter().chain([&current]).map(|segment| segment.length_bytes).min();
        let room = shortest.unwrap_or(0).saturating_sub(BLOCK_BYTES as u64);
        let batch_bytes = config.batch_bytes.min(usize::try_from(room).unwrap_or(usize::MAX));
        let current_name = Rc::from(current.name.as_str());
        Journal {
            disk,
            config,
            batch_bytes,
            encoder: Encoder::new(),
            gathered: VecDeque::from([Gathering::new(batch_bytes)]),
            spare_gatherings: Vec::new(),
            spare_buffers: VecDeque::new(),
            current,
            current_name,
            offset,
            chain,
            last,
            durable: Durable::proven(last),
            in_flight: false,
            ready,
            preparing: false,
            no_space: false,
            retry_at_ms: 0,
            failure: None,
            statistics: Statistics::default(),
        }
    }

    /// Adds a record to what gathers, and gives it its number. It is on its way to the disk with the
    /// next batch. `time_ms` is the time that the shard applies the input at.
    pub fn append(&mut self, time_ms: u64, input: &Input) -> Result<Lsn, AppendError> {
        if let Some(failure) = &self.failure {
            return Err(AppendError::Failed(failure.clone()));
        }
        let lsn = self.last.next();
        let Journal { encoder, gathered, .. } = self;
        let open = gathered.back_mut();
        if !open.is_some_and(|open| open.push(encoder, lsn, time_ms, input)) {
            self.append_to_next(lsn, time_ms, input)?;
        }
        self.last = lsn;
        self.statistics.records += 1;
        Ok(lsn)
    }

    /// The open batch has no room: close it and begin the next, unless the record fits none.
    #[cold]
    fn append_to_next(&mut self, lsn: Lsn, time_ms: u64, input: &Input) -> Result<(), AppendError> {
        let limit =
            (self.batch_bytes - BATCH_HEADER_BYTES - FRAME_HEADER_BYTES).min(MAX_RECORD_BYTES);
        if self.gathered.back().is_none_or(Gathering::is_empty) {
            return Err(AppendError::Oversize { limit });
        }
        let mut next = self.take_gathering();
        let fits = next.push(&mut self.encoder, lsn, time_ms, input);
        if fits && self.gathered.len() < MAX_GATHERED_BATCHES {
            self.gathered.push_back(next);
            return Ok(());
        }
        next.reset();
        self.spare_gatherings.push(next);
        Err(if fits { AppendError::Full } else { AppendError::Oversize { limit } })
    }

    /// Seals what has gathered longest, if anything has, if no batch is under way, and if there is
    /// room on disk: with the segment full and the next one not ready, what has gathered waits.
    pub fn take_batch(&mut self) -> Option<Batch<D>> {
        if self.in_flight || self.failure.is_some() || self.gathered.front()?.is_empty() {
            return None;
        }
        let length = self.gathered.front()?.padded_bytes();
        if self.offset + length as u64 > self.current.length_bytes {
            self.enter_next_segment()?;
        }
        let mut buffer = self.take_buffer(length);
        let mut gathering = self.gathered.pop_front()?;
        let blocks = buffer.bytes_mut();
        gathering.seal_into(self.config.shard, self.current.number, self.chain, blocks);
        self.chain = chain_of(blocks);
        let batch = Batch {
            disk: self.disk.clone(),
            file: self.current.file.clone(),
            file_name: self.current_name.clone(),
            buffer,
            offset: self.offset,
            last_lsn: gathering.last_lsn(),
            count: gathering.count(),
        };
        self.offset += length as u64;
        self.in_flight = true;
        gathering.reset();
        if self.gathered.is_empty() {
            let next = self.take_gathering();
            self.gathered.push_back(next);
        }
        if self.spare_gatherings.len() < MAX_SPARE_GATHERINGS {
            self.spare_gatherings.push(gathering);
        }
        Some(batch)
    }

    /// Takes back a batch that has been written: everything up to its last record is durable now, or
    /// the journal has failed for good.
    pub fn complete(&mut self, written: Written<D>) -> Result<Durable, JournalError> {
        self.in_flight = false;
        let Written { buffer, last_lsn, result } = written;
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        result.inspect_err(|failure| self.failure = Some(failure.clone()))?;
        self.statistics.batches += 1;
        self.statistics.bytes += buffer.bytes().len() as u64;
        if buffer.bytes().len() <= MAX_SPARE_BUFFER_BYTES {
            self.spare_buffers.truncate(MAX_SPARE_BUFFERS - 1);
            self.spare_buffers.push_front(buffer);
        }
        self.durable = Durable::proven(last_lsn);
        Ok(self.durable)
    }

    /// The making of the next segment, if one is wanted now and none is under way. After a full disk
    /// it is wanted again [`PREPARE_RETRY_MS`] later, so ask from a timer too.
    pub fn preparation(&mut self, now_ms: u64) -> Option<Preparation<D>> {
        let wanted = self.ready.len() < self.config.segments_ahead.max(1);
        let early = self.no_space && now_ms < self.retry_at_ms;
        if !wanted || early || self.preparing || self.failure.is_some() {
            return None;
        }
        self.preparing = true;
        self.retry_at_ms = now_ms + PREPARE_RETRY_MS;
        let newest = self.ready.back().unwrap_or(&self.current);
        let header = SegmentHeader {
            version: FORMAT_VERSION,
            shard: self.config.shard,
            shards: self.config.shards,
            number: newest.number + 1,
            length_bytes: self.config.segment_bytes,
            created_ms: now_ms,
            beginning: 0,
            is_recycled: false,
        };
        Some(Preparation { disk: self.disk.clone(), header })
    }

    /// Takes the next segment, or notes that the disk is full: that is a state
    /// ([`Journal::no_space`]), which the next preparation that succeeds ends. Any other error is the
    /// end, as it is for a batch.
    pub fn complete_preparation(&mut self, prepared: Prepared<D>) -> Result<(), JournalError> {
        self.preparing = false;
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match prepared.result {
            Ok(segment) => {
                self.no_space = false;
                self.statistics.recycled += u64::from(prepared.recycled);
                self.ready.push_back(segment);
                Ok(())
            }
            Err(full) if full.is_no_space() => {
                self.no_space = true;
                self.statistics.no_space += 1;
                Ok(())
            }
            Err(failure) => {
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Whether new commands may be admitted: the journal works, and the next segment is ready or the
    /// current one has more room than the reserve. What is under way already (messages of peers for
    /// orders that were admitted) goes on below the reserve.
    pub fn admits(&self) -> bool {
        let reserve = self.config.reserve_bytes.min(self.current.length_bytes / 4);
        self.failure.is_none() && (!self.ready.is_empty() || self.room_bytes() >= reserve)
    }

    /// Whether the next record finds room to gather, whatever its length. Ask before applying what
    /// cannot be undone; past it [`Journal::append`] may answer [`AppendError::Full`].
    pub fn has_room(&self) -> bool {
        self.gathered.len() < MAX_GATHERED_BATCHES
    }

    /// Whether a batch has gathered that takes no further record: to wait for more would gain nothing.
    pub fn has_full_batch(&self) -> bool {
        self.gathered.len() > 1
    }

    /// Whether the disk was full when the next segment was last tried.
    pub fn no_space(&self) -> bool {
        self.no_space
    }

    /// Room left in the current segment behind everything that has gathered, in bytes.
    pub fn room_bytes(&self) -> u64 {
        let waiting = self.gathered.iter().filter(|gathering| !gathering.is_empty());
        let waiting: u64 = waiting.map(|gathering| gathering.padded_bytes() as u64).sum();
        (self.current.length_bytes - self.offset).saturating_sub(waiting)
    }

    /// The last record appended.
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// The last durable record.
    pub fn durable(&self) -> Durable {
        self.durable
    }

    /// Whether everything appended is durable.
    pub fn is_settled(&self) -> bool {
        self.durable.lsn() == self.last
    }

    /// Whether a batch is being written.
    pub fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// The error that ended this journal, if one did.
    pub fn failure(&self) -> Option<&JournalError> {
        self.failure.as_ref()
    }

    /// Number of the segment that is being written.
    pub fn segment(&self) -> u64 {
        self.current.number
    }

    /// What was done since the start.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    fn enter_next_segment(&mut self) -> Option<()> {
        self.current = self.ready.pop_front()?;
        self.current_name = Rc::from(self.current.name.as_str());
        self.offset = BLOCK_BYTES as u64;
        self.statistics.segments += 1;
        Some(())
    }

    fn take_gathering(&mut self) -> Gathering {
        self.spare_gatherings.pop().unwrap_or_else(|| Gathering::new(self.batch_bytes))
    }

    fn take_buffer(&mut self, length: usize) -> D::Buffer {
        let fitting = self.spare_buffers.iter().position(|spare| spare.bytes().len() == length);
        let spare = fitting.and_then(|index| self.spare_buffers.remove(index));
        spare.unwrap_or_else(|| self.disk.buffer(length))
    }
}

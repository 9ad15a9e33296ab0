//! Batches: records gather in one, it is sealed, and becomes a write job that owns all it needs.

use std::io;
use std::rc::Rc;

use engine::Input;
use money::ShardId;

use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use crate::error::JournalError;
use crate::format::{
    BATCH_HEADER_BYTES, BatchHeader, FORMAT_VERSION, FRAME_HEADER_BYTES, Lsn, MAX_RECORD_BYTES,
    padded,
};
use crate::record::Encoder;

/// How often one write is continued after the disk wrote less than asked, before that counts as an
/// error.
pub const MAX_WRITE_ROUNDS: usize = 16;

/// A batch that is still open for records. Its place on disk and its link in the chain are decided
/// when it is sealed.
pub(crate) struct Gathering {
    bytes: Vec<u8>,
    used: usize,
    count: u32,
    first_lsn: Lsn,
}

impl Gathering {
    /// An empty batch of at most `batch_bytes`.
    pub fn new(batch_bytes: usize) -> Gathering {
        let bytes = vec![0; batch_bytes];
        Gathering { bytes, used: BATCH_HEADER_BYTES, count: 0, first_lsn: Lsn(0) }
    }

    /// Makes it empty again. The bytes stay: every byte that is ever read is written first.
    pub fn reset(&mut self) {
        (self.used, self.count) = (BATCH_HEADER_BYTES, 0);
    }

    /// Appends a record if there is room.
    #[inline]
    pub fn push(&mut self, encoder: &mut Encoder, lsn: Lsn, time_ms: u64, input: &Input) -> bool {
        let end = self.bytes.len().min(self.used + FRAME_HEADER_BYTES + MAX_RECORD_BYTES);
        let Some(length) = encoder.encode(time_ms, input, &mut self.bytes[self.used..end]) else {
            return false;
        };
        if self.count == 0 {
            self.first_lsn = lsn;
        }
        self.used += length;
        self.count += 1;
        true
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// Length on disk, in bytes.
    pub fn padded_bytes(&self) -> usize {
        padded(self.used)
    }

    pub fn last_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.count) - 1)
    }

    /// Copies the records into `target` ([`Gathering::padded_bytes`] long) and completes the batch.
    pub fn seal_into(&self, shard: ShardId, segment: u64, chain: u64, target: &mut [u8]) {
        target[BATCH_HEADER_BYTES..self.used]
            .copy_from_slice(&self.bytes[BATCH_HEADER_BYTES..self.used]);
        target[self.used..].fill(0);
        let header = BatchHeader {
            version: FORMAT_VERSION,
            shard,
            count: self.count,
            segment,
            first_lsn: self.first_lsn,
            chain,
            length_bytes: self.used as u32,
        };
        header.seal(target);
    }
}

/// A sealed batch: a write job that owns what it needs, so that the journal is free to gather while
/// it runs. At most one exists at a time.
#[must_use = "a batch that is taken must be written and completed"]
pub struct Batch<D: Disk> {
    pub(crate) disk: D,
    pub(crate) file: Rc<D::File>,
    pub(crate) file_name: Rc<str>,
    pub(crate) buffer: D::Buffer,
    pub(crate) offset: u64,
    pub(crate) last_lsn: Lsn,
    pub(crate) count: u32,
}

/// A batch that has been written, or not: for [`Journal::complete`](crate::Journal::complete).
#[must_use = "give it to Journal::complete"]
pub struct Written<D: Disk> {
    pub(crate) buffer: D::Buffer,
    pub(crate) last_lsn: Lsn,
    pub(crate) result: Result<(), JournalError>,
}

impl<D: Disk> Batch<D> {
    /// Number of its last record.
    pub fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// How many records it holds.
    pub fn records(&self) -> u32 {
        self.count
    }

    /// Its length on disk, in bytes.
    pub fn length_bytes(&self) -> usize {
        self.buffer.bytes().len()
    }

    /// Writes and syncs. Nothing is retried: a short write is continued, an error is final.
    pub async fn write(self) -> Written<D> {
        let Batch { disk, file, file_name, buffer, offset, last_lsn, .. } = self;
        let (buffer, written) = write_whole(&disk, &*file, buffer, offset).await;
        let failed = |operation, cause| JournalError::new(operation, &file_name, offset, cause);
        let result = match written {
            Ok(()) => file.sync().await.map_err(|cause| failed("sync", cause)),
            Err(cause) => Err(failed("write", cause)),
        };
        Written { buffer, last_lsn, result }
    }
}

/// Writes a whole buffer, continuing after short writes at the last full block.
pub(crate) async fn write_whole<D: Disk>(
    disk: &D,
    file: &D::File,
    buffer: D::Buffer,
    offset: u64,
) -> (D::Buffer, io::Result<()>) {
    let length = buffer.bytes().len();
    let (buffer, result) = file.write_at(buffer, length, offset).await;
    let mut done = match whole_blocks(result, length) {
        Ok(done) => done,
        Err(cause) => return (buffer, Err(cause)),
    };
    let mut rounds = 1;
    while done < length {
        if rounds == MAX_WRITE_ROUNDS {
            let text = format!("short write: {done} of {length} bytes in {rounds} rounds");
            return (buffer, Err(io::Error::new(io::ErrorKind::WriteZero, text)));
        }
        // A buffer of its own for the rest: it must start at an aligned address.
        let mut rest = disk.buffer(length - done);
        rest.bytes_mut().copy_from_slice(&buffer.bytes()[done..]);
        let (_, result) = file.write_at(rest, length - done, offset + done as u64).await;
        match whole_blocks(result, length - done) {
            Ok(more) => done += more,
            Err(cause) => return (buffer, Err(cause)),
        }
        rounds += 1;
    }
    (buffer, Ok(()))
}

/// The blocks of a write that are behind it for good: a block written in part is written again.
fn whole_blocks(result: io::Result<usize>, asked: usize) -> io::Result<usize> {
    match result? {
        written if written > asked => {
            Err(io::Error::other(format!("the disk says it wrote {written} of {asked} bytes")))
        }
        written => Ok(written / BLOCK_BYTES * BLOCK_BYTES),
    }
}

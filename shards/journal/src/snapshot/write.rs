//! Writing a snapshot: piece by piece into a file of another name, which is renamed when it is whole.

use std::io;

use engine::Piece;
use rkyv::rancor::Failure;
use xxhash_rust::xxh3::Xxh3;

use super::format::{
    END_PAYLOAD_BYTES, FrameHeader, KIND_END, KIND_PIECE, MAX_PIECE_BYTES, write_head,
};
use super::{SnapshotFile, SnapshotHead, snapshot_name, unfinished_name};
use crate::batch::write_whole;
use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use crate::error::JournalError;
use crate::format::padded;

/// How much one write takes, in bytes: small, because a shard's commit may have to wait behind it on
/// the device.
pub const SNAPSHOT_WRITE_BYTES: usize = 256 << 10;

/// A snapshot under way. At most one at a time in a directory. Dropped without
/// [`SnapshotWriter::finish`] it leaves a file that the next start, or the next writer of the same
/// record, removes.
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    head: SnapshotHead,
    unfinished: String,
    file: D::File,
    hash: Xxh3,
    /// Frames that no write has taken yet, in order.
    pending: Vec<u8>,
    /// The archive of one piece, to reuse.
    payload: Vec<u8>,
    /// Taken only while a write is under way.
    buffer: Option<D::Buffer>,
    offset: u64,
    pieces: u64,
    failure: Option<JournalError>,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begins the file. Every record up to [`SnapshotHead::lsn`] must be durable in the journal: a
    /// start refuses a journal that ends before its snapshot.
    pub async fn begin(disk: D, head: SnapshotHead) -> Result<SnapshotWriter<D>, JournalError> {
        let unfinished = unfinished_name(head.lsn);
        let failed = |operation, cause| JournalError::new(operation, &unfinished, 0, cause);
        let created = match disk.create(&unfinished, 0).await {
            // An earlier attempt failed, and so did the removal of what it left.
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                let removed = disk.remove(&unfinished).await;
                removed.map_err(|cause| failed("remove", cause))?;
                disk.create(&unfinished, 0).await
            }
            created => created,
        };
        let file = created.map_err(|cause| failed("create", cause))?;
        let mut pending = vec![0; BLOCK_BYTES];
        write_head(&head, &mut pending);
        let mut hash = Xxh3::new();
        hash.update(&pending);
        Ok(SnapshotWriter {
            disk,
            head,
            unfinished,
            file,
            hash,
            pending,
            payload: Vec::new(),
            buffer: None,
            offset: 0,
            pieces: 0,
            failure: None,
        })
    }

    /// Adds a piece. Returns how many bytes that wrote to the disk, often none, so that the caller can
    /// pace himself: a device is shared with the shards' commits. The first error removes the file,
    /// as far as that works, and comes back from every later call.
    pub async fn piece(&mut self, piece: &Piece) -> Result<u64, JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let added = match self.gather(piece) {
            Ok(()) => self.write_full_chunks().await,
            Err(failure) => Err(failure),
        };
        match added {
            Ok(bytes) => Ok(bytes),
            Err(failure) => Err(self.fail(failure).await),
        }
    }

    /// Writes the rest, syncs, and gives the file its name. Durable when this returns.
    pub async fn finish(mut self) -> Result<SnapshotFile, JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.complete().await {
            Ok(file) => Ok(file),
            Err(failure) => Err(self.fail(failure).await),
        }
    }

    fn gather(&mut self, piece: &Piece) -> Result<(), JournalError> {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let encoded = rkyv::api::high::to_bytes_in::<_, Failure>(piece, payload);
        let text = "a piece of the image cannot be encoded";
        let payload = encoded.map_err(|_| self.refused(text))?;
        if payload.len() > MAX_PIECE_BYTES {
            return Err(self.refused("a piece of the image is too long"));
        }
        self.pieces += 1;
        let header = FrameHeader {
            payload_bytes: payload.len() as u32,
            kind: KIND_PIECE,
            sequence: self.pieces,
        };
        let start = self.pending.len();
        header.append(&payload, &mut self.pending);
        self.hash.update(&self.pending[start..]);
        self.payload = payload;
        Ok(())
    }

    fn refused(&self, text: &'static str) -> JournalError {
        let cause = io::Error::new(io::ErrorKind::InvalidData, text);
        JournalError::new("write", &self.unfinished, self.offset, cause)
    }

    async fn write_full_chunks(&mut self) -> Result<u64, JournalError> {
        let start = self.offset;
        let mut done = 0;
        while self.pending.len() - done >= SNAPSHOT_WRITE_BYTES {
            self.write(done, SNAPSHOT_WRITE_BYTES).await?;
            done += SNAPSHOT_WRITE_BYTES;
        }
        self.pending.drain(..done);
        Ok(self.offset - start)
    }

    /// Writes `length` of the pending bytes, whole blocks, to the end of the file.
    async fn write(&mut self, start: usize, length: usize) -> Result<(), JournalError> {
        let spare = self.buffer.take().filter(|buffer| buffer.bytes().len() == length);
        let mut buffer = spare.unwrap_or_else(|| self.disk.buffer(length));
        buffer.bytes_mut().copy_from_slice(&self.pending[start..start + length]);
        let (buffer, written) = write_whole(&self.disk, &self.file, buffer, self.offset).await;
        self.buffer = Some(buffer);
        written
            .map_err(|cause| JournalError::new("write", &self.unfinished, self.offset, cause))?;
        self.offset += length as u64;
        Ok(())
    }

    async fn complete(&mut self) -> Result<SnapshotFile, JournalError> {
        let hash = self.hash.digest();
        let mut payload = [0; END_PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&self.pieces.to_le_bytes());
        payload[8..].copy_from_slice(&hash.to_le_bytes());
        let header = FrameHeader {
            payload_bytes: END_PAYLOAD_BYTES as u32,
            kind: KIND_END,
            sequence: self.pieces + 1,
        };
        header.append(&payload, &mut self.pending);
        let whole = padded(self.pending.len());
        self.pending.resize(whole, 0);
        self.write_full_chunks().await?;
        if !self.pending.is_empty() {
            self.write(0, self.pending.len()).await?;
        }
        let name = snapshot_name(self.head.lsn);
        let failed = |operation, cause| JournalError::new(operation, &self.unfinished, 0, cause);
        self.file.sync().await.map_err(|cause| failed("sync", cause))?;
        let renamed = self.disk.rename(&self.unfinished, &name).await;
        renamed.map_err(|cause| failed("rename", cause))?;
        let synced = self.disk.sync_directory().await;
        synced.map_err(|cause| failed("sync directory of", cause))?;
        let (head, bytes, pieces) = (self.head, self.offset, self.pieces);
        Ok(SnapshotFile { name, head, bytes, pieces, hash })
    }

    /// Latches the error. Half a snapshot would hold on to space that the journal may need.
    async fn fail(&mut self, failure: JournalError) -> JournalError {
        let _ = self.disk.remove(&self.unfinished).await;
        self.failure = Some(failure.clone());
        failure
    }
}

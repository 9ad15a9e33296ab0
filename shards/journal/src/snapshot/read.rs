//! Reading a snapshot: piece by piece, every byte checked.

use engine::Piece;
use rkyv::rancor::Failure;
use xxhash_rust::xxh3::Xxh3;

use super::format::{
    END_PAYLOAD_BYTES, FrameHeader, KIND_END, SNAPSHOT_FRAME_BYTES, is_whole, read_head,
};
use super::{SnapshotFile, SnapshotHead, snapshot_lsn, snapshot_name};
use crate::disk::{BLOCK_BYTES, Disk, DiskFile};
use crate::error::{JournalError, RecoverError, ScanError};
use crate::format::{Lsn, padded, read_u64};
use crate::read_ahead::ReadAhead;
use crate::scan::Identity;

/// Reads a snapshot from end to end and hands out its pieces in order, in bounded memory. Each piece
/// is checked before it is handed out, but a later one may turn out damaged: nothing is complete
/// before this returns. `identity`: whose it must be, or `None` for anybody's.
///
/// Fails with [`ScanError::DamagedSnapshot`] at the first byte that is not as it was written, and with
/// [`RecoverError::Snapshot`] when `on_piece` does.
pub async fn read_snapshot<D: Disk, E>(
    disk: &D,
    name: &str,
    identity: Option<Identity>,
    on_piece: &mut impl FnMut(Piece) -> Result<(), E>,
) -> Result<SnapshotFile, RecoverError<E>> {
    let mut source = Source::open(disk, lsn_of(name)?, identity).await?;
    while let Some(piece) = source.next().await? {
        on_piece(piece).map_err(|cause| RecoverError::Snapshot { file: name.to_owned(), cause })?;
    }
    Ok(source.into_file())
}

/// Reads a whole snapshot and says what it holds; an error names what is damaged.
pub async fn verify_snapshot<D: Disk>(disk: &D, name: &str) -> Result<SnapshotFile, ScanError> {
    let mut source = Source::open(disk, lsn_of(name)?, None).await?;
    while source.next().await?.is_some() {}
    Ok(source.into_file())
}

fn lsn_of(name: &str) -> Result<Lsn, ScanError> {
    let why = "not the name of a snapshot";
    let no_snapshot = || ScanError::DamagedSnapshot { file: name.to_owned(), offset: 0, why };
    snapshot_lsn(name).ok_or_else(no_snapshot)
}

/// A snapshot that is being read.
pub(crate) struct Source<D: Disk> {
    name: String,
    file: ReadAhead<D::File>,
    length: u64,
    head: SnapshotHead,
    hash: Xxh3,
    /// Bytes from `offset` on.
    window: Vec<u8>,
    /// How many bytes of the window are used up.
    used: usize,
    offset: u64,
    pieces: u64,
    /// The hash in the end frame, once that was read.
    end: Option<u64>,
}

impl<D: Disk> Source<D> {
    /// Opens a snapshot and checks its header: rows N2 to N4 of the decision table in
    /// [`recover`](mod@crate::recover).
    pub async fn open(
        disk: &D,
        lsn: Lsn,
        identity: Option<Identity>,
    ) -> Result<Source<D>, ScanError> {
        let name = snapshot_name(lsn);
        let failed = |operation, cause| JournalError::new(operation, &name, 0, cause);
        let file = disk.open(&name).await.map_err(|cause| failed("open", cause))?;
        let length = file.length().await.map_err(|cause| failed("measure", cause))?;
        let block = file.read_at(0, BLOCK_BYTES).await.map_err(|cause| failed("read", cause))?;
        let head = read_head(&block, &name, lsn)?;
        if let Some(identity) = identity {
            check_identity(&head, &name, identity)?;
        }
        let mut hash = Xxh3::new();
        hash.update(&block);
        let file = ReadAhead::new(file, BLOCK_BYTES as u64, length);
        Ok(Source {
            name,
            file,
            length,
            head,
            hash,
            window: Vec::new(),
            used: 0,
            offset: BLOCK_BYTES as u64,
            pieces: 0,
            end: None,
        })
    }

    /// Name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says it holds.
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// The next piece, or `None` behind the last one, with everything checked up to the end of the
    /// file.
    pub async fn next(&mut self) -> Result<Option<Piece>, ScanError> {
        if self.end.is_some() {
            return Ok(None);
        }
        if !self.fill(SNAPSHOT_FRAME_BYTES).await? {
            return Err(self.damaged("the file ends where a frame should begin"));
        }
        let header = FrameHeader::read(self.rest()).map_err(|why| self.damaged(why))?;
        if !self.fill(header.frame_bytes()).await? {
            return Err(self.damaged("the file ends inside a frame"));
        }
        let frame = &self.rest()[..header.frame_bytes()];
        if !is_whole(frame) {
            return Err(self.damaged("checksum mismatch in a frame"));
        }
        if header.sequence != self.pieces + 1 {
            return Err(self.damaged("frame out of sequence"));
        }
        let payload = &frame[SNAPSHOT_FRAME_BYTES..][..header.payload_bytes as usize];
        if header.kind == KIND_END {
            let end = payload.to_vec();
            self.check_end(&end, header.frame_bytes()).await?;
            return Ok(None);
        }
        let piece = rkyv::api::low::from_bytes::<Piece, Failure>(payload);
        let piece = piece.map_err(|_| self.damaged("the archive breaks the rules of its type"))?;
        let frame = self.used..self.used + header.frame_bytes();
        self.hash.update(&self.window[frame.clone()]);
        self.used = frame.end;
        self.pieces += 1;
        Ok(Some(piece))
    }

    /// For after [`Source::next`] answered `None`.
    pub fn into_file(self) -> SnapshotFile {
        SnapshotFile {
            name: self.name,
            head: self.head,
            bytes: self.length,
            pieces: self.pieces,
            hash: self.end.unwrap_or_default(),
        }
    }

    /// Checks what the end frame says, and that only zeros follow, up to the end of the block.
    async fn check_end(&mut self, payload: &[u8], frame_bytes: usize) -> Result<(), ScanError> {
        if payload.len() != END_PAYLOAD_BYTES {
            return Err(self.damaged("impossible length of the end frame"));
        }
        let (count, hash) = (read_u64(payload, 0), read_u64(payload, 8));
        if count != self.pieces || hash != self.hash.digest() {
            return Err(self.damaged("the end frame does not fit what is before it"));
        }
        self.used += frame_bytes;
        let place = self.offset + self.used as u64;
        let rest = padded(place as usize) - place as usize;
        if self.length != place + rest as u64 {
            return Err(self.damaged("the file does not end with the block of its end frame"));
        }
        if !self.fill(rest).await? || self.rest()[..rest].iter().any(|&byte| byte != 0) {
            return Err(self.damaged("something else than zeros behind the end frame"));
        }
        self.end = Some(hash);
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        &self.window[self.used..]
    }

    fn damaged(&self, why: &'static str) -> ScanError {
        let offset = self.offset + self.used as u64;
        ScanError::DamagedSnapshot { file: self.name.clone(), offset, why }
    }

    /// Makes sure that `length` bytes are there behind what is used up; `false` when the file ends
    /// before.
    async fn fill(&mut self, length: usize) -> Result<bool, JournalError> {
        while self.window.len() - self.used < length {
            let at = self.offset + self.window.len() as u64;
            // A cut inside a block is found by whoever needs the bytes behind it.
            if !at.is_multiple_of(BLOCK_BYTES as u64) {
                return Ok(false);
            }
            let failed = |cause| JournalError::new("read", &self.name, at, cause);
            let bytes = self.file.next().await.map_err(failed)?;
            if bytes.is_empty() {
                return Ok(false);
            }
            self.window.drain(..self.used);
            self.offset += self.used as u64;
            self.used = 0;
            self.window.extend_from_slice(&bytes);
        }
        Ok(true)
    }
}

/// Row N4.
fn check_identity(head: &SnapshotHead, name: &str, identity: Identity) -> Result<(), ScanError> {
    let file = name.to_owned();
    if head.shard != identity.shard {
        let (found, expected) = (head.shard.0, identity.shard.0);
        return Err(ScanError::ForeignShard { file, offset: 0, found, expected });
    }
    if head.shards != identity.shards {
        let (found, expected) = (head.shards, identity.shards);
        return Err(ScanError::ShardCount { file, found, expected });
    }
    Ok(())
}

//! The bytes of a snapshot: its header block, the headers of its frames, its end.

use money::ShardId;

use crate::disk::BLOCK_BYTES;
use crate::error::ScanError;
use crate::format::{
    FORMAT_VERSION, Lsn, PAYLOAD_ALIGNMENT_BYTES, is_sealed, read_u16, read_u32, read_u64, seal,
};
use crate::snapshot::SnapshotHead;

/// Length of a frame's header in a snapshot, in bytes.
pub const SNAPSHOT_FRAME_BYTES: usize = 24;
/// Longest piece, in bytes of its rkyv payload.
pub const MAX_PIECE_BYTES: usize = 4 << 20;
/// The end frame's payload: a count and a hash.
pub(super) const END_PAYLOAD_BYTES: usize = 16;

const SNAPSHOT_MAGIC: [u8; 8] = *b"RBKSNAPS";
/// A frame that holds an [`engine::Piece`].
pub(super) const KIND_PIECE: u32 = 1;
/// The frame behind the last piece.
pub(super) const KIND_END: u32 = 2;

const FRAME_CRC_OFFSET: usize = 16;
const FRAME_CRC_END: usize = FRAME_CRC_OFFSET + 4;

/// Fills a zeroed block.
pub(super) fn write_head(head: &SnapshotHead, block: &mut [u8]) {
    block[0..8].copy_from_slice(&SNAPSHOT_MAGIC);
    block[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    block[10..12].copy_from_slice(&head.shard.0.to_le_bytes());
    block[12..14].copy_from_slice(&head.shards.to_le_bytes());
    block[16..24].copy_from_slice(&head.lsn.0.to_le_bytes());
    block[24..32].copy_from_slice(&head.state_hash.to_le_bytes());
    block[32..40].copy_from_slice(&head.time_ms.to_le_bytes());
    block[40..48].copy_from_slice(&head.created_ms.to_le_bytes());
    seal(block);
}

/// Reads the first block of the file that `name` and the record in the name tell of: rows N2 and N3
/// of the decision table in [`recover`](mod@crate::recover).
pub(super) fn read_head(block: &[u8], name: &str, lsn: Lsn) -> Result<SnapshotHead, ScanError> {
    let damaged = |offset, why| ScanError::DamagedSnapshot { file: name.to_owned(), offset, why };
    if block.len() < BLOCK_BYTES {
        return Err(damaged(block.len() as u64, "the file ends inside its header"));
    }
    let block = &block[..BLOCK_BYTES];
    if block[0..8] != SNAPSHOT_MAGIC {
        return Err(damaged(0, "not a snapshot"));
    }
    if !is_sealed(block) {
        return Err(damaged(0, "checksum mismatch in the header"));
    }
    let version = read_u16(block, 8);
    if version != FORMAT_VERSION {
        return Err(ScanError::NewerFormat { file: name.to_owned(), offset: 0, version });
    }
    let head = SnapshotHead {
        shard: ShardId(read_u16(block, 10)),
        shards: read_u16(block, 12),
        lsn: Lsn(read_u64(block, 16)),
        state_hash: read_u64(block, 24),
        time_ms: read_u64(block, 32),
        created_ms: read_u64(block, 40),
    };
    if head.lsn != lsn {
        return Err(damaged(0, "the file was renamed: its header names another record"));
    }
    Ok(head)
}

/// What the first bytes of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub payload_bytes: u32,
    pub kind: u32,
    /// Counting from 1.
    pub sequence: u64,
}

impl FrameHeader {
    /// Length of the whole frame, padding included, in bytes.
    pub fn frame_bytes(&self) -> usize {
        SNAPSHOT_FRAME_BYTES
            + (self.payload_bytes as usize).next_multiple_of(PAYLOAD_ALIGNMENT_BYTES)
    }

    /// Appends a whole frame to `target`.
    pub fn append(&self, payload: &[u8], target: &mut Vec<u8>) {
        let start = target.len();
        target.extend_from_slice(&self.payload_bytes.to_le_bytes());
        target.extend_from_slice(&self.kind.to_le_bytes());
        target.extend_from_slice(&self.sequence.to_le_bytes());
        target.extend_from_slice(&[0; SNAPSHOT_FRAME_BYTES - FRAME_CRC_OFFSET]);
        target.extend_from_slice(payload);
        target.resize(start + self.frame_bytes(), 0);
        let crc = checksum(&target[start..]);
        target[start + FRAME_CRC_OFFSET..start + FRAME_CRC_END].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the claims of a header, [`SNAPSHOT_FRAME_BYTES`] long or longer. Nothing is true before
    /// [`is_whole`].
    pub fn read(bytes: &[u8]) -> Result<FrameHeader, &'static str> {
        let header = FrameHeader {
            payload_bytes: read_u32(bytes, 0),
            kind: read_u32(bytes, 4),
            sequence: read_u64(bytes, 8),
        };
        if !matches!(header.kind, KIND_PIECE | KIND_END) {
            return Err("unknown kind of frame");
        }
        if header.payload_bytes as usize > MAX_PIECE_BYTES {
            return Err("impossible length of a frame");
        }
        Ok(header)
    }
}

/// Whether a frame carries its checksum.
pub(super) fn is_whole(frame: &[u8]) -> bool {
    checksum(frame) == read_u32(frame, FRAME_CRC_OFFSET)
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..FRAME_CRC_OFFSET]), &frame[FRAME_CRC_END..])
}

//! The bytes on disk: headers, their checks, and the limits of the format.

use money::ShardId;
use rkyv::{Archive, Deserialize, Serialize};

use crate::disk::BLOCK_BYTES;

/// Version of everything in this module. A reader refuses a higher one.
pub const FORMAT_VERSION: u16 = 1;
/// Longest batch, in bytes with its padding: the most that one crash can tear.
pub const MAX_BATCH_BYTES: usize = 1 << 20;
/// Length of a batch's header, in bytes.
pub const BATCH_HEADER_BYTES: usize = 64;
/// Length of a record's frame header, in bytes.
pub const FRAME_HEADER_BYTES: usize = 16;
/// Longest record, in bytes of its rkyv payload: a quarter of a batch, so that a batch closed early
/// for a long record wastes little. No command comes near it. A batch of peer messages can, so its
/// sender cuts it, by [`MAX_PEER_MESSAGES`].
pub const MAX_RECORD_BYTES: usize = 256 << 10;
/// Messages that always fit a record, as long as each holds no long list of its own (a `CutReport`
/// grows with the number of assets, an `Identity` may hold a key: their sender must count what they take).
pub const MAX_PEER_MESSAGES: usize = 1_000;
/// The chain before the first batch of a journal.
pub const GENESIS_CHAIN: u64 = 0;

pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"RBKSEGMT";
pub(crate) const BATCH_MAGIC: [u8; 8] = *b"RBKBATCH";
/// The only kind of record so far: an [`engine::Input`].
pub(crate) const KIND_INPUT: u32 = 1;
/// Where a frame header has the time.
pub(crate) const FRAME_TIME_OFFSET: usize = 8;
/// Payloads are padded to this, in bytes, so that frame headers stay aligned for a reader in a
/// debugger or a hex dump.
pub(crate) const PAYLOAD_ALIGNMENT_BYTES: usize = 8;

const CRC_OFFSET: usize = 60;
const CRC_END: usize = CRC_OFFSET + 4;

/// Number of a record in its shard's journal, counting from 1 without gaps. 0 is before the first.
#[derive(
    Archive,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

impl std::fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Rounds up to whole blocks.
pub(crate) fn padded(length_bytes: usize) -> usize {
    length_bytes.next_multiple_of(BLOCK_BYTES)
}

/// Writes the checksum of whole blocks into their header.
pub(crate) fn seal(blocks: &mut [u8]) {
    let crc = checksum(blocks);
    blocks[CRC_OFFSET..CRC_END].copy_from_slice(&crc.to_le_bytes());
}

/// Whether whole blocks carry their checksum.
pub(crate) fn is_sealed(blocks: &[u8]) -> bool {
    checksum(blocks) == read_u32(blocks, CRC_OFFSET)
}

fn checksum(blocks: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&blocks[..CRC_OFFSET]), &blocks[CRC_END..])
}

/// The link to the next batch.
pub(crate) fn chain_of(blocks: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(blocks)
}

pub(crate) fn read_u16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(array(bytes, offset))
}

pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array(bytes, offset))
}

pub(crate) fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array(bytes, offset))
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

/// What a segment's first block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub version: u16,
    pub shard: ShardId,
    pub shards: u16,
    pub number: u64,
    pub length_bytes: u64,
    pub created_ms: u64,
    /// Of the first segment: which snapshot of record 0 the journal began with, see
    /// [`crate::SnapshotFile::beginning`]. 0: with nothing.
    pub beginning: u64,
    /// The file has held another segment: what stands behind the last batch may be that one's.
    pub is_recycled: bool,
}

impl SegmentHeader {
    /// Fills a zeroed block.
    pub fn write(&self, block: &mut [u8]) {
        block[0..8].copy_from_slice(&SEGMENT_MAGIC);
        block[8..10].copy_from_slice(&self.version.to_le_bytes());
        block[10..12].copy_from_slice(&self.shard.0.to_le_bytes());
        block[12..14].copy_from_slice(&self.shards.to_le_bytes());
        block[16..24].copy_from_slice(&self.number.to_le_bytes());
        block[24..32].copy_from_slice(&self.length_bytes.to_le_bytes());
        block[32..40].copy_from_slice(&self.created_ms.to_le_bytes());
        block[40..48].copy_from_slice(&self.beginning.to_le_bytes());
        block[48] = u8::from(self.is_recycled);
        seal(block);
    }

    /// Reads a block.
    pub fn read(block: &[u8]) -> Result<SegmentHeader, &'static str> {
        if block.len() < BLOCK_BYTES {
            return Err("shorter than a block");
        }
        let block = &block[..BLOCK_BYTES];
        if block[0..8] != SEGMENT_MAGIC {
            return Err("not a segment");
        }
        if !is_sealed(block) {
            return Err("checksum mismatch");
        }
        Ok(SegmentHeader {
            version: read_u16(block, 8),
            shard: ShardId(read_u16(block, 10)),
            shards: read_u16(block, 12),
            number: read_u64(block, 16),
            length_bytes: read_u64(block, 24),
            created_ms: read_u64(block, 32),
            beginning: read_u64(block, 40),
            is_recycled: block[48] != 0,
        })
    }
}

/// What a batch's first bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub version: u16,
    pub shard: ShardId,
    pub count: u32,
    pub segment: u64,
    pub first_lsn: Lsn,
    pub chain: u64,
    pub length_bytes: u32,
}

impl BatchHeader {
    /// Puts the header, then the checksum, over blocks whose frames and zeros are in place.
    pub fn seal(&self, blocks: &mut [u8]) {
        blocks[..BATCH_HEADER_BYTES].fill(0);
        blocks[0..8].copy_from_slice(&BATCH_MAGIC);
        blocks[8..10].copy_from_slice(&self.version.to_le_bytes());
        blocks[10..12].copy_from_slice(&self.shard.0.to_le_bytes());
        blocks[12..16].copy_from_slice(&self.count.to_le_bytes());
        blocks[16..24].copy_from_slice(&self.segment.to_le_bytes());
        blocks[24..32].copy_from_slice(&self.first_lsn.0.to_le_bytes());
        blocks[32..40].copy_from_slice(&self.chain.to_le_bytes());
        blocks[40..44].copy_from_slice(&self.length_bytes.to_le_bytes());
        seal(blocks);
    }

    /// Reads the claims of a header; `None` without the magic. Nothing is true before
    /// [`BatchHeader::is_sealed`].
    pub fn read(block: &[u8]) -> Option<BatchHeader> {
        if block.len() < BATCH_HEADER_BYTES || block[0..8] != BATCH_MAGIC {
            return None;
        }
        Some(BatchHeader {
            version: read_u16(block, 8),
            shard: ShardId(read_u16(block, 10)),
            count: read_u32(block, 12),
            segment: read_u64(block, 16),
            first_lsn: Lsn(read_u64(block, 24)),
            chain: read_u64(block, 32),
            length_bytes: read_u32(block, 40),
        })
    }

    /// Whether the blocks carry their checksum.
    pub fn is_sealed(&self, blocks: &[u8]) -> bool {
        is_sealed(blocks)
    }

    /// Length on disk, in bytes.
    pub fn padded_bytes(&self) -> usize {
        padded(self.length_bytes as usize)
    }
}

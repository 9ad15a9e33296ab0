//! A short way to write down a snapshot file, and back.
//!
//! ```text
//! repairs u8, the first 48 bytes of the file's first block, then
//!     without REPAIR_FRAMES: the bytes behind that block
//!     with it:               pieces: length u16, that many bytes of an archive
//! ```
//!
//! With repairs the frames around the pieces, the first block and the end are made as they should be.

use journal::{BLOCK_BYTES, FORMAT_VERSION, SNAPSHOT_FRAME_BYTES};

use crate::source::Source;

/// The first block is made, but for the record, the times and the state's hash.
pub const REPAIR_HEAD: u8 = 1;
/// Each piece gets its frame.
pub const REPAIR_FRAMES: u8 = 2;
/// The end frame, and zeros to the end of its block.
pub const REPAIR_END: u8 = 4;
/// All of these.
pub const REPAIR_ALL: u8 = 7;

/// Of how many shards the made heads are; the shard is the first.
pub const SHARDS: u16 = 2;

const HEAD_BYTES: usize = 48;
const LSN: std::ops::Range<usize> = 16..24;
const HEAD_CHECKSUM: std::ops::Range<usize> = 60..64;
const FRAME_CHECKSUM: std::ops::Range<usize> = 16..20;
const KIND_PIECE: u32 = 1;
const KIND_END: u32 = 2;

/// A snapshot file that an input stands for.
pub struct SnapshotBytes<'a> {
    /// The record that its head names.
    pub lsn: u64,
    /// Its whole content.
    pub bytes: Vec<u8>,
    /// The archives of its pieces, if it was made of those.
    pub pieces: Vec<&'a [u8]>,
}

/// The file that an input stands for.
pub fn read(data: &[u8]) -> SnapshotBytes<'_> {
    let mut source = Source::new(data);
    let repairs = source.byte();
    let mut bytes = source.take(HEAD_BYTES).to_vec();
    bytes.resize(BLOCK_BYTES, 0);
    if repairs & REPAIR_HEAD != 0 {
        bytes[0..8].copy_from_slice(b"RBKSNAPS");
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[10..12].fill(0);
        bytes[12..14].copy_from_slice(&SHARDS.to_le_bytes());
        let crc = checksum(&bytes, HEAD_CHECKSUM);
        bytes[HEAD_CHECKSUM].copy_from_slice(&crc.to_le_bytes());
    }
    let lsn = u64::from_le_bytes(bytes[LSN].try_into().expect("eight bytes"));
    let mut pieces = Vec::new();
    if repairs & REPAIR_FRAMES == 0 {
        bytes.extend_from_slice(source.rest());
    }
    while !source.is_empty() {
        let length = usize::from(source.word());
        let piece = source.take(length);
        pieces.push(piece);
        append_frame(&mut bytes, KIND_PIECE, pieces.len() as u64, piece);
    }
    if repairs & REPAIR_END != 0 {
        let count = pieces.len() as u64;
        let hash = xxhash_rust::xxh3::xxh3_64(&bytes);
        let end = [count.to_le_bytes(), hash.to_le_bytes()].concat();
        append_frame(&mut bytes, KIND_END, count + 1, &end);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    SnapshotBytes { lsn, bytes, pieces }
}

/// An input that stands for a snapshot of these pieces: for seeds.
pub fn write<'a>(lsn: u64, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut head = [0; HEAD_BYTES];
    head[LSN].copy_from_slice(&lsn.to_le_bytes());
    let mut input = vec![REPAIR_ALL];
    input.extend_from_slice(&head);
    for piece in pieces {
        let length = u16::try_from(piece.len()).expect("a piece too long for a seed");
        input.extend_from_slice(&length.to_le_bytes());
        input.extend_from_slice(piece);
    }
    input
}

/// An input that stands for this file as it is: for seeds.
pub fn write_plain(file: &[u8]) -> Vec<u8> {
    [&[0], &file[..HEAD_BYTES], &file[BLOCK_BYTES..]].concat()
}

/// Name of the snapshot of a record.
pub fn name(lsn: u64) -> String {
    format!("snapshot-{lsn:016}.ringbook")
}

fn append_frame(bytes: &mut Vec<u8>, kind: u32, sequence: u64, payload: &[u8]) {
    let start = bytes.len();
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&[0; SNAPSHOT_FRAME_BYTES - FRAME_CHECKSUM.start]);
    bytes.extend_from_slice(payload);
    bytes.resize(start + (bytes.len() - start).next_multiple_of(8), 0);
    let crc = checksum(&bytes[start..], FRAME_CHECKSUM);
    bytes[start..][FRAME_CHECKSUM].copy_from_slice(&crc.to_le_bytes());
}

/// Of all bytes but those where it stands.
fn checksum(bytes: &[u8], place: std::ops::Range<usize>) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..place.start]), &bytes[place.end..])
}

//! A short way to write down the files of a journal, and back.
//!
//! Files are mostly zeros and full of seals, which a fuzzer would spend its time on. An input is:
//!
//! ```text
//! repairs u8, then chunks:   flags and length u16, that many bytes
//! ```
//!
//! A chunk begins at a block and is filled up with zeros to whole blocks. Its flags may begin a new
//! segment, and may leave out a segment's number. The repairs say what is made right: the
//! segments' first blocks (they are not in the input then), the lengths, numbers and links of
//! batches, and their checksums.

use journal::{BATCH_HEADER_BYTES, BLOCK_BYTES, FORMAT_VERSION, GENESIS_CHAIN};

use crate::records::{NOW_MS, SHARD, SHARDS};
use crate::source::Source;

/// The first block of every segment is made.
pub const REPAIR_SEGMENTS: u8 = 1;
/// Magic, version, shard and length of every batch are made to fit.
pub const REPAIR_HEADERS: u8 = 2;
/// Segment, LSN and chain of every batch are those that are due.
pub const REPAIR_SEQUENCE: u8 = 4;
/// Every batch carries its checksum.
pub const REPAIR_CHECKSUMS: u8 = 8;
/// All of these.
pub const REPAIR_ALL: u8 = 15;
/// The oldest segments are not there: the first one has this number instead of 1.
pub const LATE: u8 = 16;

const LATE_NUMBER: u64 = 5;
const NEW_SEGMENT: u16 = 1 << 15;
const SKIP_NUMBER: u16 = 1 << 14;
const LENGTH_MASK: u16 = SKIP_NUMBER - 1;
/// Most blocks of all segments together, so that an input costs bounded time.
const MAX_BLOCKS: usize = 64;
const CHECKSUM: std::ops::Range<usize> = 60..64;

/// Name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("segment-{number:010}.ringbook")
}

/// The files that an input stands for.
pub fn read(data: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut source = Source::new(data);
    let repairs = source.byte();
    let mut number = if repairs & LATE == 0 { 1 } else { LATE_NUMBER };
    let mut segments: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut blocks = 0;
    while !source.is_empty() {
        let header = source.word();
        let chunk = source.take(usize::from(header & LENGTH_MASK));
        if segments.is_empty() || header & NEW_SEGMENT != 0 {
            if !segments.is_empty() {
                number += 1 + u64::from(header & SKIP_NUMBER != 0);
            }
            let made = if repairs & REPAIR_SEGMENTS == 0 { 0 } else { BLOCK_BYTES };
            blocks += made / BLOCK_BYTES;
            segments.push((number, vec![0; made]));
        }
        let length = chunk.len().next_multiple_of(BLOCK_BYTES).max(BLOCK_BYTES);
        blocks += length / BLOCK_BYTES;
        if blocks > MAX_BLOCKS {
            break;
        }
        let Some((_, bytes)) = segments.last_mut() else { break };
        let start = bytes.len();
        bytes.extend_from_slice(chunk);
        bytes.resize(start + length, 0);
    }
    let mut due = Due { lsn: 1, chain: GENESIS_CHAIN };
    for (number, bytes) in &mut segments {
        repair(bytes, *number, repairs, &mut due);
    }
    segments.into_iter().map(|(number, bytes)| (segment_name(number), bytes)).collect()
}

/// What the next batch is to say.
struct Due {
    lsn: u64,
    chain: u64,
}

fn repair(bytes: &mut [u8], number: u64, repairs: u8, due: &mut Due) {
    let length = bytes.len();
    if repairs & REPAIR_SEGMENTS != 0 {
        write_segment_header(&mut bytes[..BLOCK_BYTES], number, length as u64);
    }
    let mut at = BLOCK_BYTES;
    while at + BLOCK_BYTES <= length {
        let is_empty = bytes[at..at + BLOCK_BYTES].iter().all(|&byte| byte == 0);
        at += if is_empty {
            BLOCK_BYTES
        } else {
            repair_batch(&mut bytes[at..], number, repairs, due)
        };
    }
}

fn write_segment_header(block: &mut [u8], number: u64, length_bytes: u64) {
    block[0..8].copy_from_slice(b"RBKSEGMT");
    block[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    block[10..12].copy_from_slice(&SHARD.0.to_le_bytes());
    block[12..14].copy_from_slice(&SHARDS.to_le_bytes());
    block[16..24].copy_from_slice(&number.to_le_bytes());
    block[24..32].copy_from_slice(&length_bytes.to_le_bytes());
    block[32..40].copy_from_slice(&NOW_MS.to_le_bytes());
    seal(block);
}

/// Puts right what is to be put right of the batch at the start of `bytes`. Returns its length with
/// its padding.
fn repair_batch(bytes: &mut [u8], number: u64, repairs: u8, due: &mut Due) -> usize {
    if repairs & REPAIR_HEADERS != 0 {
        bytes[0..8].copy_from_slice(b"RBKBATCH");
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&SHARD.0.to_le_bytes());
        let claimed = read_u32(bytes, 40) as usize;
        let least = BATCH_HEADER_BYTES + journal::FRAME_HEADER_BYTES;
        let length = claimed.clamp(least, bytes.len()) as u32;
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
    }
    if repairs & REPAIR_SEQUENCE != 0 {
        bytes[16..24].copy_from_slice(&number.to_le_bytes());
        bytes[24..32].copy_from_slice(&due.lsn.to_le_bytes());
        bytes[32..40].copy_from_slice(&due.chain.to_le_bytes());
    }
    let padded = (read_u32(bytes, 40) as usize).next_multiple_of(BLOCK_BYTES);
    if &bytes[0..8] != b"RBKBATCH" || padded == 0 || padded > bytes.len() {
        return BLOCK_BYTES;
    }
    if repairs & REPAIR_CHECKSUMS != 0 {
        seal(&mut bytes[..padded]);
    }
    due.lsn = due.lsn.wrapping_add(u64::from(read_u32(bytes, 12)));
    due.chain = xxhash_rust::xxh3::xxh3_64(&bytes[..padded]);
    padded
}

/// Writes the checksum of whole blocks into their header.
fn seal(blocks: &mut [u8]) {
    let crc =
        crc32c::crc32c_append(crc32c::crc32c(&blocks[..CHECKSUM.start]), &blocks[CHECKSUM.end..]);
    blocks[CHECKSUM].copy_from_slice(&crc.to_le_bytes());
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// An input that stands for these segments, in order: for seeds. Chunks are cut at batches, and with
/// `repairs` what will be repaired is left out.
pub fn write<'a>(segments: impl IntoIterator<Item = &'a [u8]>, repairs: u8) -> Vec<u8> {
    let mut input = vec![repairs];
    for bytes in segments {
        let mut flags = NEW_SEGMENT;
        let made = if repairs & REPAIR_SEGMENTS == 0 { 0 } else { BLOCK_BYTES };
        let mut rest = &bytes[made..];
        while !rest.is_empty() {
            let is_batch = rest.starts_with(b"RBKBATCH");
            let length = if is_batch { read_u32(rest, 40) as usize } else { BLOCK_BYTES };
            let padded = length.next_multiple_of(BLOCK_BYTES);
            let used = rest[..padded].iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
            assert!(used <= usize::from(LENGTH_MASK), "a batch too long for a seed");
            input.extend_from_slice(&(flags | used as u16).to_le_bytes());
            input.extend_from_slice(&rest[..used]);
            flags = 0;
            rest = &rest[padded..];
        }
    }
    input
}

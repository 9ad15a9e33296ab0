//! Records: one [`engine::Input`] each, as an rkyv archive behind a frame header.
//!
//! Encoding writes straight into the gathering batch and allocates nothing in steady state; decoding
//! checks every byte of the archive before it trusts one.

use engine::Input;
use rkyv::rancor::Failure;
use rkyv::ser::Positional;
use rkyv::ser::allocator::Arena;
use rkyv::ser::writer::Buffer;

use crate::format::{
    FRAME_HEADER_BYTES, FRAME_TIME_OFFSET, KIND_INPUT, PAYLOAD_ALIGNMENT_BYTES, read_u32, read_u64,
};

/// First length of the serializer's scratch, in bytes; it grows once to what the longest list needs.
const SCRATCH_BYTES: usize = 64 << 10;

/// Turns inputs into frames.
pub(crate) struct Encoder {
    scratch: Arena,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder { scratch: Arena::with_capacity(SCRATCH_BYTES) }
    }

    /// Writes a frame to the start of `target` and returns its length in bytes; `None` when it does
    /// not fit. `target` is spoilt then, but nobody reads it before it is written again.
    pub fn encode(&mut self, time_ms: u64, input: &Input, target: &mut [u8]) -> Option<usize> {
        let payload = target.get_mut(FRAME_HEADER_BYTES..)?;
        let writer = rkyv::api::low::to_bytes_in_with_alloc::<_, _, Failure>(
            input,
            Buffer::from(payload),
            self.scratch.acquire(),
        )
        .ok()?;
        let length = writer.pos();
        let end = FRAME_HEADER_BYTES + length.next_multiple_of(PAYLOAD_ALIGNMENT_BYTES);
        target.get_mut(FRAME_HEADER_BYTES + length..end)?.fill(0);
        target[0..4].copy_from_slice(&(length as u32).to_le_bytes());
        target[4..8].copy_from_slice(&KIND_INPUT.to_le_bytes());
        target[8..16].copy_from_slice(&time_ms.to_le_bytes());
        Some(end)
    }
}

/// Length of a record's payload, in bytes: for a sender that must stay below
/// [`MAX_RECORD_BYTES`](crate::MAX_RECORD_BYTES). Allocates; not for the hot path.
pub fn encoded_length(input: &Input) -> usize {
    rkyv::api::high::to_bytes::<Failure>(input).map_or(usize::MAX, |bytes| bytes.len())
}

/// Reads a payload back. `None` unless every byte of the archive is what the types allow.
pub fn decode(payload: &[u8]) -> Option<Input> {
    rkyv::api::low::from_bytes::<Input, Failure>(payload).ok()
}

/// One record as it lies in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub time_ms: u64,
    pub payload: &'a [u8],
    /// Whole length in bytes, padding included.
    pub length_bytes: usize,
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `bytes`, which end where the batch's records end.
    pub fn read(bytes: &'a [u8]) -> Result<Frame<'a>, &'static str> {
        if bytes.len() < FRAME_HEADER_BYTES {
            return Err("the batch ends inside a frame header");
        }
        if read_u32(bytes, 4) != KIND_INPUT {
            return Err("unknown kind of record");
        }
        let length = read_u32(bytes, 0) as usize;
        let length_bytes = FRAME_HEADER_BYTES + length.next_multiple_of(PAYLOAD_ALIGNMENT_BYTES);
        if length_bytes > bytes.len() {
            return Err("the batch ends inside a record");
        }
        Ok(Frame {
            time_ms: read_u64(bytes, FRAME_TIME_OFFSET),
            payload: &bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length],
            length_bytes,
        })
    }
}

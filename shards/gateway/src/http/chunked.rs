//! Chunked bodies, decoded in place as they arrive.
//!
//! Promise: only what RFC 9112 section 7.1 says is read; a size is never guessed, rounded or
//! wrapped. Extensions and trailers are read over and forgotten, within
//! [`MAX_CHUNK_FRAMING_BYTES`].

use super::limits::{MAX_BODY_BYTES, MAX_CHUNK_FRAMING_BYTES, MAX_CHUNK_SIZE_DIGITS};
use super::request::RejectionReason;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: u32, value: u64 },
    Extension { value: u64 },
    SizeLineFeed { value: u64 },
    Data { left: usize },
    DataReturn,
    DataLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    EndLineFeed,
    Done,
}

/// How far a body is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder {
    state: State,
    framing_bytes: usize,
    body_bytes: usize,
}

/// What was decoded of a buffer: `read` bytes are used up, and data lies up to `written`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoded {
    pub read: usize,
    pub written: usize,
    pub is_done: bool,
}

impl Decoder {
    pub fn new() -> Decoder {
        let state = State::Size { digits: 0, value: 0 };
        Decoder { state, framing_bytes: 0, body_bytes: 0 }
    }

    /// Decodes `buffer[read..]`, moving the data to `written` and behind.
    pub fn decode(
        &mut self,
        buffer: &mut [u8],
        mut read: usize,
        mut written: usize,
    ) -> Result<Decoded, RejectionReason> {
        while read < buffer.len() && self.state != State::Done {
            if let State::Data { left } = self.state {
                let taken = left.min(buffer.len() - read);
                buffer.copy_within(read..read + taken, written);
                read += taken;
                written += taken;
                self.state = match left - taken {
                    0 => State::DataReturn,
                    left => State::Data { left },
                };
                continue;
            }
            self.framing_bytes += 1;
            if self.framing_bytes > MAX_CHUNK_FRAMING_BYTES {
                return Err(RejectionReason::Chunk("too much of it is chunk framing"));
            }
            self.state = self.step(buffer[read])?;
            read += 1;
        }
        Ok(Decoded { read, written, is_done: self.state == State::Done })
    }

    /// The state behind one byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, RejectionReason> {
        match (self.state, byte) {
            (State::Size { digits, value }, _) => size_digit(digits, value, byte),
            (State::Extension { value } | State::SizeLineFeed { value }, b'\n') => {
                if matches!(self.state, State::Extension { .. }) {
                    return Err(RejectionReason::Chunk("extension holds a control character"));
                }
                self.begin_chunk(value)
            }
            (State::Extension { value }, b'\r') => Ok(State::SizeLineFeed { value }),
            (state @ State::Extension { .. }, _) if is_text(byte) => Ok(state),
            (State::Extension { .. }, _) => {
                Err(RejectionReason::Chunk("extension holds a control character"))
            }
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::Size { digits: 0, value: 0 }),
            (State::TrailerStart, b'\r') => Ok(State::EndLineFeed),
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLineFeed),
            (State::TrailerValue, _) if is_text(byte) => Ok(State::TrailerValue),
            (State::TrailerLineFeed, b'\n') => Ok(State::TrailerStart),
            (State::EndLineFeed, b'\n') => Ok(State::Done),
            (State::TrailerStart | State::TrailerName | State::TrailerValue, _) => {
                Err(RejectionReason::Chunk("trailer is malformed"))
            }
            _ => Err(RejectionReason::Chunk("chunk does not end in CR LF")),
        }
    }

    fn begin_chunk(&mut self, value: u64) -> Result<State, RejectionReason> {
        if value == 0 {
            return Ok(State::TrailerStart);
        }
        // Checked against what is left, so that no sum can wrap.
        let room = (MAX_BODY_BYTES - self.body_bytes) as u64;
        if value > room {
            return Err(RejectionReason::BodyTooLarge);
        }
        self.body_bytes += value as usize;
        Ok(State::Data { left: value as usize })
    }
}

fn size_digit(digits: u32, value: u64, byte: u8) -> Result<State, RejectionReason> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        if digits == MAX_CHUNK_SIZE_DIGITS {
            return Err(RejectionReason::Chunk("chunk size has too many digits"));
        }
        return Ok(State::Size { digits: digits + 1, value: value << 4 | u64::from(digit) });
    }
    match byte {
        b'\r' if digits > 0 => Ok(State::SizeLineFeed { value }),
        b';' if digits > 0 => Ok(State::Extension { value }),
        _ => Err(RejectionReason::Chunk("chunk size is not a hexadecimal number")),
    }
}

/// Visible characters, space, tab and bytes beyond ASCII: what may stand in a field's value.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

//! What was received and not read yet, as the stream that tungstenite reads from.

use std::io::{self, Read};

use super::limits::{INITIAL_INPUT_BYTES, MAX_INPUT_BYTES, MIN_READ_BYTES};
use super::walk::FrameWalk;

/// A bounded buffer. A read gives nothing beyond the end of a frame.
#[derive(Debug)]
pub(super) struct Input {
    /// Bytes received lie in `start..end`; all of it is initialized, so that reads need no care.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    walk: FrameWalk,
}

impl Input {
    /// Holds what came behind the upgrade request.
    pub fn new(received: Vec<u8>) -> Input {
        let end = received.len();
        Input { bytes: received, start: 0, end, walk: FrameWalk::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing that was read awaits its continuation.
    pub fn is_between_messages(&self) -> bool {
        self.walk.is_between_messages()
    }

    pub fn wants_more(&self) -> bool {
        self.end - self.start < MAX_INPUT_BYTES
    }

    /// Room for what is received next, never empty while [`Input::wants_more`].
    pub fn spare(&mut self) -> &mut [u8] {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        if self.bytes.len() - self.end < MIN_READ_BYTES {
            self.make_room();
        }
        &mut self.bytes[self.end..]
    }

    /// Takes note that `count` bytes were received into [`Input::spare`].
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Copies bytes in, as far as there is room; returns how many.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.wants_more() {
            let spare = self.spare();
            let count = spare.len().min(bytes.len() - taken);
            spare[..count].copy_from_slice(&bytes[taken..taken + count]);
            self.advance(count);
            taken += count;
        }
        taken
    }

    /// Gives the buffer back, and forgets what it holds.
    pub fn release_memory(&mut self) {
        self.bytes = Vec::new();
        (self.start, self.end) = (0, 0);
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < MIN_READ_BYTES && self.bytes.len() < MAX_INPUT_BYTES {
            let length = (self.bytes.len() * 2).clamp(INITIAL_INPUT_BYTES, MAX_INPUT_BYTES);
            self.bytes.resize(length, 0);
        }
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let received = &self.bytes[self.start..self.end];
        let count = self.walk.take(&received[..received.len().min(into.len())]);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        into[..count].copy_from_slice(&received[..count]);
        self.start += count;
        Ok(count)
    }
}

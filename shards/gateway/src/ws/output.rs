//! What is to be sent: small frames in one buffer, large ones shared with other connections.

use std::collections::VecDeque;

use bytes::Bytes;

use super::limits::{IDLE_OUTPUT_BYTES, MIN_SHARED_FRAME_BYTES};

/// A queue of bytes. Its bound is kept by the connection.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// What leaves before `tail`.
    pieces: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// Bytes of what is first that are sent.
    sent_bytes: usize,
    unsent_bytes: usize,
}

impl Output {
    /// Begins with what is to leave first.
    pub fn new(unsent: Vec<u8>) -> Output {
        let unsent_bytes = unsent.len();
        Output { tail: unsent, unsent_bytes, ..Output::default() }
    }

    /// All bytes that are not sent.
    pub fn len(&self) -> usize {
        self.unsent_bytes
    }

    /// The bytes to send first; empty only when there are none.
    pub fn first(&self) -> &[u8] {
        &self.pieces.front().map_or(self.tail.as_slice(), |piece| piece)[self.sent_bytes..]
    }

    /// Takes note that `count` bytes from the front are sent.
    pub fn advance(&mut self, count: usize) {
        let mut count = count.min(self.unsent_bytes);
        self.unsent_bytes -= count;
        while let Some(piece) = self.pieces.front() {
            let left = piece.len() - self.sent_bytes;
            if count < left {
                self.sent_bytes += count;
                return;
            }
            count -= left;
            self.sent_bytes = 0;
            self.pieces.pop_front();
        }
        self.sent_bytes += count;
        // A client that is always a little behind would else let the buffer grow for ever; moving no
        // more than was sent keeps the cost of a byte constant.
        if self.sent_bytes * 2 >= self.tail.len() {
            self.tail.drain(..self.sent_bytes);
            self.sent_bytes = 0;
        }
    }

    /// Appends what `write` appends, unless that makes more than `most` unsent bytes. Whether it did.
    pub fn append(&mut self, most: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let before = self.tail.len();
        write(&mut self.tail);
        let added = self.tail.len() - before;
        if self.unsent_bytes + added > most {
            self.tail.truncate(before);
            return false;
        }
        self.unsent_bytes += added;
        true
    }

    /// Appends a frame of many connections, unless that makes more than `most` unsent bytes. Whether
    /// it did.
    pub fn append_shared(&mut self, most: usize, frame: Bytes) -> bool {
        if frame.len() < MIN_SHARED_FRAME_BYTES {
            return self.append(most, |out| out.extend_from_slice(&frame));
        }
        if self.unsent_bytes + frame.len() > most {
            return false;
        }
        if !self.tail.is_empty() {
            self.pieces.push_back(Bytes::from(std::mem::take(&mut self.tail)));
        }
        self.unsent_bytes += frame.len();
        self.pieces.push_back(frame);
        true
    }

    /// All that is not sent, in one piece.
    pub fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.unsent_bytes);
        while self.unsent_bytes > 0 {
            all.extend_from_slice(self.first());
            self.advance(self.first().len());
        }
        all
    }

    /// Gives memory back that holds nothing.
    pub fn release_memory(&mut self) {
        if self.unsent_bytes == 0 && self.tail.capacity() > IDLE_OUTPUT_BYTES {
            self.tail = Vec::new();
        }
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_frame_is_shared_and_a_small_one_copied() {
        let large = Bytes::from(vec![b'x'; MIN_SHARED_FRAME_BYTES]);
        let small = Bytes::from_static(b"small");
        let mut output = Output::default();
        assert!(output.append_shared(10_000, small.clone()));
        assert!(output.append_shared(10_000, large.clone()));
        assert!(output.append_shared(10_000, small));
        assert_eq!(output.first(), b"small");
        output.advance(5);
        assert_eq!(output.first().as_ptr(), large.as_ptr());
        output.advance(large.len());
        assert_eq!((output.first(), output.len()), (b"small".as_slice(), 5));
    }

    #[test]
    fn what_would_pass_the_bound_is_left_out_whole() {
        let mut output = Output::new(b"head".to_vec());
        assert!(!output.append(6, |out| out.extend_from_slice(b"abc")));
        assert!(output.append(6, |out| out.extend_from_slice(b"ab")));
        assert!(!output.append_shared(6, Bytes::from(vec![0; MIN_SHARED_FRAME_BYTES])));
        assert_eq!(output.take(), b"headab");
        assert_eq!((output.len(), output.first()), (0, b"".as_slice()));
    }

    #[test]
    fn a_client_that_is_always_behind_does_not_let_the_buffer_grow() {
        let mut output = Output::default();
        output.append(usize::MAX, |out| out.resize(1000, b'x'));
        for _ in 0..1000 {
            output.append(usize::MAX, |out| out.resize(out.len() + 500, b'x'));
            output.advance(500);
        }
        assert_eq!(output.len(), 1000);
        assert!(output.tail.capacity() < 10_000, "{}", output.tail.capacity());
    }

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_in_which_they_came(
            frames in proptest::collection::vec((any::<u8>(), prop_oneof![0..20usize, 4000..5000usize]), 0..20),
            steps in proptest::collection::vec(0..6000usize, 0..20),
        ) {
            let (mut output, mut wanted, mut sent) = (Output::default(), Vec::new(), Vec::new());
            let mut steps = steps.into_iter();
            for (byte, length) in frames {
                let frame = vec![byte; length];
                wanted.extend_from_slice(&frame);
                prop_assert!(output.append_shared(usize::MAX, Bytes::from(frame)));
                if let Some(step) = steps.next() {
                    let count = step.min(output.first().len());
                    sent.extend_from_slice(&output.first()[..count]);
                    output.advance(count);
                }
                prop_assert_eq!(output.len() + sent.len(), wanted.len());
                prop_assert_eq!(output.first().is_empty(), output.len() == 0);
            }
            sent.extend(output.take());
            prop_assert_eq!(sent, wanted);
        }
    }
}

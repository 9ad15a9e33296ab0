//! Answers leave in the order of their requests, whatever order they are ready in.
//!
//! Promise: an answer that is ready in turn is written straight into the output; only one that
//! overtakes another is kept aside.

use std::collections::VecDeque;

use super::limits::MAX_OUTSTANDING_REQUESTS;

/// Names one request of a connection, counting up from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub(super) u64);

/// The order in which answers leave.
#[derive(Debug, Default)]
pub(super) struct ResponseQueue {
    /// The slot that the next request gets.
    next: u64,
    /// The oldest slot without an answer.
    oldest: u64,
    /// Answers that are ready behind `oldest`, from `oldest + 1` on; shorter than what is
    /// outstanding, mostly empty.
    early: VecDeque<Option<Vec<u8>>>,
}

impl ResponseQueue {
    /// The slot of a new request.
    pub fn open(&mut self) -> Slot {
        self.next += 1;
        Slot(self.next - 1)
    }

    /// The slot that the next request will get.
    pub fn upcoming(&self) -> Slot {
        Slot(self.next)
    }

    /// Requests without an answer in the output.
    pub fn outstanding(&self) -> u64 {
        self.next - self.oldest
    }

    /// Whether no further request may be taken.
    pub fn is_full(&self) -> bool {
        self.outstanding() >= MAX_OUTSTANDING_REQUESTS
    }

    /// Whether this request has no answer in the output yet.
    pub fn is_outstanding(&self, slot: Slot) -> bool {
        slot.0 >= self.oldest && slot.0 < self.next
    }

    /// Writes the answer of `slot` into `output`, or keeps it until its turn. Returns whether the
    /// slot was waiting for one.
    pub fn complete(
        &mut self,
        slot: Slot,
        output: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if !self.is_outstanding(slot) {
            return false;
        }
        if slot.0 > self.oldest {
            return self.keep(slot, write);
        }
        write(output);
        self.oldest += 1;
        while let Some(front) = self.early.pop_front() {
            match front {
                Some(bytes) => {
                    output.extend_from_slice(&bytes);
                    self.oldest += 1;
                }
                None => break,
            }
        }
        true
    }

    fn keep(&mut self, slot: Slot, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let index = (slot.0 - self.oldest - 1) as usize;
        if self.early.len() <= index {
            self.early.resize_with(index + 1, || None);
        }
        if self.early[index].is_some() {
            return false;
        }
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.early[index] = Some(bytes);
        true
    }

    /// Gives back memory.
    pub fn release_memory(&mut self) {
        if self.early.is_empty() {
            self.early = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_that_overtakes_waits_for_its_turn() {
        let mut queue = ResponseQueue::default();
        let mut output = Vec::new();
        let slots: Vec<Slot> = (0..4).map(|_| queue.open()).collect();
        for (slot, text) in [(2, "c"), (1, "b"), (0, "a")] {
            assert!(queue.complete(slots[slot], &mut output, |out| out.extend(text.bytes())));
        }
        assert_eq!(output, b"abc");
        assert_eq!(queue.outstanding(), 1);
    }

    #[test]
    fn a_second_answer_to_one_request_is_dropped() {
        let mut queue = ResponseQueue::default();
        let mut output = Vec::new();
        let (first, second) = (queue.open(), queue.open());
        assert!(queue.complete(second, &mut output, |out| out.push(b'2')));
        assert!(!queue.complete(second, &mut output, |out| out.push(b'x')));
        assert!(queue.complete(first, &mut output, |out| out.push(b'1')));
        assert!(!queue.complete(first, &mut output, |out| out.push(b'x')));
        assert_eq!(output, b"12");
    }

    proptest! {
        #[test]
        fn any_order_of_completion_leaves_in_order(order in Just((0u8..100).collect::<Vec<_>>()).prop_shuffle()) {
            let mut queue = ResponseQueue::default();
            let mut output = Vec::new();
            let slots: Vec<Slot> = (0..100).map(|_| queue.open()).collect();
            for &index in &order {
                queue.complete(slots[usize::from(index)], &mut output, |out| out.push(index));
            }
            prop_assert_eq!(output, (0u8..100).collect::<Vec<_>>());
            prop_assert_eq!(queue.outstanding(), 0);
        }
    }
}

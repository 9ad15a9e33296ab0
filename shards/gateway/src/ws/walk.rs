//! Where frames and messages end in the bytes that tungstenite is given.
//!
//! It does not tell whether it holds a part of something, and only a context that holds nothing can
//! be given back to the allocator. So its bytes are handed out frame by frame, and counted here. This
//! judges nothing: what breaks the protocol is tungstenite's to refuse.

/// Longest header of a frame: two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;

const FINAL_BIT: u8 = 0x80;
const CONTROL_BIT: u8 = 0x08;
const MASK_BIT: u8 = 0x80;
const LENGTH_BITS: u8 = 0x7f;
const MASK_BYTES: usize = 4;

/// A walk over the frames of one client.
#[derive(Debug, Default)]
pub(super) struct FrameWalk {
    header: [u8; MAX_HEADER_BYTES],
    /// Bytes of `header` that are here.
    header_bytes: usize,
    /// Bytes of the payload that are missing.
    payload_left_bytes: u64,
    /// A fragmented message has begun and not ended.
    is_within_message: bool,
}

impl FrameWalk {
    /// How many of `bytes`, which come next, may be handed out: none beyond the end of the frame.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.payload_left_bytes == 0 {
            let Some(&byte) = bytes.get(taken) else { return taken };
            self.header[self.header_bytes] = byte;
            self.header_bytes += 1;
            taken += 1;
            if self.header_bytes == self.header_length() {
                self.begin_payload();
                if self.payload_left_bytes == 0 {
                    return taken;
                }
            }
        }
        let payload = self.payload_left_bytes.min((bytes.len() - taken) as u64);
        self.payload_left_bytes -= payload;
        taken + payload as usize
    }

    /// Whether all messages that have begun have ended.
    pub fn is_between_messages(&self) -> bool {
        self.header_bytes == 0 && self.payload_left_bytes == 0 && !self.is_within_message
    }

    /// Length of the header, as far as it is known.
    fn header_length(&self) -> usize {
        if self.header_bytes < 2 {
            return 2;
        }
        let mask = if self.header[1] & MASK_BIT == 0 { 0 } else { MASK_BYTES };
        2 + self.length_bytes() + mask
    }

    /// Bytes of the length behind the second byte.
    fn length_bytes(&self) -> usize {
        match self.header[1] & LENGTH_BITS {
            127 => 8,
            126 => 2,
            _ => 0,
        }
    }

    fn begin_payload(&mut self) {
        let [first, second, ..] = self.header;
        self.payload_left_bytes = match self.length_bytes() {
            0 => u64::from(second & LENGTH_BITS),
            count => {
                let digits = &self.header[2..2 + count];
                digits.iter().fold(0, |length, &byte| length << 8 | u64::from(byte))
            }
        };
        self.header_bytes = 0;
        if first & CONTROL_BIT == 0 {
            self.is_within_message = first & FINAL_BIT == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_handed_out_frame_by_frame_in_any_pieces() {
        let long = [vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9], vec![0; 65_536]].concat();
        let frames: [&[u8]; 5] = [
            &[0x81, 0x80, 1, 2, 3, 4],
            &[0x89, 0x01, 0],
            &[0x81, 0x82, 1, 2, 3, 4, 5, 6],
            &[[0x82, 0x7e, 0, 200].as_slice(), &[0; 200]].concat(),
            &long,
        ];
        let all = frames.concat();
        for size in [1, 2, 3, 7, 100, all.len()] {
            let (mut walk, mut at, mut ends) = (FrameWalk::default(), 0, Vec::new());
            while at < all.len() {
                let piece = &all[at..all.len().min(at + size)];
                at += walk.take(piece);
                if walk.is_between_messages() {
                    ends.push(at);
                }
            }
            let wanted: Vec<usize> = frames
                .iter()
                .scan(0, |sum, frame| {
                    *sum += frame.len();
                    Some(*sum)
                })
                .collect();
            assert_eq!(ends, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn a_control_frame_between_fragments_does_not_end_the_message() {
        let mut walk = FrameWalk::default();
        for (frame, between) in [
            ([0x01, 0x80, 0, 0, 0, 0], false),
            ([0x89, 0x80, 0, 0, 0, 0], false),
            ([0x00, 0x80, 0, 0, 0, 0], false),
            ([0x80, 0x80, 0, 0, 0, 0], true),
        ] {
            assert_eq!(walk.take(&frame), 6);
            assert_eq!(walk.is_between_messages(), between, "{frame:?}");
        }
    }

    #[test]
    fn a_length_beyond_all_memory_is_only_counted() {
        let mut walk = FrameWalk::default();
        assert_eq!(walk.take(&[0x82, 0x7f, 255, 255, 255, 255, 255, 255, 255, 255, 0]), 11);
        assert!(!walk.is_between_messages());
    }
}

//! Frames from the server: encoded in place, or once for many connections.

use bytes::Bytes;

/// The whole of a text message, and of a binary one, is one frame: FIN and opcode.
pub(super) const FINAL_TEXT: u8 = 0x81;
pub(super) const FINAL_BINARY: u8 = 0x82;
/// A ping without payload.
pub(super) const PING: [u8; 2] = [0x89, 0];

/// Header bytes that are set aside: those of a payload of 126 to 65,535 bytes, as most pushes are.
const ASIDE_BYTES: usize = 4;
/// Longest payload whose length stands in the second byte.
const MAX_SHORT_BYTES: usize = 125;
const TWO_BYTES_FOLLOW: u8 = 126;
const EIGHT_BYTES_FOLLOW: u8 = 127;

/// A text message as the bytes that [`super::Connection::send_frame`] takes. Clones share them.
pub fn encode_text_frame(text: &str) -> Bytes {
    encode_text_frame_with(|out| out.extend_from_slice(text.as_bytes()))
}

/// The same, the text being written by `write`, which promises UTF-8.
pub fn encode_text_frame_with(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    write_frame(&mut out, FINAL_TEXT, write);
    Bytes::from(out)
}

/// Appends a frame whose payload `write` appends.
pub(super) fn write_frame(out: &mut Vec<u8>, first: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[first, TWO_BYTES_FOLLOW, 0, 0]);
    write(out);
    let length = out.len() - start - ASIDE_BYTES;
    let length_at = start + 1..start + ASIDE_BYTES;
    if length <= MAX_SHORT_BYTES {
        out.splice(length_at, [length as u8]);
    } else if let Ok(length) = u16::try_from(length) {
        out[start + 2..start + ASIDE_BYTES].copy_from_slice(&length.to_be_bytes());
    } else {
        let bytes = (length as u64).to_be_bytes();
        out.splice(length_at, std::iter::once(EIGHT_BYTES_FOLLOW).chain(bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tungstenite::protocol::frame::FrameHeader;

    use super::*;

    #[test]
    fn a_frame_of_any_length_has_the_header_that_tungstenite_reads() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let text = "x".repeat(length);
            let frame = encode_text_frame(&text);
            let mut cursor = Cursor::new(&frame);
            let (header, told) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!((told, header.is_final, header.mask), (length as u64, true, None));
            assert_eq!(&frame[cursor.position() as usize..], text.as_bytes(), "{length}");
            let mut wanted = Vec::new();
            header.format(told, &mut wanted).unwrap();
            assert!(frame.starts_with(&wanted), "{length}");
        }
    }

    #[test]
    fn a_frame_leaves_what_stands_before_it_alone() {
        let mut out = b"before".to_vec();
        write_frame(&mut out, FINAL_BINARY, |out| out.push(7));
        write_frame(&mut out, FINAL_TEXT, |out| out.resize(out.len() + 200, b'x'));
        assert_eq!(&out[..13], b"before\x82\x01\x07\x81\x7e\x00\xc8");
        assert_eq!(out.len(), 13 + 200);
    }
}

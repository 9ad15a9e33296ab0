//! Takes a server's frames apart where they lie in what was read, without copying them.
//!
//! tungstenite keeps a buffer for every connection and hands each message out as memory of its own:
//! with thousands of connections that get the same messages, the generator would be busy with that and
//! not with measuring. A server's frames are not masked, so all there is to do is to find their ends.
//! Traders, whose messages are few, use tungstenite. What is not looked at here is whether text is
//! UTF-8; all else is as strict as there, and a test feeds both the same bytes.

/// Longest message: far above the largest snapshot of a book.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Longest payload of a ping, a pong or a close.
const MAX_CONTROL_BYTES: usize = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// Lengths from here on are in the next two, or eight, bytes.
const TWO_BYTES: u8 = 126;
const EIGHT_BYTES: u8 = 127;

/// Something that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    Text(&'a [u8]),
    Binary,
    Ping(&'a [u8]),
    Pong,
    /// With the code, if there is one; nothing comes behind it.
    Close(Option<u16>),
}

/// What breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not WebSocket: {0}")]
pub struct Malformed(&'static str);

/// The reading side of one connection.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The beginning of a frame whose rest has not come yet.
    rest: Vec<u8>,
    /// The pieces of a message that is not complete yet.
    pieces: Vec<u8>,
    /// The opcode of that message.
    fragmented: Option<u8>,
    is_closed: bool,
}

/// A frame, as its head tells.
struct Head {
    opcode: u8,
    is_final: bool,
    head_bytes: usize,
    payload_bytes: usize,
}

impl Scanner {
    /// Takes what was read, and hands out what is complete, each with the bytes that it took.
    pub fn feed(
        &mut self,
        read: &[u8],
        mut take: impl FnMut(Incoming<'_>, usize),
    ) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            let taken = self.split(read, &mut take)?;
            self.rest.extend_from_slice(&read[taken..]);
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(read);
            let taken = self.split(&rest, &mut take)?;
            rest.drain(..taken);
            self.rest = rest;
        }
        // Thousands of connections: none keeps memory for what has passed.
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
        Ok(())
    }

    fn split(
        &mut self,
        input: &[u8],
        take: &mut impl FnMut(Incoming<'_>, usize),
    ) -> Result<usize, Malformed> {
        let mut taken = 0;
        while !self.is_closed {
            let Some(head) = head(&input[taken..])? else { return Ok(taken) };
            let Head { head_bytes, payload_bytes, .. } = head;
            self.expect(&head)?;
            let begin = taken + head_bytes;
            let Some(payload) = input.get(begin..begin + payload_bytes) else { return Ok(taken) };
            self.frame(&head, payload, take)?;
            taken = begin + payload_bytes;
        }
        // Nothing counts any more.
        Ok(input.len())
    }

    /// Whether such a frame may come now.
    fn expect(&self, head: &Head) -> Result<(), Malformed> {
        match head.opcode {
            CONTINUATION if self.fragmented.is_none() => {
                Err(Malformed("a continuation of nothing"))
            }
            TEXT | BINARY if self.fragmented.is_some() => {
                Err(Malformed("a message within a message"))
            }
            CONTINUATION | TEXT | BINARY
                if self.pieces.len() + head.payload_bytes > MAX_MESSAGE_BYTES =>
            {
                Err(Malformed("a message is too long"))
            }
            _ => Ok(()),
        }
    }

    fn frame(
        &mut self,
        head: &Head,
        payload: &[u8],
        take: &mut impl FnMut(Incoming<'_>, usize),
    ) -> Result<(), Malformed> {
        let bytes = head.head_bytes + payload.len();
        match head.opcode {
            PING => take(Incoming::Ping(payload), bytes),
            PONG => take(Incoming::Pong, bytes),
            CLOSE => {
                let code = match payload {
                    [] => None,
                    [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
                    [_] => return Err(Malformed("half a close code")),
                };
                self.is_closed = true;
                take(Incoming::Close(code), bytes);
            }
            opcode if opcode != CONTINUATION && head.is_final => match opcode {
                TEXT => take(Incoming::Text(payload), bytes),
                _ => take(Incoming::Binary, bytes),
            },
            opcode => {
                self.pieces.extend_from_slice(payload);
                let first = *self.fragmented.get_or_insert(opcode);
                if head.is_final {
                    let pieces = std::mem::take(&mut self.pieces);
                    self.fragmented = None;
                    match first {
                        TEXT => take(Incoming::Text(&pieces), bytes),
                        _ => take(Incoming::Binary, bytes),
                    }
                }
            }
        }
        Ok(())
    }
}

/// The head of the first frame, if all of it is there.
fn head(input: &[u8]) -> Result<Option<Head>, Malformed> {
    let [first, second, ..] = *input else { return Ok(None) };
    let (opcode, is_final) = (first & 0x0f, first & FINAL != 0);
    if first & RESERVED != 0 {
        return Err(Malformed("reserved bits are set"));
    }
    if second & MASKED != 0 {
        return Err(Malformed("a server's frame is masked"));
    }
    let (head_bytes, length) = match second & !MASKED {
        TWO_BYTES => match input.get(2..4) {
            Some(&[high, low]) => (4, u64::from(u16::from_be_bytes([high, low]))),
            _ => return Ok(None),
        },
        EIGHT_BYTES => match input.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => (10, u64::from_be_bytes(bytes)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    match opcode {
        CLOSE | PING | PONG => {
            if !is_final || length > MAX_CONTROL_BYTES as u64 {
                return Err(Malformed("a control frame is too long or in pieces"));
            }
        }
        CONTINUATION | TEXT | BINARY => {}
        _ => return Err(Malformed("an unknown opcode")),
    }
    let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if payload_bytes > MAX_MESSAGE_BYTES {
        return Err(Malformed("a message is too long"));
    }
    Ok(Some(Head { opcode, is_final, head_bytes, payload_bytes }))
}

/// Bytes that a message of a server takes, its head included.
pub fn wire_bytes(payload_bytes: usize) -> usize {
    let head_bytes = match payload_bytes {
        0..=125 => 2,
        126..=65_535 => 4,
        _ => 10,
    };
    head_bytes + payload_bytes
}

/// Appends a text message of a client. Clients mask; with what does not matter between programs that
/// trust each other.
pub fn write_text(out: &mut Vec<u8>, text: &[u8], mask: [u8; 4]) {
    write(out, TEXT, text, mask);
}

/// Appends the answer to a ping.
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8], mask: [u8; 4]) {
    write(out, PONG, payload, mask);
}

fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(FINAL | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(MASKED | short as u8),
        middle @ 126..=65_535 => {
            out.push(MASKED | TWO_BYTES);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(MASKED | EIGHT_BYTES);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::random::Random;
    use std::io::{self, Read, Write};
    use tungstenite::Message;
    use tungstenite::protocol::{Role, WebSocketContext};

    /// What came, as both can tell it.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Text(Vec<u8>),
        Binary,
        Ping(Vec<u8>),
        Pong,
        Close(Option<u16>),
        Broken,
    }

    /// Reads in pieces of random lengths; what is written is thrown away.
    struct Pieces<'a>(&'a [u8], &'a mut Random);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let most = self.0.len().min(buffer.len());
            let count = 1 + self.1.below(most as u64) as usize;
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    impl Write for Pieces<'_> {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn by_tungstenite(input: &[u8], random: &mut Random) -> Vec<Seen> {
        let mut context = WebSocketContext::new(Role::Client, None);
        let (mut pieces, mut seen) = (Pieces(input, random), Vec::new());
        loop {
            seen.push(match context.read(&mut pieces) {
                Ok(Message::Text(text)) => Seen::Text(text.as_bytes().to_vec()),
                Ok(Message::Binary(_)) => Seen::Binary,
                Ok(Message::Ping(payload)) => Seen::Ping(payload.to_vec()),
                Ok(Message::Pong(_)) => Seen::Pong,
                Ok(Message::Close(frame)) => {
                    seen.push(Seen::Close(frame.map(|frame| frame.code.into())));
                    return seen;
                }
                Ok(other) => panic!("{other:?}"),
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return seen;
                }
                Err(_) => {
                    seen.push(Seen::Broken);
                    return seen;
                }
            });
        }
    }

    fn by_scanner(mut input: &[u8], random: &mut Random) -> Vec<Seen> {
        let (mut scanner, mut seen) = (Scanner::default(), Vec::new());
        while !input.is_empty() {
            let (piece, rest) = input.split_at(1 + random.below(input.len() as u64) as usize);
            input = rest;
            let fed = scanner.feed(piece, |incoming, _| {
                seen.push(match incoming {
                    Incoming::Text(text) => Seen::Text(text.to_vec()),
                    Incoming::Binary => Seen::Binary,
                    Incoming::Ping(payload) => Seen::Ping(payload.to_vec()),
                    Incoming::Pong => Seen::Pong,
                    Incoming::Close(code) => Seen::Close(code),
                });
            });
            if fed.is_err() {
                seen.push(Seen::Broken);
                return seen;
            }
        }
        seen
    }

    /// A frame of a server; now and then one that must not be.
    fn frame(random: &mut Random, out: &mut Vec<u8>) {
        let opcodes = [TEXT, TEXT, TEXT, TEXT, CONTINUATION, BINARY, PING, PONG, CLOSE, 3];
        let opcode = opcodes[random.below(opcodes.len() as u64) as usize];
        let is_final = random.below(8) > 0;
        let reserved = if random.below(60) == 0 { 0x40 } else { 0 };
        let masked = if random.below(60) == 0 { MASKED } else { 0 };
        out.push(if is_final { FINAL } else { 0 } | reserved | opcode);
        let length = match random.below(8) {
            0 => 70_000,
            1 | 2 => 126 + random.below(1_000) as usize,
            _ => random.below(126) as usize,
        };
        match length {
            0..=125 => out.push(masked | length as u8),
            126..=65_535 => {
                out.push(masked | TWO_BYTES);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                out.push(masked | EIGHT_BYTES);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if masked != 0 {
            out.extend_from_slice(&[0; 4]);
        }
        let begin = out.len();
        out.extend((0..length).map(|at| b'a' + (at % 26) as u8));
        if opcode == CLOSE && length >= 2 {
            out[begin..begin + 2].copy_from_slice(&1013_u16.to_be_bytes());
        }
    }

    #[test]
    fn it_sees_what_tungstenite_sees() {
        let mut random = Random::new(1, 0);
        let (mut broken, mut texts) = (0, 0);
        for _ in 0..4_000 {
            let mut input = Vec::new();
            (0..=random.below(12)).for_each(|_| frame(&mut random, &mut input));
            let missing = random.below(3) as usize;
            input.truncate(input.len() - missing);
            let mut seen = by_scanner(&input, &mut random);
            let expected = by_tungstenite(&input, &mut random);
            // tungstenite waits for the whole of a frame whose head is wrong.
            if missing > 0 && seen.len() > expected.len() && seen.last() == Some(&Seen::Broken) {
                seen.pop();
            }
            assert_eq!(seen, expected, "{:02x?}", &input[..input.len().min(40)]);
            broken += usize::from(seen.contains(&Seen::Broken));
            texts += seen.iter().filter(|seen| matches!(seen, Seen::Text(_))).count();
        }
        assert!(broken > 100 && texts > 2_000, "{broken} {texts}");
    }

    #[test]
    fn what_it_writes_tungstenite_reads() {
        let mut random = Random::new(2, 0);
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let (text, mut out) = (vec![b'x'; length], Vec::new());
            write_text(&mut out, &text, [1, 2, 3, 4]);
            let mut context = WebSocketContext::new(Role::Server, None);
            let read = context.read(&mut Pieces(&out, &mut random)).unwrap();
            assert_eq!(read, Message::text(String::from_utf8(text).unwrap()));
        }
    }

    #[test]
    fn bytes_of_a_message_are_those_of_its_frame() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut out = Vec::new();
            write_text(&mut out, &vec![0; length], [0; 4]);
            assert_eq!(wire_bytes(length), out.len() - 4);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_has_come() {
        let mut frame = vec![FINAL | TEXT, EIGHT_BYTES];
        frame.extend_from_slice(&(1_u64 << 40).to_be_bytes());
        let fed = Scanner::default().feed(&frame, |_, _| ());
        assert!(fed.unwrap_err().to_string().contains("too long"));
    }
}

//! A connection that has one order under way.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};

use crate::servers::Server;

/// Longest answer here, with its head.
const READ_BYTES: usize = 8 * 1024;
/// What answers to the messages of this program contain.
const ANSWER: &[u8] = b"\"result\":";
/// Orders in the rpc dialect, where nothing is pushed: at `/ws` both sides of a trade are told of it on all their
/// connections, which is another thing to measure.
const UPGRADE: &str = "GET /orders HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

enum Wire {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// The connection.
pub struct Lane {
    wire: Wire,
    buffer: Box<[u8; READ_BYTES]>,
    /// Read, and behind the last answer.
    pending: Vec<u8>,
    is_socket: bool,
}

impl Lane {
    /// Connects; as a WebSocket if it is to be one.
    pub fn open(server: &Server, is_socket: bool) -> Lane {
        let stream = TcpStream::connect(server.address()).expect("connected");
        stream.set_nodelay(true).expect("no delay");
        let wire = match server.session() {
            None => Wire::Plain(stream),
            Some(session) => Wire::Secure(Box::new(StreamOwned::new(session, stream))),
        };
        let mut lane =
            Lane { wire, buffer: Box::new([0; READ_BYTES]), pending: Vec::new(), is_socket: false };
        if is_socket {
            lane.send(UPGRADE.as_bytes());
            lane.receive();
            lane.is_socket = true;
        }
        lane
    }

    /// Sends a whole message.
    pub fn send(&mut self, message: &[u8]) {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(message),
            Wire::Secure(stream) => stream.write_all(message),
        }
        .expect("sent");
    }

    /// Waits for a whole answer, which must not be an error. What a WebSocket is told unasked is read over.
    pub fn receive(&mut self) {
        while !self.receive_one() {}
    }

    /// Takes one answer or message. Whether it is an answer.
    fn receive_one(&mut self) -> bool {
        let length = loop {
            let length = match self.is_socket {
                true => frame_length(&self.pending),
                false => answer_length(&self.pending),
            };
            match length {
                Some(length) if length <= self.pending.len() => break length,
                _ => self.fill(),
            }
        };
        let answer = &self.pending[..length];
        let is_good = match self.is_socket {
            true => !contains(answer, b"error"),
            false => answer.starts_with(b"HTTP/1.1 202 ") || answer.starts_with(b"HTTP/1.1 101 "),
        };
        assert!(is_good, "{}", String::from_utf8_lossy(answer));
        let is_answer = !self.is_socket || contains(answer, ANSWER);
        self.pending.drain(..length);
        is_answer
    }

    fn fill(&mut self) {
        let space = &mut self.buffer[..];
        let count = match &mut self.wire {
            Wire::Plain(stream) => stream.read(space),
            Wire::Secure(stream) => stream.read(space),
        };
        let count = count.expect("an answer");
        assert!(count > 0, "closed: {}", String::from_utf8_lossy(&self.pending));
        self.pending.extend_from_slice(&self.buffer[..count]);
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The length of a whole answer of HTTP, once its head is there.
fn answer_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("a head is text");
    let length = text.split("\r\n").filter_map(|line| line.split_once(": "));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, value)| value.parse::<usize>().expect("a length")).next();
    Some(head + length.unwrap_or(0))
}

/// The length of a whole frame of a server, shorter than 64 KiB.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [_, short, ..] if short < 126 => Some(2 + usize::from(short)),
        [_, _, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// Asks something over a connection that the server closes after its answer.
pub fn ask(server: &Server, request: &[u8]) -> String {
    let mut lane = Lane::open(server, false);
    lane.send(request);
    let mut answer = Vec::new();
    let read = match &mut lane.wire {
        Wire::Plain(stream) => stream.read_to_end(&mut answer),
        Wire::Secure(stream) => stream.read_to_end(&mut answer),
    };
    read.expect("an answer");
    String::from_utf8(answer).expect("text")
}

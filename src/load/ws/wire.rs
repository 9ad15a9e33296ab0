//! One WebSocket that never blocks: connecting, the upgrade, then messages.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::scanner::{self, Incoming, Scanner};
use crate::load::dial;
use crate::load::poller::Readiness;
use crate::load::schedule::Clock;

/// A trader's messages are short; tungstenite's own default is 128 KiB for each connection.
const TRADER_BUFFER_BYTES: usize = 4 * 1024;
/// Most that waits for a trader's socket: far above what may be under way.
const MAX_OUTPUT_BYTES: usize = 1 << 20;
/// Longest head of the answer to the upgrade.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 32;
const SWITCHING_PROTOCOLS: u16 = 101;
/// Any mask will do, see [`scanner::write_text`].
const MASK: [u8; 4] = [0x5a, 0x3c, 0x99, 0x0f];

/// How a connection is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub address: SocketAddr,
    /// Where from, if that matters.
    pub source: Option<IpAddr>,
    pub host: &'a str,
}

/// Who takes the frames apart.
#[derive(Debug)]
enum Framing {
    Own(Scanner),
    Tungstenite(Box<WebSocketContext>),
}

/// The answer to the upgrade as far as it has come, and the key that it must have.
#[derive(Debug)]
struct Upgrade {
    head: Vec<u8>,
    accept: String,
}

#[derive(Debug)]
enum Link {
    Down,
    Connecting(TcpStream, Box<Upgrade>),
    Upgrading(TcpStream, Box<Upgrade>),
    Open(TcpStream, Framing),
}

/// A WebSocket.
#[derive(Debug)]
pub struct Wire {
    link: Link,
    /// Whose it is; only such a one trades.
    user: Option<u64>,
    output: Vec<u8>,
    written: usize,
}

/// What went wrong, in the same words for the same fault, so that they can be counted.
pub type Fault = String;

/// What is read into, and the clock.
pub struct Reading<'a> {
    pub buffer: &'a mut [u8],
    pub clock: &'a Clock,
}

impl Wire {
    /// One that is not there yet, of a user or of nobody.
    pub fn new(user: Option<u64>) -> Wire {
        Wire { link: Link::Down, user, output: Vec::new(), written: 0 }
    }

    /// Whether it is neither there nor on its way.
    pub fn is_down(&self) -> bool {
        matches!(self.link, Link::Down)
    }

    /// Begins to connect.
    pub fn begin(&mut self, target: Target<'_>) -> io::Result<&TcpStream> {
        let stream = dial::begin(target.address, target.source)?;
        let key = generate_key();
        let path = self.user.map_or("/ws".to_owned(), |user| format!("/ws?user_id={user}"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
            target.host
        );
        (self.output, self.written) = (request.into_bytes(), 0);
        let accept = derive_accept_key(key.as_bytes());
        self.link = Link::Connecting(stream, Box::new(Upgrade { head: Vec::new(), accept }));
        match &self.link {
            Link::Connecting(stream, _) => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// It is given up.
    pub fn drop_link(&mut self) {
        self.link = Link::Down;
        (self.output, self.written) = (Vec::new(), 0);
    }

    /// Does what there is to do: connects on, writes on, and hands out what has come, each with the
    /// bytes that it took and the time at which it was read.
    pub fn handle(
        &mut self,
        readiness: Readiness,
        reading: &mut Reading<'_>,
        mut take: impl FnMut(Incoming<'_>, usize, u64),
    ) -> Result<(), Fault> {
        if let Link::Connecting(stream, _) = &self.link
            && dial::is_connected(stream).map_err(|error| format!("cannot connect: {error}"))?
            && let Link::Connecting(stream, upgrade) = std::mem::replace(&mut self.link, Link::Down)
        {
            self.link = Link::Upgrading(stream, upgrade);
            self.flush()?;
        }
        if readiness.is_readable || readiness.is_over {
            self.read(reading, &mut take)?;
        }
        if readiness.is_writable { self.flush() } else { Ok(()) }
    }

    fn read(
        &mut self,
        reading: &mut Reading<'_>,
        take: &mut impl FnMut(Incoming<'_>, usize, u64),
    ) -> Result<(), Fault> {
        if matches!(self.link, Link::Upgrading(..)) {
            self.upgrade(reading, take)?;
        }
        match &mut self.link {
            Link::Open(stream, Framing::Tungstenite(context)) => {
                by_tungstenite(stream, context, reading.clock, take)
            }
            Link::Open(..) => self.by_scanner(reading, take),
            _ => Ok(()),
        }
    }

    /// Reads the answer to the upgrade; messages may lie behind it.
    fn upgrade(
        &mut self,
        reading: &mut Reading<'_>,
        take: &mut impl FnMut(Incoming<'_>, usize, u64),
    ) -> Result<(), Fault> {
        let Link::Upgrading(stream, upgrade) = &mut self.link else { return Ok(()) };
        let length = loop {
            let Some(count) = read_some(stream, reading.buffer)? else { return Ok(()) };
            upgrade.head.extend_from_slice(&reading.buffer[..count]);
            if let Some(length) = upgraded(upgrade)? {
                break length;
            }
        };
        let behind = upgrade.head.split_off(length);
        let Link::Upgrading(stream, _) = std::mem::replace(&mut self.link, Link::Down) else {
            return Ok(());
        };
        if self.user.is_some() {
            let config = WebSocketConfig::default()
                .read_buffer_size(TRADER_BUFFER_BYTES)
                .write_buffer_size(0)
                .max_write_buffer_size(MAX_OUTPUT_BYTES);
            let context = WebSocketContext::from_partially_read(behind, Role::Client, Some(config));
            self.link = Link::Open(stream, Framing::Tungstenite(Box::new(context)));
            return Ok(());
        }
        let mut scanner = Scanner::default();
        let now_ns = reading.clock.now_ns();
        let fed = scanner.feed(&behind, |incoming, bytes| take(incoming, bytes, now_ns));
        fed.map_err(|malformed| malformed.to_string())?;
        self.link = Link::Open(stream, Framing::Own(scanner));
        Ok(())
    }

    fn by_scanner(
        &mut self,
        reading: &mut Reading<'_>,
        take: &mut impl FnMut(Incoming<'_>, usize, u64),
    ) -> Result<(), Fault> {
        let Link::Open(stream, Framing::Own(scanner)) = &mut self.link else { return Ok(()) };
        let had_output = self.output.len();
        // Until nothing is left: what is registered once is told of once.
        while let Some(count) = read_some(stream, reading.buffer)? {
            let now_ns = reading.clock.now_ns();
            let mut closed = None;
            let fed = scanner.feed(&reading.buffer[..count], |incoming, bytes| {
                match incoming {
                    Incoming::Ping(payload) => {
                        scanner::write_pong(&mut self.output, payload, MASK);
                    }
                    Incoming::Close(code) => closed = Some(code),
                    _ => {}
                }
                take(incoming, bytes, now_ns);
            });
            fed.map_err(|malformed| malformed.to_string())?;
            if let Some(code) = closed {
                return Err(closed_with(code));
            }
        }
        if self.output.len() > had_output { self.flush() } else { Ok(()) }
    }

    /// Sends a text message, as far as the socket takes it.
    pub fn send(&mut self, text: String) -> Result<(), Fault> {
        match &mut self.link {
            Link::Open(stream, Framing::Tungstenite(context)) => {
                match context.write(stream, Message::text(text)) {
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(broke(error)),
                    Ok(()) => {}
                }
            }
            Link::Open(_, Framing::Own(_)) => {
                scanner::write_text(&mut self.output, text.as_bytes(), MASK);
            }
            _ => return Err("connection is not open".to_owned()),
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let stream = match &mut self.link {
            Link::Open(stream, Framing::Tungstenite(context)) => {
                return match context.flush(stream) {
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                    flushed => flushed.map_err(broke),
                };
            }
            Link::Open(stream, _) | Link::Upgrading(stream, _) => stream,
            Link::Down | Link::Connecting(..) => return Ok(()),
        };
        while self.written < self.output.len() {
            match stream.write(&self.output[self.written..]) {
                Ok(0) => return Err("connection broke: it takes nothing".to_owned()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("connection broke: {error}")),
            }
        }
        (self.output, self.written) = (Vec::new(), 0);
        Ok(())
    }
}

/// Bytes that were read, or nothing when there are none for now.
fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<usize>, Fault> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err("connection closed by the server".to_owned()),
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("connection broke: {error}")),
        }
    }
}

fn by_tungstenite(
    stream: &mut TcpStream,
    context: &mut WebSocketContext,
    clock: &Clock,
    take: &mut impl FnMut(Incoming<'_>, usize, u64),
) -> Result<(), Fault> {
    loop {
        let message = match context.read(stream) {
            Ok(message) => message,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broke(error)),
        };
        let bytes = scanner::wire_bytes(message.len());
        let now_ns = clock.now_ns();
        match message {
            Message::Text(text) => take(Incoming::Text(text.as_bytes()), bytes, now_ns),
            Message::Ping(payload) => take(Incoming::Ping(&payload), bytes, now_ns),
            Message::Pong(_) => take(Incoming::Pong, bytes, now_ns),
            Message::Close(frame) => return Err(closed_with(frame.map(|frame| frame.code.into()))),
            _ => take(Incoming::Binary, bytes, now_ns),
        }
    }
}

fn broke(error: Error) -> Fault {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => {
            "connection closed by the server".to_owned()
        }
        other => format!("connection broke: {other}"),
    }
}

fn closed_with(code: Option<u16>) -> Fault {
    match code {
        Some(code) => format!("connection closed by the server with code {code}"),
        None => "connection closed by the server without a code".to_owned(),
    }
}

/// Whether the answer is complete, and how long it is; one that opens no WebSocket is a fault.
fn upgraded(upgrade: &Upgrade) -> Result<Option<usize>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(&upgrade.head) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if upgrade.head.len() <= MAX_HEAD_BYTES => return Ok(None),
        _ => return Err("no upgrade: the answer is not HTTP".to_owned()),
    };
    let status = response.code.unwrap_or(0);
    if status != SWITCHING_PROTOCOLS {
        return Err(format!("no upgrade: the server answers {status}"));
    }
    let is_accept =
        |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("sec-websocket-accept");
    let accept = response.headers.iter().find(is_accept).map(|header| header.value);
    if accept != Some(upgrade.accept.as_bytes()) {
        return Err("no upgrade: the server's key is wrong".to_owned());
    }
    Ok(Some(length))
}

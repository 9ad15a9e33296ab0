//! One connection after its upgrade: bytes in, messages out; messages in, bytes out.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Message, Utf8Bytes};

use super::close_code;
use super::frame::{FINAL_BINARY, FINAL_TEXT, PING, write_frame};
use super::input::Input;
use super::limits::{
    INPUT_HIGH_WATER_BYTES, MARKET_DATA_HIGH_WATER_BYTES, MAX_CLOSE_REASON_BYTES, MAX_FRAME_BYTES,
    MAX_MESSAGE_BYTES, MAX_OUTPUT_BYTES, READ_BUFFER_BYTES,
};
use super::liveness::{Liveness, Tick};
use super::output::Output;
use crate::http::Upgraded;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The last one: nothing more comes, and nothing more can be sent.
    Closed(Closed),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client closed it; its close frame is acknowledged.
    ByClient {
        /// Its code, if it gave one.
        code: Option<u16>,
        /// Its reason, at most [`MAX_CLOSE_REASON_BYTES`].
        reason: Utf8Bytes,
    },
    /// The client acknowledged our close frame.
    Acknowledged,
    /// The client broke the protocol and is told so.
    Violated(Violation),
    /// The client went away without a close frame.
    Lost,
}

/// How a client breaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Frames that cannot be, or cannot be here.
    #[error("{0}")]
    Protocol(ProtocolError),
    /// A text, or the reason of a close frame, is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A message is too long.
    #[error("message is longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
}

impl Violation {
    /// The code that it is answered with, see [`close_code`].
    pub fn close_code(&self) -> u16 {
        match self {
            Violation::Protocol(_) => close_code::PROTOCOL,
            Violation::NotUtf8 => close_code::NOT_UTF8,
            Violation::TooLong => close_code::TOO_LONG,
        }
    }
}

/// Why a message is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is being closed or has ended.
    #[error("the connection is closed")]
    Closed,
    /// The client does not read: with this message the connection has been closed, with
    /// [`close_code::SLOW_CONSUMER`].
    #[error("slow consumer: more than {MAX_OUTPUT_BYTES} bytes are unsent")]
    SlowConsumer,
}

/// How far a connection is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Our close frame is on its way: messages that still come are not looked at, since they could
    /// not be answered.
    Closing,
    /// Nothing more is read or sent, but for what is in the output.
    Ended,
}

/// The state of one connection. It holds no socket and no clock.
#[derive(Debug)]
pub struct Connection {
    /// Made when the first bytes come, and again after it was given back.
    context: Option<Box<WebSocketContext>>,
    input: Input,
    output: Output,
    state: State,
    /// The client sends nothing more.
    is_at_end: bool,
    liveness: Liveness,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new(Upgraded::default())
    }
}

impl Connection {
    /// Goes on where HTTP ended: with what is unsent of it, the answer 101 at the end, and with what
    /// came behind the request.
    pub fn new(upgraded: Upgraded) -> Connection {
        Connection {
            context: None,
            input: Input::new(upgraded.received),
            output: Output::new(upgraded.unsent),
            state: State::Open,
            is_at_end: false,
            liveness: Liveness::default(),
        }
    }

    /// Whether the caller should read from the socket. When not, the kernel's buffer pushes back on
    /// the client.
    pub fn wants_input(&self) -> bool {
        !self.is_at_end && self.may_read() && self.input.wants_more()
    }

    /// Room for the next read, never empty while [`Connection::wants_input`].
    pub fn spare(&mut self) -> &mut [u8] {
        self.input.spare()
    }

    /// Takes note that `count` bytes were read into [`Connection::spare`].
    pub fn advance(&mut self, count: usize) {
        self.liveness.heard(count);
        self.input.advance(count);
    }

    /// Copies bytes in, as far as there is room; returns how many. For callers that read into one
    /// buffer of their own for all connections.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.liveness.heard(bytes.len());
        self.input.feed(bytes)
    }

    /// Takes note that the client has closed its side. What is whole in the buffer is still read.
    pub fn end_of_input(&mut self) {
        self.is_at_end = true;
    }

    /// The next message, if there is one and it may be read now. Call again until `None`, and after
    /// output has left. [`Incoming::Closed`] comes once, last.
    pub fn next_message(&mut self) -> Option<Incoming> {
        while self.may_read() {
            if self.input.is_empty() {
                return self.is_at_end.then(|| self.end(Closed::Lost));
            }
            match self.drive(|context, pipe| context.read(pipe)) {
                Ok(Message::Text(text)) if self.state == State::Open => {
                    return Some(Incoming::Text(text));
                }
                Ok(Message::Binary(bytes)) if self.state == State::Open => {
                    return Some(Incoming::Binary(bytes));
                }
                Ok(Message::Close(frame)) => return Some(self.close_received(frame)),
                // Else its pong would wait for what the client sends next.
                Ok(Message::Ping(_)) => self.flush(),
                Ok(_) => {}
                // The buffer is read to its end; the turn of the loop says whether more can come.
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Some(self.fail(error)),
            }
        }
        None
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// It is not sent, for the reason that [`SendError`] tells.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.send_text_with(|out| out.extend_from_slice(text.as_bytes()))
    }

    /// Sends a text message that `write` appends to the output, promising UTF-8.
    ///
    /// # Errors
    /// As for [`Connection::send_text`].
    pub fn send_text_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        self.send(|output| {
            output.append(MAX_OUTPUT_BYTES, |out| write_frame(out, FINAL_TEXT, write))
        })
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// As for [`Connection::send_text`].
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send(|output| {
            output.append(MAX_OUTPUT_BYTES, |out| {
                write_frame(out, FINAL_BINARY, |out| out.extend_from_slice(bytes));
            })
        })
    }

    /// Sends a frame that was encoded once for many connections ([`super::encode_text_frame`]).
    ///
    /// # Errors
    /// As for [`Connection::send_text`].
    pub fn send_frame(&mut self, frame: Bytes) -> Result<(), SendError> {
        self.send(|output| output.append_shared(MAX_OUTPUT_BYTES, frame))
    }

    /// Whether the client reads fast enough for more market data. When not, its streams wait and
    /// get their newest state later.
    pub fn keeps_up(&self) -> bool {
        self.state == State::Open && self.output.len() < MARKET_DATA_HIGH_WATER_BYTES
    }

    /// Closes the connection with a code ([`close_code`]) and a reason, which is cut to
    /// [`MAX_CLOSE_REASON_BYTES`]. The client's acknowledgement comes as [`Incoming::Closed`]. Does
    /// nothing when the connection is being closed already.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        let reason = &reason[..reason.floor_char_boundary(MAX_CLOSE_REASON_BYTES)];
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        // The pipe takes everything; the frame stands in the output whatever this returns.
        let _ = self.drive(|context, pipe| context.close(pipe, Some(frame)));
    }

    /// What the passing of time asks for. `now_ms` is of any clock that goes forward; call it about
    /// once a second.
    pub fn tick(&mut self, now_ms: u64) -> Tick {
        let tick = self.liveness.tick(now_ms, self.state != State::Open);
        if tick == Tick::Ping {
            // Nothing is read of a client whose output is that full, so it will be dead by time.
            self.output.append(MAX_OUTPUT_BYTES, |out| out.extend_from_slice(&PING));
        }
        tick
    }

    /// The bytes for the socket that come first; more may follow behind them.
    pub fn output(&self) -> &[u8] {
        self.output.first()
    }

    /// Takes note that `count` bytes from the front of the output are sent.
    pub fn advance_output(&mut self, count: usize) {
        self.output.advance(count);
    }

    /// All bytes for the socket, in one piece.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.output.take()
    }

    /// How many bytes wait for the socket. At most [`MAX_OUTPUT_BYTES`] and a close frame.
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Whether all is said: the caller shuts the socket down.
    pub fn is_finished(&self) -> bool {
        self.state == State::Ended && self.output.len() == 0
    }

    /// Gives back what holds nothing, for connections that have been quiet for a while: between two
    /// messages that is all but this struct.
    pub fn release_memory(&mut self) {
        if self.input.is_empty() {
            self.input.release_memory();
            // Of an open connection a context between two messages remembers nothing.
            if self.state == State::Open && self.input.is_between_messages() {
                self.context = None;
            }
        }
        self.output.release_memory();
    }

    fn may_read(&self) -> bool {
        self.state != State::Ended && self.output.len() < INPUT_HIGH_WATER_BYTES
    }

    /// Lets tungstenite do something between input and output.
    fn drive<T>(
        &mut self,
        act: impl FnOnce(&mut WebSocketContext, &mut Pipe<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let context = self.context.get_or_insert_with(new_context);
        act(context, &mut Pipe { input: &mut self.input, output: &mut self.output })
    }

    /// Has what tungstenite holds back written into the output.
    fn flush(&mut self) {
        // It says `ConnectionClosed` behind the acknowledgement of a close frame; nothing can fail.
        let _ = self.drive(|context, pipe| context.flush(pipe));
    }

    fn send(&mut self, append: impl FnOnce(&mut Output) -> bool) -> Result<(), SendError> {
        if self.state != State::Open {
            return Err(SendError::Closed);
        }
        if !append(&mut self.output) {
            self.close(close_code::SLOW_CONSUMER, &SendError::SlowConsumer.to_string());
            return Err(SendError::SlowConsumer);
        }
        Ok(())
    }

    fn close_received(&mut self, frame: Option<CloseFrame>) -> Incoming {
        self.flush();
        let closed = match (self.state, frame) {
            (State::Closing, _) => Closed::Acknowledged,
            (_, Some(CloseFrame { code, reason })) => {
                Closed::ByClient { code: Some(code.into()), reason }
            }
            (_, None) => Closed::ByClient { code: None, reason: Utf8Bytes::default() },
        };
        self.end(closed)
    }

    fn fail(&mut self, error: Error) -> Incoming {
        let violation = match error {
            Error::Protocol(error) => Violation::Protocol(error),
            Error::Capacity(_) => Violation::TooLong,
            Error::Utf8(_) => Violation::NotUtf8,
            _ => return self.end(Closed::Lost),
        };
        self.close(violation.close_code(), &violation.to_string());
        self.end(Closed::Violated(violation))
    }

    fn end(&mut self, closed: Closed) -> Incoming {
        self.state = State::Ended;
        self.context = None;
        self.input.release_memory();
        if closed == Closed::Lost {
            self.output = Output::default();
        }
        Incoming::Closed(closed)
    }
}

fn new_context() -> Box<WebSocketContext> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // What is to be sent goes straight into our output.
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
        .accept_unmasked_frames(false);
    Box::new(WebSocketContext::new(Role::Server, Some(config)))
}

/// The stream that tungstenite reads and writes.
struct Pipe<'a> {
    input: &'a mut Input,
    output: &'a mut Output,
}

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into)
    }
}

impl Write for Pipe<'_> {
    /// Takes everything: pongs and close frames are small, and nothing is read while the output is
    /// full.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.append(usize::MAX, |out| out.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;

//! A WebSocket client for tests: one blocking connection, every wait bounded.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::client_with_config;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use super::LIMIT;
use super::http::connect;

/// What a test reads at once: hundreds of connections are open at a time.
const READ_BUFFER_BYTES: usize = 4096;

/// What came, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Text(String),
    /// The server has closed with this code; `None`: the connection is gone without one.
    Closed(Option<u16>),
    /// Nothing yet.
    Nothing,
}

/// One connection.
pub struct Socket {
    inner: WebSocket<TcpStream>,
    /// Came before an answer that was waited for.
    kept: VecDeque<Value>,
}

impl Socket {
    /// Opens `path`; an error is the answer that refuses it, or that there is none.
    pub fn try_open(port: u16, path: &str) -> Result<Socket, String> {
        let stream = connect(port).map_err(|error| error.to_string())?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
        let url = format!("ws://127.0.0.1:{port}{path}");
        match client_with_config(url, stream, Some(config)) {
            Ok((inner, _)) => Ok(Socket { inner, kept: VecDeque::new() }),
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                Err(format!("{} {}", answer.status().as_u16(), String::from_utf8_lossy(&body)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Opens `path`.
    #[track_caller]
    pub fn open(port: u16, path: &str) -> Socket {
        Socket::try_open(port, path).unwrap_or_else(|error| panic!("cannot open {path}: {error}"))
    }

    /// Of nobody in particular, behind its greeting.
    #[track_caller]
    pub fn anonymous(port: u16) -> Socket {
        let mut socket = Socket::open(port, "/ws");
        assert_eq!(socket.next(), json!({"type": "connected"}));
        socket
    }

    /// Of a user, behind its greeting.
    #[track_caller]
    pub fn user(port: u16, user: u64) -> Socket {
        let mut socket = Socket::open(port, &format!("/ws?user_id={user}"));
        assert_eq!(socket.next(), json!({"type": "connected", "user_id": user}));
        socket
    }

    /// What comes within `limit`. Zero does not wait at all.
    pub fn hear(&mut self, limit: Duration) -> Heard {
        let stream = self.inner.get_ref();
        stream.set_nonblocking(limit.is_zero()).expect("the socket is open");
        if !limit.is_zero() {
            stream.set_read_timeout(Some(limit)).expect("a time above zero");
        }
        loop {
            match self.inner.read() {
                Ok(Message::Text(text)) => return Heard::Text(text.as_str().to_owned()),
                Ok(Message::Close(frame)) => {
                    // The answer to it leaves with the next read.
                    let _ = self.inner.flush();
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => panic!("the server never sends this: {message:?}"),
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Heard::Nothing;
                }
                Err(_) => return Heard::Closed(None),
            }
        }
    }

    /// Sends a text. The server may have closed already, so an error is none of the test's.
    pub fn send(&mut self, text: &str) -> &mut Socket {
        self.send_message(Message::text(text))
    }

    /// Sends bytes that are no text.
    pub fn send_binary(&mut self, bytes: &[u8]) -> &mut Socket {
        self.send_message(Message::binary(bytes.to_vec()))
    }

    fn send_message(&mut self, message: Message) -> &mut Socket {
        self.inner.get_ref().set_nonblocking(false).expect("the socket is open");
        let _ = self.inner.send(message);
        self
    }

    /// The next message, which must come within `limit`.
    #[track_caller]
    pub fn next_within(&mut self, limit: Duration) -> Value {
        if let Some(kept) = self.kept.pop_front() {
            return kept;
        }
        match self.hear(limit) {
            Heard::Text(text) => parse(&text),
            other => panic!("no message within {} ms: {other:?}", limit.as_millis()),
        }
    }

    /// The next message, which must come.
    #[track_caller]
    pub fn next(&mut self) -> Value {
        self.next_within(LIMIT)
    }

    /// The next message of a type; those before it are passed over.
    #[track_caller]
    pub fn next_of(&mut self, kind: &str) -> Value {
        self.next_that(&format!("of type {kind}"), |message| message["type"] == kind)
    }

    /// The next message that is as `described`; those before it are passed over.
    #[track_caller]
    pub fn next_that(&mut self, described: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let message = self.next();
            if is_it(&message) {
                return message;
            }
            assert!(begin.elapsed() < LIMIT, "no message {described}; the last one: {message}");
        }
    }

    /// Sends a message with an `id` and gives its answer. What comes before it is kept for
    /// [`Socket::next`].
    #[track_caller]
    pub fn ask(&mut self, message: &Value) -> Value {
        self.send(&message.to_string());
        self.answer(&message["id"])
    }

    /// The answer to a message that was sent with this `id`.
    #[track_caller]
    pub fn answer(&mut self, id: &Value) -> Value {
        let begin = Instant::now();
        let mut kept = std::mem::take(&mut self.kept);
        if let Some(at) = kept.iter().position(|message| message["id"] == *id) {
            let answer = kept.remove(at);
            self.kept = kept;
            return answer.expect("found");
        }
        loop {
            let message = self.next();
            if message["id"] == *id {
                self.kept = kept;
                return message;
            }
            kept.push_back(message);
            assert!(begin.elapsed() < LIMIT, "no answer to {id}; there came {kept:?}");
        }
    }

    /// Everything up to a pause of this length.
    pub fn drain(&mut self, pause: Duration) -> Vec<Value> {
        let mut all: Vec<Value> = std::mem::take(&mut self.kept).into();
        while let Heard::Text(text) = self.hear(pause) {
            all.push(parse(&text));
        }
        all
    }

    /// Reads to the end: the texts, and the code that the server closed with.
    pub fn read_to_close(&mut self, limit: Duration) -> (Vec<Value>, Option<u16>) {
        let mut all: Vec<Value> = std::mem::take(&mut self.kept).into();
        loop {
            match self.hear(limit) {
                Heard::Text(text) => all.push(parse(&text)),
                Heard::Closed(code) => return (all, code),
                Heard::Nothing => panic!("open still after {} messages", all.len()),
            }
        }
    }
}

/// A message as JSON.
#[track_caller]
pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
}

/// The request that opens `path`, for who sends bytes by hand.
pub fn upgrade_request(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// A client's text frame of up to 64 KiB.
pub fn text_frame(text: &str) -> Vec<u8> {
    const FINAL_TEXT: u8 = 0x81;
    const MASKED: u8 = 0x80;
    const TWO_BYTES_FOLLOW: u8 = 126;
    const MASK: [u8; 4] = [7, 11, 13, 17];
    let mut frame = vec![FINAL_TEXT];
    match text.len() {
        short @ 0..126 => frame.push(MASKED | short as u8),
        long => {
            frame.push(MASKED | TWO_BYTES_FOLLOW);
            frame.extend(u16::try_from(long).expect("short enough").to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

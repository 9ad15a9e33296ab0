//! A small HTTP client: one connection, kept alive, one request at a time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use serde_json::Value;

use super::LIMIT;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self}"))
    }

    /// The envelope's code.
    pub fn code(&self) -> u64 {
        self.json()["code"].as_u64().unwrap_or_else(|| panic!("no code: {self}"))
    }

    /// The envelope's message.
    pub fn message(&self) -> String {
        self.json()["msg"].as_str().unwrap_or_else(|| panic!("no msg: {self}")).to_owned()
    }

    /// The envelope's data; panics if it is an error's.
    #[track_caller]
    pub fn data(&self) -> Value {
        assert!(self.status < 300 && self.code() == 0, "an error where data should be: {self}");
        self.json()["data"].take()
    }

    /// HTTP status and code; panics if it is no error's.
    #[track_caller]
    pub fn error(&self) -> (u16, u64) {
        assert!(self.status >= 400 && self.code() != 0, "data where an error should be: {self}");
        assert!(self.json()["data"].is_null(), "an error with data: {self}");
        (self.status, self.code())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// Connects, with every wait bounded.
pub fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Reads one answer. `pending` holds what was read beyond the one before.
pub fn read_answer(
    stream: &mut impl Read,
    pending: &mut Vec<u8>,
    to_head: bool,
) -> io::Result<Answer> {
    let head_end = loop {
        if let Some(at) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        fill(stream, pending)?;
    };
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let head = std::str::from_utf8(&pending[..head_end]).map_err(|_| bad("head is no text"))?;
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.ok_or_else(|| bad(status_line))?;
    let split = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Option<Vec<_>> = lines.map(split).collect();
    let headers = headers.ok_or_else(|| bad("a header without a colon"))?;
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let length: usize = if to_head || status == 204 { 0 } else { length };
    while pending.len() < head_end + length {
        fill(stream, pending)?;
    }
    let body = pending[head_end..head_end + length].to_vec();
    pending.drain(..head_end + length);
    Ok(Answer { status, headers, body })
}

fn fill(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            pending.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    }
}

/// A caller with a connection of its own, made when it is first needed.
pub struct Client {
    port: u16,
    /// Headers that say who asks, each with its line end.
    identity: String,
    stream: Option<TcpStream>,
    pending: Vec<u8>,
}

impl Client {
    /// Nobody in particular.
    pub fn anonymous(port: u16) -> Client {
        Client { port, identity: String::new(), stream: None, pending: Vec::new() }
    }

    /// A user.
    pub fn user(port: u16, user: u64) -> Client {
        Client { identity: format!("X-User-ID: {user}\r\n"), ..Client::anonymous(port) }
    }

    /// An administrator.
    pub fn admin(port: u16) -> Client {
        Client { identity: "X-Admin-Token: dev-admin\r\n".to_owned(), ..Client::anonymous(port) }
    }

    /// One request. An error leaves the client without a connection; the next request makes one.
    pub fn try_call(
        &mut self,
        method: &str,
        path: &str,
        extra: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let outcome = self.exchange(method, path, extra, body);
        let is_over = match &outcome {
            Ok(answer) => answer.header("connection") == Some("close"),
            Err(_) => true,
        };
        if is_over {
            self.stream = None;
            self.pending.clear();
        }
        outcome
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        extra: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(connect(self.port)?),
        };
        let (identity, length) = (&self.identity, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{identity}{extra}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        read_answer(stream, &mut self.pending, method == "HEAD")
    }

    /// One request with further headers; panics when there is no answer.
    #[track_caller]
    pub fn call_with(&mut self, method: &str, path: &str, extra: &str, body: &str) -> Answer {
        let outcome = self.try_call(method, path, extra, body);
        outcome.unwrap_or_else(|error| panic!("{method} {path} {body}: no answer: {error}"))
    }

    /// One request; panics when there is no answer.
    #[track_caller]
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.call_with(method, path, "", body)
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "")
    }

    /// `POST`.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.call("POST", path, body)
    }

    /// Places an order and does not wait for its matching.
    #[track_caller]
    pub fn place(&mut self, body: &str) -> Answer {
        self.post("/api/v1/create_order", body)
    }

    /// Places an order that must be taken, and waits until it is matched.
    #[track_caller]
    pub fn trade(&mut self, body: &str) -> Value {
        let answer = self.call_with("POST", "/api/v1/create_order", "Prefer: wait\r\n", body);
        assert_eq!(answer.status, 200, "{body}: {answer}");
        answer.data()
    }
}

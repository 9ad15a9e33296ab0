//! A client of `/api/stream`, every wait bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::LIMIT;
use crate::support::http::{Answer, connect, read_answer};

/// Where an event stands: epoch and number.
pub type Id = (u64, u64);

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: Option<Id>,
    pub kind: String,
    pub data: Value,
}

/// What came, or did not.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Event(Event),
    /// A line that is no event.
    Comment(String),
    End,
    Nothing,
}

/// One stream.
pub struct Stream {
    socket: TcpStream,
    pending: Vec<u8>,
}

/// As `id:` has it.
pub fn text(id: Id) -> String {
    format!("{}-{}", id.0, id.1)
}

impl Stream {
    /// Opens a stream; an error is the answer that refuses it.
    pub fn try_open(port: u16, query: &str, headers: &str) -> Result<Stream, Answer> {
        let socket = connect(port).unwrap_or_else(|error| panic!("cannot connect: {error}"));
        Stream::try_open_on(socket, query, headers)
    }

    /// The same, on a connection that is there.
    pub fn try_open_on(socket: TcpStream, query: &str, headers: &str) -> Result<Stream, Answer> {
        let mut stream = Stream { socket, pending: Vec::new() };
        let request =
            format!("GET /api/stream{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.socket.write_all(request.as_bytes()).expect("sent");
        while !stream.pending.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(stream.fill(LIMIT) == Some(true), "no answer to {query}");
        }
        if !stream.pending.starts_with(b"HTTP/1.1 200 ") {
            let answer = read_answer(&mut stream.socket, &mut stream.pending, false);
            return Err(answer.expect("a whole answer"));
        }
        let head = read_answer(&mut std::io::empty(), &mut stream.pending, true).expect("a head");
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        Ok(stream)
    }

    /// A user's stream, from now on.
    #[track_caller]
    pub fn user(port: u16, user: u64) -> Stream {
        let opened = Stream::try_open(port, &format!("?user_id={user}"), "");
        opened.unwrap_or_else(|answer| panic!("no stream: {answer}"))
    }

    /// A user's stream, behind an event.
    #[track_caller]
    pub fn resume(port: u16, user: u64, after: Id) -> Stream {
        let header = format!("Last-Event-ID: {}\r\n", text(after));
        let opened = Stream::try_open(port, &format!("?user_id={user}"), &header);
        opened.unwrap_or_else(|answer| panic!("no stream: {answer}"))
    }

    /// Whether more came; `None` for nothing yet.
    fn fill(&mut self, limit: Duration) -> Option<bool> {
        let mut buffer = [0; 16 * 1024];
        self.socket.set_read_timeout(Some(limit.max(Duration::from_millis(1)))).expect("open");
        match self.socket.read(&mut buffer) {
            Ok(0) => Some(false),
            Ok(count) => {
                self.pending.extend_from_slice(&buffer[..count]);
                Some(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(_) => Some(false),
        }
    }

    /// What comes within `limit`.
    pub fn hear(&mut self, limit: Duration) -> Heard {
        let begin = Instant::now();
        loop {
            if let Some(end) = self.pending.windows(2).position(|window| window == b"\n\n") {
                let block: Vec<u8> = self.pending.drain(..end + 2).collect();
                return read_block(std::str::from_utf8(&block).expect("UTF-8"));
            }
            let left = limit.saturating_sub(begin.elapsed());
            match self.fill(left) {
                Some(true) => {}
                Some(false) => return Heard::End,
                None if begin.elapsed() >= limit => return Heard::Nothing,
                None => {}
            }
        }
    }

    /// The next event that is not `market`.
    #[track_caller]
    pub fn next(&mut self) -> Event {
        loop {
            match self.hear(LIMIT) {
                Heard::Event(event) if event.kind == "market" => {}
                Heard::Comment(_) => {}
                Heard::Event(event) => return event,
                other => panic!("no event: {other:?}"),
            }
        }
    }

    /// The next events that are not `market`, so many.
    #[track_caller]
    pub fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Events that are not `market`, up to a pause of this length.
    pub fn drain(&mut self, pause: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.hear(pause) {
                Heard::Event(event) if event.kind == "market" => {}
                Heard::Event(event) => events.push(event),
                Heard::Comment(_) => {}
                Heard::End | Heard::Nothing => return events,
            }
        }
    }

    /// Events up to one that `is_last`, that one too; `market` is left out.
    #[track_caller]
    pub fn until(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let is_over = is_last(&event);
            events.push(event);
            if is_over {
                return events;
            }
        }
    }
}

fn read_block(block: &str) -> Heard {
    let (mut id, mut kind, mut data) = (None, None, None);
    for line in block.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
        match name {
            "" => return Heard::Comment(value.to_owned()),
            "id" => id = Some(read_id(value)),
            "event" => kind = Some(value.to_owned()),
            "data" => data = Some(serde_json::from_str(value).expect("JSON")),
            _ => panic!("an unknown field: {line:?}"),
        }
    }
    let kind = kind.unwrap_or_else(|| panic!("no event: {block:?}"));
    Heard::Event(Event { id, kind, data: data.expect("data") })
}

fn read_id(text: &str) -> Id {
    let (epoch, number) = text.split_once('-').unwrap_or_else(|| panic!("no id: {text}"));
    (epoch.parse().expect("an epoch"), number.parse().expect("a number"))
}

//! One connection: bytes in, requests out; answers in, bytes out in order.

use super::chunked::Decoder;
use super::limits::{
    IDLE_OUTPUT_BYTES, INITIAL_INPUT_BYTES, MAX_INPUT_BYTES, MIN_READ_BYTES,
    OUTPUT_HIGH_WATER_BYTES,
};
use super::parser::{Framing, Head, parse_head};
use super::queue::{ResponseQueue, Slot};
use super::request::{Persistence, Rejection, RejectionReason, Request};

/// Where a connection stands, for the caller's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing of a request is here and nothing is unanswered: the idle limit holds.
    Idle,
    /// A part of a head is here: the head limit holds.
    Head,
    /// A head is here and a part of its body: the body limit holds.
    Body,
    /// Requests wait for answers, or answers for the socket: no limit on the client's input holds.
    Answering,
}

/// A phase and the request it belongs to: a timer starts anew when this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// The request that is being received or comes next.
    pub slot: Slot,
}

/// What is known of the request that is being received.
#[derive(Clone, Copy, Debug)]
enum Receiving {
    /// Its head; this many bytes have been looked at.
    Head { scanned: usize },
    /// Its body of known length.
    Body { head: Head, length: usize },
    /// Its body in chunks, decoded up to `written` from the window's start.
    Chunks { head: Head, decoder: Decoder, written: usize },
}

/// The state of one connection. It holds no socket: the caller reads into [`Connection::spare`] and
/// writes [`Connection::output`].
#[derive(Debug)]
pub struct Connection {
    /// Bytes received lie in `start..end`; all of it is initialized, so that reads need no care.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes from `start` that the request given out last used; dropped at the next call.
    served: usize,
    receiving: Receiving,
    queue: ResponseQueue,
    output: Vec<u8>,
    /// Bytes of `output` that are sent.
    sent: usize,
    /// Nothing more is parsed until this one is answered.
    held: Option<Slot>,
    /// The client sends nothing more.
    is_at_end: bool,
    /// Nothing more is parsed at all.
    is_stopped: bool,
    /// Nothing more is parsed, since another protocol goes on behind the answers.
    is_upgraded: bool,
}

/// What is left of a connection that goes on with another protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// Answers that are not sent, the one of the upgrade last.
    pub unsent: Vec<u8>,
    /// What came behind the request of the upgrade.
    pub received: Vec<u8>,
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Default for Connection {
    fn default() -> Connection {
        Connection::new()
    }
}

impl Connection {
    /// A connection on which nothing has happened. Allocates nothing.
    pub fn new() -> Connection {
        Connection {
            input: Vec::new(),
            start: 0,
            end: 0,
            served: 0,
            receiving: Receiving::Head { scanned: 0 },
            queue: ResponseQueue::default(),
            output: Vec::new(),
            sent: 0,
            held: None,
            is_at_end: false,
            is_stopped: false,
            is_upgraded: false,
        }
    }

    /// Whether the caller should read from the socket. When not, [`Connection::spare`] may be empty
    /// and the kernel's buffer pushes back on the client.
    pub fn wants_input(&self) -> bool {
        !self.is_at_end && self.may_parse() && self.end - self.start - self.served < MAX_INPUT_BYTES
    }

    /// Room for the next read, never empty while [`Connection::wants_input`]; most often
    /// [`MIN_READ_BYTES`] and more.
    pub fn spare(&mut self) -> &mut [u8] {
        self.drop_served();
        if self.input.len() - self.end < MIN_READ_BYTES {
            self.make_room();
        }
        &mut self.input[self.end..]
    }

    /// Takes note that `count` bytes were read into [`Connection::spare`].
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.input.len());
    }

    /// Copies bytes in, as far as there is room; returns how many. For tests and callers that hold
    /// the bytes already.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            let spare = self.spare();
            let count = spare.len().min(bytes.len() - taken);
            if count == 0 {
                break;
            }
            spare[..count].copy_from_slice(&bytes[taken..taken + count]);
            self.advance(count);
            taken += count;
        }
        taken
    }

    /// The next whole request, if there is one and it may be taken now. Call again until `None`,
    /// and after each answer.
    ///
    /// # Errors
    /// A [`Rejection`] is to be answered in its slot, with `Connection: close`; nothing more is
    /// parsed then.
    pub fn next_request(&mut self) -> Result<Option<Request<'_>>, Rejection> {
        self.drop_served();
        if !self.may_parse() {
            return Ok(None);
        }
        let received = if self.start == self.end { Ok(None) } else { self.receive() };
        match received {
            Ok(Some(whole)) => Ok(Some(self.hand_out(whole))),
            Ok(None) => {
                self.is_stopped |= self.is_at_end;
                Ok(None)
            }
            Err(reason) => Err(self.reject(reason)),
        }
    }

    /// Refuses what is being received, for a reason that the caller has seen (a time limit).
    pub fn reject(&mut self, reason: RejectionReason) -> Rejection {
        self.is_stopped = true;
        Rejection { slot: self.queue.open(), reason }
    }

    /// Takes note that the client has closed its side. What is whole in the buffer is still served;
    /// call [`Connection::next_request`] on.
    pub fn end_of_input(&mut self) {
        self.is_at_end = true;
    }

    /// Takes no further request: the server drains.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Parses nothing more until this request is answered: for requests whose answers are so long
    /// that a client should not have many of them under way.
    pub fn hold_until(&mut self, slot: Slot) {
        self.held = Some(slot);
    }

    /// Gives a request its answer, written by `write` as whole HTTP; it leaves in turn. Returns
    /// whether the request was waiting for one.
    pub fn complete(&mut self, slot: Slot, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let was_waiting = self.queue.complete(slot, &mut self.output, write);
        if self.held.is_some_and(|held| !self.queue.is_outstanding(held)) {
            self.held = None;
        }
        self.maybe_continue();
        was_waiting
    }

    /// Gives the request that was handed out last its answer, 101, behind which another protocol
    /// begins: nothing more is parsed. Does nothing where [`Connection::complete`] would not.
    pub fn upgrade(&mut self, slot: Slot, answer: &[u8]) {
        self.is_upgraded |= self.complete(slot, |out| out.extend_from_slice(answer));
    }

    /// What the other protocol goes on with, once all requests before the upgrade are answered.
    /// This connection is then done with.
    pub fn take_upgraded(&mut self) -> Option<Upgraded> {
        if !self.is_upgraded || self.queue.outstanding() > 0 {
            return None;
        }
        self.drop_served();
        let received = self.input[self.start..self.end].to_vec();
        let unsent = self.output().to_vec();
        *self = Connection { is_stopped: true, ..Connection::new() };
        Some(Upgraded { unsent, received })
    }

    /// Bytes for the socket.
    pub fn output(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// Takes note that `count` bytes of [`Connection::output`] are sent.
    pub fn advance_output(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.output.len());
        if self.sent == self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
    }

    /// Moves the bytes for the socket into `into`, which must be empty, and takes its memory
    /// instead: for a caller that writes while further answers come in.
    pub fn swap_output(&mut self, into: &mut Vec<u8>) {
        debug_assert!(into.is_empty());
        if self.sent > 0 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        std::mem::swap(&mut self.output, into);
    }

    /// Requests that wait for their answers.
    pub fn outstanding(&self) -> u64 {
        self.queue.outstanding()
    }

    /// Whether all is said: the caller sends its end of the stream once the output is written.
    pub fn is_finished(&self) -> bool {
        self.is_stopped
            && !self.is_upgraded
            && self.queue.outstanding() == 0
            && self.output().is_empty()
    }

    /// Where the connection stands, for timers.
    pub fn progress(&self) -> Progress {
        let is_answering = self.queue.outstanding() > 0 || !self.output().is_empty();
        let phase = match self.receiving {
            _ if self.is_stopped || !self.may_parse() => Phase::Answering,
            Receiving::Body { .. } | Receiving::Chunks { .. } => Phase::Body,
            Receiving::Head { .. } if self.end > self.start + self.served => Phase::Head,
            Receiving::Head { .. } if is_answering => Phase::Answering,
            Receiving::Head { .. } => Phase::Idle,
        };
        Progress { phase, slot: self.queue.upcoming() }
    }

    /// Gives the buffers back when they are empty: for connections that have been quiet for a
    /// while. An idle connection then costs this struct and nothing more.
    pub fn release_memory(&mut self) {
        self.drop_served();
        if self.start == self.end {
            self.input = Vec::new();
            (self.start, self.end) = (0, 0);
        }
        if self.output().is_empty() && self.output.capacity() > IDLE_OUTPUT_BYTES {
            self.output = Vec::new();
        }
        self.queue.release_memory();
    }

    fn may_parse(&self) -> bool {
        !self.is_stopped
            && !self.is_upgraded
            && self.held.is_none()
            && !self.queue.is_full()
            && self.output.len() - self.sent < OUTPUT_HIGH_WATER_BYTES
    }

    fn drop_served(&mut self) {
        self.start += std::mem::take(&mut self.served);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.input.len() - self.end < MIN_READ_BYTES && self.input.len() < MAX_INPUT_BYTES {
            let length = (self.input.len() * 2).clamp(INITIAL_INPUT_BYTES, MAX_INPUT_BYTES);
            self.input.resize(length, 0);
        }
    }

    /// Goes on receiving. Once a request is whole: its head, where its body ends and how much of
    /// the window it used, which is more where chunks were decoded.
    fn receive(&mut self) -> Result<Option<Whole>, RejectionReason> {
        if let Receiving::Head { scanned } = self.receiving
            && !self.receive_head(scanned)?
        {
            return Ok(None);
        }
        let whole = match self.receiving {
            Receiving::Head { .. } => None,
            Receiving::Body { head, length } => {
                let end = head.length + length;
                let is_here = self.end - self.start >= end;
                is_here.then_some(Whole { head, body_end: end, used: end })
            }
            Receiving::Chunks { head, mut decoder, written } => {
                let window = &mut self.input[self.start..self.end];
                let decoded = decoder.decode(window, written, written)?;
                if !decoded.is_done {
                    // All that came was used up, so the framing's room is free again.
                    self.end = self.start + decoded.written;
                    self.receiving = Receiving::Chunks { head, decoder, written: decoded.written };
                }
                let (body_end, used) = (decoded.written, decoded.read);
                decoded.is_done.then_some(Whole { head, body_end, used })
            }
        };
        match whole {
            Some(_) => self.receiving = Receiving::Head { scanned: 0 },
            None => self.maybe_continue(),
        }
        Ok(whole)
    }

    /// Whether the head is here; then its body is what is being received.
    fn receive_head(&mut self, mut scanned: usize) -> Result<bool, RejectionReason> {
        // Some clients send an empty line behind a body. It may come in two pieces.
        while self.input[self.start..self.end].starts_with(b"\r\n") {
            self.start += 2;
            scanned = 0;
        }
        let window = &self.input[self.start..self.end];
        // A head that came in pieces is looked at again when a line has ended, not at every byte.
        let is_worth_parsing = scanned == 0
            || self.is_at_end
            || window.len() >= super::limits::MAX_HEAD_BYTES
            || window[scanned..].contains(&b'\n');
        let head = if is_worth_parsing { parse_head(window)? } else { None };
        let Some(head) = head else {
            self.receiving = Receiving::Head { scanned: window.len() };
            return Ok(false);
        };
        self.receiving = match head.framing {
            Framing::Length(length) => Receiving::Body { head, length },
            Framing::Chunked => {
                Receiving::Chunks { head, decoder: Decoder::new(), written: head.length }
            }
        };
        Ok(true)
    }

    /// Says that the body may come, once the answers before this one have left and if none of the
    /// body is here.
    fn maybe_continue(&mut self) {
        if self.queue.outstanding() > 0 || self.is_stopped {
            return;
        }
        let received = self.end - self.start;
        let (Receiving::Body { head, .. } | Receiving::Chunks { head, .. }) = &mut self.receiving
        else {
            return;
        };
        if std::mem::take(&mut head.expects_continue) && received == head.length {
            self.output.extend_from_slice(CONTINUE);
        }
    }

    fn hand_out(&mut self, whole: Whole) -> Request<'_> {
        let Whole { head, body_end, used } = whole;
        self.served = used;
        self.is_stopped |= head.persistence == Persistence::Close;
        let slot = self.queue.open();
        let window = &self.input[self.start..self.end];
        // The parser has seen that the target is ASCII.
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let path = text(head.path.bytes(window));
        Request {
            slot,
            method: head.method,
            path: if path.is_empty() { "/" } else { path },
            query: text(head.query.bytes(window)),
            body: &window[head.length..body_end],
            persistence: head.persistence,
            user_id: head.user_id.map(|span| span.bytes(window)),
            admin_token: head.admin_token.map(|span| span.bytes(window)),
            authorization: head.authorization.map(|span| span.bytes(window)),
            api_key: head.api_key.map(|span| span.bytes(window)),
            timestamp: head.timestamp.map(|span| span.bytes(window)),
            signature: head.signature.map(|span| span.bytes(window)),
            prefers_wait: head.prefers_wait,
            head: &window[..head.length],
        }
    }
}

/// A request that is here wholly, by place in the window.
#[derive(Clone, Copy)]
struct Whole {
    head: Head,
    body_end: usize,
    used: usize,
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod upgrade_tests;

//! One connection that never blocks: requests go out as far as the socket takes them, answers come in
//! the order of the requests.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::answer::{self, Answer};
use crate::load::actions::Action;
use crate::load::dial;
use crate::load::schedule::Clock;

/// What a request has not been sent has as the time of its sending.
const UNSENT_NS: u64 = u64::MAX;

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay {
    pub action: Action,
    pub intended_ns: u64,
    pub sent_ns: u64,
}

/// How far a connection is.
#[derive(Debug)]
enum Link {
    Connecting(TcpStream),
    Open(TcpStream),
    /// Not there; to be tried again at that moment.
    Down {
        again_ns: u64,
    },
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    link: Link,
    under_way: VecDeque<UnderWay>,
    /// How many of the youngest of them wait for [`Connection::flush`].
    fresh: usize,
    output: Vec<u8>,
    /// Bytes of `output` that the socket has taken.
    written: usize,
    /// The beginning of an answer whose rest has not come yet.
    input: Vec<u8>,
}

impl Connection {
    /// One that is not there yet, and may be tried at once.
    pub fn new() -> Connection {
        Connection {
            link: Link::Down { again_ns: 0 },
            under_way: VecDeque::new(),
            fresh: 0,
            output: Vec::new(),
            written: 0,
            input: Vec::new(),
        }
    }

    /// Begins to connect; a [`Connection::finish_connecting`] must follow.
    pub fn begin(&mut self, address: SocketAddr) -> io::Result<&TcpStream> {
        let stream = dial::begin(address, None)?;
        self.link = Link::Connecting(stream);
        match &self.link {
            Link::Connecting(stream) => Ok(stream),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Looks whether it is connected by now; says whether that is new.
    pub fn finish_connecting(&mut self) -> io::Result<bool> {
        let Link::Connecting(stream) = &self.link else { return Ok(false) };
        if !dial::is_connected(stream)? {
            return Ok(false);
        }
        let down = Link::Down { again_ns: 0 };
        if let Link::Connecting(stream) = std::mem::replace(&mut self.link, down) {
            self.link = Link::Open(stream);
        }
        Ok(true)
    }

    /// Whether it takes requests.
    pub fn is_open(&self) -> bool {
        matches!(self.link, Link::Open(_))
    }

    /// Whether it is neither there nor on its way, and may be tried.
    pub fn is_to_begin(&self, now_ns: u64) -> bool {
        matches!(self.link, Link::Down { again_ns } if again_ns <= now_ns)
    }

    /// Requests under way.
    pub fn depth(&self) -> usize {
        self.under_way.len()
    }

    /// Another request, which goes out with the next [`Connection::flush`].
    pub fn push(&mut self, action: Action, intended_ns: u64, render: impl FnOnce(&mut Vec<u8>)) {
        render(&mut self.output);
        self.under_way.push_back(UnderWay { action, intended_ns, sent_ns: UNSENT_NS });
        self.fresh += 1;
    }

    /// Hands to the socket what it takes. Fresh requests count as sent now, also when the socket is
    /// full: from here on they wait for the server.
    pub fn flush(&mut self, clock: &Clock) -> io::Result<()> {
        if self.fresh > 0 {
            let now_ns = clock.now_ns();
            for under_way in self.under_way.iter_mut().rev().take(self.fresh) {
                under_way.sent_ns = now_ns;
            }
            self.fresh = 0;
        }
        let Link::Open(stream) = &mut self.link else { return Ok(()) };
        while self.written < self.output.len() {
            match stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what has come, to the end of the connection if `is_over`, and hands out each answer with
    /// its request and the time at which it was read.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        clock: &Clock,
        is_over: bool,
        mut take: impl FnMut(UnderWay, Answer<'_>, u64),
    ) -> io::Result<()> {
        loop {
            let Link::Open(stream) = &mut self.link else { return Ok(()) };
            let count = match stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let now_ns = clock.now_ns();
            let read = &buffer[..count];
            let mut give = |under_way, answer: Answer<'_>| take(under_way, answer, now_ns);
            if self.input.is_empty() {
                let taken = split(&mut self.under_way, read, &mut give)?;
                self.input.extend_from_slice(&read[taken..]);
            } else {
                self.input.extend_from_slice(read);
                let taken = split(&mut self.under_way, &self.input, &mut give)?;
                self.input.drain(..taken);
            }
            // The socket is told of again when more comes.
            if count < buffer.len() && !is_over {
                return Ok(());
            }
        }
    }

    /// It is gone, with the requests under way on it.
    pub fn lose(&mut self, again_ns: u64) -> impl Iterator<Item = UnderWay> {
        self.link = Link::Down { again_ns };
        self.fresh = 0;
        self.written = 0;
        self.output.clear();
        self.input.clear();
        self.under_way.drain(..)
    }
}

/// Hands out the answers that are complete and returns how many bytes they are.
fn split(
    under_way: &mut VecDeque<UnderWay>,
    input: &[u8],
    give: &mut impl FnMut(UnderWay, Answer<'_>),
) -> io::Result<usize> {
    let malformed = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut taken = 0;
    while taken < input.len() {
        let found = answer::first(&input[taken..]).map_err(|error| malformed(error.to_string()))?;
        let Some(answer) = found else { break };
        let Some(oldest) = under_way.pop_front() else {
            return Err(malformed(format!("an answer to nothing, with status {}", answer.status)));
        };
        give(oldest, answer);
        taken += answer.length;
    }
    Ok(taken)
}

//! Bytes as what a client sends: through a connection in slices, through the dialect, to an answer.
//!
//! Promises: no panic; the same requests and the same end whatever the slices, the order of answers
//! and the moments at which memory is given back; answers leave in order, each whole HTTP with a
//! body that is what its length and type say; memory is bounded; a connection always comes to an end.

use std::collections::VecDeque;

use gateway::http::limits::{MAX_INPUT_BYTES, MAX_OUTSTANDING_REQUESTS};
use gateway::http::{Connection, Method, Persistence, Rejection, Request, Slot};
use gateway::native::reject;

use crate::answer::check_answer;
use crate::exchange::Exchange;
use crate::memory::peak_bytes;
use crate::source::Source;

/// Most slices that an input chooses; then they come again from the first.
const MAX_SLICES: usize = 16;
/// Begins a run in the notation of a stream: the byte and how often, as a u16, follow.
const RUN: u8 = 0xff;
/// Longest stream. Enough for every limit of a request, twice.
const MAX_STREAM_BYTES: usize = 4 * MAX_INPUT_BYTES;
/// What a connection may hold: its input, which is copied as it grows, and the bookkeeping of the
/// requests under way. The answers here are short.
const MAX_CONNECTION_BYTES: usize =
    2 * MAX_INPUT_BYTES + 64 * MAX_OUTSTANDING_REQUESTS as usize + 8192;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Takes the bytes for a way of slicing and answering, and the stream.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let plan = Plan::read(&mut source);
    let stream = expand(source.rest());
    let (mut whole, mut sliced) = (Requests::default(), Requests::default());
    let end_of_whole = drive(&stream, &Plan::WHOLE, &mut whole);
    let end_of_sliced = drive(&stream, &plan, &mut sliced);
    assert_eq!(whole.seen, sliced.seen, "slices make a difference");
    assert_eq!(end_of_whole, end_of_sliced, "slices make a difference to the end");
    let (_, used_bytes) = peak_bytes(|| drive(&stream, &plan, &mut Nothing));
    assert!(used_bytes <= MAX_CONNECTION_BYTES, "{used_bytes} bytes for one connection");
    drive(&stream, &plan, &mut Served::default());
}

/// A stream, its runs written out.
fn expand(data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(data.len());
    let mut source = Source::new(data);
    while !source.is_empty() && stream.len() < MAX_STREAM_BYTES {
        match source.byte() {
            RUN => {
                let byte = source.byte();
                stream.resize(stream.len() + usize::from(source.word()), byte);
            }
            byte => stream.push(byte),
        }
    }
    stream
}

/// How a stream arrives and is answered.
struct Plan {
    /// Lengths of the slices; 0 gives memory back. None: all at once.
    slices: Vec<u8>,
    /// Requests that wait for an answer while the next are taken.
    behind: usize,
    /// Answers come newest first.
    is_reversed: bool,
    /// Nothing more is taken until a request is answered.
    holds: bool,
    /// The output is taken away whole, not by and by.
    swaps_output: bool,
}

impl Plan {
    const WHOLE: Plan = Plan {
        slices: Vec::new(),
        behind: 0,
        is_reversed: false,
        holds: false,
        swaps_output: false,
    };

    fn read(source: &mut Source<'_>) -> Plan {
        let flags = source.byte();
        let count = source.pick(MAX_SLICES);
        Plan {
            slices: source.take(count).to_vec(),
            behind: usize::from(flags >> 4) * 10,
            is_reversed: flags & 1 != 0,
            holds: flags & 2 != 0,
            swaps_output: flags & 4 != 0,
        }
    }
}

/// What is done with the requests of a connection.
trait Watcher {
    /// Called with each request.
    fn request(&mut self, request: &Request<'_>);
}

/// Nothing is.
struct Nothing;

impl Watcher for Nothing {
    fn request(&mut self, _: &Request<'_>) {}
}

/// They are remembered.
#[derive(Default)]
struct Requests {
    seen: Vec<Seen>,
}

/// A request without its borrow.
#[derive(Debug, PartialEq)]
struct Seen {
    slot: Slot,
    method: Method,
    path: String,
    query: String,
    body: Vec<u8>,
    persistence: Persistence,
    user_id: Option<Vec<u8>>,
    admin_token: Option<Vec<u8>>,
    prefers_wait: bool,
    head: Vec<u8>,
}

impl Watcher for Requests {
    fn request(&mut self, request: &Request<'_>) {
        self.seen.push(Seen {
            slot: request.slot,
            method: request.method,
            path: request.path.to_owned(),
            query: request.query.to_owned(),
            body: request.body.to_vec(),
            persistence: request.persistence,
            user_id: request.user_id.map(<[u8]>::to_vec),
            admin_token: request.admin_token.map(<[u8]>::to_vec),
            prefers_wait: request.prefers_wait,
            head: request.head.to_vec(),
        });
    }
}

/// They are served.
#[derive(Default)]
struct Served {
    exchange: Option<Exchange>,
}

impl Watcher for Served {
    fn request(&mut self, request: &Request<'_>) {
        assert!(request.head.ends_with(b"\r\n\r\n"));
        for (name, value) in
            [("x-user-id", request.user_id), ("x-admin-token", request.admin_token)]
        {
            assert_eq!(request.header(name), value, "{name}: found in two ways");
        }
        let exchange = self.exchange.get_or_insert_with(Exchange::open);
        if let Some(answer) = exchange.serve(request) {
            check_answer(&answer, request.method == Method::Head, request.persistence);
        }
    }
}

/// A connection from its first byte to its end. Returns what ended it, if a request was refused.
fn drive(stream: &[u8], plan: &Plan, watcher: &mut impl Watcher) -> Option<Rejection> {
    let mut driver = Driver {
        connection: Connection::new(),
        plan,
        turn: 0,
        rejection: None,
        waiting: VecDeque::new(),
        requests: 0,
        answered: 0,
        written: 0,
        output: Vec::new(),
    };
    let mut rest = stream;
    let most_turns = stream.len() * 4 + 1_000;
    while !rest.is_empty() && driver.rejection.is_none() {
        let taken = driver.feed(rest);
        rest = &rest[taken..];
        let taken_requests = driver.take_requests(watcher);
        driver.answer(plan.behind);
        if taken == 0 && taken_requests == 0 && driver.answer_one() == 0 {
            // The last request said that it is the last, or the server waits for nothing any more.
            assert!(driver.connection.is_finished(), "stuck");
            break;
        }
        assert!(driver.turn <= most_turns, "no end in sight");
    }
    driver.connection.end_of_input();
    loop {
        let taken_requests = driver.take_requests(watcher);
        if taken_requests == 0 && driver.answer_one() == 0 {
            break;
        }
    }
    assert!(driver.connection.is_finished(), "not finished at its end");
    assert_eq!(driver.answered, driver.written, "an answer is missing");
    driver.rejection
}

struct Driver<'a> {
    connection: Connection,
    plan: &'a Plan,
    turn: usize,
    rejection: Option<Rejection>,
    /// With the number that its answer says.
    waiting: VecDeque<(Slot, u64)>,
    /// Requests that were taken.
    requests: u64,
    /// Answers that were given.
    answered: u64,
    /// Answers that came out.
    written: u64,
    /// To swap with.
    output: Vec<u8>,
}

impl Driver<'_> {
    /// Gives the connection the next slice. Returns how many bytes of it were taken.
    fn feed(&mut self, rest: &[u8]) -> usize {
        let slice = self.plan.slices.get(self.turn % self.plan.slices.len().max(1)).copied();
        self.turn += 1;
        if slice == Some(0) {
            self.connection.release_memory();
        }
        if !self.connection.wants_input() {
            return 0;
        }
        let length = slice.map_or(rest.len(), |slice| usize::from(slice).max(1)).min(rest.len());
        assert!(!self.connection.spare().is_empty(), "wants input and has no room");
        self.connection.feed(&rest[..length])
    }

    /// Takes all requests that are there. Returns how many, a refused one included.
    fn take_requests(&mut self, watcher: &mut impl Watcher) -> usize {
        let mut count = 0;
        while self.rejection.is_none() {
            let slot = match self.connection.next_request() {
                Ok(None) => break,
                Ok(Some(request)) => {
                    watcher.request(&request);
                    request.slot
                }
                Err(rejection) => {
                    self.rejection = Some(rejection);
                    let mut bytes = Vec::new();
                    reject(&rejection, &mut bytes);
                    check_answer(&bytes, false, Persistence::Close);
                    rejection.slot
                }
            };
            if self.plan.holds && self.rejection.is_none() {
                self.connection.hold_until(slot);
            }
            self.waiting.push_back((slot, self.requests));
            self.requests += 1;
            assert!(self.connection.outstanding() <= MAX_OUTSTANDING_REQUESTS + 1);
            count += 1;
        }
        count
    }

    /// Answers until no more than so many requests wait.
    fn answer(&mut self, behind: usize) {
        while self.waiting.len() > behind && self.answer_one() > 0 {}
    }

    /// Answers a request, and sends what can be sent. Returns how many were answered.
    fn answer_one(&mut self) -> usize {
        let next = match self.plan.is_reversed {
            true => self.waiting.pop_back(),
            false => self.waiting.pop_front(),
        };
        let Some((slot, number)) = next else {
            self.send();
            return 0;
        };
        let answer = answer_of(number);
        let was_waiting = self.connection.complete(slot, |out| out.extend_from_slice(&answer));
        assert!(was_waiting, "a request that waited was answered already");
        assert!(!self.connection.complete(slot, |_| panic!("answered twice")));
        self.answered += 1;
        self.send();
        1
    }

    /// Takes the output away and looks whether it is the answers that are due.
    fn send(&mut self) {
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        if self.plan.swaps_output {
            self.connection.swap_output(&mut output);
        } else {
            output.extend_from_slice(self.connection.output());
            let half = output.len() / 2;
            self.connection.advance_output(half);
            assert_eq!(self.connection.output(), &output[half..]);
            self.connection.advance_output(output.len() - half);
        }
        assert!(self.connection.output().is_empty());
        let mut rest = output.as_slice();
        while !rest.is_empty() {
            rest = match rest.strip_prefix(CONTINUE) {
                Some(rest) => rest,
                None => {
                    let (answer, rest) = rest.split_at(ANSWER_BYTES.min(rest.len()));
                    assert_eq!(answer, answer_of(self.written), "out of order");
                    self.written += 1;
                    rest
                }
            };
        }
        self.output = output;
    }
}

const ANSWER_BYTES: usize = 8;

/// Of the request that came as number so many, from 0.
fn answer_of(number: u64) -> [u8; ANSWER_BYTES] {
    number.to_be_bytes()
}

//! One client: it sends as fast as it is answered, on one connection, and keeps book of the answers.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;

use super::known::{End, Fill, Known, Order, OrderRow, Shown, State};
use super::market::{FIRST_USER, SYMBOLS};
use super::request::{self, Asked, Request};
use crate::support::exchange::units;
use crate::support::http::{Answer, connect, read_answer};
use crate::support::random::Random;

/// How long a client that was refused for want of room waits before it tries something else.
const REFUSED_PAUSE: Duration = Duration::from_millis(2);

/// The envelope of an answer that says yes.
#[derive(Deserialize)]
pub struct Envelope<T> {
    pub data: T,
}

#[derive(Deserialize)]
struct Placed {
    order_id: u64,
}

#[derive(Deserialize)]
struct PublicTrade<'a> {
    id: u64,
    price: &'a str,
    qty: &'a str,
}

#[derive(Deserialize)]
struct Depth {
    last_update_id: u64,
}

/// What was counted while it traded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Commands that were answered with yes.
    pub acknowledged: u64,
    /// Of those, orders.
    pub orders: u64,
    /// Requests refused with 503.
    pub unavailable: u64,
    /// Questions that were answered.
    pub reads: u64,
}

/// A client and its one user.
pub struct Trader {
    pub user: u64,
    pub known: Known,
    /// Requests that have no answer, the oldest first.
    pub unanswered: VecDeque<Request>,
    pub counts: Counts,
    /// How many requests it sends ahead of the answers.
    depth: usize,
    random: Random,
    stream: Option<TcpStream>,
    pending: Vec<u8>,
}

impl Trader {
    /// A client on a new exchange. Every third sends ahead.
    pub fn new(number: u64, random: Random) -> Trader {
        let shown = vec![Shown::default(); SYMBOLS.len()];
        Trader {
            user: FIRST_USER + number,
            known: Known { shown, ..Known::default() },
            unanswered: VecDeque::new(),
            counts: Counts::default(),
            depth: if number.is_multiple_of(3) { 16 } else { 1 },
            random,
            stream: None,
            pending: Vec::new(),
        }
    }

    /// Trades until it is told to stop, then takes the answers that are due; or until the server is
    /// gone, then keeps what was not answered.
    pub fn trade(&mut self, port: u16, stop: &AtomicBool) {
        if self.try_trade(port, stop).is_err() {
            self.disconnect();
        }
        // What a question would have shown is nobody's business now.
        self.unanswered.retain(|request| !request.asked.is_read());
    }

    fn try_trade(&mut self, port: u16, stop: &AtomicBool) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            while self.unanswered.len() < self.depth && !stop.load(Ordering::Relaxed) {
                let request = request::next(self.user, &mut self.known, &mut self.random);
                request.write(self.user, &mut bytes);
                self.unanswered.push_back(request);
            }
            if self.unanswered.is_empty() {
                return Ok(());
            }
            let answer = self.exchange(port, &bytes)?;
            let request = self.unanswered.pop_front().expect("was asked");
            if answer.status == 503 {
                std::thread::sleep(REFUSED_PAUSE);
            }
            self.take(&request, &answer);
        }
    }

    /// Sends and reads one answer.
    fn exchange(&mut self, port: u16, bytes: &[u8]) -> io::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(connect(port)?),
        };
        stream.write_all(bytes)?;
        read_answer(stream, &mut self.pending, false)
    }

    /// Gives up the connection.
    pub fn disconnect(&mut self) {
        self.stream = None;
        self.pending.clear();
    }

    /// One request by itself; an error leaves the client without a connection.
    pub fn call(&mut self, port: u16, request: &Request) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        request.write(self.user, &mut bytes);
        let outcome = self.exchange(port, &bytes);
        if outcome.is_err() {
            self.disconnect();
        }
        outcome
    }

    /// Places one order, whatever comes of it.
    pub fn place_one(&mut self, port: u16) -> io::Result<Answer> {
        let request = request::place(&mut self.known, &mut self.random);
        let answer = self.call(port, &request)?;
        self.take(&request, &answer);
        Ok(answer)
    }

    /// Keeps book of an answer.
    pub fn take(&mut self, request: &Request, answer: &Answer) {
        let is_yes = answer.status < 300;
        if answer.status == 503 {
            self.counts.unavailable += 1;
        } else if is_yes && request.asked.is_read() {
            self.counts.reads += 1;
        } else if is_yes {
            self.counts.acknowledged += 1;
        } else {
            let is_expected = matches!(answer.status, 400 | 404 | 409);
            assert!(is_expected, "{} {}: {answer}", request.path, request.body);
        }
        match &request.asked {
            Asked::Place { order } => self.take_placed(*order, answer),
            Asked::Cancel { order } | Asked::Reduce { order, .. } | Asked::Move { order, .. } => {
                take_changed(&mut self.known.orders[*order], answer);
            }
            Asked::CancelAll { orders } if is_yes => {
                for &order in orders {
                    let order = &mut self.known.orders[order];
                    if order.end == End::Unknown {
                        order.end = End::Somehow;
                    }
                }
                self.known.open.retain(|&order| self.known.orders[order].end == End::Unknown);
            }
            Asked::CancelAll { .. } => {}
            Asked::Pay { payment } => {
                let state = if is_yes { State::Accepted(0) } else { State::Refused };
                self.known.payments[*payment].state = state;
            }
            Asked::ReadOrder { order } if is_yes => {
                self.known.orders[*order].learn_read(&order_row(answer));
            }
            Asked::ReadOrder { order } => {
                let cid = &self.known.orders[*order].cid;
                assert_eq!(answer.status, 503, "{cid} of {} was accepted: {answer}", self.user);
            }
            Asked::ReadTape { symbol } if is_yes => {
                self.known.shown[*symbol].learn_trade(answer);
            }
            Asked::ReadDepth { symbol } if is_yes => {
                let depth: Envelope<Depth> = parse(answer);
                let shown = &mut self.known.shown[*symbol];
                shown.last_update_id = shown.last_update_id.max(depth.data.last_update_id);
            }
            Asked::ReadTape { .. } | Asked::ReadDepth { .. } => {}
        }
    }

    fn take_placed(&mut self, at: usize, answer: &Answer) {
        let order = &mut self.known.orders[at];
        if answer.status >= 300 {
            order.state = State::Refused;
            return;
        }
        let placed: Envelope<Placed> = parse(answer);
        order.state = State::Accepted(placed.data.order_id);
        if answer.status == 200 {
            order.learn(&order_row(answer));
        }
        if order.end == End::Unknown {
            self.known.open.push(at);
        }
        self.counts.orders += 1;
    }
}

fn take_changed(order: &mut Order, answer: &Answer) {
    order.is_changing = false;
    if answer.status < 300 {
        order.learn(&order_row(answer));
        return;
    }
    let code = answer.code();
    assert_ne!(code, 4001, "LOST: {} was accepted: {answer}", order.cid);
    if code == 4002 && order.end == End::Unknown {
        order.end = End::Somehow;
    }
}

impl Shown {
    fn learn_trade(&mut self, answer: &Answer) {
        let newest: Envelope<Vec<PublicTrade<'_>>> = parse(answer);
        for trade in newest.data {
            let is_newer = self.trade.as_ref().is_none_or(|known| known.trade < trade.id);
            if is_newer {
                let (price, qty) = (units(trade.price), units(trade.qty));
                self.trade = Some(Fill { trade: trade.id, price, qty });
            }
        }
    }
}

/// The data of an answer that says yes.
#[track_caller]
pub fn parse<'a, T: Deserialize<'a>>(answer: &'a Answer) -> T {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The order in an answer.
#[track_caller]
pub fn order_row(answer: &Answer) -> OrderRow<'_> {
    parse::<Envelope<OrderRow<'_>>>(answer).data
}

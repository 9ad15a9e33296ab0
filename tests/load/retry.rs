//! After a crash: every request that was not answered is sent again as an operator's client would,
//! and must take effect exactly once.

use std::io;
use std::time::{Duration, Instant};

use super::known::{End, State};
use super::request::{Asked, Request};
use super::trader::{Trader, order_row};
use crate::support::exchange::units;
use crate::support::http::Answer;

/// How long a request is repeated while the server says that it cannot take it.
const RETRY_LIMIT: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// The code of "another move is under way".
const ORDER_BUSY: u64 = 4003;

/// How the requests without an answer turned out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resolved {
    /// The server had applied them before it went.
    pub applied_before: u64,
    /// They were applied by the retry, or refused.
    pub by_retry: u64,
    /// It cannot be told, and does not matter: cancels, payments.
    pub either: u64,
    /// Placed or paid a second time by a retry. Must be 0.
    pub doubled: u64,
}

impl Resolved {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.applied_before + self.by_retry + self.either
    }
}

impl std::ops::AddAssign for Resolved {
    fn add_assign(&mut self, more: Resolved) {
        self.applied_before += more.applied_before;
        self.by_retry += more.by_retry;
        self.either += more.either;
        self.doubled += more.doubled;
    }
}

impl Trader {
    /// Resolves everything that is unanswered. For a server that has nothing else under way: a
    /// reduction has no name of its own, so whether it was applied is seen only when nothing is.
    /// An error means that the server is gone again; what is left is kept.
    pub fn resolve(&mut self, port: u16) -> io::Result<Resolved> {
        let mut resolved = Resolved::default();
        while let Some(request) = self.unanswered.front().cloned() {
            match &request.asked {
                Asked::Place { order } => {
                    self.retry_place(port, &request, *order, &mut resolved)?
                }
                Asked::Pay { .. } => self.retry_payment(port, &request, &mut resolved)?,
                Asked::Reduce { order, .. } | Asked::Move { order, .. } => {
                    self.retry_change(port, &request, *order, &mut resolved)?;
                }
                Asked::Cancel { .. } | Asked::CancelAll { .. } => {
                    let answer = self.insist(port, &request)?;
                    self.take(&request, &answer);
                    resolved.either += 1;
                }
                Asked::ReadOrder { .. } | Asked::ReadTape { .. } | Asked::ReadDepth { .. } => {}
            }
            self.unanswered.pop_front();
        }
        Ok(resolved)
    }

    /// Sends until the answer is not that the server cannot.
    fn insist(&mut self, port: u16, request: &Request) -> io::Result<Answer> {
        let begin = Instant::now();
        loop {
            let answer = self.call(port, request)?;
            let is_busy = answer.status == 409 && answer.code() == ORDER_BUSY;
            if answer.status != 503 && !is_busy {
                return Ok(answer);
            }
            assert!(begin.elapsed() < RETRY_LIMIT, "{} {}: {answer}", request.path, request.body);
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    fn look(&mut self, port: u16, order: usize) -> io::Result<Answer> {
        let path = format!("/api/v1/order?cid={}", self.known.orders[order].cid);
        let asked = Asked::ReadOrder { order };
        self.insist(port, &Request { asked, method: "GET", path, body: String::new() })
    }

    fn retry_place(
        &mut self,
        port: u16,
        request: &Request,
        order: usize,
        resolved: &mut Resolved,
    ) -> io::Result<()> {
        let found = self.look(port, order)?;
        let id = (found.status == 200).then(|| order_row(&found).order_id);
        let answer = self.insist(port, request)?;
        self.take(request, &answer);
        let first = self.known.orders[order].state;
        // And once more, for the client that lost this answer too.
        let again = self.insist(port, request)?;
        self.take(request, &again);
        let second = self.known.orders[order].state;
        let is_once = match id {
            Some(id) => first == State::Accepted(id) && second == first,
            // What was refused may be accepted by now: others have traded, or paid.
            None => second == first || first == State::Refused,
        };
        if !is_once {
            let cid = &self.known.orders[order].cid;
            println!("DOUBLED {cid} of {}: found {id:?}, then {first:?}, {second:?}", self.user);
            resolved.doubled += 1;
        }
        match id {
            Some(_) => resolved.applied_before += 1,
            None => resolved.by_retry += 1,
        }
        Ok(())
    }

    fn retry_payment(
        &mut self,
        port: u16,
        request: &Request,
        resolved: &mut Resolved,
    ) -> io::Result<()> {
        for _ in 0..2 {
            let answer = self.insist(port, request)?;
            self.take(request, &answer);
        }
        // Whether it was paid twice shows in the audit.
        resolved.either += 1;
        Ok(())
    }

    fn retry_change(
        &mut self,
        port: u16,
        request: &Request,
        at: usize,
        resolved: &mut Resolved,
    ) -> io::Result<()> {
        let answer = self.look(port, at)?;
        assert_eq!(answer.status, 200, "LOST: an order of {} was accepted: {answer}", self.user);
        let row = order_row(&answer);
        let order = &mut self.known.orders[at];
        let (price, qty) = (row.price.map(units), units(row.qty));
        let (old_price, old_qty) = (order.price, order.qty.expect("of a limit order"));
        let is_as_before = price == order.price && qty == old_qty;
        let is_applied = match request.asked {
            Asked::Reduce { by, .. } => price == old_price && qty == old_qty - by,
            Asked::Move { price: to, .. } => price == Some(to) && qty == old_qty,
            _ => false,
        };
        assert!(
            is_as_before || is_applied,
            "{} {}: neither done nor not done: {answer}; it had the price {old_price:?} and the \
             quantity {old_qty}",
            request.path,
            request.body
        );
        order.learn(&row);
        order.is_changing = false;
        if is_applied {
            resolved.applied_before += 1;
        } else if order.end == End::Unknown {
            let answer = self.insist(port, request)?;
            self.take(request, &answer);
            resolved.by_retry += 1;
        } else {
            resolved.either += 1;
        }
        Ok(())
    }
}

//! Who waits for which answer.

use std::cell::RefCell;
use std::rc::Rc;

use engine::Command;
use gateway::http::Slot;
use gateway::native::{Pending, Respond, ShardReport};
use slab::Slab;

use super::client::ClientQueue;
use super::parcel::Token;
use super::session::Session;

/// Requests that one shard's gateway may have under way. Past it a client gets 503.
pub(crate) const MAX_WAITING_REQUESTS: usize = 16_384;

/// A request of a connection.
pub(crate) struct HttpWaiter {
    pub session: Rc<Session>,
    pub slot: Slot,
    pub respond: Respond,
    /// Its route's place in the metrics.
    pub route: usize,
    /// When it came, for the latency histogram.
    pub since: std::time::Instant,
}

/// What is collected from all shards.
pub(crate) struct Collected {
    pub missing: usize,
    pub count: u32,
    pub refusal: Option<engine::Refusal>,
    pub reports: Vec<ShardReport>,
    pub metrics: Vec<(u16, telemetry::Snapshot)>,
}

/// Who waits, and what for.
pub(crate) enum Waiter {
    /// One answer.
    Http(HttpWaiter),
    /// Cancel-all, repeated while there is more.
    Repeat { http: HttpWaiter, command: Command, count: u32 },
    /// A question whose answer completes a command.
    Resolve { http: HttpWaiter, pending: Pending },
    /// A shard's part of an answer from all; cancel-all repeats its command.
    Gather {
        http: Rc<RefCell<Option<HttpWaiter>>>,
        collected: Rc<RefCell<Collected>>,
        command: Option<Command>,
    },
    /// An answer that is there already and waits until what it shows is durable.
    Bytes { session: Rc<Session>, slot: Slot, route: usize, bytes: Vec<u8> },
    /// The driver in this process.
    Client { queue: Rc<ClientQueue>, token: Token },
}

/// All waiters of one shard's gateway, by token.
#[derive(Default)]
pub(crate) struct Waiting {
    waiters: RefCell<Slab<Waiter>>,
}

impl Waiting {
    pub fn insert(&self, waiter: Waiter) -> Token {
        self.waiters.borrow_mut().insert(waiter) as Token
    }

    /// Every token is answered exactly once, so it names the same waiter until then.
    pub fn take(&self, token: Token) -> Option<Waiter> {
        self.waiters.borrow_mut().try_remove(token as usize)
    }

    pub fn len(&self) -> usize {
        self.waiters.borrow().len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= MAX_WAITING_REQUESTS
    }
}

//! Who waits for which answer.

use std::cell::RefCell;
use std::rc::Rc;

use engine::{AccountView, Command, Interval, Origin, TapeEntry, WithdrawalView};
use gateway::Entry;
use gateway::auth::{Caller, Grant};
use gateway::desk::StreamRequest;
use gateway::http::Slot;
use gateway::middleware::Budget;
use gateway::native::ws::RequestId;
use gateway::native::{self, Action, PasswordAction, Pending, Respond, SessionReport, ShardReport};
use gateway::rpc;
use money::SymbolId;
use slab::Slab;

use super::auditing::Note;
use super::client::ClientQueue;
use super::feeds::UserWatch;
use super::parcel::Token;
use super::session::Session;
use super::socket::{Socket, Speech};
use super::watches::WatchId;

/// Requests that one shard's gateway may have under way. Past it a client gets 503.
pub(crate) const MAX_WAITING_REQUESTS: usize = 16_384;

/// A request of a connection.
pub(crate) struct Visit {
    pub session: Rc<Session>,
    pub slot: Slot,
    /// Its route's place in the metrics.
    pub route: usize,
    /// When it came, for the latency histogram.
    pub since: std::time::Instant,
    /// What the audit trail will be told with its answer.
    pub note: Option<Box<Note>>,
}

/// A request whose answer will be written so.
pub(crate) struct HttpWaiter {
    pub visit: Visit,
    pub respond: Respond,
}

/// What is collected from all shards.
pub(crate) struct Collected {
    pub missing: usize,
    pub count: u32,
    pub refusal: Option<engine::Refusal>,
    pub reports: Vec<ShardReport>,
    pub accounts: Option<Vec<AccountView>>,
    pub withdrawals: Option<Vec<WithdrawalView>>,
    /// How many of them are shown.
    pub limit: usize,
    pub metrics: Vec<(u16, telemetry::Snapshot)>,
}

/// A message on a WebSocket.
pub(crate) struct MessageWaiter {
    pub socket: Rc<Socket>,
    pub respond: Respond,
    pub tag: MessageTag,
    pub route: usize,
    pub since: std::time::Instant,
    pub note: Option<Box<Note>>,
}

/// Which message, in the words of its dialect.
#[derive(Clone, Copy)]
pub(crate) enum MessageTag {
    Native(native::ws::Tag),
    Rpc(rpc::Tag),
}

/// Which message a connection has logged in by.
#[derive(Clone, Copy)]
pub(crate) enum Login {
    /// `auth`, with its name.
    Native(Option<RequestId>),
    /// `auth.login` or `auth.jwt`.
    Rpc(rpc::Tag),
}

/// What sums the trades of a symbol up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summary {
    /// Its candles.
    Candles(Interval),
    /// Its last 24 hours.
    Ticker,
}

/// A board that follows a symbol and asks for a summary.
pub(crate) struct SummaryWaiter {
    pub symbol: SymbolId,
    pub watch: WatchId,
    pub summary: Summary,
    pub asked_ms: u64,
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
    Bytes { visit: Visit, bytes: Vec<u8> },
    /// A request that its user's home must admit before anything is done.
    Admitting { visit: Visit, speech: Option<Speech>, entry: Box<Entry>, action: Box<Action> },
    /// A connection whose signature its user's home must admit.
    AdmittingSocket { socket: Rc<Socket>, caller: Caller, login: Option<Login> },
    /// A command that is for an existing user only, who is looked for.
    IfUser { http: HttpWaiter, command: Box<Command> },
    /// A password that is for an existing user only.
    IfUserPassword { http: HttpWaiter, action: Box<PasswordAction> },
    /// A session that is opened or refreshed.
    Grant { http: HttpWaiter, grant: Box<Grant> },
    /// Something that nobody waits for.
    Nobody,
    /// A connection that another shard is to end.
    EndedSession { http: HttpWaiter, report: Box<SessionReport> },
    /// A message on a WebSocket.
    Message(MessageWaiter),
    /// A connection whose user is to be confirmed.
    Opening { socket: Rc<Socket>, caller: Caller, login: Option<Login> },
    /// A stream of events whose user is to be confirmed before it begins.
    Stream { visit: Visit, request: StreamRequest },
    /// A board that is to be told where its book stands.
    Board { symbol: SymbolId, watch: WatchId },
    /// A board that has asked for candles or the ticker.
    Summary(SummaryWaiter),
    /// Who has asked to watch a user of this shard.
    UserWatch { origin: Origin, watch: UserWatch },
    /// The first half of where a book stands.
    LastTrade(Rc<RefCell<Option<TapeEntry>>>),
    /// Who has asked to watch a book of this shard.
    MarketWatch {
        origin: Origin,
        symbol: SymbolId,
        id: WatchId,
        tape: Rc<RefCell<Option<TapeEntry>>>,
    },
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

    /// Notes what is left of a budget, for the answer to come.
    pub fn set_budget(&self, token: Token, budget: Budget) {
        let mut waiters = self.waiters.borrow_mut();
        match waiters.get_mut(token as usize) {
            Some(
                Waiter::Http(http)
                | Waiter::Repeat { http, .. }
                | Waiter::Resolve { http, .. }
                | Waiter::IfUser { http, .. },
            ) => http.respond.set_budget(budget),
            Some(Waiter::Admitting { entry, action, .. }) => {
                entry.framing.budget = Some(budget);
                action.set_budget(budget);
            }
            // Messages have no place for it.
            _ => {}
        }
    }

    pub fn len(&self) -> usize {
        self.waiters.borrow().len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= MAX_WAITING_REQUESTS
    }
}

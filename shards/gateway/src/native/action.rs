//! What a request asks of the caller.

use engine::{Command, EngineStatus, Interval, Query};
use identity::{Change as IdentityChange, UserChange};
use money::{Decimal, ShardId, SymbolId, UserId};

use super::sessions::SessionFilter;
use super::ws::Upgrade;
use crate::auth::{Caller, Grant, Password};
use crate::desk::{AuditQuestion, Kind, StreamRequest};
use crate::http::Persistence;
use crate::http::response::{Framing, add_budget};
use crate::middleware::Budget;

/// What is to be done for a request. Whatever it is, its slot is completed once.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send the command to `command.owner(placement)`; its reply goes to [`super::respond`].
    Command {
        /// The command.
        command: Command,
        /// How its reply is written.
        respond: Respond,
        /// While the reply is [`engine::Reply::CanceledAll`] with `more`, send the command again, and
        /// answer with the sum of the counts.
        repeat_while_more: bool,
    },
    /// Ask `query.owner(placement)`; the reply goes to [`super::respond`].
    Query {
        /// The question.
        query: Query,
        /// How its reply is written.
        respond: Respond,
    },
    /// Ask `query.owner(placement)`, then [`super::resolve`] the reply into the action to go on
    /// with. The client does not see this reply, so it need not wait until it is durable.
    Resolve {
        /// The question.
        query: Query,
        /// What it is asked for.
        pending: Pending,
    },
    /// Do one thing on every shard.
    Gather {
        /// What.
        gather: Gather,
        /// How the whole is written.
        respond: Respond,
    },
    /// Look through all open connections; answer with [`super::respond_sessions`].
    Sessions {
        /// Which to show.
        filter: SessionFilter,
        /// How.
        respond: Respond,
    },
    /// Look at one connection, or end it; answer with [`super::respond_session`].
    Session {
        /// Which.
        id: u64,
        /// Whether it is to end.
        is_ended: bool,
        /// How.
        respond: Respond,
    },
    /// Complete with these bytes.
    Answer(Answer),
    /// Go on as a WebSocket: [`crate::http::Connection::upgrade`] with its answer, then
    /// [`crate::http::Connection::take_upgraded`].
    Upgrade(Upgrade),
    /// Complete with [`super::respond_text`]: the metrics of all shards in Prometheus text.
    Metrics {
        /// How.
        respond: Respond,
    },
    /// Complete with [`crate::desk::respond_health`].
    Health {
        /// How.
        respond: Respond,
    },
    /// Go on as a stream of events, see [`crate::desk`].
    EventStream(StreamRequest),
    /// Ask [`Query::User`]; if there is such a user, go on as for [`Action::Command`].
    IfUser {
        /// Who must exist.
        user: UserId,
        /// The command.
        command: Command,
        /// How its reply, or that there is no such user, is written.
        respond: Respond,
    },
    /// Something with a password, which takes long: away from the shards.
    Password(Box<PasswordAction>),
    /// Send the change as a command; answer with [`crate::desk::respond_grant`].
    Grant(Box<Granting>),
    /// Ask the audit trail; answer with [`crate::desk::respond_audit`].
    Audit {
        /// What.
        question: AuditQuestion,
        /// How.
        respond: Respond,
    },
}

/// Something with a password: [`crate::auth::Auth::password_job`] with what is kept of the user, and, unless
/// it is [`crate::auth::PasswordVerdict::Wrong`], what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct PasswordAction {
    /// Whose. Where none is given to compare, it must exist ([`Query::User`]).
    pub user: UserId,
    /// To be compared with what is kept; if it is wrong, [`crate::desk::wrong_password`].
    pub given: Option<Password>,
    /// To become the user's.
    pub new: Option<Password>,
    /// What follows.
    pub then: Then,
    /// How it is answered.
    pub respond: Respond,
}

/// What follows a password.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// A session is opened: [`crate::auth::Grant::of_login`], then as [`Action::Grant`].
    Login,
    /// The user is changed, the new hash put in.
    Change(UserChange),
}

/// A change that opens or refreshes a session, and what its client gets then.
#[derive(Clone, Debug, PartialEq)]
pub struct Granting {
    /// The change.
    pub change: IdentityChange,
    /// The tokens.
    pub grant: Grant,
    /// How it is answered.
    pub respond: Respond,
}

impl Action {
    /// How its answer is written, where it is not written yet.
    pub fn respond(&self) -> Option<Respond> {
        match self {
            Action::Command { respond, .. }
            | Action::Query { respond, .. }
            | Action::Gather { respond, .. }
            | Action::Sessions { respond, .. }
            | Action::Session { respond, .. }
            | Action::Metrics { respond }
            | Action::Health { respond }
            | Action::IfUser { respond, .. }
            | Action::Audit { respond, .. } => Some(*respond),
            Action::Resolve { pending, .. } => Some(pending.respond),
            Action::Password(action) => Some(action.respond),
            Action::Grant(granting) => Some(granting.respond),
            Action::Answer(_) | Action::Upgrade(_) | Action::EventStream(_) => None,
        }
    }

    /// Tells what is left of the caller's budget, where the answer is one of HTTP.
    pub fn set_budget(&mut self, budget: Budget) {
        match self {
            Action::Command { respond, .. }
            | Action::Query { respond, .. }
            | Action::Gather { respond, .. }
            | Action::Sessions { respond, .. }
            | Action::Session { respond, .. }
            | Action::Metrics { respond }
            | Action::Health { respond }
            | Action::IfUser { respond, .. }
            | Action::Audit { respond, .. } => respond.set_budget(budget),
            Action::Resolve { pending, .. } => pending.respond.set_budget(budget),
            Action::Password(action) => action.respond.set_budget(budget),
            Action::Grant(granting) => granting.respond.set_budget(budget),
            Action::Answer(answer) => add_budget(&mut answer.bytes, budget),
            Action::Upgrade(_) | Action::EventStream(_) => {}
        }
    }

    /// Whether the answer may be so long that a client should not have many under way
    /// ([`crate::http::Connection::hold_until`]).
    pub fn is_bulky(&self) -> bool {
        /// Rows of some 300 bytes each.
        const MANY_ROWS: usize = 100;
        match self {
            Action::Query { query, .. } => match query {
                Query::Orders { limit, .. }
                | Query::Trades { limit, .. }
                | Query::Depth { limit, .. }
                | Query::PublicTrades { limit, .. }
                | Query::Klines { limit, .. }
                | Query::Tape { limit, .. }
                | Query::Book { limit, .. }
                | Query::Users { limit, .. }
                | Query::Withdrawals { limit, .. }
                | Query::PendingWithdrawals { limit, .. } => *limit > MANY_ROWS,
                Query::Balances { .. } => true,
                Query::Order { .. }
                | Query::Ticker { .. }
                | Query::Status { .. }
                | Query::User { .. } => false,
            },
            Action::Answer(answer) => answer.shows_state,
            Action::Gather { .. } | Action::Metrics { .. } | Action::Sessions { .. } => true,
            Action::Session { .. } => false,
            Action::Command { .. }
            | Action::Resolve { .. }
            | Action::Upgrade(_)
            | Action::Health { .. }
            | Action::EventStream(_)
            | Action::IfUser { .. }
            | Action::Password(_)
            | Action::Grant(_) => false,
            Action::Audit { .. } => true,
        }
    }
}

/// An answer that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whole HTTP.
    pub bytes: Vec<u8>,
    /// It shows assets or symbols: it waits, like a query's, until what this shard has applied so
    /// far is durable.
    pub shows_state: bool,
}

/// One thing on every shard of the placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// Send [`Gather::command`] to every shard, each repeated while its reply says `more`; answer
    /// with [`super::respond`] and one [`engine::Reply::CanceledAll`] of the sum, or the first refusal.
    CancelAll {
        /// Only of this symbol.
        symbol: Option<SymbolId>,
    },
    /// Ask every shard [`Query::Status`]; answer with [`super::respond_shards`].
    Shards,
    /// Ask every shard for its users; answer with one [`engine::Reply::Accounts`] of the first of all.
    Users {
        /// Only behind this one.
        after: Option<UserId>,
        /// How many.
        limit: usize,
    },
    /// Ask every shard for the withdrawals that wait; answer with one [`engine::Reply::Withdrawals`].
    Withdrawals {
        /// How many.
        limit: usize,
    },
    /// Have every shard make a snapshot, and go on as for [`Gather::Shards`] without waiting for it.
    BeginSnapshots,
}

impl Gather {
    /// The command for one shard, if this is done by commands.
    pub fn command(&self, shard: ShardId) -> Option<Command> {
        match *self {
            Gather::CancelAll { symbol } => Some(Command::CancelShard { shard, symbol }),
            Gather::Shards
            | Gather::BeginSnapshots
            | Gather::Users { .. }
            | Gather::Withdrawals { .. } => None,
        }
    }

    /// The question for one shard, if this is done by questions.
    pub fn query(&self, shard: ShardId) -> Option<Query> {
        match self {
            Gather::CancelAll { .. } | Gather::BeginSnapshots => None,
            Gather::Shards => Some(Query::Status { shard }),
            &Gather::Users { after, limit } => Some(Query::Users { shard, after, limit }),
            &Gather::Withdrawals { limit } => Some(Query::PendingWithdrawals { shard, limit }),
        }
    }
}

/// A command about an order whose symbol, and so whose tick and lot, is not known yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pending {
    pub(super) user: UserId,
    pub(super) change: Change,
    pub(super) respond: Respond,
}

impl Pending {
    /// How to answer if the question cannot be asked.
    pub fn respond(&self) -> Respond {
        self.respond
    }
}

/// What is to be changed, in decimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// Less by this much.
    Reduce(Decimal),
    /// To this price.
    Move(Decimal),
}

/// How a reply is written later: small, so that it is kept with what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Respond {
    pub(crate) shape: Shape,
    pub(crate) framing: Framing,
}

impl Respond {
    /// Of a message, which has no HTTP around it: written by [`super::ws::respond`], which does not
    /// look at the framing.
    pub(crate) fn of_message(shape: Shape) -> Respond {
        Respond { shape, framing: Framing::CLOSE }
    }

    /// Tells the time, in ms since the epoch: some answers of the desk dialect show it, and their
    /// replies do not say it. Before [`super::respond`].
    pub fn stamp(&mut self, now_ms: u64) {
        if let Shape::Desk(kind) = &mut self.shape {
            kind.stamp(now_ms);
        }
    }

    /// Tells what is left of the caller's budget, in a header.
    pub fn set_budget(&mut self, budget: Budget) {
        self.framing.budget = Some(budget);
    }

    /// Makes this the last answer of its connection.
    pub fn close(&mut self) {
        self.framing.persistence = Persistence::Close;
    }
}

/// What the reply does not say itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Of the caller, whom the header names.
    Own,
    /// Of the caller: an order was placed there.
    Place(SymbolId),
    /// Of the caller: a withdrawal is asked for, and will be decided later.
    Asked,
    /// Of the caller: an order was to be moved.
    Move(SymbolId),
    /// Of the caller: an order was to be reduced.
    Reduce,
    /// Market data of this symbol.
    Market(SymbolId),
    /// Candles of this symbol, each so long.
    Klines(SymbolId, Interval),
    /// Both orders of this symbol's trades, or its resting orders.
    AdminMarket(SymbolId),
    /// For an administrator, who names users in parameters.
    Admin,
    /// Of the caller, by what it has shown.
    Me(Caller),
    /// Snapshots instead of shards; they have just been asked for, or not.
    Snapshots { begun: bool },
    /// In the desk dialect.
    Desk(Kind),
}

/// One shard, for `GET /api/v1/admin/shards`: what the engine says and what the runtime knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReport {
    /// Which.
    pub shard: ShardId,
    /// From [`engine::Reply::Status`].
    pub status: EngineStatus,
    /// Highest journal sequence number handed to the disk.
    pub appended_lsn: u64,
    /// Highest durable one.
    pub durable_lsn: u64,
    /// Its snapshots.
    pub snapshot: SnapshotReport,
    /// Messages for other shards that wait for room in their channels.
    pub outbox_depth: u64,
    /// Effects that wait until they are durable.
    pub held_effects: u64,
    /// Requests admitted here and not answered yet.
    pub requests_in_flight: u64,
}

/// Where the snapshots of one shard stand, for `GET /api/v1/admin/snapshots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// What is going on.
    pub state: SnapshotState,
    /// How many were made since the start of the server.
    pub made: u64,
    /// The last record that the newest one covers.
    pub lsn: Option<u64>,
    /// When it was made, in ms since the epoch.
    pub created_ms: Option<u64>,
    /// Its length, in bytes.
    pub bytes: Option<u64>,
    /// How long the last one since the start took, in ms.
    pub took_ms: Option<u64>,
    /// Why the last attempt made none, or old files could not be removed.
    pub failure: Option<String>,
}

/// What a shard's snapshots are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    /// Nothing.
    Idle,
    /// One is due and has not begun.
    Waiting,
    /// One is being made.
    Running,
}

impl SnapshotState {
    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            SnapshotState::Idle => "idle",
            SnapshotState::Waiting => "waiting",
            SnapshotState::Running => "running",
        }
    }
}

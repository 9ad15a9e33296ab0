//! What shards put into the mesh: everything for one peer of one turn, in one parcel.

use std::time::Instant;

use engine::{BookLevel, Event, PeerBatch, Reply, TapeEntry};
use gateway::middleware::{Admission, Budget};
use gateway::native::ShardReport;
use money::{SymbolId, UserId};
use shard::Request;

use super::event_log::Missed;
use super::feeds::UserWatch;
use super::guard::NotAdmitted;
use super::watches::WatchId;
use crate::registry::SessionId;

/// What one gateway asks of another shard.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Something for the shard, if this is admitted first.
    Request(Request, Option<Admission>),
    /// Only whether this is admitted.
    Admit(Admission),
    /// Its metrics.
    Metrics,
    /// That it has a snapshot made. It answers with its status.
    Snapshot,
    /// That it ends a connection.
    EndSession(SessionId),
    /// To be told of a user's events.
    WatchUser(UserWatch),
    /// No more of that. Not answered.
    UnwatchUser(UserWatch),
    /// To be told of a book's changes.
    WatchMarket { symbol: SymbolId, id: WatchId },
    /// No more of that. Not answered.
    UnwatchMarket { symbol: SymbolId, id: WatchId },
}

/// The answer.
#[derive(Debug)]
pub(crate) enum Tell {
    /// The shard's.
    Reply(Reply),
    /// It is admitted.
    Admitted,
    /// It is not, and so nothing was done.
    NotAdmitted(NotAdmitted),
    /// The shard's status, with what the runtime knows.
    Report(Box<ShardReport>),
    /// Its number and metrics.
    Metrics(Box<(u16, telemetry::Snapshot)>),
    /// The connection is being ended, or was gone.
    SessionEnded,
    /// The user is watched, if it exists.
    Watched { exists: bool, missed: Missed },
    /// The book is watched, and this is where it stands; `None`: the watch has been ended meanwhile.
    Book(Option<Box<BookImage>>),
}

/// A whole book.
#[derive(Debug)]
pub(crate) struct BookImage {
    pub bids: Vec<BookLevel>,
    pub asks: Vec<BookLevel>,
    pub last_update_id: u64,
    pub last_trade: Option<TapeEntry>,
}

/// An event of a user.
#[derive(Clone, Debug)]
pub(crate) struct PrivateEvent {
    pub user: UserId,
    /// Its number among those that are kept of the user; 0 where none are.
    pub sequence: u64,
    pub event: Event,
}

/// Names who waits, on the asking shard.
pub(crate) type Token = u64;

/// What comes out of a shard's gate for somebody on another one.
#[derive(Debug)]
pub(crate) enum News {
    /// The answer to what was asked under the token.
    Answer(Token, Tell),
    /// What is left of a user's budget behind what was asked under the token; its answer follows.
    Budget(Token, Budget),
    /// Something happened to a user who is watched.
    Private(Box<PrivateEvent>),
    /// Something happened in a book that is watched.
    Market(Event),
}

/// One turn's worth for one peer.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// When the first thing was put into it; until somebody has taken it.
    pub since: Option<Instant>,
    /// Sent once, first: the last message of the peer's that is applied here.
    pub greeting: Option<u64>,
    /// Messages of the protocol, durable here.
    pub batches: Vec<PeerBatch>,
    /// Requests that the peer owns. Not durable: a client that loses its answer asks again.
    pub asks: Vec<(Token, Ask)>,
    /// Answers and events, durable here, in the order in which they were let go.
    pub news: Vec<News>,
}

impl Parcel {
    pub fn is_empty(&self) -> bool {
        self.greeting.is_none()
            && self.batches.is_empty()
            && self.asks.is_empty()
            && self.news.is_empty()
    }
}

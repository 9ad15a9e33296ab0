//! What shards put into the mesh: everything for one peer of one turn, in one parcel.

use engine::{PeerBatch, Reply};
use gateway::native::ShardReport;
use shard::Request;

/// What one gateway asks of another shard.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Something for the shard.
    Request(Request),
    /// Its metrics.
    Metrics,
    /// That it has a snapshot made. It answers with its status.
    Snapshot,
}

/// The answer.
#[derive(Debug)]
pub(crate) enum Tell {
    /// The shard's.
    Reply(Reply),
    /// The shard's status, with what the runtime knows.
    Report(Box<ShardReport>),
    /// Its number and metrics.
    Metrics(Box<(u16, telemetry::Snapshot)>),
}

/// Names who waits, on the asking shard.
pub(crate) type Token = u64;

/// One turn's worth for one peer.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// Sent once, first: the last message of the peer's that is applied here.
    pub greeting: Option<u64>,
    /// Messages of the protocol, durable here.
    pub batches: Vec<PeerBatch>,
    /// Requests that the peer owns. Not durable: a client that loses its answer asks again.
    pub asks: Vec<(Token, Ask)>,
    /// Answers to its requests, durable here.
    pub tells: Vec<(Token, Tell)>,
}

impl Parcel {
    pub fn is_empty(&self) -> bool {
        self.greeting.is_none()
            && self.batches.is_empty()
            && self.asks.is_empty()
            && self.tells.is_empty()
    }
}

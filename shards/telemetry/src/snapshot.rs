//! What one shard counted, in a form that can go to another thread.

use crate::histogram::Buckets;
use crate::part::Part;

/// Where a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// Replaying its journal, or waiting for its peers.
    #[default]
    Recovering,
    /// Taking requests.
    Serving,
    /// Taking reads alone: there is no room for the journal.
    ReadOnly,
    /// Finishing before the end of the process.
    Draining,
}

impl State {
    pub(crate) const ALL: [(State, &'static str); 4] = [
        (State::Recovering, "recovering"),
        (State::Serving, "serving"),
        (State::ReadOnly, "read_only"),
        (State::Draining, "draining"),
    ];
}

/// What a shard does not count but knows at the moment of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Where the shard stands.
    pub state: State,
    /// Users at home here.
    pub users: u64,
    /// Symbols whose book is here.
    pub symbols: u64,
    /// Open orders of the users here.
    pub open_orders: u64,
    /// Orders resting in the books here.
    pub resting_orders: u64,
    /// The last journal record appended.
    pub appended_lsn: u64,
    /// The last durable one.
    pub durable_lsn: u64,
    /// Number of the segment that is being written.
    pub segment: u64,
    /// The last record in the newest state snapshot.
    pub snapshot_lsn: u64,
    /// State snapshots made since the start.
    pub snapshots: u64,
    /// The last attempt at one failed.
    pub snapshot_failed: bool,
    /// Effects that wait until they are durable.
    pub held_effects: u64,
    /// Messages to other shards that they have not confirmed.
    pub unconfirmed_messages: u64,
    /// By peer, parcels that it has not taken yet; the shard itself is not listed.
    pub queue_depths: Vec<(u16, u64)>,
}

/// What is known of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Process {
    /// Time since its start, in ms.
    pub uptime_ms: u64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
}

/// What is known of the audit trail of the whole process.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuditTrail {
    /// Its types.
    pub kinds: Vec<AuditKind>,
    /// Records that wait to be written.
    pub queued: u64,
    /// Whether files cannot be written at the moment.
    pub is_failing: bool,
}

/// What is known of one type of audit records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditKind {
    /// Its name.
    pub name: &'static str,
    /// Records written.
    pub written: u64,
    /// Records that found no room.
    pub dropped: u64,
    /// Bytes written, before compression.
    pub bytes: u64,
}

/// Requests of one route: by hundreds of the status (1xx first), and their latency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteSnapshot {
    pub name: &'static str,
    pub by_class: [u64; 5],
    pub latency: Buckets,
}

/// All counters of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    pub sockets_open: u64,
    pub socket_messages: u64,
    pub pushes: u64,
    pub pushes_conflated: u64,
    pub slow_consumers: u64,
    pub connections_open: u64,
    pub connections_accepted: u64,
    pub connections_refused: u64,
    /// Requests that their users' home did not admit.
    pub requests_limited: u64,
    pub handshakes_under_way: u64,
    pub handshakes: u64,
    pub handshakes_failed: u64,
    pub requests_in_flight: u64,
    pub admission_refusals: u64,
    pub commands: u64,
    pub queries: u64,
    pub hops: u64,
    pub orders_placed: u64,
    pub orders_crossed: u64,
    pub orders_rejected: u64,
    pub trades: u64,
    pub parcels_sent: u64,
    pub parcels_received: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
}

/// One shard's metrics at one moment. Cheap to move between threads; [`crate::render`] writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(crate) gauges: Gauges,
    pub(crate) counters: Counters,
    /// Only those that were asked for at least once.
    pub(crate) routes: Vec<RouteSnapshot>,
    /// In the order of [`Part::ALL`].
    pub(crate) parts: [Buckets; Part::ALL.len()],
    pub(crate) commit: Buckets,
    pub(crate) batch_records: Buckets,
    pub(crate) batch_bytes: Buckets,
}

//! What the shard records into.

use std::cell::Cell;
use std::time::Duration;

use crate::histogram::{BATCH_BYTES_BOUNDS, BATCH_RECORDS_BOUNDS, Recorder};
use crate::part::Part;
use crate::snapshot::{Counters, Gauges, RouteSnapshot, Snapshot};

/// A number that only its own shard writes.
#[derive(Debug, Default)]
struct Count(Cell<u64>);

impl Count {
    #[inline]
    fn add(&self, more: u64) {
        self.0.set(self.0.get().wrapping_add(more));
    }

    #[inline]
    fn less_one(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }

    fn get(&self) -> u64 {
        self.0.get()
    }
}

#[derive(Debug)]
struct Route {
    name: &'static str,
    /// By hundreds of the status, 1xx first.
    by_class: [Count; 5],
    latency: Recorder,
}

/// The metrics of one shard. Not `Sync`: each shard has its own and records without locks.
#[derive(Debug)]
pub struct ShardMetrics {
    routes: Vec<Route>,
    connections_open: Count,
    connections_accepted: Count,
    connections_refused: Count,
    requests_limited: Count,
    requests_in_flight: Count,
    admission_refusals: Count,
    commands: Count,
    queries: Count,
    hops: Count,
    orders_placed: Count,
    orders_crossed: Count,
    orders_rejected: Count,
    trades: Count,
    /// In the order of [`Part::ALL`].
    parts: [Recorder; Part::ALL.len()],
    commit: Recorder,
    batch_records: Recorder,
    batch_bytes: Recorder,
    parcels_sent: Count,
    parcels_received: Count,
    messages_sent: Count,
    messages_received: Count,
    sockets_open: Count,
    socket_messages: Count,
    pushes: Count,
    pushes_conflated: Count,
    slow_consumers: Count,
    handshakes_under_way: Count,
    handshakes: Count,
    handshakes_failed: Count,
}

impl ShardMetrics {
    /// Nothing recorded yet. A request names its route by its index in `routes`. Route names are
    /// patterns (`/order/{order_id}`), never what a client sent.
    pub fn new(routes: &'static [&'static str]) -> ShardMetrics {
        let route = |&name| Route {
            name,
            by_class: <[Count; 5]>::default(),
            latency: Recorder::durations(),
        };
        ShardMetrics {
            routes: routes.iter().map(route).collect(),
            connections_open: Count::default(),
            connections_accepted: Count::default(),
            connections_refused: Count::default(),
            requests_limited: Count::default(),
            requests_in_flight: Count::default(),
            admission_refusals: Count::default(),
            commands: Count::default(),
            queries: Count::default(),
            hops: Count::default(),
            orders_placed: Count::default(),
            orders_crossed: Count::default(),
            orders_rejected: Count::default(),
            trades: Count::default(),
            parts: std::array::from_fn(|_| Recorder::parts()),
            commit: Recorder::durations(),
            batch_records: Recorder::counts(BATCH_RECORDS_BOUNDS),
            batch_bytes: Recorder::counts(BATCH_BYTES_BOUNDS),
            parcels_sent: Count::default(),
            parcels_received: Count::default(),
            messages_sent: Count::default(),
            messages_received: Count::default(),
            sockets_open: Count::default(),
            socket_messages: Count::default(),
            pushes: Count::default(),
            pushes_conflated: Count::default(),
            slow_consumers: Count::default(),
            handshakes_under_way: Count::default(),
            handshakes: Count::default(),
            handshakes_failed: Count::default(),
        }
    }

    /// A connection has become one that is sent things unasked.
    #[inline]
    pub fn socket_opened(&self) {
        self.sockets_open.add(1);
    }

    /// Such a connection has ended.
    #[inline]
    pub fn socket_closed(&self) {
        self.sockets_open.less_one();
    }

    /// A message of a client was read.
    #[inline]
    pub fn message_received(&self) {
        self.socket_messages.add(1);
    }

    /// Something was sent unasked to one connection.
    #[inline]
    pub fn push_sent(&self) {
        self.pushes.add(1);
    }

    /// Market data was left out because its reader is slow; it gets the newest state later.
    #[inline]
    pub fn push_conflated(&self) {
        self.pushes_conflated.add(1);
    }

    /// A connection was closed because what must not be left out did not fit any more.
    #[inline]
    pub fn slow_consumer(&self) {
        self.slow_consumers.add(1);
    }

    /// A connection was taken.
    #[inline]
    pub fn connection_opened(&self) {
        self.connections_accepted.add(1);
        self.connections_open.add(1);
    }

    /// A connection that was taken has ended.
    #[inline]
    pub fn connection_closed(&self) {
        self.connections_open.less_one();
    }

    /// A connection was turned away: too many, or draining.
    #[inline]
    pub fn connection_refused(&self) {
        self.connections_refused.add(1);
    }

    /// A request was not admitted: its user is too fast, or its signature was used.
    #[inline]
    pub fn request_limited(&self) {
        self.requests_limited.add(1);
    }

    /// A TLS handshake has begun. Followed by one [`ShardMetrics::handshake_ended`].
    #[inline]
    pub fn handshake_started(&self) {
        self.handshakes_under_way.add(1);
    }

    /// It has ended: the connection speaks TLS, or has come to nothing.
    #[inline]
    pub fn handshake_ended(&self, is_done: bool) {
        self.handshakes_under_way.less_one();
        let count = if is_done { &self.handshakes } else { &self.handshakes_failed };
        count.add(1);
    }

    /// A request was read. Followed by one [`ShardMetrics::request_ended`].
    #[inline]
    pub fn request_started(&self) {
        self.requests_in_flight.add(1);
    }

    /// A request was answered with this HTTP status, so long after it had been read. A route or a
    /// status that cannot be is ignored.
    #[inline]
    pub fn request_ended(&self, route: usize, status: u16, latency: Duration) {
        self.requests_in_flight.less_one();
        let Some(route) = self.routes.get(route) else { return };
        let class = usize::from(status / 100).wrapping_sub(1);
        let Some(count) = route.by_class.get(class) else { return };
        count.add(1);
        route.latency.record_duration(latency);
    }

    /// A request that was started came to nothing: its connection went away.
    #[inline]
    pub fn request_abandoned(&self) {
        self.requests_in_flight.less_one();
    }

    /// A request was refused because too much was under way, or the disk is full.
    #[inline]
    pub fn admission_refused(&self) {
        self.admission_refusals.add(1);
    }

    /// This shard applied a command.
    #[inline]
    pub fn command_applied(&self) {
        self.commands.add(1);
    }

    /// This shard answered a query.
    #[inline]
    pub fn query_applied(&self) {
        self.queries.add(1);
    }

    /// A command or query that arrived here was forwarded to the shard that owns it.
    #[inline]
    pub fn hop(&self) {
        self.hops.add(1);
    }

    /// Orders of users of this shard were accepted.
    #[inline]
    pub fn orders_placed(&self, orders: u64) {
        self.orders_placed.add(orders);
    }

    /// Orders of users of this shard were accepted whose books are on other shards.
    #[inline]
    pub fn orders_crossed(&self, orders: u64) {
        self.orders_crossed.add(orders);
    }

    /// An order of a user of this shard was refused.
    #[inline]
    pub fn order_rejected(&self) {
        self.orders_rejected.add(1);
    }

    /// Books of this shard made trades.
    #[inline]
    pub fn traded(&self, trades: u64) {
        self.trades.add(trades);
    }

    /// A batch became durable, so long after it was handed to the disk.
    #[inline]
    pub fn committed(&self, latency: Duration, records: u64, bytes: u64) {
        self.commit.record_duration(latency);
        self.batch_records.record(records);
        self.batch_bytes.record(bytes);
    }

    /// A part of a request took so long.
    #[inline]
    pub fn part_ended(&self, part: Part, time: Duration) {
        self.parts[part as usize].record_duration(time);
    }

    /// A parcel with so many messages was handed to a peer.
    #[inline]
    pub fn parcel_sent(&self, messages: u64) {
        self.parcels_sent.add(1);
        self.messages_sent.add(messages);
    }

    /// A parcel with so many messages came from a peer.
    #[inline]
    pub fn parcel_received(&self, messages: u64) {
        self.parcels_received.add(1);
        self.messages_received.add(messages);
    }

    /// Open connections.
    pub fn connections_open(&self) -> u64 {
        self.connections_open.get()
    }

    /// Requests read and not answered.
    pub fn requests_in_flight(&self) -> u64 {
        self.requests_in_flight.get()
    }

    /// All of it now.
    pub fn snapshot(&self, gauges: Gauges) -> Snapshot {
        let counters = Counters {
            sockets_open: self.sockets_open.get(),
            socket_messages: self.socket_messages.get(),
            pushes: self.pushes.get(),
            pushes_conflated: self.pushes_conflated.get(),
            slow_consumers: self.slow_consumers.get(),
            connections_open: self.connections_open.get(),
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            requests_limited: self.requests_limited.get(),
            handshakes_under_way: self.handshakes_under_way.get(),
            handshakes: self.handshakes.get(),
            handshakes_failed: self.handshakes_failed.get(),
            requests_in_flight: self.requests_in_flight.get(),
            admission_refusals: self.admission_refusals.get(),
            commands: self.commands.get(),
            queries: self.queries.get(),
            hops: self.hops.get(),
            orders_placed: self.orders_placed.get(),
            orders_crossed: self.orders_crossed.get(),
            orders_rejected: self.orders_rejected.get(),
            trades: self.trades.get(),
            parcels_sent: self.parcels_sent.get(),
            parcels_received: self.parcels_received.get(),
            messages_sent: self.messages_sent.get(),
            messages_received: self.messages_received.get(),
        };
        let used = |route: &&Route| route.by_class.iter().any(|count| count.get() > 0);
        let route = |route: &Route| RouteSnapshot {
            name: route.name,
            by_class: std::array::from_fn(|class| route.by_class[class].get()),
            latency: route.latency.buckets(),
        };
        Snapshot {
            gauges,
            counters,
            routes: self.routes.iter().filter(used).map(route).collect(),
            parts: std::array::from_fn(|part| self.parts[part].buckets()),
            commit: self.commit.buckets(),
            batch_records: self.batch_records.buckets(),
            batch_bytes: self.batch_bytes.buckets(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_goes_to_another_thread() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&ShardMetrics::new(&["one"]).snapshot(Gauges::default()));
    }

    #[test]
    fn an_impossible_status_or_route_is_ignored_but_the_request_has_ended() {
        let metrics = ShardMetrics::new(&["one"]);
        for (route, status) in [(1, 200), (0, 0), (0, 99), (0, 600), (0, u16::MAX)] {
            metrics.request_started();
            metrics.request_ended(route, status, Duration::from_micros(5));
        }
        let snapshot = metrics.snapshot(Gauges::default());
        assert!(snapshot.routes.is_empty());
        assert_eq!(snapshot.counters.requests_in_flight, 0);
    }

    #[test]
    fn a_gauge_does_not_wrap_when_more_ends_than_began() {
        let metrics = ShardMetrics::new(&["one"]);
        metrics.connection_closed();
        metrics.request_abandoned();
        assert_eq!((metrics.connections_open(), metrics.requests_in_flight()), (0, 0));
    }

    #[test]
    fn a_class_counts_its_own_statuses() {
        let metrics = ShardMetrics::new(&["one"]);
        for status in [202, 200, 404, 503, 101] {
            metrics.request_ended(0, status, Duration::ZERO);
        }
        assert_eq!(metrics.snapshot(Gauges::default()).routes[0].by_class, [1, 2, 0, 1, 1]);
    }
}

//! What the metrics need from outside the counters.

use std::sync::LazyLock;
use std::time::Instant;

use gateway::native::Serving;
use telemetry::{Gauges, Process, Snapshot, State};

use super::node::Node;

/// The routes that the metrics tell apart. Names are patterns, never what a client sent.
pub(super) const ROUTES: &[&str] = &[
    "other",
    "create_order",
    "cancel_order",
    "orders",
    "order",
    "trades",
    "balances",
    "public",
    "admin",
];

/// The place of `create_order` in [`ROUTES`].
pub(super) const CREATE_ORDER_ROUTE: usize = 1;

/// The place of a path in [`ROUTES`].
pub(super) fn route_of(path: &str) -> usize {
    let Some(rest) = path.strip_prefix("/api/v1/") else { return 0 };
    let name = match rest.split('/').next().unwrap_or_default() {
        // The same route under two names; reductions and moves are counted under `order`.
        "order" if rest == "order" => "create_order",
        name => name,
    };
    ROUTES.iter().position(|&route| route == name).unwrap_or(0)
}

/// The status of a whole answer.
pub(super) fn status_of(answer: &[u8]) -> u16 {
    let digits = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// When the first metric was asked for or the node began, whichever came first.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Starts the uptime.
pub(crate) fn start_uptime() {
    LazyLock::force(&START);
}

/// The process now. Reads `/proc`, which does not block.
pub(super) fn process() -> Process {
    const PAGE_BYTES: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    Process {
        uptime_ms: START.elapsed().as_millis() as u64,
        resident_bytes: pages.unwrap_or(0) * PAGE_BYTES,
    }
}

impl Node {
    /// This shard's metrics now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let shard = self.shard.borrow();
        let status = shard.status();
        let snapshots = self.checkpoints.report(&shard);
        let depth = |peer: money::ShardId| (peer.0, self.mesh.depth(peer.0 as usize) as u64);
        let peers = self.placement.all().filter(|&peer| peer != self.here);
        let state = match self.serving.get() {
            Serving::Recovering => State::Recovering,
            Serving::Draining => State::Draining,
            Serving::Ready if !self.admits() => State::ReadOnly,
            Serving::Ready => State::Serving,
        };
        let (placed, traded) = (status.engine.orders_placed, status.engine.trades);
        self.metrics.orders_placed(placed - self.counted_orders.replace(placed));
        let crossing = shard.engine().orders_crossing();
        self.metrics.orders_crossed(crossing - self.counted_crossing.replace(crossing));
        self.metrics.traded(traded - self.counted_trades.replace(traded));
        self.metrics.snapshot(Gauges {
            state,
            users: status.engine.users,
            symbols: status.engine.symbols,
            open_orders: status.engine.open_orders,
            resting_orders: status.engine.resting_orders,
            appended_lsn: status.appended_lsn,
            durable_lsn: status.durable_lsn,
            segment: shard.journal().segment(),
            snapshot_lsn: snapshots.lsn.unwrap_or(0),
            snapshots: snapshots.made,
            snapshot_failed: snapshots.failure.is_some(),
            held_effects: status.gate_depth,
            unconfirmed_messages: status.engine.unconfirmed,
            queue_depths: peers.map(depth).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_invent_a_route() {
        assert_eq!(ROUTES[route_of("/api/v1/create_order")], "create_order");
        assert_eq!(ROUTES[route_of("/api/v1/order")], "create_order");
        assert_eq!(ROUTES[route_of("/api/v1/order/12")], "order");
        assert_eq!(ROUTES[route_of("/api/v1/public/depth")], "public");
        assert_eq!(ROUTES[route_of("/api/v1/evil{}")], "other");
        assert_eq!(ROUTES[route_of("/")], "other");
    }

    #[test]
    fn a_status_is_read_from_the_first_line() {
        assert_eq!(status_of(b"HTTP/1.1 202 Accepted\r\n"), 202);
        assert_eq!(status_of(b""), 0);
    }
}

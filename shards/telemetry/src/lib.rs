//! What a shard counts about itself, and its text for Prometheus.
//!
//! Each shard owns one [`ShardMetrics`] and records into it; a [`Snapshot`] of it is `Send`, so the
//! shard that is asked for `/metrics` collects one from every shard and [`render`]s them together.
//! Promises: recording costs a few nanoseconds and never allocates (plain cells, no atomics, no
//! locks); the text is valid for a Prometheus server; every series carries the label `shard`. No
//! I/O and no clock: durations, resident memory and gauges come from the caller.
//!
//! A histogram keeps its values to two decimal digits, so a value less than one per cent above a
//! bound may be counted at the bound. A bound itself is exact.

mod histogram;
mod metrics;
mod part;
mod render;
mod snapshot;

pub use histogram::{BATCH_BYTES_BOUNDS, BATCH_RECORDS_BOUNDS, DURATION_BOUNDS_NS, PART_BOUNDS_NS};
pub use metrics::ShardMetrics;
pub use part::Part;
pub use render::{CONTENT_TYPE, render, render_audit};
pub use snapshot::{AuditKind, AuditTrail, Gauges, Process, Snapshot, State};

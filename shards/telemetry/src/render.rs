//! The text that Prometheus reads.

use std::fmt::Write;

use crate::histogram::{Buckets, Unit};
use crate::part::Part;
use crate::snapshot::{AuditKind, AuditTrail, Process, Snapshot, State};

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric of one number per shard: name, type, help, where it is.
type Number = (&'static str, &'static str, &'static str, fn(&Snapshot) -> u64);

const NUMBERS: &[Number] = &[
    ("ringbook_sockets_open", "gauge", "WebSockets and event streams open now.", |shard| {
        shard.counters.sockets_open
    }),
    (
        "ringbook_socket_messages_total",
        "counter",
        "Messages of clients read from WebSockets.",
        |shard| shard.counters.socket_messages,
    ),
    ("ringbook_pushes_total", "counter", "Messages sent unasked.", |shard| shard.counters.pushes),
    (
        "ringbook_pushes_conflated_total",
        "counter",
        "Market data left out for slow readers, who get the newest state later.",
        |shard| shard.counters.pushes_conflated,
    ),
    (
        "ringbook_slow_consumers_total",
        "counter",
        "Connections closed because their client did not read its own events.",
        |shard| shard.counters.slow_consumers,
    ),
    (
        "ringbook_connections_open",
        "gauge",
        "HTTP connections open now, without those of ringbook_sockets_open.",
        |shard| shard.counters.connections_open,
    ),
    ("ringbook_connections_accepted_total", "counter", "Client connections taken.", |shard| {
        shard.counters.connections_accepted
    }),
    (
        "ringbook_requests_limited_total",
        "counter",
        "Requests not admitted: too fast, or a signature that was used.",
        |shard| shard.counters.requests_limited,
    ),
    ("ringbook_connections_refused_total", "counter", "Client connections turned away.", |shard| {
        shard.counters.connections_refused
    }),
    ("ringbook_tls_handshakes_under_way", "gauge", "TLS handshakes under way.", |shard| {
        shard.counters.handshakes_under_way
    }),
    (
        "ringbook_tls_handshakes_total",
        "counter",
        "TLS handshakes that came to their end.",
        |shard| shard.counters.handshakes,
    ),
    (
        "ringbook_tls_handshakes_failed_total",
        "counter",
        "Connections closed because their TLS handshake failed or took too long.",
        |shard| shard.counters.handshakes_failed,
    ),
    ("ringbook_requests_in_flight", "gauge", "Requests read and not answered yet.", |shard| {
        shard.counters.requests_in_flight
    }),
    (
        "ringbook_admission_refusals_total",
        "counter",
        "Requests refused because too much was under way or the disk was full.",
        |shard| shard.counters.admission_refusals,
    ),
    (
        "ringbook_commands_total",
        "counter",
        "Commands applied by the shard that owns them.",
        |shard| shard.counters.commands,
    ),
    (
        "ringbook_queries_total",
        "counter",
        "Queries answered by the shard that owns them.",
        |shard| shard.counters.queries,
    ),
    (
        "ringbook_hops_total",
        "counter",
        "Commands and queries forwarded to the shard that owns them.",
        |shard| shard.counters.hops,
    ),
    (
        "ringbook_orders_placed_total",
        "counter",
        "Orders accepted by their user's home shard.",
        |shard| shard.counters.orders_placed,
    ),
    (
        "ringbook_orders_cross_shard_total",
        "counter",
        "Of the orders accepted those whose book is on another shard than their user.",
        |shard| shard.counters.orders_crossed,
    ),
    (
        "ringbook_orders_rejected_total",
        "counter",
        "Orders refused by their user's home shard.",
        |shard| shard.counters.orders_rejected,
    ),
    ("ringbook_trades_total", "counter", "Trades in the books of the shard.", |shard| {
        shard.counters.trades
    }),
    ("ringbook_open_orders", "gauge", "Open orders of the users at home on the shard.", |shard| {
        shard.gauges.open_orders
    }),
    ("ringbook_resting_orders", "gauge", "Orders resting in the books of the shard.", |shard| {
        shard.gauges.resting_orders
    }),
    ("ringbook_users", "gauge", "Users at home on the shard.", |shard| shard.gauges.users),
    ("ringbook_symbols", "gauge", "Symbols whose book is on the shard.", |shard| {
        shard.gauges.symbols
    }),
    (
        "ringbook_journal_appended_lsn",
        "gauge",
        "Number of the last journal record appended.",
        |shard| shard.gauges.appended_lsn,
    ),
    (
        "ringbook_journal_durable_lsn",
        "gauge",
        "Number of the last durable journal record.",
        |shard| shard.gauges.durable_lsn,
    ),
    (
        "ringbook_journal_segment",
        "gauge",
        "Number of the segment that is being written.",
        |shard| shard.gauges.segment,
    ),
    (
        "ringbook_snapshot_lsn",
        "gauge",
        "Number of the last journal record in the newest snapshot.",
        |shard| shard.gauges.snapshot_lsn,
    ),
    ("ringbook_snapshots_total", "counter", "Snapshots made since the start.", |shard| {
        shard.gauges.snapshots
    }),
    (
        "ringbook_snapshot_failed",
        "gauge",
        "1 if the last attempt made no snapshot, or could not remove old files.",
        |shard| u64::from(shard.gauges.snapshot_failed),
    ),
    (
        "ringbook_held_effects",
        "gauge",
        "Answers, events and messages that wait until they are durable.",
        |shard| shard.gauges.held_effects,
    ),
    ("ringbook_mesh_parcels_sent_total", "counter", "Parcels handed to other shards.", |shard| {
        shard.counters.parcels_sent
    }),
    (
        "ringbook_mesh_parcels_received_total",
        "counter",
        "Parcels taken from other shards.",
        |shard| shard.counters.parcels_received,
    ),
    (
        "ringbook_mesh_messages_sent_total",
        "counter",
        "Messages in the parcels handed to other shards.",
        |shard| shard.counters.messages_sent,
    ),
    (
        "ringbook_mesh_messages_received_total",
        "counter",
        "Messages in the parcels taken from other shards.",
        |shard| shard.counters.messages_received,
    ),
    (
        "ringbook_mesh_unconfirmed_messages",
        "gauge",
        "Messages kept until other shards confirm them durable.",
        |shard| shard.gauges.unconfirmed_messages,
    ),
];

/// A histogram per shard: name, help, where it is.
type Distribution = (&'static str, &'static str, fn(&Snapshot) -> &Buckets);

const DISTRIBUTIONS: &[Distribution] = &[
    (
        "ringbook_journal_commit_duration_seconds",
        "From handing a batch to the disk until it is durable.",
        |shard| &shard.commit,
    ),
    ("ringbook_journal_batch_records", "Records in a batch.", |shard| &shard.batch_records),
    ("ringbook_journal_batch_bytes", "Bytes of a batch on disk, padding included.", |shard| {
        &shard.batch_bytes
    }),
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Appends the metrics of some shards. What concerns the whole process is told once, under the
/// first shard given.
pub fn render(process: Process, shards: &[(u16, Snapshot)], out: &mut String) {
    let mut text = Text { out };
    if let Some((first, _)) = shards.first() {
        text.process(*first, process);
    }
    text.states(shards);
    for (name, kind, help, read) in NUMBERS {
        text.head(name, kind, help);
        for (shard, snapshot) in shards {
            text.sample(name, *shard, &[], read(snapshot));
        }
    }
    text.requests(shards);
    text.parts(shards);
    text.queue_depths(shards);
    for (name, help, read) in DISTRIBUTIONS {
        text.head(name, "histogram", help);
        for (shard, snapshot) in shards {
            text.histogram(name, *shard, &[], read(snapshot));
        }
    }
}

/// A number of one type of audit records: name, help, where it is.
type AuditNumber = (&'static str, &'static str, fn(&AuditKind) -> u64);

const AUDIT_NUMBERS: &[AuditNumber] = &[
    ("ringbook_audit_records_total", "Audit records written.", |kind| kind.written),
    (
        "ringbook_audit_records_dropped_total",
        "Audit records that found no room because the disk did not keep up.",
        |kind| kind.dropped,
    ),
    ("ringbook_audit_bytes_total", "Bytes of audit records written.", |kind| kind.bytes),
];

/// Appends the metrics of the audit trail, which is one for the process: under the shard that tells it.
pub fn render_audit(shard: u16, trail: &AuditTrail, out: &mut String) {
    let mut text = Text { out };
    for (name, help, read) in AUDIT_NUMBERS {
        text.head(name, "counter", help);
        for kind in &trail.kinds {
            text.sample(name, shard, &[("type", kind.name)], read(kind));
        }
    }
    let name = "ringbook_audit_queued_records";
    text.head(name, "gauge", "Audit records that wait to be written.");
    text.sample(name, shard, &[], trail.queued);
    let name = "ringbook_audit_failing";
    text.head(name, "gauge", "1 while the files of the audit trail cannot be written.");
    text.sample(name, shard, &[], u8::from(trail.is_failing));
}

type Label<'a> = (&'static str, &'a str);

struct Text<'a> {
    out: &'a mut String,
}

impl Text<'_> {
    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.out.write_fmt(arguments).expect("a string takes everything");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(
        &mut self,
        name: &str,
        shard: u16,
        labels: &[Label<'_>],
        value: impl std::fmt::Display,
    ) {
        self.put(format_args!("{name}{{shard=\"{shard}\""));
        for (label, value) in labels {
            self.put(format_args!(",{label}=\""));
            self.escape(value);
            self.out.push('"');
        }
        self.put(format_args!("}} {value}\n"));
    }

    fn escape(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                other => self.out.push(other),
            }
        }
    }

    fn process(&mut self, shard: u16, process: Process) {
        let uptime = Seconds { ns: u128::from(process.uptime_ms) * 1_000_000 };
        self.head("ringbook_uptime_seconds", "gauge", "Time since the start of the process.");
        self.sample("ringbook_uptime_seconds", shard, &[], uptime);
        let name = "process_resident_memory_bytes";
        self.head(name, "gauge", "Resident memory of the whole process.");
        self.sample(name, shard, &[], process.resident_bytes);
    }

    fn states(&mut self, shards: &[(u16, Snapshot)]) {
        let name = "ringbook_shard_state";
        self.head(name, "gauge", "1 for the state that the shard is in.");
        for (shard, snapshot) in shards {
            for (state, label) in State::ALL {
                let is_so = u8::from(state == snapshot.gauges.state);
                self.sample(name, *shard, &[("state", label)], is_so);
            }
        }
    }

    fn requests(&mut self, shards: &[(u16, Snapshot)]) {
        let name = "ringbook_requests_total";
        self.head(name, "counter", "Requests answered, by route and status class.");
        for (shard, snapshot) in shards {
            for route in &snapshot.routes {
                let counted = CLASSES.iter().zip(route.by_class).filter(|(_, count)| *count > 0);
                for (class, count) in counted {
                    let labels = [("route", route.name), ("status", *class)];
                    self.sample(name, *shard, &labels, count);
                }
            }
        }
        let name = "ringbook_request_duration_seconds";
        self.head(
            name,
            "histogram",
            "From reading a request until its answer is ready to be sent.",
        );
        for (shard, snapshot) in shards {
            for route in &snapshot.routes {
                self.histogram(name, *shard, &[("route", route.name)], &route.latency);
            }
        }
    }

    fn parts(&mut self, shards: &[(u16, Snapshot)]) {
        let name = "ringbook_part_seconds";
        self.head(name, "histogram", "Parts of the time of a request, beside the commit.");
        for (shard, snapshot) in shards {
            for (part, label) in Part::ALL {
                let buckets = &snapshot.parts[part as usize];
                self.histogram(name, *shard, &[("part", label)], buckets);
            }
        }
    }

    fn queue_depths(&mut self, shards: &[(u16, Snapshot)]) {
        let name = "ringbook_mesh_queue_depth";
        self.head(name, "gauge", "Parcels that the peer has not taken yet.");
        for (shard, snapshot) in shards {
            for (peer, depth) in &snapshot.gauges.queue_depths {
                self.sample(name, *shard, &[("peer", &peer.to_string())], depth);
            }
        }
    }

    fn histogram(&mut self, name: &str, shard: u16, labels: &[Label<'_>], buckets: &Buckets) {
        let series = format!("{name}_bucket");
        for (bound, count) in buckets.bounds.iter().zip(&buckets.cumulative) {
            let bound = in_unit(buckets.unit, *bound);
            self.sample(&series, shard, &[labels, &[("le", &bound)]].concat(), count);
        }
        let infinity = [labels, &[("le", "+Inf")]].concat();
        self.sample(&series, shard, &infinity, buckets.count);
        let sum = in_unit(buckets.unit, buckets.sum);
        self.sample(&format!("{name}_sum"), shard, labels, sum);
        self.sample(&format!("{name}_count"), shard, labels, buckets.count);
    }
}

fn in_unit(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Nanoseconds => Seconds { ns: u128::from(value) }.to_string(),
        Unit::Count => value.to_string(),
    }
}

/// Nanoseconds written as seconds, exactly.
struct Seconds {
    ns: u128,
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const PER_SECOND: u128 = 1_000_000_000;
        let (whole, part) = (self.ns / PER_SECOND, self.ns % PER_SECOND);
        if part == 0 {
            return write!(formatter, "{whole}");
        }
        let digits = format!("{part:09}");
        write!(formatter, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_exactly_and_without_an_exponent() {
        let cases = [(0, "0"), (20_000, "0.00002"), (1_500_000_000, "1.5"), (1, "0.000000001")];
        for (ns, text) in cases {
            assert_eq!(Seconds { ns }.to_string(), text);
        }
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut out = String::new();
        Text { out: &mut out }.sample("name", 3, &[("route", "a\"b\\c\nd")], 1);
        assert_eq!(out, "name{shard=\"3\",route=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}

//! The text, read back by a strict parser of the exposition format with the rules of promtool.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use telemetry::{
    AuditKind, AuditTrail, Gauges, Part, Process, ShardMetrics, Snapshot, State, render,
    render_audit,
};

const ROUTES: &[&str] = &["POST /api/v1/create_order", "GET /metrics", "never asked for"];
const PROCESS: Process = Process { uptime_ms: 1_500, resident_bytes: 4_096 };

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Family {
    kind: String,
    samples: Vec<(String, Labels, f64)>,
}

type Families = BTreeMap<String, Family>;

/// Reads the whole text, or says what is wrong with it.
fn parse(text: &str) -> Result<Families, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut families = Families::new();
    let mut helped: Option<String> = None;
    let mut current: Option<String> = None;
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("HELP without a text")?;
            if help.is_empty() || help.contains('\\') {
                return Err(format!("{name}: help {help:?}"));
            }
            helped = Some(name.into());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            if helped.as_deref() != Some(name) {
                return Err(format!("{name}: TYPE does not follow its HELP"));
            }
            check_name(name, kind)?;
            let family = Family { kind: kind.into(), samples: Vec::new() };
            if families.insert(name.into(), family).is_some() {
                return Err(format!("{name}: described twice"));
            }
            current = Some(name.into());
        } else {
            let (name, labels, value) = parse_sample(line)?;
            let family_name = current.clone().ok_or("a sample before any TYPE")?;
            let family = families.get_mut(&family_name).expect("was inserted");
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            if !suffixes.iter().any(|suffix| name == format!("{family_name}{suffix}")) {
                return Err(format!("{name}: stands under {family_name}"));
            }
            if !seen.insert((name.clone(), labels.clone())) {
                return Err(format!("{name} {labels:?}: twice"));
            }
            if !labels.contains_key("shard") {
                return Err(format!("{name}: no label shard"));
            }
            family.samples.push((name, labels, value));
        }
    }
    for (name, family) in families.iter().filter(|(_, family)| family.kind == "histogram") {
        check_histogram(name, family)?;
    }
    Ok(families)
}

fn check_name(name: &str, kind: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let reserved = ["_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix));
    let is_total = name.ends_with("_total");
    match kind {
        "counter" if is_total => {}
        "gauge" | "histogram" if !is_total => {}
        _ => return Err(format!("{name}: is a {kind}")),
    }
    if is_name(name) && !reserved { Ok(()) } else { Err(format!("{name}: bad name")) }
}

fn parse_sample(line: &str) -> Result<(String, Labels, f64), String> {
    let bad = || format!("not a sample: {line}");
    let (name, rest) = line.split_once('{').ok_or_else(bad)?;
    let mut labels = Labels::new();
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"").ok_or_else(bad)?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().ok_or_else(bad)? {
                (at, '"') => break at,
                (_, '\\') => match characters.next().ok_or_else(bad)?.1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    _ => return Err(bad()),
                },
                (_, plain) => value.push(plain),
            }
        };
        if labels.insert(label.into(), value).is_some() {
            return Err(bad());
        }
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let value = rest.strip_prefix("} ").ok_or_else(bad)?;
    let is_number = value.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value = value.parse().ok().filter(|_| is_number).ok_or_else(bad)?;
    Ok((name.into(), labels, value))
}

#[derive(Default)]
struct Series {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    has_sum: bool,
}

impl Series {
    fn is_complete(&self) -> bool {
        let ascending = self.buckets.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let cumulative = self.buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1);
        let last = self.buckets.last().filter(|(bound, _)| bound.is_infinite());
        let counts_all = last.is_some_and(|(_, value)| Some(*value) == self.count);
        ascending && cumulative && counts_all && self.has_sum
    }
}

fn check_histogram(name: &str, family: &Family) -> Result<(), String> {
    let mut all: BTreeMap<Labels, Series> = BTreeMap::new();
    for (sample, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le");
        let series = all.entry(labels).or_default();
        match sample.rsplit_once('_').expect("has a suffix").1 {
            "bucket" => {
                let bound = bound.ok_or_else(|| format!("{name}: a bucket without le"))?;
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                series.buckets.push((bound, *value));
            }
            "count" => series.count = Some(*value),
            _ => series.has_sum = true,
        }
    }
    match all.iter().find(|(_, series)| !series.is_complete()) {
        Some((labels, _)) => Err(format!("{name} {labels:?}: not a histogram")),
        None => Ok(()),
    }
}

fn busy(shard: u16) -> (u16, Snapshot) {
    let metrics = ShardMetrics::new(ROUTES);
    metrics.connection_opened();
    metrics.connection_refused();
    for is_done in [true, true, false] {
        metrics.handshake_started();
        metrics.handshake_ended(is_done);
    }
    metrics.handshake_started();
    for status in [202, 202, 400, 503] {
        metrics.request_started();
        metrics.request_ended(0, status, Duration::from_micros(80));
    }
    metrics.request_ended(1, 200, Duration::from_secs(30));
    metrics.admission_refused();
    metrics.command_applied();
    metrics.query_applied();
    metrics.hop();
    metrics.orders_placed(3);
    metrics.orders_crossed(2);
    metrics.order_rejected();
    metrics.traded(3);
    metrics.committed(Duration::from_micros(47), 2, 4_096);
    metrics.committed(Duration::from_micros(60), 700, 131_072);
    metrics.part_ended(Part::Read, Duration::from_nanos(700));
    metrics.part_ended(Part::Write, Duration::from_micros(6));
    metrics.part_ended(Part::Write, Duration::from_secs(70));
    metrics.parcel_sent(5);
    metrics.parcel_received(0);
    let gauges = Gauges {
        state: State::Serving,
        users: 11,
        open_orders: 12,
        appended_lsn: 702,
        durable_lsn: 702,
        queue_depths: vec![(7, 1), (8, 0)],
        ..Gauges::default()
    };
    (shard, metrics.snapshot(gauges))
}

fn text(shards: &[(u16, Snapshot)]) -> String {
    let mut text = String::new();
    render(PROCESS, shards, &mut text);
    text
}

fn value(families: &Families, family: &str, sample: &str, labels: &[(&str, &str)]) -> f64 {
    let expected: Labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let found = families[family]
        .samples
        .iter()
        .find(|(name, labels, _)| name == sample && *labels == expected);
    found.unwrap_or_else(|| panic!("no {sample} {expected:?}")).2
}

#[test]
fn one_busy_shard_and_four_are_both_valid() {
    for count in [1, 4] {
        let shards: Vec<_> = (0..count).map(busy).collect();
        parse(&text(&shards)).unwrap();
    }
}

#[test]
fn a_shard_that_did_nothing_is_valid() {
    let idle = ShardMetrics::new(&[]).snapshot(Gauges::default());
    let families = parse(&text(&[(0, idle)])).unwrap();
    let count = "ringbook_journal_commit_duration_seconds_count";
    let family = "ringbook_journal_commit_duration_seconds";
    assert_eq!(value(&families, family, count, &[("shard", "0")]), 0.0);
}

#[test]
fn the_audit_trail_is_told_by_type() {
    let kind = AuditKind { name: "auth", written: 5, dropped: 2, bytes: 700 };
    let other = AuditKind { name: "order", written: 9, ..kind };
    let trail = AuditTrail { kinds: vec![kind, other], queued: 3, is_failing: true };
    let mut text = text(&[busy(0)]);
    render_audit(0, &trail, &mut text);
    let families = parse(&text).unwrap();
    let of = |name: &str, label| {
        let labels = [("shard", "0"), ("type", label)];
        value(&families, name, name, &labels)
    };
    assert_eq!(of("ringbook_audit_records_total", "auth"), 5.0);
    assert_eq!(of("ringbook_audit_records_total", "order"), 9.0);
    assert_eq!(of("ringbook_audit_records_dropped_total", "auth"), 2.0);
    assert_eq!(of("ringbook_audit_bytes_total", "auth"), 700.0);
    for (name, expected) in
        [("ringbook_audit_queued_records", 3.0), ("ringbook_audit_failing", 1.0)]
    {
        assert_eq!(value(&families, name, name, &[("shard", "0")]), expected);
    }
}

#[test]
fn no_shards_at_all_is_valid_and_empty() {
    let families = parse(&text(&[])).unwrap();
    assert!(families.values().all(|family| family.samples.is_empty()));
}

#[test]
fn each_number_arrives_under_its_own_name_and_shard() {
    let families = parse(&text(&[busy(2), busy(3)])).unwrap();
    let expect = |name: &str, expected: f64| {
        for shard in ["2", "3"] {
            assert_eq!(value(&families, name, name, &[("shard", shard)]), expected, "{name}");
        }
    };
    expect("ringbook_connections_open", 1.0);
    expect("ringbook_connections_accepted_total", 1.0);
    expect("ringbook_connections_refused_total", 1.0);
    expect("ringbook_tls_handshakes_under_way", 1.0);
    expect("ringbook_tls_handshakes_total", 2.0);
    expect("ringbook_tls_handshakes_failed_total", 1.0);
    expect("ringbook_requests_in_flight", 0.0);
    expect("ringbook_admission_refusals_total", 1.0);
    expect("ringbook_commands_total", 1.0);
    expect("ringbook_queries_total", 1.0);
    expect("ringbook_hops_total", 1.0);
    expect("ringbook_orders_placed_total", 3.0);
    expect("ringbook_orders_cross_shard_total", 2.0);
    expect("ringbook_orders_rejected_total", 1.0);
    expect("ringbook_trades_total", 3.0);
    expect("ringbook_users", 11.0);
    expect("ringbook_open_orders", 12.0);
    expect("ringbook_journal_appended_lsn", 702.0);
    expect("ringbook_mesh_parcels_sent_total", 1.0);
    expect("ringbook_mesh_messages_sent_total", 5.0);
    expect("ringbook_mesh_parcels_received_total", 1.0);
    expect("ringbook_mesh_messages_received_total", 0.0);
}

#[test]
fn requests_are_told_apart_by_route_and_status() {
    let families = parse(&text(&[busy(0)])).unwrap();
    let name = "ringbook_requests_total";
    let count = |route, status| {
        value(&families, name, name, &[("shard", "0"), ("route", route), ("status", status)])
    };
    assert_eq!(count(ROUTES[0], "2xx"), 2.0);
    assert_eq!(count(ROUTES[0], "4xx"), 1.0);
    assert_eq!(count(ROUTES[0], "5xx"), 1.0);
    assert_eq!(count(ROUTES[1], "2xx"), 1.0);
    assert_eq!(families[name].samples.len(), 4, "nothing for what never happened");
}

#[test]
fn a_latency_lands_between_its_bounds() {
    let families = parse(&text(&[busy(0)])).unwrap();
    let name = "ringbook_request_duration_seconds";
    let bucket = |le| {
        let labels = [("shard", "0"), ("route", ROUTES[0]), ("le", le)];
        value(&families, name, &format!("{name}_bucket"), &labels)
    };
    assert_eq!((bucket("0.000075"), bucket("0.0001")), (0.0, 4.0));
    let labels = [("shard", "0"), ("route", ROUTES[0])];
    assert_eq!(value(&families, name, &format!("{name}_sum"), &labels), 0.00032);
}

#[test]
fn a_part_is_counted_under_its_own_name_in_buckets_below_a_microsecond_too() {
    let families = parse(&text(&[busy(0)])).unwrap();
    let name = "ringbook_part_seconds";
    let of = |suffix: &str, part, le: Option<&'static str>| {
        let labels = [Some(("shard", "0")), Some(("part", part)), le.map(|le| ("le", le))];
        let labels: Vec<_> = labels.into_iter().flatten().collect();
        value(&families, name, &format!("{name}_{suffix}"), &labels)
    };
    assert_eq!((of("count", "read", None), of("count", "write", None)), (1.0, 2.0));
    for part in ["gather", "release", "hop"] {
        assert_eq!(of("count", part, None), 0.0, "{part}");
    }
    let read = |le| of("bucket", "read", Some(le));
    assert_eq!((read("0.0000005"), read("0.000001")), (0.0, 1.0));
    let write = |le| of("bucket", "write", Some(le));
    assert_eq!((write("0.000005"), write("0.0000075"), write("1")), (0.0, 1.0, 1.0));
}

#[test]
fn a_shard_is_in_one_state() {
    let families = parse(&text(&[busy(0)])).unwrap();
    let name = "ringbook_shard_state";
    let sum: f64 = families[name].samples.iter().map(|(_, _, value)| value).sum();
    let serving = value(&families, name, name, &[("shard", "0"), ("state", "serving")]);
    assert_eq!((sum, serving), (1.0, 1.0));
}

#[test]
fn the_process_is_told_once_however_many_shards_there_are() {
    let families = parse(&text(&[busy(0), busy(1), busy(2)])).unwrap();
    for (name, expected) in
        [("ringbook_uptime_seconds", 1.5), ("process_resident_memory_bytes", 4_096.0)]
    {
        assert_eq!(families[name].samples.len(), 1);
        assert_eq!(value(&families, name, name, &[("shard", "0")]), expected);
    }
}

#[test]
fn the_parser_refuses_what_prometheus_would() {
    let head = "# HELP a_total Text.\n# TYPE a_total counter\n";
    let bad = [
        "a_total{shard=\"0\"} 1\n".to_string(),
        format!("{head}a_total{{shard=\"0\"}} 1"),
        format!("{head}a_total{{shard=\"0\"}} 1\na_total{{shard=\"0\"}} 2\n"),
        format!("{head}a_total 1\n"),
        format!("{head}b_total{{shard=\"0\"}} 1\n"),
        format!("{head}a_total{{shard=\"0\" 1\n"),
        format!("{head}a_total{{shard=\"0\"}} NaN\n"),
        format!("{head}{head}"),
        "# HELP a Text.\n# TYPE a counter\n".to_string(),
        "# HELP h T.\n# TYPE h histogram\nh_bucket{shard=\"0\",le=\"1\"} 1\n".to_string(),
    ];
    for text in bad {
        assert!(parse(&text).is_err(), "{text}");
    }
    assert!(parse(&format!("{head}a_total{{shard=\"0\"}} 1\n")).is_ok());
}

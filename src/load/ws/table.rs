//! The results of `load ws` for a person.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::WsReport;
use super::sequence::{Disorder, IN_ORDER};
use crate::format::{duration, thousands};
use crate::load::arguments::Drive;
use crate::load::table::{NAME_WIDTH, cells, plural, quantiles};

const MIB: f64 = (1 << 20) as f64;

/// Everything, line by line.
pub fn write(report: &WsReport) -> String {
    let mut text = String::new();
    head(report, &mut text);
    counts(report, &mut text);
    latencies(report, &mut text);
    streams(report, &mut text);
    integrity(report, &mut text);
    processes(report, &mut text);
    notes(report, &mut text);
    text
}

fn head(report: &WsReport, text: &mut String) {
    let settings = &report.settings;
    let rate = match (settings.drive, settings.load.rate) {
        (Drive::None, _) => "no orders".to_owned(),
        (_, 0) => "orders as fast as they are answered".to_owned(),
        (_, rate) => format!("{} orders/s", thousands(rate)),
    };
    let over = if settings.drive == Drive::Http { " over HTTP" } else { "" };
    let _ = writeln!(
        text,
        "{}, {}: {rate}{over} for {} s after {} s of warm-up",
        settings.load.url,
        plural(u64::from(report.shards), "shard"),
        settings.load.duration_s,
        settings.load.warmup_s,
    );
    let _ = writeln!(
        text,
        "{}, {}, {}; {} of {}; channels {}; seed {}",
        plural(settings.load.connections as u64, "connection"),
        plural(settings.traders as u64, "trader"),
        plural(settings.load.threads as u64, "thread"),
        settings.mix(),
        settings.load.symbols.join(", "),
        settings.channels.join(", "),
        settings.load.seed,
    );
    let _ = writeln!(
        text,
        "opened in {}, {} connections/s",
        duration(Duration::from_secs_f64(report.opening.took_ms / 1e3)),
        thousands(report.opening.connections_per_s as u64),
    );
}

fn counts(report: &WsReport, text: &mut String) {
    let messages = &report.messages;
    let _ = writeln!(
        text,
        "\n{:NAME_WIDTH$}{} messages/s, {:.2} MiB/s",
        "received",
        thousands(messages.per_s.round() as u64),
        messages.bytes_per_s / MIB,
    );
    if report.settings.drive == Drive::None {
        return;
    }
    let orders = &report.orders;
    let _ = writeln!(
        text,
        "{:NAME_WIDTH$}{} due: {} answered, {} unanswered, {} lost, {} never sent; {} answers/s",
        "orders",
        thousands(orders.due),
        thousands(orders.answered),
        thousands(orders.unanswered),
        thousands(orders.lost),
        thousands(orders.unsent),
        thousands(report.answers_per_s.round() as u64),
    );
}

fn latencies(report: &WsReport, text: &mut String) {
    if report.settings.drive == Drive::None {
        return;
    }
    cells("\n", "order to", &["count", "p50", "p90", "p99", "p99.9", "max"], text);
    quantiles("answer", &report.order_to_answer_ns, text);
    quantiles("push", &report.order_to_push_ns, text);
    quantiles("public trade", &report.order_to_public_trade_ns, text);
    quantiles("service time", &report.service_ns, text);
    if report.generator.lag_ns.count > 0 && report.settings.load.rate > 0 {
        quantiles("own lag", &report.generator.lag_ns, text);
    }
}

fn streams(report: &WsReport, text: &mut String) {
    let width = report.messages.streams.keys().map(String::len).max().unwrap_or(0).max(NAME_WIDTH);
    let name = format!("{:width$}", "stream");
    cells("\n", &name, &["messages/s", "KiB/s", "gaps", "duplicates", "disorder"], text);
    for (name, stream) in &report.messages.streams {
        let wrong = |count: fn(Disorder) -> u64| {
            stream.wrong.map_or(String::new(), |wrong| thousands(count(wrong)))
        };
        let columns = [
            thousands(stream.messages_per_s.round() as u64),
            thousands((stream.bytes_per_s / 1_024.0).round() as u64),
            wrong(|wrong| wrong.gaps),
            wrong(|wrong| wrong.duplicates),
            wrong(|wrong| wrong.disorder),
        ];
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        cells("", &format!("{name:width$}"), &columns, text);
    }
}

fn integrity(report: &WsReport, text: &mut String) {
    let integrity = &report.integrity;
    let say = |wrong: Disorder| match wrong {
        IN_ORDER => "complete and in order".to_owned(),
        Disorder { gaps, missed, duplicates, disorder } => format!(
            "{} gaps with {} missing, {} duplicates, {} out of order",
            thousands(gaps),
            thousands(missed),
            thousands(duplicates),
            thousands(disorder)
        ),
    };
    let _ = writeln!(text, "\n{:NAME_WIDTH$}{}", "market data", say(integrity.public));
    if report.settings.traders > 0 {
        let _ = writeln!(
            text,
            "{:NAME_WIDTH$}{}, {} of accepted orders untold",
            "user events",
            say(integrity.private),
            thousands(integrity.untold_orders),
        );
    }
}

fn processes(report: &WsReport, text: &mut String) {
    let each = |used: Option<f64>, unit: &str| {
        used.map_or(String::new(), |used| format!(", {used:.2} {unit}"))
    };
    let own = &report.generator;
    let per_message = each(own.cpu_per_message_us, "µs per message");
    let _ = writeln!(text, "{:NAME_WIDTH$}{:.2} s of CPU{per_message}", "generator", own.cpu_s);
    let Some(server) = &report.server else { return };
    let per_million = each(server.cpu_s_per_million_messages, "s per million messages");
    let mib = |bytes: u64| bytes as f64 / MIB;
    let _ = writeln!(
        text,
        "{:NAME_WIDTH$}{:.2} s of CPU{per_million}; memory {:.1} MiB, {:.1} MiB with all connections \
         ({:.1} KiB each), {:.1} MiB in the end; process {}",
        "server",
        server.cpu_s,
        mib(server.resident_before_bytes),
        mib(server.resident_open_bytes),
        server.resident_per_connection_bytes as f64 / 1_024.0,
        mib(server.resident_end_bytes),
        server.pid,
    );
}

/// What a reader must know about the numbers above.
fn notes(report: &WsReport, text: &mut String) {
    for error in &report.errors {
        let _ = writeln!(text, "{} × {}", thousands(error.count), error.example);
    }
    for (fault, count) in &report.faults {
        let _ = writeln!(text, "{} × {fault}", thousands(*count));
    }
    if report.lost_connections > 0 {
        let _ = writeln!(
            text,
            "{} broke and were missing from then on",
            plural(report.lost_connections, "connection")
        );
    }
    if report.integrity.unmatched_trades > 0 {
        let _ = writeln!(
            text,
            "{} public trades were of nobody's order here",
            thousands(report.integrity.unmatched_trades)
        );
    }
    if report.integrity.dropped_trades > 0 {
        let _ = writeln!(
            text,
            "{} public trades are missing from the times for want of memory: those are too good",
            thousands(report.integrity.dropped_trades)
        );
    }
    if !report.integrity.is_settled {
        let _ = writeln!(text, "not everything was answered and told before the run ended");
    }
    // What is due at the end is answered after it, so that a little is always missing.
    const KEPT: f64 = 0.99;
    let rate = report.settings.load.rate as f64;
    if report.settings.drive != Drive::None && report.answers_per_s < rate * KEPT {
        let _ = writeln!(text, "the rate was not kept: the latencies are those of a growing queue");
    }
    if report.is_generator_late() {
        let _ = writeln!(
            text,
            "the generator itself was late, which is part of the latency: give it more CPU, or --threads"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn the_table_tells_times_streams_order_and_processes() {
        let text = write(&report());
        for part in [
            "2 shards: 10 orders/s for 2 s after 2 s of warm-up",
            "100 connections, 2 traders, 1 thread",
            "opened in 50.0 ms, 2,000 connections/s",
            "1 messages/s",
            "2 due: 2 answered",
            "trades:A_B",
            "3 gaps with 0 missing",
            "user events complete and in order, 0 of accepted orders untold",
            "process 7",
            "the rate was not kept",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let text = write(&report());
        let lines = text.lines().skip_while(|line| !line.starts_with("order to")).take(5);
        let widths: Vec<usize> = lines.map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}\n{text}");
        let lines = text.lines().skip_while(|line| !line.starts_with("stream")).take(3);
        let widths: Vec<usize> = lines.map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}\n{text}");
    }
}

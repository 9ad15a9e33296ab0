//! The results of a run for a person.

use std::fmt::Write as _;
use std::time::Duration;

use super::latencies::Quantiles;
use super::report::{Report, Window};
use crate::format::{duration, thousands};

/// Widths of the columns: names, and numbers or times.
pub const NAME_WIDTH: usize = 12;
const CELL_WIDTH: usize = 11;

/// Everything, line by line.
pub fn write(report: &Report) -> String {
    let mut text = String::new();
    head(report, &mut text);
    counts(report, &mut text);
    latencies(report, &mut text);
    series(&report.rows, &mut text);
    notes(report, &mut text);
    text
}

fn head(report: &Report, text: &mut String) {
    let settings = &report.settings;
    let rate = match settings.rate {
        0 => "as fast as the connections allow".to_owned(),
        rate => format!("{} requests/s", thousands(rate)),
    };
    let _ = writeln!(
        text,
        "{}, {}: {rate} for {} s after {} s of warm-up",
        settings.url,
        plural(u64::from(report.shards), "shard"),
        settings.duration_s,
        settings.warmup_s,
    );
    let _ = writeln!(
        text,
        "{}, {}, up to {} under way on each; {} of {}, {}; seed {}",
        plural(settings.connections as u64, "connection"),
        plural(settings.threads as u64, "thread"),
        settings.pipeline,
        settings.mix,
        plural(settings.users.count(), "user"),
        settings.symbols.join(", "),
        settings.seed,
    );
}

fn counts(report: &Report, text: &mut String) {
    let requests = &report.requests;
    let _ = writeln!(
        text,
        "\n{:NAME_WIDTH$}{} due: {} answered, {} unanswered, {} lost, {} never sent",
        "requests",
        thousands(requests.due),
        thousands(requests.answered),
        thousands(requests.unanswered),
        thousands(requests.lost),
        thousands(requests.unsent),
    );
    let rate = thousands(report.answers_per_s.round() as u64);
    let _ = writeln!(text, "{:NAME_WIDTH$}{rate} answers/s", "rate");
    let statuses = report.statuses.iter();
    let statuses: Vec<String> =
        statuses.map(|(status, count)| format!("{status}: {}", thousands(*count))).collect();
    let _ = writeln!(text, "{:NAME_WIDTH$}{}", "answers", statuses.join(", "));
}

fn latencies(report: &Report, text: &mut String) {
    let cells = ["count", "p50", "p90", "p99", "p99.9", "max"].map(str::to_owned);
    row("\n", "", &cells, text);
    quantiles("latency", &report.latency_ns, text);
    quantiles("service time", &report.service_ns, text);
    for (name, kind) in report.kinds.iter().filter(|_| report.kinds.len() > 1) {
        quantiles(name, &kind.latency_ns, text);
    }
    if report.generator.lag_ns.count > 0 && report.settings.rate > 0 {
        quantiles("own lag", &report.generator.lag_ns, text);
    }
}

/// One row of a table of latencies.
pub fn quantiles(name: &str, all: &Quantiles, text: &mut String) {
    let times = [all.p50, all.p90, all.p99, all.p99_9, all.max];
    let cells: Vec<String> = std::iter::once(thousands(all.count)).chain(times.map(time)).collect();
    row("", name, &cells, text);
}

fn series(rows: &[Window], text: &mut String) {
    let cells = ["requests", "p50", "p99", "max"].map(str::to_owned);
    row("\n", "from second", &cells, text);
    for window in rows {
        let times = [window.p50_ns, window.p99_ns, window.max_ns];
        let cells: Vec<String> =
            std::iter::once(thousands(window.count)).chain(times.map(time)).collect();
        row("", &format!("{}", window.start_ms as f64 / 1e3), &cells, text);
    }
}

/// What a reader must know about the numbers above.
fn notes(report: &Report, text: &mut String) {
    let _ = writeln!(text);
    for error in &report.errors {
        let count = thousands(error.count);
        let _ = writeln!(text, "{count} × {} {}", error.status, error.example);
    }
    for (fault, count) in &report.faults {
        let _ = writeln!(text, "{} × {fault}", thousands(*count));
    }
    let requests = &report.requests;
    let in_vain = requests.unanswered + requests.unsent;
    if in_vain > 0 {
        let _ = writeln!(
            text,
            "{} got no answer: they count with the time waited in vain, less than the truth",
            plural(in_vain, "request"),
        );
    }
    let rate = report.settings.rate as f64;
    // What is due at the end is answered after it, so that a little is always missing.
    const KEPT: f64 = 0.99;
    if report.answers_per_s < rate * KEPT {
        let _ = writeln!(text, "the rate was not kept: the latencies are those of a growing queue");
    }
    if report.is_generator_late() {
        let _ = writeln!(
            text,
            "the generator itself was late, which is part of the latency: give it more CPU, or --threads"
        );
    }
    let _ = writeln!(
        text,
        "the generator used {:.1} µs of CPU per request",
        report.generator.cpu_per_request_us
    );
}

/// One row of a table, of cells that are text already.
pub fn cells(before: &str, name: &str, cells: &[&str], text: &mut String) {
    let cells: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
    row(before, name, &cells, text);
}

fn row(before: &str, name: &str, cells: &[String], text: &mut String) {
    let _ = write!(text, "{before}{name:NAME_WIDTH$}");
    for cell in cells {
        let _ = write!(text, " {cell:>CELL_WIDTH$}");
    }
    text.push('\n');
}

fn time(ns: u64) -> String {
    duration(Duration::from_nanos(ns))
}

/// So many of them.
pub fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::report;

    #[test]
    fn the_table_tells_how_all_requests_ended_and_what_the_errors_were() {
        let text = write(&report());
        for part in [
            "2 shards: 1,000 requests/s for 2 s after 1 s of warm-up",
            "6 due: 3 answered, 1 unanswered, 1 lost, 1 never sent",
            "202: 2, 409: 1",
            "1 × 409 ORDER_NOT_OPEN: it has ended",
            "1 × connection closed by the server",
            "2 requests got no answer",
            "the rate was not kept",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let text = write(&report());
        let widths = |first: &str, count: usize| -> Vec<usize> {
            let lines = text.lines().skip_while(|line| !line.starts_with(first));
            lines.take(count).map(|line| line.chars().count()).collect()
        };
        for widths in [widths("latency", 5), widths("from second", 3)] {
            assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}\n{text}");
        }
    }
}

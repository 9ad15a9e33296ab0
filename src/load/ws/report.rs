//! The results of a run of `load ws`, as they are written to the JSON file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sequence::{Disorder, IN_ORDER};
use super::server::Usage;
use super::settings::WsSettings;
use super::tally::{Other, Tally, Volume, WindowTally};
use super::{CpuOf, Measured, ServerOf};
use crate::load::arguments::Drive;
use crate::load::latencies::{FINE_DIGITS, Latencies, Quantiles};
use crate::load::mix::Kind;
use crate::load::recorder::{KindRecord, Recorder};
use crate::load::report::{ErrorReport, KindReport, Requests, errors, is_late};

const MILLION: f64 = 1e6;

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct WsReport {
    /// The version of this program.
    pub version: &'static str,
    /// What was asked for.
    pub settings: WsSettings,
    /// How many shards the server has.
    pub shards: u16,
    /// When the measurement began, in ms since the epoch.
    pub began_ms: u64,
    /// How long it took to open all connections and subscribe.
    pub opening: Opening,
    /// What came during the measurement, over all connections.
    pub messages: Messages,
    /// How the orders of the measurement ended; all 0 where nobody trades.
    pub orders: Requests,
    /// Answers per second, while the measurement ran.
    pub answers_per_s: f64,
    /// From the intended start of an order or cancel to its answer, or to the end of the run.
    pub order_to_answer_ns: Quantiles,
    /// From the sending to the answer.
    pub service_ns: Quantiles,
    /// From the intended start of an order to its owner's first `order.update`.
    pub order_to_push_ns: Quantiles,
    /// From the intended start of an order to each arrival of a public trade that it took.
    pub order_to_public_trade_ns: Quantiles,
    /// By the kind of request.
    pub kinds: BTreeMap<&'static str, KindReport>,
    /// Errors that were answered.
    pub errors: Vec<ErrorReport>,
    /// What was wrong with the order of messages, over the whole run.
    pub integrity: Integrity,
    /// Connections that broke after they were open.
    pub lost_connections: u64,
    /// What went wrong with connections, and how often.
    pub faults: BTreeMap<String, u64>,
    /// The generator itself.
    pub generator: Generator,
    /// The server's process, where it could be seen.
    pub server: Option<ServerReport>,
    /// Messages and pushes over time.
    pub windows: Vec<Window>,
}

/// How the connections were opened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Opening {
    pub connections: usize,
    pub took_ms: f64,
    pub connections_per_s: f64,
}

/// What came.
#[derive(Clone, Debug, Serialize)]
pub struct Messages {
    pub count: u64,
    pub bytes: u64,
    pub per_s: f64,
    pub bytes_per_s: f64,
    /// By channel, events of users and the rest by their type.
    pub streams: BTreeMap<String, StreamReport>,
}

/// Of one channel or type.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StreamReport {
    pub messages: u64,
    pub bytes: u64,
    pub messages_per_s: f64,
    pub bytes_per_s: f64,
    /// Of a public channel, over all its connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Disorder>,
}

/// Whether what came was complete and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Over all public channels and connections. A slow reader is left out some, so this is no error.
    pub public: Disorder,
    /// Over all users; must be 0.
    pub private: Disorder,
    /// Accepted orders of which their owners were not told; must be 0.
    pub untold_orders: u64,
    /// Messages that are not understood; must be 0.
    pub unreadable: u64,
    /// Public trades of which nobody said which order took them.
    pub unmatched_trades: u64,
    /// Public trades that are missing from the times for want of memory: those are then too good.
    pub dropped_trades: u64,
    /// Everything was answered and told before the run ended.
    pub is_settled: bool,
}

/// How well the generator did.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Generator {
    /// CPU of this process during the measurement.
    pub cpu_s: f64,
    /// The same for each message received, if there were any.
    pub cpu_per_message_us: Option<f64>,
    /// From the intended start until the order was taken up, where nothing but the generator held it
    /// up. It is part of the latency.
    pub lag_ns: Quantiles,
}

/// The server's process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ServerReport {
    pub pid: u32,
    /// CPU during the measurement.
    pub cpu_s: f64,
    /// The same for a million messages received here, if there were any.
    pub cpu_s_per_million_messages: Option<f64>,
    pub resident_before_bytes: u64,
    pub resident_open_bytes: u64,
    pub resident_end_bytes: u64,
    /// What it grew by while the connections were opened, for each.
    pub resident_per_connection_bytes: i64,
}

/// One stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From the beginning of the measurement.
    pub start_ms: u64,
    pub messages: u64,
    pub bytes: u64,
    /// Orders and cancels that were to start.
    pub orders: u64,
    pub answer_p50_ns: u64,
    pub answer_p99_ns: u64,
    pub push_p50_ns: u64,
    pub push_p99_ns: u64,
    pub push_max_ns: u64,
}

impl WsReport {
    /// What comes of the measurements.
    pub fn new(settings: &WsSettings, shards: u16, measured: &Measured) -> WsReport {
        let Measured { tally, recorder, .. } = measured;
        let (mut answer, mut service) = (recorder.unsent.clone(), Latencies::new(FINE_DIGITS));
        for record in &recorder.kinds {
            answer.add(&record.latency);
            service.add(&record.service);
        }
        let seconds = settings.load.duration_s as f64;
        let messages = Messages::of(tally, &measured.channels, seconds);
        let kinds = Kind::ALL.into_iter().zip(&recorder.kinds);
        let kinds = kinds.filter(|(_, record)| record.started > 0);
        WsReport {
            version: env!("CARGO_PKG_VERSION"),
            settings: settings.clone(),
            shards,
            began_ms: measured.began_ms,
            opening: measured.opening,
            orders: Requests::of(recorder),
            answers_per_s: recorder.answers_in_period as f64 / seconds,
            order_to_answer_ns: answer.quantiles(),
            service_ns: service.quantiles(),
            order_to_push_ns: tally.push.quantiles(),
            order_to_public_trade_ns: tally.trade_push.quantiles(),
            kinds: kinds.map(|(kind, record)| (kind.name(), KindReport::of(record))).collect(),
            errors: errors(recorder),
            integrity: Integrity::of(settings, tally, recorder),
            lost_connections: tally.lost_connections,
            faults: faults(tally, recorder),
            generator: Generator::of(measured.cpu, messages.count, recorder),
            server: measured.server.map(|server| ServerReport::of(server, settings, &messages)),
            windows: windows(settings, tally, recorder),
            messages,
        }
    }

    /// Why the run has failed, if it has.
    pub fn failure(&self) -> Option<String> {
        let Integrity { private, untold_orders, unreadable, .. } = self.integrity;
        if private != IN_ORDER || untold_orders > 0 {
            let Disorder { gaps, duplicates, disorder, .. } = private;
            return Some(format!(
                "events of users were not complete and in order: {gaps} gaps, {duplicates} \
                 duplicates, {disorder} out of order, {untold_orders} orders untold"
            ));
        }
        if unreadable > 0 {
            return Some(format!("{unreadable} messages were not understood"));
        }
        if self.settings.drive == Drive::None {
            return None;
        }
        let first = self.errors.iter().max_by_key(|error| error.count);
        let refused: u64 = self.errors.iter().map(|error| error.count).sum();
        match first {
            _ if self.orders.answered == 0 => Some("no order was answered".to_owned()),
            Some(error) if refused == self.orders.answered => {
                Some(format!("every answer was an error: {}", error.example))
            }
            _ => None,
        }
    }

    /// Whether the generator itself was too slow.
    pub fn is_generator_late(&self) -> bool {
        is_late(&self.generator.lag_ns, &self.order_to_answer_ns)
    }
}

impl Messages {
    fn of(tally: &Tally, channels: &[String], seconds: f64) -> Messages {
        let report = |volume: &Volume, wrong| StreamReport {
            messages: volume.messages,
            bytes: volume.bytes,
            messages_per_s: volume.messages as f64 / seconds,
            bytes_per_s: volume.bytes as f64 / seconds,
            wrong,
        };
        let (public, others) = tally.volumes.split_at(channels.len());
        let mut streams = BTreeMap::new();
        for ((name, volume), wrong) in channels.iter().zip(public).zip(&tally.public) {
            streams.insert(name.clone(), report(volume, Some(*wrong)));
        }
        for (other, volume) in
            Other::ALL.iter().zip(others).filter(|(_, volume)| volume.messages > 0)
        {
            streams.insert(other.name().to_owned(), report(volume, None));
        }
        let count = tally.volumes.iter().map(|volume| volume.messages).sum::<u64>();
        let bytes = tally.volumes.iter().map(|volume| volume.bytes).sum::<u64>();
        let (per_s, bytes_per_s) = (count as f64 / seconds, bytes as f64 / seconds);
        Messages { count, bytes, per_s, bytes_per_s, streams }
    }
}

impl Integrity {
    fn of(settings: &WsSettings, tally: &Tally, recorder: &Recorder) -> Integrity {
        let mut public = IN_ORDER;
        tally.public.iter().for_each(|wrong| public += *wrong);
        // Who broke off is not told, and who was not waited for may still be.
        let all_told = settings.traders > 0 && tally.is_settled && tally.lost_connections == 0;
        let accepted = accepted(recorder);
        Integrity {
            public,
            private: tally.private,
            untold_orders: if all_told { accepted.saturating_sub(tally.push.count()) } else { 0 },
            unreadable: tally.unreadable,
            unmatched_trades: tally.unmatched_trades,
            dropped_trades: tally.dropped_trades,
            is_settled: tally.is_settled,
        }
    }
}

/// Orders that were answered without an error.
fn accepted(recorder: &Recorder) -> u64 {
    let of = |kind: Kind| -> u64 {
        let record: &KindRecord = &recorder.kinds[kind as usize];
        let good = record.statuses.iter().filter(|(status, _)| **status < 400);
        good.map(|(_, count)| count).sum()
    };
    of(Kind::Place) + of(Kind::PlaceWait)
}

fn faults(tally: &Tally, recorder: &Recorder) -> BTreeMap<String, u64> {
    let mut faults = tally.faults.clone();
    for (fault, count) in &recorder.faults {
        *faults.entry(format!("HTTP: {fault}")).or_default() += count;
    }
    faults
}

/// Nothing where there were none: a quotient would only look like a measurement.
fn per_message(used: f64, messages: u64) -> Option<f64> {
    (messages > 0).then(|| used / messages as f64)
}

impl Generator {
    fn of(cpu: CpuOf, messages: u64, recorder: &Recorder) -> Generator {
        let cpu_us = cpu.end_us.saturating_sub(cpu.begin_us) as f64;
        Generator {
            cpu_s: cpu_us / MILLION,
            cpu_per_message_us: per_message(cpu_us, messages),
            lag_ns: recorder.lag.quantiles(),
        }
    }
}

impl ServerReport {
    fn of(server: ServerOf, settings: &WsSettings, messages: &Messages) -> ServerReport {
        let ServerOf { pid, before, open, begin, end } = server;
        let cpu_s = end.cpu_s - begin.cpu_s;
        let bytes = |usage: Usage| usage.resident_bytes;
        let grown = bytes(open) as i64 - bytes(before) as i64;
        ServerReport {
            pid,
            cpu_s,
            cpu_s_per_million_messages: per_message(cpu_s * MILLION, messages.count),
            resident_before_bytes: bytes(before),
            resident_open_bytes: bytes(open),
            resident_end_bytes: bytes(end),
            resident_per_connection_bytes: grown / settings.load.connections as i64,
        }
    }
}

fn windows(settings: &WsSettings, tally: &Tally, recorder: &Recorder) -> Vec<Window> {
    let window = |(at, (window, answers)): (usize, (&WindowTally, &Latencies))| {
        let (answers, push) = (answers.quantiles(), window.push.quantiles());
        Window {
            start_ms: at as u64 * settings.load.window_ms,
            messages: window.volume.messages,
            bytes: window.volume.bytes,
            orders: answers.count,
            answer_p50_ns: answers.p50,
            answer_p99_ns: answers.p99,
            push_p50_ns: push.p50,
            push_p99_ns: push.p99,
            push_max_ns: push.max,
        }
    };
    tally.windows.iter().zip(&recorder.windows).enumerate().map(window).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::cli::{Cli, Subcommands};
    use crate::load::NS_PER_MS;
    use crate::load::arguments::LoadCommand;
    use crate::load::recorder::Times;
    use crate::load::schedule::Period;
    use clap::Parser;

    const PERIOD: Period =
        Period { begin_ns: 0, measured_ns: 1_000 * NS_PER_MS, end_ns: 3_000 * NS_PER_MS };

    fn settings() -> WsSettings {
        let words = "ringbook load ws --traders 2 --rate 10 --duration-s 2 --window-ms 1000";
        match Cli::try_parse_from(words.split(' ')).unwrap().command {
            Subcommands::Load { command: LoadCommand::Ws(arguments) } => {
                WsSettings::new(arguments).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    fn measured() -> Measured {
        let window_ns = 1_000 * NS_PER_MS;
        let (mut tally, mut recorder) =
            (Tally::new(1, 2, window_ns), Recorder::new(PERIOD, window_ns));
        tally.begin(PERIOD);
        tally.is_settled = true;
        tally.public[0].gaps = 3;
        let at = |ms: u64| ms * NS_PER_MS;
        for ms in [1_100, 2_100] {
            recorder.started(Kind::Place, at(ms));
            let (intended_ns, sent_ns, answered_ns) = (at(ms), at(ms), at(ms + 2));
            recorder.answered(Kind::Place, 200, Times { intended_ns, sent_ns, answered_ns });
            tally.pushed(at(ms), at(ms + 3));
            tally.other(Other::OrderUpdate, 100, at(ms + 3));
        }
        let usage = |cpu_s, resident_bytes| Usage { cpu_s, resident_bytes };
        let (before, open) = (usage(0.0, 1_000_000), usage(1.0, 1_200_000));
        let (begin, end) = (usage(2.0, 1_200_000), usage(2.5, 1_300_000));
        let server = ServerOf { pid: 7, before, open, begin, end };
        let opening = Opening { connections: 100, took_ms: 50.0, connections_per_s: 2_000.0 };
        let (channels, cpu) = (vec!["trades:A_B".to_owned()], CpuOf { begin_us: 0, end_us: 10 });
        let server = Some(server);
        Measured { tally, recorder, channels, opening, began_ms: 1, cpu, server }
    }

    /// A run of two orders.
    pub fn report() -> WsReport {
        WsReport::new(&settings(), 2, &measured())
    }

    #[test]
    fn what_came_is_told_in_all_and_by_stream_and_for_each() {
        let report = report();
        assert_eq!((report.messages.count, report.messages.bytes), (2, 200));
        assert_eq!(report.messages.streams["order.update"].messages_per_s, 1.0);
        assert_eq!(report.messages.streams["trades:A_B"].wrong.unwrap().gaps, 3);
        assert_eq!(report.order_to_push_ns.max, 3 * NS_PER_MS);
        let server = report.server.unwrap();
        assert_eq!(server.cpu_s_per_million_messages, Some(250_000.0));
        assert_eq!(server.resident_per_connection_bytes, 2_000);
        assert_eq!(report.generator.cpu_per_message_us, Some(5.0));
        let windows: Vec<(u64, u64)> =
            report.windows.iter().map(|window| (window.messages, window.push_max_ns)).collect();
        assert_eq!(windows, [(1, 3 * NS_PER_MS); 2]);
    }

    #[test]
    fn what_a_user_was_not_told_in_order_fails_the_run_and_gaps_in_public_do_not() {
        assert_eq!(report().failure(), None);
        let mut measured = measured();
        measured.recorder.answered(
            Kind::PlaceWait,
            200,
            Times {
                intended_ns: PERIOD.measured_ns,
                sent_ns: PERIOD.measured_ns,
                answered_ns: PERIOD.end_ns,
            },
        );
        let untold = WsReport::new(&settings(), 2, &measured);
        assert!(untold.failure().unwrap().contains("1 orders untold"));
        measured.tally.lost_connections = 1;
        assert_eq!(WsReport::new(&settings(), 2, &measured).failure(), None);
        measured.tally.private.duplicates = 2;
        let failure = WsReport::new(&settings(), 2, &measured).failure().unwrap();
        assert!(failure.contains("2 duplicates"), "{failure}");
    }

    #[test]
    fn a_run_without_an_answer_has_failed_unless_nobody_asked() {
        let mut report = report();
        report.orders.answered = 0;
        assert!(report.failure().unwrap().contains("no order was answered"));
        report.settings.drive = Drive::None;
        assert_eq!(report.failure(), None);
    }
}

//! The results of a run, as they are written to the JSON file; the table for people is made of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::latencies::{FINE_DIGITS, Latencies, Quantiles};
use super::mix::Kind;
use super::recorder::{FIRST_ERROR_STATUS, KindRecord, Recorder};
use super::settings::Settings;
use super::{Measured, NS_PER_S};

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// What was asked for.
    pub settings: Settings,
    /// How many shards the server has.
    pub shards: u16,
    /// When the measurement began, in ms since the epoch.
    pub began_ms: u64,
    /// How the requests of the measurement ended.
    pub requests: Requests,
    /// Answers per second, to whatever, while the measurement ran.
    pub answers_per_s: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// From the intended start to the answer, or to the end of the run where there was none.
    pub latency_ns: Quantiles,
    /// From the sending to the answer.
    pub service_ns: Quantiles,
    /// By the kind of request.
    pub kinds: BTreeMap<&'static str, KindReport>,
    /// Errors that were answered.
    pub errors: Vec<ErrorReport>,
    /// What went wrong with connections, and how often.
    pub faults: BTreeMap<String, u64>,
    /// The generator itself.
    pub generator: Generator,
    /// Latency over time.
    pub windows: Vec<Window>,
    /// The same, in rows that a table has room for.
    #[serde(skip)]
    pub rows: Vec<Window>,
}

/// Of the requests that were due during the measurement; `due` is the sum of the other four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Requests {
    pub due: u64,
    pub answered: u64,
    /// Sent, without an answer when the run ended.
    pub unanswered: u64,
    /// Under way on a connection that broke.
    pub lost: u64,
    /// Without a connection that had room for them, until the run ended.
    pub unsent: u64,
    /// Sent before the measurement; in none of the numbers above.
    pub warmup: u64,
}

/// Of one kind of request.
#[derive(Clone, Debug, Serialize)]
pub struct KindReport {
    pub answered: u64,
    pub unanswered: u64,
    pub lost: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub latency_ns: Quantiles,
    pub service_ns: Quantiles,
}

/// An error that was answered.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorReport {
    pub status: u16,
    pub code: u32,
    pub count: u64,
    /// The words of the first one.
    pub example: String,
}

/// How well the generator did.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Generator {
    /// CPU of this process per request, warm-up included, in µs.
    pub cpu_per_request_us: f64,
    /// From the intended start until the request was taken up, where nothing but the generator held
    /// it up. It is part of the latency.
    pub lag_ns: Quantiles,
}

/// Requests that were to start in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From the beginning of the measurement.
    pub start_ms: u64,
    pub count: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub max_ns: u64,
}

impl Report {
    /// What comes of the measurements.
    pub fn new(settings: &Settings, shards: u16, measured: &Measured, cpu_us: u64) -> Report {
        let recorder = &measured.recorder;
        let (mut latency, mut service) = (recorder.unsent.clone(), Latencies::new(FINE_DIGITS));
        let mut statuses = BTreeMap::new();
        for record in &recorder.kinds {
            latency.add(&record.latency);
            service.add(&record.service);
            for (&status, count) in &record.statuses {
                *statuses.entry(status).or_default() += count;
            }
        }
        let requests = Requests::of(recorder);
        let sent = (requests.due - requests.unsent + requests.warmup).max(1);
        let kinds = Kind::ALL.into_iter().zip(&recorder.kinds);
        let kinds = kinds.filter(|(_, record)| record.started > 0);
        Report {
            version: env!("CARGO_PKG_VERSION"),
            shards,
            began_ms: measured.began_ms,
            requests,
            answers_per_s: recorder.answers_in_period as f64 / settings.duration_s as f64,
            statuses,
            latency_ns: latency.quantiles(),
            service_ns: service.quantiles(),
            kinds: kinds.map(|(kind, record)| (kind.name(), KindReport::of(record))).collect(),
            errors: errors(recorder),
            faults: recorder.faults.clone(),
            generator: Generator {
                cpu_per_request_us: cpu_us as f64 / sent as f64,
                lag_ns: recorder.lag.quantiles(),
            },
            windows: windows(&recorder.windows, settings.window_ms, 1),
            rows: rows(settings, &recorder.windows),
            settings: settings.clone(),
        }
    }

    /// Why nothing was measured, if that is so.
    pub fn failure(&self) -> Option<String> {
        let first = self.errors.iter().max_by_key(|error| error.count);
        if self.requests.answered == 0 {
            let fault = self.faults.keys().next().map_or("no answer came", String::as_str);
            return Some(format!("no request was answered: {fault}"));
        }
        let is_error = |status: &u16| *status >= FIRST_ERROR_STATUS;
        if self.statuses.keys().all(is_error) {
            let words = first.map_or("", |error| error.example.as_str());
            return Some(format!("every answer was an error: {words}"));
        }
        None
    }

    /// Whether the generator itself was too slow for what it was to send.
    pub fn is_generator_late(&self) -> bool {
        is_late(&self.generator.lag_ns, &self.latency_ns)
    }
}

/// Whether a generator with this lag was too slow for latencies like these.
pub fn is_late(lag: &Quantiles, latency: &Quantiles) -> bool {
    lag.p99 > LATE_NS && lag.p99 > latency.p99 / 4
}

/// A generator that is later than this for one request in a hundred has too little of the CPU.
const LATE_NS: u64 = NS_PER_S / 1_000;

impl Requests {
    /// Those that were measured.
    pub fn of(recorder: &Recorder) -> Requests {
        let sum = |number: fn(&KindRecord) -> u64| recorder.kinds.iter().map(number).sum::<u64>();
        let unsent = recorder.unsent.count();
        Requests {
            due: sum(|record| record.started) + unsent,
            answered: sum(KindRecord::answered),
            unanswered: sum(|record| record.unanswered),
            lost: sum(|record| record.lost),
            unsent,
            warmup: recorder.warmup,
        }
    }
}

impl KindReport {
    /// What was measured of it.
    pub fn of(record: &KindRecord) -> KindReport {
        KindReport {
            answered: record.answered(),
            unanswered: record.unanswered,
            lost: record.lost,
            statuses: record.statuses.clone(),
            latency_ns: record.latency.quantiles(),
            service_ns: record.service.quantiles(),
        }
    }
}

/// Errors that were answered.
pub fn errors(recorder: &Recorder) -> Vec<ErrorReport> {
    let error = |(error, count): (&super::recorder::ErrorAnswer, &super::recorder::ErrorCount)| {
        let example = count.example.clone();
        ErrorReport { status: error.status, code: error.code, count: count.count, example }
    };
    recorder.errors.iter().map(error).collect()
}

/// One for every `each` windows of the recorder.
fn windows(recorded: &[Latencies], window_ms: u64, each: usize) -> Vec<Window> {
    let window = |(at, some): (usize, &[Latencies])| {
        let mut sum = some[0].clone();
        some[1..].iter().for_each(|other| sum.add(other));
        let quantiles = sum.quantiles();
        Window {
            start_ms: (at * each) as u64 * window_ms,
            count: quantiles.count,
            p50_ns: quantiles.p50,
            p99_ns: quantiles.p99,
            max_ns: quantiles.max,
        }
    };
    recorded.chunks(each).enumerate().map(window).collect()
}

/// By the second, or by more where those would be too many.
fn rows(settings: &Settings, recorded: &[Latencies]) -> Vec<Window> {
    const MOST_ROWS: usize = 60;
    const SECOND_MS: u64 = 1_000;
    let of_second = SECOND_MS.div_ceil(settings.window_ms) as usize;
    let seconds = recorded.len().div_ceil(of_second);
    windows(recorded, settings.window_ms, of_second * seconds.div_ceil(MOST_ROWS).max(1))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::connection::Endpoint;
    use crate::load::NS_PER_MS;
    use crate::load::recorder::{ErrorAnswer, Times};
    use crate::load::schedule::Period;
    use serde_json::Value;

    const PERIOD: Period =
        Period { begin_ns: 0, measured_ns: 1_000 * NS_PER_MS, end_ns: 3_000 * NS_PER_MS };

    fn settings() -> Settings {
        Settings {
            url: "http://localhost:1".into(),
            endpoint: Endpoint::parse("http://localhost:1").unwrap(),
            rate: 1_000,
            duration_s: 2,
            warmup_s: 1,
            connections: 2,
            threads: 1,
            pipeline: 16,
            symbols: vec!["BTC_USDT".into()],
            users: "10".parse().unwrap(),
            mix: "place=1,cancel=1".parse().unwrap(),
            setup: crate::load::arguments::Setup::Auto,
            admin_token: "secret".into(),
            seed: 1,
            window_ms: 500,
            json: None,
        }
    }

    /// A run of six requests, of which three are answered, one with an error.
    pub fn report() -> Report {
        let mut recorder = Recorder::new(PERIOD, 500 * NS_PER_MS);
        let ms = |ms: u64| ms * NS_PER_MS;
        for (kind, status, intended) in
            [(Kind::Place, 202, 1_000), (Kind::Place, 202, 1_600), (Kind::Cancel, 409, 2_999)]
        {
            recorder.started(kind, ms(intended));
            let (sent_ns, answered_ns) = (ms(intended + 1), ms(intended + 3));
            let times = Times { intended_ns: ms(intended), sent_ns, answered_ns };
            recorder.answered(kind, status, times);
        }
        let error = ErrorAnswer { status: 409, code: 4002 };
        recorder.refused(ms(2_999), error, "ORDER_NOT_OPEN: it has ended".into());
        recorder.started(Kind::Place, ms(2_100));
        recorder.lost(Kind::Place, ms(2_100));
        recorder.fault("connection closed by the server".into());
        recorder.started(Kind::Place, ms(2_200));
        recorder.unanswered(Kind::Place, ms(2_200), ms(3_200));
        recorder.unsent(ms(2_400), ms(3_200));
        recorder.started(Kind::Place, ms(500));
        recorder.lagged(ms(1_000), ms(1_000) + 7_000);
        let measured = Measured { recorder, began_ms: 1_700_000_000_000 };
        Report::new(&settings(), 2, &measured, 60)
    }

    #[test]
    fn the_json_has_what_a_comparison_of_windows_needs() {
        let json: Value = serde_json::to_value(report()).unwrap();
        assert_eq!(json["began_ms"], 1_700_000_000_000_u64);
        let windows = json["windows"].as_array().unwrap();
        let starts: Vec<u64> = windows.iter().map(|w| w["start_ms"].as_u64().unwrap()).collect();
        assert_eq!(starts, [0, 500, 1_000, 1_500]);
        let counts: Vec<u64> = windows.iter().map(|w| w["count"].as_u64().unwrap()).collect();
        assert_eq!(counts, [1, 1, 2, 1]);
        assert_eq!(windows[2]["max_ns"], 1_000 * NS_PER_MS);
        assert!(json.get("rows").is_none());
    }

    #[test]
    fn every_request_that_was_due_ended_in_one_way() {
        let requests = report().requests;
        let Requests { due, answered, unanswered, lost, unsent, warmup } = requests;
        assert_eq!((due, answered, unanswered, lost, unsent, warmup), (6, 3, 1, 1, 1, 1));
        assert_eq!(due, answered + unanswered + lost + unsent);
    }

    #[test]
    fn who_waited_in_vain_is_in_the_latency_and_who_was_lost_is_not() {
        let report = report();
        assert_eq!((report.latency_ns.count, report.service_ns.count), (5, 3));
        assert_eq!(report.latency_ns.max, 1_000 * NS_PER_MS);
        assert_eq!(report.service_ns.max, 2 * NS_PER_MS);
    }

    #[test]
    fn the_json_names_quantiles_units_kinds_and_errors() {
        let json: Value = serde_json::to_value(report()).unwrap();
        for quantile in ["p50", "p90", "p99", "p99_9", "max", "count"] {
            assert!(json["latency_ns"][quantile].is_u64(), "{quantile}");
            assert!(json["kinds"]["place"]["service_ns"][quantile].is_u64(), "{quantile}");
        }
        assert_eq!(json["statuses"]["202"], 2);
        assert_eq!(json["kinds"]["cancel"]["statuses"]["409"], 1);
        assert_eq!(json["errors"][0]["code"], 4002);
        assert_eq!(json["faults"]["connection closed by the server"], 1);
        assert_eq!(json["settings"]["rate"], 1_000);
        assert_eq!(json["generator"]["cpu_per_request_us"], 10.0);
        assert!(!json.to_string().contains("secret"));
    }

    #[test]
    fn rows_are_seconds_unless_those_are_too_many() {
        let rows = |count: usize| {
            let windows = vec![Latencies::new(2); count];
            super::rows(&settings(), &windows).len()
        };
        assert_eq!((rows(4), rows(5), rows(120)), (2, 3, 60));
        assert!((30..=60).contains(&rows(1_000)));
    }

    #[test]
    fn a_run_without_a_good_answer_has_failed() {
        let mut report = report();
        assert_eq!(report.failure(), None);
        report.statuses.remove(&202);
        assert!(report.failure().unwrap().contains("ORDER_NOT_OPEN"));
        report.requests.answered = 0;
        assert!(report.failure().unwrap().contains("closed by the server"));
    }
}

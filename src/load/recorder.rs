//! What one thread measures, and the sum over all threads.
//!
//! Every measured request ends in exactly one of four ways: answered, unanswered when the run ended,
//! lost with its connection, or never sent. Latency counts from the intended start. Who got no answer
//! counts with the time waited in vain, which is less than the truth; who was lost with a connection
//! does not count, since a refusal that comes fast is no answer that comes fast.

use std::collections::BTreeMap;

use super::latencies::{COARSE_DIGITS, FINE_DIGITS, Latencies};
use super::mix::Kind;
use super::schedule::Period;

/// Statuses from here on are errors.
pub const FIRST_ERROR_STATUS: u16 = 400;

/// When a request was to start, was sent and was answered, on the run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub intended_ns: u64,
    pub sent_ns: u64,
    pub answered_ns: u64,
}

/// An error that was answered: its status and the code of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorAnswer {
    pub status: u16,
    pub code: u32,
}

/// How often one error came, and how it was worded the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    pub count: u64,
    pub example: String,
}

/// Of one kind of request.
#[derive(Clone, Debug)]
pub struct KindRecord {
    /// Requests that were given to a connection.
    pub started: u64,
    /// Sent, and not answered when the run ended.
    pub unanswered: u64,
    /// Given to a connection that broke before the answer.
    pub lost: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Intended start to answer, or to the end of the run.
    pub latency: Latencies,
    /// Sending to answer.
    pub service: Latencies,
}

/// Everything that one thread measures.
#[derive(Clone, Debug)]
pub struct Recorder {
    period: Period,
    window_ns: u64,
    /// By [`Kind`].
    pub kinds: Vec<KindRecord>,
    /// Latency by the window in which the intended start lies.
    pub windows: Vec<Latencies>,
    /// Requests that were due and never given to a connection: how long they waited in vain.
    pub unsent: Latencies,
    /// How long after its intended start the generator took up a request, where it was free to.
    pub lag: Latencies,
    /// Requests that started before the measurement.
    pub warmup: u64,
    /// Answers that came during the measurement, to whatever.
    pub answers_in_period: u64,
    /// Answers with an error.
    pub errors: BTreeMap<ErrorAnswer, ErrorCount>,
    /// What went wrong with connections.
    pub faults: BTreeMap<String, u64>,
}

impl KindRecord {
    fn new() -> KindRecord {
        KindRecord {
            started: 0,
            unanswered: 0,
            lost: 0,
            statuses: BTreeMap::new(),
            latency: Latencies::new(FINE_DIGITS),
            service: Latencies::new(FINE_DIGITS),
        }
    }

    /// Requests with an answer.
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    fn merge(&mut self, other: &KindRecord) {
        self.started += other.started;
        self.unanswered += other.unanswered;
        self.lost += other.lost;
        for (&status, count) in &other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.latency.add(&other.latency);
        self.service.add(&other.service);
    }
}

impl Recorder {
    /// Nothing measured yet.
    pub fn new(period: Period, window_ns: u64) -> Recorder {
        let windows = (period.end_ns - period.measured_ns).div_ceil(window_ns) as usize;
        Recorder {
            period,
            window_ns,
            kinds: vec![KindRecord::new(); Kind::ALL.len()],
            windows: vec![Latencies::new(COARSE_DIGITS); windows],
            unsent: Latencies::new(FINE_DIGITS),
            lag: Latencies::new(FINE_DIGITS),
            warmup: 0,
            answers_in_period: 0,
            errors: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    /// A request is given to a connection.
    #[inline]
    pub fn started(&mut self, kind: Kind, intended_ns: u64) {
        match self.period.is_measured(intended_ns) {
            true => self.kinds[kind as usize].started += 1,
            false => self.warmup += 1,
        }
    }

    /// The generator was free, and took up a request this late.
    #[inline]
    pub fn lagged(&mut self, intended_ns: u64, now_ns: u64) {
        if self.period.is_measured(intended_ns) {
            self.lag.record(now_ns - intended_ns);
        }
    }

    /// It is answered.
    #[inline]
    pub fn answered(&mut self, kind: Kind, status: u16, times: Times) {
        if (self.period.measured_ns..self.period.end_ns).contains(&times.answered_ns) {
            self.answers_in_period += 1;
        }
        if !self.period.is_measured(times.intended_ns) {
            return;
        }
        let record = &mut self.kinds[kind as usize];
        *record.statuses.entry(status).or_default() += 1;
        record.service.record(times.answered_ns - times.sent_ns);
        let latency_ns = times.answered_ns - times.intended_ns;
        record.latency.record(latency_ns);
        self.count_in_window(times.intended_ns, latency_ns);
    }

    /// That answer is an error.
    pub fn refused(&mut self, intended_ns: u64, error: ErrorAnswer, message: String) {
        if self.period.is_measured(intended_ns) {
            let count = self.errors.entry(error);
            count.or_insert_with(|| ErrorCount { count: 0, example: message }).count += 1;
        }
    }

    /// It has no answer when the run ends.
    pub fn unanswered(&mut self, kind: Kind, intended_ns: u64, now_ns: u64) {
        if self.period.is_measured(intended_ns) {
            let record = &mut self.kinds[kind as usize];
            record.unanswered += 1;
            record.latency.record(now_ns - intended_ns);
            self.count_in_window(intended_ns, now_ns - intended_ns);
        }
    }

    /// Its connection broke before the answer.
    pub fn lost(&mut self, kind: Kind, intended_ns: u64) {
        if self.period.is_measured(intended_ns) {
            self.kinds[kind as usize].lost += 1;
        }
    }

    /// It was due, and no connection had room for it until the run ended.
    pub fn unsent(&mut self, intended_ns: u64, now_ns: u64) {
        if self.period.is_measured(intended_ns) {
            self.unsent.record(now_ns - intended_ns);
            self.count_in_window(intended_ns, now_ns - intended_ns);
        }
    }

    /// Something went wrong with a connection.
    pub fn fault(&mut self, what: String) {
        *self.faults.entry(what).or_default() += 1;
    }

    #[inline]
    fn count_in_window(&mut self, intended_ns: u64, latency_ns: u64) {
        let at = (intended_ns - self.period.measured_ns) / self.window_ns;
        self.windows[at as usize].record(latency_ns);
    }

    /// Adds what another thread of the same run has measured.
    pub fn merge(&mut self, other: &Recorder) {
        for (kind, of_other) in self.kinds.iter_mut().zip(&other.kinds) {
            kind.merge(of_other);
        }
        for (window, of_other) in self.windows.iter_mut().zip(&other.windows) {
            window.add(of_other);
        }
        self.unsent.add(&other.unsent);
        self.lag.add(&other.lag);
        self.warmup += other.warmup;
        self.answers_in_period += other.answers_in_period;
        for (&error, of_other) in &other.errors {
            let example = || ErrorCount { count: 0, example: of_other.example.clone() };
            self.errors.entry(error).or_insert_with(example).count += of_other.count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(fault.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const PERIOD: Period = Period { begin_ns: 0, measured_ns: 100 * MS, end_ns: 400 * MS };

    fn recorder() -> Recorder {
        Recorder::new(PERIOD, 100 * MS)
    }

    fn counts(recorder: &Recorder) -> Vec<u64> {
        recorder.windows.iter().map(Latencies::count).collect()
    }

    #[test]
    fn waiting_for_a_connection_is_latency_and_not_service_time() {
        let mut recorder = recorder();
        let times = Times { intended_ns: 150 * MS, sent_ns: 650 * MS, answered_ns: 651 * MS };
        recorder.answered(Kind::Place, 202, times);
        let record = &recorder.kinds[Kind::Place as usize];
        assert_eq!(record.latency.quantiles().max, 501 * MS);
        assert_eq!(record.service.quantiles().max, MS);
    }

    #[test]
    fn a_request_counts_in_the_window_in_which_it_was_to_start() {
        let mut recorder = recorder();
        let times = Times { intended_ns: 299 * MS, sent_ns: 299 * MS, answered_ns: 399 * MS };
        recorder.answered(Kind::Place, 202, times);
        assert_eq!(counts(&recorder), [0, 1, 0]);
    }

    #[test]
    fn who_waited_in_vain_counts_with_that_time() {
        let mut recorder = recorder();
        recorder.unanswered(Kind::Cancel, 350 * MS, 450 * MS);
        recorder.unsent(399 * MS, 450 * MS);
        assert_eq!(recorder.kinds[Kind::Cancel as usize].latency.quantiles().max, 100 * MS);
        assert_eq!(recorder.unsent.quantiles().max, 51 * MS);
        assert_eq!(counts(&recorder), [0, 0, 2]);
    }

    #[test]
    fn what_starts_before_the_measurement_is_not_measured() {
        let mut recorder = recorder();
        let times = Times { intended_ns: 99 * MS, sent_ns: 99 * MS, answered_ns: 120 * MS };
        recorder.started(Kind::Place, 99 * MS);
        recorder.answered(Kind::Place, 202, times);
        recorder.lost(Kind::Place, 99 * MS);
        recorder.unsent(99 * MS, 120 * MS);
        assert_eq!((recorder.warmup, recorder.answers_in_period), (1, 1));
        assert_eq!(recorder.kinds[Kind::Place as usize].answered(), 0);
        assert_eq!(counts(&recorder), [0, 0, 0]);
    }

    #[test]
    fn a_sum_has_what_both_threads_measured() {
        let (mut left, mut right) = (recorder(), recorder());
        let times = Times { intended_ns: 150 * MS, sent_ns: 150 * MS, answered_ns: 160 * MS };
        left.answered(Kind::Place, 202, times);
        right.answered(Kind::Place, 409, times);
        let error = ErrorAnswer { status: 409, code: 4002 };
        right.refused(150 * MS, error, "ORDER_NOT_OPEN".to_owned());
        right.refused(50 * MS, error, "ORDER_NOT_OPEN".to_owned());
        right.fault("connection lost".to_owned());
        left.merge(&right);
        assert_eq!(left.kinds[Kind::Place as usize].answered(), 2);
        assert_eq!(counts(&left), [2, 0, 0]);
        assert_eq!((left.errors[&error].count, left.faults["connection lost"]), (1, 1));
    }
}

//! What one thread of `load ws` counts and measures, and the sum over all threads.
//!
//! Messages count by the moment at which they came, pushes by the moment at which their order was to be
//! sent. Order and completeness are looked at from the first message to the last, also before and after
//! the measurement.

use std::collections::{BTreeMap, VecDeque};

use super::message::Numbers;
use super::sequence::{Disorder, IN_ORDER, Stream};
use crate::load::latencies::{COARSE_DIGITS, FINE_DIGITS, Latencies};
use crate::load::order_times::Times;
use crate::load::schedule::Period;

/// Public trades that wait until their taker's events tell which order it was: 64 MiB, seconds of
/// what thousands of connections get. Where it is too little, those that came late are missing from the
/// times, so they are counted apart.
const MAX_PENDING: usize = 1 << 22;
/// How long they wait: as long as a stalled server might take, or its slowest would be left out.
const PENDING_NS: u64 = 10_000_000_000;
/// Bits of a trade's number, below its market's.
const TRADE_BITS: u32 = 44;

/// What is not of a public channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    OrderUpdate,
    OwnTrade,
    BalanceUpdate,
    /// To a message of ours.
    Answer,
    /// Pings, closes, and what is not understood.
    Rest,
}

impl Other {
    /// All, in the order of their numbers.
    pub const ALL: [Other; 5] =
        [Other::OrderUpdate, Other::OwnTrade, Other::BalanceUpdate, Other::Answer, Other::Rest];

    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Other::OrderUpdate => "order.update",
            Other::OwnTrade => "trade",
            Other::BalanceUpdate => "balance.update",
            Other::Answer => "answers",
            Other::Rest => "other",
        }
    }
}

/// Of one stream, during the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub messages: u64,
    pub bytes: u64,
}

impl Volume {
    fn add(&mut self, other: Volume) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// One stretch of the measurement.
#[derive(Clone, Debug)]
pub struct WindowTally {
    pub volume: Volume,
    /// By the moment at which the order was to be sent.
    pub push: Latencies,
}

/// Everything that one thread counts.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Not known before all connections are open.
    period: Option<Period>,
    window_ns: u64,
    /// The public channels by number, then [`Other`].
    pub volumes: Vec<Volume>,
    /// By public channel.
    pub public: Vec<Disorder>,
    pub private: Disorder,
    /// Order to its owner's first event.
    pub push: Latencies,
    /// Order to the public trades that it took, on every connection that follows them.
    pub trade_push: Latencies,
    /// Public trades of which nobody said which order took them.
    pub unmatched_trades: u64,
    /// Those for which there was no room to wait for that.
    pub dropped_trades: u64,
    pending: VecDeque<(u64, u64)>,
    pub windows: Vec<WindowTally>,
    /// Messages that are not understood.
    pub unreadable: u64,
    /// When something private came last.
    pub last_private_ns: u64,
    /// Connections that broke after they were open.
    pub lost_connections: u64,
    /// What went wrong with connections.
    pub faults: BTreeMap<String, u64>,
    /// The thread had nothing to wait for any more when it ended.
    pub is_settled: bool,
}

impl Tally {
    /// Nothing yet, for so many public channels and windows.
    pub fn new(channels: usize, windows: usize, window_ns: u64) -> Tally {
        let window = WindowTally { volume: Volume::default(), push: Latencies::new(COARSE_DIGITS) };
        Tally {
            period: None,
            window_ns,
            volumes: vec![Volume::default(); channels + Other::ALL.len()],
            public: vec![IN_ORDER; channels],
            private: IN_ORDER,
            push: Latencies::new(FINE_DIGITS),
            trade_push: Latencies::new(FINE_DIGITS),
            unmatched_trades: 0,
            dropped_trades: 0,
            pending: VecDeque::new(),
            windows: vec![window; windows],
            unreadable: 0,
            last_private_ns: 0,
            lost_connections: 0,
            faults: BTreeMap::new(),
            is_settled: false,
        }
    }

    /// From here on it is known when to measure.
    pub fn begin(&mut self, period: Period) {
        self.period = Some(period);
    }

    /// A message of a public channel.
    #[inline]
    pub fn public(&mut self, stream: &mut Stream, numbers: Numbers, bytes: usize, now_ns: u64) {
        let channel = usize::from(stream.channel);
        stream.next(numbers, &mut self.public[channel]);
        self.count(channel, bytes, now_ns);
    }

    /// Any other message.
    #[inline]
    pub fn other(&mut self, other: Other, bytes: usize, now_ns: u64) {
        if matches!(other, Other::OrderUpdate | Other::OwnTrade | Other::BalanceUpdate) {
            self.last_private_ns = now_ns;
        }
        self.count(self.public.len() + other as usize, bytes, now_ns);
    }

    #[inline]
    fn count(&mut self, at: usize, bytes: usize, now_ns: u64) {
        let Some(period) = self.period.filter(|period| period.is_measured(now_ns)) else { return };
        let volume = Volume { messages: 1, bytes: bytes as u64 };
        self.volumes[at].add(volume);
        let window = (now_ns - period.measured_ns) / self.window_ns;
        self.windows[window as usize].volume.add(volume);
    }

    /// The owner of an order was told of it for the first time.
    pub fn pushed(&mut self, intended_ns: u64, now_ns: u64) {
        let measured = self.period.filter(|period| period.is_measured(intended_ns));
        let Some(period) = measured else { return };
        self.push.record(now_ns - intended_ns);
        let window = (intended_ns - period.measured_ns) / self.window_ns;
        self.windows[window as usize].push.record(now_ns - intended_ns);
    }

    /// A public trade has come; whose it is, is looked up in `takers`, now or later.
    pub fn public_trade(&mut self, market: usize, trade: u64, now_ns: u64, takers: &Times) {
        let key = trade_key(market, trade);
        match takers.look(key) {
            Some(intended_ns) => self.trade_pushed(intended_ns, now_ns),
            None if self.pending.len() < MAX_PENDING => self.pending.push_back((key, now_ns)),
            None => self.dropped_trades += 1,
        }
    }

    /// Looks again for those that were not known, the oldest first.
    pub fn match_pending(&mut self, takers: &Times, now_ns: u64) {
        while let Some(&(key, arrived_ns)) = self.pending.front() {
            match takers.look(key) {
                Some(intended_ns) => self.trade_pushed(intended_ns, arrived_ns),
                None if now_ns > arrived_ns + PENDING_NS => self.unmatched_trades += 1,
                None => return,
            }
            self.pending.pop_front();
        }
    }

    fn trade_pushed(&mut self, intended_ns: u64, now_ns: u64) {
        if self.period.is_some_and(|period| period.is_measured(intended_ns)) {
            // Another thread's clock reading may be a little behind.
            self.trade_push.record(now_ns.saturating_sub(intended_ns));
        }
    }

    /// Something went wrong with a connection.
    pub fn fault(&mut self, what: String) {
        *self.faults.entry(what).or_default() += 1;
    }

    /// The end of the thread.
    pub fn finish(&mut self, takers: &Times, is_settled: bool) {
        self.match_pending(takers, u64::MAX);
        self.is_settled = is_settled;
    }

    /// Adds what another thread of the same run has counted.
    pub fn merge(&mut self, other: &Tally) {
        for (volume, of_other) in self.volumes.iter_mut().zip(&other.volumes) {
            volume.add(*of_other);
        }
        for (channel, of_other) in self.public.iter_mut().zip(&other.public) {
            *channel += *of_other;
        }
        self.private += other.private;
        self.push.add(&other.push);
        self.trade_push.add(&other.trade_push);
        self.unmatched_trades += other.unmatched_trades;
        self.dropped_trades += other.dropped_trades;
        for (window, of_other) in self.windows.iter_mut().zip(&other.windows) {
            window.volume.add(of_other.volume);
            window.push.add(&of_other.push);
        }
        self.unreadable += other.unreadable;
        self.lost_connections += other.lost_connections;
        for (fault, count) in &other.faults {
            *self.faults.entry(fault.clone()).or_default() += count;
        }
        self.is_settled &= other.is_settled;
    }
}

/// A trade's number among those of all markets.
pub fn trade_key(market: usize, trade: u64) -> u64 {
    (market as u64) << TRADE_BITS | trade & ((1 << TRADE_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::super::channels::Family;
    use super::super::channels::tests::channels;
    use super::*;

    const MS: u64 = 1_000_000;
    const PERIOD: Period = Period { begin_ns: 0, measured_ns: 100 * MS, end_ns: 300 * MS };

    fn tally() -> Tally {
        let mut tally = Tally::new(1, 2, 100 * MS);
        tally.begin(PERIOD);
        tally
    }

    #[test]
    fn messages_count_where_they_came_and_gaps_always() {
        let channels = channels("trades:BTC_USDT", None).unwrap();
        let mut stream = Stream::new(channels.tag(Family::Trades, b"BTC_USDT").unwrap(), 0);
        let mut tally = tally();
        for (id, at_ms) in [(1, 50), (3, 99), (4, 100), (5, 299), (6, 300)] {
            tally.public(&mut stream, Numbers::Trade(id), 10, at_ms * MS);
        }
        assert_eq!(tally.volumes[0], Volume { messages: 2, bytes: 20 });
        assert_eq!(tally.public[0].gaps, 1);
        let by_window: Vec<u64> = tally.windows.iter().map(|w| w.volume.messages).collect();
        assert_eq!(by_window, [1, 1]);
    }

    #[test]
    fn pushes_count_where_their_order_was_to_be_sent() {
        let mut tally = tally();
        tally.pushed(99 * MS, 150 * MS);
        tally.pushed(150 * MS, 350 * MS);
        assert_eq!((tally.push.count(), tally.push.quantiles().max), (1, 200 * MS));
        assert_eq!(tally.windows[0].push.count(), 1);
    }

    #[test]
    fn a_trade_may_come_before_its_taker_is_known() {
        let (mut tally, takers) = (tally(), Times::new());
        tally.public_trade(1, 7, 160 * MS, &takers);
        tally.public_trade(0, 7, 160 * MS, &takers);
        takers.note(trade_key(1, 7), 150 * MS);
        tally.match_pending(&takers, 170 * MS);
        assert_eq!((tally.trade_push.count(), tally.trade_push.quantiles().max), (1, 10 * MS));
        tally.public_trade(1, 7, 190 * MS, &takers);
        assert_eq!(tally.trade_push.count(), 2);
        tally.finish(&takers, true);
        assert_eq!(tally.unmatched_trades, 1);
    }

    #[test]
    fn a_sum_has_what_both_threads_counted() {
        let (mut left, mut right) = (tally(), tally());
        right.other(Other::OrderUpdate, 5, 150 * MS);
        right.pushed(150 * MS, 160 * MS);
        right.private.gaps += 1;
        right.fault("closed".into());
        (left.is_settled, right.is_settled) = (true, false);
        left.merge(&right);
        assert_eq!(left.volumes[1], Volume { messages: 1, bytes: 5 });
        assert_eq!((left.push.count(), left.private.gaps, left.faults["closed"]), (1, 1, 1));
        assert!(!left.is_settled);
    }
}

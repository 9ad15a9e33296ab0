//! Candles of a symbol's trades in all intervals, and the last 24 hours.
//!
//! A trade touches one candle, that of its minute; a minute that is over is added to the candles of all
//! intervals. Minutes and longer intervals without a trade are not kept: an answer makes them up from
//! the close before. Candles are part of the state, so they survive a restart. Each interval remembers
//! a bounded number of candles with trades.

use std::collections::VecDeque;

use money::{Lots, Price, Units};
use rkyv::{Archive, Deserialize, Serialize};

/// Candles with trades that an interval remembers. More than the minutes of a day, for the ticker.
pub const CANDLES_KEPT: usize = 1_500;
/// What the ticker looks back over, in ms.
pub const TICKER_WINDOW_MS: u64 = 24 * HOUR_MS;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// How long a candle lasts.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Interval {
    /// A minute.
    M1,
    /// 5 minutes.
    M5,
    /// 15 minutes.
    M15,
    /// 30 minutes.
    M30,
    /// An hour.
    H1,
    /// 4 hours.
    H4,
    /// A day, in UTC.
    D1,
}

impl Interval {
    /// All of them, the shortest first.
    pub const ALL: [Interval; 7] = [
        Interval::M1,
        Interval::M5,
        Interval::M15,
        Interval::M30,
        Interval::H1,
        Interval::H4,
        Interval::D1,
    ];

    /// In ms.
    pub fn length_ms(self) -> u64 {
        match self {
            Interval::M1 => MINUTE_MS,
            Interval::M5 => 5 * MINUTE_MS,
            Interval::M15 => 15 * MINUTE_MS,
            Interval::M30 => 30 * MINUTE_MS,
            Interval::H1 => HOUR_MS,
            Interval::H4 => 4 * HOUR_MS,
            Interval::D1 => 24 * HOUR_MS,
        }
    }

    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Interval::M1 => "1m",
            Interval::M5 => "5m",
            Interval::M15 => "15m",
            Interval::M30 => "30m",
            Interval::H1 => "1h",
            Interval::H4 => "4h",
            Interval::D1 => "1d",
        }
    }

    /// The interval that the wire spells so.
    pub fn parse(text: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.as_str() == text)
    }
}

/// The trades of one interval.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// When it begins, in ms since the epoch; a multiple of the interval.
    pub open_ms: u64,
    /// The first price.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The last price.
    pub close: Price,
    /// Lots traded.
    pub volume: u128,
    /// Quote units traded.
    pub quote_volume: Units,
    /// How many trades.
    pub trades: u64,
}

impl Candle {
    fn empty(open_ms: u64, price: Price) -> Candle {
        let (volume, quote_volume, trades) = (0, 0, 0);
        let (open, high, low, close) = (price, price, price, price);
        Candle { open_ms, open, high, low, close, volume, quote_volume, trades }
    }

    fn add(&mut self, later: &Candle) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume = self.volume.saturating_add(later.volume);
        self.quote_volume = self.quote_volume.saturating_add(later.quote_volume);
        self.trades = self.trades.saturating_add(later.trades);
    }
}

/// The last 24 hours of a symbol, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker {
    /// The first trade's price, the highest, the lowest, the last, and the sums.
    pub day: Candle,
    /// When the window ends, in ms since the epoch: the time of this shard's last step.
    pub until_ms: u64,
    /// Best bid and its lots.
    pub bid: Option<(Price, u128)>,
    /// Best ask and its lots.
    pub ask: Option<(Price, u128)>,
}

/// All candles of a symbol.
#[derive(Debug, Default)]
pub(crate) struct Klines {
    /// The minute that is not over.
    minute: Option<Candle>,
    /// By interval: minutes that are over.
    over: [VecDeque<Candle>; Interval::ALL.len()],
}

impl Klines {
    /// Counts a trade.
    #[inline]
    pub fn trade(&mut self, at_ms: u64, price: Price, qty: Lots, quote: Units) {
        let open_ms = at_ms - at_ms % MINUTE_MS;
        let minute = match &mut self.minute {
            Some(minute) if minute.open_ms == open_ms => minute,
            other => {
                let before = other.replace(Candle::empty(open_ms, price));
                if let Some(before) = before {
                    self.close(&before);
                }
                self.minute.get_or_insert(Candle::empty(open_ms, price))
            }
        };
        minute.high = minute.high.max(price);
        minute.low = minute.low.min(price);
        minute.close = price;
        minute.volume = minute.volume.saturating_add(u128::from(qty.0));
        minute.quote_volume = minute.quote_volume.saturating_add(quote);
        minute.trades += 1;
    }

    #[cold]
    fn close(&mut self, minute: &Candle) {
        for (interval, candles) in Interval::ALL.into_iter().zip(&mut self.over) {
            let open_ms = minute.open_ms - minute.open_ms % interval.length_ms();
            match candles.back_mut() {
                Some(last) if last.open_ms == open_ms => last.add(minute),
                _ => {
                    if candles.len() == CANDLES_KEPT {
                        candles.pop_front();
                    }
                    candles.push_back(Candle { open_ms, ..*minute });
                }
            }
        }
    }

    /// The last `limit` candles that begin in `start_ms..=end_ms`, oldest first, without a gap up to
    /// `now_ms`. None before the first trade that is remembered.
    pub fn range(
        &self,
        interval: Interval,
        start_ms: u64,
        end_ms: u64,
        limit: usize,
        now_ms: u64,
    ) -> Vec<Candle> {
        let length_ms = interval.length_ms();
        let known = self.known(interval);
        let Some(first) = known.first() else { return Vec::new() };
        let end_ms = end_ms.min(now_ms);
        let last_ms = end_ms - end_ms % length_ms;
        let earliest_ms = start_ms.div_ceil(length_ms).saturating_mul(length_ms).max(first.open_ms);
        let reach_ms = (limit as u64).saturating_sub(1).saturating_mul(length_ms);
        let begin_ms = earliest_ms.max(last_ms.saturating_sub(reach_ms));
        if limit == 0 || begin_ms > last_ms {
            return Vec::new();
        }
        let mut at = known.partition_point(|candle| candle.open_ms < begin_ms);
        let mut close = at.checked_sub(1).map(|before| known[before].close);
        let mut candles = Vec::new();
        let mut open_ms = begin_ms;
        while open_ms <= last_ms {
            let candle = match known.get(at).filter(|candle| candle.open_ms == open_ms) {
                Some(candle) => {
                    at += 1;
                    *candle
                }
                None => Candle::empty(open_ms, close.unwrap_or(first.open)),
            };
            close = Some(candle.close);
            candles.push(candle);
            let Some(next_ms) = open_ms.checked_add(length_ms) else { break };
            open_ms = next_ms;
        }
        candles
    }

    /// The candles with trades of an interval, the one that is not over included.
    fn known(&self, interval: Interval) -> Vec<Candle> {
        let mut known: Vec<Candle> = self.over[interval as usize].iter().copied().collect();
        if let Some(minute) = &self.minute {
            let open_ms = minute.open_ms - minute.open_ms % interval.length_ms();
            match known.last_mut() {
                Some(last) if last.open_ms == open_ms => last.add(minute),
                _ => known.push(Candle { open_ms, ..*minute }),
            }
        }
        known
    }

    /// All trades of the last 24 hours as one candle; `None` without any trade at all. Without one in
    /// that time it shows the last price.
    pub fn day(&self, now_ms: u64) -> Option<Candle> {
        let known = self.known(Interval::M1);
        let since_ms = now_ms.saturating_sub(TICKER_WINDOW_MS);
        let at = known.partition_point(|candle| candle.open_ms < since_ms);
        let mut day: Option<Candle> = None;
        for candle in &known[at..] {
            match &mut day {
                None => day = Some(Candle { open_ms: since_ms, ..*candle }),
                Some(day) => day.add(candle),
            }
        }
        day.or_else(|| known.last().map(|last| Candle::empty(since_ms, last.close)))
    }

    /// The minute that is not over.
    pub fn minute(&self) -> Option<Candle> {
        self.minute
    }

    /// Minutes that are over, added up by interval, oldest first.
    pub fn over(&self, interval: Interval) -> impl Iterator<Item = &Candle> {
        self.over[interval as usize].iter()
    }

    /// Sets the minute that is not over, from an image.
    pub fn restore_minute(&mut self, minute: Candle) {
        self.minute = Some(minute);
    }

    /// Adds a candle from an image behind those of its interval. `false` when it is not behind them.
    pub fn restore(&mut self, interval: Interval, candle: Candle) -> bool {
        let candles = &mut self.over[interval as usize];
        let follows = candles.back().is_none_or(|last| last.open_ms < candle.open_ms);
        let fits = follows && candles.len() < CANDLES_KEPT;
        if fits {
            candles.push_back(candle);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(value: u64) -> Price {
        Price(value)
    }

    #[test]
    fn minutes_without_a_trade_show_the_close_before() {
        let mut klines = Klines::default();
        klines.trade(60_000, price(10), Lots(1), 10);
        klines.trade(61_000, price(14), Lots(2), 28);
        klines.trade(62_000, price(12), Lots(1), 12);
        klines.trade(4 * 60_000 + 5, price(20), Lots(1), 20);
        let candles = klines.range(Interval::M1, 0, u64::MAX, 10, 6 * 60_000);
        let told: Vec<_> = candles
            .iter()
            .map(|one| (one.open_ms / 60_000, one.open.0, one.high.0, one.low.0, one.close.0))
            .collect();
        let expected = [
            (1, 10, 14, 10, 12),
            (2, 12, 12, 12, 12),
            (3, 12, 12, 12, 12),
            (4, 20, 20, 20, 20),
            (5, 20, 20, 20, 20),
            (6, 20, 20, 20, 20),
        ];
        assert_eq!(told, expected);
        assert_eq!((candles[0].volume, candles[0].quote_volume, candles[0].trades), (4, 50, 3));
        assert_eq!((candles[1].volume, candles[1].trades), (0, 0));
        // The last two only, and a part in the middle.
        assert_eq!(klines.range(Interval::M1, 0, u64::MAX, 2, 6 * 60_000), candles[4..]);
        assert_eq!(klines.range(Interval::M1, 100_000, 3 * 60_000, 9, 6 * 60_000), candles[1..3]);
        assert_eq!(klines.range(Interval::M1, 0, 59_999, 9, 6 * 60_000), []);
    }

    #[test]
    fn the_end_of_time_ends_the_candles() {
        let mut klines = Klines::default();
        klines.trade(u64::MAX - 90_000, price(10), Lots(1), 10);
        assert_eq!(klines.range(Interval::M1, 0, u64::MAX, 10, u64::MAX).len(), 2);
        klines.restore(Interval::M1, Candle { trades: u64::MAX, ..Candle::empty(0, price(1)) });
        klines.restore_minute(Candle { trades: 1, ..Candle::empty(0, price(1)) });
        assert_eq!(klines.range(Interval::M1, 0, 0, 1, 0)[0].trades, u64::MAX);
    }

    #[test]
    fn the_day_forgets_what_is_older_and_keeps_the_last_price() {
        let mut klines = Klines::default();
        assert_eq!(klines.day(5), None);
        klines.trade(0, price(10), Lots(1), 10);
        klines.trade(TICKER_WINDOW_MS, price(30), Lots(1), 30);
        let day = klines.day(TICKER_WINDOW_MS).unwrap();
        assert_eq!(
            (day.open, day.low, day.close, day.trades),
            (price(10), price(10), price(30), 2)
        );
        let day = klines.day(TICKER_WINDOW_MS + MINUTE_MS).unwrap();
        assert_eq!((day.open, day.low, day.trades), (price(30), price(30), 1));
        let day = klines.day(3 * TICKER_WINDOW_MS).unwrap();
        assert_eq!((day.open, day.close, day.trades), (price(30), price(30), 0));
    }

    proptest! {
        #[test]
        fn every_interval_adds_up_to_its_minutes(
            steps in prop::collection::vec((0u64..40_000, 1u64..50, 1u64..9), 1..200)
        ) {
            let (mut klines, mut at_ms) = (Klines::default(), 1_700_000_000_000);
            let mut trades = Vec::new();
            for (wait_ms, value, qty) in steps {
                at_ms += wait_ms * wait_ms / 1_000;
                klines.trade(at_ms, Price(value), Lots(qty), u128::from(value * qty));
                trades.push((at_ms, value, qty));
            }
            for interval in Interval::ALL {
                let candles = klines.range(interval, 0, u64::MAX, usize::MAX >> 32, at_ms);
                for candle in &candles {
                    let end_ms = candle.open_ms + interval.length_ms();
                    let of: Vec<_> = trades
                        .iter()
                        .filter(|trade| (candle.open_ms..end_ms).contains(&trade.0))
                        .collect();
                    prop_assert_eq!(candle.trades as usize, of.len());
                    prop_assert_eq!(candle.volume, of.iter().map(|one| u128::from(one.2)).sum::<u128>());
                    if let (Some(first), Some(last)) = (of.first(), of.last()) {
                        prop_assert_eq!((candle.open.0, candle.close.0), (first.1, last.1));
                        let high = of.iter().map(|one| one.1).max().unwrap();
                        let low = of.iter().map(|one| one.1).min().unwrap();
                        prop_assert_eq!((candle.high.0, candle.low.0), (high, low));
                    }
                }
                let counted: u64 = candles.iter().map(|candle| candle.trades).sum();
                prop_assert_eq!(counted as usize, trades.len());
            }
        }
    }
}

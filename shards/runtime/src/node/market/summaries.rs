//! Candles and the last 24 hours of one symbol. The owner keeps them; here they are asked for when
//! something has changed, at most every 100 ms, so they are the owner's own, over gaps and restarts.

use bytes::Bytes;
use engine::{Candle, Interval, Query, Registry, Reply};
use gateway::native::push::{self, Kline};
use gateway::ws::encode_text_frame_with;
use money::SymbolId;

use super::subscribers::Subscribers;
use crate::node::node::Node;
use crate::node::waiting::{Summary, SummaryWaiter};
use crate::node::watches::WatchId;

/// How long after its end a candle is said to be closed, in ms: by then no clock of another shard can
/// still be in it.
const CLOSE_GRACE_MS: u64 = 50;
/// How often the ticker moves on when nothing trades, in ms: trades leave its window.
const TICKER_EVERY_MS: u64 = 1_000;

/// All summaries of one symbol.
pub(super) struct Summaries {
    symbol: SymbolId,
    watch: WatchId,
    candles: [Candles; Interval::ALL.len()],
    ticker: Stream,
    ticker_due_ms: u64,
}

/// One stream of newest states.
#[derive(Default)]
struct Stream {
    subscribers: Subscribers,
    /// The owner has been asked and has not answered.
    is_asked: bool,
    /// Something has changed since.
    is_dirty: bool,
    latest: Option<Bytes>,
}

#[derive(Default)]
struct Candles {
    stream: Stream,
    /// The one that was sent last, while it is not closed.
    open: Option<Candle>,
}

impl Stream {
    fn send(&mut self, node: &Node, frame: Bytes) {
        if self.latest.as_ref() != Some(&frame) {
            self.subscribers.change(node, &frame);
            self.latest = Some(frame);
        }
        self.catch_up(node);
    }

    fn catch_up(&mut self, node: &Node) {
        if let Some(frame) = &self.latest {
            self.subscribers.catch_up(node, frame);
        }
    }

    fn wants(&mut self, is_due: bool) -> bool {
        if self.subscribers.is_empty() || self.is_asked || !(self.is_dirty || is_due) {
            return false;
        }
        (self.is_asked, self.is_dirty) = (true, false);
        true
    }
}

impl Summaries {
    pub fn new(symbol: SymbolId, watch: WatchId) -> Summaries {
        let (candles, ticker) = (std::array::from_fn(|_| Candles::default()), Stream::default());
        Summaries { symbol, watch, candles, ticker, ticker_due_ms: 0 }
    }

    pub fn subscribers(&mut self, summary: Summary) -> &mut Subscribers {
        let stream = match summary {
            Summary::Candles(interval) => &mut self.candles[interval as usize].stream,
            Summary::Ticker => &mut self.ticker,
        };
        // Whoever comes first finds nothing that is up to date.
        if stream.subscribers.is_empty() {
            (stream.latest, stream.is_dirty) = (None, true);
        }
        &mut stream.subscribers
    }

    /// A trade has changed all of them.
    pub fn traded(&mut self) {
        self.candles.iter_mut().for_each(|candles| candles.stream.is_dirty = true);
        self.ticker.is_dirty = true;
    }

    /// Every 100 ms: adds what is to be asked because it has changed.
    pub fn refresh(&mut self, node: &Node, asks: &mut Vec<(SummaryWaiter, Query)>) {
        let (symbol, watch, now_ms) = (self.symbol, self.watch, node.clock.now_ms());
        for interval in Interval::ALL {
            let candles = &mut self.candles[interval as usize];
            candles.stream.catch_up(node);
            let is_over = candles.open.is_some_and(|open| is_closed(&open, interval, now_ms));
            if candles.stream.wants(is_over) {
                let (start_ms, end_ms, limit) = (0, u64::MAX, 2);
                let query = Query::Klines { symbol, interval, start_ms, end_ms, limit };
                let summary = Summary::Candles(interval);
                asks.push((SummaryWaiter { symbol, watch, summary, asked_ms: now_ms }, query));
            }
        }
        self.ticker.catch_up(node);
        if self.ticker.wants(now_ms >= self.ticker_due_ms) {
            self.ticker_due_ms = now_ms + TICKER_EVERY_MS;
            let waiter =
                SummaryWaiter { symbol, watch, summary: Summary::Ticker, asked_ms: now_ms };
            asks.push((waiter, Query::Ticker { symbol }));
        }
    }

    /// The owner has answered.
    pub fn answered(
        &mut self,
        node: &Node,
        registry: &Registry,
        waiter: &SummaryWaiter,
        reply: &Reply,
    ) {
        let symbol = self.symbol;
        match (waiter.summary, reply) {
            (Summary::Candles(interval), Reply::Klines(list)) => {
                let candles = &mut self.candles[interval as usize];
                candles.stream.is_asked = false;
                for &candle in list {
                    let is_closed = is_closed(&candle, interval, waiter.asked_ms);
                    let was_open = candles.open.is_some_and(|open| open.open_ms == candle.open_ms);
                    if is_closed && !was_open && candles.stream.latest.is_some() {
                        continue;
                    }
                    candles.open = (!is_closed).then_some(candle);
                    let kline = Kline { symbol, interval, candle, is_closed };
                    let write = |out: &mut Vec<u8>| push::kline(&kline, registry, out);
                    candles.stream.send(node, encode_text_frame_with(write));
                }
            }
            (Summary::Ticker, Reply::Ticker(day)) => {
                self.ticker.is_asked = false;
                if let Some(day) = day {
                    let write = |out: &mut Vec<u8>| push::ticker(symbol, day, registry, out);
                    self.ticker.send(node, encode_text_frame_with(write));
                }
            }
            _ => debug_assert!(false, "not an answer to what was asked"),
        }
    }
}

fn is_closed(candle: &Candle, interval: Interval, now_ms: u64) -> bool {
    let end_ms = candle.open_ms.saturating_add(interval.length_ms());
    now_ms >= end_ms.saturating_add(CLOSE_GRACE_MS)
}

//! One symbol as this shard's connections follow it: from released events to frames, each encoded once
//! and shared.
//!
//! | stream | when | who is behind gets |
//! | --- | --- | --- |
//! | trades | each one | the next one; the numbers show the gap |
//! | depth | changes of 100 ms together | the whole book |
//! | depth, realtime | each change | the whole book |
//! | best bid and offer, rpc | at most once a turn | the newest |
//! | desk | at most every 100 ms | the newest |
//! | candles, ticker | at most every 100 ms | the newest |

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use engine::{Event, Query, Registry, TapeEntry};
use gateway::desk::stream::{self, MarketTick};
use gateway::native::push::{self, Bbo, DepthChange, PriceLevel};
use gateway::rpc::{self, MarketState};
use gateway::ws::encode_text_frame_with;
use gateway::ws::limits::{MARKET_DATA_HIGH_WATER_BYTES, MAX_OUTPUT_BYTES};
use money::{Price, Side, SymbolId};

use super::opening::Opening;
use super::shadow::{Changed, Changes, Shadow};
use super::subscribers::Subscribers;
use super::summaries::Summaries;
use crate::node::node::Node;
use crate::node::parcel::BookImage;
use crate::node::waiting::SummaryWaiter;
use crate::node::watches::WatchId;

/// Levels of each side in a snapshot. A deeper book shows the rest of its levels when they change.
const MAX_SNAPSHOT_LEVELS: usize = 2_500;
/// Longest text of one level: two numbers of 128 bits with point, quotes, comma and brackets.
const MAX_LEVEL_BYTES: usize = 90;
// Else a snapshot would close the connections that it is for.
const _: () = assert!(
    2 * MAX_SNAPSHOT_LEVELS * MAX_LEVEL_BYTES + MARKET_DATA_HIGH_WATER_BYTES < MAX_OUTPUT_BYTES
);

/// What can be followed of a symbol, besides its candles and its ticker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BookStream {
    Trades,
    Depth,
    DepthRealtime,
    Bbo,
    /// Of the rpc dialect, with so many levels per side.
    Rpc(usize),
    /// Of the desk dialect.
    Desk,
}

/// One symbol.
pub(super) struct Board {
    symbol: SymbolId,
    /// Under which its owner tells of it.
    pub watch: WatchId,
    /// Subscriptions of all streams.
    pub subscriptions: usize,
    /// Answers that wait until it is open.
    pub opening: Vec<Rc<Opening>>,
    /// `None` until the owner has told where it stands.
    book: Option<Book>,
    trades: Subscribers,
    depth: Subscribers,
    realtime: Subscribers,
    bbo: Subscribers,
    /// By levels per side.
    rpc: BTreeMap<usize, Subscribers>,
    desk: Subscribers,
    pub summaries: Summaries,
    /// It is on the list of those with something to send at the end of the turn.
    pub is_touched: bool,
}

struct Book {
    shadow: Shadow,
    /// Not sent to those who get each change: of the change under way.
    each: Changes,
    /// Not sent to those who get the changes of 100 ms.
    delayed: Changes,
    best: (Option<PriceLevel>, Option<PriceLevel>),
    bbo: Option<Bytes>,
    last_trade: Option<TapeEntry>,
    /// Counts the states that were published to the rpc dialect.
    tick: u64,
    /// Something has changed since the last of them.
    is_changed: bool,
    desk: Option<(DeskState, Bytes)>,
}

/// What the desk dialect shows of a symbol: last price, best bid, best ask.
type DeskState = [Option<Price>; 3];

impl Board {
    pub fn new(symbol: SymbolId, watch: WatchId) -> Board {
        Board {
            symbol,
            watch,
            subscriptions: 0,
            opening: Vec::new(),
            book: None,
            trades: Subscribers::default(),
            depth: Subscribers::default(),
            realtime: Subscribers::default(),
            bbo: Subscribers::default(),
            rpc: BTreeMap::new(),
            desk: Subscribers::default(),
            summaries: Summaries::new(symbol, watch),
            is_touched: false,
        }
    }

    pub fn subscribers(&mut self, stream: BookStream) -> &mut Subscribers {
        match stream {
            BookStream::Trades => &mut self.trades,
            BookStream::Depth => &mut self.depth,
            BookStream::DepthRealtime => &mut self.realtime,
            BookStream::Bbo => &mut self.bbo,
            BookStream::Rpc(levels) => self.rpc.entry(levels).or_default(),
            BookStream::Desk => &mut self.desk,
        }
    }

    /// Whether its owner tells of every change by now.
    pub fn is_open(&self) -> bool {
        self.book.is_some()
    }

    /// Where the book stands, before the events that follow.
    pub fn open(&mut self, image: &BookImage) {
        let shadow = Shadow::new(&image.bids, &image.asks, image.last_update_id);
        let update = shadow.update;
        self.book = Some(Book {
            shadow,
            each: Changes::since(update),
            delayed: Changes::since(update),
            best: (None, None),
            bbo: None,
            last_trade: image.last_trade,
            tick: 0,
            is_changed: true,
            desk: None,
        });
    }

    /// Something happened.
    pub fn event(&mut self, node: &Node, registry: &Registry, event: &Event) {
        let Some(book) = &mut self.book else { return };
        match *event {
            Event::Trade { entry, .. } => {
                book.last_trade = Some(entry);
                book.is_changed = true;
                self.summaries.traded();
                self.trades.begin_anew();
                if self.trades.has_current() {
                    let write =
                        |out: &mut Vec<u8>| push::public_trade(self.symbol, &entry, registry, out);
                    self.trades.change(node, &encode_text_frame_with(write));
                }
            }
            Event::Level { update, side, price, qty, .. } => {
                if update != book.shadow.update {
                    self.send_each_change(node, registry);
                }
                let Some(book) = &mut self.book else { return };
                book.shadow.apply(update, side, price, qty);
                book.is_changed = true;
                book.each.note(side, price);
                book.delayed.note(side, price);
            }
            Event::Order(_)
            | Event::Fill { .. }
            | Event::Balance { .. }
            | Event::CredentialEnded(_) => {}
        }
    }

    /// All of the last change is here.
    fn send_each_change(&mut self, node: &Node, registry: &Registry) {
        let Some(book) = &mut self.book else { return };
        let Some(changed) = book.each.take(&book.shadow) else { return };
        if self.realtime.has_current() {
            let frame = update_frame(self.symbol, &changed, registry);
            self.realtime.change(node, &frame);
        }
    }

    /// The end of a turn: what is sent as soon as possible.
    pub fn end_turn(&mut self, node: &Node, registry: &Registry) {
        self.is_touched = false;
        self.send_each_change(node, registry);
        let Some(book) = &mut self.book else { return };
        if self.realtime.has_behind() {
            let frame = snapshot_frame(self.symbol, &book.shadow, registry);
            self.realtime.catch_up(node, &frame);
        }
        self.publish_rpc(node, registry);
        self.publish_bbo(node, registry);
    }

    fn publish_bbo(&mut self, node: &Node, registry: &Registry) {
        let Some(book) = &mut self.book else { return };
        if self.bbo.is_empty() {
            book.bbo = None;
            return;
        }
        let best = (book.shadow.best(Side::Buy), book.shadow.best(Side::Sell));
        if book.bbo.is_none() || best != book.best {
            book.best = best;
            let (symbol, last_update_id) = (self.symbol, book.shadow.update);
            let bbo = Bbo { symbol, bid: best.0, ask: best.1, last_update_id };
            let frame = encode_text_frame_with(|out| push::bbo(&bbo, registry, out));
            self.bbo.change(node, &frame);
            book.bbo = Some(frame);
        }
        if let Some(frame) = &book.bbo {
            self.bbo.catch_up(node, frame);
        }
    }

    fn publish_rpc(&mut self, node: &Node, registry: &Registry) {
        let Some(book) = &mut self.book else { return };
        if std::mem::take(&mut book.is_changed) {
            book.tick += 1;
        } else if !self.rpc.values().any(Subscribers::has_behind) {
            return;
        }
        self.rpc.retain(|_, subscribers| !subscribers.is_empty());
        let timestamp_ms = node.clock.now_ms();
        for (&levels, subscribers) in &mut self.rpc {
            let bids = book.shadow.levels(Side::Buy, levels);
            let asks = book.shadow.levels(Side::Sell, levels);
            let state = MarketState {
                symbol: self.symbol,
                bids: &bids,
                asks: &asks,
                last_trade: book.last_trade,
                tick: book.tick,
                timestamp_ms,
            };
            let frame = encode_text_frame_with(|out| rpc::market_data(&state, registry, out));
            if book.tick != subscribers.tick {
                subscribers.change(node, &frame);
                subscribers.tick = book.tick;
            }
            subscribers.catch_up(node, &frame);
        }
    }

    fn publish_desk(&mut self, node: &Node, registry: &Registry) {
        let Some(book) = &mut self.book else { return };
        if self.desk.is_empty() {
            book.desk = None;
            return;
        }
        let price = |level: Option<PriceLevel>| level.map(|level| level.price);
        let (bid, ask) = (book.shadow.best(Side::Buy), book.shadow.best(Side::Sell));
        let state = [book.last_trade.map(|trade| trade.price), price(bid), price(ask)];
        if book.desk.as_ref().is_none_or(|(before, _)| *before != state) {
            let [price, bid, ask] = state;
            let (symbol, at_ms) = (self.symbol, node.clock.now_ms());
            let tick = MarketTick { symbol, price, bid, ask, at_ms };
            let mut event = Vec::new();
            stream::market(&tick, registry, &mut event);
            let event = Bytes::from(event);
            self.desk.change(node, &event);
            book.desk = Some((state, event));
        }
        if let Some((_, event)) = &book.desk {
            self.desk.catch_up(node, event);
        }
    }

    /// Every 100 ms: what is put together over that time, and what was left out for slow readers.
    /// Adds what is to be asked.
    pub fn refresh(
        &mut self,
        node: &Node,
        registry: &Registry,
        asks: &mut Vec<(SummaryWaiter, Query)>,
    ) {
        self.end_turn(node, registry);
        self.publish_desk(node, registry);
        let Some(book) = &mut self.book else { return };
        if let Some(changed) = book.delayed.take(&book.shadow)
            && self.depth.has_current()
        {
            let frame = update_frame(self.symbol, &changed, registry);
            self.depth.change(node, &frame);
        }
        if self.depth.has_behind() {
            let frame = snapshot_frame(self.symbol, &book.shadow, registry);
            self.depth.catch_up(node, &frame);
        }
        self.summaries.refresh(node, asks);
    }
}

fn update_frame(symbol: SymbolId, changed: &Changed, registry: &Registry) -> Bytes {
    let Changed { first_update, last_update, bids, asks } = changed;
    let (first_update_id, last_update_id) = (*first_update, *last_update);
    let change = DepthChange { symbol, first_update_id, last_update_id, bids, asks };
    encode_text_frame_with(|out| push::depth_update(&change, registry, out))
}

fn snapshot_frame(symbol: SymbolId, shadow: &Shadow, registry: &Registry) -> Bytes {
    let bids = shadow.levels(Side::Buy, MAX_SNAPSHOT_LEVELS);
    let asks = shadow.levels(Side::Sell, MAX_SNAPSHOT_LEVELS);
    let (first_update_id, last_update_id) = (shadow.update, shadow.update);
    let depth = DepthChange { symbol, first_update_id, last_update_id, bids: &bids, asks: &asks };
    encode_text_frame_with(|out| push::depth_snapshot(&depth, registry, out))
}

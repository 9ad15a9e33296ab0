//! Market data for this shard's connections, of symbols of all shards.
//!
//! The first subscription of a symbol asks its owner to be told of it: first where the book stands, then
//! every change, all of it durable. From that a [`board::Board`] keeps the book as everybody may see it
//! and makes the frames. The last one that leaves ends it.

mod board;
mod opening;
mod shadow;
mod subscribers;
mod summaries;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use engine::{Event, Reply};
use gateway::native::ws::Channel;
use money::SymbolId;
use shard::Request;

use self::board::{Board, BookStream};
use self::subscribers::Subscribers;
use super::node::Node;
use super::parcel::{Ask, BookImage};
use super::private::NO_TOKEN;
use super::socket::Socket;
use super::waiting::{Summary, SummaryWaiter, Waiter};
use super::watches::WatchId;

/// All symbols that somebody here follows.
#[derive(Default)]
pub(crate) struct Market {
    boards: RefCell<BTreeMap<SymbolId, Board>>,
    /// With something to send at the end of the turn.
    touched: RefCell<Vec<SymbolId>>,
}

/// One stream of a symbol.
#[derive(Clone, Copy)]
enum Stream {
    Book(BookStream),
    Summary(Summary),
}

impl Board {
    fn stream(&mut self, stream: Stream) -> &mut Subscribers {
        match stream {
            Stream::Book(stream) => self.subscribers(stream),
            Stream::Summary(summary) => self.summaries.subscribers(summary),
        }
    }
}

fn stream_of(channel: Channel) -> Option<(SymbolId, Stream)> {
    match channel {
        Channel::OrderUpdates | Channel::BalanceUpdates | Channel::OwnTrades => None,
        Channel::Trades(symbol) => Some((symbol, Stream::Book(BookStream::Trades))),
        Channel::Depth(symbol) => Some((symbol, Stream::Book(BookStream::Depth))),
        Channel::DepthRealtime(symbol) => Some((symbol, Stream::Book(BookStream::DepthRealtime))),
        Channel::Bbo(symbol) => Some((symbol, Stream::Book(BookStream::Bbo))),
        Channel::Kline(interval, symbol) => {
            Some((symbol, Stream::Summary(Summary::Candles(interval))))
        }
        Channel::Ticker(symbol) => Some((symbol, Stream::Summary(Summary::Ticker))),
    }
}

impl Node {
    /// Enters a connection into a channel. A private one needs nothing: its user is watched.
    pub(super) fn subscribe(&self, socket: &Rc<Socket>, channel: Channel) {
        if let Some((symbol, stream)) = stream_of(channel) {
            self.enter_stream(socket, symbol, stream);
        }
    }

    /// Strikes a connection off a channel.
    pub(super) fn unsubscribe(&self, socket: &Rc<Socket>, channel: Channel) {
        if let Some((symbol, stream)) = stream_of(channel) {
            self.leave_stream(socket, symbol, stream);
        }
    }

    /// Has a connection of the rpc dialect follow a symbol, so many levels deep.
    pub(super) fn follow_rpc(&self, socket: &Rc<Socket>, symbol: SymbolId, levels: usize) {
        self.enter_stream(socket, symbol, Stream::Book(BookStream::Rpc(levels)));
    }

    /// Ends that.
    pub(super) fn unfollow_rpc(&self, socket: &Rc<Socket>, symbol: SymbolId, levels: usize) {
        self.leave_stream(socket, symbol, Stream::Book(BookStream::Rpc(levels)));
    }

    /// Has a connection of the desk dialect follow a symbol.
    pub(super) fn follow_desk(&self, socket: &Rc<Socket>, symbol: SymbolId) {
        self.enter_stream(socket, symbol, Stream::Book(BookStream::Desk));
    }

    /// Ends that.
    pub(super) fn unfollow_desk(&self, socket: &Rc<Socket>, symbol: SymbolId) {
        self.leave_stream(socket, symbol, Stream::Book(BookStream::Desk));
    }

    fn enter_stream(&self, socket: &Rc<Socket>, symbol: SymbolId, stream: Stream) {
        let mut boards = self.market.boards.borrow_mut();
        let mut watch = None;
        let board = boards.entry(symbol).or_insert_with(|| {
            let id = self.audience.next_watch();
            watch = Some(id);
            Board::new(symbol, id)
        });
        board.subscriptions += 1;
        board.stream(stream).add(socket);
        self.touch(board, symbol);
        drop(boards);
        if let Some(id) = watch {
            let token = self.waiting.insert(Waiter::Board { symbol, watch: id });
            self.ask(self.shard_of(symbol), token, Ask::WatchMarket { symbol, id });
        }
        self.turn.notify();
    }

    fn leave_stream(&self, socket: &Rc<Socket>, symbol: SymbolId, stream: Stream) {
        let mut boards = self.market.boards.borrow_mut();
        let Some(board) = boards.get_mut(&symbol) else { return };
        board.stream(stream).remove(socket);
        board.subscriptions -= 1;
        if board.subscriptions > 0 {
            return;
        }
        let id = board.watch;
        let removed = boards.remove(&symbol);
        drop(boards);
        removed.into_iter().for_each(|board| self.opened(board.opening));
        self.ask(self.shard_of(symbol), NO_TOKEN, Ask::UnwatchMarket { symbol, id });
        self.turn.notify();
    }

    /// The owner has told where a book stands.
    pub(super) fn board_opened(&self, symbol: SymbolId, watch: WatchId, image: Option<&BookImage>) {
        let mut boards = self.market.boards.borrow_mut();
        let board = boards.get_mut(&symbol).filter(|board| board.watch == watch);
        if let (Some(board), Some(image)) = (board, image) {
            board.open(image);
            self.touch(board, symbol);
            let opening = std::mem::take(&mut board.opening);
            drop(boards);
            self.opened(opening);
            self.turn.notify();
        }
    }

    /// Something has happened in a book.
    pub(super) fn market_event(&self, event: &Event) {
        let (Event::Trade { symbol, .. } | Event::Level { symbol, .. }) = *event else { return };
        let mut boards = self.market.boards.borrow_mut();
        let Some(board) = boards.get_mut(&symbol) else { return };
        let shard = self.shard.borrow();
        board.event(self, shard.engine().registry(), event);
        self.touch(board, symbol);
    }

    /// The owner has answered what was asked about candles or the last 24 hours.
    pub(super) fn summary_answered(&self, waiter: &SummaryWaiter, reply: &Reply) {
        let mut boards = self.market.boards.borrow_mut();
        let board = boards.get_mut(&waiter.symbol).filter(|board| board.watch == waiter.watch);
        let Some(board) = board else { return };
        let shard = self.shard.borrow();
        board.summaries.answered(self, shard.engine().registry(), waiter, reply);
        self.turn.notify();
    }

    fn touch(&self, board: &mut Board, symbol: SymbolId) {
        if !std::mem::replace(&mut board.is_touched, true) {
            self.market.touched.borrow_mut().push(symbol);
        }
    }

    /// Sends what the turn has changed.
    pub(super) fn end_market_turn(&self) {
        if self.market.touched.borrow().is_empty() {
            return;
        }
        let mut boards = self.market.boards.borrow_mut();
        let shard = self.shard.borrow();
        let mut touched = self.market.touched.borrow_mut();
        for symbol in touched.drain(..) {
            if let Some(board) = boards.get_mut(&symbol) {
                board.end_turn(self, shard.engine().registry());
            }
        }
    }

    /// Every 100 ms.
    pub(crate) fn refresh_market(&self) {
        if self.market.boards.borrow().is_empty() {
            return;
        }
        let mut asks = Vec::new();
        {
            let shard = self.shard.borrow();
            for board in self.market.boards.borrow_mut().values_mut() {
                board.refresh(self, shard.engine().registry(), &mut asks);
            }
        }
        // Asked once nothing is borrowed: this shard may be the owner.
        for (waiter, query) in asks {
            let token = self.waiting.insert(Waiter::Summary(waiter));
            self.ask_request(token, Request::Query(query), None);
        }
        self.turn.notify();
    }
}

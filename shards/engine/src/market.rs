//! The symbol side: orders that their homes have reserved are matched, and both sides' homes are
//! told.

use book::{Book, FastBook, Moved, Outcome, Reduced, RestingOrder, Taker};
use money::{
    Lots, OrderId, PPM, Price, Role, ShardId, Side, SymbolId, SymbolStatus, TradeId, UserId,
};

use crate::REFERENCE_STEP_PPM;
use crate::effect::{Effects, Event};
use crate::engine::{Engine, Market};
use crate::history::Tape;
use crate::klines::Klines;
use crate::message::{Answer, Fill, Message, Submit, Ticket};
use crate::reply::TapeEntry;

/// The order that came in, as far as the fills need it.
#[derive(Clone, Copy)]
struct Incoming {
    order: OrderId,
    home: ShardId,
    side: Side,
    symbol: SymbolId,
}

impl Engine {
    /// Opens the book of a symbol that lives here.
    pub(crate) fn open_market(&mut self, symbol: SymbolId) {
        debug_assert_eq!(self.markets.len(), symbol.0 as usize);
        let entry = self.registry.symbol(symbol).expect("was just defined");
        let market = (entry.shard == self.here).then(|| {
            Box::new(Market {
                book: FastBook::new(entry.scale, self.hash_seed),
                last_trade: 0,
                last_update: 0,
                tape: Tape::default(),
                klines: Klines::default(),
            })
        });
        self.markets.push(market);
    }

    fn is_trading(&self, symbol: SymbolId) -> bool {
        self.market(symbol).is_some()
            && self
                .registry
                .symbol(symbol)
                .is_some_and(|entry| entry.rules().status == SymbolStatus::Trading)
    }

    #[inline]
    pub(crate) fn on_submit(&mut self, submit: &Submit, out: &mut Effects) {
        let home = self.placement.home_of(submit.user);
        if !self.is_trading(submit.symbol) {
            return self.answer(home, submit.ticket, submit.order, Answer::NotTrading, 0, out);
        }
        let taker = Taker {
            id: submit.order,
            user: submit.user,
            side: submit.side,
            price: submit.price,
            qty: submit.qty,
            budget: submit.budget,
            time_in_force: submit.time_in_force,
            post_only: submit.post_only,
            market: submit.market,
            self_trade: submit.self_trade,
        };
        let mut events = std::mem::take(&mut self.book_events);
        events.clear();
        let market = self.market_mut(submit.symbol).expect("is trading");
        let outcome = market.book.place(&taker, &mut events);
        let incoming =
            Incoming { order: submit.order, home, side: submit.side, symbol: submit.symbol };
        self.spread(incoming, &events, out);
        let rests = matches!(outcome, Outcome::Rested { .. });
        // What meets nobody and does not rest leaves the book as it is, and nobody is told of it.
        if rests || !events.is_empty() {
            self.market_mut(submit.symbol).expect("is trading").last_update += 1;
        }
        let own_prices = [rests.then_some(submit.price), None];
        self.tell_levels(submit.symbol, submit.side, own_prices, &events, out);
        self.book_events = events;
        let probes = if submit.wait { self.probe(home, submit.ticket, out) } else { 0 };
        self.answer(home, submit.ticket, submit.order, answer_of(outcome), probes, out);
    }

    /// Tells both homes of every fill, in the book's order.
    #[inline]
    fn spread(&mut self, incoming: Incoming, events: &[book::Event], out: &mut Effects) {
        self.probed.clear();
        let mut last_price = None;
        for event in events {
            match *event {
                book::Event::Fill { maker, maker_user, price, qty, .. } => {
                    self.fill(incoming, maker, maker_user, price, qty, out);
                    last_price = Some(price);
                }
                book::Event::MakerExpired { maker, maker_user, .. } => {
                    let home = self.touch(maker_user, incoming.home);
                    let at_ms = self.now_ms;
                    self.deliver(home, Message::MakerExpired { order: maker, at_ms }, out);
                }
            }
        }
        if let Some(price) = last_price {
            self.follow_reference(incoming.symbol, price);
        }
    }

    #[inline]
    fn fill(
        &mut self,
        incoming: Incoming,
        maker: OrderId,
        maker_user: UserId,
        price: Price,
        qty: Lots,
        out: &mut Effects,
    ) {
        let Incoming { order: taker, home: taker_home, side: taker_side, symbol } = incoming;
        let at_ms = self.now_ms;
        let registered = self.registry.symbol(symbol).expect("is trading");
        let rules = *registered.rules();
        let quote = registered.scale.quote_floor(price, qty).unwrap_or(0);
        let market = self.market_mut(symbol).expect("is trading");
        market.last_trade += 1;
        let trade = TradeId(market.last_trade);
        let entry = TapeEntry { trade, taker, maker, price, qty, taker_side, at_ms };
        market.tape.push(entry);
        market.klines.trade(at_ms, price, qty, quote);
        if out.watch.market {
            out.events.push(Event::Trade { symbol, entry });
        }
        let side_of = |role| match role {
            Role::Taker => (taker, taker_side),
            Role::Maker => (maker, taker_side.opposite()),
        };
        let message = |role| {
            let (order, side) = side_of(role);
            let fee_ppm = rules.fee_ppm(role);
            Message::Fill(Fill { order, symbol, trade, price, qty, side, role, fee_ppm, at_ms })
        };
        self.mix(trade.0 ^ price.0.rotate_left(24) ^ qty.0.rotate_left(44));
        let maker_home = self.touch(maker_user, taker_home);
        self.deliver(taker_home, message(Role::Taker), out);
        self.deliver(maker_home, message(Role::Maker), out);
    }

    /// The home of a maker, remembered for a probe when it is a third shard.
    #[inline]
    fn touch(&mut self, maker_user: UserId, taker_home: ShardId) -> ShardId {
        let home = self.placement.home_of(maker_user);
        if home != self.here && home != taker_home && !self.probed.contains(&home) {
            self.probed.push(home);
        }
        home
    }

    /// Asks every third shard that got fills to tell the taker's home once they are applied.
    fn probe(&mut self, home: ShardId, ticket: Ticket, out: &mut Effects) -> u16 {
        let probed = std::mem::take(&mut self.probed);
        for &third in &probed {
            self.deliver(third, Message::Probe { home, ticket }, out);
        }
        let count = probed.len() as u16;
        self.probed = probed;
        count
    }

    /// Publishes a trade's price as the reference when it is far enough from the published one.
    #[inline]
    fn follow_reference(&mut self, symbol: SymbolId, price: Price) {
        let published = self.registry.symbol(symbol).expect("is trading").reference;
        if let Some(published) = published {
            let distance = u128::from(published.0.abs_diff(price.0)) * u128::from(PPM);
            if distance < u128::from(published.0) * u128::from(REFERENCE_STEP_PPM) {
                return;
            }
            if published == price {
                return;
            }
        }
        self.publish_reference(symbol, price);
    }

    /// Tells every shard the reference price of a symbol that lives here.
    pub(crate) fn publish_reference(&mut self, symbol: SymbolId, price: Price) {
        self.registry.set_reference(symbol, price);
        self.mix(price.0 ^ u64::from(symbol.0) << 40);
        self.tell_peers(|| Message::Reference { symbol, price });
    }

    fn answer(
        &mut self,
        home: ShardId,
        ticket: Ticket,
        order: OrderId,
        answer: Answer,
        probes: u16,
        out: &mut Effects,
    ) {
        let at_ms = self.now_ms;
        self.mix(order.0 << 5 ^ answer.code());
        self.deliver(home, Message::Done { ticket, order, answer, probes, at_ms }, out);
    }

    pub(crate) fn on_cancel(
        &mut self,
        home: ShardId,
        ticket: Ticket,
        order: OrderId,
        symbol: SymbolId,
        out: &mut Effects,
    ) {
        let resting = self.watched_order(symbol, order, out);
        let answer = match self.market_mut(symbol).and_then(|market| {
            let removed = market.book.cancel(order)?;
            market.last_update += 1;
            Some(removed)
        }) {
            Some(_) => Answer::Canceled,
            None => Answer::Gone,
        };
        if let Some(resting) = resting {
            self.tell_level(symbol, resting.side, resting.price, out);
        }
        self.answer(home, ticket, order, answer, 0, out);
    }

    /// A resting order, if somebody wants to know of its level.
    fn watched_order(
        &self,
        symbol: SymbolId,
        order: OrderId,
        out: &Effects,
    ) -> Option<RestingOrder> {
        out.watch.market.then(|| self.market(symbol)?.book.get(order)).flatten()
    }

    pub(crate) fn on_reduce(
        &mut self,
        home: ShardId,
        ticket: Ticket,
        order: OrderId,
        symbol: SymbolId,
        by: Lots,
        out: &mut Effects,
    ) {
        let resting = self.watched_order(symbol, order, out);
        let reduced = self.market_mut(symbol).and_then(|market| {
            let reduced = market.book.reduce(order, by)?;
            market.last_update += 1;
            Some(reduced)
        });
        let answer = match reduced {
            Some(Reduced::Left { .. }) => Answer::Reduced(by),
            Some(Reduced::Removed { .. }) => Answer::Canceled,
            None => Answer::Gone,
        };
        if let Some(resting) = resting {
            self.tell_level(symbol, resting.side, resting.price, out);
        }
        self.answer(home, ticket, order, answer, 0, out);
    }

    pub(crate) fn on_move(
        &mut self,
        home: ShardId,
        ticket: Ticket,
        order: OrderId,
        symbol: SymbolId,
        price: Price,
        out: &mut Effects,
    ) {
        let trading = self.is_trading(symbol);
        let resting = self.market(symbol).and_then(|market| market.book.get(order));
        let Some(resting) = resting else {
            return self.answer(home, ticket, order, Answer::Gone, 0, out);
        };
        if !trading {
            return self.answer(home, ticket, order, Answer::NotMoved, 0, out);
        }
        let mut events = std::mem::take(&mut self.book_events);
        events.clear();
        let market = self.market_mut(symbol).expect("is trading");
        let moved = market.book.move_price(order, price, &mut events).expect("rests");
        let incoming = Incoming { order, home, side: resting.side, symbol };
        self.spread(incoming, &events, out);
        self.market_mut(symbol).expect("is trading").last_update += 1;
        let rests = matches!(moved, Moved::Placed(Outcome::Rested { .. }));
        let own_prices = [Some(resting.price), rests.then_some(price)];
        self.tell_levels(symbol, resting.side, own_prices, &events, out);
        self.book_events = events;
        let answer = match moved {
            Moved::Unchanged | Moved::Placed(Outcome::Rested { .. }) => Answer::Moved,
            Moved::WouldTake => Answer::NotMoved,
            Moved::Placed(outcome) => answer_of(outcome),
        };
        self.answer(home, ticket, order, answer, 0, out);
    }
}

fn answer_of(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Rested { .. } => Answer::Rested,
        Outcome::Filled { .. } => Answer::Filled,
        Outcome::Expired { .. } => Answer::Expired,
        Outcome::WouldTake => Answer::WouldTake,
    }
}

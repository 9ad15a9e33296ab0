//! A generated flow in the proportions that exchange-core measures itself by: 9 % GTC orders, 3 % IOC
//! orders, 6 % cancels and 82 % moves of 1,000 users, over a book that keeps its size.
//!
//! An IOC order takes exactly the best one of the other side, and a move stays on its own side, so what
//! rests goes by one for nine commands in a hundred and comes by one for nine. Every cancel and move
//! names an order that rests at that moment: the generator runs the flow as it makes it.

use book::{Book, Event, FastBook, RestingOrder, Taker};
use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce, UserId};

use super::{Fills, Random};

const USERS: u64 = 1_000;
/// Between the sides, in ticks.
const MIDDLE: u64 = 1 << 40;
/// How far a move goes at most, in ticks.
const REACH: u64 = 20;
const HASH_SEED: u64 = 0x5eed;

/// A command of the mix.
#[derive(Clone, Copy)]
pub enum Op {
    Place(Taker),
    Cancel(OrderId),
    /// To a price; with the order as it rests then, for books that must place it anew.
    Move(OrderId, Price, Side, Lots),
}

/// The flow, and what it has to bring about.
pub struct Mixed {
    /// Orders that rest before the clock starts.
    pub filling: Vec<Op>,
    /// What is measured.
    pub ops: Vec<Op>,
    /// The fills of `ops`.
    pub expected: Fills,
}

struct Making {
    book: FastBook,
    random: Random,
    /// Ticks that a side spreads over.
    span: u64,
    open: Vec<OrderId>,
    /// By the number of an order, where in `open` it is.
    place_of: Vec<u32>,
    placed: u64,
    events: Vec<Event>,
    best: Vec<RestingOrder>,
    expected: Fills,
}

impl Mixed {
    /// A flow of so many commands over so many resting orders.
    pub fn make(resting: usize, commands: usize) -> Mixed {
        let mut making = Making {
            book: FastBook::new(scale(), HASH_SEED),
            random: Random::new(),
            span: (resting as u64 / 2).clamp(1_000, 10_000),
            open: Vec::with_capacity(resting),
            place_of: Vec::new(),
            placed: 0,
            events: Vec::new(),
            best: Vec::new(),
            expected: Fills::default(),
        };
        let filling = (0..resting).map(|_| making.place()).collect();
        let ops = (0..commands).map(|_| making.next()).collect();
        Mixed { filling, ops, expected: making.expected }
    }
}

/// Of the symbol that the flow trades.
pub fn scale() -> Scale {
    Scale::new(1, 0, 1, 0, 0).expect("scale")
}

impl Making {
    fn next(&mut self) -> Op {
        match self.random.below(100) {
            0..9 => self.place(),
            9..12 => self.take(),
            12..18 => {
                let at = self.random.below(self.open.len());
                let id = self.open[at];
                self.forget(id);
                self.book.cancel(id);
                Op::Cancel(id)
            }
            _ => self.shift(),
        }
    }

    fn order(&mut self, side: Side, price: u64, qty: u64, time_in_force: TimeInForce) -> Taker {
        self.placed += 1;
        Taker {
            id: OrderId(self.placed << money::SHARD_BITS),
            user: UserId(self.placed % USERS),
            side,
            price: Price(price),
            qty: Lots(qty),
            budget: None,
            time_in_force,
            post_only: false,
            market: false,
            self_trade: SelfTrade::None,
        }
    }

    fn place(&mut self) -> Op {
        let side = Side::ALL[self.random.below(2)];
        let away = 1 + self.random.below(self.span as usize) as u64;
        let price = if side == Side::Buy { MIDDLE - away } else { MIDDLE + away };
        let qty = 1 + self.random.below(9) as u64;
        let taker = self.order(side, price, qty, TimeInForce::Gtc);
        self.book.place(&taker, &mut self.events);
        self.place_of.resize(self.placed as usize + 1, 0);
        self.place_of[self.placed as usize] = self.open.len() as u32;
        self.open.push(taker.id);
        Op::Place(taker)
    }

    /// Takes the best order of a side.
    fn take(&mut self) -> Op {
        let side = Side::ALL[self.random.below(2)];
        self.best.clear();
        self.book.orders(side.opposite(), None, 1, &mut self.best);
        let Some(&best) = self.best.first() else { return self.place() };
        let taker = self.order(side, best.price.0, best.remaining.0, TimeInForce::Ioc);
        self.events.clear();
        self.book.place(&taker, &mut self.events);
        for event in &self.events {
            if let Event::Fill { maker, qty, .. } = event {
                self.expected.add(maker.0 >> money::SHARD_BITS, qty.0);
            }
        }
        self.forget(best.id);
        Op::Place(taker)
    }

    fn forget(&mut self, id: OrderId) {
        let at = self.place_of[(id.0 >> money::SHARD_BITS) as usize];
        self.open.swap_remove(at as usize);
        if let Some(&last) = self.open.get(at as usize) {
            self.place_of[(last.0 >> money::SHARD_BITS) as usize] = at;
        }
    }

    fn shift(&mut self) -> Op {
        let id = self.open[self.random.below(self.open.len())];
        let order = self.book.get(id).expect("it rests");
        let away = order.price.0.abs_diff(MIDDLE) + self.random.below(2 * REACH as usize) as u64;
        let away = away.saturating_sub(REACH).clamp(1, self.span);
        let price = if order.side == Side::Buy { MIDDLE - away } else { MIDDLE + away };
        self.book.move_price(id, Price(price), &mut self.events);
        Op::Move(id, Price(price), order.side, order.remaining)
    }
}

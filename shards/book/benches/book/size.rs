//! What a command costs in books of growing size: orders placed and canceled around those that rest;
//! and what it costs there once someone has placed orders all over the 64 bits of the price.

use std::hint::black_box;
use std::time::Instant;

use book::{Book, Event, FastBook, Taker};
use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce, UserId};
use suite::{Better, Figure};

use crate::harness::Random;
use crate::{FLAGS, HASH_SEED, command};

const PAIRS: u32 = 1_000_000;
const ROUNDS: usize = 3;

/// The figures, which are printed too.
pub fn figures(quick: bool) -> Vec<Figure> {
    println!("nanoseconds per command by resting orders, each of {ROUNDS} rounds");
    println!("   resting  newest, anywhere, newest after far prices");
    let sizes: &[u64] =
        if quick { &[1_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000, 10_000_000] };
    let mut figures = Vec::new();
    for &size in sizes {
        let mut columns: [Vec<f64>; 3] = Default::default();
        for _ in 0..if quick { 1 } else { ROUNDS } {
            let round = round(size);
            columns.iter_mut().zip(round).for_each(|(column, value)| column.push(value));
        }
        println!("{size:>10}  {columns:.1?}");
        let names = ["newest", "anywhere", "newest, far prices"];
        for (name, column) in names.into_iter().zip(columns) {
            let row = format!("size/{size}/{}", name.replace(", far prices", "-far"));
            let title = format!("place and cancel {name}, {size} resting");
            let figure = Figure::new(&row, &title, "ns/command", Better::Lower, column);
            figures.push(figure.from(FLAGS, &command("size")));
        }
    }
    figures
}

fn round(size: u64) -> [f64; 3] {
    let mut load = Load::new();
    let mut ids: Vec<OrderId> = (0..size).map(|_| load.place()).collect();
    let newest = load.newest();
    let start = Instant::now();
    for _ in 0..PAIRS {
        let at = load.random.below(ids.len());
        black_box(load.book.cancel(ids[at]));
        ids[at] = load.place();
    }
    let anywhere = start.elapsed().as_nanos() as f64 / f64::from(2 * PAIRS);
    for bit in 0..64 {
        load.place_at(Side::Sell, 1_010_000 | 1 << bit);
        load.place_at(Side::Buy, 1_000_000 & !(1 << bit));
    }
    [newest, anywhere, load.newest()]
}

/// A book and what it takes to load it.
struct Load {
    book: FastBook,
    random: Random,
    events: Vec<Event>,
    placed: u64,
}

impl Load {
    fn new() -> Load {
        let scale = Scale::new(1, 0, 1, 0, 0).expect("scale");
        let book = FastBook::new(scale, HASH_SEED);
        Load { book, random: Random::new(), events: Vec::new(), placed: 0 }
    }

    fn place(&mut self) -> OrderId {
        let (side, base) = [(Side::Buy, 1_000_000), (Side::Sell, 1_010_000)][self.random.below(2)];
        let above = self.random.below(10_000) as u64;
        self.place_at(side, base + above)
    }

    fn place_at(&mut self, side: Side, price: u64) -> OrderId {
        self.placed += 1;
        let taker = resting(self.placed, side, price);
        self.book.place(&taker, &mut self.events);
        taker.id
    }

    /// Nanoseconds per command of placing an order and canceling it at once.
    fn newest(&mut self) -> f64 {
        let start = Instant::now();
        for _ in 0..PAIRS {
            let id = self.place();
            black_box(self.book.cancel(id));
        }
        start.elapsed().as_nanos() as f64 / f64::from(2 * PAIRS)
    }
}

fn resting(count: u64, side: Side, price: u64) -> Taker {
    Taker {
        id: OrderId(count << money::SHARD_BITS),
        user: UserId(count % 1_000),
        side,
        price: Price(price),
        qty: Lots(1 + count % 7),
        budget: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        market: false,
        self_trade: SelfTrade::None,
    }
}

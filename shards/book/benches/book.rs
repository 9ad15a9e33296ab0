//! How many commands the books take per second on one core, on real flows.
//!
//! `cargo bench -p ringbook-book --bench book -- [--quick] [--json FILE] [--flow SET] [--rounds N]`
//! The other crates' books are beside it in `benches/peers`.
#![allow(missing_docs)]

#[path = "../tests/common/flows.rs"]
mod flows;
mod harness;

use std::hint::black_box;
use std::time::Instant;

use book::{Book, Event, FastBook, NaiveBook, Taker};
use flows::{Command, Flow};
use harness::{Contender, Fills, Options, measure, report};
use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce, UserId};

const HASH_SEED: u64 = 0x5eed;

fn run<B: Book>(book: &mut B, commands: &[Command], fills: &mut Fills) {
    let mut events = Vec::with_capacity(1_024);
    for command in commands {
        match command {
            Command::Place(taker) => {
                black_box(book.place(taker, &mut events));
                for event in &events {
                    if let Event::Fill { maker, qty, .. } = event {
                        fills.add(maker.0, qty.0);
                    }
                }
                events.clear();
            }
            Command::Cancel(id) => drop(black_box(book.cancel(*id))),
            Command::Reduce(id, by) => drop(black_box(book.reduce(*id, *by))),
        }
    }
}

fn main() {
    let options = Options::parse();
    let mut measurements = Vec::new();
    for set in ["lobster-aapl", "cme-es", "zxi-1m3-cancel"] {
        let Some(flow) = options.wants(set).then(|| Flow::load(set)).flatten() else { continue };
        let scale = flow.symbol.scale().expect("scale");
        let commands = &flow.commands;
        let mut expected = Fills::default();
        flow.trades.iter().for_each(|trade| expected.add(trade.maker.0, trade.qty.0));
        let fast = Contender::new(
            "FastBook",
            move || FastBook::new(scale, HASH_SEED),
            |book: &mut FastBook, fills| run(book, commands, fills),
        );
        let rounds = options.rounds(commands.len());
        measurements.extend(measure(set, commands.len(), rounds, expected, vec![fast]));
        if commands.len() < 100_000 && !options.quick {
            let naive = Contender::new(
                "NaiveBook",
                move || NaiveBook::new(scale),
                |book: &mut NaiveBook, fills| run(book, commands, fills),
            );
            measurements.extend(measure(set, commands.len(), 3, expected, vec![naive]));
        }
    }
    report(&options, &measurements);
    if options.wants("size") {
        by_size(options.quick);
    }
}

/// What a command costs in books of growing size: orders placed and canceled around those that rest;
/// and what it costs there once someone has placed orders all over the 64 bits of the price.
fn by_size(quick: bool) {
    println!("nanoseconds per command by resting orders");
    println!("   resting  filling   newest  anywhere  newest, far prices");
    let sizes: &[u64] =
        if quick { &[1_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000, 10_000_000] };
    for &size in sizes {
        let mut load = Load::new();
        let start = Instant::now();
        let mut ids: Vec<OrderId> = (0..size).map(|_| load.place()).collect();
        let filling = start.elapsed().as_nanos() as f64 / size as f64;
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
        let far = load.newest();
        println!("{size:>10} {filling:>8.1} {newest:>8.1} {anywhere:>9.1} {far:>19.1}");
    }
}

const PAIRS: u32 = 1_000_000;

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
        let random = Random(88_172_645_463_325_252);
        Load { book: FastBook::new(scale, HASH_SEED), random, events: Vec::new(), placed: 0 }
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

/// Small, repeatable pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

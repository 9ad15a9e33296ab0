//! FastBook beside the books of other crates: the same flows, already translated into each crate's
//! own commands, in memory, on one core. Rounds take turns, so that all meet the same machine.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml -- [--quick] [--json FILE]
//! [--flow NAME] [--rounds N]`, where NAME is a set or `mix`
//!
//! Fairness: each crate gets its fastest call that does the flow's commands, and its fills are read
//! as a user would read them. A crate without IOC places and cancels the rest; one without a
//! reduction that keeps priority does the nearest it has. The table says whose fills are not the
//! expected ones.

#[path = "../../../shards/book/tests/common/flows.rs"]
mod flows;
#[path = "../../../shards/book/benches/harness/mod.rs"]
mod harness;
mod peers;

use std::hint::black_box;

use book::{Book, Event, FastBook, Taker};
use flows::{Command, Flow};
use harness::mix::{self, Mixed, Op};
use harness::{Contender, Fills, Measurement, Options, figure, measure, print, write};
use money::{OrderId, Side, TimeInForce};
use suite::{Figure, Spread};

const HASH_SEED: u64 = 0x5eed;

/// A command as every peer can be given it.
#[derive(Clone, Copy)]
pub enum Step {
    /// A limit order.
    Place {
        /// From 1, dense: the nearest to what each crate would choose itself.
        id: u64,
        is_buy: bool,
        price: u64,
        qty: u64,
        is_ioc: bool,
    },
    /// Takes an order out; it may have ended.
    Cancel { id: u64 },
    /// Sets what is left of an order that still rests; the others of its data are repeated for the
    /// crates that must place it anew.
    Reduce { id: u64, is_buy: bool, price: u64, left: u64 },
    /// Gives an order that rests another price.
    Move { id: u64, is_buy: bool, price: u64, left: u64 },
}

fn dense(id: OrderId) -> u64 {
    id.0 >> money::SHARD_BITS
}

fn placing(taker: &Taker) -> Step {
    Step::Place {
        id: dense(taker.id),
        is_buy: taker.side == Side::Buy,
        price: taker.price.0,
        qty: taker.qty.0,
        is_ioc: taker.time_in_force == TimeInForce::Ioc,
    }
}

fn mixed_step(op: &Op) -> Step {
    match *op {
        Op::Place(ref taker) => placing(taker),
        Op::Cancel(id) => Step::Cancel { id: dense(id) },
        Op::Move(id, price, side, left) => {
            Step::Move { id: dense(id), is_buy: side == Side::Buy, price: price.0, left: left.0 }
        }
    }
}

/// Translates a flow, running it once to know what each reduction leaves.
fn steps(flow: &Flow) -> Vec<Step> {
    let mut book = FastBook::new(flow.symbol.scale().expect("scale"), HASH_SEED);
    let mut events = Vec::new();
    let step = |command: &Command| match *command {
        Command::Place(taker) => {
            book.place(&taker, &mut events);
            events.clear();
            placing(&taker)
        }
        Command::Cancel(id) => {
            book.cancel(id);
            Step::Cancel { id: dense(id) }
        }
        Command::Reduce(id, by) => {
            let before = book.get(id);
            book.reduce(id, by);
            match before.filter(|order| order.remaining > by) {
                None => Step::Cancel { id: dense(id) },
                Some(order) => Step::Reduce {
                    id: dense(id),
                    is_buy: order.side == Side::Buy,
                    price: order.price.0,
                    left: order.remaining.0 - by.0,
                },
            }
        }
    };
    flow.commands.iter().map(step).collect()
}

fn run_fast(book: &mut FastBook, commands: &[Command], fills: &mut Fills) {
    let mut events = Vec::with_capacity(1_024);
    for command in commands {
        match command {
            Command::Place(taker) => {
                black_box(book.place(taker, &mut events));
                for event in &events {
                    if let Event::Fill { maker, qty, .. } = event {
                        fills.add(dense(*maker), qty.0);
                    }
                }
                events.clear();
            }
            Command::Cancel(id) => drop(black_box(book.cancel(*id))),
            Command::Reduce(id, by) => drop(black_box(book.reduce(*id, *by))),
        }
    }
}

fn run_mixed(book: &mut FastBook, ops: &[Op], fills: &mut Fills) {
    let mut events = Vec::with_capacity(1_024);
    for op in ops {
        match op {
            Op::Place(taker) => drop(black_box(book.place(taker, &mut events))),
            Op::Cancel(id) => drop(black_box(book.cancel(*id))),
            Op::Move(id, price, ..) => drop(black_box(book.move_price(*id, *price, &mut events))),
        }
        for event in events.drain(..) {
            if let Event::Fill { maker, qty, .. } = event {
                fills.add(dense(maker), qty.0);
            }
        }
    }
}

/// FastBook's figure beside the fastest of the others, then one for each of those.
fn figures(measured: &[Measurement]) -> Vec<Figure> {
    print(measured);
    let Some((ours, others)) = measured.split_first() else { return Vec::new() };
    let flow = &ours.flow;
    let median = |row: &&Measurement| Spread::of(&row.rates).map_or(0.0, |spread| spread.median);
    let Some(best) = others.iter().max_by(|a, b| median(a).total_cmp(&median(b))) else {
        return Vec::new();
    };
    let command = format!(
        "cargo run --release --manifest-path benches/peers/Cargo.toml -- --flow {}",
        if flow.starts_with("mix") { "mix" } else { flow }
    );
    let flags = "in memory, decoded, one thread, rounds in turn";
    let ahead = figure(&format!("peers/{flow}"), ours).beside(best.book, best.rates.clone());
    let other = |row: &Measurement| figure(&format!("peers/{flow}/{}", row.book), row);
    let all = std::iter::once(ahead.ratio_target(1.0)).chain(others.iter().map(other));
    all.map(|figure| figure.from(flags, &command)).collect()
}

fn main() {
    let options = Options::parse();
    let mut all = Vec::new();
    for set in ["lobster-aapl", "cme-es", "zxi-1m3-cancel"] {
        let Some(flow) = options.wants(set).then(|| Flow::load(set)).flatten() else { continue };
        let mut expected = Fills::default();
        flow.trades.iter().for_each(|trade| expected.add(dense(trade.maker), trade.qty.0));
        let (scale, commands) = (flow.symbol.scale().expect("scale"), &flow.commands);
        let steps = steps(&flow);
        let mut contenders = vec![Contender::new(
            "FastBook",
            move || FastBook::new(scale, HASH_SEED),
            |book: &mut FastBook, fills| run_fast(book, commands, fills),
        )];
        contenders.extend(peers::all(&[], &steps, commands.len() > 1_000_000));
        let rounds = options.rounds(commands.len()).min(11);
        all.extend(figures(&measure(set, commands.len(), rounds, expected, contenders)));
    }
    if options.wants("mix") {
        for resting in [1_000, 100_000] {
            all.extend(on_mix(resting, &options));
        }
    }
    write(&options, &all);
}

const MIXED_COMMANDS: usize = 300_000;

fn on_mix(resting: usize, options: &Options) -> Vec<Figure> {
    let commands = if options.quick { MIXED_COMMANDS / 10 } else { MIXED_COMMANDS };
    let mixed = Mixed::make(resting, commands);
    let translated = |ops: &[Op]| ops.iter().map(mixed_step).collect::<Vec<Step>>();
    let (filling, steps) = (translated(&mixed.filling), translated(&mixed.ops));
    let make = || {
        let mut book = FastBook::new(mix::scale(), HASH_SEED);
        run_mixed(&mut book, &mixed.filling, &mut Fills::default());
        book
    };
    let work = |book: &mut FastBook, fills: &mut Fills| run_mixed(book, &mixed.ops, fills);
    let mut contenders = vec![Contender::new("FastBook", make, work)];
    contenders.extend(peers::all(&filling, &steps, resting > 10_000));
    let rounds = options.rounds(commands).min(7);
    figures(&measure(&format!("mix-{resting}"), commands, rounds, mixed.expected, contenders))
}

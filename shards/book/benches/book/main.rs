//! How many commands the book takes per second on one core, on real flows and on a generated one, and
//! how long each of them takes.
//!
//! `cargo bench -p ringbook-book --bench book -- [--quick] [--json FILE] [--flow NAME] [--rounds N]
//! [--once]`, where NAME is a set, `mix`, `size` or `latency`. The other crates' books are beside it
//! in `benches/peers`.
#![allow(missing_docs)]

#[path = "../../tests/common/flows.rs"]
mod flows;
#[path = "../harness/mod.rs"]
mod harness;
mod latency;
mod size;

use std::hint::black_box;

use book::{Book, Event, FastBook, NaiveBook};
use flows::{Command, Flow};
use harness::mix::{self, Mixed, Op};
use harness::{Contender, Fills, Measurement, Options, figure, measure, print, write};
use suite::Figure;

const HASH_SEED: u64 = 0x5eed;
const SETS: [&str; 3] = ["lobster-aapl", "cme-es", "zxi-1m3-cancel"];
/// Million commands per second on the real flows.
const AIM: f64 = 15.0;
const MIXED_COMMANDS: usize = 1_000_000;

fn command(name: &str) -> String {
    format!("cargo bench -p ringbook-book --bench book -- --flow {name}")
}

const FLAGS: &str = "in memory, decoded, one thread";

fn note(event: &Event, fills: &mut Fills) {
    if let Event::Fill { maker, qty, .. } = event {
        fills.add(maker.0 >> money::SHARD_BITS, qty.0);
    }
}

/// By this name a counter of instructions finds what is to be counted.
#[inline(never)]
fn counted_flow<B: Book>(book: &mut B, commands: &[Command], fills: &mut Fills) {
    let mut events = Vec::with_capacity(1_024);
    for command in commands {
        apply(book, command, &mut events);
        events.drain(..).for_each(|event| note(&event, fills));
    }
}

#[inline]
fn apply<B: Book>(book: &mut B, command: &Command, events: &mut Vec<Event>) {
    match command {
        Command::Place(taker) => drop(black_box(book.place(taker, events))),
        Command::Cancel(id) => drop(black_box(book.cancel(*id))),
        Command::Reduce(id, by) => drop(black_box(book.reduce(*id, *by))),
    }
}

#[inline(never)]
fn counted_mix(book: &mut FastBook, ops: &[Op], fills: &mut Fills) {
    let mut events = Vec::with_capacity(1_024);
    for op in ops {
        match op {
            Op::Place(taker) => drop(black_box(book.place(taker, &mut events))),
            Op::Cancel(id) => drop(black_box(book.cancel(*id))),
            Op::Move(id, price, ..) => drop(black_box(book.move_price(*id, *price, &mut events))),
        }
        events.drain(..).for_each(|event| note(&event, fills));
    }
}

fn main() {
    // `cargo test --all-targets` runs this too, without it.
    if !std::env::args().any(|word| word == "--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let options = Options::parse();
    if options.once {
        return once(&options);
    }
    let mut figures = Vec::new();
    for set in SETS {
        let Some(flow) = options.wants(set).then(|| Flow::load(set)).flatten() else { continue };
        figures.push(on_flow(&flow, &options));
        if flow.commands.len() < 100_000 || options.flow.is_some() {
            figures.extend(latency::figures(&flow, options.quick));
        }
    }
    if options.wants("mix") {
        let sizes: &[usize] =
            if options.quick { &[1_000, 100_000] } else { &[1_000, 100_000, 10_000_000] };
        figures.extend(sizes.iter().map(|&size| on_mix(size, &options)));
    }
    if options.wants("size") {
        figures.extend(size::figures(options.quick));
    }
    write(&options, &figures);
}

fn expected(flow: &Flow) -> Fills {
    let mut fills = Fills::default();
    let trades = flow.trades.iter();
    trades.for_each(|trade| fills.add(trade.maker.0 >> money::SHARD_BITS, trade.qty.0));
    fills
}

fn on_flow(flow: &Flow, options: &Options) -> Figure {
    let scale = flow.symbol.scale().expect("scale");
    let (commands, expected) = (&flow.commands, expected(flow));
    let fast = Contender::new(
        "FastBook",
        move || FastBook::new(scale, HASH_SEED),
        |book: &mut FastBook, fills| counted_flow(book, commands, fills),
    );
    let rounds = options.rounds(commands.len());
    let mut measured = measure(&flow.name, commands.len(), rounds, expected, vec![fast]);
    if commands.len() < 100_000 && !options.quick {
        let naive = Contender::new(
            "NaiveBook",
            move || NaiveBook::new(scale),
            |book: &mut NaiveBook, fills| counted_flow(book, commands, fills),
        );
        measured.extend(measure(&flow.name, commands.len(), 3, expected, vec![naive]));
    }
    print(&measured);
    told(&measured[0], &flow.name).target(AIM)
}

fn told(measured: &Measurement, name: &str) -> Figure {
    let row = format!("book/{}", measured.flow);
    figure(&row, measured).from(FLAGS, &command(name))
}

fn filled(mixed: &Mixed) -> FastBook {
    let mut book = FastBook::new(mix::scale(), HASH_SEED);
    fill(&mut book, &mixed.filling);
    book
}

fn fill(book: &mut FastBook, ops: &[Op]) {
    let mut events = Vec::new();
    for op in ops {
        if let Op::Place(taker) = op {
            book.place(taker, &mut events);
        }
    }
}

fn on_mix(resting: usize, options: &Options) -> Figure {
    let commands = if options.quick { MIXED_COMMANDS / 5 } else { MIXED_COMMANDS };
    let mixed = Mixed::make(resting, commands);
    let fast = Contender::new(
        "FastBook",
        || filled(&mixed),
        |book: &mut FastBook, fills| counted_mix(book, &mixed.ops, fills),
    );
    let rounds = if resting > 1_000_000 { 3 } else { options.rounds(commands) };
    let name = format!("mix-{resting}");
    let measured = measure(&name, commands, rounds, mixed.expected, vec![fast]);
    print(&measured);
    told(&measured[0], "mix")
}

fn once(options: &Options) {
    let name = options.flow.as_deref().expect("--once needs --flow");
    let mut fills = Fills::default();
    if name == "mix" {
        let mixed = Mixed::make(1_000, MIXED_COMMANDS / 5);
        counted_mix(&mut filled(&mixed), &mixed.ops, &mut fills);
        return println!("{} commands", mixed.ops.len());
    }
    let Some(flow) = Flow::load(name) else { return };
    let mut book = FastBook::new(flow.symbol.scale().expect("scale"), HASH_SEED);
    counted_flow(&mut book, &flow.commands, &mut fills);
    println!("{} commands", flow.commands.len());
}

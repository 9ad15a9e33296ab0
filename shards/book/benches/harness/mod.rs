//! How books are measured: the same commands, already in memory, through each book, round by round
//! in turn so that a slow moment of the machine hits all; the median counts.
#![allow(dead_code, missing_docs)]

pub mod mix;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use suite::{Better, Figure, Spread, write_figures};

/// What a book did with a flow, to see that it did the work: how many fills, and their makers and
/// quantities mixed in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fills {
    pub count: u64,
    mix: u64,
}

impl Fills {
    #[inline]
    pub fn add(&mut self, maker: u64, qty: u64) {
        self.count += 1;
        self.mix = self.mix.rotate_left(7) ^ maker ^ qty << 20;
    }
}

/// One book on one flow.
pub struct Contender<'a> {
    pub name: &'static str,
    /// Runs the whole flow through a new book and returns how long the commands took.
    pub run: Box<dyn FnMut() -> (Duration, Fills) + 'a>,
}

impl<'a> Contender<'a> {
    /// `make` is not timed, neither is dropping what it made.
    pub fn new<B: 'a>(
        name: &'static str,
        make: impl Fn() -> B + 'a,
        work: impl Fn(&mut B, &mut Fills) + 'a,
    ) -> Contender<'a> {
        let run = move || {
            let (mut book, mut fills) = (make(), Fills::default());
            let start = Instant::now();
            work(&mut book, &mut fills);
            (start.elapsed(), fills)
        };
        Contender { name, run: Box::new(run) }
    }
}

/// The result of one book on one flow.
pub struct Measurement {
    pub flow: String,
    pub book: &'static str,
    /// Million commands per second, of each round.
    pub rates: Vec<f64>,
    pub fills: u64,
    pub as_expected: bool,
}

/// Options of the command line.
pub struct Options {
    pub quick: bool,
    pub json: Option<PathBuf>,
    pub flow: Option<String>,
    pub rounds: Option<usize>,
    /// Runs `flow` once and nothing else, for whoever counts instructions.
    pub once: bool,
}

impl Options {
    pub fn parse() -> Options {
        let mut options =
            Options { quick: false, json: None, flow: None, rounds: None, once: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = arguments.next().map(PathBuf::from),
                "--once" => options.once = true,
                "--flow" => options.flow = arguments.next(),
                "--rounds" => options.rounds = arguments.next().and_then(|text| text.parse().ok()),
                // Cargo passes this one.
                "--bench" => {}
                other => {
                    panic!(
                        "unknown option {other}: --quick --json FILE --flow SET --rounds N --once"
                    )
                }
            }
        }
        options
    }

    pub fn wants(&self, flow: &str) -> bool {
        self.flow.as_deref().is_none_or(|wanted| wanted == flow)
    }

    /// Enough rounds that the small flows take about as long as the large one.
    pub fn rounds(&self, commands: usize) -> usize {
        let rounds = if self.quick { 3 } else { (6_000_000 / commands).clamp(5, 41) };
        self.rounds.unwrap_or(rounds)
    }
}

pub fn measure(
    flow: &str,
    commands: usize,
    rounds: usize,
    expected: Fills,
    mut contenders: Vec<Contender<'_>>,
) -> Vec<Measurement> {
    let mut rates = vec![Vec::new(); contenders.len()];
    let mut seen = vec![Fills::default(); contenders.len()];
    for _ in 0..rounds {
        for (at, contender) in contenders.iter_mut().enumerate() {
            let (elapsed, fills) = (contender.run)();
            rates[at].push(commands as f64 / elapsed.as_secs_f64() / 1e6);
            seen[at] = fills;
        }
    }
    let measurement = |(at, contender): (usize, &Contender<'_>)| Measurement {
        flow: flow.to_owned(),
        book: contender.name,
        rates: rates[at].clone(),
        fills: seen[at].count,
        as_expected: seen[at] == expected,
    };
    contenders.iter().enumerate().map(measurement).collect()
}

/// Prints the table.
pub fn print(measurements: &[Measurement]) {
    println!("million commands/s, one core: median (lowest to highest round)");
    for row in measurements {
        let Some(spread) = Spread::of(&row.rates) else { continue };
        println!(
            "{:<16} {:<14} {:>7.2} ({:>6.2} to {:>6.2}) {:>3} rounds  {:>7} fills{}",
            row.flow,
            row.book,
            spread.median,
            spread.lowest,
            spread.highest,
            row.rates.len(),
            row.fills,
            if row.as_expected { "" } else { "  NOT the expected fills" },
        );
    }
}

/// One book's rate on one flow.
pub fn figure(name: &str, row: &Measurement) -> Figure {
    let (title, unit) = (format!("{}, {}", row.book, row.flow), "M commands/s");
    let figure = Figure::new(name, &title, unit, Better::Higher, row.rates.clone());
    match row.as_expected {
        true => figure,
        false => figure.note(format!("{} fills, not the expected ones", row.fills)),
    }
}

/// Writes the figures where asked to.
pub fn write(options: &Options, figures: &[Figure]) {
    if let Some(path) = &options.json {
        write_figures(path, figures).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Small, repeatable pseudo-random numbers.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        Random(88_172_645_463_325_252)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

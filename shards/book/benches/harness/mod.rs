//! How books are measured: the same commands, already in memory, through each book, round by round
//! in turn so that a slow moment of the machine hits all; the median counts.
#![allow(dead_code, missing_docs)]

use std::time::{Duration, Instant};

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
    pub commands: usize,
    pub rounds: usize,
    /// Commands per second.
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
    pub fills: u64,
    pub as_expected: bool,
}

/// Options of the command line.
pub struct Options {
    pub quick: bool,
    pub json: Option<String>,
    pub flow: Option<String>,
    pub rounds: Option<usize>,
}

impl Options {
    pub fn parse() -> Options {
        let mut options = Options { quick: false, json: None, flow: None, rounds: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--json" => options.json = arguments.next(),
                "--flow" => options.flow = arguments.next(),
                "--rounds" => options.rounds = arguments.next().and_then(|text| text.parse().ok()),
                // Cargo passes this one.
                "--bench" => {}
                other => {
                    panic!("unknown option {other}: --quick --json FILE --flow SET --rounds N")
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
            rates[at].push(commands as f64 / elapsed.as_secs_f64());
            seen[at] = fills;
        }
    }
    let measurement = |(at, contender): (usize, &Contender<'_>)| {
        let mut sorted = rates[at].clone();
        sorted.sort_by(f64::total_cmp);
        Measurement {
            flow: flow.to_owned(),
            book: contender.name,
            commands,
            rounds,
            median: sorted[sorted.len() / 2],
            lowest: sorted[0],
            highest: sorted[sorted.len() - 1],
            fills: seen[at].count,
            as_expected: seen[at] == expected,
        }
    };
    contenders.iter().enumerate().map(measurement).collect()
}

/// Prints the table, and writes the JSON where asked to.
pub fn report(options: &Options, measurements: &[Measurement]) {
    println!("million commands/s, one core: median (lowest to highest round)");
    for row in measurements {
        let million = |rate: f64| rate / 1e6;
        println!(
            "{:<16} {:<14} {:>7.2} ({:>6.2} to {:>6.2}) {:>3} rounds  {:>7} fills{}",
            row.flow,
            row.book,
            million(row.median),
            million(row.lowest),
            million(row.highest),
            row.rounds,
            row.fills,
            if row.as_expected { "" } else { "  NOT the expected fills" },
        );
    }
    let Some(path) = &options.json else { return };
    let rows: Vec<String> = measurements
        .iter()
        .map(|row| {
            format!(
                concat!(
                    "  {{\"flow\": \"{}\", \"book\": \"{}\", \"commands\": {}, \"rounds\": {}, ",
                    "\"median_commands_per_second\": {:.0}, \"lowest\": {:.0}, \"highest\": {:.0}, ",
                    "\"fills\": {}, \"fills_as_expected\": {}}}"
                ),
                row.flow,
                row.book,
                row.commands,
                row.rounds,
                row.median,
                row.lowest,
                row.highest,
                row.fills,
                row.as_expected
            )
        })
        .collect();
    std::fs::write(path, format!("[\n{}\n]\n", rows.join(",\n"))).expect("JSON is written");
}

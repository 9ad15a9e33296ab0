//! The same load on 1 to N shards: what an order costs, how often it crosses, and what that says about
//! machines with more cores; then a load of which nine tenths are one symbol's, and what helps.
//!
//! Where the server has fewer cores than shards they share them, and only the cost counts: a prediction
//! from it says what so many shards would do with a core each.

mod chart;
mod model;
mod run;

use anyhow::Result;
use suite::{Better, Figure, Spread};

use self::chart::{Panel, Series};
use self::model::{Cost, Crossing, Usl};
use self::run::{Flow, Sample, all_symbols, symbol};
use crate::own::Context;
use crate::server::Cores;

const ROUNDS: usize = 3;
const SECONDS: u32 = 6;
/// For each shard: with the same number for more shards every batch would be smaller.
const CONNECTIONS: usize = 64;
/// Far below what one shard can do, for latency.
const LATENCY_RATE: u32 = 2_000;
/// Cores to predict for.
const PREDICTED: [f64; 5] = [4.0, 8.0, 16.0, 32.0, 64.0];
const SKEWED_SHARDS: usize = 4;
/// The drawing, beside the figures that are kept.
pub const SVG: &str = "scaling.svg";

const COMMAND: &str = "scripts/scaling";

/// Shards, and the rounds with them.
struct Measured {
    shards: usize,
    busy: Vec<Sample>,
    calm: Vec<Sample>,
}

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    let (rounds, seconds) = if context.quick { (1, 2) } else { (ROUNDS, SECONDS) };
    let counts = shard_counts();
    let mut all: Vec<Measured> = counts
        .iter()
        .map(|&shards| Measured { shards, busy: Vec::new(), calm: Vec::new() })
        .collect();
    for _ in 0..rounds {
        for one in &mut all {
            let flow = |rate| Flow {
                connections: CONNECTIONS * one.shards,
                symbols: all_symbols(),
                users: "1000".to_owned(),
                rate,
                shard: None,
            };
            one.busy.push(run::run(context, one.shards, &[flow(0)], seconds)?);
            one.calm.push(run::run(context, one.shards, &[flow(LATENCY_RATE)], seconds)?);
        }
    }
    let costs: Vec<Cost> =
        all.iter().map(|one| (one.shards as f64, one.median(|s| s.cpu_us))).collect();
    let mut figures: Vec<Figure> = all.iter().flat_map(told).collect();
    let by_share = |one: &Measured| (one.median(|s| s.crossing), one.median(|s| s.cpu_us));
    let crossing = Crossing::fit(&all.iter().map(by_share).collect::<Vec<_>>());
    figures.extend(predicted(&costs, crossing));
    draw(context, &all, &costs, crossing)?;
    figures.extend(skewed(context, rounds, seconds)?);
    Ok(figures)
}

/// 1, 2, 4 … up to the cores that the server may have, at least to 8.
fn shard_counts() -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = (cores / 2).max(8);
    (0..).map(|power| 1 << power).take_while(|&shards| shards <= most).collect()
}

impl Measured {
    fn median(&self, field: fn(&Sample) -> f64) -> f64 {
        let values: Vec<f64> = self.busy.iter().map(field).collect();
        Spread::of(&values).map_or(0.0, |spread| spread.median)
    }
}

fn flags(shards: usize) -> String {
    let Ok(cores) = Cores::split(shards) else { return String::new() };
    let (server, client) = (Cores::list(&cores.server), Cores::list(&cores.client));
    format!(
        "serve --shards {shards} --cores {server} --snapshot-every-mib 0, load http --mix place=1 \
         --connections {} on cores {client}, {} symbols, 1,000 users",
        CONNECTIONS * shards,
        run::SYMBOLS
    )
}

fn told(one: &Measured) -> Vec<Figure> {
    let shards = one.shards;
    let plural = if shards == 1 { "" } else { "s" };
    let flags = flags(shards);
    let figure =
        |from: &[Sample], what: &str, title: &str, unit: &str, field: fn(&Sample) -> f64| {
            let better = if unit == "orders/s" { Better::Higher } else { Better::Lower };
            let (row, title) =
                (format!("scaling/{shards}/{what}"), format!("{shards} shard{plural}, {title}"));
            let values = from.iter().map(field).collect();
            Figure::new(&row, &title, unit, better, values).from(&flags, COMMAND)
        };
    vec![
        figure(&one.busy, "rate", "closed loop", "orders/s", |s| s.per_s),
        figure(&one.busy, "cpu", "CPU", "µs/order", |s| s.cpu_us),
        figure(&one.busy, "busiest", "CPU of the busiest shard", "µs/order", |s| s.busiest_us),
        figure(&one.busy, "hops", "requests forwarded to their user's shard", "per order", |s| {
            s.hops
        }),
        figure(&one.busy, "crossing", "orders for a symbol of another shard", "per order", |s| {
            s.crossing
        }),
        figure(&one.busy, "messages", "messages between shards", "per order", |s| s.messages),
        figure(&one.busy, "parcels", "parcels that carry these", "per order", |s| s.parcels),
        figure(&one.calm, "p50", "2,000 orders/s, p50", "µs", |s| s.p50_us),
        figure(&one.calm, "p99", "2,000 orders/s, p99", "µs", |s| s.p99_us),
    ]
}

fn predicted(costs: &[Cost], crossing: Crossing) -> Vec<Figure> {
    let Some(usl) = Usl::fit(costs) else { return Vec::new() };
    let note = format!(
        "σ = {:.4}, κ = {:.5}, {:.1} µs an order on one shard; crossing: {:.1} µs and {:.1} µs more",
        usl.sigma, usl.kappa, usl.alone, crossing.local, crossing.more
    );
    let figure = |(at, cores): (usize, f64)| {
        let row = format!("scaling/predicted/{cores}");
        let title = format!("predicted with a core for each of {cores} shards");
        let by_law = usl.speedup(cores) * 1e6 / usl.alone;
        let by_crossing = crossing.speedup(cores) * 1e6 / crossing.local;
        let figure = Figure::new(&row, &title, "orders/s", Better::Higher, vec![by_law])
            .beside("by crossing alone", vec![by_crossing])
            .from("universal scalability law, least squares over the CPU per order above", COMMAND);
        if at == 0 { figure.note(note.clone()) } else { figure }
    };
    PREDICTED.into_iter().enumerate().map(figure).collect()
}

fn draw(context: &Context, all: &[Measured], costs: &[Cost], crossing: Crossing) -> Result<()> {
    let series = |name: &str, points, is_dots| Series { name: name.to_owned(), points, is_dots };
    let calm = |field: fn(&Sample) -> f64| {
        let median = |one: &Measured| {
            let values: Vec<f64> = one.calm.iter().map(field).collect();
            Spread::of(&values).map(|spread| (one.shards as f64, spread.median / 1e3))
        };
        all.iter().filter_map(median).collect::<Vec<_>>()
    };
    let mut panels = vec![
        Panel {
            title: "Cost".to_owned(),
            y_label: "server CPU, µs per order".to_owned(),
            series: vec![series("measured", costs.to_vec(), true)],
        },
        Panel {
            title: "Latency at 2,000 orders/s".to_owned(),
            y_label: "order to durable answer, ms".to_owned(),
            series: vec![
                series("p50", calm(|s| s.p50_us), false),
                series("p99", calm(|s| s.p99_us), false),
            ],
        },
    ];
    if let Some(usl) = Usl::fit(costs) {
        let line = |speedup: &dyn Fn(f64) -> f64| {
            let points = (0..=24).map(|step| 2_f64.powf(f64::from(step) / 4.0));
            points.map(|n| (n, speedup(n) * 1e3 / usl.alone)).collect::<Vec<_>>()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let own_core = all.iter().filter(|one| one.shards <= (cores / 2).max(1));
        let measured = own_core.map(|one| (one.shards as f64, one.median(|s| s.per_s) / 1e3));
        panels.push(Panel {
            title: "Throughput, a core for each shard".to_owned(),
            y_label: "thousand orders/s".to_owned(),
            series: vec![
                series("scalability law", line(&|n| usl.speedup(n)), false),
                series("crossing alone", line(&|n| crossing.speedup(n)), false),
                series("linear", line(&|n| n), false),
                series("measured", measured.collect(), true),
            ],
        });
    }
    let directory = context.places.target.join("bench");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(SVG), chart::draw(&panels, "shards"))?;
    Ok(())
}

/// Where the users of the hot symbol are at home, and where their orders arrive.
const HOMES: [(&str, &str, &str, Option<u16>); 4] = [
    ("spread", "its users everywhere", "2000000..2000999", None),
    ("near", "its users on its shard", "2000000..2003999/4", None),
    ("port", "the same, over that shard's own port", "2000000..2003999/4", Some(0)),
    ("away", "its users on another shard", "2000001..2004000/4", None),
];

/// Nine tenths of the load are of one symbol. What bounds it with a core for each shard is the shard that
/// works most.
fn skewed(context: &Context, rounds: usize, seconds: u32) -> Result<Vec<Figure>> {
    let mut columns: Vec<Vec<Sample>> = vec![Vec::new(); HOMES.len()];
    let others: Vec<String> = (1..run::SYMBOLS).map(symbol).collect();
    for _ in 0..rounds {
        for ((_, _, users, shard), column) in HOMES.iter().zip(&mut columns) {
            let hot = Flow {
                connections: CONNECTIONS * SKEWED_SHARDS * 9 / 10,
                symbols: symbol(0),
                users: (*users).to_owned(),
                rate: 0,
                shard: *shard,
            };
            let rest = Flow {
                connections: CONNECTIONS * SKEWED_SHARDS / 10,
                symbols: others.join(","),
                users: "3000000..3000999".to_owned(),
                rate: 0,
                shard: None,
            };
            column.push(run::run(context, SKEWED_SHARDS, &[hot, rest], seconds)?);
        }
    }
    let mut figures = Vec::new();
    for ((row, title, ..), column) in HOMES.iter().zip(&columns) {
        let values = |field: fn(&Sample) -> f64| column.iter().map(field).collect::<Vec<_>>();
        let percent = |field: fn(&Sample) -> f64| {
            Spread::of(&values(field)).map_or(0.0, |spread| spread.median * 100.0)
        };
        let (share, crossing) = (percent(|s| s.first_share), percent(|s| s.crossing));
        let bound = values(|s| 1e6 / s.busiest_us);
        let (row, title) =
            (format!("scaling/skew/{row}"), format!("one symbol has most of the flow, {title}"));
        let flags = flags(SKEWED_SHARDS);
        let figure = |what: &str, name: &str, unit: &str, better, values| {
            let (row, title) = (format!("{row}{what}"), format!("{title}, {name}"));
            Figure::new(&row, &title, unit, better, values).from(&flags, COMMAND)
        };
        figures.push(figure("", "most with a core each", "orders/s", Better::Higher, bound).note(
            format!(
                "{share:.0} % are of the symbol, {crossing:.0} % of all cross; what its busiest shard \
                 allows"
            ),
        ));
        figures.push(figure("/cpu", "CPU", "µs/order", Better::Lower, values(|s| s.cpu_us)));
    }
    Ok(figures)
}

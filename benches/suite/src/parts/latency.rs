//! How long an order takes until it is durable, matched and pushed, at rates far below what the server
//! can do, and where in the server that time goes. `ringbook load` sends by a schedule and counts from
//! it, so nothing is omitted.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use suite::{Better, Figure};

use crate::own::Context;
use crate::parts::divided::{Divided, Reading};
use crate::server::{Cores, Server, spawn_on};

const ROUNDS: usize = 5;
const SECONDS: u32 = 8;
const RATES: [u32; 3] = [1_000, 10_000, 50_000];
/// What an operator may choose instead of the default: its name among the rows, and the flags.
const CHOICES: [(&str, &str); 3] = [
    ("spin", "--spin-us 50"),
    ("gather", "--gather-us 100"),
    ("fdatasync", "--durability fdatasync"),
];
/// Code of the native dialect: the order has ended.
const ORDER_NOT_OPEN: u32 = 4002;
/// Order to durable answer on an idle machine, in µs.
const AIM_P50: f64 = 100.0;
const AIM_P99: f64 = 1_000.0;
/// Order to push at 10,000 orders/s, in µs.
const AIM_PUSH_P99: f64 = 5_000.0;
const QUANTILES: [(&str, &str); 4] =
    [("p50", "p50"), ("p99", "p99"), ("p99.9", "p99_9"), ("max", "max")];

/// A server and a load, of which several rounds are run.
struct Case {
    row: String,
    /// Of what is told by itself; empty: it only stands beside another one.
    title: String,
    shards: u32,
    /// Further ones of `serve`.
    flags: &'static str,
    /// Of `ringbook load`.
    load: Vec<String>,
    /// Where in its results the times are.
    field: &'static str,
    /// The row of the case that stands beside it, and its name there.
    beside: Option<(String, &'static str)>,
    /// Of a case whose parts are told, what is told of.
    divided: Option<&'static str>,
}

/// What some rounds of a case have given.
#[derive(Clone, Default)]
struct Rounds {
    /// One column for each of [`QUANTILES`].
    columns: [Vec<f64>; QUANTILES.len()],
    divided: Vec<Divided>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Case {
    fn new(row: &str, title: &str, shards: u32, load: &str) -> Case {
        Case {
            row: format!("latency/{row}"),
            title: title.to_owned(),
            shards,
            flags: "",
            load: words(load),
            field: "latency_ns",
            beside: None,
            divided: None,
        }
    }
}

fn cases(quick: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for rate in RATES.into_iter().take(if quick { 2 } else { RATES.len() }) {
        let load = format!("http --rate {rate} --mix place=1 --connections 64");
        let title = format!("order to durable answer, {rate}/s");
        let default = format!("latency/{rate}");
        let divided = (rate == RATES[0]).then_some("one shard");
        let beside = (!quick).then(|| (format!("{default}/spin"), "--spin-us 50"));
        cases.push(Case { divided, beside, ..Case::new(&rate.to_string(), &title, 1, &load) });
        // What each choice is worth takes many rounds to tell.
        for (name, flags) in CHOICES.into_iter().filter(|_| !quick) {
            let beside = Some((default.clone(), "default"));
            // Spinning stands beside the default, which is no figure beside spinning.
            let (title, beside) = match name {
                "spin" => (String::new(), None),
                _ => (format!("{title}, {flags}"), beside),
            };
            let case = Case::new(&format!("{rate}/{name}"), &title, 1, &load);
            cases.push(Case { flags, beside, ..case });
        }
    }
    // The symbol is on shard 0; a user's home is the number's remainder.
    let wait = "http --rate 1000 --mix place_wait=1 --connections 16 --symbols BTC_USDT";
    let title = "order settled, two shards, its user on another than the symbol";
    cases.push(Case {
        beside: Some(("latency/cross/local".to_owned(), "local")),
        divided: Some("two shards, across"),
        ..Case::new("cross", title, 2, &format!("{wait} --users 2000001..2000001"))
    });
    cases.push(Case {
        divided: Some("two shards, local"),
        ..Case::new("cross/local", "", 2, &format!("{wait} --users 2000000..2000000"))
    });
    let title = "order to push over WebSocket, 10,000/s";
    let push = Case::new("push", title, 1, "ws --connections 100 --traders 50 --rate 10000");
    cases.push(Case { field: "order_to_push_ns", ..push });
    cases
}

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    let cases = cases(context.quick);
    let mut all = vec![Rounds::default(); cases.len()];
    for _ in 0..if context.quick { 1 } else { ROUNDS } {
        for (case, rounds) in cases.iter().zip(&mut all) {
            let (times_us, divided) = run(context, case)?;
            rounds.columns.iter_mut().zip(times_us).for_each(|(column, us)| column.push(us));
            rounds.divided.extend(divided);
        }
    }
    let rounds_of = |row: &str| {
        let found = cases.iter().zip(&all).find(|(case, _)| case.row == row);
        found.map(|(_, rounds)| rounds)
    };
    let mut figures = Vec::new();
    for (case, rounds) in cases.iter().zip(&all).filter(|(case, _)| !case.title.is_empty()) {
        let beside = case.beside.as_ref();
        let beside = beside.and_then(|(row, name)| Some((*name, rounds_of(row)?)));
        figures.extend(told(case, rounds, beside)?);
    }
    for (case, rounds) in cases.iter().zip(&all) {
        if let Some(whose) = case.divided {
            let (flags, command) = (flags(case)?, command(case));
            let parts = Divided::figures(&case.row, whose, &rounds.divided);
            figures.extend(parts.into_iter().map(|figure| figure.from(&flags, &command)));
        }
    }
    Ok(figures)
}

fn command(case: &Case) -> String {
    format!("ringbook load {}", case.load.join(" "))
}

fn flags(case: &Case) -> Result<String> {
    let cores = Cores::split(case.shards as usize)?;
    let (server, client) = (Cores::list(&cores.server), Cores::list(&cores.client));
    let more = if case.flags.is_empty() { String::new() } else { format!(" {}", case.flags) };
    Ok(format!(
        "serve --shards {} --cores {server}{more}, the generator on core {client}",
        case.shards
    ))
}

fn told(case: &Case, rounds: &Rounds, beside: Option<(&str, &Rounds)>) -> Result<Vec<Figure>> {
    let (flags, command) = (flags(case)?, command(case));
    let figure = |(at, (name, _)): (usize, (&str, &str))| {
        let (row, title) = (format!("{}/{name}", case.row), format!("{}, {name}", case.title));
        let values = rounds.columns[at].clone();
        let mut figure =
            Figure::new(&row, &title, "µs", Better::Lower, values).from(&flags, &command);
        if let Some((name, other)) = beside {
            figure = figure.beside(name, other.columns[at].clone());
        }
        figure.target = match figure.row.as_str() {
            "latency/1000/p50" => Some(AIM_P50),
            "latency/1000/p99" => Some(AIM_P99),
            "latency/push/p99" => Some(AIM_PUSH_P99),
            _ => None,
        };
        figure
    };
    let mut figures: Vec<Figure> = QUANTILES.into_iter().enumerate().map(figure).collect();
    // What waiting for others is for.
    if let Some((name, other)) = beside.filter(|_| case.flags.contains("--gather-us")) {
        let writes = |rounds: &Rounds| rounds.divided.iter().map(|one| one.writes_each).collect();
        let (row, title) = (format!("{}/writes", case.row), format!("{}, writes", case.title));
        let figure = Figure::new(&row, &title, "per order", Better::Lower, writes(rounds));
        figures.push(figure.beside(name, writes(other)).from(&flags, &command));
    }
    Ok(figures)
}

fn run(context: &Context, case: &Case) -> Result<([f64; QUANTILES.len()], Option<Divided>)> {
    let scratch = &context.places.scratch;
    let (data, json) = (scratch.join("latency"), scratch.join("load.json"));
    let _ = std::fs::remove_dir_all(&data);
    let cores = Cores::split(case.shards as usize)?;
    let (shards, list) = (case.shards.to_string(), Cores::list(&cores.server));
    let data = data.to_string_lossy();
    let mut arguments = vec!["--shards", &shards, "--cores", &list, "--data", &data];
    arguments.extend(case.flags.split_whitespace());
    let server = Server::ringbook(&context.places.target, scratch, &cores.server, &arguments)?;
    let seconds = if context.quick { 2 } else { SECONDS };
    let mut load = Command::new(context.places.target.join("release/ringbook"));
    load.arg("load").args(&case.load).args(["--url", &server.url(), "--warmup-s", "1"]);
    load.args(["--duration-s", &seconds.to_string(), "--json"]).arg(&json);
    load.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut load = spawn_on(&cores.client, &mut load)?;
    let before = match case.field {
        "latency_ns" => Reading::at_the_first_order(&server, &mut load)?,
        _ => None,
    };
    let output = load.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", case.row);
    let results: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    check(&results).with_context(|| format!("{}: {said}", case.row))?;
    let ns = |(_, key): (&str, &str)| results[case.field][key].as_f64();
    let times: Vec<f64> = QUANTILES.into_iter().filter_map(ns).map(|ns| ns / 1e3).collect();
    let times: Option<[f64; QUANTILES.len()]> = times.try_into().ok();
    let times = times.with_context(|| format!("{}: no times in the results", case.row))?;
    let divided = before.map(|before| Divided::between(&before, &Reading::of(&server)?, &times));
    Ok((times, divided.transpose()?))
}

/// A time of refusals would be no figure. A cancel that comes too late is none of those.
fn check(results: &Value) -> Result<()> {
    let errors = results["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let refused = errors.iter().find(|error| error["code"] != ORDER_NOT_OPEN);
    ensure!(refused.is_none(), "errors were answered: {}", results["errors"]);
    Ok(())
}

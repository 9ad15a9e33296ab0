//! How long an order takes until it is durable, matched and pushed, at rates far below what the server
//! can do. `ringbook load` sends by a schedule and counts from it, so nothing is omitted.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use suite::{Better, Figure};

use crate::own::Context;
use crate::server::{Cores, Server, spawn_on};

const ROUNDS: usize = 5;
const SECONDS: u32 = 8;
const RATES: [u32; 3] = [1_000, 10_000, 50_000];
const SPIN_US: &str = "50";
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
    title: String,
    shards: u32,
    spin_us: &'static str,
    /// Of `ringbook load`.
    load: Vec<String>,
    /// Where in its results the times are.
    field: &'static str,
}

/// One column for each of [`QUANTILES`].
type Columns = [Vec<f64>; QUANTILES.len()];

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn cases(quick: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for rate in RATES.into_iter().take(if quick { 2 } else { RATES.len() }) {
        for spin_us in ["0", SPIN_US].into_iter().take(if quick { 1 } else { 2 }) {
            let spin = if spin_us == "0" { "" } else { "/spin" };
            cases.push(Case {
                row: format!("latency/{rate}{spin}"),
                title: format!("order to durable answer, {rate}/s"),
                shards: 1,
                spin_us,
                load: words(&format!("http --rate {rate} --mix place=1 --connections 64")),
                field: "latency_ns",
            });
        }
    }
    // The symbol is on shard 0; a user's home is the number's remainder.
    for (row, title, user) in [
        ("cross", "order settled, two shards, its user on another than the symbol", 2_000_001),
        ("cross/local", "", 2_000_000),
    ] {
        cases.push(Case {
            row: format!("latency/{row}"),
            title: title.to_owned(),
            shards: 2,
            spin_us: "0",
            load: words(&format!(
                "http --rate 1000 --mix place_wait=1 --connections 16 --symbols BTC_USDT \
                 --users {user}..{user}"
            )),
            field: "latency_ns",
        });
    }
    cases.push(Case {
        row: "latency/push".to_owned(),
        title: "order to push over WebSocket, 10,000/s".to_owned(),
        shards: 1,
        spin_us: "0",
        load: words("ws --connections 100 --traders 50 --rate 10000"),
        field: "order_to_push_ns",
    });
    cases
}

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    let cases = cases(context.quick);
    let mut columns: Vec<Columns> = vec![Columns::default(); cases.len()];
    for _ in 0..if context.quick { 1 } else { ROUNDS } {
        for (case, columns) in cases.iter().zip(&mut columns) {
            let times_us = run(context, case)?;
            columns.iter_mut().zip(times_us).for_each(|(column, us)| column.push(us));
        }
    }
    let mut figures = Vec::new();
    // A case with a slash behind its name is what stands beside the one before.
    for (at, case) in cases.iter().enumerate() {
        let other = cases.get(at + 1).filter(|other| {
            other.row.strip_prefix(&case.row).is_some_and(|rest| rest.starts_with('/'))
        });
        if !case.title.is_empty() && !case.row.ends_with("/spin") {
            let beside = other.map(|other| (other, &columns[at + 1]));
            figures.extend(told(case, &columns[at], beside)?);
        }
    }
    Ok(figures)
}

fn told(case: &Case, columns: &Columns, beside: Option<(&Case, &Columns)>) -> Result<Vec<Figure>> {
    let cores = Cores::split(case.shards as usize)?;
    let (server, client) = (Cores::list(&cores.server), Cores::list(&cores.client));
    let flags = format!(
        "serve --shards {} --cores {server} --spin-us 0, the generator on core {client}",
        case.shards
    );
    let command = format!("ringbook load {}", case.load.join(" "));
    let figure = |(at, (name, _)): (usize, (&str, &str))| {
        let (row, title) = (format!("{}/{name}", case.row), format!("{}, {name}", case.title));
        let mut figure = Figure::new(&row, &title, "µs", Better::Lower, columns[at].clone())
            .from(&flags, &command);
        if let Some((other, columns)) = beside {
            let name =
                if other.spin_us == "0" { "local".into() } else { format!("--spin-us {SPIN_US}") };
            figure = figure.beside(&name, columns[at].clone());
        }
        figure.target = match figure.row.as_str() {
            "latency/1000/p50" => Some(AIM_P50),
            "latency/1000/p99" => Some(AIM_P99),
            "latency/push/p99" => Some(AIM_PUSH_P99),
            _ => None,
        };
        figure
    };
    Ok(QUANTILES.into_iter().enumerate().map(figure).collect())
}

fn run(context: &Context, case: &Case) -> Result<[f64; QUANTILES.len()]> {
    let scratch = &context.places.scratch;
    let (data, json) = (scratch.join("latency"), scratch.join("load.json"));
    let _ = std::fs::remove_dir_all(&data);
    let cores = Cores::split(case.shards as usize)?;
    let (shards, list) = (case.shards.to_string(), Cores::list(&cores.server));
    let data = data.to_string_lossy();
    let arguments =
        ["--shards", &shards, "--cores", &list, "--data", &data, "--spin-us", case.spin_us];
    let server = Server::ringbook(&context.places.target, scratch, &cores.server, &arguments)?;
    let seconds = if context.quick { 2 } else { SECONDS };
    let mut load = Command::new(context.places.target.join("release/ringbook"));
    load.arg("load").args(&case.load).args(["--url", &server.url(), "--warmup-s", "1"]);
    load.args(["--duration-s", &seconds.to_string(), "--json"]).arg(&json);
    load.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = spawn_on(&cores.client, &mut load)?.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", case.row);
    let results: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    check(&results).with_context(|| format!("{}: {said}", case.row))?;
    let ns = |(_, key): (&str, &str)| results[case.field][key].as_f64();
    let times: Vec<f64> = QUANTILES.into_iter().filter_map(ns).map(|ns| ns / 1e3).collect();
    times.try_into().ok().with_context(|| format!("{}: no times in the results", case.row))
}

/// A time of refusals would be no figure. A cancel that comes too late is none of those.
fn check(results: &Value) -> Result<()> {
    let errors = results["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let refused = errors.iter().find(|error| error["code"] != ORDER_NOT_OPEN);
    ensure!(refused.is_none(), "errors were answered: {}", results["errors"]);
    Ok(())
}

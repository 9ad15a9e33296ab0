//! Where the processor time of an order goes, by part: samples of the server under wrk.
//!
//! `perf` samples the server's threads. A sample in the program is charged to the innermost source file
//! of ours that it was in, inlined functions included, a sample in the kernel to what the kernel was
//! about. The shares are multiplied with the processor time of an order in the same round.
//!
//! On kept connections nothing is accepted, so that is measured beside it: the same orders, each on a
//! connection of its own, and what they cost more.

mod names;
mod samples;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use suite::{Better, Figure};

use super::http::{self, Case};
use crate::own::Context;
use crate::server::{Cores, Server, spawn_on};
use names::{ACCEPT, WAY};
use samples::{Sample, read_samples};
use sources::Sources;

const ROUNDS: usize = 3;
const SECONDS: u32 = 8;
const QUICK_SECONDS: u32 = 4;
/// wrk has to get going before samples are taken, and to outlast them.
const MARGIN: Duration = Duration::from_secs(1);
/// Samples per second; no multiple of what else happens regularly.
const FREQUENCY_HZ: u32 = 1_997;
const CASE: Case = http::case(1, 64, 1);
/// Parts that take less than this share are told together, but for those of an order's own way.
const SMALL: f64 = 0.002;
/// The row of the whole.
const ALL: &str = "all of it";

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    for program in ["wrk", "perf", "addr2line", "readelf"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: {program} is not installed");
            return Ok(Vec::new());
        }
    }
    let (rounds, seconds) = if context.quick { (1, QUICK_SECONDS) } else { (ROUNDS, SECONDS) };
    std::fs::write(context.places.scratch.join("http.toml"), http::exchange())?;
    let cores = Cores::split(1)?;
    let mut told: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut single = Vec::new();
    for round in 0..rounds {
        let mut shares = round_of(context, &cores, seconds)?;
        let single_us = one_order_each(context, &cores, seconds)?;
        shares.insert(ACCEPT.to_owned(), (single_us - shares[ALL]).max(0.0));
        single.push(single_us);
        for (part, cpu_us) in shares {
            let values = told.entry(part).or_default();
            values.resize(round, 0.0);
            values.push(cpu_us);
        }
    }
    told.values_mut().for_each(|values| values.resize(rounds, 0.0));
    let kept = told[ALL].clone();
    let flags = format!(
        "serve --shards 1 --cores {}, wrk -c64 on core {}, perf record -F {FREQUENCY_HZ}",
        Cores::list(&cores.server),
        Cores::list(&cores.client)
    );
    let mut figures: Vec<Figure> = told
        .into_iter()
        .map(|(part, values)| {
            let row = format!("profile/{}", part.replace([' ', ',', ':'], "-"));
            Figure::new(&row, &part, "µs of CPU/order", Better::Lower, values)
                .from(&flags, "scripts/bench profile")
        })
        .collect();
    let median = |figure: &Figure| figure.spread().map_or(0.0, |spread| spread.median);
    // The whole and its parts by size, then what is not a part of it.
    let rank = |figure: &Figure| match figure.title.as_str() {
        ALL => 0,
        ACCEPT => 2,
        _ => 1,
    };
    figures.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| median(b).total_cmp(&median(a))));
    let title = "all of it, with a connection for each order";
    let figure = Figure::new("profile/one-order", title, "µs of CPU/order", Better::Lower, single);
    figures.push(figure.beside("kept connections", kept).from(&flags, "scripts/bench profile"));
    Ok(figures)
}

/// µs of processor time per order by part, in one round.
fn round_of(context: &Context, cores: &Cores, seconds: u32) -> Result<BTreeMap<String, f64>> {
    let server = http::ringbook(context, 1, cores)?;
    let data = context.places.scratch.join("perf.data");
    let sampled = thread::scope(|scope| {
        let sampling = scope.spawn(|| {
            thread::sleep(MARGIN);
            record(&server, cores, &data, Duration::from_secs(seconds.into()) - 2 * MARGIN)
        });
        let load = http::load(&server, CASE, seconds, cores);
        let recorded = sampling.join().expect("the thread does not panic");
        recorded.and(load)
    })?;
    let binary = context.places.target.join("release/ringbook");
    let binary = binary.canonicalize()?;
    let mut sources = Sources::new(&binary, &context.places.root)?;
    let samples = read_samples(&data, &binary)?;
    ensure!(!samples.is_empty(), "perf has no samples: is kernel.perf_event_paranoid above 2?");
    let in_program = samples.iter().filter_map(|sample| match sample {
        Sample::Program(offset, function) => Some((*offset, function.as_str())),
        Sample::Library(_) | Sample::Kernel(_) => None,
    });
    sources.resolve(&in_program.collect::<Vec<_>>())?;
    let each = sampled.cpu_us / samples.len() as f64;
    let mut parts: BTreeMap<String, f64> = BTreeMap::new();
    for sample in &samples {
        let part = match sample {
            Sample::Program(offset, _) => sources.part(*offset)?,
            Sample::Library(part) | Sample::Kernel(part) => part,
        };
        *parts.entry(part.to_owned()).or_default() += each;
    }
    for part in WAY {
        parts.entry(part.to_owned()).or_default();
    }
    let is_small =
        |part: &str, cpu_us: f64| cpu_us < SMALL * sampled.cpu_us && !WAY.contains(&part);
    let small: f64 =
        parts.iter().filter(|(part, cpu_us)| is_small(part, **cpu_us)).map(|one| one.1).sum();
    parts.retain(|part, cpu_us| !is_small(part, *cpu_us));
    *parts.entry("everything else".to_owned()).or_default() += small;
    parts.insert(ALL.to_owned(), sampled.cpu_us);
    Ok(parts)
}

/// µs of processor time of an order that comes on a connection of its own.
fn one_order_each(context: &Context, cores: &Cores, seconds: u32) -> Result<f64> {
    let server = http::ringbook(context, 1, cores)?;
    Ok(http::load(&server, http::one_order_each(CASE), seconds, cores)?.cpu_us)
}

fn record(server: &Server, cores: &Cores, data: &Path, time: Duration) -> Result<()> {
    let mut command = Command::new("perf");
    let frequency = FREQUENCY_HZ.to_string();
    command.args(["record", "--quiet", "--event", "cpu-clock", "--call-graph", "fp"]);
    command.args(["--freq", &frequency, "--pid", &server.pid().to_string(), "--output"]);
    command.arg(data).args(["--", "sleep", &time.as_secs().to_string()]);
    let status = spawn_on(&cores.client, command.stderr(Stdio::null()))?.wait();
    ensure!(status.context("perf")?.success(), "perf record failed");
    Ok(())
}

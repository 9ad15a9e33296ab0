//! `ringbook load`: measures a running server under load, and is honest about latency.
//!
//! Requests start by a schedule that knows nothing of the answers, and latency counts from the
//! intended start: a server that stalls is seen by everybody who came meanwhile, as in the world. What
//! a request does (`actions`), when it starts (`schedule`), what is measured (`recorder`) and how it
//! is told (`report`, `table`) know nothing of the wire; `http` and `ws` are ways to send it.

mod actions;
pub mod arguments;
mod dial;
mod http;
mod latencies;
mod market;
mod mix;
mod order_times;
mod poller;
pub mod process;
mod random;
mod recorder;
mod report;
mod schedule;
pub mod settings;
mod setup;
mod table;
mod users;
pub mod ws;

use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result, bail};

use self::recorder::Recorder;
use self::report::Report;
use self::settings::Settings;
use crate::terminal::say;

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// What a load has measured.
struct Measured {
    recorder: Recorder,
    /// When the measurement began, in ms since the epoch.
    began_ms: u64,
}

/// Runs `load http` and prints the results.
pub fn http(mut settings: Settings) -> Result<()> {
    // Before anything is sent: a run whose results cannot be kept is in vain.
    let mut file = settings::open_results(&settings)?;
    let ground = setup::prepare(&settings, true)?;
    settings.symbols = ground.markets.iter().map(|market| market.symbol.clone()).collect();
    let before_us = process::cpu_us();
    let measured = http::run(&settings, &ground)?;
    let report = Report::new(&settings, ground.shards, &measured, process::cpu_us() - before_us);
    say(&table::write(&report));
    write_results(&mut file, &settings, &report)?;
    match report.failure() {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

fn write_results(
    file: &mut Option<File>,
    settings: &Settings,
    report: &impl serde::Serialize,
) -> Result<()> {
    if let (Some(file), Some(path)) = (file, &settings.json) {
        let mut text = serde_json::to_vec_pretty(report)?;
        text.push(b'\n');
        file.write_all(&text).with_context(|| format!("json: cannot write {}", path.display()))?;
    }
    Ok(())
}

/// How many of `count` things the `thread`th of `threads` gets.
fn share(count: usize, threads: usize, thread: usize) -> usize {
    count / threads + usize::from(thread < count % threads)
}

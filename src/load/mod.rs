//! `ringbook load`: measures a running server under load, and is honest about latency.
//!
//! Requests start by a schedule that knows nothing of the answers, and latency counts from the
//! intended start: a server that stalls is seen by everybody who came meanwhile, as in the world. What
//! a request does (`actions`), when it starts (`schedule`), what is measured (`recorder`) and how it
//! is told (`report`, `table`) know nothing of the wire; `http` is one way to send it.

mod actions;
pub mod arguments;
mod http;
mod latencies;
mod market;
mod mix;
mod poller;
mod random;
mod recorder;
mod report;
mod schedule;
pub mod settings;
mod setup;
mod table;
mod users;

use std::io::Write;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

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
    let ground = setup::prepare(&settings)?;
    settings.symbols = ground.markets.iter().map(|market| market.symbol.clone()).collect();
    let before_us = cpu_us();
    let measured = http::run(&settings, &ground)?;
    let report = Report::new(&settings, ground.shards, &measured, cpu_us() - before_us);
    say(&table::write(&report));
    if let (Some(file), Some(path)) = (&mut file, &settings.json) {
        let mut text = serde_json::to_vec_pretty(&report)?;
        text.push(b'\n');
        file.write_all(&text).with_context(|| format!("json: cannot write {}", path.display()))?;
    }
    match report.failure() {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

/// CPU that this process has used.
fn cpu_us() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let us = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    u64::try_from(us(usage.user_time()) + us(usage.system_time())).unwrap_or(0)
}

//! `ringbook replay`: runs a recorded flow through the exchange and writes what came of it.
//!
//! In process it goes through the same engine, mesh and journal as a server's; with `--url` over HTTP
//! against a running server. Both are a [`venue::Venue`] to the same driver.

mod driver;
#[cfg(test)]
mod driver_tests;
mod http;
mod in_process;
mod report;
mod set;
mod setup;
mod venue;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use runtime::NodeConfig;
use runtime::cores::CoreList;

use self::driver::Outcome;
use self::http::Http;
use self::in_process::InProcess;
use self::set::Set;
use self::venue::Venue;
use crate::terminal;

/// What to replay, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the set.
    pub set: PathBuf,
    /// Folder for the results.
    pub out: PathBuf,
    /// Maker fee in parts per million.
    pub maker_fee_ppm: u32,
    /// Taker fee in parts per million.
    pub taker_fee_ppm: u32,
    /// File for how long it took.
    pub json: Option<PathBuf>,
    /// Where to.
    pub target: Target,
}

/// Where a set is replayed.
#[derive(Clone, Debug)]
pub enum Target {
    /// In this process.
    InProcess {
        /// How many shards.
        shards: u16,
        /// The cores to pin them to; `None` is all available ones.
        cores: Option<CoreList>,
        /// Data directory, or `None` for a temporary one.
        data: Option<PathBuf>,
        /// How long an idle shard looks for work before it sleeps, if it does.
        spin: Option<Duration>,
    },
    /// A running server.
    Http {
        /// `http://host:port`.
        url: String,
        /// For the administration routes.
        admin_token: String,
        /// How long to try to reach a server that went away.
        reconnect: Duration,
    },
}

/// Replays a set, writes the results and prints a summary.
pub fn run(options: Options) -> Result<()> {
    let mut set = Set::read(&options.set)?;
    set.market.spec.rules.maker_fee_ppm = options.maker_fee_ppm;
    set.market.spec.rules.taker_fee_ppm = options.taker_fee_ppm;
    set.market.spec.check()?;
    let (set, outcome, venue) = match options.target {
        Target::InProcess { shards, cores, data, spin } => {
            let node = NodeConfig { shards: Some(shards), cores, spin, ..NodeConfig::default() };
            let (set, outcome) = replay_in_process(set, node, data)?;
            (set, outcome, format!("in process, {}", shard_count(shards)))
        }
        Target::Http { url, admin_token, reconnect } => {
            let mut venue = Http::connect(&url, &admin_token, reconnect)?;
            let name = format!("{url}, {}", shard_count(venue.shards()));
            let outcome = journal::block_on(replay(&mut venue, &set))?;
            (set, outcome, name)
        }
    };
    report::write_files(&set, &outcome, &options.out)?;
    if let Some(path) = &options.json {
        report::write_times(&set, &outcome, path)?;
    }
    terminal::say(&report::summary(&set, &outcome, &venue));
    terminal::say(&format!("results: {}\n", options.out.display()));
    Ok(())
}

fn shard_count(shards: u16) -> String {
    format!("{shards} shard{}", if shards == 1 { "" } else { "s" })
}

async fn replay<V: Venue>(venue: &mut V, set: &Set) -> Result<Outcome> {
    let progress = terminal::progress("replay");
    setup::prepare(venue, set, &progress).await.context("cannot prepare the market")?;
    let outcome = driver::drive(venue, set, &progress).await;
    progress.finish_and_clear();
    outcome
}

fn replay_in_process(set: Set, node: NodeConfig, data: Option<PathBuf>) -> Result<(Set, Outcome)> {
    // Kept until the node has stopped, then removed.
    let temporary = match data {
        Some(_) => None,
        None => Some(terminal::temporary_directory()?),
    };
    let config = NodeConfig {
        // What is removed at the end need not survive a power cut.
        allow_memory: temporary.is_some(),
        data: data
            .or_else(|| temporary.as_ref().map(|directory| directory.path().to_owned()))
            .context("a data directory")?,
        listen: false,
        ..node
    };
    let (sender, receiver) = mpsc::channel();
    let driver: runtime::Driver = Box::new(move |client| {
        Box::pin(async move {
            let mut venue = InProcess::new(client);
            let outcome = replay(&mut venue, &set).await;
            // The receiver is gone only when the node has failed, which is reported instead.
            let _ = sender.send(outcome.map(|outcome| (set, outcome)));
        })
    });
    runtime::run(config, Box::new(|_| {}), Some(driver)).context("the node failed")?;
    receiver.try_recv().map_err(|_| anyhow!("stopped before the flow was through"))?
}

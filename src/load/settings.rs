//! What a run is to do, checked before anything is sent.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::arguments::{LoadArguments, LoadHttpArguments, Setup};
use super::mix::Mix;
use super::users::UserRange;
use crate::connection::Endpoint;

/// Requests under way on a connection: with a rate, where they may queue behind each other …
const OPEN_PIPELINE: u16 = 16;
/// … and where each answer makes room for the next.
const CLOSED_PIPELINE: u16 = 1;
/// Most windows of the series; each is a histogram of some KiB, per thread.
const MAX_WINDOWS: u64 = 10_000;
const MAX_THREADS: usize = 256;
const MAX_CONNECTIONS: usize = 60_000;
/// Most requests per second, and longest times: products of them stay far from any limit.
pub const MAX_RATE: u64 = 10_000_000;
const MAX_DURATION_S: u64 = 86_400;
const MS_PER_S: u64 = 1_000;

/// What a run is to do; serialized it is the head of the results.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    pub url: String,
    #[serde(skip)]
    pub endpoint: Endpoint,
    /// Requests per second; 0 is a closed loop.
    pub rate: u64,
    pub duration_s: u64,
    pub warmup_s: u64,
    pub connections: usize,
    pub threads: usize,
    pub pipeline: u16,
    /// Empty: all that are TRADING. After the setup those that are traded.
    pub symbols: Vec<String>,
    pub users: UserRange,
    #[serde(serialize_with = "as_text")]
    pub mix: Mix,
    #[serde(skip)]
    pub setup: Setup,
    #[serde(skip)]
    pub admin_token: String,
    pub seed: u64,
    pub window_ms: u64,
    #[serde(skip)]
    pub json: Option<PathBuf>,
}

/// What is sent, and by whom.
pub struct Traffic {
    pub rate: u64,
    pub connections: usize,
    pub users: UserRange,
    pub mix: Mix,
    pub pipeline: Option<u16>,
}

fn as_text<S: serde::Serializer>(mix: &Mix, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mix)
}

impl Settings {
    /// Those of `load http`; an error names the argument.
    pub fn http(arguments: LoadHttpArguments) -> Result<Settings> {
        let LoadHttpArguments { load, rate, connections, users, mix, pipeline } = arguments;
        Settings::new(load, Traffic { rate, connections, users, mix, pipeline })
    }

    /// Those of any load.
    pub fn new(load: LoadArguments, traffic: Traffic) -> Result<Settings> {
        let Traffic { rate, connections, users, mix, pipeline } = traffic;
        check(&load, rate, connections)?;
        let default = if rate == 0 { CLOSED_PIPELINE } else { OPEN_PIPELINE };
        Ok(Settings {
            endpoint: Endpoint::parse(&load.url)?,
            url: load.url,
            rate,
            duration_s: load.duration_s,
            warmup_s: load.warmup_s,
            connections,
            threads: load.threads,
            pipeline: pipeline.unwrap_or(default),
            symbols: load.symbols,
            users,
            mix,
            setup: load.setup,
            admin_token: load.admin_token,
            seed: load.seed,
            window_ms: load.window_ms,
            json: load.json,
        })
    }
}

/// Refuses a number that is out of its range, by the name of its argument.
pub fn within(name: &str, value: u64, least: u64, most: u64) -> Result<()> {
    ensure!((least..=most).contains(&value), "{name}: must be {least} to {most}");
    Ok(())
}

fn check(load: &LoadArguments, rate: u64, connections: usize) -> Result<()> {
    within("rate", rate, 0, MAX_RATE)?;
    within("duration-s", load.duration_s, 1, MAX_DURATION_S)?;
    within("warmup-s", load.warmup_s, 0, MAX_DURATION_S)?;
    within("connections", connections as u64, 1, MAX_CONNECTIONS as u64)?;
    within("threads", load.threads as u64, 1, MAX_THREADS as u64)?;
    within("window-ms", load.window_ms, 1, MAX_DURATION_S * MS_PER_S)?;
    ensure!(
        load.threads <= connections,
        "threads: {} of them cannot share {connections} connections",
        load.threads
    );
    let windows = (load.duration_s * MS_PER_S).div_ceil(load.window_ms);
    ensure!(
        windows <= MAX_WINDOWS,
        "window-ms: makes {windows} windows of {} s, at most {MAX_WINDOWS} are kept",
        load.duration_s
    );
    for (at, symbol) in load.symbols.iter().enumerate() {
        ensure!(!symbol.is_empty(), "symbols: one of them is empty");
        ensure!(!load.symbols[..at].contains(symbol), "symbols: {symbol} is there twice");
    }
    let token = &load.admin_token;
    let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(is_sendable, "admin-token: must be printable ASCII without spaces");
    Ok(())
}

/// Opens the file for the results, so that a run is not in vain.
pub fn open_results(settings: &Settings) -> Result<Option<std::fs::File>> {
    let open = |path: &PathBuf| {
        std::fs::File::create(path)
            .with_context(|| format!("json: cannot write {}", path.display()))
    };
    settings.json.as_ref().map(open).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Subcommands};
    use crate::load::arguments::LoadCommand;
    use clap::Parser;

    fn settings(words: &[&str]) -> Result<Settings> {
        let words = ["ringbook", "load", "http"].iter().chain(words);
        match Cli::try_parse_from(words)?.command {
            Subcommands::Load { command: LoadCommand::Http(arguments) } => {
                Settings::http(arguments)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_arguments_it_is_a_run_against_a_fresh_server() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.endpoint.authority, "127.0.0.1:8080");
        assert_eq!((settings.rate, settings.pipeline, settings.users.count()), (10_000, 16, 1_000));
    }

    #[test]
    fn a_closed_loop_has_one_request_under_way_on_a_connection() {
        assert_eq!(settings(&["--rate", "0"]).unwrap().pipeline, 1);
        assert_eq!(settings(&["--rate", "0", "--pipeline", "4"]).unwrap().pipeline, 4);
    }

    #[test]
    fn an_impossible_run_is_refused_by_the_name_of_its_argument() {
        for (words, name) in [
            (["--duration-s", "0"].as_slice(), "duration-s"),
            (&["--connections", "0"], "connections"),
            (&["--threads", "3", "--connections", "2"], "threads"),
            (&["--rate", "10000001"], "rate"),
            (&["--window-ms", "1", "--duration-s", "11"], "window-ms"),
            (&["--symbols", "A_B,A_B"], "symbols"),
            (&["--users", "5..4"], "--users"),
            (&["--mix", "take=1"], "--mix"),
            (&["--pipeline", "129"], "--pipeline"),
            (&["--url", "https://a:1"], "url"),
            (&["--admin-token", "a b"], "admin-token"),
        ] {
            let error = format!("{:#}", settings(words).unwrap_err());
            assert!(error.contains(name), "{words:?}: {error}");
        }
    }

    #[test]
    fn the_results_never_tell_the_token() {
        let settings = settings(&["--admin-token", "secret"]).unwrap();
        let text = serde_json::to_string(&settings).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains(r#""mix":"place=80,cancel=20""#), "{text}");
    }
}

//! What the tests of the trail share. Each file uses some of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audit::{Actor, Detail, Kind, LogPage, LogQuery, Record, Trail, TrailConfig};

/// 2026-01-31T12:00:00Z.
pub const NOON_MS: u64 = 1_769_860_800_000;
pub const DAY_MS: u64 = 86_400_000;
/// Longer than anything here takes; only a failure waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that stands still until it is set.
#[derive(Clone)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    pub fn at(ms: u64) -> Hand {
        Hand(Arc::new(AtomicU64::new(ms)))
    }

    pub fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::SeqCst);
    }

    pub fn clock(&self) -> audit::Clock {
        let hand = self.0.clone();
        Arc::new(move || hand.load(Ordering::SeqCst))
    }
}

/// Small files, nothing compressed unasked.
pub fn config(directory: &Path, hand: &Hand) -> TrailConfig {
    TrailConfig { clock: hand.clock(), archive_after: None, ..TrailConfig::new(directory) }
}

pub fn record(at_ms: u64, kind: Kind, user: u64) -> Record {
    Record {
        at_ms,
        kind,
        action: "test.act",
        user: Some(user),
        actor: Actor::Session(1),
        address: Some([127, 0, 0, 1].into()),
        dialect: "native",
        status: 200,
        code: "OK",
        detail: Detail::None,
    }
}

pub fn page(trail: &Trail, query: LogQuery) -> LogPage {
    let waiting = trail.logs(query).expect("a place in the queue");
    waiting.wait(PATIENCE).expect("an answer").expect("a page")
}

pub fn all(trail: &Trail) -> LogPage {
    page(trail, LogQuery { limit: audit::MAX_LOG_LINES, ..LogQuery::default() })
}

pub fn archive(trail: &Trail) -> u64 {
    trail.archive().expect("a place").wait(PATIENCE).expect("an answer").expect("archived")
}

pub fn stats(trail: &Trail) -> audit::Stats {
    trail.stats().expect("a place").wait(PATIENCE).expect("an answer").expect("stats")
}

pub fn value(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("JSON")
}

pub fn times(page: &LogPage) -> Vec<u64> {
    page.lines.iter().map(|line| value(line)["at"].as_u64().expect("at")).collect()
}

/// Names of the files of a kind, in order.
pub fn names(directory: &Path, kind: Kind) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join(kind.as_str())).expect("a directory");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn path(directory: &Path, kind: Kind, name: &str) -> PathBuf {
    directory.join(kind.as_str()).join(name)
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

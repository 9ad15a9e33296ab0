//! `ringbook snapshot`: makes, lists and checks snapshots.
//!
//! `now` asks a running server; the others read a data directory, on which a server may be running.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use journal::{StdDisk, block_on, list_snapshots, verify_snapshot};
use serde::Deserialize;
use serde_json::json;

use crate::admin::failure::Failure;
use crate::admin::server::{Request, Server};
use crate::cli::SnapshotNowArguments;
use crate::format::{duration, thousands};
use crate::journal_tool::journals;
use crate::terminal::say;
use crate::time;

/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(200);
const PATH: &str = "/api/v1/admin/snapshots";

/// What the server says of one shard.
#[derive(Deserialize)]
struct ShardData {
    shard: u16,
    state: String,
    made: u64,
    lsn: Option<u64>,
    bytes: Option<u64>,
    took_ms: Option<u64>,
    failure: Option<String>,
}

/// Has a snapshot of every shard made and waits for all of them.
pub fn now(arguments: &SnapshotNowArguments) -> Result<(), Failure> {
    let mut server = Server::new(arguments.place.resolve()?);
    let post = || Request::post(PATH, json!({})).repeatable();
    let mut ask = |request: Request| -> Result<Vec<ShardData>, Failure> {
        let data = server.ask(&request)?;
        let parsed = serde_json::from_value(data);
        parsed.map_err(|error| {
            Failure::wrong(format!("{PATH}: an answer that does not fit: {error}"))
        })
    };
    let (since, limit) = (Instant::now(), Duration::from_secs(arguments.timeout_s));
    let before = ask(Request::get(PATH))?;
    ask(post())?;
    let after = loop {
        std::thread::sleep(POLL);
        let now = ask(Request::get(PATH))?;
        let is_done = |(shard, before): (&ShardData, &ShardData)| {
            // Of a shard to which nothing has happened there is nothing to keep.
            let is_empty = shard.lsn.unwrap_or(0) == 0;
            let is_over = shard.made > before.made || shard.failure.is_some() || is_empty;
            shard.state == "idle" && is_over
        };
        if now.iter().zip(&before).all(is_done) {
            break now;
        }
        if since.elapsed() >= limit {
            return Err(Failure::wrong(format!("not done after {}", duration(limit))));
        }
    };
    say(&row(["shard", "records", "bytes", "took"], "file"));
    let mut failures = Vec::new();
    for shard in &after {
        let number = |value: Option<u64>| value.map_or("-".to_owned(), thousands);
        let took = shard.took_ms.map_or("-".to_owned(), |ms| duration(Duration::from_millis(ms)));
        let file = match shard.lsn {
            Some(lsn) => format!("snapshot-{lsn:016}.ringbook"),
            None => "-".to_owned(),
        };
        let cells = [&shard.shard.to_string(), &number(shard.lsn), &number(shard.bytes), &took];
        say(&row(cells.map(String::as_str), &file));
        failures.extend(shard.failure.clone());
    }
    match failures.first() {
        Some(failure) => Err(Failure::wrong(failure)),
        None => Ok(()),
    }
}

/// Lists the snapshots of every shard.
pub fn list(data: &Path) -> Result<()> {
    say(&row(["shard", "records", "bytes", "made"], "file"));
    for (shard, directory) in journals(data)? {
        let disk = StdDisk::read_only(&directory);
        let listed = block_on(list_snapshots(&disk));
        for snapshot in listed.with_context(|| directory.display().to_string())? {
            let made = match snapshot.head {
                Some(head) => time::Instant(head.created_ms).to_rfc3339(),
                None => "DAMAGED".to_owned(),
            };
            let (shard, records, bytes) =
                (shard.to_string(), thousands(snapshot.lsn.0), thousands(snapshot.bytes));
            say(&row([&shard, &records, &bytes, &made], &snapshot.name));
        }
    }
    Ok(())
}

/// Reads every snapshot of every shard, and says which are whole. Returns whether all are.
pub fn verify(data: &Path) -> Result<bool> {
    let mut is_whole = true;
    say(&row(["shard", "records", "bytes", "pieces"], "file"));
    for (shard, directory) in journals(data)? {
        let disk = StdDisk::read_only(&directory);
        let listed = block_on(list_snapshots(&disk));
        for snapshot in listed.with_context(|| directory.display().to_string())? {
            let (number, records) = (shard.to_string(), thousands(snapshot.lsn.0));
            let bytes = thousands(snapshot.bytes);
            let pieces = match block_on(verify_snapshot(&disk, &snapshot.name)) {
                Ok(file) => thousands(file.pieces),
                Err(error) => {
                    is_whole = false;
                    eprintln!("ringbook: {}: {error}", directory.display());
                    "DAMAGED".to_owned()
                }
            };
            say(&row([&number, &records, &bytes, &pieces], &snapshot.name));
        }
    }
    Ok(is_whole)
}

fn row([shard, records, bytes, more]: [&str; 4], file: &str) -> String {
    format!("{shard:>5}  {records:>15}  {bytes:>15}  {more:>24}  {file}\n")
}

//! `ringbook snapshot`: makes, lists and checks snapshots.
//!
//! `now` asks a running server; the others read a data directory, on which a server may be running.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use journal::{StdDisk, block_on, list_snapshots, verify_snapshot};
use serde::Deserialize;

use crate::cli::SnapshotNowArguments;
use crate::connection::{Connection, Endpoint};
use crate::format::{duration, thousands};
use crate::journal_tool::journals;
use crate::terminal::say;
use crate::time;

/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(200);
const PATH: &str = "/api/v1/admin/snapshots";

#[derive(Deserialize)]
struct Envelope {
    code: u32,
    msg: String,
    #[serde(default)]
    data: Vec<ShardData>,
}

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
pub fn now(arguments: &SnapshotNowArguments) -> Result<()> {
    let endpoint = Endpoint::parse(&arguments.url)?;
    let connection = Connection::open(&endpoint);
    let mut connection =
        connection.with_context(|| format!("no server answers at {}", arguments.url))?;
    let mut ask = |method: &str| ask(&mut connection, &endpoint, method, &arguments.admin_token);
    let (since, limit) = (Instant::now(), Duration::from_secs(arguments.timeout_s));
    let before = ask("GET")?;
    ask("POST")?;
    let after = loop {
        std::thread::sleep(POLL);
        let now = ask("GET")?;
        let is_done = |(shard, before): (&ShardData, &ShardData)| {
            // Of a shard to which nothing has happened there is nothing to keep.
            let is_empty = shard.lsn.unwrap_or(0) == 0;
            let is_over = shard.made > before.made || shard.failure.is_some() || is_empty;
            shard.state == "idle" && is_over
        };
        if now.iter().zip(&before).all(is_done) {
            break now;
        }
        ensure!(since.elapsed() < limit, "not done after {}", duration(limit));
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
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

fn ask(
    connection: &mut Connection,
    endpoint: &Endpoint,
    method: &str,
    token: &str,
) -> Result<Vec<ShardData>> {
    let host = &endpoint.authority;
    let request = format!(
        "{method} {PATH} HTTP/1.1\r\nHost: {host}\r\nX-Admin-Token: {token}\r\nContent-Length: 0\r\n\r\n"
    );
    connection.output().extend_from_slice(request.as_bytes());
    let response = connection.receive().with_context(|| format!("{method} {PATH}"))?;
    let envelope: Envelope = serde_json::from_slice(&response.body).with_context(|| {
        let body = String::from_utf8_lossy(&response.body);
        format!("an answer with status {} that is not understood: {body}", response.status)
    })?;
    ensure!(envelope.code == 0, "{method} {PATH}: {}", envelope.msg);
    Ok(envelope.data)
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

//! Whole flows through one shard in process, each command durable before it is answered.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use suite::{Better, Figure};

use crate::own::Context;

const SETS: [&str; 3] = ["lobster-aapl", "cme-es", "zxi-1m3-cancel"];
const ROUNDS: usize = 5;
/// Million commands per second.
const AIM: f64 = 1.0;

/// What `ringbook replay --json` writes, as far as it is told here.
#[derive(Deserialize)]
struct Replayed {
    commands: u64,
    elapsed_s: f64,
    cpu_s: f64,
}

/// Of a data directory, from `ringbook journal verify`.
struct Journal {
    records: f64,
    bytes: f64,
}

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    let places = &context.places;
    let root = std::env::var_os("RINGBOOK_DATA").map_or("../shared/data".into(), |root| root);
    let sets = places.root.join(root);
    if !sets.is_dir() {
        println!("skipped: no flows in {}", sets.display());
        return Ok(Vec::new());
    }
    let ringbook = places.target.join("release/ringbook");
    let sets = SETS.map(|set| (set, sets.join(set)));
    let wanted = sets.iter().filter(|(set, _)| !context.quick || *set != "zxi-1m3-cancel");
    let mut figures = Vec::new();
    for (set, folder) in wanted.filter(|(_, folder)| folder.is_dir()) {
        let (mut rates, mut cpu, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..if context.quick { 2 } else { ROUNDS } {
            let data = places.scratch.join("replay");
            let replayed = replay(&ringbook, folder, &places.scratch, &data)?;
            rates.push(replayed.commands as f64 / replayed.elapsed_s / 1e6);
            cpu.push(replayed.cpu_s * 1e6 / replayed.commands as f64);
            let journal = verify(&ringbook, &data)?;
            bytes.push(journal.bytes / journal.records);
            std::fs::remove_dir_all(&data)?;
        }
        figures.extend(told(set, [rates, cpu, bytes]));
    }
    Ok(figures)
}

fn told(set: &str, [rates, cpu, bytes]: [Vec<f64>; 3]) -> [Figure; 3] {
    let flags = "one shard on core 0, O_DSYNC, each command with a client order id";
    let command =
        format!("ringbook replay --set ../shared/data/{set} --out OUT --data NEW --cores 0");
    let row = |what: &str| format!("replay/{set}{what}");
    let title = |what: &str| format!("{set}, durable{what}");
    [
        Figure::new(&row(""), &title(""), "M commands/s", Better::Higher, rates).target(AIM),
        Figure::new(&row("/cpu"), &title(", CPU of everything"), "µs/command", Better::Lower, cpu)
            .note("reading the flow and writing the results included"),
        Figure::new(&row("/journal"), &title(", journal"), "bytes/record", Better::Lower, bytes)
            .note("headers and the padding of every batch to 4,096 bytes included"),
    ]
    .map(|figure| figure.from(flags, &command))
}

fn replay(ringbook: &Path, set: &Path, scratch: &Path, data: &Path) -> Result<Replayed> {
    let json = scratch.join("replayed.json");
    let _ = std::fs::remove_dir_all(data);
    let output = Command::new(ringbook)
        .args(["replay", "--cores", "0", "--set"])
        .arg(set)
        .arg("--out")
        .arg(scratch.join("out"))
        .arg("--data")
        .arg(data)
        .arg("--json")
        .arg(&json)
        .output()
        .with_context(|| ringbook.display().to_string())?;
    ensure!(output.status.success(), "replay: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&std::fs::read(json)?)?)
}

/// Whole segments before the last one, and that up to its end.
fn verify(ringbook: &Path, data: &Path) -> Result<Journal> {
    let output = Command::new(ringbook).args(["journal", "verify", "--data"]).arg(data).output()?;
    ensure!(output.status.success(), "journal verify: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let end = parse_verified(&text).with_context(|| format!("journal verify said: {text}"))?;
    let before = segments_before(data, &end.file)?;
    Ok(Journal { records: end.records, bytes: before as f64 + end.offset })
}

/// The length of the segments before this one, in bytes. Their names are in order.
fn segments_before(directory: &Path, last: &str) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let is_segment = name.starts_with("segment-") && name.ends_with(".ringbook");
        if kind.is_dir() {
            bytes += segments_before(&entry.path(), last)?;
        } else if is_segment && name.as_str() < last {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

#[derive(Debug, PartialEq)]
struct End {
    records: f64,
    file: String,
    offset: f64,
}

/// The row of the only shard.
fn parse_verified(text: &str) -> Option<End> {
    let cells: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    let number = |at: usize| cells.get(at)?.replace(',', "").parse::<f64>().ok();
    let at = cells.iter().position(|&cell| cell == "offset")?;
    Some(End { records: number(3)?, file: cells[at - 1].to_owned(), offset: number(at + 1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_journal_is_read_from_its_verification() {
        let text = "shard  segments  batches  records  last record  ends at\n    0         2  \
                    10    1,000        1,000  segment-0000000002.ringbook offset 4096\n";
        let file = "segment-0000000002.ringbook".to_owned();
        assert_eq!(parse_verified(text), Some(End { records: 1_000.0, file, offset: 4_096.0 }));
    }

    #[test]
    fn only_segments_before_the_last_one_count() {
        let directory = tempfile::tempdir().unwrap();
        let shard = directory.path().join("shard");
        std::fs::create_dir(&shard).unwrap();
        for (name, bytes) in [
            ("segment-0000000001.ringbook", 3),
            ("segment-0000000002.ringbook", 5),
            ("segment-0000000003.preparing", 7),
        ] {
            std::fs::write(shard.join(name), vec![0; bytes]).unwrap();
        }
        let before = segments_before(directory.path(), "segment-0000000002.ringbook");
        assert_eq!(before.unwrap(), 3);
    }
}

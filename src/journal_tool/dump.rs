//! `journal dump`: records as JSON lines.

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::{Context, Result, ensure};
use journal::{Entry, ScanError};

use super::describe::{Field, Fields, describe, keep_user};
use super::{Extent, journals};
use crate::cli::DumpArguments;
use crate::time::Instant;

/// Prints the records that the arguments ask for, shard by shard, oldest first.
pub fn dump(arguments: &DumpArguments) -> Result<()> {
    let journals = journals(&arguments.data)?;
    if let Some(shard) = arguments.shard {
        let last = journals.len() - 1;
        ensure!(usize::from(shard) <= last, "shard: {shard} is not there, the last one is {last}");
    }
    let stdout = io::stdout();
    // Beside lines on the same terminal a bar would only disturb.
    let shows_progress = !stdout.is_terminal();
    let mut out = BufWriter::with_capacity(1 << 16, stdout.lock());
    for (shard, directory) in journals {
        if arguments.shard.is_some_and(|only| only != shard) {
            continue;
        }
        let mut extent =
            if shows_progress { Some(Extent::measure("dump", &directory)?) } else { None };
        let entries = match journal::entries(&directory) {
            Ok(entries) => entries,
            Err(ScanError::Empty) => continue,
            Err(error) => return Err(error).with_context(|| directory.display().to_string()),
        };
        for entry in entries {
            let entry = entry.with_context(|| directory.display().to_string())?;
            if let Some(extent) = &mut extent {
                extent.advance(&entry);
            }
            match print(&mut out, shard, entry, arguments) {
                // Whoever read the lines has read enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                other => other.context("cannot write")?,
            }
        }
        if let Some(extent) = extent {
            extent.finish();
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write"),
    }
}

fn print(
    out: &mut impl Write,
    shard: u16,
    entry: Entry,
    arguments: &DumpArguments,
) -> io::Result<()> {
    let time = Instant(entry.time_ms);
    let is_early = arguments.from.is_some_and(|from| time < from);
    let is_late = arguments.to.is_some_and(|to| time >= to);
    let input = match arguments.user {
        _ if is_early || is_late => None,
        None => Some(entry.input),
        Some(user) => keep_user(entry.input, user),
    };
    let Some(input) = input else { return Ok(()) };
    let mut line = Fields::default();
    line.push("shard", Field::Number(shard.into()));
    line.push("lsn", Field::Number(entry.lsn.0));
    line.push("time_ms", Field::Number(entry.time_ms));
    line.push("time", Field::Text(time.to_rfc3339()));
    line.extend(describe(&input));
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

//! `journal verify`: reads everything and says what holds.

use std::path::Path;

use anyhow::Result;
use journal::{ScanError, Verified};

use super::{Extent, journals};
use crate::format::thousands;
use crate::terminal::say;

/// Checks every shard's journal and prints a table. Returns whether all of it is whole.
pub fn verify(data: &Path) -> Result<bool> {
    let mut is_whole = true;
    say(&row(["shard", "segments", "batches", "records", "last record", "ends at"]));
    for (shard, directory) in journals(data)? {
        match check(&directory) {
            Ok(Some(verified)) => say(&describe(&verified)),
            Ok(None) => say(&format!("{}  no segments\n", cell(&shard.to_string()))),
            Err(error) => {
                is_whole = false;
                say(&format!("{}  DAMAGED\n", cell(&shard.to_string())));
                eprintln!("ringbook: {}: {error:#}", directory.display());
            }
        }
    }
    Ok(is_whole)
}

fn check(directory: &Path) -> Result<Option<Verified>> {
    let mut extent = Extent::measure("verify", directory)?;
    let mut entries = match journal::entries(directory) {
        Ok(entries) => entries,
        Err(ScanError::Empty) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for entry in &mut entries {
        extent.advance(&entry?);
    }
    extent.finish();
    Ok(Some(entries.summary()))
}

fn describe(verified: &Verified) -> String {
    let Verified { shard, segments, batches, records, last, end_file, end_offset, torn, .. } =
        verified;
    let unfinished = if *torn { " (unfinished write behind it)" } else { "" };
    row([
        &shard.to_string(),
        &thousands(*segments),
        &thousands(*batches),
        &thousands(*records),
        &thousands(last.0),
        &format!("{end_file} offset {end_offset}{unfinished}"),
    ])
}

fn cell(text: &str) -> String {
    format!("{text:>5}")
}

fn row(cells: [&str; 6]) -> String {
    let [shard, segments, batches, records, last, end] = cells;
    let shard = cell(shard);
    format!("{shard}  {segments:>8}  {batches:>11}  {records:>13}  {last:>13}  {end}\n")
}

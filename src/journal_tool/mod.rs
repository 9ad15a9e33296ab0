//! `ringbook journal`: looks into the journal of a data directory without changing it.
//!
//! A server may be running on the directory meanwhile: what it has under way shows as an unfinished
//! end.

mod describe;
mod dump;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use runtime::Layout;

pub use dump::dump;
pub use verify::verify;

use crate::terminal;

/// The journals of a data directory: shard and folder.
pub fn journals(data: &Path) -> Result<Vec<(u16, PathBuf)>> {
    ensure!(data.is_dir(), "{} is no data directory: it is not there", data.display());
    let Some(layout) = Layout::read(data)? else {
        bail!("{} is no data directory: it has no file `layout`", data.display());
    };
    let shards = (0..layout.shards).map(|shard| (shard, layout.shard_directory(data, shard)));
    Ok(shards.collect())
}

/// How far a reader is, by the lengths of the files.
struct Extent {
    bar: ProgressBar,
    /// By segment number: where it begins, in bytes of all of them.
    begins: BTreeMap<u64, u64>,
    records: u64,
}

/// Records between two looks at the terminal.
const PROGRESS_INTERVAL_RECORDS: u64 = 4_096;

impl Extent {
    fn measure(title: &'static str, directory: &Path) -> Result<Extent> {
        let listing = std::fs::read_dir(directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        let mut lengths = BTreeMap::new();
        for entry in listing {
            let entry = entry.with_context(|| directory.display().to_string())?;
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| {
                name.strip_prefix("segment-")?.strip_suffix(".ringbook")?.parse::<u64>().ok()
            });
            if let Some(number) = digits {
                lengths.insert(number, entry.metadata().map_or(0, |metadata| metadata.len()));
            }
        }
        let bar = terminal::progress(title);
        let mut total = 0;
        let begins = lengths.into_iter().map(|(number, length)| {
            let begin = total;
            total += length;
            (number, begin)
        });
        let begins = begins.collect();
        bar.set_length(total);
        Ok(Extent { bar, begins, records: 0 })
    }

    fn advance(&mut self, entry: &journal::Entry) {
        self.records += 1;
        if self.records.is_multiple_of(PROGRESS_INTERVAL_RECORDS) {
            let begin = self.begins.get(&entry.segment).copied().unwrap_or(0);
            self.bar.set_position(begin + entry.offset);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

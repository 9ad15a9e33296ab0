//! The configuration of snapshots and of what is kept: flags over the file over defaults.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use journal::retention::{RetentionPolicy, SegmentPolicy};
use runtime::SnapshotPolicy;
use serde::Deserialize;

use crate::cli::{RetentionArguments, Segments};
use crate::config::cores;

const MIB_BYTES: u64 = 1 << 20;
/// Most of anything in MiB: a petabyte is a mistake.
const MAX_MIB: u64 = 1 << 30;
const HOUR_MS: u64 = 3_600_000;
/// Longest age: a hundred years.
const MAX_HOURS: u64 = 876_000;
/// Most files to keep.
const MAX_KEPT: usize = 1_000_000;

/// The table `[retention]` of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionTable {
    snapshots: Option<usize>,
    snapshot_hours: Option<u64>,
    segments: Option<Segments>,
    archive: Option<PathBuf>,
    keep_segments: Option<usize>,
    segment_hours: Option<u64>,
}

/// Puts flags, file and defaults together. `every_mib`, `mib_per_s` and `given_cores` are the file's.
pub fn combine(
    flags: RetentionArguments,
    table: RetentionTable,
    every_mib: Option<u64>,
    mib_per_s: Option<u64>,
    given_cores: Option<String>,
) -> Result<SnapshotPolicy> {
    let defaults = SnapshotPolicy::default();
    let snapshot_cores = flags.snapshot_cores.or(given_cores);
    let every_mib = flags.snapshot_every_mib.or(every_mib);
    let mib_per_s = flags.snapshot_mib_per_s.or(mib_per_s);
    let kept = |name, value: Option<usize>, default| {
        let value = value.unwrap_or(default);
        ensure!(value <= MAX_KEPT, "{name}: {value} must be at most {MAX_KEPT}");
        Ok(value)
    };
    let retention = defaults.retention;
    let snapshots = flags.retention_snapshots.or(table.snapshots);
    ensure!(snapshots != Some(0), "retention.snapshots: must be at least 1");
    let segments = flags.retention_keep_segments.or(table.keep_segments);
    let snapshot_hours = flags.retention_snapshot_hours.or(table.snapshot_hours);
    let segment_hours = flags.retention_segment_hours.or(table.segment_hours);
    Ok(SnapshotPolicy {
        every_bytes: bytes("snapshot_every_mib", every_mib, defaults.every_bytes)?,
        bytes_per_s: bytes("snapshot_mib_per_s", mib_per_s, defaults.bytes_per_s)?,
        cores: snapshot_cores.map(|list| cores(&list).context("snapshot_cores")).transpose()?,
        retention: RetentionPolicy {
            keep_snapshots: kept("retention.snapshots", snapshots, retention.keep_snapshots)?,
            keep_snapshots_ms: hours("retention.snapshot_hours", snapshot_hours)?,
            segments: segment_policy(
                flags.retention_segments.or(table.segments),
                flags.retention_archive.or(table.archive),
            )?,
            keep_segments: kept("retention.keep_segments", segments, retention.keep_segments)?,
            keep_segments_ms: hours("retention.segment_hours", segment_hours)?,
            ..retention
        },
    })
}

fn segment_policy(what: Option<Segments>, archive: Option<PathBuf>) -> Result<SegmentPolicy> {
    match (what, archive) {
        (Some(Segments::Archive) | None, Some(archive)) => Ok(SegmentPolicy::Archive(archive)),
        (Some(Segments::Archive), None) => {
            bail!("retention.archive: is needed when retention.segments is archive")
        }
        (Some(_), Some(_)) => {
            bail!("retention.archive: contradicts retention.segments, which is not archive")
        }
        (Some(Segments::Keep), None) => Ok(SegmentPolicy::Keep),
        (Some(Segments::Delete) | None, None) => Ok(SegmentPolicy::Delete),
    }
}

fn bytes(name: &str, mib: Option<u64>, default: u64) -> Result<u64> {
    let Some(mib) = mib else { return Ok(default) };
    ensure!(mib <= MAX_MIB, "{name}: {mib} must be at most {MAX_MIB}");
    Ok(mib * MIB_BYTES)
}

fn hours(name: &str, hours: Option<u64>) -> Result<u64> {
    let hours = hours.unwrap_or(0);
    ensure!(hours <= MAX_HOURS, "{name}: {hours} must be at most {MAX_HOURS}");
    Ok(hours * HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SnapshotPolicy> {
        combine(RetentionArguments::default(), toml::from_str(text)?, None, None, None)
    }

    #[test]
    fn an_archive_alone_means_that_segments_go_there() {
        let policy = read("archive = \"/a\"\nsnapshots = 5\nsnapshot_hours = 24").unwrap();
        assert_eq!(policy.retention.segments, SegmentPolicy::Archive("/a".into()));
        assert_eq!(policy.retention.keep_snapshots, 5);
        assert_eq!(policy.retention.keep_snapshots_ms, 86_400_000);
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        for (text, word) in [
            ("segments = \"archive\"", "archive"),
            ("segments = \"keep\"\narchive = \"/a\"", "contradicts"),
            ("segments = \"burn\"", "burn"),
            ("snapshots = 0", "snapshots"),
            ("snapshot_hours = 9000000", "snapshot_hours"),
            ("keep_segments = 9000000", "keep_segments"),
            ("colour = 1", "colour"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

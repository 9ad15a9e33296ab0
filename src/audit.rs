//! The configuration of the audit trail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::Args;
use runtime::{Retention, TrailConfig};
use serde::Deserialize;

const MIB_BYTES: u64 = 1 << 20;
/// Longest file of the trail.
const MAX_FILE_MIB: u64 = 1_024;
/// Longest that anything is kept but for ever.
const MAX_DAYS: u32 = 36_500;
/// Where it is, in the data directory.
const DIRECTORY: &str = "audit";

/// Of `serve`. In the file they are in the table `[audit]`, without `audit_`, and the first is `enabled`.
#[derive(Args, Clone, Debug, Default)]
pub struct AuditArguments {
    /// Keep an audit trail: who did what, from where, with which result [default: true in production,
    /// false in development]
    #[arg(long, env = "RINGBOOK_AUDIT", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit: Option<bool>,
    /// Where it is kept [default: audit in the data directory]
    #[arg(long, env = "RINGBOOK_AUDIT_DIR", value_name = "DIR")]
    pub audit_dir: Option<PathBuf>,
    /// Length of its files, in MiB [default: 100]
    #[arg(long, env = "RINGBOOK_AUDIT_FILE_MIB", value_name = "MIB")]
    pub audit_file_mib: Option<u64>,
    /// Days that orders are kept in it; 0: for ever [default: 30]
    #[arg(long, env = "RINGBOOK_AUDIT_ORDER_DAYS", value_name = "DAYS")]
    pub audit_order_days: Option<u32>,
    /// Days that logins, administration and keys are kept in it; 0: for ever [default: 365]
    #[arg(long, env = "RINGBOOK_AUDIT_DAYS", value_name = "DAYS")]
    pub audit_days: Option<u32>,
}

/// The table `[audit]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditTable {
    enabled: Option<bool>,
    dir: Option<PathBuf>,
    file_mib: Option<u64>,
    order_days: Option<u32>,
    days: Option<u32>,
}

/// Puts flags, file and defaults together. `on_thread` is run by its threads at their beginning.
pub fn combine(
    flags: AuditArguments,
    file: AuditTable,
    data: &Path,
    is_development: bool,
    on_thread: Option<Arc<dyn Fn() + Send + Sync>>,
) -> Result<Option<TrailConfig>> {
    if !flags.audit.or(file.enabled).unwrap_or(!is_development) {
        return Ok(None);
    }
    let directory = flags.audit_dir.or(file.dir).unwrap_or_else(|| data.join(DIRECTORY));
    let mut config = TrailConfig::new(directory);
    if let Some(mib) = flags.audit_file_mib.or(file.file_mib) {
        ensure!(
            (1..=MAX_FILE_MIB).contains(&mib),
            "audit.file_mib: {mib} must be from 1 to {MAX_FILE_MIB}"
        );
        config.file_bytes = mib * MIB_BYTES;
        config.scan_bytes = config.scan_bytes.max(2 * config.file_bytes);
    }
    let defaults = Retention::default();
    let order_days = flags.audit_order_days.or(file.order_days).unwrap_or(defaults.order_days);
    let days = flags.audit_days.or(file.days).unwrap_or(defaults.admin_days);
    for (name, days) in [("order_days", order_days), ("days", days)] {
        ensure!(days <= MAX_DAYS, "audit.{name}: {days} must be at most {MAX_DAYS}");
    }
    config.retention = Retention { auth_days: days, order_days, admin_days: days, key_days: days };
    config.on_thread = on_thread;
    Ok(Some(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, is_development: bool) -> Result<Option<TrailConfig>> {
        let flags = AuditArguments::default();
        combine(flags, toml::from_str(text)?, Path::new("data"), is_development, None)
    }

    #[test]
    fn production_keeps_a_trail_unless_told_otherwise() {
        let trail = load("", false).unwrap().expect("a trail");
        assert_eq!(trail.directory, Path::new("data/audit"));
        assert!(load("", true).unwrap().is_none());
        assert!(load("enabled = false", false).unwrap().is_none());
        let trail = load("enabled = true\norder_days = 7\nfile_mib = 200", true).unwrap().unwrap();
        assert_eq!((trail.retention.order_days, trail.retention.key_days), (7, 365));
        assert_eq!(trail.file_bytes, 200 << 20);
    }

    #[test]
    fn a_bad_value_is_named() {
        for (text, name) in [("file_mib = 0", "audit.file_mib"), ("days = 99999", "audit.days")] {
            let error = load(text, false).map(drop).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}

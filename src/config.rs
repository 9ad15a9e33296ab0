//! The configuration of `serve`: flags over environment over file over defaults.
//!
//! clap has put the environment below the flags; the file comes in here. A key that does not exist
//! and a value that cannot be are errors that name them, because a misspelt key that is ignored is a
//! server that runs differently from what its operator believes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use engine::Command;
use runtime::cores::CoreList;
use runtime::disk::Durability;
use runtime::{MAX_GATHER, NodeConfig};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::audit::{self, AuditTable};
use crate::auth::{self, AuthArguments, Mode, Variables};
use crate::bootstrap::{self, AssetTable, Beginning, SymbolTable, UserTable};
use crate::cli::{DurabilityChoice, LogFormat, ServeArguments};
use crate::limits::{self, LimitArguments};
use crate::retention::{self, RetentionTable};
use crate::tls::{self, TlsTable};

const MIB_BYTES: u64 = 1 << 20;
/// Longest segment: beyond it a data directory is no easier to handle, only slower to prepare.
const MAX_SEGMENT_MIB: u64 = journal::MAX_SEGMENT_BYTES / MIB_BYTES;
/// Longest time that an idle shard looks for work.
const MAX_SPIN_US: u64 = 1_000_000;

/// The file, as it is written. Its keys are those of [`ServeArguments`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    host: Option<IpAddr>,
    port: Option<u16>,
    data: Option<PathBuf>,
    shards: Option<u16>,
    cores: Option<String>,
    auth: Option<Mode>,
    secret_file: Option<PathBuf>,
    previous_secret_file: Option<PathBuf>,
    admin_token: Option<String>,
    metrics_from: Option<String>,
    shard_ports: Option<bool>,
    spin_us: Option<u64>,
    gather_us: Option<u64>,
    durability: Option<DurabilityChoice>,
    segment_mib: Option<u64>,
    empty: Option<bool>,
    snapshot_every_mib: Option<u64>,
    snapshot_mib_per_s: Option<u64>,
    snapshot_cores: Option<String>,
    static_dir: Option<PathBuf>,
    #[serde(default)]
    limits: LimitArguments,
    #[serde(default)]
    retention: RetentionTable,
    #[serde(default)]
    audit: AuditTable,
    #[serde(default)]
    tls: TlsTable,
    log_format: Option<LogFormat>,
    log_level: Option<String>,
    #[serde(default)]
    assets: Vec<AssetTable>,
    #[serde(default)]
    symbols: Vec<SymbolTable>,
    #[serde(default)]
    users: Vec<UserTable>,
}

/// What `serve` runs with.
pub struct ServeConfig {
    /// The node.
    pub node: NodeConfig,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Which logs.
    pub log_filter: EnvFilter,
}

/// Puts flags, environment, file and defaults together, and checks the whole.
pub fn load(arguments: &ServeArguments) -> Result<ServeConfig> {
    let file = match &arguments.config {
        Some(path) => read(path)?,
        None => File::default(),
    };
    combine(arguments.clone(), file, &Variables::read())
}

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("config: cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("config: {}", path.display()))
}

fn combine(flags: ServeArguments, file: File, variables: &Variables) -> Result<ServeConfig> {
    let defaults = NodeConfig::default();
    let host = flags.host.or(file.host).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let of_file = AuthArguments {
        auth: file.auth,
        secret_file: file.secret_file,
        previous_secret_file: file.previous_secret_file,
        admin_token: file.admin_token,
        metrics_from: file.metrics_from,
    };
    let auth = auth::combine(flags.auth, of_file, variables, host)?;
    let is_development = auth.is_development;
    let spin_us = flags.spin_us.or(file.spin_us).unwrap_or(0);
    ensure!(spin_us <= MAX_SPIN_US, "spin_us: {spin_us} must be at most {MAX_SPIN_US}");
    let gather = gather(flags.gather_us.or(file.gather_us).unwrap_or(0))?;
    let durability = flags.durability.or(file.durability).map(Durability::from);
    let segment_bytes = match flags.segment_mib.or(file.segment_mib) {
        Some(mib) => segment_bytes(mib)?,
        None => defaults.segment_bytes,
    };
    let data = flags.data.or(file.data).unwrap_or_else(|| PathBuf::from("./data"));
    let snapshots = retention::combine(
        flags.retention,
        file.retention,
        file.snapshot_every_mib,
        file.snapshot_mib_per_s,
        file.snapshot_cores,
    )?;
    let background = snapshots.cores.clone();
    let on_thread = move || runtime::keep_to(background.as_ref());
    let audit =
        audit::combine(flags.audit, file.audit, &data, is_development, Some(Arc::new(on_thread)))?;
    let shards = flags.shards.or(file.shards);
    ensure!(shards != Some(0), "shards: must be at least 1");
    let beginning = Beginning { assets: file.assets, symbols: file.symbols, users: file.users };
    let node = NodeConfig {
        host,
        port: flags.port.or(file.port).unwrap_or(defaults.port),
        data,
        shards,
        cores: flags.cores.or(file.cores).as_deref().map(cores).transpose()?,
        auth,
        limits: limits::rates(&flags.limits, &file.limits, is_development)?,
        audit,
        shard_ports: flags.shard_ports.or(file.shard_ports).unwrap_or(false),
        spin: spin(spin_us),
        gather,
        durability: durability.unwrap_or(defaults.durability),
        segment_bytes,
        snapshots,
        static_dir: flags.static_dir.or(file.static_dir),
        connections: limits::connections(&flags.limits, &file.limits)?,
        tls: tls::combine(flags.tls, file.tls)?,
        bootstrap: bootstrap(flags.empty.or(file.empty), &beginning, is_development)?,
        ..defaults
    };
    let log_level = flags.log_level.or(file.log_level).unwrap_or_else(|| "info".to_owned());
    let log_filter = EnvFilter::try_new(&log_level)
        .with_context(|| format!("log_level: {log_level:?} (like info or info,runtime=debug)"))?;
    let log_format = flags.log_format.or(file.log_format).unwrap_or_default();
    Ok(ServeConfig { node, log_format, log_filter })
}

/// A list of cores.
pub fn cores(text: &str) -> Result<CoreList> {
    Ok(CoreList::from_str(text)?)
}

/// Zero is no spinning at all.
pub fn spin(us: u64) -> Option<Duration> {
    (us > 0).then(|| Duration::from_micros(us))
}

fn gather(us: u64) -> Result<Duration> {
    let (time, most) = (Duration::from_micros(us), MAX_GATHER.as_micros());
    ensure!(time <= MAX_GATHER, "gather_us: {us} must be at most {most}");
    Ok(time)
}

fn segment_bytes(mib: u64) -> Result<u64> {
    ensure!(
        (1..=MAX_SEGMENT_MIB).contains(&mib),
        "segment_mib: {mib} must be from 1 to {MAX_SEGMENT_MIB}"
    );
    Ok(mib * MIB_BYTES)
}

/// The demo users have no passwords and much money: production begins without them.
fn bootstrap(
    empty: Option<bool>,
    beginning: &Beginning,
    is_development: bool,
) -> Result<Vec<Command>> {
    let is_empty = beginning.is_empty();
    match (empty.unwrap_or(!is_development && is_empty), is_empty) {
        (true, true) => Ok(Vec::new()),
        (true, false) => bail!("empty: contradicts the assets, symbols and users of the file"),
        (false, true) => bootstrap::default_beginning()?.commands(),
        (false, false) => beginning.commands(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServeConfig> {
        combine(ServeArguments::default(), toml::from_str(text)?, &Variables::default())
    }

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).map(drop).unwrap_err())
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        for (text, word) in [
            ("prot = 9000", "prot"),
            ("port = 70000", "port"),
            ("port = \"http\"", "port"),
            ("host = \"localhost\"", "host"),
            ("shards = 0", "shards"),
            ("cores = \"3-1\"", "cores"),
            ("spin_us = 2000000", "spin_us"),
            ("gather_us = 100001", "gather_us"),
            ("gather_us = -1", "gather_us"),
            ("durability = \"fsync\"", "durability"),
            ("segment_mib = 0", "segment_mib"),
            ("snapshot_every_mib = 99999999999", "snapshot_every_mib"),
            ("[retention]\nsnapshots = 0", "retention.snapshots"),
            ("[tls]\ncertificate = \"a.pem\"", "tls.key"),
            ("[tls]\nmin_version = \"1.1\"", "1.1"),
            ("log_format = \"xml\"", "xml"),
            ("log_level = \"no=such=level\"", "log_level"),
            ("admin_token = \"\"", "admin_token"),
            ("[[assets]]\nasset = \"BTC\"\ndecimal = 8", "decimal"),
            ("empty = true\n[[assets]]\nasset = \"BTC\"\ndecimals = 8", "empty"),
        ] {
            let error = error(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn only_loopback_is_served_without_a_secret() {
        assert!(error("host = \"0.0.0.0\"").contains("secret_file"));
        assert!(parse("host = \"::1\"").is_ok());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file: File = toml::from_str("port = 9000\nshards = 3").unwrap();
        let flags = ServeArguments { port: Some(9_001), ..ServeArguments::default() };
        let node = combine(flags, file, &Variables::default()).unwrap().node;
        assert_eq!((node.port, node.shards), (9_001, Some(3)));
        assert_eq!(node.data, PathBuf::from("./data"));
    }

    #[test]
    fn nothing_waits_for_more_records_and_each_write_is_durable_unless_told_otherwise() {
        let node = parse("").unwrap().node;
        assert_eq!((node.gather, node.durability), (Duration::ZERO, Durability::EachWrite));
        let node = parse("gather_us = 100000\ndurability = \"fdatasync\"").unwrap().node;
        assert_eq!((node.gather, node.durability), (MAX_GATHER, Durability::Sync));
        assert_eq!(parse("durability = \"dsync\"").unwrap().node.durability, Durability::EachWrite);
    }

    #[test]
    fn a_new_exchange_has_demo_markets_unless_told_otherwise() {
        assert!(!parse("").unwrap().node.bootstrap.is_empty());
        assert!(parse("empty = true").unwrap().node.bootstrap.is_empty());
        let own = parse("[[assets]]\nasset = \"BTC\"\ndecimals = 8").unwrap().node.bootstrap;
        assert_eq!(own.len(), 1);
    }

    /// The keys of the file, or of one of its tables, as a mistake in it lists them.
    fn keys_of(table: &str) -> Vec<String> {
        let told = error(&format!("{table}\nno_such_key = 1"));
        let list = told.rsplit_once("expected ").expect("a list of keys").1;
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_key_is_in_the_documentation() {
        let documentation = include_str!("../docs/operations.md");
        let rows: Vec<&str> =
            documentation.lines().filter(|line| line.starts_with("| `--")).collect();
        let has = |text: &str| documentation.contains(&format!("`{text}`"));
        // Flags, with their environment variables in the same row.
        let serve = <crate::cli::Cli as clap::CommandFactory>::command();
        let serve = serve.find_subcommand("serve").expect("a command");
        let mut flags = 0;
        for argument in serve.get_arguments() {
            let (Some(flag), Some(variable)) = (argument.get_long(), argument.get_env()) else {
                continue;
            };
            let begin = format!("| `--{flag}` | `{}` | ", variable.to_string_lossy());
            assert!(rows.iter().any(|row| row.starts_with(&begin)), "no row for --{flag}");
            flags += 1;
        }
        let keys = keys_of("");
        assert!(flags > 40 && keys.len() > 25, "{flags} {keys:?}");
        for key in keys {
            let is_there = match key.as_str() {
                "limits" | "retention" | "audit" | "tls" => {
                    has(&format!("[{key}]")) || documentation.contains(&format!("[{key}]\n"))
                }
                "assets" | "symbols" | "users" => has(&format!("[[{key}]]")),
                key => has(&format!("--{}", key.replace('_', "-"))),
            };
            assert!(is_there, "{key}");
        }
        for key in keys_of("[limits]") {
            assert!(has(&format!("--{}", key.replace('_', "-"))), "limits.{key}");
        }
        for table in ["[retention]", "[audit]", "[tls]", "[[assets]]", "[[symbols]]", "[[users]]"] {
            for key in keys_of(table) {
                assert!(has(&key), "{table} {key}");
            }
        }
    }
}

//! The configuration of `serve`: flags over environment over file over defaults.
//!
//! clap has put the environment below the flags; the file comes in here. A key that does not exist
//! and a value that cannot be are errors that name them, because a misspelt key that is ignored is a
//! server that runs differently from what its operator believes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use engine::Command;
use runtime::NodeConfig;
use runtime::cores::CoreList;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::bootstrap::{self, AssetTable, Beginning, SymbolTable, UserTable};
use crate::cli::{LogFormat, ServeArguments};
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
    admin_token: Option<String>,
    shard_ports: Option<bool>,
    spin_us: Option<u64>,
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
#[derive(Debug)]
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
    combine(arguments.clone(), file)
}

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("config: cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("config: {}", path.display()))
}

fn combine(flags: ServeArguments, file: File) -> Result<ServeConfig> {
    let defaults = NodeConfig::default();
    let host = flags.host.or(file.host).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    check_host(host)?;
    let spin_us = flags.spin_us.or(file.spin_us).unwrap_or(0);
    ensure!(spin_us <= MAX_SPIN_US, "spin_us: {spin_us} must be at most {MAX_SPIN_US}");
    let segment_bytes = match flags.segment_mib.or(file.segment_mib) {
        Some(mib) => segment_bytes(mib)?,
        None => defaults.segment_bytes,
    };
    let admin_token = flags.admin_token.or(file.admin_token).or(defaults.admin_token);
    ensure!(
        admin_token.as_ref().is_some_and(|token| is_header_value(token)),
        "admin_token: must be printable ASCII and not empty"
    );
    let shards = flags.shards.or(file.shards);
    ensure!(shards != Some(0), "shards: must be at least 1");
    let beginning = Beginning { assets: file.assets, symbols: file.symbols, users: file.users };
    let node = NodeConfig {
        host,
        port: flags.port.or(file.port).unwrap_or(defaults.port),
        data: flags.data.or(file.data).unwrap_or_else(|| PathBuf::from("./data")),
        shards,
        cores: flags.cores.or(file.cores).as_deref().map(cores).transpose()?,
        admin_token,
        shard_ports: flags.shard_ports.or(file.shard_ports).unwrap_or(false),
        spin: spin(spin_us),
        segment_bytes,
        snapshots: retention::combine(
            flags.retention,
            file.retention,
            file.snapshot_every_mib,
            file.snapshot_mib_per_s,
            file.snapshot_cores,
        )?,
        static_dir: flags.static_dir.or(file.static_dir),
        connections: limits::combine(flags.limits, file.limits)?,
        tls: tls::combine(flags.tls, file.tls)?,
        bootstrap: bootstrap(flags.empty.or(file.empty).unwrap_or(false), &beginning)?,
        ..defaults
    };
    let log_level = flags.log_level.or(file.log_level).unwrap_or_else(|| "info".to_owned());
    let log_filter = EnvFilter::try_new(&log_level)
        .with_context(|| format!("log_level: {log_level:?} (like info or info,runtime=debug)"))?;
    let log_format = flags.log_format.or(file.log_format).unwrap_or_default();
    Ok(ServeConfig { node, log_format, log_filter })
}

/// Development authentication believes whoever can reach the port.
pub fn check_host(host: IpAddr) -> Result<()> {
    if !host.is_loopback() {
        bail!(
            "host: {host} is no loopback address. Production authentication is not built yet, and \
             with development authentication whoever reaches the port may trade as anybody; use \
             127.0.0.1 or ::1"
        );
    }
    Ok(())
}

/// A list of cores.
pub fn cores(text: &str) -> Result<CoreList> {
    Ok(CoreList::from_str(text)?)
}

/// Zero is no spinning at all.
pub fn spin(us: u64) -> Option<Duration> {
    (us > 0).then(|| Duration::from_micros(us))
}

fn segment_bytes(mib: u64) -> Result<u64> {
    ensure!(
        (1..=MAX_SEGMENT_MIB).contains(&mib),
        "segment_mib: {mib} must be from 1 to {MAX_SEGMENT_MIB}"
    );
    Ok(mib * MIB_BYTES)
}

fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn bootstrap(empty: bool, beginning: &Beginning) -> Result<Vec<Command>> {
    match (empty, beginning.is_empty()) {
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
        combine(ServeArguments::default(), toml::from_str(text)?)
    }

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
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
    fn only_loopback_is_served() {
        assert!(error("host = \"0.0.0.0\"").contains("Production authentication"));
        assert!(parse("host = \"::1\"").is_ok());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file: File = toml::from_str("port = 9000\nshards = 3").unwrap();
        let flags = ServeArguments { port: Some(9_001), ..ServeArguments::default() };
        let node = combine(flags, file).unwrap().node;
        assert_eq!((node.port, node.shards), (9_001, Some(3)));
        assert_eq!(node.data, PathBuf::from("./data"));
    }

    #[test]
    fn a_new_exchange_has_demo_markets_unless_told_otherwise() {
        assert!(!parse("").unwrap().node.bootstrap.is_empty());
        assert!(parse("empty = true").unwrap().node.bootstrap.is_empty());
        let own = parse("[[assets]]\nasset = \"BTC\"\ndecimals = 8").unwrap().node.bootstrap;
        assert_eq!(own.len(), 1);
    }
}

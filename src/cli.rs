//! The command line: what can be asked for, and how `--help` explains it.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use money::UserId;
use runtime::disk::Durability;
use serde::Deserialize;

use crate::admin::AdminCommand;
use crate::admin::place::PlaceArguments;
use crate::audit::AuditArguments;
use crate::auth::AuthArguments;
use crate::limits::LimitArguments;
use crate::load::arguments::LoadCommand;
use crate::time::Instant;
use crate::tls::TlsArguments;

/// A self-hosted exchange server: orders over HTTP, matched, settled and journaled on every core.
#[derive(Debug, Parser)]
#[command(name = "ringbook", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Start here:
  ringbook demo                          markets with synthetic traders, to look around
  ringbook serve                         an exchange on http://127.0.0.1:8080, data in ./data
  curl localhost:8080/api/v1/public/depth?symbol=BTC_USDT

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 3 no server answers (admin).")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommands,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Subcommands {
    /// Run the exchange
    Serve(Box<ServeArguments>),
    /// Run the exchange with synthetic traders and a live summary
    Demo(DemoArguments),
    /// Run a recorded order flow through the exchange and write what comes of it
    Replay(ReplayArguments),
    /// Measure a running server under load
    Load {
        /// What kind of load.
        #[command(subcommand)]
        command: LoadCommand,
    },
    /// Make the first administrator; users, keys, symbols, payments of a running server
    #[command(after_help = "\
Who asks is a key with the permission admin, of a user with a role that allows it:
  ringbook admin init --data ./data --secret-file secret --credential-file ~/.ringbook
  export RINGBOOK_CREDENTIAL_FILE=~/.ringbook RINGBOOK_URL=https://exchange.example:8080
  ringbook admin user list

Exit codes: 0 done, 1 refused by the server, 2 wrong usage, 3 no server answers.")]
    Admin {
        /// What to do.
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Make, list and check snapshots
    Snapshot {
        /// What to do.
        #[command(subcommand)]
        command: SnapshotCommand,
    },
    /// Look into the journal of a data directory
    Journal {
        /// What to do with it.
        #[command(subcommand)]
        command: JournalCommand,
    },
}

/// `serve`. Every key of the configuration file is here, and an environment variable too.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "\
A flag wins over its environment variable, that over the configuration file, that over the default.
The file is TOML; its keys are the names of the flags with underscores:

  port = 9000
  data = \"/var/lib/ringbook\"
  cores = \"0-3\"

  [[assets]]                             # what a new data directory begins with; without any of
  asset = \"BTC\"                          # these three tables, the demo assets, symbols and users
  decimals = 8

  [[symbols]]
  symbol = \"BTC_USDT\"                    # also: min_qty, max_qty, min_notional, maker_fee_ppm,
  base = \"BTC\"                           # taker_fee_ppm, price_band_ppm, status, reference_price,
  quote = \"USDT\"                         # shard
  tick = \"0.01\"
  lot = \"0.00000001\"

  [[users]]
  user_id = 1001
  name = \"alice\"
  balances = { BTC = \"10\", USDT = \"100000\" }

Examples:
  ringbook serve
  ringbook serve --port 9000 --data /var/lib/ringbook --cores 0-3
  RINGBOOK_LOG_FORMAT=json ringbook serve --config /etc/ringbook.toml")]
pub struct ServeArguments {
    /// Configuration file, TOML [default: none]
    #[arg(long, env = "RINGBOOK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on; in development mode a loopback address [default: 127.0.0.1]
    #[arg(long, env = "RINGBOOK_HOST", value_name = "ADDRESS")]
    pub host: Option<IpAddr>,
    /// Port to listen on; 0 takes any free one, which is printed [default: 8080]
    #[arg(long, env = "RINGBOOK_PORT")]
    pub port: Option<u16>,
    /// Data directory, made if it is not there [default: ./data]
    #[arg(long, env = "RINGBOOK_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Number of shards [default: one per available core]
    #[arg(long, env = "RINGBOOK_SHARDS", value_name = "N")]
    pub shards: Option<u16>,
    /// Cores to pin the shards to, one each, like 0-3,6 [default: all available ones]
    #[arg(long, env = "RINGBOOK_CORES", value_name = "LIST")]
    pub cores: Option<String>,
    /// Who may ask.
    #[command(flatten)]
    pub auth: AuthArguments,
    /// Also let shard i listen alone on port + 1 + i [default: false]
    #[arg(long, env = "RINGBOOK_SHARD_PORTS", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub shard_ports: Option<bool>,
    /// How long an idle shard looks for work before it sleeps, in µs [default: 0]
    #[arg(long, env = "RINGBOOK_SPIN_US", value_name = "MICROSECONDS")]
    pub spin_us: Option<u64>,
    /// How long a record of the journal waits for others, so that the disk writes less often, in µs; 0:
    /// only while another write is under way [default: 0]
    #[arg(long, env = "RINGBOOK_GATHER_US", value_name = "MICROSECONDS")]
    pub gather_us: Option<u64>,
    /// What makes a write of the journal durable [default: dsync]
    #[arg(long, env = "RINGBOOK_DURABILITY", value_enum, value_name = "HOW")]
    pub durability: Option<DurabilityChoice>,
    /// Length of a journal segment, in MiB [default: 64]
    #[arg(long, env = "RINGBOOK_SEGMENT_MIB", value_name = "MIB")]
    pub segment_mib: Option<u64>,
    /// When snapshots are made and what is kept of them.
    #[command(flatten)]
    pub retention: RetentionArguments,
    /// Serve the files of this directory at paths that are not the server's own
    #[arg(long, env = "RINGBOOK_STATIC_DIR", value_name = "DIR")]
    pub static_dir: Option<PathBuf>,
    /// Bounds on connections, and how fast whom.
    #[command(flatten)]
    pub limits: LimitArguments,
    /// The audit trail.
    #[command(flatten)]
    pub audit: AuditArguments,
    /// The certificate.
    #[command(flatten)]
    pub tls: TlsArguments,
    /// Begin a new data directory without any assets, symbols and users [default: false]
    #[arg(long, env = "RINGBOOK_EMPTY", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub empty: Option<bool>,
    /// How logs are written to stderr: text for people, or json, one object a line [default: text]
    #[arg(long, env = "RINGBOOK_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace, also per module: info,runtime=debug [default: info]
    #[arg(long, env = "RINGBOOK_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// Of `serve`: snapshots, and what is kept. In the file, all but the first two are in the table
/// `[retention]`, without `retention_`.
#[derive(Args, Clone, Debug, Default)]
pub struct RetentionArguments {
    /// Journal written by a shard after which its next snapshot is made, in MiB; 0: only when asked
    /// for [default: 256]
    #[arg(long, env = "RINGBOOK_SNAPSHOT_EVERY_MIB", value_name = "MIB")]
    pub snapshot_every_mib: Option<u64>,
    /// Most that snapshots read and write, in MiB/s; 0: as fast as it goes [default: 64]
    #[arg(long, env = "RINGBOOK_SNAPSHOT_MIB_PER_S", value_name = "MIB")]
    pub snapshot_mib_per_s: Option<u64>,
    /// Cores that the thread which makes snapshots keeps to, like 0-3,6 [default: any]
    #[arg(long, env = "RINGBOOK_SNAPSHOT_CORES", value_name = "LIST")]
    pub snapshot_cores: Option<String>,
    /// Snapshots to keep, per shard [default: 2]
    #[arg(long, env = "RINGBOOK_RETENTION_SNAPSHOTS", value_name = "N")]
    pub retention_snapshots: Option<usize>,
    /// Keep younger snapshots than this besides, in hours [default: 0]
    #[arg(long, env = "RINGBOOK_RETENTION_SNAPSHOT_HOURS", value_name = "HOURS")]
    pub retention_snapshot_hours: Option<u64>,
    /// What happens to journal segments that the oldest snapshot covers [default: delete]
    #[arg(long, env = "RINGBOOK_RETENTION_SEGMENTS", value_enum, value_name = "WHAT")]
    pub retention_segments: Option<Segments>,
    /// Where archived segments go; makes `archive` the default of the flag before
    #[arg(long, env = "RINGBOOK_RETENTION_ARCHIVE", value_name = "DIR")]
    pub retention_archive: Option<PathBuf>,
    /// Covered segments to leave alone all the same, per shard [default: 0]
    #[arg(long, env = "RINGBOOK_RETENTION_KEEP_SEGMENTS", value_name = "N")]
    pub retention_keep_segments: Option<usize>,
    /// And those with records younger than this, in hours [default: 0]
    #[arg(long, env = "RINGBOOK_RETENTION_SEGMENT_HOURS", value_name = "HOURS")]
    pub retention_segment_hours: Option<u64>,
}

/// What happens to journal segments that no start needs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segments {
    /// They are deleted, some become the next ones.
    Delete,
    /// They stay for ever.
    Keep,
    /// They go to the archive.
    Archive,
}

/// What makes a write of the journal durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityChoice {
    /// The write itself: the file is opened with O_DSYNC.
    Dsync,
    /// An fdatasync behind it.
    Fdatasync,
}

impl From<DurabilityChoice> for Durability {
    fn from(choice: DurabilityChoice) -> Durability {
        match choice {
            DurabilityChoice::Dsync => Durability::EachWrite,
            DurabilityChoice::Fdatasync => Durability::Sync,
        }
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `demo`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  ringbook demo
  ringbook demo --rate 20000 --shards 2 --seed 7
  ringbook demo --data ./demo-data       keep what happened")]
pub struct DemoArguments {
    /// Orders and cancels per second that the traders send
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub rate: u32,
    /// Seed of the traders: the same one, the same sequence of orders
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Address to listen on; a loopback address
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Number of shards [default: one per available core]
    #[arg(long, value_name = "N")]
    pub shards: Option<u16>,
    /// Data directory [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// End after this many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "SECONDS")]
    pub duration_s: Option<u64>,
}

/// `replay`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A set is a folder with market.json, balances.csv and flow.csv.gz. OUT gets trades.csv, rejected.csv,
balances_after.csv and book_after.csv. The order of the flow is kept: with several shards each
command is settled before the next one is sent, so measure speed with one.

Examples:
  ringbook replay --set ../shared/data/lobster-aapl --out /tmp/out
  ringbook replay --set ../shared/data/zxi-100k --out /tmp/out --shards 4 --taker-fee-ppm 200
  ringbook replay --set ../shared/data/cme-es --out /tmp/out --url http://127.0.0.1:8080")]
pub struct ReplayArguments {
    /// Folder of the set
    #[arg(long, value_name = "DIR")]
    pub set: PathBuf,
    /// Folder for the results, made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of shards in this process
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "url")]
    pub shards: u16,
    /// Cores to pin them to, like 0-3,6 [default: all available ones]
    #[arg(long, value_name = "LIST", conflicts_with = "url")]
    pub cores: Option<String>,
    /// Data directory, which must be new [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub data: Option<PathBuf>,
    /// How long an idle shard looks for work before it sleeps, in µs
    #[arg(long, default_value_t = 0, value_name = "MICROSECONDS", conflicts_with = "url")]
    pub spin_us: u64,
    /// Replay against this server instead, over HTTP
    #[arg(long, value_name = "http://HOST:PORT")]
    pub url: Option<String>,
    /// What the server expects as X-Admin-Token
    #[arg(long, env = "RINGBOOK_ADMIN_TOKEN", default_value = "dev-admin", value_name = "TOKEN")]
    #[arg(hide_env_values = true)]
    pub admin_token: String,
    /// How long to try to reach a server that went away, in s
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub reconnect_s: u64,
    /// Maker fee of the symbol, in parts per million
    #[arg(long, default_value_t = 0, value_name = "PPM")]
    pub maker_fee_ppm: u32,
    /// Taker fee of the symbol, in parts per million
    #[arg(long, default_value_t = 0, value_name = "PPM")]
    pub taker_fee_ppm: u32,
    /// Write how long it took to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `snapshot …`.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Have a running server make one of every shard, and wait for them
    Now(SnapshotNowArguments),
    /// List those of a data directory
    List(SnapshotFilesArguments),
    /// Read every byte of those of a data directory
    Verify(SnapshotFilesArguments),
}

/// `snapshot now`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Who asks is proved as with `ringbook admin`; exit codes are the same.

Examples:
  ringbook snapshot now --url http://127.0.0.1:8080
  ringbook snapshot now --url https://exchange.example:8080 --credential-file ~/.ringbook")]
pub struct SnapshotNowArguments {
    /// The server, and who asks it.
    #[command(flatten)]
    pub place: PlaceArguments,
    /// How long to wait for them, in s
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub timeout_s: u64,
}

/// `snapshot list` and `snapshot verify`. A server may be running on the directory.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  ringbook snapshot list --data ./data
  ringbook snapshot verify --data ./data     exit code 1 when one is damaged")]
pub struct SnapshotFilesArguments {
    /// Data directory
    #[arg(long, env = "RINGBOOK_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
}

/// `journal …`. Neither changes anything, and a server may be running on the directory.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Print records as JSON lines
    Dump(DumpArguments),
    /// Check every batch of every shard's journal
    Verify(VerifyArguments),
}

/// `journal dump`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
One object a line: shard, lsn (the record's number), time_ms, time, kind, and the fields of the kind.
Prices are in ticks, quantities in lots, amounts in units, as the journal has them.

Examples:
  ringbook journal dump --data ./data --user 1001
  ringbook journal dump --data ./data --shard 0 --from 2026-01-31T12:00:00Z | jq .kind")]
pub struct DumpArguments {
    /// Data directory
    #[arg(long, env = "RINGBOOK_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
    /// Only this shard's
    #[arg(long, value_name = "N")]
    pub shard: Option<u16>,
    /// Only records from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or ms since the epoch
    #[arg(long, value_name = "TIME")]
    pub from: Option<Instant>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<Instant>,
    /// Only records that name this user
    #[arg(long, value_name = "ID", value_parser = user_id)]
    pub user: Option<UserId>,
}

/// `journal verify`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Exit code 1 when anything is damaged; what and where is said, for every shard.

Example:
  ringbook journal verify --data ./data")]
pub struct VerifyArguments {
    /// Data directory
    #[arg(long, env = "RINGBOOK_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
}

fn user_id(text: &str) -> Result<UserId, std::num::ParseIntError> {
    text.parse().map(UserId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_switch_stands_alone_or_has_a_value() {
        let parse = |arguments: &[&str]| match Cli::try_parse_from(arguments).unwrap().command {
            Subcommands::Serve(serve) => serve.shard_ports,
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&["ringbook", "serve", "--shard-ports", "--port", "1"]), Some(true));
        assert_eq!(parse(&["ringbook", "serve", "--shard-ports=false"]), Some(false));
        assert_eq!(parse(&["ringbook", "serve"]), None);
    }

    #[test]
    fn a_url_excludes_what_is_for_this_process() {
        let words = ["ringbook", "replay", "--set", "a", "--out", "b", "--url", "http://c:1"];
        assert!(Cli::try_parse_from(words).is_ok());
        assert!(Cli::try_parse_from(words.iter().chain(&["--shards", "2"])).is_err());
    }
}

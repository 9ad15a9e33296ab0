//! The arguments of `ringbook load`, as `--help` explains them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::mix::Mix;
use super::users::UserRange;

/// `load …`.
#[derive(Debug, Subcommand)]
pub enum LoadCommand {
    /// Send orders over HTTP and measure how long the answers take
    Http(LoadHttpArguments),
    /// Open WebSockets, follow channels, trade, and measure how long pushes and answers take
    Ws(LoadWsArguments),
}

/// `load http`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Latency counts from the moment at which a request was to be sent, whether or not a connection was
free by then: a server that stalls for a second is seen by all who came in that second. Service time
counts from the sending; the difference is what a request waited for its turn. Requests without an
answer count with the time that they waited in vain. The load is real: it trades in the given symbols,
with users of its own unless told otherwise, and leaves what rests in the book.

--mix takes place (LIMIT, about half of them trade), place_wait (answered when matched and settled),
cancel, balances and depth, with whole numbers as weights.

Examples:
  ringbook load http --rate 10000 --duration-s 30
  ringbook load http --rate 0 --connections 64 --mix place=1         as fast as it goes
  ringbook load http --users 1001..1010 --setup never --symbols BTC_USDT --json result.json

Exit code 1 when the server cannot be reached, or answered no request or every one with an error.")]
pub struct LoadHttpArguments {
    /// What every kind of load has.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Requests per second, evenly spaced; 0: each connection sends when it has its answer
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub rate: u64,
    /// Connections
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub connections: usize,
    /// Users who trade, LAST included, with /STEP every STEPth; N alone is 1000001 to 1000000 + N
    #[arg(long, default_value = "1000", value_name = "N or FIRST..LAST[/STEP]")]
    pub users: UserRange,
    /// Which requests, in which proportion
    #[arg(long, default_value = "place=80,cancel=20", value_name = "KIND=WEIGHT,…")]
    pub mix: Mix,
    /// Requests under way at once on a connection, 1 to 128 [default: 16; 1 with --rate 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=128))]
    pub pipeline: Option<u16>,
}

/// `load ws`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The first --traders of the connections belong to one user each, get that user's events and trade; the others
follow --channels. An order's time counts from the moment at which it was to be sent: to its answer, to its
owner's order.update, and to everybody who follows its trades. Trades have to be those of this run's orders.

Events of users must be complete and in order: each balance follows from the one before, an order's status and
quantity never go back, its trades make up what is filled, and each accepted order is told of. Market data may
leave out for slow readers; that is counted too.

Examples:
  ringbook load ws --traders 10 --rate 1000
  ringbook load ws --connections 10000 --channels depth --channels-each 1 --traders 10 --rate 1000 --threads 2
  ringbook load ws --connections 10000 --channels none --duration-s 60         only open
  ringbook load ws --connections 2000 --traders 100 --drive http --rate 5000 --json result.json

Exit code 1 when the server cannot be reached, no order was answered, or events of a user were missing, came
twice or in a wrong order.")]
pub struct LoadWsArguments {
    /// What every kind of load has.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Connections, the traders' included
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub connections: usize,
    /// Connections that belong to a user each and, with --drive ws, trade
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub traders: usize,
    /// Users of the traders, LAST included; N alone is 1000001 to 1000000 + N [default: as many as
    /// traders]
    #[arg(long, value_name = "N or FIRST..LAST")]
    pub users: Option<UserRange>,
    /// What the other connections follow: trades, depth, depth_realtime, bbo, ticker, kline_1m …, of
    /// every symbol or, with :SYMBOL behind it, of one; or none
    #[arg(long, default_value = "trades,depth", value_name = "CHANNEL,…", value_delimiter = ',')]
    pub channels: Vec<String>,
    /// How many of these channels each connection follows, in turn [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub channels_each: Option<u16>,
    /// Where orders come from [default: ws with --traders, else none]
    #[arg(long, value_enum, value_name = "WHERE")]
    pub drive: Option<Drive>,
    /// Orders and cancels per second, evenly spaced; 0: each trader sends when it has its answer
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub rate: u64,
    /// Which requests, in which proportion
    #[arg(long, default_value = "place=80,cancel=20", value_name = "KIND=WEIGHT,…")]
    pub mix: Mix,
    /// Requests under way at once on a connection, 1 to 64 [default: 16; 1 with --rate 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub pipeline: Option<u16>,
    /// Connections to open per second; 0: as fast as it goes
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub open_rate: u64,
    /// The server's process, for its CPU and memory [default: whoever on this machine listens there]
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
}

/// Where the orders of `load ws` come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Drive {
    /// From the traders' WebSockets
    Ws,
    /// Over HTTP, in the name of the traders or of users without a WebSocket
    Http,
    /// From nobody
    None,
}

/// Of every `load`.
#[derive(Args, Clone, Debug)]
pub struct LoadArguments {
    /// The server
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "http://HOST:PORT")]
    pub url: String,
    /// How long to measure, in s
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub duration_s: u64,
    /// How long to send before that without measuring, in s
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    pub warmup_s: u64,
    /// Threads that share the connections and the rate
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub threads: usize,
    /// Symbols to trade [default: all that are TRADING]
    #[arg(long, value_name = "SYMBOL,…", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Whether to create the users and pay in for them
    #[arg(long, value_enum, default_value_t = Setup::Auto, value_name = "WHEN")]
    pub setup: Setup,
    /// What the server expects as X-Admin-Token
    #[arg(long, env = "RINGBOOK_ADMIN_TOKEN", default_value = "dev-admin", value_name = "TOKEN")]
    #[arg(hide_env_values = true)]
    pub admin_token: String,
    /// Seed: the same one, the same sequence of requests
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Length of a window of the series in the JSON, in ms
    #[arg(long, default_value_t = 1_000, value_name = "MILLISECONDS")]
    pub window_ms: u64,
    /// Write the results to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Whether users are created and paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Setup {
    /// When the admin token is accepted
    Auto,
    /// Always; a refused token is an error
    Always,
    /// Never: they are there
    Never,
}

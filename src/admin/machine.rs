//! `admin cancel`, `session`, `audit`, `proof`, `snapshot` and `shards`: what concerns the whole server.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::Failure;
use super::server::{PAGE_ROWS, Request, Server, path_of, target};
use super::table::{Column, Form, fields, table};
use super::{Outcome, rows_of, user_id};
use crate::time::Instant;

const ORDERS: &str = "/api/v1/admin/orders";
const SESSIONS: &str = "/api/v1/admin/sessions";
const PROOF: &str = "/api/v1/admin/proof";
const SNAPSHOTS: &str = "/api/v1/admin/snapshots";
const SHARDS: &str = "/api/v1/admin/shards";
const AUDIT: &str = "/api/audit/logs";

/// What `--help` ends with.
pub const CANCEL_EXAMPLES: &str = "\
Examples:
  ringbook admin cancel --user 1001
  ringbook admin cancel --symbol BTC_USDT
  ringbook admin cancel --user 1001 --symbol BTC_USDT
  ringbook admin cancel --all";

/// What `--help` ends with.
pub const SESSION_EXAMPLES: &str = "\
Examples:
  ringbook admin session list --user 1001
  ringbook admin session list --kind WS
  ringbook admin session end 1a";

/// What `--help` ends with.
pub const AUDIT_EXAMPLES: &str = "\
Examples:
  ringbook admin audit --type key --limit 20
  ringbook admin audit --user 1001 --from 2026-01-31 --to 2026-02-01
  ringbook admin audit --type auth --json | jq .items[].address";

const PROVEN: [Column; 8] = [
    Column::of("asset", Form::Text),
    Column::of("deposits", Form::Number),
    Column::of("withdrawals", Form::Number),
    Column::of("avail", Form::Number),
    Column::of("frozen", Form::Number),
    Column::of("fees", Form::Number),
    Column::new("in flight", "in_flight", Form::Number),
    Column::of("balanced", Form::Flag),
];
const SNAPSHOT: [Column; 8] = [
    Column::of("shard", Form::Number),
    Column::of("state", Form::Text),
    Column::of("made", Form::Number),
    Column::new("records", "lsn", Form::Number),
    Column::of("bytes", Form::Number),
    Column::new("took ms", "took_ms", Form::Number),
    Column::new("newest", "created_ms", Form::Ms),
    Column::of("failure", Form::Text),
];
const SHARD: [Column; 11] = [
    Column::of("shard", Form::Number),
    Column::of("users", Form::Number),
    Column::of("symbols", Form::Number),
    Column::new("open", "open_orders", Form::Number),
    Column::new("resting", "resting_orders", Form::Number),
    Column::new("appended", "appended_lsn", Form::Number),
    Column::new("durable", "durable_lsn", Form::Number),
    Column::new("snapshot", "snapshot_lsn", Form::Number),
    Column::new("unconfirmed", "unconfirmed_messages", Form::Number),
    Column::new("requests", "requests_in_flight", Form::Number),
    Column::new("state", "state_hash", Form::Text),
];
const SESSION: [Column; 6] = [
    Column::new("session", "session_id", Form::Text),
    Column::of("shard", Form::Number),
    Column::of("kind", Form::Text),
    Column::new("user", "user_id", Form::Number),
    Column::of("address", Form::Text),
    Column::new("opened", "opened_at", Form::Ms),
];
const RECORD: [Column; 9] = [
    Column::of("time", Form::Text),
    Column::of("type", Form::Text),
    Column::of("action", Form::Text),
    Column::of("user", Form::Number),
    Column::of("actor", Form::Text),
    Column::of("address", Form::Text),
    Column::of("status", Form::Number),
    Column::of("code", Form::Text),
    Column::new("on user", "target_user", Form::Number),
];

/// Nothing but a server.
#[derive(Args, Debug)]
pub struct NoArguments {}

/// `cancel`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub struct CancelArguments {
    /// Those of this user
    #[arg(long, value_name = "ID", value_parser = user_id, group = "which")]
    user: Option<u64>,
    /// Those of this symbol
    #[arg(long, group = "which")]
    symbol: Option<String>,
    /// Every open order of the exchange
    #[arg(long, group = "which", conflicts_with_all = ["user", "symbol"])]
    all: bool,
}

/// `session …`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List open connections
    List {
        /// Those of this user
        #[arg(long, value_name = "ID", value_parser = user_id)]
        user: Option<u64>,
        /// Those of this kind: HTTP, WS, RPC_ORDERS, RPC_MARKET_DATA, RPC_USER_DATA, EVENT_STREAM
        #[arg(long)]
        kind: Option<String>,
    },
    /// End one
    End {
        /// Its number, as `list` shows it
        #[arg(value_name = "SESSION")]
        session: String,
    },
}

/// `audit`.
#[derive(Args, Debug)]
pub struct AuditArguments {
    /// Only records of this type
    #[arg(long = "type", value_name = "TYPE")]
    #[arg(value_parser = PossibleValuesParser::new(["auth", "order", "admin", "key"]))]
    kind: Option<String>,
    /// Only what this user did, or what was done to it
    #[arg(long, value_name = "ID", value_parser = user_id)]
    user: Option<u64>,
    /// Only from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or ms since the epoch
    #[arg(long, value_name = "TIME")]
    from: Option<Instant>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    to: Option<Instant>,
    /// Most of them
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=PAGE_ROWS as i64))]
    limit: u16,
}

/// Cancels orders.
pub fn cancel(arguments: CancelArguments, server: &mut Server) -> Result<Outcome, Failure> {
    let user = arguments.user.map(|id| id.to_string());
    let path = target(ORDERS, &[("symbol", arguments.symbol), ("user_id", user)]);
    let data = server.ask(&Request::delete(path))?;
    let text = format!("orders canceled: {}\n", data["canceled"]);
    Ok(Outcome::new(data, text))
}

/// Lists connections or ends one.
pub fn session(command: SessionCommand, server: &mut Server) -> Result<Outcome, Failure> {
    let (user, kind) = match command {
        SessionCommand::List { user, kind } => (user, kind),
        SessionCommand::End { session } => {
            let data = server.ask(&Request::delete(path_of(SESSIONS, &session)))?;
            let text = fields(&SESSION, &data);
            return Ok(Outcome::new(data, text));
        }
    };
    let parameters = [
        ("user_id", user.map(|id| id.to_string())),
        ("kind", kind.map(|kind| kind.to_uppercase())),
        ("limit", Some(PAGE_ROWS.to_string())),
    ];
    let data = server.ask(&Request::get(target(SESSIONS, &parameters)))?;
    let rows = rows_of(&data["sessions"]);
    let note = (rows.len() >= PAGE_ROWS).then(|| format!("there may be more than {PAGE_ROWS}"));
    let text = table(&SESSION, rows);
    Ok(Outcome::new(data, text).with_note(note))
}

/// Looks into the audit trail.
pub fn audit(arguments: AuditArguments, server: &mut Server) -> Result<Outcome, Failure> {
    let parameters = [
        ("type", arguments.kind),
        ("user", arguments.user.map(|id| id.to_string())),
        ("from", arguments.from.map(|at| at.0.to_string())),
        ("to", arguments.to.map(|at| at.0.to_string())),
        ("limit", Some(arguments.limit.to_string())),
    ];
    let data = server.ask(&Request::get(target(AUDIT, &parameters)))?;
    let is_cut = data["truncated"] == json!(true);
    let note = is_cut.then(|| "not everything could be looked through: narrow the time".to_owned());
    let text = table(&RECORD, rows_of(&data["items"]));
    Ok(Outcome::new(data, text).with_note(note))
}

/// Proves the sums.
pub fn proof(server: &mut Server) -> Result<Outcome, Failure> {
    let data = server.ask(&Request::get(PROOF))?;
    let is_wrong = |row: &&Value| row["balanced"] != json!(true);
    let wrong: Vec<&str> =
        rows_of(&data).iter().filter(is_wrong).filter_map(|row| row["asset"].as_str()).collect();
    let failure = (!wrong.is_empty())
        .then(|| Failure::wrong(format!("the sums are wrong: {}", wrong.join(", "))));
    let text = table(&PROVEN, rows_of(&data));
    Ok(Outcome::new(data, text).with_failure(failure))
}

/// Has snapshots made.
pub fn snapshot(server: &mut Server) -> Result<Outcome, Failure> {
    // One that is due already is not made twice.
    let data = server.ask(&Request::post(SNAPSHOTS, json!({})).repeatable())?;
    let text = table(&SNAPSHOT, rows_of(&data));
    Ok(Outcome::new(data, text))
}

/// Looks at the shards.
pub fn shards(server: &mut Server) -> Result<Outcome, Failure> {
    let data = server.ask(&Request::get(SHARDS))?;
    let text = table(&SHARD, rows_of(&data));
    Ok(Outcome::new(data, text))
}

//! `ringbook admin`: the first administrator of a data directory, and an operator's commands to a running
//! server over its administration API.
//!
//! Each command is a request or a few; what the server answers is a table, or with `--json` what it is.
//! Exit codes: 0 done, 1 refused by the server, 2 wrong usage, 3 no answer of a server.

pub mod failure;
mod init;
mod keys;
mod machine;
mod markets;
mod password;
mod payments;
pub mod place;
pub mod server;
mod table;
mod users;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use money::ID_LIMIT;
use serde_json::{Value, json};

use self::failure::Failure;
use self::init::InitArguments;
use self::keys::KeyCommand;
use self::machine::{AuditArguments, CancelArguments, NoArguments, SessionCommand};
use self::markets::{AssetCommand, HaltArguments, ResumeArguments, SymbolCommand};
use self::payments::{PaymentArguments, WithdrawCommand};
use self::place::PlaceArguments;
use self::server::Server;
use self::users::{RoleCommand, UserCommand};
use crate::terminal;

/// `admin …`.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make the server's secret and the first administrator; the server must not run
    Init(InitArguments),
    /// Users: add, list, show, change, freeze
    #[command(after_help = users::EXAMPLES)]
    User(Remote<Group<UserCommand>>),
    /// API keys: list, make, revoke
    #[command(after_help = keys::EXAMPLES)]
    Key(Remote<Group<KeyCommand>>),
    /// Roles: who has which, and what they allow
    #[command(after_help = users::ROLE_EXAMPLES)]
    Role(Remote<Group<RoleCommand>>),
    /// Symbols: list, add, change
    #[command(after_help = markets::EXAMPLES)]
    Symbol(Remote<Group<SymbolCommand>>),
    /// Assets: list, add
    #[command(after_help = markets::ASSET_EXAMPLES)]
    Asset(Remote<Group<AssetCommand>>),
    /// Stop the trading of symbols: HALTED, or only CANCEL_ONLY
    #[command(after_help = markets::HALT_EXAMPLES)]
    Halt(Remote<HaltArguments>),
    /// Let symbols trade again
    #[command(after_help = markets::RESUME_EXAMPLES)]
    Resume(Remote<ResumeArguments>),
    /// Pay in to a user
    #[command(after_help = payments::EXAMPLES)]
    Deposit(Remote<PaymentArguments>),
    /// Withdrawals: list, confirm or reject what users ask for, pay out at once
    #[command(after_help = payments::WITHDRAW_EXAMPLES)]
    Withdraw(Remote<Group<WithdrawCommand>>),
    /// Cancel open orders: of a user, of a symbol, or all
    #[command(after_help = machine::CANCEL_EXAMPLES)]
    Cancel(Remote<CancelArguments>),
    /// Open connections: list them, end one
    #[command(after_help = machine::SESSION_EXAMPLES)]
    Session(Remote<Group<SessionCommand>>),
    /// Records of the audit trail, newest first
    #[command(after_help = machine::AUDIT_EXAMPLES)]
    Audit(Remote<AuditArguments>),
    /// Prove for every asset that nothing was made or lost; exit code 1 where that is not so
    #[command(after_help = "Example:\n  ringbook admin proof")]
    Proof(Remote<NoArguments>),
    /// Have every shard make a snapshot, and do not wait for it
    #[command(after_help = "Example:\n  ringbook admin snapshot")]
    Snapshot(Remote<NoArguments>),
    /// What each shard holds and how far it is
    #[command(after_help = "Example:\n  ringbook admin shards")]
    Shards(Remote<NoArguments>),
}

/// A command, and which server it is for.
#[derive(Args, Debug)]
pub struct Remote<T: Args> {
    #[command(flatten)]
    what: T,
    #[command(flatten)]
    place: PlaceArguments,
    /// Print the server's data as JSON; errors too, to stderr
    #[arg(long, global = true, help_heading = "Server")]
    json: bool,
}

/// Commands about one kind of thing.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Group<T: Subcommand> {
    #[command(subcommand)]
    command: T,
}

/// What a command has to say.
struct Outcome {
    /// For a program.
    data: Value,
    /// For a person.
    text: String,
    /// What is missing, and how to come by it.
    note: Option<String>,
    /// What went wrong with a part of it.
    failure: Option<Failure>,
}

impl Outcome {
    fn new(data: Value, text: String) -> Outcome {
        Outcome { data, text, note: None, failure: None }
    }

    fn with_note(self, note: Option<String>) -> Outcome {
        Outcome { note, ..self }
    }

    fn with_failure(self, failure: Option<Failure>) -> Outcome {
        Outcome { failure, ..self }
    }
}

/// Does it, tells what came of it, and how the process ends.
pub fn run(command: AdminCommand) -> ExitCode {
    use AdminCommand as Is;
    match command {
        Is::Init(arguments) => match init::run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => end(Failure::wrong(format!("{error:#}")), false),
        },
        Is::User(remote) => ask(remote, |group, server| users::run(group.command, server)),
        Is::Key(remote) => ask(remote, |group, server| keys::run(group.command, server)),
        Is::Role(remote) => ask(remote, |group, server| users::run_role(group.command, server)),
        Is::Symbol(remote) => ask(remote, |group, server| markets::run(group.command, server)),
        Is::Asset(remote) => ask(remote, |group, server| markets::run_asset(group.command, server)),
        Is::Halt(remote) => ask(remote, markets::halt),
        Is::Resume(remote) => ask(remote, markets::resume),
        Is::Deposit(remote) => {
            let is_json = remote.json;
            ask(remote, |what, server| payments::deposit(what, server, is_json))
        }
        Is::Withdraw(remote) => {
            let is_json = remote.json;
            ask(remote, |group, server| payments::withdraw(group.command, server, is_json))
        }
        Is::Cancel(remote) => ask(remote, machine::cancel),
        Is::Session(remote) => ask(remote, |group, server| machine::session(group.command, server)),
        Is::Audit(remote) => ask(remote, machine::audit),
        Is::Proof(remote) => ask(remote, |_, server| machine::proof(server)),
        Is::Snapshot(remote) => ask(remote, |_, server| machine::snapshot(server)),
        Is::Shards(remote) => ask(remote, |_, server| machine::shards(server)),
    }
}

fn ask<T: Args>(
    remote: Remote<T>,
    act: impl FnOnce(T, &mut Server) -> Result<Outcome, Failure>,
) -> ExitCode {
    let is_json = remote.json;
    let outcome = remote.place.resolve().and_then(|place| {
        if place.is_open_to_eyes() {
            note(
                &format!("{} is not encrypted: whoever is between may read it", place.url),
                is_json,
            );
        }
        act(remote.what, &mut Server::new(place))
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => return end(failure, is_json),
    };
    terminal::say(&match is_json {
        true => format!("{}\n", outcome.data),
        false => outcome.text,
    });
    if let Some(text) = outcome.note {
        note(&text, is_json);
    }
    match outcome.failure {
        Some(failure) => end(failure, is_json),
        None => ExitCode::SUCCESS,
    }
}

/// Tells what went wrong, and how the process ends.
pub fn end(failure: Failure, is_json: bool) -> ExitCode {
    match is_json {
        true => eprintln!("{}", failure.to_json()),
        false => eprintln!("{}", failure.to_text()),
    }
    failure.exit_code()
}

fn note(text: &str, is_json: bool) {
    match is_json {
        true => eprintln!("{}", json!({ "note": text })),
        false => eprintln!("ringbook: {text}"),
    }
}

/// A user's id, as arguments have it.
fn user_id(text: &str) -> Result<u64, String> {
    let id = text.parse().ok().filter(|id| *id < ID_LIMIT);
    id.ok_or_else(|| "must be an integer from 0 to 9007199254740991".to_owned())
}

/// A value, or nothing that is sent.
fn optional<T: Into<Value>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, Into::into)
}

/// The rows of a list.
fn rows_of(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

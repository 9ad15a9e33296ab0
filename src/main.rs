//! `ringbook`: the command line of a self-hosted exchange server.
//!
//! Thin on purpose: it reads what is asked for, puts configuration together and wires the crates of
//! `shards/`. What it does itself is for people: the replay of recorded flows, the demo, the load
//! generator, and a look into journals and snapshots.

mod admin;
mod audit;
mod auth;
mod bootstrap;
mod cli;
mod config;
mod connection;
mod demo;
mod format;
mod journal_tool;
mod limits;
mod load;
mod private_file;
mod replay;
mod retention;
mod serve;
mod snapshot_tool;
mod terminal;
mod time;
mod tls;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use nix::sys::stat::{Mode, umask};

use crate::cli::{Cli, JournalCommand, ReplayArguments, SnapshotCommand, Subcommands};
use crate::load::arguments::LoadCommand;
use crate::load::settings::Settings;
use crate::load::ws::settings::WsSettings;

/// Wrong arguments or configuration, as clap has it.
const USAGE_ERROR: u8 = 2;

/// What went wrong, as the exit code tells it.
enum Failure {
    Usage(anyhow::Error),
    Failed(anyhow::Error),
    /// Has been said already.
    Told(ExitCode),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told(code)) => code,
        Err(Failure::Failed(error)) => {
            eprintln!("ringbook: {error:#}");
            ExitCode::FAILURE
        }
        Err(Failure::Usage(error)) => {
            eprintln!("ringbook: {error:#}");
            ExitCode::from(USAGE_ERROR)
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    // What is written here is for the owner: journals hold hashes of passwords.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    match cli.command {
        Subcommands::Serve(arguments) => {
            let config = config::load(&arguments).map_err(Failure::Usage)?;
            serve::serve(config).map_err(Failure::Failed)
        }
        Subcommands::Demo(arguments) => {
            auth::check_host(arguments.host).map_err(Failure::Usage)?;
            demo::run(arguments).map_err(Failure::Failed)
        }
        Subcommands::Replay(arguments) => {
            let options = replay_options(arguments).map_err(Failure::Usage)?;
            replay::run(options).map_err(Failure::Failed)
        }
        Subcommands::Load { command: LoadCommand::Http(arguments) } => {
            let settings = Settings::http(arguments).map_err(Failure::Usage)?;
            load::http(settings).map_err(Failure::Failed)
        }
        Subcommands::Load { command: LoadCommand::Ws(arguments) } => {
            let settings = WsSettings::new(arguments).map_err(Failure::Usage)?;
            load::ws::ws(settings).map_err(Failure::Failed)
        }
        Subcommands::Admin { command } => Err(Failure::Told(admin::run(command))),
        Subcommands::Journal { command: JournalCommand::Dump(arguments) } => {
            journal_tool::dump(&arguments).map_err(Failure::Failed)
        }
        Subcommands::Journal { command: JournalCommand::Verify(arguments) } => {
            whole(journal_tool::verify(&arguments.data))
        }
        Subcommands::Snapshot { command: SnapshotCommand::Now(arguments) } => {
            let done = snapshot_tool::now(&arguments);
            done.map_err(|failure| Failure::Told(admin::end(failure, false)))
        }
        Subcommands::Snapshot { command: SnapshotCommand::List(arguments) } => {
            snapshot_tool::list(&arguments.data).map_err(Failure::Failed)
        }
        Subcommands::Snapshot { command: SnapshotCommand::Verify(arguments) } => {
            whole(snapshot_tool::verify(&arguments.data))
        }
    }
}

/// Damage has been told already.
fn whole(is_whole: Result<bool>) -> Result<(), Failure> {
    match is_whole.map_err(Failure::Failed)? {
        true => Ok(()),
        false => Err(Failure::Told(ExitCode::FAILURE)),
    }
}

fn replay_options(arguments: ReplayArguments) -> Result<replay::Options> {
    let target = match arguments.url {
        Some(url) => replay::Target::Http {
            url,
            admin_token: arguments.admin_token,
            reconnect: Duration::from_secs(arguments.reconnect_s),
        },
        None => replay::Target::InProcess {
            shards: arguments.shards,
            cores: arguments.cores.as_deref().map(config::cores).transpose()?,
            data: arguments.data,
            spin: config::spin(arguments.spin_us),
        },
    };
    Ok(replay::Options {
        set: arguments.set,
        out: arguments.out,
        maker_fee_ppm: arguments.maker_fee_ppm,
        taker_fee_ppm: arguments.taker_fee_ppm,
        json: arguments.json,
        target,
    })
}

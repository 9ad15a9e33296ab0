//! What a run of `load ws` is to do, checked before anything is sent.

use anyhow::{Result, ensure};
use serde::Serialize;

use super::channels;
use crate::load::arguments::{Drive, LoadWsArguments};
use crate::load::mix::{Kind, Mix};
use crate::load::settings::{MAX_RATE, Settings, Traffic, within};
use crate::load::users::UserRange;

/// Users who trade over HTTP where no WebSocket belongs to anybody.
const HTTP_USERS: &str = "1000";

/// What a run is to do; serialized it is the head of the results.
#[derive(Clone, Debug, Serialize)]
pub struct WsSettings {
    /// What every kind of load has.
    #[serde(flatten)]
    pub load: Settings,
    pub traders: usize,
    pub channels: Vec<String>,
    pub channels_each: Option<u16>,
    pub drive: Drive,
    /// Connections to open per second; 0: as fast as it goes.
    pub open_rate: u64,
    pub pid: Option<u32>,
}

impl WsSettings {
    /// Those of the arguments; an error names the argument.
    pub fn new(arguments: LoadWsArguments) -> Result<WsSettings> {
        let LoadWsArguments { load, connections, traders, users, channels, .. } = arguments;
        let LoadWsArguments { channels_each, drive, rate, mix, pipeline, open_rate, pid, .. } =
            arguments;
        let drive = drive.unwrap_or(if traders > 0 { Drive::Ws } else { Drive::None });
        within("open-rate", open_rate, 0, MAX_RATE)?;
        channels::check(&channels)?;
        ensure!(
            traders <= connections,
            "traders: {traders} of them are more than the {connections} connections"
        );
        ensure!(drive != Drive::Ws || traders > 0, "drive: ws needs --traders");
        let is_query = |kind| mix.weight(kind) > 0;
        ensure!(
            drive != Drive::Ws || !(is_query(Kind::Balances) || is_query(Kind::Depth)),
            "mix: balances and depth are asked over HTTP only (--drive http)"
        );
        let users = users_of(users, traders)?;
        let traffic = Traffic { rate, connections, users, mix, pipeline };
        let load = Settings::new(load, traffic)?;
        Ok(WsSettings { load, traders, channels, channels_each, drive, open_rate, pid })
    }

    /// Whether anybody has to be there.
    pub fn has_users(&self) -> bool {
        self.traders > 0 || self.drive != Drive::None
    }

    /// The threads with traders, which are the first ones.
    pub fn trading_threads(&self) -> usize {
        self.load.threads.min(self.traders)
    }

    /// What the orders over HTTP do.
    pub fn http(&self, connections: usize) -> Settings {
        Settings { connections, threads: 1, ..self.load.clone() }
    }

    /// The mix, for a person.
    pub fn mix(&self) -> Mix {
        self.load.mix
    }
}

fn users_of(given: Option<UserRange>, traders: usize) -> Result<UserRange> {
    let Some(users) = given else {
        let count = if traders > 0 { traders.to_string() } else { HTTP_USERS.to_owned() };
        return count.parse();
    };
    ensure!(
        traders == 0 || users.count() == traders as u64,
        "users: must be as many as --traders, {traders}, each with a connection"
    );
    ensure!(traders == 0 || users.step == 1, "users: traders are users in a row, without a /STEP");
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Subcommands};
    use crate::load::arguments::LoadCommand;
    use clap::Parser;

    fn settings(words: &[&str]) -> Result<WsSettings> {
        let words = ["ringbook", "load", "ws"].iter().chain(words);
        match Cli::try_parse_from(words)?.command {
            Subcommands::Load { command: LoadCommand::Ws(arguments) } => WsSettings::new(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_arguments_it_only_listens() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.load.connections, settings.traders), (100, 0));
        assert_eq!((settings.drive, settings.has_users()), (Drive::None, false));
        assert_eq!(settings.channels, ["trades", "depth"]);
    }

    #[test]
    fn traders_trade_unless_told_otherwise_and_have_a_user_each() {
        let with = settings(&["--traders", "7", "--threads", "9"]).unwrap();
        assert_eq!(
            (with.drive, with.load.users.count(), with.trading_threads()),
            (Drive::Ws, 7, 7)
        );
        let idle = settings(&["--traders", "7", "--drive", "none"]).unwrap();
        assert_eq!((idle.drive, idle.has_users()), (Drive::None, true));
        let http = settings(&["--drive", "http"]).unwrap();
        assert_eq!((http.load.users.count(), http.has_users()), (1_000, true));
    }

    #[test]
    fn an_impossible_run_is_refused_by_the_name_of_its_argument() {
        for (words, name) in [
            (["--traders", "101"].as_slice(), "traders"),
            (&["--drive", "ws"], "drive"),
            (&["--traders", "2", "--users", "3"], "users"),
            (&["--traders", "2", "--mix", "place=1,depth=1"], "mix"),
            (&["--channels", "depths"], "channels"),
            (&["--channels-each", "0"], "channels-each"),
            (&["--pipeline", "65"], "pipeline"),
            (&["--open-rate", "10000001"], "open-rate"),
            (&["--connections", "0"], "connections"),
            (&["--duration-s", "0"], "duration-s"),
        ] {
            let error = format!("{:#}", settings(words).unwrap_err());
            assert!(error.contains(name), "{words:?}: {error}");
        }
    }

    #[test]
    fn the_results_have_all_settings_side_by_side_and_no_token() {
        let settings = settings(&["--traders", "2", "--admin-token", "secret"]).unwrap();
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!((&json["traders"], &json["duration_s"]), (&2.into(), &30.into()));
        assert_eq!(json["drive"], "ws");
        assert!(!json.to_string().contains("secret"));
    }
}

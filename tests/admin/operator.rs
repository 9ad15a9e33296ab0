//! Somebody with a terminal and a credential.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::support::http::Answer;
use crate::support::production::{Key, Production, read_key};
use crate::support::server::command;

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// What it said; it must have done it.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The same as JSON.
    #[track_caller]
    pub fn data(self) -> Value {
        let out = self.done();
        assert_eq!(out.lines().count(), 1, "one line: {out}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// The last line of stderr as JSON; it must have ended so.
    #[track_caller]
    pub fn error(self, code: i32) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        let last = self.err.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It must have ended so, and said all of this to stderr.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:?}");
        }
    }
}

/// Runs `ringbook admin …` with an environment and an input.
pub fn run(environment: &[(&str, &str)], input: &str, arguments: &[&str]) -> Ended {
    let mut child = command()
        .arg("admin")
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // Who does not want it has closed the pipe.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("an exit code");
    Ended { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A server in production, and its administrator.
pub struct Operator {
    pub production: Production,
}

impl Operator {
    /// Two shards, nothing on them.
    pub fn new() -> Operator {
        Operator { production: Production::open(2, &[]) }
    }

    /// With a market, and the users 1001 and 1002 with money.
    pub fn with_market() -> Operator {
        let operator = Operator::new();
        for command in [
            "asset add BTC 8",
            "asset add USDT 2",
            "symbol add BTC_USDT --tick 0.01 --lot 0.0001",
            "user add --id 1001 --name desk",
            "user add --id 1002",
            "deposit 1001 USDT 1000 --ref first",
            "deposit 1002 USDT 1000 --ref first",
        ] {
            operator.ask(command).done();
        }
        operator
    }

    /// `ringbook admin` and these words.
    pub fn ask(&self, words: &str) -> Ended {
        self.ask_with(words, "")
    }

    /// The same with something on stdin.
    pub fn ask_with(&self, words: &str, input: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        let credential = self.production.credential.display().to_string();
        let url = self.production.server.url();
        let environment = [("RINGBOOK_URL", &*url), ("RINGBOOK_CREDENTIAL_FILE", &*credential)];
        run(&environment, input, &words)
    }

    /// The data of `--json`.
    #[track_caller]
    pub fn data(&self, words: &str) -> Value {
        self.ask(&format!("{words} --json")).data()
    }

    /// The administrator's key.
    pub fn own_key(&self) -> Key {
        read_key(&self.production.credential)
    }

    /// A key of a user with all permissions that one may want, made by the command.
    #[track_caller]
    pub fn key_of(&self, user: u64) -> Key {
        let words = format!("key add --user {user} --name test --permissions read,trade,withdraw");
        let made = self.data(&words);
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        Key { id: text("api_key"), secret: text("api_secret") }
    }

    /// What a key's owner is answered.
    #[track_caller]
    pub fn as_owner(&self, key: &Key, method: &str, path: &str, body: &str) -> Answer {
        self.production.call(&key.sign(method, path, body), method, path, body)
    }

    /// What the administrator is answered by a route.
    #[track_caller]
    pub fn look(&self, path: &str) -> Value {
        self.as_owner(&self.own_key(), "GET", path, "").data()
    }

    /// What a user has of an asset, as the user sees it.
    #[track_caller]
    pub fn avail(&self, key: &Key, asset: &str) -> String {
        let balances = self.as_owner(key, "GET", "/api/v1/balances", "").data();
        let found = balances.as_array().expect("a list").iter().find(|row| row["asset"] == asset);
        found.expect("the asset")["avail"].as_str().expect("text").to_owned()
    }
}

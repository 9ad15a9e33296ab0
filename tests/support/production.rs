//! A server in production mode, made as an operator makes one: `admin init`, then `serve` with the secret.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use tempfile::TempDir;

use super::http::{Answer, Client};
use super::server::{Options, Server, directory, run};

/// An API key and its secret.
#[derive(Clone, Debug)]
pub struct Key {
    /// `rk_…`.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl Key {
    /// The headers that sign a request now.
    pub fn sign(&self, method: &str, path: &str, body: &str) -> String {
        let text = |at_ms: u64| format!("{at_ms}{method}{path}{body}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        signed(&self.id, |at_ms| hmac::sign(&key, text(at_ms).as_bytes()).as_ref().to_vec())
    }
}

/// The headers of a request that `sign` signs at a time.
pub fn signed(id: &str, sign: impl Fn(u64) -> Vec<u8>) -> String {
    // Equal requests of one millisecond have one signature, which is good once.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let at_ms = since.as_millis() as u64;
    let digits: String = sign(at_ms).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X-API-KEY: {id}\r\nX-TIMESTAMP: {at_ms}\r\nX-SIGNATURE: {digits}\r\n")
}

/// A server, its administrator, and where its files are.
pub struct Production {
    /// The server.
    pub server: Server,
    /// The administrator's file, as `ringbook admin` takes it.
    pub credential: PathBuf,
    directory: TempDir,
}

impl Production {
    /// One that takes requests, with more arguments for `serve`.
    pub fn open(shards: u16, more: &[&str]) -> Production {
        let mut production = Production::prepare(directory(), shards, more);
        production.server.spawn();
        production.server.wait_until_ready();
        production
    }

    /// One that is not started yet, with its files in a directory where more may be.
    pub fn prepare(directory: TempDir, shards: u16, more: &[&str]) -> Production {
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (data, secret, credential) = (path("data"), path("secret"), path("credential"));
        let count = shards.to_string();
        let made = run(&[
            "admin",
            "init",
            "--data",
            &data,
            "--secret-file",
            &secret,
            "--shards",
            &count,
            "--credential-file",
            &credential,
        ]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut options = Options::shards(shards);
        let arguments = ["--secret-file", &secret];
        options.arguments.extend(arguments.iter().chain(more).map(|&text| text.to_owned()));
        let server = Server::on(options, "", directory.path(), data.into());
        Production { server, credential: credential.into(), directory }
    }

    /// Where its files are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// One request over a connection of its own.
    #[track_caller]
    pub fn call(&self, headers: &str, method: &str, path: &str, body: &str) -> Answer {
        Client::anonymous(self.server.port).call_with(method, path, headers, body)
    }
}

/// The key in a credential file.
pub fn read_key(path: &Path) -> Key {
    let text = std::fs::read_to_string(path).expect("a credential file");
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split('"').nth(1).expect("a value").to_owned()
    };
    Key { id: value("api_key"), secret: value("api_secret") }
}

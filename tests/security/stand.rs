//! A server in production mode for attacks: two shards, an administrator, a market, two users with a
//! password and money; and everything that a client, or an attacker, needs to say who it is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::{Answer, Client};
use crate::support::server::{Options, Server, run};
use crate::support::{LIMIT, wait_for};

pub const SHARDS: u16 = 2;
pub const ALICE: u64 = 1001;
pub const BOB: u64 = 1002;
pub const PASSWORD: &str = "correct horse";
pub const ORDER: &str = "/api/v1/create_order";
pub const ME: &str = "/api/v1/me";
/// For tests that are about something else than limits.
pub const NO_LIMITS: [&str; 8] = [
    "--orders-per-second",
    "0",
    "--requests-per-second",
    "0",
    "--address-requests-per-second",
    "0",
    "--logins-per-minute",
    "0",
];

/// What a key signs with.
pub enum Secret {
    /// The text of its digits.
    Hmac(String),
    Ed25519(Ed25519KeyPair),
}

/// A key and its secret.
pub struct Key {
    pub id: String,
    pub secret: Secret,
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// A time that no other request of this program is signed at: equal requests of one key in one
/// millisecond have one signature, which is good once.
pub fn fresh_ms() -> u64 {
    /// How far it may run ahead of the clock: well within what a server accepts.
    const MOST_AHEAD_MS: u64 = 500;
    static LAST_MS: AtomicU64 = AtomicU64::new(0);
    let fresh_ms = |last_ms: u64| now_ms().max(last_ms + 1);
    let last_ms = LAST_MS
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last_ms| Some(fresh_ms(last_ms)))
        .expect("there is always a next one");
    let at_ms = fresh_ms(last_ms);
    let ahead_ms = at_ms.saturating_sub(now_ms());
    std::thread::sleep(Duration::from_millis(ahead_ms.saturating_sub(MOST_AHEAD_MS)));
    at_ms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Key {
    /// A key whose secret is not known.
    pub fn guessed(id: &str) -> Key {
        Key { id: id.to_owned(), secret: Secret::Hmac("0".repeat(64)) }
    }

    /// The signature of a text, as hexadecimal digits.
    pub fn signature(&self, text: &str) -> String {
        match &self.secret {
            Secret::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hex(hmac::sign(&key, text.as_bytes()).as_ref())
            }
            Secret::Ed25519(pair) => hex(pair.sign(text.as_bytes()).as_ref()),
        }
    }

    /// The headers that sign a request at a time.
    pub fn sign_at(&self, at_ms: u64, method: &str, path: &str, body: &str) -> String {
        let digits = self.signature(&format!("{at_ms}{method}{path}{body}"));
        let id = &self.id;
        format!("X-API-KEY: {id}\r\nX-TIMESTAMP: {at_ms}\r\nX-SIGNATURE: {digits}\r\n")
    }

    pub fn sign(&self, method: &str, path: &str, body: &str) -> String {
        self.sign_at(fresh_ms(), method, path, body)
    }

    /// Id and secret with a dot between them, as `/ws` takes them.
    pub fn token(&self) -> String {
        format!("{}.{}", self.id, self.hmac_secret())
    }

    pub fn is_hmac(&self) -> bool {
        matches!(self.secret, Secret::Hmac(_))
    }

    pub fn hmac_secret(&self) -> &str {
        match &self.secret {
            Secret::Hmac(secret) => secret,
            Secret::Ed25519(_) => panic!("the secret of this key never leaves its owner"),
        }
    }
}

/// A pair of Ed25519, and its public half as digits.
pub fn key_pair() -> (Ed25519KeyPair, String) {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random bytes");
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a pair");
    let public = hex(pair.public_key().as_ref());
    (pair, public)
}

pub struct Stand {
    pub server: Server,
    pub admin: Key,
    directory: TempDir,
}

impl Stand {
    /// Two shards, an administrator, a market, and two users with a password and money.
    pub fn open(more: &[&str]) -> Stand {
        let directory = tempfile::Builder::new()
            .prefix("security")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a directory");
        let data = directory.path().join("data");
        let secret_file = directory.path().join("secret").display().to_string();
        let data_text = data.display().to_string();
        let (shards, from) = (SHARDS.to_string(), ["admin", "init", "--data"]);
        let mut arguments = from.to_vec();
        arguments.extend([&*data_text, "--secret-file", &*secret_file, "--shards", &*shards]);
        let made = run(&arguments);
        let told = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(made.status.success(), "{told} {}", String::from_utf8_lossy(&made.stderr));
        let word = |begin: &str| {
            let line = told.lines().find(|line| line.starts_with(begin)).expect("a line");
            line.split_whitespace().last().expect("a word").to_owned()
        };
        let admin = Key { id: word("api key"), secret: Secret::Hmac(word("api secret")) };
        let mut options = Options::shards(SHARDS);
        let secret = ["--secret-file", &secret_file];
        options.arguments.extend(secret.iter().chain(more).map(|&text| text.to_owned()));
        let mut server = Server::on(options, "", directory.path(), data);
        server.spawn();
        server.wait_until_ready();
        let stand = Stand { server, admin, directory };
        stand.fill();
        stand
    }

    /// Without any limit on how fast.
    pub fn unlimited() -> Stand {
        Stand::open(&NO_LIMITS)
    }

    fn fill(&self) {
        self.administer("assets", json!({"asset":"BTC","decimals":8}));
        self.administer("assets", json!({"asset":"USDT","decimals":2}));
        let names =
            json!({"symbol":"BTC_USDT","base":"BTC","quote":"USDT","tick":"0.01","lot":"0.0001"});
        self.administer("symbols", names);
        for user in [ALICE, BOB] {
            self.add_user(user);
        }
    }

    /// A user with a password and money.
    pub fn add_user(&self, user: u64) {
        self.administer("users", json!({"user_id": user}));
        self.deposit(user, "USDT", "1000000");
        self.set(user, json!({"password": PASSWORD}));
    }

    pub fn deposit(&self, user: u64, asset: &str, amount: &str) {
        let body = json!({"user_id": user, "asset": asset, "amount": amount, "ref": "stand"});
        self.administer("deposits", body);
    }

    /// An administrator's POST, which must be done.
    #[track_caller]
    pub fn administer(&self, what: &str, body: Value) -> Value {
        let path = format!("/api/v1/admin/{what}");
        self.signed(&self.admin, "POST", &path, &body.to_string()).data()
    }

    /// An administrator's GET.
    #[track_caller]
    pub fn look(&self, what: &str) -> Value {
        self.signed(&self.admin, "GET", &format!("/api/v1/admin/{what}"), "").data()
    }

    #[track_caller]
    pub fn set(&self, user: u64, change: Value) {
        let path = format!("/api/v1/admin/users/{user}");
        let answer = self.signed(&self.admin, "PATCH", &path, &change.to_string());
        assert_eq!(answer.status, 200, "{answer}");
    }

    /// The file of the server's secret, which a test may read to forge what only the server can.
    pub fn secret_file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    pub fn at(&self, shard: u16) -> Client {
        Client::anonymous(self.server.shard_port(shard))
    }

    pub fn signed(&self, key: &Key, method: &str, path: &str, body: &str) -> Answer {
        self.at(0).call_with(method, path, &key.sign(method, path, body), body)
    }

    #[track_caller]
    pub fn login(&self, user: u64) -> Value {
        let body = json!({"user_id": user, "password": PASSWORD}).to_string();
        let answer = self.at(0).post("/api/auth/login", &body);
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()
    }

    /// A session's headers.
    pub fn bearer(&self, user: u64) -> String {
        bearer(&self.login(user)["access_token"])
    }

    /// A user's HMAC key that may read and trade, or as `more` says.
    pub fn key(&self, user: u64, more: Value) -> Key {
        let made = self.new_key(user, more);
        let secret = Secret::Hmac(made["api_secret"].as_str().expect("a secret").to_owned());
        Key { id: made["api_key"].as_str().expect("an id").to_owned(), secret }
    }

    /// The same of Ed25519.
    pub fn ed25519_key(&self, user: u64, mut more: Value) -> Key {
        let (pair, public) = key_pair();
        more["public_key"] = public.into();
        let made = self.new_key(user, more);
        assert!(made["api_secret"].is_null(), "the server has no secret of it");
        let id = made["api_key"].as_str().expect("an id").to_owned();
        Key { id, secret: Secret::Ed25519(pair) }
    }

    #[track_caller]
    fn new_key(&self, user: u64, more: Value) -> Value {
        let mut body = json!({"user_id": user, "name": "bot", "permissions": ["read", "trade"]});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = self.signed(&self.admin, "POST", "/api/auth/keys", &body.to_string());
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()
    }

    #[track_caller]
    pub fn revoke(&self, key: &Key) {
        let path = format!("/api/auth/keys?api_key={}", key.id);
        let answer = self.signed(&self.admin, "DELETE", &path, "");
        assert_eq!(answer.status, 200, "{answer}");
    }

    /// How many records each shard has journaled once nothing is under way between them: what changes
    /// nothing adds none.
    pub fn journaled(&self) -> Vec<u64> {
        wait_for("the shards to have nothing under way", LIMIT, || {
            let shards = self.look("shards");
            let shards = shards.as_array().expect("shards");
            let is_quiet = |shard: &Value| {
                shard["unconfirmed_messages"] == 0 && shard["appended_lsn"] == shard["durable_lsn"]
            };
            let journaled = |shard: &Value| shard["appended_lsn"].as_u64().expect("a number");
            shards.iter().all(is_quiet).then(|| shards.iter().map(journaled).collect())
        })
    }
}

#[track_caller]
pub fn bearer(token: &Value) -> String {
    format!("Authorization: Bearer {}\r\n", token.as_str().expect("a token"))
}

/// A cheap order that rests.
pub fn order(cid: &str) -> String {
    json!({"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":cid})
        .to_string()
}

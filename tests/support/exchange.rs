//! A server with assets, a symbol and funded users, and what tests ask of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::http::Client;
use super::server::{Options, Server};
use super::wait_for;

/// The symbol that most tests trade.
pub const SYMBOL: &str = "BTC_USDT";
/// What every user of [`Exchange`] begins with.
pub const BTC_EACH: &str = "1000.00000000";
/// What every user of [`Exchange`] begins with.
pub const USDT_EACH: &str = "1000000.00";
/// The first user.
pub const FIRST_USER: u64 = 1001;

/// A server that can be traded on.
pub struct Exchange {
    /// The server.
    pub server: Server,
}

impl Exchange {
    /// BTC_USDT with tick 0.01 and lot 0.0001, and users from 1001 on.
    pub fn open(shards: u16, users: u64) -> Exchange {
        Exchange::with(Options::shards(shards), users)
    }

    /// As [`Exchange::open`], on a server that is started otherwise.
    pub fn with(options: Options, users: u64) -> Exchange {
        let exchange = Exchange { server: Server::start(options) };
        let mut admin = exchange.admin();
        admin.post("/api/v1/admin/assets", r#"{"asset":"BTC","decimals":8}"#).data();
        admin.post("/api/v1/admin/assets", r#"{"asset":"USDT","decimals":2}"#).data();
        exchange.add_symbol(r#""symbol":"BTC_USDT","base":"BTC","quote":"USDT""#);
        for user in FIRST_USER..FIRST_USER + users {
            let body = format!(r#"{{"user_id":{user}}}"#);
            admin.post("/api/v1/admin/users", &body).data();
            exchange.deposit(user, "BTC", BTC_EACH, "seed-btc");
            exchange.deposit(user, "USDT", USDT_EACH, "seed-usdt");
        }
        exchange
    }

    /// Adds a symbol with the usual steps; `names` are its names, and more if need be.
    pub fn add_symbol(&self, names: &str) {
        let body = format!(r#"{{{names},"tick":"0.01","lot":"0.0001"}}"#);
        self.admin().post("/api/v1/admin/symbols", &body).data();
    }

    /// A new connection of a user.
    pub fn user(&self, user: u64) -> Client {
        Client::user(self.server.port, user)
    }

    /// A new connection of a user to one shard.
    pub fn user_at(&self, shard: u16, user: u64) -> Client {
        Client::user(self.server.shard_port(shard), user)
    }

    /// A new connection of an administrator.
    pub fn admin(&self) -> Client {
        Client::admin(self.server.port)
    }

    /// A new connection of nobody.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(self.server.port)
    }

    /// Pays in.
    #[track_caller]
    pub fn deposit(&self, user: u64, asset: &str, amount: &str, reference: &str) -> Value {
        let body = payment(user, asset, amount, reference);
        self.admin().post("/api/v1/admin/deposits", &body).data()
    }

    /// Changes a symbol.
    #[track_caller]
    pub fn patch_symbol(&self, symbol: &str, rules: &str) {
        let path = format!("/api/v1/admin/symbols/{symbol}");
        self.admin().call("PATCH", &path, rules).data();
    }

    /// `(avail, frozen)` of a user in an asset.
    #[track_caller]
    pub fn balance(&self, user: u64, asset: &str) -> (String, String) {
        balance_of(&mut self.user(user), asset)
    }

    /// Panics unless the user has just this.
    #[track_caller]
    pub fn expect_balance(&self, user: u64, asset: &str, avail: &str, frozen: &str) {
        let found = self.balance(user, asset);
        assert_eq!((found.0.as_str(), found.1.as_str()), (avail, frozen), "{asset} of {user}");
    }

    /// Bids and asks as `price×qty`, best first.
    pub fn depth(&self, symbol: &str) -> (Vec<String>, Vec<String>) {
        let path = format!("/api/v1/public/depth?symbol={symbol}");
        let depth = self.anonymous().get(&path).data();
        let levels = |side: &str| {
            let levels = depth[side].as_array().expect("levels").iter();
            let text = |level: &Value| format!("{}×{}", word(&level[0]), word(&level[1]));
            levels.map(text).collect::<Vec<String>>()
        };
        (levels("bids"), levels("asks"))
    }

    /// The proof, which must be balanced, also by our own reckoning.
    #[track_caller]
    pub fn proof(&self) -> BTreeMap<String, AssetProof> {
        proof_of(&mut self.admin())
    }

    /// State hashes of all shards, once no message is under way between them.
    pub fn state(&self) -> Vec<String> {
        let mut admin = self.admin();
        wait_for("the shards to have nothing under way", Duration::from_secs(20), || {
            let shards = admin.get("/api/v1/admin/shards").data();
            let shards = shards.as_array().expect("shards").clone();
            let is_quiet = |shard: &Value| {
                shard["unconfirmed_messages"] == 0 && shard["appended_lsn"] == shard["durable_lsn"]
            };
            let hashes = || shards.iter().map(|shard| word(&shard["state_hash"]).to_owned());
            shards.iter().all(is_quiet).then(|| hashes().collect())
        })
    }
}

/// Text that must be there.
#[track_caller]
pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not text: {value}"))
}

/// A number that must be there.
#[track_caller]
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// The body of a limit order, with more fields if need be: `limit("BUY", "100", "1", r#","cid":"a""#)`.
pub fn limit(side: &str, price: &str, qty: &str, more: &str) -> String {
    format!(
        r#"{{"symbol":"{SYMBOL}","side":"{side}","type":"LIMIT","price":"{price}","qty":"{qty}"{more}}}"#
    )
}

/// The body of a market order by `qty` or `quote_qty`.
pub fn market(side: &str, size: &str) -> String {
    format!(r#"{{"symbol":"{SYMBOL}","side":"{side}","type":"MARKET",{size}}}"#)
}

/// The body of a deposit or withdrawal.
pub fn payment(user: u64, asset: &str, amount: &str, reference: &str) -> String {
    format!(r#"{{"user_id":{user},"asset":"{asset}","amount":"{amount}","ref":"{reference}"}}"#)
}

/// `(avail, frozen)` of a caller in an asset.
#[track_caller]
pub fn balance_of(client: &mut Client, asset: &str) -> (String, String) {
    let balances = client.get("/api/v1/balances").data();
    let rows = balances.as_array().expect("balances");
    let found = rows.iter().find(|row| row["asset"] == asset);
    let zero = || ("0".to_owned(), "0".to_owned());
    found.map_or_else(zero, |row| (word(&row["avail"]).into(), word(&row["frozen"]).into()))
}

/// One asset of a proof, in units.
#[derive(Clone, Debug)]
pub struct AssetProof {
    pub deposits: i128,
    pub withdrawals: i128,
    pub avail: i128,
    pub frozen: i128,
    pub fees: i128,
    pub in_flight: i128,
}

/// The proof by asset; panics unless it is balanced, also by our own reckoning.
#[track_caller]
pub fn proof_of(admin: &mut Client) -> BTreeMap<String, AssetProof> {
    let answer = admin.get("/api/v1/admin/proof");
    check_proof(&answer.data())
}

/// As [`proof_of`], of an answer that is there.
#[track_caller]
pub fn check_proof(data: &Value) -> BTreeMap<String, AssetProof> {
    let mut proofs = BTreeMap::new();
    for row in data.as_array().expect("assets") {
        let field = |name: &str| units(word(&row[name]));
        let proof = AssetProof {
            deposits: field("deposits"),
            withdrawals: field("withdrawals"),
            avail: field("avail"),
            frozen: field("frozen"),
            fees: field("fees"),
            in_flight: field("in_flight"),
        };
        let held = proof.avail + proof.frozen + proof.fees + proof.in_flight;
        assert_eq!(proof.deposits - proof.withdrawals, held, "not conserved: {row}");
        assert_eq!(row["balanced"], true, "not balanced: {row}");
        proofs.insert(word(&row["asset"]).to_owned(), proof);
    }
    proofs
}

/// A decimal as a count of its last digit.
pub fn units(text: &str) -> i128 {
    let digits: String = text.chars().filter(|&digit| digit != '.').collect();
    digits.parse().unwrap_or_else(|_| panic!("not a decimal: {text}"))
}

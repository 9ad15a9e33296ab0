//! A recorded flow, sent as fast as the server takes it. The replay settles each command before the
//! next one as soon as there are two shards, so that its results are exact; here they need not be, and
//! everything is under way at the same time.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::exchange::word;
use crate::support::raw::Raw;
use crate::support::sets::FlowSet;

/// Connections that commands are sent over: those of one user over the same.
const LANES: u64 = 3;

/// Requests of a set.
pub struct Flow {
    pub symbol: String,
    pub users: Vec<u64>,
    /// Assets, then the symbol, then users: requests behind each other may overtake on the way between
    /// shards, so each kind waits for the one before.
    definitions: [Vec<String>; 3],
    deposits: Vec<String>,
    /// With the user who asks.
    commands: Vec<(u64, String)>,
}

fn admin_post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /api/v1/admin/{path} HTTP/1.1\r\nHost: localhost\r\nX-Admin-Token: dev-admin\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn user_post(user: u64, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\nX-User-ID: {user}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

impl Flow {
    /// The beginning of a set's flow, `most` commands of it.
    pub fn read(set: &FlowSet, most: usize) -> Flow {
        let market = std::fs::read_to_string(set.directory.join("market.json")).expect("a market");
        let market: Value = serde_json::from_str(&market).expect("JSON");
        let field = |name: &str| word(&market[name]).to_owned();
        let (symbol, base, quote) = (field("symbol"), field("base"), field("quote"));
        let mut assets = Vec::new();
        for (asset, decimals) in [(&base, "base_decimals"), (&quote, "quote_decimals")] {
            let body = format!(r#"{{"asset":"{asset}","decimals":{}}}"#, market[decimals]);
            assets.push(admin_post("assets", &body));
        }
        let body = format!(
            r#"{{"symbol":"{symbol}","base":"{base}","quote":"{quote}","tick":{},"lot":{}}}"#,
            market["tick"], market["lot"]
        );
        let symbols = vec![admin_post("symbols", &body)];
        let (mut users, mut deposits) = (BTreeSet::new(), Vec::new());
        for (number, row) in set.rows("balances.csv").iter().enumerate() {
            let [user, asset, amount] = fields(row);
            users.insert(user.parse().expect("a user"));
            if amount.bytes().any(|digit| matches!(digit, b'1'..=b'9')) {
                // The name that the replay gives to this deposit, so that either pays it once.
                let body = format!(
                    r#"{{"user_id":{user},"asset":"{asset}","amount":"{amount}","ref":"replay:{symbol}:{number}"}}"#
                );
                deposits.push(admin_post("deposits", &body));
            }
        }
        let users: Vec<u64> = users.into_iter().collect();
        let user = |user: &u64| admin_post("users", &format!(r#"{{"user_id":{user}}}"#));
        let definitions = [assets, symbols, users.iter().map(user).collect()];
        let rows = set.rows("flow.csv");
        let commands = rows.iter().take(most).map(|row| {
            let [operation, cid, user, side, time_in_force, price, qty] = fields(row);
            let user = user.parse().expect("a user");
            let (path, body) = match operation {
                "place" => (
                    "create_order",
                    format!(
                        r#"{{"symbol":"{symbol}","side":"{side}","type":"LIMIT","time_in_force":"{time_in_force}","price":"{price}","qty":"{qty}","cid":"{cid}"}}"#
                    ),
                ),
                "cancel" => ("cancel_order", format!(r#"{{"cid":"{cid}"}}"#)),
                _ => ("order/reduce", format!(r#"{{"cid":"{cid}","reduce_qty":"{qty}"}}"#)),
            };
            (user, user_post(user, path, &body))
        });
        let commands = commands.collect();
        Flow { symbol, users, definitions, deposits, commands }
    }

    /// Defines assets, symbol and users.
    pub fn define(&self, port: u16) {
        self.definitions.iter().for_each(|requests| expect_all(port, requests));
    }

    /// Pays everything in.
    pub fn deposit(&self, port: u16) {
        expect_all(port, &self.deposits);
    }

    /// Sends the commands, on several connections at once. Some come too late for their order, which
    /// is no error.
    pub fn send(&self, port: u16) {
        std::thread::scope(|scope| {
            for lane in 0..LANES {
                let mine = self.commands.iter().filter(move |(user, _)| user % LANES == lane);
                let requests: Vec<String> = mine.map(|(_, request)| request.clone()).collect();
                scope.spawn(move || pipeline(port, &requests));
            }
        });
    }
}

fn fields<const N: usize>(row: &str) -> [&str; N] {
    let fields: Vec<&str> = row.split(',').collect();
    fields.try_into().unwrap_or_else(|_| panic!("not {N} fields: {row}"))
}

#[track_caller]
fn expect_all(port: u16, requests: &[String]) {
    let statuses = pipeline(port, requests);
    let bad = statuses.iter().position(|status| !matches!(status, 200 | 409));
    assert_eq!(bad.map(|at| (&requests[at], statuses[at])), None);
}

/// Sends requests behind each other on one connection and gives the status of each, as many as come
/// before the connection ends.
pub fn pipeline(port: u16, requests: &[String]) -> Vec<u16> {
    let mut statuses = Vec::with_capacity(requests.len());
    let mut raw = Raw::open(port);
    let mut writer = raw.writer();
    std::thread::scope(|scope| {
        scope.spawn(move || requests.iter().for_each(|request| writer.send(request)));
        for _ in requests {
            let Ok(answer) = raw.try_answer() else { break };
            statuses.push(answer.status);
        }
        // Else the writer could wait for ever for a server that is gone.
        raw.shut();
    });
    statuses
}

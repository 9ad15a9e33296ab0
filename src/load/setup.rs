//! What comes before the load: finds out what there is to trade, and sees to it that the users are
//! there and have funds.
//!
//! It may be done again and again: a user that is there stays, and each is paid once.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::arguments::Setup;
use super::market::{DepthData, Market, SymbolData};
use super::settings::Settings;
use crate::connection::{Connection, Response};
use crate::terminal;

/// Requests under way at once, half of what a server accepts on one connection.
const WINDOW: usize = 64;
/// How long a busy server is asked again, and how long it is left alone in between.
const BUSY_LIMIT: Duration = Duration::from_secs(60);
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// What every user gets of every asset: enough for ever, since as much is bought as is sold.
const PURSE: &str = "1000000000";
/// With the asset behind it the operator's name of that payment: the second one under it pays nothing.
const REFERENCE: &str = "ringbook-load";

// Codes of the native dialect.
const AUTH_FAILED: u32 = 2002;
const PERMISSION_DENIED: u32 = 2003;
const ALREADY_EXISTS: u32 = 1008;

/// What there is to trade.
#[derive(Clone, Debug)]
pub struct Ground {
    /// How many shards the server has.
    pub shards: u16,
    /// The symbols.
    pub markets: Vec<Market>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    code: u32,
    msg: String,
    data: Option<T>,
}

#[derive(Deserialize)]
struct ShardsData {
    shards: u16,
}

#[derive(Deserialize)]
struct AnyData {}

/// Looks at the server and, where somebody is to trade, prepares the users.
pub fn prepare(settings: &Settings, has_users: bool) -> Result<Ground> {
    let connection = Connection::open(&settings.endpoint);
    let connection =
        connection.with_context(|| format!("no server answers at {}", settings.url))?;
    let mut server = Server { connection, settings };
    let shards: ShardsData = server.get("/api/v1/shards", "")?;
    let markets = server.markets()?;
    if has_users && server.may_set_up()? {
        server.set_up(&markets)?;
    }
    Ok(Ground { shards: shards.shards, markets })
}

struct Server<'a> {
    connection: Connection,
    settings: &'a Settings,
}

/// A request that may be sent again.
struct Request {
    path: &'static str,
    body: String,
}

impl Server<'_> {
    fn push(&mut self, method: &str, path: &str, headers: &str, body: &str) {
        let (host, length) = (&self.settings.endpoint.authority, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.connection.output().extend_from_slice(request.as_bytes());
    }

    fn admin(&self) -> String {
        format!("X-Admin-Token: {}\r\n", self.settings.admin_token)
    }

    fn ask<T: DeserializeOwned>(&mut self, path: &str, headers: &str) -> Result<Envelope<T>> {
        let begin = Instant::now();
        loop {
            self.push("GET", path, headers, "");
            let response = self.connection.receive().with_context(|| format!("GET {path}"))?;
            if is_busy(&response) && begin.elapsed() < BUSY_LIMIT {
                std::thread::sleep(BUSY_PAUSE);
                continue;
            }
            return parse(&response).with_context(|| format!("GET {path}"));
        }
    }

    fn get<T: DeserializeOwned>(&mut self, path: &str, headers: &str) -> Result<T> {
        let envelope = self.ask(path, headers)?;
        ensure!(envelope.code == 0, "GET {path}: {}", envelope.msg);
        envelope.data.with_context(|| format!("GET {path}: no data"))
    }

    /// The symbols that were asked for, or all that are TRADING.
    fn markets(&mut self) -> Result<Vec<Market>> {
        let all: Vec<SymbolData> = self.get("/api/v1/public/symbols", "")?;
        let mut chosen = Vec::new();
        for name in &self.settings.symbols {
            let found = all.iter().find(|data| data.symbol == *name);
            let data = found.ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|data| data.symbol.as_str()).collect();
                anyhow!("symbols: {name} is unknown to the server, it has {}", list(&known))
            })?;
            ensure!(data.is_trading(), "symbols: {name} is {}, not TRADING", data.status);
            chosen.push(data);
        }
        if self.settings.symbols.is_empty() {
            chosen.extend(all.iter().filter(|data| data.is_trading()));
            ensure!(!chosen.is_empty(), "symbols: the server has none that is TRADING");
        }
        let mut markets = Vec::new();
        for data in chosen {
            let path = format!("/api/v1/public/depth?symbol={}&limit=1", data.symbol);
            let depth: DepthData = self.get(&path, "")?;
            markets.push(data.market(&depth)?);
        }
        Ok(markets)
    }

    /// Whether the token is accepted; where it is not, the users must be there.
    fn may_set_up(&mut self) -> Result<bool> {
        if self.settings.setup == Setup::Never {
            self.expect_users("")?;
            return Ok(false);
        }
        let headers = self.admin();
        let envelope: Envelope<serde::de::IgnoredAny> =
            self.ask("/api/v1/admin/shards", &headers)?;
        match (envelope.code, self.settings.setup) {
            (0, _) => Ok(true),
            (PERMISSION_DENIED, Setup::Auto) => {
                self.expect_users("; the server refuses the --admin-token, so none was created")?;
                eprintln!("ringbook: the admin token is refused: users and funds stay as they are");
                Ok(false)
            }
            (PERMISSION_DENIED, _) => bail!("admin-token: {}", envelope.msg),
            _ => bail!("GET /api/v1/admin/shards: {}", envelope.msg),
        }
    }

    /// The first and the last user stand for all.
    fn expect_users(&mut self, why: &str) -> Result<()> {
        let users = self.settings.users;
        for user in [users.first, users.last] {
            let envelope: Envelope<serde::de::IgnoredAny> =
                self.ask("/api/v1/balances", &format!("X-User-ID: {user}\r\n"))?;
            match envelope.code {
                0 => {}
                AUTH_FAILED => bail!("users: the server has no user {user}{why}"),
                _ => bail!("users: {user}: {}", envelope.msg),
            }
        }
        Ok(())
    }

    fn set_up(&mut self, markets: &[Market]) -> Result<()> {
        let users = self.settings.users;
        let assets: BTreeSet<&str> =
            markets.iter().flat_map(|market| market.assets.iter().map(String::as_str)).collect();
        let create = users.iter().map(|user| Request {
            path: "/api/v1/admin/users",
            body: format!(r#"{{"user_id":{user},"name":"load"}}"#),
        });
        let pay = users.iter().flat_map(|user| {
            assets.iter().map(move |asset| Request {
                path: "/api/v1/admin/deposits",
                body: format!(
                    r#"{{"user_id":{user},"asset":"{asset}","amount":"{PURSE}","ref":"{REFERENCE}:{asset}"}}"#
                ),
            })
        });
        let progress = terminal::progress("setup");
        progress.set_length(users.count() * (1 + assets.len() as u64));
        let count = || progress.inc(1);
        // All users first: a payment must not overtake its user on the way to another shard.
        let done = self.post_all(create, count).and_then(|()| self.post_all(pay, count));
        progress.finish_and_clear();
        done.context("cannot set up the users (--setup never goes on without)")
    }

    fn post_all(
        &mut self,
        requests: impl Iterator<Item = Request>,
        count: impl Fn(),
    ) -> Result<()> {
        let headers = self.admin();
        let (mut requests, mut under_way) = (requests, VecDeque::new());
        let mut again: VecDeque<Request> = VecDeque::new();
        let mut progressed_at = Instant::now();
        loop {
            while under_way.len() < WINDOW
                && let Some(request) = again.pop_front().or_else(|| requests.next())
            {
                self.push("POST", request.path, &headers, &request.body);
                under_way.push_back(request);
            }
            let Some(request) = under_way.pop_front() else { return Ok(()) };
            let response = self.connection.receive();
            let response = response.with_context(|| format!("POST {}", request.path))?;
            if is_busy(&response) && progressed_at.elapsed() < BUSY_LIMIT {
                std::thread::sleep(BUSY_PAUSE);
                again.push_back(request);
                continue;
            }
            let Request { path, body } = &request;
            let envelope: Envelope<AnyData> =
                parse(&response).with_context(|| format!("POST {path}"))?;
            let is_done = matches!(envelope.code, 0 | ALREADY_EXISTS);
            ensure!(is_done, "POST {path}: {} (sent {body})", envelope.msg);
            progressed_at = Instant::now();
            count();
        }
    }
}

fn is_busy(response: &Response) -> bool {
    matches!(response.status, 429 | 503)
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn parse<T: DeserializeOwned>(response: &Response) -> Result<Envelope<T>> {
    serde_json::from_slice(&response.body).with_context(|| {
        let body = String::from_utf8_lossy(&response.body);
        format!("an answer with status {} that is not ringbook's: {body}", response.status)
    })
}

//! Everything that every user is told, on two connections each, and whether it adds up.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::exchange::{number, word};
use crate::support::http::Client;
use crate::support::server::Server;
use crate::support::websocket::{Heard, Socket, parse};
use crate::support::{LIMIT, sets::FlowSet};

/// Connections of each user.
const CONNECTIONS: u16 = 2;
/// How long nothing more may come when all is over.
const QUIET: Duration = Duration::from_millis(400);
/// Rows that a page of trades has at most.
const PAGE: usize = 1_000;

/// `(avail, frozen)` by asset.
pub type Balances = BTreeMap<String, (i128, i128)>;

/// One side of a trade, as its user is told of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fill {
    trade: u64,
    role: String,
    price: i128,
    qty: i128,
    order: u64,
}

/// What must come of everything.
pub struct Expected {
    pub balances: HashMap<u64, Balances>,
    /// Without orders' numbers, which nobody knows before.
    pub fills: HashMap<u64, Vec<Fill>>,
}

/// A decimal with 18 places.
fn scaled(text: &str) -> i128 {
    const PLACES: usize = 18;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= PLACES, "too many places: {text}");
    let digits = format!("{whole}{fraction:0<PLACES$}");
    digits.parse().unwrap_or_else(|_| panic!("not a decimal: {text}"))
}

/// A balance of zero is as good as none.
fn with_balances(balances: Balances) -> Balances {
    balances.into_iter().filter(|(_, balance)| *balance != (0, 0)).collect()
}

impl Expected {
    /// As the files of a set say.
    pub fn of_set(set: &FlowSet) -> Expected {
        let mut balances: HashMap<u64, Balances> = HashMap::new();
        for row in set.rows("balances_after.csv") {
            let fields: Vec<&str> = row.split(',').collect();
            let user = balances.entry(fields[0].parse().expect("a user")).or_default();
            user.insert(fields[1].to_owned(), (scaled(fields[2]), scaled(fields[3])));
        }
        let mut user_of: HashMap<String, u64> = HashMap::new();
        for row in set.rows("flow.csv") {
            let fields: Vec<&str> = row.split(',').collect();
            if fields[0] == "place" {
                user_of.insert(fields[1].to_owned(), fields[2].parse().expect("a user"));
            }
        }
        let mut fills: HashMap<u64, Vec<Fill>> = HashMap::new();
        for row in set.rows("trades.csv") {
            let fields: Vec<&str> = row.split(',').collect();
            let [trade, taker, maker, price, qty] = fields[..] else {
                panic!("not a trade: {row}")
            };
            let trade = trade.parse().expect("a number");
            let (price, qty) = (scaled(price), scaled(qty));
            for (cid, role) in [(taker, "TAKER"), (maker, "MAKER")] {
                let fill = Fill { trade, role: role.to_owned(), price, qty, order: 0 };
                fills.entry(user_of[cid]).or_default().push(fill);
            }
        }
        fills.values_mut().for_each(|fills| fills.sort());
        let balances =
            balances.into_iter().map(|(user, balances)| (user, with_balances(balances))).collect();
        Expected { balances, fills }
    }

    /// As queries say.
    pub fn of_queries(port: u16, symbol: &str, users: &[u64]) -> Expected {
        let mut client = Client::anonymous(port);
        let mut expected = Expected { balances: HashMap::new(), fills: HashMap::new() };
        for &user in users {
            expected.balances.insert(user, with_balances(balances_of(&mut client, user)));
            let mut fills = fills_of(&mut client, user, symbol);
            fills.iter_mut().for_each(|fill| fill.order = 0);
            expected.fills.insert(user, fills);
        }
        expected
    }
}

fn get(client: &mut Client, user: u64, path: &str) -> Value {
    client.call_with("GET", path, &format!("X-User-ID: {user}\r\n"), "").data()
}

/// The balances of a user, by a query.
fn balances_of(client: &mut Client, user: u64) -> Balances {
    let rows = get(client, user, "/api/v1/balances");
    let rows = rows.as_array().expect("balances").iter();
    let balance = |row: &Value| {
        let of = |name: &str| scaled(word(&row[name]));
        (word(&row["asset"]).to_owned(), (of("avail"), of("frozen")))
    };
    rows.map(balance).collect()
}

/// All trades of a user, by queries, oldest first.
fn fills_of(client: &mut Client, user: u64, symbol: &str) -> Vec<Fill> {
    let (mut fills, mut before): (Vec<Fill>, String) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/trades?symbol={symbol}&limit={PAGE}{before}");
        let page = get(client, user, &path);
        let page = page.as_array().expect("trades");
        fills.extend(page.iter().map(fill));
        let Some(last) = page.last().filter(|_| page.len() == PAGE) else { break };
        // Both sides of one's own trade have the same number: ask for the last one again.
        before = format!("&before={}", number(&last["trade_id"]) + 1);
        fills.retain(|fill| fill.trade > number(&last["trade_id"]));
    }
    fills.sort();
    fills
}

fn fill(data: &Value) -> Fill {
    Fill {
        trade: number(&data["trade_id"]),
        role: word(&data["role"]).to_owned(),
        price: scaled(word(&data["price"])),
        qty: scaled(word(&data["qty"])),
        order: number(&data["order_id"]),
    }
}

/// One connection from its beginning to its end.
struct Session {
    /// What queries said right behind the greeting, if the server answered.
    base: Option<(Balances, Vec<Fill>)>,
    /// Messages that had been received when they were asked.
    received_before_base: usize,
    /// Messages behind the greeting.
    messages: Vec<String>,
    socket: Option<Socket>,
}

/// One user on one of its connections, over all the lives of the server.
struct Follower {
    user: u64,
    port: u16,
    sessions: Vec<Session>,
}

/// All users, each on [`CONNECTIONS`].
pub struct Followers {
    symbol: String,
    followers: Vec<Follower>,
    /// Messages since the last connecting.
    pub received: u64,
}

impl Followers {
    /// Connects each user twice, to different shards if there are any.
    pub fn connect(server: &Server, symbol: &str, users: &[u64]) -> Followers {
        let follower = |&user: &u64| {
            (0..CONNECTIONS).map(move |number| {
                let shard = (user as u16).wrapping_add(number) % server.shards();
                Follower { user, port: server.shard_port(shard), sessions: Vec::new() }
            })
        };
        let followers = users.iter().flat_map(follower).collect();
        let mut followers = Followers { symbol: symbol.to_owned(), followers, received: 0 };
        followers.reconnect();
        followers
    }

    /// Connects everyone anew: the server is another one.
    pub fn reconnect(&mut self) {
        let Followers { symbol, followers, received } = self;
        *received = 0;
        for follower in followers {
            let mut client = Client::anonymous(follower.port);
            let user = follower.user;
            let socket = Some(Socket::user(follower.port, user));
            let mut session =
                Session { base: None, received_before_base: 0, messages: Vec::new(), socket };
            session.take();
            session.received_before_base = session.messages.len();
            session.base =
                Some((balances_of(&mut client, user), fills_of(&mut client, user, symbol)));
            follower.sessions.push(session);
        }
    }

    /// Takes what has come on any connection; a little pause when that was nothing. How many
    /// connections are open.
    pub fn listen(&mut self) -> usize {
        const PAUSE: Duration = Duration::from_millis(3);
        let (mut taken, mut open) = (0, 0);
        for follower in &mut self.followers {
            let session = follower.sessions.last_mut().expect("connected");
            taken += session.take();
            open += usize::from(session.socket.is_some());
        }
        self.received += taken as u64;
        if taken == 0 {
            std::thread::sleep(PAUSE);
        }
        open
    }

    /// Listens until nothing has come for a while and everyone has been told of the balances that are
    /// expected.
    #[track_caller]
    pub fn listen_to_the_end(&mut self, expected: &Expected) {
        let (begin, mut last) = (Instant::now(), Instant::now());
        loop {
            let before = self.received;
            let open = self.listen();
            assert_eq!(open, self.followers.len(), "a connection was closed");
            if self.received != before {
                last = Instant::now();
            }
            if last.elapsed() < QUIET {
                continue;
            }
            let missing = self.followers.iter().find_map(|follower| {
                let session = follower.sessions.last().expect("connected");
                let (found, wanted) =
                    (session.balances_at_the_end(), &expected.balances[&follower.user]);
                (found != *wanted).then(|| (follower.user, follower.port, found, wanted.clone()))
            });
            let Some((user, port, found, wanted)) = missing else { return };
            assert!(
                begin.elapsed() < LIMIT / 4,
                "user {user} at port {port} was told {found:?}, not {wanted:?}"
            );
        }
    }

    /// Panics unless all that was told is right.
    #[track_caller]
    pub fn check(&self, expected: &Expected) {
        for follower in &self.followers {
            let who = format!("user {} at port {}", follower.user, follower.port);
            let none = Vec::new();
            let wanted = expected.fills.get(&follower.user).unwrap_or(&none);
            let mut told = 0;
            for (number, session) in follower.sessions.iter().enumerate() {
                let who = format!("{who}, connection {number}");
                session.check_balances(&who);
                session.check_orders(&who, follower.sessions.len() == 1);
                told = session.check_fills(&who, wanted, told);
            }
            assert_eq!(told, wanted.len(), "{who}: trades at the end that it was not told of");
        }
        for pair in self.followers.chunks(usize::from(CONNECTIONS)) {
            let last = pair[0].sessions.len() - 1;
            for life in 0..=last {
                let mut both = [&pair[0].sessions[life], &pair[1].sessions[life]]
                    .map(|session| session.messages.as_slice());
                both.sort_by_key(|messages| messages.len());
                let [short, long] = both;
                // The first life began with nothing on both and the last one ended with nothing left;
                // in between both begin and end somewhere.
                let is_same = match (life == 0, life == last) {
                    (true, true) => short == long,
                    (true, false) => long.starts_with(short),
                    (false, true) => long.ends_with(short),
                    (false, false) => is_overlapping(short, long),
                };
                let user = pair[0].user;
                assert!(is_same, "user {user}, life {life}: two sequences:\n{short:#?}\n{long:#?}");
            }
        }
    }
}

/// Whether some end of one is the beginning of the other, or one is within the other.
fn is_overlapping(short: &[String], long: &[String]) -> bool {
    let begins = |left: &[String], right: &[String]| {
        left.first().is_none_or(|first| {
            let places = right.iter().enumerate().filter(|(_, message)| *message == first);
            places
                .into_iter()
                .any(|(at, _)| left.iter().zip(&right[at..]).all(|(left, right)| left == right))
        })
    };
    short.is_empty() || long.is_empty() || begins(short, long) || begins(long, short)
}

impl Session {
    /// Takes what is there. How many messages.
    fn take(&mut self) -> usize {
        let mut taken = 0;
        while let Some(socket) = &mut self.socket {
            match socket.hear(Duration::ZERO) {
                Heard::Text(text) => self.messages.push(text),
                Heard::Closed(_) => self.socket = None,
                Heard::Nothing => break,
            }
            taken += 1;
        }
        taken
    }

    /// What the user has as far as it was told.
    fn balances_at_the_end(&self) -> Balances {
        let mut balances = self.base.clone().expect("a base").0;
        let mut seen = Vec::new();
        for text in self.messages.iter().rev() {
            // Read from behind: the newest of each asset is enough.
            if !text.contains("balance.update") {
                continue;
            }
            let data = parse(text)["data"].take();
            let asset = word(&data["asset"]).to_owned();
            if !seen.contains(&asset) {
                let of = |name: &str| scaled(word(&data[name]));
                balances.insert(asset.clone(), (of("avail"), of("frozen")));
                seen.push(asset);
            }
            if seen.len() == 2 {
                break;
            }
        }
        with_balances(balances)
    }

    /// Each balance follows from the one before, and what a query said is one of them, none older
    /// than what had been told before it was asked.
    #[track_caller]
    fn check_balances(&self, who: &str) {
        let (base, _) = self.base.as_ref().expect("a base");
        let mut chains: BTreeMap<String, Vec<(usize, i128, i128)>> = BTreeMap::new();
        for (at, text) in self.messages.iter().enumerate() {
            let message = parse(text);
            if message["type"] != "balance.update" {
                continue;
            }
            let data = &message["data"];
            let of = |name: &str| scaled(word(&data[name]));
            let (avail, frozen, delta) = (of("avail"), of("frozen"), of("delta"));
            let asset = word(&data["asset"]);
            let begin = base.get(asset).map(|balance| balance.1);
            let chain = chains.entry(asset.to_owned()).or_insert_with(|| {
                // Nobody knows what was frozen before a first event that came before the query.
                vec![(0, avail - delta, begin.unwrap_or(0))]
            });
            let before = chain.last().expect("never empty");
            assert_eq!(before.1 + delta, avail, "{who}: a hole before message {at}: {text}");
            chain.push((at + 1, avail, frozen));
        }
        for (asset, chain) in chains {
            let (avail, frozen) = base.get(&asset).copied().unwrap_or_default();
            let told = self.received_before_base;
            let oldest = chain.iter().rposition(|link| link.0 <= told).unwrap_or(0);
            let is_known = chain[oldest..].iter().any(|link| (link.1, link.2) == (avail, frozen));
            assert!(
                is_known,
                "{who}: {asset}: a query said {avail} and {frozen}, the events {:?}",
                &chain[oldest..chain.len().min(oldest + 20)]
            );
        }
    }

    /// An order only goes forward, and what it is filled with are its trades.
    #[track_caller]
    fn check_orders(&self, who: &str, is_whole: bool) {
        struct Standing {
            filled: i128,
            has_ended: bool,
            updated_at: u64,
        }
        let mut orders: HashMap<u64, Standing> = HashMap::new();
        let mut traded: HashMap<u64, i128> = HashMap::new();
        for text in &self.messages {
            let message = parse(text);
            let data = &message["data"];
            if message["type"] == "trade" {
                *traded.entry(number(&data["order_id"])).or_default() += scaled(word(&data["qty"]));
            }
            if message["type"] != "order.update" {
                continue;
            }
            assert!(data["cid"].is_string(), "{who}: without its cid: {text}");
            let has_ended = !matches!(word(&data["status"]), "NEW" | "PARTIALLY_FILLED");
            let filled = scaled(word(&data["filled_qty"]));
            let updated_at = number(&data["updated_at"]);
            let standing = Standing { filled, has_ended, updated_at };
            let Some(before) = orders.insert(number(&data["order_id"]), standing) else {
                let is_new = data["status"] == "NEW" && filled == 0;
                assert!(
                    is_new || !is_whole || has_ended || filled > 0,
                    "{who}: begins with {text}"
                );
                continue;
            };
            assert!(!before.has_ended, "{who}: goes on after its end: {text}");
            assert!(before.filled <= filled, "{who}: goes back: {text}");
            assert!(before.updated_at <= updated_at, "{who}: goes back in time: {text}");
        }
        if is_whole {
            let filled = orders.iter().filter(|(_, order)| order.filled > 0);
            let filled: HashMap<u64, i128> =
                filled.map(|(&id, order)| (id, order.filled)).collect();
            assert_eq!(filled, traded, "{who}: filled with something else than its trades");
        }
    }

    /// The trades are those that are wanted, from some one on behind `told`, without a hole; what a
    /// query said when it began has all before. Up to which one they are told now.
    #[track_caller]
    fn check_fills(&self, who: &str, wanted: &[Fill], told: usize) -> usize {
        let messages = self.messages.iter().map(|text| parse(text));
        let trades = messages.filter(|message| message["type"] == "trade");
        let anonymous = |fill: &Fill| Fill { order: 0, ..fill.clone() };
        let found: Vec<Fill> = trades.map(|trade| anonymous(&fill(&trade["data"]))).collect();
        let numbers: Vec<u64> = found.iter().map(|fill| fill.trade).collect();
        assert!(numbers.is_sorted(), "{who}: trades out of order: {numbers:?}");
        let (_, queried) = self.base.as_ref().expect("a base");
        let queried: Vec<Fill> = queried.iter().map(anonymous).collect();
        assert!(wanted.starts_with(&queried), "{who}: a query said {queried:?}, not {wanted:?}");
        assert!(queried.len() >= told, "{who}: trades are gone that it had been told of");
        let Some(first) = found.first() else { return queried.len().max(told) };
        // The two sides of one's own trade come in any order, and a connection may end between them.
        let from = wanted.iter().position(|fill| fill.trade == first.trade);
        let from = from.unwrap_or_else(|| panic!("{who}: nobody expects {first:?}"));
        let has_both = |fills: &[Fill]| fills.get(1).is_some_and(|next| next.trade == first.trade);
        let from = from + usize::from(has_both(&wanted[from..]) && !has_both(&found));
        assert!(from >= told, "{who}: told twice, from {first:?} on");
        assert!(from <= queried.len(), "{who}: neither told nor queried, before {first:?}");
        let mut sorted = found.clone();
        sorted.sort();
        let to = from + found.len();
        let same = wanted.get(from..to).is_some_and(|wanted| {
            let cut = wanted.len().saturating_sub(1);
            wanted[..cut] == sorted[..cut]
                && wanted.last().map(|fill| fill.trade) == numbers.last().copied()
        });
        assert!(same, "{who}: told of {sorted:?}, not {:?}", wanted.get(from..));
        to
    }
}

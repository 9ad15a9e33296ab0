//! What clients ask of the exchange: a random mixture of everything that it can do.

use super::known::{End, Known, Order, Payment, State};
use super::market::{ASSETS, SYMBOLS, asset_index, decimal};
use crate::support::random::Random;

/// What a request is about, as places in what the client knows.
#[derive(Clone, Debug)]
pub enum Asked {
    Place { order: usize },
    Cancel { order: usize },
    Reduce { order: usize, by: i128 },
    Move { order: usize, price: i128 },
    CancelAll { orders: Vec<usize> },
    Pay { payment: usize },
    ReadOrder { order: usize },
    ReadTape { symbol: usize },
    ReadDepth { symbol: usize },
}

impl Asked {
    /// Whether nothing is to be resolved when no answer came.
    pub fn is_read(&self) -> bool {
        matches!(self, Asked::ReadOrder { .. } | Asked::ReadTape { .. } | Asked::ReadDepth { .. })
    }
}

/// A request, to be sent and perhaps sent again.
#[derive(Clone, Debug)]
pub struct Request {
    pub asked: Asked,
    pub method: &'static str,
    pub path: String,
    pub body: String,
}

impl Request {
    fn get(asked: Asked, path: String) -> Request {
        Request { asked, method: "GET", path, body: String::new() }
    }

    fn post(asked: Asked, path: &str, body: String) -> Request {
        Request { asked, method: "POST", path: path.to_owned(), body }
    }

    /// The bytes of it. Both identities at once: each route looks for its own.
    pub fn write(&self, user: u64, out: &mut Vec<u8>) {
        let Request { method, path, body, .. } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-User-ID: {user}\r\n\
             X-Admin-Token: dev-admin\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body.as_bytes());
    }
}

/// The next thing that a client does. It is noted as unanswered already.
pub fn next(user: u64, known: &mut Known, random: &mut Random) -> Request {
    match random.below(100) {
        0..55 => place(known, random),
        55..67 => change(known, random, cancel),
        67..73 => change(known, random, reduce),
        73..79 => change(known, random, move_price),
        79 => cancel_all(known, random),
        80..88 => pay(user, known, random),
        88..95 => read_order(known, random),
        95..98 => {
            let symbol = random.below(SYMBOLS.len() as u64) as usize;
            let path = format!("/api/v1/public/trades?symbol={}&limit=1", SYMBOLS[symbol].name);
            Request::get(Asked::ReadTape { symbol }, path)
        }
        _ => {
            let symbol = random.below(SYMBOLS.len() as u64) as usize;
            let path = format!("/api/v1/public/depth?symbol={}&limit=5", SYMBOLS[symbol].name);
            Request::get(Asked::ReadDepth { symbol }, path)
        }
    }
}

fn price(random: &mut Random) -> i128 {
    i128::from(9_700 + random.below(600))
}

/// Mostly small, so that an order meets several.
fn lots(random: &mut Random) -> i128 {
    let most = if random.chance(10) { 30_000 } else { 5_000 };
    i128::from(1 + random.below(most)) * 10_000
}

/// A new order.
pub fn place(known: &mut Known, random: &mut Random) -> Request {
    let symbol = random.below(SYMBOLS.len() as u64) as usize;
    let side = if random.chance(50) { "BUY" } else { "SELL" };
    let (price, qty) = (price(random), lots(random));
    let (price_text, qty_text) = (decimal(price, 2), decimal(qty, 8));
    let limit = |kind: &str, time_in_force: &str| {
        format!(
            r#""type":"{kind}","time_in_force":"{time_in_force}","price":"{price_text}","qty":"{qty_text}""#
        )
    };
    let (kind, terms) = match random.below(20) {
        0..10 => ("LIMIT", limit("LIMIT", "GTC")),
        10..13 => ("LIMIT", limit("LIMIT", "IOC")),
        13 => ("LIMIT", limit("LIMIT", "FOK")),
        14..17 => ("POST_ONLY", limit("POST_ONLY", "GTC")),
        17 | 18 => ("MARKET", format!(r#""type":"MARKET","qty":"{qty_text}""#)),
        _ => {
            let decimals = ASSETS[SYMBOLS[symbol].quote].1;
            let budget = i128::from(1 + random.below(50_000)) * 10_i128.pow(decimals) / 100;
            let budget = decimal(budget, decimals);
            ("MARKET", format!(r#""type":"MARKET","quote_qty":"{budget}""#))
        }
    };
    let stp = ["NONE", "NONE", "NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"];
    let stp = stp[random.below(6) as usize];
    let order = known.orders.len();
    let cid = format!("o-{order}");
    let body = format!(
        r#"{{"symbol":"{}","side":"{side}",{terms},"stp":"{stp}","cid":"{cid}"}}"#,
        SYMBOLS[symbol].name
    );
    let by_budget = terms.contains("quote_qty");
    known.orders.push(Order {
        cid,
        symbol,
        side,
        kind,
        state: State::Unanswered,
        price: (kind != "MARKET").then_some(price),
        qty: (!by_budget).then_some(qty),
        filled_at_least: 0,
        fills: Vec::new(),
        end: End::Unknown,
        is_changing: false,
    });
    let wait = if random.chance(30) { "?wait=true" } else { "" };
    let path = format!("/api/v1/create_order{wait}");
    Request::post(Asked::Place { order }, &path, body)
}

/// Changes an order that may be open and is not being changed already; without one, places one.
fn change(
    known: &mut Known,
    random: &mut Random,
    make: fn(usize, &mut Known, &mut Random) -> Request,
) -> Request {
    while !known.open.is_empty() {
        // Mostly a young one: the old ones have often ended, which must be told as such.
        let count = known.open.len();
        let youngest = if random.chance(80) { count.min(20) } else { count };
        let at = count - 1 - random.below(youngest as u64) as usize;
        let order = known.open[at];
        if known.orders[order].end != End::Unknown {
            known.open.remove(at);
            continue;
        }
        if known.orders[order].is_changing || known.orders[order].kind == "MARKET" {
            break;
        }
        known.orders[order].is_changing = true;
        return make(order, known, random);
    }
    place(known, random)
}

/// How a change names its order: by either of its two names.
fn name(order: &Order, random: &mut Random) -> String {
    match order.state {
        State::Accepted(id) if random.chance(50) => format!(r#""order_id":{id}"#),
        _ => format!(r#""cid":"{}""#, order.cid),
    }
}

fn cancel(order: usize, known: &mut Known, random: &mut Random) -> Request {
    let body = format!("{{{}}}", name(&known.orders[order], random));
    Request::post(Asked::Cancel { order }, "/api/v1/cancel_order", body)
}

fn reduce(order: usize, known: &mut Known, random: &mut Random) -> Request {
    let by = lots(random) / 50_000 * 10_000 + 10_000;
    let name = name(&known.orders[order], random);
    let body = format!(r#"{{{name},"reduce_qty":"{}"}}"#, decimal(by, 8));
    Request::post(Asked::Reduce { order, by }, "/api/v1/order/reduce", body)
}

fn move_price(order: usize, known: &mut Known, random: &mut Random) -> Request {
    let price = price(random);
    let name = name(&known.orders[order], random);
    let body = format!(r#"{{{name},"new_price":"{}"}}"#, decimal(price, 2));
    Request::post(Asked::Move { order, price }, "/api/v1/order/move", body)
}

fn cancel_all(known: &Known, random: &mut Random) -> Request {
    let only = random.chance(70).then(|| random.below(SYMBOLS.len() as u64) as usize);
    let query = only.map_or(String::new(), |symbol| format!("?symbol={}", SYMBOLS[symbol].name));
    let is_meant = |&order: &usize| only.is_none_or(|only| known.orders[order].symbol == only);
    let orders = known.open.iter().copied().filter(is_meant).collect();
    let path = format!("/api/v1/orders{query}");
    Request { asked: Asked::CancelAll { orders }, method: "DELETE", path, body: String::new() }
}

fn pay(user: u64, known: &mut Known, random: &mut Random) -> Request {
    let asset = random.below(ASSETS.len() as u64) as usize;
    let (name, decimals) = ASSETS[asset];
    debug_assert_eq!(asset_index(name), asset);
    let amount = i128::from(1 + random.below(100_000));
    let is_deposit = random.chance(50);
    let payment = known.payments.len();
    let reference = format!("p-{user}-{payment}");
    let body = format!(
        r#"{{"user_id":{user},"asset":"{name}","amount":"{}","ref":"{reference}"}}"#,
        decimal(amount, decimals)
    );
    let state = State::Unanswered;
    known.payments.push(Payment { asset, amount, is_deposit, reference, state });
    let path = if is_deposit { "deposits" } else { "withdrawals" };
    Request::post(Asked::Pay { payment }, &format!("/api/v1/admin/{path}"), body)
}

fn read_order(known: &mut Known, random: &mut Random) -> Request {
    let back = random.below(known.orders.len().clamp(1, 200) as u64) as usize;
    let at = known.orders.len().checked_sub(1 + back);
    match at.filter(|&order| matches!(known.orders[order].state, State::Accepted(_))) {
        Some(order) => {
            let path = format!("/api/v1/order?cid={}", known.orders[order].cid);
            Request::get(Asked::ReadOrder { order }, path)
        }
        None => place(known, random),
    }
}

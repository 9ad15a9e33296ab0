//! The audit of an exchange with nothing under way: whether everything that clients were told is so,
//! whether anything is there twice, and whether every balance follows from the trades and payments.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use serde::Deserialize;

use super::known::{Fill, Order, OrderRow, State, TradeRow};
use super::market::{ASSETS, SYMBOLS, initial_balance, symbol_index};
use super::trader::{Envelope, Trader, parse};
use crate::support::exchange::{AssetProof, proof_of, units};
use crate::support::http::{Answer, Client};

/// Rows that one answer holds at the most.
const PAGE_ROWS: usize = 1_000;
/// Findings that are told one by one.
const TOLD_FINDINGS: usize = 20;

#[derive(Deserialize)]
struct Balance<'a> {
    asset: &'a str,
    avail: &'a str,
    frozen: &'a str,
}

/// What an audit found. All but `checked` must be nothing.
#[derive(Debug, Default)]
pub struct Findings {
    /// Orders, fills and payments that were looked for.
    pub checked: u64,
    /// What was acknowledged and is not there, or not as it was told.
    pub lost: Vec<String>,
    /// What is there twice, or though nobody was told so.
    pub doubled: Vec<String>,
    /// Sums that do not come out.
    pub unbalanced: Vec<String>,
}

impl Findings {
    fn add(&mut self, more: Findings) {
        self.checked += more.checked;
        self.lost.extend(more.lost);
        self.doubled.extend(more.doubled);
        self.unbalanced.extend(more.unbalanced);
    }

    /// Panics if there is one.
    #[track_caller]
    pub fn expect_none(&self) {
        let all = [("LOST", &self.lost), ("DOUBLED", &self.doubled), ("SUM", &self.unbalanced)];
        let mut count = 0;
        for (kind, findings) in all {
            for finding in findings.iter().take(TOLD_FINDINGS) {
                println!("{kind}: {finding}");
            }
            count += findings.len();
        }
        assert_eq!(
            count,
            0,
            "{} lost, {} doubled, {} sums wrong",
            self.lost.len(),
            self.doubled.len(),
            self.unbalanced.len()
        );
    }
}

/// One side of a trade.
struct TradeSide {
    symbol: usize,
    order: u64,
    is_maker: bool,
    is_buy: bool,
    fee: i128,
    fill: Fill,
}

/// What one user's part of the audit gives to the whole.
struct Part {
    findings: Findings,
    trades: Vec<TradeSide>,
    /// By asset: available and frozen.
    balances: Vec<(i128, i128)>,
}

/// Audits everything. The traders must have nothing unanswered, the server nothing under way.
pub fn audit(port: u16, traders: &[Trader]) -> Findings {
    let (mut findings, trades, held) = audit_reads(port, traders);
    check_sums(port, traders, &trades, &held, &mut findings);
    findings
}

/// As [`audit`], of a server that takes no commands: the proof is one.
pub fn audit_without_proof(port: u16, traders: &[Trader]) -> Findings {
    audit_reads(port, traders).0
}

/// The findings, all trades, and available and frozen by asset.
fn audit_reads(port: u16, traders: &[Trader]) -> (Findings, Vec<TradeSide>, Vec<(i128, i128)>) {
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let start = |trader| scope.spawn(move || Auditor::new(port, trader).part());
        let threads: Vec<_> = traders.iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("an audit")).collect()
    });
    let mut findings = Findings::default();
    let mut trades = Vec::new();
    let mut held = vec![(0, 0); ASSETS.len()];
    for part in parts {
        findings.add(part.findings);
        trades.extend(part.trades);
        for (sum, balance) in held.iter_mut().zip(part.balances) {
            *sum = (sum.0 + balance.0, sum.1 + balance.1);
        }
    }
    check_trades(port, traders, &trades, &mut findings);
    (findings, trades, held)
}

/// One user's part.
struct Auditor<'a> {
    client: Client,
    trader: &'a Trader,
    findings: Findings,
}

impl<'a> Auditor<'a> {
    fn new(port: u16, trader: &'a Trader) -> Auditor<'a> {
        let client = Client::user(port, trader.user);
        Auditor { client, trader, findings: Findings::default() }
    }

    fn part(mut self) -> Part {
        let mut filled = HashMap::new();
        let trades = self.trades(&mut filled);
        let mut frozen = vec![0; ASSETS.len()];
        self.orders(&mut filled, &mut frozen);
        let user = self.trader.user;
        for (order, sides) in filled {
            self.findings.doubled.push(format!(
                "order {order} of {user}, which nobody placed, has {} fills",
                sides.len()
            ));
        }
        let balances = self.balances(&trades, &frozen);
        Part { findings: self.findings, trades, balances }
    }

    /// All trades of the user, and by order.
    fn trades(&mut self, by_order: &mut HashMap<u64, Vec<Fill>>) -> Vec<TradeSide> {
        let (mut trades, mut seen) = (Vec::new(), HashSet::new());
        for (symbol, spec) in SYMBOLS.iter().enumerate() {
            let path = format!("/api/v1/trades?symbol={}&limit={PAGE_ROWS}", spec.name);
            let mut before = String::new();
            loop {
                let answer = self.client.get(&format!("{path}{before}"));
                let rows: Vec<TradeRow<'_>> = data(&answer);
                for row in &rows {
                    let is_maker = row.role == "MAKER";
                    if !seen.insert((symbol, row.trade_id, is_maker)) {
                        continue;
                    }
                    let (price, qty) = (units(row.price), units(row.qty));
                    let fill = Fill { trade: row.trade_id, price, qty };
                    by_order.entry(row.order_id).or_default().push(fill.clone());
                    trades.push(TradeSide {
                        symbol,
                        order: row.order_id,
                        is_maker,
                        is_buy: row.side == "BUY",
                        fee: units(row.fee),
                        fill,
                    });
                }
                let Some(last) = rows.last().filter(|_| rows.len() == PAGE_ROWS) else { break };
                // Once more with the last one: a page may end between the two sides of a trade of
                // the user with himself.
                before = format!("&before={}", last.trade_id + 1);
            }
        }
        trades
    }

    /// Every order of the user against what the client knows.
    fn orders(&mut self, filled: &mut HashMap<u64, Vec<Fill>>, frozen: &mut [i128]) {
        let mut known: HashMap<&str, &Order> =
            self.trader.known.orders.iter().map(|order| (order.cid.as_str(), order)).collect();
        for status in ["OPEN", "ENDED"] {
            let path = format!("/api/v1/orders?status={status}&limit={PAGE_ROWS}");
            let mut before = None;
            loop {
                let more = before.map_or(String::new(), |order| format!("&before={order}"));
                let answer = self.client.get(&format!("{path}{more}"));
                let rows: Vec<OrderRow<'_>> = data(&answer);
                for row in &rows {
                    let fills = filled.remove(&row.order_id).unwrap_or_default();
                    match row.cid.and_then(|cid| known.remove(cid)) {
                        Some(order) => self.order(order, row, &fills),
                        None => self.doubled(row, "is there twice, or nobody placed it"),
                    }
                    freeze(row, frozen);
                }
                if rows.len() < PAGE_ROWS {
                    break;
                }
                before = rows.last().map(|row| row.order_id);
            }
        }
        let user = self.trader.user;
        for order in known.into_values() {
            match order.state {
                State::Accepted(id) => {
                    self.findings.lost.push(format!("order {id}, {} of {user}", order.cid));
                }
                State::Unanswered => {
                    let text = format!("{} of {user} was never resolved", order.cid);
                    self.findings.unbalanced.push(text);
                }
                State::Refused => {}
            }
        }
    }

    fn doubled(&mut self, row: &OrderRow<'_>, why: impl Display) {
        self.findings.doubled.push(format!("order of {}: {why}: {row:?}", self.trader.user));
    }

    /// One order that the client knows.
    fn order(&mut self, order: &Order, row: &OrderRow<'_>, fills: &[Fill]) {
        self.findings.checked += 1 + order.fills.len() as u64;
        match order.state {
            State::Accepted(id) if id == row.order_id => {}
            state => return self.doubled(row, format_args!("was told {state:?}")),
        }
        let user = self.trader.user;
        if let Some(difference) = order.difference(row) {
            self.findings.lost.push(format!("order of {user} {difference}: {row:?}"));
        }
        for fill in order.fills.iter().filter(|fill| !fills.contains(fill)) {
            self.findings.lost.push(format!("{fill:?} of {user}: {row:?}"));
        }
        let sum: i128 = fills.iter().map(|fill| fill.qty).sum();
        if sum != units(row.filled_qty) {
            let text = format!("fills of {user} are {sum} together: {row:?}");
            self.findings.unbalanced.push(text);
        }
    }

    /// What the user has must follow from the beginning, the payments and the trades.
    fn balances(&mut self, trades: &[TradeSide], frozen: &[i128]) -> Vec<(i128, i128)> {
        let user = self.trader.user;
        let mut expected: Vec<i128> =
            (0..ASSETS.len()).map(|asset| initial_balance(user, asset)).collect();
        for payment in &self.trader.known.payments {
            if matches!(payment.state, State::Accepted(_)) {
                self.findings.checked += 1;
                let sign = if payment.is_deposit { 1 } else { -1 };
                expected[payment.asset] += sign * payment.amount;
            }
        }
        for side in trades {
            let symbol = SYMBOLS[side.symbol];
            let (quote, _) = symbol.quote_amount(side.fill.price, side.fill.qty);
            if side.is_buy {
                expected[symbol.base] += side.fill.qty - side.fee;
                expected[symbol.quote] -= quote;
            } else {
                expected[symbol.base] -= side.fill.qty;
                expected[symbol.quote] += quote - side.fee;
            }
        }
        let answer = self.client.get("/api/v1/balances");
        let rows: Vec<Balance<'_>> = data(&answer);
        let mut balances = vec![(0, 0); ASSETS.len()];
        for (asset, (name, _)) in ASSETS.iter().enumerate() {
            if let Some(row) = rows.iter().find(|row| row.asset == *name) {
                balances[asset] = (units(row.avail), units(row.frozen));
            }
            let (avail, found) = balances[asset];
            if avail + found != expected[asset] || found != frozen[asset] {
                self.findings.unbalanced.push(format!(
                    "{name} of {user}: {avail} + {found} frozen, but payments and trades make {}, \
                     open orders {} frozen",
                    expected[asset], frozen[asset]
                ));
            }
        }
        balances
    }
}

#[track_caller]
fn data<'a, T: Deserialize<'a>>(answer: &'a Answer) -> T {
    assert_eq!(answer.status, 200, "{answer}");
    parse::<Envelope<T>>(answer).data
}

/// What an open order freezes.
fn freeze(row: &OrderRow<'_>, frozen: &mut [i128]) {
    let Some(price) = row.price.filter(|_| row.is_open()) else { return };
    let symbol = SYMBOLS[symbol_index(row.symbol)];
    let remaining = units(row.qty) - units(row.filled_qty);
    if row.side == "SELL" {
        frozen[symbol.base] += remaining;
    } else {
        let (floor, is_cut) = symbol.quote_amount(units(price), remaining);
        frozen[symbol.quote] += floor + i128::from(is_cut);
    }
}

/// Every trade has two sides, its number once, and what the public was shown is among them.
fn check_trades(port: u16, traders: &[Trader], trades: &[TradeSide], findings: &mut Findings) {
    let mut client = Client::anonymous(port);
    for (symbol, spec) in SYMBOLS.iter().enumerate() {
        let mut sides: HashMap<u64, Vec<&TradeSide>> = HashMap::new();
        for side in trades.iter().filter(|side| side.symbol == symbol) {
            sides.entry(side.fill.trade).or_default().push(side);
        }
        for (trade, sides) in &sides {
            let is_whole = match sides[..] {
                [one, other] => {
                    one.fill == other.fill
                        && one.is_maker != other.is_maker
                        && one.is_buy != other.is_buy
                }
                _ => false,
            };
            if !is_whole {
                let orders: Vec<u64> = sides.iter().map(|side| side.order).collect();
                let text = format!("trade {trade} of {} has sides in orders {orders:?}", spec.name);
                findings.unbalanced.push(text);
            }
        }
        let newest = sides.keys().max().copied().unwrap_or(0);
        if newest != sides.len() as u64 {
            let text = format!("{}: {} trades up to {newest}", spec.name, sides.len());
            findings.unbalanced.push(text);
        }
        let depth = client.get(&format!("/api/v1/public/depth?symbol={}&limit=1", spec.name));
        let updates = depth.data()["last_update_id"].as_u64().expect("a number");
        for shown in traders.iter().map(|trader| &trader.known.shown[symbol]) {
            if updates < shown.last_update_id {
                let text = format!("{}: update {} was shown", spec.name, shown.last_update_id);
                findings.lost.push(text);
            }
            let Some(trade) = &shown.trade else { continue };
            findings.checked += 1;
            if !sides.get(&trade.trade).is_some_and(|sides| sides[0].fill == *trade) {
                findings.lost.push(format!("{}: {trade:?} was shown", spec.name));
            }
        }
    }
}

/// The proof is balanced, and counts what the clients count.
fn check_sums(
    port: u16,
    traders: &[Trader],
    trades: &[TradeSide],
    held: &[(i128, i128)],
    findings: &mut Findings,
) {
    let proof = proof_of(&mut Client::admin(port));
    for (asset, (name, _)) in ASSETS.iter().enumerate() {
        let paid = |is_deposit| -> i128 {
            let all = traders.iter().flat_map(|trader| &trader.known.payments);
            let meant = all.filter(|payment| {
                payment.asset == asset
                    && payment.is_deposit == is_deposit
                    && matches!(payment.state, State::Accepted(_))
            });
            meant.map(|payment| payment.amount).sum()
        };
        let begun: i128 = traders.iter().map(|trader| initial_balance(trader.user, asset)).sum();
        let received = |side: &&TradeSide| {
            let symbol = SYMBOLS[side.symbol];
            asset == if side.is_buy { symbol.base } else { symbol.quote }
        };
        let fees: i128 = trades.iter().filter(received).map(|side| side.fee).sum();
        let expected = AssetProof {
            deposits: begun + paid(true),
            withdrawals: paid(false),
            avail: held[asset].0,
            frozen: held[asset].1,
            fees,
            in_flight: 0,
        };
        let found = &proof[*name];
        if format!("{found:?}") != format!("{expected:?}") {
            findings.unbalanced.push(format!("{name}: {found:?}, expected {expected:?}"));
        }
    }
}

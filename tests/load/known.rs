//! What one client has been told, and must find again after every crash.

use serde::Deserialize;

use super::market::symbol_index;
use crate::support::exchange::units;

/// An order as the wire shows it.
#[derive(Debug, Deserialize)]
pub struct OrderRow<'a> {
    pub order_id: u64,
    #[serde(default)]
    pub cid: Option<&'a str>,
    pub symbol: &'a str,
    pub side: &'a str,
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub price: Option<&'a str>,
    pub qty: &'a str,
    #[serde(default)]
    pub quote_qty: Option<&'a str>,
    pub filled_qty: &'a str,
    pub status: &'a str,
    #[serde(borrow, default)]
    pub fills: Vec<TradeRow<'a>>,
}

impl OrderRow<'_> {
    pub fn is_open(&self) -> bool {
        matches!(self.status, "NEW" | "PARTIALLY_FILLED")
    }
}

/// One side of a trade as the wire shows it.
#[derive(Debug, Deserialize)]
pub struct TradeRow<'a> {
    pub trade_id: u64,
    pub order_id: u64,
    pub symbol: &'a str,
    pub side: &'a str,
    pub price: &'a str,
    pub qty: &'a str,
    pub fee: &'a str,
    pub role: &'a str,
}

/// Whether the server has what a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No answer has come.
    Unanswered,
    /// The answer was no.
    Refused,
    /// The answer was yes; an order's id.
    Accepted(u64),
}

/// What is known of an order's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing: it may be open.
    Unknown,
    /// It has ended, somehow.
    Somehow,
    /// It has ended like this.
    As(String),
}

/// A fill that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    pub trade: u64,
    pub price: i128,
    pub qty: i128,
}

/// An order of the client.
#[derive(Clone, Debug)]
pub struct Order {
    pub cid: String,
    pub symbol: usize,
    pub side: &'static str,
    pub kind: &'static str,
    pub state: State,
    /// `None` for a market order.
    pub price: Option<i128>,
    /// `None` for a market order by budget, whose quantity is what is filled.
    pub qty: Option<i128>,
    pub filled_at_least: i128,
    pub fills: Vec<Fill>,
    pub end: End,
    /// A change of it is under way: the next one waits, so that each outcome can be told from the
    /// other.
    pub is_changing: bool,
}

impl Order {
    /// What the answer to a command says about it. Only its owner changes price and quantity, one
    /// change at a time, so those are exact.
    pub fn learn(&mut self, row: &OrderRow<'_>) {
        self.price = row.price.map(units);
        self.qty = row.quote_qty.is_none().then(|| units(row.qty));
        self.learn_read(row);
    }

    /// What the answer to a question says about it: only what cannot be undone, for the answer to an
    /// earlier change of a pipelined connection may be younger than this.
    pub fn learn_read(&mut self, row: &OrderRow<'_>) {
        self.filled_at_least = self.filled_at_least.max(units(row.filled_qty));
        if !row.is_open() {
            self.end = End::As(row.status.to_owned());
        }
        for fill in &row.fills {
            let (price, qty) = (units(fill.price), units(fill.qty));
            let fill = Fill { trade: fill.trade_id, price, qty };
            if !self.fills.contains(&fill) {
                self.fills.push(fill);
            }
        }
    }

    /// The first thing in which a row differs from what was told.
    pub fn difference(&self, row: &OrderRow<'_>) -> Option<String> {
        let filled = units(row.filled_qty);
        let is_same = row.side == self.side
            && row.kind == self.kind
            && symbol_index(row.symbol) == self.symbol;
        let end_differs = match &self.end {
            End::Unknown => false,
            End::Somehow => row.is_open(),
            End::As(status) => row.status != status || filled != self.filled_at_least,
        };
        if !is_same {
            Some("is another order".to_owned())
        } else if filled < self.filled_at_least {
            Some(format!("was filled up to {} at least", self.filled_at_least))
        } else if end_differs {
            Some(format!("had ended: {:?}, filled {}", self.end, self.filled_at_least))
        } else if row.price.map(units) != self.price {
            Some(format!("had the price {:?}", self.price))
        } else if self.qty.is_some_and(|qty| qty != units(row.qty)) {
            Some(format!("had the quantity {:?}", self.qty))
        } else {
            None
        }
    }
}

/// A deposit or withdrawal of the client.
#[derive(Clone, Debug)]
pub struct Payment {
    pub asset: usize,
    pub amount: i128,
    pub is_deposit: bool,
    pub reference: String,
    pub state: State,
}

/// A symbol's public data as far as it was shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The newest trade.
    pub trade: Option<Fill>,
    pub last_update_id: u64,
}

/// Everything one client knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub orders: Vec<Order>,
    /// Places in `orders` of those that may be open.
    pub open: Vec<usize>,
    pub payments: Vec<Payment>,
    /// By symbol.
    pub shown: Vec<Shown>,
}

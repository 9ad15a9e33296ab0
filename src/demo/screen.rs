//! The demo's live summary, as text.

use std::fmt::Write as _;
use std::time::Duration;

use crate::format::{duration, thousands};
use crate::terminal;

/// Levels of a book that are shown per side.
pub const LEVELS: usize = 3;

/// One market at a moment; numbers are decimal text already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarketView {
    /// The symbol.
    pub symbol: String,
    /// Price of the last trade.
    pub last: Option<String>,
    /// Trades so far.
    pub trades: u64,
    /// Price and quantity, best first.
    pub bids: Vec<(String, String)>,
    /// Price and quantity, best first.
    pub asks: Vec<(String, String)>,
}

/// The exchange at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Where it listens.
    pub address: String,
    /// How many shards it has.
    pub shards: u16,
    /// Time since it began.
    pub elapsed: Duration,
    /// Orders and cancels per second since the last view.
    pub rate: u64,
    /// Orders so far.
    pub orders: u64,
    /// Cancels so far.
    pub cancels: u64,
    /// Commands that were refused: orders without funds, cancels too late.
    pub refused: u64,
    /// Median time to a durable answer.
    pub median: Duration,
    /// What one in a hundred waited longer than.
    pub slow: Duration,
    /// Its markets.
    pub markets: Vec<MarketView>,
}

impl View {
    fn trades(&self) -> u64 {
        self.markets.iter().map(|market| market.trades).sum()
    }

    /// Several lines, for a terminal.
    pub fn block(&self) -> String {
        let mut text = String::new();
        let shards = if self.shards == 1 { "shard" } else { "shards" };
        let _ = writeln!(
            text,
            "ringbook demo   http://{}   {} {shards}   {} s",
            self.address,
            self.shards,
            self.elapsed.as_secs()
        );
        let _ = writeln!(
            text,
            "{}/s   orders {}   cancels {}   trades {}   refused or late {}",
            thousands(self.rate),
            thousands(self.orders),
            thousands(self.cancels),
            thousands(self.trades()),
            thousands(self.refused)
        );
        let _ = writeln!(
            text,
            "order to durable answer: p50 {}, p99 {}",
            duration(self.median),
            duration(self.slow)
        );
        for market in &self.markets {
            market.write(&mut text);
        }
        let symbol = self.markets.first().map_or("BTC_USDT", |market| &market.symbol);
        let _ = write!(
            text,
            "\nTry:  curl 'http://{0}/api/v1/public/depth?symbol={symbol}&limit=5'\n      \
             curl -H 'X-User-ID: 1001' http://{0}/api/v1/balances\nCtrl-C ends.\n",
            self.address
        );
        text
    }

    /// One line, for a log.
    pub fn line(&self) -> String {
        let mut text = format!(
            "{} s  {}/s  orders {}  trades {}",
            self.elapsed.as_secs(),
            thousands(self.rate),
            thousands(self.orders),
            thousands(self.trades())
        );
        for market in &self.markets {
            let best = |side: &[(String, String)]| side.first().map_or("-".into(), |l| l.0.clone());
            let _ = write!(
                text,
                "  {} {}/{} last {}",
                market.symbol,
                best(&market.bids),
                best(&market.asks),
                market.last.as_deref().unwrap_or("-")
            );
        }
        text.push('\n');
        text
    }
}

impl MarketView {
    fn write(&self, text: &mut String) {
        let last = self.last.as_deref().unwrap_or("-");
        let trades = thousands(self.trades);
        let _ = writeln!(text, "\n{:<10} last {last:<12} trades {trades}", self.symbol);
        for level in 0..LEVELS {
            let blank = (String::new(), String::new());
            let (bid, bid_qty) = self.bids.get(level).unwrap_or(&blank);
            let (ask, ask_qty) = self.asks.get(level).unwrap_or(&blank);
            let _ = writeln!(text, "{bid_qty:>16} {bid:>12} | {ask:<12} {ask_qty}");
        }
    }
}

/// Draws a view over the one before, or as a line where nothing can be drawn over.
pub fn draw(view: &View, is_terminal: bool) {
    let text = if is_terminal {
        // Home, the lines each cleared to their ends, then everything below.
        let lines: String = view.block().lines().map(|line| format!("{line}\x1b[K\r\n")).collect();
        format!("\x1b[H{lines}\x1b[J")
    } else {
        view.line()
    };
    terminal::say(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let level = |price: &str, qty: &str| (price.to_owned(), qty.to_owned());
        View {
            address: "127.0.0.1:8080".into(),
            shards: 2,
            rate: 1_000,
            markets: vec![MarketView {
                symbol: "BTC_USDT".into(),
                last: Some("60000.01".into()),
                trades: 12,
                bids: vec![level("60000.00", "0.10000000")],
                asks: Vec::new(),
            }],
            ..View::default()
        }
    }

    #[test]
    fn a_block_has_the_market_and_a_command_to_try() {
        let block = view().block();
        for part in ["2 shards", "BTC_USDT", "60000.00", "curl 'http://127.0.0.1:8080/api"] {
            assert!(block.contains(part), "{part} in {block}");
        }
        assert!(block.lines().count() < 24);
    }

    #[test]
    fn a_line_is_one() {
        let line = view().line();
        assert!(line.ends_with("BTC_USDT 60000.00/- last 60000.01\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}

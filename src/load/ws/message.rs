//! Reads what the server sends: what is public as far as its order has to be checked, what is private
//! as a whole.
//!
//! The same public message comes on thousands of connections, and a snapshot of a book has thousands of
//! levels: only its first fields are read, in the order in which ringbook writes them. A message that
//! looks otherwise is read as JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::channels::{Channels, Family, Tag};

/// How the numbers of a public message have to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// A trade's: each one above the last.
    Trade(u64),
    /// A whole book's: it begins anew.
    Snapshot(u64),
    /// Of the changes from the first to the last.
    Changes(u64, u64),
    /// May leave out, and must not go back.
    Latest(u64),
    None,
}

/// A public message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Public {
    pub tag: Tag,
    pub numbers: Numbers,
}

/// Everything that is not public, as it lies there.
#[derive(Debug, Deserialize)]
pub struct Private<'a> {
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    pub id: Option<u64>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    pub code: Option<u32>,
    pub msg: Option<Cow<'a, str>>,
}

/// `order.update`.
#[derive(Debug, Deserialize)]
pub struct OrderData<'a> {
    pub order_id: u64,
    pub cid: Option<Cow<'a, str>>,
    pub status: Cow<'a, str>,
    pub filled_qty: Cow<'a, str>,
}

/// `trade`.
#[derive(Debug, Deserialize)]
pub struct TradeData<'a> {
    pub trade_id: u64,
    pub order_id: u64,
    pub symbol: Cow<'a, str>,
    pub qty: Cow<'a, str>,
    pub role: Cow<'a, str>,
}

/// `balance.update`.
#[derive(Debug, Deserialize)]
pub struct BalanceData<'a> {
    pub asset: Cow<'a, str>,
    pub avail: Cow<'a, str>,
    pub frozen: Cow<'a, str>,
    pub delta: Cow<'a, str>,
}

/// Reads a public message; nothing where it is none, or of no symbol of this run.
pub fn public(text: &[u8], channels: &Channels) -> Option<Public> {
    quickly(text, channels).or_else(|| thoroughly(text, channels))
}

fn quickly(text: &[u8], channels: &Channels) -> Option<Public> {
    let mut cursor = Cursor(text);
    cursor.skip(b"{\"type\":\"")?;
    let kind = cursor.word()?;
    cursor.skip(b",\"symbol\":\"")?;
    let symbol = cursor.word()?;
    let (family, numbers) = match kind {
        b"public.trade" => {
            cursor.skip(b",\"id\":")?;
            (Family::Trades, Numbers::Trade(cursor.number()?))
        }
        b"depth.snapshot" | b"depth.update" => {
            cursor.skip(b",\"first_update_id\":")?;
            let first = cursor.number()?;
            cursor.skip(b",\"last_update_id\":")?;
            let last = cursor.number()?;
            let is_whole = kind == b"depth.snapshot";
            let changes = Numbers::Changes(first, last);
            (Family::Depth, if is_whole { Numbers::Snapshot(last) } else { changes })
        }
        b"bbo" => {
            let last = text.strip_suffix(b"}")?.rsplit(|&byte| byte == b':').next()?;
            let mut last = Cursor(last);
            (Family::Bbo, Numbers::Latest(last.number().filter(|_| last.0.is_empty())?))
        }
        b"ticker" => (Family::Ticker, Numbers::None),
        b"kline" => {
            cursor.skip(b",\"interval\":\"")?;
            (Family::of_interval(cursor.word()?)?, Numbers::None)
        }
        _ => return None,
    };
    Some(Public { tag: channels.tag(family, symbol)?, numbers })
}

fn thoroughly(text: &[u8], channels: &Channels) -> Option<Public> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(rename = "type")]
        kind: Cow<'a, str>,
        symbol: Cow<'a, str>,
        interval: Option<Cow<'a, str>>,
        id: Option<u64>,
        first_update_id: Option<u64>,
        last_update_id: Option<u64>,
    }
    let fields: Fields<'_> = serde_json::from_slice(text).ok()?;
    let (family, numbers) = match &*fields.kind {
        "public.trade" => (Family::Trades, Numbers::Trade(fields.id?)),
        "depth.snapshot" => (Family::Depth, Numbers::Snapshot(fields.last_update_id?)),
        "depth.update" => {
            (Family::Depth, Numbers::Changes(fields.first_update_id?, fields.last_update_id?))
        }
        "bbo" => (Family::Bbo, Numbers::Latest(fields.last_update_id?)),
        "ticker" => (Family::Ticker, Numbers::None),
        "kline" => (Family::of_interval(fields.interval?.as_bytes())?, Numbers::None),
        _ => return None,
    };
    Some(Public { tag: channels.tag(family, fields.symbol.as_bytes())?, numbers })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn skip(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Up to the quote, which is taken too; nothing that has to be unescaped.
    fn word(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == b'"' || byte == b'\\')?;
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(b"\"")?;
        Some(word)
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// A decimal in units of 10⁻¹⁸, which no asset goes below.
pub fn decimal(text: &str) -> Option<i128> {
    const DECIMALS: usize = 18;
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > DECIMALS || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.')) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let scale = 10_i128.pow((DECIMALS - fraction.len()) as u32);
    let fraction: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let value = whole.checked_mul(10_i128.pow(DECIMALS as u32))?.checked_add(fraction * scale)?;
    Some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::super::channels::tests::channels;
    use super::*;

    #[test]
    fn both_ways_of_reading_see_the_same() {
        let channels = channels("trades,depth,bbo,ticker,kline_5m", None).unwrap();
        for (text, numbers) in [
            (
                r#"{"type":"public.trade","symbol":"ETH_USDT","id":17,"price":"1.00","qty":"2"}"#,
                Numbers::Trade(17),
            ),
            (
                r#"{"type":"depth.snapshot","symbol":"ETH_USDT","first_update_id":9,"last_update_id":9,"bids":[],"asks":[]}"#,
                Numbers::Snapshot(9),
            ),
            (
                r#"{"type":"depth.update","symbol":"ETH_USDT","first_update_id":10,"last_update_id":12,"bids":[["1","0"]],"asks":[]}"#,
                Numbers::Changes(10, 12),
            ),
            (
                r#"{"type":"bbo","symbol":"ETH_USDT","bid":["1","2"],"ask":null,"last_update_id":12}"#,
                Numbers::Latest(12),
            ),
            (r#"{"type":"ticker","symbol":"ETH_USDT","open_time":1}"#, Numbers::None),
            (r#"{"type":"kline","symbol":"ETH_USDT","interval":"5m"}"#, Numbers::None),
        ] {
            let quick = quickly(text.as_bytes(), &channels).unwrap();
            assert_eq!((quick.numbers, quick.tag.market()), (numbers, 1), "{text}");
            let spaced = text.replacen(':', ": ", 1);
            assert_eq!(quickly(spaced.as_bytes(), &channels), None);
            assert_eq!(public(spaced.as_bytes(), &channels), Some(quick), "{text}");
        }
    }

    #[test]
    fn what_is_not_public_or_of_another_symbol_is_not_read() {
        let channels = channels("trades", None).unwrap();
        for text in [
            "",
            "{}",
            r#"{"type":"connected"}"#,
            r#"{"type":"public.trade","symbol":"X_Y","id":1}"#,
            r#"{"type":"public.trade","symbol":"ETH_USDT","id":"1"}"#,
            r#"{"type":"subscribe.success","channels":["trades:ETH_USDT"]}"#,
        ] {
            assert_eq!(public(text.as_bytes(), &channels), None, "{text}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        let one = 10_i128.pow(18);
        for (text, value) in [
            ("0", 0),
            ("+1", one),
            ("-1.5", -one * 3 / 2),
            ("0.000000000000000001", 1),
            ("1000000000.00", one * 1_000_000_000),
        ] {
            assert_eq!(decimal(text), Some(value), "{text}");
        }
        for bad in ["", "a", "1.0000000000000000001", "--1", "1.2.3", "+"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}

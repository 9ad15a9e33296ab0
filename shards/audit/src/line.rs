//! Records as lines of JSON, each a flat object.
//!
//! Promises: a line is valid JSON whatever texts are in the record, ends with a newline, and is at
//! most [`MAX_LINE_BYTES`] long. `at` is its first member, so a reader finds the time without parsing
//! the rest, and a quote inside a text is always escaped, so `,"user":` is a member and never part of
//! a text.

use std::net::IpAddr;

use money::write_units;

use crate::record::{Actor, CUT_MARK, Detail, Kind, MAX_TEXT_BYTES, Record, cut};
use crate::symbols::{Names, News};
use crate::time::write_rfc3339;

/// Longest line, in bytes. Every text in it is bounded, and escaping makes six bytes of one at most.
pub(crate) const MAX_LINE_BYTES: usize = 8 << 10;
/// Longest name of an action, a dialect or a result, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// Records of one lane that found no room.
pub(crate) struct Gap {
    pub shard: u16,
    pub dropped: u64,
    /// When the first and the last of them happened, in ms since the epoch.
    pub from_ms: u64,
    pub to_ms: u64,
}

pub(crate) fn write_record(
    out: &mut Vec<u8>,
    shard: u16,
    record: &Record,
    names: &mut Names,
    news: &News,
) {
    begin(out, record.at_ms, record.kind.as_str());
    number(out, "shard", shard);
    text(out, "action", record.action, MAX_WORD_BYTES);
    if let Some(user) = record.user {
        number(out, "user", user);
    }
    match record.actor {
        Actor::Nobody => plain(out, "actor", "nobody"),
        Actor::Development => plain(out, "actor", "development"),
        Actor::AdminToken => plain(out, "actor", "admin_token"),
        Actor::Key(id) => {
            plain(out, "actor", "key");
            hex(out, "key", "rk_", id);
        }
        Actor::Session(id) => {
            plain(out, "actor", "session");
            hex(out, "session", "", id);
        }
    }
    if let Some(address) = record.address {
        write_address(out, address);
    }
    text(out, "dialect", record.dialect, MAX_WORD_BYTES);
    number(out, "status", record.status);
    text(out, "code", record.code, MAX_WORD_BYTES);
    write_detail(out, &record.detail, names, news);
    out.extend_from_slice(b"}\n");
}

/// A line that says that records are missing.
pub(crate) fn write_gap(out: &mut Vec<u8>, at_ms: u64, kind: Kind, gap: &Gap) {
    begin(out, at_ms, GAP);
    plain(out, "kind", kind.as_str());
    number(out, "shard", gap.shard);
    number(out, "dropped", gap.dropped);
    number(out, "from", gap.from_ms);
    number(out, "to", gap.to_ms);
    out.extend_from_slice(b"}\n");
}

const GAP: &str = "gap";
const AT: &[u8] = b"{\"at\":";

fn begin(out: &mut Vec<u8>, at_ms: u64, kind: &str) {
    out.extend_from_slice(AT);
    out.extend_from_slice(itoa::Buffer::new().format(at_ms).as_bytes());
    out.extend_from_slice(b",\"time\":\"");
    write_rfc3339(out, at_ms);
    out.push(b'"');
    plain(out, "type", kind);
}

fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    use std::io::Write;
    // A client of IPv4 on a socket of IPv6 is one of IPv4. Writing to memory cannot fail.
    let _ = write!(out, ",\"address\":\"{}\"", address.to_canonical());
}

fn write_detail(out: &mut Vec<u8>, detail: &Detail, names: &mut Names, news: &News) {
    match detail {
        Detail::None => {}
        Detail::User(user) => number(out, "target_user", *user),
        Detail::Key { key, user } => {
            hex(out, "target_key", "rk_", *key);
            number(out, "target_user", *user);
        }
        Detail::Text(words) => text(out, "text", words, MAX_TEXT_BYTES),
        Detail::Order { symbol, side, price_ticks, qty_lots, order_id, cid } => {
            let known = symbol.and_then(|id| names.get(id, news));
            if let Some(known) = known {
                text(out, "symbol", &known.name, MAX_WORD_BYTES);
            } else if let Some(id) = symbol {
                number(out, "symbol_id", *id);
            }
            if let Some(side) = side {
                plain(out, "side", side.as_str());
            }
            let scales = known.map(|known| {
                let price = (known.tick_mantissa, known.tick_decimals);
                (price, (known.lot_units, known.base_decimals))
            });
            if let Some(ticks) = *price_ticks {
                amount(out, "price", "price_ticks", ticks, scales.map(|scales| scales.0));
            }
            if let Some(lots) = *qty_lots {
                amount(out, "qty", "qty_lots", lots, scales.map(|scales| scales.1));
            }
            if let Some(id) = *order_id {
                number(out, "order_id", id);
            }
            if let Some(cid) = cid {
                text(out, "cid", cid.as_str(), MAX_WORD_BYTES);
            }
        }
    }
}

/// A count of ticks or lots: as a decimal where the scale is known, else raw under a name that says so.
fn amount(out: &mut Vec<u8>, name: &str, raw_name: &str, count: u64, scale: Option<(u64, u8)>) {
    let Some((units, decimals)) = scale else { return number(out, raw_name, count) };
    member(out, name);
    out.push(b'"');
    write_units(out, u128::from(count) * u128::from(units), decimals);
    out.push(b'"');
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, value: impl itoa::Integer) {
    member(out, name);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// For words of this crate, which need no escaping.
fn plain(out: &mut Vec<u8>, name: &str, word: &str) {
    member(out, name);
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

fn hex(out: &mut Vec<u8>, name: &str, prefix: &str, id: u64) {
    member(out, name);
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    for shift in (0..16).rev() {
        out.push(HEX[(id >> (shift * 4) & 15) as usize]);
    }
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn text(out: &mut Vec<u8>, name: &str, words: &str, limit_bytes: usize) {
    let (words, is_cut) = cut(words, limit_bytes);
    member(out, name);
    out.push(b'"');
    for &byte in words.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7F => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    if is_cut {
        out.extend_from_slice(CUT_MARK.as_bytes());
    }
    out.push(b'"');
}

/// When the act of a line was, in ms since the epoch; `None` for what is no line of the trail.
pub(crate) fn time_of(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(AT)?;
    let end = rest.iter().position(|&byte| byte == b',')?;
    if line.last() != Some(&b'}') || !(1..=20).contains(&end) {
        return None;
    }
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Whether a line concerns the user whose id in digits is given: by, or on, that user. A gap does,
/// since what is missing may.
pub(crate) fn concerns(line: &[u8], user: &[u8]) -> bool {
    has(line, b",\"user\":", user)
        || has(line, b",\"target_user\":", user)
        || has(line, b",\"type\":\"gap\"", b"")
}

fn has(line: &[u8], name: &[u8], value: &[u8]) -> bool {
    let found = line.windows(name.len()).position(|window| window == name);
    let Some(rest) = found.and_then(|at| line[at + name.len()..].strip_prefix(value)) else {
        return false;
    };
    matches!(rest.first(), Some(b',' | b'}'))
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;

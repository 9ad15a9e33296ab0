//! What is written parses, says what was recorded, and is found again.

use money::{Cid, Side};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::symbols::Symbol;

fn record() -> Record {
    Record {
        at_ms: 1_767_225_599_999,
        kind: Kind::Order,
        action: "order.place",
        user: Some(1001),
        actor: Actor::Session(0xab),
        address: Some("::ffff:10.0.0.1".parse().unwrap()),
        dialect: "native",
        status: 202,
        code: "OK",
        detail: Detail::None,
    }
}

fn order() -> Detail {
    Detail::Order {
        symbol: Some(7),
        side: Some(Side::Sell),
        price_ticks: Some(201),
        qty_lots: Some(3),
        order_id: Some(1 << 52),
        cid: Cid::parse("mine-1").ok(),
    }
}

fn written(record: &Record, news: &News) -> String {
    let mut out = Vec::new();
    write_record(&mut out, 3, record, &mut Names::default(), news);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_shows_every_field() {
    let news = News::default();
    let symbol = Symbol {
        name: "BTC-USDT".into(),
        tick_mantissa: 50,
        tick_decimals: 2,
        lot_units: 1_000,
        base_decimals: 8,
    };
    news.publish(7, symbol).unwrap();
    let line = written(&Record { detail: order(), ..record() }, &news);
    assert_eq!(
        line,
        "{\"at\":1767225599999,\"time\":\"2025-12-31T23:59:59.999Z\",\"type\":\"order\",\"shard\":3,\
         \"action\":\"order.place\",\"user\":1001,\"actor\":\"session\",\"session\":\"00000000000000ab\",\
         \"address\":\"10.0.0.1\",\"dialect\":\"native\",\"status\":202,\"code\":\"OK\",\
         \"symbol\":\"BTC-USDT\",\"side\":\"SELL\",\"price\":\"100.50\",\"qty\":\"0.00003000\",\
         \"order_id\":4503599627370496,\"cid\":\"mine-1\"}\n"
    );
}

#[test]
fn a_symbol_without_a_name_is_shown_raw() {
    let line = written(&Record { detail: order(), ..record() }, &News::default());
    assert!(line.contains("\"symbol_id\":7,\"side\":\"SELL\",\"price_ticks\":201,\"qty_lots\":3,"));
}

#[test]
fn keys_and_targets_are_spelled_as_on_the_wire() {
    let news = News::default();
    let actor = Actor::Key(0x1f);
    let line =
        written(&Record { actor, detail: Detail::Key { key: 0xff, user: 9 }, ..record() }, &news);
    assert!(line.contains("\"actor\":\"key\",\"key\":\"rk_000000000000001f\""), "{line}");
    assert!(line.contains("\"target_key\":\"rk_00000000000000ff\",\"target_user\":9}"), "{line}");
}

#[test]
fn a_line_is_found_by_its_user_and_its_target_and_by_no_text() {
    let news = News::default();
    let line = written(&Record { detail: Detail::User(77), ..record() }, &news);
    let line = line.trim_end().as_bytes();
    assert!(concerns(line, b"1001") && concerns(line, b"77"));
    assert!(!concerns(line, b"100") && !concerns(line, b"7") && !concerns(line, b"3"));
    let forged = Detail::text(",\"user\":55,");
    let line = written(&Record { user: None, detail: forged, ..record() }, &news);
    assert!(!concerns(line.trim_end().as_bytes(), b"55"), "{line}");
    let mut gap = Vec::new();
    write_gap(&mut gap, 5, Kind::Auth, &Gap { shard: 0, dropped: 2, from_ms: 1, to_ms: 4 });
    assert!(concerns(gap.trim_ascii_end(), b"55"));
}

#[test]
fn half_a_line_has_no_time() {
    let line = written(&record(), &News::default());
    let line = line.trim_end();
    assert_eq!(time_of(line.as_bytes()), Some(1_767_225_599_999));
    for end in 0..line.len() {
        assert_eq!(time_of(&line.as_bytes()[..end]), None);
    }
    assert_eq!(time_of(b"{\"at\":,}"), None);
    assert_eq!(time_of(b"{\"at\":99999999999999999999,}"), None);
}

#[test]
fn the_longest_line_is_within_its_bound() {
    let words: &'static str = String::leak("\u{1}".repeat(1_000));
    let record = Record {
        at_ms: u64::MAX,
        action: words,
        user: Some(u64::MAX),
        actor: Actor::Key(u64::MAX),
        address: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().ok(),
        dialect: words,
        status: u16::MAX,
        code: words,
        detail: Detail::Text(words.into()),
        ..record()
    };
    assert!(written(&record, &News::default()).len() <= MAX_LINE_BYTES);
}

proptest! {
    #[test]
    fn every_text_parses_and_comes_back(
        words in any::<String>(), code in any::<String>(), at_ms: u64, user: Option<u64>, status: u16,
    ) {
        let code: &'static str = String::leak(code);
        let record = Record {
            at_ms, user, status, code, detail: Detail::Text(words.as_str().into()), ..record()
        };
        let line = written(&record, &News::default());
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert_eq!(time_of(line.trim_end().as_bytes()), Some(at_ms));
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["at"].as_u64(), Some(at_ms));
        prop_assert_eq!(value.get("user").and_then(Value::as_u64), user);
        let whole = |words: &str, limit| match cut(words, limit) {
            (kept, true) => format!("{kept}{CUT_MARK}"),
            (kept, false) => kept.to_string(),
        };
        prop_assert_eq!(value["text"].as_str().unwrap(), whole(&words, MAX_TEXT_BYTES));
        prop_assert_eq!(value["code"].as_str().unwrap(), whole(code, MAX_WORD_BYTES));
    }

    #[test]
    fn every_order_parses(
        price_ticks: Option<u64>, qty_lots: Option<u64>, tick_mantissa: u64, lot_units: u64,
        tick_decimals in 0..=crate::MAX_DECIMALS, base_decimals in 0..=crate::MAX_DECIMALS,
        name in "[^\u{0}]{0,16}",
    ) {
        let news = News::default();
        let symbol = Symbol { name: name.clone(), tick_mantissa, tick_decimals, lot_units, base_decimals };
        news.publish(0, symbol).unwrap();
        let detail = Detail::Order {
            symbol: Some(0), side: None, price_ticks, qty_lots, order_id: None, cid: None,
        };
        let value: Value = serde_json::from_str(&written(&Record { detail, ..record() }, &news)).unwrap();
        prop_assert_eq!(value["symbol"].as_str().unwrap(), name);
        prop_assert_eq!(value.get("price").is_some(), price_ticks.is_some());
        prop_assert_eq!(value.get("qty").is_some(), qty_lots.is_some());
    }
}

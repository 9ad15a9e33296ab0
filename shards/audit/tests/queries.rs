//! What is recorded is found: at once, newest first, by kind, user and time, within bounds.

mod common;

use std::sync::{Arc, Mutex};

use audit::{Detail, Kind, LogQuery, QueryError, Symbol, Trail, TrailConfig};
use common::*;
use proptest::prelude::*;

#[test]
fn a_query_sees_what_was_recorded_before_it_was_asked() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 2).unwrap();
    for round in 0..50 {
        trail.sender((round % 2) as u16).record(record(NOON_MS + round, Kind::Order, round));
        let page = all(&trail);
        assert!(page.is_complete);
        assert_eq!(times(&page)[0], NOON_MS + round);
        assert_eq!(page.lines.len() as u64, round + 1);
    }
}

#[test]
fn shards_and_kinds_come_together_newest_first() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 3).unwrap();
    for step in 0..300 {
        let kind = Kind::ALL[step as usize % 4];
        trail.sender((step % 3) as u16).record(record(NOON_MS + step, kind, 1));
    }
    let wanted: Vec<u64> = (0..300).rev().map(|step| NOON_MS + step).collect();
    assert_eq!(times(&all(&trail)), wanted);
    let orders = LogQuery { kind: Some(Kind::Order), limit: 10, ..LogQuery::default() };
    let wanted: Vec<u64> = (0..300).rev().filter(|step| step % 4 == 1).take(10).collect();
    let wanted: Vec<u64> = wanted.into_iter().map(|step| NOON_MS + step).collect();
    assert_eq!(times(&page(&trail, orders)), wanted);
}

#[test]
fn an_administrators_act_is_found_under_the_user_it_was_on() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    let mut act = record(NOON_MS, Kind::Admin, 1);
    act.detail = Detail::User(1001);
    trail.sender(0).record(act);
    for user in [1, 1001] {
        let query = LogQuery { user: Some(user), ..LogQuery::default() };
        assert_eq!(page(&trail, query).lines.len(), 1);
    }
    assert!(page(&trail, LogQuery { user: Some(100), ..LogQuery::default() }).lines.is_empty());
}

#[test]
fn a_symbol_named_before_an_order_is_shown_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    for id in 0..20 {
        let symbol = Symbol {
            name: format!("S{id}"),
            tick_mantissa: 5,
            tick_decimals: 1,
            lot_units: 10,
            base_decimals: 3,
        };
        trail.name_symbol(id, symbol).unwrap();
        let mut order = record(NOON_MS, Kind::Order, 1);
        order.detail = Detail::Order {
            symbol: Some(id),
            side: Some(money::Side::Buy),
            price_ticks: Some(3),
            qty_lots: Some(7),
            order_id: None,
            cid: None,
        };
        trail.sender(0).record(order);
        let line = value(&all(&trail).lines[0]);
        assert_eq!(line["symbol"], format!("S{id}"));
        assert_eq!((&line["price"], &line["qty"]), (&"1.5".into(), &"0.070".into()));
    }
}

#[test]
fn a_file_of_many_blocks_is_read_whole_and_lines_of_one_time_keep_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    for step in 0..9_000 {
        let mut order = record(NOON_MS + step / 100, Kind::Order, step % 10);
        order.detail = Detail::Key { key: step, user: 77 };
        trail.sender(0).record(order);
    }
    let wanted: Vec<String> = (0..9_000)
        .rev()
        .filter(|step| step % 10 == 3)
        .map(|step| format!("rk_{step:016x}"))
        .collect();
    for is_packed in [false, true] {
        let query = LogQuery { user: Some(3), limit: 1_000, ..LogQuery::default() };
        let page = page(&trail, query);
        let key = |line| value(line)["target_key"].as_str().unwrap().to_owned();
        let found: Vec<String> = page.lines.iter().map(|line| key(line)).collect();
        assert!(found == wanted, "packed: {is_packed}, {} found", found.len());
        assert_eq!((page.broken_lines, page.truncated), (0, false));
        if !is_packed {
            let file = &names(directory.path(), Kind::Order)[0];
            let file = path(directory.path(), Kind::Order, file);
            assert!(std::fs::metadata(file).unwrap().len() > 4 * (256 << 10));
            assert_eq!(archive(&trail), 1);
        }
    }
}

/// Lines far apart in time, over many files, some of them compressed.
fn long_trail(directory: &std::path::Path) -> (Trail, Vec<(u64, u64)>) {
    let hand = Hand::at(NOON_MS);
    let small =
        TrailConfig { file_bytes: 8 << 10, scan_bytes: 20 << 10, ..config(directory, &hand) };
    let trail = Trail::start(small, 1).unwrap();
    let mut wanted = Vec::new();
    for step in 0..600 {
        if step == 400 {
            assert!(archive(&trail) > 5);
        }
        let (at_ms, user) = (NOON_MS + step * 5_000, step % 7);
        trail.sender(0).record(record(at_ms, Kind::Order, user));
        wanted.push((at_ms, user));
    }
    (trail, wanted)
}

#[test]
fn a_query_that_reads_too_much_stops_and_can_be_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let (trail, wanted) = long_trail(directory.path());
    let files = names(directory.path(), Kind::Order);
    assert!(files.iter().any(|name| name.ends_with(".gz")) && files.len() > 10, "{files:?}");
    let (mut found, mut to_ms, mut pages) = (Vec::new(), u64::MAX, 0);
    loop {
        let query =
            LogQuery { kind: Some(Kind::Order), user: Some(3), to_ms, ..LogQuery::default() };
        let page = page(&trail, query);
        assert_eq!(page.broken_lines, 0);
        found.extend(times(&page));
        pages += 1;
        if !page.truncated {
            break;
        }
        let stopped_ms = page.stopped_at_ms.expect("it saw something");
        assert!(stopped_ms < to_ms, "no way on from {to_ms}");
        to_ms = stopped_ms;
    }
    found.dedup();
    let wanted = wanted.into_iter().rev().filter(|(_, user)| *user == 3).map(|(at_ms, _)| at_ms);
    assert_eq!(found, wanted.collect::<Vec<_>>());
    assert!(pages > 3, "{pages} pages");
}

#[test]
fn every_query_gives_what_a_plain_filter_gives() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let small = TrailConfig { file_bytes: 8 << 10, ..config(directory.path(), &hand) };
    let trail = Trail::start(small, 1).unwrap();
    let step_ms = 5_000;
    for step in 0..600 {
        if step == 400 {
            archive(&trail);
        }
        trail.sender(0).record(record(NOON_MS + step * step_ms, Kind::Order, step % 7));
    }
    let query = (0..3_000u64, 0..3_000u64, proptest::option::of(0..8u64), 1..=audit::MAX_LOG_LINES);
    proptest!(ProptestConfig::with_cases(150), |((from, length, user, limit) in query)| {
        let (from_ms, to_ms) = (NOON_MS + from * 1_000, NOON_MS + (from + length) * 1_000);
        let query = LogQuery { kind: Some(Kind::Order), user, from_ms, to_ms, limit };
        let wanted = (0..600).rev().filter(|step| user.is_none_or(|user| step % 7 == user));
        let wanted = wanted.map(|step| NOON_MS + step * step_ms);
        let wanted = wanted.filter(|at_ms| (from_ms..=to_ms).contains(at_ms)).take(limit);
        let page = page(&trail, query);
        prop_assert!(!page.truncated);
        prop_assert_eq!(times(&page), wanted.collect::<Vec<_>>());
    });
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_field() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    for limit in [0, audit::MAX_LOG_LINES + 1] {
        let refused = trail.logs(LogQuery { limit, ..LogQuery::default() });
        assert_eq!(refused.err(), Some(QueryError::Limit));
    }
    let backwards = LogQuery { from_ms: 2, to_ms: 1, ..LogQuery::default() };
    assert_eq!(trail.logs(backwards).err(), Some(QueryError::Range));
}

/// Has the thread with this name wait at its beginning until the lock is free.
fn held(config: TrailConfig, name: &'static str, gate: &Arc<Mutex<()>>) -> TrailConfig {
    let gate = gate.clone();
    let wait = move || {
        if std::thread::current().name() == Some(name) {
            drop(gate.lock());
        }
    };
    TrailConfig { on_thread: Some(Arc::new(wait)), ..config }
}

#[test]
fn questions_beyond_the_bound_are_refused_and_the_others_answered() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Mutex::new(()));
    let held_back = gate.lock().unwrap();
    let config = held(config(directory.path(), &Hand::at(NOON_MS)), "audit-queries", &gate);
    let trail = Trail::start(config, 1).unwrap();
    let waiting: Vec<_> = (0..audit::MAX_WAITING_JOBS).map(|_| trail.stats().unwrap()).collect();
    assert_eq!(trail.stats().err(), Some(QueryError::Busy));
    assert!(waiting.iter().all(|pending| pending.try_take().is_none()));
    drop(held_back);
    for pending in &waiting {
        assert!(pending.wait(PATIENCE).unwrap().is_ok());
    }
    assert!(trail.stats().is_ok());
}

#[test]
fn a_writer_that_stands_still_makes_a_page_incomplete_and_not_late_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Mutex::new(()));
    let held_back = gate.lock().unwrap();
    let config = held(config(directory.path(), &Hand::at(NOON_MS)), "audit", &gate);
    let trail = Trail::start(config, 1).unwrap();
    trail.sender(0).record(record(NOON_MS, Kind::Auth, 1));
    let page = all(&trail);
    assert!(!page.is_complete && page.lines.is_empty());
    assert_eq!(trail.close(), Err(audit::CloseError::Late));
    drop(held_back);
}

#[test]
fn whoever_still_waits_when_the_trail_is_closed_learns_that() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Mutex::new(()));
    let held_back = gate.lock().unwrap();
    let config = held(config(directory.path(), &Hand::at(NOON_MS)), "audit-queries", &gate);
    let trail = Trail::start(config, 1).unwrap();
    trail.sender(0).record(record(NOON_MS, Kind::Auth, 1));
    let waiting = trail.stats().unwrap();
    assert_eq!(trail.close(), Ok(()));
    drop(held_back);
    assert_eq!(waiting.wait(PATIENCE).unwrap(), Err(QueryError::Closed));
    assert_eq!(trail.stats().err(), Some(QueryError::Closed));
    let file = &names(directory.path(), Kind::Auth)[0];
    let text = std::fs::read_to_string(path(directory.path(), Kind::Auth, file)).unwrap();
    assert_eq!(text.lines().count(), 1);
}

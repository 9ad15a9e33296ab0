//! A disk that stands still or fails: records are dropped and counted, nobody waits, the hole is told.

mod common;

use std::fs;
use std::sync::{Arc, Mutex};

use audit::{Clock, Kind, LogQuery, Trail, TrailConfig};
use common::*;

/// A clock that the writer looks at on its way to the file, and that can be held: the writer then
/// stands still where it would in a write to a disk that does not answer.
fn held_clock(gate: &Arc<Mutex<()>>) -> Clock {
    let gate = gate.clone();
    Arc::new(move || {
        if std::thread::current().name() == Some("audit") {
            drop(gate.lock());
        }
        NOON_MS
    })
}

#[test]
fn recording_goes_on_while_the_writer_stands_still_and_the_hole_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Arc::new(Mutex::new(()));
    let config = TrailConfig {
        clock: held_clock(&gate),
        order_queue_records: 100,
        other_queue_records: 10,
        ..config(directory.path(), &Hand::at(NOON_MS))
    };
    let trail = Trail::start(config, 2).unwrap();
    trail.sender(0).record(record(NOON_MS, Kind::Order, 0));
    assert_eq!(all(&trail).lines.len(), 1);
    let held_back = gate.lock().unwrap();
    trail.sender(1).record(record(NOON_MS + 1, Kind::Order, 1));
    until("the writer has taken it and stands still", || trail.counters().queued == 0);
    // This thread holds the gate: if recording waited for the writer, the test would not end.
    for step in 2..10_002 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Order, step));
    }
    trail.sender(0).record(record(NOON_MS + 10_002, Kind::Auth, 7));
    let counters = trail.counters();
    assert_eq!(counters.dropped, [0, 9_900, 0, 0], "logins have room of their own");
    assert_eq!(counters.queued, 101);
    drop(held_back);
    let page = all(&trail);
    let lines: Vec<_> = page.lines.iter().map(|line| value(line)).collect();
    assert_eq!(lines.len(), 1 + 1 + 100 + 1 + 1);
    let gaps: Vec<_> = lines.iter().filter(|line| line["type"] == "gap").collect();
    assert_eq!(gaps.len(), 1);
    let gap = gaps[0];
    assert_eq!((&gap["kind"], &gap["shard"]), (&"order".into(), &0.into()));
    assert_eq!(gap["dropped"], 9_900);
    assert_eq!((&gap["from"], &gap["to"]), (&(NOON_MS + 102).into(), &(NOON_MS + 10_001).into()));
    let of_user = LogQuery { user: Some(123_456), ..LogQuery::default() };
    assert_eq!(page_types(&trail, of_user), ["gap"], "it may have been theirs");
}

fn page_types(trail: &Trail, query: LogQuery) -> Vec<String> {
    let page = page(trail, query);
    page.lines.iter().map(|line| value(line)["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_nothing_that_had_room_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let config =
        TrailConfig { order_queue_records: 100, ..config(directory.path(), &Hand::at(NOON_MS)) };
    let trail = Trail::start(config, 1).unwrap();
    let orders = directory.path().join("order");
    fs::remove_dir(&orders).unwrap();
    fs::write(&orders, "in the way").unwrap();
    let sender = trail.sender(0);
    sender.record(record(NOON_MS, Kind::Order, 0));
    until("it is told", || trail.counters().is_failing);
    let failing = stats(&trail).failing.expect("told");
    assert!(failing.starts_with("order: "), "{failing}");
    // Lines wait in a buffer, then records in the queue, then they are dropped.
    let mut sent = 1;
    while trail.counters().dropped == [0; 4] {
        sender.record(record(NOON_MS + sent, Kind::Order, sent));
        sent += 1;
        assert!(sent < 1_000_000, "there is no bound");
    }
    // Other kinds are written meanwhile.
    sender.record(record(NOON_MS, Kind::Auth, 1));
    until("the login is written", || trail.counters().written[Kind::Auth as usize] == 1);
    fs::remove_file(&orders).unwrap();
    until("it goes on", || !trail.counters().is_failing);
    trail.close().unwrap();
    let (mut users, mut dropped) = (Vec::new(), 0);
    for name in names(directory.path(), Kind::Order) {
        let text = fs::read_to_string(path(directory.path(), Kind::Order, &name)).unwrap();
        for line in text.lines().map(value) {
            users.extend(line["user"].as_u64());
            dropped += line["dropped"].as_u64().unwrap_or(0);
        }
    }
    assert_eq!(dropped, trail.counters().dropped[Kind::Order as usize]);
    assert_eq!(users.len() as u64 + dropped, sent);
    assert!(users.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_followed_by_another() {
    let directory = tempfile::tempdir().unwrap();
    let config = TrailConfig { sync_ms: 0, ..config(directory.path(), &Hand::at(NOON_MS)) };
    let trail = Trail::start(config, 1).unwrap();
    let sender = trail.sender(0);
    sender.record(record(NOON_MS, Kind::Key, 1));
    all(&trail);
    fs::remove_dir_all(directory.path().join("key")).unwrap();
    let mut steps = 1..;
    until("lines are in a file again", || {
        sender.record(record(NOON_MS, Kind::Key, steps.next().unwrap()));
        // The directory may be missing at this moment.
        let _ = trail.logs(LogQuery::default()).unwrap().wait(PATIENCE).expect("an answer");
        directory.path().join("key").exists() && !names(directory.path(), Kind::Key).is_empty()
    });
    sender.record(record(NOON_MS + 5, Kind::Key, 1));
    assert_eq!(times(&all(&trail))[0], NOON_MS + 5);
}

#[test]
fn closing_writes_everything_and_tells_what_it_could_not() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    for step in 0..20_000 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Order, step));
    }
    trail.close().unwrap();
    let counters = trail.counters();
    assert_eq!((counters.written[Kind::Order as usize], counters.queued), (20_000, 0));

    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    fs::remove_dir(directory.path().join("auth")).unwrap();
    fs::write(directory.path().join("auth"), "in the way").unwrap();
    trail.sender(0).record(record(NOON_MS, Kind::Auth, 1));
    assert!(matches!(trail.close(), Err(audit::CloseError::Lost { bytes: 1.. })));
}

#[test]
fn a_trail_that_cannot_be_is_refused_at_the_start_with_the_field() {
    let directory = tempfile::tempdir().unwrap();
    let good = || config(directory.path(), &Hand::at(NOON_MS));
    let refused = |config, shards| Trail::start(config, shards).err().unwrap().to_string();
    assert!(refused(good(), 0).contains("shards: must be"));
    assert!(refused(TrailConfig { file_bytes: 1, ..good() }, 1).contains("file_bytes: must be"));
    assert!(refused(TrailConfig { scan_bytes: 1, ..good() }, 1).contains("scan_bytes: must be"));
    let none = TrailConfig { order_queue_records: 0, ..good() };
    assert!(refused(none, 1).contains("order_queue_records"));
    fs::write(directory.path().join("file"), "").unwrap();
    let blocked = TrailConfig::new(directory.path().join("file/audit"));
    assert!(refused(blocked, 1).contains("file/audit"));
}

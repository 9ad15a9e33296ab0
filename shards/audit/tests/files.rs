//! What lies in the directory: files by size and day, who may read them, how long they stay, and what
//! a crash leaves.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use audit::{Hours, Kind, LogQuery, Retention, Trail, TrailConfig};
use common::*;

#[test]
fn a_full_file_is_followed_by_the_next_and_no_line_is_lost_or_doubled() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let small = TrailConfig { file_bytes: 8 << 10, ..config(directory.path(), &hand) };
    let trail = Trail::start(small, 1).unwrap();
    for step in 0..1_000 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Order, step));
    }
    trail.close().unwrap();
    let files = names(directory.path(), Kind::Order);
    assert!(files.len() > 10);
    assert_eq!(files[0], "audit-2026-01-31-001.ndjson");
    let mut found = Vec::new();
    for file in &files {
        let text = fs::read_to_string(path(directory.path(), Kind::Order, file)).unwrap();
        assert!(text.len() <= 8 << 10 && text.ends_with('\n'));
        found.extend(text.lines().map(|line| value(line)["user"].as_u64().unwrap()));
    }
    assert_eq!(found, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_day_has_files_of_its_own_and_each_kind_has() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let trail = Trail::start(config(directory.path(), &hand), 1).unwrap();
    for kind in [Kind::Order, Kind::Auth] {
        trail.sender(0).record(record(NOON_MS, kind, 1));
    }
    all(&trail);
    hand.set(NOON_MS + DAY_MS);
    trail.sender(0).record(record(NOON_MS + DAY_MS, Kind::Order, 2));
    assert_eq!(all(&trail).lines.len(), 3);
    let orders = ["audit-2026-01-31-001.ndjson", "audit-2026-02-01-001.ndjson"];
    assert_eq!(names(directory.path(), Kind::Order), orders);
    assert_eq!(names(directory.path(), Kind::Auth), orders[..1]);
    assert!(names(directory.path(), Kind::Key).is_empty());
}

#[test]
fn nobody_else_may_read_the_trail() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("audit");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let trail = Trail::start(config(&directory, &Hand::at(NOON_MS)), 1).unwrap();
    trail.sender(0).record(record(NOON_MS, Kind::Auth, 1));
    archive(&trail);
    trail.sender(0).record(record(NOON_MS, Kind::Auth, 1));
    all(&trail);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("auth")), 0o700);
    let files = names(&directory, Kind::Auth);
    assert_eq!(files, ["audit-2026-01-31-001.ndjson.gz", "audit-2026-01-31-002.ndjson"]);
    for file in &files {
        assert_eq!(mode(&path(&directory, Kind::Auth, file)), 0o600);
    }
}

#[test]
fn old_files_go_by_the_days_of_their_kind_and_the_open_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let retention =
        Retention { order_days: 3, auth_days: 10, admin_days: 0, ..Retention::default() };
    let start = || {
        let config = TrailConfig { retention, ..config(directory.path(), &hand) };
        Trail::start(config, 1).unwrap()
    };
    let trail = start();
    for day in 0..5 {
        hand.set(NOON_MS + day * DAY_MS);
        for kind in [Kind::Order, Kind::Auth, Kind::Admin] {
            trail.sender(0).record(record(NOON_MS + day * DAY_MS, kind, 1));
        }
        all(&trail);
    }
    until("the first day's orders go", || names(directory.path(), Kind::Order).len() == 4);
    // Time enough for more to go, if they did.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(names(directory.path(), Kind::Order)[0], "audit-2026-02-01-001.ndjson");
    assert_eq!(names(directory.path(), Kind::Auth).len(), 5);
    // Much later, nothing recorded meanwhile: what is open is as old as the rest, and stays.
    hand.set(NOON_MS + 100 * DAY_MS);
    until("all but the open ones go", || {
        names(directory.path(), Kind::Order).len() == 1
            && names(directory.path(), Kind::Auth).len() == 1
    });
    assert_eq!(names(directory.path(), Kind::Order), ["audit-2026-02-04-001.ndjson"]);
    trail.close().unwrap();
    let trail = start();
    until("closed ones go at a start", || names(directory.path(), Kind::Order).is_empty());
    assert_eq!(names(directory.path(), Kind::Admin).len(), 5, "kept for ever");
    assert_eq!(stats(&trail).kinds[Kind::Admin as usize].files, 5);
}

#[test]
fn closed_files_are_compressed_by_themselves_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let config = TrailConfig {
        file_bytes: 8 << 10,
        archive_after: Some(Hours(0)),
        ..config(directory.path(), &hand)
    };
    let trail = Trail::start(config, 1).unwrap();
    for step in 0..500 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Order, step));
    }
    all(&trail);
    until("only the open one is plain", || {
        let files = names(directory.path(), Kind::Order);
        files.len() > 5
            && files.iter().filter(|name| name.ends_with(".ndjson")).count() == 1
            && files.iter().all(|name| !name.ends_with(".partial"))
    });
    let wanted: Vec<u64> = (0..500).rev().map(|step| NOON_MS + step).collect();
    assert_eq!(times(&all(&trail)), wanted);
}

#[test]
fn a_young_file_is_not_compressed_before_its_hour() {
    let directory = tempfile::tempdir().unwrap();
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now_ms = now_ms.as_millis() as u64;
    let hand = Hand::at(now_ms);
    let config =
        || TrailConfig { archive_after: Some(Hours(48)), ..config(directory.path(), &hand) };
    let trail = Trail::start(config(), 1).unwrap();
    trail.sender(0).record(record(now_ms, Kind::Order, 1));
    trail.close().unwrap();
    let trail = Trail::start(config(), 1).unwrap();
    all(&trail);
    // By the file's own time it is a day old now; a second day makes it due.
    hand.set(now_ms + DAY_MS);
    all(&trail);
    assert!(names(directory.path(), Kind::Order)[0].ends_with(".ndjson"));
    hand.set(now_ms + 2 * DAY_MS + 3_600_000);
    until("it is due", || names(directory.path(), Kind::Order)[0].ends_with(".ndjson.gz"));
}

#[test]
fn an_archive_takes_the_open_files_too_and_both_forms_are_searched() {
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    for step in 0..10 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Order, step));
        trail.sender(0).record(record(NOON_MS + step, Kind::Key, step));
    }
    assert_eq!(archive(&trail), 2);
    assert_eq!(archive(&trail), 0);
    trail.sender(0).record(record(NOON_MS + 10, Kind::Order, 10));
    let query = LogQuery { kind: Some(Kind::Order), ..LogQuery::default() };
    let wanted: Vec<u64> = (0..=10).rev().map(|step| NOON_MS + step).collect();
    assert_eq!(times(&page(&trail, query)), wanted);
    let stats = stats(&trail);
    let orders = &stats.kinds[Kind::Order as usize];
    assert_eq!((orders.files, orders.written, orders.oldest_ms), (2, 11, Some(NOON_MS)));
    assert_eq!(orders.last_write_ms, Some(NOON_MS));
    assert!(orders.bytes > 0 && stats.failing.is_none());
}

#[test]
fn half_a_line_is_told_passed_over_and_never_continued() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let trail = Trail::start(config(directory.path(), &hand), 1).unwrap();
    for step in 0..3 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Auth, step));
    }
    trail.close().unwrap();
    let first = path(directory.path(), Kind::Auth, "audit-2026-01-31-001.ndjson");
    let whole = fs::read_to_string(&first).unwrap();
    let half = &whole.lines().next().unwrap()[..40];
    OpenOptions::new().append(true).open(&first).unwrap().write_all(half.as_bytes()).unwrap();
    let partial = path(directory.path(), Kind::Auth, "audit-2026-01-31-001.ndjson.gz.partial");
    fs::write(&partial, "half of a compressed file").unwrap();
    let trail = Trail::start(config(directory.path(), &hand), 1).unwrap();
    assert!(!partial.exists());
    trail.sender(0).record(record(NOON_MS + 3, Kind::Auth, 3));
    for is_packed in [false, true] {
        let page = all(&trail);
        assert_eq!(page.broken_lines, 1, "packed: {is_packed}");
        assert_eq!(times(&page), [3, 2, 1, 0].map(|step| NOON_MS + step));
        if !is_packed {
            assert_eq!(fs::read_to_string(&first).unwrap(), format!("{whole}{half}"));
            assert_eq!(names(directory.path(), Kind::Auth).len(), 2);
            assert_eq!(stats(&trail).kinds[Kind::Auth as usize].torn_files, 1);
            assert_eq!(archive(&trail), 2);
        }
    }
}

#[test]
fn damage_inside_a_file_costs_the_lines_that_it_hit() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let trail = Trail::start(config(directory.path(), &hand), 1).unwrap();
    for step in 0..5 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Auth, step));
    }
    trail.close().unwrap();
    let file = path(directory.path(), Kind::Auth, "audit-2026-01-31-001.ndjson");
    let mut lines: Vec<Vec<u8>> =
        fs::read(&file).unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines[1][50] = 0xFF;
    lines[3].clear();
    // Longer than a block that is read at once.
    lines.insert(3, vec![b'x'; 700_000]);
    fs::write(&file, lines.join(&b'\n')).unwrap();
    let trail = Trail::start(config(directory.path(), &hand), 1).unwrap();
    let page = all(&trail);
    assert_eq!(times(&page), [4, 2, 0].map(|step| NOON_MS + step));
    assert!(page.broken_lines >= 3, "{}", page.broken_lines);
}

#[test]
fn a_compressed_file_that_is_cut_off_gives_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::at(NOON_MS);
    let trail = Trail::start(config(directory.path(), &hand), 1).unwrap();
    for step in 0..2_000 {
        trail.sender(0).record(record(NOON_MS + step, Kind::Order, step * 7_919));
    }
    archive(&trail);
    let file = path(directory.path(), Kind::Order, "audit-2026-01-31-001.ndjson.gz");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let page = all(&trail);
    assert!(page.broken_lines > 0 || page.truncated, "{page:?}");
    fs::write(&file, b"no gzip at all").unwrap();
    assert_eq!(all(&trail).lines.len(), 0);
}

const CHILD: &str = "AUDIT_TEST_CHILD";

/// Run as a process of its own, by the test below.
#[test]
fn child_that_records_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let trail = Trail::start(TrailConfig::new(directory), 1).unwrap();
    let sender = trail.sender(0);
    let since = std::time::Instant::now();
    // An end of its own, should nobody kill it.
    for step in (0u64..).take_while(|_| since.elapsed() < 2 * PATIENCE) {
        sender.record(record(NOON_MS + step, Kind::Order, step));
        if step % 1_000 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

#[test]
fn a_killed_process_leaves_a_trail_that_is_read_up_to_the_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_records_until_it_is_killed"])
        .env(CHILD, directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let orders = directory.path().join("order");
    let bytes = || -> u64 {
        let files = fs::read_dir(&orders).into_iter().flatten().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    };
    until("the child has written", || bytes() > 1 << 20);
    child.kill().unwrap();
    child.wait().unwrap();
    let trail = Trail::start(TrailConfig::new(directory.path()), 1).unwrap();
    let page = all(&trail);
    assert_eq!(page.lines.len(), audit::MAX_LOG_LINES);
    assert!(page.broken_lines <= 1);
    // Without a gap the users count down by one.
    let users: Vec<u64> =
        page.lines.iter().filter_map(|line| value(line)["user"].as_u64()).collect();
    let has_gap = page.lines.iter().any(|line| line.contains("\"type\":\"gap\""));
    assert!(has_gap || users.windows(2).all(|pair| pair[0] == pair[1] + 1));
}

//! A disk without room, played by the limit of the process on the length of files: a write then ends
//! in the middle of a line. The limit is the whole process's, so this is the only test here.

mod common;

use std::fs;

use audit::{Kind, Trail};
use common::*;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

#[test]
fn a_write_that_ends_inside_a_line_is_continued_there_when_there_is_room_again() {
    // SAFETY: ignoring a signal runs no code of ours.
    #[allow(unsafe_code)]
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let trail = Trail::start(config(directory.path(), &Hand::at(NOON_MS)), 1).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 10_001, most).unwrap();
    let sender = trail.sender(0);
    for step in 0..1_000 {
        sender.record(record(NOON_MS + step, Kind::Order, step));
    }
    until("the file is at its limit", || trail.counters().is_failing);
    let file = path(directory.path(), Kind::Order, "audit-2026-01-31-001.ndjson");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.len() == 10_001 && !text.ends_with('\n'), "the test wants half a line");
    // What is whole is found although the disk is full; the half of the open file is no broken line.
    let page = all(&trail);
    assert_eq!((page.is_complete, page.broken_lines), (false, 0));
    assert_eq!(page.lines.len(), text.lines().count() - 1);
    setrlimit(Resource::RLIMIT_FSIZE, most, most).unwrap();
    until("it goes on", || !trail.counters().is_failing);
    trail.close().unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let users: Vec<u64> =
        text.lines().map(|line| value(line)["user"].as_u64().expect("a user")).collect();
    assert_eq!(users, (0..1_000).collect::<Vec<_>>());
    assert_eq!(trail.counters().dropped, [0; 4]);
}

//! Where HTTP ends and another protocol begins.

use super::{Connection, Upgraded};

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn what_comes_behind_the_upgrade_is_not_parsed_but_handed_over() {
    let mut connection = Connection::new();
    connection.feed(&[UPGRADE, b"GET /not HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
    let slot = connection.next_request().unwrap().unwrap().slot;
    assert_eq!(connection.take_upgraded(), None);
    connection.upgrade(slot, b"101");
    assert_eq!(connection.next_request(), Ok(None));
    assert!(!connection.wants_input() && !connection.is_finished());
    let upgraded = connection.take_upgraded().unwrap();
    assert_eq!(upgraded.unsent, b"101");
    assert_eq!(upgraded.received, b"GET /not HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(connection.take_upgraded(), None);
    assert!(!connection.wants_input());
}

#[test]
fn the_other_protocol_waits_for_the_answers_before_it() {
    let mut connection = Connection::new();
    connection.feed(&[b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), UPGRADE].concat());
    let first = connection.next_request().unwrap().unwrap().slot;
    let upgrade = connection.next_request().unwrap().unwrap().slot;
    connection.upgrade(upgrade, b"101");
    assert_eq!((connection.take_upgraded(), connection.output()), (None, b"".as_slice()));
    assert!(!connection.wants_input());
    connection.complete(first, |out| out.extend_from_slice(b"ANSWER"));
    connection.advance_output(2);
    let wanted = Upgraded { unsent: b"SWER101".to_vec(), received: Vec::new() };
    assert_eq!(connection.take_upgraded(), Some(wanted));
}

#[test]
fn a_connection_that_was_answered_already_is_not_upgraded() {
    let mut connection = Connection::new();
    connection.feed(UPGRADE);
    let slot = connection.next_request().unwrap().unwrap().slot;
    connection.complete(slot, |out| out.extend_from_slice(b"400"));
    connection.upgrade(slot, b"101");
    assert_eq!((connection.take_upgraded(), connection.output()), (None, b"400".as_slice()));
    assert!(connection.wants_input());
}

//! WebSocket frames that break the protocol or its bounds: each is closed with its code, and none costs
//! the server memory or anybody else time.

use std::time::Duration;

use super::honest::{Fare, resident_bytes};
use super::stand::{SHARDS, Stand};
use crate::support::raw::Raw;
use crate::support::websocket::upgrade_request;

const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const CLOSE: u8 = 0x08;
const PING: u8 = 0x09;
const PONG: u8 = 0x0a;
const PATHS: [&str; 4] = ["/ws", "/orders", "/market-data", "/user-data"];

/// A masked frame, its first byte as given.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        middle @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The head of a frame of any length, and nothing of it.
fn head(first: u8, length: u64) -> Vec<u8> {
    [vec![first, 0x80 | 127], length.to_be_bytes().to_vec(), vec![1, 2, 3, 4]].concat()
}

/// A connection behind its upgrade and greeting.
fn open(stand: &Stand, shard: u16, path: &str) -> Raw {
    let mut raw = Raw::open(stand.server.shard_port(shard));
    assert_eq!(raw.send(upgrade_request(path)).answer().status, 101, "{path}");
    if path == "/ws" {
        let (first, text) = received(&mut raw, &mut Vec::new()).expect("a greeting");
        assert_eq!((first, &*text), (FINAL | TEXT, &br#"{"type":"connected"}"#[..]));
    }
    raw
}

/// The next frame of the server, `None` at the end. `pending` keeps what came behind it.
fn received(raw: &mut Raw, pending: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    loop {
        if let [first, length, ..] = pending[..] {
            let (begin, length) = match length {
                126 if pending.len() < 4 => (4, usize::MAX / 2),
                126 => (4, usize::from(u16::from_be_bytes([pending[2], pending[3]]))),
                short => (2, usize::from(short)),
            };
            if pending.len() >= begin + length {
                let payload = pending[begin..begin + length].to_vec();
                pending.drain(..begin + length);
                return Some((first, payload));
            }
        }
        let bytes = raw.bytes();
        if bytes.is_empty() {
            return None;
        }
        pending.extend(bytes);
    }
}

/// The code that a connection is closed with; whatever comes before is passed over.
fn close_code(raw: &mut Raw) -> Option<u16> {
    let mut pending = Vec::new();
    while let Some((first, payload)) = received(raw, &mut pending) {
        if first == FINAL | CLOSE {
            return Some(u16::from_be_bytes([payload[0], payload[1]]));
        }
    }
    None
}

#[test]
fn frames_that_cannot_be_are_closed_with_their_code() {
    let stand = Stand::unlimited();
    let order = br#"{"type":"order.place","data":{}}"#;
    let unmasked = |first: u8| [vec![first, order.len() as u8], order.to_vec()].concat();
    let long = vec![b' '; 65_537];
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("no mask", 1002, unmasked(FINAL | TEXT)),
        ("a ping without mask", 1002, unmasked(FINAL | PING)),
        ("a first reserved bit", 1002, frame(FINAL | 0x40 | TEXT, order)),
        ("a second reserved bit", 1002, frame(FINAL | 0x20 | TEXT, order)),
        ("a third reserved bit", 1002, frame(FINAL | 0x10 | TEXT, order)),
        ("a reserved bit on a ping", 1002, frame(FINAL | 0x40 | PING, b"")),
        ("opcode 3", 1002, frame(FINAL | 3, b"")),
        ("opcode 7", 1002, frame(FINAL | 7, b"")),
        ("opcode 11", 1002, frame(FINAL | 11, b"")),
        ("opcode 15", 1002, frame(FINAL | 15, b"")),
        ("a ping of 126", 1002, frame(FINAL | PING, &long[..126])),
        ("a pong of 126", 1002, frame(FINAL | PONG, &long[..126])),
        ("a close of 126", 1002, frame(FINAL | CLOSE, &long[..126])),
        ("a ping of 2^32", 1009, head(FINAL | PING, 1 << 32)),
        ("half a ping", 1002, frame(PING, b"x")),
        ("half a close", 1002, frame(CLOSE, &[3, 232])),
        ("an end without a beginning", 1002, frame(FINAL | CONTINUATION, b"x")),
        ("a middle without a beginning", 1002, frame(CONTINUATION, b"x")),
        (
            "a beginning in the middle",
            1002,
            [frame(TEXT, b"{"), frame(FINAL | TEXT, b"}")].concat(),
        ),
        ("a close of one byte", 1002, frame(FINAL | CLOSE, &[3])),
        ("close code 1005", 1002, frame(FINAL | CLOSE, &1005u16.to_be_bytes())),
        ("close code 999", 1002, frame(FINAL | CLOSE, &999u16.to_be_bytes())),
        ("no UTF-8", 1007, frame(FINAL | TEXT, &[0xff])),
        ("no UTF-8 in pieces", 1007, [frame(TEXT, &[0xe2]), frame(FINAL, &[0x28])].concat()),
        ("a close reason that is no UTF-8", 1007, frame(FINAL | CLOSE, &[3, 232, 0xff])),
        ("64 KiB and a byte", 1009, frame(FINAL | TEXT, &long)),
        ("2 GB", 1009, head(FINAL | TEXT, 1 << 31)),
        ("2 GB of bytes", 1009, head(FINAL | BINARY, 1 << 31)),
        ("2^62", 1009, head(FINAL | TEXT, 1 << 62)),
        (
            "64 KiB and a byte in two pieces",
            1009,
            [frame(TEXT, &long[..40_000]), frame(FINAL, &long[..25_537])].concat(),
        ),
        ("a last piece of 2 GB", 1009, [frame(TEXT, b"{"), head(FINAL, 1 << 31)].concat()),
    ];
    for (number, (name, code, bytes)) in cases.iter().enumerate() {
        let mut raw = open(&stand, (number % 2) as u16, PATHS[number % PATHS.len()]);
        raw.send(bytes);
        assert_eq!(close_code(&mut raw), Some(*code), "{name}");
    }
    // The highest bit of a length is always 0: any code, but no waiting for so much.
    let mut raw = open(&stand, 0, "/ws");
    raw.send(head(FINAL | TEXT, u64::MAX));
    assert!(matches!(close_code(&mut raw), Some(1002 | 1009)));
}

/// Runs an attack whose connections stay, and an honest client beside it.
fn hold(attack: &str, most_bytes: u64, begin: impl Fn(&Stand) -> Vec<Raw>) {
    let stand = Stand::unlimited();
    let before = Fare::of(&stand, "before");
    let memory_before = resident_bytes(&stand);
    let held = begin(&stand);
    std::thread::sleep(Duration::from_secs(1));
    let during = Fare::of(&stand, "during");
    let grown = resident_bytes(&stand).saturating_sub(memory_before);
    println!("{attack}: {} connections, {} KiB more", held.len(), grown / 1024);
    assert!(grown < most_bytes, "{attack}: {grown} bytes more");
    during.expect_fair(&before, attack);
}

#[test]
fn a_frame_that_says_that_it_is_long_takes_no_memory() {
    const MIB: u64 = 1024 * 1024;
    hold("frames of 2 GB", 64 * MIB, |stand| {
        let mut held = Vec::new();
        for number in 0..200 {
            let mut raw = open(stand, number % SHARDS, "/ws");
            raw.send(head(FINAL | TEXT, 1 << 31)).send([b'x'; 1_000]);
            held.push(raw);
        }
        held
    });
    // The longest that may be, announced by each and sent by none.
    hold("frames of 64 KiB", 64 * MIB, |stand| {
        let mut held = Vec::new();
        for number in 0..500 {
            let mut raw = open(stand, number % SHARDS, "/ws");
            raw.send(head(FINAL | TEXT, 65_536));
            held.push(raw);
        }
        held
    });
}

#[test]
fn ten_thousand_fragments_are_one_message_or_the_end() {
    const MIB: u64 = 1024 * 1024;
    let stand = Stand::unlimited();
    let fragments = |text: &str, count: usize| {
        let mut bytes = frame(TEXT, text.as_bytes());
        (0..count).for_each(|_| bytes.extend(frame(CONTINUATION, b" ")));
        bytes
    };
    let mut raw = open(&stand, 0, "/ws");
    raw.send(fragments(r#"{"type":"ping"}"#, 10_000)).send(frame(FINAL, b" "));
    let answer = received(&mut raw, &mut Vec::new());
    assert_eq!(answer, Some((FINAL | TEXT, br#"{"type":"pong"}"#.to_vec())));

    let mut raw = open(&stand, 1, "/ws");
    raw.send(fragments("{", 65_536));
    assert_eq!(close_code(&mut raw), Some(1009));

    hold("fragments", 64 * MIB, |stand| {
        let bytes = fragments("{", 10_000);
        let empty: Vec<u8> = (0..10_000).flat_map(|_| frame(CONTINUATION, b"")).collect();
        let mut held = Vec::new();
        for number in 0..50 {
            let mut raw = open(stand, number % SHARDS, "/ws");
            raw.send(&bytes).send(&empty);
            held.push(raw);
        }
        held
    });
}

/// Pings are answered, but nobody is buried under answers that are not read.
#[test]
fn a_flood_of_pings_that_are_not_read_is_not_kept() {
    const MIB: u64 = 1024 * 1024;
    hold("pings", 64 * MIB, |stand| {
        let pings: Vec<u8> = (0..1_000).flat_map(|_| frame(FINAL | PING, &[b'x'; 125])).collect();
        let flood = |number: u16| {
            let raw = open(stand, number % SHARDS, "/ws");
            let (mut writer, pings) = (raw.writer(), pings.clone());
            // Whoever is not read is stopped by the kernel: so nobody waits for this.
            std::thread::spawn(move || (0..50).for_each(|_| writer.send(&pings)));
            raw
        };
        (0..20).map(flood).collect()
    });
}

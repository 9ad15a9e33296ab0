//! What a client may send, in any pieces, and what it must be closed for.

use bytes::Bytes;
use proptest::prelude::*;
use tungstenite::Utf8Bytes;
use tungstenite::error::ProtocolError;

use super::super::limits::{
    INPUT_HIGH_WATER_BYTES, MARKET_DATA_HIGH_WATER_BYTES, MAX_INPUT_BYTES, MAX_MESSAGE_BYTES,
    MAX_OUTPUT_BYTES, MIN_SHARED_FRAME_BYTES,
};
use super::super::{close_code, encode_text_frame};
use super::{Closed, Connection, Incoming, SendError, Tick, Violation};
use crate::http::Upgraded;

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

const CONTINUATION: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const FINAL: u8 = 0x80;

/// A frame as a client sends it, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn text(text: &str) -> Vec<u8> {
    frame(FINAL | TEXT, text.as_bytes())
}

fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[code.to_be_bytes().as_slice(), reason].concat())
}

/// A close frame as the server sends it.
fn server_close(code: u16, reason: &str) -> Vec<u8> {
    let mut out = vec![CLOSE, (2 + reason.len()) as u8];
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    out
}

/// What came of some input: the messages, and all that was sent.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    messages: Vec<Incoming>,
    sent: Vec<u8>,
}

/// Feeds pieces, letting the output leave after each message.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut connection = Connection::default();
    let mut seen = Seen::default();
    for piece in pieces {
        feed(&mut connection, piece, &mut seen);
    }
    seen
}

fn feed(connection: &mut Connection, mut piece: &[u8], seen: &mut Seen) {
    while !piece.is_empty() {
        let taken = connection.feed(piece);
        piece = &piece[taken..];
        while let Some(message) = connection.next_message() {
            seen.messages.push(message);
            seen.sent.extend(connection.take_output());
        }
        seen.sent.extend(connection.take_output());
        if !connection.wants_input() {
            break;
        }
    }
}

fn message(text: &str) -> Incoming {
    Incoming::Text(Utf8Bytes::from(text.to_owned()))
}

/// What must be understood, pings and fragments mixed.
fn valid() -> Vec<u8> {
    [
        text("hello"),
        text(""),
        frame(PING, b"are you there"),
        frame(TEXT, "frag\u{20ac}".as_bytes()),
        frame(PING, b""),
        frame(CONTINUATION, b"ment"),
        frame(PONG, b"unasked"),
        frame(FINAL | CONTINUATION, b"ed"),
        frame(TEXT, b"half of \xe2\x82"),
        frame(FINAL | CONTINUATION, b"\xac"),
        frame(FINAL | BINARY, &[0xff; 200]),
        text(&"long ".repeat(100)),
        close_frame(1000, b"bye"),
    ]
    .concat()
}

#[test]
fn the_split_over_reads_changes_nothing() {
    let all = valid();
    let whole = run([all.as_slice()]);
    assert_eq!(
        whole.messages,
        [
            message("hello"),
            message(""),
            message("frag\u{20ac}mented"),
            message("half of \u{20ac}"),
            Incoming::Binary(Bytes::from(vec![0xff; 200])),
            message(&"long ".repeat(100)),
            Incoming::Closed(Closed::ByClient { code: Some(1000), reason: "bye".into() }),
        ]
    );
    let pong = b"\x8a\x0dare you there\x8a\x00".as_slice();
    assert_eq!(whole.sent, [pong, &server_close(1000, "bye")].concat());
    assert_eq!(run(all.chunks(1)), whole);
    for at in 0..all.len() {
        let (first, second) = all.split_at(at);
        assert_eq!(run([first, second]), whole, "split at {at}");
    }
}

#[test]
fn a_ping_is_answered_though_nothing_follows_it() {
    let mut connection = Connection::default();
    connection.feed(&frame(PING, b"x"));
    assert_eq!(connection.next_message(), None);
    assert_eq!(connection.take_output(), b"\x8a\x01x");
}

/// Input, and how it is refused.
fn violations() -> Vec<(&'static str, Vec<u8>, Violation)> {
    use ProtocolError as E;
    let protocol = Violation::Protocol;
    let unmasked = b"\x81\x05hello".to_vec();
    let fragment = frame(TEXT, b"begun");
    let data = tungstenite::protocol::frame::coding::Data::Text;
    vec![
        ("unmasked", unmasked, protocol(E::UnmaskedFrameFromClient)),
        ("unmasked close", b"\x88\x00".to_vec(), protocol(E::UnmaskedFrameFromClient)),
        ("reserved bit", frame(0xc1, b"x"), protocol(E::NonZeroReservedBits)),
        ("reserved bit of a ping", frame(0x99, b"x"), protocol(E::NonZeroReservedBits)),
        ("opcode 3", frame(0x83, b"x"), protocol(E::InvalidOpcode(3))),
        ("opcode 15", frame(0x8f, b""), protocol(E::InvalidOpcode(15))),
        ("fragmented ping", frame(0x09, b""), protocol(E::FragmentedControlFrame)),
        ("long ping", frame(PING, &[0; 126]), protocol(E::ControlFrameTooBig)),
        ("nothing to continue", frame(0x80, b"x"), protocol(E::UnexpectedContinueFrame)),
        (
            "text within a text",
            [fragment.clone(), text("x")].concat(),
            protocol(E::ExpectedFragment(data)),
        ),
        ("half a close code", frame(CLOSE, b"\x03"), protocol(E::InvalidCloseSequence)),
        ("no UTF-8", frame(FINAL | TEXT, b"\xff"), Violation::NotUtf8),
        ("a surrogate", frame(FINAL | TEXT, b"\xed\xa0\x80"), Violation::NotUtf8),
        ("half a character", frame(FINAL | TEXT, b"\xe2\x82"), Violation::NotUtf8),
        (
            "no UTF-8 in a fragment",
            [fragment, frame(CONTINUATION, b"\xc0")].concat(),
            Violation::NotUtf8,
        ),
        ("no UTF-8 in a reason", close_frame(1000, b"\xff"), Violation::NotUtf8),
        ("too long", frame(FINAL | BINARY, &[0; MAX_MESSAGE_BYTES + 1]), Violation::TooLong),
        (
            "too long together",
            [
                frame(TEXT, &[b'x'; MAX_MESSAGE_BYTES / 2]),
                frame(CONTINUATION, &[b'x'; MAX_MESSAGE_BYTES / 2]),
                frame(CONTINUATION, b"x"),
            ]
            .concat(),
            Violation::TooLong,
        ),
    ]
}

#[test]
fn who_breaks_the_protocol_is_told_and_nothing_behind_it_is_read() {
    for (name, input, violation) in violations() {
        let input = [text("before"), input, text("behind")].concat();
        let whole = run([input.as_slice()]);
        let sent = server_close(violation.close_code(), &violation.to_string());
        let closed = Incoming::Closed(Closed::Violated(violation));
        assert_eq!(whole.messages, [message("before"), closed], "{name}");
        assert_eq!(whole.sent, sent, "{name}");
        for size in [1, 3, 1000] {
            assert_eq!(run(input.chunks(size)), whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn the_codes_are_those_of_the_rfc() {
    assert_eq!(Violation::Protocol(ProtocolError::NonZeroReservedBits).close_code(), 1002);
    assert_eq!((Violation::NotUtf8.close_code(), Violation::TooLong.close_code()), (1007, 1009));
}

#[test]
fn the_longest_message_is_taken_whole_and_in_fragments() {
    let longest = "x".repeat(MAX_MESSAGE_BYTES);
    let mut input = text(&longest);
    for (index, part) in longest.as_bytes().chunks(1300).enumerate() {
        input.extend(frame(if index == 0 { TEXT } else { CONTINUATION }, part));
    }
    input.extend(frame(FINAL | CONTINUATION, b""));
    for size in [999, 65_536, input.len()] {
        assert_eq!(run(input.chunks(size)).messages, [message(&longest), message(&longest)]);
    }
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    for (input, code, sent) in [
        (close_frame(1000, b""), Some(1000), server_close(1000, "")),
        (close_frame(4999, "\u{20ac}".as_bytes()), Some(4999), server_close(4999, "\u{20ac}")),
        (frame(CLOSE, b""), None, vec![CLOSE, 0]),
        (close_frame(1005, b""), Some(1002), server_close(1002, "Protocol violation")),
        (close_frame(999, b""), Some(1002), server_close(1002, "Protocol violation")),
    ] {
        let mut connection = Connection::default();
        connection.feed(&[input.clone(), text("behind"), frame(PING, b"")].concat());
        let Some(Incoming::Closed(Closed::ByClient { code: got, .. })) = connection.next_message()
        else {
            panic!("{input:?}");
        };
        assert_eq!(got, code, "{input:?}");
        assert_eq!(connection.next_message(), None);
        assert_eq!(connection.send_text("late"), Err(SendError::Closed));
        assert!(!connection.is_finished() && !connection.wants_input());
        assert_eq!(connection.take_output(), sent);
        assert!(connection.is_finished());
    }
}

#[test]
fn what_comes_between_our_close_and_its_acknowledgement_is_not_acted_upon() {
    let mut connection = Connection::default();
    connection.close(close_code::GOING_AWAY, "the server is going down");
    connection.close(close_code::NORMAL, "twice");
    assert_eq!(connection.send_frame(encode_text_frame("late")), Err(SendError::Closed));
    assert_eq!(connection.take_output(), server_close(1001, "the server is going down"));
    assert!(!connection.is_finished());
    connection.feed(&[text("an order"), frame(PING, b""), close_frame(1001, b"")].concat());
    assert_eq!(connection.next_message(), Some(Incoming::Closed(Closed::Acknowledged)));
    assert!(connection.is_finished());
}

#[test]
fn a_reason_that_is_too_long_is_cut_between_characters() {
    let mut connection = Connection::default();
    connection.close(close_code::POLICY, &"\u{20ac}".repeat(50));
    assert_eq!(connection.take_output(), server_close(1008, &"\u{20ac}".repeat(41)));
}

#[test]
fn a_client_that_is_gone_is_told_once() {
    for input in [vec![], text("half")[..5].to_vec(), frame(TEXT, b"begun")] {
        let mut connection = Connection::default();
        connection.send_text("for nobody").unwrap();
        connection.feed(&input);
        connection.end_of_input();
        assert!(!connection.wants_input());
        assert_eq!(connection.next_message(), Some(Incoming::Closed(Closed::Lost)));
        assert_eq!(connection.next_message(), None);
        assert!(connection.is_finished());
    }
    let mut connection = Connection::default();
    connection.feed(&text("last words"));
    connection.end_of_input();
    assert_eq!(connection.next_message(), Some(message("last words")));
    assert_eq!(connection.next_message(), Some(Incoming::Closed(Closed::Lost)));
}

#[test]
fn a_slow_consumer_is_closed_with_a_code_and_gets_all_before_it() {
    let event = "x".repeat(1000);
    let mut connection = Connection::default();
    let mut sent = 0;
    let error = loop {
        match connection.send_text(&event) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, SendError::SlowConsumer);
    assert_eq!(connection.send_text(&event), Err(SendError::Closed));
    assert!(connection.output_len() <= MAX_OUTPUT_BYTES + 127);
    let close = server_close(close_code::SLOW_CONSUMER, &SendError::SlowConsumer.to_string());
    let wanted = [encode_text_frame(&event).repeat(sent), close].concat();
    assert_eq!(connection.take_output(), wanted);
    assert_eq!(sent, MAX_OUTPUT_BYTES / 1004);
}

#[test]
fn a_client_that_does_not_read_its_pongs_is_not_read() {
    let mut connection = Connection::default();
    let ping = frame(PING, &[b'x'; 125]);
    let mut fed = 0;
    while connection.wants_input() {
        fed += connection.feed(&ping);
        assert_eq!(connection.next_message(), None);
        assert!(fed < 2 * INPUT_HIGH_WATER_BYTES);
    }
    assert!(connection.output_len() < INPUT_HIGH_WATER_BYTES + 127);
    connection.feed(&text("later"));
    assert_eq!(connection.next_message(), None);
    connection.advance_output(1000);
    assert_eq!(connection.next_message(), Some(message("later")));
}

#[test]
fn market_data_stops_long_before_events_do() {
    let mut connection = Connection::default();
    while connection.keeps_up() {
        connection.send_text(&"x".repeat(1000)).unwrap();
    }
    assert!(connection.output_len() < MARKET_DATA_HIGH_WATER_BYTES + 1004);
    assert_eq!(connection.send_text("an event"), Ok(()));
    connection.take_output();
    assert!(connection.keeps_up());
    connection.close(close_code::NORMAL, "");
    assert!(!connection.keeps_up());
}

#[test]
fn a_broadcast_frame_is_shared_and_leaves_in_turn() {
    let large = encode_text_frame(&"x".repeat(MIN_SHARED_FRAME_BYTES));
    let mut connections = [Connection::default(), Connection::default()];
    for connection in &mut connections {
        connection.send_text("one").unwrap();
        connection.send_frame(large.clone()).unwrap();
        connection.send_frame(encode_text_frame("three")).unwrap();
        assert_eq!(connection.output_len(), 5 + large.len() + 7);
        assert_eq!(connection.output(), b"\x81\x03one");
        connection.advance_output(5);
    }
    let [one, other] = &connections;
    assert_eq!(one.output().as_ptr(), other.output().as_ptr());
    let [mut one, _] = connections;
    one.advance_output(large.len());
    assert_eq!(one.take_output(), b"\x81\x05three");
}

#[test]
fn a_connection_goes_on_where_http_ended() {
    let mut received = text("with the request");
    received.extend(frame(FINAL | BINARY, &vec![7; 2 * MAX_INPUT_BYTES]));
    let mut connection =
        Connection::new(Upgraded { unsent: b"HTTP/1.1 101 x\r\n\r\n".to_vec(), received });
    assert!(!connection.wants_input());
    assert_eq!(connection.next_message(), Some(message("with the request")));
    connection.send_text("first").unwrap();
    assert_eq!(connection.take_output(), b"HTTP/1.1 101 x\r\n\r\n\x81\x05first");
    assert_eq!(
        connection.next_message(),
        Some(Incoming::Binary(Bytes::from(vec![7; 2 * MAX_INPUT_BYTES])))
    );
    assert!(connection.wants_input());
}

#[test]
fn a_quiet_connection_holds_nothing_but_itself() {
    let mut connection = Connection::default();
    assert!(connection.context.is_none());
    connection.feed(&frame(TEXT, b"begun"));
    assert_eq!(connection.next_message(), None);
    connection.release_memory();
    assert!(connection.context.is_some(), "holds the half of a message");
    connection.feed(&frame(FINAL | CONTINUATION, &[b'x'; 60_000])[..1000]);
    assert_eq!(connection.next_message(), None);
    connection.release_memory();
    assert!(connection.context.is_some());
    let mut seen = Seen::default();
    feed(&mut connection, &frame(FINAL | CONTINUATION, &[b'x'; 60_000])[1000..], &mut seen);
    assert_eq!(seen.messages.len(), 1);
    connection.send_text(&"x".repeat(10_000)).unwrap();
    connection.take_output();
    connection.release_memory();
    assert!(connection.context.is_none());
    let held = std::mem::size_of::<Connection>();
    assert!(held <= 320, "{held}");
    connection.feed(&text("again"));
    assert_eq!(connection.next_message(), Some(message("again")));
}

#[test]
fn pings_are_put_into_the_output_by_the_clock() {
    let mut connection = Connection::default();
    let ticks: Vec<Tick> = (0..=60).map(|second| connection.tick(second * 1000)).collect();
    assert_eq!((ticks[20], ticks[40], ticks[60]), (Tick::Ping, Tick::Ping, Tick::Dead));
    assert_eq!(connection.take_output(), [0x89, 0, 0x89, 0]);
    connection.feed(&frame(PONG, b""));
    assert_eq!(connection.next_message(), None);
    assert_eq!(connection.tick(61_000), Tick::Ping);
    connection.close(close_code::NORMAL, "");
    assert_eq!(connection.tick(62_000), Tick::Nothing);
    assert_eq!(connection.tick(67_000), Tick::Dead);
}

/// A frame as a client might send it, mostly right.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => Just(FINAL | TEXT),
        2 => Just(FINAL | BINARY),
        2 => Just(TEXT),
        3 => Just(CONTINUATION),
        3 => Just(FINAL | CONTINUATION),
        2 => Just(PING),
        1 => Just(PONG),
        1 => Just(CLOSE),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "[a-z\u{20ac}]{0,60}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..300),
        (0usize..3000).prop_map(|length| vec![b'x'; length]),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

proptest! {
    #[test]
    fn any_slicing_of_any_stream_gives_the_same_messages_and_answers(
        frames in proptest::collection::vec(any_frame(), 0..12),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..8),
    ) {
        let mut input = frames.concat();
        if let (Some((index, byte)), false) = (damage, input.is_empty()) {
            let at = index.index(input.len());
            input[at] = byte;
        }
        let whole = run([input.as_slice()]);
        let mut cuts: Vec<(usize, bool)> =
            cuts.iter().map(|(cut, releases)| (cut.index(input.len() + 1), *releases)).collect();
        cuts.sort_unstable();
        let (mut connection, mut seen, mut from) = (Connection::default(), Seen::default(), 0);
        for (cut, releases) in cuts.into_iter().chain([(input.len(), true)]) {
            feed(&mut connection, &input[from..cut], &mut seen);
            // What is given back must not be missed.
            if releases {
                connection.release_memory();
            }
            from = cut;
        }
        prop_assert_eq!(seen, whole);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let whole = run([bytes.as_slice()]);
        prop_assert_eq!(run(bytes.chunks(1)), whole);
    }
}

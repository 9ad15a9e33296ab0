//! What a peer may send, in any pieces, and what must be refused.

use proptest::prelude::*;

use super::super::limits::{
    MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, MAX_OUTSTANDING_REQUESTS, OUTPUT_HIGH_WATER_BYTES,
};
use super::super::request::{Method, Persistence, RejectionReason};
use super::{Connection, Phase};

/// What came of some input: method, target and body of each request, and the refusal behind them.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    requests: Vec<(Method, String, String, Vec<u8>, Persistence)>,
    refused: Option<RejectionReason>,
}

/// Feeds pieces and answers every request at once.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut connection = Connection::new();
    let mut seen = Seen { requests: Vec::new(), refused: None };
    for mut piece in pieces {
        while !piece.is_empty() {
            let fed = connection.feed(piece);
            piece = &piece[fed..];
            let before = seen.requests.len();
            drain(&mut connection, &mut seen);
            if fed == 0 && seen.requests.len() == before {
                break;
            }
        }
    }
    seen
}

fn drain(connection: &mut Connection, seen: &mut Seen) {
    loop {
        match connection.next_request() {
            Ok(Some(request)) => {
                let slot = request.slot;
                seen.requests.push((
                    request.method,
                    request.path.to_owned(),
                    request.query.to_owned(),
                    request.body.to_vec(),
                    request.persistence,
                ));
                connection.complete(slot, |_| {});
            }
            Ok(None) => break,
            Err(rejection) => {
                seen.refused = Some(rejection.reason);
                connection.complete(rejection.slot, |_| {});
            }
        }
    }
}

fn bytes_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.chunks(1)
}

const VALID: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=\"v\"\r\n world\r\n0\r\nTrailer: t\r\n\r\n",
    "GET http://host/p?q HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "\r\n\r\nGET /late HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n",
    "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
    "HEAD /h HTTP/1.1\r\nhOsT: x\r\nX-Any: \t spaced \t\r\n\r\n",
];

#[test]
fn the_split_over_reads_changes_nothing() {
    let all = VALID.concat();
    let whole = run([all.as_bytes()]);
    assert_eq!(whole.refused, None);
    assert_eq!(whole.requests.len(), VALID.len());
    assert_eq!(whole.requests[2].3, b"hello world");
    assert_eq!(whole.requests[1].2, "b=c");
    assert_eq!((whole.requests[3].1.as_str(), whole.requests[3].2.as_str()), ("/p", "q"));
    assert_eq!(run(bytes_of(all.as_bytes())), whole);
    for at in 0..all.len() {
        let (first, second) = all.as_bytes().split_at(at);
        assert_eq!(run([first, second]), whole, "split at {at}");
    }
}

/// Requests that two readers might understand in two ways, or that are no HTTP.
const SMUGGLED: &[(&str, u16)] = &[
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", 413),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\n Content-Length: 5\r\n\r\nhello\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tfolded\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n", 400),
    ("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\n\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400),
    ("\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nX-User-ID: 1\r\nX-User-ID: 2\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nX-Admin-Token: 1\r\nX-Admin-Token: 2\r\n\r\n", 400),
    ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET / a HTTP/1.1\r\nHost: x\r\n\r\n", 505),
    ("GET /#f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET host:80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET http://h?q HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET http://h/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET http://x@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET /\r\n\r\n", 400),
    ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
    ("GET / HTTP/11\r\nHost: x\r\n\r\n", 505),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("G\u{c0}T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (": / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\nhello\r\n", 417),
];

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read() {
    for (text, status) in SMUGGLED {
        let followed = format!("{text}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        let whole = run([followed.as_bytes()]);
        assert!(whole.requests.is_empty(), "{text:?} was served: {whole:?}");
        assert_eq!(whole.refused.map(|reason| reason.status()), Some(*status), "{text:?}");
        assert_eq!(run(bytes_of(followed.as_bytes())), whole, "{text:?} byte by byte");
        for at in 0..text.len() {
            let (first, second) = followed.as_bytes().split_at(at);
            assert_eq!(run([first, second]), whole, "{text:?} split at {at}");
        }
    }
}

#[test]
fn chunks_that_are_not_chunks_are_refused() {
    let huge = format!("{:x}\r\n", MAX_BODY_BYTES + 1);
    let digits = format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(16));
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(70_000));
    let trailer = format!("0\r\nA: {}\r\n\r\n", "x".repeat(70_000));
    let cases: &[(&str, u16)] = &[
        ("\r\n", 400),
        ("g\r\n", 400),
        ("-5\r\nhello\r\n", 400),
        ("+5\r\nhello\r\n", 400),
        ("0x5\r\nhello\r\n", 400),
        (" 5\r\nhello\r\n", 400),
        ("5 \r\nhello\r\n", 400),
        (";x\r\nhello\r\n", 400),
        ("5\nhello\r\n", 400),
        ("5\rhello\r\n", 400),
        ("5;a\nb\r\nhello\r\n", 400),
        ("5;a\0b\r\nhello\r\n", 400),
        ("5\r\nhelloX\r\n", 400),
        ("5\r\nhello\n0\r\n\r\n", 400),
        ("5\r\nhello\r0\r\n\r\n", 400),
        ("0\r\nTrailer\r\n\r\n", 400),
        ("0\r\n folded\r\n\r\n", 400),
        ("0\r\nA: b\n\r\n", 400),
        ("0\r\nA : b\r\n\r\n", 400),
        ("0\r\n\rX", 400),
        ("ffffffffffffffff\r\n", 413),
        ("fffffffffffffffff\r\n", 400),
        (&huge, 413),
        ("8000\r\n", 0),
        (&digits, 400),
        (&extension, 400),
        (&trailer, 400),
    ];
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in cases {
        let text = format!("{head}{body}");
        let whole = run([text.as_bytes()]);
        assert!(whole.requests.is_empty(), "{body:?}");
        assert_eq!(whole.refused.map_or(0, |reason| reason.status()), *status, "{body:.60?}");
        assert_eq!(run(bytes_of(text.as_bytes())), whole, "{body:.60?} byte by byte");
    }
}

#[test]
fn a_body_of_many_chunks_may_reach_the_limit_and_not_pass_it() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let half = format!("8000\r\n{}\r\n", "x".repeat(MAX_BODY_BYTES / 2));
    let exact = format!("{head}{half}{half}0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    let seen = run([exact.as_bytes()]);
    assert_eq!(seen.requests[0].3.len(), MAX_BODY_BYTES);
    assert_eq!(seen.requests[1].1, "/next");
    let over = format!("{head}{half}{half}1\r\nx\r\n0\r\n\r\n");
    assert_eq!(run([over.as_bytes()]).refused, Some(RejectionReason::BodyTooLarge));
}

#[test]
fn a_head_too_long_or_with_too_many_headers_is_431() {
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
    let endless = format!("GET /{}", "x".repeat(2 * MAX_HEAD_BYTES));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
    // What is wrong beyond the limit was not seen when the head came in pieces.
    let worse = format!("GET / HTTP/1.1\r\nA: {}\r\n\0: b\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
    for text in [&long, &endless, &many, &worse] {
        let whole = run([text.as_bytes()]);
        assert_eq!(whole.refused.map(|reason| reason.status()), Some(431), "{text:.40}");
        assert_eq!(run(bytes_of(text.as_bytes())), whole);
    }
    let most = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS - 1));
    assert_eq!(run([most.as_bytes()]).requests.len(), 1);
}

#[test]
fn the_largest_body_is_taken_in_any_pieces() {
    let text = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n{}GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "x".repeat(MAX_BODY_BYTES)
    );
    for size in [1, 7, 1000, text.len()] {
        let seen = run(text.as_bytes().chunks(size));
        assert_eq!(seen.requests.len(), 2, "pieces of {size}");
        assert_eq!(seen.requests[0].3.len(), MAX_BODY_BYTES);
    }
}

#[test]
fn http_1_0_closes_unless_it_asks_and_close_ends_the_reading() {
    let next = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    for (head, persistence, count) in [
        ("GET / HTTP/1.0\r\n\r\n", Persistence::Close, 1),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Persistence::KeepAliveTold, 2),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n", Persistence::Close, 1),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Persistence::KeepAlive, 2),
    ] {
        let seen = run([format!("{head}{next}").as_bytes()]);
        assert_eq!((seen.requests[0].4, seen.requests.len()), (persistence, count), "{head:?}");
    }
}

#[test]
fn continue_is_said_once_and_only_while_the_body_is_missing() {
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut connection = Connection::new();
    connection.feed(head);
    assert_eq!(connection.next_request(), Ok(None));
    assert_eq!(connection.output(), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(connection.next_request(), Ok(None));
    connection.advance_output(25);
    assert_eq!(connection.output(), b"");
    connection.feed(b"ab");
    assert_eq!(connection.next_request().unwrap().unwrap().body, b"ab");

    let mut connection = Connection::new();
    connection.feed(&[head.as_slice(), b"a"].concat());
    assert_eq!(connection.next_request(), Ok(None));
    assert_eq!(connection.output(), b"");
}

#[test]
fn continue_waits_for_the_answers_before_it() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    connection
        .feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    let first = connection.next_request().unwrap().unwrap().slot;
    assert_eq!(connection.next_request(), Ok(None));
    assert_eq!(connection.output(), b"");
    connection.complete(first, |out| out.extend_from_slice(b"ANSWER"));
    assert_eq!(connection.output(), b"ANSWERHTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn a_client_that_pipelines_without_end_is_held_back() {
    let mut connection = Connection::new();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut slots = Vec::new();
    while slots.len() < MAX_OUTSTANDING_REQUESTS as usize {
        connection.feed(request);
        slots.push(connection.next_request().unwrap().unwrap().slot);
    }
    connection.feed(request);
    assert_eq!(connection.next_request(), Ok(None));
    assert!(!connection.wants_input());
    assert_eq!(connection.progress().phase, Phase::Answering);
    connection.complete(slots[0], |_| {});
    assert!(connection.next_request().unwrap().is_some());
}

#[test]
fn a_client_that_does_not_read_is_held_back() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let slot = connection.next_request().unwrap().unwrap().slot;
    connection.complete(slot, |out| out.resize(OUTPUT_HIGH_WATER_BYTES, b'x'));
    assert_eq!(connection.next_request(), Ok(None));
    assert!(!connection.wants_input());
    connection.advance_output(1);
    assert!(connection.next_request().unwrap().is_some());
}

#[test]
fn a_held_connection_goes_on_when_the_answer_is_there() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let slot = connection.next_request().unwrap().unwrap().slot;
    connection.hold_until(slot);
    assert_eq!(connection.next_request(), Ok(None));
    connection.complete(slot, |_| {});
    assert!(connection.next_request().unwrap().is_some());
}

#[test]
fn requests_that_came_before_the_end_of_the_stream_are_served() {
    let mut connection = Connection::new();
    connection.feed(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c");
    connection.end_of_input();
    assert!(!connection.wants_input());
    for path in ["/a", "/b"] {
        let request = connection.next_request().unwrap().unwrap();
        let (slot, seen) = (request.slot, request.path.to_owned());
        assert_eq!(seen, path);
        connection.complete(slot, |_| {});
    }
    assert_eq!(connection.next_request(), Ok(None));
    assert!(connection.is_finished());
}

#[test]
fn half_a_head_at_the_end_of_the_stream_is_refused_in_any_pieces() {
    for size in [1, 2, 100] {
        let mut connection = Connection::new();
        for piece in b"GET / HTTP/1.1\r\nA\0".chunks(size) {
            connection.feed(piece);
            if size < 100 {
                assert_eq!(connection.next_request(), Ok(None));
            }
        }
        connection.end_of_input();
        let rejection = connection.next_request().unwrap_err();
        assert_eq!(rejection.reason.status(), 400, "pieces of {size}");
    }
}

#[test]
fn an_empty_line_before_a_request_is_no_part_of_it_in_any_pieces() {
    for pieces in [["\r\n\r\n", ""], ["\r", "\n"], ["\r\n\r", "\n"]] {
        let mut connection = Connection::new();
        for piece in pieces {
            connection.feed(piece.as_bytes());
            assert_eq!(connection.next_request(), Ok(None));
        }
        connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let request = connection.next_request().unwrap().unwrap();
        assert!(request.head.starts_with(b"GET "), "{pieces:?}");
    }
}

#[test]
fn phases_tell_which_limit_holds() {
    let mut connection = Connection::new();
    assert_eq!(connection.progress().phase, Phase::Idle);
    connection.feed(b"POST / HTTP/1.1\r\n");
    assert_eq!(connection.next_request(), Ok(None));
    let head = connection.progress();
    assert_eq!(head.phase, Phase::Head);
    connection.feed(b"Host: x\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(connection.next_request(), Ok(None));
    assert_eq!(connection.progress().phase, Phase::Body);
    connection.feed(b"ab");
    let slot = connection.next_request().unwrap().unwrap().slot;
    assert_eq!(connection.progress().phase, Phase::Answering);
    connection.complete(slot, |_| {});
    assert_eq!(connection.progress().phase, Phase::Idle);
    assert_ne!(connection.progress().slot, head.slot);
}

#[test]
fn a_timeout_is_answered_behind_what_is_under_way_and_ends_the_connection() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /slow");
    let first = connection.next_request().unwrap().unwrap().slot;
    assert_eq!(connection.next_request(), Ok(None));
    let rejection = connection.reject(RejectionReason::HeadTimeout);
    assert_eq!(rejection.reason.status(), 408);
    connection.complete(rejection.slot, |out| out.push(b'2'));
    connection.complete(first, |out| out.push(b'1'));
    assert_eq!(connection.output(), b"12");
    assert!(!connection.is_finished());
    connection.advance_output(2);
    assert!(connection.is_finished());
}

#[test]
fn an_idle_connection_holds_no_buffers() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let slot = connection.next_request().unwrap().unwrap().slot;
    connection.complete(slot, |out| out.resize(5000, b'x'));
    connection.advance_output(5000);
    connection.release_memory();
    assert_eq!((connection.input.capacity(), connection.output.capacity()), (0, 0));
    assert!(size_of::<Connection>() <= 384, "{}", size_of::<Connection>());
}

#[test]
fn output_can_be_swapped_out_in_the_middle_of_sending() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let slot = connection.next_request().unwrap().unwrap().slot;
    connection.complete(slot, |out| out.extend_from_slice(b"abc"));
    connection.advance_output(1);
    let mut sending = Vec::new();
    connection.swap_output(&mut sending);
    assert_eq!((sending.as_slice(), connection.output()), (b"bc".as_slice(), b"".as_slice()));
}

#[test]
fn any_header_is_found_by_name() {
    let mut connection = Connection::new();
    connection.feed(b"GET / HTTP/1.1\r\nHost: x\r\nX-Signature:  ab:c \r\n\r\n");
    let request = connection.next_request().unwrap().unwrap();
    assert_eq!(request.header("x-signature"), Some(b"ab:c".as_slice()));
    assert_eq!(request.header("GET / HTTP/1.1"), None);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        run([bytes.as_slice()]);
    }

    #[test]
    fn damaged_requests_never_panic_and_split_alike(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut text = VALID.concat().into_bytes();
        for (index, byte) in damage {
            let at = index.index(text.len());
            text[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&text[from..cut]);
            from = cut;
        }
        pieces.push(&text[from..]);
        prop_assert_eq!(run(pieces), run([text.as_slice()]));
    }
}

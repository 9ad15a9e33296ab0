//! HTTP as hostile, odd and careful clients speak it.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::StopAtEnd;
use support::exchange::{Exchange, limit, number};
use support::raw::{Raw, request};

const ALICE: u64 = 1001;

fn raw(exchange: &Exchange) -> Raw {
    Raw::open(exchange.server.port)
}

#[test]
fn a_request_that_two_parsers_could_read_differently_is_refused() {
    let exchange = Exchange::open(1, 1);
    let order = limit("BUY", "1", "1", "");
    let length = order.len();
    let chunked = format!("{length:x}\r\n{order}\r\n0\r\n\r\n");
    #[rustfmt::skip]
    let smuggled = [
        ("both lengths", format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("two lengths", format!("Content-Length: {length}\r\nContent-Length: 1\r\n\r\n{order}")),
        ("the same length twice", format!("Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{order}")),
        ("a list of lengths", format!("Content-Length: {length}, {length}\r\n\r\n{order}")),
        ("a signed length", format!("Content-Length: +{length}\r\n\r\n{order}")),
        ("a negative length", format!("Content-Length: -1\r\n\r\n{order}")),
        ("a hexadecimal length", format!("Content-Length: 0x{length:x}\r\n\r\n{order}")),
        ("another coding", format!("Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}")),
        ("chunked twice", format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("almost chunked", format!("Transfer-Encoding: xchunked\r\n\r\n{chunked}")),
        ("a space before the colon", format!("Content-Length : {length}\r\n\r\n{order}")),
        ("a folded header", format!("X-A: b\r\n Content-Length: {length}\r\n\r\n{order}")),
        ("a NUL", format!("X-A: a\0b\r\nContent-Length: {length}\r\n\r\n{order}")),
        ("a bare LF", format!("X-A: b\nContent-Length: {length}\r\n\r\n{order}")),
        ("a bare CR", format!("X-A: b\rContent-Length: {length}\r\n\r\n{order}")),
        ("two hosts", format!("Host: b\r\nContent-Length: {length}\r\n\r\n{order}")),
        ("two users", format!("X-User-ID: 1002\r\nContent-Length: {length}\r\n\r\n{order}")),
        ("a bad chunk size", format!("Transfer-Encoding: chunked\r\n\r\nz\r\n{order}\r\n0\r\n\r\n")),
        ("a negative chunk", format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n{order}\r\n0\r\n\r\n")),
        ("a chunk with a bare LF", format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\n{order}\n0\n\n")),
        ("a chunk too short", format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{order}\r\n0\r\n\r\n", length - 1)),
    ];
    for (name, rest) in smuggled {
        let mut raw = raw(&exchange);
        raw.send(format!(
            "POST /api/v1/create_order HTTP/1.1\r\nHost: a\r\nX-User-ID: 1001\r\n{rest}"
        ));
        raw.send(request("DELETE", "/api/v1/orders", "", ""));
        // One refusal, and nothing behind it is taken for a request.
        let answers = raw.answers_to_end();
        assert_eq!(answers.len(), 1, "{name}");
        assert_eq!(answers[0].status, 400, "{name}: {}", answers[0]);
        assert_eq!(answers[0].header("connection"), Some("close"), "{name}");
    }
    exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
}

#[test]
fn what_is_no_http_is_refused() {
    let exchange = Exchange::open(1, 1);
    #[rustfmt::skip]
    let bad = [
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", 400),
        ("GET api/v1/balances HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417),
    ];
    for (text, status) in bad {
        let mut raw = raw(&exchange);
        let answers = raw.send(text).finish().answers_to_end();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [status], "{text:?}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let exchange = Exchange::open(1, 1);
    let one = |text: String| {
        let answers = raw(&exchange).send(text).answers_to_end();
        assert_eq!(answers.len(), 1);
        answers[0].status
    };
    let long = "a".repeat(17 * 1024);
    assert_eq!(one(request("GET", "/healthz", &format!("X-A: {long}\r\n"), "")), 431);
    assert_eq!(one(request("GET", &format!("/{long}"), "", "")), 431);
    assert_eq!(one(request("GET", "/healthz", &"X-A: b\r\n".repeat(100), "")), 431);
    // Without an end to its headers, ever.
    assert_eq!(one(format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {long}")), 431);

    let head = "POST /api/v1/create_order HTTP/1.1\r\nHost: a\r\nX-User-ID: 1001\r\n";
    for length in ["65537", "99999999999", "18446744073709551616", "99999999999999999999999999"] {
        assert_eq!(one(format!("{head}Content-Length: {length}\r\n\r\n")), 413, "{length}");
    }
    let chunks = "8000\r\n".to_owned() + &" ".repeat(0x8000) + "\r\n";
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{}1\r\n \r\n0\r\n\r\n", chunks.repeat(2));
    assert_eq!(one(chunked), 413);
    // The largest that is allowed is an order like any other.
    let order = limit("BUY", "1", "1", "");
    let padded = order + &" ".repeat(64 * 1024 - limit("BUY", "1", "1", "").len());
    assert_eq!(exchange.user(ALICE).place(&padded).status, 202);
}

#[test]
fn requests_in_one_write_are_answered_in_order() {
    const REQUESTS: u64 = 300;
    for shards in [1, 2] {
        let exchange = Exchange::open(shards, 2);
        let mut text = String::new();
        for number in 0..REQUESTS {
            // Orders of both shards' users and cheap questions between them.
            let order = limit("BUY", "1", "0.1", &format!(r#","cid":"p-{number}""#));
            let placing = request("POST", "/api/v1/create_order", "", &order);
            text += &placing.replace("1001", &(1001 + number % 2).to_string());
            if number % 7 == 0 {
                text += &request("GET", "/healthz", "", "");
            }
        }
        let mut raw = raw(&exchange);
        // The answers of that many do not fit what a client may leave unread, so somebody reads.
        std::thread::scope(|scope| {
            let mut writer = raw.writer();
            let text = &text;
            scope.spawn(move || writer.send(text));
            for expected in 0..REQUESTS {
                let placed = raw.answer().data();
                assert_eq!(placed["cid"], format!("p-{expected}"));
                if expected % 7 == 0 {
                    assert_eq!(raw.answer().text(), "ok\n");
                }
            }
        });
        let open = exchange.user(ALICE).get("/api/v1/orders?limit=1000").data();
        assert_eq!(open.as_array().map(Vec::len), Some(REQUESTS as usize / 2));
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_read() {
    let exchange = Exchange::open(2, 1);
    let order = limit("BUY", "1", "1", "");
    let length = order.len();
    let head = "POST /api/v1/create_order HTTP/1.1\r\nHost: a\r\nX-User-ID: 1001\r\n";
    let (first, second) = order.split_at(length / 2);
    let whole = format!("{head}Content-Length: {length}\r\n\r\n{order}");
    let chunked = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x};ext=1\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nX-T: 1\r\n\r\n",
        first.len(),
        second.len()
    );
    for text in [whole, chunked] {
        let mut raw = raw(&exchange);
        for byte in text.bytes() {
            raw.send([byte]);
            std::thread::sleep(Duration::from_micros(300));
        }
        assert_eq!(raw.answer().status, 202);
        // And whole, on the same connection.
        assert_eq!(raw.send(&text).answer().status, 202);
    }
    exchange.expect_balance(ALICE, "USDT", "999996.00", "4.00");
}

#[test]
fn connections_stay_open_as_the_client_asks() {
    let exchange = Exchange::open(1, 1);
    let path = "/api/v1/balances";
    let get = |version: &str, connection: &str| {
        format!("GET {path} HTTP/{version}\r\nHost: a\r\nX-User-ID: 1001\r\n{connection}\r\n")
    };
    let mut closes = raw(&exchange);
    let answer = closes.send(get("1.1", "Connection: close\r\n")).answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    closes.expect_closed();

    let mut old = raw(&exchange);
    assert_eq!(old.send(get("1.0", "")).answer().status, 200);
    old.expect_closed();

    let mut old_but_kept = raw(&exchange);
    for _ in 0..3 {
        let answer = old_but_kept.send(get("1.0", "Connection: Keep-Alive\r\n")).answer();
        let connection = answer.header("connection").unwrap_or_default().to_ascii_lowercase();
        assert_eq!((answer.status, connection.as_str()), (200, "keep-alive"));
    }
    let mut kept = raw(&exchange);
    for _ in 0..3 {
        assert_eq!(kept.send(get("1.1", "")).answer().status, 200);
    }
    // Nothing more to say, but an answer to hear.
    kept.send(get("1.1", "")).finish();
    assert_eq!(kept.answer().status, 200);
    kept.expect_closed();
}

#[test]
fn head_and_options_have_no_body() {
    let exchange = Exchange::open(2, 1);
    let mut raw = raw(&exchange);
    for path in ["/healthz", "/api/v1/balances", "/api/v1/public/depth?symbol=BTC_USDT", "/metrics"]
    {
        let got = raw.send(request("GET", path, "", "")).answer();
        let head = raw.send(request("HEAD", path, "", "")).answer_to_head();
        assert_eq!((got.status, head.status), (200, 200), "{path}");
        if path != "/metrics" {
            assert_eq!(head.header("content-length"), got.header("content-length"), "{path}");
        }
    }
    let refused = raw.send(request("HEAD", "/api/v1/nothing", "", "")).answer_to_head();
    assert_eq!(refused.status, 404);
    for (path, method) in
        [("/api/v1/create_order", "POST"), ("/api/v1/orders", "DELETE"), ("*", "GET")]
    {
        let options = raw.send(request("OPTIONS", path, "", "")).answer();
        assert!((200..300).contains(&options.status), "{path}: {options}");
        assert!(options.header("allow").is_some_and(|allow| allow.contains(method)), "{path}");
        assert!(options.body.is_empty() && options.header("access-control-allow-origin").is_none());
    }
    let wrong = raw.send(request("GET", "/api/v1/create_order", "", "")).answer();
    assert_eq!((wrong.status, wrong.header("allow").is_some()), (405, true));
    assert_eq!(raw.send(request("BREW", "/api/v1/orders", "", "")).answer().status, 405);
    assert_eq!(raw.send(request("GET", "http://localhost/healthz", "", "")).answer().status, 200);
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let exchange = Exchange::open(1, 1);
    let order = limit("BUY", "1", "1", "");
    let mut raw = raw(&exchange);
    let whole = request("POST", "/api/v1/create_order", "Expect: 100-continue\r\n", &order);
    let (head, body) = whole.split_at(whole.len() - order.len());
    assert_eq!(raw.send(head).answer().status, 100);
    assert_eq!(raw.send(body).answer().status, 202);
    // Who does not wait for it is not told.
    assert_eq!(raw.send(&whole).answer().status, 202);
    // What is too large is refused before it is sent.
    let head = head.replace(&format!("Content-Length: {}", order.len()), "Content-Length: 100000");
    assert_eq!(raw.send(head).answer().status, 413);
    raw.expect_closed();
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    let exchange = Exchange::open(2, 1);
    let order = limit("BUY", "1", "1", "");
    let whole = request("POST", "/api/v1/create_order", "", &order);
    let head = whole.len() - order.len();
    std::thread::scope(|scope| {
        for length in [1, head - 2, head, whole.len() - 1] {
            let (whole, exchange) = (&whole, &exchange);
            scope.spawn(move || {
                let mut raw = raw(exchange);
                // Complete requests before it do not change that.
                raw.send(request("GET", "/healthz", "", ""));
                assert_eq!(raw.answer().status, 200);
                let answer = raw.send(&whole[..length]).answer();
                assert_eq!(answer.status, 408, "{length} of {} bytes: {answer}", whole.len());
                raw.expect_closed();
            });
        }
        // Nor does a byte now and then.
        let exchange = &exchange;
        scope.spawn(move || {
            let mut raw = raw(exchange);
            let mut writer = raw.writer();
            let answered = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let _answered = StopAtEnd(&answered);
                let answered = &answered;
                scope.spawn(move || {
                    writer.send("GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: ");
                    while !answered.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(300));
                        writer.send("a");
                    }
                });
                assert_eq!(raw.answer().status, 408);
            });
        });
    });
    exchange.expect_balance(ALICE, "USDT", "1000000.00", "0.00");
}

#[test]
fn connections_that_break_off_take_nothing_with_them() {
    let exchange = Exchange::open(2, 2);
    let order = limit("BUY", "1", "0.1", "");
    let whole = request("POST", "/api/v1/create_order", "", &order);
    for round in 0..200 {
        let mut raw = raw(&exchange);
        // Some with an order that is answered to nobody, some in the middle of one.
        raw.send(if round % 2 == 0 { &whole } else { &whole[..round % 150] });
    }
    let mut alice = exchange.user(ALICE);
    support::wait_for("the orders of those who did not wait", support::LIMIT, || {
        let open = alice.get("/api/v1/orders?limit=1000").data();
        (open.as_array().map(Vec::len) == Some(100)).then_some(())
    });
    let shards = exchange.admin().get("/api/v1/admin/shards").data();
    let waiting =
        shards.as_array().unwrap().iter().map(|shard| number(&shard["requests_in_flight"]));
    // This question itself is all that is under way.
    assert!(waiting.sum::<u64>() <= 4, "{shards}");
}

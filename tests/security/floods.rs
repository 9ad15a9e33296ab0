//! Connections by the thousand, slow ones, and too much of everything: each gets its status, and who does
//! nothing wrong is answered meanwhile.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::honest::{Fare, resident_bytes};
use super::stand::{ALICE, SHARDS, Stand};
use crate::support::http::connect;
use crate::support::raw::Raw;
use crate::support::{StopAtEnd, wait_for};

/// Descriptors that the rest of this program needs.
const OTHER_FILES: u64 = 1_000;
/// The server gives up on a head, or a body, after 10 s, and looks about once a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// Raises what this process may open; how many connections it can have.
fn most_connections(wanted: usize) -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let (now, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((soft, hard));
    let most = usize::try_from(now.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    if most < wanted {
        println!("only {most} connections instead of {wanted}: the limit of open files is {now}");
    }
    most.min(wanted)
}

/// Half a request line on each of so many connections, spread over the shards.
fn half_open(stand: &Stand, count: usize) -> Vec<TcpStream> {
    use std::io::Write;
    let open = |number: usize| {
        let shard = (number % usize::from(SHARDS)) as u16;
        let mut stream = connect(stand.server.shard_port(shard)).expect("a connection");
        stream.write_all(b"POST /api/v1/crea").expect("half a line");
        stream
    };
    (0..count).map(open).collect()
}

fn connections(stand: &Stand) -> u64 {
    stand.look("sessions?limit=1")["total"].as_u64().expect("a number")
}

/// The attack itself; `judge` looks at how an honest client fared.
fn half_open_attack(count: usize, judge: impl Fn(&Fare, &Fare)) {
    let stand = Stand::unlimited();
    let before = Fare::of(&stand, "before");
    let memory_before = resident_bytes(&stand);
    let held = half_open(&stand, most_connections(count));
    std::thread::sleep(Duration::from_secs(1));
    let open = connections(&stand);
    let during = Fare::of(&stand, "during");
    assert!(open >= held.len() as u64, "{open} of {} are held", held.len());
    let grown = resident_bytes(&stand).saturating_sub(memory_before);
    println!(
        "{} half-open connections take {} KiB each",
        held.len(),
        grown / held.len() as u64 / 1024
    );
    assert!(grown / (held.len() as u64) < 16 * 1024, "{grown} bytes for {}", held.len());
    judge(&during, &before);
    // Nobody is kept for ever: all are told so, and gone.
    wait_for("half-open connections to be closed", PATIENCE * 3, || {
        (connections(&stand) < 10).then_some(())
    });
    let mut told = Raw::over(held.into_iter().next().expect("one"));
    assert_eq!(told.answer().status, 408);
    told.expect_closed();
}

#[test]
fn thousands_of_half_open_connections_keep_nobody_waiting() {
    half_open_attack(10_000, |during, before| during.expect_fair(before, "half-open"));
}

/// Slow heads, slow bodies and slow chunks, a byte at a time, for ever.
fn slow_attack(each: usize, pause: Duration, judge: impl Fn(&Fare, &Fare)) {
    let stand = Stand::unlimited();
    let before = Fare::of(&stand, "before");
    let bearer = stand.bearer(ALICE);
    let head = format!("POST /api/v1/create_order HTTP/1.1\r\nHost: localhost\r\n{bearer}");
    let beginnings = [
        "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_owned(),
        format!("{head}Content-Length: 60000\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nea60\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\nX: "),
    ];
    let since = Instant::now();
    let mut slow: Vec<Raw> = Vec::new();
    for number in 0..each * beginnings.len() {
        let mut raw = Raw::open(stand.server.shard_port((number % 2) as u16));
        raw.send(&beginnings[number % beginnings.len()]);
        slow.push(raw);
    }
    let mut writers: Vec<_> = slow.iter().map(Raw::writer).collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                writers.iter_mut().for_each(|writer| writer.send("1"));
                std::thread::sleep(pause);
            }
        });
        std::thread::sleep(Duration::from_secs(1));
        judge(&Fare::of(&stand, "during"), &before);
        for raw in &mut slow {
            assert_eq!(raw.answer().status, 408);
        }
    });
    // However busy the machine is: not before its time, and not never.
    assert!(since.elapsed() >= PATIENCE, "{:?}", since.elapsed());
    wait_for("slow connections to be closed", PATIENCE * 3, || {
        (connections(&stand) < 10).then_some(())
    });
}

#[test]
fn who_sends_a_byte_a_second_is_cut_off_and_slows_nobody() {
    slow_attack(100, Duration::from_secs(1), |during, before| during.expect_fair(before, "slow"));
}

#[test]
#[ignore = "compares times: for a machine that does nothing else"]
fn attacks_of_connections_do_not_show_in_the_times_of_others() {
    half_open_attack(10_000, |during, before| during.expect_undisturbed(before, "half-open"));
    let pause = Duration::from_millis(100);
    slow_attack(1_000, pause, |during, before| during.expect_undisturbed(before, "slow"));
}

/// Too much of everything that a request has, and what it is answered. All but the last close.
#[test]
fn too_much_of_anything_gets_its_status() {
    let stand = Stand::unlimited();
    let bearer = stand.bearer(ALICE);
    let order = "POST /api/v1/create_order HTTP/1.1\r\nHost: localhost\r\n";
    let get = "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n";
    let (kib_16, kib_64) = (16 * 1024, 64 * 1024);
    let letters = |count: usize| "x".repeat(count);
    let cases = [
        (431, format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", letters(kib_16))),
        (431, format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", letters(kib_16))),
        (431, letters(kib_16)),
        (431, format!("{get}X: {}\r\n\r\n", letters(kib_16))),
        (431, format!("{get}{}: x\r\n\r\n", letters(kib_16))),
        (431, format!("{get}Authorization: Bearer {}\r\n\r\n", letters(kib_16))),
        (431, format!("{get}{}\r\n", "X: y\r\n".repeat(64))),
        (431, format!("{get}{}\r\n", "X: y\r\n".repeat(4_000))),
        (413, format!("{order}{bearer}Content-Length: {}\r\n\r\n", kib_64 + 1)),
        (413, format!("{order}{bearer}Content-Length: 4294967296\r\n\r\n{{")),
        (413, format!("{order}{bearer}Content-Length: {}\r\n\r\n", "9".repeat(400))),
        (413, format!("{order}{bearer}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", kib_64 + 1)),
        (
            413,
            format!(
                "{order}{bearer}Transfer-Encoding: chunked\r\n\r\n{}",
                format!("800\r\n{}\r\n", letters(2_048)).repeat(33)
            ),
        ),
        (400, format!("{order}{bearer}Transfer-Encoding: chunked\r\n\r\n2;{}", letters(kib_64))),
        (
            400,
            format!(
                "{order}{bearer}Transfer-Encoding: chunked\r\n\r\n0\r\n{}",
                "X: y\r\n".repeat(11_000)
            ),
        ),
    ];
    for (status, bytes) in &cases {
        let mut raw = Raw::open(stand.server.shard_port(0));
        raw.send(bytes);
        let answer = raw.answer();
        let (begin, end) = (&bytes[..bytes.len().min(80)], bytes.len());
        assert_eq!(answer.status, *status, "{begin:?}… of {end} bytes: {answer}");
        assert_eq!(answer.header("connection"), Some("close"), "{begin:?}");
        raw.expect_closed();
    }
    let mut client = stand.at(1);
    for depth in [33, 1_000, 30_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let depth = depth.min(60_000 / (open.len() + close.len()));
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = format!(r#"{{"x":{nested},"order_id":1}}"#);
            let answer = client.call_with("POST", "/api/v1/cancel_order", &bearer, &body);
            assert_eq!(answer.status, 400, "{depth} deep: {answer}");
        }
    }
    let token = format!("Authorization: Bearer {}\r\n", letters(8_000));
    assert_eq!(client.call_with("GET", "/api/v1/me", &token, "").status, 401);
}

//! How fast whom, to the order: over all connections, shards and dialects together.
//!
//! What is counted must not depend on how busy the machine is. Never more may be admitted than the burst
//! and the rate times the time seen from outside, which is longer than the server's. And at least the
//! rate times the time in which the budget was certainly wanted: between the first and the last refusal,
//! without the pauses in which nobody asked, when a full bucket runs over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stand::{ALICE, BOB, Key, ME, ORDER, SHARDS, Stand, order};
use crate::support::http::Client;
use crate::support::websocket::Socket;

/// A pause after which a bucket of 10 at 100 a second may have been half full.
const PAUSE: Duration = Duration::from_millis(50);

/// When something was asked and answered, and whether it was admitted.
struct Try {
    asked: Instant,
    answered: Instant,
    is_admitted: bool,
}

/// A connection that asks for what does not exist, so that nothing is changed.
enum Asker {
    Native(Client, String),
    Desk(Client, String),
    Messages(Socket),
    Calls(Socket),
    /// Nobody.
    Address(Client),
}

impl Asker {
    /// One of the four ways of a user, by turns.
    fn of_user(stand: &Stand, number: u16, bearer: &str, key: &Key) -> Asker {
        let shard = number / 4 % SHARDS;
        let port = stand.server.shard_port(shard);
        match number % 4 {
            0 => Asker::Native(stand.at(shard), bearer.to_owned()),
            1 => Asker::Desk(stand.at(shard), bearer.to_owned()),
            2 => {
                let mut socket = Socket::open(port, &format!("/ws?token={}", key.token()));
                assert_eq!(socket.next()["type"], "connected");
                Asker::Messages(socket)
            }
            _ => {
                let mut socket = Socket::open(port, "/orders");
                let params = json!({"api_key": key.id, "api_secret": key.hmac_secret()});
                let login = json!({"method": "auth.login", "params": params, "id": 0});
                assert_eq!(socket.ask(&login)["result"]["authenticated"], true);
                Asker::Calls(socket)
            }
        }
    }

    /// Whether it was admitted; anything but the two answers that there may be is a failure.
    fn ask(&mut self) -> bool {
        let judge = |found: u64, admitted: u64, refused: u64, answer: &str| {
            assert!(found == admitted || found == refused, "{answer}");
            found == admitted
        };
        match self {
            Asker::Native(client, bearer) => {
                let path = "/api/v1/cancel_order";
                let answer = client.call_with("POST", path, bearer, r#"{"cid":"none"}"#);
                judge(answer.status.into(), 404, 429, &answer.to_string())
            }
            Asker::Desk(client, bearer) => {
                let body = r#"{"client_order_id":"none"}"#;
                let answer = client.call_with("POST", "/api/cancel", bearer, body);
                judge(answer.status.into(), 404, 429, &answer.to_string())
            }
            Asker::Messages(socket) => {
                let message = json!({"type": "order.cancel", "id": 1, "data": {"cid": "none"}});
                let answer = socket.ask(&message);
                judge(answer["code"].as_u64().unwrap_or(0), 4001, 4291, &answer.to_string())
            }
            Asker::Calls(socket) => {
                let params = json!({"client_order_id": "none"});
                let answer =
                    socket.ask(&json!({"method": "order.cancel", "params": params, "id": 1}));
                let code = answer["error"]["code"].as_u64().unwrap_or(0);
                judge(code, 40401, 42901, &answer.to_string())
            }
            Asker::Address(client) => {
                let answer = client.get("/api/v1/public/ticker?symbol=BTC_USDT");
                judge(answer.status.into(), 200, 429, &answer.to_string())
            }
        }
    }
}

/// All ask at the same time, each with a pause behind each answer.
fn flood(askers: Vec<Asker>, time: Duration, pause: Duration) -> Vec<Try> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = askers
            .into_iter()
            .map(|mut asker| {
                scope.spawn(move || {
                    let mut tries = Vec::new();
                    while begin.elapsed() < time {
                        let asked = Instant::now();
                        let is_admitted = asker.ask();
                        tries.push(Try { asked, answered: Instant::now(), is_admitted });
                        std::thread::sleep(pause);
                    }
                    tries
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    })
}

fn count(tries: &[&Try]) -> u64 {
    tries.iter().filter(|one| one.is_admitted).count() as u64
}

/// Panics unless the admitted were as many as they could be, to 1 %.
fn expect_exact(tries: &[Try], rate: u64, burst: u64) {
    let all: Vec<&Try> = tries.iter().collect();
    let begin = all.iter().map(|one| one.asked).min().expect("tries");
    let end = all.iter().map(|one| one.answered).max().expect("tries");
    // The server counts whole ms: one of them may be seen on either side.
    let most =
        burst + (rate * (end - begin + Duration::from_millis(2)).as_micros() as u64) / 1_000_000;
    let admitted = count(&all);

    let refused = || all.iter().filter(|one| !one.is_admitted);
    let first = refused().map(|one| one.answered).min().expect("a refusal");
    let last = refused().map(|one| one.asked).max().expect("a refusal");
    // Admitted between the two for certain, or perhaps: whoever was answered behind the first and asked
    // before the last.
    let between: Vec<&Try> =
        all.iter().filter(|one| one.answered >= first && one.asked <= last).copied().collect();
    let mut times: Vec<Instant> = between.iter().map(|one| one.answered).collect();
    times.sort();
    let unwanted: Duration =
        times.windows(2).map(|pair| pair[1] - pair[0]).filter(|&gap| gap > PAUSE).sum();
    let wanted = last.saturating_duration_since(first).saturating_sub(unwanted);
    let due = (rate as f64 * wanted.as_secs_f64() * 0.99).floor() as u64;
    println!(
        "{} asked, {admitted} admitted, at most {most}; {} of at least {due} while it was wanted",
        all.len(),
        count(&between)
    );
    assert!(admitted <= most, "{admitted} admitted, at most {most}");
    assert!(count(&between) + 1 >= due, "{} admitted, at least {due}", count(&between));
    assert!(
        wanted > (last - first) / 2,
        "this machine is too busy: {wanted:?} of {:?}",
        last - first
    );
}

/// Fifty connections of one user at ten times its rate, and another user at half of its own.
fn flood_of_a_user(time: Duration) {
    const CONNECTIONS: u16 = 50;
    let stand = Stand::open(&["--requests-per-second", "0"]);
    let (bearer, key) = (stand.bearer(ALICE), stand.key(ALICE, json!({})));
    let (bob, bob_key) = (stand.bearer(BOB), stand.key(BOB, json!({})));
    let askers =
        (0..CONNECTIONS).map(|number| Asker::of_user(&stand, number, &bearer, &key)).collect();
    // Each way at 10 a second and less, both shards: legal at any moment.
    let others: Vec<Asker> =
        (0..5).map(|number| Asker::of_user(&stand, number, &bob, &bob_key)).collect();
    let (tries, legal) = std::thread::scope(|scope| {
        let legal = scope.spawn(|| flood(others, time, Duration::from_millis(100)));
        (flood(askers, time, Duration::from_millis(50)), legal.join().expect("no panic"))
    });
    expect_exact(&tries, 100, 10);
    assert!(legal.iter().all(|one| one.is_admitted), "one user has slowed another");
}

#[test]
fn a_user_gets_its_rate_over_all_connections_shards_and_dialects() {
    flood_of_a_user(Duration::from_secs(10));
}

#[test]
#[ignore = "a minute of flood"]
fn a_user_gets_its_rate_for_a_minute() {
    flood_of_a_user(Duration::from_secs(60));
}

#[test]
fn an_address_gets_its_rate_over_all_connections_and_shards() {
    let rate = ["--address-requests-per-second", "100", "--address-requests-burst", "20"];
    let stand = Stand::open(&rate);
    let bearer = stand.bearer(BOB);
    let askers = (0..20).map(|number| Asker::Address(stand.at(number % SHARDS))).collect();
    let tries = flood(askers, Duration::from_secs(4), Duration::from_millis(20));
    expect_exact(&tries, 100, 20);
    // Who says who it is is not limited by where it is.
    let answer = stand.at(0).call_with("GET", ME, &bearer, "");
    assert_eq!(answer.status, 200, "{answer}");
}

/// Until a whole series of answers fits between two tokens: a machine that is busy may take several.
fn within_a_second<T>(mut series: impl FnMut() -> T) -> T {
    for _ in 0..20 {
        let since = Instant::now();
        let found = series();
        if since.elapsed() < Duration::from_millis(900) {
            return found;
        }
        std::thread::sleep(Duration::from_secs(4));
    }
    panic!("this machine is too busy for six requests a second");
}

#[test]
fn who_is_too_fast_is_told_when_to_come_again_and_is_then_admitted() {
    let stand = Stand::open(&["--requests-per-second", "0"]);
    stand.set(ALICE, json!({"orders_per_second": 1, "burst": 3}));
    let bearer = stand.bearer(ALICE);
    let place = |number: usize, shard: u16| {
        let body = order(&format!("o{number}-{}", super::stand::fresh_ms()));
        stand.at(shard).call_with("POST", ORDER, &bearer, &body)
    };
    let answers = within_a_second(|| {
        (0..6).map(|number| place(number, (number % 2) as u16)).collect::<Vec<_>>()
    });
    let told = |name: &str| answers.iter().map(|answer| answer.header(name)).collect::<Vec<_>>();
    assert_eq!(told("x-ratelimit-limit"), [Some("1"); 6]);
    let remaining = ["2", "1", "0", "0", "0", "0"].map(Some);
    assert_eq!(told("x-ratelimit-remaining"), remaining);
    assert_eq!(told("retry-after"), [None, None, None, Some("1"), Some("1"), Some("1")]);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [202, 202, 202, 429, 429, 429]);
    assert_eq!(answers[3].error(), (429, 4291));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(place(7, 1).status, 202, "after Retry-After");

    // A message is told in ms, if at all; and after as long it is admitted.
    let key = stand.key(ALICE, json!({}));
    let mut socket = Socket::open(stand.server.port, "/orders");
    let params = json!({"api_key": key.id, "api_secret": key.hmac_secret()});
    socket.ask(&json!({"method": "auth.login", "params": params, "id": 0}));
    let cancel = json!({"method": "order.cancel", "params": {"client_order_id": "none"}, "id": 1});
    let mut refused = (0..100).map(|_| socket.ask(&cancel)["error"].clone());

    let refused = refused.find(|error| error["code"] == 42901).expect("a refusal");
    let retry_ms = refused["details"]["retry_after_ms"].as_u64().expect("a time");
    assert!((1..=1_000).contains(&retry_ms), "{refused}");
    std::thread::sleep(Duration::from_millis(retry_ms));
    assert_eq!(socket.ask(&cancel)["error"]["code"], 40401);
}

/// The same for lists and looks, and for nobody.
#[test]
fn what_is_left_is_told_with_the_weight_of_each_request() {
    let stand = Stand::open(&["--requests-per-second", "1", "--requests-burst", "10"]);
    let bearer = stand.bearer(ALICE);
    let paths = [ME, "/api/v1/orders", "/api/account", "/api/orders", "/api/v1/trades"];
    let answers =
        within_a_second(|| paths.map(|path| stand.at(1).call_with("GET", path, &bearer, "")));
    let remaining = answers.each_ref().map(|answer| answer.header("x-ratelimit-remaining"));
    assert_eq!(remaining, ["9", "7", "6", "4", "2"].map(Some));
    // Orders are another budget.
    let placed = stand.at(0).call_with("POST", ORDER, &bearer, &order("other"));
    assert_eq!(placed.header("x-ratelimit-remaining"), Some("9"), "{placed}");
}

/// Whoever guesses does so at the cost of its address, whatever it guesses at.
#[test]
fn bad_requests_cost_what_good_ones_do() {
    let stand = Stand::open(&[]);
    let bearer = stand.bearer(ALICE);
    let mut client = stand.at(0);
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let answer = client.call_with("POST", ORDER, &bearer, "{}");
        assert!(answer.header("x-ratelimit-remaining").is_some(), "{answer}");
        statuses.push(answer.status);
    }
    assert!(statuses.iter().all(|status| [400, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&429), "a burst of 10 for 40 of them: {statuses:?}");
}

#[test]
fn guesses_cost_the_address_that_they_come_from() {
    for number in 0..3 {
        let stand = Stand::open(&[]);
        let key = Key::guessed("rk_0000000000000000");
        let mut client = stand.at(0);
        let mut calls = Socket::open(stand.server.shard_port(1), "/orders");
        let mut guess = || match number {
            0 => {
                let headers = key.sign("GET", ME, "");
                assert_eq!(client.call_with("GET", ME, &headers, "").status, 401);
            }
            1 => {
                let headers = "Authorization: Bearer a.b.c\r\n";
                assert_eq!(client.call_with("GET", "/api/account", headers, "").status, 401);
            }
            _ => {
                let params = json!({"api_key": key.id, "api_secret": "0".repeat(64)});
                let login = json!({"method": "auth.login", "params": params, "id": 1});
                let code: Value = calls.ask(&login)["error"]["code"].clone();
                assert!(code == 40101 || code == 42901, "{code}");
            }
        };
        let mut other = stand.at(1);
        let is_refused = (0..200).any(|_| {
            (0..20).for_each(|_| guess());
            other.get("/api/v1/public/ticker?symbol=BTC_USDT").status == 429
        });
        assert!(is_refused, "{number}");
    }
}

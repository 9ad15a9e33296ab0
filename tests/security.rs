//! A server in production: who is let in, who is not, and what an attacker gets.
//!
//! Each attack here succeeds if its defence is taken out.

mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::hmac;
use serde_json::{Value, json};
use support::http::{Answer, Client};
use support::server::{Options, Server, run};
use tempfile::TempDir;

const SHARDS: u16 = 2;
const ALICE: u64 = 1001;
const BOB: u64 = 1002;
const PASSWORD: &str = "correct horse";

/// A key and its secret.
#[derive(Clone)]
struct Key {
    id: String,
    secret: String,
}

struct Stand {
    server: Server,
    admin: Key,
    _directory: TempDir,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

impl Key {
    /// The headers that sign a request at a time.
    fn sign_at(&self, at_ms: u64, method: &str, path: &str, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let tag = hmac::sign(&key, format!("{at_ms}{method}{path}{body}").as_bytes());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let id = &self.id;
        format!("X-API-KEY: {id}\r\nX-TIMESTAMP: {at_ms}\r\nX-SIGNATURE: {digits}\r\n")
    }

    fn sign(&self, method: &str, path: &str, body: &str) -> String {
        self.sign_at(now_ms(), method, path, body)
    }
}

impl Stand {
    /// Two shards, an administrator, a market, and two users with a password and money.
    fn open(more: &[&str]) -> Stand {
        let directory = tempfile::Builder::new()
            .prefix("security")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a directory");
        let data = directory.path().join("data");
        let secret_file = directory.path().join("secret").display().to_string();
        let data_text = data.display().to_string();
        let (shards, from) = (SHARDS.to_string(), ["admin", "init", "--data"]);
        let mut arguments = from.to_vec();
        arguments.extend([&*data_text, "--secret-file", &*secret_file, "--shards", &*shards]);
        let made = run(&arguments);
        let told = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(made.status.success(), "{told} {}", String::from_utf8_lossy(&made.stderr));
        let word = |begin: &str| {
            let line = told.lines().find(|line| line.starts_with(begin)).expect("a line");
            line.split_whitespace().last().expect("a word").to_owned()
        };
        let admin = Key { id: word("api key"), secret: word("api secret") };
        let mut options = Options::shards(SHARDS);
        let secret = ["--secret-file", &secret_file];
        options.arguments.extend(secret.iter().chain(more).map(|&text| text.to_owned()));
        let mut server = Server::on(options, "", directory.path(), data);
        server.spawn();
        server.wait_until_ready();
        let stand = Stand { server, admin, _directory: directory };
        stand.fill();
        stand
    }

    fn fill(&self) {
        for (path, body) in [
            ("assets", json!({"asset":"BTC","decimals":8})),
            ("assets", json!({"asset":"USDT","decimals":2})),
            (
                "symbols",
                json!({"symbol":"BTC_USDT","base":"BTC","quote":"USDT","tick":"0.01","lot":"0.0001"}),
            ),
            ("users", json!({"user_id":ALICE})),
            ("users", json!({"user_id":BOB})),
            ("deposits", json!({"user_id":ALICE,"asset":"USDT","amount":"1000000","ref":"a"})),
            ("deposits", json!({"user_id":BOB,"asset":"USDT","amount":"1000000","ref":"b"})),
        ] {
            let path = format!("/api/v1/admin/{path}");
            let answer = self.signed(&self.admin, "POST", &path, &body.to_string());
            assert_eq!(answer.status, 200, "{path}: {answer}");
        }
        for user in [ALICE, BOB] {
            self.set(user, json!({"password": PASSWORD}));
        }
    }

    fn set(&self, user: u64, change: Value) {
        let path = format!("/api/v1/admin/users/{user}");
        let answer = self.signed(&self.admin, "PATCH", &path, &change.to_string());
        assert_eq!(answer.status, 200, "{answer}");
    }

    fn at(&self, shard: u16) -> Client {
        Client::anonymous(self.server.shard_port(shard))
    }

    fn signed(&self, key: &Key, method: &str, path: &str, body: &str) -> Answer {
        self.at(0).call_with(method, path, &key.sign(method, path, body), body)
    }

    fn login(&self, user: u64) -> Value {
        let body = json!({"user_id": user, "password": PASSWORD}).to_string();
        let answer = self.at(0).post("/api/auth/login", &body);
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()
    }

    /// A session's headers.
    fn bearer(&self, user: u64) -> String {
        bearer(&self.login(user)["access_token"])
    }

    fn key(&self, user: u64, more: Value) -> Key {
        let mut body = json!({"name": "bot", "permissions": ["read", "trade"]});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let path = "/api/auth/keys";
        let answer = self.at(1).call_with("POST", path, &self.bearer(user), &body.to_string());
        assert_eq!(answer.status, 200, "{answer}");
        let made = answer.json();
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        Key { id: text("api_key"), secret: text("api_secret") }
    }
}

fn bearer(token: &Value) -> String {
    format!("Authorization: Bearer {}\r\n", token.as_str().expect("a token"))
}

fn order(cid: &str) -> String {
    json!({"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":cid})
        .to_string()
}

const ORDER: &str = "/api/v1/create_order";
const ME: &str = "/api/v1/me";

#[test]
fn a_signature_is_good_for_its_request_once_and_now() {
    let stand = Stand::open(&[]);
    let key = stand.key(ALICE, json!({}));
    let body = order("one");
    let headers = key.sign("POST", ORDER, &body);
    let altered = body.replace("\"price\":\"1\"", "\"price\":\"9\"");
    assert_eq!(stand.at(0).call_with("POST", ORDER, &headers, &altered).status, 401);
    let other_path = format!("{ORDER}?wait=true");
    assert_eq!(stand.at(0).call_with("POST", &other_path, &headers, &body).status, 401);
    assert_eq!(stand.at(1).call_with("POST", ORDER, &headers, &body).status, 202);
    for shard in [0, 1, 0, 1] {
        let replayed = stand.at(shard).call_with("POST", ORDER, &headers, &body);
        assert_eq!(replayed.status, 401, "{replayed}");
    }
    for at_ms in [now_ms() - 6_000, now_ms() + 6_000] {
        let shifted = key.sign_at(at_ms, "GET", ME, "");
        assert_eq!(stand.at(0).call_with("GET", ME, &shifted, "").status, 401);
    }
    let thief = Key { secret: "0".repeat(64), ..key.clone() };
    let unknown = Key { id: "rk_0000000000000000".to_owned(), ..key };
    let told = [thief, unknown].map(|key| stand.signed(&key, "GET", ME, "").message());
    assert_eq!(told[0], told[1], "whether a key exists is not told");
}

#[test]
fn what_is_revoked_is_revoked_everywhere_and_survives_a_crash() {
    let mut stand = Stand::open(&[]);
    let (kept, revoked) = (stand.key(ALICE, json!({})), stand.key(ALICE, json!({})));
    let tokens = stand.login(BOB);
    let bob = bearer(&tokens["access_token"]);
    let path = format!("/api/auth/keys?api_key={}", revoked.id);
    assert_eq!(stand.signed(&stand.admin, "DELETE", &path, "").status, 200);
    let logout = stand.at(1).call_with("POST", "/api/auth/logout", &bob, "");
    assert_eq!(logout.status, 200, "{logout}");
    for after_crash in [false, true] {
        if after_crash {
            stand.server.kill_and_restart();
        }
        for shard in 0..SHARDS {
            // Equal requests of one millisecond have one signature, which is good once.
            std::thread::sleep(Duration::from_millis(2));
            let mut client = stand.at(shard);
            let mut status =
                |key: &Key| client.call_with("GET", ME, &key.sign("GET", ME, ""), "").status;
            assert_eq!((status(&kept), status(&revoked)), (200, 401), "{after_crash} {shard}");
            assert_eq!(client.call_with("GET", ME, &bob, "").status, 401);
        }
    }
}

#[test]
fn a_refresh_token_that_comes_twice_ends_its_session() {
    let stand = Stand::open(&[]);
    let first = stand.login(ALICE);
    let refresh = |tokens: &Value| {
        let body = json!({"refresh_token": tokens["refresh_token"]}).to_string();
        stand.at(1).post("/api/auth/refresh", &body)
    };
    let second = refresh(&first);
    assert_eq!(second.status, 200, "{second}");
    let headers = bearer(&second.json()["access_token"]);
    assert_eq!(stand.at(0).call_with("GET", ME, &headers, "").status, 200);
    assert_eq!(refresh(&first).status, 401);
    assert_eq!(refresh(&second.json()).status, 401);
    assert_eq!(stand.at(0).call_with("GET", ME, &headers, "").status, 401);
}

#[test]
fn a_token_that_this_server_did_not_sign_is_nobodys() {
    let stand = Stand::open(&[]);
    let token = stand.login(ALICE)["access_token"].as_str().expect("a token").to_owned();
    let [_, claims, tag] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for forged in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{tag}"),
        format!("{}.{claims}.{}", token.split('.').next().unwrap(), "A".repeat(43)),
    ] {
        let headers = format!("Authorization: Bearer {forged}\r\n");
        assert_eq!(stand.at(0).call_with("GET", ME, &headers, "").status, 401, "{forged}");
    }
}

#[test]
fn one_user_does_not_touch_anothers_orders() {
    let stand = Stand::open(&[]);
    let (alice, bob) = (stand.bearer(ALICE), stand.bearer(BOB));
    let placed = stand.at(0).call_with("POST", ORDER, &alice, &order("mine"));
    let id = placed.data()["order_id"].as_u64().expect("an id");
    for body in [json!({"order_id": id}), json!({"cid": "mine"})] {
        let path = "/api/v1/cancel_order";
        let answer = stand.at(1).call_with("POST", path, &bob, &body.to_string());
        assert_eq!(answer.error(), (404, 4001), "{answer}");
    }
    let path = format!("/api/v1/order/{id}");
    assert_eq!(stand.at(1).call_with("GET", &path, &bob, "").error(), (404, 4001));
    assert_eq!(stand.at(1).call_with("GET", &path, &alice, "").status, 200);
}

#[test]
fn a_key_is_used_from_where_it_may_be_and_makes_no_freer_one() {
    let stand = Stand::open(&[]);
    let elsewhere = stand.key(ALICE, json!({"addresses": ["10.0.0.0/8"]}));
    assert_eq!(stand.signed(&elsewhere, "GET", ME, "").error(), (403, 2003));
    let here = stand.key(
        ALICE,
        json!({"addresses": ["127.0.0.0/8"], "permissions": ["read", "admin"], "expires_in_s": 60}),
    );
    assert_eq!(stand.signed(&here, "GET", ME, "").status, 200);
    for (body, status) in [
        (
            json!({"name":"x","permissions":["trade"],"addresses":["127.0.0.1"],"expires_in_s":5}),
            403,
        ),
        (json!({"name":"x","permissions":["read"],"expires_in_s":5}), 403),
        (json!({"name":"x","permissions":["read"],"addresses":["127.0.0.1"]}), 403),
        (
            json!({"name":"x","permissions":["read"],"addresses":["127.0.0.1"],"expires_in_s":5}),
            200,
        ),
    ] {
        let answer = stand.signed(&here, "POST", "/api/auth/keys", &body.to_string());
        assert_eq!(answer.status, status, "{body}: {answer}");
    }
}

#[test]
fn passwords_are_not_guessed_quickly() {
    let stand = Stand::open(&["--logins-per-minute", "5"]);
    let mut statuses = Vec::new();
    for number in 0..8u16 {
        let body = json!({"user_id": BOB, "password": format!("guess {number}")}).to_string();
        statuses.push(stand.at(number % SHARDS).post("/api/auth/login", &body).status);
    }
    // One login came from the stand.
    assert!(statuses[..5].iter().all(|&status| status == 401), "{statuses:?}");
    assert!(statuses[5..].iter().all(|&status| status == 429), "{statuses:?}");
}

/// What each role is answered, by class of route: the table of `shards/identity` seen from outside.
#[test]
fn every_role_may_what_its_row_says() {
    let stand = Stand::open(&["--orders-per-second", "0", "--requests-per-second", "0"]);
    let routes = [
        ("GET", "/api/v1/balances", String::new()),
        ("POST", ORDER, order("m")),
        ("GET", "/api/auth/keys", String::new()),
        ("GET", "/api/v1/admin/shards", String::new()),
        ("GET", "/api/v1/admin/proof", String::new()),
        ("GET", "/api/audit/stats", String::new()),
        ("PATCH", "/api/v1/admin/users/1002", json!({"frozen": false}).to_string()),
        ("POST", "/api/v1/admin/snapshots", String::new()),
    ];
    for (role, expected) in [
        ("USER", [200, 202, 200, 403, 403, 403, 403, 403]),
        ("MARKET_MAKER", [200, 202, 200, 403, 403, 403, 403, 403]),
        ("SUPPORT", [200, 403, 200, 200, 403, 403, 200, 403]),
        ("AUDITOR", [200, 403, 200, 200, 200, 200, 403, 403]),
        ("ADMIN", [200, 202, 200, 200, 200, 200, 200, 202]),
    ] {
        stand.set(ALICE, json!({"role": role}));
        let headers = stand.bearer(ALICE);
        for ((method, path, body), status) in routes.iter().zip(expected) {
            let answer = stand.at(1).call_with(method, path, &headers, body);
            assert_eq!(answer.status, status, "{role} {method} {path}: {answer}");
            let nobody = stand.at(0).call(method, path, body);
            assert_eq!(nobody.status, 401, "{method} {path}: {nobody}");
            let believed = stand.at(0).call_with(method, path, "X-User-ID: 1001\r\n", body);
            assert_eq!(believed.status, 401, "{method} {path}: {believed}");
        }
    }
}

/// A user of ten connections on two shards gets its rate and no more; another one is not slowed.
#[test]
fn a_user_gets_its_rate_over_all_its_connections() {
    const RATE: u64 = 100;
    const BURST: u64 = 10;
    let stand = Stand::open(&["--requests-per-second", "0"]);
    let headers = stand.bearer(ALICE);
    let begin = Instant::now();
    let time = Duration::from_secs(3);
    let admitted: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..10u16)
            .map(|number| {
                let (mut client, headers) = (stand.at(number % SHARDS), &headers);
                scope.spawn(move || {
                    let mut admitted = 0;
                    while begin.elapsed() < time {
                        let body = r#"{"cid":"none"}"#;
                        let path = "/api/v1/cancel_order";
                        let answer = client.call_with("POST", path, headers, body);
                        match answer.status {
                            404 => admitted += 1,
                            429 => {
                                assert!(answer.header("retry-after").is_some());
                                assert_eq!(answer.header("x-ratelimit-limit"), Some("100"));
                            }
                            _ => panic!("{answer}"),
                        }
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    admitted
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
    });
    let most = BURST + RATE * begin.elapsed().as_millis() as u64 / 1_000 + 1;
    let least = BURST + RATE * time.as_millis() as u64 / 1_000 - RATE / 5;
    assert!((least..=most).contains(&admitted), "{admitted} of {least} to {most}");
    assert_eq!(stand.at(0).call_with("POST", ORDER, &stand.bearer(BOB), &order("b")).status, 202);
}

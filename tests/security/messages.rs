//! Who is let in by a message, what its connection may say then, and for how long.

use std::time::Duration;

use serde_json::{Value, json};

use super::forge::{Forge, session_of};
use super::stand::{ALICE, BOB, Key, SHARDS, Stand, fresh_ms, now_ms, order};
use crate::support::websocket::{Heard, Socket};
use crate::support::{LIMIT, wait_for};

const ENDPOINTS: [&str; 3] = ["/orders", "/market-data", "/user-data"];

/// What a user has to show: what is good, and what was or never will be.
struct Wallet {
    good: Vec<(&'static str, Shown)>,
    bad: Vec<(&'static str, Shown)>,
}

/// A key, or an access token.
enum Shown {
    Key(Key),
    Token(String),
}

impl Wallet {
    fn of(stand: &Stand, user: u64) -> Wallet {
        let secret = std::fs::read_to_string(stand.secret_file()).expect("the secret");
        let forge = Forge::new(&secret);
        let key = stand.key(user, json!({}));
        let wrong = Key::guessed(&key.id);
        let ed25519 = stand.ed25519_key(user, json!({}));
        let other =
            Key { id: ed25519.id.clone(), secret: stand.ed25519_key(BOB, json!({})).secret };
        let (revoked, expired) =
            (stand.key(user, json!({})), stand.key(user, json!({"expires_in_s": 1})));
        let ed25519_expired = stand.ed25519_key(user, json!({"expires_in_s": 1}));
        let elsewhere = stand.key(user, json!({"addresses": ["10.0.0.0/8"]}));
        stand.revoke(&revoked);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let session = stand.login(user);
        let refresh = text(&session["refresh_token"]);
        let until = |user, s| forge.until(user, session_of(&refresh), s);
        let ended = text(&stand.login(user)["access_token"]);
        let headers = format!("Authorization: Bearer {ended}\r\n");
        assert_eq!(stand.at(0).call_with("POST", "/api/auth/logout", &headers, "").status, 200);
        let now_s = now_ms() / 1_000;
        std::thread::sleep(Duration::from_millis(1_100)); // Until those of 1 s have expired.
        Wallet {
            good: vec![
                ("key", Shown::Key(key)),
                ("Ed25519 key", Shown::Key(ed25519)),
                ("token", Shown::Token(text(&session["access_token"]))),
                ("forged token", Shown::Token(until(user, now_s + 900))),
            ],
            bad: vec![
                ("wrong key", Shown::Key(wrong)),
                ("wrong Ed25519 key", Shown::Key(other)),
                ("unknown key", Shown::Key(Key::guessed("rk_0000000000000000"))),
                ("revoked key", Shown::Key(revoked)),
                ("expired key", Shown::Key(expired)),
                ("expired Ed25519 key", Shown::Key(ed25519_expired)),
                ("key for elsewhere", Shown::Key(elsewhere)),
                ("expired token", Shown::Token(until(user, now_s - 1))),
                ("another's token", Shown::Token(until(BOB, now_s + 900))),
                ("revoked token", Shown::Token(ended)),
                ("no token", Shown::Token("x".to_owned())),
            ],
        }
    }
}

/// What signs a login: the upgrade request of the endpoint.
fn signed_login(key: &Key, endpoint: &str) -> Value {
    let at_ms = fresh_ms().to_string();
    let signature = key.signature(&format!("{at_ms}GET{endpoint}"));
    json!({"api_key": key.id, "timestamp": at_ms, "signature": signature})
}

fn with(mut message: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        message[name] = value.clone();
    }
    message
}

/// Every way in which `/ws` takes it.
fn native_logins(shown: &Shown) -> Vec<Value> {
    let auth = json!({"type": "auth", "id": 1});
    let token = |token: &str| with(auth.clone(), &json!({"token": token}));
    match shown {
        Shown::Token(text) => vec![token(text)],
        Shown::Key(key) => {
            let mut ways = vec![with(auth.clone(), &signed_login(key, "/ws"))];
            if key.is_hmac() {
                ways.push(token(&key.token()));
            }
            ways
        }
    }
}

/// Every way in which the rpc dialect takes it.
fn rpc_logins(shown: &Shown, endpoint: &str) -> Vec<Value> {
    let call = |method: &str, params: Value| json!({"method": method, "params": params, "id": 1});
    match shown {
        Shown::Token(text) => vec![call("auth.jwt", json!({"token": text}))],
        Shown::Key(key) => {
            let mut ways = vec![call("auth.login", signed_login(key, endpoint))];
            if key.is_hmac() {
                let params = json!({"api_key": key.id, "api_secret": key.hmac_secret()});
                ways.push(call("auth.login", params));
            }
            ways
        }
    }
}

fn place(cid: &str) -> Value {
    let order =
        json!({"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1","cid":cid});
    json!({"type": "order.place", "id": 2, "data": order})
}

fn rpc_place(cid: &str) -> Value {
    let order = json!({"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","quantity":"1",
        "client_order_id":cid});
    json!({"method": "order.place", "params": order, "id": 2})
}

#[test]
fn who_is_let_in_by_a_message_is_who_is_let_in_by_a_request() {
    let stand = Stand::unlimited();
    let wallet = Wallet::of(&stand, ALICE);
    for (name, shown) in &wallet.good {
        for login in native_logins(shown) {
            let mut socket = Socket::anonymous(stand.server.shard_port(0));
            assert_eq!(socket.ask(&login)["user_id"], ALICE, "{name}");
        }
        for login in ENDPOINTS.iter().flat_map(|endpoint| rpc_logins(shown, endpoint)) {
            let opened = ENDPOINTS.iter().filter(|endpoint| {
                let mut socket = Socket::open(stand.server.shard_port(1), endpoint);
                socket.ask(&login)["result"]["authenticated"] == true
            });
            // A signature is for its endpoint, a secret or a token for all.
            let is_signed = !login["params"]["signature"].is_null();
            assert_eq!(opened.count(), if is_signed { 1 } else { 3 }, "{name}: {login}");
        }
    }
    for (name, shown) in &wallet.bad {
        for login in native_logins(shown) {
            let mut socket = Socket::anonymous(stand.server.shard_port(0));
            let answer = socket.ask(&login);
            assert_eq!(answer["type"], "auth.error", "{name}: {answer}");
            // What was sent along is not looked at.
            socket.send(&place("sneaked").to_string());
            assert_eq!(socket.read_to_close(LIMIT), (vec![], Some(1008)), "{name}");
        }
        for endpoint in ENDPOINTS {
            for login in rpc_logins(shown, endpoint) {
                let mut socket = Socket::open(stand.server.shard_port(1), endpoint);
                assert_eq!(socket.ask(&login)["error"]["code"], 40101, "{name} {endpoint}");
                if endpoint == "/orders" {
                    assert_eq!(socket.ask(&rpc_place("no"))["error"]["code"], 40101, "{name}");
                }
            }
        }
        if let Shown::Token(token) = shown {
            let mut socket = Socket::open(stand.server.port, &format!("/ws?token={token}"));
            assert_eq!(socket.next()["type"], "auth.error", "{name}");
            assert_eq!(socket.read_to_close(LIMIT).1, Some(1008), "{name}");
        }
    }
    let open = stand.look("book?symbol=BTC_USDT&side=BUY&limit=1000");
    assert_eq!(open.as_array().expect("orders").len(), 0, "nobody has placed an order: {open}");
}

/// Role and permissions, and what `order.place`, `order.query` and private channels come to.
#[rustfmt::skip]
const SPEAKERS: &[(&str, &[&str], [&str; 3])] = &[
    ("USER",         &["read", "trade"],    ["done",      "done",      "done"]),
    ("USER",         &["read"],             ["forbidden", "done",      "done"]),
    ("USER",         &["trade"],            ["done",      "forbidden", "forbidden"]),
    ("USER",         &["withdraw"],         ["forbidden", "forbidden", "forbidden"]),
    ("USER",         &["admin"],            ["forbidden", "forbidden", "forbidden"]),
    ("MARKET_MAKER", &["read", "trade"],    ["done",      "done",      "done"]),
    ("SUPPORT",      &["read", "trade"],    ["forbidden", "done",      "done"]),
    ("AUDITOR",      &["read", "trade"],    ["forbidden", "done",      "done"]),
    ("ADMIN",        &["read", "trade"],    ["done",      "done",      "done"]),
    ("ADMIN",        &["read"],             ["forbidden", "done",      "done"]),
    ("ADMIN",        &["admin"],            ["forbidden", "forbidden", "forbidden"]),
];

#[test]
fn a_connection_may_say_what_its_key_and_role_may() {
    let stand = Stand::unlimited();
    stand.signed(&stand.key(ALICE, json!({})), "POST", "/api/v1/create_order", &order("old"));
    for (number, (role, permissions, expected)) in SPEAKERS.iter().enumerate() {
        stand.set(ALICE, json!({"role": role}));
        let key = stand.key(ALICE, json!({"permissions": permissions}));
        let word = |code: &Value, forbidden: u64| match code.as_u64() {
            None => "done",
            Some(code) if code == forbidden => "forbidden",
            Some(_) => "something else",
        };
        let mut socket = Socket::anonymous(stand.server.shard_port((number % 2) as u16));
        let login = json!({"type": "auth", "id": 1, "token": key.token()});
        assert_eq!(socket.ask(&login)["type"], "auth.success");
        let query = json!({"type": "order.query", "id": 3, "data": {"cid": "old"}});
        let subscribe = json!({"type": "subscribe", "id": 4, "channels": ["balance_updates"]});
        let messages = [place(&format!("n{number}")), query, subscribe];
        let found = messages.map(|message| word(&socket.ask(&message)["code"], 2003));
        assert_eq!(found, *expected, "/ws {role} {permissions:?}");

        let mut socket = Socket::open(stand.server.port, "/orders");
        let login = json!({"method": "auth.login", "id": 1,
            "params": {"api_key": key.id, "api_secret": key.hmac_secret()}});
        assert_eq!(socket.ask(&login)["result"]["authenticated"], true);
        let status =
            json!({"method": "order.status", "params": {"client_order_id": "old"}, "id": 3});
        let info = json!({"method": "account.info", "id": 4});
        let messages = [rpc_place(&format!("r{number}")), status, info];
        let found = messages.map(|message| word(&socket.ask(&message)["error"]["code"], 40301));
        assert_eq!(found, *expected, "/orders {role} {permissions:?}");
        stand.revoke(&key);
    }
}

#[test]
fn nothing_private_is_pushed_to_a_key_that_may_not_read() {
    let stand = Stand::unlimited();
    let blind = stand.key(ALICE, json!({"permissions": ["trade", "withdraw", "admin"]}));
    let seeing = stand.key(ALICE, json!({"permissions": ["read"]}));
    let open = |shard: u16, path: &str, key: &Key| {
        let mut socket = Socket::open(stand.server.shard_port(shard), path);
        let params = json!({"api_key": key.id, "api_secret": key.hmac_secret()});
        let login = match path {
            "/ws" => json!({"type": "auth", "id": 1, "token": key.token()}),
            _ => json!({"method": "auth.login", "id": 1, "params": params}),
        };
        socket.ask(&login);
        if path == "/ws" && key.id == blind.id {
            assert_eq!(socket.next()["type"], "connected");
        }
        socket
    };
    let paths = ["/ws", "/user-data"];
    let pairs: Vec<(Socket, Socket, &str)> = (0..SHARDS)
        .flat_map(|shard| paths.map(|path| (shard, path)))
        .map(|(shard, path)| (open(shard, path, &blind), open(shard, path, &seeing), path))
        .collect();
    let placed = stand.signed(&blind, "POST", "/api/v1/create_order", &order("x"));
    assert_eq!(placed.status, 202, "{placed}");
    for (mut blind, mut seeing, path) in pairs {
        // The one was told before the other, on the same shard: a pong comes behind what it was told.
        seeing.next_that("about the order", |event| event["data"]["status"] == "NEW");
        blind.send(r#"{"type":"ping","method":"ping","id":9}"#);
        assert_eq!(blind.next()["id"], 9, "{path}");
    }
}

/// A signature that was caught raises no connection to what its key may.
#[test]
fn a_caught_login_is_worth_nothing_even_to_a_connection_of_its_user() {
    let stand = Stand::unlimited();
    let (strong, weak) =
        (stand.key(ALICE, json!({})), stand.key(ALICE, json!({"permissions": ["read"]})));
    for endpoint in ["/orders", "/user-data"] {
        let login =
            json!({"method": "auth.login", "params": signed_login(&strong, endpoint), "id": 1});
        let mut owner = Socket::open(stand.server.shard_port(0), endpoint);
        assert_eq!(owner.ask(&login)["result"]["authenticated"], true);

        let mut thief = Socket::open(stand.server.shard_port(1), endpoint);
        assert_eq!(thief.ask(&login)["error"]["code"], 40101, "to nobody's connection");
        let own = json!({"method": "auth.login", "id": 2,
            "params": {"api_key": weak.id, "api_secret": weak.hmac_secret()}});
        assert_eq!(thief.ask(&own)["result"]["permissions"], json!(["read"]));
        assert_eq!(thief.ask(&login)["error"]["code"], 40101, "to its user's connection");
        if endpoint == "/orders" {
            assert_eq!(thief.ask(&rpc_place("stolen"))["error"]["code"], 40301);
        }
        // A signature that is new is as good as ever: a connection may come to be able to do more.
        let fresh =
            json!({"method": "auth.login", "params": signed_login(&strong, endpoint), "id": 3});
        assert_eq!(owner.ask(&fresh)["result"]["authenticated"], true);
        assert_eq!(thief.ask(&fresh)["error"]["code"], 40101, "caught again");
    }
}

/// What is ended, or has come to its end, hears nothing more, without having said a word.
#[test]
fn a_connection_ends_with_what_it_came_in_by() {
    let stand = Stand::unlimited();
    let revoked = stand.key(ALICE, json!({}));
    let expiring = stand.key(ALICE, json!({"expires_in_s": 2}));
    let session = stand.login(ALICE);
    let token = session["access_token"].as_str().expect("a token");
    let kept = stand.key(ALICE, json!({}));
    let open = |token: &str, shard: u16| {
        let mut socket =
            Socket::open(stand.server.shard_port(shard), &format!("/ws?token={token}"));
        assert_eq!(socket.next(), json!({"type": "connected", "user_id": ALICE}));
        socket
    };
    let mut staying = open(&kept.token(), 1);
    let mut closed: Vec<(&str, Socket)> = Vec::new();
    for shard in 0..SHARDS {
        closed.push(("revoked", open(&revoked.token(), shard)));
        closed.push(("expired", open(&expiring.token(), shard)));
        closed.push(("logged out", open(token, shard)));
    }
    stand.revoke(&revoked);
    let headers = super::stand::bearer(&session["access_token"]);
    assert_eq!(stand.at(0).call_with("POST", "/api/auth/logout", &headers, "").status, 200);
    // What happens once that is answered is told to nobody who was ended.
    assert_eq!(stand.signed(&kept, "POST", "/api/v1/create_order", &order("late")).status, 202);
    staying.next_that("about the order", |event| event["data"]["cid"] == "late");
    for (why, socket) in &mut closed {
        // Pings come for ever, so it is asked often, and not once for long.
        let code = wait_for(why, LIMIT, || match socket.hear(Duration::from_millis(20)) {
            Heard::Closed(code) => Some(code),
            Heard::Text(text) => {
                let is_late = *why != "expired" && text.contains("late");
                assert!(!is_late, "{why}: {text}");
                None
            }
            Heard::Nothing => None,
        });
        assert_eq!(code, Some(1008), "{why}");
    }
    assert_eq!(stand.signed(&kept, "POST", "/api/v1/create_order", &order("later")).status, 202);
    staying.next_that("about the order", |event| event["data"]["cid"] == "later");
}

/// A role that was taken away is gone at once, from connections too.
#[test]
fn a_role_that_is_taken_away_is_gone_from_open_connections() {
    let stand = Stand::unlimited();
    let key = stand.key(ALICE, json!({}));
    let mut socket =
        Socket::open(stand.server.shard_port(1), &format!("/ws?token={}", key.token()));
    assert_eq!(socket.next()["type"], "connected");
    assert_eq!(socket.ask(&place("before"))["type"], "order.place.success");
    stand.set(ALICE, json!({"role": "AUDITOR"}));
    assert_eq!(socket.ask(&place("after"))["code"], 2003);
}

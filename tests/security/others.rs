//! What is another's is as if it were not there, in every dialect.

use serde_json::{Value, json};

use super::stand::{ALICE, BOB, ORDER, SHARDS, Stand, order};
use crate::support::websocket::Socket;

/// Asks of an order, over HTTP: method, path, body; `{id}` is filled in.
#[rustfmt::skip]
const ASKS: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/order/{id}", ""),
    ("GET", "/api/v1/order?order_id={id}", ""),
    ("GET", "/api/v1/order?cid=mine", ""),
    ("POST", "/api/v1/cancel_order", r#"{"order_id":{id}}"#),
    ("POST", "/api/v1/cancel_order", r#"{"cid":"mine"}"#),
    ("POST", "/api/v1/order/reduce", r#"{"order_id":{id},"reduce_qty":"0.5"}"#),
    ("POST", "/api/v1/order/reduce", r#"{"cid":"mine","reduce_qty":"1"}"#),
    ("POST", "/api/v1/order/move", r#"{"order_id":{id},"new_price":"2"}"#),
    ("POST", "/api/v1/order/move", r#"{"cid":"mine","new_price":"2"}"#),
    ("GET", "/api/order_state?venue_order_id={id}", ""),
    ("GET", "/api/order_state?client_order_id=mine", ""),
    ("POST", "/api/cancel", r#"{"venue_order_id":{id}}"#),
    ("POST", "/api/cancel", r#"{"client_order_id":"mine"}"#),
];

/// The same over sockets, with the code for what is not there.
fn messages(id: u64) -> Vec<(&'static str, Value, &'static str, u64)> {
    let native = |kind: &str, data: Value| json!({"type": kind, "id": 1, "data": data});
    let rpc = |method: &str, params: Value| json!({"method": method, "id": 1, "params": params});
    vec![
        ("/ws", native("order.query", json!({"order_id": id})), "/code", 4001),
        ("/ws", native("order.query", json!({"cid": "mine"})), "/code", 4001),
        ("/ws", native("order.cancel", json!({"order_id": id})), "/code", 4001),
        ("/ws", native("order.cancel", json!({"cid": "mine"})), "/code", 4001),
        ("/orders", rpc("order.status", json!({"order_id": id})), "/error/code", 40401),
        (
            "/orders",
            rpc("order.status", json!({"order_id": format!("ord_{id}")})),
            "/error/code",
            40401,
        ),
        ("/orders", rpc("order.status", json!({"client_order_id": "mine"})), "/error/code", 40401),
        ("/orders", rpc("order.cancel", json!({"order_id": id})), "/error/code", 40401),
        ("/orders", rpc("order.cancel", json!({"client_order_id": "mine"})), "/error/code", 40401),
        ("/orders", rpc("order.list", json!({"account_id": ALICE})), "/error/code", 40301),
        ("/orders", rpc("account.info", json!({"account_id": ALICE})), "/error/code", 40301),
    ]
}

fn socket_of(stand: &Stand, shard: u16, path: &str, token: &str) -> Socket {
    let mut socket = Socket::open(stand.server.shard_port(shard), path);
    let login = match path {
        "/ws" => json!({"type": "auth", "id": 0, "token": token}),
        _ => json!({"method": "auth.jwt", "id": 0, "params": {"token": token}}),
    };
    socket.ask(&login);
    socket
}

#[test]
fn one_user_neither_sees_nor_touches_anothers_orders_in_any_dialect() {
    let stand = Stand::unlimited();
    let alice = stand.bearer(ALICE);
    // One that lives where Alice does and one that does not: they are looked for in different places.
    let home = |bearer: &str| {
        let answer = stand.at(0).call_with("GET", "/api/v1/shards", bearer, "");
        answer.data()["user_shard"].as_u64().expect("a shard")
    };
    let mut thieves = Vec::new();
    for user in [BOB, 1003, 1004, 1005, 1006] {
        if user != BOB {
            stand.add_user(user);
        }
        thieves.push((user, home(&stand.bearer(user)) == home(&alice)));
    }
    for lives_there in [true, false] {
        let thief = thieves.iter().find(|thief| thief.1 == lives_there).expect("such a user").0;
        rob(&stand, &alice, thief);
    }
}

fn rob(stand: &Stand, alice: &str, thief: u64) {
    let bob = stand.login(thief);
    let token = bob["access_token"].as_str().expect("a token").to_owned();
    let bob = super::stand::bearer(&bob["access_token"]);
    let placed = stand.at(0).call_with("POST", ORDER, alice, &order("mine"));
    let id = placed.data()["order_id"].as_u64().expect("an id");
    let before = stand.at(0).call_with("GET", &format!("/api/v1/order/{id}"), alice, "").data();
    for shard in 0..SHARDS {
        for (method, path, body) in ASKS {
            let [path, body] = [path, body].map(|text| text.replace("{id}", &id.to_string()));
            let answer = stand.at(shard).call_with(method, &path, &bob, &body);
            assert_eq!(answer.status, 404, "{method} {path} {body}: {answer}");
        }
        for (path, message, pointer, code) in messages(id) {
            let mut socket = socket_of(stand, shard, path, &token);
            let answer = socket.ask(&message);
            assert_eq!(answer.pointer(pointer), Some(&json!(code)), "{message}: {answer}");
        }
        // Whatever it cancels of its own, whatever it lists.
        for (method, path) in [
            ("DELETE", "/api/v1/orders"),
            ("DELETE", "/api/v1/orders?symbol=BTC_USDT&user_id=1001"),
            ("GET", "/api/v1/orders?user_id=1001"),
            ("GET", "/api/orders"),
            ("GET", "/api/orders_state"),
            ("GET", "/api/v1/trades?user_id=1001"),
        ] {
            let answer = stand.at(shard).call_with(method, path, &bob, "");
            assert!(!answer.text().contains("mine"), "{method} {path}: {answer}");
        }
    }
    let after = stand.at(1).call_with("GET", &format!("/api/v1/order/{id}"), alice, "").data();
    assert_eq!(before, after);
    assert_eq!(after["status"], "NEW");
    // A cid is its user's own: the same one again is another order.
    let own = stand.at(0).call_with("POST", ORDER, &bob, &order("mine")).data();
    assert_ne!(own["order_id"], id);
}

/// Keys of others are no more to be touched than orders, and payments neither.
#[test]
fn one_user_neither_revokes_anothers_keys_nor_pays_with_its_money() {
    let stand = Stand::unlimited();
    let (key, bob) = (stand.key(ALICE, json!({})), stand.bearer(BOB));
    let path = format!("/api/auth/keys?api_key={}", key.id);
    assert_eq!(stand.at(0).call_with("DELETE", &path, &bob, "").status, 404);
    assert_eq!(stand.at(1).call_with("GET", "/api/auth/keys?user_id=1001", &bob, "").status, 403);
    let made = json!({"name": "x", "permissions": ["read"], "user_id": ALICE}).to_string();
    assert_eq!(stand.at(0).call_with("POST", "/api/auth/keys", &bob, &made).status, 403);
    assert_eq!(stand.signed(&key, "GET", super::stand::ME, "").status, 200);

    let paid =
        json!({"user_id": ALICE, "asset": "USDT", "amount": "5", "ref": "theft"}).to_string();
    assert_eq!(stand.at(0).call_with("POST", "/api/v1/withdrawals", &bob, &paid).status, 202);
    let held = |user| {
        let balances = stand.look(&format!("balances?user_id={user}"));
        balances[0]["frozen"].as_str().expect("text").to_owned()
    };
    assert_eq!(
        (held(ALICE), held(BOB)),
        ("0.00".to_owned(), "5.00".to_owned()),
        "one's own is asked for"
    );
}

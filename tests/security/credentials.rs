//! Signatures, tokens, keys, passwords: what is good once is not good twice, or later, or elsewhere.

use serde_json::{Value, json};

use super::stand::{ALICE, BOB, Key, ME, ORDER, SHARDS, Stand, bearer, now_ms, order};

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
    let (thief, unknown) = (Key::guessed(&key.id), Key::guessed("rk_0000000000000000"));
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

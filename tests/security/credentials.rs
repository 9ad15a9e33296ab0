//! Signatures, keys and passwords: what is good once is not good twice, or later, or elsewhere.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

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
    // The same signature in other letters is the same.
    let capitals = |headers: &str| {
        let (before, digits) = headers.rsplit_once(' ').expect("a signature");
        format!("{before} {}\r\n", digits.trim().to_uppercase())
    };
    assert_eq!(stand.at(0).call_with("POST", ORDER, &capitals(&headers), &body).status, 401);
    for shard in [0, 1, 0, 1] {
        let replayed = stand.at(shard).call_with("POST", ORDER, &headers, &body);
        assert_eq!(replayed.status, 401, "{replayed}");
    }
    for at_ms in [now_ms() - 6_000, now_ms() + 2_000] {
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

/// What was taken before a crash is not known after it. So nothing is taken then that may have been: also what
/// was signed by a clock that is ahead.
#[test]
fn a_signature_that_was_used_before_a_crash_is_not_good_after_it() {
    let mut stand = Stand::open(&[]);
    let key = stand.key(ALICE, json!({}));
    let body = order("once");
    // As far ahead as may be, less what the call takes.
    let headers = key.sign_at(now_ms() + 900, "POST", ORDER, &body);
    assert_eq!(stand.at(0).call_with("POST", ORDER, &headers, &body).status, 202);
    stand.server.kill_and_restart();
    for shard in 0..SHARDS {
        let replayed = stand.at(shard).call_with("POST", ORDER, &headers, &body);
        assert_eq!(replayed.status, 401, "{replayed}");
    }
    assert_eq!(stand.signed(&key, "GET", ME, "").status, 200, "what is signed anew is good");
}

#[test]
fn files_of_the_data_directory_are_for_their_owner_only() {
    let stand = Stand::open(&[]);
    let mut left = vec![stand.server.data().to_owned()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let about = std::fs::metadata(&path).expect("a file");
        assert_eq!(about.permissions().mode() & 0o077, 0, "{}", path.display());
        seen += 1;
        if about.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    assert!(seen > 8, "journals, layout and trail: {seen}");
    assert!(!stand.server.data().join("development.secret").exists());
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
    let try_with = |shard: u16, user: u64, password: &str| {
        let body = json!({"user_id": user, "password": password}).to_string();
        stand.at(shard).post("/api/auth/login", &body)
    };
    let mut statuses = Vec::new();
    for number in 0..8u16 {
        statuses.push(try_with(number % SHARDS, BOB, &format!("guess {number}")).status);
    }
    assert!(statuses[..5].iter().all(|&status| status == 401), "{statuses:?}");
    assert!(statuses[5..].iter().all(|&status| status == 429), "{statuses:?}");
    // Who has the right one at last does not learn it, and others are not locked out.
    let refused = try_with(0, BOB, super::stand::PASSWORD);
    assert_eq!(refused.status, 429, "{refused}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(try_with(0, ALICE, super::stand::PASSWORD).status, 200);
    // Whether there is such a user is not told.
    let (known, unknown) = (try_with(1, ALICE, "wrong one"), try_with(1, 999_999, "wrong one"));
    assert_eq!((known.status, known.text()), (unknown.status, unknown.text()));
}

/// Of a request that changes nothing too: what it shows is not for who has caught it.
#[test]
fn nothing_that_is_signed_is_answered_twice_whatever_it_asks() {
    let mut stand = Stand::unlimited();
    stand.set(ALICE, json!({"role": "ADMIN"}));
    let all = json!({"permissions": ["read", "trade", "withdraw", "admin"]});
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut last = String::new();
    for key in [stand.key(ALICE, all.clone()), stand.ed25519_key(ALICE, all)] {
        for (method, path, body, more) in [
            ("GET", "/api/v1/balances", "", ""),
            ("GET", "/api/v1/admin/users", "", ""),
            ("GET", "/api/v1/admin/sessions", "", ""),
            ("GET", "/api/v1/admin/proof", "", ""),
            ("GET", "/api/v1/admin/tape?symbol=BTC_USDT", "", ""),
            ("GET", "/api/v1/shards", "", ""),
            ("GET", "/api/auth/keys", "", ""),
            ("GET", "/api/auth/roles", "", ""),
            ("GET", "/api/audit/logs", "", ""),
            ("GET", "/api/stream", "", ""),
            ("GET", "/ws", "", upgrade),
            ("GET", "/user-data", "", upgrade),
            ("POST", "/api/auth/keys", r#"{"name":"x","permissions":["read"]}"#, ""),
            ("POST", "/api/v1/admin/users", "{}", ""),
            ("POST", "/api/v1/admin/snapshots", "", ""),
            ("DELETE", "/api/v1/orders", "", ""),
            ("GET", ME, "", ""),
        ] {
            let headers = key.sign(method, path, body) + more;
            let call = |shard| stand.at(shard).call_with(method, path, &headers, body);
            let first = call(0);
            assert!(first.status < 300, "{method} {path}: {first}");
            for shard in [0, 1] {
                assert_eq!(call(shard).status, 401, "{method} {path} again on {shard}");
            }
            last = headers;
        }
    }
    // The server that has forgotten what was used takes nothing from before its start.
    stand.server.kill_and_restart();
    assert_eq!(stand.at(0).call_with("GET", ME, &last, "").status, 401);
}

/// However exactly at the same time it comes.
#[test]
fn of_equal_requests_at_the_same_time_one_is_done() {
    const ROUNDS: usize = 50;
    let stand = Stand::unlimited();
    let key = stand.key(ALICE, json!({}));
    for _ in 0..ROUNDS {
        // Without a cid each that is let in would place another order.
        let body = r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#;
        let headers = key.sign("POST", ORDER, body);
        let barrier = std::sync::Barrier::new(4);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4u16)
                .map(|number| {
                    let (mut client, headers, barrier) =
                        (stand.at(number % SHARDS), &headers, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        client.call_with("POST", ORDER, headers, body).status
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
        });
        let done = statuses.iter().filter(|&&status| status == 202).count();
        assert_eq!(done, 1, "{statuses:?}");
    }
    let open = stand.signed(&key, "GET", "/api/v1/orders", "").data();
    assert_eq!(open.as_array().expect("orders").len(), ROUNDS);
}

/// Nothing of a request may be changed under its signature.
#[test]
fn a_signature_is_of_every_part_of_its_request() {
    let stand = Stand::unlimited();
    for key in [stand.key(ALICE, json!({})), stand.ed25519_key(ALICE, json!({}))] {
        let (body, path) = (order("part"), "/api/v1/create_order?wait=false");
        let at_ms = super::stand::fresh_ms();
        let good = key.sign_at(at_ms, "POST", path, &body);
        let with = |from: &str, into: &str| good.replace(from, into);
        let later = with(&format!(": {at_ms}"), &format!(": {}", at_ms + 1));
        let other_key = with(&key.id, &stand.key(ALICE, json!({})).id);
        let signature = good.rsplit(' ').next().expect("a signature").trim();
        let (first, last) = (&signature[..1], &signature[signature.len() - 1..]);
        let flipped = |digit: &str| if digit == "0" { "1" } else { "0" };
        let at_end = format!("{}{}", &signature[..signature.len() - 1], flipped(last));
        let at_begin = format!("{}{}", flipped(first), &signature[1..]);
        #[rustfmt::skip]
        let altered: Vec<(&str, &str, String, String)> = vec![
            ("POST", path, good.clone(), body.replace("\"1\"", "\"2\"")),
            ("POST", path, good.clone(), format!("{body} ")),
            ("POST", path, good.clone(), String::new()),
            ("POST", "/api/v1/create_order?wait=true", good.clone(), body.clone()),
            ("POST", "/api/v1/create_order", good.clone(), body.clone()),
            ("POST", "/api/v1/order?wait=false", good.clone(), body.clone()),
            ("POST", "/api/v1/create%5Forder?wait=false", good.clone(), body.clone()),
            ("POST", path, later, body.clone()),
            ("POST", path, other_key, body.clone()),
            ("POST", path, with(signature, &at_end), body.clone()),
            ("POST", path, with(signature, &at_begin), body.clone()),
            ("POST", path, with(signature, &signature[2..]), body.clone()),
            ("POST", path, with(signature, ""), body.clone()),
            ("POST", path, with(signature, &format!("{signature}00")), body.clone()),
            ("POST", path, good.replace("X-TIMESTAMP", "X-Other"), body.clone()),
            ("POST", path, good.replace("X-SIGNATURE", "X-Other"), body.clone()),
            ("POST", path, good.replace("X-API-KEY", "X-Other"), body.clone()),
        ];
        for (method, path, headers, body) in &altered {
            let answer = stand.at(0).call_with(method, path, headers, body);
            assert!([401, 404].contains(&answer.status), "{path} {headers} {body}: {answer}");
        }
        // None of it has used the signature up.
        assert_eq!(stand.at(1).call_with("POST", path, &good, &body).status, 202);
    }
    let open = stand.at(0).call_with("GET", "/api/v1/orders", &stand.bearer(ALICE), "").data();
    assert_eq!(open.as_array().expect("orders").len(), 1, "one cid, one order: {open}");
}

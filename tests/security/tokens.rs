//! Access tokens and refresh tokens: only the server's own, only while their session is open, and each
//! refresh token once.

use serde_json::{Value, json};

use super::forge::{Forge, base64, session_of};
use super::stand::{ALICE, BOB, ME, Stand, bearer, now_ms};

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

/// Who knows only which session it is, as an auditor does, cannot end it with a made-up token.
#[test]
fn a_made_up_refresh_token_ends_no_session() {
    let stand = Stand::open(&[]);
    let tokens = stand.login(ALICE);
    let good = tokens["refresh_token"].as_str().expect("a token");
    let (session, rest) = good.split_once('.').expect("a session and the rest");
    let other = if rest.starts_with('0') { '1' } else { '0' };
    for made_up in [
        format!("{session}.{}", "0".repeat(rest.len())),
        format!("{session}.{other}{}", &rest[1..]),
    ] {
        let body = json!({"refresh_token": made_up}).to_string();
        let answer = stand.at(0).post("/api/auth/refresh", &body);
        assert_eq!(answer.status, 401, "{answer}");
    }
    let headers = bearer(&tokens["access_token"]);
    assert_eq!(stand.at(0).call_with("GET", ME, &headers, "").status, 200);
}

/// Two at the same time are one and its repetition, in whatever order.
#[test]
fn of_two_equal_refreshes_at_the_same_time_at_most_one_is_done() {
    let stand = Stand::unlimited();
    for _ in 0..20 {
        let first = stand.login(ALICE);
        let body = json!({"refresh_token": first["refresh_token"]}).to_string();
        let barrier = std::sync::Barrier::new(2);
        let answers = std::thread::scope(|scope| {
            let workers = [0, 1].map(|shard| {
                let (mut client, body, barrier) = (stand.at(shard), &body, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    client.post("/api/auth/refresh", body)
                })
            });
            workers.map(|worker| worker.join().expect("no panic"))
        });
        let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(done.len() <= 1, "{} and {}", answers[0], answers[1]);
        for answer in done {
            let headers = bearer(&answer.json()["access_token"]);
            let status = stand.at(0).call_with("GET", ME, &headers, "").status;
            assert_eq!(status, 401, "the session goes on, though its token came twice");
        }
    }
}

#[test]
fn a_token_that_this_server_did_not_sign_is_nobodys() {
    let stand = Stand::unlimited();
    let digits = std::fs::read_to_string(stand.secret_file()).expect("the secret");
    let forge = Forge::new(&digits);
    let session = stand.login(ALICE);
    let text = |name: &str| session[name].as_str().expect("text").to_owned();
    let (token, refresh) = (text("access_token"), text("refresh_token"));
    let sid = session_of(&refresh);
    let [head, claims, tag] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let (now_s, until) = (now_ms() / 1_000, |s: u64| now_ms() / 1_000 + s);
    let said = |sub: &str, sid: &str, exp: &str| {
        format!(r#"{{"sub":"{sub}","sid":"{sid}","iat":{now_s},"exp":{exp}}}"#)
    };
    let good = said("1001", sid, &until(900).to_string());
    let header = forge.header();
    let kid = header.split('"').nth(11).expect("a kid").to_owned();
    let stranger = Forge::new(&"00".repeat(32));
    let ask = |token: &str| {
        let headers = format!("Authorization: Bearer {token}\r\n");
        stand.at(0).call_with("GET", ME, &headers, "").status
    };
    assert_eq!(ask(&token), 200);
    assert_eq!(
        ask(&forge.token(&header, &good)),
        200,
        "what is forged here is good but for one thing"
    );
    let none = |algorithm: &str| {
        let head = base64(forge.header_of(algorithm, &kid).as_bytes());
        [format!("{head}.{claims}."), format!("{head}.{claims}"), format!("{head}.{claims}.{tag}")]
    };
    let mut forged: Vec<String> = ["none", "None", "NONE", ""].map(none).concat();
    forged.extend([
        // Signed rightly, under a header that the server does not write.
        forge.token(&forge.header_of("none", &kid), &good),
        forge.token(&forge.header_of("HS512", &kid), &good),
        forge.token(&forge.header_of("RS256", &kid), &good),
        forge.token(&forge.header_of("HS256", "00000000"), &good),
        forge.token(&forge.header_of("HS256", "../../../../dev/null"), &good),
        forge.token(r#"{"typ":"JWT","alg":"HS256"}"#, &good),
        forge.token("", &good),
        // Signed with something else.
        stranger.token(&header, &good),
        stranger.token(&stranger.header(), &good),
        format!("{head}.{claims}.{}", "A".repeat(43)),
        format!("{head}.{claims}.{}", &tag[..42]),
        format!("{head}.{claims}.{tag}="),
        format!("{head}.{}.{tag}", base64(good.replace("1001", "1002").as_bytes())),
        // Signed rightly, and saying what is not so.
        forge.token(&header, &said("1002", sid, &until(900).to_string())),
        forge.token(&header, &said("1001", "0000000000000000", &until(900).to_string())),
        forge.token(&header, &said("1001", "", &until(900).to_string())),
        forge.token(&header, &said("1001", sid, &now_s.to_string())),
        forge.token(&header, &said("1001", sid, "0")),
        forge.token(&header, &said("1001", sid, "null")),
        forge.token(&header, &said("1001", sid, "-1")),
        forge.token(&header, &said("1001", sid, "1e99")),
        forge.token(&header, &format!(r#"{{"sub":"1001","sid":"{sid}"}}"#)),
        forge.token(&header, &good.replacen('{', r#"{"sub":"1002","#, 1)),
        forge.token(&header, "[]"),
        forge.token(&header, ""),
        // No tokens at all.
        refresh.clone(),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{token}.{token}"),
    ]);
    for token in &forged {
        assert_eq!(ask(token), 401, "{token}");
    }
    // Of another session of the same server, it is that one's.
    let bob = stand.bearer(BOB);
    assert_eq!(stand.at(1).call_with("GET", ME, &bob, "").data()["user_id"], BOB);
}

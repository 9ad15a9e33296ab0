//! Every command does what it says.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::operator::{Operator, run};
use crate::support::http::{Client, connect};
use crate::support::production::{Key, read_key, signed};
use crate::support::server::{self, Options, Server};
use crate::support::{LIMIT, wait_for};

const ORDER: &str = "/api/v1/create_order";
const ME: &str = "/api/v1/me";

fn order(price: &str) -> String {
    json!({"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":price,"qty":"1"}).to_string()
}

fn names(rows: &Value, field: &str) -> Vec<String> {
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| row[field].as_str().expect("text").to_owned()).collect()
}

#[test]
fn users_are_what_they_were_made() {
    let operator = Operator::with_market();
    let given = operator.data("user add --name noname");
    assert!(given["user_id"].as_u64().expect("an id") > 0);
    assert_eq!(operator.data("user show 1001"), operator.look("/api/v1/admin/users/1001"));
    assert_eq!(operator.data("user list"), operator.look("/api/v1/admin/users"));
    let listed = operator.ask("user list").done();
    assert!(
        listed.starts_with("user  role   frozen  name\n   1  ADMIN  no      admin\n"),
        "{listed}"
    );
    assert!(listed.contains("\n1001  USER   no      desk\n"), "{listed}");

    let login = |password: &str| {
        let body = json!({"user_id": 1001, "password": password}).to_string();
        operator.production.call("", "POST", "/api/auth/login", &body)
    };
    let said = operator.ask_with("user set 1001 --password", "correct horse\n").done();
    assert!(said.contains("password           yes"), "{said}");
    assert_eq!((login("correct horse").status, login("wrong horse").status), (200, 401));
    let more = "user set 1001 --role market_maker --orders-per-second 2000 --burst 77";
    operator.ask(more).done();
    let token = login("correct horse").json()["access_token"].as_str().unwrap().to_owned();
    let me = operator.production.call(&format!("Authorization: Bearer {token}\r\n"), "GET", ME, "");
    let me = me.data();
    assert_eq!(me["role"], "MARKET_MAKER");
    assert_eq!((&me["orders_per_second"], &me["burst"]), (&json!(2000), &json!(77)));

    let key = operator.key_of(1001);
    let place = |expected: u16| {
        let answer = operator.as_owner(&key, "POST", ORDER, &order("1"));
        assert_eq!(answer.status, expected, "{answer}");
    };
    place(202);
    assert_eq!(operator.data("user freeze 1001")["frozen"], true);
    place(403);
    assert_eq!(operator.data("user unfreeze 1001")["frozen"], false);
    place(202);
}

#[test]
fn a_list_is_followed_to_its_end() {
    const USERS: u64 = 2_005;
    let mut configuration = String::new();
    for user in 1..=USERS {
        configuration.push_str(&format!("[[users]]\nuser_id = {user}\n"));
    }
    let options = Options { arguments: vec!["--shard-ports".to_owned()], ..Options::shards(2) };
    let mut server = Server::configured(options, &configuration);
    server.spawn();
    server.wait_until_ready();
    // A development server believes whoever is on its machine.
    let ask = |words: &[&str]| run(&[("RINGBOOK_URL", &server.url())], "", words);
    let ids = |list: Value| -> Vec<u64> {
        let rows = list.as_array().expect("a list").iter();
        rows.map(|row| row["user_id"].as_u64().expect("an id")).collect()
    };
    let all = ids(ask(&["user", "list", "--json"]).data());
    assert_eq!(all, (1..=USERS).collect::<Vec<u64>>());
    let cut = ask(&["user", "list", "--limit", "1500", "--json"]);
    assert!(cut.err.contains("--after 1500"), "{cut:?}");
    assert_eq!(ids(cut.data()).len(), 1_500);
    let rest = ask(&["user", "list", "--after", "1500", "--json"]);
    assert_eq!(rest.err, "");
    assert_eq!(ids(rest.data()), (1_501..=USERS).collect::<Vec<u64>>());

    let nobodys = ask(&["key", "list"]);
    nobodys.refused(2, &["user: is required in development mode"]);
    let add = ["key", "add", "--user", "7", "--name", "k", "--permissions", "read", "--json"];
    let made = ask(&add).data();
    let key = made["api_key"].as_str().expect("a key");
    assert_eq!(names(&ask(&["key", "list", "--user", "7", "--json"]).data(), "api_key"), [key]);
    ask(&["key", "revoke", key, "--user", "7"]).done();
    assert_eq!(ask(&["key", "list", "--user", "7", "--json"]).data(), json!([]));
}

#[test]
fn keys_are_good_until_they_are_revoked() {
    let operator = Operator::with_market();
    let key = operator.key_of(1001);
    let status = |headers: &str| operator.production.call(headers, "GET", ME, "").status;
    assert_eq!(status(&key.sign("GET", ME, "")), 200);
    let shown = operator.ask("key add --user 1001 --name shown --permissions read").done();
    assert!(shown.contains("\nsecret       ") && shown.contains("shown once"), "{shown}");
    let listed = operator.ask("key list --user 1001").done();
    assert!(listed.contains(&key.id) && !listed.contains(&key.secret), "{listed}");
    operator.ask(&format!("key revoke {}", key.id)).done();
    assert_eq!(status(&key.sign("GET", ME, "")), 401);

    let bound = operator.data(
        "key add --user 1001 --name bound --permissions read --addresses 10.0.0.0/8 --expires 2d",
    );
    let [made, ends] = ["created_ts_ns", "expires_ts_ns"].map(|name| bound[name].as_u64().unwrap());
    assert_eq!(ends - made, 2 * 86_400 * 1_000_000_000);
    let bound = Key {
        id: bound["api_key"].as_str().unwrap().to_owned(),
        secret: bound["api_secret"].as_str().unwrap().to_owned(),
    };
    assert_eq!(status(&bound.sign("GET", ME, "")), 403);

    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let public: String = pair.public_key().as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let words = format!("key add --user 1001 --name own --permissions read --public-key {public}");
    let own = operator.data(&words);
    assert_eq!((own["kind"].as_str(), own.get("api_secret")), (Some("ed25519"), None));
    let sign = |at_ms: u64| pair.sign(format!("{at_ms}GET{ME}").as_bytes()).as_ref().to_vec();
    assert_eq!(status(&signed(own["api_key"].as_str().unwrap(), sign)), 200);
}

#[test]
fn roles_are_given() {
    let operator = Operator::with_market();
    operator.ask("role set 1002 AUDITOR").done();
    assert_eq!(operator.look("/api/v1/admin/users/1002")["role"], "AUDITOR");
    let told = operator.data("role list");
    let holder = json!({"user_id": 1002, "role": "AUDITOR"});
    assert!(told["users"].as_array().expect("a list").contains(&holder), "{told}");
    let text = operator.ask("role list").done();
    assert!(text.contains("1002  AUDITOR\n"), "{text}");
    operator.ask("role set 1002 KING").refused(2, &["KING", "AUDITOR"]);
}

#[test]
fn markets_are_made_changed_and_stopped() {
    let operator = Operator::with_market();
    operator.ask("asset add ETH 18").done();
    assert_eq!(names(&operator.data("asset list"), "asset"), ["BTC", "USDT", "ETH"]);
    let add = "symbol add ETH_USDT --tick 0.05 --lot 0.001 --min-notional 10 --taker-fee-ppm 500";
    let made = operator.data(add);
    let changed = operator.data("symbol set ETH_USDT --maker-fee-ppm 20 --max-qty 5");
    let public = Client::anonymous(operator.production.server.port).get("/api/v1/public/symbols");
    let public = public.data();
    assert_eq!(operator.data("symbol list"), public);
    assert_eq!(public[1], changed);
    assert_eq!((&made["tick"], &made["min_notional"]), (&json!("0.05"), &json!("10.00")));
    assert_eq!((&changed["maker_fee_ppm"], &changed["taker_fee_ppm"]), (&json!(20), &json!(500)));
    operator.ask("symbol add ETHUSDT --tick 1 --lot 1").refused(2, &["BASE_QUOTE"]);

    let key = operator.key_of(1001);
    let place = || operator.as_owner(&key, "POST", ORDER, &order("1")).status;
    assert_eq!(operator.ask("halt BTC_USDT").done(), "symbol    status\nBTC_USDT  HALTED\n");
    assert_eq!(place(), 409);
    operator.ask("resume BTC_USDT").done();
    assert_eq!(place(), 202);
    operator.ask("halt ETH_USDT").done();
    // What is stopped already is left as it is.
    let stopped = operator.data("halt --all --cancel-only");
    assert_eq!(names(&stopped, "symbol"), ["BTC_USDT"]);
    assert_eq!(names(&operator.data("symbol list"), "status"), ["CANCEL_ONLY", "HALTED"]);
    assert_eq!(names(&operator.data("halt --all"), "symbol"), ["BTC_USDT"]);
    // One that is refused does not keep the others from it.
    let partly = operator.ask("resume NO_PE BTC_USDT ETH_USDT");
    assert_eq!(partly.out, "symbol    status\nBTC_USDT  TRADING\nETH_USDT  TRADING\n");
    partly.refused(1, &["NO_PE", "1004", "symbol"]);
    assert_eq!(place(), 202);
}

#[test]
fn a_symbol_is_added_where_it_is_asked_to_be() {
    let operator = Operator::with_market();
    let shards = operator.look("/api/v1/admin/shards").as_array().expect("shards").len();
    assert!(shards > 1, "its number alone would put the second symbol on shard 1");
    let nowhere = operator.ask(&format!("symbol add USDT_BTC --tick 1 --lot 1 --shard {shards}"));
    nowhere.refused(1, &["shard: must be an integer from 0 to"]);
    let placed = operator.data("symbol add USDT_BTC --tick 0.1 --lot 0.1 --shard 0");
    assert_eq!(placed["shard"], json!(0));
    let listed = operator.ask("symbol list").done();
    let heads = listed.lines().next().expect("a line of heads");
    assert!(heads.ends_with("shard"), "{listed}");
}

#[test]
fn a_payment_is_paid_once() {
    let operator = Operator::with_market();
    let key = operator.key_of(1001);
    for _ in 0..2 {
        let paid = operator.data("deposit 1001 USDT 250.50 --ref wire-1");
        assert_eq!((&paid["avail"], &paid["ref"]), (&json!("1250.50"), &json!("wire-1")));
    }
    let made = operator.ask("deposit 1001 BTC 0.5");
    let said = made.err.split("--ref ").nth(1).expect("a name").trim().to_owned();
    assert!(made.done().contains(&format!("ref     {said}\n")));
    operator.ask(&format!("deposit 1001 BTC 0.5 --ref {said}")).done();
    assert_eq!(operator.avail(&key, "BTC"), "0.50000000");
    for _ in 0..2 {
        operator.ask("withdraw pay 1001 USDT 50.50 --ref out-1").done();
    }
    assert_eq!(operator.avail(&key, "USDT"), "1200.00");
    let balances = operator.ask("user balances 1001").done();
    assert!(balances.contains("USDT      1200.00        0.00     1200.00\n"), "{balances}");
}

#[test]
fn what_users_ask_for_is_confirmed_or_rejected() {
    let operator = Operator::with_market();
    let key = operator.key_of(1001);
    let path = "/api/v1/withdrawals";
    for (reference, to) in [("w-1", "bank\u{1b}[31m 1"), ("w-2", "bank 2")] {
        let body = json!({"asset":"USDT","amount":"100","ref":reference,"to":to}).to_string();
        assert_eq!(operator.as_owner(&key, "POST", path, &body).status, 202);
    }
    let waiting = operator.ask("withdraw list").done();
    assert!(waiting.contains("100.00  PENDING"), "{waiting}");
    assert!(waiting.contains("bank\\u{1b}[31m 1") && !waiting.contains('\u{1b}'), "{waiting}");
    assert_eq!(operator.data("withdraw list").as_array().map(Vec::len), Some(2));
    assert_eq!(operator.data("withdraw confirm 1001 w-1")["status"], "CONFIRMED");
    assert_eq!(operator.data("withdraw reject 1001 w-2")["status"], "REJECTED");
    // The same end again is none.
    assert_eq!(operator.data("withdraw confirm 1001 w-1")["status"], "CONFIRMED");
    let told = operator.ask("withdraw confirm 1001 w-2 --json").error(1);
    assert_eq!(told["code"], 4004);
    assert_eq!(operator.avail(&key, "USDT"), "900.00");
    let seen = operator.as_owner(&key, "GET", path, "").data();
    let seen: Vec<_> = names(&seen, "ref").into_iter().zip(names(&seen, "status")).collect();
    let expected = [("w-2", "REJECTED"), ("w-1", "CONFIRMED")];
    assert_eq!(seen, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(operator.data("withdraw list"), json!([]));
    assert_eq!(operator.data("withdraw list --user 1001").as_array().map(Vec::len), Some(2));
}

#[test]
fn orders_are_canceled_and_connections_ended() {
    let operator = Operator::with_market();
    let [one, other] = [1001, 1002].map(|user| operator.key_of(user));
    for (key, price) in [(&one, "1"), (&one, "2"), (&other, "3")] {
        assert_eq!(operator.as_owner(key, "POST", ORDER, &order(price)).status, 202);
    }
    let open = |key| operator.as_owner(key, "GET", "/api/v1/orders", "").data();
    operator.ask("cancel").refused(2, &["--user", "--all"]);
    assert_eq!(operator.data("cancel --user 1001"), json!({"canceled": 2}));
    assert_eq!((open(&one), open(&other).as_array().map(Vec::len)), (json!([]), Some(1)));
    assert_eq!(operator.ask("cancel --all").done(), "orders canceled: 1\n");
    assert_eq!(open(&other), json!([]));

    let mut stream = connect(operator.production.server.shard_port(1)).expect("connected");
    stream.write_all(b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let open = || {
        let listed = operator.data("session list --kind event_stream");
        listed["sessions"][0]["session_id"].as_str().map(str::to_owned)
    };
    let session = wait_for("the stream to be listed", LIMIT, open);
    assert!(operator.ask("session list").done().contains(&session));
    operator.ask(&format!("session end {session}")).done();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("to its end");
    assert!(rest.contains("administrator"), "{rest}");
    operator.ask(&format!("session end {session}")).refused(1, &["1006"]);
}

#[test]
fn the_machine_is_looked_at() {
    let operator = Operator::with_market();
    let proof = operator.data("proof");
    assert_eq!(names(&proof, "asset"), ["BTC", "USDT"]);
    assert_eq!((&proof[1]["deposits"], &proof[1]["balanced"]), (&json!("2000.00"), &json!(true)));
    assert!(operator.ask("proof").done().contains("USDT      2000.00"));
    let shards = operator.data("shards");
    assert_eq!(shards.as_array().map(Vec::len), Some(2));
    assert_eq!(operator.ask("shards").done().lines().count(), 3);
    assert_eq!(operator.data("snapshot").as_array().map(Vec::len), Some(2));
    let made = || operator.look("/api/v1/admin/snapshots")[0]["made"].as_u64().filter(|&n| n > 0);
    let before = wait_for("a snapshot", LIMIT, made);
    operator.ask("user add --id 1003").done();
    let credential = operator.production.credential.display().to_string();
    let url = operator.production.server.url();
    let now = ["snapshot", "now", "--url", &url, "--credential-file", &credential];
    let waited = server::run(&now);
    assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
    assert!(made().expect("some") > before, "it has waited for another one");
    assert_eq!(server::run(&now[..4]).status.code(), Some(1), "nobody in particular may not");
    let trail = operator.data("audit --type admin --limit 3");
    assert_eq!(names(&trail["items"], "action")[..2], ["snapshot", "user.create"]);
    assert!(operator.ask("audit --type admin").done().contains("asset.create"));
}

#[test]
fn the_first_administrator_is_written_down_for_its_owner_only() {
    let operator = Operator::new();
    let credential = &operator.production.credential;
    let mode = std::fs::metadata(credential).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(credential).expect("read");
    let (data, secret) = (server::directory(), operator.production.path("secret"));
    let path = |path: &std::path::Path| path.display().to_string();
    let words = |file: &str| {
        let words = ["init", "--data", &path(data.path()), "--secret-file", &path(&secret)];
        run(&[], "", &[&words[..], &["--shards", "1", "--credential-file", file]].concat())
    };
    words(&path(credential)).refused(1, &["credential-file", "exists"]);
    assert_eq!(std::fs::read(credential).expect("read"), before);
    let new = operator.production.path("another");
    let said = words(&path(&new)).done();
    let key = read_key(&new);
    assert!(said.contains(&key.id) && !said.contains(&key.secret), "{said}");
}

//! What does not go says why, with the right exit code, and nothing is done twice.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use serde_json::json;

use super::operator::{Ended, Operator, run};
use crate::support::production::Production;
use crate::support::{LIMIT, server, wait_for};

#[test]
fn who_is_not_the_administrator_is_refused() {
    let operator = Operator::with_market();
    let (url, key) = (operator.production.server.url(), operator.own_key());
    let ask = |key: &str, secret: &str, words: &[&str]| {
        let environment =
            [("RINGBOOK_URL", &*url), ("RINGBOOK_API_KEY", key), ("RINGBOOK_API_SECRET", secret)];
        run(&environment, "", words)
    };
    ask(&key.id, &key.secret, &["user", "list"]).done();
    let thief = "0".repeat(64);
    let list = ["user", "list", "--json"];
    let told = ask(&key.id, &thief, &list).error(1);
    assert_eq!((&told["code"], &told["field"]), (&json!(2002), &json!("X-API-KEY")));
    ask(&key.id, &thief, &["user", "list"]).refused(1, &["2002", "AUTH_FAILED", "X-API-KEY"]);
    let user = operator.key_of(1001);
    assert_eq!(ask(&user.id, &user.secret, &list).error(1)["code"], 2003);
    // A production server does not believe the development header.
    assert_eq!(run(&[("RINGBOOK_URL", &url)], "", &list).error(1)["code"], 2002);

    let half = [("RINGBOOK_URL", &*url), ("RINGBOOK_API_KEY", &*key.id)];
    run(&half, "", &list).error(2);
    let told = ask(&key.id, "hush", &["user", "list"]);
    assert!(!told.err.contains("hush"), "{told:?}");
    told.refused(2, &["RINGBOOK_API_SECRET"]);
    let far = run(&[("RINGBOOK_URL", "http://192.0.2.1:8080")], "", &list);
    assert!(far.error(2)["message"].as_str().unwrap().contains("loopback"));
}

#[test]
fn a_credential_that_others_may_read_is_refused() {
    let operator = Operator::new();
    let file = &operator.production.credential;
    let permit = |mode| {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    for mode in [0o640, 0o604, 0o666] {
        permit(mode);
        operator.ask("shards").refused(2, &["credential-file", "chmod 600"]);
    }
    permit(0o400);
    operator.ask("shards").done();
    std::fs::remove_file(file).expect("removed");
    operator.ask("shards").refused(2, &["credential-file", "cannot read"]);
}

#[test]
fn a_refusal_names_the_field() {
    let operator = Operator::with_market();
    for (words, code, field) in [
        ("deposit 1001 USDT 1.001 --ref a", json!(1001), "amount"),
        ("deposit 1001 DOGE 1 --ref a", json!(1001), "asset"),
        ("symbol set BTC_USDT --min-qty 0.00001", json!(1001), "min_qty"),
        ("user set 1001 --orders-per-second 2000000", json!(1001), "orders_per_second"),
        (
            "key add --user 1001 --name x --permissions read --addresses no",
            json!("bad_params"),
            "addresses[0]",
        ),
        ("withdraw confirm 1001 none", json!(1006), "ref"),
    ] {
        let told = operator.ask(&format!("{words} --json")).error(1);
        assert_eq!(told["code"], code, "{words}: {told}");
        let message = told["message"].as_str().expect("text");
        assert!(message.contains(field), "{words}: {told}");
        assert_eq!(told["field"], field, "{words}: {told}");
        let code = code.as_str().map_or_else(|| code.to_string(), str::to_owned);
        operator.ask(words).refused(1, &[field, &code]);
    }
    let told = operator.ask_with("user set 1001 --password --json", "short\n").error(1);
    assert_eq!(told["field"], "password");
}

#[test]
fn a_password_is_no_argument() {
    let operator = Operator::with_market();
    for words in
        ["user set 1001 --password=correct-horse", "user set 1001 --password correct-horse"]
    {
        operator.ask(words).refused(2, &["Usage"]);
    }
    operator.ask("user set 1001").refused(2, &["--password"]);
    operator.ask_with("user set 1001 --password", "").refused(2, &["password", "stdin"]);
    assert_eq!(operator.data("user show 1001")["has_password"], false);
}

#[test]
fn a_server_that_is_gone_is_told_from_one_that_refuses() {
    let mut operator = Operator::new();
    operator.ask("shards").done();
    operator.production.server.kill();
    // While the kernel still closes the port the connection may be made, and lost.
    operator.ask("shards").refused(3, &["ringbook: no ", &operator.production.server.url()]);
    assert_eq!(operator.ask("shards --json").error(3)["error"], "unreached");
    // Nothing was sent, and the name is there to try again.
    let told = operator.ask("deposit 1001 USDT 1 --ref r-7 --json").error(3);
    assert_eq!(told["ref"], "r-7");
}

/// Something on a port that answers each connection's first request with these bytes and closes, and
/// tells what it was asked.
fn impostor(answers: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (asked, questions) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut buffer = [0; 4_096];
            let count = stream.read(&mut buffer).expect("a request");
            let _ = asked.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
            stream.write_all(answer.as_bytes()).expect("answered");
        }
        drop(listener);
    });
    (url, questions)
}

fn deposit(url: &str) -> Ended {
    run(&[("RINGBOOK_URL", url)], "", &["deposit", "1001", "USDT", "1"])
}

const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 48\r\n\r\n\
        {\"code\":5001,\"msg\":\"UNAVAILABLE: x\",\"data\":null}";

#[test]
fn a_payment_is_never_sent_again_by_itself() {
    // Lost after it was sent: it may be paid.
    let (url, questions) = impostor(&["", ""]);
    let lost = deposit(&url);
    let reference = lost.err.split("--ref ").nth(1).expect("a name").split_whitespace().next();
    let reference = reference.expect("a name").to_owned();
    lost.refused(3, &["not known", "try the same payment again"]);
    assert!(questions.recv().expect("asked once").contains(&reference));
    assert!(questions.try_recv().is_err(), "asked twice");
    // Refused because the server is busy: whoever asked decides.
    let (url, questions) = impostor(&[BUSY, BUSY]);
    deposit(&url).refused(1, &["5001"]);
    assert!(questions.recv().is_ok() && questions.try_recv().is_err(), "asked twice");
}

#[test]
fn what_can_be_repeated_waits_for_a_busy_server() {
    const HALTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 68\r\n\r\n\
        {\"code\":0,\"msg\":\"ok\",\"data\":{\"symbol\":\"BTC_USDT\",\"status\":\"HALTED\"}}";
    let (url, questions) = impostor(&[BUSY, BUSY, HALTED]);
    let told = run(&[("RINGBOOK_URL", &url)], "", &["halt", "BTC_USDT"]).done();
    assert_eq!(told, "symbol    status\nBTC_USDT  HALTED\n");
    assert_eq!(questions.iter().count(), 3);
}

#[test]
fn what_is_no_ringbook_is_told_so() {
    for answer in [
        &["HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<html"][..],
        &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"],
        &["SSH-2.0-OpenSSH_9\r\n\r\n"],
    ] {
        let (url, _questions) = impostor(answer);
        run(&[("RINGBOOK_URL", &url)], "", &["shards"]).refused(3, &["ringbook: "]);
    }
}

#[test]
fn https_wants_a_certificate_that_it_is_told_to_trust() {
    let directory = server::directory();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (certificate, key) = (path("certificate.pem"), path("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    std::fs::write(path("other.pem"), other.cert.pem()).expect("written");
    let other = path("other.pem");
    let more = ["--tls-certificate", &*certificate, "--tls-key", &*key];
    let mut production = Production::prepare(directory, 2, &more);
    production.server.spawn();
    wait_for("the server to listen", LIMIT, || {
        assert!(production.server.is_running(), "{}", production.server.log());
        production.server.log().contains("listening on https://").then_some(())
    });
    let credential = production.credential.display().to_string();
    let ask = |host: &str, more: &[&str]| {
        let url = format!("https://{host}:{}", production.server.port);
        let environment = [("RINGBOOK_CREDENTIAL_FILE", &*credential)];
        run(&environment, "", &[&["user", "list", "--json", "--url", &url], more].concat())
    };
    let mut listed = ask("localhost", &["--ca", &certificate]);
    // It listens before it is ready.
    wait_for("the server to be ready", LIMIT, || {
        listed = ask("localhost", &["--ca", &certificate]);
        (listed.code != 1).then_some(())
    });
    assert_eq!(listed.data()[0]["role"], "ADMIN");
    ask("localhost", &["--ca", &other]).error(3);
    ask("127.0.0.1", &["--ca", &certificate]).error(3);
    ask("localhost", &["--ca", &credential]).error(2);
    let plain = format!("http://localhost:{}", production.server.port);
    let environment = [("RINGBOOK_CREDENTIAL_FILE", &*credential)];
    let words = ["shards", "--url", &plain];
    run(&environment, "", &[&words[..], &["--ca", &certificate]].concat()).refused(2, &["ca: "]);
    assert_eq!(run(&environment, "", &words).code, 3);
}

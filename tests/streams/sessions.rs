//! Who is connected, and ending it.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Heard, Stream};
use crate::support::exchange::{Exchange, FIRST_USER, number, word};
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::websocket::Socket;
use crate::support::{LIMIT, wait_for};

/// The close code of who is not wanted.
const POLICY: u16 = 1008;
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn list(admin: &mut Client, query: &str) -> Value {
    admin.get(&format!("/api/v1/admin/sessions{query}")).data()
}

/// The one session that is asked for.
#[track_caller]
fn only(admin: &mut Client, query: &str) -> Value {
    let listed = list(admin, query);
    let sessions = listed["sessions"].as_array().expect("sessions");
    assert_eq!(sessions.len(), 1, "{query}: {listed}");
    sessions[0].clone()
}

fn path(session: &Value) -> String {
    format!("/api/v1/admin/sessions/{}", word(&session["session_id"]))
}

#[test]
fn connections_are_listed_and_ended_from_any_shard() {
    let exchange = Exchange::open(2, 2);
    let (here, there) = (exchange.server.shard_port(0), exchange.server.shard_port(1));
    let (user, other) = (FIRST_USER, FIRST_USER + 1);
    let mut admins = [Client::admin(here), Client::admin(there)];
    // Those of the beginning are gone once only these two are there.
    let before = wait_for("two connections", LIMIT, || {
        admins[1].get("/healthz");
        let listed = list(&mut admins[0], "");
        (listed["total"] == 2).then_some(listed["counts"].clone())
    });
    assert_eq!(before["HTTP"], 2, "{before}");

    let mut socket = Socket::user(here, user);
    let mut stream = Stream::user(there, other);
    stream.hear(Duration::from_secs(10));
    let mut rpc = Socket::open(here, &format!("/user-data?user_id={user}"));
    rpc.send(r#"{"method":"account.info","id":1}"#);
    assert_eq!(rpc.next()["result"]["user_id"], user);
    let nobody = Socket::anonymous(there);
    for admin in &mut admins {
        let listed = list(admin, "");
        assert_eq!(listed["total"], 6, "{listed}");
        assert_eq!(listed["sessions"].as_array().expect("sessions").len(), 6);
        let wanted = json!({"HTTP": 2, "WS": 2, "RPC_ORDERS": 0, "RPC_MARKET_DATA": 0, "RPC_USER_DATA": 1,
            "EVENT_STREAM": 1});
        assert_eq!(listed["counts"], wanted);
        let shown = only(admin, &format!("?kind=WS&user_id={user}"));
        assert_eq!(
            (&shown["shard"], &shown["address"]),
            (&json!(0), &json!("127.0.0.1")),
            "{shown}"
        );
        assert!(number(&shown["opened_at"]) > 1_700_000_000_000, "{shown}");
        assert_eq!(admin.get(&path(&shown)).data(), shown);
        let streaming = only(admin, "?kind=EVENT_STREAM");
        assert_eq!((&streaming["shard"], &streaming["user_id"]), (&json!(1), &json!(other)));
        assert_eq!(list(admin, "?user_id=1001")["sessions"].as_array().expect("sessions").len(), 2);
        assert_eq!(list(admin, "?limit=3")["sessions"].as_array().expect("sessions").len(), 3);
        assert_eq!(list(admin, "?limit=3")["total"], 6);
        assert_eq!(admin.get("/api/v1/admin/sessions?kind=ws").error(), (400, 1001));
        assert_eq!(admin.get("/api/v1/admin/sessions/xyz").error(), (400, 1001));
        assert_eq!(admin.get("/api/v1/admin/sessions/7fffffffffff").error(), (404, 1006));
    }
    let as_user = Client::user(here, user).get("/api/v1/admin/sessions").error();
    assert_eq!(as_user, (403, 2003));

    // Each is ended from the shard that does not have it.
    let session = only(&mut admins[1], &format!("?kind=WS&user_id={user}"));
    assert_eq!(admins[1].call("DELETE", &path(&session), "").data(), session);
    assert_eq!(socket.read_to_close(Duration::from_secs(10)).1, Some(POLICY));
    expect_gone(&mut admins[1], &session);
    let session = only(&mut admins[0], "?kind=EVENT_STREAM");
    assert_eq!(admins[0].call("DELETE", &path(&session), "").data(), session);
    let Heard::Event(last) = stream.hear(Duration::from_secs(10)) else { panic!("no reason") };
    assert_eq!((last.kind.as_str(), &last.data["error"]), ("error", &json!("unavailable")));
    assert_eq!(stream.hear(Duration::from_secs(10)), Heard::End);
    expect_gone(&mut admins[0], &session);
    let session = only(&mut admins[1], "?kind=RPC_USER_DATA");
    assert_eq!(admins[1].call("DELETE", &path(&session), "").data(), session);
    assert_eq!(rpc.read_to_close(Duration::from_secs(10)).1, Some(POLICY));
    expect_gone(&mut admins[1], &session);
    drop(nobody);
    wait_for("as many as before", LIMIT, || {
        (list(&mut admins[0], "")["counts"] == before).then_some(())
    });

    // Plain HTTP is cut off.
    let mut raw = Raw::open(here);
    assert_eq!(raw.send(HEALTH).answer().status, 200);
    let listed = list(&mut admins[0], "?kind=HTTP");
    let sessions = listed["sessions"].as_array().expect("sessions");
    let newest = sessions.iter().filter(|session| session["shard"] == 0);
    let newest = newest.max_by_key(|session| number(&session["opened_at"])).expect("one");
    admins[1].call("DELETE", &path(newest), "").data();
    raw.expect_closed();
    expect_gone(&mut admins[1], newest);
}

/// Panics unless a session that was ended is soon no more.
#[track_caller]
fn expect_gone(admin: &mut Client, session: &Value) {
    wait_for("the session to be gone", LIMIT, || {
        (admin.get(&path(session)).status == 404).then_some(())
    });
    assert_eq!(admin.call("DELETE", &path(session), "").error(), (404, 1006));
}

/// A connection that has been answered for the last time stays listed until its client has gone. To end
/// it must not end another one that came behind it.
#[test]
fn to_end_what_has_ended_ends_nobody_else() {
    let exchange = Exchange::open(2, 1);
    let port = exchange.server.shard_port(0);
    let mut admin = Client::admin(exchange.server.shard_port(1));
    wait_for("one connection", LIMIT, || (list(&mut admin, "")["total"] == 1).then_some(()));
    let mut ended = Raw::open(port);
    ended.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(ended.answer().status, 200);
    let listed = list(&mut admin, "?kind=HTTP");
    let sessions = listed["sessions"].as_array().expect("sessions");
    // It may be gone already, then there is nothing to be mixed up.
    let Some(lingering) = sessions.iter().find(|session| session["shard"] == 0) else { return };
    let mut other = Raw::open(port);
    assert_eq!(other.send(HEALTH).answer().status, 200);
    admin.call("DELETE", &path(lingering), "");
    assert_eq!(other.send(HEALTH).answer().status, 200);
}

#[test]
fn the_user_with_number_0_is_somebody() {
    let exchange = Exchange::open(2, 0);
    let mut admin = exchange.admin();
    admin.post("/api/v1/admin/users", r#"{"user_id":0}"#).data();
    let _socket = Socket::user(exchange.server.port, 0);
    assert_eq!(only(&mut admin, "?kind=WS")["user_id"], 0);
    assert_eq!(only(&mut admin, "?user_id=0")["kind"], "WS");
}

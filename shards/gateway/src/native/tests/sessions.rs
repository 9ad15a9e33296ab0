//! Open connections, as administrators see them.

use super::{Answered, Exchange};

const OPEN: &str = concat!(
    r#"{"session_id":"20000000000002a","shard":1,"kind":"WS","user_id":1001,"#,
    r#""address":"127.0.0.1","opened_at":"#
);

fn admin(exchange: &mut Exchange, method: &str, path: &str) -> Answered {
    exchange.call(method, path, "X-Admin-Token: dev-admin\r\n", "")
}

#[test]
fn connections_are_counted_and_listed() {
    let mut exchange = Exchange::open();
    let all = admin(&mut exchange, "GET", "/api/v1/admin/sessions").body;
    assert!(all.contains(r#""total":1,"counts":{"HTTP":0,"WS":1,"RPC_ORDERS":0,"#), "{all}");
    assert!(all.contains(OPEN), "{all}");
    for (query, is_listed) in [
        ("user_id=1001", true),
        ("user_id=1002", false),
        ("kind=WS", true),
        ("kind=EVENT_STREAM", false),
    ] {
        let path = format!("/api/v1/admin/sessions?{query}");
        assert_eq!(admin(&mut exchange, "GET", &path).body.contains(OPEN), is_listed, "{query}");
    }
    let bad = admin(&mut exchange, "GET", "/api/v1/admin/sessions?kind=CARRIER_PIGEON").body;
    assert!(bad.contains("INVALID_PARAMETER: kind: must be"), "{bad}");
}

#[test]
fn one_connection_is_looked_at_and_ended_by_its_id() {
    let mut exchange = Exchange::open();
    for method in ["GET", "DELETE"] {
        let path = "/api/v1/admin/sessions/20000000000002a";
        assert!(admin(&mut exchange, method, path).body.contains(OPEN));
    }
    let gone = admin(&mut exchange, "DELETE", "/api/v1/admin/sessions/2b").body;
    assert!(gone.contains("NOT_FOUND: session_id: no such session is open"), "{gone}");
    let bad = admin(&mut exchange, "DELETE", "/api/v1/admin/sessions/xyz").body;
    assert!(bad.contains("INVALID_PARAMETER: session_id: must be hexadecimal"), "{bad}");
    let stranger = exchange.call("GET", "/api/v1/admin/sessions", "", "");
    assert_eq!(stranger.status, 401, "{}", stranger.body);
}

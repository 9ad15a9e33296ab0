//! What the audit trail of the real server holds: who did what, from where, with which result.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::http::Client;
use support::server::{Options, Server};

const USER: u64 = 1001;

/// Every record that is in the files, of all types.
fn records(data: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for kind in ["auth", "order", "admin", "key"] {
        let directory = data.join("audit").join(kind);
        for entry in std::fs::read_dir(&directory).expect("a directory of the trail") {
            let path = entry.expect("an entry").path();
            // What is closed may be compressed; what this test writes is in open files.
            if path.extension().is_some_and(|extension| extension == "ndjson") {
                let text = std::fs::read_to_string(&path).expect("a file of the trail");
                found.extend(text.lines().map(|line| serde_json::from_str(line).expect("JSON")));
            }
        }
    }
    found.sort_by_key(|record: &Value| record["at"].as_u64());
    found
}

fn open() -> Server {
    let mut options = Options::shards(2);
    options.arguments.push("--audit".to_owned());
    let server = Server::start(options);
    let mut admin = Client::admin(server.port);
    for (path, body) in [
        ("assets", json!({"asset":"BTC","decimals":8})),
        ("assets", json!({"asset":"USDT","decimals":2})),
        (
            "symbols",
            json!({"symbol":"BTC_USDT","base":"BTC","quote":"USDT","tick":"0.01","lot":"0.0001"}),
        ),
        ("users", json!({"user_id":USER})),
        ("deposits", json!({"user_id":USER,"asset":"USDT","amount":"1000","ref":"a"})),
    ] {
        admin.post(&format!("/api/v1/admin/{path}"), &body.to_string()).data();
    }
    server
}

fn order(price: &str, cid: &str) -> String {
    json!({"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":price,"qty":"1","cid":cid})
        .to_string()
}

/// All of it is there once the server has ended on purpose: also what was done last.
#[test]
fn what_was_done_until_the_end_is_in_the_files() {
    const ORDERS: usize = 200;
    let mut server = open();
    for number in 0..ORDERS {
        let mut client = Client::user(server.shard_port(number as u16 % 2), USER);
        let answer = client.post("/api/v1/create_order", &order("1", &format!("c-{number}")));
        assert_eq!(answer.status, 202, "{answer}");
    }
    let mut client = Client::user(server.port, USER);
    assert_eq!(client.post("/api/v1/create_order", &order("9999", "dear")).status, 400);
    assert!(server.stop().success());
    let records = records(server.data());
    let of = |action: &str| {
        records.iter().filter(|record| record["action"] == action).collect::<Vec<_>>()
    };
    let placed = of("order.place");
    assert_eq!(placed.len(), ORDERS + 1, "{:?}", placed.last());
    for number in 0..ORDERS {
        let cid = format!("c-{number}");
        let record = placed.iter().find(|record| record["cid"] == cid).expect("each order once");
        assert_eq!(record["user"], USER);
        assert_eq!(record["symbol"], "BTC_USDT");
        assert_eq!((&record["price"], &record["qty"]), (&json!("1.00"), &json!("1.00000000")));
        assert_eq!((&record["status"], &record["actor"]), (&json!(202), &json!("development")));
        assert_eq!(record["address"], "127.0.0.1");
    }
    let refused = placed.iter().find(|record| record["cid"] == "dear").expect("refused ones too");
    assert_eq!(
        (&refused["status"], &refused["code"]),
        (&json!(400), &json!("INSUFFICIENT_BALANCE"))
    );
    for (action, count) in [("symbol.create", 1), ("asset.create", 2), ("user.create", 1)] {
        assert_eq!(of(action).len(), count, "{action}: {records:?}");
    }
}

/// The routes and the metrics see what was just done.
#[test]
fn what_was_just_done_is_found_and_counted() {
    let server = open();
    let mut client = Client::user(server.shard_port(1), USER);
    assert_eq!(client.post("/api/v1/create_order", &order("1", "here")).status, 202);
    let mut admin = Client::admin(server.shard_port(0));
    let found = admin.get("/api/audit/logs?type=order&user=1001").json();
    assert_eq!(found["items"][0]["cid"], "here", "{found}");
    let metrics = admin.get("/metrics");
    let number = |name: &str| {
        let line = metrics.text().lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name}: {}", metrics.text()));
        line.rsplit(' ').next().and_then(|text| text.parse::<f64>().ok()).expect("a number")
    };
    let of = |name: &str, kind: &str| {
        number(&format!("ringbook_audit_{name}{{shard=\"0\",type=\"{kind}\"}}"))
    };
    assert_eq!(of("records_total", "order"), 1.0);
    assert!(of("records_total", "admin") >= 5.0);
    assert!(of("bytes_total", "order") > 100.0);
    assert_eq!(of("records_dropped_total", "order"), 0.0);
    assert_eq!(number("ringbook_audit_failing{"), 0.0);
}

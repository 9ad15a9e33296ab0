//! Whether an answer is whole HTTP with the body that it announces.

use gateway::http::Persistence;
use serde_json::Value;

/// Fails unless it is. `is_head`: it answers a HEAD. The connection must be told of its end when the
/// client or the server wants one.
pub fn check_answer(answer: &[u8], is_head: bool, persistence: Persistence) {
    let text = std::str::from_utf8(answer).expect("an answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status");
    let status: u16 = status[..3].parse().expect("a status is a number");
    assert!((200..=505).contains(&status), "{status}");
    let fields: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(": ").expect("a header has a value")).collect();
    let field = |name: &str| {
        let mut found = fields.iter().filter(|field| field.0 == name);
        let value = found.next().map(|field| field.1);
        assert!(found.next().is_none(), "{name} twice: {head}");
        value
    };
    assert!(!head.contains('\0') && fields.iter().all(|field| !field.1.contains(['\r', '\n'])));
    match persistence {
        Persistence::Close => assert_eq!(field("connection"), Some("close"), "{head}"),
        Persistence::KeepAlive => assert_eq!(field("connection"), None, "{head}"),
        Persistence::KeepAliveTold => assert_eq!(field("connection"), Some("keep-alive"), "{head}"),
    }
    if status == 204 {
        assert!(field("content-length").is_none() && body.is_empty(), "{text}");
        return;
    }
    let length: usize = field("content-length").and_then(|text| text.parse().ok()).expect("length");
    assert_eq!(body.len(), if is_head { 0 } else { length }, "{text}");
    if !is_head && field("content-type") == Some("application/json") {
        check_envelope(status, body);
    }
}

fn check_envelope(status: u16, body: &str) {
    let json: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    if json.get("code").is_none() {
        return check_desk(status, &json);
    }
    let code = json["code"].as_u64().expect("an envelope has a code");
    assert_eq!(code == 0, status < 400, "{body}");
    assert_eq!(json["msg"] == "ok", code == 0, "{body}");
    assert!(code == 0 || json["data"].is_null(), "{body}");
    assert_eq!(json.as_object().map(|fields| fields.len()), Some(3), "{body}");
    // A defect of the server, told as one.
    assert_ne!(code, 5000, "{body}");
}

/// The desk dialect has no envelope; its errors say which one and why.
fn check_desk(status: u16, json: &Value) {
    let is_error = json["error"].is_string() && json["message"].is_string();
    assert_eq!(is_error, status >= 400, "{json}");
    assert_ne!(json["error"], "INTERNAL", "{json}");
}

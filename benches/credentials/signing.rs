//! Orders with each credential, built before they are sent.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::servers::{Server, Servers, USERS};

const PATH: &str = "/api/v1/create_order";
const PASSWORD: &str = "correct horse";
/// How an order says whose it is.
#[derive(Clone, Copy, PartialEq)]
pub enum Credential {
    Development,
    Hmac,
    Jwt,
    Ed25519,
    /// A WebSocket that has logged in.
    Session,
}

impl Credential {
    pub const ALL: [Credential; 5] = [
        Credential::Development,
        Credential::Hmac,
        Credential::Jwt,
        Credential::Ed25519,
        Credential::Session,
    ];

    pub fn row(self) -> &'static str {
        match self {
            Credential::Development => "development",
            Credential::Hmac => "hmac",
            Credential::Jwt => "jwt",
            Credential::Ed25519 => "ed25519",
            Credential::Session => "session",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Credential::Development => "development header",
            Credential::Hmac => "HMAC-SHA256",
            Credential::Jwt => "JWT",
            Credential::Ed25519 => "Ed25519",
            Credential::Session => "WebSocket session",
        }
    }
}

/// What one user has on one server.
struct Keys {
    hmac_id: String,
    hmac: hmac::Key,
    ed25519_id: String,
    ed25519: Ed25519KeyPair,
    token: String,
}

/// What all users have.
pub struct Signer {
    plain: Vec<Keys>,
    secure: Vec<Keys>,
}

impl Signer {
    /// Makes keys and sessions.
    pub fn open(servers: &Servers) -> Signer {
        let keys = |server: &Server| (1..=USERS).map(|user| Keys::make(server, user)).collect();
        Signer { plain: keys(&servers.plain), secure: keys(&servers.secure) }
    }

    fn keys(&self, is_tls: bool, connection: usize) -> (u64, &Keys) {
        let place = connection % USERS as usize;
        (place as u64 + 1, if is_tls { &self.secure[place] } else { &self.plain[place] })
    }

    /// What a connection says once, before its orders.
    pub fn login(
        &self,
        credential: Credential,
        is_tls: bool,
        connection: usize,
    ) -> Option<Vec<u8>> {
        let (_, keys) = self.keys(is_tls, connection);
        let message =
            json!({"method": "auth.jwt", "params": {"token": keys.token}, "id": 0}).to_string();
        (credential == Credential::Session).then(|| frame(message.as_bytes()))
    }

    /// One order: a connection buys what the next one sells.
    pub fn order(
        &self,
        credential: Credential,
        is_tls: bool,
        connection: usize,
        cid: u64,
    ) -> Vec<u8> {
        let (user, keys) = self.keys(is_tls, connection);
        let side = if connection.is_multiple_of(2) { "BUY" } else { "SELL" };
        let body = format!(
            r#"{{"symbol":"BTC_USDT","side":"{side}","type":"LIMIT","price":"50000","qty":"0.001","cid":"c-{cid}"}}"#
        );
        let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let signed = format!("{at_ms}POST{PATH}{body}");
        let headers = match credential {
            Credential::Development => format!("X-User-ID: {user}\r\n"),
            Credential::Hmac => {
                let tag = hmac::sign(&keys.hmac, signed.as_bytes());
                signature_headers(&keys.hmac_id, at_ms, tag.as_ref())
            }
            Credential::Ed25519 => {
                let tag = keys.ed25519.sign(signed.as_bytes());
                signature_headers(&keys.ed25519_id, at_ms, tag.as_ref())
            }
            Credential::Jwt => format!("Authorization: Bearer {}\r\n", keys.token),
            Credential::Session => {
                let message = format!(
                    r#"{{"method":"order.place","params":{{"symbol":"BTC_USDT","side":"{side}","type":"LIMIT","price":"50000","quantity":"0.001","client_order_id":"c-{cid}"}},"id":{cid}}}"#
                );
                return frame(message.as_bytes());
            }
        };
        request("POST", PATH, &headers, &body)
    }
}

impl Keys {
    fn make(server: &Server, user: u64) -> Keys {
        let header = format!("X-User-ID: {user}\r\n");
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a pair");
        let ed25519 = Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a pair");
        let key = |more: Value| {
            let mut body = json!({"name": "bench", "permissions": ["read", "trade"]});
            for (name, value) in more.as_object().expect("an object") {
                body[name] = value.clone();
            }
            call(server, "POST", "/api/auth/keys", &header, &body)
        };
        let made = key(json!({}));
        let public = key(json!({"public_key": hex(ed25519.public_key().as_ref())}));
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let path = format!("/api/v1/admin/users/{user}");
        let password = json!({"password": PASSWORD});
        call(server, "PATCH", &path, "X-Admin-Token: dev-admin\r\n", &password);
        let login = json!({"user_id": user, "password": PASSWORD});
        let login = call(server, "POST", "/api/auth/login", "", &login);
        Keys {
            hmac_id: text(&made["api_key"]),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, text(&made["api_secret"]).as_bytes()),
            ed25519_id: text(&public["api_key"]),
            ed25519,
            token: text(&login["access_token"]),
        }
    }
}

/// Asks something once, over a connection of its own.
fn call(server: &Server, method: &str, path: &str, headers: &str, body: &Value) -> Value {
    let headers = format!("{headers}Connection: close\r\n");
    let request = request(method, path, &headers, &body.to_string());
    let answer = crate::lane::ask(server, &request);
    let body = answer.split_once("\r\n\r\n").expect("a head").1;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    serde_json::from_str(body).expect("JSON")
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn signature_headers(key: &str, at_ms: u128, signature: &[u8]) -> String {
    let digits = hex(signature);
    format!("X-API-KEY: {key}\r\nX-TIMESTAMP: {at_ms}\r\nX-SIGNATURE: {digits}\r\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text frame of a client, below 64 KiB. Its mask is not nothing, so that the server has to take it off.
fn frame(payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x99];
    let mut frame = match payload.len() {
        short @ 0..126 => vec![0x81, 0x80 | short as u8],
        long => {
            let [high, low] = (long as u16).to_be_bytes();
            vec![0x81, 0x80 | 126, high, low]
        }
    };
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().enumerate().map(|(place, byte)| byte ^ MASK[place % 4]));
    frame
}

//! A server that is asked for something: requests signed, answers of both dialects read, lists followed
//! to their end.
//!
//! What may have been done and cannot be done twice is never asked again. What can be is asked again a few
//! times, when the server says that it was too much and when to come back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::place::{Credential, Place};
use crate::connection::{Connection, Response, push_encoded};

/// How often one thing is asked again, and the longest pause before that.
const MAX_RETRIES: u32 = 10;
const MAX_PAUSE_S: u64 = 5;
/// Rows of a page: the most that a server gives.
pub const PAGE_ROWS: usize = 1_000;
/// Pages of a list that are followed. Beyond, it can be gone on with.
const MAX_PAGES: usize = 100;
/// Below it an HTTP status is no error.
const FIRST_ERROR_STATUS: u16 = 300;

/// One request.
pub struct Request {
    method: &'static str,
    target: String,
    body: Option<Value>,
    /// In whose name, where a development server wants to know.
    user: Option<u64>,
    is_repeatable: bool,
}

impl Request {
    fn new(method: &'static str, target: String, body: Option<Value>) -> Request {
        Request { method, target, body, user: None, is_repeatable: false }
    }

    /// To look.
    pub fn get(target: impl Into<String>) -> Request {
        Request::new("GET", target.into(), None).repeatable()
    }

    /// To do something.
    pub fn post(target: impl Into<String>, body: Value) -> Request {
        Request::new("POST", target.into(), Some(body))
    }

    /// To change something.
    pub fn patch(target: impl Into<String>, body: Value) -> Request {
        Request::new("PATCH", target.into(), Some(body))
    }

    /// To end something.
    pub fn delete(target: impl Into<String>) -> Request {
        Request::new("DELETE", target.into(), None)
    }

    /// Done twice, it is as if it were done once.
    pub fn repeatable(mut self) -> Request {
        self.is_repeatable = true;
        self
    }

    /// In development mode keys are their user's own matter.
    pub fn for_user(mut self, user: Option<u64>) -> Request {
        self.user = user;
        self
    }
}

/// A path with parameters, those without a value left out.
pub fn target(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut text = path.as_bytes().to_vec();
    let mut mark = b'?';
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        text.push(mark);
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        push_encoded(&mut text, value);
        mark = b'&';
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A path with one thing's name at its end.
pub fn path_of(path: &str, name: &str) -> String {
    let mut text = path.as_bytes().to_vec();
    text.push(b'/');
    push_encoded(&mut text, name);
    String::from_utf8_lossy(&text).into_owned()
}

/// A body of fields, those without a value left out.
pub fn body<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// A list, or the beginning of one.
pub struct Rows {
    /// In the server's order.
    pub rows: Vec<Value>,
    /// Whether the server has more.
    pub has_more: bool,
}

/// The server.
pub struct Server {
    place: Place,
    connection: Option<Connection>,
    /// When the last request was signed: equal requests of one moment would have one signature, which
    /// is good once.
    signed_ms: u64,
}

impl Server {
    /// Not yet connected.
    pub fn new(place: Place) -> Server {
        Server { place, connection: None, signed_ms: 0 }
    }

    /// Whether it believes who asks, as only a development server does.
    pub fn believes(&self) -> bool {
        matches!(self.place.credential, Credential::Development { .. })
    }

    /// Asks, and returns the data.
    pub fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        for _ in 0..MAX_RETRIES {
            let response = self.exchange(request)?;
            let pause = response.retry_after_s.filter(|_| request.is_repeatable);
            match pause {
                Some(pause_s) if matches!(response.status, 429 | 503) && pause_s <= MAX_PAUSE_S => {
                    // A server that goes down says the same, and closes.
                    self.connection = None;
                    std::thread::sleep(Duration::from_secs(pause_s));
                }
                _ => return self.read(&response),
            }
        }
        let response = self.exchange(request)?;
        self.read(&response)
    }

    /// A list that the server gives by pages of which the next begins behind `key` of the last row.
    pub fn list(
        &mut self,
        path: &str,
        key: &str,
        after: Option<u64>,
        most: usize,
    ) -> Result<Rows, Failure> {
        let (mut rows, mut after) = (Vec::new(), after);
        for _ in 0..MAX_PAGES {
            let wanted = PAGE_ROWS.min(most - rows.len());
            let parameters =
                [("after", after.map(|id| id.to_string())), ("limit", Some(wanted.to_string()))];
            let page = self.ask(&Request::get(target(path, &parameters)))?;
            let Value::Array(page) = page else { return Err(self.strange("no list")) };
            let is_last = page.len() < wanted;
            after = page.last().and_then(|row| row.get(key)?.as_u64());
            rows.extend(page);
            if is_last {
                return Ok(Rows { rows, has_more: false });
            }
            if after.is_none() || rows.len() >= most {
                break;
            }
        }
        Ok(Rows { rows, has_more: true })
    }

    fn exchange(&mut self, request: &Request) -> Result<Response, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let head = self.head(request);
        connection.output().extend_from_slice(head.as_bytes());
        let response = connection.receive().map_err(|error| self.lost(request, &error))?;
        self.connection = Some(connection);
        Ok(response)
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let endpoint = &self.place.endpoint;
        let opened = match &self.place.trust {
            Some(trust) => Connection::open_secure(endpoint, trust),
            None => Connection::open(endpoint),
        };
        let url = &self.place.url;
        opened.map_err(|error| Failure::unreached(format!("no server answers at {url}: {error}")))
    }

    fn lost(&self, request: &Request, error: &std::io::Error) -> Failure {
        let (url, method, target) = (&self.place.url, request.method, &request.target);
        let doubt = match method {
            "GET" => "",
            _ => "; whether it was done is not known",
        };
        Failure::unreached(format!("no answer from {url} to {method} {target}: {error}{doubt}"))
    }

    /// The whole request: everything that is asked fits into one piece.
    fn head(&mut self, request: &Request) -> String {
        let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
        let (method, target) = (request.method, &request.target);
        let who = match &self.place.credential {
            Credential::Key { key, secret } => {
                self.signed_ms = now_ms().max(self.signed_ms + 1);
                let at_ms = self.signed_ms;
                let signer = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
                let tag = hmac::sign(&signer, format!("{at_ms}{method}{target}{body}").as_bytes());
                let signature = super::hex(tag.as_ref());
                format!("X-API-KEY: {key}\r\nX-TIMESTAMP: {at_ms}\r\nX-SIGNATURE: {signature}\r\n")
            }
            Credential::Development { token } => match request.user {
                Some(user) => format!("X-User-ID: {user}\r\n"),
                None => format!("X-Admin-Token: {token}\r\n"),
            },
        };
        let (host, length) = (&self.place.endpoint.authority, body.len());
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{who}Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn read(&self, response: &Response) -> Result<Value, Failure> {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        if response.status >= FIRST_ERROR_STATUS {
            let told = Failure::of_answer(response.status, &body);
            let status = response.status;
            return Err(told.unwrap_or_else(|| self.strange(&format!("HTTP status {status}"))));
        }
        match body {
            Value::Object(mut object) if object.contains_key("code") => {
                object.remove("data").ok_or_else(|| self.strange("no data"))
            }
            Value::Object(object) => Ok(Value::Object(object)),
            _ => Err(self.strange("no JSON object")),
        }
    }

    /// Something answers that is not a ringbook: a proxy, or another service on the port.
    fn strange(&self, why: &str) -> Failure {
        let url = &self.place.url;
        Failure::unreached(format!(
            "what answers at {url} is no ringbook, or stands before it: {why}"
        ))
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_given_is_not_sent() {
        let parameters =
            [("a", Some("x y&z".to_owned())), ("b", None), ("c", Some("1".to_owned()))];
        assert_eq!(target("/p", &parameters), "/p?a=x%20y%26z&c=1");
        assert_eq!(target("/p", &[("b", None)]), "/p");
        assert_eq!(path_of("/p", "../x"), "/p/..%2Fx");
        let fields = [("a", json!(1)), ("b", Value::Null), ("c", json!(false))];
        assert_eq!(body(fields), json!({"a": 1, "c": false}));
    }
}

//! Writing answers: status line, the few headers that matter, a body whose length is filled in.

use super::request::Persistence;
use crate::middleware::Budget;

/// How an answer is framed: what its request wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// HEAD: the length is told, the body left out.
    pub is_head: bool,
    /// What is left of the caller's budget, if it has one.
    pub budget: Option<Budget>,
}

impl Framing {
    /// How the answer to this request is framed.
    pub fn of(request: &super::Request<'_>) -> Framing {
        let is_head = request.method == super::Method::Head;
        Framing { persistence: request.persistence, is_head, budget: None }
    }

    /// An answer behind which the connection is closed.
    pub const CLOSE: Framing =
        Framing { persistence: Persistence::Close, is_head: false, budget: None };
}

/// JSON, the only type that the dialects answer with.
pub const JSON: &str = "application/json";

/// Digits that are set aside for the length: the bodies of the hot path have three.
const LENGTH_DIGITS: usize = 3;

/// Appends a whole answer of JSON; `body` writes its body.
pub fn write_json(
    out: &mut Vec<u8>,
    status: u16,
    framing: Framing,
    body: impl FnOnce(&mut Vec<u8>),
) {
    write(out, status, JSON, "", framing, body);
}

/// Appends a whole answer. `extra` holds further header lines, each with its CR LF.
pub fn write(
    out: &mut Vec<u8>,
    status: u16,
    content_type: &str,
    extra: &str,
    framing: Framing,
    body: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(status_line(status));
    out.extend_from_slice(b"content-type: ");
    out.extend_from_slice(content_type.as_bytes());
    // A browser must not take an answer for anything else than it is.
    out.extend_from_slice(b"\r\nx-content-type-options: nosniff");
    out.extend_from_slice(match framing.persistence {
        Persistence::KeepAlive => b"\r\n".as_slice(),
        Persistence::KeepAliveTold => b"\r\nconnection: keep-alive\r\n",
        Persistence::Close => b"\r\nconnection: close\r\n",
    });
    if let Some(budget) = framing.budget {
        write_budget(out, budget);
    }
    out.extend_from_slice(extra.as_bytes());
    out.extend_from_slice(b"content-length: 000\r\n\r\n");
    let body_at = out.len();
    body(out);
    let length = out.len() - body_at;
    if framing.is_head {
        out.truncate(body_at);
    }
    fill_in_length(out, body_at, length);
}

/// Adds what is left of a budget to an answer that is written.
pub fn add_budget(answer: &mut Vec<u8>, budget: Budget) {
    let Some(line_end) = answer.windows(2).position(|window| window == b"\r\n") else { return };
    let mut lines = Vec::new();
    write_budget(&mut lines, budget);
    let first = line_end + b"\r\n".len();
    answer.splice(first..first, lines);
}

fn write_budget(out: &mut Vec<u8>, budget: Budget) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(b"x-ratelimit-limit: ");
    out.extend_from_slice(buffer.format(budget.limit).as_bytes());
    out.extend_from_slice(b"\r\nx-ratelimit-remaining: ");
    out.extend_from_slice(buffer.format(budget.remaining).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Puts the length into the place set aside for it, moving the body where the digits differ.
fn fill_in_length(out: &mut Vec<u8>, body_at: usize, length: usize) {
    let digits_at = body_at - b"000\r\n\r\n".len();
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(length).as_bytes();
    if digits.len() == LENGTH_DIGITS {
        out[digits_at..digits_at + LENGTH_DIGITS].copy_from_slice(digits);
    } else {
        out.splice(digits_at..digits_at + LENGTH_DIGITS, digits.iter().copied());
    }
}

/// Appends an answer that has no body by its nature (204).
pub fn write_empty(out: &mut Vec<u8>, extra: &str, framing: Framing) {
    out.extend_from_slice(status_line(204));
    out.extend_from_slice(extra.as_bytes());
    out.extend_from_slice(match framing.persistence {
        Persistence::KeepAlive => b"\r\n".as_slice(),
        Persistence::KeepAliveTold => b"connection: keep-alive\r\n\r\n",
        Persistence::Close => b"connection: close\r\n\r\n",
    });
}

fn status_line(status: u16) -> &'static [u8] {
    match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        202 => b"HTTP/1.1 202 Accepted\r\n",
        204 => b"HTTP/1.1 204 No Content\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        401 => b"HTTP/1.1 401 Unauthorized\r\n",
        403 => b"HTTP/1.1 403 Forbidden\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        405 => b"HTTP/1.1 405 Method Not Allowed\r\n",
        408 => b"HTTP/1.1 408 Request Timeout\r\n",
        409 => b"HTTP/1.1 409 Conflict\r\n",
        413 => b"HTTP/1.1 413 Content Too Large\r\n",
        417 => b"HTTP/1.1 417 Expectation Failed\r\n",
        426 => b"HTTP/1.1 426 Upgrade Required\r\n",
        429 => b"HTTP/1.1 429 Too Many Requests\r\n",
        431 => b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        503 => b"HTTP/1.1 503 Service Unavailable\r\n",
        505 => b"HTTP/1.1 505 HTTP Version Not Supported\r\n",
        _ => b"HTTP/1.1 500 Internal Server Error\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: usize, framing: Framing) -> String {
        let mut out = Vec::new();
        write_json(&mut out, 200, framing, |out| out.extend(std::iter::repeat_n(b'x', length)));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_length_is_right_for_any_number_of_digits() {
        let framing = Framing { persistence: Persistence::KeepAlive, is_head: false, budget: None };
        for length in [0, 9, 10, 99, 100, 999, 1000, 12_345] {
            let text = answer(length, framing);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), length);
            assert!(head.ends_with(&format!("content-length: {length}")), "{head}");
        }
    }

    #[test]
    fn head_tells_the_length_and_sends_no_body() {
        let framing = Framing { persistence: Persistence::Close, is_head: true, budget: None };
        let text = answer(12_345, framing);
        assert!(text.ends_with("content-length: 12345\r\n\r\n"), "{text}");
        assert!(text.contains("connection: close\r\n"));
    }
}

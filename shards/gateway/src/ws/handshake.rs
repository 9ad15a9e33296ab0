//! The upgrade from HTTP: is this request one, and what is it answered.

use tungstenite::handshake::derive_accept_key;

use crate::http::{Method, Request};

/// The header lines of an answer 426: what to come with.
pub const REQUIRED_HEADERS: &str =
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";

/// The only version there is (RFC 6455).
const VERSION: &[u8] = b"13";
/// Length of a key: 16 bytes in Base64, the last two characters being padding.
const KEY_LENGTH_BYTES: usize = 24;
const KEY_PADDING: &[u8] = b"==";

/// Why a request opens no WebSocket, naming the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// It is plain HTTP.
    #[error("Upgrade: here is a WebSocket, come with GET and Upgrade: websocket")]
    NotUpgrade,
    /// Not version 13.
    #[error("Sec-WebSocket-Version: must be 13")]
    Version,
    /// HTTP/1.0 knows no upgrade.
    #[error("request: a WebSocket needs HTTP/1.1")]
    HttpVersion,
    /// `Upgrade` must be named in `Connection`, or a proxy might have passed it on.
    #[error("Connection: must name upgrade")]
    Connection,
    /// There is no key, two of them, or none of the right form.
    #[error("Sec-WebSocket-Key: must be given once, 16 bytes in Base64")]
    Key,
    /// There is a body, and no saying whose the bytes behind it are.
    #[error("body: must be empty")]
    Body,
}

impl HandshakeError {
    /// Whether other headers would do: 426 with [`REQUIRED_HEADERS`], else 400.
    pub fn is_upgrade_required(self) -> bool {
        matches!(self, HandshakeError::NotUpgrade | HandshakeError::Version)
    }
}

/// The whole answer 101 to a request that opens a WebSocket.
///
/// # Errors
/// The request opens none.
pub fn accept(request: &Request<'_>) -> Result<Vec<u8>, HandshakeError> {
    if request.method != Method::Get || !names(request, "upgrade", b"websocket") {
        return Err(HandshakeError::NotUpgrade);
    }
    if !request.is_http_1_1() {
        return Err(HandshakeError::HttpVersion);
    }
    if !names(request, "connection", b"upgrade") {
        return Err(HandshakeError::Connection);
    }
    if only(request, "sec-websocket-version") != Some(VERSION) {
        return Err(HandshakeError::Version);
    }
    let key = only(request, "sec-websocket-key").filter(|key| is_key(key));
    let key = key.ok_or(HandshakeError::Key)?;
    if !request.body.is_empty() {
        return Err(HandshakeError::Body);
    }
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        derive_accept_key(key)
    );
    Ok(answer.into_bytes())
}

/// Whether a header that lists tokens holds this one.
fn names(request: &Request<'_>, header: &str, wanted: &[u8]) -> bool {
    request
        .headers(header)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted))
}

/// The value of a header that stands once.
fn only<'a>(request: &Request<'a>, header: &str) -> Option<&'a [u8]> {
    let mut values = request.headers(header);
    values.next().filter(|_| values.next().is_none())
}

fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_LENGTH_BYTES
        && key.strip_suffix(KEY_PADDING).is_some_and(|digits| digits.iter().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Connection;

    /// The example of RFC 6455 section 1.3.
    const GOOD: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn answer(text: &str) -> Result<String, HandshakeError> {
        let mut connection = Connection::new();
        connection.feed(text.as_bytes());
        let request = connection.next_request().expect("accepted").expect("whole");
        accept(&request).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_example_of_the_rfc_gets_its_accept_key() {
        let text = answer(GOOD).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
        assert!(text.ends_with("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
        assert!(text.contains("\r\nupgrade: websocket\r\nconnection: upgrade\r\n"));
    }

    #[test]
    fn what_browsers_and_proxies_write_is_taken() {
        for (from, into) in [
            ("Upgrade: websocket", "UPGRADE: h2c, WebSocket"),
            ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
            ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
            ("Host: x", "Host: x\r\nSec-WebSocket-Extensions: permessage-deflate\r\nOrigin: null"),
        ] {
            let text = answer(&GOOD.replace(from, into)).unwrap();
            assert!(!text.contains("extensions"), "{text}");
        }
    }

    #[test]
    fn what_opens_no_websocket_is_refused_naming_the_header() {
        use HandshakeError::{Body, HttpVersion, Key, NotUpgrade, Version};
        for (from, into, wanted) in [
            ("Upgrade: websocket\r\n", "", NotUpgrade),
            ("Upgrade: websocket", "Upgrade: h2c", NotUpgrade),
            ("GET", "POST", NotUpgrade),
            ("GET", "HEAD", NotUpgrade),
            ("HTTP/1.1", "HTTP/1.0", HttpVersion),
            ("Connection: Upgrade\r\n", "", HandshakeError::Connection),
            ("Connection: Upgrade", "Connection: keep-alive", HandshakeError::Connection),
            ("Version: 13", "Version: 8", Version),
            ("Sec-WebSocket-Version: 13\r\n", "", Version),
            ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", Version),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=!", Key),
            ("dGhlIHNhbXBsZSBub25jZQ==", "", Key),
            ("Host: x", "Host: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", Key),
            ("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", Body),
        ] {
            assert_eq!(answer(&GOOD.replacen(from, into, 1)), Err(wanted), "{from} {into}");
        }
        for error in [NotUpgrade, Version] {
            assert!(error.is_upgrade_required());
        }
        assert!(!Key.is_upgrade_required());
    }
}

//! `GET /ws`: from a request to a WebSocket, and who opens it.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::auth::{Caller, Hidden, Means, Shown};
use crate::http::Request;
use crate::native::failure::{Code, Failure};
use crate::native::fields::query_fields;
use crate::ws::handshake::{self, HandshakeError};

/// A WebSocket to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The whole answer 101.
    pub answer: Vec<u8>,
    /// Who the client says that it is.
    pub credential: Credential,
}

/// Who a client says that it is, when it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing yet: public channels only.
    None,
    /// This one, as its headers show; whether its user exists is for the user's home shard to say.
    Caller(Caller),
    /// Whoever this shows, as in a message `auth`.
    Shown(Shown),
}

/// Reads the request of a caller that is known by its headers, or not known.
pub(crate) fn upgrade(request: &Request<'_>, caller: &Caller) -> Result<Upgrade, Failure> {
    let answer = handshake::accept(request).map_err(refused)?;
    Ok(Upgrade { answer, credential: credential(request, caller)? })
}

fn refused(error: HandshakeError) -> Failure {
    if error.is_upgrade_required() {
        let headers = handshake::REQUIRED_HEADERS;
        return Failure { headers, ..Failure::new(Code::UpgradeRequired, error.to_string()) };
    }
    Failure::new(Code::InvalidParameter, error.to_string())
}

fn credential(request: &Request<'_>, caller: &Caller) -> Result<Credential, Failure> {
    let [token] = query_fields(request.query, ["token"])?;
    match (token.text()?, caller.means) {
        (None, Means::Nobody) => Ok(Credential::None),
        (None, _) => Ok(Credential::Caller(*caller)),
        (Some(text), Means::Nobody) => Ok(Credential::Shown(Shown::Token(Hidden::new(text)))),
        (Some(_), _) => Err(token.failure("cannot be given together with a user")),
    }
}

/// Whether an origin, `scheme://host[:port]`, is on this machine by its name. An address that only
/// resolves to this machine is not: the page's own server may have made it so.
pub(crate) fn is_loopback(origin: &[u8]) -> bool {
    let Some(host) = std::str::from_utf8(origin).ok().and_then(host_of) else { return false };
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

fn host_of(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        _ => Some(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for origin in [
            "http://localhost",
            "https://LocalHost:5173",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert!(is_loopback(origin.as_bytes()), "{origin}");
        }
        for origin in [
            "null",
            "",
            "localhost",
            "http://",
            "http://localhost.evil.com",
            "http://evil.com:8080",
            "http://evil.com/localhost",
            "http://localhost@evil.com",
            "http://127.0.0.1.evil.com",
            "http://[::2]",
            "http://::1",
            "http://10.0.0.1",
        ] {
            assert!(!is_loopback(origin.as_bytes()), "{origin}");
        }
        assert!(!is_loopback(b"http://\xff"));
    }
}

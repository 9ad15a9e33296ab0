//! A request as the dialects see it, and why one is refused before they do.

use super::limits;
use super::queue::Slot;

/// The methods that any dialect knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD: answered like GET, without the body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
    /// Any other token.
    Other,
}

impl Method {
    pub(super) fn parse(token: &str) -> Method {
        match token {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

/// What becomes of the connection behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Stays open; HTTP/1.1 needs no header for it.
    KeepAlive,
    /// Stays open, and HTTP/1.0 is told so.
    KeepAliveTold,
    /// Is closed.
    Close,
}

/// A whole request. Borrows the connection's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Where the answer goes.
    pub slot: Slot,
    /// The method.
    pub method: Method,
    /// The path, still percent-encoded, from its `/`; `*` for `OPTIONS *`.
    pub path: &'a str,
    /// What follows the `?`, still percent-encoded.
    pub query: &'a str,
    /// The body, decoded from its chunks.
    pub body: &'a [u8],
    /// What the client wants of the connection behind the answer.
    pub persistence: Persistence,
    /// The header `X-User-ID`.
    pub user_id: Option<&'a [u8]>,
    /// The header `X-Admin-Token`.
    pub admin_token: Option<&'a [u8]>,
    /// The header `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The header `X-API-KEY`.
    pub api_key: Option<&'a [u8]>,
    /// The header `X-TIMESTAMP`.
    pub timestamp: Option<&'a [u8]>,
    /// The header `X-SIGNATURE`.
    pub signature: Option<&'a [u8]>,
    /// `Prefer: wait`.
    pub prefers_wait: bool,
    /// Request line and headers as they came, for [`Request::header`] and signatures.
    pub head: &'a [u8],
}

impl<'a> Request<'a> {
    /// The first header of this name, found by walking the head: for what is asked for rarely.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers(name).next()
    }

    /// All headers of this name, as they stand.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.head.split(|&byte| byte == b'\n').skip(1).filter_map(move |line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (key, value) = line.split_at(colon);
            key.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
        })
    }

    /// Method and target as the first line has them.
    pub fn method_and_target(&self) -> (&'a [u8], &'a [u8]) {
        let mut words = self.head.split(|&byte| byte == b' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// Whether it is HTTP/1.1, and not 1.0.
    pub fn is_http_1_1(&self) -> bool {
        let line = self.head.split(|&byte| byte == b'\r').next();
        line.is_some_and(|line| line.ends_with(b"HTTP/1.1"))
    }
}

/// A request that is refused before any dialect sees it. The connection takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Where the answer goes, behind those of the requests before.
    pub slot: Slot,
    /// Why.
    pub reason: RejectionReason,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectionReason {
    /// Not HTTP.
    #[error("request: {0}")]
    Malformed(&'static str),
    /// A header that cannot be, or cannot be here.
    #[error("{0}: {1}")]
    Header(&'static str, &'static str),
    /// Chunks that cannot be read.
    #[error("body: {0}")]
    Chunk(&'static str),
    /// The head came too slowly.
    #[error("request: headers were not complete within {} ms", limits::HEAD_TIME_LIMIT_MS)]
    HeadTimeout,
    /// The body came too slowly.
    #[error("request: body was not complete within {} ms", limits::BODY_TIME_LIMIT_MS)]
    BodyTimeout,
    /// The body is too long.
    #[error("body: is longer than {} bytes", limits::MAX_BODY_BYTES)]
    BodyTooLarge,
    /// Something else than a 100 is expected.
    #[error("Expect: only 100-continue is known")]
    Expectation,
    /// The head is too long.
    #[error("request: headers are longer than {} bytes", limits::MAX_HEAD_BYTES)]
    HeadTooLarge,
    /// Too many headers.
    #[error("request: has more than {} headers", limits::MAX_HEADERS)]
    TooManyHeaders,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("request: HTTP version must be 1.0 or 1.1")]
    Version,
}

impl RejectionReason {
    /// The HTTP status that says so.
    pub fn status(self) -> u16 {
        match self {
            RejectionReason::Malformed(_)
            | RejectionReason::Header(..)
            | RejectionReason::Chunk(_) => 400,
            RejectionReason::HeadTimeout | RejectionReason::BodyTimeout => 408,
            RejectionReason::BodyTooLarge => 413,
            RejectionReason::Expectation => 417,
            RejectionReason::HeadTooLarge | RejectionReason::TooManyHeaders => 431,
            RejectionReason::Version => 505,
        }
    }
}

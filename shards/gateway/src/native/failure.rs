//! Errors as the native dialect tells them: a code, a word, a detail that names the field.

use crate::http::Persistence;
use crate::http::response::{self, Framing};
use crate::json::write;

/// The codes of `docs/api.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not HTTP as it should be; the status says which way.
    BadRequest,
    /// A field or parameter.
    InvalidParameter,
    /// Not enough available.
    InsufficientBalance,
    /// A price or quantity that the symbol's steps or rules exclude.
    InvalidPriceOrQty,
    /// No such symbol.
    UnknownSymbol,
    /// The symbol does not accept this now.
    SymbolNotTrading,
    /// No such route.
    NotFound,
    /// No such method there.
    MethodNotAllowed,
    /// It exists already.
    AlreadyExists,
    /// There is a WebSocket, and the request is none.
    UpgradeRequired,
    /// Nobody said who asks.
    MissingAuth,
    /// Who asks is not who it says.
    AuthFailed,
    /// Who asks may not.
    PermissionDenied,
    /// No such order.
    OrderNotFound,
    /// The order has ended.
    OrderNotOpen,
    /// The order is being moved.
    OrderBusy,
    /// The withdrawal has ended otherwise.
    WithdrawalEnded,
    /// Too many requests.
    RateLimited,
    /// A defect of the server.
    Internal,
    /// Not now.
    Unavailable,
}

impl Code {
    /// The number in the envelope, the word behind it, the HTTP status.
    pub fn parts(self) -> (u16, &'static str, u16) {
        match self {
            Code::BadRequest => (1000, "BAD_REQUEST", 400),
            Code::InvalidParameter => (1001, "INVALID_PARAMETER", 400),
            Code::InsufficientBalance => (1002, "INSUFFICIENT_BALANCE", 400),
            Code::InvalidPriceOrQty => (1003, "INVALID_PRICE_OR_QTY", 400),
            Code::UnknownSymbol => (1004, "UNKNOWN_SYMBOL", 404),
            Code::SymbolNotTrading => (1005, "SYMBOL_NOT_TRADING", 409),
            Code::NotFound => (1006, "NOT_FOUND", 404),
            Code::MethodNotAllowed => (1007, "METHOD_NOT_ALLOWED", 405),
            Code::AlreadyExists => (1008, "ALREADY_EXISTS", 409),
            Code::UpgradeRequired => (1009, "UPGRADE_REQUIRED", 426),
            Code::MissingAuth => (2001, "MISSING_AUTH", 401),
            Code::AuthFailed => (2002, "AUTH_FAILED", 401),
            Code::PermissionDenied => (2003, "PERMISSION_DENIED", 403),
            Code::OrderNotFound => (4001, "ORDER_NOT_FOUND", 404),
            Code::OrderNotOpen => (4002, "ORDER_NOT_OPEN", 409),
            Code::OrderBusy => (4003, "ORDER_BUSY", 409),
            Code::WithdrawalEnded => (4004, "WITHDRAWAL_ENDED", 409),
            Code::RateLimited => (4291, "RATE_LIMITED", 429),
            Code::Internal => (5000, "INTERNAL", 500),
            Code::Unavailable => (5001, "UNAVAILABLE", 503),
        }
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: Code,
    pub detail: String,
    /// Further header lines that the status demands, each with its CR LF.
    pub headers: &'static str,
    /// In how many ms it may be tried again, for what may.
    pub retry_ms: Option<u32>,
}

/// No longer than a client would wait.
pub(crate) fn as_retry(retry_ms: Option<u64>) -> Option<u32> {
    retry_ms.map(|retry_ms| u32::try_from(retry_ms).unwrap_or(u32::MAX))
}

impl Failure {
    pub fn new(code: Code, detail: impl Into<String>) -> Failure {
        Failure { code, detail: detail.into(), headers: "", retry_ms: None }
    }

    /// The commonest one: `field: rule`.
    pub fn parameter(name: &str, rule: impl std::fmt::Display) -> Failure {
        Failure::new(Code::InvalidParameter, format!("{name}: {rule}"))
    }

    /// Of who is too fast, and when it may again.
    pub fn too_fast(detail: &str, retry_ms: u64) -> Failure {
        Failure { retry_ms: as_retry(Some(retry_ms)), ..Failure::new(Code::RateLimited, detail) }
    }

    /// The header that says when to come again, where it makes sense, with its CR LF.
    pub fn retry_after(&self) -> Option<String> {
        let retry = matches!(self.code, Code::Unavailable | Code::RateLimited);
        let retry_s = self.retry_ms.unwrap_or(0).div_ceil(1_000).max(1);
        retry.then(|| format!("retry-after: {retry_s}\r\n"))
    }

    /// Appends code and message as they stand in every error: `"code":…,"msg":"…"`.
    pub fn write_code_and_message(&self, out: &mut Vec<u8>) {
        write_code_and_message(out, self.code, &self.detail);
    }

    /// Appends it as a whole HTTP answer.
    pub fn write(&self, framing: Framing, out: &mut Vec<u8>) {
        let (_, _, status) = self.code.parts();
        let retry = self.retry_after();
        let extra = retry.as_deref().unwrap_or(self.headers);
        write_error(out, status, self.code, &self.detail, extra, framing);
    }

    /// As bytes of their own.
    pub fn into_bytes(self, framing: Framing) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(framing, &mut out);
        out
    }
}

impl From<crate::json::JsonError> for Failure {
    fn from(error: crate::json::JsonError) -> Failure {
        Failure::new(Code::InvalidParameter, error.to_string())
    }
}

impl From<crate::query_string::QueryError> for Failure {
    fn from(error: crate::query_string::QueryError) -> Failure {
        Failure::new(Code::InvalidParameter, error.to_string())
    }
}

/// Appends an error in the envelope.
pub(super) fn write_error(
    out: &mut Vec<u8>,
    status: u16,
    code: Code,
    detail: &str,
    extra: &str,
    framing: Framing,
) {
    response::write(out, status, response::JSON, extra, framing, |out| {
        out.push(b'{');
        write_code_and_message(out, code, detail);
        out.extend_from_slice(b",\"data\":null}");
    });
}

fn write_code_and_message(out: &mut Vec<u8>, code: Code, detail: &str) {
    let (number, word, _) = code.parts();
    out.extend_from_slice(b"\"code\":");
    write::integer(out, u64::from(number));
    out.extend_from_slice(b",\"msg\":\"");
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(b": ");
    write::escaped(out, detail);
    out.push(b'"');
}

/// The framing of an answer that may stand without its request.
pub(crate) fn closing(framing: Framing) -> Framing {
    Framing { persistence: Persistence::Close, ..framing }
}

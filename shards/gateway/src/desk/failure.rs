//! Errors as the desk dialect tells them: a word, a message, the field.

use crate::http::response::{self, Framing};
use crate::json::write;
use crate::native::failure::{Code, Failure};

/// Lets any page read an answer.
pub(super) const CORS: &str = "access-control-allow-origin: *\r\n";

/// What went wrong, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorWord {
    /// The request cannot be done, now or ever.
    BadParams,
    /// Nobody said who asks, or it is not so.
    Unauthorized,
    /// Who asks may not.
    Forbidden,
    /// No such thing.
    NotFound,
    /// Too many requests.
    RateLimited,
    /// A defect of the server.
    Internal,
    /// Not now.
    Unavailable,
}

impl ErrorWord {
    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorWord::BadParams => "bad_params",
            ErrorWord::Unauthorized => "unauthorized",
            ErrorWord::Forbidden => "forbidden",
            ErrorWord::NotFound => "not_found",
            ErrorWord::RateLimited => "rate_limited",
            ErrorWord::Internal => "internal",
            ErrorWord::Unavailable => "unavailable",
        }
    }

    fn status(self) -> u16 {
        match self {
            ErrorWord::BadParams => 400,
            ErrorWord::Unauthorized => 401,
            ErrorWord::Forbidden => 403,
            ErrorWord::NotFound => 404,
            ErrorWord::RateLimited => 429,
            ErrorWord::Internal => 500,
            ErrorWord::Unavailable => 503,
        }
    }

    /// The dialect has fewer words than there are reasons.
    fn of(code: Code) -> ErrorWord {
        match code {
            Code::BadRequest
            | Code::InvalidParameter
            | Code::InsufficientBalance
            | Code::InvalidPriceOrQty
            | Code::SymbolNotTrading
            | Code::AlreadyExists
            | Code::UpgradeRequired
            | Code::OrderNotOpen
            | Code::WithdrawalEnded
            | Code::OrderBusy => ErrorWord::BadParams,
            Code::MissingAuth | Code::AuthFailed => ErrorWord::Unauthorized,
            Code::PermissionDenied => ErrorWord::Forbidden,
            Code::UnknownSymbol | Code::NotFound | Code::MethodNotAllowed | Code::OrderNotFound => {
                ErrorWord::NotFound
            }
            Code::RateLimited => ErrorWord::RateLimited,
            Code::Internal => ErrorWord::Internal,
            Code::Unavailable => ErrorWord::Unavailable,
        }
    }
}

/// Appends it as a whole HTTP answer.
pub(crate) fn write_failure(failure: &Failure, framing: Framing, out: &mut Vec<u8>) {
    let word = ErrorWord::of(failure.code);
    let retry = failure.retry_after();
    let extra = format!("{CORS}{}", retry.as_deref().unwrap_or(failure.headers));
    response::write(out, word.status(), response::JSON, &extra, framing, |out| {
        write_fields(word.as_str(), &failure.detail, out);
        out.extend_from_slice(b",\"details\":{");
        if let Some(field) = field_of(&failure.detail) {
            out.extend_from_slice(b"\"field\":");
            write::string(out, field);
        }
        out.extend_from_slice(b"}}");
    });
}

/// Appends `{"error":…,"message":…`, left open.
pub(super) fn write_fields(word: &str, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    write::string(out, word);
    out.extend_from_slice(b",\"message\":");
    write::string(out, message);
}

/// A detail about a field begins with its name.
fn field_of(detail: &str) -> Option<&str> {
    let (name, _) = detail.split_once(": ")?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-[]".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

/// Appends the answer to a stream that does not begin, and closes: too many stand already, say.
/// `detail` begins with the field, if it is about one.
pub fn refuse_stream(code: Code, detail: &str, out: &mut Vec<u8>) {
    write_failure(&Failure::new(code, detail), Framing::CLOSE, out);
}

/// Appends 401, and closes: the user of a stream does not exist.
pub fn unknown_user(out: &mut Vec<u8>) {
    refuse_stream(Code::AuthFailed, UNKNOWN_USER, out);
}

/// Why nobody is answered as a user that does not exist.
pub(super) const UNKNOWN_USER: &str = "user_id: unknown user";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_before_the_colon_is_a_field() {
        assert_eq!(field_of("price: is required"), Some("price"));
        assert_eq!(field_of("X-User-ID: unknown: user"), Some("X-User-ID"));
        for detail in ["no such order", "/api/x: no such route", "needs 1 BTC: none", ": x", "a:b"]
        {
            assert_eq!(field_of(detail), None, "{detail}");
        }
    }
}

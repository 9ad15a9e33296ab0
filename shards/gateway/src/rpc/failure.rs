//! Errors as the rpc dialect tells them: a number, its words, the field and what is wrong with it.

use std::borrow::Cow;

use crate::json::write;
use crate::native::failure as native;
use crate::native::ws::RequestId;

/// The codes of the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A field, or a rule of the symbol.
    InvalidParameters,
    /// Not enough available.
    InsufficientBalance,
    /// No such symbol.
    UnknownSymbol,
    /// Nobody said who asks, or it is not who it says.
    NotAuthenticated,
    /// Who asks may not.
    Forbidden,
    /// No such order, or it is not open any more.
    OrderNotFound,
    /// Too many requests: written by [`super::rate_limited`].
    RateLimited,
    /// A defect of the server.
    Internal,
    /// Not now.
    Unavailable,
}

impl Code {
    /// The number, and the words that stand in `message`.
    pub fn parts(self) -> (u16, &'static str) {
        match self {
            Code::InvalidParameters => (40001, "invalid parameters"),
            Code::InsufficientBalance => (40002, "insufficient balance"),
            Code::UnknownSymbol => (40003, "unknown symbol"),
            Code::NotAuthenticated => (40101, "not authenticated"),
            Code::Forbidden => (40301, "forbidden"),
            Code::OrderNotFound => (40401, "order not found"),
            Code::RateLimited => (42901, "rate limited"),
            Code::Internal => (50001, "internal error"),
            Code::Unavailable => (50301, "unavailable"),
        }
    }

    fn of_native(code: native::Code) -> Code {
        match code {
            native::Code::InsufficientBalance => Code::InsufficientBalance,
            native::Code::UnknownSymbol => Code::UnknownSymbol,
            native::Code::MissingAuth | native::Code::AuthFailed => Code::NotAuthenticated,
            native::Code::PermissionDenied => Code::Forbidden,
            // Who cancels an order that has ended wants to know that it is gone, not that the
            // parameters were wrong.
            native::Code::OrderNotFound | native::Code::OrderNotOpen => Code::OrderNotFound,
            native::Code::RateLimited => Code::RateLimited,
            native::Code::Internal => Code::Internal,
            native::Code::Unavailable | native::Code::OrderBusy => Code::Unavailable,
            native::Code::BadRequest
            | native::Code::InvalidParameter
            | native::Code::InvalidPriceOrQty
            | native::Code::SymbolNotTrading
            | native::Code::NotFound
            | native::Code::MethodNotAllowed
            | native::Code::AlreadyExists
            | native::Code::WithdrawalEnded
            | native::Code::UpgradeRequired => Code::InvalidParameters,
        }
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: Code,
    pub field: Cow<'static, str>,
    pub issue: String,
}

/// What is blamed where nothing smaller is.
const WHOLE: &str = "params";

impl Failure {
    pub fn new(
        code: Code,
        field: impl Into<Cow<'static, str>>,
        issue: impl Into<String>,
    ) -> Failure {
        Failure { code, field: field.into(), issue: issue.into() }
    }

    /// The commonest one.
    pub fn parameter(field: impl Into<Cow<'static, str>>, issue: impl Into<String>) -> Failure {
        Failure::new(Code::InvalidParameters, field, issue)
    }

    /// What the native dialect says, in this one's words. `whole` is blamed where the detail names
    /// no field.
    pub fn of_native(failure: native::Failure, whole: &'static str) -> Failure {
        let (field, issue) = split(&failure.detail);
        let field = match field {
            None | Some("body") => Cow::Borrowed(whole),
            Some("qty") => Cow::Borrowed("quantity"),
            Some("cid") => Cow::Borrowed("client_order_id"),
            Some("X-User-ID") => Cow::Borrowed("user_id"),
            Some(name) => Cow::Owned(name.to_owned()),
        };
        let issue = issue.replace("price × qty", "price × quantity");
        Failure { code: Code::of_native(failure.code), field, issue }
    }

    /// Appends the whole answer.
    pub fn write(&self, id: Option<&RequestId>, out: &mut Vec<u8>) {
        write_error(id, self.code, &self.field, &self.issue, None, out);
    }
}

impl From<native::Failure> for Failure {
    fn from(failure: native::Failure) -> Failure {
        Failure::of_native(failure, WHOLE)
    }
}

impl From<crate::json::JsonError> for Failure {
    fn from(error: crate::json::JsonError) -> Failure {
        native::Failure::from(error).into()
    }
}

/// The field that a detail begins with, and the rest.
pub(super) fn split(detail: &str) -> (Option<&str>, &str) {
    let is_name = |text: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
        !text.is_empty() && text.bytes().all(is_part)
    };
    match detail.split_once(": ") {
        Some((field, issue)) if is_name(field) => (Some(field), issue),
        _ => (None, detail),
    }
}

/// Appends `{"id":…,"error":{"code":…,"message":…,"details":{"field":…,"issue":…}}}`.
pub(super) fn write_error(
    id: Option<&RequestId>,
    code: Code,
    field: &str,
    issue: &str,
    retry_after_ms: Option<u64>,
    out: &mut Vec<u8>,
) {
    let (number, message) = code.parts();
    write_id(id, out);
    out.extend_from_slice(b",\"error\":{\"code\":");
    write::integer(out, u64::from(number));
    out.extend_from_slice(b",\"message\":\"");
    out.extend_from_slice(message.as_bytes());
    out.extend_from_slice(b"\",\"details\":{\"field\":");
    write::string(out, field);
    out.extend_from_slice(b",\"issue\":");
    write::string(out, issue);
    if let Some(retry_after_ms) = retry_after_ms {
        out.extend_from_slice(b",\"retry_after_ms\":");
        write::integer(out, retry_after_ms);
    }
    out.extend_from_slice(b"}}}");
}

/// Appends `{"id":…`, which every answer begins with.
pub(super) fn write_id(id: Option<&RequestId>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    match id {
        Some(id) => id.write(out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_detail_without_a_field_blames_the_whole_and_is_not_cut() {
        let told = |detail: &str| {
            let failure = native::Failure::new(native::Code::InvalidPriceOrQty, detail);
            let failure = Failure::of_native(failure, "whole");
            (failure.field.into_owned(), failure.issue)
        };
        let pair = |field: &str, issue: &str| (field.to_owned(), issue.to_owned());
        assert_eq!(told("qty: is off the lot 1"), pair("quantity", "is off the lot 1"));
        assert_eq!(told("symbols[3]: unknown"), pair("symbols[3]", "unknown"));
        assert_eq!(told("body: malformed: x"), pair("whole", "malformed: x"));
        assert_eq!(told("needs 5 A: no"), pair("whole", "needs 5 A: no"));
        assert_eq!(told(": x"), pair("whole", ": x"));
        assert_eq!(told(""), pair("whole", ""));
        let least = "qty: price × qty is below min_notional 1";
        assert_eq!(told(least), pair("quantity", "price × quantity is below min_notional 1"));
    }
}

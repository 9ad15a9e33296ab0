//! Why a caller is not believed.

use super::signature::{SIGNATURE_AHEAD_MS, SIGNATURE_WINDOW_MS};

/// Why a caller is not believed. What an attacker could learn from is told alike: whether a key exists,
/// has expired or signed otherwise is one error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nothing was shown.
    #[error("{0}")]
    Missing(&'static str),
    /// Two things were shown.
    #[error("{0}: cannot be given together with {1}")]
    Ambiguous(&'static str, &'static str),
    /// The development mode is told two users.
    #[error("user_id: differs from X-User-ID")]
    Differs,
    /// Cannot be read.
    #[error("{0}: {1}")]
    Malformed(&'static str, &'static str),
    /// For the development mode only.
    #[error("{0}: is for the development mode only")]
    DevelopmentOnly(&'static str),
    /// No such key, or not its signature, or it has ended.
    #[error("X-API-KEY: unknown key, or X-SIGNATURE is not its signature of this request")]
    Signature,
    /// Too early or too late.
    #[error(
        "X-TIMESTAMP: must be at most {SIGNATURE_WINDOW_MS} ms behind and {SIGNATURE_AHEAD_MS} ms ahead of \
         the server's clock, {now_ms}"
    )]
    Window {
        /// The server's clock, in ms since the epoch.
        now_ms: u64,
    },
    /// From before the start of the server, which does not know what was used then.
    #[error("X-TIMESTAMP: is from before the start of the server: sign again")]
    BeforeStart,
    /// A signature that was used.
    #[error("X-SIGNATURE: was used before")]
    Replayed,
    /// No such token, or it has ended.
    #[error("token: is not a valid token, or has expired")]
    Token,
    /// Not from where the key may be used.
    #[error("X-API-KEY: may not be used from this address")]
    Address,
    /// Who it is may not.
    #[error("{0}")]
    Forbidden(&'static str),
}

impl AuthError {
    /// The code of the native dialect.
    pub fn code(self) -> crate::native::Code {
        use crate::native::Code;
        match self {
            AuthError::Missing(_) => Code::MissingAuth,
            AuthError::Ambiguous(..) | AuthError::Differs => Code::InvalidParameter,
            AuthError::Malformed(..)
            | AuthError::DevelopmentOnly(_)
            | AuthError::Signature
            | AuthError::Window { .. }
            | AuthError::BeforeStart
            | AuthError::Replayed
            | AuthError::Token => Code::AuthFailed,
            AuthError::Address | AuthError::Forbidden(_) => Code::PermissionDenied,
        }
    }
}

impl From<AuthError> for crate::native::failure::Failure {
    fn from(error: AuthError) -> crate::native::failure::Failure {
        crate::native::failure::Failure::new(error.code(), error.to_string())
    }
}

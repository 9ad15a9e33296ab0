//! `auth.login` and `auth.jwt`: who a client says that it is. Whether it is so, the caller finds out.

use money::UserId;

use super::endpoint::Endpoint;
use super::failure::Failure;
use crate::auth::{Hidden, Shown};
use crate::json::Value;
use crate::native::Context;
use crate::native::fields::{Field, body_fields};

/// Longest `api_key`, in bytes.
pub const MAX_API_KEY_BYTES: usize = 128;
/// Longest `api_secret`, in bytes.
pub const MAX_API_SECRET_BYTES: usize = 256;
/// Longest `token`, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The parameters of `auth.login`. In development mode an `api_key` that is a user id is that user.
pub(super) fn read_key(
    params: &[u8],
    endpoint: Endpoint,
    context: &Context<'_>,
) -> Result<Shown, Failure> {
    let [key, secret, timestamp, signature] =
        body_fields(params, ["api_key", "api_secret", "timestamp", "signature"])?;
    if context.auth.is_development
        && let Some(user) = user_of(&key)
    {
        return Ok(Shown::User(user));
    }
    let key = bounded(&key, MAX_API_KEY_BYTES)?.to_owned();
    if signature.is_absent() {
        let secret = Hidden::new(bounded(&secret, MAX_API_SECRET_BYTES)?);
        return Ok(Shown::Secret { key, secret });
    }
    Ok(Shown::Signed {
        key,
        timestamp: timestamp.required_literal()?.to_owned(),
        signature: bounded(&signature, MAX_API_SECRET_BYTES)?.to_owned(),
        target: endpoint.path(),
    })
}

/// The parameters of `auth.jwt`.
pub(super) fn read_token(params: &[u8]) -> Result<Shown, Failure> {
    let [token] = body_fields(params, ["token"])?;
    Ok(Shown::Token(Hidden::new(bounded(&token, MAX_TOKEN_BYTES)?)))
}

fn user_of(key: &Field<'_>) -> Option<UserId> {
    match key.value {
        Value::Text(_) | Value::Number(_) => key.id().ok().flatten().map(UserId),
        _ => None,
    }
}

fn bounded<'a>(field: &'a Field<'_>, most_bytes: usize) -> Result<&'a str, Failure> {
    let text = field.required_text()?;
    if text.is_empty() || text.len() > most_bytes {
        return Err(field.failure(format_args!("must be 1 to {most_bytes} bytes long")).into());
    }
    Ok(text)
}

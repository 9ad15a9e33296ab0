//! `auth.login` and `auth.jwt`: who a client says that it is. Whether it is so, the caller finds out.

use money::UserId;

use super::failure::Failure;
use crate::json::Value;
use crate::native::Context;
use crate::native::fields::{Field, body_fields};

/// Longest `api_key`, in bytes.
pub const MAX_API_KEY_BYTES: usize = 128;
/// Longest `api_secret`, in bytes.
pub const MAX_API_SECRET_BYTES: usize = 256;
/// Longest `token`, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Who a client says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// This user, believed in development mode; whether it exists is for its home shard to say.
    User(UserId),
    /// Whoever this key belongs to, if the secret is its.
    Key {
        /// The public half.
        key: String,
        /// The other.
        secret: Secret,
    },
    /// Whoever this token names.
    Jwt(Secret),
}

/// Text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The parameters of `auth.login`. In development mode an `api_key` that is a user id is that user.
pub(super) fn read_key(params: &[u8], context: &Context<'_>) -> Result<Credential, Failure> {
    let [key, secret] = body_fields(params, ["api_key", "api_secret"])?;
    if context.auth.is_development
        && let Some(user) = user_of(&key)
    {
        return Ok(Credential::User(user));
    }
    let key_text = bounded(&key, MAX_API_KEY_BYTES)?.to_owned();
    let secret = Secret(bounded(&secret, MAX_API_SECRET_BYTES)?.to_owned());
    Ok(Credential::Key { key: key_text, secret })
}

/// The parameters of `auth.jwt`.
pub(super) fn read_token(params: &[u8]) -> Result<Credential, Failure> {
    let [token] = body_fields(params, ["token"])?;
    Ok(Credential::Jwt(Secret(bounded(&token, MAX_TOKEN_BYTES)?.to_owned())))
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

//! Access tokens: JSON Web Tokens, HS256, made and read by this server alone.
//!
//! The first part of a token is compared as a whole with the only one that the server makes: so there is
//! no algorithm to be chosen, `none` included.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Permissions, SessionId};
use money::UserId;
use ring::hmac;

use super::caller::{Caller, Means};
use super::error::AuthError;
use super::{Auth, Judge};
use crate::native::fields::body_fields;

/// How long an access token is good, in ms.
pub const ACCESS_TOKEN_LIFE_MS: u64 = 15 * 60 * 1_000;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 1_024;

fn header(generation: u32) -> String {
    let text = format!("{{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"{generation:08x}\"}}");
    URL_SAFE_NO_PAD.encode(text)
}

impl Auth {
    /// A token of a session of a user.
    pub fn access_token(&self, user: UserId, session: SessionId, now_ms: u64) -> String {
        let Some((generation, key)) = self.secrets.of_tokens().next() else { return String::new() };
        let (issued_s, expires_s) = (now_ms / 1_000, (now_ms + ACCESS_TOKEN_LIFE_MS) / 1_000);
        let claims = format!(
            "{{\"sub\":\"{user}\",\"sid\":\"{session}\",\"iat\":{issued_s},\"exp\":{expires_s}}}"
        );
        let signed = format!("{}.{}", header(generation), URL_SAFE_NO_PAD.encode(claims));
        let tag = hmac::sign(key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// Who bears a token.
    ///
    /// # Errors
    /// Nobody that is believed.
    pub fn caller_of_token(&self, judge: &Judge<'_>, token: &str) -> Result<Caller, AuthError> {
        let (user, session) = self.read_token(token, judge.now_ms).ok_or(AuthError::Token)?;
        let record = judge.identities.session(session).ok_or(AuthError::Token)?;
        if record.user != user {
            return Err(AuthError::Token);
        }
        let role = judge.identities.role(user);
        let permissions = Permissions::of_role(role);
        Ok(Caller { user: Some(user), role, permissions, means: Means::Session(session) })
    }

    fn read_token(&self, token: &str, now_ms: u64) -> Option<(UserId, SessionId)> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, tag) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let mut keys = self.secrets.of_tokens();
        let (_, key) = keys.find(|&(generation, _)| header(generation) == head)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(key, signed.as_bytes(), &tag).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let [sub, sid, exp] = body_fields(&claims, ["sub", "sid", "exp"]).ok()?;
        let expires_s = exp.required_id().ok()?;
        if now_ms / 1_000 >= expires_s {
            return None;
        }
        let session = SessionId::parse(sid.required_text().ok()?.as_bytes())?;
        Some((UserId(sub.required_id().ok()?), session))
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;

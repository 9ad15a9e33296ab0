//! From the headers of a request to who asks.

use identity::Access;

use super::caller::Caller;
use super::error::AuthError;
use super::signature::{Seal, SignedText, same};
use super::{Auth, Judge};
use crate::http::Request;
use crate::native::route::user_id;
use crate::native::ws::is_loopback;

/// What the header `Authorization` begins with.
const BEARER: &[u8] = b"bearer ";

/// Who asks: [`Caller::NOBODY`] where nothing was shown. `user_parameter` is a user that stands in the
/// query, where the dialect has such a thing; its name is `user_id`.
///
/// # Errors
/// Something was shown that is not believed.
pub fn identify(
    request: &Request<'_>,
    judge: &Judge<'_>,
    access: Access,
    user_parameter: Option<&[u8]>,
) -> Result<(Caller, Option<Seal>), AuthError> {
    match (request.authorization, request.api_key) {
        (Some(_), Some(_)) => {
            return Err(AuthError::Ambiguous("Authorization", "X-API-KEY"));
        }
        (Some(value), None) => {
            return Ok((judge.auth.caller_of_token(judge, bearer(value)?)?, None));
        }
        (None, Some(key)) => {
            let (caller, seal) = signed(request, judge, key)?;
            return Ok((caller, Some(seal)));
        }
        (None, None) => {}
    }
    believed(request, judge, access, user_parameter).map(|caller| (caller, None))
}

fn bearer(value: &[u8]) -> Result<&str, AuthError> {
    const RULE: AuthError =
        AuthError::Malformed("Authorization", "must be Bearer and an access token");
    let (scheme, token) = value.split_at_checked(BEARER.len()).ok_or(RULE)?;
    if !scheme.eq_ignore_ascii_case(BEARER) {
        return Err(RULE);
    }
    std::str::from_utf8(token.trim_ascii()).map_err(|_| RULE)
}

fn signed(
    request: &Request<'_>,
    judge: &Judge<'_>,
    key: &[u8],
) -> Result<(Caller, Seal), AuthError> {
    let (method, target) = request.method_and_target();
    let timestamp = request.timestamp.ok_or(AuthError::Missing("X-TIMESTAMP: is required"))?;
    let given = request.signature.ok_or(AuthError::Missing("X-SIGNATURE: is required"))?;
    let text = SignedText { timestamp, method, target, body: request.body };
    judge.auth.caller_of_signature(judge, key, &text, given)
}

/// What the development mode takes on trust.
fn believed(
    request: &Request<'_>,
    judge: &Judge<'_>,
    access: Access,
    user_parameter: Option<&[u8]>,
) -> Result<Caller, AuthError> {
    let auth: &Auth = judge.auth;
    if let Some(token) = request.admin_token.filter(|_| is_administration(access)) {
        if !auth.is_development {
            return Err(AuthError::DevelopmentOnly("X-Admin-Token"));
        }
        let is_right =
            auth.admin_token.as_ref().is_some_and(|wanted| same(wanted.as_bytes(), token));
        if !is_right {
            return Err(AuthError::Forbidden("X-Admin-Token: is wrong"));
        }
        check_origin(request)?;
        return Ok(Caller::ADMIN_TOKEN);
    }
    let (name, text) = match (user_parameter, request.user_id) {
        (Some(text), Some(other)) if text != other => {
            return Err(AuthError::Differs);
        }
        (Some(text), _) => ("user_id", text),
        (None, Some(text)) => ("X-User-ID", text),
        (None, None) => return Ok(Caller::NOBODY),
    };
    if !auth.is_development {
        return Err(AuthError::DevelopmentOnly(name));
    }
    let user = user_id(text).ok_or(AuthError::Malformed(name, "is not a user id"))?;
    check_origin(request)?;
    Ok(Caller::development(user, judge.identities))
}

/// Any page may ask where a route has CORS, and any page may open a WebSocket anywhere. Else every page that
/// a developer visits could trade as anybody.
fn check_origin(request: &Request<'_>) -> Result<(), AuthError> {
    let detail = "Origin: only a page from this machine may say who its user is";
    let is_own = request.headers("origin").all(is_loopback);
    is_own.then_some(()).ok_or(AuthError::Forbidden(detail))
}

/// Whether a class of things is for others than users.
fn is_administration(access: Access) -> bool {
    match access {
        Access::Look | Access::Audit | Access::Support | Access::Admin => true,
        Access::Public | Access::Read | Access::Trade | Access::Withdraw | Access::Keys => false,
    }
}

//! Who asks.

use money::UserId;

use crate::http::Request;
use crate::native::Auth;
use crate::native::failure::{Code, Failure};
use crate::native::fields::query_fields;
use crate::native::route::user_id;
use crate::native::ws::is_loopback;

/// The user that a request names, if it names one: by header or parameter.
pub(super) fn caller(request: &Request<'_>, auth: &Auth) -> Result<Option<UserId>, Failure> {
    let [parameter] = query_fields(request.query, ["user_id"])?;
    let parameter_text = parameter.text()?.map(str::as_bytes);
    let (name, text) = match (parameter_text, request.user_id) {
        (Some(text), Some(other)) if text != other => {
            return Err(parameter.failure("differs from X-User-ID"));
        }
        (Some(text), _) => ("user_id", text),
        (None, Some(text)) => ("X-User-ID", text),
        (None, None) => return Ok(None),
    };
    let failure = |rule| Failure::new(Code::AuthFailed, format!("{name}: {rule}"));
    if !auth.is_development {
        return Err(failure("is for the development mode only"));
    }
    let user = user_id(text).ok_or_else(|| failure("is not a user id"))?;
    // Any page may ask here, because every route has CORS. Else every page that a developer visits
    // could trade as anybody.
    if !request.headers("origin").all(is_loopback) {
        let detail = "Origin: only a page from this machine may say who its user is";
        return Err(Failure::new(Code::PermissionDenied, detail));
    }
    Ok(Some(user))
}

/// The same, for a route that is about a user.
pub(super) fn required_caller(request: &Request<'_>, auth: &Auth) -> Result<UserId, Failure> {
    caller(request, auth)?.ok_or_else(|| {
        Failure::new(Code::MissingAuth, "X-User-ID: header or parameter user_id is required")
    })
}

//! `/api/auth/login`, `refresh`, `logout` and `password`.

use engine::Command;
use identity::{Change, Outcome, UserChange};
use money::UserId;

use super::respond::{Kind, write_ok};
use crate::auth::{
    ACCESS_TOKEN_LIFE_MS, Caller, Grant, Means, Password, RefreshToken, check_password,
};
use crate::http::Request;
use crate::http::response::Framing;
use crate::json::write;
use crate::native::Context;
use crate::native::action::{Action, Granting, PasswordAction, Respond, Shape, Then};
use crate::native::failure::{Code, Failure};
use crate::native::fields::body_fields;
use crate::native::route::required_user;

const MS_PER_S: u64 = 1_000;

fn responds(kind: Kind, framing: Framing) -> Respond {
    Respond { shape: Shape::Desk(kind), framing }
}

/// `POST /api/auth/login`.
pub(super) fn login(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [user, password] = body_fields(request.body, ["user_id", "password"])?;
    let user = UserId(user.required_id()?);
    let given = Some(Password::new(password.required_text()?));
    let respond = responds(Kind::Session, framing);
    let then = Then::Login;
    Ok(Action::Password(Box::new(PasswordAction { user, given, new: None, then, respond })))
}

/// `POST /api/auth/refresh`.
pub(super) fn refresh(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [token] = body_fields(request.body, ["refresh_token"])?;
    let secrets = &context.auth.secrets;
    let old = RefreshToken::parse(token.required_text()?).filter(|old| old.is_ours(secrets));
    let old =
        old.ok_or_else(|| token_failure("is not a refresh token, or its session has ended"))?;
    let random = |bytes: &mut [u8]| context.world.random(bytes);
    let (grant, change) = Grant::of_refresh(&old, context.now_ms, secrets, random);
    let respond = responds(Kind::Session, framing);
    Ok(Action::Grant(Box::new(Granting { change, grant, respond })))
}

fn token_failure(rule: &str) -> Failure {
    Failure::new(Code::AuthFailed, format!("refresh_token: {rule}"))
}

/// `POST /api/auth/logout`.
pub(super) fn logout(caller: &Caller, framing: Framing) -> Result<Action, Failure> {
    let Means::Session(session) = caller.means else {
        let detail = "Authorization: a logout needs the access token of its session";
        return Err(Failure::new(Code::InvalidParameter, detail));
    };
    Ok(command(Change::CloseSession { session }, Kind::Ok, framing))
}

/// `POST /api/auth/password`.
pub(super) fn password(
    request: &Request<'_>,
    caller: &Caller,
    framing: Framing,
) -> Result<Action, Failure> {
    let user = required_user(caller)?;
    let [old, new] = body_fields(request.body, ["old_password", "new_password"])?;
    let given = Some(Password::new(old.required_text()?));
    let text = new.required_text()?;
    check_password(text).map_err(|rule| new.failure(rule))?;
    let change = UserChange { user, ..UserChange::default() };
    Ok(Action::Password(Box::new(PasswordAction {
        user,
        given,
        new: Some(Password::new(text)),
        then: Then::Change(change),
        respond: responds(Kind::Ok, framing),
    })))
}

pub(super) fn command(change: Change, kind: Kind, framing: Framing) -> Action {
    let command = Command::Identity(Box::new(change));
    Action::Command { command, respond: responds(kind, framing), repeat_while_more: false }
}

/// Appends the answer to a login or refresh whose session is open on every shard, or was closed because
/// its token came twice.
pub fn respond_grant(
    respond: &Respond,
    grant: &Grant,
    outcome: Outcome,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    let Outcome::Opened { session, user } = outcome else {
        let failure = token_failure("was used before: its session is closed, log in again");
        return super::write_failure(&failure, respond.framing, out);
    };
    write_ok(out, respond.framing, |out| {
        out.extend_from_slice(b"{\"access_token\":\"");
        let token = context.auth.access_token(user, session, grant.now_ms);
        out.extend_from_slice(token.as_bytes());
        out.extend_from_slice(b"\",\"refresh_token\":\"");
        grant.refresh.write(out);
        out.extend_from_slice(b"\",\"token_type\":\"Bearer\",\"expires_in\":");
        write::integer(out, ACCESS_TOKEN_LIFE_MS / MS_PER_S);
        out.extend_from_slice(b",\"user_id\":");
        write::integer(out, user.0);
        out.extend_from_slice(b",\"role\":\"");
        out.extend_from_slice(context.identities.role(user).as_str().as_bytes());
        out.extend_from_slice(b"\"}");
    });
}

/// Appends that a password is wrong. Whether there is such a user it does not say.
pub fn wrong_password(respond: &Respond, out: &mut Vec<u8>) {
    let detail = match respond.shape {
        Shape::Desk(Kind::Session) => "user_id or password is wrong",
        _ => "old_password: is wrong",
    };
    super::write_failure(&Failure::new(Code::AuthFailed, detail), respond.framing, out);
}

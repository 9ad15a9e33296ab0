//! Users: who one is, and for administrators who others are and what they become.

use engine::{AccountView, Command, Query};
use identity::{Access, Permissions, Rate, Role, UserChange};
use money::UserId;

use super::account::rows;
use super::action::{Action, Gather, PasswordAction, Respond, Shape, Then};
use super::context::Context;
use super::failure::{Code, Failure};
use super::fields::{Word, body_fields, path_field, query_fields};
use crate::auth::{Caller, Means, Password, check_password};
use crate::http::Request;
use crate::http::response::Framing;
use crate::json::write;

/// Fastest that a user may be made, in orders a second.
const MAX_ORDERS_PER_SECOND: u64 = 1_000_000;

impl Word for Role {
    const WORDS: &'static [Role] = &Role::ALL;

    fn text(self) -> &'static str {
        self.as_str()
    }

    fn read(text: &str) -> Option<Role> {
        Role::parse(text)
    }
}

/// `GET /api/v1/me`.
pub(super) fn me(caller: &Caller, user: UserId, framing: Framing) -> Action {
    let respond = Respond { shape: Shape::Me(*caller), framing };
    Action::Query { query: Query::User { user }, respond }
}

/// `GET /api/v1/admin/users`.
pub(super) fn users(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [after, limit] = query_fields(request.query, ["after", "limit"])?;
    let after = after.id()?.map(UserId);
    let gather = Gather::Users { after, limit: rows(&limit)? };
    Ok(Action::Gather { gather, respond: Respond { shape: Shape::Admin, framing } })
}

/// `GET /api/v1/admin/users/{id}`.
pub(super) fn user(segment: &str, framing: Framing) -> Result<Action, Failure> {
    let user = UserId(path_field("user_id", segment)?.required_id()?);
    let respond = Respond { shape: Shape::Admin, framing };
    Ok(Action::Query { query: Query::User { user }, respond })
}

/// `PATCH /api/v1/admin/users/{id}`: freezes or unfreezes, or changes what the user is.
pub(super) fn update(
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
    segment: &str,
    framing: Framing,
) -> Result<Action, Failure> {
    let user = UserId(path_field("user_id", segment)?.required_id()?);
    let respond = Respond { shape: Shape::Admin, framing };
    let [frozen, role, password, rate, burst] =
        body_fields(request.body, ["frozen", "role", "password", "orders_per_second", "burst"])?;
    let others = [&role, &password, &rate, &burst];
    if others.iter().all(|field| field.is_absent()) {
        let frozen = frozen.flag()?.ok_or_else(|| frozen.missing())?;
        let command = Command::FreezeUser { user, frozen };
        return Ok(Action::Command { command, respond, repeat_while_more: false });
    }
    if !frozen.is_absent() {
        return Err(frozen.failure("cannot be changed together with other fields"));
    }
    if !caller.may(Access::Admin) {
        let detail = "role, password, orders_per_second, burst: only ADMIN may change them";
        return Err(Failure::new(Code::PermissionDenied, detail));
    }
    let mut change = UserChange { user, role: role.word()?, ..UserChange::default() };
    let orders_per_second = rate.integer(0, MAX_ORDERS_PER_SECOND)?;
    let most = burst.integer(1, MAX_ORDERS_PER_SECOND)?;
    change.rate = match (orders_per_second, most) {
        (None, None) => None,
        (Some(0), None) => Some(None),
        (Some(0), Some(_)) => return Err(burst.failure("has no meaning without a rate")),
        (Some(rate), burst) => {
            let burst = burst.unwrap_or(rate.div_ceil(10)) as u32;
            Some(Some(Rate { orders_per_second: rate as u32, burst }))
        }
        (None, Some(_)) => return Err(rate.failure("is required together with burst")),
    };
    let new = match password.text()? {
        None => None,
        Some(text) => {
            check_password(text).map_err(|rule| password.failure(rule))?;
            Some(Password::new(text))
        }
    };
    let _ = context;
    let then = Then::Change(change);
    Ok(Action::Password(Box::new(PasswordAction { user, given: None, new, then, respond })))
}

/// Appends one user as administrators see it.
pub(super) fn write_account(
    out: &mut Vec<u8>,
    account: &AccountView,
    context: &Context<'_>,
    in_full: bool,
) {
    out.extend_from_slice(b"{\"user_id\":");
    write::integer(out, account.user.0);
    out.extend_from_slice(b",\"name\":");
    match &account.name {
        Some(name) => write::string(out, name),
        None => out.extend_from_slice(b"null"),
    }
    let frozen: &[u8] = if account.frozen { b",\"frozen\":true" } else { b",\"frozen\":false" };
    out.extend_from_slice(frozen);
    out.extend_from_slice(b",\"role\":\"");
    out.extend_from_slice(context.identities.role(account.user).as_str().as_bytes());
    out.push(b'"');
    if in_full {
        let known = context.identities.user(account.user);
        let has_password = known.is_some_and(|known| known.password_hash.is_some());
        out.extend_from_slice(b",\"has_password\":");
        out.extend_from_slice(if has_password { b"true" } else { b"false" });
        out.extend_from_slice(b",\"keys\":");
        write::integer(out, context.identities.keys_of(account.user).count() as u64);
        out.extend_from_slice(b",\"sessions\":");
        write::integer(out, context.identities.sessions_of(account.user).count() as u64);
        write_rate(out, context.rate_of(account.user));
    }
    out.push(b'}');
}

fn write_rate(out: &mut Vec<u8>, rate: Rate) {
    out.extend_from_slice(b",\"orders_per_second\":");
    write::integer(out, u64::from(rate.orders_per_second));
    out.extend_from_slice(b",\"burst\":");
    write::integer(out, u64::from(rate.burst));
}

/// Appends who the caller is.
pub(super) fn write_me(
    out: &mut Vec<u8>,
    account: &AccountView,
    caller: &Caller,
    context: &Context<'_>,
) {
    write_account(out, account, context, false);
    out.pop();
    out.extend_from_slice(b",\"permissions\":");
    write_permissions(out, caller.permissions);
    if let Means::Key(key) = caller.means {
        out.extend_from_slice(b",\"api_key\":\"");
        out.extend_from_slice(key.to_string().as_bytes());
        out.push(b'"');
    }
    write_rate(out, context.rate_of(account.user));
    out.push(b'}');
}

/// Appends permissions as an array of words.
pub(crate) fn write_permissions(out: &mut Vec<u8>, permissions: Permissions) {
    let words: Vec<&str> = permissions.words().collect();
    write::array(out, &words, |out, word| write::string(out, word));
}

//! Withdrawals in two steps: a user asks, an administrator confirms or rejects.

use engine::{
    Command, MAX_DESTINATION_LENGTH_BYTES, MAX_REFERENCE_LENGTH_BYTES, Query, WithdrawalRequest,
    WithdrawalView,
};
use money::{UserId, WithdrawalStatus, write_units};

use super::account::rows;
use super::action::{Action, Gather, Respond, Shape};
use super::admin::{asset_of, bounded_text};
use super::amounts::{asset_parts, read_amount};
use super::context::Context;
use super::failure::{Code, Failure};
use super::fields::{Field, body_fields, query_fields};
use crate::http::Request;
use crate::http::response::Framing;
use crate::json::write;

fn command(command: Command, shape: Shape, framing: Framing) -> Action {
    Action::Command { command, respond: Respond { shape, framing }, repeat_while_more: false }
}

fn read_reference(field: &Field<'_>) -> Result<String, Failure> {
    let text = bounded_text(field, MAX_REFERENCE_LENGTH_BYTES)?;
    Ok(text.ok_or_else(|| field.missing())?.to_owned())
}

/// `POST /api/v1/withdrawals`.
pub(super) fn request(
    request: &Request<'_>,
    context: &Context<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [asset, amount, reference, to] =
        body_fields(request.body, ["asset", "amount", "ref", "to"])?;
    let (asset, definition) = asset_of(context, &asset)?;
    let value = amount.required_decimal(Code::InvalidParameter)?;
    let amount = read_amount(amount.name, Code::InvalidParameter, value, definition.decimals)?;
    let destination = bounded_text(&to, MAX_DESTINATION_LENGTH_BYTES)?.map(str::to_owned);
    let reference = read_reference(&reference)?;
    let asked = WithdrawalRequest { user, asset, amount, reference, destination };
    Ok(command(Command::RequestWithdrawal(Box::new(asked)), Shape::Asked, framing))
}

/// `GET /api/v1/withdrawals`.
pub(super) fn of_user(
    request: &Request<'_>,
    user: UserId,
    framing: Framing,
) -> Result<Action, Failure> {
    let [status, limit] = query_fields(request.query, ["status", "limit"])?;
    let query = Query::Withdrawals {
        user,
        status: status.word::<WithdrawalStatus>()?,
        limit: rows(&limit)?,
    };
    Ok(Action::Query { query, respond: Respond { shape: Shape::Own, framing } })
}

/// `GET /api/v1/admin/withdrawals`: all of one user, or those of all users that wait.
pub(super) fn of_all(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [user, limit] = query_fields(request.query, ["user_id", "limit"])?;
    let (user, limit) = (user.id()?.map(UserId), rows(&limit)?);
    let respond = Respond { shape: Shape::Admin, framing };
    Ok(match user {
        Some(user) => {
            Action::Query { query: Query::Withdrawals { user, status: None, limit }, respond }
        }
        None => Action::Gather { gather: Gather::Withdrawals { limit }, respond },
    })
}

/// `POST /api/v1/admin/withdrawals/confirm` and `/reject`.
pub(super) fn end(
    request: &Request<'_>,
    confirm: bool,
    framing: Framing,
) -> Result<Action, Failure> {
    let [user, reference] = body_fields(request.body, ["user_id", "ref"])?;
    let user = UserId(user.required_id()?);
    let reference = read_reference(&reference)?;
    Ok(command(Command::EndWithdrawal { user, reference, confirm }, Shape::Admin, framing))
}

/// Appends a withdrawal.
pub(super) fn write_withdrawal(
    out: &mut Vec<u8>,
    withdrawal: &WithdrawalView,
    context: &Context<'_>,
) {
    let (asset, decimals) = asset_parts(context.registry, withdrawal.asset);
    out.extend_from_slice(b"{\"user_id\":");
    write::integer(out, withdrawal.user.0);
    out.extend_from_slice(b",\"ref\":");
    write::string(out, &withdrawal.reference);
    out.extend_from_slice(b",\"asset\":");
    write::string(out, asset);
    out.extend_from_slice(b",\"amount\":\"");
    write_units(out, withdrawal.amount, decimals);
    out.extend_from_slice(b"\",\"to\":");
    match &withdrawal.destination {
        Some(to) => write::string(out, to),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(withdrawal.status.as_str().as_bytes());
    out.extend_from_slice(b"\",\"requested_at\":");
    write::integer(out, withdrawal.requested_at_ms);
    out.extend_from_slice(b",\"ended_at\":");
    match withdrawal.ended_at_ms {
        Some(at_ms) => write::integer(out, at_ms),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

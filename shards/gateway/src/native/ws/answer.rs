//! Answers to messages, and the greeting. Each is one JSON object with a `type`.

use engine::{OrderFilter, Query, Refusal, Registry, Reply};
use money::UserId;

use super::channel::Channel;
use super::message::{MessageKind, Tag};
use super::request_id::RequestId;
use crate::json::write;
use crate::native::action::Respond;
use crate::native::context::Context;
use crate::native::failure::{Code, Failure};
use crate::native::fields::Word;
use crate::native::format::{OVERLOADED, write_data};
use crate::native::refusal::failure_of;

/// A question whose answer tells whether a user exists ([`is_unknown_user`]), for who connects by
/// `user_id` alone.
pub fn user_query(user: UserId) -> Query {
    Query::Orders { user, symbol: None, filter: OrderFilter::Open, before: None, limit: 1 }
}

/// Whether the reply to [`user_query`] says that there is no such user: then [`auth_error`], and
/// close.
pub fn is_unknown_user(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(Refusal::UnknownUser))
}

/// Appends the greeting: `{"type":"connected","user_id":1001}`, without a user where there is none.
pub fn connected(user: Option<UserId>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"connected\"");
    if let Some(user) = user {
        write_user(user, out);
    }
    out.push(b'}');
}

/// Appends `{"type":"auth.success","user_id":1001}`.
pub fn auth_success(id: Option<&RequestId>, user: UserId, out: &mut Vec<u8>) {
    begin_success(MessageKind::Auth, id, out);
    write_user(user, out);
    out.push(b'}');
}

/// Appends `{"type":"auth.error","code":2002,"msg":…}`; the connection is closed behind it. `detail`
/// begins with the field.
pub fn auth_error(id: Option<&RequestId>, code: Code, detail: &str, out: &mut Vec<u8>) {
    begin("auth.error", id, out);
    out.push(b',');
    Failure::new(code, detail).write_code_and_message(out);
    out.push(b'}');
}

/// Appends `{"type":"pong"}`.
pub fn pong(id: Option<&RequestId>, out: &mut Vec<u8>) {
    begin("pong", id, out);
    out.push(b'}');
}

/// Appends `{"type":"subscribe.success","channels":[…]}`.
pub fn subscribed(
    id: Option<&RequestId>,
    channels: &[Channel],
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    write_channels(MessageKind::Subscribe, id, channels, registry, out);
}

/// Appends `{"type":"unsubscribe.success","channels":[…]}`.
pub fn unsubscribed(
    id: Option<&RequestId>,
    channels: &[Channel],
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    write_channels(MessageKind::Unsubscribe, id, channels, registry, out);
}

/// Appends the answer to a message about orders: `{"type":"order.place.success","id":…,"data":…}`
/// with what the same request over HTTP is answered, or an error.
pub fn respond(
    respond: &Respond,
    tag: &Tag,
    reply: &Reply,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) {
    let id = tag.id.as_ref();
    match reply {
        Reply::Refused(Refusal::UnknownUser) => {
            write_error(id, &Failure::new(Code::AuthFailed, "user_id: unknown user"), out);
        }
        Reply::Refused(refusal) => {
            write_error(id, &failure_of(refusal, respond.shape, context), out);
        }
        Reply::Accepted { .. } | Reply::Matched { .. } | Reply::Order(_) => {
            begin_success(tag.kind, id, out);
            out.extend_from_slice(b",\"data\":");
            write_data(out, respond.shape, reply, context);
            out.push(b'}');
        }
        _ => refuse(id, Code::Internal, "a reply does not fit its message", out),
    }
}

/// Appends an error: `{"type":"error","id":…,"code":…,"msg":…}`. `detail` begins with the field.
pub fn refuse(id: Option<&RequestId>, code: Code, detail: &str, out: &mut Vec<u8>) {
    write_error(id, &Failure::new(code, detail), out);
}

/// The same of a message that may be sent again, and when: `…,"retry_after_ms":10}`.
pub fn refuse_for(
    id: Option<&RequestId>,
    code: Code,
    detail: &str,
    retry_ms: Option<u64>,
    out: &mut Vec<u8>,
) {
    refuse(id, code, detail, out);
    if let Some(retry_ms) = retry_ms {
        out.pop();
        out.extend_from_slice(b",\"retry_after_ms\":");
        write::integer(out, retry_ms);
        out.push(b'}');
    }
}

/// Appends the error for a binary message.
pub fn refuse_binary(out: &mut Vec<u8>) {
    refuse(None, Code::InvalidParameter, "message: must be text, not binary", out);
}

/// Appends the error for a message that came while more is under way than is admitted.
pub fn overloaded(tag: &Tag, out: &mut Vec<u8>) {
    refuse(tag.id.as_ref(), Code::Unavailable, OVERLOADED, out);
}

pub(super) fn write_error(id: Option<&RequestId>, failure: &Failure, out: &mut Vec<u8>) {
    begin("error", id, out);
    out.push(b',');
    failure.write_code_and_message(out);
    out.push(b'}');
}

fn write_channels(
    kind: MessageKind,
    id: Option<&RequestId>,
    channels: &[Channel],
    registry: &Registry,
    out: &mut Vec<u8>,
) {
    begin_success(kind, id, out);
    out.extend_from_slice(b",\"channels\":");
    write::array(out, channels, |out, channel| channel.write_name(registry, out));
    out.push(b'}');
}

fn begin_success(kind: MessageKind, id: Option<&RequestId>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.text().as_bytes());
    out.extend_from_slice(b".success\"");
    write_id(id, out);
}

fn begin(kind: &str, id: Option<&RequestId>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    write_id(id, out);
}

fn write_id(id: Option<&RequestId>, out: &mut Vec<u8>) {
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        id.write(out);
    }
}

fn write_user(user: UserId, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"user_id\":");
    write::integer(out, user.0);
}

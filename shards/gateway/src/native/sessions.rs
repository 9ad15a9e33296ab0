//! Open connections, for administrators: list, look at, end.

use std::net::IpAddr;

use money::{ShardId, UserId};

use super::account::rows;
use super::action::{Action, Respond, Shape};
use super::failure::{Code, Failure};
use super::fields::{Word, path_field, query_fields};
use super::format::envelope;
use crate::http::response::{Framing, write_json};
use crate::http::{Method, Request};
use crate::json::write;

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SessionKind {
    /// Requests and answers.
    Http,
    /// `/ws`.
    Native,
    /// `/orders`.
    RpcOrders,
    /// `/market-data`.
    RpcMarketData,
    /// `/user-data`.
    RpcUserData,
    /// `/api/stream`.
    EventStream,
}

impl SessionKind {
    /// All of them, each at the place of its number.
    pub const ALL: [SessionKind; 6] = [
        SessionKind::Http,
        SessionKind::Native,
        SessionKind::RpcOrders,
        SessionKind::RpcMarketData,
        SessionKind::RpcUserData,
        SessionKind::EventStream,
    ];

    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionKind::Http => "HTTP",
            SessionKind::Native => "WS",
            SessionKind::RpcOrders => "RPC_ORDERS",
            SessionKind::RpcMarketData => "RPC_MARKET_DATA",
            SessionKind::RpcUserData => "RPC_USER_DATA",
            SessionKind::EventStream => "EVENT_STREAM",
        }
    }
}

impl Word for SessionKind {
    const WORDS: &'static [SessionKind] = &SessionKind::ALL;

    fn text(self) -> &'static str {
        self.as_str()
    }

    fn read(text: &str) -> Option<SessionKind> {
        SessionKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// Names it while it is open.
    pub id: u64,
    /// Where it is.
    pub shard: ShardId,
    /// What it is.
    pub kind: SessionKind,
    /// Who it is, if that is known; requests of HTTP each say it anew.
    pub user: Option<UserId>,
    /// Where it comes from.
    pub address: IpAddr,
    /// Since when, in ms since the epoch.
    pub opened_ms: u64,
}

/// Which connections to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only of this user.
    pub user: Option<UserId>,
    /// Only of this kind.
    pub kind: Option<SessionKind>,
    /// How many.
    pub limit: usize,
}

impl SessionFilter {
    /// Whether a connection is asked for.
    pub fn wants(&self, report: &SessionReport) -> bool {
        self.user.is_none_or(|user| report.user == Some(user))
            && self.kind.is_none_or(|kind| report.kind == kind)
    }
}

/// `GET /api/v1/admin/sessions`.
pub(super) fn sessions(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [user, kind, limit] = query_fields(request.query, ["user_id", "kind", "limit"])?;
    let filter = SessionFilter {
        user: user.id()?.map(UserId),
        kind: kind.word::<SessionKind>()?,
        limit: rows(&limit)?,
    };
    Ok(Action::Sessions { filter, respond: Respond { shape: Shape::Admin, framing } })
}

/// `GET` or `DELETE /api/v1/admin/sessions/{id}`.
pub(super) fn session(method: Method, id: &str, framing: Framing) -> Result<Action, Failure> {
    let field = path_field("session_id", id)?;
    let text = field.required_text()?;
    let id = u64::from_str_radix(text, 16).map_err(|_| field.failure("must be hexadecimal"))?;
    let respond = Respond { shape: Shape::Admin, framing };
    Ok(Action::Session { id, is_ended: method == Method::Delete, respond })
}

/// Appends how many connections of each kind there are, and those that were asked for. `counts` are in
/// the order of [`SessionKind::ALL`].
pub fn respond_sessions(
    respond: &Respond,
    counts: &[u64; SessionKind::ALL.len()],
    reports: &[SessionReport],
    out: &mut Vec<u8>,
) {
    write_json(out, 200, respond.framing, |out| {
        envelope(out, |out| {
            out.extend_from_slice(b"{\"total\":");
            write::integer(out, counts.iter().sum::<u64>());
            out.extend_from_slice(b",\"counts\":{");
            for (index, (kind, &count)) in SessionKind::ALL.iter().zip(counts).enumerate() {
                out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
                out.extend_from_slice(kind.as_str().as_bytes());
                out.extend_from_slice(b"\":");
                write::integer(out, count);
            }
            out.extend_from_slice(b"},\"sessions\":");
            write::array(out, reports, write_session);
            out.push(b'}');
        });
    });
}

/// Appends one connection, which may have just been ended; `None`: there is none of this number.
pub fn respond_session(respond: &Respond, report: Option<&SessionReport>, out: &mut Vec<u8>) {
    let Some(report) = report else {
        let failure = Failure::new(Code::NotFound, "session_id: no such session is open");
        return failure.write(respond.framing, out);
    };
    write_json(out, 200, respond.framing, |out| {
        envelope(out, |out| write_session(out, report));
    });
}

fn write_session(out: &mut Vec<u8>, report: &SessionReport) {
    // Its numbers fill 64 bits, which not every reader of JSON can hold.
    out.extend_from_slice(b"{\"session_id\":");
    write::string(out, &format!("{:x}", report.id));
    out.extend_from_slice(b",\"shard\":");
    write::integer(out, u64::from(report.shard.0));
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(report.kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"user_id\":");
    match report.user {
        Some(user) => write::integer(out, user.0),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"address\":");
    write::string(out, &report.address.to_string());
    out.extend_from_slice(b",\"opened_at\":");
    write::integer(out, report.opened_ms);
    out.push(b'}');
}

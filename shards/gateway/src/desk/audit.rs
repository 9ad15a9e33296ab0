//! `/api/audit/*`: what is asked of the audit trail, which the caller keeps.

use money::UserId;

use super::respond::{Kind, write_ok};
use crate::http::Request;
use crate::http::response::Framing;
use crate::json::write;
use crate::middleware::AuditKind;
use crate::native::action::{Action, Respond, Shape};
use crate::native::failure::{Code, Failure};
use crate::native::fields::{Word, query_fields};
use crate::native::rows;

/// What is asked of the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditQuestion {
    /// Records, newest first.
    Logs {
        /// Only of this kind.
        kind: Option<AuditKind>,
        /// Only of this user.
        user: Option<UserId>,
        /// Only from this time on, in ms since the epoch.
        from_ms: u64,
        /// Only up to this time, itself included.
        to_ms: u64,
        /// How many.
        limit: usize,
    },
    /// How much there is.
    Stats,
    /// That closed files are compressed now.
    Archive,
}

impl Word for AuditKind {
    const WORDS: &'static [AuditKind] =
        &[AuditKind::Auth, AuditKind::Order, AuditKind::Admin, AuditKind::Key];

    fn text(self) -> &'static str {
        match self {
            AuditKind::Auth => "auth",
            AuditKind::Order => "order",
            AuditKind::Admin => "admin",
            AuditKind::Key => "key",
        }
    }

    fn read(text: &str) -> Option<AuditKind> {
        AuditKind::WORDS.iter().copied().find(|kind| kind.text() == text)
    }
}

fn ask(question: AuditQuestion, framing: Framing) -> Action {
    let respond = Respond { shape: Shape::Desk(Kind::Ok), framing };
    Action::Audit { question, respond }
}

/// `GET /api/audit/logs`.
pub(super) fn logs(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [kind, user, from, to, limit] =
        query_fields(request.query, ["type", "user", "from", "to", "limit"])?;
    let (from_ms, to_ms) = (from.id()?.unwrap_or(0), to.id()?.unwrap_or(u64::MAX));
    if from_ms > to_ms {
        return Err(from.failure("must not be later than to"));
    }
    let question = AuditQuestion::Logs {
        kind: kind.word()?,
        user: user.id()?.map(UserId),
        from_ms,
        to_ms,
        limit: rows(&limit)?,
    };
    Ok(ask(question, framing))
}

/// `GET /api/audit/stats`.
pub(super) fn stats(framing: Framing) -> Action {
    ask(AuditQuestion::Stats, framing)
}

/// `POST /api/audit/archive`.
pub(super) fn archive(framing: Framing) -> Action {
    ask(AuditQuestion::Archive, framing)
}

/// Appends an answer of the audit trail: its fields, as JSON that is written already.
pub fn respond_audit(respond: &Respond, object: &[u8], out: &mut Vec<u8>) {
    write_ok(out, respond.framing, |out| out.extend_from_slice(object));
}

/// Appends that the audit trail cannot answer.
pub fn refuse_audit(respond: &Respond, detail: &str, out: &mut Vec<u8>) {
    super::write_failure(&Failure::new(Code::Unavailable, detail), respond.framing, out);
}

/// How far a search of the audit trail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSearch {
    /// It stopped before it had seen all.
    pub is_truncated: bool,
    /// Where: the same question with this as `to` goes on. In ms since the epoch.
    pub stopped_at_ms: Option<u64>,
    /// Lines that could not be read.
    pub broken_lines: u64,
    /// Whether all that was recorded before the question was looked at.
    pub is_complete: bool,
}

/// Appends records, each a whole JSON object, as
/// `{"items":[…],"truncated":…,"stopped_at":…,"broken_lines":…,"complete":…}`.
pub fn write_records(records: &[impl AsRef<str>], search: AuditSearch, out: &mut Vec<u8>) {
    let boolean = |is_so: bool| if is_so { b"true".as_slice() } else { b"false" };
    out.extend_from_slice(b"{\"items\":");
    write::array(out, records, |out, record| out.extend_from_slice(record.as_ref().as_bytes()));
    out.extend_from_slice(b",\"truncated\":");
    out.extend_from_slice(boolean(search.is_truncated));
    out.extend_from_slice(b",\"stopped_at\":");
    match search.stopped_at_ms {
        Some(at_ms) => write::integer(out, at_ms),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"broken_lines\":");
    write::integer(out, search.broken_lines);
    out.extend_from_slice(b",\"complete\":");
    out.extend_from_slice(boolean(search.is_complete));
    out.push(b'}');
}

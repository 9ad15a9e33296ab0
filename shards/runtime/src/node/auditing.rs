//! What the audit trail is told: by whom, from where, what, with which result.
//!
//! A note is begun when a request comes in and given to the trail when it is answered. Without a trail no
//! note is made.

use std::net::IpAddr;

use audit::{Actor, Detail, Kind, Record};
use engine::{Command, OrderRef, Reply};
use gateway::Entry;
use gateway::auth::{Caller, Means};
use gateway::middleware::{AuditKind, Audited};
use gateway::native::{Action, Code};
use money::UserId;

use super::node::Node;

/// What of a record is known before the answer.
pub(crate) struct Note(Record);

/// What is told of whoever is not let in, whatever was asked for.
const REFUSED: Audited = Audited { kind: AuditKind::Auth, action: "auth.refused" };
/// What of the code of an answer is told where all went well.
const OK: &str = "OK";

impl Node {
    /// Begins a note on a request, if it is one that the trail is told of.
    pub(super) fn note(
        &self,
        entry: &Entry,
        address: IpAddr,
        action: &Action,
    ) -> Option<Box<Note>> {
        self.trail.as_ref()?;
        let is_refused = matches!(
            entry.refused,
            Some(Code::MissingAuth | Code::AuthFailed | Code::PermissionDenied)
        );
        let audited = match (entry.audited, is_refused) {
            (_, true) => REFUSED,
            (Some(audited), false) => audited,
            (None, false) => return None,
        };
        let detail = match (is_refused, entry.audited) {
            (true, Some(asked)) => Detail::text(asked.action),
            _ => detail_of(action),
        };
        let dialect = entry.dialect.as_str();
        let mut record = self.record(audited, &entry.caller, address, dialect, detail);
        if let Action::Password(password) = action
            && record.user.is_none()
        {
            record.user = Some(password.user.0);
        }
        Some(Box::new(Note(record)))
    }

    /// Begins a note on a message about orders.
    pub(super) fn note_message(
        &self,
        caller: &Caller,
        address: IpAddr,
        dialect: &'static str,
        action: &Action,
    ) -> Option<Box<Note>> {
        self.trail.as_ref()?;
        let Action::Command { command, .. } = action else { return None };
        let action_name = match command {
            Command::Place(_) => "order.place",
            Command::Cancel { .. } => "order.cancel",
            _ => "order.change",
        };
        let audited = Audited { kind: AuditKind::Order, action: action_name };
        let detail = detail_of(action);
        Some(Box::new(Note(self.record(audited, caller, address, dialect, detail))))
    }

    fn record(
        &self,
        audited: Audited,
        caller: &Caller,
        address: IpAddr,
        dialect: &'static str,
        detail: Detail,
    ) -> Record {
        Record {
            at_ms: self.clock.now_ms(),
            kind: match audited.kind {
                AuditKind::Auth => Kind::Auth,
                AuditKind::Order => Kind::Order,
                AuditKind::Admin => Kind::Admin,
                AuditKind::Key => Kind::Key,
            },
            action: audited.action,
            user: caller.user.map(|user| user.0),
            actor: match caller.means {
                Means::Nobody => Actor::Nobody,
                Means::Development => Actor::Development,
                Means::AdminToken => Actor::AdminToken,
                Means::Key(key) => Actor::Key(key.0),
                Means::Session(session) => Actor::Session(session.0),
            },
            address: Some(address),
            dialect,
            status: 0,
            code: OK,
            detail,
        }
    }

    /// Tells the trail of a login, good or bad, over a connection that stays open.
    pub(super) fn audit_login(
        &self,
        caller: &Caller,
        address: IpAddr,
        dialect: &'static str,
        code: Option<Code>,
    ) {
        if self.trail.is_none() {
            return;
        }
        let audited = Audited { kind: AuditKind::Auth, action: "auth.connect" };
        let mut record = self.record(audited, caller, address, dialect, Detail::None);
        let (_, word, status) = code.map_or((0, OK, 200), Code::parts);
        (record.code, record.status) = (word, status);
        self.hand_over(record);
    }

    /// Ends a note with the status of the answer.
    pub(super) fn audit(&self, note: Option<Box<Note>>, status: u16, code: &'static str) {
        let Some(note) = note else { return };
        let Note(mut record) = *note;
        record.status = status;
        record.code = code;
        self.hand_over(record);
    }

    fn hand_over(&self, record: Record) {
        if let Detail::Order { symbol: Some(symbol), .. } = record.detail
            && symbol as usize >= self.told_symbols.get()
        {
            self.name_symbols();
        }
        if let Some(trail) = &self.trail {
            // What finds no room is counted there, and told in the files.
            trail.record(record);
        }
    }
}

impl Note {
    /// Adds what only the answer tells.
    pub fn learn(&mut self, reply: &Reply) {
        let Detail::Order { order_id, .. } = &mut self.0.detail else {
            if let (Reply::User(user), Detail::None) = (reply, &self.0.detail) {
                self.0.detail = Detail::User(user.0);
            }
            return;
        };
        match reply {
            Reply::Accepted { order, .. } => *order_id = Some(order.0),
            Reply::Order(order) => *order_id = Some(order.order.0),
            Reply::Matched { order, .. } => *order_id = Some(order.order.0),
            _ => {}
        }
    }

    /// Names who acted, once that is known.
    pub fn set_user(&mut self, user: UserId) {
        self.0.user = Some(user.0);
    }
}

/// What the words for a status are, where nothing says it more exactly.
pub(super) fn word_of(status: u16) -> &'static str {
    match status {
        0..=399 => OK,
        400 => "BAD_REQUEST",
        401 => "AUTH_FAILED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "CONFLICT",
        429 => "RATE_LIMITED",
        503 => "UNAVAILABLE",
        _ => "FAILED",
    }
}

fn detail_of(action: &Action) -> Detail {
    match action {
        Action::Command { command, .. } | Action::IfUser { command, .. } => of_command(command),
        Action::Resolve { .. } => order(None),
        Action::Password(password) => Detail::User(password.user.0),
        Action::Session { id, .. } => Detail::text(&format!("session {id:x}")),
        _ => Detail::None,
    }
}

fn order(reference: Option<&OrderRef>) -> Detail {
    let (order_id, cid) = match reference {
        Some(OrderRef::Id(id)) => (Some(id.0), None),
        Some(OrderRef::Cid(cid)) => (None, Some(*cid)),
        None => (None, None),
    };
    Detail::Order { symbol: None, side: None, price_ticks: None, qty_lots: None, order_id, cid }
}

fn of_command(command: &Command) -> Detail {
    match command {
        Command::Place(place) => Detail::Order {
            symbol: Some(place.symbol.0),
            side: Some(place.side),
            price_ticks: Some(place.price.0),
            qty_lots: Some(place.qty.0),
            order_id: None,
            cid: place.cid,
        },
        Command::Cancel { order: reference, .. }
        | Command::Reduce { order: reference, .. }
        | Command::Move { order: reference, .. } => order(Some(reference)),
        Command::CancelUser { user, .. } | Command::FreezeUser { user, .. } => Detail::User(user.0),
        Command::EndWithdrawal { user, .. } => Detail::User(user.0),
        Command::Deposit(transfer) | Command::Withdraw(transfer) => {
            Detail::text(&format!("user {} ref {}", transfer.user, transfer.reference))
        }
        Command::RequestWithdrawal(request) => Detail::text(&format!("ref {}", request.reference)),
        Command::CreateAsset(asset) => Detail::text(&asset.name),
        Command::CreateSymbol(symbol) => Detail::text(&symbol.spec.name),
        Command::CreatePlacedSymbol(placed) => {
            Detail::text(&format!("{} on shard {}", placed.symbol.spec.name, placed.shard))
        }
        Command::UpdateSymbol { symbol, patch } => {
            Detail::text(&format!("symbol {symbol}: {patch:?}"))
        }
        Command::Identity(change) => of_change(change),
        Command::CreateUser { .. } | Command::CancelShard { .. } | Command::Prove => Detail::None,
    }
}

fn of_change(change: &identity::Change) -> Detail {
    use identity::Change;
    match change {
        Change::AddKey(record) => Detail::Key { key: record.key.0, user: record.user.0 },
        Change::RevokeKey { key, owner } => match owner {
            Some(user) => Detail::Key { key: key.0, user: user.0 },
            None => Detail::text(&key.to_string()),
        },
        Change::User(change) => match change.role {
            Some(role) => Detail::text(&format!("user {}: {}", change.user, role.as_str())),
            None => Detail::User(change.user.0),
        },
        Change::CloseSessions { user } => Detail::User(user.0),
        _ => Detail::None,
    }
}

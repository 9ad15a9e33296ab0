//! Connections from outside of them: taking them in, refusing them, listing and ending them.

use std::rc::Rc;

use gateway::native::{self, Code, Serving, SessionFilter, SessionKind, SessionReport};
use gateway::ws::close_code;

use super::node::Node;
use super::outlet::Flush;
use super::parcel::Ask;
use super::session;
use super::waiting::{HttpWaiter, Waiter};
use crate::listener::Connection;
use crate::registry::{LimitReached, SessionId, Ticket};
use crate::tls::handshake::{HandshakeError, Handshakes};

/// Connections that are told at once why they are refused; further ones are closed without a word.
const MAX_REFUSALS: usize = 256;
/// What a connection is told that an administrator ends.
const ENDED: &str = "ended by an administrator";

/// Serves a connection, or says which bound it meets. Of TLS the handshake comes first; then a
/// connection past a bound is closed without a word, since saying it would cost more than serving.
pub(crate) async fn accept(
    node: Rc<Node>,
    handshakes: Option<Rc<Handshakes>>,
    connection: Connection,
) {
    let ticket = match (node.admit(&connection), &handshakes) {
        (Ok(ticket), _) => ticket,
        (Err(reached), None) => return refuse(node, connection, reached).await,
        (Err(_), Some(_)) => return node.metrics.connection_refused(),
    };
    let connection = match handshakes {
        None => connection,
        // In a box: a connection without TLS needs no room for it.
        Some(handshakes) => match Box::pin(secure(&node, &handshakes, connection)).await {
            Some(connection) => connection,
            None => return,
        },
    };
    session::serve(node, connection, ticket).await;
}

/// `None`: the connection has come to nothing, or the server goes down.
async fn secure(
    node: &Node,
    handshakes: &Handshakes,
    connection: Connection,
) -> Option<Connection> {
    let peer = connection.peer();
    node.metrics.handshake_started();
    let secured = handshakes.secure(connection).await;
    node.metrics.handshake_ended(secured.is_ok());
    match secured {
        Ok(connection) => (node.serving.get() == Serving::Ready).then_some(connection),
        Err(error) => {
            if matches!(error, HandshakeError::TooMany(_)) {
                node.metrics.connection_refused();
            }
            tracing::debug!(%peer, %error, "no TLS connection");
            None
        }
    }
}

async fn refuse(node: Rc<Node>, mut connection: Connection, reached: LimitReached) {
    node.metrics.connection_refused();
    if node.refusals.get() >= MAX_REFUSALS {
        return;
    }
    node.refusals.set(node.refusals.get() + 1);
    let mut answer = Vec::new();
    native::refuse_connection(&reached.to_string(), &mut answer);
    let writer = connection.writer();
    // It fits into the empty buffer of a new socket; a client that is gone already needs no answer.
    if writer.try_write(&answer).is_ok() && writer.shutdown(std::net::Shutdown::Write).is_ok() {
        session::linger(&mut connection).await;
    }
    node.refusals.set(node.refusals.get() - 1);
}

impl Node {
    fn admit(&self, connection: &Connection) -> Result<Ticket, LimitReached> {
        self.registry.admit(self.here, connection.peer().ip(), self.clock.turn())
    }

    /// Lists connections of all shards.
    pub(super) fn list_sessions(&self, filter: &SessionFilter) -> ([u64; 6], Vec<SessionReport>) {
        let mut counts = [0; SessionKind::ALL.len()];
        let mut listed = Vec::new();
        for report in self.registry.reports() {
            counts[report.kind as usize] += 1;
            if listed.len() < filter.limit && filter.wants(&report) {
                listed.push(report);
            }
        }
        (counts, listed)
    }

    /// Shows a connection, or has the shard that has it end it.
    pub(super) fn act_on_session(&self, http: HttpWaiter, id: u64, is_ended: bool) {
        let id = usize::try_from(id).unwrap_or(usize::MAX);
        let report = self.registry.report(id);
        let place = self.registry.place(id).filter(|_| is_ended);
        let (Some(report), Some((shard, ..))) = (&report, place) else {
            return self.complete(http, |respond, out| {
                native::respond_session(respond, report.as_ref(), out);
            });
        };
        let report = Box::new(report.clone());
        let token = self.waiting.insert(Waiter::EndedSession { http, report });
        self.ask(shard, token, Ask::EndSession(id));
        self.turn.notify();
    }

    /// Ends a connection of this shard, if it is still there.
    pub(super) fn end_session(&self, id: SessionId) {
        let Some((shard, kind, place)) = self.registry.place(id) else { return };
        if shard != self.here {
            return;
        }
        if kind == SessionKind::Http {
            if let Some(session) = self.sessions.borrow().get(place) {
                session.close();
            }
        } else if let Some(socket) = self.sockets.borrow().get(place) {
            socket.close(close_code::POLICY, ENDED);
            socket.clone().flush();
        }
    }

    /// What a client is told that sends messages faster than it may.
    pub(super) fn too_fast(&self) -> (Code, String) {
        let rate = self.registry.limits().messages_per_s;
        let rule = format!("max_messages_per_s: at most {rate} messages a second on a connection");
        (Code::RateLimited, rule)
    }
}

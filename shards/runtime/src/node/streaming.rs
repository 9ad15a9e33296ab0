//! `/api/stream`: from a request to a stream of events.

use std::rc::Rc;
use std::time::Duration;

use gateway::desk::StreamRequest;
use gateway::http::Slot;
use gateway::native::ws::{Credential, user_query};
use shard::Request;

use super::feeds::Resume;
use super::node::Node;
use super::session::Session;
use super::socket::{Opening, Speech};
use super::waiting::Waiter;

/// No event has this number, so whoever asks for what is behind it is told that it is not known.
const NO_SEQUENCE: u64 = u64::MAX;

impl Node {
    /// Begins a stream, once its user is known to exist.
    pub(super) fn open_stream(
        &self,
        session: &Rc<Session>,
        slot: Slot,
        route: usize,
        request: StreamRequest,
    ) {
        let Some(user) = request.user else {
            return self.begin_stream(session, slot, route, request);
        };
        let waiter = Waiter::Stream { session: session.clone(), slot, route, request };
        let token = self.waiting.insert(waiter);
        self.ask_request(token, Request::Query(user_query(user)));
    }

    pub(super) fn begin_stream(
        &self,
        session: &Rc<Session>,
        slot: Slot,
        route: usize,
        request: StreamRequest,
    ) {
        let StreamRequest { head, user, symbols, after } = request;
        self.metrics.request_ended(route, 200, Duration::ZERO);
        let resume = match after {
            None => Resume::Now,
            Some(id) if id.epoch == self.epoch => Resume::After(id.sequence),
            Some(_) => Resume::After(NO_SEQUENCE),
        };
        let credential = user.map_or(Credential::None, Credential::User);
        let speech = Speech::Desk { symbols, after };
        session.upgrade(slot, &head, Opening { speech, credential, resume: Some(resume) });
        self.soil(session);
        self.turn.notify();
    }
}

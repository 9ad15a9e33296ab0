//! `/api/stream`: from a request to a stream of events.

use std::time::Duration;

use gateway::desk::StreamRequest;
use gateway::native::ws::{Credential, user_query};
use identity::Access;
use shard::Request;

use super::feeds::Resume;
use super::node::Node;
use super::socket::{Opening, Speech};
use super::waiting::{Visit, Waiter};

/// No event has this number, so whoever asks for what is behind it is told that it is not known.
const NO_SEQUENCE: u64 = u64::MAX;

impl Node {
    /// Begins a stream, once its user is known to exist.
    pub(super) fn open_stream(&self, visit: Visit, request: StreamRequest) {
        let Some(user) = request.caller.user else { return self.begin_stream(&visit, request) };
        let token = self.waiting.insert(Waiter::Stream { visit, request });
        self.ask_request(token, Request::Query(user_query(user)), None);
    }

    pub(super) fn begin_stream(&self, visit: &Visit, request: StreamRequest) {
        let StreamRequest { head, caller, symbols, after } = request;
        self.metrics.request_ended(visit.route, 200, Duration::ZERO);
        let resume = match after {
            None => Resume::Now,
            Some(id) if id.epoch == self.epoch => Resume::After(id.sequence),
            Some(_) => Resume::After(NO_SEQUENCE),
        };
        let credential = match caller.user.is_some() && caller.may(Access::Read) {
            true => Credential::Caller(caller),
            false => Credential::None,
        };
        let speech = Speech::Desk { symbols, after };
        let opening = Opening { speech, credential, resume: Some(resume) };
        visit.session.upgrade(visit.slot, &head, opening);
        self.soil(&visit.session);
        self.turn.notify();
    }
}

//! From requests to shards, and from what shards let go to those who wait.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::{Command, Origin, Refusal, Reply};
use gateway::desk;
use gateway::http::Slot;
use gateway::native::ws::{Upgrade, is_unknown_user};
use gateway::native::{self, Action, Gather, Respond, ShardReport};
use shard::{Output, Request};
use telemetry::Process;

use super::measure::{CREATE_ORDER_ROUTE, status_of};
use super::node::Node;
use super::parcel::{Ask, News, Tell, Token};
use super::session::Session;
use super::socket::{Opening, Speech};
use super::waiting::{Collected, HttpWaiter, Waiter};

impl Node {
    /// Does what a request asks for.
    pub fn act(
        &self,
        session: &Rc<Session>,
        slot: Slot,
        route: usize,
        speech: Option<Speech>,
        action: Action,
    ) {
        self.metrics.request_started();
        if action.is_bulky() {
            session.hold_until(slot);
        }
        // A request that goes on after a question of its own was counted when it came.
        let wait = |mut respond: Respond| {
            respond.stamp(self.clock.now_ms());
            HttpWaiter { session: session.clone(), slot, respond, route, since: Instant::now() }
        };
        match action {
            Action::Command { respond, .. }
            | Action::Query { respond, .. }
            | Action::Gather { respond, .. }
            | Action::Metrics { respond }
                if self.waiting.is_full() =>
            {
                self.refuse(session, slot, &respond);
            }
            Action::Resolve { pending, .. } if self.waiting.is_full() => {
                self.refuse(session, slot, &pending.respond());
            }
            Action::Command { command, respond, repeat_while_more } => {
                let waiter = match repeat_while_more {
                    true => {
                        Waiter::Repeat { http: wait(respond), command: command.clone(), count: 0 }
                    }
                    false => Waiter::Http(wait(respond)),
                };
                let token = self.waiting.insert(waiter);
                self.ask_request(token, Request::Command(command));
            }
            Action::Query { query, respond } => {
                let token = self.waiting.insert(Waiter::Http(wait(respond)));
                self.ask_request(token, Request::Query(query));
            }
            Action::Resolve { query, pending } => {
                let http = wait(pending.respond());
                let token = self.waiting.insert(Waiter::Resolve { http, pending });
                self.ask_request(token, Request::Query(query));
            }
            Action::Gather { gather, respond } => self.gather(wait(respond), gather),
            Action::Metrics { respond } => self.gather_metrics(wait(respond)),
            Action::Upgrade(Upgrade { answer, credential }) => {
                self.metrics.request_ended(route, status_of(&answer), Duration::ZERO);
                let speech = speech.unwrap_or_else(|| Speech::Native(RefCell::default()));
                session.upgrade(slot, &answer, Opening { speech, credential, resume: None });
                self.soil(session);
            }
            Action::Health { respond } => {
                let Process { uptime_ms, resident_bytes } = super::measure::process();
                let health = desk::Health { uptime_ms, resident_bytes };
                let shard = self.shard.borrow();
                let context = self.context(&shard);
                self.complete(wait(respond), |respond, out| {
                    desk::respond_health(respond, &health, &context, out);
                });
            }
            Action::Sessions { filter, respond } => {
                let (counts, listed) = self.list_sessions(&filter);
                self.complete(wait(respond), |respond, out| {
                    native::respond_sessions(respond, &counts, &listed, out);
                });
            }
            Action::Session { id, is_ended, respond } => {
                self.act_on_session(session, slot, route, id, is_ended, respond);
            }
            Action::EventStream(request) => self.open_stream(session, slot, route, request),
            Action::Answer(answer) if answer.shows_state => {
                let token = self.waiting.insert(Waiter::Bytes {
                    session: session.clone(),
                    slot,
                    route,
                    bytes: answer.bytes,
                });
                self.shard.borrow_mut().announce_durable(token);
            }
            Action::Answer(answer) => {
                self.metrics.request_ended(route, status_of(&answer.bytes), Duration::ZERO);
                session.complete(slot, |out| out.extend_from_slice(&answer.bytes));
                self.soil(session);
            }
        }
    }

    fn refuse(&self, session: &Rc<Session>, slot: Slot, respond: &Respond) {
        self.metrics.admission_refused();
        self.metrics.request_abandoned();
        session.complete(slot, |out| native::overloaded(respond, out));
        self.soil(session);
    }

    fn gather(&self, http: HttpWaiter, gather: Gather) {
        let (http, collected) = self.collect(http);
        for shard in self.placement.all() {
            let command = gather.command(shard);
            let ask = match (&command, gather.query(shard)) {
                (Some(command), _) => Ask::Request(Request::Command(command.clone())),
                (None, Some(query)) => Ask::Request(Request::Query(query)),
                (None, None) => Ask::Snapshot,
            };
            let (http, collected) = (http.clone(), collected.clone());
            let token = self.waiting.insert(Waiter::Gather { http, collected, command });
            self.ask(shard, token, ask);
        }
    }

    fn gather_metrics(&self, http: HttpWaiter) {
        let (http, collected) = self.collect(http);
        for shard in self.placement.all() {
            let (http, collected) = (http.clone(), collected.clone());
            let waiter = Waiter::Gather { http, collected, command: None };
            let token = self.waiting.insert(waiter);
            self.ask(shard, token, Ask::Metrics);
        }
    }

    #[allow(clippy::type_complexity)]
    fn collect(
        &self,
        http: HttpWaiter,
    ) -> (Rc<RefCell<Option<HttpWaiter>>>, Rc<RefCell<Collected>>) {
        let collected = Collected {
            missing: usize::from(self.placement.shards()),
            count: 0,
            refusal: None,
            reports: Vec::new(),
            metrics: Vec::new(),
        };
        (Rc::new(RefCell::new(Some(http))), Rc::new(RefCell::new(collected)))
    }

    /// Hands on what the gate lets go.
    pub fn dispatch_released(&self) {
        let mut outputs = std::mem::take(&mut *self.outputs.borrow_mut());
        self.shard.borrow_mut().release(&mut outputs);
        for output in outputs.drain(..) {
            self.dispatch(output);
        }
        *self.outputs.borrow_mut() = outputs;
    }

    pub fn dispatch(&self, output: Output) {
        match output {
            Output::Reply(origin, Reply::Status(status)) => {
                let report = Tell::Report(Box::new(self.report(*status)));
                self.tell(origin, report);
            }
            Output::Reply(origin, reply) => self.tell(origin, Tell::Reply(reply)),
            Output::Send(to, batch) => {
                self.parcels.borrow_mut()[to.0 as usize].batches.push(batch);
            }
            Output::Durable(token) => {
                if let Some(Waiter::Bytes { session, slot, route, bytes }) =
                    self.waiting.take(token)
                {
                    self.metrics.request_ended(route, status_of(&bytes), Duration::ZERO);
                    session.complete(slot, |out| out.extend_from_slice(&bytes));
                    self.soil(&session);
                }
            }
            Output::Event(event) => self.tell_watchers(event),
        }
    }

    pub(super) fn tell(&self, origin: Origin, tell: Tell) {
        if origin.shard == self.here {
            self.answered(origin.token, tell);
        } else {
            self.send_news(origin.shard, News::Answer(origin.token, tell));
        }
    }

    /// An answer for somebody who waits here.
    pub(super) fn answered(&self, token: Token, tell: Tell) {
        let Some(waiter) = self.waiting.take(token) else {
            debug_assert!(false, "a token is answered once");
            return;
        };
        match (waiter, tell) {
            (Waiter::Http(http), Tell::Reply(reply)) => self.respond(http, &reply),
            (Waiter::Repeat { http, command, count }, Tell::Reply(reply)) => match reply {
                Reply::CanceledAll { count: more_count, more: true } => {
                    let count = count + more_count;
                    let again = Request::Command(command.clone());
                    let token = self.waiting.insert(Waiter::Repeat { http, command, count });
                    self.ask_request(token, again);
                    self.turn.notify();
                }
                Reply::CanceledAll { count: last, more: false } => {
                    self.respond(http, &Reply::CanceledAll { count: count + last, more: false });
                }
                other => self.respond(http, &other),
            },
            (Waiter::Resolve { http, pending }, Tell::Reply(reply)) => {
                self.metrics.request_abandoned();
                let action = {
                    let shard = self.shard.borrow();
                    native::resolve(&pending, &reply, &self.context(&shard))
                };
                self.act(&http.session, http.slot, http.route, None, action);
                self.turn.notify();
            }
            (Waiter::Gather { http, collected, command }, tell) => {
                self.gathered(http, collected, command, tell);
            }
            (Waiter::Client { queue, token }, Tell::Reply(reply)) => queue.push(token, reply),
            (Waiter::EndedSession { http, report }, Tell::SessionEnded) => {
                self.complete(http, |respond, out| {
                    native::respond_session(respond, Some(&report), out);
                });
            }
            (Waiter::Message(waiter), Tell::Reply(reply)) => self.respond_message(waiter, &reply),
            (Waiter::Opening { socket, user, login }, Tell::Watched { exists, missed }) => {
                self.welcome(&socket, user, login, exists, missed);
            }
            (Waiter::Stream { session, slot, route, request }, Tell::Reply(reply)) => {
                if is_unknown_user(&reply) {
                    self.metrics.request_ended(route, 401, Duration::ZERO);
                    session.complete(slot, desk::unknown_user);
                    self.soil(&session);
                } else {
                    self.begin_stream(&session, slot, route, request);
                }
            }
            (Waiter::Board { symbol, watch }, Tell::Book(image)) => {
                self.board_opened(symbol, watch, image.as_deref());
            }
            (Waiter::Summary(waiter), Tell::Reply(reply)) => self.summary_answered(&waiter, &reply),
            (Waiter::UserWatch { origin, watch }, Tell::Reply(reply)) => {
                self.user_watch_ready(origin, watch, &reply);
            }
            (Waiter::LastTrade(tape), Tell::Reply(Reply::Tape(newest))) => {
                *tape.borrow_mut() = newest.first().copied();
            }
            (Waiter::LastTrade(_), Tell::Reply(_)) => {}
            (Waiter::MarketWatch { origin, symbol, id, tape }, Tell::Reply(reply)) => {
                let last_trade = tape.take();
                self.market_watch_ready(origin, symbol, id, last_trade, reply);
            }
            _ => debug_assert!(false, "an answer that does not fit who waits"),
        }
    }

    /// One shard's part of what is gathered from all.
    fn gathered(
        &self,
        http: Rc<RefCell<Option<HttpWaiter>>>,
        collected: Rc<RefCell<Collected>>,
        command: Option<Command>,
        tell: Tell,
    ) {
        let mut parts = collected.borrow_mut();
        match tell {
            Tell::Report(report) => parts.reports.push(*report),
            Tell::Metrics(metrics) => parts.metrics.push(*metrics),
            Tell::Reply(Reply::CanceledAll { count, more }) => {
                parts.count += count;
                if let (true, Some(again)) = (more, command) {
                    drop(parts);
                    let command = Some(again.clone());
                    let token = self.waiting.insert(Waiter::Gather { http, collected, command });
                    self.ask_request(token, Request::Command(again));
                    self.turn.notify();
                    return;
                }
            }
            Tell::Reply(Reply::Refused(refusal)) => {
                parts.refusal.get_or_insert(refusal);
            }
            Tell::Reply(_) | Tell::Watched { .. } | Tell::Book(_) | Tell::SessionEnded => {
                debug_assert!(false, "not an answer to what was gathered");
            }
        }
        parts.missing -= 1;
        if parts.missing > 0 {
            return;
        }
        if let Some(http) = http.borrow_mut().take() {
            self.respond_collected(http, &mut parts);
        }
    }

    /// All parts are here.
    fn respond_collected(&self, http: HttpWaiter, parts: &mut Collected) {
        if !parts.metrics.is_empty() {
            parts.metrics.sort_unstable_by_key(|&(shard, _)| shard);
            let mut text = String::new();
            telemetry::render(super::measure::process(), &parts.metrics, &mut text);
            self.complete(http, |respond, out| {
                native::respond_text(respond, telemetry::CONTENT_TYPE, text.as_bytes(), out);
            });
        } else if !parts.reports.is_empty() {
            parts.reports.sort_unstable_by_key(|report| report.shard);
            let reports = &parts.reports;
            self.complete(http, |respond, out| native::respond_shards(respond, reports, out));
        } else {
            let reply = match parts.refusal {
                Some(refusal) => Reply::Refused(refusal),
                None => Reply::CanceledAll { count: parts.count, more: false },
            };
            self.respond(http, &reply);
        }
    }

    fn respond(&self, http: HttpWaiter, reply: &Reply) {
        if matches!(reply, Reply::Refused(Refusal::Busy)) && self.room.is_short() {
            self.metrics.admission_refused();
            return self.complete(http, native::no_room);
        }
        if http.route == CREATE_ORDER_ROUTE && matches!(reply, Reply::Refused(_)) {
            self.metrics.order_rejected();
        }
        let shard = self.shard.borrow();
        let context = self.context(&shard);
        self.complete(http, |respond, out| native::respond(respond, reply, &context, out));
    }

    /// Writes the answer of a request, and counts it.
    pub(super) fn complete(&self, http: HttpWaiter, write: impl FnOnce(&Respond, &mut Vec<u8>)) {
        let HttpWaiter { session, slot, respond, route, since } = http;
        let mut status = 0;
        session.complete(slot, |out| {
            let start = out.len();
            write(&respond, out);
            status = status_of(&out[start..]);
        });
        self.metrics.request_ended(route, status, since.elapsed());
        self.soil(&session);
    }

    fn report(&self, status: engine::EngineStatus) -> ShardReport {
        let shard = self.shard.borrow();
        let now = shard.status();
        let depths = self.placement.all().map(|peer| self.mesh.depth(peer.0 as usize) as u64);
        ShardReport {
            shard: self.here,
            status,
            appended_lsn: now.appended_lsn,
            durable_lsn: now.durable_lsn,
            snapshot: self.checkpoints.report(&shard),
            outbox_depth: depths.sum(),
            held_effects: now.gate_depth,
            requests_in_flight: self.waiting.len() as u64,
        }
    }
}

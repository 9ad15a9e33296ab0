//! From requests to shards, and from what shards let go to those who wait.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::{Command, Event, Origin, Refusal, Reply};
use gateway::auth::AuthError;
use gateway::http::Slot;
use gateway::middleware::{self, Admission, Budget};
use gateway::native::ws::{Upgrade, is_unknown_user};
use gateway::native::{self, Action, Code, Gather, Granting, Respond, ShardReport};
use gateway::{Entered, Entry, desk};
use shard::{Output, Request};
use telemetry::{Part, Process};

use super::auditing::word_of;
use super::guard::{NotAdmitted, rate_of};
use super::measure::{CREATE_ORDER_ROUTE, status_of};
use super::node::Node;
use super::parcel::{Ask, News, Tell, Token};
use super::session::Session;
use super::socket::{Opening, Speech};
use super::waiting::{Collected, HttpWaiter, Visit, Waiter};

impl Node {
    /// Does what a request asks for, once it is admitted.
    pub fn act(
        &self,
        session: &Rc<Session>,
        slot: Slot,
        route: usize,
        speech: Option<Speech>,
        entered: Entered,
    ) {
        self.metrics.request_started();
        let Entered { action, entry } = entered;
        if action.is_bulky() {
            session.hold_until(slot);
        }
        let note = self.note(&entry, session.peer().ip(), &action);
        let since = Instant::now();
        self.metrics.part_ended(Part::Read, since.saturating_duration_since(session.read_at()));
        let visit = Visit { session: session.clone(), slot, route, since, note };
        self.tell_use(&entry.caller);
        let admission = entry.admission.filter(|admission| self.must_be_admitted(admission));
        match admission {
            Some(admission) if !self.goes_home(&action, &admission) => {
                self.have_admitted(visit, speech, entry, action, admission);
            }
            admission => self.act_on(visit, speech, action, admission),
        }
    }

    /// Whether its home has a say in this.
    pub(super) fn must_be_admitted(&self, admission: &Admission) -> bool {
        if admission.seal.is_some() {
            return true;
        }
        let shard = self.shard.borrow();
        let (rate, weight) = rate_of(admission, &self.limits, shard.engine().identities());
        rate.orders_per_second > 0 && weight > 0
    }

    /// Whether what is to be done is done by the shard that must admit it: then it is asked for both
    /// at once.
    fn goes_home(&self, action: &Action, admission: &Admission) -> bool {
        let home = self.placement.home_of(admission.user);
        match action {
            Action::Command { command, .. } => command.owner(self.placement) == home,
            Action::Query { query, .. } | Action::Resolve { query, .. } => {
                self.owner_of(query) == home
            }
            _ => false,
        }
    }

    fn have_admitted(
        &self,
        visit: Visit,
        speech: Option<Speech>,
        entry: Entry,
        action: Action,
        admission: Admission,
    ) {
        if self.waiting.is_full() {
            self.metrics.admission_refused();
            let detail = "too many requests are under way, try again";
            return self.refuse_visit(visit, &entry, Code::Unavailable, detail, None);
        }
        let (entry, action) = (Box::new(entry), Box::new(action));
        let token = self.waiting.insert(Waiter::Admitting { visit, speech, entry, action });
        self.ask(self.placement.home_of(admission.user), token, Ask::Admit(admission));
        self.turn.notify();
    }

    /// Answers a request that is not done, before anything else has been found out about it.
    fn refuse_visit(
        &self,
        visit: Visit,
        entry: &Entry,
        code: Code,
        detail: &str,
        retry_ms: Option<u64>,
    ) {
        self.complete_visit(visit, |out| middleware::refuse(entry, code, detail, retry_ms, out));
    }

    /// Does what an admitted request asks for. `admission` is what its owner must admit first.
    pub(super) fn act_on(
        &self,
        visit: Visit,
        speech: Option<Speech>,
        action: Action,
        admission: Option<Admission>,
    ) {
        if self.is_too_much(&action) {
            return self.refuse_overload(visit, &action);
        }
        let wait = |visit, mut respond: Respond| {
            respond.stamp(self.clock.now_ms());
            HttpWaiter { visit, respond }
        };
        match action {
            Action::Command { command, respond, repeat_while_more } => {
                let http = wait(visit, respond);
                let waiter = match repeat_while_more {
                    true => Waiter::Repeat { http, command: command.clone(), count: 0 },
                    false => Waiter::Http(http),
                };
                let token = self.waiting.insert(waiter);
                self.ask_request(token, Request::Command(command), admission);
            }
            Action::Query { query, respond } => {
                let token = self.waiting.insert(Waiter::Http(wait(visit, respond)));
                self.ask_request(token, Request::Query(query), admission);
            }
            Action::Resolve { query, pending } => {
                let http = wait(visit, pending.respond());
                let token = self.waiting.insert(Waiter::Resolve { http, pending });
                self.ask_request(token, Request::Query(query), admission);
            }
            Action::IfUser { user, command, respond } => {
                self.if_user(wait(visit, respond), user, command);
            }
            Action::Password(action) => self.begin_password(wait(visit, action.respond), action),
            Action::Grant(granting) => {
                let Granting { change, grant, respond } = *granting;
                self.grant(wait(visit, respond), grant, change);
            }
            Action::Audit { question, respond } => self.ask_trail(wait(visit, respond), question),
            Action::Gather { gather, respond } => self.gather(wait(visit, respond), gather),
            Action::Metrics { respond } => self.gather_metrics(wait(visit, respond)),
            Action::Health { respond } => {
                let Process { uptime_ms, resident_bytes } = super::measure::process();
                let health = desk::Health { uptime_ms, resident_bytes };
                let shard = self.shard.borrow();
                let context = self.context(&shard);
                self.complete(wait(visit, respond), |respond, out| {
                    desk::respond_health(respond, &health, &context, out);
                });
            }
            Action::Sessions { filter, respond } => {
                let (counts, listed) = self.list_sessions(&filter);
                self.complete(wait(visit, respond), |respond, out| {
                    native::respond_sessions(respond, &counts, &listed, out);
                });
            }
            Action::Session { id, is_ended, respond } => {
                self.act_on_session(wait(visit, respond), id, is_ended);
            }
            Action::Upgrade(upgrade) => self.upgrade(&visit, speech, upgrade),
            Action::EventStream(request) => self.open_stream(visit, request),
            Action::Answer(answer) if answer.shows_state => {
                let token = self.waiting.insert(Waiter::Bytes { visit, bytes: answer.bytes });
                self.shard.borrow_mut().announce_durable(token);
            }
            Action::Answer(answer) => {
                self.complete_visit(visit, |out| out.extend_from_slice(&answer.bytes));
            }
        }
    }

    /// Whether something would have to wait that may not, because too much does.
    fn is_too_much(&self, action: &Action) -> bool {
        let waits = !matches!(
            action,
            Action::Upgrade(_)
                | Action::Health { .. }
                | Action::Sessions { .. }
                | Action::Session { .. }
                | Action::EventStream(_)
                | Action::Answer(_)
        );
        waits && self.waiting.is_full()
    }

    fn refuse_overload(&self, visit: Visit, action: &Action) {
        self.metrics.admission_refused();
        self.metrics.request_abandoned();
        let Some(respond) = action.respond() else { return };
        visit.session.complete(visit.slot, |out| native::overloaded(&respond, out));
        self.soil(&visit.session);
    }

    fn upgrade(&self, visit: &Visit, speech: Option<Speech>, upgrade: Upgrade) {
        let Upgrade { answer, credential } = upgrade;
        self.metrics.request_ended(visit.route, status_of(&answer), Duration::ZERO);
        let speech = speech.unwrap_or_else(|| Speech::Native(RefCell::default()));
        visit.session.upgrade(visit.slot, &answer, Opening { speech, credential, resume: None });
        self.soil(&visit.session);
    }

    /// What its home has not admitted is answered with why.
    fn not_admitted(&self, waiter: Waiter, why: NotAdmitted) {
        let (code, detail, retry_ms) = match why {
            NotAdmitted::TooFast { limit, retry_ms } => {
                let detail = format!("too many requests of this user: at most {limit} a second");
                (Code::RateLimited, detail, Some(retry_ms))
            }
            NotAdmitted::Replayed => (Code::AuthFailed, AuthError::Replayed.to_string(), None),
            NotAdmitted::Full => {
                let detail = "too many signed requests at a time, try again";
                (Code::Unavailable, detail.to_owned(), None)
            }
        };
        self.metrics.request_limited();
        let budget = match why {
            NotAdmitted::TooFast { limit, .. } => Some(Budget { limit, remaining: 0 }),
            _ => None,
        };
        match waiter {
            Waiter::Http(mut http)
            | Waiter::Repeat { mut http, .. }
            | Waiter::Resolve { mut http, .. } => {
                if let Some(budget) = budget {
                    http.respond.set_budget(budget);
                }
                self.refuse_http(http, code, &detail, retry_ms);
            }
            Waiter::Admitting { visit, mut entry, .. } => {
                entry.framing.budget = budget;
                self.refuse_visit(visit, &entry, code, &detail, retry_ms);
            }
            Waiter::Message(waiter) => self.refuse_message(waiter, code, &detail, retry_ms),
            Waiter::AdmittingSocket { socket, caller, login } => {
                self.login_refused(&socket, &caller, login, code, &detail);
            }
            _ => debug_assert!(false, "only requests are admitted"),
        }
        self.turn.notify();
    }

    fn gather(&self, http: HttpWaiter, gather: Gather) {
        let limit = match gather {
            Gather::Users { limit, .. } | Gather::Withdrawals { limit } => limit,
            Gather::CancelAll { .. } | Gather::Shards | Gather::BeginSnapshots => 0,
        };
        let (http, collected) = self.collect(http, limit);
        for shard in self.placement.all() {
            let command = gather.command(shard);
            let ask = match (&command, gather.query(shard)) {
                (Some(command), _) => Ask::Request(Request::Command(command.clone()), None),
                (None, Some(query)) => Ask::Request(Request::Query(query), None),
                (None, None) => Ask::Snapshot,
            };
            let (http, collected) = (http.clone(), collected.clone());
            let token = self.waiting.insert(Waiter::Gather { http, collected, command });
            self.ask(shard, token, ask);
        }
    }

    fn gather_metrics(&self, http: HttpWaiter) {
        let (http, collected) = self.collect(http, 0);
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
        limit: usize,
    ) -> (Rc<RefCell<Option<HttpWaiter>>>, Rc<RefCell<Collected>>) {
        let collected = Collected {
            missing: usize::from(self.placement.shards()),
            count: 0,
            refusal: None,
            reports: Vec::new(),
            accounts: None,
            withdrawals: None,
            limit,
            metrics: Vec::new(),
        };
        (Rc::new(RefCell::new(Some(http))), Rc::new(RefCell::new(collected)))
    }

    /// Hands on what the gate lets go.
    pub fn dispatch_released(&self) {
        let mut outputs = std::mem::take(&mut *self.outputs.borrow_mut());
        self.shard.borrow_mut().release(&mut outputs);
        if !outputs.is_empty() {
            self.letting_go();
        }
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
                self.parcel_for(to).batches.push(batch);
            }
            Output::Durable(token) => {
                if let Some(Waiter::Bytes { visit, bytes }) = self.waiting.take(token) {
                    self.complete_visit(visit, |out| out.extend_from_slice(&bytes));
                }
            }
            Output::Event(Event::CredentialEnded(ended)) => self.end_credential(ended),
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
            (waiter, Tell::NotAdmitted(why)) => self.not_admitted(waiter, why),
            (Waiter::Http(http), Tell::Reply(reply)) => self.respond(http, &reply),
            (Waiter::Repeat { http, command, count }, Tell::Reply(reply)) => match reply {
                Reply::CanceledAll { count: more_count, more: true } => {
                    let count = count + more_count;
                    let again = Request::Command(command.clone());
                    let token = self.waiting.insert(Waiter::Repeat { http, command, count });
                    self.ask_request(token, again, None);
                    self.turn.notify();
                }
                Reply::CanceledAll { count: last, more: false } => {
                    self.respond(http, &Reply::CanceledAll { count: count + last, more: false });
                }
                other => self.respond(http, &other),
            },
            (Waiter::Resolve { http, pending }, Tell::Reply(reply)) => {
                let action = {
                    let shard = self.shard.borrow();
                    native::resolve(&pending, &reply, &self.context(&shard))
                };
                self.act_on(http.visit, None, action, None);
                self.turn.notify();
            }
            (Waiter::Admitting { visit, speech, action, .. }, Tell::Admitted) => {
                self.act_on(visit, speech, *action, None);
                self.turn.notify();
            }
            (Waiter::AdmittingSocket { socket, caller, login }, Tell::Admitted) => {
                self.let_in(&socket, caller, login);
            }
            (Waiter::IfUser { http, command }, Tell::Reply(reply)) => {
                self.user_found(http, *command, reply);
            }
            (Waiter::IfUserPassword { http, action }, Tell::Reply(reply)) => {
                self.password_user_found(http, action, reply);
            }
            (Waiter::Grant { http, grant }, Tell::Reply(reply)) => {
                self.granted(http, &grant, reply);
            }
            (Waiter::Nobody, _) => {}
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
            (Waiter::Opening { socket, caller, login }, Tell::Watched { exists, missed }) => {
                self.welcome(&socket, &caller, login, exists, missed);
            }
            (Waiter::Stream { visit, request }, Tell::Reply(reply)) => {
                if is_unknown_user(&reply) {
                    self.complete_visit(visit, desk::unknown_user);
                } else {
                    self.begin_stream(&visit, request);
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
                    self.ask_request(token, Request::Command(again), None);
                    self.turn.notify();
                    return;
                }
            }
            Tell::Reply(Reply::Refused(refusal)) => {
                parts.refusal.get_or_insert(refusal);
            }
            Tell::Reply(Reply::Accounts(accounts)) => {
                parts.accounts.get_or_insert_default().extend(accounts);
            }
            Tell::Reply(Reply::Withdrawals(withdrawals)) => {
                parts.withdrawals.get_or_insert_default().extend(withdrawals);
            }
            Tell::Reply(_)
            | Tell::Watched { .. }
            | Tell::Book(_)
            | Tell::SessionEnded
            | Tell::Admitted
            | Tell::NotAdmitted(_) => {
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
            if let Some(trail) = self.trail_numbers() {
                telemetry::render_audit(parts.metrics[0].0, &trail, &mut text);
            }
            self.complete(http, |respond, out| {
                native::respond_text(respond, telemetry::CONTENT_TYPE, text.as_bytes(), out);
            });
        } else if !parts.reports.is_empty() {
            parts.reports.sort_unstable_by_key(|report| report.shard);
            let reports = &parts.reports;
            self.complete(http, |respond, out| native::respond_shards(respond, reports, out));
        } else if let Some(mut accounts) = parts.accounts.take() {
            accounts.sort_unstable_by_key(|account| account.user);
            accounts.truncate(parts.limit);
            self.respond(http, &Reply::Accounts(accounts));
        } else if let Some(mut withdrawals) = parts.withdrawals.take() {
            withdrawals.sort_by_key(|withdrawal| withdrawal.requested_at_ms);
            withdrawals.truncate(parts.limit);
            self.respond(http, &Reply::Withdrawals(withdrawals));
        } else {
            let reply = match parts.refusal {
                Some(refusal) => Reply::Refused(refusal),
                None => Reply::CanceledAll { count: parts.count, more: false },
            };
            self.respond(http, &reply);
        }
    }

    pub(super) fn respond(&self, mut http: HttpWaiter, reply: &Reply) {
        if matches!(reply, Reply::Refused(Refusal::Busy)) && self.room.is_short() {
            self.metrics.admission_refused();
            return self.complete(http, native::no_room);
        }
        if http.visit.route == CREATE_ORDER_ROUTE && matches!(reply, Reply::Refused(_)) {
            self.metrics.order_rejected();
        }
        let shard = self.shard.borrow();
        let context = self.context(&shard);
        let mut code = None;
        if let Some(note) = http.visit.note.as_mut() {
            note.learn(reply);
            code = native::word_of(reply, &http.respond, &context);
        }
        self.complete_as(http, code, |respond, out| {
            native::respond(respond, reply, &context, out);
        });
    }

    /// Writes the answer of a request, and counts it.
    pub(super) fn complete(&self, http: HttpWaiter, write: impl FnOnce(&Respond, &mut Vec<u8>)) {
        self.complete_as(http, None, write);
    }

    /// The same, when it is known in one word what has come of it.
    fn complete_as(
        &self,
        http: HttpWaiter,
        code: Option<&'static str>,
        write: impl FnOnce(&Respond, &mut Vec<u8>),
    ) {
        let HttpWaiter { visit, respond } = http;
        self.end_visit(visit, code, |out| write(&respond, out));
    }

    pub(super) fn complete_visit(&self, visit: Visit, write: impl FnOnce(&mut Vec<u8>)) {
        self.end_visit(visit, None, write);
    }

    fn end_visit(
        &self,
        visit: Visit,
        code: Option<&'static str>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let Visit { session, slot, route, since, note } = visit;
        let mut status = 0;
        session.complete(slot, |out| {
            let start = out.len();
            write(out);
            status = status_of(&out[start..]);
        });
        self.metrics.request_ended(route, status, self.time_since(since));
        if note.is_some() {
            self.audit(note, status, code.unwrap_or_else(|| word_of(status)));
        }
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

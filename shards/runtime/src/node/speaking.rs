//! What clients say on a WebSocket, and what they are answered; here the native dialect, and what all
//! have in common.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use engine::Reply;
use gateway::auth::{Caller, Shown};
use gateway::middleware::{Admission, Cost, Dialect};
use gateway::native::ws::{
    self as native, ClientMessage, Credential, PRIVATE_CHANNELS, RequestId, Subscriptions,
};
use gateway::native::{Action, Code, Respond, World, word_of as native_word};
use gateway::rpc;
use gateway::ws::close_code;
use identity::Access;
use shard::Request;
use telemetry::Part;

use super::auditing::word_of;
use super::event_log::Missed;
use super::feeds::Resume;
use super::measure::CREATE_ORDER_ROUTE;
use super::node::Node;
use super::parcel::Ask;
use super::socket::{Socket, Speech};
use super::waiting::{Login, MessageTag, MessageWaiter, Waiter};

/// What a login that fails takes from what an address may ask.
const LOGIN_WEIGHT: u32 = 5;

impl Node {
    /// A connection begins.
    pub(super) fn greet(
        &self,
        socket: &Rc<Socket>,
        credential: Credential,
        resume: Option<Resume>,
    ) {
        match credential {
            Credential::None => {
                if let Speech::Native(_) = socket.speech {
                    self.say(socket, |out| native::connected(None, out));
                }
            }
            Credential::Caller(caller) => self.open_user(socket, caller, None, resume),
            Credential::Shown(shown) => self.log_in(socket, &shown, None),
        }
        if let Speech::Desk { symbols, .. } = &socket.speech {
            symbols.iter().for_each(|&symbol| self.follow_desk(socket, symbol));
        }
    }

    /// The user's home has said whether there is such a user.
    pub(super) fn welcome(
        &self,
        socket: &Rc<Socket>,
        caller: &Caller,
        login: Option<Login>,
        exists: bool,
        missed: Missed,
    ) {
        let Some(user) = caller.user else { return };
        self.opened_user(socket, caller, exists);
        let code = (!exists).then_some(Code::AuthFailed);
        self.audit_login(caller, socket.address(), dialect_of(&socket.speech), code);
        match (&socket.speech, login) {
            (Speech::Rpc(..), Some(Login::Rpc(tag))) => {
                self.rpc_logged_in(socket, &tag, caller, exists);
            }
            _ if !exists => self.turn_away(socket, None, "user_id: unknown user"),
            (Speech::Native(subscriptions), login) => {
                if caller.may(Access::Read) {
                    // Three are fewer than the bound.
                    let _ = subscriptions.borrow_mut().add(&PRIVATE_CHANNELS);
                }
                self.say(socket, |out| match login {
                    Some(Login::Native(id)) => native::auth_success(id.as_ref(), user, out),
                    _ => native::connected(Some(user), out),
                });
            }
            (Speech::Rpc(..), _) => {}
            (Speech::Desk { .. }, _) => {
                self.replay_missed(socket, user, missed);
                self.turn.notify();
            }
        }
    }

    /// Judges what a connection shows in a message or in its address.
    pub(super) fn log_in(&self, socket: &Rc<Socket>, shown: &Shown, login: Option<Login>) {
        let address = socket.address();
        let judged = self.with_judge(address, |judge| judge.auth.caller_of(judge, shown));
        let (caller, seal) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                let _ = self.admit_address(address, LOGIN_WEIGHT);
                let detail = error.to_string();
                return self.login_refused(socket, &Caller::NOBODY, login, error.code(), &detail);
            }
        };
        self.tell_use(&caller);
        let Some(user) = caller.user else { return };
        if socket.user().is_some_and(|other| other != user) {
            let detail = "this connection is another user's already";
            return self.login_refused(socket, &caller, login, Code::AuthFailed, detail);
        }
        match seal {
            None => self.let_in(socket, caller, login),
            Some(seal) => {
                socket.opening.set(true);
                let admission = Admission { user, cost: Cost::Requests(1), seal: Some(seal) };
                let socket = socket.clone();
                let waiter = Waiter::AdmittingSocket { socket, caller, login };
                let token = self.waiting.insert(waiter);
                self.ask(self.placement.home_of(user), token, Ask::Admit(admission));
                self.turn.notify();
            }
        }
    }

    /// Somebody whose credential is good, and whose signature was not used before.
    pub(super) fn let_in(&self, socket: &Rc<Socket>, caller: Caller, login: Option<Login>) {
        if socket.user() != caller.user {
            return self.open_user(socket, caller, login, None);
        }
        // Its events come already; what it may has changed.
        socket.opening.set(false);
        socket.outlet.resume.notify();
        socket.set_caller(caller);
        if let Some(Login::Rpc(tag)) = login {
            self.rpc_logged_in(socket, &tag, &caller, true);
        }
    }

    /// Says why a login failed. In the native dialect that is the end of the connection.
    pub(super) fn login_refused(
        &self,
        socket: &Rc<Socket>,
        caller: &Caller,
        login: Option<Login>,
        code: Code,
        detail: &str,
    ) {
        self.audit_login(caller, socket.address(), dialect_of(&socket.speech), Some(code));
        socket.opening.set(false);
        socket.outlet.resume.notify();
        match login {
            Some(Login::Rpc(tag)) => self.say(socket, |out| rpc::login_failed(&tag, detail, out)),
            Some(Login::Native(id)) => self.turn_away(socket, id, detail),
            None => self.turn_away(socket, None, detail),
        }
    }

    fn turn_away(&self, socket: &Rc<Socket>, id: Option<RequestId>, detail: &str) {
        if let Speech::Native(_) = socket.speech {
            self.say(socket, |out| {
                native::auth_error(id.as_ref(), Code::AuthFailed, detail, out);
            });
        }
        socket.close(close_code::POLICY, detail);
        self.soil(socket);
        self.turn.notify();
    }

    /// Sends something that cannot wait for anything. A client that does not read is being closed.
    pub(super) fn say(&self, socket: &Rc<Socket>, write: impl FnOnce(&mut Vec<u8>)) {
        let _ = socket.send(write);
        self.soil(socket);
        self.turn.notify();
    }

    /// A client has said something.
    pub(super) fn message(&self, socket: &Rc<Socket>, text: &str) {
        self.metrics.message_received();
        if !socket.may_speak(self.registry.limits().messages_per_s, self.clock.now_ms()) {
            return self.slow_down(socket);
        }
        match &socket.speech {
            Speech::Native(subscriptions) => self.native_message(socket, subscriptions, text),
            Speech::Rpc(endpoint, followed) => {
                self.rpc_message(socket, *endpoint, followed, text);
            }
            // Nothing is read from it.
            Speech::Desk { .. } => {}
        }
    }

    fn slow_down(&self, socket: &Rc<Socket>) {
        let (code, rule) = self.too_fast();
        self.say(socket, |out| match &socket.speech {
            Speech::Rpc(..) => {
                let (field, issue) = rule.split_once(": ").unwrap_or(("", &rule));
                rpc::refuse(None, rpc::Code::RateLimited, field, issue, out);
            }
            Speech::Native(_) | Speech::Desk { .. } => native::refuse(None, code, &rule, out),
        });
    }

    fn native_message(
        &self,
        socket: &Rc<Socket>,
        subscriptions: &RefCell<Subscriptions>,
        text: &str,
    ) {
        let Some(caller) = self.caller_now(socket) else { return };
        let read = {
            let shard = self.shard.borrow();
            native::read(text, &self.context(&shard), &caller)
        };
        match read {
            Err(unread) => self.say(socket, |out| unread.write(out)),
            Ok(ClientMessage::Ping { id }) => {
                self.say(socket, |out| native::pong(id.as_ref(), out))
            }
            Ok(ClientMessage::Auth { shown, id }) => {
                self.log_in(socket, &shown, Some(Login::Native(id)));
            }
            Ok(ClientMessage::Subscribe { channels, id }) => {
                let added = subscriptions.borrow_mut().add(&channels);
                match added {
                    Err(error) => self.say(socket, |out| {
                        let detail = error.to_string();
                        native::refuse(id.as_ref(), Code::InvalidParameter, &detail, out);
                    }),
                    Ok(added) => {
                        added.iter().for_each(|&channel| self.subscribe(socket, channel));
                        let mut answer = Vec::new();
                        let shard = self.shard.borrow();
                        let registry = shard.engine().registry();
                        native::subscribed(id.as_ref(), &channels, registry, &mut answer);
                        drop(shard);
                        self.say_once_open(socket, &added, answer);
                    }
                }
            }
            Ok(ClientMessage::Unsubscribe { channels, id }) => {
                let removed = subscriptions.borrow_mut().remove(&channels);
                removed.iter().for_each(|&channel| self.unsubscribe(socket, channel));
                self.say_channels(socket, |registry, out| {
                    native::unsubscribed(id.as_ref(), &channels, registry, out);
                });
            }
            Ok(ClientMessage::Order { action, tag }) => {
                self.order_message(socket, &caller, action, MessageTag::Native(tag));
            }
        }
    }

    fn say_channels(
        &self,
        socket: &Rc<Socket>,
        write: impl FnOnce(&engine::Registry, &mut Vec<u8>),
    ) {
        let shard = self.shard.borrow();
        self.say(socket, |out| write(shard.engine().registry(), out));
    }

    /// Binary messages mean nothing here.
    pub(super) fn binary_message(&self, socket: &Rc<Socket>) {
        self.metrics.message_received();
        if !socket.may_speak(self.registry.limits().messages_per_s, self.clock.now_ms()) {
            return self.slow_down(socket);
        }
        match socket.speech {
            Speech::Native(_) => self.say(socket, native::refuse_binary),
            Speech::Rpc(..) => self.say(socket, rpc::refuse_binary),
            Speech::Desk { .. } => {}
        }
    }

    /// Acts on a message about orders as on a request.
    pub(super) fn order_message(
        &self,
        socket: &Rc<Socket>,
        caller: &Caller,
        action: Action,
        tag: MessageTag,
    ) {
        if self.waiting.is_full() {
            self.metrics.admission_refused();
            return self.say(socket, |out| match &tag {
                MessageTag::Native(tag) => native::overloaded(tag, out),
                MessageTag::Rpc(tag) => rpc::overloaded(tag, out),
            });
        }
        let dialect = dialect_of(&socket.speech);
        let note = self.note_message(caller, socket.address(), dialect, &action);
        let (request, respond, route, cost) = match action {
            Action::Command { command, respond, .. } => {
                let is_place = matches!(command, engine::Command::Place(_));
                let route = if is_place { CREATE_ORDER_ROUTE } else { 0 };
                (Request::Command(command), respond, route, Cost::Orders(1))
            }
            Action::Query { query, respond } => {
                (Request::Query(query), respond, 0, Cost::Requests(1))
            }
            // A message asks for nothing else.
            _ => return,
        };
        self.metrics.request_started();
        socket.message_begun();
        let (socket, since) = (socket.clone(), Instant::now());
        self.metrics.part_ended(Part::Read, since.saturating_duration_since(socket.read_at.get()));
        let waiter = MessageWaiter { socket, respond, tag, route, since, note };
        let token = self.waiting.insert(Waiter::Message(waiter));
        let admission = Admission::of_message(caller, cost)
            .filter(|admission| self.must_be_admitted(admission));
        self.ask_request(token, request, admission);
    }

    /// The answer to a message that is not done.
    pub(super) fn refuse_message(
        &self,
        waiter: MessageWaiter,
        code: Code,
        detail: &str,
        retry_ms: Option<u64>,
    ) {
        let MessageWaiter { socket, tag, route, since, note, .. } = waiter;
        self.say(&socket, |out| match (&tag, retry_ms) {
            (MessageTag::Rpc(tag), Some(retry_ms)) => rpc::rate_limited(tag, retry_ms, out),
            (MessageTag::Rpc(tag), None) => rpc::overloaded(tag, out),
            (MessageTag::Native(tag), _) => {
                native::refuse_for(tag.id.as_ref(), code, detail, retry_ms, out);
            }
        });
        socket.message_ended();
        let (_, word, status) = code.parts();
        self.metrics.request_ended(route, status, self.time_since(since));
        self.audit(note, status, word);
    }

    /// The answer to a message about orders.
    pub(super) fn respond_message(&self, waiter: MessageWaiter, reply: &Reply) {
        let MessageWaiter { socket, respond, tag, route, since, mut note } = waiter;
        let is_refused = matches!(reply, Reply::Refused(_));
        let mut code = None;
        if is_refused && route == CREATE_ORDER_ROUTE {
            self.metrics.order_rejected();
        }
        self.write_reply(&socket, &respond, &tag, reply);
        socket.message_ended();
        let status = if is_refused { 400 } else { 200 };
        self.metrics.request_ended(route, status, self.time_since(since));
        if let Some(note) = note.as_mut() {
            note.learn(reply);
            let shard = self.shard.borrow();
            code = native_word(reply, &respond, &self.context(&shard));
        }
        self.audit(note, status, code.unwrap_or_else(|| word_of(status)));
    }

    fn write_reply(&self, socket: &Rc<Socket>, respond: &Respond, tag: &MessageTag, reply: &Reply) {
        let shard = self.shard.borrow();
        let context = self.context(&shard);
        self.say(socket, |out| match tag {
            MessageTag::Native(tag) => native::respond(respond, tag, reply, &context, out),
            MessageTag::Rpc(tag) => rpc::respond(respond, tag, reply, &context, out),
        });
    }

    /// Registers a connection.
    pub(super) fn enter_socket(&self, socket: &Rc<Socket>) {
        self.metrics.socket_opened();
        socket.key.set(self.sockets.borrow_mut().insert(socket.clone()));
        socket.ticket.set_place(socket.speech.kind(), socket.key.get());
    }

    /// Forgets a connection, and everything that it has subscribed.
    pub(super) fn leave_socket(&self, socket: &Rc<Socket>) {
        self.metrics.socket_closed();
        match &socket.speech {
            Speech::Native(subscriptions) => {
                let channels = subscriptions.take();
                channels.channels().iter().for_each(|&channel| self.unsubscribe(socket, channel));
            }
            Speech::Rpc(_, followed) => {
                for (symbol, levels) in followed.take().symbols {
                    self.unfollow_rpc(socket, symbol, levels);
                }
            }
            Speech::Desk { symbols, .. } => {
                symbols.iter().for_each(|&symbol| self.unfollow_desk(socket, symbol));
            }
        }
        self.close_user(socket);
        self.sockets.borrow_mut().remove(socket.key.replace(usize::MAX));
        // Its place is another one's from now on, while somebody may still hold this one.
        socket.ticket.set_place(socket.speech.kind(), usize::MAX);
    }
}

/// The dialect that is spoken, for the audit trail.
pub(super) fn dialect_of(speech: &Speech) -> &'static str {
    let dialect = match speech {
        Speech::Native(_) => Dialect::Native,
        Speech::Rpc(..) => Dialect::Rpc,
        Speech::Desk { .. } => Dialect::Desk,
    };
    dialect.as_str()
}

//! What clients say on a WebSocket, and what they are answered; here the native dialect, and what all
//! have in common.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use engine::Reply;
use gateway::native::ws::{
    self as native, ClientMessage, Credential, PRIVATE_CHANNELS, Subscriptions,
};
use gateway::native::{Action, Code, Respond};
use gateway::rpc;
use gateway::ws::close_code;
use money::UserId;
use shard::Request;

use super::event_log::Missed;
use super::feeds::Resume;
use super::measure::CREATE_ORDER_ROUTE;
use super::node::Node;
use super::socket::{Socket, Speech};
use super::waiting::{MessageTag, MessageWaiter, Waiter};

/// Why a token is not accepted.
const NO_TOKENS: &str =
    "token: this server knows no tokens; connect with user_id in development mode";
/// Why a connection is closed whose user is not known.
const NOT_AUTHENTICATED: &str = "authentication failed";

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
            Credential::User(user) => self.open_user(socket, user, None, resume),
            Credential::Token(_) => self.turn_away(socket, NO_TOKENS),
        }
        if let Speech::Desk { symbols, .. } = &socket.speech {
            symbols.iter().for_each(|&symbol| self.follow_desk(socket, symbol));
        }
    }

    /// The user's home has said whether there is such a user.
    pub(super) fn welcome(
        &self,
        socket: &Rc<Socket>,
        user: UserId,
        login: Option<rpc::Tag>,
        exists: bool,
        missed: Missed,
    ) {
        self.opened_user(socket, user, exists);
        match (&socket.speech, login) {
            (Speech::Rpc(..), Some(tag)) => self.rpc_logged_in(socket, &tag, user, exists),
            _ if !exists => self.turn_away(socket, "user_id: unknown user"),
            (Speech::Native(subscriptions), _) => {
                // Three are fewer than the bound.
                let _ = subscriptions.borrow_mut().add(&PRIVATE_CHANNELS);
                self.say(socket, |out| native::connected(Some(user), out));
            }
            (Speech::Rpc(..), None) => {}
            (Speech::Desk { .. }, _) => {
                self.replay_missed(socket, user, missed);
                self.turn.notify();
            }
        }
    }

    fn turn_away(&self, socket: &Rc<Socket>, detail: &str) {
        if let Speech::Native(_) = socket.speech {
            self.say(socket, |out| native::auth_error(None, Code::AuthFailed, detail, out));
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
        let read = {
            let shard = self.shard.borrow();
            native::read(text, &self.context(&shard), socket.user.get())
        };
        match read {
            Err(unread) => self.say(socket, |out| unread.write(out)),
            Ok(ClientMessage::Ping { id }) => {
                self.say(socket, |out| native::pong(id.as_ref(), out))
            }
            Ok(ClientMessage::Auth { id, .. }) => {
                self.say(socket, |out| {
                    native::auth_error(id.as_ref(), Code::AuthFailed, NO_TOKENS, out);
                });
                socket.close(close_code::POLICY, NOT_AUTHENTICATED);
            }
            Ok(ClientMessage::Subscribe { channels, id }) => {
                let added = subscriptions.borrow_mut().add(&channels);
                match added {
                    Err(error) => self.say(socket, |out| {
                        let detail = error.to_string();
                        native::refuse(id.as_ref(), Code::InvalidParameter, &detail, out);
                    }),
                    Ok(added) => {
                        self.say_channels(socket, |registry, out| {
                            native::subscribed(id.as_ref(), &channels, registry, out);
                        });
                        added.iter().for_each(|&channel| self.subscribe(socket, channel));
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
                self.order_message(socket, action, MessageTag::Native(tag));
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
    pub(super) fn order_message(&self, socket: &Rc<Socket>, action: Action, tag: MessageTag) {
        if self.waiting.is_full() {
            self.metrics.admission_refused();
            return self.say(socket, |out| match &tag {
                MessageTag::Native(tag) => native::overloaded(tag, out),
                MessageTag::Rpc(tag) => rpc::overloaded(tag, out),
            });
        }
        let (request, respond, route) = match action {
            Action::Command { command, respond, .. } => {
                let is_place = matches!(command, engine::Command::Place(_));
                let route = if is_place { CREATE_ORDER_ROUTE } else { 0 };
                (Request::Command(command), respond, route)
            }
            Action::Query { query, respond } => (Request::Query(query), respond, 0),
            // A message asks for nothing else.
            _ => return,
        };
        self.metrics.request_started();
        socket.message_begun();
        let waiter =
            MessageWaiter { socket: socket.clone(), respond, tag, route, since: Instant::now() };
        let token = self.waiting.insert(Waiter::Message(waiter));
        self.ask_request(token, request);
    }

    /// The answer to a message about orders.
    pub(super) fn respond_message(&self, waiter: MessageWaiter, reply: &Reply) {
        let MessageWaiter { socket, respond, tag, route, since } = waiter;
        let is_refused = matches!(reply, Reply::Refused(_));
        if is_refused && route == CREATE_ORDER_ROUTE {
            self.metrics.order_rejected();
        }
        self.write_reply(&socket, &respond, &tag, reply);
        socket.message_ended();
        let status = if is_refused { 400 } else { 200 };
        self.metrics.request_ended(route, status, since.elapsed());
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

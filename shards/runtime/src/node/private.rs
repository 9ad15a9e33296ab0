//! The receiving side of what happens to users: from events to the connections that they have here.
//!
//! Each connection of a user gets every event of the channels that it has, in the order in which its
//! user's home released them. None is left out: a client that reads too slowly is told so and closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use engine::{Event, Registry};
use gateway::auth::Caller;
use gateway::desk::{EventId, stream};
use gateway::native::push::{self, BalanceChange};
use gateway::native::ws::Channel;
use gateway::rpc::{self, Endpoint};
use gateway::ws::{SendError, encode_text_frame_with};
use identity::Access;
use money::UserId;

use super::event_log::Missed;
use super::feeds::{Resume, UserWatch};
use super::node::Node;
use super::parcel::{Ask, PrivateEvent, Token};
use super::socket::{Socket, Speech};
use super::waiting::{Login, Waiter};
use super::watches::WatchId;

/// An ask that is not answered has nobody who waits.
pub(super) const NO_TOKEN: Token = Token::MAX;

/// The connections of this shard whose users are known.
#[derive(Default)]
pub(crate) struct Audience {
    by_user: RefCell<HashMap<UserId, Vec<Rc<Socket>>>>,
    next_watch: Cell<WatchId>,
}

impl Audience {
    /// A number for a watch, never given before.
    pub fn next_watch(&self) -> WatchId {
        self.next_watch.replace(self.next_watch.get() + 1)
    }

    fn enter(&self, user: UserId, socket: &Rc<Socket>) {
        self.by_user.borrow_mut().entry(user).or_default().push(socket.clone());
    }

    fn leave(&self, user: UserId, socket: &Rc<Socket>) {
        let mut by_user = self.by_user.borrow_mut();
        let Some(sockets) = by_user.get_mut(&user) else { return };
        sockets.retain(|other| !Rc::ptr_eq(other, socket));
        if sockets.is_empty() {
            by_user.remove(&user);
        }
    }
}

impl Node {
    /// Begins to follow a user on a connection. Nothing is read from it before its home has answered.
    pub(super) fn open_user(
        &self,
        socket: &Rc<Socket>,
        caller: Caller,
        login: Option<Login>,
        resume: Option<Resume>,
    ) {
        let Some(user) = caller.user else { return };
        let watch = UserWatch { user, id: self.audience.next_watch(), resume };
        socket.watch.set(Some(watch));
        socket.opening.set(true);
        let token = self.waiting.insert(Waiter::Opening { socket: socket.clone(), caller, login });
        self.ask(self.placement.home_of(user), token, Ask::WatchUser(watch));
        self.turn.notify();
    }

    /// The home has answered, and tells of everything from here on.
    pub(super) fn opened_user(&self, socket: &Rc<Socket>, caller: &Caller, exists: bool) {
        let Some(user) = caller.user else { return };
        socket.opening.set(false);
        socket.outlet.resume.notify();
        if socket.outlet.is_closed() || socket.has_left() {
            return;
        }
        if exists {
            socket.set_caller(*caller);
            socket.ticket.set_user(user);
            if socket.is_told_privately() {
                self.audience.enter(user, socket);
            } else {
                // That the user exists was all there was to know: nothing need be made for it.
                self.close_user(socket);
            }
        } else {
            socket.watch.set(None);
        }
    }

    /// Ends to follow the user of a connection.
    pub(super) fn close_user(&self, socket: &Rc<Socket>) {
        let Some(watch) = socket.watch.take() else { return };
        if let Some(user) = socket.user() {
            self.audience.leave(user, socket);
        }
        self.ask(self.placement.home_of(watch.user), NO_TOKEN, Ask::UnwatchUser(watch));
        self.turn.notify();
    }

    /// Sends an event to the connections that its user has here.
    pub(super) fn private_event(&self, private: &PrivateEvent) {
        let by_user = self.audience.by_user.borrow();
        let Some(sockets) = by_user.get(&private.user) else { return };
        let shard = self.shard.borrow();
        let registry = shard.engine().registry();
        let is_shared = sockets.len() > 1;
        let mut frame: Option<Bytes> = None;
        for socket in sockets {
            if !socket.caller().may(Access::Read) {
                continue;
            }
            let sent = match &socket.speech {
                Speech::Native(subscriptions) => {
                    let channel = channel_of(&private.event);
                    if !channel.is_some_and(|channel| subscriptions.borrow().contains(channel)) {
                        continue;
                    }
                    let write = |out: &mut Vec<u8>| write_native(&private.event, registry, out);
                    if is_shared {
                        let frame = frame.get_or_insert_with(|| encode_text_frame_with(write));
                        socket.send_frame(frame.clone())
                    } else {
                        socket.send(write)
                    }
                }
                Speech::Rpc(endpoint, _) => match (endpoint, &private.event) {
                    (Endpoint::UserData, Event::Order(order)) => {
                        socket.send(|out| rpc::order_event(order, registry, out))
                    }
                    _ => continue,
                },
                Speech::Desk { .. } => socket.send(|out| self.write_desk(private, registry, out)),
            };
            self.pushed(socket, sent);
        }
    }

    /// What somebody who resumes has missed.
    pub(super) fn replay_missed(&self, socket: &Rc<Socket>, user: UserId, missed: Missed) {
        let Speech::Desk { after, .. } = &socket.speech else { return };
        let shard = self.shard.borrow();
        let registry = shard.engine().registry();
        if let (true, &Some(after)) = (missed.has_gap, after) {
            self.pushed(socket, socket.send(|out| stream::replay_unavailable(after, out)));
        }
        for (sequence, event) in missed.events {
            let private = PrivateEvent { user, sequence, event };
            self.pushed(socket, socket.send(|out| self.write_desk(&private, registry, out)));
        }
    }

    fn write_desk(&self, private: &PrivateEvent, registry: &Registry, out: &mut Vec<u8>) {
        let id = (private.sequence > 0)
            .then_some(EventId { epoch: self.epoch, sequence: private.sequence });
        match &private.event {
            Event::Order(order) => stream::order_update(id, order, registry, out),
            Event::Fill { trade, .. } => stream::fill(id, trade, registry, out),
            event @ Event::Balance { .. } => {
                if let Some(change) = balance_change(event) {
                    stream::account(id, self.clock.now_ms(), &change, registry, out);
                }
            }
            // Of nobody's own.
            Event::Trade { .. } | Event::Level { .. } | Event::CredentialEnded(_) => {}
        }
    }
}

impl Node {
    /// Counts what was sent unasked of a user, and has it leave.
    fn pushed(&self, socket: &Rc<Socket>, sent: Result<(), SendError>) {
        if self.count_push(sent) {
            self.soil(socket);
        }
    }

    /// Counts market data, and has it leave when there is time.
    pub(super) fn published(&self, socket: &Rc<Socket>, sent: Result<(), SendError>) {
        if self.count_push(sent) {
            self.soil_later(socket);
        }
    }

    /// Whether there is something to send, be it why the connection ends.
    fn count_push(&self, sent: Result<(), SendError>) -> bool {
        match sent {
            Ok(()) => self.metrics.push_sent(),
            Err(SendError::SlowConsumer) => self.metrics.slow_consumer(),
            Err(SendError::Closed) => return false,
        }
        true
    }
}

/// The channel of the native dialect that an event belongs to.
fn channel_of(event: &Event) -> Option<Channel> {
    match event {
        Event::Order(_) => Some(Channel::OrderUpdates),
        Event::Fill { .. } => Some(Channel::OwnTrades),
        Event::Balance { .. } => Some(Channel::BalanceUpdates),
        Event::Trade { .. } | Event::Level { .. } | Event::CredentialEnded(_) => None,
    }
}

fn write_native(event: &Event, registry: &Registry, out: &mut Vec<u8>) {
    match event {
        Event::Order(order) => push::order_update(order, registry, out),
        Event::Fill { trade, .. } => push::own_trade(trade, registry, out),
        event @ Event::Balance { .. } => {
            if let Some(change) = balance_change(event) {
                push::balance_update(&change, registry, out);
            }
        }
        // Of nobody's own.
        Event::Trade { .. } | Event::Level { .. } | Event::CredentialEnded(_) => {}
    }
}

fn balance_change(event: &Event) -> Option<BalanceChange> {
    let &Event::Balance { asset, avail, frozen, avail_before, reason, .. } = event else {
        return None;
    };
    // Balances are far below half of what the type holds.
    let delta = avail.wrapping_sub(avail_before) as i128;
    Some(BalanceChange { asset, avail, frozen, delta, reason })
}

//! One connection that is sent things unasked: a WebSocket in one of the dialects, or a stream of
//! events. Its reader is a task, its writer is whoever has something for it.
//!
//! A connection that says at its beginning who its user is, is not read before the user's home has
//! confirmed that there is such a user: so its first message meets an authenticated connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use gateway::auth::Caller;
use gateway::desk::EventId;
use gateway::http::Upgraded;
use gateway::native::SessionKind;
use gateway::native::ws::{Credential, Subscriptions};
use gateway::rpc::Endpoint;
use gateway::ws::{self, Incoming, SendError, Tick, close_code};
use money::{SymbolId, UserId};

use super::event_stream::EventStream;
use super::feeds::{Resume, UserWatch};
use super::node::Node;
use super::outlet::{Flush, Outlet, Source};
use super::patience::Patience;
use super::session::Woken;
use crate::listener::{Connection, Writer};
use crate::registry::Ticket;

/// Messages of one connection that may be under way; past it nothing more is read.
const MAX_UNANSWERED_MESSAGES: u32 = 128;
/// Messages that one connection may bring into one turn; then the others come first.
const BURST_MESSAGES: usize = 64;

/// What a connection becomes behind its last HTTP answer.
pub(crate) struct Opening {
    pub speech: Speech,
    pub credential: Credential,
    /// Where the events of its user begin that can be resumed.
    pub resume: Option<Resume>,
}

/// What is spoken on a connection, and what of that it has subscribed.
pub(crate) enum Speech {
    /// `/ws`.
    Native(RefCell<Subscriptions>),
    /// `/orders`, `/market-data`, `/user-data`.
    Rpc(Endpoint, RefCell<Followed>),
    /// `/api/stream`.
    Desk {
        /// Whose market data it gets.
        symbols: Vec<SymbolId>,
        /// Behind which event it begins, for the client that is told that this cannot be.
        after: Option<EventId>,
    },
}

impl Speech {
    pub fn kind(&self) -> SessionKind {
        match self {
            Speech::Native(_) => SessionKind::Native,
            Speech::Rpc(Endpoint::Orders, _) => SessionKind::RpcOrders,
            Speech::Rpc(Endpoint::MarketData, _) => SessionKind::RpcMarketData,
            Speech::Rpc(Endpoint::UserData, _) => SessionKind::RpcUserData,
            Speech::Desk { .. } => SessionKind::EventStream,
        }
    }
}

/// What is left of a bounded number of messages a second, as many at once.
#[derive(Clone, Copy, Default)]
struct Allowance {
    /// Thousandths of a message that were used.
    used: u64,
    at_ms: u64,
}

/// Symbols whose market data a connection of the rpc dialect gets.
#[derive(Default)]
pub(crate) struct Followed {
    /// With the levels per side.
    pub symbols: BTreeMap<SymbolId, usize>,
    /// Of all symbols, those to come too, this many levels.
    pub all: Option<usize>,
}

enum Wire {
    WebSocket(ws::Connection),
    Events(EventStream),
}

impl Wire {
    fn output(&self) -> &[u8] {
        match self {
            Wire::WebSocket(socket) => socket.output(),
            Wire::Events(stream) => stream.output(),
        }
    }

    fn advance_output(&mut self, count: usize) {
        match self {
            Wire::WebSocket(socket) => socket.advance_output(count),
            Wire::Events(stream) => stream.advance_output(count),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Wire::WebSocket(socket) => socket.is_finished(),
            Wire::Events(stream) => stream.is_finished(),
        }
    }

    fn end_of_input(&mut self) {
        match self {
            Wire::WebSocket(socket) => socket.end_of_input(),
            Wire::Events(stream) => stream.end_of_input(),
        }
    }

    fn wants_input(&self) -> bool {
        match self {
            Wire::WebSocket(socket) => socket.wants_input(),
            Wire::Events(_) => true,
        }
    }

    fn spare(&mut self) -> &mut [u8] {
        match self {
            Wire::WebSocket(socket) => socket.spare(),
            Wire::Events(stream) => stream.spare(),
        }
    }

    /// Of a stream of events nothing is looked at.
    fn advance(&mut self, count: usize) {
        if let Wire::WebSocket(socket) = self {
            socket.advance(count);
        }
    }

    fn next_message(&mut self) -> Option<Incoming> {
        match self {
            Wire::WebSocket(socket) => socket.next_message(),
            Wire::Events(_) => None,
        }
    }
}

/// A connection, as everyone who sends to it knows it.
pub(crate) struct Socket {
    pub outlet: Outlet,
    /// Its entry among all connections.
    pub ticket: Ticket,
    allowance: Cell<Allowance>,
    wire: RefCell<Wire>,
    pub speech: Speech,
    /// Its place among this shard's sockets.
    pub key: Cell<usize>,
    /// Who it is, once that is known.
    caller: Cell<Caller>,
    /// Under which its user is watched.
    pub watch: Cell<Option<UserWatch>>,
    /// Nothing is read until its user is confirmed.
    pub opening: Cell<bool>,
    unanswered: Cell<u32>,
    patience: Patience,
    /// When its last bytes were there.
    pub read_at: Cell<Instant>,
    /// The reader waits for output to leave.
    stalled: Cell<bool>,
}

impl Socket {
    fn new(writer: Writer, ticket: Ticket, upgraded: Upgraded, speech: Speech) -> Socket {
        let wire = match speech {
            Speech::Native(_) | Speech::Rpc(..) => Wire::WebSocket(ws::Connection::new(upgraded)),
            Speech::Desk { .. } => Wire::Events(EventStream::new(upgraded)),
        };
        Socket {
            outlet: Outlet::new(writer),
            ticket,
            allowance: Cell::default(),
            wire: RefCell::new(wire),
            speech,
            key: Cell::new(usize::MAX),
            caller: Cell::new(Caller::NOBODY),
            watch: Cell::new(None),
            opening: Cell::new(false),
            unanswered: Cell::new(0),
            patience: Patience::default(),
            read_at: Cell::new(Instant::now()),
            stalled: Cell::new(false),
        }
    }

    /// Who it is: nobody, until its user is confirmed.
    pub fn caller(&self) -> Caller {
        self.caller.get()
    }

    pub fn set_caller(&self, caller: Caller) {
        self.caller.set(caller);
    }

    /// Its user, once that is confirmed.
    pub fn user(&self) -> Option<UserId> {
        self.caller.get().user
    }

    /// Where it comes from.
    pub fn address(&self) -> IpAddr {
        self.outlet.peer().ip()
    }

    /// Sends a text. Past the bound of what may be unsent the connection is closed with a reason.
    pub fn send(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        match &mut *self.wire.borrow_mut() {
            Wire::WebSocket(socket) => socket.send_text_with(write),
            Wire::Events(stream) => stream.send_with(write),
        }
    }

    /// Sends what many get: a frame, or a whole event.
    pub fn send_frame(&self, frame: Bytes) -> Result<(), SendError> {
        match &mut *self.wire.borrow_mut() {
            Wire::WebSocket(socket) => socket.send_frame(frame),
            Wire::Events(stream) => stream.send_with(|out| out.extend_from_slice(&frame)),
        }
    }

    /// Whether it is ever sent what happens to its user.
    pub fn is_told_privately(&self) -> bool {
        !matches!(self.speech, Speech::Rpc(Endpoint::Orders | Endpoint::MarketData, _))
    }

    /// Whether the client reads fast enough for market data.
    pub fn keeps_up(&self) -> bool {
        match &*self.wire.borrow() {
            Wire::WebSocket(socket) => socket.keeps_up(),
            Wire::Events(stream) => stream.keeps_up(),
        }
    }

    /// Says why and ends.
    pub fn close(&self, code: u16, reason: &str) {
        match &mut *self.wire.borrow_mut() {
            Wire::WebSocket(socket) => socket.close(code, reason),
            Wire::Events(stream) => stream.close(reason),
        }
    }

    /// Counts a message. Whether it may be.
    pub fn may_speak(&self, messages_per_s: u32, now_ms: u64) -> bool {
        const MESSAGE: u64 = 1_000;
        let rate = u64::from(messages_per_s);
        if rate == 0 {
            return true;
        }
        let Allowance { used, at_ms } = self.allowance.get();
        let used = used.saturating_sub(now_ms.saturating_sub(at_ms).saturating_mul(rate));
        let may_speak = used + MESSAGE <= rate * MESSAGE;
        let used = if may_speak { used + MESSAGE } else { used };
        self.allowance.set(Allowance { used, at_ms: now_ms });
        may_speak
    }

    /// A message waits for its answer.
    pub fn message_begun(&self) {
        self.unanswered.set(self.unanswered.get() + 1);
    }

    /// It has been answered.
    pub fn message_ended(&self) {
        let left = self.unanswered.get() - 1;
        self.unanswered.set(left);
        if left == MAX_UNANSWERED_MESSAGES - 1 {
            self.outlet.resume.notify();
        }
    }

    /// Pings, and ends what is dead. Called about once a second.
    pub fn check_limits(self: &Rc<Self>, now_ms: u64) {
        let tick = match &mut *self.wire.borrow_mut() {
            Wire::WebSocket(socket) => {
                socket.release_memory();
                socket.tick(now_ms)
            }
            Wire::Events(stream) => stream.tick(now_ms),
        };
        match tick {
            Tick::Nothing => {}
            Tick::Ping => self.clone().flush(),
            Tick::Dead => self.outlet.close(),
        }
    }

    /// The server goes down.
    pub fn drain(self: &Rc<Self>) {
        self.close(close_code::GOING_AWAY, "the server is shutting down");
        self.clone().flush();
    }

    /// Whether it is not among this shard's sockets any more.
    pub fn has_left(&self) -> bool {
        self.key.get() == usize::MAX
    }

    fn may_take(&self) -> bool {
        !self.opening.get() && self.unanswered.get() < MAX_UNANSWERED_MESSAGES
    }

    /// Whether the reader waits for all answers. The last of them wakes it when it is sent.
    fn awaits_answers(&self) -> bool {
        self.unanswered.get() > 0 && !self.patience.reads_on()
    }
}

impl Source for Socket {
    fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    fn write_now(&self) -> io::Result<bool> {
        let mut wire = self.wire.borrow_mut();
        while !wire.output().is_empty() {
            match self.outlet.send(wire.output())? {
                Some(count) => wire.advance_output(count),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn written(&self) {
        // A reader that only waits for bytes sleeps on, however much is sent.
        let stalled = self.stalled.get() && !self.awaits_answers();
        if stalled || self.wire.borrow().is_finished() {
            self.outlet.resume.notify();
        }
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(
    node: Rc<Node>,
    mut connection: Connection,
    ticket: Ticket,
    upgraded: Upgraded,
    opening: Opening,
) {
    let socket = Rc::new(Socket::new(connection.writer(), ticket, upgraded, opening.speech));
    node.enter_socket(&socket);
    node.greet(&socket, opening.credential, opening.resume);
    loop {
        let messages = take_messages(&node, &socket);
        if messages == BURST_MESSAGES {
            futures_lite::future::yield_now().await;
            continue;
        }
        if socket.outlet.is_closed() || socket.wire.borrow().is_finished() {
            break;
        }
        match wait(&socket, &mut connection).await {
            Ok(Woken::Bytes) => {
                socket.patience.heard(socket.unanswered.get());
                let at = Instant::now();
                socket.read_at.set(at);
                node.clock.turn_at(at);
            }
            Ok(Woken::Resumed) => {}
            Ok(Woken::End) => socket.wire.borrow_mut().end_of_input(),
            Err(_) => break,
        }
    }
    socket.outlet.emptied().await;
    node.leave_socket(&socket);
    socket.outlet.close();
}

/// Takes what is there, up to a burst. Returns how many messages.
fn take_messages(node: &Rc<Node>, socket: &Rc<Socket>) -> usize {
    let mut messages = 0;
    while messages < BURST_MESSAGES && socket.may_take() {
        let message = socket.wire.borrow_mut().next_message();
        match message {
            Some(Incoming::Text(text)) => node.message(socket, &text),
            Some(Incoming::Binary(_)) => node.binary_message(socket),
            Some(Incoming::Closed(_)) | None => break,
        }
        messages += 1;
    }
    // An answer, a pong or an acknowledgement.
    if messages > 0 || !socket.wire.borrow().output().is_empty() {
        node.soil(socket);
        node.turn.notify();
    }
    messages
}

/// Waits for bytes, or until somebody has done something about the connection.
async fn wait(socket: &Rc<Socket>, connection: &mut Connection) -> io::Result<Woken> {
    poll_fn(|context| {
        if socket.outlet.resume.poll_notified(context).is_ready() {
            return Poll::Ready(Ok(Woken::Resumed));
        }
        let mut wire = socket.wire.borrow_mut();
        let stalled = socket.awaits_answers() || !socket.may_take() || !wire.wants_input();
        socket.stalled.set(stalled);
        if stalled {
            return Poll::Pending;
        }
        match connection.poll_read_into(context, wire.spare()) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Woken::End)),
            Poll::Ready(Ok(count)) => {
                wire.advance(count);
                Poll::Ready(Ok(Woken::Bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

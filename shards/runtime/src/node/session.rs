//! One connection: its reader is a task, its writer is whoever has something for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use gateway::http::{self, Phase, Progress, limits};
use gateway::native::{self, SessionKind};

use super::node::Node;
use super::outlet::{Flush, Outlet, Source};
use super::socket::{self, Opening};
use crate::listener::{Connection, Writer};
use crate::registry::Ticket;

/// How long a finished connection is read on, so that the kernel does not reset it under the last
/// answer.
const LINGER: Duration = Duration::from_millis(500);
/// How much of it is read on at the most, in bytes.
const LINGER_BYTES: usize = 256 * 1024;
/// Requests that one connection may bring into one turn; then the others come first.
const BURST_REQUESTS: usize = 64;

/// A connection, as everyone who answers it knows it.
pub(crate) struct Session {
    http: RefCell<http::Connection>,
    outlet: Outlet,
    /// The reader waits for answers to leave.
    stalled: Cell<bool>,
    /// What the connection becomes once all before is answered.
    opening: RefCell<Option<Opening>>,
    /// Since when the connection is where it is, for the limits.
    progress: Cell<Option<(Progress, u64)>>,
    /// When its last bytes were there.
    read_at: Cell<Instant>,
}

impl Session {
    fn new(writer: Writer) -> Session {
        Session {
            http: RefCell::new(http::Connection::new()),
            outlet: Outlet::new(writer),
            stalled: Cell::new(false),
            opening: RefCell::new(None),
            progress: Cell::new(None),
            read_at: Cell::new(Instant::now()),
        }
    }

    /// Where it comes from.
    pub fn peer(&self) -> SocketAddr {
        self.outlet.peer()
    }

    /// When the bytes were there of what is being read.
    pub fn read_at(&self) -> Instant {
        self.read_at.get()
    }

    /// Gives a request its answer; the next flush sends it.
    pub fn complete(&self, slot: http::Slot, write: impl FnOnce(&mut Vec<u8>)) {
        self.http.borrow_mut().complete(slot, write);
    }

    /// Answers the last request of the connection, which goes on as something else.
    pub fn upgrade(&self, slot: http::Slot, answer: &[u8], opening: Opening) {
        self.http.borrow_mut().upgrade(slot, answer);
        *self.opening.borrow_mut() = Some(opening);
    }

    /// What the connection goes on as, once all requests are answered.
    fn take_upgraded(&self) -> Option<(http::Upgraded, Opening)> {
        if self.opening.borrow().is_none() {
            return None;
        }
        let upgraded = self.http.borrow_mut().take_upgraded()?;
        Some((upgraded, self.opening.borrow_mut().take()?))
    }

    /// Parses nothing more until this request is answered.
    pub fn hold_until(&self, slot: http::Slot) {
        self.http.borrow_mut().hold_until(slot);
    }

    /// Ends the connection for both sides.
    pub fn close(&self) {
        self.outlet.close();
    }

    /// Takes no further request; an idle connection ends.
    pub fn drain(self: &Rc<Self>) {
        self.http.borrow_mut().stop();
        self.clone().flush();
        self.outlet.resume.notify();
    }

    /// Applies the limits of time. Called about once a second.
    pub fn check_limits(self: &Rc<Self>, now_ms: u64) {
        let progress = self.http.borrow().progress();
        let since_ms = match self.progress.get() {
            Some((before, since_ms)) if before == progress => since_ms,
            _ => {
                self.progress.set(Some((progress, now_ms)));
                return;
            }
        };
        let waited_ms = now_ms.saturating_sub(since_ms);
        let late = match progress.phase {
            Phase::Head => (waited_ms >= limits::HEAD_TIME_LIMIT_MS)
                .then_some(http::RejectionReason::HeadTimeout),
            Phase::Body => (waited_ms >= limits::BODY_TIME_LIMIT_MS)
                .then_some(http::RejectionReason::BodyTimeout),
            Phase::Idle => {
                if waited_ms >= limits::IDLE_TIME_LIMIT_MS {
                    return self.close();
                }
                self.http.borrow_mut().release_memory();
                None
            }
            // A client that does not read its answers is cut off like one that sends nothing.
            Phase::Answering => {
                if self.outlet.is_writing() && waited_ms >= limits::IDLE_TIME_LIMIT_MS {
                    self.close();
                }
                None
            }
        };
        if let Some(reason) = late {
            let mut http = self.http.borrow_mut();
            let rejection = http.reject(reason);
            http.complete(rejection.slot, |out| native::reject(&rejection, out));
            drop(http);
            self.clone().flush();
        }
    }
}

impl Source for Session {
    fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    fn write_now(&self) -> io::Result<bool> {
        let mut http = self.http.borrow_mut();
        while !http.output().is_empty() {
            match self.outlet.send(http.output())? {
                Some(count) => http.advance_output(count),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn written(&self) {
        if self.stalled.get() || self.http.borrow().is_finished() {
            self.outlet.resume.notify();
        }
    }
}

/// What woke the reader.
pub(super) enum Woken {
    Bytes,
    End,
    Resumed,
}

/// Serves one connection until it ends.
pub(super) async fn serve(node: Rc<Node>, mut connection: Connection, ticket: Ticket) {
    let session = Rc::new(Session::new(connection.writer()));
    let key = node.enter(session.clone());
    ticket.set_place(SessionKind::Http, key);
    loop {
        let requests = take_requests(&node, &session);
        if requests == BURST_REQUESTS {
            futures_lite::future::yield_now().await;
            continue;
        }
        if let Some((upgraded, opening)) = session.take_upgraded() {
            node.leave(key);
            drop(session);
            return socket::serve(node, connection, ticket, upgraded, opening).await;
        }
        if session.outlet.is_closed() || session.http.borrow().is_finished() {
            break;
        }
        match wait(&session, &mut connection).await {
            Ok(Woken::Bytes) => {
                let at = Instant::now();
                session.read_at.set(at);
                node.clock.turn_at(at);
            }
            Ok(Woken::Resumed) => {}
            Ok(Woken::End) => session.http.borrow_mut().end_of_input(),
            Err(_) => break,
        }
    }
    session.outlet.emptied().await;
    node.leave(key);
    // Its place is another one's from now on, while this one's client may still be there.
    ticket.set_place(SessionKind::Http, usize::MAX);
    let is_done = !session.outlet.is_closed() && session.http.borrow().is_finished();
    if is_done && session.outlet.finish() {
        linger(&mut connection).await;
    }
    session.close();
}

/// Takes what is there, up to a burst. Returns how many requests.
fn take_requests(node: &Rc<Node>, session: &Rc<Session>) -> usize {
    let mut requests = 0;
    while requests < BURST_REQUESTS {
        let mut http = session.http.borrow_mut();
        match http.next_request() {
            Ok(Some(request)) => {
                let slot = request.slot;
                let (entered, route, speech) = node.route(&request, session.peer().ip());
                drop(http);
                node.act(session, slot, route, speech, entered);
                requests += 1;
            }
            Ok(None) => {
                // A client that expects a 100 before its body gets it here.
                if !http.output().is_empty() && !session.outlet.dirty.get() {
                    node.soil(session);
                    node.turn.notify();
                }
                break;
            }
            Err(rejection) => {
                http.complete(rejection.slot, |out| native::reject(&rejection, out));
                drop(http);
                node.soil(session);
                requests += 1;
                break;
            }
        }
    }
    if requests > 0 {
        node.turn.notify();
    }
    requests
}

/// Waits for bytes, or until answers have left that the reader waits for.
async fn wait(session: &Rc<Session>, connection: &mut Connection) -> io::Result<Woken> {
    poll_fn(|context| {
        if session.outlet.resume.poll_notified(context).is_ready() {
            return Poll::Ready(Ok(Woken::Resumed));
        }
        let mut http = session.http.borrow_mut();
        // While requests are unanswered nothing is read: the next one is mostly there when the
        // answer is sent, and a read that finds it costs less than one that has to wait for it.
        let stalled = http.outstanding() > 0 || !http.wants_input();
        session.stalled.set(stalled);
        if stalled {
            return Poll::Pending;
        }
        match connection.poll_read_into(context, http.spare()) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Woken::End)),
            Poll::Ready(Ok(count)) => {
                http.advance(count);
                Poll::Ready(Ok(Woken::Bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Reads on for a moment behind the last answer.
pub(super) async fn linger(connection: &mut Connection) {
    let mut buffer = [0; 512];
    let mut left = LINGER_BYTES;
    let drained = async {
        while left > 0 {
            match connection.read_into(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    };
    futures_lite::future::or(drained, glommio::timer::sleep(LINGER)).await;
}

//! One connection: its reader is a task, its writer is whoever has something for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use gateway::http::{self, Phase, Progress, limits};
use gateway::native;

use super::node::Node;
use crate::listener::{Connection, Writer};
use crate::wake::Notify;

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
    writer: Writer,
    /// Bytes wait in `http` for the next flush.
    pub dirty: Cell<bool>,
    /// A task waits for the socket to take more.
    writing: Cell<bool>,
    /// The reader waits for answers to leave.
    stalled: Cell<bool>,
    resume: Notify,
    closed: Cell<bool>,
    /// Since when the connection is where it is, for the limits.
    progress: Cell<Option<(Progress, u64)>>,
}

impl Session {
    fn new(writer: Writer) -> Session {
        Session {
            http: RefCell::new(http::Connection::new()),
            writer,
            dirty: Cell::new(false),
            writing: Cell::new(false),
            stalled: Cell::new(false),
            resume: Notify::new(),
            closed: Cell::new(false),
            progress: Cell::new(None),
        }
    }

    /// Gives a request its answer; the next flush sends it.
    pub fn complete(&self, slot: http::Slot, write: impl FnOnce(&mut Vec<u8>)) {
        self.http.borrow_mut().complete(slot, write);
    }

    /// Parses nothing more until this request is answered.
    pub fn hold_until(&self, slot: http::Slot) {
        self.http.borrow_mut().hold_until(slot);
    }

    /// Sends what is ready, as far as the socket takes it.
    pub fn flush(self: &Rc<Self>) {
        self.dirty.set(false);
        if self.writing.get() || self.closed.get() {
            return;
        }
        match self.write_now() {
            Ok(true) => self.wake_reader(),
            Ok(false) => {
                self.writing.set(true);
                glommio::spawn_local(Session::write_later(self.clone())).detach();
            }
            Err(_) => self.close(),
        }
    }

    /// Whether all was taken.
    fn write_now(&self) -> io::Result<bool> {
        let mut http = self.http.borrow_mut();
        while !http.output().is_empty() {
            match self.writer.try_write(http.output()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => http.advance_output(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    async fn write_later(session: Rc<Session>) {
        loop {
            if session.closed.get() || session.writer.writable().await.is_err() {
                session.close();
                break;
            }
            match session.write_now() {
                Ok(true) => break,
                Ok(false) => {}
                Err(_) => {
                    session.close();
                    break;
                }
            }
        }
        session.writing.set(false);
        session.wake_reader();
    }

    fn wake_reader(&self) {
        if self.stalled.get() || self.http.borrow().is_finished() {
            self.resume.notify();
        }
    }

    /// Ends the connection for both sides.
    fn close(&self) {
        if !self.closed.replace(true) {
            // An error here means that it is closed already.
            let _ = self.writer.shutdown(Shutdown::Both);
            self.resume.notify();
        }
    }

    /// Takes no further request; an idle connection ends.
    pub fn drain(self: &Rc<Self>) {
        self.http.borrow_mut().stop();
        self.flush();
        self.resume.notify();
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
                if self.writing.get() && waited_ms >= limits::IDLE_TIME_LIMIT_MS {
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
            self.flush();
        }
    }
}

/// What woke the reader.
enum Woken {
    Bytes,
    End,
    Resumed,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(node: Rc<Node>, mut connection: Connection) {
    let session = Rc::new(Session::new(connection.writer()));
    let key = node.enter(session.clone());
    loop {
        let requests = take_requests(&node, &session);
        if requests == BURST_REQUESTS {
            futures_lite::future::yield_now().await;
            continue;
        }
        if session.closed.get() || session.http.borrow().is_finished() {
            break;
        }
        match wait(&session, &mut connection).await {
            Ok(Woken::Bytes) => {
                node.clock.turn();
            }
            Ok(Woken::Resumed) => {}
            Ok(Woken::End) => session.http.borrow_mut().end_of_input(),
            Err(_) => break,
        }
    }
    node.leave(key);
    if !session.closed.get() && session.http.borrow().is_finished() {
        linger(&session, &mut connection).await;
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
                let (slot, (action, route)) = (request.slot, node.route(&request));
                drop(http);
                node.act(session, slot, route, action);
                requests += 1;
            }
            Ok(None) => {
                // A client that expects a 100 before its body gets it here.
                if !http.output().is_empty() && !session.dirty.get() {
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
        if session.resume.poll_notified(context).is_ready() {
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

/// Says that nothing more comes and reads on for a moment.
async fn linger(session: &Rc<Session>, connection: &mut Connection) {
    if session.writer.shutdown(Shutdown::Write).is_err() {
        return;
    }
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

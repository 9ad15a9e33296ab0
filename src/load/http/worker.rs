//! One thread of the load: starts requests when they are due, on whichever connection is free, and
//! measures the answers.
//!
//! A request that is due while all connections are busy goes behind the fewest others, up to the
//! pipeline's bound; beyond that it waits, and its latency with it. A connection that breaks is opened
//! again; what was under way on it is lost and counted.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};

use super::connection::Connection;
use super::request::Requests;
use crate::load::actions::{Action, Actions};
use crate::load::order_times::Times as NotedTimes;
use crate::load::poller::{Poller, Readiness};
use crate::load::recorder::{FIRST_ERROR_STATUS, Recorder, Times};
use crate::load::schedule::{Clock, Period, Schedule};

/// How long all connections may take before the load begins.
const CONNECT_LIMIT_NS: u64 = 10_000_000_000;
/// How long a server that refuses or closed a connection is left alone.
const RECONNECT_PAUSE_NS: u64 = 100_000_000;
/// What is read at once: many answers, and small enough for the caches.
const READ_BYTES: usize = 64 * 1024;

/// What one thread needs.
pub struct Plan {
    pub clock: Clock,
    pub address: SocketAddr,
    pub connections: usize,
    /// Requests under way at once on a connection.
    pub pipeline: usize,
    pub requests: Arc<Requests>,
    pub actions: Actions,
    /// Answers so far, of all threads, for whoever looks on.
    pub progress: Arc<AtomicU64>,
    /// Where the intended starts of orders are noted, by their numbers, if somebody wants to know.
    pub order_times: Option<Arc<NotedTimes>>,
}

/// When it runs, and what it notes.
pub struct Run {
    pub period: Period,
    /// How long after the end answers are waited for, and what was due is still sent.
    pub drain_ns: u64,
    pub schedule: Schedule,
    pub recorder: Recorder,
}

/// All connections of one thread.
pub struct Worker {
    plan: Plan,
    poller: Poller,
    connections: Vec<Connection>,
    /// Connections without a request, in turn; some of them may have one by now, or be gone.
    idle: VecDeque<usize>,
    /// Where to go on looking for the one with the fewest requests.
    cursor: usize,
    open: usize,
    under_way: usize,
    /// Connections with something to send.
    touched: Vec<usize>,
    ready: Vec<Readiness>,
    buffer: Vec<u8>,
}

impl Worker {
    /// Connects; all connections must succeed.
    pub fn connect(plan: Plan) -> Result<Worker> {
        let mut worker = Worker {
            poller: Poller::new().context("cannot wait for sockets")?,
            connections: (0..plan.connections).map(|_| Connection::new()).collect(),
            idle: VecDeque::with_capacity(plan.connections),
            cursor: 0,
            open: 0,
            under_way: 0,
            touched: Vec::new(),
            ready: Vec::new(),
            buffer: vec![0; READ_BYTES],
            plan,
        };
        worker.connect_all()?;
        Ok(worker)
    }

    fn connect_all(&mut self) -> Result<()> {
        let count = self.connections.len();
        let context = || format!("cannot open {count} connections to {}", self.plan.address);
        for (at, connection) in self.connections.iter_mut().enumerate() {
            begin(connection, at, self.plan.address, &self.poller).with_context(context)?;
        }
        let clock = self.plan.clock;
        let limit_ns = clock.now_ns() + CONNECT_LIMIT_NS;
        let mut ready = Vec::new();
        while self.open < count {
            ensure!(
                clock.now_ns() < limit_ns,
                "connections: only {} of {count} were accepted in time",
                self.open
            );
            self.poller.wait(clock.now_ns(), None, &mut ready)?;
            for Readiness { socket, .. } in ready.drain(..) {
                let connected = self.connections[socket].finish_connecting();
                if connected.with_context(|| format!("cannot connect to {}", self.plan.address))? {
                    self.open += 1;
                    self.idle.push_back(socket);
                }
            }
        }
        Ok(())
    }

    /// Runs to the end and returns what was measured.
    pub fn run(mut self, mut run: Run) -> Result<Recorder> {
        let clock = self.plan.clock;
        let deadline_ns = run.period.end_ns + run.drain_ns;
        let mut was_blocked = false;
        loop {
            let now_ns = clock.now_ns();
            was_blocked = self.start_due(&mut run, now_ns, was_blocked);
            self.flush(&mut run.recorder);
            let now_ns = clock.now_ns();
            let next_ns = if was_blocked { None } else { run.schedule.next_ns(now_ns) };
            let is_through = next_ns.is_none() && !was_blocked && self.under_way == 0;
            if is_through || now_ns >= deadline_ns {
                return Ok(self.finish(run, now_ns));
            }
            let mut ready = std::mem::take(&mut self.ready);
            self.poller.wait(now_ns, next_ns, &mut ready).context("cannot wait for sockets")?;
            for readiness in ready.drain(..) {
                self.handle(readiness, &mut run.recorder);
            }
            self.ready = ready;
            if self.open < self.connections.len() {
                self.reconnect(&mut run.recorder);
            }
        }
    }

    /// Gives what is due to connections. Says whether something was left for want of room.
    fn start_due(&mut self, run: &mut Run, now_ns: u64, was_blocked: bool) -> bool {
        let is_closed_loop = run.schedule.is_closed_loop();
        let mut now_ns = now_ns;
        while let Some(intended_ns) = run.schedule.due(now_ns) {
            let Some(at) = self.pick() else { return true };
            run.schedule.take();
            // Who waited for room was held up by the server, not by us.
            if !was_blocked {
                run.recorder.lagged(intended_ns, now_ns);
            }
            let action = self.plan.actions.next();
            run.recorder.started(action.kind(), intended_ns);
            if let (Some(times), Action::Place(place)) = (&self.plan.order_times, &action) {
                times.note(place.order.number, intended_ns);
            }
            let (requests, connection) = (&self.plan.requests, &mut self.connections[at]);
            connection.push(action, intended_ns, |out| requests.render(&action, out));
            self.under_way += 1;
            self.touched.push(at);
            // There a request starts when it is sent, not when the others of this round were.
            if is_closed_loop {
                self.flush(&mut run.recorder);
                now_ns = self.plan.clock.now_ns();
            }
        }
        false
    }

    /// The connection for the next request, if one has room.
    fn pick(&mut self) -> Option<usize> {
        while let Some(at) = self.idle.pop_front() {
            let connection = &self.connections[at];
            if connection.is_open() && connection.depth() == 0 {
                return Some(at);
            }
        }
        if self.under_way >= self.open * self.plan.pipeline {
            return None;
        }
        let count = self.connections.len();
        let mut best: Option<(usize, usize)> = None;
        for at in (self.cursor..count).chain(0..self.cursor) {
            let connection = &self.connections[at];
            let depth = connection.depth();
            if connection.is_open() && best.is_none_or(|(_, least)| depth < least) {
                best = Some((at, depth));
                // None is idle, so it does not get better.
                if depth <= 1 {
                    break;
                }
            }
        }
        let (at, depth) = best.filter(|&(_, depth)| depth < self.plan.pipeline)?;
        debug_assert!(depth > 0, "an idle connection is known to be one");
        self.cursor = (at + 1) % count;
        Some(at)
    }

    fn flush(&mut self, recorder: &mut Recorder) {
        let mut touched = std::mem::take(&mut self.touched);
        for at in touched.drain(..) {
            if let Err(error) = self.connections[at].flush(&self.plan.clock) {
                self.lose(at, &error, recorder);
            }
        }
        self.touched = touched;
    }

    fn handle(&mut self, readiness: Readiness, recorder: &mut Recorder) {
        let at = readiness.socket;
        match self.connections[at].finish_connecting() {
            Ok(true) => {
                self.open += 1;
                self.idle.push_back(at);
            }
            Ok(false) => {}
            Err(error) => return self.lose(at, &error, recorder),
        }
        if let Err(error) = self.exchange(readiness, recorder) {
            self.lose(at, &error, recorder);
        }
    }

    /// Reads answers, and sends on what the socket did not take before.
    fn exchange(&mut self, readiness: Readiness, recorder: &mut Recorder) -> io::Result<()> {
        let connection = &mut self.connections[readiness.socket];
        let before = connection.depth();
        let mut received = Ok(());
        if readiness.is_readable || readiness.is_over {
            let (actions, buffer) = (&mut self.plan.actions, &mut self.buffer);
            let (clock, is_over) = (&self.plan.clock, readiness.is_over);
            received = connection.receive(buffer, clock, is_over, |under_way, answer, now_ns| {
                let times = Times {
                    intended_ns: under_way.intended_ns,
                    sent_ns: under_way.sent_ns,
                    answered_ns: now_ns,
                };
                recorder.answered(under_way.action.kind(), answer.status, times);
                if answer.status >= FIRST_ERROR_STATUS {
                    let (error, message) = answer.error();
                    recorder.refused(times.intended_ns, error, message);
                } else if let Action::Place(place) = &under_way.action {
                    actions.accepted(place);
                }
            });
            let answered = before - connection.depth();
            self.under_way -= answered;
            self.plan.progress.fetch_add(answered as u64, Ordering::Relaxed);
            if answered > 0 && connection.depth() == 0 {
                self.idle.push_back(readiness.socket);
            }
        }
        received?;
        if readiness.is_writable { connection.flush(&self.plan.clock) } else { Ok(()) }
    }

    fn lose(&mut self, at: usize, error: &io::Error, recorder: &mut Recorder) {
        let again_ns = self.plan.clock.now_ns() + RECONNECT_PAUSE_NS;
        let connection = &mut self.connections[at];
        let (was_open, depth) = (connection.is_open(), connection.depth());
        for under_way in connection.lose(again_ns) {
            recorder.lost(under_way.action.kind(), under_way.intended_ns);
        }
        self.under_way -= depth;
        if was_open {
            self.open -= 1;
        }
        recorder.fault(describe(error, was_open));
    }

    fn reconnect(&mut self, recorder: &mut Recorder) {
        let now_ns = self.plan.clock.now_ns();
        for at in 0..self.connections.len() {
            if self.connections[at].is_to_begin(now_ns) {
                let begun = begin(&mut self.connections[at], at, self.plan.address, &self.poller);
                if let Err(error) = begun {
                    self.lose(at, &error, recorder);
                }
            }
        }
    }

    /// Who has no answer, and who was never sent.
    fn finish(mut self, mut run: Run, now_ns: u64) -> Recorder {
        for connection in &mut self.connections {
            for under_way in connection.lose(u64::MAX) {
                run.recorder.unanswered(under_way.action.kind(), under_way.intended_ns, now_ns);
            }
        }
        for intended_ns in run.schedule.take_rest() {
            run.recorder.unsent(intended_ns, now_ns);
        }
        run.recorder
    }
}

fn begin(
    connection: &mut Connection,
    at: usize,
    address: SocketAddr,
    poller: &Poller,
) -> io::Result<()> {
    poller.register(connection.begin(address)?, at)
}

/// The same words for the same fault, so that they can be counted.
fn describe(error: &io::Error, was_open: bool) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "connection closed by the server".to_owned(),
        io::ErrorKind::InvalidData => error.to_string(),
        _ if was_open => format!("connection broke: {error}"),
        _ => format!("cannot connect: {error}"),
    }
}

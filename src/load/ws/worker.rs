//! One thread of the load: opens its connections, then trades on some and listens on all of them.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::session::{Ears, Role, Session, Step};
use super::shared::Shared;
use super::tally::Tally;
use super::trading::{Desk, Run};
use super::wire::{Fault, Reading, Target};
use crate::load::poller::{Poller, Readiness};
use crate::load::recorder::Recorder;
use crate::load::schedule::{Clock, Period, Schedule};

/// Connections that a thread opens at once: few enough for any server's queue, since one that overflows
/// makes the kernel try again a second later.
const OPENING_AT_ONCE: usize = 64;
/// How often one connection is tried, and how long it is left alone in between.
const MAX_ATTEMPTS: u32 = 5;
const RETRY_PAUSE_NS: u64 = 200_000_000;
/// How long none may be ready before the opening has failed.
const OPENING_STALL_NS: u64 = 30_000_000_000;
/// What is read at once: many messages, and small enough for the caches.
const READ_BYTES: usize = 64 * 1024;
/// Connections from one address; there are about 28,000 ports for all.
const CONNECTIONS_PER_SOURCE: usize = 10_000;
/// Nothing private for so long: all is told.
const SETTLED_NS: u64 = 500_000_000;
/// How long after the end answers and pushes are waited for.
const DRAIN_NS: u64 = 20_000_000_000;

/// What one thread needs.
pub struct Plan {
    pub clock: Clock,
    pub address: SocketAddr,
    pub host: String,
    /// Traders first.
    pub sessions: Vec<Session>,
    /// How many connections the threads before this one have, and all together.
    pub before: usize,
    pub of: usize,
    /// When to open them.
    pub opening: Schedule,
    pub desk: Option<Desk>,
    /// Of all orders.
    pub rate: u64,
    pub thread: u64,
    pub trading_threads: u64,
    pub threads: usize,
    pub window_ns: u64,
    pub tally: Tally,
    pub shared: Arc<Shared>,
}

/// A thread.
pub struct Worker {
    plan: Plan,
    poller: Poller,
    /// Not open yet: not before that moment.
    to_open: VecDeque<(u64, usize)>,
    opening: usize,
    ready: usize,
    progressed_ns: u64,
    period: Option<Period>,
    is_through: bool,
    last_fault: Fault,
    broken: Vec<(usize, Fault)>,
    buffer: Vec<u8>,
}

/// What a thread has measured.
pub struct Measured {
    pub tally: Tally,
    pub recorder: Option<Recorder>,
}

impl Worker {
    /// One with nothing open.
    pub fn new(plan: Plan) -> Result<Worker> {
        Ok(Worker {
            poller: Poller::new().context("cannot wait for sockets")?,
            to_open: (0..plan.sessions.len()).map(|at| (0, at)).collect(),
            opening: 0,
            ready: 0,
            progressed_ns: plan.clock.now_ns(),
            period: None,
            is_through: false,
            last_fault: "no answer".to_owned(),
            broken: Vec::new(),
            buffer: vec![0; READ_BYTES],
            plan,
        })
    }

    /// Runs to the end.
    pub fn run(mut self) -> Result<Measured> {
        let (clock, shared) = (self.plan.clock, self.plan.shared.clone());
        let mut ready = Vec::new();
        loop {
            let now_ns = clock.now_ns();
            self.open_due(now_ns)?;
            self.learn_period();
            if let Some(desk) = &mut self.plan.desk {
                desk.start_due(&mut self.plan.sessions, &shared, &mut self.broken);
            }
            self.lose_broken()?;
            self.plan.tally.match_pending(&shared.takers, now_ns);
            let now_ns = clock.now_ns();
            if shared.stage.is_stopped() || self.is_over(now_ns) {
                return Ok(self.finish(now_ns));
            }
            let next_ns = self.next_ns(now_ns);
            self.poller.wait(now_ns, next_ns, &mut ready).context("cannot wait for sockets")?;
            for readiness in ready.drain(..) {
                self.handle(readiness);
            }
            self.lose_broken()?;
        }
    }

    fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let has_room = self.opening < OPENING_AT_ONCE && !self.to_open.is_empty();
        let opening = if has_room { self.plan.opening.next_ns(now_ns) } else { None };
        // Whoever has to be tried again is looked after as often as the poller waits at the longest.
        let opening =
            opening.filter(|_| self.to_open.front().is_some_and(|front| front.0 <= now_ns));
        let order = self.plan.desk.as_ref().and_then(|desk| desk.next_ns(now_ns));
        opening.into_iter().chain(order).min()
    }

    fn open_due(&mut self, now_ns: u64) -> Result<()> {
        if self.ready == self.plan.sessions.len() || self.period.is_some() {
            return Ok(());
        }
        if self.opening > 0 && now_ns > self.progressed_ns + OPENING_STALL_NS {
            bail!(
                "connections: {} of {} of a thread are open and no more come: {}",
                self.ready,
                self.plan.sessions.len(),
                self.last_fault
            );
        }
        while self.opening < OPENING_AT_ONCE
            && self.to_open.front().is_some_and(|&(not_before_ns, _)| not_before_ns <= now_ns)
            && self.plan.opening.due(now_ns).is_some()
            && let Some((_, at)) = self.to_open.pop_front()
        {
            self.plan.opening.take();
            self.progressed_ns = self.progressed_ns.max(now_ns);
            self.begin(at);
        }
        self.lose_broken()
    }

    fn begin(&mut self, at: usize) {
        let source = source(self.plan.before + at, self.plan.of, self.plan.address);
        let target = Target { address: self.plan.address, source, host: &self.plan.host };
        let session = &mut self.plan.sessions[at];
        session.attempts += 1;
        self.opening += 1;
        let begun = session.wire.begin(target).and_then(|stream| self.poller.register(stream, at));
        if let Err(error) = begun {
            self.broken.push((at, format!("cannot connect: {error}")));
        }
    }

    fn learn_period(&mut self) {
        let Some(period) = self.plan.shared.stage.period().filter(|_| self.period.is_none()) else {
            return;
        };
        self.period = Some(period);
        self.plan.tally.begin(period);
        let Plan { rate, thread, trading_threads, window_ns, .. } = self.plan;
        if let Some(desk) = &mut self.plan.desk {
            desk.run = Some(Run {
                schedule: Schedule::new(rate, period, thread, trading_threads),
                recorder: Recorder::new(period, window_ns),
            });
        }
    }

    fn handle(&mut self, readiness: Readiness) {
        let at = readiness.socket;
        let Session { wire, role, .. } = &mut self.plan.sessions[at];
        let mut ears = Ears {
            shared: &self.plan.shared,
            tally: &mut self.plan.tally,
            desk: self.plan.desk.as_mut(),
        };
        let mut reading = Reading { buffer: &mut self.buffer, clock: &self.plan.clock };
        let (mut step, mut count) = (Step::None, 0);
        let was_busy = is_busy(role);
        let handled = wire.handle(readiness, &mut reading, |incoming, bytes, now_ns| {
            count += 1;
            match ears.hear(role, incoming, (bytes, now_ns)) {
                Step::None => {}
                news => step = news,
            }
        });
        if was_busy
            && !is_busy(role)
            && let Some(desk) = &mut self.plan.desk
        {
            desk.idle.push_back(at);
        }
        self.plan.shared.stage.count_messages(count);
        if let Err(fault) = handled.and_then(|()| self.step(at, step)) {
            self.broken.push((at, fault));
        }
    }

    /// Goes on with opening a connection.
    fn step(&mut self, at: usize, step: Step) -> Result<(), Fault> {
        let session = &mut self.plan.sessions[at];
        if session.is_ready {
            return Ok(());
        }
        match step {
            Step::None => return Ok(()),
            Step::Refused(why) => return Err(format!("refused: {why}")),
            Step::Greeted => {
                if let Some(text) = session.subscription(&self.plan.shared.channels) {
                    return session.wire.send(text);
                }
            }
            Step::Subscribed => {}
        }
        session.is_ready = true;
        self.ready += 1;
        self.opening -= 1;
        let now_ns = self.plan.clock.now_ns();
        self.progressed_ns = now_ns;
        self.plan.shared.stage.count_ready(now_ns);
        Ok(())
    }

    /// Connections that broke: before all were ready they are tried again, later they are missed.
    fn lose_broken(&mut self) -> Result<()> {
        for (at, fault) in std::mem::take(&mut self.broken) {
            let session = &mut self.plan.sessions[at];
            if session.wire.is_down() && session.is_ready {
                continue;
            }
            session.wire.drop_link();
            if session.is_ready {
                session.is_ready = false;
                self.plan.tally.lost_connections += 1;
                if let (Role::Trader(trader), Some(desk)) = (&mut session.role, &mut self.plan.desk)
                {
                    desk.lost(trader);
                }
            } else {
                self.opening -= 1;
                if session.attempts >= MAX_ATTEMPTS {
                    bail!(
                        "connections: one could not be opened in {MAX_ATTEMPTS} attempts: {fault}"
                    );
                }
                let again_ns = self.plan.clock.now_ns() + RETRY_PAUSE_NS;
                self.to_open.push_back((again_ns, at));
            }
            self.last_fault.clone_from(&fault);
            self.plan.tally.fault(fault);
        }
        Ok(())
    }

    /// Whether everything is answered and told, on all threads, or it takes too long.
    fn is_over(&mut self, now_ns: u64) -> bool {
        let Some(period) = self.period else { return false };
        let stage = &self.plan.shared.stage;
        let quiet_since_ns =
            period.end_ns.max(stage.driven_ns()).max(self.plan.tally.last_private_ns);
        let is_through = self.plan.desk.as_ref().is_none_or(|desk| desk.is_through(now_ns));
        if !self.is_through && is_through && now_ns > quiet_since_ns.saturating_add(SETTLED_NS) {
            self.is_through = true;
            stage.count_through();
        }
        // The others' orders make events here.
        stage.through() == self.plan.threads || now_ns > period.end_ns + DRAIN_NS
    }

    fn finish(mut self, now_ns: u64) -> Measured {
        let tally = &mut self.plan.tally;
        tally.finish(&self.plan.shared.takers, self.is_through);
        for session in &self.plan.sessions {
            if let Role::Trader(trader) = &session.role
                && session.is_ready
                && self.is_through
            {
                trader.account.finish(&mut tally.private);
            }
        }
        let recorder = self.plan.desk.and_then(|desk| desk.finish(&mut self.plan.sessions, now_ns));
        Measured { tally: self.plan.tally, recorder }
    }
}

fn is_busy(role: &Role) -> bool {
    matches!(role, Role::Trader(trader) if !trader.under_way.is_empty())
}

/// Where a connection comes from: on this machine from one address for every so many, since each
/// address has only so many ports.
fn source(connection: usize, of: usize, server: SocketAddr) -> Option<IpAddr> {
    let is_here = matches!(server.ip(), IpAddr::V4(address) if address.is_loopback());
    if !is_here || of <= CONNECTIONS_PER_SOURCE {
        return None;
    }
    let group = (connection / CONNECTIONS_PER_SOURCE) as u8;
    Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_to_this_machine_come_from_several_addresses() {
        let here: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(source(9_999, 10_000, here), None);
        let from = |connection| source(connection, 20_000, here).unwrap().to_string();
        assert_eq!((from(0), from(9_999)), ("127.0.0.2".into(), "127.0.0.2".into()));
        assert_eq!((from(10_000), from(19_999)), ("127.0.0.3".into(), "127.0.0.3".into()));
        assert_eq!(source(0, 20_000, "10.0.0.1:80".parse().unwrap()), None);
    }
}

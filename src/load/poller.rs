//! Waits for sockets and for a moment, whichever comes first, exact to microseconds.
//!
//! epoll alone waits in whole milliseconds, so a timer descriptor is one of the things it waits for.
//! Everything is edge-triggered: a socket is registered once, and told of again only when something
//! has changed.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// What the timer is registered as; sockets have the numbers from 0 on.
const TIMER: u64 = u64::MAX;
/// Sockets that are told of at once.
const EVENTS: usize = 256;
/// Longest wait: whoever waits looks after other things as often.
const LONGEST_WAIT_MS: u8 = 50;

/// A socket of which something is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Its number.
    pub socket: usize,
    /// There is something to read.
    pub is_readable: bool,
    /// There is room to write.
    pub is_writable: bool,
    /// The other side is done or an error is pending: reading goes on to the end.
    pub is_over: bool,
}

/// Waits.
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    events: Vec<EpollEvent>,
    /// The moment for which the timer is set.
    set_for_ns: Option<u64>,
}

impl Poller {
    /// Nothing is registered yet.
    pub fn new() -> io::Result<Poller> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&timer, EpollEvent::new(edge, TIMER))?;
        Ok(Poller { epoll, timer, events: vec![EpollEvent::empty(); EVENTS], set_for_ns: None })
    }

    /// Tells of a socket from now on, until it is closed.
    pub fn register(&self, socket: impl AsFd, number: usize) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        Ok(self.epoll.add(socket, EpollEvent::new(flags, number as u64))?)
    }

    /// Waits until something is to be told or the moment `until_ns` has come, at most
    /// [`LONGEST_WAIT_MS`]. Appends to `ready`.
    pub fn wait(
        &mut self,
        now_ns: u64,
        until_ns: Option<u64>,
        ready: &mut Vec<Readiness>,
    ) -> io::Result<()> {
        let timeout_ms = match until_ns {
            Some(until_ns) if until_ns <= now_ns => 0,
            Some(until_ns) => {
                self.set_timer(now_ns, until_ns)?;
                LONGEST_WAIT_MS
            }
            None => LONGEST_WAIT_MS,
        };
        let count = match self.epoll.wait(&mut self.events, timeout_ms) {
            Err(nix::errno::Errno::EINTR) => 0,
            waited => waited?,
        };
        for event in &self.events[..count] {
            if event.data() == TIMER {
                self.set_for_ns = None;
                continue;
            }
            let has = |flags| event.events().intersects(flags);
            let over = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
            ready.push(Readiness {
                socket: event.data() as usize,
                is_readable: has(EpollFlags::EPOLLIN),
                is_writable: has(EpollFlags::EPOLLOUT),
                is_over: has(over),
            });
        }
        Ok(())
    }

    fn set_timer(&mut self, now_ns: u64, until_ns: u64) -> io::Result<()> {
        if self.set_for_ns != Some(until_ns) {
            // Setting it anew takes an expiry back that nobody was told of yet.
            let wait = TimeSpec::from_duration(Duration::from_nanos(until_ns - now_ns));
            self.timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?;
            self.set_for_ns = Some(until_ns);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::schedule::Clock;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_moment_ends_the_wait_within_a_millisecond_or_so_and_not_before() {
        let (clock, mut poller, mut ready) = (Clock::start(), Poller::new().unwrap(), Vec::new());
        for wait_ns in [300_000, 5 * MS, 300_000] {
            let now_ns = clock.now_ns();
            while clock.now_ns() < now_ns + wait_ns {
                poller.wait(clock.now_ns(), Some(now_ns + wait_ns), &mut ready).unwrap();
            }
            let late_ns = clock.now_ns() - now_ns - wait_ns;
            assert!(late_ns < 500 * MS, "{late_ns} ns late");
        }
        assert!(ready.is_empty());
    }

    #[test]
    fn a_socket_is_told_of_when_something_has_come_and_when_the_other_side_is_done() {
        let (clock, mut poller) = (Clock::start(), Poller::new().unwrap());
        let (mut near, far) = UnixStream::pair().unwrap();
        poller.register(&far, 7).unwrap();
        let mut wait = || {
            let mut ready = Vec::new();
            poller.wait(clock.now_ns(), None, &mut ready).unwrap();
            ready
        };
        assert!(wait()[0].is_writable);
        assert_eq!(wait(), []);
        near.write_all(b"a").unwrap();
        let ready = wait();
        assert!(ready[0].socket == 7 && ready[0].is_readable && !ready[0].is_over);
        drop(near);
        assert!(wait()[0].is_over);
    }
}

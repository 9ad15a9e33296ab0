//! When requests are to start. It is fixed beforehand and knows nothing of the answers, so that a
//! server that stalls cannot delay the next request and hide how long it would have waited
//! ("coordinated omission").
//!
//! A closed loop, as fast as the connections allow, has no intended starts: there a request starts
//! when it is sent.

use std::time::Instant;

const NS_PER_S: u128 = 1_000_000_000;

/// Time in ns since a common beginning, which all threads of a run share.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Instant,
}

impl Clock {
    /// One that begins now.
    pub fn start() -> Clock {
        Clock { base: Instant::now() }
    }

    /// Now.
    pub fn now_ns(&self) -> u64 {
        // 584 years.
        self.base.elapsed().as_nanos() as u64
    }
}

/// From when to when, on the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first request starts here.
    pub begin_ns: u64,
    /// Those that start from here on are measured.
    pub measured_ns: u64,
    /// None starts from here on.
    pub end_ns: u64,
}

impl Period {
    /// One that begins then, with so many seconds before and of the measurement.
    pub fn after(begin_ns: u64, warmup_s: u64, duration_s: u64) -> Period {
        let measured_ns = begin_ns + warmup_s * NS_PER_S as u64;
        Period { begin_ns, measured_ns, end_ns: measured_ns + duration_s * NS_PER_S as u64 }
    }

    /// Whether a request with this start is measured.
    pub fn is_measured(&self, intended_ns: u64) -> bool {
        (self.measured_ns..self.end_ns).contains(&intended_ns)
    }
}

/// One thread's share of the starts.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Per second, over all threads; 0 is a closed loop.
    rate: u64,
    period: Period,
    /// Of the whole sequence: this thread's next, and how far it is to the one after.
    next: u64,
    stride: u64,
}

impl Schedule {
    /// The share of thread `thread` of `threads`.
    pub fn new(rate: u64, period: Period, thread: u64, threads: u64) -> Schedule {
        Schedule { rate, period, next: thread, stride: threads }
    }

    /// Whether each answer makes room for the next request, with no rate of its own.
    pub fn is_closed_loop(&self) -> bool {
        self.rate == 0
    }

    /// When the next request is to start, if there is one; a closed loop says now.
    pub fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let next_ns = match self.rate {
            0 => now_ns.max(self.period.begin_ns),
            rate => {
                let after_ns = u128::from(self.next) * NS_PER_S / u128::from(rate);
                self.period.begin_ns.saturating_add(u64::try_from(after_ns).unwrap_or(u64::MAX))
            }
        };
        (next_ns < self.period.end_ns).then_some(next_ns)
    }

    /// The intended start of the oldest request that is due and has not been taken.
    pub fn due(&self, now_ns: u64) -> Option<u64> {
        self.next_ns(now_ns).filter(|&next_ns| next_ns <= now_ns)
    }

    /// Takes that request.
    pub fn take(&mut self) {
        self.next += self.stride;
    }

    /// Takes all that are left of a fixed sequence, with their intended starts.
    pub fn take_rest(&mut self) -> impl Iterator<Item = u64> {
        std::iter::from_fn(|| {
            let next_ns = if self.is_closed_loop() { None } else { self.next_ns(0) };
            self.take();
            next_ns
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Period = Period { begin_ns: 1_000, measured_ns: 1_000, end_ns: 1_000_001_000 };

    fn all(mut schedule: Schedule) -> Vec<u64> {
        schedule.take_rest().collect()
    }

    #[test]
    fn requests_are_evenly_spaced_and_none_starts_at_the_end() {
        let starts = all(Schedule::new(3, PERIOD, 0, 1));
        assert_eq!(starts, [1_000, 333_334_333, 666_667_666]);
    }

    #[test]
    fn the_shares_of_all_threads_are_the_whole() {
        let whole = all(Schedule::new(1_000, PERIOD, 0, 1));
        assert_eq!(whole.len(), 1_000);
        let mut shares: Vec<u64> =
            (0..3).flat_map(|thread| all(Schedule::new(1_000, PERIOD, thread, 3))).collect();
        shares.sort_unstable();
        assert_eq!(shares, whole);
    }

    #[test]
    fn a_stall_moves_no_start() {
        let mut schedule = Schedule::new(1_000, PERIOD, 0, 1);
        let mut starts = Vec::new();
        // Nobody looks for half a second, then everything that was due is there with its own start.
        for now_ns in [1_000, 1_001_000, 500_001_000] {
            while let Some(start_ns) = schedule.due(now_ns) {
                schedule.take();
                starts.push(start_ns);
            }
        }
        assert_eq!(starts.len(), 501);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 1_000_000));
        assert_eq!(schedule.next_ns(500_001_000), Some(501_001_000));
    }

    #[test]
    fn a_rate_beyond_the_clock_loses_no_precision() {
        let period = Period { begin_ns: 0, measured_ns: 0, end_ns: u64::MAX };
        let schedule = Schedule::new(3_000_000, period, 86_400 * 3_000_000, 1);
        assert_eq!(schedule.next_ns(0), Some(86_400_000_000_000));
    }

    #[test]
    fn a_closed_loop_is_always_due_until_its_end() {
        let mut schedule = Schedule::new(0, PERIOD, 0, 1);
        assert_eq!(schedule.due(999), None);
        assert_eq!(schedule.due(5_000), Some(5_000));
        assert_eq!(schedule.due(PERIOD.end_ns), None);
        assert_eq!(schedule.take_rest().count(), 0);
    }
}

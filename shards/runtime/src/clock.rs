//! The wall clock of a shard, read once per loop turn.
//!
//! Everything that one turn journals carries the same time. It never runs backwards within a
//! process, also when the system's clock is set back: it then stands still until the system catches
//! up. The pure core gets the time as an input; only this reads it.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the time is counted on from one look at the system's clock, which may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// See the module documentation.
#[derive(Debug, Default)]
pub struct CoarseClock {
    now_ms: Cell<u64>,
    /// A moment, and the time since 1970 at it.
    looked: Cell<Option<(Instant, Duration)>>,
}

impl CoarseClock {
    /// A clock that shows the present.
    pub fn new() -> Self {
        let clock = Self::default();
        clock.turn();
        clock
    }

    /// Starts a new turn: reads the system's clock (about 25 ns, no system call).
    pub fn turn(&self) -> u64 {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system_ms = u64::try_from(system.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.set(system_ms.max(self.now_ms.get()));
        self.now_ms.get()
    }

    /// Starts a new turn at a moment that has just been read: the system's clock is looked at now and then
    /// only, because reading two clocks for each request is dear.
    pub fn turn_at(&self, at: Instant) -> u64 {
        let looked = self.looked.get().and_then(|(since, time)| {
            let passed = at.checked_duration_since(since).filter(|&passed| passed < LOOK_AGAIN)?;
            u64::try_from((time + passed).as_millis()).ok()
        });
        if let Some(now_ms) = looked {
            self.now_ms.set(now_ms.max(self.now_ms.get()));
        } else {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.looked.set(Some((at, time)));
            self.now_ms.set((time.as_millis() as u64).max(self.now_ms.get()));
        }
        self.now_ms.get()
    }

    /// Milliseconds since 1970, as of the last turn.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_within_a_turn_and_never_runs_back() {
        const YEAR_2026_MS: u64 = 1_767_225_600_000;
        let clock = CoarseClock::new();
        let first = clock.now_ms();
        assert!(first > YEAR_2026_MS);
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert_eq!(clock.now_ms(), first);
        assert!(clock.turn() > first);
        clock.now_ms.set(u64::MAX / 2);
        assert_eq!(clock.turn(), u64::MAX / 2);
    }

    #[test]
    fn a_moment_that_was_read_already_is_the_time_of_its_turn() {
        let (clock, at) = (CoarseClock::new(), Instant::now());
        let first = clock.turn_at(at);
        assert_eq!(clock.turn_at(at + Duration::from_millis(40)), first + 40);
        assert_eq!(clock.turn_at(at + Duration::from_millis(20)), first + 40, "never back");
        // So late that the system's clock is asked, which knows better.
        assert!(clock.turn_at(at + Duration::from_secs(60)) < first + 60_000);
        assert!(clock.turn_at(at) >= first + 40, "a moment from before the last look");
    }
}

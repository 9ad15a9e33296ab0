//! The wall clock of a shard, read once per loop turn.
//!
//! Everything that one turn journals carries the same time. It never runs backwards within a
//! process, also when the system's clock is set back: it then stands still until the system catches
//! up. The pure core gets the time as an input; only this reads it.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// See the module documentation.
#[derive(Debug, Default)]
pub struct CoarseClock {
    now_ms: Cell<u64>,
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
}

//! Whether the client is still there, by a clock that the caller keeps.

use super::limits::{CLOSE_TIME_LIMIT_MS, DEAD_AFTER_MS, PING_INTERVAL_MS};

/// What the passing of time asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing.
    Nothing,
    /// A ping stands in the output: send it.
    Ping,
    /// The client has been silent, or has not closed, for too long: shut the socket down.
    Dead,
}

/// What is known of the client's signs of life.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// Bytes came since the last look at the clock.
    was_heard: bool,
    times: Option<Times>,
    /// Since when the connection is being closed.
    closing_since_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    heard_ms: u64,
    pinged_ms: u64,
}

impl Liveness {
    /// This many bytes came.
    pub fn heard(&mut self, count: usize) {
        self.was_heard |= count > 0;
    }

    /// What is due at `now_ms`, counted from the first call on.
    pub fn tick(&mut self, now_ms: u64, is_closing: bool) -> Tick {
        let times = self.times.get_or_insert(Times { heard_ms: now_ms, pinged_ms: now_ms });
        if std::mem::take(&mut self.was_heard) {
            times.heard_ms = now_ms;
        }
        if is_closing {
            let since_ms = *self.closing_since_ms.get_or_insert(now_ms);
            return match now_ms.saturating_sub(since_ms) {
                CLOSE_TIME_LIMIT_MS.. => Tick::Dead,
                _ => Tick::Nothing,
            };
        }
        if now_ms.saturating_sub(times.heard_ms) >= DEAD_AFTER_MS {
            return Tick::Dead;
        }
        if now_ms.saturating_sub(times.pinged_ms) >= PING_INTERVAL_MS {
            times.pinged_ms = now_ms;
            return Tick::Ping;
        }
        Tick::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_is_pinged_twice_and_then_dead() {
        let mut liveness = Liveness::default();
        liveness.heard(0);
        let due: Vec<(u64, Tick)> = (5..=65)
            .map(|second| (second, liveness.tick(second * 1000, false)))
            .filter(|(_, tick)| *tick != Tick::Nothing)
            .collect();
        assert_eq!(due, [(25, Tick::Ping), (45, Tick::Ping), (65, Tick::Dead)]);
    }

    #[test]
    fn a_client_that_says_anything_lives_and_is_pinged_on() {
        let mut liveness = Liveness::default();
        let mut pings = 0;
        for second in 0..=200 {
            if second % 50 == 0 {
                liveness.heard(1);
            }
            match liveness.tick(second * 1000, false) {
                Tick::Ping => pings += 1,
                Tick::Nothing => {}
                Tick::Dead => panic!("dead after {second} s"),
            }
        }
        assert_eq!(pings, 10);
    }

    #[test]
    fn a_close_that_is_not_answered_ends_whatever_the_client_says() {
        let mut liveness = Liveness::default();
        assert_eq!(liveness.tick(0, false), Tick::Nothing);
        for now_ms in (1_000..6_000).step_by(500) {
            liveness.heard(1);
            assert_eq!(liveness.tick(now_ms, true), Tick::Nothing, "{now_ms}");
        }
        assert_eq!(liveness.tick(6_000, true), Tick::Dead);
    }

    #[test]
    fn a_clock_that_goes_back_harms_nobody() {
        let mut liveness = Liveness::default();
        assert_eq!(liveness.tick(100_000, false), Tick::Nothing);
        assert_eq!(liveness.tick(0, false), Tick::Nothing);
        assert_eq!(liveness.tick(u64::MAX, false), Tick::Dead);
    }
}

//! The last events of a user, kept at its home while a stream of events that can be resumed follows it,
//! and for a while after that.

use std::collections::VecDeque;

use engine::Event;

/// Events that are kept of one user.
const MAX_EVENTS: usize = 1_024;
/// How long they are kept when nobody follows the user any more, in ms.
const LINGER_MS: u64 = 5 * 60_000;

/// What is kept of one user.
pub(crate) struct EventLog {
    /// Number of the last event.
    sequence: u64,
    events: VecDeque<Event>,
    followers: u32,
    /// Since when nobody follows.
    left_ms: u64,
}

/// What somebody who resumes has missed.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Missed {
    /// With their numbers, oldest first.
    pub events: Vec<(u64, Event)>,
    /// Something before them is not kept any more, or never was.
    pub has_gap: bool,
}

impl EventLog {
    /// An empty one, whose numbers begin behind this one.
    pub fn behind(sequence: u64) -> EventLog {
        EventLog { sequence, events: VecDeque::new(), followers: 0, left_ms: 0 }
    }

    /// Number of the last event.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Adds an event; its number.
    pub fn push(&mut self, event: Event) -> u64 {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.sequence += 1;
        self.sequence
    }

    /// What came behind number `after`.
    pub fn missed(&self, after: u64) -> Missed {
        let first = self.sequence - self.events.len() as u64;
        if after > self.sequence {
            return Missed { events: Vec::new(), has_gap: true };
        }
        let skipped = after.saturating_sub(first) as usize;
        let events = self.events.iter().enumerate().skip(skipped);
        let numbered = events.map(|(index, event)| (first + index as u64 + 1, event.clone()));
        Missed { events: numbered.collect(), has_gap: after < first }
    }

    /// Somebody follows.
    pub fn follow(&mut self) {
        self.followers += 1;
    }

    /// Somebody follows no more.
    pub fn leave(&mut self, now_ms: u64) {
        self.followers = self.followers.saturating_sub(1);
        self.left_ms = now_ms;
    }

    /// Whether it need not be kept any longer.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.followers == 0 && now_ms.saturating_sub(self.left_ms) >= LINGER_MS
    }
}

#[cfg(test)]
mod tests {
    use engine::BalanceReason;
    use money::{AssetId, UserId};

    use super::*;

    fn event(avail: u128) -> Event {
        let (user, asset, reason) = (UserId(1), AssetId(0), BalanceReason::Deposit);
        Event::Balance { user, asset, avail, frozen: 0, avail_before: 0, reason }
    }

    #[test]
    fn what_was_missed_comes_in_order_once() {
        let mut log = EventLog::behind(0);
        for avail in 1..=5 {
            assert_eq!(log.push(event(avail)), avail as u64);
        }
        let missed = log.missed(3);
        assert_eq!(missed.events, [(4, event(4)), (5, event(5))]);
        assert!(!missed.has_gap);
        assert_eq!(log.missed(5), Missed::default());
    }

    #[test]
    fn a_gap_is_told() {
        let mut log = EventLog::behind(0);
        for avail in 0..MAX_EVENTS as u128 + 10 {
            log.push(event(avail));
        }
        assert!(log.missed(9).has_gap);
        assert_eq!(log.missed(9).events.len(), MAX_EVENTS);
        assert!(!log.missed(10).has_gap);
        assert!(log.missed(9_999).has_gap, "a number that was never given");
    }

    #[test]
    fn it_lingers_and_ends() {
        let mut log = EventLog::behind(0);
        log.follow();
        assert!(!log.is_over(u64::MAX));
        log.leave(1_000);
        assert!(!log.is_over(1_000 + LINGER_MS - 1));
        assert!(log.is_over(1_000 + LINGER_MS));
    }
}

//! Whether a connection is read while messages of it are unanswered.
//!
//! A client that waits for each answer says nothing meanwhile. A read that waits for it is woken by the
//! kernel for that one message, while a read after the answer mostly finds the next one there: the same
//! for many connections at once, and each for less. Who speaks ahead is read at once, or its
//! messages would wait for each other's answers. Which of both a client is, shows: it begins as one who
//! speaks ahead, and is looked at again every now and then.

use std::cell::Cell;

/// Times in a row that a client must have waited for its answers before it is believed to.
const TRUSTED_AFTER_TIMES: u32 = 8;
/// How often one who is believed to wait is looked at again, in times that it has waited.
const LOOK_AGAIN_TIMES: u32 = 32;

/// What is known of one client.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Times in a row that something came when all was answered. It begins again at each look.
    waited: Cell<u32>,
}

impl Patience {
    /// Something has come while so many messages were unanswered.
    pub fn heard(&self, unanswered: u32) {
        let waited = match (unanswered, self.waited.get()) {
            (1.., _) => 0,
            (0, waited) if waited == TRUSTED_AFTER_TIMES + LOOK_AGAIN_TIMES => TRUSTED_AFTER_TIMES,
            (0, waited) => waited + 1,
        };
        self.waited.set(waited);
    }

    /// Whether the client is read although messages of it are unanswered.
    pub fn reads_on(&self) -> bool {
        self.waited.get() <= TRUSTED_AFTER_TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_speaks_ahead_is_always_read() {
        let patience = Patience::default();
        for time in 0..1_000 {
            assert!(patience.reads_on(), "{time}");
            // Now and then it catches up.
            patience.heard(u32::from(time % 5 > 0));
        }
    }

    #[test]
    fn a_client_that_waits_is_read_again_now_and_then_and_believed_when_it_speaks_ahead() {
        let patience = Patience::default();
        let reads_on = |times: u32| {
            let one = |_| {
                patience.heard(0);
                u32::from(patience.reads_on())
            };
            (0..times).map(one).sum::<u32>()
        };
        assert_eq!(reads_on(TRUSTED_AFTER_TIMES), TRUSTED_AFTER_TIMES);
        let looks = 10;
        assert_eq!(reads_on((LOOK_AGAIN_TIMES + 1) * looks), looks);
        while !patience.reads_on() {
            patience.heard(0);
        }
        patience.heard(3);
        assert_eq!(reads_on(TRUSTED_AFTER_TIMES), TRUSTED_AFTER_TIMES);
    }
}

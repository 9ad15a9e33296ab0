//! Answers that come from another thread.
//!
//! Promise: asking never waits. Whoever asked looks whether the answer is there; every question is
//! answered, also when the trail is closed meanwhile. Who drops a [`Pending`] takes the question back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Too many lines asked for, or none.
    #[error("limit: must be 1 to {}", crate::MAX_LOG_LINES)]
    Limit,
    /// The end of the time is before its beginning.
    #[error("from: must not be later than to")]
    Range,
    /// Too many questions wait already: try again.
    #[error("too many queries of the audit trail wait already")]
    Busy,
    /// The trail is closed.
    #[error("the audit trail is closed")]
    Closed,
    /// The files cannot be used.
    #[error("the files of the audit trail: {0}")]
    Files(String),
}

struct Slot<T> {
    answer: Mutex<Option<Result<T, QueryError>>>,
    answered: Condvar,
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<Result<T, QueryError>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that may be there already.
pub struct Pending<T>(Arc<Slot<T>>);

impl<T> Pending<T> {
    /// The answer if it is there; then this is empty.
    pub fn try_take(&self) -> Option<Result<T, QueryError>> {
        self.0.lock().take()
    }

    /// Waits for the answer, for threads that may. `None` if it is not there in time.
    pub fn wait(&self, timeout: Duration) -> Option<Result<T, QueryError>> {
        let until = Instant::now() + timeout;
        let mut slot = self.0.lock();
        loop {
            if let Some(answer) = slot.take() {
                return Some(answer);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.0.answered.wait_timeout(slot, left);
            slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The other end.
pub(crate) struct Answer<T>(Option<Arc<Slot<T>>>);

pub(crate) fn pending<T>() -> (Answer<T>, Pending<T>) {
    let slot = Arc::new(Slot { answer: Mutex::new(None), answered: Condvar::new() });
    (Answer(Some(slot.clone())), Pending(slot))
}

impl<T> Answer<T> {
    pub fn give(mut self, answer: Result<T, QueryError>) {
        self.fill(answer);
    }

    /// Whether nobody waits any more.
    pub fn is_unwanted(&self) -> bool {
        self.0.as_ref().is_none_or(|slot| Arc::strong_count(slot) == 1)
    }

    fn fill(&mut self, answer: Result<T, QueryError>) {
        if let Some(slot) = self.0.take() {
            *slot.lock() = Some(answer);
            slot.answered.notify_all();
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.fill(Err(QueryError::Closed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_is_thrown_away_is_answered_all_the_same() {
        let (answer, waiting) = pending::<u32>();
        assert_eq!(waiting.try_take(), None);
        drop(answer);
        assert_eq!(waiting.try_take(), Some(Err(QueryError::Closed)));
        let (answer, waiting) = pending::<u32>();
        assert!(!answer.is_unwanted());
        drop(waiting);
        assert!(answer.is_unwanted());
    }
}

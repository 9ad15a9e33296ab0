//! A notifier inside one executor: "there is something to do".
//!
//! The journal's writer task, the flusher of the mesh and the shard loop sleep on a [`Notify`] and
//! are woken by whoever gives them work. It promises:
//!
//! - no allocation and no atomic operation of its own, ever;
//! - a notice given before anybody waits is kept (one, they do not add up), so work announced
//!   between a check and the wait is not lost;
//! - one waiter at a time: a second one takes the place of the first, which then sleeps on.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Wakes the one task of this executor that waits for it. See the module documentation.
#[derive(Default)]
pub struct Notify {
    pending: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl Notify {
    /// A notifier without a pending notice.
    pub const fn new() -> Self {
        Self { pending: Cell::new(false), waiter: Cell::new(None) }
    }

    /// Gives notice: wakes the waiter, or lets the next wait return at once.
    pub fn notify(&self) {
        self.pending.set(true);
        if let Some(waker) = self.waiter.take() {
            waker.wake();
        }
    }

    /// Waits for a notice and takes it.
    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self }
    }

    /// Takes a pending notice without waiting.
    pub fn take(&self) -> bool {
        self.pending.replace(false)
    }

    /// As [`Notify::notified`], for futures written by hand that wait for several things.
    pub fn poll_notified(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.take() {
            self.waiter.set(None);
            return Poll::Ready(());
        }
        // Kept when it is the same task's, so that polling again costs no reference counting.
        let waiter = match self.waiter.take() {
            Some(waiter) if waiter.will_wake(context.waker()) => waiter,
            _ => context.waker().clone(),
        };
        self.waiter.set(Some(waiter));
        Poll::Pending
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Notify").field("pending", &self.pending.get()).finish()
    }
}

/// The future of [`Notify::notified`].
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.notify.poll_notified(context)
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        // A waker left behind would keep the task's memory after its end.
        self.notify.waiter.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;
    use std::rc::Rc;

    #[test]
    fn a_notice_before_the_wait_is_kept_once() {
        LocalExecutor::default().run(async {
            let notify = Notify::new();
            notify.notify();
            notify.notify();
            notify.notified().await;
            assert!(!notify.take(), "notices do not add up");
        });
    }

    #[test]
    fn a_sleeping_task_is_woken_each_time() {
        const ROUNDS: usize = 10_000;
        LocalExecutor::default().run(async {
            let ping = Rc::new(Notify::new());
            let pong = Rc::new(Notify::new());
            let echo = glommio::spawn_local({
                let (ping, pong) = (ping.clone(), pong.clone());
                async move {
                    for _ in 0..ROUNDS {
                        ping.notified().await;
                        pong.notify();
                    }
                }
            });
            for _ in 0..ROUNDS {
                ping.notify();
                pong.notified().await;
            }
            echo.await;
        });
    }

    #[test]
    fn a_dropped_wait_leaves_no_waker() {
        LocalExecutor::default().run(async {
            let notify = Notify::new();
            {
                let mut wait = std::pin::pin!(notify.notified());
                let first = futures_lite::future::poll_once(&mut wait).await;
                assert!(first.is_none());
            }
            assert!(notify.waiter.take().is_none());
        });
    }
}

//! Ending on purpose: `SIGTERM`, `SIGINT` and `SIGHUP` become one notice to every executor.
//!
//! The order matters. [`block_signals`] comes first in `main`, before any other thread exists: the
//! mask is inherited, so no thread dies of the signal. [`Drain::on_signals`] then starts a thread
//! that waits for the signals and gives the notice; a second signal ends the process at once, which
//! is always safe, as `SIGKILL` is. Any task of any executor waits with [`Drain::noticed`].
//!
//! `SIGHUP` is one of them, unless it is given another meaning: [`Drain::on_signals_but_hang_up`].

use nix::sys::signal::{SigSet, Signal};
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Exit code after a second signal: what a shell reports for a process ended by `SIGINT`.
const IMPATIENT_EXIT_CODE: i32 = 130;

/// The signals that mean "finish and exit".
const DRAIN_SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Keeps the drain signals from ending the process. First thing in `main`.
pub fn block_signals() -> io::Result<()> {
    drain_signals().thread_block().map_err(io::Error::from)
}

fn drain_signals() -> SigSet {
    DRAIN_SIGNALS.into_iter().collect()
}

/// The notice to drain. Cheap to clone, usable from every thread.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    given: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Drain {
    /// A notice that nobody has given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A notice given by the first `SIGTERM`, `SIGINT` or `SIGHUP`; needs [`block_signals`] before.
    pub fn on_signals() -> io::Result<Drain> {
        Drain::start(None)
    }

    /// The same, but `SIGHUP` only has `hang_up` called, on the thread that waits for signals: it
    /// must end soon.
    pub fn on_signals_but_hang_up(hang_up: impl FnMut() + Send + 'static) -> io::Result<Drain> {
        Drain::start(Some(Box::new(hang_up)))
    }

    fn start(mut hang_up: Option<Box<dyn FnMut() + Send>>) -> io::Result<Drain> {
        let drain = Drain::new();
        let notice = drain.clone();
        let mut next_signal = move || {
            loop {
                match (drain_signals().wait(), &mut hang_up) {
                    (Ok(Signal::SIGHUP), Some(hang_up)) => hang_up(),
                    (signal, _) => return signal,
                }
            }
        };
        let wait = move || {
            for impatient in [false, true] {
                match next_signal() {
                    Ok(signal) if impatient => {
                        tracing::warn!(%signal, "second signal, exiting at once");
                        std::process::exit(IMPATIENT_EXIT_CODE);
                    }
                    Ok(signal) => tracing::info!(%signal, "draining"),
                    Err(error) => tracing::error!(%error, "cannot wait for signals, draining"),
                }
                notice.give();
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
        Ok(drain)
    }

    /// Gives the notice. Giving it again changes nothing.
    pub fn give(&self) {
        self.inner.given.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether it has been given.
    pub fn is_given(&self) -> bool {
        self.inner.given.load(Ordering::Relaxed)
    }

    /// Waits until it is given.
    pub async fn noticed(&self) {
        poll_fn(|context| self.poll_noticed(context)).await;
    }

    /// As [`Drain::noticed`], for futures written by hand that wait for several things.
    pub fn poll_noticed(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_given() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting();
        // Again under the lock: who gives the notice takes the wakers after setting the flag.
        if self.inner.given.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};
    use std::time::Duration;

    #[test]
    fn every_sleeping_executor_and_task_is_woken() {
        let drain = Drain::new();
        let start = || {
            let drain = drain.clone();
            let run = || async move {
                let other = drain.clone();
                let task = glommio::spawn_local(async move { other.noticed().await });
                drain.noticed().await;
                task.await;
                drain.noticed().await;
            };
            LocalExecutorBuilder::new(Placement::Unbound).spawn(run).unwrap()
        };
        let executors = [start(), start(), start()];
        std::thread::sleep(Duration::from_millis(100));
        assert!(!drain.is_given());
        drain.give();
        drain.give();
        for executor in executors {
            executor.join().unwrap();
        }
    }
}

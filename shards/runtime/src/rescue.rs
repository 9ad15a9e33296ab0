//! Wakes executors that glommio has put to sleep with work left.
//!
//! glommio-ng 0.12.0 (and glommio 0.9.0) has a hole in `LocalExecutor::run`: when the latency ring
//! has a completion at the moment in which the executor turns from its I/O to its tasks, it runs no
//! task, takes that for having none, and sleeps until the next event. Such a completion is the
//! preempt timer, when the thread lost its core for longer than that between two instructions (any
//! busy machine), or an `eventfd` write of another executor. Two shards that play ping-pong stood
//! still within seconds on a machine that was compiling. One line in glommio repairs it, the last
//! of `run_task_queues` in `src/executor/mod.rs`: `ran || !self.queues.borrow().active_executors.
//! is_empty()` instead of `ran`. With it the same ping-pong stood no more. Until a release has it,
//! this is the safety net.
//!
//! One thread for the whole process wakes each executor every [`RESCUE_INTERVAL`] by waking a task
//! on it: a wake from another thread counts as work before sleeping, whatever the task does. So a
//! stall ends after that time, at the cost of a wake-up per interval. What it promises is only
//! that: no executor sleeps longer than the interval with a task ready.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

/// How long an executor can sleep with work left: far above every regular pause, below what a person or
/// a client's timeout notices. Each time wakes all idle shards, which is most of what an idle server
/// does: at 10 ms it was 2.3 % of a core for two shards.
pub const RESCUE_INTERVAL: Duration = Duration::from_millis(50);

type Slot = Mutex<Option<Waker>>;

struct Rescue {
    slots: Mutex<Vec<Weak<Slot>>>,
}

/// Has the executor that runs this woken from now on, until it ends.
pub(crate) fn watch_this_executor() {
    let slot = Arc::new(Slot::default());
    rescue().slots.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&slot));
    let registered = Cell::new(false);
    let wait_for_ever = poll_fn(move |context| {
        if !registered.replace(true) {
            let waker = context.waker().clone();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
        }
        Poll::<()>::Pending
    });
    glommio::spawn_local(wait_for_ever).detach();
}

fn rescue() -> &'static Rescue {
    static RESCUE: OnceLock<Rescue> = OnceLock::new();
    static THREAD: OnceLock<()> = OnceLock::new();
    let rescue = RESCUE.get_or_init(|| Rescue { slots: Mutex::default() });
    THREAD.get_or_init(|| {
        let started = std::thread::Builder::new().name("rescue".to_owned()).spawn(|| {
            loop {
                std::thread::sleep(RESCUE_INTERVAL);
                rescue.wake_all();
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread to wake stalled executors");
        }
    });
    rescue
}

impl Rescue {
    fn wake_all(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            if let Some(waker) = &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
                waker.wake_by_ref();
            }
            true
        });
    }
}

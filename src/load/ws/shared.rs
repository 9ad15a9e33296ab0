//! What all threads of a run share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::channels::Channels;
use crate::load::order_times::Times;
use crate::load::schedule::Period;

/// Not yet.
const NEVER_NS: u64 = u64::MAX;

/// What all threads share.
pub struct Shared {
    pub channels: Channels,
    /// What the client order ids of this run begin with.
    pub run: String,
    /// Somebody trades, so public trades may be of this run's orders.
    pub is_traded: bool,
    /// When the orders were to be sent, by their numbers.
    pub orders: Arc<Times>,
    /// The same, by the trades that they took.
    pub takers: Times,
    pub stage: Stage,
}

/// How far the run is.
pub struct Stage {
    /// Connections that are open and subscribed.
    ready: AtomicUsize,
    last_ready_ns: AtomicU64,
    /// Set once all are.
    period: OnceLock<Period>,
    /// When orders over HTTP were all answered.
    driven_ns: AtomicU64,
    /// Threads with nothing left to wait for.
    through: AtomicUsize,
    /// Somebody failed, or nobody is needed any more.
    is_stopped: AtomicBool,
    /// Messages so far, for whoever looks on.
    messages: AtomicU64,
}

impl Stage {
    /// The beginning. Whether orders come over HTTP, so that their end has to be told.
    pub fn new(is_driven: bool) -> Stage {
        Stage {
            ready: AtomicUsize::new(0),
            last_ready_ns: AtomicU64::new(0),
            period: OnceLock::new(),
            driven_ns: AtomicU64::new(if is_driven { NEVER_NS } else { 0 }),
            through: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
            messages: AtomicU64::new(0),
        }
    }

    /// Another connection is ready.
    pub fn count_ready(&self, now_ns: u64) {
        self.last_ready_ns.fetch_max(now_ns, Ordering::SeqCst);
        self.ready.fetch_add(1, Ordering::SeqCst);
    }

    /// How many are, and since when.
    pub fn ready(&self) -> (usize, u64) {
        (self.ready.load(Ordering::SeqCst), self.last_ready_ns.load(Ordering::SeqCst))
    }

    /// Begins.
    pub fn begin(&self, period: Period) {
        let _ = self.period.set(period);
    }

    /// When to run, once that is known.
    pub fn period(&self) -> Option<Period> {
        self.period.get().copied()
    }

    /// All orders over HTTP are answered.
    pub fn driven(&self, now_ns: u64) {
        self.driven_ns.store(now_ns, Ordering::SeqCst);
    }

    /// When they were; beyond all time if they are not, 0 if there are none.
    pub fn driven_ns(&self) -> u64 {
        self.driven_ns.load(Ordering::SeqCst)
    }

    /// A thread has nothing left to wait for.
    pub fn count_through(&self) {
        self.through.fetch_add(1, Ordering::SeqCst);
    }

    /// Threads of which that is so.
    pub fn through(&self) -> usize {
        self.through.load(Ordering::SeqCst)
    }

    /// Ends all threads.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    /// Whether they are to end.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// More messages have come.
    pub fn count_messages(&self, count: u64) {
        self.messages.fetch_add(count, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

//! What the threads of the trail and its handles share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::config::TrailConfig;
use crate::files::Name;
use crate::lanes::Lanes;
use crate::record::Kind;
use crate::symbols::News;

/// Numbers for metrics. Counters are since the start; arrays are by [`Kind::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Lines written, those of gaps included.
    pub written: [u64; 4],
    /// Records that found no room.
    pub dropped: [u64; 4],
    /// Bytes written, before compression.
    pub bytes: [u64; 4],
    /// Records that wait for the writer.
    pub queued: u64,
    /// Whether files cannot be written at the moment.
    pub is_failing: bool,
}

/// What the writer tells of one kind.
#[derive(Default)]
pub(crate) struct Told {
    pub written: AtomicU64,
    pub bytes: AtomicU64,
    /// The last successful write, in ms since the epoch; 0 for none.
    pub last_write_ms: AtomicU64,
    /// Files that ended in the middle of a line at the start.
    pub torn_files: AtomicU64,
    pub state: Mutex<State>,
}

/// What of it changes rarely. Never locked across I/O, so that a shard may ask for it.
#[derive(Default)]
pub(crate) struct State {
    /// The file that nobody but the writer may touch.
    pub writing: Writing,
    /// Why it cannot be written.
    pub failing: Option<String>,
}

/// Which file the writer has. Said before it is made: whoever first lists the files and then reads
/// this never takes it for a closed one.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Writing {
    #[default]
    Nothing,
    /// One that may or may not be there yet.
    Next,
    File(Name),
}

impl Told {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far the writer has come with what it was asked for.
#[derive(Default)]
pub(crate) struct Progress {
    /// The last request to flush that is done.
    pub flushed: u64,
    /// The writer has ended; what it could not write, in bytes.
    pub ended: Option<u64>,
}

/// All of it.
pub(crate) struct Shared {
    pub config: TrailConfig,
    pub lanes: Arc<Lanes>,
    pub news: News,
    pub told: [Told; Kind::ALL.len()],
    pub closing: AtomicBool,
    /// Files closed since the start.
    pub rotations: AtomicU64,
    pub rotate_asked: AtomicBool,
    pub flush_asked: AtomicU64,
    progress: Mutex<Progress>,
    progressed: Condvar,
    pub writer: OnceLock<Thread>,
}

impl Shared {
    pub fn new(config: TrailConfig, shards: u16) -> Shared {
        let lanes = Arc::new(Lanes::new(&config, shards));
        Shared {
            config,
            lanes,
            news: News::default(),
            told: Default::default(),
            closing: AtomicBool::new(false),
            rotations: AtomicU64::new(0),
            rotate_asked: AtomicBool::new(false),
            flush_asked: AtomicU64::new(0),
            progress: Mutex::default(),
            progressed: Condvar::new(),
            writer: OnceLock::new(),
        }
    }

    pub fn told(&self, kind: Kind) -> &Told {
        &self.told[kind as usize]
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub fn wake_writer(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Has the writer write everything that was recorded so far; `false` if it could not in time.
    pub fn flush(&self, timeout: Duration) -> bool {
        let asked = self.flush_asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake_writer();
        self.wait(timeout, |progress| progress.flushed >= asked || progress.ended == Some(0))
    }

    /// Waits until the writer has come so far; `false` if it has not in time.
    pub fn wait(&self, timeout: Duration, mut is_there: impl FnMut(&Progress) -> bool) -> bool {
        let until = Instant::now() + timeout;
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if is_there(&progress) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.progressed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The writer tells how far it has come.
    pub fn progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.progressed.notify_all();
    }

    pub fn counters(&self) -> Counters {
        let sum = |kind, of: fn(&crate::lanes::Lane) -> u64| -> u64 {
            self.lanes.of(kind).map(|(_, lane)| of(lane)).sum()
        };
        let queued = |lane: &crate::lanes::Lane| lane.len() as u64;
        Counters {
            written: Kind::ALL.map(|kind| self.told(kind).written.load(Ordering::Relaxed)),
            dropped: Kind::ALL.map(|kind| sum(kind, crate::lanes::Lane::dropped)),
            bytes: Kind::ALL.map(|kind| self.told(kind).bytes.load(Ordering::Relaxed)),
            queued: Kind::ALL.into_iter().map(|kind| sum(kind, queued)).sum(),
            is_failing: self.failing().is_some(),
        }
    }

    /// Why files cannot be written at the moment.
    pub fn failing(&self) -> Option<String> {
        Kind::ALL.into_iter().find_map(|kind| self.told(kind).state().failing.clone())
    }
}

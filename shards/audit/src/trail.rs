//! The trail as its users see it: started, fed, asked, closed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use crate::config::{StartError, TrailConfig};
use crate::files::{clear_leftovers, directory_of, is_torn, list, make_directory};
use crate::lanes::Sender;
use crate::pending::{Answer, Pending, QueryError, pending};
use crate::query::{LogPage, LogQuery};
use crate::record::Kind;
use crate::shared::{Counters, Shared};
use crate::symbols::{Symbol, SymbolError};
use crate::worker::{Job, MAX_WAITING_JOBS, Stats, Worker};
use crate::writer::Writer;

/// Longest that closing takes, in ms.
pub const CLOSE_MS: u64 = 5_000;

/// Closing did not write everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The disk failed to the end.
    #[error("the audit trail is closed without its last {bytes} bytes")]
    Lost {
        /// What was formatted and not written.
        bytes: u64,
    },
    /// The writer has not ended in time, as when the disk stands still.
    #[error("the writer of the audit trail has not ended within {CLOSE_MS} ms")]
    Late,
}

/// The audit trail. A handle: all clones are the same trail, and its threads end with the last one.
#[derive(Clone)]
pub struct Trail(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    jobs: Arc<ArrayQueue<Job>>,
    worker: Thread,
}

impl Trail {
    /// Makes the directories, starts the threads. A file that a crash left in the middle of a line is
    /// told in the log and not written to again.
    pub fn start(config: TrailConfig, shards: u16) -> Result<Trail, StartError> {
        config.check(shards)?;
        let shared = Arc::new(Shared::new(config, shards));
        prepare(&shared)?;
        let writer = Writer::new(shared.clone());
        let thread = spawn("audit", &shared, move || writer.run())?;
        // Nobody else sets it.
        let _ = shared.writer.set(thread);
        let jobs = Arc::new(ArrayQueue::new(MAX_WAITING_JOBS));
        let worker = Worker::new(shared.clone(), jobs.clone());
        let worker = spawn("audit-queries", &shared, move || worker.run());
        let worker = worker.inspect_err(|_| shared.closing.store(true, Ordering::Release))?;
        Ok(Trail(Arc::new(Handle { shared, jobs, worker })))
    }

    /// The way into the trail for one shard.
    ///
    /// # Panics
    ///
    /// If there are not so many shards.
    pub fn sender(&self, shard: u16) -> Sender {
        let shards = self.0.shared.lanes.shards();
        assert!(shard < shards, "shard {shard} of {shards}");
        Sender::new(self.0.shared.lanes.clone(), shard)
    }

    /// Gives a symbol its name and scales; records handed over from now on show them.
    pub fn name_symbol(&self, id: u32, symbol: Symbol) -> Result<(), SymbolError> {
        self.0.shared.news.publish(id, symbol)
    }

    /// Asks for lines, newest first. Those recorded before are among them. Never waits.
    pub fn logs(&self, query: LogQuery) -> Result<Pending<LogPage>, QueryError> {
        query.check()?;
        self.ask(|answer| Job::Logs(query, answer))
    }

    /// Asks what there is. Never waits.
    pub fn stats(&self) -> Result<Pending<Stats>, QueryError> {
        self.ask(Job::Stats)
    }

    /// Has all files closed and compressed; the answer is how many. Never waits.
    pub fn archive(&self) -> Result<Pending<u64>, QueryError> {
        self.ask(Job::Archive)
    }

    /// Numbers for metrics, at once.
    pub fn counters(&self) -> Counters {
        self.0.shared.counters()
    }

    /// Writes and syncs what was recorded before, and ends the threads. Waits for that, [`CLOSE_MS`] at
    /// the most; what is recorded afterwards is lost.
    pub fn close(&self) -> Result<(), CloseError> {
        let mut lost = 0;
        self.0.begin_closing();
        let is_ended = self.0.shared.wait(Duration::from_millis(CLOSE_MS), |progress| {
            lost = progress.ended.unwrap_or(0);
            progress.ended.is_some()
        });
        match (is_ended, lost) {
            (false, _) => Err(CloseError::Late),
            (true, 0) => Ok(()),
            (true, bytes) => Err(CloseError::Lost { bytes }),
        }
    }

    fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<Pending<T>, QueryError> {
        let Handle { shared, jobs, worker } = &*self.0;
        if shared.is_closing() {
            return Err(QueryError::Closed);
        }
        let (answer, waiting) = pending();
        jobs.push(job(answer)).map_err(|_| QueryError::Busy)?;
        worker.unpark();
        if shared.is_closing() {
            // The thread may have ended before it saw this one.
            while jobs.pop().is_some() {}
        }
        Ok(waiting)
    }
}

impl Handle {
    fn begin_closing(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake_writer();
        self.worker.unpark();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.begin_closing();
    }
}

fn spawn(
    name: &str,
    shared: &Shared,
    work: impl FnOnce() + Send + 'static,
) -> Result<Thread, StartError> {
    let begin = shared.config.on_thread.clone();
    let body = move || {
        if let Some(begin) = begin {
            begin();
        }
        work();
    };
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    Ok(started.map_err(StartError::Thread)?.thread().clone())
}

fn prepare(shared: &Shared) -> Result<(), StartError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Directory { path, source }
    };
    let root = &shared.config.directory;
    make_directory(root).map_err(fail(root))?;
    for kind in Kind::ALL {
        let directory = directory_of(root, kind);
        let prepared = make_directory(&directory).and_then(|()| look_at(shared, kind, &directory));
        prepared.map_err(fail(&directory))?;
    }
    Ok(())
}

/// Clears up after a crash.
fn look_at(shared: &Shared, kind: Kind, directory: &Path) -> io::Result<()> {
    clear_leftovers(directory)?;
    // Each start begins a new file, so every plain one may be from a crash.
    for file in list(directory)?.iter().filter(|file| !file.is_packed) {
        if is_torn(&file.path)? {
            let name = file.name.plain();
            tracing::warn!(%kind, "audit: {name} ends in the middle of a line, as after a crash");
            shared.told(kind).torn_files.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

//! The thread that answers questions and looks after closed files.
//!
//! Promises: questions come first, and wait for one file that is being compressed at the most. How
//! many wait is bounded. Files are looked after at the start, when one is closed, when a day begins,
//! and every [`CARE_MS`]; what fails is told and tried again then.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use crate::archive;
use crate::config::Hours;
use crate::files::{Found, directory_of, list};
use crate::pending::{Answer, QueryError};
use crate::query::{self, LogPage, LogQuery, begins_ms};
use crate::record::Kind;
use crate::shared::Shared;
use crate::time::Day;

/// Most questions that wait.
pub const MAX_WAITING_JOBS: usize = 64;
/// Longest that a question waits for the writer to write what was recorded before it.
const FLUSH_WAIT: Duration = Duration::from_secs(1);
/// How often it looks for something to do unasked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often files are looked after when nothing happens.
const CARE_MS: u64 = 60_000;

/// What there is of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindStats {
    /// Which.
    pub kind: Kind,
    /// Lines written since the start, those of gaps included.
    pub written: u64,
    /// Records since the start that found no room.
    pub dropped: u64,
    /// Files on the disk.
    pub files: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// The first line of the oldest file, in ms since the epoch.
    pub oldest_ms: Option<u64>,
    /// The last successful write since the start, in ms since the epoch.
    pub last_write_ms: Option<u64>,
    /// Files that at the start ended in the middle of a line, as a crash leaves them.
    pub torn_files: u64,
}

/// What there is of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// By [`Kind::ALL`].
    pub kinds: Vec<KindStats>,
    /// Records that wait for the writer.
    pub queued: u64,
    /// Why files cannot be written at the moment.
    pub failing: Option<String>,
}

pub(crate) enum Job {
    Logs(LogQuery, Answer<LogPage>),
    Stats(Answer<Stats>),
    Archive(Answer<u64>),
}

/// An archive that was asked for.
struct Packing {
    left: VecDeque<(Kind, Found)>,
    packed: u64,
    answer: Answer<u64>,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    jobs: Arc<ArrayQueue<Job>>,
    asked: VecDeque<Packing>,
    /// To be compressed unasked.
    due: VecDeque<(Kind, Found)>,
    cared: Option<(Instant, u64, Day)>,
    is_told: bool,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, jobs: Arc<ArrayQueue<Job>>) -> Worker {
        let (asked, due) = (VecDeque::new(), VecDeque::new());
        Worker { shared, jobs, asked, due, cared: None, is_told: false }
    }

    /// The thread's work, until the trail is closed.
    pub fn run(mut self) {
        while !self.shared.is_closing() {
            if let Some(job) = self.jobs.pop() {
                self.answer(job);
                continue;
            }
            if let Some(packing) = self.asked.pop_front() {
                self.go_on(packing);
                continue;
            }
            self.care();
            if let Some((kind, file)) = self.due.pop_front() {
                let result = archive::pack(&self.shared, kind, &file).map(drop);
                self.tell(kind, result);
                continue;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        // Whoever still waits learns that the trail is closed, by the drop of the answers.
        while self.jobs.pop().is_some() {}
    }

    fn answer(&mut self, job: Job) {
        match job {
            Job::Logs(_, answer) if answer.is_unwanted() => {}
            Job::Logs(query, answer) => {
                let is_complete = self.shared.flush(FLUSH_WAIT);
                let page = query::run(&self.shared, &query);
                answer.give(page.map(|page| LogPage { is_complete, ..page }));
            }
            Job::Stats(answer) => answer.give(stats(&self.shared)),
            Job::Archive(answer) => self.begin_packing(answer),
        }
    }

    /// Closes the files that are open, and lists what is to be compressed.
    fn begin_packing(&mut self, answer: Answer<u64>) {
        if self.asked.len() >= MAX_WAITING_JOBS {
            return answer.give(Err(QueryError::Busy));
        }
        self.shared.rotate_asked.store(true, Ordering::Release);
        self.shared.flush(FLUSH_WAIT);
        let mut left = VecDeque::new();
        for kind in Kind::ALL {
            match archive::plain(&self.shared, kind, Hours(0)) {
                Ok(files) => left.extend(files.into_iter().map(|file| (kind, file))),
                Err(error) => return answer.give(Err(files_error(kind, &error))),
            }
        }
        self.asked.push_back(Packing { left, packed: 0, answer });
    }

    /// One more file.
    fn go_on(&mut self, mut packing: Packing) {
        let Some((kind, file)) = packing.left.pop_front() else {
            return packing.answer.give(Ok(packing.packed));
        };
        // Another archive that was asked for may have been faster.
        let result =
            if file.path.exists() { archive::pack(&self.shared, kind, &file) } else { Ok(false) };
        match result {
            Ok(is_packed) => {
                packing.packed += u64::from(is_packed);
                self.asked.push_front(packing);
            }
            Err(error) => packing.answer.give(Err(files_error(kind, &error))),
        }
    }

    /// Removes what is old and lists what is to be compressed, when it is time to.
    fn care(&mut self) {
        let rotations = self.shared.rotations.load(Ordering::Acquire);
        let today = Day::of(self.shared.config.now_ms());
        let is_due = self.cared.is_none_or(|(at, seen, day)| {
            at.elapsed() >= Duration::from_millis(CARE_MS) || seen != rotations || day != today
        });
        if !is_due {
            return;
        }
        self.cared = Some((Instant::now(), rotations, today));
        self.due.clear();
        self.is_told = false;
        for kind in Kind::ALL {
            match archive::remove_old(&self.shared, kind) {
                Ok(0) => {}
                Ok(count) => tracing::info!(%kind, count, "audit: old files removed"),
                Err(error) => self.tell(kind, Err(error)),
            }
            let Some(age) = self.shared.config.archive_after else { continue };
            match archive::plain(&self.shared, kind, age) {
                Ok(files) => self.due.extend(files.into_iter().map(|file| (kind, file))),
                Err(error) => self.tell(kind, Err(error)),
            }
        }
    }

    /// Tells an error, one for each time that files are looked after.
    fn tell(&mut self, kind: Kind, result: io::Result<()>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.is_told, true)
        {
            tracing::error!(%kind, "audit: closed files: {error}");
        }
    }
}

fn files_error(kind: Kind, error: &io::Error) -> QueryError {
    QueryError::Files(format!("{kind}: {error}"))
}

fn stats(shared: &Shared) -> Result<Stats, QueryError> {
    let counters = shared.counters();
    let mut kinds = Vec::with_capacity(Kind::ALL.len());
    for kind in Kind::ALL {
        let files = list(&directory_of(&shared.config.directory, kind));
        // Stats are for finding out what is wrong: a directory that cannot be read must not hide them.
        let files = files.unwrap_or_default();
        let told = shared.told(kind);
        let last_write_ms = told.last_write_ms.load(Ordering::Relaxed);
        kinds.push(KindStats {
            kind,
            written: counters.written[kind as usize],
            dropped: counters.dropped[kind as usize],
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
            oldest_ms: files.first().map(begins_ms),
            last_write_ms: (last_write_ms > 0).then_some(last_write_ms),
            torn_files: told.torn_files.load(Ordering::Relaxed),
        });
    }
    Ok(Stats { kinds, queued: counters.queued, failing: shared.failing() })
}

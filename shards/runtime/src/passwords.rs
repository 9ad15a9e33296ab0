//! The hashing of passwords, which takes tens of milliseconds and must not take them from a shard.
//!
//! One thread for all shards with a bounded queue. A shard that has handed over a job looks now and then
//! whether it is done.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use gateway::auth::{PasswordJob, PasswordVerdict};

use crate::cores::CoreList;
use crate::snapshots::keep_to;

/// Jobs that may wait. Past it a client is told to come again.
const MAX_WAITING_JOBS: usize = 64;

/// Where the result of a job will be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    verdict: Arc<Mutex<Option<PasswordVerdict>>>,
}

impl Pending {
    /// The result, once it is there.
    pub fn take(&self) -> Option<PasswordVerdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The way to the thread.
pub(crate) struct Passwords {
    jobs: SyncSender<(PasswordJob, Pending)>,
}

impl Passwords {
    /// Starts the thread, on these cores if any are named.
    pub fn start(cores: Option<CoreList>) -> std::io::Result<Arc<Passwords>> {
        let (jobs, queue) = sync_channel(MAX_WAITING_JOBS);
        std::thread::Builder::new().name("passwords".to_owned()).spawn(move || {
            keep_to(cores.as_ref());
            work(&queue);
        })?;
        Ok(Arc::new(Passwords { jobs }))
    }

    /// Hands over a job; `None`: too many wait.
    pub fn submit(&self, job: PasswordJob) -> Option<Pending> {
        let pending = Pending::default();
        self.jobs.try_send((job, pending.clone())).ok()?;
        Some(pending)
    }
}

fn work(queue: &Receiver<(PasswordJob, Pending)>) {
    while let Ok((job, pending)) = queue.recv() {
        let verdict = job.run();
        *pending.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }
}

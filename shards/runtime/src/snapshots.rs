//! Snapshots beside the running shards.
//!
//! One thread for all shards, off their cores as far as there are others and below them in priority
//! in any case: it runs when a core has nothing else to do, and writes no faster than it is told to.
//! A shard hands it a checkpoint, see [`shard::make_snapshot`]; when the snapshot is written, files
//! that nobody needs any more are removed, recycled or archived.
//!
//! Promises: a shard waits for nothing here. A snapshot that cannot be made is told and tried again
//! later; the journal that it would have replaced stays. A snapshot that shows another state than the
//! live shard's ends the process: what is served would not be there after a restart.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use journal::retention::{self, RetentionError, RetentionPolicy, SegmentPolicy};
use journal::{JournalConfig, SnapshotFile, StdDisk, block_on};
use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use shard::{Checkpoint, SnapshotError, make_snapshot};

use crate::cores::CoreList;

/// When snapshots are made and what is kept of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Journal bytes of one shard after which its next snapshot is made; 0: only when asked for.
    pub every_bytes: u64,
    /// Most bytes a second that snapshots read and write; 0: as fast as it goes.
    pub bytes_per_s: u64,
    /// Cores that the thread keeps to; `None`: any that the process may use.
    pub cores: Option<CoreList>,
    /// What is kept. An archive gets a directory for each shard of each generation.
    pub retention: RetentionPolicy,
}

impl Default for SnapshotPolicy {
    fn default() -> SnapshotPolicy {
        SnapshotPolicy {
            every_bytes: 256 << 20,
            bytes_per_s: 64 << 20,
            cores: None,
            retention: RetentionPolicy::default(),
        }
    }
}

/// One snapshot to be made.
pub(crate) struct Job {
    pub directory: PathBuf,
    /// Where inside the archive its files go.
    pub archive: PathBuf,
    pub journal: JournalConfig,
    pub checkpoint: Checkpoint,
}

/// What has become of a shard's snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Jobs done, with or without success.
    pub ended: u64,
    /// Snapshots made.
    pub made: u64,
    /// The last one.
    pub last: Option<SnapshotFile>,
    /// How long it took.
    pub took: Duration,
    /// Why the last job made none, if it did not.
    pub failure: Option<String>,
}

/// The way to the thread, shared by all shards.
pub(crate) struct Service {
    jobs: SyncSender<Job>,
    /// By shard.
    reports: Vec<Mutex<Report>>,
}

impl Service {
    /// Starts the thread.
    pub fn start(policy: SnapshotPolicy, shards: u16) -> std::io::Result<Arc<Service>> {
        // A shard has one job under way, so this is never full.
        let (jobs, queue) = sync_channel(usize::from(shards));
        let reports = (0..shards).map(|_| Mutex::default()).collect();
        let service = Arc::new(Service { jobs, reports });
        let reports = service.clone();
        std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || work(&queue, &policy, &reports))?;
        Ok(service)
    }

    /// Hands over a job. `false` when the thread is busy beyond measure: try again.
    pub fn submit(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// What has become of a shard's snapshots.
    pub fn report(&self, shard: u16) -> MutexGuard<'_, Report> {
        let report = &self.reports[usize::from(shard)];
        report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(queue: &Receiver<Job>, policy: &SnapshotPolicy, service: &Service) {
    yield_to_everyone();
    keep_to(policy.cores.as_ref());
    while let Ok(job) = queue.recv() {
        let (shard, lsn) = (job.checkpoint.shard.0, job.checkpoint.lsn);
        let since = Instant::now();
        let result = make(&job, policy);
        let took = since.elapsed();
        let mut report = service.report(shard);
        report.ended += 1;
        match result {
            Ok(file) => {
                let took_ms = took.as_millis() as u64;
                tracing::info!(shard, lsn, bytes = file.bytes, took_ms, "snapshot {}", file.name);
                report.made += 1;
                report.last = Some(file);
                report.took = took;
                report.failure = None;
            }
            Err(error) if error.is_fatal() => {
                tracing::error!(shard, lsn, "{error}");
                eprintln!("ringbook: {error}");
                std::process::exit(crate::node::FATAL_EXIT_CODE);
            }
            Err(error) => {
                tracing::error!(shard, lsn, "no snapshot: {error}");
                report.failure = Some(error.to_string());
                continue;
            }
        }
        drop(report);
        if let Err(error) = tidy(&job, policy) {
            tracing::error!(shard, "old snapshots and segments: {error}");
            service.report(shard).failure = Some(error.to_string());
        }
    }
}

fn make(job: &Job, policy: &SnapshotPolicy) -> Result<SnapshotFile, SnapshotError> {
    let disk = StdDisk::new(&job.directory).direct().gentle(policy.bytes_per_s);
    block_on(make_snapshot(disk, job.journal.clone(), &job.checkpoint, now_ms()))
}

fn tidy(job: &Job, policy: &SnapshotPolicy) -> Result<(), TidyError> {
    let disk = StdDisk::new(&job.directory).direct().gentle(policy.bytes_per_s);
    let mut retention = policy.retention.clone();
    let mut archive = None;
    if let SegmentPolicy::Archive(root) = &mut retention.segments {
        *root = root.join(&job.archive);
        std::fs::create_dir_all(&*root).map_err(TidyError::Archive)?;
        archive = Some(StdDisk::new(&*root));
    }
    retention.segment_bytes = job.journal.segment_bytes;
    block_on(async {
        let inventory = retention::inventory(&disk, job.journal.identity()).await?;
        let actions = retention::plan(&inventory, &retention, now_ms());
        retention::apply(&disk, archive.as_ref(), &actions).await?;
        Ok(())
    })
}

/// Why old files stay.
#[derive(Debug, thiserror::Error)]
enum TidyError {
    #[error("cannot make the archive: {0}")]
    Archive(std::io::Error),
    #[error(transparent)]
    Look(#[from] journal::ScanError),
    #[error(transparent)]
    Apply(#[from] RetentionError),
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// Has this thread keep to these cores. Not a reason to do nothing, so a failure is only told.
pub fn keep_to(cores: Option<&CoreList>) {
    let Some(cores) = cores else { return };
    let mut set = CpuSet::new();
    let filled = cores.cores().iter().try_for_each(|&core| set.set(core));
    if let Err(error) = filled.and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)) {
        tracing::warn!("cores of a background thread: {error}");
    }
}

/// This thread runs when nobody else wants to, and is put aside at once when somebody does.
fn yield_to_everyone() {
    // SAFETY: plain system calls on the calling thread, with a parameter that outlives them.
    #[allow(unsafe_code)]
    let result = unsafe {
        let parameter: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameter)
    };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!("snapshots run at normal priority: {error}");
    }
}

//! A start with another number of shards: the twin of the runtime's. What runs is the real thing, its
//! disk operations waiting for the scheduler like all others, so crashes fall into it anywhere.

use engine::{Engine, ImageError, reshard};
use journal::{JournalConfig, RecoverError, Recovery, SnapshotFile};
use shard::{BeginningError, load_engine, write_beginning};

use crate::disk::SimDisk;
use crate::mutation::Mutation;
use crate::store::{Layout, Store, commit};
use crate::task::Task;

type Loading = Task<Result<(Engine, Recovery), RecoverError<ImageError>>>;

enum Stage {
    /// The old shards are recovered.
    Loading(Vec<Result<Engine, Loading>>),
    /// The new ones' beginnings are written.
    Writing(Vec<Task<Result<SnapshotFile, BeginningError>>>),
    /// The new generation is made the one that counts.
    Committing(Task<std::io::Result<()>>),
}

pub(crate) struct Resharding {
    next: Layout,
    now_ms: u64,
    hash_seed: u64,
    stage: Stage,
    mutation: Option<Mutation>,
}

/// What a change of the shard count starts with.
pub(crate) struct Change<'a> {
    pub old: Layout,
    pub shards: u16,
    pub configs: &'a [JournalConfig],
    pub now_ms: u64,
    pub hash_seed: u64,
    pub mutation: Option<Mutation>,
}

impl Resharding {
    pub fn new(change: &Change<'_>, disks: &[SimDisk]) -> Resharding {
        let &Change { old, shards, configs, now_ms, hash_seed, mutation } = change;
        let next = Layout { generation: old.generation + 1, shards };
        let load = |(disk, config): (&SimDisk, &JournalConfig)| {
            let (disk, config) = (disk.clone(), config.clone());
            Err(Task::new(load_engine(disk, config, hash_seed, now_ms, |_| {})))
        };
        let stage = Stage::Loading(disks.iter().zip(configs).map(load).collect());
        Resharding { next, now_ms, hash_seed, stage, mutation }
    }

    /// Goes on as far as the disks let it. `Some` at the end.
    pub fn poll(&mut self, store: &mut Store) -> Option<Result<(), String>> {
        loop {
            let next = match &mut self.stage {
                Stage::Loading(shards) => match load(shards) {
                    Ok(true) => self.write(store),
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                },
                Stage::Writing(tasks) => match write(tasks) {
                    Ok(true) => {
                        let (root, layout) = (store.root.clone(), self.next);
                        Stage::Committing(Task::new(commit(root, layout)))
                    }
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                },
                Stage::Committing(task) => {
                    return Some(task.poll()?.map_err(|error| error.to_string()));
                }
            };
            self.stage = next;
        }
    }

    /// Deals the old shards out.
    fn write(&mut self, store: &mut Store) -> Stage {
        let Stage::Loading(shards) = &mut self.stage else { unreachable!("has just ended") };
        let engines = shards.drain(..).map(|engine| engine.ok().expect("all are loaded")).collect();
        let resharded = reshard(engines, self.next.shards, self.hash_seed);
        let engines = resharded.expect("recovered shards fit together").engines;
        store.make(self.next);
        let directories = store.directories(self.next.generation);
        let now_ms = self.now_ms;
        let write = |(engine, disk): (Engine, SimDisk)| {
            Task::new(async move { write_beginning(disk, &engine, now_ms).await })
        };
        let disks = directories.iter().map(|directory| directory.disk.clone());
        let tasks = engines.into_iter().zip(disks).map(write).collect();
        if self.mutation == Some(Mutation::EarlyLayout) {
            return Stage::Committing(Task::new(commit(store.root.clone(), self.next)));
        }
        Stage::Writing(tasks)
    }

    pub fn is_writing(&self) -> bool {
        matches!(self.stage, Stage::Writing(_))
    }

    pub fn is_committing(&self) -> bool {
        matches!(self.stage, Stage::Committing(_))
    }
}

/// Whether all are loaded.
fn load(shards: &mut [Result<Engine, Loading>]) -> Result<bool, String> {
    for shard in shards.iter_mut() {
        if let Err(task) = shard
            && let Some(loaded) = task.poll()
        {
            *shard = Ok(loaded.map_err(|error| error.to_string())?.0);
        }
    }
    Ok(shards.iter().all(Result::is_ok))
}

/// Whether all are written.
fn write(tasks: &mut Vec<Task<Result<SnapshotFile, BeginningError>>>) -> Result<bool, String> {
    let mut failure = None;
    tasks.retain_mut(|task| match task.poll() {
        None => true,
        Some(written) => {
            failure = failure.take().or(written.err());
            false
        }
    });
    failure.map_or(Ok(tasks.is_empty()), |error| Err(error.to_string()))
}

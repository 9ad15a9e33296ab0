//! One process: all its shards, from recovery over the exchange of greetings to its end.

use journal::JournalConfig;
use money::{Placement, ShardId};
use shard::{RecoverShardError, Shard};

use crate::disk::SimDisk;
use crate::mesh::{Mesh, Parcel};
use crate::mutation::Mutation;
use crate::node::Node;
use crate::random::Random;
use crate::resharding::Resharding;
use crate::task::Task;
use crate::view::Engines;

type Recovering = Task<Result<Shard<SimDisk>, RecoverShardError>>;

/// How far one shard has come.
pub(crate) enum Stage {
    Recovering(Recovering),
    /// Recovered; waits for what its peers have applied.
    Greeting(Box<Node>, Vec<Option<u64>>),
    /// Knows it from all peers.
    Ready(Box<Node>),
    Gone,
}

pub(crate) enum Process {
    Resharding(Resharding),
    Starting(Vec<Stage>),
    Running(Vec<Node>),
}

/// Why a process ended by itself.
#[derive(Debug)]
pub(crate) struct Exit {
    pub shard: usize,
    pub error: String,
}

impl Exit {
    pub fn of(shard: usize, error: impl std::fmt::Display) -> Exit {
        Exit { shard, error: error.to_string() }
    }
}

/// Starts the recovery of every shard.
pub(crate) fn start(
    disks: &[SimDisk],
    configs: &[JournalConfig],
    now_ms: u64,
    random: &mut Random,
) -> Process {
    let stages = disks.iter().zip(configs).map(|(disk, config)| {
        // Drawn anew by every process; must reach no output.
        let hash_seed = random.number();
        let (disk, config) = (disk.clone(), config.clone());
        Stage::Recovering(Task::new(Shard::recover(disk, config, hash_seed, now_ms, |_| {})))
    });
    Process::Starting(stages.collect())
}

impl Stage {
    /// Lets a recovery go on whose disk operation was let go. `Some` when it has just ended.
    pub fn poll(&mut self, mutation: Option<Mutation>) -> Option<Result<(), RecoverShardError>> {
        let Stage::Recovering(task) = self else { return None };
        match task.poll()? {
            Ok(shard) => {
                let node = Node::new(shard, mutation);
                let peers = usize::from(node.placement.shards());
                *self = Stage::Greeting(Box::new(node), vec![None; peers]);
                Some(Ok(()))
            }
            Err(error) => {
                *self = Stage::Gone;
                Some(Err(error))
            }
        }
    }

    pub fn node(&self) -> Option<&Node> {
        match self {
            Stage::Greeting(node, _) | Stage::Ready(node) => Some(node),
            Stage::Recovering(_) | Stage::Gone => None,
        }
    }

    /// Tells every peer what of its messages is applied here.
    pub fn greet(&self, mesh: &mut Mesh) {
        let Some(node) = self.node() else { return };
        for peer in node.placement.all().filter(|&peer| peer != node.here) {
            let greeting = Some(node.shard.greeting(peer));
            mesh.send(node.here, peer, Parcel { greeting, ..Parcel::default() });
        }
    }

    /// Takes a peer's greeting.
    pub fn hear(&mut self, from: ShardId, parcel: &Parcel) {
        let Stage::Greeting(_, heard) = self else { panic!("greeted too early") };
        heard[from.0 as usize] = Some(parcel.greeting.expect("a greeting comes first"));
    }

    /// Once all peers have greeted: takes up the exchange where they are. `Ok(true)` when it did.
    pub fn resume(&mut self, mutation: Option<Mutation>) -> Result<bool, String> {
        let Stage::Greeting(node, heard) = self else { return Ok(false) };
        let complete = heard
            .iter()
            .enumerate()
            .all(|(peer, applied)| applied.is_some() || peer == usize::from(node.here.0));
        if !complete {
            return Ok(false);
        }
        for (peer, applied) in heard.iter().enumerate() {
            let (Some(applied), peer) = (*applied, ShardId(peer as u16)) else { continue };
            let last = node.shard.engine().last_message(peer);
            let applied = match mutation {
                Some(Mutation::SkippedResume) => continue,
                Some(Mutation::OffByOneResume) if applied < last => applied + 1,
                _ => applied,
            };
            node.shard.resume(peer, applied).map_err(|error| error.to_string())?;
        }
        let Stage::Greeting(node, _) = std::mem::replace(self, Stage::Gone) else {
            unreachable!("was just looked at")
        };
        *self = Stage::Ready(node);
        Ok(true)
    }
}

impl Process {
    /// The engines of a process that runs.
    pub fn engines(&self, placement: Placement) -> Engines<'_> {
        let Process::Running(nodes) = self else { panic!("the process never starts") };
        engines(nodes.iter().map(Some), placement).expect("all run")
    }
}

/// The engines of recovered or running shards; `None` while one is not recovered.
pub(crate) fn engines<'a>(
    nodes: impl Iterator<Item = Option<&'a Node>>,
    placement: Placement,
) -> Option<Engines<'a>> {
    let engines: Option<Vec<_>> = nodes.map(|node| Some(node?.shard.engine())).collect();
    Some(Engines { engines: engines?, placement })
}

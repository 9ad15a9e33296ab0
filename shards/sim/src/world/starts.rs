//! How a process ends and the next one starts: crashes, recoveries, another number of shards, and what
//! must hold in between.

use std::cell::Cell;
use std::rc::Rc;

use super::World;
use crate::check::check_recovered;
use crate::crash::CrashKind;
use crate::disk::SimDisk;
use crate::mutation::Mutation;
use crate::node::Node;
use crate::process::{Exit, Process, Stage, engines, start};
use crate::resharding::{Change, Resharding};
use crate::rot::try_rot;
use crate::settings::Settings;
use crate::store::Layout;
use money::{Placement, ShardId};

/// Percent of crashes after which damage to one disk is tried.
const ROT_PERCENT: u64 = 15;
/// Percent of recoveries whose state is dealt out over other shards too, and over how many at most.
const RESHARDED_PERCENT: u64 = 30;
const MOST_OTHER_SHARDS: u64 = 5;
/// What the error of an injected fault says.
const FAULTS: [&str; 2] = ["simulated", "no storage space"];
/// Disk operations that make a generation count, about.
const COMMIT_STEPS: u64 = 8;
/// Most shards that the operator goes over to.
pub(super) const MOST_SHARDS: u16 = 4;

/// Whether an error is one that the simulated disk has made.
pub(super) fn is_injected(error: &str) -> bool {
    FAULTS.iter().any(|fault| error.contains(fault))
}

impl World {
    /// The process ends by itself: only ever because a disk failed.
    pub fn exit(&mut self, exit: &Exit) {
        let failed = match self.disks.get(exit.shard) {
            Some(disk) => disk.has_failed(),
            None => self.store.disks().any(SimDisk::has_failed),
        };
        let is_fault = failed && is_injected(&exit.error);
        assert!(is_fault, "shard {} ended without a fault: {}", exit.shard, exit.error);
        self.totals.exits += 1;
        // The fault is cleared, or not yet.
        if self.random.chance(70) {
            self.store.disks().for_each(|disk| disk.set_full(false));
        }
        self.crash();
    }

    /// The process ends at once, and starts anew.
    pub fn crash(&mut self) {
        self.count_crash();
        // Whoever waits for a disk is gone before the disk decides.
        self.process = Process::Starting(Vec::new());
        self.mesh.clear();
        self.clients.lose_everything();
        let kind = match self.random.chance(self.settings.power_cuts) {
            true => CrashKind::PowerCut,
            false => CrashKind::Kill,
        };
        match kind {
            CrashKind::Kill => self.totals.kills += 1,
            CrashKind::PowerCut => self.totals.power_cuts += 1,
        }
        self.store.crash(kind, &mut self.random);
        if self.mutation == Some(Mutation::StaleDisk) {
            self.make_stale();
        }
        if self.random.chance(ROT_PERCENT) {
            let at = self.random.index(self.disks.len());
            let (config, base) = (&self.configs[at], self.base_hashes[at]);
            let hashes = (base, self.hashes[at].as_slice());
            try_rot(&self.disks[at], config, hashes, &mut self.random, &mut self.totals);
        }
        if self.is_wild && self.may_reshard && self.random.chance(self.settings.reshard) {
            self.wanted_shards = self.random.range(1, u64::from(MOST_SHARDS)) as u16;
        }
        self.now_ms += self.random.below(100);
        self.start();
    }

    fn count_crash(&mut self) {
        match &self.process {
            Process::Resharding(resharding) => {
                let (writing, committing) = (resharding.is_writing(), resharding.is_committing());
                self.totals.crashes_in_resharding += 1;
                self.totals.crashes_in_dealing += u64::from(writing || committing);
            }
            Process::Starting(_) => self.totals.crashes_in_recovery += 1,
            Process::Running(nodes) => {
                let count = |what: fn(&Node) -> bool| u64::from(nodes.iter().any(what));
                self.totals.crashes_in_commit += count(Node::is_committing);
                self.totals.crashes_in_switch += count(Node::is_switching);
                self.totals.crashes_in_preparation += count(Node::is_preparing);
                self.totals.crashes_in_snapshot += count(|node| node.snapshots.is_making());
                self.totals.crashes_in_retention += count(|node| node.snapshots.is_tidying());
                for node in nodes {
                    let statistics = node.shard.journal().statistics();
                    self.totals.stalls += node.stalls;
                    self.totals.segments += statistics.segments;
                    self.totals.recycled += statistics.recycled;
                    self.totals.batches += statistics.batches;
                    self.totals.appended += statistics.records;
                }
            }
        }
    }

    fn make_stale(&mut self) {
        let images = self.disks.iter().map(SimDisk::image).collect();
        let before = std::mem::replace(&mut self.images, images);
        let at = self.random.index(self.disks.len());
        if self.random.chance(30)
            && let Some(image) = before.get(at)
        {
            self.disks[at].restore(image);
        }
    }

    /// The process starts with what is in the store, on the number of shards that is wanted.
    pub(super) fn start(&mut self) {
        let layout = self.store.layout();
        let (now, before) = (layout.generation, self.generation);
        assert!(now >= before, "generation {before} counted already, now {now} does again");
        if now > before {
            self.adopt(layout);
        }
        self.changing.clear();
        let (disks, random) = (self.disks.as_slice(), &mut self.random);
        let config = |shard| Settings::journal(ShardId(shard), layout.shards, random);
        self.configs = (0..layout.shards).map(config).collect();
        self.process = if layout.shards == self.wanted_shards {
            start(disks, &self.configs, self.now_ms, random)
        } else {
            let change = Change {
                old: layout,
                shards: self.wanted_shards,
                configs: &self.configs,
                now_ms: self.now_ms,
                hash_seed: random.number(),
                mutation: self.mutation,
            };
            Process::Resharding(Resharding::new(&change, disks))
        };
        if let Err(exit) = self.poll_resharding() {
            return self.exit(&exit);
        }
        // A recovery waits for its first operation only once it was polled.
        for at in 0..self.disks.len() {
            if let Err(exit) = self.poll_starting(at) {
                return self.exit(&exit);
            }
        }
    }

    /// Another generation counts: it must be what the one before it came to.
    fn adopt(&mut self, layout: Layout) {
        self.witness.follow(&self.disks);
        for (at, last) in self.witness.last().into_iter().enumerate() {
            let promised = self.promised[at];
            assert!(last >= promised, "shard {at}: {promised} was durable, {last} is the last");
            self.check_hash(at, last, self.witness.replay()[at].state_hash());
        }
        self.witness.reshard(layout.shards);
        self.generation = layout.generation;
        self.totals.reshardings += 1;
        // A new generation's shards begin with a snapshot of record 0.
        self.open_generation(Some(0));
    }

    pub(super) fn open_generation(&mut self, snapshot: Option<u64>) {
        let directories = self.store.directories(self.generation);
        self.disks = directories.iter().map(|directory| directory.disk.clone()).collect();
        self.archives = directories.iter().map(|directory| directory.archive.clone()).collect();
        let shards = self.disks.len();
        self.placement = Placement::new(shards as u16);
        self.clients.move_to(self.placement);
        self.mesh.move_to(self.placement);
        self.base_hashes = self.witness.base_hashes();
        self.hashes = vec![Vec::new(); shards];
        self.promised = vec![0; shards];
        self.snapshots = vec![snapshot; shards];
        self.images.clear();
    }

    /// Lets a change of the shard count go on.
    pub(super) fn poll_resharding(&mut self) -> Result<(), Exit> {
        let Process::Resharding(resharding) = &mut self.process else { return Ok(()) };
        let ended = resharding.poll(&mut self.store);
        let is_committing = resharding.is_committing();
        if self.changing.is_empty() && (resharding.is_writing() || is_committing) {
            let directories = self.store.directories(self.generation + 1);
            self.changing = directories.iter().map(|one| one.disk.clone()).collect();
            self.changing.push(self.store.root.clone());
        }
        if is_committing && self.is_wild && self.crash_due.is_none() && self.random.one_in(20) {
            // These few steps decide which generation counts.
            self.crash_due = Some(self.random.below(COMMIT_STEPS));
        }
        match ended {
            None => {}
            Some(Ok(())) => self.start(),
            Some(Err(error)) => return Err(Exit::of(usize::MAX, error)),
        }
        Ok(())
    }

    pub(super) fn poll_starting(&mut self, at: usize) -> Result<(), Exit> {
        let Process::Starting(stages) = &mut self.process else { return Ok(()) };
        let Some(result) = stages[at].poll(self.mutation) else { return Ok(()) };
        result.map_err(|error| Exit::of(at, error))?;
        self.check_replayed(at);
        let Process::Starting(stages) = &mut self.process else { return Ok(()) };
        stages[at].greet(&mut self.mesh);
        self.resume(at)
    }

    pub(super) fn resume(&mut self, at: usize) -> Result<(), Exit> {
        let Process::Starting(stages) = &mut self.process else { return Ok(()) };
        let resumed = stages[at].resume(self.mutation);
        if let Err(error) = resumed {
            panic!("a crash alone never makes shards disagree: {error}");
        }
        if stages.iter().all(|stage| matches!(stage, Stage::Ready(_))) {
            return self.begin();
        }
        Ok(())
    }

    /// What a recovery has replayed is what was there before the crash, up to some record behind
    /// everything promised.
    fn check_replayed(&mut self, at: usize) {
        let Process::Starting(stages) = &self.process else { return };
        let node = stages[at].node().expect("just recovered");
        let (report, state_hash) = (node.shard.recovery(), node.shard.engine().state_hash());
        self.totals.recoveries += 1;
        self.totals.torn_tails += u64::from(report.cut.is_some());
        self.totals.unfinished += report.unfinished;
        self.totals.from_snapshot += u64::from(report.snapshot.is_some());
        let snapshot = report.snapshot.as_ref().map(|snapshot| snapshot.head.lsn.0);
        let promised = self.snapshots[at];
        assert!(
            snapshot >= promised,
            "shard {at}: snapshot {promised:?} is gone, {snapshot:?} is last"
        );
        assert!(report.damaged_snapshots.is_empty(), "shard {at}: {report:?}");
        let disturbed = self.disks[at].take_disturbed();
        assert!(report.cut.is_none() || disturbed, "shard {at}: nothing was torn: {report:?}");
        let (last, promised) = (report.last.0, self.promised[at]);
        assert!(last >= promised, "shard {at}: record {promised} was durable, {last} is the last");
        self.check_hash(at, last, state_hash);
        self.hashes[at].truncate(last as usize);
        self.promised[at] = last;
    }

    /// The state after some record is the one that was served.
    fn check_hash(&self, at: usize, last: u64, state_hash: u64) {
        let hashes = &self.hashes[at];
        assert!(last <= hashes.len() as u64, "shard {at}: record {last} comes from nowhere");
        let index = last.checked_sub(1);
        let expected = index.map_or(self.base_hashes[at], |index| hashes[index as usize]);
        assert_eq!(state_hash, expected, "shard {at}: replay differs");
    }

    /// All shards are recovered and know of each other: the process begins to serve.
    fn begin(&mut self) -> Result<(), Exit> {
        {
            let Process::Starting(stages) = &self.process else { return Ok(()) };
            let nodes = stages.iter().map(Stage::node);
            let engines = engines(nodes, self.placement).expect("all are recovered");
            self.witness.follow(&self.disks);
            let other_shards = self.random.range(1, MOST_OTHER_SHARDS) as u16;
            let other_shards = self.random.chance(RESHARDED_PERCENT).then_some(other_shards);
            check_recovered(&self.clients, &engines, &mut self.witness, other_shards);
            self.totals.checks += 1;
        }
        let old = std::mem::replace(&mut self.process, Process::Starting(Vec::new()));
        let Process::Starting(stages) = old else { return Ok(()) };
        let mut nodes = Vec::new();
        for stage in stages {
            if let Stage::Ready(node) = stage {
                nodes.push(*node);
            }
        }
        let short_shards = Rc::<Cell<usize>>::default();
        nodes.iter_mut().for_each(|node| node.begin(self.now_ms, short_shards.clone()));
        self.process = Process::Running(nodes);
        for at in 0..self.disks.len() {
            self.poll_running(at)?;
        }
        Ok(())
    }
}

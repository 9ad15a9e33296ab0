//! Everything of one run, and the scheduler: what happens next is the seed's choice.

use journal::JournalConfig;
use money::{Placement, ShardId};

use crate::check::{check_recovered, read_journal};
use crate::clients::Clients;
use crate::crash::CrashKind;
use crate::disk::{DiskFaults, SimDisk};
use crate::mesh::Mesh;
use crate::mutation::Mutation;
use crate::node::Node;
use crate::process::{Exit, Process, Stage, engines, start};
use crate::random::Random;
use crate::rot::try_rot;
use crate::settings::{MOST_MESSAGES, Settings};
use crate::totals::Totals;
use crate::view::Engines;

/// Bits flipped in one disk of a crash, and percent of crashes where that is tried.
const ROT_FLIPS: u64 = 3;
const ROT_PERCENT: u64 = 15;
/// Parcels that a turn takes at most.
const TURN_PARCELS: u64 = 8;
/// Steps after which a world that should come to rest does not.
const MAX_STEPS_TO_REST: u64 = 3_000_000;

/// How long a crash waits for something under way, in steps.
const MAX_CRASH_DELAY_STEPS: u64 = 60;

/// One thing that can happen now.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// A disk operation is let go.
    Disk(usize),
    Turn(usize),
    Commit(usize),
    Deliver(usize, usize),
    Client,
    /// The clock of a shard's tick.
    Tick(usize),
}

pub(crate) struct World {
    pub placement: Placement,
    pub clients: Clients,
    pub disks: Vec<SimDisk>,
    pub process: Process,
    configs: Vec<JournalConfig>,
    mesh: Mesh,
    settings: Settings,
    random: Random,
    now_ms: u64,
    mutation: Option<Mutation>,
    /// By shard: the state hash after each record, as far as it was ever computed.
    hashes: Vec<Vec<u64>>,
    /// By shard: the last record that was said to be durable.
    promised: Vec<u64>,
    /// What the disks held at the crash before.
    images: Vec<SimDisk>,
    /// New requests and faults come.
    is_wild: bool,
    /// A crash waits, for so many steps at most, until it hits something under way.
    crash_due: Option<u64>,
    pub totals: Totals,
    actions: Vec<(u64, Action)>,
}

impl World {
    pub fn new(seed: u64, shards: u16, mutation: Option<Mutation>) -> World {
        let mut random = Random::new(seed);
        // Seeds that follow each other begin alike otherwise.
        let mut random = random.fork();
        let placement = Placement::new(shards);
        let settings = Settings::new(usize::from(shards), &mut random);
        let disks: Vec<SimDisk> =
            (0..shards).map(|_| SimDisk::new(random.fork(), mutation)).collect();
        disks.iter().for_each(|disk| disk.set_faults(settings.faults));
        let now_ms = 1_000_000;
        let (process, configs) = start(&disks, now_ms, &mut random);
        World {
            placement,
            clients: Clients::new(placement, settings.most_asked, random.fork()),
            mesh: Mesh::new(placement, MOST_MESSAGES, mutation, random.fork()),
            hashes: vec![Vec::new(); disks.len()],
            promised: vec![0; disks.len()],
            images: Vec::new(),
            disks,
            process,
            configs,
            settings,
            random,
            now_ms,
            mutation,
            is_wild: true,
            crash_due: None,
            totals: Totals::default(),
            actions: Vec::new(),
        }
    }

    /// One step of the wild part: something that can happen, or a fault.
    pub fn step(&mut self) {
        self.totals.steps += 1;
        let strikes = |random: &mut Random, rate| rate > 0 && random.one_in(rate);
        if strikes(&mut self.random, self.settings.crash) {
            self.crash_due = Some(self.random.below(MAX_CRASH_DELAY_STEPS));
        }
        if let Some(left) = self.crash_due {
            self.crash_due = left.checked_sub(1);
            if left == 0 || self.is_writing() {
                self.crash_due = None;
                return self.crash();
            }
        }
        if strikes(&mut self.random, self.settings.dropped_connection) {
            self.clients.drop_connection();
        }
        if strikes(&mut self.random, self.settings.full_disk) {
            let (at, full) = (self.random.index(self.disks.len()), self.random.chance(25));
            self.disks[at].set_full(full);
        }
        self.pass_time();
        self.act();
    }

    /// Whether something is on its way to a disk: the moments at which a crash tells most.
    fn is_writing(&self) -> bool {
        self.disks.iter().any(|disk| disk.has_unsynced())
    }

    fn pass_time(&mut self) {
        self.now_ms += match self.random.below(1_000) {
            0 => self.random.below(3_000),
            1..=99 => 1,
            _ => 0,
        };
    }

    /// Does one of the things that can be done. False when there is none.
    fn act(&mut self) -> bool {
        let mut actions = std::mem::take(&mut self.actions);
        actions.clear();
        self.list_actions(&mut actions);
        let total: u64 = actions.iter().map(|(weight, _)| weight).sum();
        let mut chosen = None;
        if total > 0 {
            let mut left = self.random.below(total);
            for &(weight, action) in &actions {
                if left < weight {
                    chosen = Some(action);
                    break;
                }
                left -= weight;
            }
        }
        self.actions = actions;
        let Some(action) = chosen else { return false };
        if let Err(exit) = self.perform(action) {
            self.exit(&exit);
        }
        true
    }

    fn list_actions(&self, actions: &mut Vec<(u64, Action)>) {
        let weights = &self.settings.weights;
        for (at, disk) in self.disks.iter().enumerate() {
            if disk.waiting() > 0 {
                actions.push((weights.disk[at], Action::Disk(at)));
            }
            for to in 0..self.disks.len() {
                let starting = matches!(&self.process, Process::Starting(stages)
                    if !matches!(stages[to], Stage::Greeting(..)));
                if self.mesh.under_way(at, to) > 0 && !starting {
                    actions.push((weights.link[at][to], Action::Deliver(at, to)));
                }
            }
        }
        let Process::Running(nodes) = &self.process else { return };
        for (at, node) in nodes.iter().enumerate() {
            if node.has_turn() {
                actions.push((weights.turn[at], Action::Turn(at)));
            }
            if node.has_commit() {
                actions.push((weights.commit[at], Action::Commit(at)));
            }
            if self.is_wild {
                actions.push((1, Action::Tick(at)));
            }
        }
        if self.is_wild {
            actions.push((weights.client, Action::Client));
        }
    }

    fn perform(&mut self, action: Action) -> Result<(), Exit> {
        match action {
            Action::Disk(at) => self.let_disk_go(at),
            Action::Deliver(from, to) => self.deliver(from, to),
            Action::Client => {
                if let Some((gateway, token, request)) = self.clients.act() {
                    self.request(gateway, token, request)?;
                }
                Ok(())
            }
            Action::Turn(at) => {
                let most = self.random.range(1, TURN_PARCELS) as usize;
                let now_ms = self.now_ms;
                let Process::Running(nodes) = &mut self.process else { return Ok(()) };
                let turned = nodes[at].turn(now_ms, &mut self.mesh, most);
                self.note(at);
                turned.map_err(|error| Exit::of(at, error))
            }
            Action::Commit(at) => {
                let Process::Running(nodes) = &mut self.process else { return Ok(()) };
                nodes[at].start_commit();
                // The first operation of a write waits only once it was polled.
                self.poll_running(at)
            }
            Action::Tick(at) => {
                let now_ms = self.now_ms;
                let Process::Running(nodes) = &mut self.process else { return Ok(()) };
                nodes[at].tick(now_ms);
                self.poll_running(at)
            }
        }
    }

    pub fn request(
        &mut self,
        gateway: ShardId,
        token: u64,
        request: shard::Request,
    ) -> Result<(), Exit> {
        let (now_ms, at) = (self.now_ms, usize::from(gateway.0));
        let Process::Running(nodes) = &mut self.process else { return Ok(()) };
        nodes[at].request(now_ms, token, request).map_err(|error| Exit::of(at, error))?;
        self.note(at);
        Ok(())
    }

    /// What a shard has just done: its answers reach the clients, its hashes are kept.
    fn note(&mut self, at: usize) {
        let Process::Running(nodes) = &mut self.process else { return };
        let node = &mut nodes[at];
        for (token, reply) in std::mem::take(&mut node.answers) {
            self.clients.answered(token, &reply);
        }
        let hashes = &mut self.hashes[at];
        let known = hashes.len() as u64 - node.first_lsn;
        hashes.extend_from_slice(&node.hashes[known as usize..]);
        self.promised[at] = node.shard.journal().durable().lsn().0;
    }

    fn let_disk_go(&mut self, at: usize) -> Result<(), Exit> {
        let which = self.random.index(self.disks[at].waiting());
        self.disks[at].allow(which);
        match self.process {
            Process::Starting(_) => self.poll_starting(at),
            Process::Running(_) => self.poll_running(at),
        }
    }

    fn poll_running(&mut self, at: usize) -> Result<(), Exit> {
        let now_ms = self.now_ms;
        let Process::Running(nodes) = &mut self.process else { return Ok(()) };
        let polled = nodes[at].poll_disk(now_ms);
        // What it has just started to do must reach the disk too.
        let polled = polled.and_then(|()| nodes[at].poll_disk(now_ms));
        polled.map_err(|error| Exit::of(at, error))
    }

    fn poll_starting(&mut self, at: usize) -> Result<(), Exit> {
        let Process::Starting(stages) = &mut self.process else { return Ok(()) };
        let Some(result) = stages[at].poll(self.mutation) else { return Ok(()) };
        result.map_err(|error| Exit::of(at, error))?;
        self.check_replayed(at);
        let Process::Starting(stages) = &mut self.process else { return Ok(()) };
        stages[at].greet(&mut self.mesh);
        self.resume(at)
    }

    fn resume(&mut self, at: usize) -> Result<(), Exit> {
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

    fn deliver(&mut self, from: usize, to: usize) -> Result<(), Exit> {
        let Some(parcel) = self.mesh.deliver(from, to) else { return Ok(()) };
        let source = ShardId(from as u16);
        match &mut self.process {
            Process::Starting(stages) => {
                stages[to].hear(source, &parcel);
                self.resume(to)
            }
            Process::Running(nodes) => {
                nodes[to].receive(source, parcel);
                Ok(())
            }
        }
    }

    /// What a recovery has replayed is what was there before the crash, up to some record behind
    /// everything promised.
    fn check_replayed(&mut self, at: usize) {
        let Process::Starting(stages) = &self.process else { return };
        let node = stages[at].node().expect("just recovered");
        let report = node.shard.recovery();
        self.totals.recoveries += 1;
        self.totals.torn_tails += u64::from(report.cut.is_some());
        self.totals.unfinished += report.unfinished;
        let disturbed = self.disks[at].take_disturbed();
        assert!(report.cut.is_none() || disturbed, "shard {at}: nothing was torn: {report:?}");
        let last = report.last.0;
        let promised = self.promised[at];
        assert!(last >= promised, "shard {at}: record {promised} was durable, {last} is the last");
        let hashes = &mut self.hashes[at];
        assert!(last <= hashes.len() as u64, "shard {at}: record {last} comes from nowhere");
        hashes.truncate(last as usize);
        let expected = hashes.last().copied().unwrap_or(0);
        assert_eq!(node.shard.engine().state_hash(), expected, "shard {at}: replay differs");
        self.promised[at] = last;
    }

    /// All shards are recovered and know of each other: the process begins to serve.
    fn begin(&mut self) -> Result<(), Exit> {
        {
            let Process::Starting(stages) = &self.process else { return Ok(()) };
            let nodes = stages.iter().map(Stage::node);
            let engines = engines(nodes, self.placement).expect("all are recovered");
            check_recovered(&self.clients, &engines, &self.disks);
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
        nodes.iter_mut().for_each(|node| node.begin(self.now_ms));
        self.process = Process::Running(nodes);
        for at in 0..self.disks.len() {
            self.poll_running(at)?;
        }
        Ok(())
    }

    /// The process ends by itself: only ever because a disk failed.
    pub fn exit(&mut self, exit: &Exit) {
        let failed = self.disks[exit.shard].has_failed();
        assert!(failed, "shard {} ended without a fault: {}", exit.shard, exit.error);
        self.totals.exits += 1;
        // The fault is cleared, or not yet.
        if self.random.chance(70) {
            self.disks.iter().for_each(|disk| disk.set_full(false));
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
        for disk in &self.disks {
            disk.crash(kind, &mut self.random);
        }
        if self.mutation == Some(Mutation::StaleDisk) {
            self.make_stale();
        }
        if self.random.chance(ROT_PERCENT) {
            let at = self.random.index(self.disks.len());
            let config = &self.configs[at];
            try_rot(&self.disks[at], config, &mut self.random, ROT_FLIPS, &mut self.totals);
        }
        self.now_ms += self.random.below(100);
        let (process, configs) = start(&self.disks, self.now_ms, &mut self.random);
        (self.process, self.configs) = (process, configs);
        self.poll_all_starting();
    }

    fn count_crash(&mut self) {
        match &self.process {
            Process::Starting(_) => self.totals.crashes_in_recovery += 1,
            Process::Running(nodes) => {
                let committing = nodes.iter().any(Node::is_committing);
                let preparing = nodes.iter().any(Node::is_preparing);
                self.totals.crashes_in_commit += u64::from(committing);
                self.totals.crashes_in_preparation += u64::from(preparing);
                for node in nodes {
                    let statistics = node.shard.journal().statistics();
                    self.totals.stalls += node.stalls;
                    self.totals.segments += statistics.segments;
                    self.totals.batches += statistics.batches;
                    self.totals.appended += statistics.records;
                }
            }
        }
    }

    /// A recovery waits for its first operation only once it was polled.
    pub fn poll_all_starting(&mut self) {
        for at in 0..self.disks.len() {
            if let Err(exit) = self.poll_starting(at) {
                return self.exit(&exit);
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

    /// No more faults from here on.
    pub fn calm(&mut self) {
        self.is_wild = false;
        self.disks.iter().for_each(|disk| disk.set_faults(DiskFaults::default()));
    }

    /// Faults again.
    pub fn go_wild(&mut self) {
        self.is_wild = true;
        self.disks.iter().for_each(|disk| disk.set_faults(self.settings.faults));
    }

    /// Until nothing is under way: every request answered, every message applied and confirmed.
    pub fn rest(&mut self) {
        let mut steps = 0;
        let mut idle = 0;
        while idle < 4 {
            while self.act() {
                steps += 1;
                idle = 0;
                assert!(steps < MAX_STEPS_TO_REST, "the shards never come to rest");
            }
            // Time for confirmations, and for segments that the disk had no space for.
            self.now_ms += 2_000;
            for at in 0..self.disks.len() {
                if let Err(exit) = self.perform(Action::Tick(at)) {
                    self.exit(&exit);
                }
            }
            idle += 1;
        }
        self.totals.steps += steps;
        let Process::Running(nodes) = &self.process else { panic!("the process never starts") };
        for node in nodes {
            assert!(node.is_quiet(), "shard {} never comes to rest", node.here);
        }
        let unanswered = self.clients.asked.values().next();
        assert!(unanswered.is_none(), "never answered: {unanswered:?}");
    }

    pub fn engines(&self) -> Engines<'_> {
        let Process::Running(nodes) = &self.process else { panic!("the process never starts") };
        engines(nodes.iter().map(Some), self.placement).expect("all run")
    }

    /// All records of all journals, by shard.
    pub fn journals(&self) -> Vec<Vec<journal::Entry>> {
        self.disks.iter().map(read_journal).collect()
    }

    /// Whether this recovery should come to rest.
    pub fn wants_audit(&mut self) -> bool {
        let percent = self.settings.audits;
        self.random.chance(percent)
    }

    /// Short runs see many beginnings, long ones deep books and long journals.
    pub fn choose_steps(&mut self, most: u64) -> u64 {
        self.random.range(most / 10, most)
    }

    /// Adds up what all parts counted.
    pub fn count(&self) -> Totals {
        let mut totals = self.totals.clone();
        totals.add(&self.clients.totals);
        totals.add(&self.mesh.totals);
        for disk in &self.disks {
            totals.add(&disk.state.borrow().totals);
        }
        totals
    }
}

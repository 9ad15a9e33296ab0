//! Everything of one run, and the scheduler: what happens next is the seed's choice.

mod snapshots;
mod starts;

use engine::Engine;
use identity::Ended;
use journal::JournalConfig;
use money::{Placement, ShardId};

use self::starts::MOST_SHARDS;
use crate::clients::Clients;
use crate::disk::{DiskFaults, SimDisk};
use crate::mesh::Mesh;
use crate::mutation::Mutation;
use crate::process::{Exit, Process, Stage};
use crate::random::Random;
use crate::run::Options;
use crate::settings::{MOST_MESSAGES, Settings};
use crate::store::Store;
use crate::totals::Totals;
use crate::view::Engines;
use crate::witness::Witness;

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
    /// Likewise, of the archive.
    Archive(usize),
    /// Likewise, of a disk that a change of the shard count writes to.
    Change(usize),
    Turn(usize),
    Commit(usize),
    Deliver(usize, usize),
    /// A sender notices that there is room for what waits.
    Flush(usize, usize),
    Client,
    /// The clock of a shard's tick.
    Tick(usize),
}

pub(crate) struct World {
    pub placement: Placement,
    pub clients: Clients,
    store: Store,
    /// The generation that counts, as far as this world has noticed.
    generation: u32,
    /// By shard of that generation: its directory, and where its old segments go if they are kept.
    pub disks: Vec<SimDisk>,
    archives: Vec<SimDisk>,
    /// While the shard count changes: what belongs to the next generation.
    changing: Vec<SimDisk>,
    /// How many shards the operator wants from the next start on.
    wanted_shards: u16,
    may_reshard: bool,
    pub process: Process,
    configs: Vec<JournalConfig>,
    pub witness: Witness,
    mesh: Mesh,
    settings: Settings,
    random: Random,
    now_ms: u64,
    mutation: Option<Mutation>,
    /// By shard: the state hash before the first record, and after each as far as it was ever
    /// computed.
    base_hashes: Vec<u64>,
    hashes: Vec<Vec<u64>>,
    /// By shard: the last record that was said to be durable, and the last one with a snapshot.
    promised: Vec<u64>,
    snapshots: Vec<Option<u64>>,
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
    pub fn new(options: &Options) -> World {
        let &Options { seed, shards, may_reshard, mutation, .. } = options;
        let mut random = Random::new(seed);
        // Seeds that follow each other begin alike otherwise.
        let mut random = random.fork();
        let placement = Placement::new(shards);
        let most_shards = usize::from(shards.max(MOST_SHARDS));
        let settings = Settings::new(most_shards, &mut random);
        let store = Store::new(shards, mutation, random.fork());
        let mut world = World {
            placement,
            clients: Clients::new(placement, settings.most_asked, random.fork()),
            mesh: Mesh::new(placement, MOST_MESSAGES, settings.lane, mutation, random.fork()),
            witness: Witness::new(placement),
            generation: store.layout().generation,
            store,
            disks: Vec::new(),
            archives: Vec::new(),
            changing: Vec::new(),
            wanted_shards: shards,
            may_reshard,
            base_hashes: Vec::new(),
            hashes: Vec::new(),
            promised: Vec::new(),
            snapshots: Vec::new(),
            images: Vec::new(),
            process: Process::Starting(Vec::new()),
            configs: Vec::new(),
            settings,
            random,
            now_ms: 1_000_000,
            mutation,
            is_wild: true,
            crash_due: None,
            totals: Totals::default(),
            actions: Vec::new(),
        };
        world.go_wild();
        world.open_generation(None);
        world.start();
        world
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
            // In few steps there is no time to wait for the best moment.
            if left == 0 || (self.is_writing() && !self.is_committing_layout()) {
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
        if strikes(&mut self.random, self.settings.snapshot) {
            self.want_snapshot();
        }
        self.pass_time();
        self.act();
    }

    /// Whether something is on its way to a disk: the moments at which a crash tells most.
    fn is_writing(&self) -> bool {
        self.disks.iter().chain(&self.changing).any(|disk| disk.has_unsynced())
    }

    fn is_committing_layout(&self) -> bool {
        matches!(&self.process, Process::Resharding(resharding) if resharding.is_committing())
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
            if self.archives[at].waiting() > 0 {
                actions.push((weights.disk[at], Action::Archive(at)));
            }
            for to in 0..self.disks.len() {
                let starting = matches!(&self.process, Process::Starting(stages)
                    if !matches!(stages[to], Stage::Greeting(..)));
                if self.mesh.has_arrival(at, to) && !starting {
                    actions.push((weights.link[at][to], Action::Deliver(at, to)));
                }
                if self.mesh.can_flush(at, to) {
                    actions.push((weights.link[at][to], Action::Flush(at, to)));
                }
            }
        }
        for (at, disk) in self.changing.iter().enumerate() {
            if disk.waiting() > 0 {
                actions.push((weights.disk[at % weights.disk.len()], Action::Change(at)));
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
            Action::Archive(at) => {
                let which = self.random.index(self.archives[at].waiting());
                self.archives[at].allow(which);
                self.poll_running(at)
            }
            Action::Change(at) => {
                let which = self.random.index(self.changing[at].waiting());
                self.changing[at].allow(which);
                self.poll_resharding()
            }
            Action::Deliver(from, to) => self.deliver(from, to),
            Action::Flush(from, to) => {
                self.mesh.flush(from, to);
                Ok(())
            }
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
        if self.is_wild && nodes[at].is_full(self.settings.most_waiting) {
            self.clients.turned_away(token);
            return Ok(());
        }
        nodes[at].request(now_ms, token, request).map_err(|error| Exit::of(at, error))?;
        self.note(at);
        Ok(())
    }

    /// What a shard has just done: its answers reach the clients, its hashes are kept.
    fn note(&mut self, at: usize) {
        self.check_released(at);
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

    /// What has just been answered about identities is in force everywhere at this instant.
    fn check_released(&mut self, at: usize) {
        let Process::Running(nodes) = &mut self.process else { return };
        let released = std::mem::take(&mut nodes[at].released);
        let engines: Vec<&Engine> = nodes.iter().map(|node| node.shard.engine()).collect();
        let told: Vec<&[Ended]> = nodes.iter().map(|node| node.ended.as_slice()).collect();
        for (token, reply) in released {
            self.clients.released(token, &reply, &engines, &told);
        }
    }

    fn let_disk_go(&mut self, at: usize) -> Result<(), Exit> {
        let which = self.random.index(self.disks[at].waiting());
        self.disks[at].allow(which);
        match self.process {
            Process::Resharding(_) => self.poll_resharding(),
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
        polled.map_err(|error| Exit::of(at, error))?;
        self.poll_snapshots(at);
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
            Process::Resharding(_) => panic!("nobody has sent anything yet"),
        }
    }

    /// No more faults from here on.
    pub fn calm(&mut self) {
        self.is_wild = false;
        self.store.disks().for_each(|disk| disk.set_faults(DiskFaults::default()));
    }

    /// Faults again.
    pub fn go_wild(&mut self) {
        self.is_wild = true;
        self.store.disks().for_each(|disk| disk.set_faults(self.settings.faults));
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
        self.process.engines(self.placement)
    }

    /// Reads what the journals say since the last time. Only at rest.
    pub fn follow(&mut self) {
        self.witness.follow(&self.disks);
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
        totals.add(&self.store.totals());
        totals
    }
}

//! Several engines in one thread, with everything between them in the hands of a seed: which channel
//! delivers next, where a batch is cut, what is sent twice, when a record becomes durable, and when
//! the whole crashes.

#![allow(dead_code)]

pub mod audit;
pub mod data;
pub mod flow;
pub mod world;

use std::collections::{HashMap, VecDeque};

use engine::{
    Command, Counters, Effects, Engine, EngineConfig, Event, Input, Moved, Origin, PeerBatch,
    Piece, Query, Reply, Resharded, Restore, Step, Watch,
};
use money::{Placement, ShardId};

/// splitmix64: good enough to choose, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len() as u64) as usize]
    }
}

/// A journaled input, and what must be seen again when it is replayed.
pub struct Record {
    at_ms: u64,
    input: Input,
    hash: u64,
    /// By peer: the last message to it after this step.
    last: Vec<u64>,
    /// By peer: the last message from it after this step.
    applied: Vec<u64>,
}

pub struct Shard {
    pub engine: Engine,
    /// What the journal begins behind; `None`: nothing.
    base: Option<Vec<Piece>>,
    pub journal: Vec<Record>,
    /// Records that a crash leaves.
    durable: usize,
    /// Answers, each with the count of records that must be durable before it may leave.
    held: VecDeque<(usize, u64, Reply)>,
    /// By peer: messages that may leave, by their last number.
    released: Vec<u64>,
    /// By peer: messages that have left.
    sent: Vec<u64>,
    /// By peer: its messages that are durably applied here.
    confirmed: Vec<u64>,
    /// By peer: batches on the way to it.
    links: Vec<VecDeque<PeerBatch>>,
}

impl Shard {
    /// Everything journaled.
    pub fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.journal.iter().map(|record| &record.input)
    }
}

/// What the disturbance may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Every record is durable at once and none is kept: nothing can crash.
    None,
    /// Every record is durable at once.
    Instant,
    /// Records become durable when the seed says so.
    Slow,
}

enum Action {
    Commit(usize),
    Send(usize, usize),
    Deliver(usize, usize),
}

pub struct Cluster {
    pub shards: Vec<Shard>,
    pub rng: Rng,
    pub now_ms: u64,
    /// Answers that have left, by token.
    pub replies: HashMap<u64, Reply>,
    pub events: Vec<Event>,
    pub placement: Placement,
    disk: Disk,
    /// Percent of sends that repeat something older.
    pub repeats: u64,
    next_token: u64,
    out: Effects,
}

impl Cluster {
    pub fn new(shards: u16, seed: u64, disk: Disk) -> Cluster {
        let placement = Placement::new(shards);
        let count = usize::from(shards);
        let mut rng = Rng::new(seed);
        let engines: Vec<Engine> =
            placement.all().map(|shard| new_engine(shard, placement, rng.number())).collect();
        Cluster {
            shards: engines.into_iter().map(|engine| new_shard(engine, None, count)).collect(),
            rng,
            now_ms: 1_000_000,
            replies: HashMap::new(),
            events: Vec::new(),
            placement,
            disk,
            repeats: 5,
            next_token: 0,
            out: Effects { watch: watch_market(), ..Effects::default() },
        }
    }

    /// Watches everybody.
    pub fn watch_all(&mut self) {
        // Accounts count up from 0 on every shard.
        for account in 0..1_000 {
            self.out.watch.set(ledger::Account(account), true);
        }
    }

    /// Hands a command to its owner; the answer comes under the returned token.
    pub fn submit(&mut self, command: Command) -> u64 {
        self.next_token += 1;
        let owner = command.owner(self.placement);
        let origin = Origin { shard: owner, token: self.next_token };
        let _ = self.step(owner.0 as usize, Input::Command(command), Some(origin));
        self.next_token
    }

    /// A command from start to end, with nothing left in flight.
    pub fn call(&mut self, command: Command) -> Reply {
        self.now_ms += 1;
        let token = self.submit(command);
        self.settle();
        self.replies.remove(&token).expect("every command is answered")
    }

    pub fn query(&self, query: Query) -> Reply {
        let owner = query.owner(self.placement, self.shards[0].engine.registry());
        self.shards[owner.0 as usize].engine.query(&query)
    }

    pub fn step(&mut self, at: usize, input: Input, origin: Option<Origin>) -> Step {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let shard = &mut self.shards[at];
        let before = shard.engine.state_hash();
        let step = shard.engine.step(self.now_ms, &input, origin, &mut out);
        if step == Step::Unchanged {
            assert_eq!(shard.engine.state_hash(), before, "unchanged: {input:?}");
            assert!(out.sends.is_empty() && out.events.is_empty(), "unchanged: {input:?}");
        } else if self.disk != Disk::None {
            let peers = || self.placement.all();
            shard.journal.push(Record {
                at_ms: shard.engine.now_ms(),
                input,
                hash: shard.engine.state_hash(),
                last: peers().map(|to| shard.engine.last_message(to)).collect(),
                applied: peers().map(|from| shard.engine.applied(from)).collect(),
            });
        }
        for &(to, last) in &out.sends {
            assert_eq!(last, shard.engine.last_message(to));
            if self.disk == Disk::None {
                shard.released[to.0 as usize] = last;
            }
        }
        let records = shard.journal.len();
        for (origin, reply) in out.replies.drain(..) {
            if self.disk == Disk::Slow {
                shard.held.push_back((records, origin.token, reply));
            } else {
                assert_eq!(self.replies.insert(origin.token, reply), None, "answered twice");
            }
        }
        self.events.append(&mut out.events);
        self.out = out;
        if self.disk == Disk::Instant {
            self.commit(at, usize::MAX);
        }
        step
    }

    /// Makes up to `count` more records durable, and lets go what waited for them.
    fn commit(&mut self, at: usize, count: usize) {
        let shard = &mut self.shards[at];
        shard.durable = shard.durable.saturating_add(count).min(shard.journal.len());
        if let Some(record) = shard.durable.checked_sub(1).map(|last| &shard.journal[last]) {
            shard.released.copy_from_slice(&record.last);
            shard.confirmed.copy_from_slice(&record.applied);
        }
        while shard.held.front().is_some_and(|held| held.0 <= shard.durable) {
            let (_, token, reply) = shard.held.pop_front().unwrap();
            assert_eq!(self.replies.insert(token, reply), None, "answered twice");
        }
    }

    fn send(&mut self, from: usize, to: usize) {
        let repeat = self.rng.chance(self.repeats);
        let shard = &mut self.shards[from];
        let (sent, released) = (shard.sent[to], shard.released[to]);
        let first = if repeat { 1 + self.rng.below(sent + 1) } else { sent + 1 };
        let most = if self.rng.chance(20) { 100 } else { 4 };
        let limit = 1 + self.rng.below(most) as usize;
        // A confirmation may always come late.
        let confirmed = if self.rng.chance(60) { shard.confirmed[to] } else { 0 };
        let batch = shard.engine.outgoing(ShardId(to as u16), first, released, limit, confirmed);
        assert!(batch.messages.len() <= limit);
        shard.sent[to] = sent.max(batch.last_sequence());
        shard.links[to].push_back(batch);
    }

    fn deliver(&mut self, from: usize, to: usize) {
        let Some(batch) = self.shards[from].links[to].pop_front() else { return };
        let (source, confirmed) = (batch.source, batch.confirmed);
        match self.shards[to].engine.admit(batch).expect("channels are in order") {
            Some(batch) => {
                let _ = self.step(to, Input::Peer(batch), None);
            }
            None => self.shards[to].engine.confirm(source, confirmed),
        }
    }

    /// Everything that may leave `from` for `to` now arrives there.
    pub fn carry(&mut self, from: usize, to: usize) {
        let sender = &mut self.shards[from];
        let (first, last) = (sender.sent[to] + 1, sender.released[to]);
        let batch = sender.engine.outgoing(ShardId(to as u16), first, last, usize::MAX, 0);
        sender.sent[to] = last;
        sender.links[to].push_back(batch);
        while !self.shards[from].links[to].is_empty() {
            self.deliver(from, to);
        }
    }

    /// Something that can happen, chosen by the seed. False when nothing can.
    pub fn act(&mut self) -> bool {
        let mut actions = Vec::new();
        for (at, shard) in self.shards.iter().enumerate() {
            if shard.durable < shard.journal.len() || !shard.held.is_empty() {
                actions.push(Action::Commit(at));
            }
            for to in 0..self.shards.len() {
                if shard.sent[to] < shard.released[to] {
                    actions.push(Action::Send(at, to));
                }
                if !shard.links[to].is_empty() {
                    actions.push(Action::Deliver(at, to));
                }
            }
        }
        if actions.is_empty() {
            return false;
        }
        match actions.swap_remove(self.rng.below(actions.len() as u64) as usize) {
            Action::Commit(at) => {
                let count = 1 + self.rng.below(8) as usize;
                self.commit(at, count);
            }
            Action::Send(from, to) => self.send(from, to),
            Action::Deliver(from, to) => self.deliver(from, to),
        }
        true
    }

    /// Until nothing is in flight and everything is durable.
    pub fn settle(&mut self) {
        let mut actions = 0u64;
        while self.act() {
            actions += 1;
            assert!(actions < 50_000_000, "the shards never come to rest");
        }
    }

    /// Like [`Cluster::settle`], without any disturbance: for long flows.
    pub fn settle_plainly(&mut self) {
        let count = self.shards.len();
        loop {
            let mut idle = true;
            for from in 0..count {
                for to in 0..count {
                    let shard = &mut self.shards[from];
                    if shard.sent[to] == shard.released[to] {
                        continue;
                    }
                    idle = false;
                    let (first, last) = (shard.sent[to] + 1, shard.released[to]);
                    let destination = ShardId(to as u16);
                    let confirmed = shard.engine.applied(destination);
                    let batch =
                        shard.engine.outgoing(destination, first, last, usize::MAX, confirmed);
                    shard.sent[to] = batch.last_sequence();
                    let _ = self.step(to, Input::Peer(batch), None);
                }
            }
            if idle {
                return;
            }
        }
    }

    /// Stops, with everything in flight lost that is not durable, and starts with another number of
    /// shards.
    pub fn reshard(&mut self, shards: u16) -> Moved {
        self.crash();
        let seed = self.rng.number();
        let old = std::mem::take(&mut self.shards).into_iter().map(|shard| shard.engine).collect();
        let Resharded { engines, moved } = engine::reshard(old, shards, seed).expect("settles");
        self.placement = Placement::new(shards);
        let base = |engine: &Engine| Some(engine.image().collect());
        let shards = usize::from(shards);
        self.shards = engines
            .into_iter()
            .map(|engine| (base(&engine), engine))
            .map(|(base, engine)| new_shard(engine, base, shards))
            .collect();
        moved
    }

    /// Every shard loses what is not durable, starts anew from its journal, and asks its peers for
    /// what it has not applied.
    pub fn crash(&mut self) {
        for at in 0..self.shards.len() {
            let seed = self.rng.number();
            let placement = self.placement;
            let shard = &mut self.shards[at];
            shard.journal.truncate(shard.durable);
            shard.held.clear();
            let base = begin(ShardId(at as u16), placement, seed, shard.base.as_deref());
            // Sometimes from an image taken on the way.
            let snapshot = (!shard.journal.is_empty() && seed.is_multiple_of(2))
                .then(|| (seed / 2) as usize % shard.journal.len());
            let engine = match snapshot {
                None => replay_on(base, &shard.journal),
                Some(at) => {
                    let before = replay_on(base, &shard.journal[..at]);
                    replay_on(restored(before.image(), seed), &shard.journal[at..])
                }
            };
            for to in placement.all().filter(|to| to.0 as usize != at) {
                assert_same_messages(&shard.engine, &engine, to);
            }
            shard.engine = engine;
        }
        for from in 0..self.shards.len() {
            for to in 0..self.shards.len() {
                let applied = self.shards[to].engine.applied(ShardId(from as u16));
                let shard = &mut self.shards[from];
                let last = shard.engine.last_message(ShardId(to as u16));
                assert!(applied <= last, "a peer has applied what was never durable here");
                shard.links[to].clear();
                shard.sent[to] = applied;
                shard.released[to] = last;
            }
        }
    }
}

fn watch_market() -> Watch {
    let mut watch = Watch::default();
    watch.market = true;
    watch
}

fn new_shard(engine: Engine, base: Option<Vec<Piece>>, shards: usize) -> Shard {
    Shard {
        engine,
        base,
        journal: Vec::new(),
        durable: 0,
        held: VecDeque::new(),
        released: vec![0; shards],
        sent: vec![0; shards],
        confirmed: vec![0; shards],
        links: (0..shards).map(|_| VecDeque::new()).collect(),
    }
}

/// The engine of an image.
pub fn restored(pieces: impl Iterator<Item = Piece>, hash_seed: u64) -> Engine {
    let mut pieces = pieces.peekable();
    let Some(&Piece::Counters(Counters { shard, shards, .. })) = pieces.peek() else {
        panic!("an image begins with its counters");
    };
    let mut restore = Restore::new(EngineConfig { shard, shards, hash_seed });
    for piece in pieces {
        restore.piece(piece).expect("an image of an engine can be restored");
    }
    restore.finish().expect("an image of an engine can be restored")
}

fn begin(shard: ShardId, placement: Placement, hash_seed: u64, base: Option<&[Piece]>) -> Engine {
    match base {
        None => new_engine(shard, placement, hash_seed),
        Some(pieces) => restored(pieces.iter().cloned(), hash_seed),
    }
}

fn new_engine(shard: ShardId, placement: Placement, hash_seed: u64) -> Engine {
    Engine::new(EngineConfig { shard, shards: placement.shards(), hash_seed })
}

/// Rebuilds a shard; every record must have the same consequences as before.
pub fn replay(shard: ShardId, placement: Placement, seed: u64, journal: &[Record]) -> Engine {
    replay_on(new_engine(shard, placement, seed), journal)
}

/// As [`replay`], going on with an engine.
pub fn replay_on(mut engine: Engine, journal: &[Record]) -> Engine {
    let placement = engine.placement();
    let mut out = Effects::default();
    for (number, record) in journal.iter().enumerate() {
        out.clear();
        let step = engine.step(record.at_ms, &record.input, None, &mut out);
        assert_eq!(step, Step::Changed, "record {number}: {:?}", record.input);
        assert_eq!(engine.state_hash(), record.hash, "record {number}: {:?}", record.input);
        assert!(out.replies.is_empty(), "a replay answers nobody");
        for peer in placement.all() {
            assert_eq!(engine.last_message(peer), record.last[peer.0 as usize], "record {number}");
            assert_eq!(engine.applied(peer), record.applied[peer.0 as usize], "record {number}");
        }
    }
    engine
}

/// Whatever is sent again must be what was sent before.
fn assert_same_messages(live: &Engine, replayed: &Engine, to: ShardId) {
    let last = replayed.last_message(to);
    let first = live.outgoing(to, 0, last, usize::MAX, 0).first_sequence;
    let first = first.max(replayed.outgoing(to, 0, last, usize::MAX, 0).first_sequence);
    let before = live.outgoing(to, first, last, usize::MAX, 0);
    assert_eq!(before, replayed.outgoing(to, first, last, usize::MAX, 0));
}

/// Runs a seeded test over several seeds. `RINGBOOK_SEED` chooses one, `RINGBOOK_SEEDS_TIMES` runs
/// so many times more; a failure prints the command that repeats it.
pub fn for_seeds(test: &str, count: u64, run: impl Fn(u64)) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let chosen: Option<u64> = number("RINGBOOK_SEED");
    let count = count * number("RINGBOOK_SEEDS_TIMES").unwrap_or(1);
    let seeds = chosen.map_or(1..count + 1, |seed| seed..seed + 1);
    for seed in seeds {
        let notice = Notice { test, seed };
        run(seed);
        std::mem::forget(notice);
    }
}

struct Notice<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for Notice<'_> {
    fn drop(&mut self) {
        eprintln!(
            "seed {seed} fails: RINGBOOK_SEED={seed} cargo test -p ringbook-engine {test}",
            seed = self.seed,
            test = self.test
        );
    }
}

//! One seed from start to end.

use engine::{Query, Reply};
use money::ShardId;

use crate::check::{audit, check_replay};
use crate::mutation::Mutation;
use crate::oracle::compare_at_rest;
use crate::totals::Totals;
use crate::world::World;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// How many shards.
    pub shards: u16,
    /// Steps of the scheduler before the end, at most: the seed chooses.
    pub steps: u64,
    /// Whether the number of shards may change from one start to the next.
    pub may_reshard: bool,
    /// A planted bug.
    pub mutation: Option<Mutation>,
}

/// Steps that are enough to meet everything a few times.
pub const DEFAULT_STEPS: u64 = 40_000;
/// How often, in steps, the run may come to rest to be audited.
const AUDIT_EVERY_STEPS: u64 = 3_000;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The same for the same seed.
    pub hash: u64,
    /// What happened.
    pub totals: Totals,
}

/// Runs one seed. Panics when something that is promised does not hold.
pub fn run(options: &Options) -> Outcome {
    let mut world = World::new(options);
    for step in 1..=world.choose_steps(options.steps) {
        world.step();
        if step % AUDIT_EVERY_STEPS == 0 && world.wants_audit() {
            world.calm();
            world.rest();
            check(&mut world);
            world.go_wild();
        }
    }
    world.calm();
    world.rest();
    finish(&mut world);
    // What is at rest is durable, so a last crash changes nothing.
    world.crash();
    world.rest();
    let trades = check(&mut world);
    let mut outcome = Outcome { hash: hash(&world), totals: world.count() };
    outcome.totals.seeds = 1;
    outcome.totals.trades = trades;
    outcome.totals.records = world.witness.records();
    outcome
}

/// The clients ask for everything that they do not know the answer of.
fn finish(world: &mut World) {
    for _ in 0..100 {
        let requests = world.clients.finish();
        if requests.is_empty() {
            return;
        }
        for (gateway, token, request) in requests {
            if let Err(exit) = world.request(gateway, token, request) {
                world.exit(&exit);
            }
        }
        world.rest();
    }
    panic!("the clients never get all their answers");
}

/// At rest: sums, books, replays and the oracle. Returns the number of trades.
fn check(world: &mut World) -> u64 {
    world.totals.audits += 1;
    let (gateway, token, request) = world.clients.ask_for_proof();
    if let Err(exit) = world.request(gateway, token, request) {
        world.exit(&exit);
    }
    world.rest();
    world.follow();
    world.check_archives();
    let engines = world.process.engines(world.placement);
    let trades = audit(&world.clients, &engines);
    check_replay(&engines, &mut world.witness);
    compare_at_rest(&world.clients, &engines, &world.witness.oracle());
    trades
}

fn hash(world: &World) -> u64 {
    let engines = world.engines();
    let mut hash = 0u64;
    let mut mix = |value: u64| {
        hash = (hash.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    };
    for engine in &engines.engines {
        mix(engine.state_hash());
        let shard: ShardId = engine.shard();
        if let Reply::Status(status) = engines.query(&Query::Status { shard }) {
            mix(status.open_orders);
            mix(status.resting_orders);
        }
    }
    mix(world.clients.totals.answers);
    mix(world.totals.steps);
    hash
}

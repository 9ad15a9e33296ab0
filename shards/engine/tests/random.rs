//! Random commands on random schedules: whatever happens, nothing is lost, doubled or forgotten.

mod cluster;

use cluster::flow::Flow;
use cluster::world::{FUNDS, world, world_with};
use cluster::{Cluster, Disk, Rng, for_seeds};
use engine::{AssetProof, Command, Input, OrderFilter, OrderRef, Query, Reply};
use money::{OrderId, ShardId, UserId};

#[test]
fn reservations_books_and_sums_agree_after_every_command() {
    for_seeds("reservations_books_and_sums", 12, |seed| {
        let mut cluster = world(1 + (seed % 4) as u16, seed, Disk::None);
        let mut flow = Flow::new(seed);
        for number in 0..600 {
            cluster.call(flow.command());
            if number % 20 == 0 {
                cluster.audit();
            }
        }
        cluster.audit();
    });
}

#[test]
fn users_without_much_money_are_never_overdrawn() {
    for_seeds("users_without_much_money", 8, |seed| {
        // Some thousand units: most orders are too large, and budgets end in the middle of a level.
        let mut cluster = world_with(3, seed, Disk::None, 5_000_000_000);
        let mut flow = Flow::new(seed);
        for number in 0..600 {
            cluster.call(flow.command());
            if number % 20 == 0 {
                cluster.audit();
            }
        }
        cluster.audit();
    });
}

#[test]
fn numbers_of_any_magnitude_neither_wrap_nor_panic() {
    for_seeds("numbers_of_any_magnitude", 10, |seed| {
        let funds = ledger::MAX_TOTAL_UNITS / 16;
        let mut cluster = world_with(1 + (seed % 3) as u16, seed, Disk::None, funds);
        let mut flow = Flow::new(seed);
        flow.extreme = true;
        for number in 0..500 {
            cluster.call(flow.command());
            if number % 25 == 0 {
                cluster.audit();
            }
        }
        cluster.audit();
    });
}

#[test]
fn four_shards_end_up_as_one_does() {
    for_seeds("four_shards_end_up_as_one", 10, |seed| {
        let (mut one, mut four) = (world(1, seed, Disk::None), world(4, !seed, Disk::Instant));
        let mut flow = Flow::new(seed);
        flow.by_shard = false;
        for number in 0..500 {
            let command = flow.command();
            let (left, right) = (one.call(command.clone()), four.call(command.clone()));
            assert_eq!(without_ids(left), without_ids(right), "{command:?}");
            if number % 50 == 0 {
                assert_eq!(one.picture(), four.picture(), "after {number} commands");
            }
        }
        assert_eq!(one.picture(), four.picture());
    });
}

/// An answer without the order ids, which name shards.
fn without_ids(mut reply: Reply) -> Reply {
    match &mut reply {
        Reply::Accepted { order, .. } => *order = OrderId(0),
        Reply::Order(view) => view.order = OrderId(0),
        Reply::Matched { order, fills } => {
            order.order = OrderId(0);
            fills.iter_mut().for_each(|fill| fill.order = OrderId(0));
        }
        _ => {}
    }
    reply
}

/// Submits commands while earlier ones are still on their way.
fn crowd(
    cluster: &mut Cluster,
    flow: &mut Flow,
    schedule: &mut Rng,
    count: u32,
) -> Vec<(u64, Command)> {
    let mut asked = Vec::new();
    for _ in 0..count {
        cluster.now_ms += schedule.below(2);
        let command = flow.command();
        asked.push((cluster.submit(command.clone()), command));
        for _ in 0..schedule.below(6) {
            cluster.act();
        }
    }
    asked
}

#[test]
fn everything_agrees_after_commands_that_overtook_each_other() {
    for_seeds("everything_agrees_after_commands_that_overtook", 12, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        for _ in 0..8 {
            let asked = crowd(&mut cluster, &mut flow, &mut schedule, 80);
            cluster.settle();
            for (token, command) in asked {
                assert!(cluster.replies.contains_key(&token), "no answer to {command:?}");
            }
            cluster.audit();
        }
    });
}

#[test]
fn the_proof_is_balanced_at_any_moment() {
    let mut in_flight = 0;
    let counter = std::cell::Cell::new(0);
    for_seeds("the_proof_is_balanced", 10, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        let mut proofs = Vec::new();
        for _ in 0..60 {
            crowd(&mut cluster, &mut flow, &mut schedule, 10);
            proofs.push(cluster.submit(Command::Prove));
        }
        cluster.settle();
        let mut answered = 0;
        for token in proofs {
            match cluster.replies.remove(&token).expect("a proof is answered") {
                Reply::Proof(proof) => {
                    assert!(proof.iter().all(AssetProof::is_balanced), "{proof:?}");
                    let moving = proof.iter().any(|asset| asset.totals.in_flight != 0);
                    counter.set(counter.get() + u32::from(moving));
                    answered += 1;
                }
                Reply::Refused(engine::Refusal::Busy) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(answered > 20, "only {answered} proofs");
    });
    in_flight += counter.get();
    assert!(in_flight > 20, "only {in_flight} proofs saw a fill on its way");
}

/// What a client may rely on after a crash.
fn assert_kept(cluster: &Cluster, asked: &[(u64, Command)]) {
    for (token, command) in asked {
        let Command::Place(place) = command else { continue };
        let accepted = match cluster.replies.get(token) {
            Some(Reply::Accepted { order, .. }) => *order,
            Some(Reply::Matched { order, .. }) => order.order,
            _ => continue,
        };
        let query = Query::Order { user: place.user, order: OrderRef::Cid(place.cid.unwrap()) };
        let Reply::Order(view) = cluster.query(query) else {
            panic!("acknowledged, then lost: {command:?}");
        };
        assert_eq!(view.order, accepted, "{command:?}");
        if let Some(Reply::Matched { order, .. }) = cluster.replies.get(token) {
            assert!(view.filled >= order.filled, "a fill was taken back: {command:?}");
        }
    }
}

#[test]
fn a_crash_with_every_journal_cut_elsewhere_loses_and_doubles_nothing() {
    for_seeds("a_crash_with_every_journal_cut", 15, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        let mut asked = Vec::new();
        for _ in 0..8 {
            let count = 20 + schedule.below(40) as u32;
            asked.extend(crowd(&mut cluster, &mut flow, &mut schedule, count));
            cluster.crash();
            assert_kept(&cluster, &asked);
            if schedule.chance(50) {
                cluster.settle();
                cluster.audit();
                assert_kept(&cluster, &asked);
            }
        }
        cluster.settle();
        cluster.audit();
    });
}

#[test]
fn a_client_that_asks_again_after_a_crash_gets_one_order_and_its_answer() {
    for_seeds("a_client_that_asks_again", 6, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        let asked = crowd(&mut cluster, &mut flow, &mut schedule, 150);
        cluster.crash();
        let again: Vec<_> = asked
            .iter()
            .filter(|(token, _)| !cluster.replies.contains_key(token))
            .filter(|(_, command)| matches!(command, Command::Place(_)))
            .map(|(_, command)| command.clone())
            .collect();
        let tokens: Vec<u64> = again.into_iter().map(|command| cluster.submit(command)).collect();
        cluster.settle();
        assert!(tokens.iter().all(|token| cluster.replies.contains_key(token)));
        cluster.audit();
    });
}

/// The whole state as text, without the time, which is journaled with the next change. The same maps
/// with the same history and seed iterate the same.
fn state(cluster: &Cluster, shard: usize) -> String {
    let text = format!("{:?}", cluster.shards[shard].engine);
    let (head, rest) = text.split_once("now_ms: ").unwrap();
    let (_, tail) = rest.split_once(',').unwrap();
    format!("{head}{tail}")
}

#[test]
fn what_is_unchanged_is_unchanged_to_the_last_field() {
    for_seeds("what_is_unchanged", 6, |seed| {
        let mut cluster = world_with(2, seed, Disk::None, 5_000_000_000);
        let mut flow = Flow::new(seed);
        let mut unchanged = 0;
        for _ in 0..400 {
            let command = flow.command();
            let owner = command.owner(cluster.placement).0 as usize;
            let before = state(&cluster, owner);
            let step = cluster.step(owner, Input::Command(command.clone()), None);
            if step == engine::Step::Unchanged {
                unchanged += 1;
                assert_eq!(before, state(&cluster, owner), "{command:?}");
            }
            cluster.settle();
        }
        assert!(unchanged > 50, "only {unchanged} commands changed nothing");
    });
}

#[test]
fn a_replay_rebuilds_the_state_to_the_last_field() {
    for_seeds("a_replay_rebuilds", 6, |seed| {
        let mut cluster = world(3, seed, Disk::Instant);
        // What peers confirm outside of a batch is not in the journal.
        cluster.repeats = 0;
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        for _ in 0..300 {
            let command = flow.command();
            let owner = command.owner(cluster.placement).0 as usize;
            let _ = cluster.step(owner, Input::Command(command), None);
            for _ in 0..schedule.below(6) {
                cluster.act();
            }
        }
        for at in 0..3 {
            let journal = &cluster.shards[at].journal;
            let live = cluster.shards[at].engine.state_hash();
            let replays = [1, 1, 2].map(|hash_seed| {
                cluster::replay(ShardId(at as u16), cluster.placement, hash_seed, journal)
            });
            assert_eq!(replays[0].state_hash(), live);
            assert_eq!(format!("{:?}", replays[0]), format!("{:?}", replays[1]));
        }
    });
}

#[test]
fn every_user_has_what_it_was_given_when_nothing_traded() {
    let cluster = world(4, 1, Disk::Slow);
    assert_eq!(cluster.balance(UserId(3), money::AssetId(1)), (FUNDS, 0));
    assert!(cluster.orders(UserId(3), OrderFilter::Open).is_empty());
}

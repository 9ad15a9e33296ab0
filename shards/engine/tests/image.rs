//! Images and changes of the shard count: a restored shard goes on as the one it was taken from, and
//! users see no difference between one number of shards and another.

mod cluster;

use cluster::flow::Flow;
use cluster::world::{FUNDS, USERS, world, world_with};
use cluster::{Cluster, Disk, Rng, for_seeds, replay_on, restored};
use engine::{Command, Engine, EngineConfig, ImageError, Piece, Restore};

fn crowd(cluster: &mut Cluster, flow: &mut Flow, schedule: &mut Rng, count: u32) {
    for _ in 0..count {
        cluster.now_ms += schedule.below(2);
        cluster.submit(flow.command());
        for _ in 0..schedule.below(6) {
            cluster.act();
        }
    }
}

fn image(engine: &Engine) -> Vec<Piece> {
    engine.image().collect()
}

#[test]
fn a_restored_shard_has_the_same_image_and_goes_on_with_the_same_effects() {
    for_seeds("a_restored_shard_has_the_same_image", 8, |seed| {
        let mut cluster = world(3, seed, Disk::Instant);
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        crowd(&mut cluster, &mut flow, &mut schedule, 300);
        // With questions, messages and cuts under way.
        cluster.submit(Command::Prove);
        crowd(&mut cluster, &mut flow, &mut schedule, 5);
        for at in 0..3 {
            let shard = &cluster.shards[at];
            let here = money::ShardId(at as u16);
            let cut = schedule.below(shard.journal.len() as u64) as usize;
            let whole = cluster::replay(here, cluster.placement, 1, &shard.journal);
            let before = cluster::replay(here, cluster.placement, 2, &shard.journal[..cut]);
            let again = restored(before.image(), 3);
            assert_eq!(image(&before), image(&again), "shard {at} at {cut}");
            let rest = replay_on(again, &shard.journal[cut..]);
            assert_eq!(image(&rest), image(&whole), "shard {at} from {cut}");
            assert_eq!(rest.state_hash(), shard.engine.state_hash());
        }
    });
}

#[test]
fn users_see_no_difference_after_every_change_of_the_shard_count() {
    for_seeds("users_see_no_difference", 6, |seed| {
        let mut still = world(1, seed, Disk::None);
        let mut moving = world(1, !seed, Disk::Instant);
        let mut flow = Flow::new(seed);
        flow.by_shard = false;
        for shards in [1, 4, 2, 3, 1, 5] {
            moving.reshard(shards);
            for _ in 0..120 {
                let command = flow.command();
                still.call(command.clone());
                moving.call(command);
            }
            // Both, because a proof takes a moment of their clocks.
            still.audit();
            moving.audit();
            let same = still.picture() == moving.picture();
            assert!(same, "users see another picture on {shards} shards");
        }
    });
}

#[test]
fn a_change_of_the_shard_count_with_messages_in_flight_keeps_every_sum() {
    let settled = std::cell::Cell::new(0);
    for_seeds("a_change_of_the_shard_count_with_messages", 10, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        flow.by_shard = false;
        for shards in [2, 3, 1, 4, 4] {
            crowd(&mut cluster, &mut flow, &mut schedule, 60);
            settled.set(settled.get() + cluster.reshard(shards).messages);
            cluster.audit();
            crowd(&mut cluster, &mut flow, &mut schedule, 30);
            cluster.crash();
            cluster.settle();
            cluster.audit();
        }
    });
    assert!(settled.get() > 100, "only {} messages were in flight", settled.get());
}

#[test]
fn the_users_that_stay_are_counted_as_such() {
    let mut cluster = world(2, 1, Disk::Instant);
    let moved = cluster.reshard(4);
    assert_eq!((moved.users, moved.symbols), (USERS.len() as u64, 3));
    // 0, 1, 4, 5 are at home where they were; of three symbols the third has moved.
    assert_eq!((moved.users_moved, moved.symbols_moved), (4, 1));
}

#[test]
fn ids_stay_unique_when_the_shard_count_changes() {
    for_seeds("ids_stay_unique", 4, |seed| {
        let mut cluster = world(3, seed, Disk::Instant);
        let mut flow = Flow::new(seed);
        flow.by_shard = false;
        let mut seen = std::collections::BTreeSet::new();
        for shards in [3, 1, 4, 2] {
            cluster.reshard(shards);
            let mut fresh = Vec::new();
            for _ in 0..60 {
                let reply = cluster.call(flow.command());
                if let engine::Reply::Accepted { order, .. } = reply {
                    fresh.push(order);
                }
            }
            let user = Command::CreateUser { user: None, shard: money::ShardId(0), name: None };
            assert!(matches!(cluster.call(user), engine::Reply::User(_)), "an id that nobody has");
            fresh.sort();
            fresh.dedup();
            for order in fresh {
                assert!(seen.insert(order), "order {order} twice");
            }
        }
    });
}

fn restore(pieces: Vec<Piece>) -> Result<Engine, ImageError> {
    let config = EngineConfig { shard: money::ShardId(0), shards: 2, hash_seed: 9 };
    let mut restore = Restore::new(config);
    for piece in pieces {
        restore.piece(piece)?;
    }
    restore.finish()
}

#[test]
fn pieces_that_do_not_belong_together_are_refused() {
    let mut cluster = world_with(2, 7, Disk::Instant, FUNDS);
    let mut flow = Flow::new(7);
    for _ in 0..200 {
        cluster.call(flow.command());
    }
    let whole = image(&cluster.shards[0].engine);
    assert!(restore(whole.clone()).is_ok());
    assert_eq!(restore(image(&cluster.shards[1].engine)).err(), Some(foreign()));
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut missing = whole.clone();
        let piece = missing.remove(at);
        let optional = matches!(
            piece,
            Piece::Payments(_)
                | Piece::House(_)
                | Piece::Trades(_)
                | Piece::Ended(_)
                | Piece::Tape(_)
                | Piece::Minute(_)
                | Piece::Candles(..)
                | Piece::Resting(..)
                | Piece::Kept(_)
                | Piece::Peer(_)
                | Piece::Questions(_)
        );
        let result = restore(missing);
        assert!(optional || result.is_err() || matches!(piece, Piece::Market(_)), "{piece:?}");
        refused += u32::from(result.is_err());
        let mut twice = whole.clone();
        twice.insert(at, piece.clone());
        let repeatable = matches!(
            piece,
            Piece::House(_)
                | Piece::Trades(_)
                | Piece::Tape(_)
                | Piece::Minute(_)
                | Piece::Kept(_)
                | Piece::Peer(_)
                | Piece::Market(_)
        );
        assert!(repeatable || restore(twice).is_err(), "twice: {piece:?}");
    }
    assert!(refused >= 4, "only {refused} pieces are needed");
}

fn foreign() -> ImageError {
    ImageError::Foreign { shard: money::ShardId(1), shards: 2 }
}

#[test]
fn what_is_frozen_must_be_what_the_orders_hold() {
    let mut cluster = world_with(2, 3, Disk::Instant, FUNDS);
    let mut flow = Flow::new(3);
    for _ in 0..200 {
        cluster.call(flow.command());
    }
    let mut pieces = image(&cluster.shards[0].engine);
    for piece in &mut pieces {
        if let Piece::People(people) = piece {
            people[0].balances[0].2 += 1;
        }
    }
    assert!(matches!(restore(pieces), Err(ImageError::Frozen { .. })));
}

/// The first shard of two after some orders, its image changed.
fn restore_changed(mut change: impl FnMut(&mut Piece)) -> Result<Engine, ImageError> {
    let mut cluster = world_with(2, 7, Disk::Instant, FUNDS);
    let mut flow = Flow::new(7);
    for _ in 0..200 {
        cluster.call(flow.command());
    }
    let mut pieces = image(&cluster.shards[0].engine);
    pieces.iter_mut().for_each(&mut change);
    restore(pieces)
}

#[test]
fn a_history_that_would_count_past_its_end_is_refused() {
    let result = restore_changed(|piece| {
        if let Piece::Counters(counters) = piece {
            counters.first_trade = u64::MAX;
        }
    });
    assert_eq!(result.err(), Some(ImageError::Trades));
}

#[test]
fn open_orders_out_of_order_are_refused() {
    let result = restore_changed(|piece| {
        if let Piece::Open(orders) = piece {
            assert!(orders.len() > 1);
            orders.reverse();
        }
    });
    assert!(matches!(result.err(), Some(ImageError::Order(_))));
}

#[test]
fn a_reference_that_is_not_early_is_refused() {
    let early = [(money::SymbolId(0), money::Price(5)), (money::SymbolId(9), money::Price(0))];
    for reference in early {
        let cluster = world_with(2, 7, Disk::Instant, FUNDS);
        let mut pieces = image(&cluster.shards[0].engine);
        let symbols = pieces.iter().position(|piece| matches!(piece, Piece::Symbols(_)));
        pieces.insert(symbols.unwrap() + 1, Piece::EarlyReferences(vec![reference]));
        assert_eq!(restore(pieces).err(), Some(ImageError::Symbol(reference.0)));
    }
}

#[test]
fn a_cid_twice_does_no_harm() {
    let result = restore_changed(|piece| {
        if let Piece::Ended(orders) = piece {
            let twins = orders.len() / 2;
            let cid = money::Cid::parse("twin").ok();
            orders[twins..].iter_mut().for_each(|order| order.cid = cid);
        }
    });
    assert_eq!(result.err(), None);
}

//! Symbols whose books are on shards that were asked for.

// Prices count ticks of 0.01: 100_00 is 100.00.
#![allow(clippy::inconsistent_digit_grouping)]

mod cluster;

use cluster::flow::Flow;
use cluster::world::*;
use cluster::{Cluster, Disk, Rng, for_seeds, restored};
use engine::{Command, Engine, EngineConfig, ImageError, Piece, Place, Refusal, Reply, Restore};
use money::{OrderStatus, Price, ShardId, Side, SymbolId, SymbolPatch, SymbolRules};

/// How many books each shard has.
fn books(cluster: &Cluster) -> Vec<u64> {
    cluster.shards.iter().map(|shard| shard.engine.status().symbols).collect()
}

/// Where every shard says that a symbol's book is.
fn shard_of(cluster: &Cluster, symbol: SymbolId) -> u16 {
    let told = |shard: &cluster::Shard| {
        let registry = shard.engine.registry();
        registry.shard_of(symbol, cluster.placement)
    };
    let first = told(&cluster.shards[0]);
    assert!(cluster.shards.iter().all(|shard| told(shard) == first), "{symbol}");
    first.0
}

#[test]
fn a_book_is_on_the_shard_that_was_asked_for() {
    let mut cluster = world_placed(4, 1, Disk::Slow, FUNDS, [Some(3), None, Some(3)]);
    assert_eq!(books(&cluster), [0, 1, 0, 2]);
    assert_eq!(SYMBOLS.map(|symbol| shard_of(&cluster, symbol)), [3, 1, 3]);
    for (seller, buyer) in USERS.into_iter().zip(USERS.into_iter().skip(1)) {
        assert_eq!(cluster.status_of(limit(seller, Side::Sell, 100_00, 10)), OrderStatus::New);
        assert_eq!(cluster.status_of(limit(buyer, Side::Buy, 100_00, 10)), OrderStatus::Filled);
    }
    let trades: Vec<u64> = cluster.shards.iter().map(|one| one.engine.status().trades).collect();
    assert_eq!(trades, [0, 0, 0, 7]);
    // Of the two orders of each pair those cross whose users are not at home on shard 3.
    let crossing: u64 = cluster.shards.iter().map(|one| one.engine.orders_crossing()).sum();
    let home = |user| cluster.placement.home_of(user) == ShardId(3);
    let at_home = USERS[..7].iter().chain(&USERS[1..]).filter(|&&user| home(user)).count();
    assert_eq!((at_home, crossing), (3, 14 - at_home as u64));
    cluster.audit();
}

#[test]
fn the_rules_and_the_reference_of_a_placed_symbol_are_everyones() {
    let mut cluster = world_placed(4, 1, Disk::Slow, FUNDS, [Some(2), Some(2), Some(2)]);
    for (price, symbol) in [(70_00, BTC_USDT), (80_00, ETH_USDT), (90_00, ETH_BTC)] {
        let change = SymbolPatch { reference: Some(Price(price)), ..SymbolPatch::default() };
        cluster.change_symbol(symbol, change);
        for shard in &cluster.shards {
            let entry = shard.engine.registry().symbol(symbol).expect("is there");
            assert_eq!(entry.reference, Some(Price(price)), "on {}", shard.engine.shard());
        }
    }
    cluster.audit();
}

#[test]
fn a_shard_that_is_not_there_is_refused_with_the_range() {
    let mut cluster = world(4, 1, Disk::Slow);
    for shard in [4, 1_023, u16::MAX] {
        let command = placed(spec("BTC_ETH", (BTC, ETH), SymbolRules::default()), shard);
        let Reply::Refused(refusal) = cluster.call(command) else { panic!("shard {shard}") };
        assert_eq!(refusal, Refusal::NoSuchShard { shards: 4 });
        assert_eq!(refusal.to_string(), "shard: must be 0 to 3, there are 4 shards");
    }
    assert_eq!(books(&cluster), [1, 1, 1, 0]);
    let twice = placed(spec("BTC_USDT", (BTC, USDT), SymbolRules::default()), 3);
    assert_eq!(cluster.call(twice), Reply::Refused(Refusal::SymbolExists));
    let last = placed(spec("BTC_ETH", (BTC, ETH), SymbolRules::default()), 3);
    assert_eq!(cluster.call(last), Reply::Symbol(SymbolId(3)));
    assert_eq!(books(&cluster), [1, 1, 1, 1]);
}

#[test]
fn a_reference_that_overtakes_a_placed_symbol_is_not_lost() {
    let mut cluster = world(4, 1, Disk::Instant);
    let late = SymbolId(3);
    cluster.submit(placed(spec("BTC_TOO", (BTC, USDT), SymbolRules::default()), 1));
    // Shard 1 owns it; shard 2 hears of the trade there before it hears of the symbol.
    cluster.carry(0, 1);
    for (user, side) in [(USERS[1], Side::Sell), (USERS[5], Side::Buy)] {
        cluster.submit(Command::Place(Place { symbol: late, ..limit(user, side, 100_00, 10) }));
    }
    cluster.carry(1, 2);
    cluster.settle();
    for shard in &cluster.shards {
        let entry = shard.engine.registry().symbol(late).expect("is there");
        assert_eq!((entry.reference, entry.shard), (Some(Price(100_00)), ShardId(1)));
    }
}

#[test]
fn a_place_is_kept_through_every_change_of_the_shard_count() {
    for_seeds("a_place_is_kept_through_every_change", 8, |seed| {
        let mut rng = Rng::new(seed);
        let places = [rng.below(4), rng.below(4), rng.below(4)].map(|shard| shard as u16);
        let mut cluster = world_placed(4, seed, Disk::Slow, FUNDS, places.map(Some));
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        flow.by_shard = false;
        for shards in [4, 2, 3, 1, 7, 4] {
            let before = SYMBOLS.map(|symbol| shard_of(&cluster, symbol));
            let moved = cluster.reshard(shards);
            let after = SYMBOLS.map(|symbol| shard_of(&cluster, symbol));
            assert_eq!(after, places.map(|asked| asked % shards), "on {shards} shards");
            let differ = before.iter().zip(&after).filter(|(before, after)| before != after);
            assert_eq!((moved.symbols, moved.symbols_moved), (3, differ.count() as u64));
            for _ in 0..60 {
                cluster.now_ms += schedule.below(2);
                cluster.submit(flow.command());
                for _ in 0..schedule.below(6) {
                    cluster.act();
                }
            }
            cluster.crash();
            cluster.settle();
            cluster.audit();
            let mut counted = vec![0; usize::from(shards)];
            after.iter().for_each(|&shard| counted[usize::from(shard)] += 1);
            assert_eq!(books(&cluster), counted, "on {shards} shards");
        }
    });
}

#[test]
fn users_cannot_tell_where_a_book_is() {
    for_seeds("users_cannot_tell_where_a_book_is", 4, |seed| {
        let mut plain = world(1, seed, Disk::None);
        let mut other = world_placed(4, !seed, Disk::Instant, FUNDS, [Some(2), Some(2), Some(0)]);
        let mut flow = Flow::new(seed);
        flow.by_shard = false;
        for _ in 0..200 {
            let command = flow.command();
            plain.call(command.clone());
            other.call(command);
        }
        plain.audit();
        other.audit();
        assert!(plain.picture() == other.picture(), "users see another picture");
    });
}

fn image(engine: &Engine) -> Vec<Piece> {
    engine.image().collect()
}

fn restore(pieces: Vec<Piece>) -> Result<Engine, ImageError> {
    let config = EngineConfig { shard: ShardId(0), shards: 2, hash_seed: 9 };
    let mut restore = Restore::new(config);
    for piece in pieces {
        restore.piece(piece)?;
    }
    restore.finish()
}

#[test]
fn an_image_keeps_every_place_and_one_that_makes_no_sense_is_refused() {
    let mut cluster = world_placed(2, 5, Disk::Instant, FUNDS, [None, Some(0), Some(1)]);
    let mut flow = Flow::new(5);
    for _ in 0..100 {
        cluster.call(flow.command());
    }
    let whole = image(&cluster.shards[0].engine);
    let again = restored(whole.iter().cloned(), 3);
    assert_eq!(image(&again), whole);
    let at = whole.iter().position(|piece| matches!(piece, Piece::Placed(_))).expect("is there");
    let asked = vec![(ETH_USDT, ShardId(0)), (ETH_BTC, ShardId(1))];
    assert_eq!(whole[at], Piece::Placed(asked));

    let with = |place: usize, piece: Piece| {
        let mut pieces = whole.clone();
        pieces.insert(place, piece);
        restore(pieces).err()
    };
    assert_eq!(with(at, whole[at].clone()), Some(ImageError::Symbol(ETH_USDT)), "twice");
    let of = |symbol, shard| Piece::Placed(vec![(symbol, ShardId(shard))]);
    let late = of(BTC_USDT, 0);
    assert_eq!(with(at + 2, late), Some(ImageError::Symbol(BTC_USDT)), "behind its symbol");
    let nobody = of(SymbolId(77), 0);
    assert_eq!(with(at, nobody), Some(ImageError::Symbol(SymbolId(77))), "of no symbol");
    let nowhere = of(BTC_USDT, 1_024);
    assert_eq!(with(at, nowhere), Some(ImageError::Symbol(BTC_USDT)), "past the last shard");
    let mut without = whole.clone();
    without.remove(at);
    assert_eq!(restore(without).err(), Some(ImageError::Symbol(ETH_USDT)), "its book is elsewhere");
}

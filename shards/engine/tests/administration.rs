//! Users, payments, assets, symbols, proofs, and what queries show.

// Prices count ticks of 0.01: 100_00 is 100.00.
#![allow(clippy::inconsistent_digit_grouping)]

mod cluster;

use cluster::world::*;
use cluster::{Cluster, Disk, Rng, for_seeds};
use engine::{
    AssetProof, Command, Input, MAX_CUTS, MAX_REPORTED_ASSETS, MAX_ROWS, Message, OrderFilter,
    Place, Query, Refusal, Reply,
};
use money::{
    AssetError, AssetId, Lots, OrderId, OrderStatus, Price, RuleBreak, ShardId, Side, SymbolId,
    SymbolPatch, SymbolRules, SymbolSpecError, TradeId, UserId,
};

const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn balance_of(reply: Reply) -> u128 {
    match reply {
        Reply::Balance(balance) => balance.avail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_payment_repeated_by_its_ref_is_paid_once() {
    let mut cluster = world_with(4, 1, Disk::Slow, 0);
    assert_eq!(balance_of(cluster.call(deposit(ALICE, USDT, 100, "a"))), 100);
    assert_eq!(balance_of(cluster.call(deposit(ALICE, USDT, 100, "a"))), 100);
    assert_eq!(balance_of(cluster.call(withdraw(ALICE, USDT, 30, "b"))), 70);
    assert_eq!(balance_of(cluster.call(withdraw(ALICE, USDT, 30, "b"))), 70);
    // Another user's `ref` is another payment.
    assert_eq!(balance_of(cluster.call(deposit(BOB, USDT, 100, "a"))), 100);
    let proof = cluster.prove();
    assert_eq!((proof[1].totals.deposits, proof[1].totals.withdrawals), (200, 30));
}

#[test]
fn a_ref_is_not_used_for_another_payment() {
    let mut cluster = world_with(4, 1, Disk::Slow, 0);
    cluster.call(deposit(ALICE, USDT, 100, "a"));
    let others = [
        deposit(ALICE, USDT, 101, "a"),
        deposit(ALICE, BTC, 100, "a"),
        withdraw(ALICE, USDT, 100, "a"),
    ];
    for other in others {
        assert_eq!(refusal(cluster.call(other)), Refusal::ReferenceReused);
    }
    assert_eq!(cluster.balance(ALICE, USDT), (100, 0));
}

#[test]
fn what_is_frozen_or_not_there_is_not_paid_out() {
    let mut cluster = world_with(4, 1, Disk::Slow, 0);
    cluster.call(deposit(ALICE, USDT, 100, "a"));
    cluster.place(limit(ALICE, Side::Buy, 80_00, 10));
    let refused = refusal(cluster.call(withdraw(ALICE, USDT, 21, "b")));
    assert_eq!(refused, Refusal::InsufficientBalance { asset: USDT, needed: 21, avail: 20 });
    assert_eq!(balance_of(cluster.call(withdraw(ALICE, USDT, 20, "b"))), 0);
    cluster.audit();
}

#[test]
fn a_refused_deposit_leaves_no_trace() {
    let mut cluster = world_with(1, 1, Disk::Instant, 0);
    let before = format!("{:?}", cluster.shards[0].engine.status());
    let most = ledger::MAX_TOTAL_UNITS;
    for (user, asset, amount, expected) in [
        (ALICE, USDT, most + 1, Refusal::AmountTooLarge),
        (ALICE, USDT, u128::MAX, Refusal::AmountTooLarge),
        (ALICE, AssetId(9), 1, Refusal::UnknownAsset),
        (UserId(99), USDT, 1, Refusal::UnknownUser),
    ] {
        assert_eq!(refusal(cluster.call(deposit(user, asset, amount, "x"))), expected);
    }
    assert_eq!(format!("{:?}", cluster.shards[0].engine.status()), before);
    assert_eq!(cluster.query(Query::Balances { user: ALICE }), Reply::Balances(vec![]));
    assert_eq!(balance_of(cluster.call(deposit(ALICE, USDT, most, "x"))), most);
    // All deposits of the asset on a shard count, not the user's alone.
    let records = cluster.shards[0].journal.len();
    assert_eq!(refusal(cluster.call(deposit(BOB, USDT, 1, "y"))), Refusal::AmountTooLarge);
    assert_eq!(cluster.shards[0].journal.len(), records);
    assert_eq!(cluster.query(Query::Balances { user: BOB }), Reply::Balances(vec![]));
}

#[test]
fn users_get_ids_that_nobody_has() {
    let mut cluster = Cluster::new(4, 1, Disk::Instant);
    let next = |cluster: &mut Cluster, shard| {
        let command = Command::CreateUser { user: None, shard: ShardId(shard), name: None };
        match cluster.call(command) {
            Reply::User(user) => user.0,
            other => panic!("{other:?}"),
        }
    };
    let first = next(&mut cluster, 1);
    assert!(first >= 1_001 && first % 4 == 1);
    cluster.call(create_user(UserId(first + 4)));
    cluster.call(create_user(UserId(first + 8)));
    assert_eq!(next(&mut cluster, 1), first + 12);
    let mut all: Vec<u64> = (0..100).map(|number| next(&mut cluster, number % 4)).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 100);
    assert_eq!(refusal(cluster.call(create_user(UserId(first)))), Refusal::UserExists);
    assert_eq!(refusal(cluster.call(create_user(UserId(1 << 53)))), Refusal::IdsExhausted);
}

#[test]
fn the_highest_id_chosen_by_hand_does_not_use_up_the_others() {
    let mut cluster = Cluster::new(2, 1, Disk::Instant);
    let highest = UserId((1 << 53) - 1);
    assert_eq!(cluster.call(create_user(highest)), Reply::User(highest));
    let command = Command::CreateUser { user: None, shard: ShardId(1), name: None };
    assert!(matches!(cluster.call(command), Reply::User(UserId(1_001..1_100))));
}

#[test]
fn a_definition_is_answered_when_every_shard_has_it() {
    for seed in 1..20 {
        let mut cluster = Cluster::new(4, seed, Disk::Slow);
        let token = cluster.submit(asset("GOLD", 3));
        while !cluster.replies.contains_key(&token) {
            assert!(cluster.act());
        }
        for shard in &cluster.shards {
            assert_eq!(shard.engine.registry().asset_named("GOLD"), Some(AssetId(0)));
        }
    }
}

#[test]
fn a_reference_set_by_hand_is_everywhere_when_it_is_answered() {
    for_seeds("a_reference_set_by_hand", 20, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        for symbol in SYMBOLS {
            let change = SymbolPatch { reference: Some(Price(seed)), ..SymbolPatch::default() };
            let token = cluster.submit(patch(symbol, change));
            while !cluster.replies.contains_key(&token) {
                assert!(cluster.act());
            }
            for shard in &cluster.shards {
                let entry = shard.engine.registry().symbol(symbol).unwrap();
                assert_eq!(entry.reference, Some(Price(seed)));
            }
        }
    });
}

#[test]
fn references_from_trades_and_by_hand_end_up_the_same_everywhere() {
    for_seeds("references_from_trades_and_by_hand", 30, |seed| {
        let mut cluster = Cluster::new(4, seed, Disk::Slow);
        let mut schedule = Rng::new(seed);
        for (name, decimals) in [("BTC", 8), ("USDT", 2), ("ETH", 18)] {
            cluster.call(asset(name, decimals));
        }
        for user in [ALICE, BOB] {
            cluster.call(create_user(user));
            cluster.call(deposit(user, BTC, FUNDS, "b"));
            cluster.call(deposit(user, USDT, FUNDS, "u"));
        }
        cluster.call(symbol(spec("BTC_USDT", (BTC, USDT), SymbolRules::default()), None));
        // Traded on before all shards know of it.
        cluster.submit(symbol(spec("BTC_TOO", (BTC, USDT), SymbolRules::default()), None));
        for number in 0..60 {
            for _ in 0..schedule.below(8) {
                cluster.act();
            }
            let on = SymbolId(number % 2);
            let price = 100_00 + 20 * schedule.below(100);
            let order = Place { symbol: on, ..limit(ALICE, Side::Sell, price, 1) };
            cluster.submit(Command::Place(order));
            let order = Place { symbol: on, ..limit(BOB, Side::Buy, price, 1) };
            cluster.submit(Command::Place(order));
            if number % 3 == 0 {
                let change = SymbolPatch { reference: Some(Price(price)), ..Default::default() };
                cluster.submit(patch(on, change));
            }
        }
        cluster.settle();
        let symbols = |shard: usize| cluster.shards[shard].engine.registry().symbols();
        assert!((1..4).all(|shard| symbols(shard) == symbols(0)));
        assert!(symbols(0).iter().all(|entry| entry.reference.is_some()));
    });
}

#[test]
fn a_reference_that_overtakes_its_symbol_is_not_lost() {
    let mut cluster = world(4, 1, Disk::Instant);
    let late = SymbolId(3);
    let command = symbol(spec("BTC_TOO", (BTC, USDT), SymbolRules::default()), None);
    cluster.submit(command);
    // Shard 3 owns it; BOB's shard hears of the trade there before it hears of the symbol.
    cluster.carry(0, 3);
    for (user, side) in [(UserId(3), Side::Sell), (UserId(1_000_003), Side::Buy)] {
        let order = Place { symbol: late, ..limit(user, side, 100_00, 10) };
        cluster.submit(Command::Place(order));
    }
    cluster.carry(3, 2);
    cluster.settle();
    for shard in &cluster.shards {
        let entry = shard.engine.registry().symbol(late).unwrap();
        assert_eq!(entry.reference, Some(Price(100_00)), "shard {}", shard.engine.shard());
    }
}

#[test]
fn what_cannot_be_defined_is_refused() {
    let mut cluster = world(4, 1, Disk::Slow);
    let rules = SymbolRules::default();
    let good = spec("BTC_ETH", (BTC, ETH), rules);
    let empty = money::Asset { name: String::new(), decimals: 0 };
    let cases = [
        (asset("BTC", 8), Refusal::AssetExists),
        (Command::CreateAsset(empty), Refusal::AssetInvalid(AssetError::Name)),
        (asset("NEW", 25), Refusal::AssetInvalid(AssetError::Decimals)),
        (symbol(spec("BTC_USDT", (BTC, USDT), rules), None), Refusal::SymbolExists),
        (symbol(good.clone(), Some(Price(0))), Refusal::Rule(RuleBreak::PriceZero)),
        (
            symbol(spec("BTC_BTC", (BTC, BTC), rules), None),
            Refusal::SymbolInvalid(SymbolSpecError::SameAsset),
        ),
        (patch(SymbolId(9), SymbolPatch::default()), Refusal::UnknownSymbol),
        (
            patch(BTC_USDT, SymbolPatch { min_qty: Some(Lots(0)), ..Default::default() }),
            Refusal::SymbolInvalid(SymbolSpecError::QtyRange),
        ),
        (
            patch(BTC_USDT, SymbolPatch { reference: Some(Price(0)), ..Default::default() }),
            Refusal::Rule(RuleBreak::PriceZero),
        ),
    ];
    for (command, expected) in cases {
        assert_eq!(refusal(cluster.call(command)), expected);
    }
    let mut unknown = good.clone();
    unknown.quote = AssetId(77);
    assert_eq!(refusal(cluster.call(symbol(unknown, None))), Refusal::UnknownAsset);
    assert_eq!(cluster.call(symbol(good, None)), Reply::Symbol(SymbolId(3)));
    cluster.audit();
}

#[test]
fn proofs_overlap_up_to_a_bound_and_all_are_balanced() {
    let mut cluster = world(4, 1, Disk::Slow);
    cluster.place(limit(ALICE, Side::Sell, 100_00, 1_000));
    let tokens: Vec<u64> = (0..MAX_CUTS + 1)
        .map(|_| {
            cluster.submit(Command::Place(limit(BOB, Side::Buy, 100_00, 3)));
            (0..3).for_each(|_| {
                cluster.act();
            });
            cluster.submit(Command::Prove)
        })
        .collect();
    cluster.settle();
    let mut busy = 0;
    for token in tokens {
        match cluster.replies.remove(&token).unwrap() {
            Reply::Proof(proof) => assert!(proof.iter().all(AssetProof::is_balanced), "{proof:?}"),
            Reply::Refused(Refusal::Busy) => busy += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(busy <= 1);
    cluster.audit();
}

#[test]
fn a_proof_of_one_shard_or_of_nothing_is_answered_at_once() {
    let mut cluster = Cluster::new(1, 1, Disk::Instant);
    assert_eq!(cluster.call(Command::Prove), Reply::Proof(vec![]));
    let mut cluster = world(1, 1, Disk::Instant);
    assert!(cluster.prove().iter().all(AssetProof::is_balanced));
}

#[test]
fn pages_of_orders_join_without_gaps_or_doubles() {
    let mut cluster = world(2, 1, Disk::Instant);
    for number in 0..25u64 {
        let symbol = if number % 2 == 0 { BTC_USDT } else { ETH_USDT };
        let order = limit(ALICE, Side::Buy, 1 + number, 10);
        cluster.place(Place { symbol, cid: Some(cid(&format!("o{number}"))), ..order });
        if number % 5 == 0 {
            cluster.call(Command::Cancel { user: ALICE, order: by_cid(&format!("o{number}")) });
        }
    }
    let pages = |filter, symbol, limit| {
        let mut all: Vec<u64> = Vec::new();
        let mut before: Option<OrderId> = None;
        loop {
            let query = Query::Orders { user: ALICE, symbol, filter, before, limit };
            let Reply::Orders(page) = cluster.query(query) else { panic!() };
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return all };
            before = Some(last.order);
            all.extend(page.iter().map(|view| view.price.0 - 1));
        }
    };
    let open: Vec<u64> = (0..25).rev().filter(|number| number % 5 != 0).collect();
    let ended: Vec<u64> = vec![20, 15, 10, 5, 0];
    for limit in [1, 3, 100] {
        assert_eq!(pages(OrderFilter::Open, None, limit), open);
        assert_eq!(pages(OrderFilter::Ended, None, limit), ended);
        assert_eq!(pages(OrderFilter::Status(OrderStatus::Canceled), None, limit), ended);
        assert!(pages(OrderFilter::Status(OrderStatus::Filled), None, limit).is_empty());
        assert_eq!(pages(OrderFilter::All, None, limit), [&open[..], &ended].concat());
        let odd: Vec<u64> = open.iter().copied().filter(|number| number % 2 == 1).collect();
        assert_eq!(pages(OrderFilter::Open, Some(ETH_USDT), limit), odd);
    }
    // A cursor of the other list, or of nobody, is refused.
    let id = cluster.order(ALICE, by_cid("o5")).order;
    for before in [id, OrderId(12_345)] {
        let (user, filter, before) = (ALICE, OrderFilter::Open, Some(before));
        let query = Query::Orders { user, symbol: None, filter, before, limit: 5 };
        assert_eq!(refusal(cluster.query(query)), Refusal::OrderNotFound);
    }
}

#[test]
fn trades_and_tape_are_paged_from_either_end() {
    let mut cluster = world(4, 1, Disk::Instant);
    for number in 0..12 {
        cluster.place(limit(ALICE, Side::Sell, 100_00 + number, 10));
        cluster.place(limit(BOB, Side::Buy, 100_00 + number, 10));
    }
    let trades = |before: Option<u64>, limit| {
        let before = before.map(TradeId);
        let query = Query::Trades { user: ALICE, symbol: Some(BTC_USDT), before, limit };
        let Reply::Trades(page) = cluster.query(query) else { panic!() };
        page.iter().map(|trade| trade.trade.0).collect::<Vec<_>>()
    };
    assert_eq!(trades(None, 5), [12, 11, 10, 9, 8]);
    assert_eq!(trades(Some(3), 5), [2, 1]);
    assert_eq!(trades(None, usize::MAX).len(), 12);
    let tape = |after: u64, limit| {
        let query = Query::Tape { symbol: BTC_USDT, after: TradeId(after), limit };
        let Reply::Tape(page) = cluster.query(query) else { panic!() };
        page.iter().map(|entry| entry.trade.0).collect::<Vec<_>>()
    };
    assert_eq!(tape(0, 3), [1, 2, 3]);
    assert_eq!(tape(10, usize::MAX), [11, 12]);
    assert!(tape(12, 5).is_empty());
    assert!(tape(u64::MAX, 5).is_empty());
    let newest = Query::PublicTrades { symbol: BTC_USDT, limit: 2 };
    let Reply::Tape(page) = cluster.query(newest) else { panic!() };
    assert_eq!((page[0].trade, page[1].trade), (TradeId(12), TradeId(11)));
}

#[test]
fn depth_and_book_show_what_rests() {
    let mut cluster = world(4, 1, Disk::Instant);
    for (side, price) in [(Side::Buy, 99_00), (Side::Buy, 98_00), (Side::Sell, 101_00)] {
        cluster.place(limit(ALICE, side, price, 10));
        cluster.place(limit(BOB, side, price, 5));
    }
    let Reply::Depth { bids, asks, last_update_id } =
        cluster.query(Query::Depth { symbol: BTC_USDT, limit: usize::MAX })
    else {
        panic!()
    };
    assert_eq!(last_update_id, 6);
    let levels: Vec<_> =
        bids.iter().map(|level| (level.price.0, level.qty, level.orders)).collect();
    assert_eq!(levels, [(99_00, 15, 2), (98_00, 15, 2)]);
    assert_eq!((asks.len(), asks[0].orders), (1, 2));
    let page =
        |side, after, limit| cluster.query(Query::Book { symbol: BTC_USDT, side, after, limit });
    let Reply::Book(first) = page(Side::Buy, None, 3) else { panic!() };
    let Reply::Book(rest) = page(Side::Buy, Some(first[2].id), 3) else { panic!() };
    assert_eq!((first.len(), rest.len(), rest[0].user), (3, 1, BOB));
    assert_eq!(refusal(page(Side::Sell, Some(first[0].id), 3)), Refusal::CursorGone);
    let unknown = cluster.query(Query::Depth { symbol: SymbolId(9), limit: 1 });
    assert_eq!(refusal(unknown), Refusal::UnknownSymbol);
}

#[test]
fn no_answer_holds_more_rows_than_the_bound() {
    let mut cluster = world(1, 1, Disk::None);
    for number in 0..MAX_ROWS as u64 + 10 {
        let order = Place { wait: false, ..limit(ALICE, Side::Buy, 1 + number, 10) };
        cluster.submit(Command::Place(order));
    }
    let (user, symbol) = (ALICE, BTC_USDT);
    let queries = [
        Query::Orders { user, symbol: None, filter: OrderFilter::Open, before: None, limit: 5_000 },
        Query::Book { symbol, side: Side::Buy, after: None, limit: 5_000 },
    ];
    for query in queries {
        let rows = match cluster.query(query) {
            Reply::Orders(rows) => rows.len(),
            Reply::Book(rows) => rows.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(rows, MAX_ROWS);
    }
    // Who follows a book begins with all of it.
    let whole = Query::Depth { symbol, limit: usize::MAX };
    let Reply::Depth { bids, .. } = cluster.query(whole) else { panic!() };
    assert_eq!(bids.len(), MAX_ROWS + 10);
    let status = Query::Status { shard: ShardId(0) };
    let Reply::Status(status) = cluster.query(status) else { panic!() };
    assert_eq!((status.open_orders, status.resting_orders), (1_010, 1_010));
}

#[test]
fn a_proof_of_many_assets_travels_in_parts_that_fit_a_record() {
    let mut cluster = Cluster::new(2, 1, Disk::Instant);
    let count = 2 * MAX_REPORTED_ASSETS + 7;
    for number in 0..count {
        cluster.call(asset(&format!("A{number}"), 2));
    }
    // On shard 1, so that its report is the long one.
    cluster.call(create_user(UserId(1)));
    for asset in [0, MAX_REPORTED_ASSETS, count - 1] {
        cluster.call(deposit(UserId(1), AssetId(asset as u32), 7, &asset.to_string()));
    }
    let proof = cluster.prove();
    assert_eq!(proof.len(), count);
    assert!(proof.iter().all(AssetProof::is_balanced));
    let sum: u128 = proof.iter().map(|asset| asset.totals.avail).sum();
    assert_eq!((sum, proof[count - 1].totals.avail), (21, 7));
    let lengths: Vec<usize> = cluster.shards[0].inputs().flat_map(reported_assets).collect();
    assert_eq!(lengths, [MAX_REPORTED_ASSETS, MAX_REPORTED_ASSETS, 7]);
}

fn reported_assets(input: &Input) -> Vec<usize> {
    let Input::Peer(batch) = input else { return Vec::new() };
    let reports = batch.messages.iter().filter_map(|message| match message {
        Message::CutReport { totals, .. } => Some(totals.len()),
        _ => None,
    });
    reports.collect()
}

//! What must hold after every recovery, and what must hold at rest.

use std::collections::BTreeMap;

use book::RestingOrder;
use engine::{
    AssetProof, Command, Engine, OrderRef, OrderView, Query, Reply, WithdrawalView, reshard,
};
use money::{AssetId, Lots, Side, SymbolId, TradeId, Units, UserId, WithdrawalStatus};

use crate::answers::is_definition;
use crate::clients::Clients;
use crate::oracle::compare;
use crate::settled::{Settled, restore};
use crate::view::Engines;
use crate::witness::Witness;

/// Right after a recovery, before anything new happens: what was acknowledged is there, nothing is
/// there twice, and all that would come of it adds up; also on so many other shards.
pub(crate) fn check_recovered(
    clients: &Clients,
    engines: &Engines<'_>,
    witness: &mut Witness,
    other_shards: Option<u16>,
) {
    check_promises(clients, engines);
    check_payments(clients, engines, witness);
    compare(clients, engines, &witness.oracle());
    let replayed = check_replay(engines, witness);
    for (copy, plain) in witness.copies().zip(&replayed) {
        *copy = restore(plain);
    }
    if let Some(shards) = other_shards {
        let copies = replayed.iter().map(restore).collect();
        let resharded = reshard(copies, shards, 3).expect("recovered shards fit together");
        check_settled(clients, Settled::new(resharded.engines));
    }
    check_settled(clients, Settled::new(replayed));
}

fn check_promises(clients: &Clients, engines: &Engines<'_>) {
    check_orders(clients, engines);
    check_seen(clients, engines);
    check_definitions(clients, engines);
    clients.credentials.check(&engines.engines);
    for trader in &clients.traders {
        trader.withdrawals.check(&engines.withdrawals(trader.user));
    }
}

/// A plain replay of the journals comes to the same, to the last field, and so does the image of an
/// earlier state with the records behind it. Returns the replay.
pub(crate) fn check_replay(engines: &Engines<'_>, witness: &mut Witness) -> Vec<Engine> {
    let mut replayed = witness.replay();
    // What peers have is no part of a journal: it is said again after every restart.
    confirm_all(&mut replayed.iter_mut().collect::<Vec<_>>());
    confirm_all(&mut witness.copies().collect::<Vec<_>>());
    for (plain, engine) in replayed.iter().zip(&engines.engines) {
        assert_same(plain, engine, "a plain replay");
    }
    for (plain, copy) in replayed.iter().zip(witness.copies()) {
        assert_same(plain, copy, "an image and the records behind it");
    }
    replayed
}

fn confirm_all(engines: &mut [&mut Engine]) {
    let placement = engines[0].placement();
    for here in placement.all() {
        for peer in placement.all().filter(|&peer| peer != here) {
            let applied = engines[usize::from(peer.0)].applied(here);
            engines[usize::from(here.0)].confirm(peer, applied);
        }
    }
}

fn assert_same(plain: &Engine, other: &Engine, what: &str) {
    let here = plain.shard();
    assert_eq!(other.state_hash(), plain.state_hash(), "{what} of shard {here}");
    let differing = plain.image().zip(other.image()).find(|(plain, other)| plain != other);
    assert!(differing.is_none(), "{what} of shard {here}: {differing:?}");
    assert_eq!(plain.image().count(), other.image().count(), "{what} of shard {here}: pieces");
}

/// Everything that holds at rest holds once what is under way has arrived.
fn check_settled(clients: &Clients, mut settled: Settled) {
    let proofs = settled.prove();
    assert!(proofs.iter().all(AssetProof::is_balanced), "not conserved: {proofs:?}");
    let engines = settled.engines();
    check_promises(clients, &engines);
    audit(clients, &engines);
}

fn check_payments(clients: &Clients, engines: &Engines<'_>, witness: &Witness) {
    let unasked = witness.paid().find(|&payment| !clients.asked_payments.contains(payment));
    assert!(unasked.is_none(), "paid what nobody asked for: {unasked:?}");
    let payments = clients.traders.iter().flat_map(|trader| &trader.payments);
    let acknowledged = payments.filter(|payment| payment.acknowledged);
    let commands = acknowledged.map(|payment| &payment.command).chain(&clients.acknowledged);
    for command in commands {
        let there = match command {
            Command::Deposit(transfer) | Command::Withdraw(transfer) => {
                witness.has_paid(transfer.user, &transfer.reference)
            }
            Command::CreateUser { user: Some(user), .. } => engines.balances(*user).is_some(),
            _ => true,
        };
        assert!(there, "acknowledged, then lost: {command:?}");
    }
}

fn check_orders(clients: &Clients, engines: &Engines<'_>) {
    for trader in &clients.traders {
        let user = trader.user;
        for known in &trader.orders {
            let Some((order, _)) = known.accepted else { continue };
            let order = known.place.cid.map_or(OrderRef::Id(order), OrderRef::Cid);
            match engines.query(&Query::Order { user, order }) {
                Reply::Order(view) => known.check_at_rest(&view),
                other => panic!("acknowledged, then lost: {known:?}: {other:?}"),
            }
        }
    }
}

fn check_seen(clients: &Clients, engines: &Engines<'_>) {
    let seen = &clients.seen;
    let mut tapes = BTreeMap::new();
    let symbols = clients.market.symbols;
    for symbol in (0..symbols).map(SymbolId) {
        tapes.insert(symbol, engines.tape(symbol));
    }
    for ((symbol, trade), entry) in &seen.tape {
        let now = tapes[symbol].get(trade.0 as usize - 1);
        assert_eq!(now, Some(entry), "a trade that was seen, in {symbol}");
    }
    for (&symbol, &last) in &seen.last_update {
        let Reply::Depth { last_update_id, .. } = engines.query(&Query::Depth { symbol, limit: 1 })
        else {
            panic!("symbol {symbol} was there");
        };
        assert!(last_update_id >= last, "the book of {symbol} went back");
    }
    let mut sides: BTreeMap<(SymbolId, TradeId), u32> = BTreeMap::new();
    for trader in &clients.traders {
        for trade in engines.trades(trader.user, symbols).into_values().flatten() {
            *sides.entry((trade.symbol, trade.trade)).or_default() += 1;
        }
    }
    for (key, &count) in &sides {
        assert!(count <= 2, "trade {key:?} was settled {count} times");
    }
    for key in &seen.settled {
        assert_eq!(sides.get(key), Some(&2), "trade {key:?} was said to be settled on both sides");
    }
}

/// A definition is acknowledged when every shard has it.
fn check_definitions(clients: &Clients, engines: &Engines<'_>) {
    for command in clients.acknowledged.iter().filter(|command| is_definition(command)) {
        for engine in &engines.engines {
            let there = match command {
                Command::CreateAsset(asset) => engine.registry().asset_named(&asset.name).is_some(),
                Command::CreateSymbol(new) => {
                    engine.registry().symbol_named(&new.spec.name).is_some()
                }
                Command::CreatePlacedSymbol(new) => {
                    let registry = engine.registry();
                    let id = registry.symbol_named(&new.symbol.spec.name);
                    let entry = id.and_then(|id| registry.symbol(id));
                    entry.is_some_and(|entry| entry.placed == Some(new.shard))
                }
                _ => true,
            };
            assert!(there, "acknowledged, then lost on shard {}: {command:?}", engine.shard());
        }
    }
    for (&symbol, patches) in &clients.patches {
        let Some(patch) = &patches.in_force else { continue };
        for engine in &engines.engines {
            let entry = engine.registry().symbol(symbol).expect("was changed");
            let rules = *entry.rules();
            let shard = engine.shard();
            assert_eq!(patch.apply(rules), rules, "rules of {symbol} on shard {shard}");
        }
    }
}

/// At rest: reservations, books, histories and sums agree. Returns the number of trades.
pub(crate) fn audit(clients: &Clients, engines: &Engines<'_>) -> u64 {
    let first = engines.engines[0].registry();
    let identities = engines.engines[0].identities();
    for engine in &engines.engines {
        let here = engine.shard();
        assert_eq!(engine.registry().symbols(), first.symbols(), "rules on shard {here}");
        assert_eq!(engine.registry().assets(), first.assets(), "assets on shard {here}");
        assert_eq!(engine.identities(), identities, "roles, keys, sessions on shard {here}");
        assert_eq!(engine.status().unconfirmed, 0, "unconfirmed messages of shard {here}");
    }
    let symbols = clients.market.symbols;
    let mut open: BTreeMap<SymbolId, Vec<OrderView>> = BTreeMap::new();
    let users: Vec<UserId> = clients.traders.iter().map(|trader| trader.user).collect();
    for &user in &users {
        let Some(balances) = engines.balances(user) else { continue };
        let orders = engines.orders(user);
        audit_user(engines, user, &orders, balances);
        let still = orders.into_values().filter(|order| order.status.is_open());
        still.for_each(|order| open.entry(order.symbol).or_default().push(order));
    }
    let mut trades = 0;
    for symbol in (0..symbols).map(SymbolId) {
        audit_book(engines, symbol, open.remove(&symbol).unwrap_or_default());
        let tape = engines.tape(symbol);
        assert!(tape.iter().zip(1..).all(|(entry, number)| entry.trade.0 == number));
        trades += tape.len() as u64;
    }
    assert!(open.is_empty(), "orders without a book: {open:?}");
    trades
}

fn audit_user(
    engines: &Engines<'_>,
    user: UserId,
    orders: &BTreeMap<money::OrderId, OrderView>,
    balances: BTreeMap<AssetId, (Units, Units)>,
) {
    let registry = engines.engines[0].registry();
    let mut frozen: BTreeMap<AssetId, Units> = BTreeMap::new();
    for order in orders.values().filter(|order| order.status.is_open()) {
        let entry = registry.symbol(order.symbol).expect("of an order");
        let remaining = Lots(order.qty.0 - order.filled.0);
        assert!(remaining.0 > 0, "an open order has something left: {order:?}");
        let (asset, amount) = match order.side {
            Side::Buy => (entry.spec.quote, entry.scale.quote_ceil(order.price, remaining)),
            Side::Sell => (entry.spec.base, Some(entry.scale.base(remaining))),
        };
        *frozen.entry(asset).or_default() += amount.expect("was counted");
    }
    let pending = |one: &WithdrawalView| one.status == WithdrawalStatus::Pending;
    for withdrawal in engines.withdrawals(user).into_iter().filter(pending) {
        *frozen.entry(withdrawal.asset).or_default() += withdrawal.amount;
    }
    for (asset, (_, held)) in balances {
        let expected = frozen.remove(&asset).unwrap_or(0);
        assert_eq!(held, expected, "frozen of user {user}, asset {asset}");
    }
    assert!(frozen.values().all(|&units| units == 0), "user {user}: {frozen:?}");
}

fn audit_book(engines: &Engines<'_>, symbol: SymbolId, mut open: Vec<OrderView>) {
    let mut resting: Vec<RestingOrder> =
        Side::ALL.iter().flat_map(|&side| engines.book(symbol, side)).collect();
    resting.sort_by_key(|order| order.id);
    open.sort_by_key(|order| order.order);
    let of_homes: Vec<RestingOrder> = open
        .iter()
        .map(|order| RestingOrder {
            id: order.order,
            user: order.user,
            side: order.side,
            price: order.price,
            remaining: Lots(order.qty.0 - order.filled.0),
        })
        .collect();
    assert_eq!(resting, of_homes, "the book of symbol {symbol} and the homes' open orders");
}

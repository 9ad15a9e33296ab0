//! What watchers are told: enough to follow every balance, order and book without asking.

mod cluster;

use std::collections::BTreeMap;

use cluster::flow::Flow;
use cluster::world::{SYMBOLS, USERS, world};
use cluster::{Cluster, Disk, Rng, for_seeds};
use engine::{Event, OrderFilter, OrderView, Query, Reply};
use money::{AssetId, OrderId, Price, Side, SymbolId, TradeId, Units, UserId};

/// What a watcher knows.
#[derive(Default)]
struct Follower {
    balances: BTreeMap<(UserId, AssetId), (Units, Units)>,
    orders: BTreeMap<OrderId, OrderView>,
    trades: BTreeMap<UserId, Vec<(SymbolId, TradeId)>>,
    levels: BTreeMap<(SymbolId, Side), BTreeMap<Price, u128>>,
    updates: BTreeMap<SymbolId, u64>,
    tape: BTreeMap<SymbolId, Vec<TradeId>>,
}

impl Follower {
    fn follow(&mut self, event: Event) {
        match event {
            Event::Trade { symbol, entry } => {
                self.tape.entry(symbol).or_default().push(entry.trade);
            }
            Event::Level { symbol, update, side, price, qty } => {
                let last = self.updates.insert(symbol, update).unwrap_or(0);
                assert!(last <= update, "{symbol}: update {update} after {last}");
                let levels = self.levels.entry((symbol, side)).or_default();
                match qty {
                    0 => levels.remove(&price),
                    qty => levels.insert(price, qty),
                };
            }
            Event::Order(view) => {
                self.orders.insert(view.order, *view);
            }
            Event::Fill { user, trade } => {
                self.trades.entry(user).or_default().push((trade.symbol, trade.trade));
            }
            Event::CredentialEnded(_) => {}
            Event::Balance { user, asset, avail, frozen, avail_before, .. } => {
                let last = self.balances.insert((user, asset), (avail, frozen));
                let before = last.map_or(0, |(avail, _)| avail);
                assert_eq!(before, avail_before, "balance events of {user} in {asset} join");
            }
        }
    }

    fn check(&self, cluster: &Cluster) {
        for user in USERS {
            let Reply::Balances(balances) = cluster.query(Query::Balances { user }) else {
                panic!("no user {user}");
            };
            for balance in balances {
                let known = self.balances.get(&(user, balance.asset)).copied().unwrap_or((0, 0));
                assert_eq!(known, (balance.avail, balance.frozen), "{user}, {}", balance.asset);
            }
            for filter in [OrderFilter::Open, OrderFilter::Ended] {
                for order in cluster.orders(user, filter) {
                    assert_eq!(self.orders.get(&order.order), Some(&order));
                }
            }
            let told = self.trades.get(&user).cloned().unwrap_or_default();
            let mut told_sorted = told.clone();
            told_sorted.sort();
            let mut there: Vec<_> =
                cluster.trades(user).iter().map(|trade| (trade.symbol, trade.trade)).collect();
            there.sort();
            assert_eq!(told_sorted, there, "trades of {user}");
        }
        for symbol in SYMBOLS {
            self.check_market(cluster, symbol);
        }
    }

    fn check_market(&self, cluster: &Cluster, symbol: SymbolId) {
        let tape: Vec<TradeId> = cluster.tape(symbol).iter().map(|entry| entry.trade).collect();
        assert_eq!(self.tape.get(&symbol).cloned().unwrap_or_default(), tape);
        let Reply::Depth { bids, asks, last_update_id } =
            cluster.query(Query::Depth { symbol, limit: 1_000 })
        else {
            return;
        };
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            let known = self.levels.get(&(symbol, side)).cloned().unwrap_or_default();
            let there: BTreeMap<Price, u128> =
                levels.iter().map(|level| (level.price, level.qty)).collect();
            assert_eq!(known, there, "{side} of {symbol}");
        }
        let known = self.updates.get(&symbol).copied().unwrap_or(0);
        assert!(known <= last_update_id, "an update that has not been");
    }
}

#[test]
fn who_watches_knows_every_balance_order_and_level_without_asking() {
    for_seeds("who_watches_knows_every_balance", 10, |seed| {
        let mut cluster = world(1 + (seed % 4) as u16, seed, Disk::Instant);
        let mut follower = Follower::default();
        for user in USERS {
            let Reply::Balances(balances) = cluster.query(Query::Balances { user }) else {
                panic!("no user {user}");
            };
            for balance in balances {
                let amounts = (balance.avail, balance.frozen);
                follower.balances.insert((user, balance.asset), amounts);
            }
        }
        cluster.events.clear();
        cluster.watch_all();
        let (mut flow, mut schedule) = (Flow::new(seed), Rng::new(seed));
        for _ in 0..10 {
            for _ in 0..60 {
                cluster.now_ms += schedule.below(2);
                cluster.submit(flow.command());
                for _ in 0..schedule.below(6) {
                    cluster.act();
                }
            }
            cluster.settle();
            std::mem::take(&mut cluster.events).into_iter().for_each(|one| follower.follow(one));
            follower.check(&cluster);
        }
    });
}

#[test]
fn nobody_is_told_of_users_whom_nobody_watches() {
    let mut cluster = world(2, 1, Disk::Instant);
    let mut flow = Flow::new(1);
    for _ in 0..100 {
        cluster.call(flow.command());
    }
    let is_private = |event: &Event| !matches!(event, Event::Trade { .. } | Event::Level { .. });
    assert!(!cluster.events.iter().any(is_private));
}

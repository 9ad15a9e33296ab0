//! Real order flows through whole shards: every trade, refusal, balance and resting order must be
//! the expected one.

mod cluster;

use std::collections::{BTreeMap, HashMap};

use cluster::data::Set;
use cluster::world::{asset, create_user, deposit, symbol};
use cluster::{Cluster, Disk};
use engine::{Command, Event, OrderRef, Query, Refusal, Reply, TapeEntry};
use money::{OrderId, Side, SymbolId};

const SYMBOL: SymbolId = SymbolId(0);

/// What a replay leaves.
struct Replayed {
    cluster: Cluster,
    /// The flow's `ref` of every order.
    refs: HashMap<OrderId, String>,
    rejected: Vec<String>,
}

fn open_market(set: &Set, shards: u16, (maker_fee_ppm, taker_fee_ppm): (u32, u32)) -> Cluster {
    let mut cluster = Cluster::new(shards, 1, Disk::None);
    for (name, decimals) in &set.assets {
        assert!(matches!(cluster.call(asset(name, *decimals)), Reply::Asset(_)));
    }
    let mut spec = set.spec.clone();
    spec.rules.maker_fee_ppm = maker_fee_ppm;
    spec.rules.taker_fee_ppm = taker_fee_ppm;
    assert_eq!(cluster.call(symbol(spec, None)), Reply::Symbol(SYMBOL));
    for (number, &(user, asset, amount)) in set.deposits.iter().enumerate() {
        cluster.call(create_user(user));
        let reply = cluster.call(deposit(user, asset, amount, &number.to_string()));
        assert!(matches!(reply, Reply::Balance(_)), "{reply:?}");
    }
    cluster
}

fn replay(set: &Set, shards: u16, fees: (u32, u32)) -> Replayed {
    let mut cluster = open_market(set, shards, fees);
    let (mut refs, mut rejected) = (HashMap::new(), Vec::new());
    for command in &set.flow {
        cluster.now_ms += 1;
        let token = cluster.submit(command.clone());
        cluster.settle_plainly();
        let reply = cluster.replies.remove(&token).expect("every command is answered");
        let text = match command {
            Command::Place(place) => place.cid.unwrap().to_string(),
            Command::Cancel { order: OrderRef::Cid(cid), .. } => cid.to_string(),
            _ => String::new(),
        };
        match reply {
            Reply::Accepted { order, .. } => {
                refs.insert(order, text);
            }
            Reply::Refused(Refusal::InsufficientBalance { .. }) => rejected.push(text),
            Reply::Order(_) => {}
            Reply::Refused(Refusal::OrderNotFound | Refusal::OrderNotOpen(_)) => {}
            other => panic!("{other:?} to {command:?}"),
        }
    }
    Replayed { cluster, refs, rejected }
}

impl Replayed {
    fn compare_trades(&self, set: &Set) -> usize {
        let mut expected = set.rows("trades.csv.gz");
        let mut count = 0;
        for event in &self.cluster.events {
            let Event::Trade { entry, .. } = event else { continue };
            let TapeEntry { trade, taker, maker, price, qty, .. } = entry;
            count += 1;
            let row = expected.next().expect("a trade too many");
            assert_eq!(trade.to_string(), row[0]);
            assert_eq!((&self.refs[taker], &self.refs[maker]), (&row[1], &row[2]), "trade {trade}");
            assert_eq!((*price, *qty), (set.price(&row[3]), set.lots(&row[4])), "trade {trade}");
        }
        assert_eq!(expected.next(), None, "a trade is missing");
        count
    }

    fn compare_rejected(&self, set: &Set) {
        let expected: Vec<String> = set.rows("rejected.csv.gz").map(|row| row[0].clone()).collect();
        assert_eq!(self.rejected, expected);
    }

    fn compare_balances(&self, set: &Set, file: &str) {
        let mut expected = BTreeMap::new();
        for (user, asset, avail, frozen) in set.balances(file) {
            expected.insert((user, asset), (avail, frozen));
        }
        for &(user, ..) in &set.deposits {
            let Reply::Balances(balances) = self.cluster.query(Query::Balances { user }) else {
                panic!("no user {user}")
            };
            for balance in balances {
                let found = expected.get(&(user, balance.asset)).copied().unwrap_or_default();
                let key = (user, balance.asset);
                assert_eq!((balance.avail, balance.frozen), found, "{key:?} of {file}");
            }
        }
        for (&(user, asset), &amounts) in &expected {
            assert_eq!(self.cluster.balance(user, asset), amounts, "user {user}, asset {asset}");
        }
    }

    fn compare_book(&self, set: &Set) {
        let book = self.cluster.book(SYMBOL);
        let mut rows = set.rows("book_after.csv.gz");
        for order in &book {
            let row = rows.next().expect("an order too many");
            assert_eq!(Some(order.side), Side::parse(&row[0]));
            assert_eq!((order.price, &self.refs[&order.id]), (set.price(&row[1]), &row[2]));
            assert_eq!(order.remaining, set.lots(&row[3]));
        }
        assert_eq!(rows.next(), None, "an order is missing in the book");
    }
}

fn compare(name: &str, shards: &[u16], trades: usize) {
    let Some(set) = Set::load(name) else { return };
    for &shards in shards {
        let replayed = replay(&set, shards, (0, 0));
        assert_eq!(replayed.compare_trades(&set), trades);
        replayed.compare_rejected(&set);
        replayed.compare_balances(&set, "balances_after.csv");
        replayed.compare_book(&set);
    }
}

fn compare_with_fees(name: &str, shards: &[u16]) {
    let Some(set) = Set::load(name) else { return };
    for &shards in shards {
        let mut replayed = replay(&set, shards, (100, 200));
        replayed.compare_balances(&set, "balances_after_fees.csv");
        let proof = replayed.cluster.prove();
        assert!(proof.iter().all(|asset| asset.is_balanced()), "{proof:?}");
        // A fee on whole contracts or shares is floored to none.
        assert!(proof[1].totals.fees > 0, "{proof:?}");
    }
}

#[test]
fn a_real_nasdaq_hour() {
    compare("lobster-aapl", &[1, 2], 4_058);
}

#[test]
fn a_real_nasdaq_hour_with_fees() {
    compare_with_fees("lobster-aapl", &[1]);
}

#[test]
fn a_real_futures_day() {
    compare("cme-es", &[1, 4], 6_256);
}

#[test]
fn a_real_futures_day_with_fees() {
    compare_with_fees("cme-es", &[4]);
}

#[test]
fn another_exchange_with_cancels() {
    compare("zxi-1k-cancel", &[1, 2, 3, 4], 616);
    compare_with_fees("zxi-1k-cancel", &[1, 2, 4]);
}

#[test]
fn another_exchange_with_a_deep_book() {
    compare("zxi-100k", &[1], 47_886);
}

/// The rest of every set on every shard count: in an optimized build only, where it takes seconds.
#[test]
#[cfg_attr(debug_assertions, ignore = "slow without optimization")]
fn every_set_on_one_two_and_four_shards() {
    compare("lobster-aapl", &[4], 4_058);
    compare("cme-es", &[2], 6_256);
    compare("zxi-100k", &[2, 4], 47_886);
    compare_with_fees("lobster-aapl", &[2, 4]);
    compare_with_fees("cme-es", &[1, 2]);
    compare_with_fees("zxi-100k", &[1, 2, 4]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slow without optimization")]
fn another_exchange_with_a_million_orders() {
    compare("zxi-1m3-cancel", &[1], 538_487);
    compare_with_fees("zxi-1m3-cancel", &[1]);
}

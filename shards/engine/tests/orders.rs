//! One order's way, in every kind: what it trades, what it freezes, how it ends.

// Prices count ticks of 0.01: 100_00 is 100.00.
#![allow(clippy::inconsistent_digit_grouping)]

mod cluster;

use cluster::world::*;
use cluster::{Cluster, Disk, for_seeds};
use engine::{Command, OrderFilter, Place, Refusal, Reply};
use money::{
    AssetId, Lots, OrderKind, OrderStatus, Price, RuleBreak, SelfTrade, Side, SymbolPatch,
    SymbolStatus, TimeInForce, UserId,
};

const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);
const CAROL: UserId = UserId(3);

/// Runs on one shard, and where the symbol and each user have a shard of their own.
fn everywhere(run: impl Fn(&mut Cluster)) {
    for shards in [1, 4] {
        let mut cluster = world(shards, 7, Disk::Slow);
        run(&mut cluster);
        cluster.audit();
    }
}

fn place(place: Place) -> Command {
    Command::Place(place)
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn named(place: Place, text: &str) -> Place {
    Place { cid: Some(cid(text)), ..place }
}

fn frozen(cluster: &Cluster, user: UserId, asset: AssetId) -> u128 {
    cluster.balance(user, asset).1
}

#[test]
fn a_limit_order_trades_at_the_makers_price_and_rests_with_the_rest() {
    everywhere(|cluster| {
        assert_eq!(cluster.status_of(limit(ALICE, Side::Sell, 100_00, 5)), OrderStatus::New);
        let buy = cluster.place(limit(BOB, Side::Buy, 101_00, 8));
        assert_eq!((buy.status, buy.filled), (OrderStatus::PartiallyFilled, Lots(5)));
        // 100.00 × 0.005 = 0.50; the rest freezes ceil(101.00 × 0.003) = ceil(0.303).
        assert_eq!(buy.filled_quote, 50);
        assert_eq!(frozen(cluster, BOB, USDT), 31);
        assert_eq!(frozen(cluster, ALICE, BTC), 0);
        // Fees: the maker's 1000 ppm of 50 units is none, the taker's 2000 ppm of 500,000 is 1,000.
        assert_eq!(cluster.balance(BOB, BTC).0, FUNDS + 500_000 - 1_000);
        assert_eq!(cluster.balance(ALICE, USDT).0, FUNDS + 50);
    });
}

#[test]
fn a_waiting_client_gets_its_fills_once_both_sides_are_settled() {
    for_seeds("a_waiting_client_gets_its_fills", 40, |seed| {
        let mut cluster = world(if seed == 1 { 1 } else { 4 }, seed, Disk::Slow);
        cluster.place(limit(ALICE, Side::Sell, 100_00, 500));
        cluster.place(limit(CAROL, Side::Sell, 100_00, 500));
        let token = cluster.submit(place(limit(BOB, Side::Buy, 100_00, 1_000)));
        while !cluster.replies.contains_key(&token) {
            assert!(cluster.act());
        }
        let Some(Reply::Matched { order, fills }) = cluster.replies.remove(&token) else {
            panic!("not matched")
        };
        assert_eq!((order.status, fills.len()), (OrderStatus::Filled, 2));
        assert_eq!(fills[0].fee, 100_000);
        for maker in [ALICE, CAROL] {
            assert_eq!(cluster.balance(maker, USDT), (FUNDS + 50_00 - 5, 0), "settled already");
        }
        cluster.settle();
        cluster.audit();
    });
}

#[test]
fn a_client_that_does_not_wait_is_answered_by_the_home_alone() {
    let mut cluster = world(4, 3, Disk::Instant);
    let order = Place { wait: false, ..limit(ALICE, Side::Sell, 100_00, 5) };
    let token = cluster.submit(place(named(order, "mine")));
    assert!(matches!(cluster.replies[&token], Reply::Accepted { cid: Some(_), .. }));
    assert_eq!(cluster.order(ALICE, by_cid("mine")).status, OrderStatus::New);
}

#[test]
fn ioc_never_rests() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Sell, 100_00, 5));
        let ioc =
            |qty| Place { time_in_force: TimeInForce::Ioc, ..limit(BOB, Side::Buy, 100_00, qty) };
        let order = cluster.place(ioc(8));
        assert_eq!((order.status, order.filled), (OrderStatus::Expired, Lots(5)));
        assert_eq!(cluster.status_of(ioc(1)), OrderStatus::Expired);
        assert_eq!(frozen(cluster, BOB, USDT), 0);
        assert!(cluster.book(BTC_USDT).is_empty());
    });
}

#[test]
fn fok_fills_wholly_or_does_nothing() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Sell, 100_00, 5));
        let fok =
            |qty| Place { time_in_force: TimeInForce::Fok, ..limit(BOB, Side::Buy, 100_00, qty) };
        let order = cluster.place(fok(6));
        assert_eq!((order.status, order.filled), (OrderStatus::Expired, Lots(0)));
        assert_eq!(cluster.book(BTC_USDT).len(), 1);
        assert_eq!(cluster.status_of(fok(5)), OrderStatus::Filled);
    });
}

#[test]
fn post_only_is_rejected_where_it_would_take() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Sell, 100_00, 5));
        let post = |price| Place { kind: OrderKind::PostOnly, ..limit(BOB, Side::Buy, price, 5) };
        assert_eq!(cluster.status_of(post(100_00)), OrderStatus::Rejected);
        assert_eq!(frozen(cluster, BOB, USDT), 0);
        assert_eq!(cluster.status_of(post(99_99)), OrderStatus::New);
    });
}

#[test]
fn each_self_trade_rule_expires_whom_it_says() {
    everywhere(|cluster| {
        let cases = [
            (SelfTrade::None, OrderStatus::Filled, OrderStatus::Filled),
            (SelfTrade::ExpireTaker, OrderStatus::Expired, OrderStatus::New),
            (SelfTrade::ExpireMaker, OrderStatus::New, OrderStatus::Expired),
            (SelfTrade::ExpireBoth, OrderStatus::Expired, OrderStatus::Expired),
        ];
        for (rule, taker, maker) in cases {
            let name = rule.as_str();
            cluster.place(named(limit(ALICE, Side::Sell, 100_00, 5), name));
            let buy = Place { self_trade: rule, ..limit(ALICE, Side::Buy, 100_00, 5) };
            assert_eq!(cluster.status_of(buy), taker, "{rule}");
            assert_eq!(cluster.order(ALICE, by_cid(name)).status, maker, "{rule}");
            cluster.call(Command::CancelUser { user: ALICE, symbol: None });
            assert_eq!(cluster.balance(ALICE, USDT).1 + cluster.balance(ALICE, BTC).1, 0, "{rule}");
        }
    });
}

#[test]
fn a_market_order_needs_a_reference_to_reserve_by_quantity() {
    everywhere(|cluster| {
        let refused = cluster.call(place(market(BOB, Side::Buy, 5)));
        assert_eq!(refusal(refused), Refusal::NoReference);
        // A sale and a budget reserve what they name.
        assert_eq!(cluster.status_of(market(BOB, Side::Sell, 5)), OrderStatus::Expired);
        assert_eq!(cluster.status_of(market_for(BOB, Side::Buy, 500)), OrderStatus::Expired);
    });
}

#[test]
fn the_first_trade_makes_the_reference_known_everywhere() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Sell, 100_00, 10));
        cluster.place(limit(BOB, Side::Buy, 100_00, 5));
        let order = cluster.place(market(CAROL, Side::Buy, 5));
        assert_eq!((order.status, order.filled_quote), (OrderStatus::Filled, 50));
        assert_eq!(order.price, Price(0));
        assert_eq!(frozen(cluster, CAROL, USDT), 0);
    });
}

#[test]
fn a_market_buy_reserves_the_end_of_the_band_at_most_what_is_there() {
    let mut cluster = world_with(4, 1, Disk::Instant, 0);
    cluster.call(deposit(ALICE, BTC, 1_000_000_000, "a"));
    cluster.call(deposit(BOB, USDT, 1_000, "b"));
    let band = SymbolPatch {
        price_band_ppm: Some(100_000),
        reference: Some(Price(100_00)),
        ..SymbolPatch::default()
    };
    cluster.change_symbol(BTC_USDT, band);
    cluster.place(limit(ALICE, Side::Sell, 105_00, 1_000));
    // The band's end is 110.00: 50 lots reserve 5.50.
    let token = cluster.submit(place(named(market(BOB, Side::Buy, 50), "small")));
    assert_eq!(cluster.balance(BOB, USDT), (450, 550));
    cluster.settle();
    assert!(matches!(cluster.replies[&token], Reply::Matched { .. }));
    assert_eq!(cluster.balance(BOB, USDT), (475, 0));
    // 4.75 are left: 45 lots at 105.00.
    let order = cluster.place(market(BOB, Side::Buy, 50));
    assert_eq!((order.filled, order.filled_quote), (Lots(45), 472));
    assert_eq!(order.status, OrderStatus::Expired, "not all that was asked for");
    cluster.audit();
}

#[test]
fn a_market_order_does_not_leave_the_band() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Sell, 105_00, 10));
        cluster.place(limit(ALICE, Side::Sell, 111_00, 10));
        let band = SymbolPatch {
            price_band_ppm: Some(100_000),
            reference: Some(Price(100_00)),
            ..SymbolPatch::default()
        };
        cluster.change_symbol(BTC_USDT, band);
        let order = cluster.place(market(BOB, Side::Buy, 20));
        assert_eq!((order.status, order.filled), (OrderStatus::Expired, Lots(10)));
        let refused = cluster.call(place(limit(BOB, Side::Buy, 130_00, 1)));
        assert_eq!(refusal(refused), Refusal::Rule(RuleBreak::PriceBand));
    });
}

#[test]
fn a_quote_budget_is_spent_as_far_as_whole_lots_go() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Sell, 100_00, 1_000));
        let order = cluster.place(market_for(BOB, Side::Buy, 77));
        // 7 lots cost 0.70, an eighth is floored to 0.80.
        assert_eq!((order.status, order.filled), (OrderStatus::Filled, Lots(7)));
        assert_eq!((order.filled_quote, order.qty), (70, Lots(7)));
        assert_eq!(frozen(cluster, BOB, USDT), 0);
        let nothing = cluster.place(market_for(BOB, Side::Buy, 9));
        assert_eq!((nothing.status, nothing.filled), (OrderStatus::Expired, Lots(0)));
    });
}

#[test]
fn selling_for_a_sum_sells_no_more_than_that() {
    everywhere(|cluster| {
        cluster.place(limit(ALICE, Side::Buy, 100_00, 1_000));
        let order = cluster.place(market_for(BOB, Side::Sell, 500));
        assert_eq!(
            (order.status, order.filled, order.filled_quote),
            (OrderStatus::Filled, Lots(50), 500)
        );
        assert_eq!(frozen(cluster, BOB, BTC), 0);
    });
}

#[test]
fn selling_for_a_sum_without_anything_to_sell_is_refused() {
    let mut cluster = world_with(2, 1, Disk::Instant, 0);
    let refused = cluster.call(place(market_for(BOB, Side::Sell, 500)));
    assert!(matches!(refusal(refused), Refusal::InsufficientBalance { asset: BTC, .. }));
}

#[test]
fn a_budget_on_a_limit_order_does_not_keep_it_open_for_ever() {
    everywhere(|cluster| {
        let order = Place { quote_qty: Some(1), ..limit(ALICE, Side::Sell, 100_00, 5) };
        let maker = cluster.place(order);
        assert_eq!((maker.quote_qty, maker.qty), (None, Lots(5)));
        cluster.place(limit(BOB, Side::Buy, 100_00, 5));
        assert!(cluster.orders(ALICE, OrderFilter::Open).is_empty());
    });
}

#[test]
fn a_market_order_never_rests_even_as_gtc_with_a_price() {
    everywhere(|cluster| {
        let order = Place {
            time_in_force: TimeInForce::Gtc,
            price: Price(50_00),
            ..market(ALICE, Side::Sell, 5)
        };
        let view = cluster.place(order);
        assert_eq!((view.status, view.price), (OrderStatus::Expired, Price(0)));
    });
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_rule() {
    everywhere(|cluster| {
        let rules = SymbolPatch {
            min_qty: Some(Lots(5)),
            max_qty: Some(Lots(100)),
            min_notional: Some(100),
            ..SymbolPatch::default()
        };
        cluster.change_symbol(BTC_USDT, rules);
        let hashes = |cluster: &Cluster| -> Vec<u64> {
            cluster.shards.iter().map(|shard| shard.engine.state_hash()).collect()
        };
        let before = hashes(cluster);
        let cases = [
            (limit(ALICE, Side::Sell, 0, 10), RuleBreak::PriceZero),
            (limit(ALICE, Side::Sell, 100_00, 4), RuleBreak::QtyMin),
            (limit(ALICE, Side::Sell, 100_00, 0), RuleBreak::QtyMin),
            (limit(ALICE, Side::Sell, 100_00, 101), RuleBreak::QtyMax),
            (limit(ALICE, Side::Sell, 99_99, 10), RuleBreak::Notional),
            (market(ALICE, Side::Sell, 101), RuleBreak::QtyMax),
            (market_for(ALICE, Side::Sell, 99), RuleBreak::Notional),
            (market_for(ALICE, Side::Buy, 0), RuleBreak::Notional),
        ];
        for (order, rule) in cases {
            assert_eq!(refusal(cluster.call(place(order))), Refusal::Rule(rule));
        }
        assert_eq!(hashes(cluster), before);
        assert_eq!(cluster.status_of(limit(ALICE, Side::Sell, 100_00, 10)), OrderStatus::New);
    });
}

#[test]
fn numbers_at_the_end_of_their_range_are_refused_not_wrapped() {
    let mut cluster = world(2, 1, Disk::Instant);
    let huge = limit(ALICE, Side::Buy, u64::MAX, u64::MAX);
    let symbol = ETH_USDT;
    for order in [huge, Place { symbol, ..huge }, Place { symbol: ETH_BTC, ..huge }] {
        for side in [Side::Buy, Side::Sell] {
            let reply = cluster.call(place(Place { side, ..order }));
            assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
        }
    }
    assert_eq!(cluster.balance(ALICE, USDT), (FUNDS, 0));
}

#[test]
fn too_little_money_is_refused_with_what_is_needed_and_there() {
    let mut cluster = world_with(4, 1, Disk::Instant, 0);
    cluster.call(deposit(ALICE, USDT, 100, "a"));
    let refused = cluster.call(place(limit(ALICE, Side::Buy, 100_00, 11)));
    let expected = Refusal::InsufficientBalance { asset: USDT, needed: 110, avail: 100 };
    assert_eq!(refusal(refused), expected);
    assert_eq!(cluster.status_of(limit(ALICE, Side::Buy, 100_00, 10)), OrderStatus::New);
    let refused = cluster.call(place(limit(ALICE, Side::Sell, 100_00, 1)));
    let expected = Refusal::InsufficientBalance { asset: BTC, needed: 100_000, avail: 0 };
    assert_eq!(refusal(refused), expected);
}

#[test]
fn a_closed_symbol_takes_cancels_only_and_a_halted_one_nothing() {
    everywhere(|cluster| {
        for name in ["a", "b"] {
            cluster.place(named(limit(ALICE, Side::Sell, 100_00, 5), name));
        }
        let status = |status| SymbolPatch { status: Some(status), ..SymbolPatch::default() };
        let cancel = |name| Command::Cancel { user: ALICE, order: by_cid(name) };
        let reduce = |by| Command::Reduce { user: ALICE, order: by_cid("a"), by: Lots(by) };
        let shift = || Command::Move { user: ALICE, order: by_cid("a"), price: Price(99_00) };

        cluster.change_symbol(BTC_USDT, status(SymbolStatus::Halted));
        let halted = Refusal::SymbolNotTrading(SymbolStatus::Halted);
        for command in [place(limit(BOB, Side::Buy, 100_00, 1)), cancel("a"), reduce(1), shift()] {
            assert_eq!(refusal(cluster.call(command)), halted);
        }
        let all = Command::CancelUser { user: ALICE, symbol: None };
        assert_eq!(cluster.call(all.clone()), Reply::CanceledAll { count: 0, more: false });

        cluster.change_symbol(BTC_USDT, status(SymbolStatus::CancelOnly));
        let closed = Refusal::SymbolNotTrading(SymbolStatus::CancelOnly);
        for command in [place(limit(BOB, Side::Buy, 100_00, 1)), shift()] {
            assert_eq!(refusal(cluster.call(command)), closed);
        }
        assert!(matches!(cluster.call(reduce(1)), Reply::Order(view) if view.qty == Lots(4)));
        assert!(matches!(cluster.call(cancel("b")), Reply::Order(_)));
        assert_eq!(cluster.call(all), Reply::CanceledAll { count: 1, more: false });
    });
}

#[test]
fn an_order_on_its_way_to_a_symbol_that_closes_is_rejected_and_released() {
    let mut cluster = world(4, 5, Disk::Instant);
    // ALICE's shard has not heard of it when she places.
    let halt = SymbolPatch { status: Some(SymbolStatus::Halted), ..SymbolPatch::default() };
    cluster.submit(patch(BTC_USDT, halt));
    let token = cluster.submit(place(limit(ALICE, Side::Sell, 100_00, 5)));
    assert!(!cluster.replies.contains_key(&token));
    cluster.settle();
    let Some(Reply::Matched { order, fills }) = cluster.replies.remove(&token) else { panic!() };
    assert_eq!((order.status, fills.len()), (OrderStatus::Rejected, 0));
    assert_eq!(frozen(&cluster, ALICE, BTC), 0);
    cluster.audit();
}

#[test]
fn a_frozen_user_may_cancel_and_look_and_nothing_else() {
    everywhere(|cluster| {
        cluster.place(named(limit(ALICE, Side::Sell, 100_00, 5), "a"));
        let freeze = |frozen| Command::FreezeUser { user: ALICE, frozen };
        assert_eq!(cluster.call(freeze(true)), Reply::User(ALICE));
        let order = by_cid("a");
        let commands = [
            place(limit(ALICE, Side::Sell, 100_00, 5)),
            Command::Move { user: ALICE, order, price: Price(99_00) },
            Command::Reduce { user: ALICE, order, by: Lots(1) },
            withdraw(ALICE, USDT, 1, "w"),
        ];
        for command in commands {
            assert_eq!(refusal(cluster.call(command)), Refusal::UserFrozen);
        }
        // The client that lost the answer to its first order still gets it.
        let again = cluster.call(place(named(limit(ALICE, Side::Sell, 100_00, 5), "a")));
        assert!(matches!(again, Reply::Matched { .. }));
        // Its resting order trades on, and may be taken out.
        cluster.place(limit(BOB, Side::Buy, 100_00, 1));
        let canceled = cluster.call(Command::Cancel { user: ALICE, order });
        let Reply::Order(view) = canceled else { panic!("{canceled:?}") };
        assert_eq!((view.status, view.filled), (OrderStatus::Canceled, Lots(1)));
        cluster.call(freeze(false));
        assert_eq!(cluster.status_of(limit(ALICE, Side::Sell, 100_00, 5)), OrderStatus::New);
    });
}

#[test]
fn unknown_users_and_symbols_are_refused() {
    everywhere(|cluster| {
        let nobody = UserId(4_711);
        let refused = cluster.call(place(limit(nobody, Side::Buy, 1, 1)));
        assert_eq!(refusal(refused), Refusal::UnknownUser);
        let nowhere = Place { symbol: money::SymbolId(9), ..limit(ALICE, Side::Buy, 1, 1) };
        assert_eq!(refusal(cluster.call(place(nowhere))), Refusal::UnknownSymbol);
    });
}

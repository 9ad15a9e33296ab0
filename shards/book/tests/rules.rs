//! The rules of matching, each named for what breaks without it, on both books.

mod common;

use book::{Event, FastBook, Moved, NaiveBook, Outcome, Reduced};
use common::*;
use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce, UserId};

/// Makes one test per book of each function.
macro_rules! on_both_books {
    ($($name:ident)*) => {
        mod fast { $(#[test] fn $name() { super::$name::<super::FastBook>() })* }
        mod naive { $(#[test] fn $name() { super::$name::<super::NaiveBook>() })* }
    };
}

on_both_books! {
    a_worse_price_never_fills_first
    an_earlier_order_at_a_price_fills_first
    a_fill_is_at_the_makers_price_on_both_sides
    what_is_left_of_a_limit_order_rests_at_the_end_of_its_level
    an_ioc_leaves_nothing_in_the_book
    a_market_order_stops_at_its_bound_and_never_rests
    a_fok_that_cannot_fill_changes_nothing
    a_fok_fills_across_levels_exactly
    post_only_never_takes_and_never_lingers_with_ioc
    a_market_buy_by_budget_never_spends_more
    a_budget_that_pays_no_lot_is_filled_and_one_without_liquidity_expired
    a_market_sell_by_budget_stops_at_what_it_wants
    an_amount_too_large_to_count_is_unaffordable
    a_fok_by_budget_needs_the_budget_used_up
    a_fok_by_budget_may_end_within_one_order
    what_flooring_saved_pays_for_one_fill_more
    self_trade_none_trades_with_itself
    expire_taker_ends_the_taker_at_its_own_order
    expire_maker_goes_on_behind_its_own_order
    expire_both_ends_both
    a_fok_expires_nobody_when_it_fails_at_its_own_order
    own_orders_behind_the_last_fill_do_not_matter
    post_only_would_take_its_own_order
    a_cancel_finds_the_order_wherever_it_is_queued
    an_unknown_or_ended_id_does_nothing
    a_reduction_keeps_priority_and_ends_at_the_remainder
    a_move_loses_priority_and_matches
    a_move_to_the_same_price_keeps_priority
    a_post_only_order_stays_where_it_was_when_a_move_would_take
    a_moved_order_keeps_its_self_trade_rule_and_flags
    totals_of_a_level_do_not_wrap_at_64_bits
    prices_at_both_ends_of_64_bits_work
    pages_join_without_gap_or_overlap
}

fn with(id: u64, side: Side, price: u64, qty: u64, time_in_force: TimeInForce) -> book::Taker {
    book::Taker { time_in_force, ..order(id, side, price, qty) }
}

fn by_budget(id: u64, side: Side, budget: u128) -> book::Taker {
    let price = if side == Side::Buy { u64::MAX } else { 0 };
    let taker = order(id, side, price, 1_000_000);
    book::Taker { budget: Some(budget), market: true, time_in_force: TimeInForce::Ioc, ..taker }
}

/// An order of user 7 with this rule.
fn own(taker: book::Taker, self_trade: SelfTrade) -> book::Taker {
    book::Taker { user: UserId(7), self_trade, ..taker }
}

fn a_worse_price_never_fills_first<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 12, 1), sell(2, 10, 1), sell(3, 11, 1)]);
    let (outcome, events) = place(&mut book, buy(4, 12, 3));
    assert_eq!(outcome, Outcome::Filled { remaining: Lots(0) });
    assert_eq!(fills(&events), [(2, 10, 1), (3, 11, 1), (1, 12, 1)]);
    fill_book(&mut book, &[buy(5, 10, 1), buy(6, 12, 1), buy(7, 11, 1)]);
    assert_eq!(fills(&place(&mut book, sell(8, 10, 3)).1), [(6, 12, 1), (7, 11, 1), (5, 10, 1)]);
}

fn an_earlier_order_at_a_price_fills_first<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(9, 10, 2), sell(3, 10, 2), sell(5, 10, 2)]);
    assert_eq!(fills(&place(&mut book, buy(10, 10, 5)).1), [(9, 10, 2), (3, 10, 2), (5, 10, 1)]);
    assert_eq!(book.get(OrderId(5)).unwrap().remaining, Lots(1));
}

fn a_fill_is_at_the_makers_price_on_both_sides<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 5)]);
    let (_, events) = place(&mut book, buy(2, 20, 3));
    let fill = |maker, price, left| Event::Fill {
        maker: OrderId(maker),
        maker_user: UserId(maker),
        price: Price(price),
        qty: Lots(3),
        maker_remaining: Lots(left),
    };
    assert_eq!(events, [fill(1, 10, 2)]);
    book.cancel(OrderId(1));
    fill_book(&mut book, &[buy(3, 20, 3)]);
    assert_eq!(place(&mut book, sell(4, 10, 3)).1, [fill(3, 20, 0)]);
}

fn what_is_left_of_a_limit_order_rests_at_the_end_of_its_level<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 9, 1), sell(2, 10, 1)]);
    assert_eq!(place(&mut book, buy(3, 10, 3)).0, Outcome::Rested { remaining: Lots(2) });
    fill_book(&mut book, &[buy(4, 10, 1)]);
    assert_eq!(ids(&book, Side::Buy), [3, 4, 1]);
    assert!(all_orders(&book, Side::Sell).is_empty());
}

fn an_ioc_leaves_nothing_in_the_book<B: TestBook>() {
    let mut book = B::make(plain_scale());
    let taker = with(1, Side::Buy, 10, 3, TimeInForce::Ioc);
    assert_eq!(place(&mut book, taker), (Outcome::Expired { remaining: Lots(3) }, vec![]));
    fill_book(&mut book, &[sell(2, 10, 2), sell(3, 11, 2)]);
    assert_eq!(place(&mut book, taker).0, Outcome::Expired { remaining: Lots(1) });
    assert_eq!((book.len(), book.best(Side::Buy)), (1, None));
}

fn a_market_order_stops_at_its_bound_and_never_rests<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 1), sell(2, 11, 1), sell(3, 12, 1)]);
    let market = book::Taker { market: true, ..buy(4, 11, 5) };
    let (outcome, events) = place(&mut book, market);
    assert_eq!(outcome, Outcome::Expired { remaining: Lots(3) });
    assert_eq!(fills(&events), [(1, 10, 1), (2, 11, 1)]);
    assert_eq!(book.len(), 1);
}

fn a_fok_that_cannot_fill_changes_nothing<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), sell(2, 11, 2), sell(3, 12, 9)]);
    let before = (all_orders(&book, Side::Sell), all_levels(&book, Side::Sell));
    let taker = with(4, Side::Buy, 11, 5, TimeInForce::Fok);
    assert_eq!(place(&mut book, taker), (Outcome::Expired { remaining: Lots(5) }, vec![]));
    assert_eq!((all_orders(&book, Side::Sell), all_levels(&book, Side::Sell)), before);
}

fn a_fok_fills_across_levels_exactly<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), sell(2, 11, 2), sell(3, 12, 9)]);
    let (outcome, events) = place(&mut book, with(4, Side::Buy, 11, 4, TimeInForce::Fok));
    assert_eq!(outcome, Outcome::Filled { remaining: Lots(0) });
    assert_eq!(fills(&events), [(1, 10, 2), (2, 11, 2)]);
}

fn post_only_never_takes_and_never_lingers_with_ioc<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2)]);
    let post = |id, price| book::Taker { post_only: true, ..buy(id, price, 1) };
    assert_eq!(place(&mut book, post(2, 10)), (Outcome::WouldTake, vec![]));
    assert_eq!(place(&mut book, post(3, 9)).0, Outcome::Rested { remaining: Lots(1) });
    for time_in_force in [TimeInForce::Ioc, TimeInForce::Fok] {
        let crossing = book::Taker { time_in_force, ..post(4, 10) };
        assert_eq!(place(&mut book, crossing).0, Outcome::WouldTake);
        let passive = book::Taker { time_in_force, ..post(4, 9) };
        assert_eq!(place(&mut book, passive).0, Outcome::Expired { remaining: Lots(1) });
    }
    assert_eq!(book.len(), 2);
}

fn a_market_buy_by_budget_never_spends_more<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), sell(2, 11, 5)]);
    let (outcome, events) = place(&mut book, by_budget(3, Side::Buy, 20 + 25));
    assert_eq!(outcome, Outcome::Filled { remaining: Lots(1_000_000 - 4) });
    assert_eq!(fills(&events), [(1, 10, 2), (2, 11, 2)]);
}

fn a_budget_that_pays_no_lot_is_filled_and_one_without_liquidity_expired<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2)]);
    let rest = |traded: u64| Lots(1_000_000 - traded);
    let nothing = (Outcome::Filled { remaining: rest(0) }, vec![]);
    assert_eq!(place(&mut book, by_budget(2, Side::Buy, 9)), nothing);
    assert_eq!(place(&mut book, by_budget(3, Side::Buy, 0)), nothing);
    let bounded = book::Taker { price: Price(9), ..by_budget(4, Side::Buy, 9) };
    assert_eq!(place(&mut book, bounded).0, Outcome::Expired { remaining: rest(0) });
    assert_eq!(
        place(&mut book, by_budget(5, Side::Buy, 21)).0,
        Outcome::Expired { remaining: rest(2) }
    );
    assert_eq!(place(&mut book, by_budget(6, Side::Buy, 0)), nothing);
    // The last unit is spent on the last lot: nothing is left to do.
    fill_book(&mut book, &[sell(7, 10, 2)]);
    assert_eq!(
        place(&mut book, by_budget(8, Side::Buy, 20)).0,
        Outcome::Filled { remaining: rest(2) }
    );
}

fn a_market_sell_by_budget_stops_at_what_it_wants<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 10, 3), buy(2, 9, 3)]);
    let (outcome, events) = place(&mut book, by_budget(3, Side::Sell, 41));
    assert_eq!(outcome, Outcome::Filled { remaining: Lots(1_000_000 - 4) });
    assert_eq!(fills(&events), [(1, 10, 3), (2, 9, 1)]);
}

fn an_amount_too_large_to_count_is_unaffordable<B: TestBook>() {
    let mut book = B::make(Scale::new(1, 0, u64::MAX, 0, 0).unwrap());
    fill_book(&mut book, &[sell(1, u64::MAX, u64::MAX)]);
    let taker = book::Taker { qty: Lots(u64::MAX), ..by_budget(2, Side::Buy, u128::MAX) };
    let (outcome, events) = place(&mut book, taker);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    // (2^64 - 1)^2 goes once into 2^128 - 1.
    assert_eq!(fills(&events), [(1, u64::MAX, 1)]);
}

fn a_fok_by_budget_needs_the_budget_used_up<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), sell(2, 11, 5)]);
    let fok = |id, budget| book::Taker {
        time_in_force: TimeInForce::Fok,
        ..by_budget(id, Side::Buy, budget)
    };
    let rest = |traded: u64| Lots(1_000_000 - traded);
    let short = (Outcome::Expired { remaining: rest(0) }, vec![]);
    assert_eq!(place(&mut book, fok(3, 20 + 55 + 1)), short);
    let (outcome, events) = place(&mut book, fok(4, 20 + 55));
    assert_eq!(outcome, Outcome::Filled { remaining: rest(7) });
    assert_eq!(fills(&events), [(1, 10, 2), (2, 11, 5)]);
}

fn a_fok_by_budget_may_end_within_one_order<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 100)]);
    let fok = book::Taker { time_in_force: TimeInForce::Fok, ..by_budget(2, Side::Buy, 57) };
    let (outcome, events) = place(&mut book, fok);
    assert_eq!(outcome, Outcome::Filled { remaining: Lots(1_000_000 - 5) });
    assert_eq!(fills(&events), [(1, 10, 5)]);
}

fn what_flooring_saved_pays_for_one_fill_more<B: TestBook>() {
    // A lot costs 1.5: of a budget of 2 one lot takes 1, and so does the next.
    let mut book = B::make(Scale::new(1, 1, 1, 0, 0).unwrap());
    fill_book(&mut book, &[sell(1, 15, 100)]);
    for (id, time_in_force) in [(2, TimeInForce::Ioc), (3, TimeInForce::Fok)] {
        let taker = book::Taker { time_in_force, ..by_budget(id, Side::Buy, 2) };
        let (outcome, events) = place(&mut book, taker);
        assert_eq!(outcome, Outcome::Filled { remaining: Lots(1_000_000 - 2) });
        assert_eq!(fills(&events), [(1, 15, 1), (1, 15, 1)]);
    }
}

fn self_trade_none_trades_with_itself<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[own(sell(1, 10, 2), SelfTrade::ExpireBoth)]);
    let (_, events) = place(&mut book, own(buy(2, 10, 2), SelfTrade::None));
    assert_eq!(fills(&events), [(1, 10, 2)]);
}

fn expire_taker_ends_the_taker_at_its_own_order<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), own(sell(2, 11, 2), SelfTrade::None), sell(3, 11, 2)]);
    let (outcome, events) = place(&mut book, own(buy(4, 12, 9), SelfTrade::ExpireTaker));
    assert_eq!(outcome, Outcome::Expired { remaining: Lots(7) });
    assert_eq!(fills(&events), [(1, 10, 2)]);
    assert_eq!(ids(&book, Side::Sell), [2, 3]);
    assert_eq!(book.best(Side::Buy), None);
}

fn expire_maker_goes_on_behind_its_own_order<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), own(sell(2, 11, 2), SelfTrade::None), sell(3, 11, 2)]);
    let (outcome, events) = place(&mut book, own(buy(4, 12, 9), SelfTrade::ExpireMaker));
    assert_eq!(outcome, Outcome::Rested { remaining: Lots(5) });
    assert_eq!(fills(&events), [(1, 10, 2), (3, 11, 2)]);
    let (maker, maker_user, price) = (OrderId(2), UserId(7), Price(11));
    let expired = Event::MakerExpired { maker, maker_user, price, remaining: Lots(2) };
    assert_eq!(events[1], expired);
    assert_eq!(ids(&book, Side::Sell), [0u64; 0]);
}

fn expire_both_ends_both<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), own(sell(2, 11, 2), SelfTrade::None), sell(3, 11, 2)]);
    let (outcome, events) = place(&mut book, own(buy(4, 12, 9), SelfTrade::ExpireBoth));
    assert_eq!(outcome, Outcome::Expired { remaining: Lots(7) });
    assert_eq!(events.len(), 2);
    assert_eq!(ids(&book, Side::Sell), [3]);
}

fn a_fok_expires_nobody_when_it_fails_at_its_own_order<B: TestBook>() {
    for rule in [SelfTrade::ExpireTaker, SelfTrade::ExpireMaker, SelfTrade::ExpireBoth] {
        let mut book = B::make(plain_scale());
        let makers = [sell(1, 10, 2), own(sell(2, 10, 2), SelfTrade::None), sell(3, 11, 2)];
        fill_book(&mut book, &makers);
        let fok = |id, qty| own(with(id, Side::Buy, 11, qty, TimeInForce::Fok), rule);
        assert_eq!(
            place(&mut book, fok(4, 5)),
            (Outcome::Expired { remaining: Lots(5) }, vec![]),
            "{rule}"
        );
        assert_eq!(ids(&book, Side::Sell), [1, 2, 3], "{rule}");
        let (outcome, events) = place(&mut book, fok(5, 4));
        if rule == SelfTrade::ExpireMaker {
            assert_eq!(outcome, Outcome::Filled { remaining: Lots(0) });
            assert_eq!(fills(&events), [(1, 10, 2), (3, 11, 2)]);
            assert_eq!(book.len(), 0);
        } else {
            assert_eq!((outcome, events.len()), (Outcome::Expired { remaining: Lots(4) }, 0));
        }
    }
}

fn own_orders_behind_the_last_fill_do_not_matter<B: TestBook>() {
    for rule in [SelfTrade::ExpireTaker, SelfTrade::ExpireMaker, SelfTrade::ExpireBoth] {
        for time_in_force in [TimeInForce::Gtc, TimeInForce::Fok] {
            let mut book = B::make(plain_scale());
            fill_book(&mut book, &[sell(1, 10, 2), own(sell(2, 10, 2), SelfTrade::None)]);
            let taker = own(with(3, Side::Buy, 11, 2, time_in_force), rule);
            assert_eq!(place(&mut book, taker).0, Outcome::Filled { remaining: Lots(0) });
            assert_eq!(ids(&book, Side::Sell), [2]);
        }
    }
    // Nor one that the budget no longer pays.
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[sell(1, 10, 2), own(sell(2, 11, 2), SelfTrade::None)]);
    let taker = own(by_budget(3, Side::Buy, 30), SelfTrade::ExpireBoth);
    assert!(matches!(place(&mut book, taker).0, Outcome::Filled { .. }));
    assert_eq!(ids(&book, Side::Sell), [2]);
}

fn post_only_would_take_its_own_order<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[own(sell(1, 10, 2), SelfTrade::None)]);
    let taker = book::Taker { post_only: true, ..own(buy(2, 10, 1), SelfTrade::ExpireMaker) };
    assert_eq!(place(&mut book, taker), (Outcome::WouldTake, vec![]));
}

fn a_cancel_finds_the_order_wherever_it_is_queued<B: TestBook>() {
    for canceled in 1..=4 {
        let mut book = B::make(plain_scale());
        fill_book(&mut book, &[buy(1, 10, 1), buy(2, 10, 2), buy(3, 10, 3), buy(4, 9, 4)]);
        assert_eq!(book.cancel(OrderId(canceled)), Some(Lots(canceled)));
        book.check_invariants();
        let left: Vec<u64> = (1..=4).filter(|&id| id != canceled).collect();
        assert_eq!(ids(&book, Side::Buy), left);
        assert_eq!(book.get(OrderId(canceled)), None);
    }
}

fn an_unknown_or_ended_id_does_nothing<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 10, 1), buy(2, 10, 1)]);
    place(&mut book, sell(3, 10, 1));
    for id in [0, 1, 3, u64::MAX].map(OrderId) {
        assert_eq!(book.cancel(id), None);
        assert_eq!(book.reduce(id, Lots(1)), None);
        assert_eq!(book.move_price(id, Price(1), &mut Vec::new()), None);
        assert_eq!(book.get(id), None);
    }
    assert_eq!(ids(&book, Side::Buy), [2]);
}

fn a_reduction_keeps_priority_and_ends_at_the_remainder<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 10, 5), buy(2, 10, 5)]);
    let left = |lots| Some(Reduced::Left { remaining: Lots(lots) });
    let removed = |lots| Some(Reduced::Removed { remaining: Lots(lots) });
    assert_eq!(book.reduce(OrderId(1), Lots(0)), left(5));
    assert_eq!(book.reduce(OrderId(1), Lots(2)), left(3));
    book.check_invariants();
    assert_eq!(ids(&book, Side::Buy), [1, 2]);
    assert_eq!(book.reduce(OrderId(1), Lots(3)), removed(3));
    assert_eq!(book.reduce(OrderId(2), Lots(u64::MAX)), removed(5));
    book.check_invariants();
    assert!(book.is_empty());
}

fn a_move_loses_priority_and_matches<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 9, 5), buy(2, 10, 5), sell(3, 12, 2)]);
    let mut events = Vec::new();
    let placed = |outcome| Some(Moved::Placed(outcome));
    let rested = |lots| placed(Outcome::Rested { remaining: Lots(lots) });
    assert_eq!(book.move_price(OrderId(1), Price(10), &mut events), rested(5));
    assert_eq!(ids(&book, Side::Buy), [2, 1]);
    assert_eq!(book.move_price(OrderId(2), Price(12), &mut events), rested(3));
    assert_eq!(fills(&events), [(3, 12, 2)]);
    fill_book(&mut book, &[sell(4, 13, 9)]);
    let filled = placed(Outcome::Filled { remaining: Lots(0) });
    assert_eq!(book.move_price(OrderId(2), Price(13), &mut events), filled);
    book.check_invariants();
    assert_eq!(ids(&book, Side::Buy), [1]);
}

fn a_move_to_the_same_price_keeps_priority<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 9, 5), buy(2, 9, 5)]);
    let moved = book.move_price(OrderId(1), Price(9), &mut Vec::new());
    assert_eq!(moved, Some(Moved::Unchanged));
    assert_eq!(ids(&book, Side::Buy), [1, 2]);
}

fn a_post_only_order_stays_where_it_was_when_a_move_would_take<B: TestBook>() {
    let mut book = B::make(plain_scale());
    let post = book::Taker { post_only: true, ..buy(1, 9, 5) };
    fill_book(&mut book, &[post, buy(2, 9, 5), sell(3, 12, 1)]);
    let mut events = Vec::new();
    assert_eq!(book.move_price(OrderId(1), Price(12), &mut events), Some(Moved::WouldTake));
    assert_eq!((ids(&book, Side::Buy), events.len()), (vec![1, 2], 0));
    let moved = book.move_price(OrderId(1), Price(11), &mut events);
    assert_eq!(moved, Some(Moved::Placed(Outcome::Rested { remaining: Lots(5) })));
    // It is post-only still.
    assert_eq!(book.move_price(OrderId(1), Price(12), &mut events), Some(Moved::WouldTake));
}

fn a_moved_order_keeps_its_self_trade_rule_and_flags<B: TestBook>() {
    let mut book = B::make(plain_scale());
    let mover = own(buy(1, 9, 5), SelfTrade::ExpireTaker);
    fill_book(&mut book, &[mover, own(sell(2, 12, 1), SelfTrade::None)]);
    let moved = book.move_price(OrderId(1), Price(12), &mut Vec::new());
    assert_eq!(moved, Some(Moved::Placed(Outcome::Expired { remaining: Lots(5) })));
    assert_eq!((book.len(), book.get(OrderId(1))), (1, None));
}

fn totals_of_a_level_do_not_wrap_at_64_bits<B: TestBook>() {
    let mut book = B::make(plain_scale());
    let huge = u64::MAX;
    fill_book(&mut book, &[sell(1, 10, huge), sell(2, 10, huge), sell(3, 10, huge)]);
    assert_eq!(book.best(Side::Sell).unwrap().qty, 3 * u128::from(huge));
    let (outcome, events) = place(&mut book, with(4, Side::Buy, 10, huge, TimeInForce::Fok));
    assert_eq!((outcome, events.len()), (Outcome::Filled { remaining: Lots(0) }, 1));
}

fn prices_at_both_ends_of_64_bits_work<B: TestBook>() {
    let mut book = B::make(plain_scale());
    let max = u64::MAX;
    fill_book(&mut book, &[buy(1, 0, 1), buy(2, 1, 1), sell(3, max, 1), sell(4, max - 1, 1)]);
    fill_book(&mut book, &[buy(5, 1 << 63, 1), sell(6, (1 << 63) + 1, 1)]);
    assert_eq!(ids(&book, Side::Buy), [5, 2, 1]);
    assert_eq!(ids(&book, Side::Sell), [6, 4, 3]);
    assert_eq!(fills(&place(&mut book, sell(7, 0, 3)).1), [(5, 1 << 63, 1), (2, 1, 1), (1, 0, 1)]);
    place(&mut book, buy(8, max, 9));
    assert_eq!(ids(&book, Side::Buy), [8]);
}

fn pages_join_without_gap_or_overlap<B: TestBook>() {
    let mut book = B::make(plain_scale());
    fill_book(&mut book, &[buy(1, 9, 1), buy(2, 10, 1), buy(3, 9, 1), buy(4, 10, 1), buy(5, 8, 1)]);
    for limit in 1..=6 {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let before = pages.len();
            book.orders(Side::Buy, after, limit, &mut pages);
            if pages.len() == before {
                break;
            }
            after = pages.last().map(|order| order.id);
        }
        assert_eq!(pages, all_orders(&book, Side::Buy), "limit {limit}");
    }
    let mut none = Vec::new();
    book.orders(Side::Sell, Some(OrderId(1)), 9, &mut none);
    book.orders(Side::Buy, Some(OrderId(99)), 9, &mut none);
    book.orders(Side::Buy, None, 0, &mut none);
    assert_eq!(none, []);
}

#[test]
#[should_panic(expected = "already in the book")]
fn an_id_used_twice_is_noticed() {
    let mut book = FastBook::make(plain_scale());
    place(&mut book, buy(1, 9, 1));
    place(&mut book, buy(1, 8, 1));
}

#[test]
#[should_panic(expected = "no quantity")]
fn an_order_of_nothing_is_noticed() {
    place(&mut FastBook::make(plain_scale()), buy(1, 9, 0));
}

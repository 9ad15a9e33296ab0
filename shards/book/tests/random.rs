//! Both books get the same random commands and must answer, and end up, the same.

mod common;

use book::{Book, Event, FastBook, NaiveBook, Taker};
use common::*;
use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce, UserId};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Command {
    Place(Taker),
    Cancel(usize),
    Reduce(usize, Lots),
    Move(usize, Price),
}

fn any_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

/// Mostly so few prices that everything collides, sometimes anywhere in 64 bits.
fn price() -> impl Strategy<Value = Price> {
    prop_oneof![
        20 => 95u64..=105,
        2 => 0u64..300,
        1 => (0u32..64, 0u64..3).prop_map(|(bit, more)| (1u64 << bit).wrapping_add(more).wrapping_sub(1)),
        1 => (0u64..200).prop_map(|below| u64::MAX - below),
        1 => any::<u64>(),
    ]
    .prop_map(Price)
}

fn qty() -> impl Strategy<Value = Lots> {
    prop_oneof![30 => 1u64..=12, 1 => 1u64..=u64::MAX, 1 => Just(u64::MAX)].prop_map(Lots)
}

fn budget() -> impl Strategy<Value = Option<u128>> {
    prop_oneof![
        6 => Just(None),
        3 => (0u128..5_000).prop_map(Some),
        1 => any::<u128>().prop_map(Some),
    ]
}

prop_compose! {
    fn taker()(
        user in 1u64..=4,
        side in any_of(Side::ALL),
        price in price(),
        qty in qty(),
        budget in budget(),
        time_in_force in prop_oneof![
            4 => Just(TimeInForce::Gtc),
            1 => Just(TimeInForce::Ioc),
            2 => Just(TimeInForce::Fok),
        ],
        post_only in prop::bool::weighted(0.15),
        market in prop::bool::weighted(0.15),
        self_trade in any_of(SelfTrade::ALL),
    ) -> Taker {
        let (id, user) = (OrderId(0), UserId(user));
        Taker { id, user, side, price, qty, budget, time_in_force, post_only, market, self_trade }
    }
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => taker().prop_map(Command::Place),
        2 => any::<usize>().prop_map(Command::Cancel),
        1 => (any::<usize>(), qty()).prop_map(|(at, by)| Command::Reduce(at, by)),
        2 => (any::<usize>(), price()).prop_map(|(at, price)| Command::Move(at, price)),
    ]
}

fn scale() -> impl Strategy<Value = Scale> {
    any_of(&[(0u8, 0u8), (1, 0), (2, 1), (0, 18)])
        .prop_map(|(tick, quote)| Scale::new(1, tick, 1, 0, quote).unwrap())
}

/// Ids like the server's: counted up, of several shards. One in eight was never given out.
fn id_at(at: usize, placed: usize) -> OrderId {
    if at.is_multiple_of(8) || placed == 0 {
        return OrderId(3);
    }
    id_of(at / 8 % placed)
}

fn id_of(count: usize) -> OrderId {
    OrderId(((count as u64 + 1) << 10) | (count as u64 % 3))
}

fn run<B: Book>(book: &mut B, command: &Command, placed: usize, events: &mut Vec<Event>) -> String {
    match command {
        Command::Place(taker) => {
            let taker = Taker { id: id_of(placed), ..*taker };
            format!("{:?}", book.place(&taker, events))
        }
        Command::Cancel(at) => format!("{:?}", book.cancel(id_at(*at, placed))),
        Command::Reduce(at, by) => format!("{:?}", book.reduce(id_at(*at, placed), *by)),
        Command::Move(at, price) => {
            format!("{:?}", book.move_price(id_at(*at, placed), *price, events))
        }
    }
}

fn assert_same(fast: &FastBook, naive: &NaiveBook) {
    fast.check();
    assert_eq!(fast.len(), naive.len());
    for &side in Side::ALL {
        let (orders, levels) = (all_orders(naive, side), all_levels(naive, side));
        assert_eq!(all_orders(fast, side), orders);
        assert_eq!(all_levels(fast, side), levels);
        assert_eq!(fast.best(side), levels.first().copied());
        assert_eq!(naive.best(side), levels.first().copied());
        for (at, order) in orders.iter().enumerate() {
            assert_eq!(fast.get(order.id), Some(*order));
            let mut page = Vec::new();
            fast.orders(side, Some(order.id), 3, &mut page);
            assert_eq!(page, orders[at + 1..orders.len().min(at + 4)]);
        }
        let mut top = Vec::new();
        fast.depth(side, 2, &mut top);
        assert_eq!(top, levels[..levels.len().min(2)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn both_books_agree(
        scale in scale(), seed: u64, commands in prop::collection::vec(command(), 1..250)
    ) {
        let (mut fast, mut naive) = (FastBook::new(scale, seed), NaiveBook::new(scale));
        let mut placed = 0;
        for (at, command) in commands.iter().enumerate() {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            let outcome = run(&mut fast, command, placed, &mut left);
            prop_assert_eq!(&outcome, &run(&mut naive, command, placed, &mut right), "{:?}", command);
            prop_assert_eq!(left, right);
            placed += usize::from(matches!(command, Command::Place(_)));
            prop_assert_eq!(fast.best(Side::Buy), naive.best(Side::Buy));
            prop_assert_eq!(fast.best(Side::Sell), naive.best(Side::Sell));
            if at % 16 == 0 {
                assert_same(&fast, &naive);
            }
        }
        assert_same(&fast, &naive);
    }

    #[test]
    fn levels_anywhere_in_64_bits_stay_in_order(
        prices in prop::collection::vec((any::<u64>(), 0u32..64), 1..300), keep in 0usize..5
    ) {
        let mut book = FastBook::new(plain_scale(), 1);
        let mut expected = std::collections::BTreeMap::new();
        for (count, &(price, shift)) in prices.iter().enumerate() {
            let price = price >> shift;
            place(&mut book, buy(count as u64, price, 1));
            *expected.entry(price).or_insert(0u32) += 1;
        }
        for (count, &(price, shift)) in prices.iter().enumerate() {
            if count % 5 != keep {
                continue;
            }
            let price = price >> shift;
            book.cancel(OrderId(count as u64));
            book.check();
            *expected.get_mut(&price).unwrap() -= 1;
            expected.retain(|_, orders| *orders > 0);
        }
        let seen: Vec<_> =
            all_levels(&book, Side::Buy).iter().map(|level| (level.price.0, level.orders)).collect();
        prop_assert_eq!(seen, expected.into_iter().rev().collect::<Vec<_>>());
    }
}

#[test]
fn the_index_finds_every_order_while_it_grows_and_shrinks() {
    const ORDERS: usize = 20_000;
    let mut book = FastBook::new(plain_scale(), 42);
    let mut events = Vec::new();
    for count in 0..ORDERS {
        let taker = Taker { id: id_of(count), ..buy(0, 1 + count as u64 % 977, 1) };
        book.place(&taker, &mut events);
        if count % 3 == 0 {
            assert_eq!(book.cancel(id_of(count / 2)), Some(Lots(1)));
        }
        if count % 1_000 == 0 {
            book.check();
        }
    }
    book.check();
    for count in 0..ORDERS {
        book.cancel(id_of(count));
    }
    book.check();
    assert!(book.is_empty());
}

//! What the users do next: orders close to the price on both sides, so that about half of them trade
//! and the book stays shallow, and cancels of those that may still rest.
//!
//! The sequence follows from the seed, but for the cancels: only orders that were answered are
//! canceled.

use super::mix::{Kind, Mix};
use super::random::Random;
use super::users::UserRange;

/// Orders that are remembered in order to cancel them: few, since the older ones have traded.
const REMEMBERED_ORDERS: usize = 64;

/// Names an order of this run: whose, and its number, of which its client order id is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderName {
    pub user: u64,
    pub number: u64,
}

/// A limit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub order: OrderName,
    /// Which of the run's markets.
    pub market: usize,
    pub is_buy: bool,
    /// Which of the market's prices, of which the first is the lowest.
    pub price: usize,
    /// Answered when it is settled.
    pub wait: bool,
    /// On its own side of the middle, where it is likely to rest.
    pub is_passive: bool,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Place(Place),
    Cancel(OrderName),
    Balances { user: u64 },
    Depth { market: usize },
}

impl Action {
    /// What it counts as.
    pub fn kind(&self) -> Kind {
        match self {
            Action::Place(place) if place.wait => Kind::PlaceWait,
            Action::Place(_) => Kind::Place,
            Action::Cancel(_) => Kind::Cancel,
            Action::Balances { .. } => Kind::Balances,
            Action::Depth { .. } => Kind::Depth,
        }
    }
}

/// One thread's sequence.
pub struct Actions {
    mix: Mix,
    users: UserRange,
    /// By market, how many prices it has.
    prices: Vec<usize>,
    random: Random,
    /// Numbers of orders are this thread's own: every `stride`th.
    next_number: u64,
    stride: u64,
    resting: Vec<OrderName>,
}

impl Actions {
    /// The sequence of thread `thread` of `threads`. Each market has so many prices, at least one.
    pub fn new(
        mix: Mix,
        users: UserRange,
        prices: &[usize],
        seed: u64,
        (thread, threads): (u64, u64),
    ) -> Actions {
        Actions {
            mix,
            users,
            prices: prices.to_vec(),
            random: Random::new(seed, thread),
            next_number: thread,
            stride: threads,
            resting: Vec::with_capacity(REMEMBERED_ORDERS),
        }
    }

    /// What comes next. Where there is nothing to cancel, an order instead.
    pub fn next(&mut self) -> Action {
        match self.mix.pick(&mut self.random) {
            Kind::Place => self.place(false),
            Kind::PlaceWait => self.place(true),
            Kind::Cancel if self.resting.is_empty() => {
                let wait = self.mix.weight(Kind::Place) == 0;
                self.place(wait)
            }
            Kind::Cancel => {
                let at = self.random.below(self.resting.len() as u64) as usize;
                Action::Cancel(self.resting.swap_remove(at))
            }
            Kind::Balances => Action::Balances { user: self.user() },
            Kind::Depth => Action::Depth { market: self.market() },
        }
    }

    /// An order was accepted.
    pub fn accepted(&mut self, place: &Place) {
        if !place.is_passive {
            return;
        }
        if self.resting.len() < REMEMBERED_ORDERS {
            self.resting.push(place.order);
        } else {
            let at = self.random.below(REMEMBERED_ORDERS as u64) as usize;
            self.resting[at] = place.order;
        }
    }

    fn user(&mut self) -> u64 {
        self.users.nth(self.random.below(self.users.count()))
    }

    fn market(&mut self) -> usize {
        self.random.below(self.prices.len() as u64) as usize
    }

    fn place(&mut self, wait: bool) -> Action {
        let order = OrderName { user: self.user(), number: self.next_number };
        self.next_number += self.stride;
        let is_buy = self.random.below(2) == 0;
        let market = self.market();
        let prices = self.prices[market];
        let price = self.random.below(prices as u64) as usize;
        let is_passive = if is_buy { price < prices / 2 } else { price > prices / 2 };
        Action::Place(Place { order, market, is_buy, price, wait, is_passive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(mix: &str, seed: u64, thread: u64) -> Actions {
        let (mix, users) = (mix.parse().unwrap(), "10".parse().unwrap());
        Actions::new(mix, users, &[17, 17], seed, (thread, 2))
    }

    fn places(mut actions: Actions) -> Vec<Place> {
        let place = |_| match actions.next() {
            Action::Place(place) => place,
            other => panic!("{other:?}"),
        };
        (0..2_000).map(place).collect()
    }

    #[test]
    fn the_same_seed_does_the_same() {
        let of = |seed, thread| places(actions("place=1", seed, thread));
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(2, 0));
        assert_ne!(of(1, 0), of(1, 1));
    }

    #[test]
    fn threads_never_use_the_same_order_number() {
        let numbers = |thread| places(actions("place=1", 1, thread)).into_iter();
        assert!(numbers(0).all(|place| place.order.number % 2 == 0));
        assert!(numbers(1).all(|place| place.order.number % 2 == 1));
    }

    #[test]
    fn both_sides_and_all_prices_and_markets_come() {
        let places = places(actions("place=1", 1, 0));
        let buys = places.iter().filter(|place| place.is_buy).count();
        assert!((900..1_100).contains(&buys), "{buys}");
        assert!((0..17).all(|price| places.iter().any(|place| place.price == price)));
        assert!((0..2).all(|market| places.iter().any(|place| place.market == market)));
    }

    #[test]
    fn only_orders_that_were_accepted_and_may_rest_are_canceled() {
        let mut actions = actions("place=1,cancel=9", 1, 0);
        let mut open: Vec<OrderName> = Vec::new();
        let mut canceled = 0;
        for _ in 0..2_000 {
            match actions.next() {
                Action::Place(place) => {
                    actions.accepted(&place);
                    if place.is_passive {
                        open.push(place.order);
                    }
                }
                Action::Cancel(order) => {
                    let at = open.iter().position(|&known| known == order);
                    open.swap_remove(at.expect("an open order"));
                    canceled += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(canceled > 100, "{canceled}");
    }
}

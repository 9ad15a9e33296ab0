//! Matching: what happens when a taker meets the other side.

use money::{Lots, Price, Scale, SelfTrade, TimeInForce, Units, UserId};

use super::FastBook;
use super::slab::NONE;
use crate::{Event, Outcome, Taker};

/// What a taker still wants while it matches.
struct Wish {
    user: UserId,
    remaining: Lots,
    budget: Option<Units>,
    self_trade: SelfTrade,
    scale: Scale,
}

/// What a taker does at the order it meets.
enum Meeting {
    /// Trades this much, which costs this much of a budget.
    Trade(Lots, Units),
    /// The budget pays, or wants, no more here.
    Sated,
    /// Its own order.
    Own,
}

impl Wish {
    fn new(taker: &Taker, scale: Scale) -> Wish {
        Wish {
            user: taker.user,
            remaining: taker.qty,
            budget: taker.budget,
            self_trade: taker.self_trade,
            scale,
        }
    }

    fn is_done(&self) -> bool {
        self.remaining.0 == 0 || self.budget == Some(0)
    }

    #[inline]
    fn meet(&self, price: Price, maker_user: UserId, maker_remaining: Lots) -> Meeting {
        let most = self.remaining.min(maker_remaining);
        let is_own = self.self_trade != SelfTrade::None && self.user == maker_user;
        let Some(budget) = self.budget else {
            return if is_own { Meeting::Own } else { Meeting::Trade(most, 0) };
        };
        let qty = self.scale.affordable(price, budget, most);
        match self.scale.quote_floor(price, qty) {
            Some(cost) if qty.0 > 0 && cost <= budget => {
                if is_own {
                    Meeting::Own
                } else {
                    Meeting::Trade(qty, cost)
                }
            }
            _ => Meeting::Sated,
        }
    }

    #[inline]
    fn take(&mut self, qty: Lots, cost: Units) {
        self.remaining.0 -= qty.0;
        if let Some(budget) = &mut self.budget {
            *budget -= cost;
        }
    }
}

impl FastBook {
    /// A taker that reaches the best price of the other side, or wants nothing.
    pub(super) fn place_crossing(&mut self, taker: &Taker, events: &mut Vec<Event>) -> Outcome {
        let makers = self.ladder(taker.side.opposite());
        if taker.post_only && makers.reaches(makers.key(taker.price)) {
            return Outcome::WouldTake;
        }
        if taker.time_in_force == TimeInForce::Fok && !self.would_fill(taker) {
            return Outcome::Expired { remaining: taker.qty };
        }
        let mut wish = Wish::new(taker, self.scale);
        self.take(taker, &mut wish, events).unwrap_or_else(|| self.end(taker, wish.remaining))
    }

    /// What becomes of a taker that has found all there is to trade against.
    #[inline]
    pub(super) fn end(&mut self, taker: &Taker, remaining: Lots) -> Outcome {
        if taker.market || taker.time_in_force != TimeInForce::Gtc {
            return Outcome::Expired { remaining };
        }
        self.rest(taker, remaining);
        Outcome::Rested { remaining }
    }

    /// Matches. `None` when the other side has no more at the taker's price.
    fn take(&mut self, taker: &Taker, wish: &mut Wish, events: &mut Vec<Event>) -> Option<Outcome> {
        let side = taker.side.opposite();
        let bound = self.ladder(side).key(taker.price);
        while !wish.is_done() {
            let ladder = self.ladder(side);
            if !ladder.reaches(bound) {
                return None;
            }
            let level = ladder.best();
            let slot = ladder.level(level).head;
            let price = ladder.price(ladder.level(level).key);
            let maker = &mut self.orders[slot];
            match wish.meet(price, maker.user, maker.remaining) {
                Meeting::Trade(qty, cost) => {
                    wish.take(qty, cost);
                    maker.remaining.0 -= qty.0;
                    events.push(Event::Fill {
                        maker: maker.id,
                        maker_user: maker.user,
                        price,
                        qty,
                        maker_remaining: maker.remaining,
                    });
                    let (id, is_filled) = (maker.id, maker.remaining.0 == 0);
                    self.ladders[side as usize].level_mut(level).qty -= u128::from(qty.0);
                    if is_filled {
                        self.index.remove(id, &self.orders);
                        self.unlink(slot);
                    }
                }
                Meeting::Sated => break,
                Meeting::Own => {
                    if wish.self_trade != SelfTrade::ExpireTaker {
                        self.expire(slot, events);
                    }
                    if wish.self_trade != SelfTrade::ExpireMaker {
                        return Some(Outcome::Expired { remaining: wish.remaining });
                    }
                }
            }
        }
        Some(Outcome::Filled { remaining: wish.remaining })
    }

    fn expire(&mut self, slot: u32, events: &mut Vec<Event>) {
        self.index.remove(self.orders[slot].id, &self.orders);
        let price = self.resting(slot).price;
        let maker = self.unlink(slot);
        events.push(Event::MakerExpired {
            maker: maker.id,
            maker_user: maker.user,
            price,
            remaining: maker.remaining,
        });
    }

    /// Whether a taker would end as filled. Walks the levels that it would fill; order by order only
    /// where the orders matter, for self-trade prevention and because each fill of a budget rounds.
    fn would_fill(&self, taker: &Taker) -> bool {
        if taker.budget.is_some() || taker.self_trade != SelfTrade::None {
            return self.would_fill_by_orders(taker);
        }
        let makers = self.ladder(taker.side.opposite());
        let bound = makers.key(taker.price);
        let mut qty = 0u128;
        makers.iter().take_while(|level| level.key <= bound).any(|level| {
            qty += level.qty;
            qty >= u128::from(taker.qty.0)
        })
    }

    fn would_fill_by_orders(&self, taker: &Taker) -> bool {
        let makers = self.ladder(taker.side.opposite());
        let bound = makers.key(taker.price);
        let mut wish = Wish::new(taker, self.scale);
        for level in makers.iter().take_while(|level| level.key <= bound) {
            let price = makers.price(level.key);
            let mut slot = level.head;
            while slot != NONE {
                let maker = &self.orders[slot];
                let mut left = maker.remaining;
                while left.0 > 0 && !wish.is_done() {
                    match wish.meet(price, maker.user, left) {
                        Meeting::Trade(qty, cost) => {
                            wish.take(qty, cost);
                            left.0 -= qty.0;
                        }
                        Meeting::Sated => return true,
                        Meeting::Own if wish.self_trade == SelfTrade::ExpireMaker => break,
                        Meeting::Own => return false,
                    }
                }
                if wish.is_done() {
                    return true;
                }
                slot = maker.after;
            }
        }
        wish.is_done()
    }
}

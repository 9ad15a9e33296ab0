//! The oracle: a book in as few obvious lines as possible, however slow.

use money::{Lots, OrderId, Price, Scale, SelfTrade, Side, TimeInForce};

use crate::{Book, Event, Level, Moved, Outcome, Reduced, RestingOrder, Taker};

/// The obvious [`Book`]: per side a list of orders, best first, then oldest first.
#[derive(Clone, Debug)]
pub struct NaiveBook {
    scale: Scale,
    buys: Vec<Taker>,
    sells: Vec<Taker>,
}

impl NaiveBook {
    /// An empty book.
    pub fn new(scale: Scale) -> NaiveBook {
        NaiveBook { scale, buys: Vec::new(), sells: Vec::new() }
    }

    fn side(&self, side: Side) -> &Vec<Taker> {
        if side == Side::Buy { &self.buys } else { &self.sells }
    }

    fn side_mut(&mut self, side: Side) -> &mut Vec<Taker> {
        if side == Side::Buy { &mut self.buys } else { &mut self.sells }
    }

    fn find(&self, id: OrderId) -> Option<(Side, usize)> {
        [Side::Buy, Side::Sell].into_iter().find_map(|side| {
            self.side(side).iter().position(|order| order.id == id).map(|at| (side, at))
        })
    }

    fn crosses(&self, side: Side, price: Price) -> bool {
        self.side(side.opposite())
            .first()
            .is_some_and(|maker| is_at_least(side, price, maker.price))
    }

    fn rest(&mut self, order: Taker) {
        let orders = self.side_mut(order.side);
        let behind = |resting: &Taker| is_at_least(order.side, resting.price, order.price);
        let at = orders.iter().position(|resting| !behind(resting)).unwrap_or(orders.len());
        orders.insert(at, order);
    }

    fn run(&mut self, taker: &Taker, events: &mut Vec<Event>) -> Outcome {
        let mut taker = *taker;
        loop {
            let remaining = taker.qty;
            if remaining.0 == 0 || taker.budget == Some(0) {
                return Outcome::Filled { remaining };
            }
            if !self.crosses(taker.side, taker.price) {
                if taker.market || taker.time_in_force != TimeInForce::Gtc {
                    return Outcome::Expired { remaining };
                }
                self.rest(taker);
                return Outcome::Rested { remaining };
            }
            let scale = self.scale;
            let makers = self.side_mut(taker.side.opposite());
            let maker = &mut makers[0];
            let (id, maker_user, price) = (maker.id, maker.user, maker.price);
            let mut qty = remaining.min(maker.qty);
            if let Some(budget) = taker.budget {
                qty = scale.affordable(price, budget, qty);
                if qty.0 == 0 || scale.quote_floor(price, qty).is_none() {
                    return Outcome::Filled { remaining };
                }
            }
            if taker.user == maker_user && taker.self_trade != SelfTrade::None {
                if taker.self_trade != SelfTrade::ExpireTaker {
                    let remaining = makers.remove(0).qty;
                    events.push(Event::MakerExpired { maker: id, maker_user, price, remaining });
                }
                if taker.self_trade != SelfTrade::ExpireMaker {
                    return Outcome::Expired { remaining };
                }
                continue;
            }
            taker.qty.0 -= qty.0;
            maker.qty.0 -= qty.0;
            taker.budget = taker.budget.map(|left| left - scale.quote_floor(price, qty).unwrap());
            let maker_remaining = maker.qty;
            events.push(Event::Fill { maker: id, maker_user, price, qty, maker_remaining });
            makers.retain(|maker| maker.qty.0 > 0);
        }
    }
}

/// Whether for this side `price` is as good as `other` or reaches further.
fn is_at_least(side: Side, price: Price, other: Price) -> bool {
    if side == Side::Buy { price >= other } else { price <= other }
}

fn resting(order: &Taker) -> RestingOrder {
    RestingOrder {
        id: order.id,
        user: order.user,
        side: order.side,
        price: order.price,
        remaining: order.qty,
    }
}

impl Book for NaiveBook {
    fn place(&mut self, taker: &Taker, events: &mut Vec<Event>) -> Outcome {
        assert!(taker.qty.0 > 0, "order {} has no quantity", taker.id);
        assert!(self.find(taker.id).is_none(), "order {} is already in the book", taker.id);
        if taker.post_only && self.crosses(taker.side, taker.price) {
            return Outcome::WouldTake;
        }
        if taker.time_in_force != TimeInForce::Fok {
            return self.run(taker, events);
        }
        let mut trial = self.clone();
        let before = events.len();
        let outcome = trial.run(taker, events);
        if !matches!(outcome, Outcome::Filled { .. }) {
            events.truncate(before);
            return Outcome::Expired { remaining: taker.qty };
        }
        *self = trial;
        outcome
    }

    fn cancel(&mut self, id: OrderId) -> Option<Lots> {
        let (side, at) = self.find(id)?;
        Some(self.side_mut(side).remove(at).qty)
    }

    fn reduce(&mut self, id: OrderId, by: Lots) -> Option<Reduced> {
        let (side, at) = self.find(id)?;
        let order = &mut self.side_mut(side)[at];
        if by < order.qty {
            order.qty.0 -= by.0;
            return Some(Reduced::Left { remaining: order.qty });
        }
        self.cancel(id).map(|remaining| Reduced::Removed { remaining })
    }

    fn move_price(&mut self, id: OrderId, price: Price, events: &mut Vec<Event>) -> Option<Moved> {
        let (side, at) = self.find(id)?;
        let order = self.side(side)[at];
        if order.price == price {
            return Some(Moved::Unchanged);
        }
        if order.post_only && self.crosses(side, price) {
            return Some(Moved::WouldTake);
        }
        self.cancel(id);
        let anew = Taker { price, budget: None, ..order };
        Some(Moved::Placed(self.place(&anew, events)))
    }

    fn get(&self, id: OrderId) -> Option<RestingOrder> {
        self.find(id).map(|(side, at)| resting(&self.side(side)[at]))
    }

    fn best(&self, side: Side) -> Option<Level> {
        let mut levels = Vec::new();
        self.depth(side, 1, &mut levels);
        levels.pop()
    }

    fn depth(&self, side: Side, limit: usize, out: &mut Vec<Level>) {
        for orders in self.side(side).chunk_by(|left, right| left.price == right.price).take(limit)
        {
            out.push(Level {
                price: orders[0].price,
                qty: orders.iter().map(|order| u128::from(order.qty.0)).sum(),
                orders: orders.len() as u32,
            });
        }
    }

    fn orders(
        &self,
        side: Side,
        after: Option<OrderId>,
        limit: usize,
        out: &mut Vec<RestingOrder>,
    ) {
        let orders = self.side(side);
        let skip = match after {
            Some(id) => {
                orders.iter().position(|order| order.id == id).map_or(orders.len(), |at| at + 1)
            }
            None => 0,
        };
        out.extend(orders.iter().skip(skip).take(limit).map(resting));
    }

    fn len(&self) -> usize {
        self.buys.len() + self.sells.len()
    }
}

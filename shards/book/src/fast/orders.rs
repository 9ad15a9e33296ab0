//! The resting orders: one slot each, linked into the queue of their level.

use money::{Lots, OrderId, Price, SelfTrade, Side, TimeInForce, UserId};

use super::slab::Slab;
use crate::Taker;

/// All resting orders of a book.
pub(super) type Orders = Slab<Order>;

/// A resting order. Its price is its level's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) user: UserId,
    pub(super) remaining: Lots,
    /// The order that came before it at its level.
    pub(super) before: u32,
    /// The order that came after it at its level.
    pub(super) after: u32,
    /// Its level, in the ladder of its side.
    pub(super) level: u32,
    pub(super) side: Side,
    pub(super) self_trade: SelfTrade,
    pub(super) post_only: bool,
}

impl Order {
    /// The taker that would rest as this order at a price.
    pub(super) fn taker(&self, price: Price) -> Taker {
        Taker {
            id: self.id,
            user: self.user,
            side: self.side,
            price,
            qty: self.remaining,
            budget: None,
            time_in_force: TimeInForce::Gtc,
            post_only: self.post_only,
            market: false,
            self_trade: self.self_trade,
        }
    }
}

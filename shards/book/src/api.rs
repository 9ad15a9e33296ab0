//! What goes into a book and what comes out, the same for both books.

use money::{Lots, OrderId, Price, SelfTrade, Side, TimeInForce, Units, UserId};

/// An order that comes in. The home shard has checked it and reserved its funds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    /// Unique for ever.
    pub id: OrderId,
    /// Whose it is, for self-trade prevention and to address the fills.
    pub user: UserId,
    /// Which side.
    pub side: Side,
    /// The worst price it trades at: its limit, or for a market order the bound that its home set.
    pub price: Price,
    /// How much, in lots, above zero. For a market order by quote budget the most it may trade.
    pub qty: Lots,
    /// A market order's limit in quote units; `None` is no limit. A buy never *spends* more than
    /// this (it takes the lots that what is left still affords, by [`money::Scale::affordable`]), a
    /// sell stops once it has *received* this much or one more lot at the price at hand would bring
    /// more than is left (the same `affordable`). An amount too large to count is not affordable.
    /// Each fill is floored and counted by itself, so what flooring saved may pay for one fill more
    /// with the same order. Nothing is left to do with a budget of 0, even
    /// where a lot would cost 0. The budget ends with the matching: should the order rest, what
    /// rests has none.
    pub budget: Option<Units>,
    /// Gtc rests what is left (unless `market`); Ioc expires it; Fok ends as [`Outcome::Filled`] or
    /// does nothing: with a budget it succeeds if the budget is used up before the other side is.
    pub time_in_force: TimeInForce,
    /// Reject if it would take: if the best order of the other side, be it an own one, is within its
    /// price. This comes before all else; if it would not take, the time in force decides as ever,
    /// so that with Ioc, Fok or `market` it expires.
    pub post_only: bool,
    /// Never rests, whatever the time in force says.
    pub market: bool,
    /// What happens at an own order on the other side that it would trade with, that is with lots
    /// and budget left for it; the taker's rule counts, not the maker's. Fok fails as a whole,
    /// expiring nobody, if it meets an own order with a rule that expires the taker before it is
    /// filled; own orders that it would expire do not count as lots to fill it.
    pub self_trade: SelfTrade,
}

/// What happened to a resting order while a taker came in, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A trade at the maker's price.
    Fill {
        /// The resting order.
        maker: OrderId,
        /// Its user.
        maker_user: UserId,
        /// The maker's price.
        price: Price,
        /// Lots traded, above zero.
        qty: Lots,
        /// What the maker has left; at 0 it has left the book.
        maker_remaining: Lots,
    },
    /// Self-trade prevention took the resting order out of the book.
    MakerExpired {
        /// The resting order.
        maker: OrderId,
        /// Its user.
        maker_user: UserId,
        /// Its price.
        price: Price,
        /// What it had left.
        remaining: Lots,
    },
}

/// How a taker ended up. `remaining` is what it did not fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In the book.
    Rested {
        /// Lots in the book.
        remaining: Lots,
    },
    /// Nothing is left to do: all lots filled, or the budget does not pay (or want) one lot more at
    /// the best price left.
    Filled {
        /// Lots not traded: above zero only with a budget.
        remaining: Lots,
    },
    /// Ended by its own terms: IOC or market with no more to trade against within its price, FOK that
    /// could not be filled wholly (then nothing happened at all), self-trade prevention.
    Expired {
        /// Lots not traded.
        remaining: Lots,
    },
    /// Post-only that would have taken; nothing happened.
    WouldTake,
}

/// What became of a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduced {
    /// Still in the book, at its old priority.
    Left {
        /// Lots left.
        remaining: Lots,
    },
    /// At or past the remainder: taken out.
    Removed {
        /// Lots it had before.
        remaining: Lots,
    },
}

/// What became of a change of price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was at that price already: nothing changed, priority kept.
    Unchanged,
    /// Post-only that would have taken at the new price: it stays where it was, priority kept.
    WouldTake,
    /// Taken out and placed anew at the new price with its remainder, as a GTC limit order with its
    /// own self-trade rule and post-only flag; the fills are in the events.
    Placed(Outcome),
}

/// One price of one side, for depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// Lots of all its orders together. Wider than [`Lots`] because the sum may be.
    pub qty: u128,
    /// How many orders.
    pub orders: u32,
}

/// A resting order, for the full book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    /// The order.
    pub id: OrderId,
    /// Its user.
    pub user: UserId,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: Price,
    /// Lots left.
    pub remaining: Lots,
}

/// Why an order from an image fits in no book with those restored before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It has no quantity.
    #[error("resting order {0} has no quantity")]
    Empty(OrderId),
    /// Its id rests already.
    #[error("resting order {0} is there twice")]
    Twice(OrderId),
    /// It would trade.
    #[error("resting order {0} crosses the other side")]
    Crossed(OrderId),
}

/// The order book of one symbol.
pub trait Book {
    /// Brings an order in: matches, then rests, expires or rejects what is left. Appends what
    /// happened to makers to `events`, which the caller clears and reuses.
    ///
    /// # Panics
    /// When `taker.qty` is zero or `taker.id` is already in the book: the home shard promised. An id
    /// already in the book may go unnoticed if the taker does not rest.
    fn place(&mut self, taker: &Taker, events: &mut Vec<Event>) -> Outcome;

    /// Takes an order out. Returns what it had left, `None` if it is not in the book.
    fn cancel(&mut self, id: OrderId) -> Option<Lots>;

    /// Makes an order smaller by `by` lots (0 changes nothing); it keeps its priority. `None` if not
    /// in the book.
    fn reduce(&mut self, id: OrderId, by: Lots) -> Option<Reduced>;

    /// Changes an order's price; it loses its priority and matches if it crosses. `None` if not in
    /// the book.
    fn move_price(&mut self, id: OrderId, price: Price, events: &mut Vec<Event>) -> Option<Moved>;

    /// The order, if it is in the book.
    fn get(&self, id: OrderId) -> Option<RestingOrder>;

    /// Best price of a side with its quantity.
    fn best(&self, side: Side) -> Option<Level>;

    /// The best `limit` levels of a side, best first, appended to `out`.
    fn depth(&self, side: Side, limit: usize, out: &mut Vec<Level>);

    /// Up to `limit` orders of a side in priority order (best price first, then time), appended to
    /// `out`, beginning behind the order `after`, or at the best. `after` must be in the book on this
    /// side; otherwise nothing is appended.
    fn orders(&self, side: Side, after: Option<OrderId>, limit: usize, out: &mut Vec<RestingOrder>);

    /// How many orders rest.
    fn len(&self) -> usize;

    /// Whether no order rests.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

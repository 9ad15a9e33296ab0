//! What a step causes. Effects are held back by the caller until the step's record is durable.

use money::{Lots, OrderId, OrderStatus, Price, ShardId, Side, SymbolId, TradeId, UserId};

use crate::reply::{Origin, Reply};

/// Something that happened, for whoever watches: market data, summaries, replay drivers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A trade in a book of this shard.
    Trade {
        /// Where.
        symbol: SymbolId,
        /// Which.
        trade: TradeId,
        /// The order that came in.
        taker: OrderId,
        /// The order that was resting.
        maker: OrderId,
        /// The price.
        price: Price,
        /// Lots.
        qty: Lots,
        /// The taker's side.
        taker_side: Side,
        /// When, in ms since the epoch.
        at_ms: u64,
    },
    /// An order of a user of this shard changed.
    Order {
        /// Whose.
        user: UserId,
        /// Which.
        order: OrderId,
        /// Where it stands.
        status: OrderStatus,
    },
}

/// What one or several steps caused, in order. Reused between steps.
#[derive(Debug, Default)]
pub struct Effects {
    /// Answers to give.
    pub replies: Vec<(Origin, Reply)>,
    /// For each peer that has new messages in the outbox, the number of the last one.
    pub sends: Vec<(ShardId, u64)>,
    /// What happened, when `wants_events`.
    pub events: Vec<Event>,
    /// Whether anyone watches.
    pub wants_events: bool,
}

impl Effects {
    /// Forgets what was caused, keeping the memory.
    pub fn clear(&mut self) {
        self.replies.clear();
        self.sends.clear();
        self.events.clear();
    }
}

//! Questions that change nothing. They are not journaled; their answers still wait until what they
//! show is durable.

use money::{
    OrderId, OrderStatus, Placement, ShardId, Side, SymbolId, TradeId, UserId, WithdrawalStatus,
};

use crate::command::OrderRef;
use crate::klines::Interval;
use crate::registry::Registry;

/// Most rows that one answer holds.
pub const MAX_ROWS: usize = 1_000;

/// Which of a user's orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderFilter {
    /// Those that may still trade, newest first.
    Open,
    /// Ended ones, the one that ended last first.
    Ended,
    /// The open ones, and behind them the ended ones.
    All,
    /// Those of one status.
    Status(OrderStatus),
}

/// A question. Each has one owner shard, see [`Query::owner`]. `limit` is cut to [`MAX_ROWS`],
/// but for [`Query::Depth`].
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// One order of a user.
    Order {
        /// Whose.
        user: UserId,
        /// Which.
        order: OrderRef,
    },
    /// Orders of a user.
    Orders {
        /// Whose.
        user: UserId,
        /// Only of this symbol.
        symbol: Option<SymbolId>,
        /// Which.
        filter: OrderFilter,
        /// Behind this one, in the list's order.
        before: Option<OrderId>,
        /// How many.
        limit: usize,
    },
    /// Trades of a user, newest first.
    Trades {
        /// Whose.
        user: UserId,
        /// Only of this symbol.
        symbol: Option<SymbolId>,
        /// Only older than this trade of `symbol`.
        before: Option<TradeId>,
        /// How many.
        limit: usize,
    },
    /// Balances of a user.
    Balances {
        /// Whose.
        user: UserId,
    },
    /// The best levels of a book.
    Depth {
        /// Where.
        symbol: SymbolId,
        /// Levels per side.
        limit: usize,
    },
    /// The last trades of a symbol, newest first.
    PublicTrades {
        /// Where.
        symbol: SymbolId,
        /// How many.
        limit: usize,
    },
    /// Candles of a symbol, oldest first.
    Klines {
        /// Where.
        symbol: SymbolId,
        /// How long each is.
        interval: Interval,
        /// Only those that begin at or after this, in ms since the epoch.
        start_ms: u64,
        /// Only those that begin at or before this.
        end_ms: u64,
        /// How many, the last ones.
        limit: usize,
    },
    /// The last 24 hours of a symbol.
    Ticker {
        /// Where.
        symbol: SymbolId,
    },
    /// Trades of a symbol with both orders, oldest first, for administrators.
    Tape {
        /// Where.
        symbol: SymbolId,
        /// Only newer than this trade.
        after: TradeId,
        /// How many.
        limit: usize,
    },
    /// Resting orders of one side in priority order, for administrators.
    Book {
        /// Where.
        symbol: SymbolId,
        /// Which side.
        side: Side,
        /// Only behind this order; it must rest.
        after: Option<OrderId>,
        /// How many.
        limit: usize,
    },
    /// What a shard holds, for administrators.
    Status {
        /// Which.
        shard: ShardId,
    },
    /// One user, for administrators.
    User {
        /// Who.
        user: UserId,
    },
    /// The users at home on one shard by id, for administrators.
    Users {
        /// Where.
        shard: ShardId,
        /// Only behind this id; nobody need have it.
        after: Option<UserId>,
        /// How many.
        limit: usize,
    },
    /// Withdrawals in two steps of a user, newest first.
    Withdrawals {
        /// Whose.
        user: UserId,
        /// Only those of this status.
        status: Option<WithdrawalStatus>,
        /// How many.
        limit: usize,
    },
    /// Pending withdrawals of all users at home on one shard, oldest first, for administrators.
    PendingWithdrawals {
        /// Where.
        shard: ShardId,
        /// How many.
        limit: usize,
    },
}

impl Query {
    /// The shard that can answer, as a shard with these symbols knows it.
    pub fn owner(&self, placement: Placement, registry: &Registry) -> ShardId {
        match self {
            Query::Order { user, .. }
            | Query::Orders { user, .. }
            | Query::Trades { user, .. }
            | Query::Balances { user }
            | Query::User { user }
            | Query::Withdrawals { user, .. } => placement.home_of(*user),
            Query::Depth { symbol, .. }
            | Query::PublicTrades { symbol, .. }
            | Query::Klines { symbol, .. }
            | Query::Ticker { symbol }
            | Query::Tape { symbol, .. }
            | Query::Book { symbol, .. } => registry.shard_of(*symbol, placement),
            Query::Status { shard }
            | Query::Users { shard, .. }
            | Query::PendingWithdrawals { shard, .. } => *shard,
        }
    }
}

//! What a shard answers.

use book::{Level, RestingOrder};
use money::{
    AssetError, AssetId, Cid, Lots, OrderId, OrderKind, OrderStatus, Price, Role, RuleBreak, Side,
    SymbolId, SymbolSpecError, SymbolStatus, TimeInForce, TradeId, Units, UserId, WithdrawalStatus,
};
use rkyv::{Archive, Deserialize, Serialize};

use crate::klines::{Candle, Ticker};

/// A withdrawal in two steps, as its user and operators see it.
pub use ledger::Withdrawal as WithdrawalView;

/// Where an answer goes: the shard of the connection and the gateway's own token. Not journaled; a
/// replay answers nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The shard whose gateway asked.
    pub shard: money::ShardId,
    /// What the gateway knows it by.
    pub token: u64,
}

/// Why a command or query was refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not enough available.
    #[error("needs {needed} units of asset {asset}, {avail} available")]
    InsufficientBalance {
        /// Of what.
        asset: AssetId,
        /// What would be needed, in units.
        needed: Units,
        /// What there is, in units.
        avail: Units,
    },
    /// A rule of the symbol is broken.
    #[error("{0}")]
    Rule(RuleBreak),
    /// No such symbol.
    #[error("symbol: unknown")]
    UnknownSymbol,
    /// No such asset.
    #[error("asset: unknown")]
    UnknownAsset,
    /// No such user.
    #[error("user_id: unknown")]
    UnknownUser,
    /// The user is frozen.
    #[error("user is frozen")]
    UserFrozen,
    /// The symbol does not accept this now.
    #[error("symbol: status is {0}")]
    SymbolNotTrading(SymbolStatus),
    /// A market order that needs a reference price where there is none yet.
    #[error("symbol: has no reference price yet, a market order cannot be reserved")]
    NoReference,
    /// The user has no such order, or it ended too long ago.
    #[error("no such order")]
    OrderNotFound,
    /// The order has ended.
    #[error("order is {0}")]
    OrderNotOpen(OrderStatus),
    /// Another move of the order is under way.
    #[error("a move of this order is under way")]
    MoveUnderWay,
    /// The order cannot be moved so: it is post-only and would take, or no limit order.
    #[error("new_price: a post-only order would take there")]
    MoveWouldTake,
    /// A market order has no price to move.
    #[error("new_price: a MARKET order has no price")]
    MoveMarket,
    /// The user exists already.
    #[error("user_id: exists already")]
    UserExists,
    /// The asset exists already.
    #[error("asset: exists already")]
    AssetExists,
    /// The symbol exists already.
    #[error("symbol: exists already")]
    SymbolExists,
    /// The asset cannot be.
    #[error("{0}")]
    AssetInvalid(AssetError),
    /// The symbol cannot be.
    #[error("{0}")]
    SymbolInvalid(SymbolSpecError),
    /// The `ref` was used for a different payment.
    #[error("ref: was used for another payment")]
    ReferenceReused,
    /// The sum of all deposits would not fit 128 bits.
    #[error("amount: is too large")]
    AmountTooLarge,
    /// A symbol was to be placed on a shard that is not there.
    #[error("shard: must be 0 to {}, there are {shards} shards", shards - 1)]
    NoSuchShard {
        /// How many there are.
        shards: u16,
    },
    /// No ids are left.
    #[error("ids are used up")]
    IdsExhausted,
    /// As many as allowed at once are under way.
    #[error("too many of these are under way, try again")]
    Busy,
    /// `after` names an order that does not rest on that side.
    #[error("after: is not a resting order of this side")]
    CursorGone,
    /// A change of a role, a key or a session is refused.
    #[error("{0}")]
    Identity(identity::Refusal),
    /// The user has as many pending withdrawals as it may.
    #[error("a user has at most {} pending withdrawals", crate::MAX_PENDING_WITHDRAWALS)]
    TooManyWithdrawals,
    /// No withdrawal in two steps of this `ref`.
    #[error("ref: no such withdrawal")]
    UnknownWithdrawal,
    /// The withdrawal has ended the other way.
    #[error("the withdrawal is {0}")]
    WithdrawalEnded(WithdrawalStatus),
}

/// An order as its user sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderView {
    /// The order.
    pub order: OrderId,
    /// The client's id.
    pub cid: Option<Cid>,
    /// Whose.
    pub user: UserId,
    /// Where.
    pub symbol: SymbolId,
    /// Its side.
    pub side: Side,
    /// Its kind.
    pub kind: OrderKind,
    /// Its time in force.
    pub time_in_force: TimeInForce,
    /// Its limit; 0 for MARKET.
    pub price: Price,
    /// Its quantity, after reductions; for MARKET by quote budget what was filled so far.
    pub qty: Lots,
    /// The quote budget of such an order.
    pub quote_qty: Option<Units>,
    /// Lots filled.
    pub filled: Lots,
    /// Quote units of all fills.
    pub filled_quote: Units,
    /// Where it stands.
    pub status: OrderStatus,
    /// When the home accepted it, in ms since the epoch.
    pub created_at_ms: u64,
    /// When it last changed, in ms since the epoch.
    pub updated_at_ms: u64,
}

/// A trade as one of its two users sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TradeView {
    /// Which trade of the symbol.
    pub trade: TradeId,
    /// The user's order.
    pub order: OrderId,
    /// Where.
    pub symbol: SymbolId,
    /// The user's side.
    pub side: Side,
    /// The price.
    pub price: Price,
    /// Lots.
    pub qty: Lots,
    /// What this user paid of what it received, in units of `fee_asset`.
    pub fee: Units,
    /// Of what.
    pub fee_asset: AssetId,
    /// Maker or taker.
    pub role: Role,
    /// When, in ms since the epoch.
    pub at_ms: u64,
}

/// A trade as its symbol's shard keeps it.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct TapeEntry {
    /// Which trade.
    pub trade: TradeId,
    /// The order that came in.
    pub taker: OrderId,
    /// The order that was resting.
    pub maker: OrderId,
    /// The price.
    pub price: Price,
    /// Lots.
    pub qty: Lots,
    /// The taker's side.
    pub taker_side: Side,
    /// When, in ms since the epoch.
    pub at_ms: u64,
}

/// A balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceView {
    /// Of what.
    pub asset: AssetId,
    /// Free to use, in units.
    pub avail: Units,
    /// Held by open orders and pending withdrawals, in units.
    pub frozen: Units,
}

/// A user, as its home knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Who.
    pub user: UserId,
    /// A name for people.
    pub name: Option<String>,
    /// Frozen by an administrator.
    pub frozen: bool,
}

/// One asset's proof: over all shards at one cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetProof {
    /// Which asset.
    pub asset: AssetId,
    /// The sums over all shards.
    pub totals: crate::message::AssetTotals,
}

impl AssetProof {
    /// Whether deposits − withdrawals = Σ avail + Σ frozen + fees + in flight.
    pub fn is_balanced(&self) -> bool {
        let totals = &self.totals;
        let left = totals.deposits.checked_sub(totals.withdrawals);
        let right = totals
            .avail
            .checked_add(totals.frozen)
            .and_then(|sum| sum.checked_add(totals.fees))
            .and_then(|sum| sum.checked_add_signed(totals.in_flight));
        left.is_some() && left == right
    }
}

/// What a shard holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EngineStatus {
    /// Users at home here.
    pub users: u64,
    /// Symbols whose book is here.
    pub symbols: u64,
    /// Open orders of the users here.
    pub open_orders: u64,
    /// Orders resting in the books here.
    pub resting_orders: u64,
    /// Orders ever accepted here, over all runs.
    pub orders_placed: u64,
    /// Trades ever made in the books here, over all runs.
    pub trades: u64,
    /// Messages to other shards that they have not confirmed.
    pub unconfirmed: u64,
    /// A running hash of everything that this shard's inputs have caused.
    pub state_hash: u64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// No.
    Refused(Refusal),
    /// The order is accepted, reserved and on its way to the book. The same for a repeated `cid`,
    /// with the first order's id and time.
    Accepted {
        /// The order.
        order: OrderId,
        /// The client's id.
        cid: Option<Cid>,
        /// When it was accepted, in ms since the epoch.
        at_ms: u64,
    },
    /// The order is matched, and every fill settled on both sides.
    Matched {
        /// The order now.
        order: Box<OrderView>,
        /// Its fills, oldest first, as far as the trade history reaches.
        fills: Vec<TradeView>,
    },
    /// One order: asked for, canceled, reduced or moved.
    Order(Box<OrderView>),
    /// Several orders.
    Orders(Vec<OrderView>),
    /// Orders were canceled.
    CanceledAll {
        /// How many.
        count: u32,
        /// There may be more: repeat the command.
        more: bool,
    },
    /// A deposit or withdrawal is applied (now or before, by the same `ref`).
    Balance(BalanceView),
    /// A user's balances by asset id.
    Balances(Vec<BalanceView>),
    /// A user is created, frozen or unfrozen.
    User(UserId),
    /// An asset is defined everywhere.
    Asset(AssetId),
    /// A symbol is defined or changed everywhere.
    Symbol(SymbolId),
    /// Levels, best first.
    Depth {
        /// Buy side.
        bids: Vec<Level>,
        /// Sell side.
        asks: Vec<Level>,
        /// Counts the changes of this book.
        last_update_id: u64,
    },
    /// A user's trades.
    Trades(Vec<TradeView>),
    /// A symbol's trades.
    Tape(Vec<TapeEntry>),
    /// A symbol's candles, oldest first.
    Klines(Vec<Candle>),
    /// A symbol's last 24 hours; `None` before its first trade.
    Ticker(Option<Box<Ticker>>),
    /// Resting orders.
    Book(Vec<RestingOrder>),
    /// Per asset, over all shards.
    Proof(Vec<AssetProof>),
    /// What the shard holds.
    Status(Box<EngineStatus>),
    /// A role, a key or a session is changed everywhere.
    Identity(identity::Outcome),
    /// One user.
    Account(AccountView),
    /// Users of one shard.
    Accounts(Vec<AccountView>),
    /// A withdrawal in two steps as it is now, be it asked for or ended now or before.
    Withdrawal(Box<WithdrawalView>),
    /// Several of them.
    Withdrawals(Vec<WithdrawalView>),
}

//! The pieces, as they stand in a snapshot.

use identity::{KeyRecord, Outcome, SessionRecord, UserIdentity};
use ledger::Withdrawal;
use money::{
    Asset, AssetId, Cid, Lots, OrderId, OrderKind, OrderStatus, Price, Role, SelfTrade, ShardId,
    Side, SymbolId, SymbolSpec, TimeInForce, TradeId, Units, UserId,
};
use rkyv::{Archive, Deserialize, Serialize};

use crate::klines::{Candle, Interval};
use crate::message::{AssetTotals, Message, Ticket};
use crate::reply::TapeEntry;

/// Most items in one piece, so that it is written and checked in bounded memory. A user's balances
/// count one each and are not split: one user may have a balance of every asset.
pub const MAX_PIECE_ITEMS: usize = 4_096;

/// A part of an image. They come in the order in which they are declared, but for `Placed`; of each kind
/// but the first there are as many as it takes.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Piece {
    /// The first one, once.
    Counters(Counters),
    /// By id, from the first.
    Assets(Vec<Asset>),
    /// By id, from the first.
    Symbols(Vec<SymbolImage>),
    /// Reference prices of symbols that are not defined here yet.
    EarlyReferences(Vec<(SymbolId, Price)>),
    /// By asset id.
    House(Vec<HouseImage>),
    /// In the order of their creation.
    People(Vec<PersonImage>),
    /// By user and `ref`.
    Payments(Vec<PaymentImage>),
    /// The users' trades, oldest first.
    Trades(Vec<TradeImage>),
    /// Open orders by user, in the order of `People`; each user's oldest first.
    Open(Vec<OrderImage>),
    /// Ended orders, in the order they ended.
    Ended(Vec<OrderImage>),
    /// A market of this shard, before its orders and trades.
    Market(MarketImage),
    /// Resting orders of the market before, one side, in priority order.
    Resting(Side, Vec<RestingImage>),
    /// Trades of the market before, oldest first.
    Tape(Vec<TapeEntry>),
    /// The minute of the market before that is not over.
    Minute(Candle),
    /// Candles of one interval of the market before, oldest first.
    Candles(Interval, Vec<Candle>),
    /// Where the exchange with a peer stands, before what is kept for it.
    Peer(PeerImage),
    /// Messages that the peer before has not confirmed, in order.
    Kept(Vec<Message>),
    /// Questions under way, by ticket.
    Questions(Vec<QuestionImage>),
    /// A cut that is not complete, before its totals.
    Cut(CutImage),
    /// Totals of the cut before, by asset id.
    CutTotals(Vec<AssetTotals>),
    /// What is known of users beside their accounts, of all shards' users, by id.
    Identities(Vec<(UserId, UserIdentity)>),
    /// All keys, by id.
    Keys(Vec<KeyRecord>),
    /// All open sessions, by id.
    Sessions(Vec<SessionRecord>),
    /// Withdrawals in two steps, in the order of their requests.
    Withdrawals(Vec<Withdrawal>),
    /// Symbols that were placed by hand, and the shards that were asked for; by id. Comes before
    /// `Symbols`.
    Placed(Vec<(SymbolId, ShardId)>),
}

/// What counts up, and what is sure to be there once.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Whose image this is.
    pub shard: ShardId,
    /// Of how many.
    pub shards: u16,
    /// Time of the last step, in ms since the epoch.
    pub now_ms: u64,
    /// See [`crate::Engine::state_hash`].
    pub state_hash: u64,
    /// Orders of this shard so far.
    pub order_count: u64,
    /// The count inside the next automatic user id.
    pub user_count: u64,
    /// The next ticket.
    pub next_ticket: Ticket,
    /// The link of the first entry in `Trades`.
    pub first_trade: u64,
    /// How many users there are, to make room for.
    pub users: u64,
    /// How many balances.
    pub balances: u64,
    /// How many open and ended orders.
    pub orders: u64,
}

/// A symbol as this shard knows it.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SymbolImage {
    /// Steps and rules.
    pub spec: SymbolSpec,
    /// The published reference price.
    pub reference: Option<Price>,
}

/// What the house counts of an asset, in units.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct HouseImage {
    /// Of what.
    pub asset: AssetId,
    /// All ever paid in.
    pub deposits: Units,
    /// All ever paid out.
    pub withdrawals: Units,
    /// The house account.
    pub fees: Units,
}

/// A user.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PersonImage {
    /// Who.
    pub user: UserId,
    /// A name for people.
    pub name: Option<String>,
    /// Frozen by an administrator.
    pub frozen: bool,
    /// The link of the last trade; 0 is none.
    pub last_trade: u64,
    /// Asset, available, frozen; by asset id.
    pub balances: Vec<(AssetId, Units, Units)>,
}

/// A payment made.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PaymentImage {
    /// Whose.
    pub user: UserId,
    /// The operator's id of it.
    pub reference: String,
    /// A withdrawal, not a deposit.
    pub is_withdrawal: bool,
    /// Of what.
    pub asset: AssetId,
    /// How much, in units.
    pub amount: Units,
}

/// A user's side of a trade.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeImage {
    /// Paid to the house, in units of what this side received.
    pub fee: Units,
    /// Which trade.
    pub trade: TradeId,
    /// Of which order.
    pub order: OrderId,
    /// At the maker's price.
    pub price: Price,
    /// Lots.
    pub qty: Lots,
    /// When, in ms since the epoch.
    pub at_ms: u64,
    /// Where.
    pub symbol: SymbolId,
    /// How many entries back the user's trade before is; 0 is none.
    pub before_of_account: u32,
    /// How many entries back the order's trade before is; 0 is none.
    pub before_of_order: u32,
    /// The order's side.
    pub side: Side,
    /// Maker or taker.
    pub role: Role,
}

/// An order at its home.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct OrderImage {
    /// Its id.
    pub id: OrderId,
    /// The client's id.
    pub cid: Option<Cid>,
    /// Whose.
    pub user: UserId,
    /// Where.
    pub symbol: SymbolId,
    /// Which side.
    pub side: Side,
    /// LIMIT, MARKET or POST_ONLY.
    pub kind: OrderKind,
    /// GTC, IOC or FOK.
    pub time_in_force: TimeInForce,
    /// Where it stands.
    pub status: OrderStatus,
    /// The book has answered the question that brought it there.
    pub matched: bool,
    /// Its limit.
    pub price: Price,
    /// Its quantity.
    pub qty: Lots,
    /// The quote budget of a market order by one; 0 is none.
    pub quote_qty: Units,
    /// Lots filled.
    pub filled: Lots,
    /// Quote units traded.
    pub filled_quote: Units,
    /// In ms since the epoch.
    pub created_at_ms: u64,
    /// In ms since the epoch.
    pub updated_at_ms: u64,
    /// The question that brought it to the book.
    pub ticket: Ticket,
    /// The price of a move under way; 0 is none.
    pub moving_to: Price,
    /// The link of its last trade; 0 is none.
    pub last_trade: u64,
    /// The price that is held for. Of an ended order this and the next two are nothing.
    pub hold_price: Price,
    /// Lots still held for.
    pub hold_remaining: Lots,
    /// What is left of a market buy's budget.
    pub hold_budget: Option<Units>,
}

/// A market of this shard.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketImage {
    /// Which.
    pub symbol: SymbolId,
    /// Number of its last trade.
    pub last_trade: u64,
    /// Number of the last change of its book.
    pub last_update: u64,
}

/// A resting order of a market.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingImage {
    /// Its id.
    pub id: OrderId,
    /// Whose.
    pub user: UserId,
    /// At which price.
    pub price: Price,
    /// Lots left.
    pub remaining: Lots,
    /// Its rule for own orders.
    pub self_trade: SelfTrade,
    /// Whether it must not take when moved.
    pub post_only: bool,
}

/// The exchange with a peer.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerImage {
    /// Which.
    pub peer: ShardId,
    /// Number of the first message kept for it, or of the next one.
    pub first_kept: u64,
    /// Number of the last message applied from it.
    pub applied: u64,
}

/// What was asked.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum QuestionKind {
    /// Place an order and wait for both sides' settlement.
    Place(OrderId),
    /// Cancel, reduce or move an order.
    Change(OrderId),
    /// Cancel several orders; there may be more.
    CancelAll {
        /// There may be more.
        more: bool,
    },
    /// Define an asset.
    Asset(AssetId),
    /// Define or change a symbol.
    Symbol(SymbolId),
    /// Change a role, a key or a session: it comes to this. In a box, so that the other kinds keep their
    /// length in snapshots of before.
    Identity(Box<Outcome>),
}

/// A question under way.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct QuestionImage {
    /// Its ticket.
    pub ticket: Ticket,
    /// What was asked.
    pub kind: QuestionKind,
    /// Answers of symbol shards still to come.
    pub outstanding: u32,
    /// Probes still to come back; below zero when they overtook the answer that announces them.
    pub probes: i32,
    /// Orders canceled.
    pub count: u32,
}

/// A cut that is not complete.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct CutImage {
    /// The registrar's question.
    pub ticket: Ticket,
    /// Shards whose marker, or at the registrar whose report, is still to come.
    pub missing: CutMissing,
}

/// What a cut waits for.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum CutMissing {
    /// This shard's part: by shard, whether its marker is still to come.
    Markers(Vec<bool>),
    /// The registrar's collection: how many reports are still to come.
    Reports(u16),
}

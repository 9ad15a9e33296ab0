//! What shards say to each other, and the batches it travels in.
//!
//! Between two shards messages are numbered from 1 without gaps, per direction. The receiver applies
//! each exactly once, in order; the sender keeps what the receiver has not confirmed durable.

use money::{
    Asset, AssetId, Lots, OrderId, Price, Role, SelfTrade, ShardId, Side, SymbolId, SymbolPatch,
    TimeInForce, TradeId, Units, UserId,
};
use rkyv::{Archive, Deserialize, Serialize};

use crate::command::{NewSymbol, PlacedSymbol};

/// Consecutive messages from one shard to another.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct PeerBatch {
    /// Who sends.
    pub source: ShardId,
    /// Number of the first message; the others follow by one.
    pub first_sequence: u64,
    /// The highest number of the receiver's own messages to `source` that `source` has applied
    /// durably: the receiver may forget those.
    pub confirmed: u64,
    /// The messages. Empty when only `confirmed` is news; such a batch is not journaled.
    pub messages: Vec<Message>,
}

impl PeerBatch {
    /// Number of the last message; `first_sequence - 1` when there are none.
    pub fn last_sequence(&self) -> u64 {
        self.first_sequence + self.messages.len() as u64 - 1
    }
}

/// Names one question of a home shard, so that the answer finds it. Counts up per shard.
pub type Ticket = u64;

/// An order on its way from its home to its symbol's book, checked and reserved.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct Submit {
    /// Which question this is.
    pub ticket: Ticket,
    /// The order.
    pub order: OrderId,
    /// Its user.
    pub user: UserId,
    /// Its symbol.
    pub symbol: SymbolId,
    /// Its side.
    pub side: Side,
    /// Its time in force.
    pub time_in_force: TimeInForce,
    /// Its rule for own orders.
    pub self_trade: SelfTrade,
    /// Reject if it would take.
    pub post_only: bool,
    /// Never rests.
    pub market: bool,
    /// The home wants to know when the makers' homes have settled too.
    pub wait: bool,
    /// The worst price.
    pub price: Price,
    /// The quantity.
    pub qty: Lots,
    /// A market order's limit in quote units.
    pub budget: Option<Units>,
}

/// One side's part of a trade, on its way to the user's home.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// The order.
    pub order: OrderId,
    /// Where.
    pub symbol: SymbolId,
    /// Which trade.
    pub trade: TradeId,
    /// At the maker's price.
    pub price: Price,
    /// Lots traded.
    pub qty: Lots,
    /// The order's side.
    pub side: Side,
    /// Maker or taker.
    pub role: Role,
    /// The fee in force at the match, on what this side receives.
    pub fee_ppm: u32,
    /// When it matched, in ms since the epoch.
    pub at_ms: u64,
}

/// How the book answered a question about one order.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Placed, it rests.
    Rested,
    /// Moved, it rests at the new price.
    Moved,
    /// It has nothing left to do.
    Filled,
    /// It ended by its own terms.
    Expired,
    /// It never entered the book: post-only that would take.
    WouldTake,
    /// It never entered the book: the symbol is not there or does not accept it.
    NotTrading,
    /// It was taken out as asked.
    Canceled,
    /// It was made smaller by this much and rests.
    Reduced(Lots),
    /// It was not in the book any more; what ended it was told before.
    Gone,
    /// The move would take and the order is post-only, or the symbol accepts no moves: it rests
    /// where it was.
    NotMoved,
}

impl Answer {
    /// A number for each, for the running hash.
    pub(crate) fn code(self) -> u64 {
        match self {
            Answer::Rested => 1,
            Answer::Moved => 2,
            Answer::Filled => 3,
            Answer::Expired => 4,
            Answer::WouldTake => 5,
            Answer::NotTrading => 6,
            Answer::Canceled => 7,
            Answer::Reduced(by) => 8 ^ by.0 << 4,
            Answer::Gone => 9,
            Answer::NotMoved => 10,
        }
    }
}

/// Most assets in one [`Message::CutReport`], so that it fits a journal record whatever the number of
/// assets.
pub const MAX_REPORTED_ASSETS: usize = 1_000;

/// What one shard owns of one asset at a cut.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AssetTotals {
    /// All ever paid in.
    pub deposits: Units,
    /// All ever paid out.
    pub withdrawals: Units,
    /// Sum of available balances.
    pub avail: Units,
    /// Sum of frozen balances.
    pub frozen: Units,
    /// The house account.
    pub fees: Units,
    /// Net change that messages sent but not yet applied at the cut will bring. Signed, because of
    /// the two sides of a trade one may have been applied and the other not.
    pub in_flight: i128,
}

/// A message from one shard to another.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Message {
    /// Home → symbol: match this order.
    Submit(Submit),
    /// Home → symbol: take this order out.
    Cancel {
        /// Which question.
        ticket: Ticket,
        /// Which order.
        order: OrderId,
        /// Where.
        symbol: SymbolId,
    },
    /// Home → symbol: make this order smaller.
    Reduce {
        /// Which question.
        ticket: Ticket,
        /// Which order.
        order: OrderId,
        /// Where.
        symbol: SymbolId,
        /// By how much.
        by: Lots,
    },
    /// Home → symbol: change this order's price; the funds are reserved.
    Move {
        /// Which question.
        ticket: Ticket,
        /// Which order.
        order: OrderId,
        /// Where.
        symbol: SymbolId,
        /// The new limit.
        price: Price,
    },
    /// Symbol → home: your order traded.
    Fill(Fill),
    /// Symbol → home: your resting order ended by self-trade prevention.
    MakerExpired {
        /// Which order.
        order: OrderId,
        /// When.
        at_ms: u64,
    },
    /// Symbol → home: the answer to a question, behind all the fills that belong to it.
    Done {
        /// Which question.
        ticket: Ticket,
        /// Which order.
        order: OrderId,
        /// The answer.
        answer: Answer,
        /// How many third shards were asked to say `ProbeDone` to you for this ticket.
        probes: u16,
        /// When.
        at_ms: u64,
    },
    /// Symbol → a maker's home, behind its fills: tell `home` that they are applied.
    Probe {
        /// The taker's home.
        home: ShardId,
        /// Its question.
        ticket: Ticket,
    },
    /// Maker's home → taker's home: the fills of this ticket are applied here.
    ProbeDone {
        /// The question.
        ticket: Ticket,
    },
    /// Symbol → everyone: the reference price moved.
    Reference {
        /// Where.
        symbol: SymbolId,
        /// To what.
        price: Price,
    },
    /// Registrar → everyone: an asset is defined.
    DefineAsset {
        /// Which question.
        ticket: Ticket,
        /// Its id, the next one.
        asset: AssetId,
        /// What it is.
        definition: Box<Asset>,
    },
    /// Registrar → everyone: a symbol is defined.
    DefineSymbol {
        /// Which question.
        ticket: Ticket,
        /// Its id, the next one.
        symbol: SymbolId,
        /// What it is.
        definition: Box<NewSymbol>,
    },
    /// Registrar → everyone: a symbol's rules change.
    UpdateSymbol {
        /// Which question.
        ticket: Ticket,
        /// Which.
        symbol: SymbolId,
        /// What changes.
        patch: Box<SymbolPatch>,
    },
    /// Everyone → registrar: applied.
    Defined {
        /// The question.
        ticket: Ticket,
    },
    /// The marker of a consistent cut: everything before it on this channel belongs to the past.
    Marker {
        /// The registrar's question.
        ticket: Ticket,
    },
    /// Everyone → registrar: a part of what I own at the cut.
    CutReport {
        /// The registrar's question.
        ticket: Ticket,
        /// The asset of the first of `totals`.
        first: AssetId,
        /// By asset id, at most [`MAX_REPORTED_ASSETS`].
        totals: Vec<AssetTotals>,
        /// Whether this is all.
        is_last: bool,
    },
    /// Registrar → everyone: a role, a key or a session changes.
    Identity {
        /// Which question.
        ticket: Ticket,
        /// What was decided.
        change: Box<identity::Change>,
    },
    /// Registrar → everyone: a symbol is defined whose book is on the shard that was asked for.
    DefinePlacedSymbol {
        /// Which question.
        ticket: Ticket,
        /// Its id, the next one.
        symbol: SymbolId,
        /// What it is, and where.
        definition: Box<PlacedSymbol>,
    },
}

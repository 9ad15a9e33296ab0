//! One shard as a deterministic state machine: `step(input) → effects`.
//!
//! A shard is the home of some users (their balances, their orders' states, their history) and owns
//! the books of some symbols; of roles, keys and sessions every shard has the whole table. It speaks to the other shards in messages that are applied exactly
//! once, in order. Promises: same inputs, same state, same effects, byte for byte; nothing panics on
//! any input that passed the types; every reply, event and message is handed to the caller, who must
//! hold it until the input is durable. The crate is pure: no I/O, clock, randomness, threads or
//! async, and nothing iterates a hash map.

mod admin;
mod changing;
mod command;
mod cut;
mod effect;
mod engine;
mod history;
mod identities;
mod image;
mod klines;
mod market;
mod message;
mod orders;
mod peers;
mod pending;
mod placing;
mod query;
mod registry;
mod reply;
mod settling;
mod telling;
mod views;
mod withdrawing;

pub use book::Level as BookLevel;
pub use command::{
    CANCEL_ALL_LIMIT, Command, Input, MAX_DESTINATION_LENGTH_BYTES, MAX_PENDING_WITHDRAWALS,
    MAX_REFERENCE_LENGTH_BYTES, MAX_USER_NAME_LENGTH_BYTES, NewSymbol, OrderRef, Place,
    PlacedSymbol, REGISTRAR, Transfer, WithdrawalRequest,
};
pub use cut::MAX_CUTS;
pub use effect::{BalanceReason, Effects, Event, Watch};
pub use engine::{Engine, EngineConfig, Step};
pub use history::{TAPE_ENTRIES, TRADE_HISTORY_ENTRIES};
pub use image::{
    Counters, CutImage, CutMissing, HouseImage, ImageError, MAX_PIECE_ITEMS, MarketImage, Moved,
    OrderImage, PaymentImage, PeerImage, PersonImage, Piece, QuestionImage, QuestionKind,
    ReshardError, Resharded, RestingImage, Restore, SymbolImage, TradeImage, reshard,
};
pub use klines::{CANDLES_KEPT, Candle, Interval, TICKER_WINDOW_MS, Ticker};
pub use message::{
    Answer, AssetTotals, Fill, MAX_REPORTED_ASSETS, Message, PeerBatch, Submit, Ticket,
};
pub use orders::ENDED_ORDERS;
pub use peers::SequenceGap;
pub use query::{MAX_ROWS, OrderFilter, Query};
pub use registry::{MAX_ASSETS, MAX_SYMBOLS, Registry, SymbolEntry};
pub use reply::{
    AccountView, AssetProof, BalanceView, EngineStatus, OrderView, Origin, Refusal, Reply,
    TapeEntry, TradeView, WithdrawalView,
};

/// How far a trade must be from the published reference price, in parts per million, for the
/// reference to move there and be told to every shard. Small against any useful price band, large
/// enough that a quiet market tells nobody anything.
pub const REFERENCE_STEP_PPM: u32 = 1_000;

//! A shard's whole state as a sequence of small, self-contained pieces: what a snapshot file holds
//! and what a change of the shard count redistributes.
//!
//! Promises: an engine restored from its pieces answers every query and takes every further input as
//! the one that they were taken from, byte for byte, its next image included; the pieces do not
//! depend on hash seeds or on where things happen to lie in memory; what no engine could have written
//! is refused, never misread. Who waits for an answer is not part of the state, so a restored engine
//! answers nobody who asked before.

mod piece;
mod reshard;
mod restore;
mod take;

pub use piece::{
    Counters, CutImage, CutMissing, HouseImage, MAX_PIECE_ITEMS, MarketImage, OrderImage,
    PaymentImage, PeerImage, PersonImage, Piece, QuestionImage, QuestionKind, RestingImage,
    SymbolImage, TradeImage,
};
pub use reshard::{Moved, ReshardError, Resharded, reshard};
pub use restore::{ImageError, Restore};

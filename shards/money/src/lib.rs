//! Numbers and names of an exchange: amounts, prices, ids, assets, symbols and their rules.
//!
//! Promises: no floating point anywhere; every conversion from text is exact or refused; every
//! operation that could overflow is checked and says so. A price is a count of ticks, a quantity a
//! count of lots, a balance a count of the asset's smallest unit ([`Units`]). The crate is pure: no
//! I/O, clock, randomness, threads or async.

mod asset;
mod cid;
mod decimal;
mod hash;
mod ids;
mod order;
mod payment;
mod prefetch;
mod scale;
mod slot_index;
mod symbol;

pub use asset::{Asset, AssetError, MAX_ASSET_DECIMALS, MAX_NAME_LENGTH_BYTES};
pub use cid::{Cid, CidError, MAX_CID_LENGTH_BYTES};
pub use decimal::{Decimal, DecimalError, MAX_TEXT_LENGTH_BYTES, write_units};
pub use hash::{FixedState, Map, hash_one, sorted};
pub use ids::{
    AssetId, ID_LIMIT, OrderId, Placement, SHARD_BITS, ShardId, SymbolId, TradeId, UserId,
};
pub use order::{OrderKind, OrderStatus, Role, SelfTrade, Side, TimeInForce};
pub use payment::WithdrawalStatus;
pub use prefetch::{prefetch, prefetch_all};
pub use scale::{Lots, Price, Scale, ScaleError, Units, fee};
pub use slot_index::{IdHasher, SlotIndex};
pub use symbol::{
    MAX_FEE_PPM, PPM, RuleBreak, SymbolPatch, SymbolRules, SymbolSpec, SymbolSpecError,
    SymbolStatus,
};

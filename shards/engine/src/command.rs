//! What goes into a shard: commands of clients and administrators, batches of messages from peers.
//!
//! These are the journal's records. Everything that can change a shard's state is one of these, and
//! replaying them in order rebuilds the state.

use money::{
    Asset, AssetId, Cid, Lots, OrderId, OrderKind, Placement, Price, SelfTrade, ShardId, Side,
    SymbolId, SymbolPatch, SymbolSpec, TimeInForce, Units, UserId,
};
use rkyv::{Archive, Deserialize, Serialize};

use crate::message::PeerBatch;

/// One journaled input.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Input {
    /// A command that this shard owns.
    Command(Command),
    /// Messages from another shard.
    Peer(PeerBatch),
}

/// Which order is meant, by its user.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// By the id that the exchange gave.
    Id(OrderId),
    /// By the id that the client gave.
    Cid(Cid),
}

/// A new order. Prices and quantities are in ticks and lots already; the rules are checked by the
/// user's home shard.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Whose.
    pub user: UserId,
    /// Where.
    pub symbol: SymbolId,
    /// Which side.
    pub side: Side,
    /// LIMIT, MARKET or POST_ONLY.
    pub kind: OrderKind,
    /// GTC, IOC or FOK. A MARKET order is IOC or FOK.
    pub time_in_force: TimeInForce,
    /// What happens at an own order on the other side.
    pub self_trade: SelfTrade,
    /// Answer once matched and settled on both sides, instead of once accepted.
    pub wait: bool,
    /// The limit; 0 for MARKET.
    pub price: Price,
    /// The quantity; 0 for MARKET by quote budget.
    pub qty: Lots,
    /// MARKET by quote budget: quote units to spend or to receive.
    pub quote_qty: Option<Units>,
    /// The client's id, unique per user.
    pub cid: Option<Cid>,
}

/// A deposit or withdrawal.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Whose balance.
    pub user: UserId,
    /// Which asset.
    pub asset: AssetId,
    /// How much, above zero.
    pub amount: Units,
    /// The operator's own id of this payment, at most [`MAX_REFERENCE_LENGTH_BYTES`]: the same one
    /// again pays nothing and answers the same.
    pub reference: String,
}

/// A withdrawal in two steps, asked for.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalRequest {
    /// Whose balance.
    pub user: UserId,
    /// Which asset.
    pub asset: AssetId,
    /// How much, above zero.
    pub amount: Units,
    /// The client's own id of it, at most [`MAX_REFERENCE_LENGTH_BYTES`]. A user's payments and
    /// withdrawals share one set of these: the same one again takes nothing and answers the same.
    pub reference: String,
    /// Where to, in words that only the operator reads, at most [`MAX_DESTINATION_LENGTH_BYTES`].
    pub destination: Option<String>,
}

/// Longest `ref` of a deposit or withdrawal, in bytes.
pub const MAX_REFERENCE_LENGTH_BYTES: usize = 64;
/// Longest destination of a withdrawal, in bytes.
pub const MAX_DESTINATION_LENGTH_BYTES: usize = 128;
/// Most pending withdrawals of one user.
pub const MAX_PENDING_WITHDRAWALS: usize = 100;
/// Longest name of a user, in bytes.
pub const MAX_USER_NAME_LENGTH_BYTES: usize = 64;
/// Orders that one cancel-all command cancels at most, so that no turn is unbounded; the gateway
/// repeats the command while the answer says there are more.
pub const CANCEL_ALL_LIMIT: usize = 1_000;

/// A symbol to be defined.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct NewSymbol {
    /// Steps and rules.
    pub spec: SymbolSpec,
    /// The reference price to open with, if any.
    pub reference: Option<Price>,
}

/// A symbol to be defined on a shard that was asked for.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct PlacedSymbol {
    /// The symbol.
    pub symbol: NewSymbol,
    /// Where its book is to be: a shard of this node when it is asked for. With another shard count
    /// later, see [`Placement::shard_placed`].
    pub shard: ShardId,
}

/// A command. Each has one owner shard, see [`Command::owner`].
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Command {
    /// Places an order.
    Place(Place),
    /// Cancels an order.
    Cancel {
        /// Whose.
        user: UserId,
        /// Which.
        order: OrderRef,
    },
    /// Makes an order smaller, keeping its priority.
    Reduce {
        /// Whose.
        user: UserId,
        /// Which.
        order: OrderRef,
        /// By how much; at or past the remainder it is canceled.
        by: Lots,
    },
    /// Changes an order's price, losing its priority.
    Move {
        /// Whose.
        user: UserId,
        /// Which.
        order: OrderRef,
        /// The new limit.
        price: Price,
    },
    /// Cancels up to [`CANCEL_ALL_LIMIT`] open orders of one user.
    CancelUser {
        /// Whose.
        user: UserId,
        /// Only of this symbol.
        symbol: Option<SymbolId>,
    },
    /// Cancels up to [`CANCEL_ALL_LIMIT`] open orders of all the users at home on the named shard.
    CancelShard {
        /// On which shard.
        shard: ShardId,
        /// Only of this symbol.
        symbol: Option<SymbolId>,
    },
    /// Creates a user.
    CreateUser {
        /// The id, or `None` for the next free one of `shard`.
        user: Option<UserId>,
        /// The shard that picks the id when there is none.
        shard: ShardId,
        /// A name for people.
        name: Option<String>,
    },
    /// Freezes or unfreezes a user: a frozen one may cancel and look, nothing else.
    FreezeUser {
        /// Who.
        user: UserId,
        /// Frozen or not.
        frozen: bool,
    },
    /// Pays in.
    Deposit(Transfer),
    /// Pays out of what is available.
    Withdraw(Transfer),
    /// Defines an asset on every shard.
    CreateAsset(Asset),
    /// Defines a symbol on every shard; its book is where its number says.
    CreateSymbol(Box<NewSymbol>),
    /// Changes a symbol's rules on every shard.
    UpdateSymbol {
        /// Which.
        symbol: SymbolId,
        /// What changes.
        patch: Box<SymbolPatch>,
    },
    /// Proves conservation per asset at one consistent cut through all shards.
    Prove,
    /// Changes a role, a key or a session on every shard.
    Identity(Box<identity::Change>),
    /// Asks for a withdrawal: freezes the amount until an operator confirms or rejects it.
    RequestWithdrawal(Box<WithdrawalRequest>),
    /// Ends a withdrawal that was asked for.
    EndWithdrawal {
        /// Whose.
        user: UserId,
        /// Which: the `ref` of its request.
        reference: String,
        /// Pay it out, or give the amount back.
        confirm: bool,
    },
    /// Defines a symbol on every shard; its book is on the shard that is asked for.
    CreatePlacedSymbol(Box<PlacedSymbol>),
}

/// The shard that defines assets and symbols, decides about identities and coordinates cuts.
pub const REGISTRAR: ShardId = ShardId(0);

impl Command {
    /// The shard that must journal and apply this command.
    pub fn owner(&self, placement: Placement) -> ShardId {
        match self {
            Command::Place(Place { user, .. })
            | Command::Cancel { user, .. }
            | Command::Reduce { user, .. }
            | Command::Move { user, .. }
            | Command::CancelUser { user, .. }
            | Command::FreezeUser { user, .. }
            | Command::CreateUser { user: Some(user), .. }
            | Command::Deposit(Transfer { user, .. })
            | Command::Withdraw(Transfer { user, .. })
            | Command::EndWithdrawal { user, .. } => placement.home_of(*user),
            Command::RequestWithdrawal(request) => placement.home_of(request.user),
            Command::CancelShard { shard, .. } | Command::CreateUser { shard, .. } => *shard,
            Command::CreateAsset(_)
            | Command::CreateSymbol(_)
            | Command::CreatePlacedSymbol(_)
            | Command::UpdateSymbol { .. }
            | Command::Prove
            | Command::Identity(_) => REGISTRAR,
        }
    }
}

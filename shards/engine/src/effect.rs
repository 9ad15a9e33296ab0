//! What a step causes. Effects are held back by the caller until the step's record is durable.

use ledger::Account;
use money::{AssetId, Price, ShardId, Side, SymbolId, Units, UserId};

use crate::reply::{OrderView, Origin, Reply, TapeEntry, TradeView};

/// Something that happened, for whoever watches: pushes to users, market data, replay drivers. In the
/// order in which it happened; what a user is told of balances and orders is how they stood then.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A trade in a book of this shard.
    Trade {
        /// Where.
        symbol: SymbolId,
        /// The trade.
        entry: TapeEntry,
    },
    /// All orders of one side at one price of a book of this shard, after a change.
    Level {
        /// Where.
        symbol: SymbolId,
        /// The number of the change: several levels may share it.
        update: u64,
        /// Which side.
        side: Side,
        /// Which price.
        price: Price,
        /// Lots in all; 0 when none are left.
        qty: u128,
    },
    /// An order of a user who is watched changed.
    Order(Box<OrderView>),
    /// An order of a user who is watched traded.
    Fill {
        /// Whose.
        user: UserId,
        /// The user's side of the trade.
        trade: Box<TradeView>,
    },
    /// A balance of a user who is watched changed.
    Balance {
        /// Whose.
        user: UserId,
        /// Of what.
        asset: AssetId,
        /// Free to use now.
        avail: Units,
        /// Held by open orders and pending withdrawals now.
        frozen: Units,
        /// Free to use before.
        avail_before: Units,
        /// Why.
        reason: BalanceReason,
    },
    /// A key or sessions have ended: told on every shard, whoever watches, so that nobody stays who came
    /// in by them.
    CredentialEnded(identity::Ended),
}

/// Why a balance changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceReason {
    /// An order was placed, or moved to a dearer price.
    OrderPlaced,
    /// A trade was settled.
    TradeSettled,
    /// An order ended, or holds less than before.
    OrderEnded,
    /// A deposit.
    Deposit,
    /// A withdrawal: at once, or one of the two steps.
    Withdrawal,
}

/// Who watches. Not part of the state: it changes nothing but which events come out.
#[derive(Debug, Default)]
pub struct Watch {
    /// Somebody wants trades and levels of this shard's books.
    pub market: bool,
    /// By account.
    accounts: Vec<bool>,
}

impl Watch {
    /// Whether a user's events are wanted.
    #[inline]
    pub fn has(&self, account: Account) -> bool {
        self.accounts.get(account.0 as usize).copied().unwrap_or(false)
    }

    /// Begins or ends to watch a user.
    pub fn set(&mut self, account: Account, watched: bool) {
        let at = account.0 as usize;
        if at >= self.accounts.len() {
            self.accounts.resize(at + 1, false);
        }
        self.accounts[at] = watched;
    }
}

/// What one or several steps caused, in order. Reused between steps.
#[derive(Debug, Default)]
pub struct Effects {
    /// Answers to give.
    pub replies: Vec<(Origin, Reply)>,
    /// For each peer that has new messages in the outbox, the number of the last one.
    pub sends: Vec<(ShardId, u64)>,
    /// What happened, as far as anyone watches; the end of credentials always.
    pub events: Vec<Event>,
    /// Who watches.
    pub watch: Watch,
}

impl Effects {
    /// Forgets what was caused, keeping the memory.
    pub fn clear(&mut self) {
        self.replies.clear();
        self.sends.clear();
        self.events.clear();
    }
}

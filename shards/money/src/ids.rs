//! Identifiers, and which shard owns what.
//!
//! Every id is unsigned and below [`ID_LIMIT`], so that JavaScript reads it without loss.

use rkyv::{Archive, Deserialize, Serialize};

/// First value that is not a valid id: 2^53, the end of JavaScript's exact integers.
pub const ID_LIMIT: u64 = 1 << 53;

/// Low bits of an order id that name the shard which assigned it; the rest counts up. So ids of
/// different shards never meet, and a shard that continues from the highest count seen by any shard
/// keeps them unique when the shard count changes.
pub const SHARD_BITS: u32 = 10;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
        )]
        #[rkyv(derive(Debug))]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

id!(
    /// A user, chosen by the operator or counted up. 0 is a user.
    UserId(u64)
);
id!(
    /// An order, unique across shards, restarts and shard counts.
    OrderId(u64)
);
id!(
    /// A trade, counting up by one from 1 per symbol.
    TradeId(u64)
);
id!(
    /// An asset, dense from 0 in the order of definition.
    AssetId(u32)
);
id!(
    /// A symbol, dense from 0 in the order of definition.
    SymbolId(u32)
);
id!(
    /// A shard of this node, dense from 0.
    ShardId(u16)
);

impl OrderId {
    /// The id that `shard` gives its `count`-th order. `None` once the ids are used up (2^43).
    pub fn compose(shard: ShardId, count: u64) -> Option<OrderId> {
        debug_assert!(u64::from(shard.0) < 1 << SHARD_BITS);
        let id = count.checked_mul(1 << SHARD_BITS)? | u64::from(shard.0);
        (id < ID_LIMIT).then_some(OrderId(id))
    }

    /// The running count inside the id, the part that survives a change of the shard count.
    pub fn count(self) -> u64 {
        self.0 >> SHARD_BITS
    }
}

/// Which shard owns a user or a symbol. A pure function of the id and the shard count, and for a symbol
/// that was placed by hand of the shard that was asked for, so every shard knows it without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    shards: u16,
}

impl Placement {
    /// A placement over `shards` shards, 1 to 2^[`SHARD_BITS`].
    ///
    /// # Panics
    /// When `shards` is out of range: the configuration is checked before this.
    pub fn new(shards: u16) -> Placement {
        assert!((1..=1 << SHARD_BITS).contains(&shards), "shards out of range: {shards}");
        Placement { shards }
    }

    /// Number of shards.
    pub fn shards(self) -> u16 {
        self.shards
    }

    /// All shards, in order.
    pub fn all(self) -> impl Iterator<Item = ShardId> {
        (0..self.shards).map(ShardId)
    }

    /// The shard that owns the user's balances and orders.
    #[inline]
    pub fn home_of(self, user: UserId) -> ShardId {
        ShardId((user.0 % u64::from(self.shards)) as u16)
    }

    /// The shard that owns the book of a symbol that was not placed by hand.
    #[inline]
    pub fn shard_of(self, symbol: SymbolId) -> ShardId {
        ShardId((symbol.0 % u32::from(self.shards)) as u16)
    }

    /// The shard that owns the book of a symbol that was placed on `asked`, which may be a shard that
    /// is no longer there: with fewer shards than when it was placed, `asked mod shards`.
    pub fn shard_placed(self, asked: ShardId) -> ShardId {
        ShardId(asked.0 % self.shards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_ids_of_two_shards_never_meet() {
        let first = OrderId::compose(ShardId(0), 7).unwrap();
        let second = OrderId::compose(ShardId(1), 7).unwrap();
        assert_ne!(first, second);
        assert_eq!((first.count(), second.count()), (7, 7));
    }

    #[test]
    fn order_ids_end_below_what_javascript_reads() {
        assert!(OrderId::compose(ShardId(1023), (1 << 43) - 1).is_some());
        assert!(OrderId::compose(ShardId(0), 1 << 43).is_none());
        assert!(OrderId::compose(ShardId(0), u64::MAX).is_none());
    }
}

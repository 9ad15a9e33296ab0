//! The words of an order: side, kind, time in force, self-trade prevention, status.

use rkyv::{Archive, Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
        )]
        #[rkyv(derive(Debug))]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word as the wire spells it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The value that the wire spells so, exactly.
            pub fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Which side of the book an order is on.
    Side {
        /// Buys base with quote.
        Buy = "BUY",
        /// Sells base for quote.
        Sell = "SELL",
    }
);

impl Side {
    /// The other side.
    #[inline]
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
}

words!(
    /// What an order is. Stop and iceberg orders will be kinds of their own.
    OrderKind {
        /// Trades at its price or better.
        Limit = "LIMIT",
        /// Trades at what the book offers, never rests.
        Market = "MARKET",
        /// A limit order that is rejected if it would take.
        PostOnly = "POST_ONLY",
    }
);

words!(
    /// How long an order stands.
    TimeInForce {
        /// Until canceled.
        Gtc = "GTC",
        /// What cannot be filled at once expires.
        Ioc = "IOC",
        /// All at once or not at all.
        Fok = "FOK",
    }
);

words!(
    /// What happens when a taker would meet an order of its own user.
    SelfTrade {
        /// They trade.
        None = "NONE",
        /// The rest of the taker expires.
        ExpireTaker = "EXPIRE_TAKER",
        /// The maker expires, the taker goes on.
        ExpireMaker = "EXPIRE_MAKER",
        /// Both expire.
        ExpireBoth = "EXPIRE_BOTH",
    }
);

words!(
    /// Where an order stands in its life.
    OrderStatus {
        /// Accepted, nothing filled.
        New = "NEW",
        /// Open, partly filled.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// Ended, wholly filled.
        Filled = "FILLED",
        /// Ended by its user or an administrator.
        Canceled = "CANCELED",
        /// Ended without having entered the book.
        Rejected = "REJECTED",
        /// Ended by its own terms: IOC, FOK, MARKET, self-trade prevention.
        Expired = "EXPIRED",
    }
);

impl OrderStatus {
    /// Whether the order may still trade.
    #[inline]
    pub fn is_open(self) -> bool {
        matches!(self, OrderStatus::New | OrderStatus::PartiallyFilled)
    }
}

words!(
    /// Which part a user had in a trade.
    Role {
        /// Was resting in the book.
        Maker = "MAKER",
        /// Came in and matched.
        Taker = "TAKER",
    }
);

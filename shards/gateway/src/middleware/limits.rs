//! How fast whom.

use identity::{Identities, Rate, Role};
use money::UserId;

/// No limit.
const NONE: Rate = Rate { orders_per_second: 0, burst: 0 };

/// How fast callers may be. A rate of 0 a second is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Orders of a user that is nothing special.
    pub orders: Rate,
    /// Orders of a market maker.
    pub market_maker_orders: Rate,
    /// Whatever else a user asks, by weight.
    pub requests: Rate,
    /// Whatever is asked from one address by who does not say who it is, by weight.
    pub address: Rate,
    /// Logins to one user, good or bad, in a minute.
    pub logins_per_minute: u32,
}

impl Limits {
    /// No limits: the development mode.
    pub const OFF: Limits = Limits {
        orders: NONE,
        market_maker_orders: NONE,
        requests: NONE,
        address: NONE,
        logins_per_minute: 0,
    };

    /// What holds where nothing is configured.
    pub const PRODUCTION: Limits = Limits {
        orders: Rate { orders_per_second: 100, burst: 10 },
        market_maker_orders: Rate { orders_per_second: 1_000, burst: 100 },
        requests: Rate { orders_per_second: 100, burst: 200 },
        address: Rate { orders_per_second: 50, burst: 200 },
        logins_per_minute: 10,
    };

    /// How fast a user may place orders: its own rate, or its role's.
    pub fn orders_of(&self, user: UserId, identities: &Identities) -> Rate {
        let Some(known) = identities.user(user) else { return self.orders };
        known.rate.unwrap_or(match known.role {
            Role::MarketMaker => self.market_maker_orders,
            Role::User | Role::Support | Role::Admin | Role::Auditor => self.orders,
        })
    }
}

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many a second.
    pub limit: u32,
    /// How many now.
    pub remaining: u32,
}

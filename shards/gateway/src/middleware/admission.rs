//! What the home shard of a user must admit before something is done for it.

use money::UserId;

use crate::auth::{Caller, Seal};

/// What a request takes from its caller's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing.
    Free,
    /// So much of the budget of orders.
    Orders(u32),
    /// So much of the budget of other requests.
    Requests(u32),
}

impl Cost {
    /// How much.
    pub fn weight(self) -> u32 {
        match self {
            Cost::Free => 0,
            Cost::Orders(weight) | Cost::Requests(weight) => weight,
        }
    }
}

/// What the home shard of a user must admit: that it is not too fast, and that the signature was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whose budget.
    pub user: UserId,
    /// How much of it.
    pub cost: Cost,
    /// A signature that must be new.
    pub seal: Option<Seal>,
}

impl Admission {
    pub(super) fn of(caller: &Caller, cost: Cost, seal: Option<Seal>) -> Option<Admission> {
        Some(Admission { user: caller.user?, cost, seal })
    }

    /// Of a message on a connection whose caller is known.
    pub fn of_message(caller: &Caller, cost: Cost) -> Option<Admission> {
        Admission::of(caller, cost, None)
    }
}

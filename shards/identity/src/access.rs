//! Roles, permissions, and the one table that says what each allows.

use rkyv::{Archive, Deserialize, Serialize};

/// What a user is.
#[derive(
    Archive, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Role {
    /// Trades for itself.
    #[default]
    User,
    /// The same, faster.
    MarketMaker,
    /// Helps users: looks, freezes, ends sessions, cancels orders.
    Support,
    /// May do everything.
    Admin,
    /// Looks at everything, the audit trail included, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] =
        [Role::User, Role::MarketMaker, Role::Support, Role::Admin, Role::Auditor];

    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::User => "USER",
            Role::MarketMaker => "MARKET_MAKER",
            Role::Support => "SUPPORT",
            Role::Admin => "ADMIN",
            Role::Auditor => "AUDITOR",
        }
    }

    /// The role of this name.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether users of this role may do things of this class. **The table.**
    #[rustfmt::skip]
    pub fn allows(self, access: Access) -> bool {
        //                          USER   MAKER  SUPPORT ADMIN AUDITOR
        let row: [bool; 5] = match access {
            Access::Public =>   [true,  true,  true,  true, true],
            Access::Read =>     [true,  true,  true,  true, true],
            Access::Trade =>    [true,  true,  false, true, false],
            Access::Withdraw => [true,  true,  false, true, false],
            Access::Keys =>     [true,  true,  true,  true, true],
            Access::Look =>     [false, false, true,  true, true],
            Access::Audit =>    [false, false, false, true, true],
            Access::Support =>  [false, false, true,  true, false],
            Access::Admin =>    [false, false, false, true, false],
        };
        row[match self {
            Role::User => 0,
            Role::MarketMaker => 1,
            Role::Support => 2,
            Role::Admin => 3,
            Role::Auditor => 4,
        }]
    }
}

/// A class of things that can be done. Every route and every message has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without saying who.
    Public,
    /// One's own account: orders, trades, balances.
    Read,
    /// One's own orders: place, cancel, change.
    Trade,
    /// Taking one's own money out.
    Withdraw,
    /// One's own keys and password.
    Keys,
    /// Looking at others' accounts and at the machine.
    Look,
    /// Looking at the audit trail and at proofs.
    Audit,
    /// Helping a user: freezing, ending sessions, canceling orders.
    Support,
    /// Changing the exchange.
    Admin,
}

impl Access {
    /// All of them.
    pub const ALL: [Access; 9] = [
        Access::Public,
        Access::Read,
        Access::Trade,
        Access::Withdraw,
        Access::Keys,
        Access::Look,
        Access::Audit,
        Access::Support,
        Access::Admin,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Public => "public",
            Access::Read => "read",
            Access::Trade => "trade",
            Access::Withdraw => "withdraw",
            Access::Keys => "keys",
            Access::Look => "look",
            Access::Audit => "audit",
            Access::Support => "support",
            Access::Admin => "admin",
        }
    }

    /// What a key must permit for it; a session needs only its role.
    pub fn permission(self) -> Permissions {
        match self {
            Access::Public => Permissions::NONE,
            Access::Read => Permissions::READ,
            Access::Trade => Permissions::TRADE,
            Access::Withdraw => Permissions::WITHDRAW,
            Access::Keys | Access::Look | Access::Audit | Access::Support | Access::Admin => {
                Permissions::ADMIN
            }
        }
    }
}

/// What a key permits: a set of four words.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing.
    pub const NONE: Permissions = Permissions(0);
    /// Looking at one's own account.
    pub const READ: Permissions = Permissions(1);
    /// One's own orders.
    pub const TRADE: Permissions = Permissions(2);
    /// Taking money out.
    pub const WITHDRAW: Permissions = Permissions(4);
    /// Whatever else the user's role allows: keys, looking at others, administration.
    pub const ADMIN: Permissions = Permissions(8);
    /// All of them.
    pub const ALL: Permissions = Permissions(15);

    /// Each alone, with its word.
    pub const WORDS: [(Permissions, &str); 4] = [
        (Permissions::READ, "read"),
        (Permissions::TRADE, "trade"),
        (Permissions::WITHDRAW, "withdraw"),
        (Permissions::ADMIN, "admin"),
    ];

    /// The permission of this word.
    pub fn parse(text: &str) -> Option<Permissions> {
        Permissions::WORDS.into_iter().find(|&(_, word)| word == text).map(|(one, _)| one)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// Whether all of these are in it.
    pub fn contains(self, other: Permissions) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of it, in order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let words = Permissions::WORDS.into_iter();
        words.filter(move |&(one, _)| self.contains(one)).map(|(_, word)| word)
    }

    /// What a session of this role permits.
    pub fn of_role(role: Role) -> Permissions {
        let allowed = Access::ALL.into_iter().filter(|&access| role.allows(access));
        allowed.fold(Permissions::NONE, |sum, access| sum.and(access.permission()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_may_everything_and_an_auditor_changes_nothing() {
        for access in Access::ALL {
            assert!(Role::Admin.allows(access), "{access:?}");
        }
        for access in [Access::Trade, Access::Withdraw, Access::Support, Access::Admin] {
            assert!(!Role::Auditor.allows(access), "{access:?}");
        }
        for access in [Access::Look, Access::Audit, Access::Support, Access::Admin] {
            assert!(!Role::User.allows(access), "{access:?}");
        }
    }

    #[test]
    fn words_and_permissions_are_the_same_set() {
        let all = Permissions::WORDS.into_iter().fold(Permissions::NONE, |sum, (one, word)| {
            assert_eq!(Permissions::parse(word), Some(one));
            sum.and(one)
        });
        assert_eq!(all, Permissions::ALL);
        assert_eq!(
            Permissions::READ.and(Permissions::ADMIN).words().collect::<Vec<_>>(),
            ["read", "admin"]
        );
        assert_eq!(Permissions::parse("Read"), None);
        assert!(!Permissions::of_role(Role::Auditor).contains(Permissions::TRADE));
    }
}

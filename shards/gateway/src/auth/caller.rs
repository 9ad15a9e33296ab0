//! Who asks.

use identity::{Access, Identities, KeyId, Permissions, Role, SessionId};
use money::UserId;

/// How a caller has shown who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Not at all.
    Nobody,
    /// It said so, in development mode.
    Development,
    /// By the token of the development mode.
    AdminToken,
    /// By a key.
    Key(KeyId),
    /// By a token of a session.
    Session(SessionId),
}

/// Who asks, and what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who; `None`: nobody has said, or it is the bearer of the administrator's token.
    pub user: Option<UserId>,
    /// What it is.
    pub role: Role,
    /// What it is restricted to.
    pub permissions: Permissions,
    /// How that is known.
    pub means: Means,
}

impl Caller {
    /// Somebody.
    pub const NOBODY: Caller = Caller {
        user: None,
        role: Role::User,
        permissions: Permissions::NONE,
        means: Means::Nobody,
    };

    /// The bearer of the token of the development mode.
    pub const ADMIN_TOKEN: Caller = Caller {
        user: None,
        role: Role::Admin,
        permissions: Permissions::ALL,
        means: Means::AdminToken,
    };

    /// A user whom the development mode believes.
    pub fn development(user: UserId, identities: &Identities) -> Caller {
        let role = identities.role(user);
        let permissions = Permissions::of_role(role);
        Caller { user: Some(user), role, permissions, means: Means::Development }
    }

    /// Whether it may do things of a class.
    pub fn may(&self, access: Access) -> bool {
        if access == Access::Public {
            return true;
        }
        self.means != Means::Nobody
            && self.role.allows(access)
            && self.permissions.contains(access.permission())
    }

    /// Whether what it has shown is still good, and its role now: for connections that stay open.
    pub fn again(&self, identities: &Identities, now_ms: u64) -> Option<Caller> {
        let is_good = match self.means {
            Means::Nobody | Means::Development | Means::AdminToken => true,
            Means::Key(key) => identities.key(key).is_some_and(|record| !record.is_expired(now_ms)),
            Means::Session(session) => {
                identities.session(session).is_some_and(|record| now_ms < record.expires_ms)
            }
        };
        let role = self.user.map_or(self.role, |user| identities.role(user));
        is_good.then_some(Caller { role, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::SessionRecord;

    #[test]
    fn a_key_restricts_what_its_role_allows_and_adds_nothing() {
        let reader = Caller {
            user: Some(UserId(1)),
            role: Role::User,
            permissions: Permissions::READ,
            means: Means::Key(KeyId(1)),
        };
        assert!(reader.may(Access::Read) && reader.may(Access::Public));
        assert!(!reader.may(Access::Trade) && !reader.may(Access::Keys));
        let all = Caller { permissions: Permissions::ALL, ..reader };
        assert!(all.may(Access::Trade) && !all.may(Access::Admin));
        assert!(!Caller::NOBODY.may(Access::Read) && Caller::NOBODY.may(Access::Public));
        assert!(Caller::ADMIN_TOKEN.may(Access::Admin));
    }

    #[test]
    fn a_caller_whose_session_has_ended_is_nobody_any_more() {
        let means = Means::Session(SessionId(5));
        let caller = Caller { means, ..Caller::development(UserId(1), &Identities::default()) };
        assert_eq!(caller.again(&Identities::default(), 0), None);
        let mut identities = Identities::default();
        assert!(identities.restore_session(SessionRecord {
            session: SessionId(5),
            user: UserId(1),
            token_hash: [0; 32],
            opened_ms: 0,
            expires_ms: 100,
        }));
        assert_eq!(caller.again(&identities, 99), Some(caller));
        assert_eq!(caller.again(&identities, 100), None);
    }
}

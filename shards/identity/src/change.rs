//! What changes in the table, and how that is answered.

use money::UserId;
use rkyv::{Archive, Deserialize, Serialize};

use crate::access::Role;
use crate::key::{KeyId, KeyRecord};
use crate::session::{SessionId, SessionRecord};
use crate::table::Rate;

/// What is new of a user; what is absent stays.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Whose.
    pub user: UserId,
    /// What it is.
    pub role: Option<Role>,
    /// The hash of its password, as a PHC string; closes all its sessions.
    pub password_hash: Option<String>,
    /// How fast it may be; the inner `None`: as fast as its role.
    pub rate: Option<Option<Rate>>,
}

/// One change.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A user's role, password or rate.
    User(UserChange),
    /// A new key.
    AddKey(KeyRecord),
    /// A key ends.
    RevokeKey {
        /// Which.
        key: KeyId,
        /// Whose it must be; `None`: anybody's.
        owner: Option<UserId>,
    },
    /// A key was used. Told at most once in [`crate::USED_STEP_MS`].
    KeyUsed {
        /// Which.
        key: KeyId,
        /// When, in ms since the epoch.
        at_ms: u64,
    },
    /// A login. Sessions of the user that have expired are forgotten, and the oldest one when there are
    /// too many.
    OpenSession(SessionRecord),
    /// A refresh: the old token is good no more. An old token that is not the good one closes the
    /// session, because two have it.
    RotateSession {
        /// Which.
        session: SessionId,
        /// SHA-256 of the token that was shown.
        old_hash: [u8; 32],
        /// SHA-256 of the next one.
        new_hash: [u8; 32],
        /// When it is now, in ms since the epoch.
        at_ms: u64,
        /// When the session ends now, in ms since the epoch.
        expires_ms: u64,
    },
    /// A logout.
    CloseSession {
        /// Which.
        session: SessionId,
    },
    /// All sessions of a user are closed.
    CloseSessions {
        /// Whose.
        user: UserId,
    },
}

impl Change {
    /// A number for a running hash: differs, as good as always, when the change does.
    pub fn code(&self) -> u64 {
        let words = |bytes: &[u8; 32]| {
            bytes.chunks_exact(8).fold(0, |sum: u64, chunk| {
                sum.rotate_left(11)
                    ^ chunk.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
            })
        };
        match self {
            Change::User(change) => {
                let role = change.role.map_or(0, |role| role as u64 + 1);
                let rate = change.rate.flatten().map_or(u64::from(change.rate.is_some()), |rate| {
                    u64::from(rate.orders_per_second) << 32 | u64::from(rate.burst)
                });
                let hash = change.password_hash.as_deref().unwrap_or_default();
                let hash =
                    hash.bytes().fold(0, |sum: u64, byte| sum.rotate_left(5) ^ u64::from(byte));
                1 ^ change.user.0.rotate_left(8)
                    ^ role << 4
                    ^ rate.rotate_left(17)
                    ^ hash.rotate_left(3)
            }
            Change::AddKey(record) => 2 ^ record.key.0 ^ record.user.0.rotate_left(13),
            Change::RevokeKey { key, .. } => 3 ^ key.0.rotate_left(7),
            Change::KeyUsed { key, at_ms } => 4 ^ key.0 ^ at_ms.rotate_left(29),
            Change::OpenSession(record) => 5 ^ record.session.0 ^ words(&record.token_hash),
            Change::RotateSession { session, new_hash, .. } => 6 ^ session.0 ^ words(new_hash),
            Change::CloseSession { session } => 7 ^ session.0.rotate_left(7),
            Change::CloseSessions { user } => 8 ^ user.0.rotate_left(7),
        }
    }
}

/// What a change has ended: whoever came in by it must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A key was revoked.
    Key(KeyId),
    /// A session was closed, or had expired and was forgotten.
    Session(SessionId),
    /// All sessions of a user were closed.
    User(UserId),
}

/// What a change has come to.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A user is changed.
    User(UserId),
    /// A key is made, ended or was used.
    Key(KeyId),
    /// A session is open.
    Opened {
        /// Which.
        session: SessionId,
        /// Whose.
        user: UserId,
    },
    /// It, or they, are closed.
    Closed,
    /// A refresh token came twice: its session is closed.
    Reused {
        /// Whose.
        user: UserId,
    },
}

/// Why nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such key, or another user's.
    #[error("no such key")]
    UnknownKey,
    /// A key of this id is there.
    #[error("this key exists already")]
    KeyExists,
    /// The user has as many keys as it may.
    #[error("a user has at most {} keys", crate::MAX_KEYS_PER_USER)]
    TooManyKeys,
    /// No such session, or it has expired.
    #[error("the session has ended")]
    UnknownSession,
    /// A field of the change is out of its bounds.
    #[error("out of bounds")]
    OutOfBounds,
}

//! Sessions: what a login opens and a logout closes.

use money::UserId;
use rkyv::{Archive, Deserialize, Serialize};

use crate::key::hex_u64;

/// Names a session; stands in its access tokens. Drawn at random at login.
#[derive(
    Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct SessionId(pub u64);

impl SessionId {
    /// Reads 16 hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<SessionId> {
        hex_u64(text).map(SessionId)
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// A session.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// SHA-256 of the one refresh token that is good now.
    pub token_hash: [u8; 32],
    /// When it was opened, in ms since the epoch.
    pub opened_ms: u64,
    /// When it ends unless it is refreshed, in ms since the epoch.
    pub expires_ms: u64,
}

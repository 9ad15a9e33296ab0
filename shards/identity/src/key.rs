//! API keys.

use money::UserId;
use rkyv::{Archive, Deserialize, Serialize};

use crate::access::Permissions;
use crate::address::Network;

/// Longest name of a key, in bytes.
pub const MAX_KEY_NAME_LENGTH_BYTES: usize = 64;
/// Most networks that one key names.
pub const MAX_KEY_NETWORKS: usize = 16;

/// Names a key; known to everybody who sees its requests. Drawn at random by whoever makes the key.
#[derive(
    Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct KeyId(pub u64);

/// What stands before the digits of a key.
const PREFIX: &str = "rk_";

/// A text that names no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {PREFIX} and 16 hexadecimal digits")]
pub struct KeyIdError;

impl KeyId {
    /// Reads `rk_` and 16 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Result<KeyId, KeyIdError> {
        let digits = text.strip_prefix(PREFIX.as_bytes()).ok_or(KeyIdError)?;
        hex_u64(digits).map(KeyId).ok_or(KeyIdError)
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{PREFIX}{:016x}", self.0)
    }
}

/// Exactly 16 lower-case hexadecimal digits.
pub(crate) fn hex_u64(digits: &[u8]) -> Option<u64> {
    if digits.len() != 16 {
        return None;
    }
    digits.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

/// What a signature of a key is checked against.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// HMAC-SHA256 with a secret that is derived from the server's own; this says from which one.
    Hmac {
        /// The fingerprint of the server's secret.
        generation: u32,
    },
    /// Ed25519 with a key pair whose private half the server never sees.
    Ed25519 {
        /// The public half.
        public: [u8; 32],
    },
}

/// A key.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub key: KeyId,
    /// Whose.
    pub user: UserId,
    /// A name for people, at most [`MAX_KEY_NAME_LENGTH_BYTES`].
    pub name: String,
    /// What its signatures are checked against.
    pub kind: KeyKind,
    /// What it permits.
    pub permissions: Permissions,
    /// Where it may be used; empty: anywhere. At most [`MAX_KEY_NETWORKS`].
    pub networks: Vec<Network>,
    /// When it was made, in ms since the epoch.
    pub created_ms: u64,
    /// When it ends, in ms since the epoch.
    pub expires_ms: Option<u64>,
    /// When it was last used, in ms since the epoch, up to [`crate::USED_STEP_MS`] ago.
    pub used_ms: Option<u64>,
}

impl KeyRecord {
    /// Whether it has ended by itself.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| now_ms >= expires_ms)
    }

    /// Whether it may be used from an address.
    pub fn admits(&self, address: std::net::IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_read_as_it_is_written_and_only_so() {
        let key = KeyId(0x0123_4567_89ab_cdef);
        assert_eq!(key.to_string(), "rk_0123456789abcdef");
        assert_eq!(KeyId::parse(key.to_string().as_bytes()), Ok(key));
        for bad in ["", "rk_", "rk_0123456789ABCDEF", "rk_0123456789abcde", "0123456789abcdef"] {
            assert_eq!(KeyId::parse(bad.as_bytes()), Err(KeyIdError), "{bad}");
        }
    }
}

//! The client order id: short text chosen by the client, unique per user.

use std::hash::{Hash, Hasher};

use rkyv::{Archive, Deserialize, Serialize};

/// Longest client order id, in bytes: a UUID with its dashes.
pub const MAX_CID_LENGTH_BYTES: usize = 36;

/// A client order id: 1 to [`MAX_CID_LENGTH_BYTES`] bytes of printable ASCII without spaces,
/// quotes or backslashes, so that it needs no escaping anywhere. Inline, so that an order carries
/// it without an allocation.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
pub struct Cid {
    length: u8,
    bytes: [u8; MAX_CID_LENGTH_BYTES],
}

/// Why a text is no client order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    /// Empty or too long.
    #[error("must be 1 to {MAX_CID_LENGTH_BYTES} characters")]
    Length,
    /// A character outside the allowed set.
    #[error("may hold printable ASCII only, without spaces, quotes and backslashes")]
    Character,
}

impl Hash for Cid {
    /// By words, as far as there are characters: an order is hashed more often than anything else. What
    /// is behind the characters is 0, which is none, so the length need not be told apart.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (words, rest) = self.bytes.as_chunks::<8>();
        for word in words.iter().take(usize::from(self.length).div_ceil(8)) {
            state.write_u64(u64::from_le_bytes(*word));
        }
        if usize::from(self.length) > words.len() * 8
            && let Some(rest) = rest.first_chunk::<4>()
        {
            state.write_u32(u32::from_le_bytes(*rest));
        }
    }
}

impl Cid {
    /// Reads a client order id.
    pub fn parse(text: &str) -> Result<Cid, CidError> {
        let source = text.as_bytes();
        if source.is_empty() || source.len() > MAX_CID_LENGTH_BYTES {
            return Err(CidError::Length);
        }
        if !source.iter().all(|&byte| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte)) {
            return Err(CidError::Character);
        }
        let mut bytes = [0; MAX_CID_LENGTH_BYTES];
        bytes[..source.len()].copy_from_slice(source);
        Ok(Cid { length: source.len() as u8, bytes })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Lengths and bytes come from `parse` or from a journal record that passed its checksum;
        // damage must still not panic.
        let length = usize::from(self.length).min(MAX_CID_LENGTH_BYTES);
        std::str::from_utf8(&self.bytes[..length]).unwrap_or("")
    }
}

impl std::fmt::Debug for Cid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cid({:?})", self.as_str())
    }
}

impl std::fmt::Display for Cid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cid_that_would_need_escaping_is_refused() {
        assert_eq!(Cid::parse("a-1_B.:x").unwrap().as_str(), "a-1_B.:x");
        for bad in ["a b", "a\"b", "a\\b", "a'b", "ü", "a\nb", "\0"] {
            assert_eq!(Cid::parse(bad), Err(CidError::Character), "{bad:?}");
        }
        assert_eq!(Cid::parse(""), Err(CidError::Length));
        assert_eq!(Cid::parse(&"x".repeat(37)), Err(CidError::Length));
        assert!(Cid::parse(&"x".repeat(36)).is_ok());
    }
}

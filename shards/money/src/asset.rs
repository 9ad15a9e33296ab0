//! Assets: a name and how many decimals its smallest unit has.

use rkyv::{Archive, Deserialize, Serialize};

/// Most decimals an asset may have: 10^30 units of supply must fit with room to spare in 128 bits.
pub const MAX_ASSET_DECIMALS: u8 = 24;
/// Longest name of an asset or of one side of a symbol, in bytes.
pub const MAX_NAME_LENGTH_BYTES: usize = 16;

/// An asset. Amounts of it are counted in units of 10^-`decimals`.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Asset {
    /// The name: A-Z and 0-9.
    pub name: String,
    /// Decimals of the smallest unit, 0 to [`MAX_ASSET_DECIMALS`].
    pub decimals: u8,
}

/// Why an asset cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// The name is not one.
    #[error("asset: must be 1 to {MAX_NAME_LENGTH_BYTES} characters of A-Z and 0-9")]
    Name,
    /// Too many decimals.
    #[error("decimals: must be 0 to {MAX_ASSET_DECIMALS}")]
    Decimals,
}

impl Asset {
    /// Checks the rules of a name and its decimals.
    pub fn check(&self) -> Result<(), AssetError> {
        let name = self.name.as_bytes();
        let is_name = !name.is_empty()
            && name.len() <= MAX_NAME_LENGTH_BYTES
            && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !is_name {
            return Err(AssetError::Name);
        }
        if self.decimals > MAX_ASSET_DECIMALS {
            return Err(AssetError::Decimals);
        }
        Ok(())
    }
}

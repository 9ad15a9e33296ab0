//! Networks of addresses that a key may be used from.

use std::net::{IpAddr, Ipv6Addr};

use rkyv::{Archive, Deserialize, Serialize};

/// Addresses with the same beginning, as `10.0.0.0/8` or `2001:db8::/32`. An IPv4 network is kept as the
/// part of IPv6 that stands for it, so that a socket of both kinds sees no difference.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address before the slash.
    #[error("must be an address like 192.0.2.7 or a network like 10.0.0.0/8")]
    Address,
    /// Not a length behind the slash, or one that is too long.
    #[error("the length behind the / must be at most 32 for IPv4 and 128 for IPv6")]
    Prefix,
    /// Bits behind the length.
    #[error("has bits set behind its length: write the first address of the network")]
    Bits,
}

const IPV4_OFFSET_BITS: u8 = 96;

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Network {
    /// Reads a network, or an address alone.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().filter(|&prefix| prefix <= most).ok_or(NetworkError::Prefix)?
            }
            Some(_) => return Err(NetworkError::Prefix),
        };
        let prefix = if address.is_ipv4() { prefix + IPV4_OFFSET_BITS } else { prefix };
        let bits = bits_of(address);
        if bits & !mask(prefix) != 0 {
            return Err(NetworkError::Bits);
        }
        Ok(Network { bits, prefix })
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        // A length comes from a record that passed its checksum; damage must still not panic.
        bits_of(address) & mask(self.prefix.min(128)) == self.bits
    }

    /// Whether all addresses of another network are in it.
    pub fn covers(&self, other: &Network) -> bool {
        self.prefix <= other.prefix && other.bits & mask(self.prefix.min(128)) == self.bits
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = Ipv6Addr::from_bits(self.bits);
        match address.to_ipv4_mapped() {
            Some(address) if self.prefix >= IPV4_OFFSET_BITS => {
                write!(formatter, "{address}/{}", self.prefix - IPV4_OFFSET_BITS)
            }
            _ => write!(formatter, "{address}/{}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn an_address_outside_is_outside() {
        let local = network("10.1.0.0/16");
        assert!(local.contains("10.1.255.7".parse().unwrap()));
        assert!(local.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!local.contains("10.2.0.0".parse().unwrap()));
        assert!(!local.contains("::1".parse().unwrap()));
        let one = network("192.0.2.7");
        assert!(one.contains("192.0.2.7".parse().unwrap()));
        assert!(!one.contains("192.0.2.8".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(network("::/0").contains("::1".parse().unwrap()));
        assert!(network("2001:db8::/32").contains("2001:db8:1::".parse().unwrap()));
    }

    #[test]
    fn a_network_covers_only_what_is_no_wider() {
        assert!(network("10.0.0.0/8").covers(&network("10.1.0.0/16")));
        assert!(network("10.0.0.0/8").covers(&network("10.0.0.0/8")));
        assert!(!network("10.1.0.0/16").covers(&network("10.0.0.0/8")));
        assert!(!network("10.1.0.0/16").covers(&network("10.2.0.1")));
        assert!(!network("0.0.0.0/0").covers(&network("::1")));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::/0", "0.0.0.0/0"] {
            assert_eq!(network(text).to_string(), text);
        }
    }

    #[test]
    fn a_bad_network_says_what_is_wrong() {
        for (text, error) in [
            ("", NetworkError::Address),
            ("10.0.0", NetworkError::Address),
            ("example.com/8", NetworkError::Address),
            ("10.0.0.0/33", NetworkError::Prefix),
            ("10.0.0.0/", NetworkError::Prefix),
            ("10.0.0.0/+8", NetworkError::Prefix),
            ("::/129", NetworkError::Prefix),
            ("10.0.0.1/8", NetworkError::Bits),
        ] {
            assert_eq!(Network::parse(text), Err(error), "{text}");
        }
    }
}

//! Limits on those of whom nothing is known but an address, and on guesses at passwords: shared by all
//! shards, since the kernel spreads connections as it likes.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use identity::Rate;
use money::UserId;

use crate::bucket::Bucket;

/// Parts of a table, each with its lock: shards seldom meet at one.
const STRIPES: usize = 64;
/// Buckets of one part. Past it those that are full are forgotten; if none is, all are: a flood from more
/// addresses than this is not stopped by counting addresses.
const MAX_STRIPE_BUCKETS: usize = 4_096;

/// Buckets by a key.
struct Buckets<K> {
    stripes: Vec<Mutex<HashMap<K, Bucket>>>,
    hasher: RandomState,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new() -> Buckets<K> {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        Buckets { stripes, hasher: RandomState::new() }
    }

    fn take(&self, key: K, rate: Rate, weight: u32, now_ms: u64) -> Result<u32, u64> {
        let place = self.hasher.hash_one(&key) as usize % STRIPES;
        // Nothing in here panics half way.
        let mut stripe = self.stripes[place].lock().unwrap_or_else(PoisonError::into_inner);
        if stripe.len() >= MAX_STRIPE_BUCKETS && !stripe.contains_key(&key) {
            stripe.retain(|_, bucket| !bucket.is_full(rate, now_ms));
            if stripe.len() >= MAX_STRIPE_BUCKETS {
                stripe.clear();
            }
        }
        stripe.entry(key).or_default().take(rate, weight, now_ms)
    }
}

/// What all shards count together.
pub(crate) struct Throttle {
    addresses: Buckets<IpAddr>,
    logins: Buckets<UserId>,
}

impl Throttle {
    pub fn new() -> Throttle {
        Throttle { addresses: Buckets::new(), logins: Buckets::new() }
    }

    /// Takes from what an address may ask; in how many ms it may again.
    pub fn address(
        &self,
        address: IpAddr,
        rate: Rate,
        weight: u32,
        now_ms: u64,
    ) -> Result<(), u64> {
        if rate.orders_per_second == 0 || weight == 0 {
            return Ok(());
        }
        self.addresses.take(site_of(address), rate, weight, now_ms).map(drop)
    }

    /// Counts a login to a user, good or bad; in how many ms another may be tried.
    pub fn login(&self, user: UserId, per_minute: u32, now_ms: u64) -> Result<(), u64> {
        const TRIES_AT_A_TIME_MS: u64 = 60_000;
        if per_minute == 0 {
            return Ok(());
        }
        // A bucket counts by the second: a try weighs as much as comes back in its part of a minute.
        let rate = Rate { orders_per_second: 1_000, burst: TRIES_AT_A_TIME_MS as u32 };
        let weight = TRIES_AT_A_TIME_MS as u32 / per_minute.min(TRIES_AT_A_TIME_MS as u32);
        self.logins.take(user, rate, weight.max(1), now_ms).map(drop)
    }
}

/// Who has one address of IPv6 has the whole network of 64 bits.
fn site_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { orders_per_second: 10, burst: 5 };

    #[test]
    fn a_site_is_limited_whichever_of_its_addresses_it_takes() {
        let throttle = Throttle::new();
        let admitted = (0..100u128)
            .filter(|&low| {
                let address = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | low));
                throttle.address(address, RATE, 1, 0).is_ok()
            })
            .count();
        assert_eq!(admitted, 5);
        assert!(throttle.address("10.0.0.1".parse().unwrap(), RATE, 1, 0).is_ok());
        let off = Rate { orders_per_second: 0, burst: 0 };
        assert!(throttle.address("10.0.0.1".parse().unwrap(), off, 1_000, 0).is_ok());
    }

    #[test]
    fn passwords_are_not_guessed_quickly() {
        let throttle = Throttle::new();
        let tries = |user, now_ms| {
            (0..100).filter(|_| throttle.login(UserId(user), 10, now_ms).is_ok()).count()
        };
        assert_eq!(tries(1, 0), 10);
        assert_eq!(tries(1, 6_000), 1);
        assert_eq!(tries(2, 6_000), 10);
        assert_eq!(throttle.login(UserId(1), 10, 6_000), Err(6_000));
    }

    #[test]
    fn more_addresses_than_are_counted_take_no_more_memory() {
        let throttle = Throttle::new();
        for number in 0..(STRIPES * MAX_STRIPE_BUCKETS * 2) as u32 {
            let _ = throttle.address(IpAddr::V4(number.into()), RATE, 1, 0);
        }
        let kept: usize =
            throttle.addresses.stripes.iter().map(|one| one.lock().unwrap().len()).sum();
        assert!(kept <= STRIPES * MAX_STRIPE_BUCKETS, "{kept}");
    }
}

//! What the home of a user admits: not more than its rate, and no signature twice.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use gateway::auth::{SIGNATURE_AHEAD_MS, SIGNATURE_WINDOW_MS, Seal};
use gateway::middleware::{Admission, Budget, Cost, Limits};
use identity::{Identities, Rate};
use money::UserId;

use crate::bucket::Bucket;

/// Signatures of one shard's users that are known at a time. Past it nothing that is signed is admitted.
const MAX_SEALS: usize = 1 << 22;
/// Parts of a set, so that none grows so large that growing shows.
const SEAL_PARTS: usize = 64;
/// Users with a bucket. Past it those whose buckets are full are forgotten.
const MAX_BUCKETS: usize = 1 << 20;
/// How long a signature may be good from when it is first seen.
const SEAL_LIFE_MS: u64 = SIGNATURE_AHEAD_MS + SIGNATURE_WINDOW_MS;

/// Why something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// Its user is too fast.
    TooFast {
        /// How many a second.
        limit: u32,
        /// When it may again.
        retry_ms: u64,
    },
    /// Its signature was used.
    Replayed,
    /// No more signatures can be kept.
    Full,
}

/// The budgets of one user.
#[derive(Default)]
struct Buckets {
    orders: Bucket,
    requests: Bucket,
}

/// This shard's users, as far as they have asked for something lately.
#[derive(Default)]
pub(crate) struct Guard {
    buckets: RefCell<HashMap<UserId, Buckets>>,
    seals: RefCell<Seals>,
}

impl Guard {
    /// Admits something of a user of this shard. What is left of its budget, if it has one.
    pub fn admit(
        &self,
        admission: &Admission,
        limits: &Limits,
        identities: &Identities,
        now_ms: u64,
    ) -> Result<Option<Budget>, NotAdmitted> {
        let mut seals = self.seals.borrow_mut();
        if let Some(seal) = &admission.seal {
            // First: else who has caught a signature could use its owner's budget up with it.
            seals.check(seal, now_ms)?;
        }
        let budget = self.take(admission, limits, identities, now_ms)?;
        if let Some(seal) = &admission.seal {
            seals.keep(seal);
        }
        Ok(budget)
    }

    fn take(
        &self,
        admission: &Admission,
        limits: &Limits,
        identities: &Identities,
        now_ms: u64,
    ) -> Result<Option<Budget>, NotAdmitted> {
        let (rate, weight) = rate_of(admission, limits, identities);
        if rate.orders_per_second == 0 || weight == 0 {
            return Ok(None);
        }
        let mut buckets = self.buckets.borrow_mut();
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&admission.user) {
            buckets.clear();
        }
        let of_user = buckets.entry(admission.user).or_default();
        let bucket = match admission.cost {
            Cost::Orders(_) => &mut of_user.orders,
            Cost::Requests(_) | Cost::Free => &mut of_user.requests,
        };
        let limit = rate.orders_per_second;
        match bucket.take(rate, weight, now_ms) {
            Ok(remaining) => Ok(Some(Budget { limit, remaining })),
            Err(retry_ms) => Err(NotAdmitted::TooFast { limit, retry_ms }),
        }
    }

    /// Forgets users who have asked for nothing for a while. Called about once a second.
    pub fn tidy(&self, limits: &Limits, identities: &Identities, now_ms: u64) {
        const WORTH_TIDYING: usize = 4_096;
        let mut buckets = self.buckets.borrow_mut();
        if buckets.len() >= WORTH_TIDYING {
            buckets.retain(|&user, of_user| {
                let orders = limits.orders_of(user, identities);
                !of_user.orders.is_full(orders, now_ms)
                    || !of_user.requests.is_full(limits.requests, now_ms)
            });
        }
        self.seals.borrow_mut().turn(now_ms);
    }
}

/// The rate that holds for something, and how much it takes.
pub(crate) fn rate_of(
    admission: &Admission,
    limits: &Limits,
    identities: &Identities,
) -> (Rate, u32) {
    match admission.cost {
        Cost::Free => (limits.requests, 0),
        Cost::Requests(weight) => (limits.requests, weight),
        Cost::Orders(weight) => (limits.orders_of(admission.user, identities), weight),
    }
}

/// Signatures that were used, in two generations: of the present one and the one before. So each is known
/// for at least [`SEAL_LIFE_MS`], and forgotten without a look at its time.
struct Seals {
    present: Vec<HashSet<u128>>,
    before: Vec<HashSet<u128>>,
    count: usize,
    turned_ms: u64,
}

impl Default for Seals {
    fn default() -> Seals {
        Seals { present: parts(), before: parts(), count: 0, turned_ms: 0 }
    }
}

fn parts() -> Vec<HashSet<u128>> {
    (0..SEAL_PARTS).map(|_| HashSet::new()).collect()
}

fn part_of(seal: &Seal) -> usize {
    seal.signature as usize % SEAL_PARTS
}

impl Seals {
    fn turn(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.turned_ms) < SEAL_LIFE_MS {
            return;
        }
        self.turned_ms = now_ms;
        self.count = 0;
        std::mem::swap(&mut self.present, &mut self.before);
        self.present.iter_mut().for_each(HashSet::clear);
    }

    fn check(&mut self, seal: &Seal, now_ms: u64) -> Result<(), NotAdmitted> {
        self.turn(now_ms);
        let part = part_of(seal);
        let is_known = [&self.present, &self.before]
            .into_iter()
            .any(|generation| generation[part].contains(&seal.signature));
        if is_known {
            return Err(NotAdmitted::Replayed);
        }
        (self.count < MAX_SEALS).then_some(()).ok_or(NotAdmitted::Full)
    }

    fn keep(&mut self, seal: &Seal) {
        self.present[part_of(seal)].insert(seal.signature);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(signature: u128) -> Admission {
        let seal = Seal { signature };
        Admission { user: UserId(1), cost: Cost::Orders(1), seal: Some(seal) }
    }

    fn admit(
        guard: &Guard,
        admission: &Admission,
        now_ms: u64,
    ) -> Result<Option<Budget>, NotAdmitted> {
        guard.admit(admission, &Limits::PRODUCTION, &Identities::default(), now_ms)
    }

    #[test]
    fn a_signature_is_good_once_for_as_long_as_it_is_good() {
        let guard = Guard::default();
        for start_ms in [1_000_000, 1_000_001, 1_009_999, 1_010_000] {
            let admission = signed(u128::from(start_ms));
            assert!(admit(&guard, &admission, start_ms).is_ok());
            for later_ms in [0, 1, SIGNATURE_WINDOW_MS, SEAL_LIFE_MS] {
                let again = admit(&guard, &admission, start_ms + later_ms);
                assert_eq!(again, Err(NotAdmitted::Replayed), "{start_ms} + {later_ms}");
            }
        }
    }

    #[test]
    fn a_signature_that_was_caught_does_not_use_its_owners_budget_up() {
        let guard = Guard::default();
        let caught = signed(7);
        assert!(admit(&guard, &caught, 0).is_ok());
        for _ in 0..100 {
            assert_eq!(admit(&guard, &caught, 0), Err(NotAdmitted::Replayed));
        }
        let budget = admit(&guard, &signed(8), 0).unwrap().unwrap();
        assert_eq!(budget, Budget { limit: 100, remaining: 8 });
    }

    #[test]
    fn a_request_that_was_too_fast_may_be_sent_again() {
        let guard = Guard::default();
        for signature in 0..10 {
            assert!(admit(&guard, &signed(signature), 0).is_ok());
        }
        let late = signed(99);
        let too_fast = NotAdmitted::TooFast { limit: 100, retry_ms: 10 };
        assert_eq!(admit(&guard, &late, 0), Err(too_fast));
        assert!(admit(&guard, &late, 10).is_ok());
    }

    #[test]
    fn a_users_own_rate_is_stronger_than_its_roles() {
        let guard = Guard::default();
        let mut identities = Identities::default();
        let rate = Some(Rate { orders_per_second: 1, burst: 1 });
        let known = identity::UserIdentity { rate, ..Default::default() };
        assert!(identities.restore_user(UserId(1), known));
        let admission = Admission { user: UserId(1), cost: Cost::Orders(1), seal: None };
        let admit = |now_ms| guard.admit(&admission, &Limits::OFF, &identities, now_ms);
        assert_eq!(admit(0), Ok(Some(Budget { limit: 1, remaining: 0 })));
        assert!(admit(999).is_err());
        assert!(admit(1_000).is_ok());
    }
}

//! Withdrawals in two steps: a user asks, an operator confirms or rejects.

use std::collections::{BTreeMap, BTreeSet};

use money::{AssetId, Units, UserId, WithdrawalStatus};
use rkyv::{Archive, Deserialize, Serialize};

/// A withdrawal in two steps.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Whose.
    pub user: UserId,
    /// The client's own id of it, of the same kind as a payment's.
    pub reference: String,
    /// Of what.
    pub asset: AssetId,
    /// How much, in units.
    pub amount: Units,
    /// Where to, in the operator's words.
    pub destination: Option<String>,
    /// Where it stands.
    pub status: WithdrawalStatus,
    /// When it was asked for, in ms since the epoch.
    pub requested_at_ms: u64,
    /// When it was confirmed or rejected, in ms since the epoch.
    pub ended_at_ms: Option<u64>,
}

/// A place in the list of all, from 0 in the order of requests.
type Number = u64;

/// Every withdrawal ever asked for on this shard. Kept for ever, like payments. That their amounts are
/// frozen, released and paid out is the caller's affair.
#[derive(Clone, Debug, Default)]
pub struct Withdrawals {
    made: Vec<Withdrawal>,
    by_reference: BTreeMap<UserId, BTreeMap<String, Number>>,
    by_status: BTreeSet<(UserId, WithdrawalStatus, Number)>,
    pending: BTreeSet<Number>,
}

impl Withdrawals {
    /// The one of this `ref`.
    pub fn find(&self, user: UserId, reference: &str) -> Option<&Withdrawal> {
        self.number(user, reference).and_then(|number| self.get(number))
    }

    fn number(&self, user: UserId, reference: &str) -> Option<Number> {
        self.by_reference.get(&user)?.get(reference).copied()
    }

    fn get(&self, number: Number) -> Option<&Withdrawal> {
        self.made.get(usize::try_from(number).ok()?)
    }

    /// All of them, in the order of requests.
    pub fn iter(&self) -> impl Iterator<Item = &Withdrawal> {
        self.made.iter()
    }

    /// Remembers one. `false`, and nothing is remembered, when its `ref` is known.
    #[must_use]
    pub fn record(&mut self, withdrawal: Withdrawal) -> bool {
        let (user, status) = (withdrawal.user, withdrawal.status);
        if self.number(user, &withdrawal.reference).is_some() {
            return false;
        }
        let number = self.made.len() as Number;
        let references = self.by_reference.entry(user).or_default();
        references.insert(withdrawal.reference.clone(), number);
        self.by_status.insert((user, status, number));
        if status == WithdrawalStatus::Pending {
            self.pending.insert(number);
        }
        self.made.push(withdrawal);
        true
    }

    /// Ends a pending one; `None` when there is no such.
    pub fn end(
        &mut self,
        user: UserId,
        reference: &str,
        status: WithdrawalStatus,
        at_ms: u64,
    ) -> Option<&Withdrawal> {
        let number = self.number(user, reference)?;
        let withdrawal = self.made.get_mut(usize::try_from(number).ok()?)?;
        if status == WithdrawalStatus::Pending || !self.pending.remove(&number) {
            return None;
        }
        self.by_status.remove(&(user, WithdrawalStatus::Pending, number));
        self.by_status.insert((user, status, number));
        (withdrawal.status, withdrawal.ended_at_ms) = (status, Some(at_ms));
        Some(withdrawal)
    }

    fn of_user(
        &self,
        user: UserId,
        status: WithdrawalStatus,
    ) -> impl DoubleEndedIterator<Item = Number> {
        let range = (user, status, 0)..=(user, status, Number::MAX);
        self.by_status.range(range).map(|&(_, _, number)| number)
    }

    /// How many of a user's are pending. Linear in that number.
    pub fn pending_count(&self, user: UserId) -> usize {
        self.of_user(user, WithdrawalStatus::Pending).count()
    }

    /// Up to `limit` of a user's, newest first; of one status, if one is named.
    pub fn newest(
        &self,
        user: UserId,
        status: Option<WithdrawalStatus>,
        limit: usize,
    ) -> Vec<&Withdrawal> {
        let wanted = |one: &&WithdrawalStatus| status.is_none_or(|status| status == **one);
        let statuses = WithdrawalStatus::ALL.iter().filter(wanted);
        let newest = statuses.flat_map(|&one| self.of_user(user, one).rev().take(limit));
        let mut numbers: Vec<Number> = newest.collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers.truncate(limit);
        numbers.into_iter().filter_map(|number| self.get(number)).collect()
    }

    /// Up to `limit` pending ones of all users, oldest first.
    pub fn oldest_pending(&self, limit: usize) -> Vec<&Withdrawal> {
        self.pending.iter().take(limit).filter_map(|&number| self.get(number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WithdrawalStatus::{Confirmed, Pending, Rejected};

    fn withdrawal(user: u64, reference: &str) -> Withdrawal {
        Withdrawal {
            user: UserId(user),
            reference: reference.to_owned(),
            asset: AssetId(0),
            amount: 5,
            destination: None,
            status: Pending,
            requested_at_ms: 1,
            ended_at_ms: None,
        }
    }

    fn names<'a>(found: &[&'a Withdrawal]) -> Vec<&'a str> {
        found.iter().map(|one| one.reference.as_str()).collect()
    }

    #[test]
    fn a_withdrawal_ends_once() {
        let mut all = Withdrawals::default();
        assert!(all.record(withdrawal(1, "a")) && !all.record(withdrawal(1, "a")));
        let ended = all.end(UserId(1), "a", Confirmed, 9).expect("was pending");
        assert_eq!((ended.status, ended.ended_at_ms), (Confirmed, Some(9)));
        for status in [Confirmed, Rejected, Pending] {
            assert_eq!(all.end(UserId(1), "a", status, 10), None);
        }
        assert_eq!(all.end(UserId(2), "a", Confirmed, 10), None);
    }

    #[test]
    fn lists_are_in_the_order_of_requests_whatever_has_ended() {
        let mut all = Withdrawals::default();
        for (user, reference) in [(1, "a"), (2, "x"), (1, "b"), (1, "c"), (1, "d")] {
            assert!(all.record(withdrawal(user, reference)));
        }
        all.end(UserId(1), "c", Rejected, 3).unwrap();
        all.end(UserId(1), "a", Confirmed, 4).unwrap();
        assert_eq!(names(&all.newest(UserId(1), None, 10)), ["d", "c", "b", "a"]);
        assert_eq!(names(&all.newest(UserId(1), None, 3)), ["d", "c", "b"]);
        assert_eq!(names(&all.newest(UserId(1), Some(Pending), 10)), ["d", "b"]);
        assert_eq!(names(&all.newest(UserId(1), Some(Rejected), 10)), ["c"]);
        assert_eq!(names(&all.oldest_pending(2)), ["x", "b"]);
        assert_eq!((all.pending_count(UserId(1)), all.pending_count(UserId(3))), (2, 0));
    }
}

//! Payments and withdrawals a second time: what came in less what went out, and a list of what was
//! asked for.

use engine::{Transfer, WithdrawalRequest, WithdrawalView};
use money::{AssetId, Units, UserId, WithdrawalStatus};

use super::shard::NaiveShard;

impl NaiveShard {
    pub(super) fn pay(&mut self, transfer: &Transfer, is_deposit: bool) {
        let Transfer { user, asset, amount, reference } = transfer;
        let new = self.payments.insert((*user, reference.clone()));
        assert!(new, "paid twice: {transfer:?}");
        let house = self.house.entry(*asset).or_default();
        if is_deposit {
            house.deposits += amount;
            self.receive(*user, *asset, *amount);
        } else {
            house.withdrawals += amount;
            self.check_allowed(*user);
            assert!(self.avail(*user, *asset) >= *amount, "overdrawn: {transfer:?}");
            self.spend(*user, *asset, *amount);
        }
    }

    pub(super) fn request_withdrawal(&mut self, request: &WithdrawalRequest) {
        let WithdrawalRequest { user, asset, amount, reference, destination } = request.clone();
        let new = self.payments.insert((user, reference.clone()));
        assert!(new, "asked for twice: {request:?}");
        self.check_allowed(user);
        assert!(self.avail(user, asset) >= amount, "overdrawn: {request:?}");
        self.withdrawals.push(WithdrawalView {
            user,
            reference,
            asset,
            amount,
            destination,
            status: WithdrawalStatus::Pending,
            requested_at_ms: self.now_ms,
            ended_at_ms: None,
        });
    }

    pub(super) fn end_withdrawal(&mut self, user: UserId, reference: &str, confirm: bool) {
        let now_ms = self.now_ms;
        let mut withdrawals = self.withdrawals.iter_mut();
        let known = withdrawals.find(|one| one.user == user && one.reference == reference);
        let known = known.expect("a withdrawal that was asked for");
        assert_eq!(known.status, WithdrawalStatus::Pending, "ended twice: {known:?}");
        known.ended_at_ms = Some(now_ms);
        known.status = WithdrawalStatus::Rejected;
        if confirm {
            known.status = WithdrawalStatus::Confirmed;
            let (asset, amount) = (known.asset, known.amount);
            self.house.entry(asset).or_default().withdrawals += amount;
            self.spend(user, asset, amount);
        }
    }

    /// What pending withdrawals hold.
    pub(super) fn requested(&self, user: UserId, asset: AssetId) -> Units {
        let pending = self.pending().filter(|one| one.user == user && one.asset == asset);
        pending.map(|one| one.amount).sum()
    }

    /// Oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &WithdrawalView> {
        self.withdrawals.iter().filter(|one| one.status == WithdrawalStatus::Pending)
    }
}

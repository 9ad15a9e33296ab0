//! Withdrawals in two steps: the amount is frozen when a user asks, and paid out or given back when an
//! operator says so. Each step happens once, however often it is asked for.

use ledger::Withdrawal;
use money::{UserId, WithdrawalStatus};

use crate::changing::Applied;
use crate::command::{MAX_PENDING_WITHDRAWALS, WithdrawalRequest};
use crate::effect::{BalanceReason, Effects};
use crate::engine::{Engine, Step, reply};
use crate::reply::{Origin, Refusal, Reply};

impl Engine {
    pub(crate) fn request_withdrawal(
        &mut self,
        request: &WithdrawalRequest,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let &WithdrawalRequest { user, asset, amount, ref reference, ref destination } = request;
        let account = self.account(user)?;
        self.registry.asset(asset).ok_or(Refusal::UnknownAsset)?;
        if let Some(made) = self.withdrawals.find(user, reference) {
            let same = (made.asset, made.amount, &made.destination) == (asset, amount, destination);
            if !same {
                return Err(Refusal::ReferenceReused);
            }
            reply(out, origin, || Reply::Withdrawal(Box::new(made.clone())));
            return Ok(Step::Unchanged);
        }
        if self.payments.find(user, reference).is_some() {
            return Err(Refusal::ReferenceReused);
        }
        if self.ledger.is_frozen(account) {
            return Err(Refusal::UserFrozen);
        }
        if self.withdrawals.pending_count(user) >= MAX_PENDING_WITHDRAWALS {
            return Err(Refusal::TooManyWithdrawals);
        }
        // A refusal must not leave an empty balance behind.
        let avail = self.ledger.find(account, asset).avail;
        if avail < amount {
            return Err(Refusal::InsufficientBalance { asset, needed: amount, avail });
        }
        let slot = self.ledger.slot(account, asset);
        let before = self.before(account, [slot, slot], out).first();
        self.ledger.freeze(slot, amount).expect("was checked");
        self.tell_balances(account, before, None, BalanceReason::Withdrawal, out);
        let withdrawal = Withdrawal {
            user,
            reference: reference.clone(),
            asset,
            amount,
            destination: destination.clone(),
            status: WithdrawalStatus::Pending,
            requested_at_ms: self.now_ms,
            ended_at_ms: None,
        };
        reply(out, origin, || Reply::Withdrawal(Box::new(withdrawal.clone())));
        self.mix_withdrawal(&withdrawal);
        let is_new = self.withdrawals.record(withdrawal);
        debug_assert!(is_new, "was looked for");
        Ok(Step::Changed)
    }

    pub(crate) fn end_withdrawal(
        &mut self,
        user: UserId,
        reference: &str,
        confirm: bool,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let status = match confirm {
            true => WithdrawalStatus::Confirmed,
            false => WithdrawalStatus::Rejected,
        };
        let account = self.account(user)?;
        let known = self.withdrawals.find(user, reference).ok_or(Refusal::UnknownWithdrawal)?;
        if known.status == status {
            reply(out, origin, || Reply::Withdrawal(Box::new(known.clone())));
            return Ok(Step::Unchanged);
        }
        let ended = self.withdrawals.end(user, reference, status, self.now_ms);
        let Some(ended) = ended.cloned() else {
            let known = self.withdrawals.find(user, reference);
            let known = known.ok_or(Refusal::UnknownWithdrawal)?;
            return Err(Refusal::WithdrawalEnded(known.status));
        };
        let slot = self.ledger.slot(account, ended.asset);
        let before = self.before(account, [slot, slot], out).first();
        match confirm {
            true => self.ledger.pay_out(slot, ended.amount),
            false => self.ledger.release(slot, ended.amount),
        }
        self.tell_balances(account, before, Some(slot), BalanceReason::Withdrawal, out);
        self.mix_withdrawal(&ended);
        reply(out, origin, || Reply::Withdrawal(Box::new(ended)));
        Ok(Step::Changed)
    }

    fn mix_withdrawal(&mut self, withdrawal: &Withdrawal) {
        let &Withdrawal { user, asset, amount, status, .. } = withdrawal;
        self.mix(user.0 ^ (amount as u64).rotate_left(19) ^ (status as u64) << 61);
        self.mix(u64::from(asset.0) ^ (amount >> 64) as u64);
    }
}

//! What one client knows of its withdrawals in two steps, and what must stay true of them for ever.

use engine::{Command, Refusal, Reply, WithdrawalRequest, WithdrawalView};
use money::{AssetId, UserId, WithdrawalStatus};

use crate::random::Random;

/// Which step was asked for, and what was known of the withdrawal then.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub index: usize,
    /// Its end, confirmed or not; `None`: its request.
    pub end: Option<bool>,
    past: Option<WithdrawalView>,
}

/// What is known of one withdrawal.
#[derive(Clone, Debug)]
pub(crate) struct KnownWithdrawal {
    pub request: WithdrawalRequest,
    pub given_up: bool,
    /// As it was told last; once it has ended, for ever.
    pub view: Option<WithdrawalView>,
}

/// All withdrawals of one user.
#[derive(Default)]
pub(crate) struct Withdrawals {
    pub known: Vec<KnownWithdrawal>,
}

impl Withdrawals {
    /// Something to do: mostly with one that is there already.
    pub fn act(&mut self, user: UserId, asset: AssetId, random: &mut Random) -> (Step, Command) {
        let count = self.known.len();
        if count == 0 || random.chance(40) {
            let request = WithdrawalRequest {
                user,
                asset,
                amount: random.range(1, 2_000).into(),
                reference: format!("take-{count}"),
                destination: random.chance(50).then(|| "somewhere".to_owned()),
            };
            self.known.push(KnownWithdrawal { request, given_up: false, view: None });
            return self.again(count);
        }
        let index = count - 1 - (random.below(5) as usize).min(count - 1);
        if random.chance(20) {
            return self.again(index);
        }
        let (confirm, known) = (random.chance(60), &self.known[index]);
        let reference = known.request.reference.clone();
        let step = Step { index, end: Some(confirm), past: known.view.clone() };
        (step, Command::EndWithdrawal { user, reference, confirm })
    }

    /// Asks for one, for the first time or again.
    pub fn again(&self, index: usize) -> (Step, Command) {
        let known = &self.known[index];
        let step = Step { index, end: None, past: known.view.clone() };
        (step, Command::RequestWithdrawal(Box::new(known.request.clone())))
    }

    /// Those whose answer never came.
    pub fn unsure(&self) -> impl Iterator<Item = usize> + '_ {
        let known = self.known.iter().enumerate();
        known.filter(|(_, one)| one.view.is_none() && !one.given_up).map(|(index, _)| index)
    }

    /// The request went nowhere.
    pub fn turned_away(&mut self, step: &Step) {
        if step.end.is_none() {
            let known = &mut self.known[step.index];
            known.given_up = known.view.is_none();
        }
    }

    pub fn answered(&mut self, step: &Step, reply: &Reply) {
        let known = &mut self.known[step.index];
        match reply {
            Reply::Withdrawal(view) => {
                if let Some(confirm) = step.end {
                    assert_eq!(view.status, ended(confirm), "{view:?} to {step:?}");
                }
                known.observe(view, step.past.as_ref());
            }
            Reply::Refused(Refusal::Busy) => {}
            Reply::Refused(Refusal::WithdrawalEnded(status)) => {
                let confirm = step.end.expect("only an end can be too late");
                assert_eq!(*status, ended(!confirm), "{step:?}");
                let known = known.view.as_ref().filter(|view| view.ended_at_ms.is_some());
                assert!(known.is_none_or(|view| view.status == *status), "ended twice: {known:?}");
            }
            Reply::Refused(refusal) => {
                assert!(step.past.is_none(), "acknowledged, then forgotten: {refusal} {step:?}");
                if let Refusal::InsufficientBalance { needed, avail, .. } = refusal {
                    assert!(needed > avail, "{refusal} to {step:?}");
                }
                assert_ne!(*refusal, Refusal::ReferenceReused, "never reused: {known:?}");
                known.given_up |= step.end.is_none() && known.view.is_none();
            }
            other => panic!("{other:?} to {step:?}"),
        }
    }

    /// One row of a list.
    pub fn saw(&mut self, view: &WithdrawalView) {
        let mut known = self.known.iter_mut();
        let known = known.find(|one| one.request.reference == view.reference);
        known.expect("nobody else asks for one").observe(view, None);
    }

    /// Panics unless everything that was told is among what is there now.
    pub fn check(&self, now: &[WithdrawalView]) {
        for known in &self.known {
            let Some(told) = &known.view else { continue };
            let view = now.iter().find(|view| view.reference == told.reference);
            let view = view.unwrap_or_else(|| panic!("acknowledged, then lost: {told:?}"));
            known.clone().observe(view, Some(told));
        }
    }
}

fn ended(confirm: bool) -> WithdrawalStatus {
    match confirm {
        true => WithdrawalStatus::Confirmed,
        false => WithdrawalStatus::Rejected,
    }
}

impl KnownWithdrawal {
    /// Panics when a view contradicts what was known when it was asked for. Other answers may have
    /// overtaken it since.
    fn observe(&mut self, view: &WithdrawalView, past: Option<&WithdrawalView>) {
        let WithdrawalRequest { user, asset, amount, reference, destination } = &self.request;
        let told = (view.user, view.asset, view.amount, &view.reference, &view.destination);
        assert_eq!(told, (*user, *asset, *amount, reference, destination), "another one");
        assert_eq!(view.status == WithdrawalStatus::Pending, view.ended_at_ms.is_none());
        if let Some(past) = past.filter(|past| past.ended_at_ms.is_some()) {
            assert_eq!(view, past, "an ended withdrawal lives again");
        }
        if let Some(known) = &self.view {
            assert_eq!(view.requested_at_ms, known.requested_at_ms, "asked for twice");
            let both_ended = view.ended_at_ms.is_some() && known.ended_at_ms.is_some();
            assert!(!both_ended || view == known, "ended twice: {view:?} {known:?}");
        }
        if self.view.is_none() || view.ended_at_ms.is_some() {
            self.view = Some(view.clone());
        }
        self.given_up = false;
    }
}

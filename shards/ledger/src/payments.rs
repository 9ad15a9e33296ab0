//! Which payments were made, so that a repeated `ref` pays once.

use std::collections::BTreeMap;

use money::{AssetId, Units, UserId};

/// In or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentKind {
    /// A deposit.
    Deposit,
    /// A withdrawal.
    Withdrawal,
}

/// What a `ref` stood for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// In or out.
    pub kind: PaymentKind,
    /// Of what.
    pub asset: AssetId,
    /// How much, in units.
    pub amount: Units,
}

/// Every payment ever made on this shard, by user and `ref`. Kept for ever: a payment repeated after
/// years must not pay again.
#[derive(Clone, Debug, Default)]
pub struct Payments {
    made: BTreeMap<UserId, BTreeMap<String, Payment>>,
}

impl Payments {
    /// The payment made under this `ref`.
    pub fn find(&self, user: UserId, reference: &str) -> Option<Payment> {
        self.made.get(&user)?.get(reference).copied()
    }

    /// All of them, by user and `ref`.
    pub fn iter(&self) -> impl Iterator<Item = (UserId, &str, Payment)> {
        self.made.iter().flat_map(|(&user, payments)| {
            payments.iter().map(move |(reference, &payment)| (user, reference.as_str(), payment))
        })
    }

    /// Remembers a payment.
    pub fn record(&mut self, user: UserId, reference: String, payment: Payment) {
        let before = self.made.entry(user).or_default().insert(reference, payment);
        debug_assert!(before.is_none(), "the caller looked for it first");
    }
}

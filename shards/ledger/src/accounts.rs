//! Users and their balances.

use std::collections::BTreeMap;
use std::ops::Bound;

use money::{AssetId, FixedState, Map, Units, UserId};

/// A user's place in the ledger, dense from 0 in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(pub u32);

/// A balance's place in the ledger. Never moves, so an order may keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Dense from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One user's balance of one asset, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Of what.
    pub asset: AssetId,
    /// Free to use.
    pub avail: Units,
    /// Held by open orders and pending withdrawals.
    pub frozen: Units,
}

/// The sums of one asset over one shard, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// All ever paid in.
    pub deposits: Units,
    /// All ever paid out.
    pub withdrawals: Units,
    /// Sum of what is available.
    pub avail: Units,
    /// Sum of what is frozen.
    pub frozen: Units,
    /// The house account.
    pub fees: Units,
}

/// Why the ledger refuses. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Not enough available.
    #[error("{needed} units needed, {avail} available")]
    Insufficient {
        /// What would be needed, in units.
        needed: Units,
        /// What there is, in units.
        avail: Units,
    },
    /// All deposits of the asset together would pass [`MAX_TOTAL_UNITS`].
    #[error("all deposits of the asset together would be too large")]
    TooLarge,
    /// The user exists.
    #[error("the user exists already")]
    UserExists,
}

/// Most units of an asset that may ever be paid in on one shard: 2^110, a thousand times 10^30. No
/// sum of balances can overflow below it, also over all shards and with a sign.
pub const MAX_TOTAL_UNITS: Units = 1 << 110;

#[derive(Clone, Debug)]
struct Person {
    user: UserId,
    name: Option<String>,
    frozen: bool,
    /// Sorted by asset.
    slots: Vec<(AssetId, Slot)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct House {
    deposits: Units,
    withdrawals: Units,
    fees: Units,
}

/// The ledger of one shard.
#[derive(Debug)]
pub struct Ledger {
    index: Map<UserId, Account>,
    /// The same in order, for lists of users.
    by_id: BTreeMap<UserId, Account>,
    people: Vec<Person>,
    balances: Vec<Balance>,
    /// By asset id.
    house: Vec<House>,
}

impl Ledger {
    /// An empty ledger. The seed keeps clients from aiming at hash collisions and reaches no
    /// output.
    pub fn new(hash_seed: u64) -> Ledger {
        Ledger {
            index: Map::with_hasher(FixedState::new(hash_seed)),
            by_id: BTreeMap::new(),
            people: Vec::new(),
            balances: Vec::new(),
            house: Vec::new(),
        }
    }

    /// Makes room for so many users and balances more.
    pub fn reserve(&mut self, users: usize, balances: usize) {
        self.index.reserve(users);
        self.people.reserve(users);
        self.balances.reserve(balances);
    }

    /// Adds a user without any balance.
    pub fn create_user(
        &mut self,
        user: UserId,
        name: Option<String>,
    ) -> Result<Account, LedgerError> {
        if self.index.contains_key(&user) {
            return Err(LedgerError::UserExists);
        }
        let account = Account(self.people.len() as u32);
        self.people.push(Person { user, name, frozen: false, slots: Vec::new() });
        self.index.insert(user, account);
        self.by_id.insert(user, account);
        Ok(account)
    }

    /// The account of a user.
    #[inline]
    pub fn account(&self, user: UserId) -> Option<Account> {
        self.index.get(&user).copied()
    }

    /// The user of an account.
    #[inline]
    pub fn user(&self, account: Account) -> UserId {
        self.people[account.0 as usize].user
    }

    /// Up to `limit` accounts by user id, behind `after`, which nobody need have.
    pub fn accounts_after(&self, after: Option<UserId>, limit: usize) -> Vec<Account> {
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_id.range((first, Bound::Unbounded));
        range.take(limit).map(|(_, &account)| account).collect()
    }

    /// The name of a user.
    pub fn name(&self, account: Account) -> Option<&str> {
        self.people[account.0 as usize].name.as_deref()
    }

    /// How many users there are; accounts are numbered below this.
    pub fn users(&self) -> usize {
        self.people.len()
    }

    /// Whether the user is frozen by an administrator.
    #[inline]
    pub fn is_frozen(&self, account: Account) -> bool {
        self.people[account.0 as usize].frozen
    }

    /// Freezes or unfreezes a user.
    pub fn set_frozen(&mut self, account: Account, frozen: bool) {
        self.people[account.0 as usize].frozen = frozen;
    }

    /// The slot of a balance, made at zero if the user has none of the asset yet.
    #[inline]
    pub fn slot(&mut self, account: Account, asset: AssetId) -> Slot {
        let slots = &mut self.people[account.0 as usize].slots;
        match slots.binary_search_by_key(&asset, |entry| entry.0) {
            Ok(at) => slots[at].1,
            Err(at) => {
                let slot = Slot(self.balances.len() as u32);
                slots.insert(at, (asset, slot));
                self.balances.push(Balance { asset, avail: 0, frozen: 0 });
                slot
            }
        }
    }

    /// A balance.
    #[inline]
    pub fn balance(&self, slot: Slot) -> Balance {
        self.balances[slot.0 as usize]
    }

    /// A user's balance of an asset, zero where there never was any.
    #[inline]
    pub fn find(&self, account: Account, asset: AssetId) -> Balance {
        let slots = &self.people[account.0 as usize].slots;
        match slots.binary_search_by_key(&asset, |entry| entry.0) {
            Ok(at) => self.balance(slots[at].1),
            Err(_) => Balance { asset, avail: 0, frozen: 0 },
        }
    }

    /// A user's balances by asset id.
    pub fn balances(&self, account: Account) -> impl Iterator<Item = Balance> + '_ {
        self.people[account.0 as usize].slots.iter().map(|&(_, slot)| self.balance(slot))
    }

    /// A user's balances with their slots, by asset id.
    pub fn slots_of(&self, account: Account) -> impl Iterator<Item = (Slot, Balance)> + '_ {
        let slots = self.people[account.0 as usize].slots.iter();
        slots.map(|&(_, slot)| (slot, self.balance(slot)))
    }

    /// Whether all deposits of the asset, with this one, stay countable.
    pub fn can_deposit(&self, asset: AssetId, amount: Units) -> bool {
        let before = self.house.get(asset.0 as usize).map_or(0, |house| house.deposits);
        before.checked_add(amount).is_some_and(|total| total <= MAX_TOTAL_UNITS)
    }

    /// Pays in.
    pub fn deposit(&mut self, slot: Slot, amount: Units) -> Result<(), LedgerError> {
        let asset = self.balance(slot).asset;
        if !self.can_deposit(asset, amount) {
            return Err(LedgerError::TooLarge);
        }
        self.house_mut(asset).deposits += amount;
        self.balances[slot.0 as usize].avail += amount;
        Ok(())
    }

    /// Pays out of what is available.
    pub fn withdraw(&mut self, slot: Slot, amount: Units) -> Result<(), LedgerError> {
        let balance = &mut self.balances[slot.0 as usize];
        let left = balance.avail.checked_sub(amount);
        let asset = balance.asset;
        balance.avail =
            left.ok_or(LedgerError::Insufficient { needed: amount, avail: balance.avail })?;
        self.house_mut(asset).withdrawals += amount;
        Ok(())
    }

    /// Moves from available to frozen.
    #[inline]
    pub fn freeze(&mut self, slot: Slot, amount: Units) -> Result<(), LedgerError> {
        let balance = &mut self.balances[slot.0 as usize];
        match balance.avail.checked_sub(amount) {
            Some(left) => {
                balance.avail = left;
                balance.frozen += amount;
                Ok(())
            }
            None => Err(LedgerError::Insufficient { needed: amount, avail: balance.avail }),
        }
    }

    /// Moves from frozen back to available.
    ///
    /// # Panics
    /// When less is frozen: an order would release what it never froze.
    #[inline]
    pub fn release(&mut self, slot: Slot, amount: Units) {
        let balance = &mut self.balances[slot.0 as usize];
        balance.frozen =
            balance.frozen.checked_sub(amount).expect("an order releases only what it froze");
        balance.avail += amount;
    }

    /// Pays out of what is frozen.
    ///
    /// # Panics
    /// When less is frozen: a withdrawal would pay out what it never froze.
    pub fn pay_out(&mut self, slot: Slot, amount: Units) {
        let balance = &mut self.balances[slot.0 as usize];
        let left = balance.frozen.checked_sub(amount);
        balance.frozen = left.expect("a withdrawal pays out only what it froze");
        let asset = balance.asset;
        self.house_mut(asset).withdrawals += amount;
    }

    /// Takes from frozen what was `held`: `paid` leaves to the other side of the trade, the rest
    /// stays frozen (`kept`) or becomes available again.
    #[inline]
    pub(crate) fn pay(&mut self, slot: Slot, held: Units, kept: Units, paid: Units) {
        let balance = &mut self.balances[slot.0 as usize];
        let back = held.checked_sub(kept).and_then(|rest| rest.checked_sub(paid));
        balance.frozen =
            balance.frozen.checked_sub(held).expect("an order pays only what it froze") + kept;
        balance.avail += back.expect("a fill costs no more than was held for it");
    }

    /// Receives from the other side of a trade; the fee goes to the house.
    #[inline]
    pub(crate) fn receive(&mut self, slot: Slot, amount: Units, fee: Units) {
        let balance = &mut self.balances[slot.0 as usize];
        balance.avail += amount - fee;
        if fee > 0 {
            let asset = balance.asset;
            self.house_mut(asset).fees += fee;
        }
    }

    /// The sums by asset id, counted anew from every balance: assets beyond the last one ever used
    /// are absent. Linear in the number of balances.
    pub fn totals(&self) -> Vec<Totals> {
        let mut totals: Vec<Totals> = self
            .house
            .iter()
            .map(|house| Totals {
                deposits: house.deposits,
                withdrawals: house.withdrawals,
                fees: house.fees,
                ..Totals::default()
            })
            .collect();
        for balance in &self.balances {
            let at = balance.asset.0 as usize;
            if at >= totals.len() {
                totals.resize(at + 1, Totals::default());
            }
            totals[at].avail += balance.avail;
            totals[at].frozen += balance.frozen;
        }
        totals
    }

    /// What the house counts of an asset: all ever paid in, all ever paid out, fees. By asset id;
    /// absent beyond the last one ever used.
    pub fn house(&self) -> impl Iterator<Item = (AssetId, Totals)> + '_ {
        self.house.iter().enumerate().map(|(id, house)| {
            let House { deposits, withdrawals, fees } = *house;
            (AssetId(id as u32), Totals { deposits, withdrawals, fees, ..Totals::default() })
        })
    }

    /// Adds to what the house counts of an asset, from an image: deposits, withdrawals and fees of
    /// `totals`.
    ///
    /// # Errors
    /// When a sum would not be countable.
    pub fn restore_house(&mut self, asset: AssetId, totals: Totals) -> Result<(), LedgerError> {
        let house = self.house_mut(asset);
        let add = |sum: Units, part: Units| sum.checked_add(part).ok_or(LedgerError::TooLarge);
        house.deposits = add(house.deposits, totals.deposits)?;
        house.withdrawals = add(house.withdrawals, totals.withdrawals)?;
        house.fees = add(house.fees, totals.fees)?;
        Ok(())
    }

    /// Gives a user a balance from an image, with what its orders have frozen. `None` when the user
    /// has one of the asset already.
    pub fn restore_balance(&mut self, account: Account, balance: Balance) -> Option<Slot> {
        let slots = &mut self.people[account.0 as usize].slots;
        let at = slots.binary_search_by_key(&balance.asset, |entry| entry.0).err()?;
        let slot = Slot(self.balances.len() as u32);
        slots.insert(at, (balance.asset, slot));
        self.balances.push(balance);
        Some(slot)
    }

    /// How many balances there are; [`Slot::index`] is below this.
    pub fn slots(&self) -> usize {
        self.balances.len()
    }

    fn house_mut(&mut self, asset: AssetId) -> &mut House {
        let at = asset.0 as usize;
        if at >= self.house.len() {
            self.house.resize(at + 1, House::default());
        }
        &mut self.house[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: AssetId = AssetId(3);

    fn ledger_with(amount: Units) -> (Ledger, Slot) {
        let mut ledger = Ledger::new(1);
        let account = ledger.create_user(UserId(0), None).unwrap();
        let slot = ledger.slot(account, ASSET);
        ledger.deposit(slot, amount).unwrap();
        (ledger, slot)
    }

    #[test]
    fn what_is_not_there_cannot_be_frozen_or_withdrawn() {
        let (mut ledger, slot) = ledger_with(10);
        let refusal = LedgerError::Insufficient { needed: 11, avail: 10 };
        assert_eq!(ledger.freeze(slot, 11), Err(refusal));
        assert_eq!(ledger.withdraw(slot, 11), Err(refusal));
        assert_eq!(ledger.balance(slot), Balance { asset: ASSET, avail: 10, frozen: 0 });
    }

    #[test]
    fn frozen_units_cannot_be_withdrawn() {
        let (mut ledger, slot) = ledger_with(10);
        ledger.freeze(slot, 8).unwrap();
        assert!(ledger.withdraw(slot, 3).is_err());
        ledger.withdraw(slot, 2).unwrap();
        ledger.release(slot, 8);
        let totals = ledger.totals()[3];
        assert_eq!((totals.deposits, totals.withdrawals, totals.avail), (10, 2, 8));
    }

    #[test]
    fn what_is_paid_out_of_the_frozen_leaves_the_rest_as_it_was() {
        let (mut ledger, slot) = ledger_with(10);
        ledger.freeze(slot, 8).unwrap();
        ledger.pay_out(slot, 5);
        assert_eq!(ledger.balance(slot), Balance { asset: ASSET, avail: 2, frozen: 3 });
        let totals = ledger.totals()[3];
        assert_eq!((totals.deposits, totals.withdrawals), (10, 5));
    }

    #[test]
    fn deposits_that_could_overflow_a_sum_are_refused() {
        let (mut ledger, slot) = ledger_with(MAX_TOTAL_UNITS);
        assert_eq!(ledger.deposit(slot, 1), Err(LedgerError::TooLarge));
        assert_eq!(ledger.deposit(slot, u128::MAX), Err(LedgerError::TooLarge));
        assert_eq!(ledger.balance(slot).avail, MAX_TOTAL_UNITS);
    }

    #[test]
    fn users_are_listed_by_id_whatever_the_order_of_their_creation() {
        let mut ledger = Ledger::new(1);
        for user in [7, 3, 9, 1] {
            ledger.create_user(UserId(user), None).unwrap();
        }
        let listed = |after: Option<u64>, limit| -> Vec<u64> {
            let accounts = ledger.accounts_after(after.map(UserId), limit).into_iter();
            accounts.map(|account| ledger.user(account).0).collect()
        };
        assert_eq!(listed(None, 3), [1, 3, 7]);
        assert_eq!(listed(Some(3), 3), [7, 9]);
        assert_eq!(listed(Some(4), 1), [7]);
        assert!(listed(Some(u64::MAX), 1).is_empty());
    }

    #[test]
    fn a_user_is_created_once() {
        let (mut ledger, _) = ledger_with(0);
        assert_eq!(ledger.create_user(UserId(0), None), Err(LedgerError::UserExists));
        assert_eq!(ledger.account(UserId(1)), None);
    }
}

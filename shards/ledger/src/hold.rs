//! What an order holds, and how a fill settles against it.

use money::{Lots, Price, Scale, Side, Units, fee};

use crate::{Ledger, LedgerError, Slot};

/// The reservation of one open order.
///
/// What it freezes is a function of the order alone, at every moment: a limit buy `ceil(price ×
/// remaining)` quote units, a market buy what is left of its budget, a sell `remaining` of base.
/// [`Hold::frozen`] is that number; [`Hold::formula`] computes it anew, for tests and assertions.
///
/// There is one in every order, so it is kept small: the scale, the same for all orders of a symbol,
/// comes from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    frozen: Units,
    price: Price,
    remaining: Lots,
    base: Slot,
    quote: Slot,
    side: Side,
    /// A market buy: what is frozen is what it may still spend.
    by_budget: bool,
}

/// What an order needs to be held for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its side.
    pub side: Side,
    /// Its limit; ignored for a sell and with a budget.
    pub price: Price,
    /// Its quantity.
    pub qty: Lots,
    /// What a market buy may spend.
    pub budget: Option<Units>,
    /// The user's balance of the base asset.
    pub base: Slot,
    /// The user's balance of the quote asset.
    pub quote: Slot,
}

/// What a fill did on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// `floor(price × qty)` in quote units.
    pub notional: Units,
    /// What this side paid of what it received: base units for a buy, quote units for a sell.
    pub fee: Units,
}

impl Hold {
    /// Freezes what the order needs.
    #[inline]
    pub fn take(
        ledger: &mut Ledger,
        scale: Scale,
        reservation: Reservation,
    ) -> Result<Hold, LedgerError> {
        let hold = Hold::restore(scale, reservation)?;
        ledger.freeze(hold.paying(), hold.frozen)?;
        Ok(hold)
    }

    /// A hold from an image, over balances that already count it as frozen. `reservation.qty` is what
    /// remains; a buy with a budget has that much left of it.
    ///
    /// # Errors
    /// When what it freezes is too large to count: no order ever was.
    pub fn restore(scale: Scale, reservation: Reservation) -> Result<Hold, LedgerError> {
        let Reservation { side, price, qty, budget, base, quote } = reservation;
        let budget = budget.filter(|_| side == Side::Buy);
        let (by_budget, frozen) = (budget.is_some(), budget.unwrap_or(0));
        let mut hold = Hold { frozen, price, remaining: qty, base, quote, side, by_budget };
        hold.frozen = hold.formula(scale).ok_or(LedgerError::TooLarge)?;
        Ok(hold)
    }

    /// The reservation that [`Hold::restore`] makes this hold from again.
    pub fn image(&self) -> Reservation {
        let budget = self.by_budget.then_some(self.frozen);
        let &Hold { side, price, remaining: qty, base, quote, .. } = self;
        Reservation { side, price, qty, budget, base, quote }
    }

    /// What the order has frozen, in units of what it pays with.
    #[inline]
    pub fn frozen(&self) -> Units {
        self.frozen
    }

    /// Lots still held for.
    #[inline]
    pub fn remaining(&self) -> Lots {
        self.remaining
    }

    /// What a hold like this freezes. `None` past 128 bits.
    #[inline]
    pub fn formula(&self, scale: Scale) -> Option<Units> {
        match (self.side, self.by_budget) {
            (Side::Sell, _) => Some(scale.base(self.remaining)),
            (Side::Buy, true) => Some(self.frozen),
            (Side::Buy, false) => scale.quote_ceil(self.price, self.remaining),
        }
    }

    /// Settles a fill at the maker's price: pays, receives less the fee, and gives back at once what
    /// the order need not hold any more, price improvement and rounding dust included.
    ///
    /// # Panics
    /// When the fill is larger than what is held: the book never fills more than was reserved.
    #[inline]
    pub fn settle(
        &mut self,
        ledger: &mut Ledger,
        scale: Scale,
        price: Price,
        qty: Lots,
        fee_ppm: u32,
    ) -> Settled {
        assert!(qty <= self.remaining, "a fill is no larger than its order");
        let notional = scale.quote_floor(price, qty).expect("was counted when reserved");
        let base = scale.base(qty);
        let held = self.frozen;
        self.remaining.0 -= qty.0;
        let (paid, received, into) = match self.side {
            Side::Buy => (notional, base, self.base),
            Side::Sell => (base, notional, self.quote),
        };
        self.frozen = if self.by_budget {
            held.checked_sub(paid).expect("the book keeps to the budget")
        } else {
            self.formula(scale).expect("less than before")
        };
        ledger.pay(self.paying(), held, self.frozen, paid);
        let fee = fee(received, fee_ppm);
        ledger.receive(into, received, fee);
        Settled { notional, fee }
    }

    /// Makes the order smaller.
    ///
    /// # Panics
    /// When `by` is more than what remains.
    pub fn reduce(&mut self, ledger: &mut Ledger, scale: Scale, by: Lots) {
        assert!(by <= self.remaining, "a reduction is no larger than its order");
        self.remaining.0 -= by.0;
        self.adjust(ledger, scale).expect("needs less than before");
    }

    /// Sets the price that is reserved for, freezing or giving back the difference.
    pub fn reprice(
        &mut self,
        ledger: &mut Ledger,
        scale: Scale,
        price: Price,
    ) -> Result<(), LedgerError> {
        let old = std::mem::replace(&mut self.price, price);
        let adjusted = self.adjust(ledger, scale);
        if adjusted.is_err() {
            self.price = old;
        }
        adjusted
    }

    /// Gives back everything that is still frozen.
    #[inline]
    pub fn end(&mut self, ledger: &mut Ledger) {
        if self.frozen > 0 {
            ledger.release(self.paying(), self.frozen);
            self.frozen = 0;
        }
    }

    fn adjust(&mut self, ledger: &mut Ledger, scale: Scale) -> Result<(), LedgerError> {
        let needed = self.formula(scale).ok_or(LedgerError::TooLarge)?;
        if needed > self.frozen {
            ledger.freeze(self.paying(), needed - self.frozen)?;
        } else {
            ledger.release(self.paying(), self.frozen - needed);
        }
        self.frozen = needed;
        Ok(())
    }

    /// The balances that a fill changes: of the base asset and of the quote asset.
    #[inline]
    pub fn slots(&self) -> [Slot; 2] {
        [self.base, self.quote]
    }

    /// The balance that it is frozen in.
    #[inline]
    pub fn paying(&self) -> Slot {
        match self.side {
            Side::Buy => self.quote,
            Side::Sell => self.base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use money::{AssetId, UserId};
    use proptest::prelude::*;

    const BASE: AssetId = AssetId(0);
    const QUOTE: AssetId = AssetId(1);

    struct Bench {
        ledger: Ledger,
        slots: [(Slot, Slot); 2],
        scale: Scale,
    }

    /// Two users with `units` of each asset, tick 0.01, lot 10^-8.
    fn bench(units: Units) -> Bench {
        let mut ledger = Ledger::new(0);
        let slots = [1, 2].map(|user| {
            let account = ledger.create_user(UserId(user), None).unwrap();
            let slots = (ledger.slot(account, BASE), ledger.slot(account, QUOTE));
            ledger.deposit(slots.0, units).unwrap();
            ledger.deposit(slots.1, units).unwrap();
            slots
        });
        Bench { ledger, slots, scale: Scale::new(1, 2, 1, 8, 2).unwrap() }
    }

    impl Bench {
        fn take(&mut self, user: usize, side: Side, price: Price, qty: Lots) -> Hold {
            let (base, quote) = self.slots[user];
            let reservation = Reservation { side, price, qty, budget: None, base, quote };
            Hold::take(&mut self.ledger, self.scale, reservation).unwrap()
        }
    }

    fn is_balanced(ledger: &Ledger) -> bool {
        ledger.totals().iter().all(|totals| {
            totals.deposits - totals.withdrawals == totals.avail + totals.frozen + totals.fees
        })
    }

    #[test]
    fn price_improvement_and_dust_come_back_with_the_fill() {
        let mut bench = bench(1_000_000_000);
        let limit = Price(8_500_000);
        let mut buy = bench.take(0, Side::Buy, limit, Lots(3_333_333));
        let scale = bench.scale;
        let settled = buy.settle(&mut bench.ledger, scale, Price(8_400_000), Lots(3_333_333), 0);
        assert_eq!(settled.notional, 279_999);
        let balance = bench.ledger.balance(bench.slots[0].1);
        assert_eq!((balance.avail, balance.frozen), (1_000_000_000 - 279_999, 0));
    }

    #[test]
    fn a_price_that_cannot_be_paid_leaves_the_hold_as_it_was() {
        let mut bench = bench(1_000);
        let mut buy = bench.take(0, Side::Buy, Price(100), Lots(100_000_000));
        let before = buy;
        assert!(buy.reprice(&mut bench.ledger, bench.scale, Price(1_001)).is_err());
        assert_eq!(buy, before);
        assert_eq!(bench.ledger.balance(bench.slots[0].1).frozen, 100);
    }

    #[test]
    fn a_budget_is_spent_and_its_rest_comes_back() {
        let mut bench = bench(1_000_000);
        let (scale, (base, quote)) = (bench.scale, bench.slots[0]);
        let (side, price, qty) = (Side::Buy, Price(u64::MAX), Lots(u64::MAX));
        let reservation = Reservation { side, price, qty, budget: Some(600), base, quote };
        let mut buy = Hold::take(&mut bench.ledger, scale, reservation).unwrap();
        assert_eq!(bench.ledger.balance(quote).frozen, 600);
        buy.settle(&mut bench.ledger, scale, Price(500), Lots(100_000_000), 0);
        assert_eq!((buy.frozen(), bench.ledger.balance(quote).frozen), (100, 100));
        buy.end(&mut bench.ledger);
        assert_eq!(bench.ledger.balance(quote).avail, 1_000_000 - 500);
        let reservation = Reservation { budget: Some(1_000_000), ..reservation };
        assert!(Hold::take(&mut bench.ledger, scale, reservation).is_err());
        assert_eq!(bench.ledger.balance(quote).frozen, 0);
    }

    proptest! {
        #[test]
        fn any_life_of_two_orders_and_withdrawals_conserves_and_holds_the_formula(
            limit in 1u64..20_000_000,
            improvement in 0u64..1_000,
            size in 1u64..10_000_000_000,
            maker_ppm in 0u32..100_000,
            taker_ppm in 0u32..100_000,
            steps in prop::collection::vec((0u8..7, 1u64..3_000_000_000), 0..16)
        ) {
            let mut bench = bench(1 << 80);
            let mut buy = bench.take(0, Side::Buy, Price(limit), Lots(size));
            let mut sell = bench.take(1, Side::Sell, Price(1), Lots(size));
            let scale = bench.scale;
            let price = Price(limit.saturating_sub(improvement).max(1));
            // Of the buyer, in what it pays with.
            let mut pending: Vec<Units> = Vec::new();
            let paying = bench.slots[0].1;
            for (step, amount) in steps {
                let qty = Lots(amount.min(buy.remaining().0).min(sell.remaining().0));
                match step {
                    0 | 1 => {
                        buy.settle(&mut bench.ledger, scale, price, qty, taker_ppm);
                        sell.settle(&mut bench.ledger, scale, price, qty, maker_ppm);
                    }
                    2 => buy.reduce(&mut bench.ledger, scale, qty),
                    3 => {
                        bench.ledger.freeze(paying, amount.into()).unwrap();
                        pending.push(amount.into());
                    }
                    4 => pending.pop().into_iter().for_each(|one| bench.ledger.pay_out(paying, one)),
                    5 => pending.pop().into_iter().for_each(|one| bench.ledger.release(paying, one)),
                    _ => buy.reprice(&mut bench.ledger, scale, Price(limit + amount % 7)).unwrap(),
                }
                prop_assert!(is_balanced(&bench.ledger));
                let requested: Units = pending.iter().sum();
                for (hold, slots, requested) in
                    [(&buy, paying, requested), (&sell, bench.slots[1].0, 0)]
                {
                    prop_assert_eq!(Some(hold.frozen()), hold.formula(scale));
                    let held = hold.frozen() + requested;
                    prop_assert_eq!(bench.ledger.balance(slots).frozen, held);
                }
            }
            pending.into_iter().for_each(|one| bench.ledger.release(paying, one));
            buy.end(&mut bench.ledger);
            sell.end(&mut bench.ledger);
            prop_assert!(bench.ledger.totals().iter().all(|totals| totals.frozen == 0));
            prop_assert!(is_balanced(&bench.ledger));
        }
    }
}

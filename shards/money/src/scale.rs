//! From ticks and lots to units, exactly: the arithmetic behind every trade and reservation.

use rkyv::{Archive, Deserialize, Serialize};

use crate::symbol::PPM;

/// An amount: a count of the asset's smallest unit.
pub type Units = u128;

/// A price: a count of the symbol's ticks.
#[derive(
    Archive,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
)]
#[rkyv(derive(Debug))]
pub struct Price(pub u64);

/// A quantity: a count of the symbol's lots.
#[derive(
    Archive,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
)]
#[rkyv(derive(Debug))]
pub struct Lots(pub u64);

/// What one tick times one lot is worth in quote units, as the reduced fraction `numerator /
/// denominator`, and what one lot is in base units.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Scale {
    numerator: u64,
    denominator: u64,
    lot_units: u64,
}

/// Why tick and lot of a symbol cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// Zero tick or lot.
    #[error("must be above zero")]
    Zero,
    /// The fraction does not fit 64 bits.
    #[error("is out of the range that can be settled exactly")]
    Range,
}

impl Scale {
    /// The scale of a symbol whose tick is `tick_mantissa` × 10^-`tick_decimals` quote per base,
    /// and whose lot is `lot_units` base units of 10^-`base_decimals`.
    pub fn new(
        tick_mantissa: u64,
        tick_decimals: u8,
        lot_units: u64,
        base_decimals: u8,
        quote_decimals: u8,
    ) -> Result<Scale, ScaleError> {
        if tick_mantissa == 0 || lot_units == 0 {
            return Err(ScaleError::Zero);
        }
        // value = tick_mantissa × lot_units × 10^(quote - tick - base), in quote units.
        let mut numerator = u128::from(tick_mantissa)
            .checked_mul(u128::from(lot_units))
            .ok_or(ScaleError::Range)?;
        let mut denominator = 1u128;
        let exponent =
            i32::from(quote_decimals) - i32::from(tick_decimals) - i32::from(base_decimals);
        let power = 10u128.checked_pow(exponent.unsigned_abs()).ok_or(ScaleError::Range)?;
        if exponent >= 0 {
            numerator = numerator.checked_mul(power).ok_or(ScaleError::Range)?;
        } else {
            denominator = power;
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        Ok(Scale {
            numerator: u64::try_from(numerator / divisor).map_err(|_| ScaleError::Range)?,
            denominator: u64::try_from(denominator / divisor).map_err(|_| ScaleError::Range)?,
            lot_units,
        })
    }

    /// Base units of this many lots.
    #[inline]
    pub fn base(self, qty: Lots) -> Units {
        u128::from(qty.0) * u128::from(self.lot_units)
    }

    /// Lots that this many base units hold, rounded down; `None` past 64 bits.
    pub fn lots(self, base: Units) -> Option<Lots> {
        u64::try_from(base / u128::from(self.lot_units)).ok().map(Lots)
    }

    /// Quote units of a trade: `floor(price × qty)`. `None` past 128 bits.
    #[inline]
    pub fn quote_floor(self, price: Price, qty: Lots) -> Option<Units> {
        let product = u128::from(price.0) * u128::from(qty.0);
        // Nearly every order of a real market fits 64 bits, where division is far cheaper.
        if let Ok(small) = u64::try_from(product)
            && let Some(scaled) = small.checked_mul(self.numerator)
        {
            return Some(u128::from(scaled / self.denominator));
        }
        Some(product.checked_mul(u128::from(self.numerator))? / u128::from(self.denominator))
    }

    /// Quote units that a buy of `qty` at `price` freezes: `ceil(price × qty)`. `None` past 128
    /// bits.
    #[inline]
    pub fn quote_ceil(self, price: Price, qty: Lots) -> Option<Units> {
        let product = u128::from(price.0) * u128::from(qty.0);
        if let Ok(small) = u64::try_from(product)
            && let Some(scaled) = small.checked_mul(self.numerator)
        {
            return Some(u128::from(scaled.div_ceil(self.denominator)));
        }
        Some(
            product.checked_mul(u128::from(self.numerator))?.div_ceil(u128::from(self.denominator)),
        )
    }

    /// The most lots, up to `most`, whose trade at `price` costs no more than `budget` quote units,
    /// each trade being floored.
    pub fn affordable(self, price: Price, budget: Units, most: Lots) -> Lots {
        if price.0 == 0 {
            return most;
        }
        // floor(p·q·n/d) ≤ b  ⇔  p·q·n < (b + 1)·d  ⇔  q ≤ ((b + 1)·d − 1) / (p·n)
        let per_lot = u128::from(price.0) * u128::from(self.numerator);
        let room = budget
            .checked_add(1)
            .and_then(|above| above.checked_mul(u128::from(self.denominator)))
            .map(|above| (above - 1) / per_lot);
        match room {
            Some(lots) if lots < u128::from(most.0) => Lots(lots as u64),
            Some(_) => most,
            // So large a budget divides first; the error is below one lot and on the safe side.
            None => {
                let lots = budget / per_lot.div_ceil(u128::from(self.denominator));
                Lots(u64::try_from(lots).unwrap_or(u64::MAX).min(most.0))
            }
        }
    }
}

/// The fee on what a side receives: `floor(amount × ppm / 10^6)`.
#[inline]
pub fn fee(amount: Units, ppm: u32) -> Units {
    if ppm == 0 {
        return 0;
    }
    debug_assert!(ppm <= PPM);
    let ppm = u128::from(ppm);
    match amount.checked_mul(ppm) {
        Some(product) => match u64::try_from(product) {
            Ok(small) => u128::from(small / u64::from(PPM)),
            Err(_) => product / u128::from(PPM),
        },
        // floor((a·M + r)·p / M) = a·p + floor(r·p / M): exact without the wide product.
        None => {
            let (quotient, remainder) = (amount / u128::from(PPM), amount % u128::from(PPM));
            quotient * ppm + remainder * ppm / u128::from(PPM)
        }
    }
}

fn greatest_common_divisor(mut left: u128, mut right: u128) -> u128 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tick 0.01, lot 10^-8, quote of 2 decimals: BTC_USDT of the golden sets.
    fn bitcoin() -> Scale {
        Scale::new(1, 2, 1, 8, 2).unwrap()
    }

    #[test]
    fn a_trade_floors_and_a_reservation_ceils() {
        let scale = bitcoin();
        // 84970.07 × 0.01093200 = 928.89280524
        let (price, qty) = (Price(8_497_007), Lots(1_093_200));
        assert_eq!(scale.quote_floor(price, qty), Some(92_889));
        assert_eq!(scale.quote_ceil(price, qty), Some(92_890));
    }

    #[test]
    fn sizes_beyond_64_bits_are_exact_and_beyond_128_refused() {
        let scale = Scale::new(1, 0, 1, 0, 18).unwrap();
        assert_eq!(
            scale.quote_floor(Price(1 << 40), Lots(1 << 20)),
            Some((1u128 << 60) * 10u128.pow(18))
        );
        assert_eq!(scale.quote_floor(Price(u64::MAX), Lots(u64::MAX)), None);
        assert_eq!(scale.quote_ceil(Price(u64::MAX), Lots(u64::MAX)), None);
    }

    #[test]
    fn fees_floor_also_where_the_product_overflows() {
        assert_eq!(fee(9_999, 100), 0);
        assert_eq!(fee(10_000, 100), 1);
        assert_eq!(fee(u128::MAX, PPM), u128::MAX);
    }

    proptest! {
        #[test]
        fn affordable_is_the_most_that_the_budget_pays(
            price in 1u64..10_000_000, budget in 0u128..1_000_000_000, most in 0u64..1_000_000_000_000
        ) {
            let scale = bitcoin();
            let lots = scale.affordable(Price(price), budget, Lots(most));
            prop_assert!(lots.0 <= most);
            prop_assert!(scale.quote_floor(Price(price), lots).unwrap() <= budget);
            if lots.0 < most {
                prop_assert!(scale.quote_floor(Price(price), Lots(lots.0 + 1)).unwrap() > budget);
            }
        }

        #[test]
        fn a_reservation_covers_every_way_of_filling_it(
            limit in 1u64..10_000_000, better in 0u64..10_000_000, qty in 1u64..1_000_000_000_000, part in 0u64..1_000_000_000_000
        ) {
            let scale = bitcoin();
            let price = Price(limit.saturating_sub(better));
            let part = part.min(qty);
            let before = scale.quote_ceil(Price(limit), Lots(qty)).unwrap();
            let after = scale.quote_ceil(Price(limit), Lots(qty - part)).unwrap();
            prop_assert!(scale.quote_floor(price, Lots(part)).unwrap() + after <= before);
        }
    }
}

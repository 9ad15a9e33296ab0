//! Symbols: what is traded against what, in which steps, under which rules.

use rkyv::{Archive, Deserialize, Serialize};

use crate::order::words;
use crate::{AssetId, DecimalError, Lots, Price, Scale, ScaleError, Side, Units};

/// Parts per million in one.
pub const PPM: u32 = 1_000_000;
/// Highest fee, in parts per million: a tenth.
pub const MAX_FEE_PPM: u32 = 100_000;
/// Most decimals of a tick.
const MAX_TICK_DECIMALS: u8 = 18;

words!(
    /// What a symbol's book accepts.
    SymbolStatus {
        /// Everything.
        Trading = "TRADING",
        /// Cancels and reductions only.
        CancelOnly = "CANCEL_ONLY",
        /// Nothing.
        Halted = "HALTED",
    }
);

/// The rules that may change while a symbol lives.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct SymbolRules {
    /// Smallest order, in lots.
    pub min_qty: Lots,
    /// Largest order, in lots.
    pub max_qty: Lots,
    /// Smallest `floor(price × qty)` of a limit order, in quote units; 0 is none.
    pub min_notional: Units,
    /// Maker fee in parts per million.
    pub maker_fee_ppm: u32,
    /// Taker fee in parts per million.
    pub taker_fee_ppm: u32,
    /// How far from the reference price an order's price may be, in parts per million; 0 is no
    /// band.
    pub price_band_ppm: u32,
    /// What is accepted.
    pub status: SymbolStatus,
}

impl Default for SymbolRules {
    fn default() -> SymbolRules {
        SymbolRules {
            min_qty: Lots(1),
            max_qty: Lots(u64::MAX),
            min_notional: 0,
            maker_fee_ppm: 0,
            taker_fee_ppm: 0,
            price_band_ppm: 0,
            status: SymbolStatus::Trading,
        }
    }
}

/// A change of rules: what is `None` stays.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct SymbolPatch {
    /// See [`SymbolRules::min_qty`].
    pub min_qty: Option<Lots>,
    /// See [`SymbolRules::max_qty`].
    pub max_qty: Option<Lots>,
    /// See [`SymbolRules::min_notional`].
    pub min_notional: Option<Units>,
    /// See [`SymbolRules::maker_fee_ppm`].
    pub maker_fee_ppm: Option<u32>,
    /// See [`SymbolRules::taker_fee_ppm`].
    pub taker_fee_ppm: Option<u32>,
    /// See [`SymbolRules::price_band_ppm`].
    pub price_band_ppm: Option<u32>,
    /// See [`SymbolRules::status`].
    pub status: Option<SymbolStatus>,
    /// A reference price set by hand, for a market that opens.
    pub reference: Option<Price>,
}

impl SymbolPatch {
    /// The rules after this change.
    pub fn apply(&self, rules: SymbolRules) -> SymbolRules {
        SymbolRules {
            min_qty: self.min_qty.unwrap_or(rules.min_qty),
            max_qty: self.max_qty.unwrap_or(rules.max_qty),
            min_notional: self.min_notional.unwrap_or(rules.min_notional),
            maker_fee_ppm: self.maker_fee_ppm.unwrap_or(rules.maker_fee_ppm),
            taker_fee_ppm: self.taker_fee_ppm.unwrap_or(rules.taker_fee_ppm),
            price_band_ppm: self.price_band_ppm.unwrap_or(rules.price_band_ppm),
            status: self.status.unwrap_or(rules.status),
        }
    }
}

/// A symbol: fixed steps and changeable rules.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct SymbolSpec {
    /// The name, `BASE_QUOTE`.
    pub name: String,
    /// What is traded.
    pub base: AssetId,
    /// What it is paid with.
    pub quote: AssetId,
    /// Decimals of `base`.
    pub base_decimals: u8,
    /// Decimals of `quote`.
    pub quote_decimals: u8,
    /// The tick is `tick_mantissa` × 10^-`tick_decimals` quote per base.
    pub tick_mantissa: u64,
    /// See `tick_mantissa`.
    pub tick_decimals: u8,
    /// The lot in base units.
    pub lot_units: u64,
    /// What may change.
    pub rules: SymbolRules,
}

/// Why a symbol cannot be, naming the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolSpecError {
    /// Base and quote are the same.
    #[error("quote: must differ from base")]
    SameAsset,
    /// Tick has too many decimals.
    #[error("tick: has too many decimals")]
    TickDecimals,
    /// Tick and lot do not combine.
    #[error("tick: together with lot {0}")]
    Scale(ScaleError),
    /// Empty range of quantities.
    #[error("max_qty: must be at least min_qty, and min_qty above zero")]
    QtyRange,
    /// A fee above the limit.
    #[error("{0}: must be at most {MAX_FEE_PPM} parts per million")]
    Fee(&'static str),
    /// A band that reaches below zero.
    #[error("price_band_ppm: must be below {PPM}")]
    Band,
}

/// Which rule an order breaks, naming the field.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[rkyv(derive(Debug))]
pub enum RuleBreak {
    /// A price of zero.
    #[error("price: must be above zero")]
    PriceZero,
    /// Outside the band around the reference price.
    #[error("price: is outside the price band")]
    PriceBand,
    /// Quantity below the smallest.
    #[error("qty: is below min_qty")]
    QtyMin,
    /// Quantity above the largest.
    #[error("qty: is above max_qty")]
    QtyMax,
    /// Price times quantity too small.
    #[error("qty: price × qty is below min_notional")]
    Notional,
    /// Price times quantity beyond what can be counted.
    #[error("qty: price × qty is too large")]
    Overflow,
}

impl SymbolSpec {
    /// The arithmetic of its ticks and lots.
    pub fn scale(&self) -> Result<Scale, ScaleError> {
        Scale::new(
            self.tick_mantissa,
            self.tick_decimals,
            self.lot_units,
            self.base_decimals,
            self.quote_decimals,
        )
    }

    /// Checks that the symbol can be traded and settled exactly.
    pub fn check(&self) -> Result<(), SymbolSpecError> {
        if self.base == self.quote {
            return Err(SymbolSpecError::SameAsset);
        }
        if self.tick_decimals > MAX_TICK_DECIMALS {
            return Err(SymbolSpecError::TickDecimals);
        }
        self.scale().map_err(SymbolSpecError::Scale)?;
        self.rules.check()
    }

    /// Ticks of a price given in decimal; an error when it is off the tick.
    pub fn price(&self, value: crate::Decimal) -> Result<Price, DecimalError> {
        let units = value.to_units(self.tick_decimals)?;
        steps(units, self.tick_mantissa).map(Price)
    }

    /// Lots of a quantity given in decimal; an error when it is off the lot.
    pub fn qty(&self, value: crate::Decimal) -> Result<Lots, DecimalError> {
        let units = value.to_units(self.base_decimals)?;
        steps(units, self.lot_units).map(Lots)
    }
}

fn steps(units: Units, step: u64) -> Result<u64, DecimalError> {
    let step = u128::from(step);
    if !units.is_multiple_of(step) {
        return Err(DecimalError::TooPrecise);
    }
    u64::try_from(units / step).map_err(|_| DecimalError::TooLarge)
}

impl SymbolRules {
    /// Checks that the rules make sense together.
    pub fn check(&self) -> Result<(), SymbolSpecError> {
        if self.min_qty.0 == 0 || self.max_qty < self.min_qty {
            return Err(SymbolSpecError::QtyRange);
        }
        if self.maker_fee_ppm > MAX_FEE_PPM {
            return Err(SymbolSpecError::Fee("maker_fee_ppm"));
        }
        if self.taker_fee_ppm > MAX_FEE_PPM {
            return Err(SymbolSpecError::Fee("taker_fee_ppm"));
        }
        if self.price_band_ppm >= PPM {
            return Err(SymbolSpecError::Band);
        }
        Ok(())
    }

    /// Lowest and highest price that the band allows around `reference`; the whole range where
    /// there is no band or no reference.
    pub fn band(&self, reference: Option<Price>) -> (Price, Price) {
        let Some(reference) = reference.filter(|_| self.price_band_ppm > 0) else {
            return (Price(1), Price(u64::MAX));
        };
        let reference = u128::from(reference.0);
        let width = reference * u128::from(self.price_band_ppm) / u128::from(PPM);
        let upper = u64::try_from(reference + width).unwrap_or(u64::MAX);
        (Price(((reference - width) as u64).max(1)), Price(upper))
    }

    /// Checks quantity, price and notional of a limit order.
    #[inline]
    pub fn check_limit(
        &self,
        scale: Scale,
        price: Price,
        qty: Lots,
        reference: Option<Price>,
    ) -> Result<(), RuleBreak> {
        if price.0 == 0 {
            return Err(RuleBreak::PriceZero);
        }
        self.check_qty(qty)?;
        if self.price_band_ppm > 0 {
            let (lower, upper) = self.band(reference);
            if price < lower || price > upper {
                return Err(RuleBreak::PriceBand);
            }
        }
        let notional = scale.quote_floor(price, qty).ok_or(RuleBreak::Overflow)?;
        if notional < self.min_notional {
            return Err(RuleBreak::Notional);
        }
        Ok(())
    }

    /// Checks the quantity of an order.
    #[inline]
    pub fn check_qty(&self, qty: Lots) -> Result<(), RuleBreak> {
        if qty < self.min_qty {
            return Err(RuleBreak::QtyMin);
        }
        if qty > self.max_qty {
            return Err(RuleBreak::QtyMax);
        }
        Ok(())
    }

    /// The fee rate for a role's side of a trade.
    #[inline]
    pub fn fee_ppm(&self, role: crate::Role) -> u32 {
        match role {
            crate::Role::Maker => self.maker_fee_ppm,
            crate::Role::Taker => self.taker_fee_ppm,
        }
    }

    /// The worst price at which a market order of this side may trade.
    pub fn market_bound(&self, side: Side, reference: Option<Price>) -> Price {
        let (lower, upper) = self.band(reference);
        match side {
            Side::Buy => upper,
            Side::Sell => lower,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    fn future() -> SymbolSpec {
        SymbolSpec {
            name: "ESH4_USD".into(),
            base: AssetId(0),
            quote: AssetId(1),
            base_decimals: 0,
            quote_decimals: 2,
            tick_mantissa: 25,
            tick_decimals: 2,
            lot_units: 1,
            rules: SymbolRules::default(),
        }
    }

    #[test]
    fn a_price_off_the_tick_is_refused() {
        let spec = future();
        assert_eq!(spec.price(Decimal::parse("4799.25").unwrap()), Ok(Price(19_197)));
        for bad in ["4799.10", "4799.001", "0.01"] {
            assert!(spec.price(Decimal::parse(bad).unwrap()).is_err(), "{bad}");
        }
        assert!(spec.qty(Decimal::parse("1.5").unwrap()).is_err());
    }

    #[test]
    fn the_band_is_around_the_reference_and_open_without_one() {
        let rules = SymbolRules { price_band_ppm: 100_000, ..SymbolRules::default() };
        assert_eq!(rules.band(Some(Price(1_000))), (Price(900), Price(1_100)));
        assert_eq!(rules.band(None), (Price(1), Price(u64::MAX)));
        assert_eq!(rules.band(Some(Price(u64::MAX))).1, Price(u64::MAX));
        let scale = future().scale().unwrap();
        assert_eq!(
            rules.check_limit(scale, Price(1_101), Lots(1), Some(Price(1_000))),
            Err(RuleBreak::PriceBand)
        );
    }

    #[test]
    fn an_order_too_large_to_count_is_refused() {
        let spec = SymbolSpec { quote_decimals: 18, ..future() };
        let result =
            spec.rules.check_limit(spec.scale().unwrap(), Price(u64::MAX), Lots(u64::MAX), None);
        assert_eq!(result, Err(RuleBreak::Overflow));
    }
}

//! Amounts from first principles: no reduced fractions, no short cuts.

use money::{Lots, Price, SymbolSpec, Units};

const PPM: u128 = 1_000_000;

/// Ticks × lots as a fraction of quote units.
fn fraction(spec: &SymbolSpec, price: Price, qty: Lots) -> Option<(u128, u128)> {
    let product = u128::from(price.0).checked_mul(u128::from(qty.0))?;
    let step = u128::from(spec.tick_mantissa) * u128::from(spec.lot_units);
    let above = 10u128.pow(u32::from(spec.quote_decimals));
    let below = 10u128.pow(u32::from(spec.tick_decimals) + u32::from(spec.base_decimals));
    Some((product.checked_mul(step)?.checked_mul(above)?, below))
}

/// What a trade moves of the quote asset.
pub(super) fn quote(spec: &SymbolSpec, price: Price, qty: Lots) -> Units {
    let (above, below) = fraction(spec, price, qty).expect("was counted by the engine");
    above / below
}

/// What a buy freezes.
pub(super) fn quote_to_freeze(spec: &SymbolSpec, price: Price, qty: Lots) -> Option<Units> {
    let (above, below) = fraction(spec, price, qty)?;
    Some(above.div_ceil(below))
}

/// What a quantity is of the base asset.
pub(super) fn base(spec: &SymbolSpec, qty: Lots) -> Units {
    u128::from(qty.0) * u128::from(spec.lot_units)
}

/// What the house takes.
pub(super) fn fee(received: Units, ppm: u32) -> Units {
    received * u128::from(ppm) / PPM
}

/// The most lots, up to `most`, that cost no more than `budget`: by bisection.
pub(super) fn affordable(spec: &SymbolSpec, price: Price, budget: Units, most: Lots) -> Lots {
    let fits = |lots: u64| {
        fraction(spec, price, Lots(lots)).is_some_and(|(above, below)| above / below <= budget)
    };
    let (mut fitting, mut beyond) = (0, u128::from(most.0) + 1);
    while fitting + 1 < beyond {
        let middle = fitting + (beyond - fitting) / 2;
        if fits(middle as u64) { fitting = middle } else { beyond = middle }
    }
    Lots(fitting as u64)
}

//! Between ticks, lots and units and the decimals of the wire, both ways, exactly.

use std::sync::LazyLock;

use engine::{Registry, SymbolEntry};
use money::{
    AssetId, Decimal, DecimalError, Lots, Price, ShardId, SymbolId, SymbolRules, SymbolSpec, Units,
    write_units,
};

use super::failure::{Code, Failure};

/// Digits of an average price behind those of the tick, at most.
pub(super) const AVERAGE_EXTRA_DECIMALS: u8 = 8;

/// Stands in for a symbol that is not in the registry. Definitions come before what uses them, so
/// nobody should ever see it; an answer must still not panic.
static UNKNOWN: LazyLock<SymbolEntry> = LazyLock::new(|| {
    let spec = SymbolSpec {
        name: "UNKNOWN".into(),
        base: AssetId(u32::MAX),
        quote: AssetId(u32::MAX),
        base_decimals: 0,
        quote_decimals: 0,
        tick_mantissa: 1,
        tick_decimals: 0,
        lot_units: 1,
        rules: SymbolRules::default(),
    };
    let scale = spec.scale().expect("one tick and one lot combine");
    SymbolEntry { spec, scale, reference: None, placed: None, shard: ShardId(0) }
});

/// The symbol, or a stand-in.
pub(crate) fn symbol_entry(registry: &Registry, symbol: SymbolId) -> &SymbolEntry {
    registry.symbol(symbol).unwrap_or_else(|| &UNKNOWN)
}

/// Name and decimals of an asset, or of a stand-in.
pub(crate) fn asset_parts(registry: &Registry, asset: AssetId) -> (&str, u8) {
    registry.asset(asset).map_or(("UNKNOWN", 0), |asset| (asset.name.as_str(), asset.decimals))
}

/// Ticks of a price field.
pub(crate) fn read_price(
    spec: &SymbolSpec,
    name: &'static str,
    value: Decimal,
) -> Result<Price, Failure> {
    let price = spec.price(value).map_err(|error| match error {
        DecimalError::TooPrecise => {
            let tick = text(|out| write_price(out, spec, Price(1)));
            invalid(name, format_args!("is off the tick {tick}"))
        }
        error => invalid(name, error),
    })?;
    if price.0 == 0 {
        return Err(invalid(name, "must be above zero"));
    }
    Ok(price)
}

/// Lots of a quantity field.
pub(crate) fn read_qty(
    spec: &SymbolSpec,
    name: &'static str,
    value: Decimal,
) -> Result<Lots, Failure> {
    let qty = spec.qty(value).map_err(|error| match error {
        DecimalError::TooPrecise => {
            let lot = text(|out| write_qty(out, spec, 1));
            invalid(name, format_args!("is off the lot {lot}"))
        }
        error => invalid(name, error),
    })?;
    if qty.0 == 0 {
        return Err(invalid(name, "must be above zero"));
    }
    Ok(qty)
}

/// Units of an amount field, above zero.
pub(super) fn read_amount(
    name: &'static str,
    code: Code,
    value: Decimal,
    decimals: u8,
) -> Result<Units, Failure> {
    let fail = |rule: String| Failure::new(code, format!("{name}: {rule}"));
    let units = value.to_units(decimals).map_err(|error| match error {
        DecimalError::TooPrecise => fail(format!("has more than {decimals} decimals")),
        error => fail(error.to_string()),
    })?;
    if units == 0 {
        return Err(fail("must be above zero".into()));
    }
    Ok(units)
}

fn invalid(name: &str, rule: impl std::fmt::Display) -> Failure {
    Failure::new(Code::InvalidPriceOrQty, format!("{name}: {rule}"))
}

/// Appends a price with the decimals of its tick.
pub(crate) fn write_price(out: &mut Vec<u8>, spec: &SymbolSpec, price: Price) {
    let units = u128::from(price.0) * u128::from(spec.tick_mantissa);
    write_units(out, units, spec.tick_decimals);
}

/// Appends a quantity with the decimals of its base asset.
pub(crate) fn write_qty(out: &mut Vec<u8>, spec: &SymbolSpec, lots: u128) {
    let units = lots.saturating_mul(u128::from(spec.lot_units));
    write_units(out, units, spec.base_decimals);
}

/// Text for a message.
pub(crate) fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends `filled_quote / filled` rounded down, with the decimals of the tick and up to
/// [`AVERAGE_EXTRA_DECIMALS`] more where they are not zero; `0` when nothing is filled.
pub(crate) fn write_average(
    out: &mut Vec<u8>,
    spec: &SymbolSpec,
    filled: Lots,
    filled_quote: Units,
) {
    let base = u128::from(filled.0) * u128::from(spec.lot_units);
    if base == 0 {
        out.push(b'0');
        return;
    }
    let mut decimals = spec.tick_decimals + AVERAGE_EXTRA_DECIMALS;
    // The average in units of 10^-decimals is filled_quote × 10^power / base.
    let mut power =
        i32::from(spec.base_decimals) - i32::from(spec.quote_decimals) + i32::from(decimals);
    let (mut quotient, mut rest) = (filled_quote / base, filled_quote % base);
    while power > 0 {
        // Long division, a digit a turn, so that nothing but the result must fit.
        let Some(next) = rest.checked_mul(10).and_then(|scaled| {
            Some((quotient.checked_mul(10)?.checked_add(scaled / base)?, scaled))
        }) else {
            break;
        };
        (quotient, rest) = (next.0, next.1 % base);
        power -= 1;
    }
    while power < 0 {
        quotient /= 10;
        power += 1;
    }
    // Digits that did not fit are decimals less.
    match u8::try_from(power) {
        Ok(missing) if missing <= decimals => decimals -= missing,
        _ => {
            out.push(b'0');
            return;
        }
    }
    while decimals > spec.tick_decimals && quotient.is_multiple_of(10) {
        quotient /= 10;
        decimals -= 1;
    }
    write_units(out, quotient, decimals);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(spec: &SymbolSpec, lots: u64, quote: Units) -> String {
        text(|out| write_average(out, spec, Lots(lots), quote))
    }

    fn bitcoin() -> SymbolSpec {
        SymbolSpec { base_decimals: 8, quote_decimals: 2, tick_decimals: 2, ..UNKNOWN.spec.clone() }
    }

    #[test]
    fn an_average_is_exact_or_rounded_down() {
        // 300.00 for 2 and 100.00 for 3
        assert_eq!(average(&bitcoin(), 200_000_000, 30_000), "150.00");
        assert_eq!(average(&bitcoin(), 300_000_000, 10_000), "33.3333333333");
        assert_eq!(average(&bitcoin(), 1_093_200, 92_889), "84969.813391877");
        assert_eq!(average(&bitcoin(), 0, 0), "0");
        assert_eq!(average(&bitcoin(), 100_000_000, 0), "0.00");
    }

    #[test]
    fn an_average_of_extreme_decimals_does_not_overflow() {
        let mut spec = bitcoin();
        (spec.base_decimals, spec.quote_decimals, spec.tick_decimals) = (24, 0, 18);
        // 10^14 quote for 10^-5 base: 37 digits fit, so some decimals are left out.
        assert_eq!(
            average(&spec, 10u64.pow(19), 10u128.pow(14)),
            format!("1{}.{}", "0".repeat(19), "0".repeat(18))
        );
        // No price reaches this; nothing may panic.
        assert_eq!(average(&spec, u64::MAX, u128::MAX), "0");
        (spec.base_decimals, spec.quote_decimals, spec.tick_decimals) = (0, 24, 0);
        assert_eq!(average(&spec, 2, 3 * 10u128.pow(24)), "1.5");
        spec.lot_units = u64::MAX;
        assert_eq!(average(&spec, u64::MAX, 1), "0");
    }
}

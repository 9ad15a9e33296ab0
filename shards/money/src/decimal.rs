//! Exact decimals between text and integers. Never through a float.

use crate::Units;

/// Longest accepted number, in bytes of text. A longer one is refused before it is read.
pub const MAX_TEXT_LENGTH_BYTES: usize = 64;

/// Largest power of ten in 128 bits.
const MAX_POWER: u32 = 38;

/// A non-negative decimal as written: `mantissa` × 10^-`scale`, trailing zeros dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    mantissa: u128,
    scale: u32,
}

/// Why a text is not an amount that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// No number at all.
    #[error("is not a decimal number")]
    Syntax,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// More than 128 bits of it.
    #[error("is too large")]
    TooLarge,
    /// More digits behind the point than can be held exactly.
    #[error("has more decimals than allowed")]
    TooPrecise,
}

impl Decimal {
    /// Reads JSON's number syntax (exponent included) plus leading zeros, exactly.
    ///
    /// ```
    /// use money::Decimal;
    /// assert_eq!(Decimal::parse("1.50"), Decimal::parse("15e-1"));
    /// assert!(Decimal::parse("1e309").is_err());
    /// assert!(Decimal::parse("NaN").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
        if text.len() > MAX_TEXT_LENGTH_BYTES {
            return Err(DecimalError::TooLarge);
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (number, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], parse_exponent(&digits[at + 1..])?),
            None => (digits, 0),
        };
        let (whole, fraction) = match number.find('.') {
            Some(at) if at + 1 < number.len() => (&number[..at], &number[at + 1..]),
            Some(_) => return Err(DecimalError::Syntax),
            None => (number, ""),
        };
        if whole.is_empty() {
            return Err(DecimalError::Syntax);
        }
        let decimal = assemble(whole, fraction, exponent)?;
        if negative && decimal.mantissa != 0 {
            return Err(DecimalError::Negative);
        }
        Ok(decimal)
    }

    /// The decimal with this mantissa and scale.
    pub fn new(mantissa: u128, scale: u32) -> Decimal {
        let mut decimal = Decimal { mantissa, scale };
        decimal.normalize();
        decimal
    }

    /// How many units of 10^-`decimals` this is, exactly.
    pub fn to_units(self, decimals: u8) -> Result<Units, DecimalError> {
        let decimals = u32::from(decimals);
        if self.scale > decimals {
            return Err(DecimalError::TooPrecise);
        }
        let power = decimals - self.scale;
        if self.mantissa == 0 {
            return Ok(0);
        }
        if power > MAX_POWER {
            return Err(DecimalError::TooLarge);
        }
        self.mantissa.checked_mul(10u128.pow(power)).ok_or(DecimalError::TooLarge)
    }

    /// Digits behind the point that are needed.
    pub fn scale(self) -> u32 {
        self.scale
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    fn normalize(&mut self) {
        while self.scale > 0 && self.mantissa.is_multiple_of(10) {
            self.mantissa /= 10;
            self.scale -= 1;
        }
    }
}

fn parse_exponent(text: &str) -> Result<i32, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    // More than four digits cannot be in range; the sign decides which way it is out.
    let magnitude = digits.trim_start_matches('0');
    let value: i32 =
        if magnitude.len() > 4 { 99_999 } else { format!("0{magnitude}").parse().unwrap_or(0) };
    Ok(if text.starts_with('-') { -value } else { value })
}

fn assemble(whole: &str, fraction: &str, exponent: i32) -> Result<Decimal, DecimalError> {
    let mut mantissa = 0u128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::Syntax);
        }
        mantissa = mantissa
            .checked_mul(10)
            .and_then(|shifted| shifted.checked_add(u128::from(byte - b'0')))
            .ok_or(DecimalError::TooLarge)?;
    }
    if mantissa == 0 {
        return Ok(Decimal { mantissa: 0, scale: 0 });
    }
    let scale = fraction.len() as i32 - exponent;
    if scale < 0 {
        let power = scale.unsigned_abs();
        if power > MAX_POWER {
            return Err(DecimalError::TooLarge);
        }
        mantissa = mantissa.checked_mul(10u128.pow(power)).ok_or(DecimalError::TooLarge)?;
        return Ok(Decimal { mantissa, scale: 0 });
    }
    Ok(Decimal::new(mantissa, scale as u32))
}

/// Appends `units` of 10^-`decimals` as decimal text with all its decimals: `150`, 2 → `1.50`.
pub fn write_units(out: &mut Vec<u8>, units: Units, decimals: u8) {
    const DIGITS: usize = 40;
    let mut buffer = [b'0'; DIGITS];
    let mut at = DIGITS;
    let mut rest = units;
    // 64-bit division is several times cheaper, and amounts beyond it are rare.
    while rest > u128::from(u64::MAX) {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // At least one digit stands before the point.
    let at = at.min(DIGITS - usize::from(decimals) - 1);
    let point = DIGITS - usize::from(decimals);
    out.extend_from_slice(&buffer[at..point]);
    if decimals > 0 {
        out.push(b'.');
        out.extend_from_slice(&buffer[point..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(units: Units, decimals: u8) -> String {
        let mut out = Vec::new();
        write_units(&mut out, units, decimals);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_not_a_number_is_refused_with_a_reason() {
        for bad in
            ["", "-", ".", "1.", ".5", "NaN", "Infinity", "1,5", " 1", "1e", "1e+", "0x1", "--1"]
        {
            assert_eq!(Decimal::parse(bad), Err(DecimalError::Syntax), "{bad:?}");
        }
        assert_eq!(Decimal::parse("-1"), Err(DecimalError::Negative));
        assert_eq!(Decimal::parse("1e309"), Err(DecimalError::TooLarge));
        assert_eq!(Decimal::parse(&format!("1{}", "0".repeat(40))), Err(DecimalError::TooLarge));
        assert_eq!(Decimal::parse(&"1".repeat(1000)), Err(DecimalError::TooLarge));
    }

    #[test]
    fn exponents_are_exact() {
        assert_eq!(Decimal::parse("1e-8").unwrap().to_units(8), Ok(1));
        assert_eq!(Decimal::parse("1.5E2").unwrap().to_units(0), Ok(150));
        assert_eq!(Decimal::parse("0e999999999999").unwrap().to_units(2), Ok(0));
        assert_eq!(Decimal::parse("1e-99999").unwrap().to_units(8), Err(DecimalError::TooPrecise));
    }

    #[test]
    fn a_digit_too_many_is_refused_not_rounded() {
        assert_eq!(Decimal::parse("0.005").unwrap().to_units(2), Err(DecimalError::TooPrecise));
        assert_eq!(Decimal::parse("0.0500").unwrap().to_units(2), Ok(5));
    }

    #[test]
    fn text_of_units_has_all_decimals() {
        assert_eq!(text(0, 0), "0");
        assert_eq!(text(0, 2), "0.00");
        assert_eq!(text(5, 2), "0.05");
        assert_eq!(text(150, 2), "1.50");
        assert_eq!(text(u128::MAX, 0), u128::MAX.to_string());
        assert_eq!(text(10u128.pow(30), 18), "1000000000000.000000000000000000");
    }

    proptest! {
        #[test]
        fn text_and_units_are_inverse(units: u128, decimals in 0u8..=24) {
            prop_assert_eq!(Decimal::parse(&text(units, decimals)).unwrap().to_units(decimals), Ok(units));
        }
    }
}

//! Values of this dialect: JSON numbers where there are no decimals, decimal text otherwise, both
//! exact; order ids with their prefix.

use money::{Lots, OrderId, Price, SymbolSpec, Units, write_units};

use crate::json::write;
use crate::native::amounts::write_average;

/// What every order id begins with.
pub(super) const ORDER_ID_PREFIX: &str = "ord_";

/// How far one price or quantity is from the next: `units` × 10^-`decimals`, without the zeros at the
/// end. So a symbol whose lot is 1 has no decimals, whatever its base asset has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    units: u64,
    decimals: u8,
}

impl Step {
    fn new(mut units: u64, mut decimals: u8) -> Step {
        while decimals > 0 && units.is_multiple_of(10) {
            units /= 10;
            decimals -= 1;
        }
        Step { units, decimals }
    }

    fn write(self, out: &mut Vec<u8>, count: u128) {
        write_amount(out, count.saturating_mul(u128::from(self.units)), self.decimals);
    }
}

/// The steps of one symbol, found once for all the values of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    price: Step,
    quantity: Step,
}

impl Steps {
    pub fn of(spec: &SymbolSpec) -> Steps {
        Steps {
            price: Step::new(spec.tick_mantissa, spec.tick_decimals),
            quantity: Step::new(spec.lot_units, spec.base_decimals),
        }
    }

    /// Appends a price.
    pub fn write_price(&self, out: &mut Vec<u8>, price: Price) {
        self.price.write(out, u128::from(price.0));
    }

    /// Appends a quantity.
    pub fn write_quantity(&self, out: &mut Vec<u8>, lots: u128) {
        self.quantity.write(out, lots);
    }

    /// Appends an average price. A symbol's are all numbers or all text: a number may have a
    /// fraction here.
    pub fn write_average(
        &self,
        out: &mut Vec<u8>,
        spec: &SymbolSpec,
        filled: Lots,
        filled_quote: Units,
    ) {
        quoted_if(self.price.decimals > 0, out, |out| {
            write_average(out, spec, filled, filled_quote);
        });
    }
}

/// Appends an amount of an asset with these decimals.
pub(super) fn write_amount(out: &mut Vec<u8>, units: Units, decimals: u8) {
    quoted_if(decimals > 0, out, |out| write_units(out, units, decimals));
}

fn quoted_if(is_text: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if is_text {
        out.push(b'"');
    }
    write(out);
    if is_text {
        out.push(b'"');
    }
}

/// Appends `"ord_123456"`.
pub(super) fn write_order_id(out: &mut Vec<u8>, order: OrderId) {
    out.push(b'"');
    out.extend_from_slice(ORDER_ID_PREFIX.as_bytes());
    write::integer(out, order.0);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::amounts::text;

    fn told(units: u64, decimals: u8, count: u128) -> String {
        text(|out| Step::new(units, decimals).write(out, count))
    }

    #[test]
    fn a_whole_step_makes_numbers_and_any_other_text() {
        assert_eq!(told(1, 0, 150), "150");
        assert_eq!(told(100_000_000, 8, 10), "10");
        assert_eq!(told(500, 2, 3), "15");
        assert_eq!(told(25, 2, 19_200), "\"4800.00\"");
        assert_eq!(told(10_000, 8, 5_000), "\"0.5000\"");
        assert_eq!(told(10, 0, 2), "20");
    }

    #[test]
    fn extremes_do_not_panic() {
        assert_eq!(told(0, 24, u128::MAX), "0");
        assert!(told(u64::MAX, 24, u128::MAX).len() > 24);
        assert_eq!(told(u64::MAX, 0, u128::MAX), u128::MAX.to_string());
    }
}

//! One symbol as the load trades it: a few prices around the middle and one quantity, as text that
//! the server takes.

use anyhow::{Context, Result, anyhow, ensure};
use money::{AssetId, Decimal, Lots, Price, SymbolRules, SymbolSpec, SymbolStatus, write_units};
use serde::Deserialize;

/// Prices on each side of the middle one.
const SPREAD_TICKS: u64 = 8;
/// The middle where there is neither a reference price nor a book, in ticks.
const DEFAULT_MIDDLE_TICKS: u64 = 1_000_000;
/// Least value of an order in quote units, so that rounding it down leaves something.
const LEAST_NOTIONAL_UNITS: u128 = 100;

/// A symbol as the server tells it.
#[derive(Clone, Debug, Deserialize)]
pub struct SymbolData {
    pub symbol: String,
    pub base: String,
    pub quote: String,
    base_decimals: u8,
    quote_decimals: u8,
    tick: String,
    lot: String,
    min_qty: String,
    max_qty: Option<String>,
    min_notional: String,
    price_band_ppm: u32,
    pub status: String,
    reference_price: Option<String>,
}

/// The best levels of a book, price and quantity.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DepthData {
    bids: Vec<(String, String)>,
    asks: Vec<(String, String)>,
}

/// A symbol to trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Market {
    /// Its name.
    pub symbol: String,
    /// The two assets that are needed.
    pub assets: [String; 2],
    /// From the lowest to the highest.
    pub prices: Vec<String>,
    /// Of every order.
    pub qty: String,
}

impl SymbolData {
    /// Whether orders are accepted.
    pub fn is_trading(&self) -> bool {
        self.status == SymbolStatus::Trading.as_str()
    }

    /// Chooses prices and quantity.
    pub fn market(&self, depth: &DepthData) -> Result<Market> {
        let spec = self.spec().with_context(|| format!("symbols: {}", self.symbol))?;
        let reference = self.reference_price.as_deref();
        let reference = reference.map(|text| price(&spec, text)).transpose()?;
        let middle = match reference {
            Some(reference) => reference.0,
            None => depth.middle(&spec)?.unwrap_or(DEFAULT_MIDDLE_TICKS),
        };
        let (lower, upper) = spec.rules.band(reference);
        let lowest = middle.saturating_sub(SPREAD_TICKS).max(lower.0);
        let highest = middle.saturating_add(SPREAD_TICKS).min(upper.0).max(lowest);
        let qty = qty(&spec, Price(lowest), Price(highest), reference)
            .with_context(|| format!("symbols: {}", self.symbol))?;
        let price = |ticks: u64| {
            decimal(u128::from(ticks) * u128::from(spec.tick_mantissa), spec.tick_decimals)
        };
        let qty = decimal(u128::from(qty.0) * u128::from(spec.lot_units), spec.base_decimals);
        Ok(Market {
            symbol: self.symbol.clone(),
            assets: [self.base.clone(), self.quote.clone()],
            prices: (lowest..=highest).map(price).collect(),
            qty,
        })
    }

    fn spec(&self) -> Result<SymbolSpec> {
        let tick = parse("tick", &self.tick)?;
        let tick_decimals = u8::try_from(tick.scale()).context("tick")?;
        let units = |field: &str, text: &str, decimals: u8| {
            let units = parse(field, text)?.to_units(decimals);
            units.map_err(|cause| anyhow!("{field}: {text:?} {cause}"))
        };
        let mut spec = SymbolSpec {
            name: self.symbol.clone(),
            base: AssetId(0),
            quote: AssetId(1),
            base_decimals: self.base_decimals,
            quote_decimals: self.quote_decimals,
            tick_mantissa: u64::try_from(units("tick", &self.tick, tick_decimals)?)?,
            tick_decimals,
            lot_units: u64::try_from(units("lot", &self.lot, self.base_decimals)?)?,
            rules: SymbolRules::default(),
        };
        // Without steps that make sense the rules cannot be counted in them.
        spec.check()?;
        let lots = |field: &str, text: &str| {
            let lots = spec.qty(parse(field, text)?);
            lots.map_err(|cause| anyhow!("{field}: {text:?} {cause}"))
        };
        spec.rules = SymbolRules {
            min_qty: lots("min_qty", &self.min_qty)?,
            max_qty: match &self.max_qty {
                Some(text) => lots("max_qty", text)?,
                None => spec.rules.max_qty,
            },
            min_notional: units("min_notional", &self.min_notional, self.quote_decimals)?,
            price_band_ppm: self.price_band_ppm,
            ..spec.rules
        };
        spec.check()?;
        Ok(spec)
    }
}

impl DepthData {
    /// Between the best prices; one alone where there is only that.
    fn middle(&self, spec: &SymbolSpec) -> Result<Option<u64>> {
        let best = |levels: &[(String, String)]| -> Result<Option<u64>> {
            let first = levels.first().map(|(text, _)| price(spec, text));
            Ok(first.transpose()?.map(|price| price.0))
        };
        Ok(match (best(&self.bids)?, best(&self.asks)?) {
            (Some(bid), Some(ask)) => Some(bid.midpoint(ask)),
            (bid, ask) => bid.or(ask),
        })
    }
}

/// The smallest doubling of the least quantity that is worth enough at the lowest price.
fn qty(spec: &SymbolSpec, lowest: Price, highest: Price, reference: Option<Price>) -> Result<Lots> {
    let scale = spec.scale()?;
    let least = spec.rules.min_notional.max(LEAST_NOTIONAL_UNITS);
    let mut lots = spec.rules.min_qty;
    while scale.quote_floor(lowest, lots).is_some_and(|units| units < least)
        && lots.0 <= spec.rules.max_qty.0 / 2
    {
        lots.0 *= 2;
    }
    for price in [lowest, highest] {
        let checked = spec.rules.check_limit(scale, price, lots, reference);
        checked.map_err(|broken| anyhow!("its rules leave no order to place: {broken}"))?;
    }
    ensure!(lots.0 > 0, "min_qty: must be above zero");
    Ok(lots)
}

fn parse(field: &str, text: &str) -> Result<Decimal> {
    Decimal::parse(text).map_err(|cause| anyhow!("{field}: {text:?} {cause}"))
}

fn price(spec: &SymbolSpec, text: &str) -> Result<Price> {
    let price = spec.price(parse("price", text)?);
    price.map_err(|cause| anyhow!("price: {text:?} {cause}"))
}

fn decimal(units: u128, decimals: u8) -> String {
    let mut out = Vec::new();
    write_units(&mut out, units, decimals);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(more: &str) -> SymbolData {
        let common = r#""symbol":"BTC_USDT","base":"BTC","quote":"USDT","status":"TRADING""#;
        let rules = r#""base_decimals":8,"quote_decimals":2,"tick":"0.01","lot":"0.00000001""#;
        let text = format!("{{{common},{rules},{more}}}");
        serde_json::from_str(&text).unwrap()
    }

    fn market(more: &str, depth: &DepthData) -> Result<Market> {
        data(more).market(depth)
    }

    const NO_RULES: &str = r#""min_qty":"0.00000001","max_qty":null,"min_notional":"0.00","price_band_ppm":0,"reference_price":null"#;

    #[test]
    fn a_symbol_without_any_price_gets_one_and_an_order_is_worth_something() {
        let market = market(NO_RULES, &DepthData::default()).unwrap();
        assert_eq!(market.prices.len(), 17);
        assert_eq!((market.prices[0].as_str(), market.prices[8].as_str()), ("9999.92", "10000.00"));
        let qty: f64 = market.qty.parse().unwrap();
        assert!((1.0..2.0).contains(&(qty * 9999.92)), "{}", market.qty);
    }

    #[test]
    fn the_middle_of_a_book_is_where_orders_go() {
        let level = |price: &str| (price.to_owned(), "1".to_owned());
        let both = DepthData { bids: vec![level("99.00")], asks: vec![level("101.00")] };
        assert_eq!(market(NO_RULES, &both).unwrap().prices[8], "100.00");
        let one = DepthData { bids: Vec::new(), asks: vec![level("101.00")] };
        assert_eq!(market(NO_RULES, &one).unwrap().prices[8], "101.00");
    }

    #[test]
    fn band_and_least_value_are_kept() {
        let rules = r#""min_qty":"0.00000001","max_qty":null,"min_notional":"50.00","price_band_ppm":1000,"reference_price":"20.00""#;
        let market = market(rules, &DepthData::default()).unwrap();
        assert_eq!((market.prices[0].as_str(), market.prices.len()), ("19.98", 5));
        let qty: f64 = market.qty.parse().unwrap();
        assert!(qty * 19.98 >= 50.0, "{}", market.qty);
    }

    #[test]
    fn a_symbol_whose_rules_leave_no_order_is_an_error_that_names_it() {
        let rules = r#""min_qty":"0.00000001","max_qty":"0.00000002","min_notional":"50.00","price_band_ppm":0,"reference_price":"20.00""#;
        let error = format!("{:#}", market(rules, &DepthData::default()).unwrap_err());
        assert!(error.contains("BTC_USDT") && error.contains("min_notional"), "{error}");
    }
}

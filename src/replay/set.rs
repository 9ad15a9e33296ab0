//! Reads a set: one market's rules, opening deposits and command stream.
//!
//! Every number is read exactly; what is off the tick or the lot, or names an unknown asset, is an
//! error with file and line, because a flow that is not understood would be replayed as another one.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use flate2::read::MultiGzDecoder;
use money::{
    AssetId, Cid, Decimal, Lots, Price, Side, SymbolRules, SymbolSpec, TimeInForce, Units, UserId,
    write_units,
};
use serde::Deserialize;

/// The market of a set.
#[derive(Clone, Debug)]
pub struct Market {
    /// Name, steps and fees. Its asset ids are those of no exchange: 0 is base, 1 is quote.
    pub spec: SymbolSpec,
    /// Name of the base asset.
    pub base: String,
    /// Name of the quote asset.
    pub quote: String,
    /// Decimals that prices are written with.
    pub price_decimals: u8,
}

/// One of the two assets of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// What is traded.
    Base,
    /// What it is paid with.
    Quote,
}

/// A deposit before the first command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Whose.
    pub user: UserId,
    /// Of what.
    pub leg: Leg,
    /// How much.
    pub amount: Units,
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Places a limit order.
    Place {
        /// Its side.
        side: Side,
        /// Its time in force.
        time_in_force: TimeInForce,
        /// Its limit.
        price: Price,
        /// Its quantity.
        qty: Lots,
    },
    /// Cancels.
    Cancel,
    /// Makes smaller.
    Reduce {
        /// By how much.
        by: Lots,
    },
}

/// Names an order of the set: its `ref`, counted from 0 in the order of first mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderIndex(pub u32);

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which order.
    pub order: OrderIndex,
    /// Whose.
    pub user: UserId,
    /// What happens to it.
    pub action: Action,
}

/// A set.
#[derive(Clone, Debug)]
pub struct Set {
    /// The market.
    pub market: Market,
    /// Deposits, in the file's order.
    pub deposits: Vec<Deposit>,
    /// Everybody in deposits or flow, ascending.
    pub users: Vec<UserId>,
    /// Commands, in order.
    pub flow: Vec<Operation>,
    /// By [`OrderIndex`]: the `ref`, which is the client order id.
    pub references: Vec<Cid>,
}

impl Set {
    /// Reads the folder of a set.
    pub fn read(directory: &Path) -> Result<Set> {
        let market = Market::read(&directory.join("market.json"))?;
        let deposits = read_deposits(&directory.join("balances.csv"), &market)?;
        let mut flow = Flow::default();
        read_rows(&directory.join("flow.csv.gz"), FLOW_COLUMNS, |fields| {
            flow.add(&market, fields)
        })?;
        let mut users: Vec<UserId> =
            deposits.iter().map(|deposit| deposit.user).chain(flow.users()).collect();
        users.sort_unstable();
        users.dedup();
        Ok(Set { market, deposits, users, flow: flow.operations, references: flow.references })
    }

    /// The client order id of an order.
    pub fn reference(&self, order: OrderIndex) -> Cid {
        self.references[order.0 as usize]
    }
}

const FLOW_COLUMNS: &str = "op,ref,user_id,side,tif,price,qty";
const DEPOSIT_COLUMNS: &str = "user_id,asset,amount";

/// `market.json` as it is written. Other keys (where the data comes from, say) are of no concern.
#[derive(Deserialize)]
struct MarketFile {
    symbol: String,
    base: String,
    quote: String,
    base_decimals: u8,
    quote_decimals: u8,
    price_decimals: u8,
    tick: String,
    lot: String,
}

impl Market {
    fn read(path: &Path) -> Result<Market> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Market::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Market> {
        let file: MarketFile = serde_json::from_str(text)?;
        let (tick_mantissa, tick_decimals) = tick_of(&file.tick).context("tick")?;
        ensure!(tick_decimals <= file.price_decimals, "price_decimals: fewer than the tick has");
        let lot = Decimal::parse(&file.lot).context("lot")?;
        let lot_units = lot.to_units(file.base_decimals).context("lot")?;
        let spec = SymbolSpec {
            name: file.symbol,
            base: AssetId(0),
            quote: AssetId(1),
            base_decimals: file.base_decimals,
            quote_decimals: file.quote_decimals,
            tick_mantissa,
            tick_decimals,
            lot_units: u64::try_from(lot_units).context("lot")?,
            rules: SymbolRules::default(),
        };
        spec.check()?;
        let MarketFile { base, quote, price_decimals, .. } = file;
        Ok(Market { spec, base, quote, price_decimals })
    }

    /// The name of an asset.
    pub fn asset(&self, leg: Leg) -> &str {
        match leg {
            Leg::Base => &self.base,
            Leg::Quote => &self.quote,
        }
    }

    /// The decimals of an asset.
    pub fn decimals(&self, leg: Leg) -> u8 {
        match leg {
            Leg::Base => self.spec.base_decimals,
            Leg::Quote => self.spec.quote_decimals,
        }
    }

    fn leg(&self, asset: &str) -> Result<Leg> {
        match asset {
            asset if asset == self.base => Ok(Leg::Base),
            asset if asset == self.quote => Ok(Leg::Quote),
            _ => bail!("asset: {asset:?} is neither {} nor {}", self.base, self.quote),
        }
    }

    /// Appends a price as the set writes it.
    pub fn write_price(&self, out: &mut Vec<u8>, price: Price) {
        let power = u32::from(self.price_decimals - self.spec.tick_decimals);
        let units = u128::from(price.0) * u128::from(self.spec.tick_mantissa) * 10u128.pow(power);
        write_units(out, units, self.price_decimals);
    }

    /// Appends a quantity as the set writes it.
    pub fn write_qty(&self, out: &mut Vec<u8>, qty: Lots) {
        let units = u128::from(qty.0) * u128::from(self.spec.lot_units);
        write_units(out, units, self.spec.base_decimals);
    }

    /// Ticks of a price.
    pub fn price(&self, text: &str) -> Result<Price> {
        let value = Decimal::parse(text).with_context(|| format!("price: {text:?}"))?;
        self.spec.price(value).with_context(|| format!("price: {text:?} (off the tick?)"))
    }

    /// Lots of a quantity.
    pub fn qty(&self, text: &str) -> Result<Lots> {
        let value = Decimal::parse(text).with_context(|| format!("qty: {text:?}"))?;
        self.spec.qty(value).with_context(|| format!("qty: {text:?} (off the lot?)"))
    }
}

/// Mantissa and decimals of a tick.
pub fn tick_of(text: &str) -> Result<(u64, u8)> {
    let tick = Decimal::parse(text)?;
    let decimals = u8::try_from(tick.scale())?;
    Ok((u64::try_from(tick.to_units(decimals)?)?, decimals))
}

fn read_deposits(path: &Path, market: &Market) -> Result<Vec<Deposit>> {
    let mut deposits = Vec::new();
    read_rows(path, DEPOSIT_COLUMNS, |[user, asset, amount]| {
        let leg = market.leg(asset)?;
        let amount = Decimal::parse(amount)
            .and_then(|amount| amount.to_units(market.decimals(leg)))
            .with_context(|| format!("amount: {amount:?}"))?;
        deposits.push(Deposit { user: UserId(number("user_id", user)?), leg, amount });
        Ok(())
    })?;
    Ok(deposits)
}

#[derive(Default)]
struct Flow {
    operations: Vec<Operation>,
    references: Vec<Cid>,
    by_reference: HashMap<Cid, OrderIndex>,
    placed: Vec<bool>,
}

impl Flow {
    fn users(&self) -> impl Iterator<Item = UserId> {
        self.operations.iter().map(|operation| operation.user)
    }

    fn add(&mut self, market: &Market, fields: [&str; 7]) -> Result<()> {
        let [op, reference, user, side, time_in_force, price, qty] = fields;
        let order = self.order(reference)?;
        let action = match op {
            "place" => {
                let placed = &mut self.placed[order.0 as usize];
                ensure!(!std::mem::replace(placed, true), "ref: {reference:?} is placed twice");
                Action::Place {
                    side: Side::parse(side).ok_or_else(|| anyhow!("side: {side:?}"))?,
                    time_in_force: TimeInForce::parse(time_in_force)
                        .ok_or_else(|| anyhow!("tif: {time_in_force:?}"))?,
                    price: market.price(price)?,
                    qty: market.qty(qty)?,
                }
            }
            "cancel" => Action::Cancel,
            "reduce" => Action::Reduce { by: market.qty(qty)? },
            _ => bail!("op: {op:?} is none of place, cancel, reduce"),
        };
        self.operations.push(Operation { order, user: UserId(number("user_id", user)?), action });
        Ok(())
    }

    fn order(&mut self, reference: &str) -> Result<OrderIndex> {
        let cid = Cid::parse(reference).with_context(|| format!("ref: {reference:?}"))?;
        if let Some(&order) = self.by_reference.get(&cid) {
            return Ok(order);
        }
        let order = OrderIndex(u32::try_from(self.references.len())?);
        self.references.push(cid);
        self.placed.push(false);
        self.by_reference.insert(cid, order);
        Ok(order)
    }
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T>
where
    T::Err: Display,
{
    text.parse().map_err(|cause| anyhow!("{name}: {text:?}: {cause}"))
}

/// Calls `each` with the fields of every row of a file with the header `columns`, which may be
/// compressed. The files quote nothing.
fn read_rows<const COLUMNS: usize>(
    path: &Path,
    columns: &str,
    mut each: impl FnMut([&str; COLUMNS]) -> Result<()>,
) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader: Box<dyn BufRead> = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        _ => Box::new(BufReader::new(file)),
    };
    let mut line = String::new();
    for number in 1usize.. {
        line.clear();
        let place = Place { path, line: number };
        let length = reader.read_line(&mut line).with_context(|| place.to_string())?;
        let text = line.trim_end_matches(['\n', '\r']);
        match number {
            1 => ensure!(text == columns, "{place}: expected the header {columns:?}"),
            _ if length == 0 => break,
            _ if text.is_empty() => {}
            _ => {
                let mut fields = [""; COLUMNS];
                split(text, &mut fields)
                    .and_then(|()| each(fields))
                    .with_context(|| place.to_string())?;
            }
        }
    }
    Ok(())
}

/// Where in a file.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} line {}", self.path.display(), self.line)
    }
}

fn split<'a>(text: &'a str, fields: &mut [&'a str]) -> Result<()> {
    let count = fields.len();
    let mut parts = text.split(',');
    for field in fields.iter_mut() {
        *field = parts.next().ok_or_else(|| anyhow!("fewer than {count} fields"))?;
    }
    ensure!(parts.next().is_none(), "more than {count} fields");
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    pub const MARKET: &str = r#"{"symbol":"ESH4_USD","base":"ESH4","quote":"USD","base_decimals":0,
        "quote_decimals":2,"price_decimals":2,"tick":"0.25","lot":"1"}"#;

    pub fn write_set(directory: &Path, market: &str, balances: &str, flow: &str) {
        std::fs::write(directory.join("market.json"), market).unwrap();
        std::fs::write(directory.join("balances.csv"), balances).unwrap();
        let file = File::create(directory.join("flow.csv.gz")).unwrap();
        let mut encoder = GzEncoder::new(file, Compression::fast());
        encoder.write_all(flow.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }

    fn read(balances: &str, flow: &str) -> Result<Set> {
        let directory = tempfile::tempdir().unwrap();
        write_set(directory.path(), MARKET, balances, flow);
        Set::read(directory.path())
    }

    #[test]
    fn a_set_is_read_in_ticks_and_lots() {
        let set = read(
            "user_id,asset,amount\n0,ESH4,10\n0,USD,1000.50\n",
            "op,ref,user_id,side,tif,price,qty\nplace,a.2,7,BUY,IOC,4799.25,3\n\
             reduce,a.2,7,,,,2\ncancel,a.2,7,,,,\n",
        )
        .unwrap();
        assert_eq!(set.deposits[1], Deposit { user: UserId(0), leg: Leg::Quote, amount: 100_050 });
        assert_eq!(set.users, [UserId(0), UserId(7)]);
        let place = Action::Place {
            side: Side::Buy,
            time_in_force: TimeInForce::Ioc,
            price: Price(19_197),
            qty: Lots(3),
        };
        let actions: Vec<Action> = set.flow.iter().map(|operation| operation.action).collect();
        assert_eq!(actions, [place, Action::Reduce { by: Lots(2) }, Action::Cancel]);
        assert!(set.flow.iter().all(|operation| operation.order == OrderIndex(0)));
        assert_eq!(set.reference(OrderIndex(0)).as_str(), "a.2");
    }

    #[test]
    fn what_is_not_understood_names_file_and_line() {
        let header = "op,ref,user_id,side,tif,price,qty\n";
        for (row, word) in [
            ("place,1,7,BUY,GTC,4799.10,3", "price"),
            ("place,1,7,BUY,GTC,4799.25,1.5", "qty"),
            ("place,1,7,HOLD,GTC,4799.25,1", "side"),
            ("place,1,7,BUY,GTD,4799.25,1", "tif"),
            ("place,1,x,BUY,GTC,4799.25,1", "user_id"),
            ("replace,1,7,BUY,GTC,4799.25,1", "op"),
            ("place,1,7,BUY,GTC,4799.25", "fields"),
            ("place,1,7,BUY,GTC,4799.25,1\nplace,1,7,BUY,GTC,4799.25,1", "twice"),
        ] {
            let error = format!(
                "{:#}",
                read("user_id,asset,amount\n", &format!("{header}{row}\n")).unwrap_err()
            );
            assert!(error.contains("flow.csv.gz line") && error.contains(word), "{error}");
        }
        let error = format!("{:#}", read("user_id,asset,amount\n1,EUR,1\n", header).unwrap_err());
        assert!(error.contains("balances.csv line 2") && error.contains("EUR"), "{error}");
    }

    #[test]
    fn numbers_are_written_with_all_the_decimals_of_the_set() {
        let market = Market::parse(MARKET).unwrap();
        let mut out = Vec::new();
        market.write_price(&mut out, Price(19_200));
        out.push(b' ');
        market.write_qty(&mut out, Lots(5));
        assert_eq!(String::from_utf8(out).unwrap(), "4800.00 5");
    }
}

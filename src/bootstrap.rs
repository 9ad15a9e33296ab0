//! What a new data directory begins with: assets, symbols, users and their balances, from TOML to
//! the commands that the first shard is given.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};
use engine::{Command, NewSymbol, PlacedSymbol, Transfer};
use money::{
    Asset, AssetId, Decimal, ID_LIMIT, Lots, ShardId, SymbolRules, SymbolSpec, SymbolStatus, Units,
    UserId,
};
use serde::Deserialize;

/// The three tables of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// In the order of their ids.
    #[serde(default)]
    pub assets: Vec<AssetTable>,
    /// In the order of their ids.
    #[serde(default)]
    pub symbols: Vec<SymbolTable>,
    /// Who is there, with what.
    #[serde(default)]
    pub users: Vec<UserTable>,
}

/// An asset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetTable {
    asset: String,
    decimals: u8,
}

/// A symbol; numbers are decimal text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymbolTable {
    symbol: String,
    base: String,
    quote: String,
    tick: String,
    lot: String,
    min_qty: Option<String>,
    max_qty: Option<String>,
    min_notional: Option<String>,
    #[serde(default)]
    maker_fee_ppm: u32,
    #[serde(default)]
    taker_fee_ppm: u32,
    #[serde(default)]
    price_band_ppm: u32,
    status: Option<String>,
    reference_price: Option<String>,
    /// The shard that its book is to be on; else it goes by the symbol's number.
    shard: Option<u16>,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserTable {
    user_id: u64,
    name: Option<String>,
    /// By asset.
    #[serde(default)]
    balances: BTreeMap<String, String>,
}

/// The demo markets.
pub fn default_beginning() -> Result<Beginning> {
    toml::from_str(include_str!("default.toml")).context("default.toml")
}

impl Beginning {
    /// Whether none of the tables is there.
    pub fn is_empty(&self) -> bool {
        self.assets.is_empty() && self.symbols.is_empty() && self.users.is_empty()
    }

    /// The commands, in order. An error names table, entry and field.
    pub fn commands(&self) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        for (at, table) in self.assets.iter().enumerate() {
            let asset = table.build().with_context(|| format!("assets[{at}]"))?;
            let is_new = self.assets[..at].iter().all(|other| other.asset != table.asset);
            ensure!(is_new, "assets[{at}]: asset: {} is there twice", table.asset);
            commands.push(Command::CreateAsset(asset));
        }
        for (at, table) in self.symbols.iter().enumerate() {
            let symbol = table.build(&self.assets).with_context(|| format!("symbols[{at}]"))?;
            let is_new = self.symbols[..at].iter().all(|other| other.symbol != table.symbol);
            ensure!(is_new, "symbols[{at}]: symbol: {} is there twice", table.symbol);
            commands.push(match table.shard {
                None => Command::CreateSymbol(Box::new(symbol)),
                Some(shard) => {
                    let shard = ShardId(shard);
                    Command::CreatePlacedSymbol(Box::new(PlacedSymbol { symbol, shard }))
                }
            });
        }
        for (at, table) in self.users.iter().enumerate() {
            let is_new = self.users[..at].iter().all(|other| other.user_id != table.user_id);
            ensure!(is_new, "users[{at}]: user_id: {} is there twice", table.user_id);
            let user = table.build(&self.assets).with_context(|| format!("users[{at}]"))?;
            commands.extend(user);
        }
        Ok(commands)
    }
}

/// An asset by its name; ids are given in the order of definition.
fn find<'a>(
    assets: &'a [AssetTable],
    field: &str,
    name: &str,
) -> Result<(AssetId, &'a AssetTable)> {
    let at = assets
        .iter()
        .position(|asset| asset.asset == name)
        .ok_or_else(|| anyhow!("{field}: {name} is none of the assets"))?;
    Ok((AssetId(at as u32), &assets[at]))
}

fn decimal(field: &str, text: &str) -> Result<Decimal> {
    Decimal::parse(text).map_err(|cause| anyhow!("{field}: {text:?} {cause}"))
}

fn units(field: &str, text: &str, decimals: u8) -> Result<Units> {
    let units = decimal(field, text)?.to_units(decimals);
    units.map_err(|cause| anyhow!("{field}: {text:?} {cause}"))
}

impl AssetTable {
    fn build(&self) -> Result<Asset> {
        let asset = Asset { name: self.asset.clone(), decimals: self.decimals };
        asset.check()?;
        Ok(asset)
    }
}

impl SymbolTable {
    fn build(&self, assets: &[AssetTable]) -> Result<NewSymbol> {
        let (base, base_asset) = find(assets, "base", &self.base)?;
        let (quote, quote_asset) = find(assets, "quote", &self.quote)?;
        let name = format!("{}_{}", self.base, self.quote);
        ensure!(self.symbol == name, "symbol: {:?} must be {name}", self.symbol);
        let tick = decimal("tick", &self.tick)?;
        let tick_decimals = u8::try_from(tick.scale()).context("tick: has too many decimals")?;
        let tick_mantissa = units("tick", &self.tick, tick_decimals)?;
        let lot_units = units("lot", &self.lot, base_asset.decimals)?;
        let mut spec = SymbolSpec {
            name,
            base,
            quote,
            base_decimals: base_asset.decimals,
            quote_decimals: quote_asset.decimals,
            tick_mantissa: u64::try_from(tick_mantissa).context("tick: is too large")?,
            tick_decimals,
            lot_units: u64::try_from(lot_units).context("lot: is too large")?,
            rules: SymbolRules::default(),
        };
        // Without steps that make sense the rules cannot be counted in them.
        spec.check()?;
        spec.rules = self.rules(&spec)?;
        spec.check()?;
        let reference = self.reference_price.as_deref().map(|text| {
            let price = spec.price(decimal("reference_price", text)?);
            price.map_err(|cause| anyhow!("reference_price: {text:?} {cause}"))
        });
        Ok(NewSymbol { reference: reference.transpose()?, spec })
    }

    fn rules(&self, spec: &SymbolSpec) -> Result<SymbolRules> {
        let lots = |field: &str, text: &Option<String>, absent: Lots| match text {
            None => Ok(absent),
            Some(text) => spec
                .qty(decimal(field, text)?)
                .map_err(|cause| anyhow!("{field}: {text:?} {cause}")),
        };
        let rules = SymbolRules::default();
        let notional = self.min_notional.as_deref();
        Ok(SymbolRules {
            min_qty: lots("min_qty", &self.min_qty, rules.min_qty)?,
            max_qty: lots("max_qty", &self.max_qty, rules.max_qty)?,
            min_notional: match notional {
                None => rules.min_notional,
                Some(text) => units("min_notional", text, spec.quote_decimals)?,
            },
            maker_fee_ppm: self.maker_fee_ppm,
            taker_fee_ppm: self.taker_fee_ppm,
            price_band_ppm: self.price_band_ppm,
            status: match self.status.as_deref() {
                None => rules.status,
                Some(text) => SymbolStatus::parse(text).ok_or_else(|| {
                    let words = SymbolStatus::ALL.iter().map(|word| word.as_str());
                    let words: Vec<&str> = words.collect();
                    anyhow!("status: {text:?} is none of {}", words.join(", "))
                })?,
            },
        })
    }
}

impl UserTable {
    fn build(&self, assets: &[AssetTable]) -> Result<Vec<Command>> {
        let user = UserId(self.user_id);
        ensure!(user.0 < ID_LIMIT, "user_id: must be below 2^53");
        if let Some(name) = &self.name {
            let most = engine::MAX_USER_NAME_LENGTH_BYTES;
            let fits = (1..=most).contains(&name.len());
            ensure!(fits, "name: must be 1 to {most} bytes");
        }
        // The shard matters only where an id is to be found.
        let create =
            Command::CreateUser { user: Some(user), shard: ShardId(0), name: self.name.clone() };
        let mut commands = vec![create];
        for (name, text) in &self.balances {
            let (asset, table) = find(assets, "balances", name)?;
            let amount = units(&format!("balances: {name}"), text, table.decimals)?;
            if amount > 0 {
                let reference = format!("bootstrap:{name}");
                commands.push(Command::Deposit(Transfer { user, asset, amount, reference }));
            }
        }
        Ok(commands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_one_that_can_be() {
        let commands = default_beginning().unwrap().commands().unwrap();
        let symbols = commands.iter().filter(|c| matches!(c, Command::CreateSymbol(_))).count();
        let deposits = commands.iter().filter(|c| matches!(c, Command::Deposit(_))).count();
        assert_eq!((symbols, deposits), (3, 30));
    }

    #[test]
    fn what_cannot_be_is_named_with_its_entry() {
        let assets = "[[assets]]\nasset = \"BTC\"\ndecimals = 8\n[[assets]]\nasset = \"USD\"\ndecimals = 2\n";
        let symbol = "[[symbols]]\nsymbol = \"BTC_USD\"\nbase = \"BTC\"\nquote = \"USD\"\n";
        for (text, words) in [
            (format!("{assets}[[assets]]\nasset = \"btc\"\ndecimals = 8"), ["assets[2]", "A-Z"]),
            (format!("{assets}[[assets]]\nasset = \"BTC\"\ndecimals = 8"), ["assets[2]", "twice"]),
            (format!("{assets}{symbol}tick = \"0\"\nlot = \"1\""), ["symbols[0]", "tick"]),
            (format!("{assets}{symbol}tick = \"0.01\"\nlot = \"1e-9\""), ["symbols[0]", "lot"]),
            (
                format!("{assets}{symbol}tick = \"0.01\"\nlot = \"1\"\nmin_qty = \"1.5\""),
                ["symbols[0]", "min_qty"],
            ),
            (
                format!("{assets}{symbol}tick = \"0.01\"\nlot = \"1\"\nstatus = \"OPEN\""),
                ["symbols[0]", "CANCEL_ONLY"],
            ),
            (
                format!("{assets}[[users]]\nuser_id = 1\nbalances = {{ EUR = \"1\" }}"),
                ["users[0]", "EUR"],
            ),
            (
                format!("{assets}[[users]]\nuser_id = 1\nbalances = {{ USD = \"0.001\" }}"),
                ["users[0]", "USD"],
            ),
        ] {
            let beginning: Beginning = toml::from_str(&text).unwrap();
            let error = format!("{:#}", beginning.commands().unwrap_err());
            assert!(words.iter().all(|word| error.contains(word)), "{text}: {error}");
        }
    }
}

//! The assets and symbols that every shard knows.
//!
//! The registrar shard gives the ids; the others repeat its definitions in the order in which it
//! sent them, so ids are dense and equal everywhere. Where a symbol's book is, is part of its definition,
//! so every shard knows that too.

use std::collections::BTreeMap;

use money::{
    Asset, AssetId, Placement, Price, RuleBreak, Scale, ShardId, SymbolId, SymbolPatch,
    SymbolRules, SymbolSpec,
};

use crate::command::NewSymbol;
use crate::reply::Refusal;

/// Most assets.
pub const MAX_ASSETS: usize = 65_536;
/// Most symbols.
pub const MAX_SYMBOLS: usize = 65_536;

/// A symbol as every shard knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct SymbolEntry {
    /// Steps and rules.
    pub spec: SymbolSpec,
    /// The arithmetic of its steps.
    pub scale: Scale,
    /// The published reference price: it follows the trades in steps of
    /// [`crate::REFERENCE_STEP_PPM`].
    pub reference: Option<Price>,
    /// The shard that was asked for, if one was. Kept through changes of the shard count, so it may be
    /// one that is not there now.
    pub placed: Option<ShardId>,
    /// The shard that has its book.
    pub shard: ShardId,
}

impl SymbolEntry {
    /// The rules in force.
    pub fn rules(&self) -> &SymbolRules {
        &self.spec.rules
    }
}

/// Assets and symbols by id and by name.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    assets: Vec<Asset>,
    symbols: Vec<SymbolEntry>,
    asset_names: BTreeMap<String, AssetId>,
    symbol_names: BTreeMap<String, SymbolId>,
    /// Reference prices that overtook the definition of their symbol.
    early_references: BTreeMap<SymbolId, Price>,
}

impl Registry {
    /// All assets, by id.
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// All symbols, by id.
    pub fn symbols(&self) -> &[SymbolEntry] {
        &self.symbols
    }

    /// An asset.
    pub fn asset(&self, asset: AssetId) -> Option<&Asset> {
        self.assets.get(asset.0 as usize)
    }

    /// A symbol.
    #[inline]
    pub fn symbol(&self, symbol: SymbolId) -> Option<&SymbolEntry> {
        self.symbols.get(symbol.0 as usize)
    }

    /// The shard that has a symbol's book. Of a symbol that is not there, the one that would refuse.
    #[inline]
    pub fn shard_of(&self, symbol: SymbolId, placement: Placement) -> ShardId {
        self.symbol(symbol).map_or_else(|| placement.shard_of(symbol), |entry| entry.shard)
    }

    /// The asset of this name.
    pub fn asset_named(&self, name: &str) -> Option<AssetId> {
        self.asset_names.get(name).copied()
    }

    /// The symbol of this name.
    pub fn symbol_named(&self, name: &str) -> Option<SymbolId> {
        self.symbol_names.get(name).copied()
    }

    /// Whether an asset may be defined.
    pub(crate) fn check_asset(&self, asset: &Asset) -> Result<(), Refusal> {
        asset.check().map_err(Refusal::AssetInvalid)?;
        if self.asset_names.contains_key(&asset.name) {
            return Err(Refusal::AssetExists);
        }
        if self.assets.len() >= MAX_ASSETS {
            return Err(Refusal::IdsExhausted);
        }
        Ok(())
    }

    /// Defines an asset that passed [`Registry::check_asset`] at the registrar.
    pub(crate) fn define_asset(&mut self, asset: Asset) -> AssetId {
        let id = AssetId(self.assets.len() as u32);
        self.asset_names.insert(asset.name.clone(), id);
        self.assets.push(asset);
        id
    }

    /// Whether a symbol may be defined.
    pub(crate) fn check_symbol(&self, symbol: &NewSymbol) -> Result<(), Refusal> {
        let spec = &symbol.spec;
        spec.check().map_err(Refusal::SymbolInvalid)?;
        let base = self.asset(spec.base).ok_or(Refusal::UnknownAsset)?;
        let quote = self.asset(spec.quote).ok_or(Refusal::UnknownAsset)?;
        if base.decimals != spec.base_decimals || quote.decimals != spec.quote_decimals {
            return Err(Refusal::UnknownAsset);
        }
        check_reference(symbol.reference)?;
        if self.symbol_names.contains_key(&spec.name) {
            return Err(Refusal::SymbolExists);
        }
        if self.symbols.len() >= MAX_SYMBOLS {
            return Err(Refusal::IdsExhausted);
        }
        Ok(())
    }

    /// Defines a symbol that passed [`Registry::check_symbol`] at the registrar.
    pub(crate) fn define_symbol(
        &mut self,
        symbol: NewSymbol,
        placed: Option<ShardId>,
        placement: Placement,
    ) -> SymbolId {
        let id = SymbolId(self.symbols.len() as u32);
        let shard = owner_of(id, placed, placement);
        let scale = symbol.spec.scale().expect("checked by the registrar");
        self.symbol_names.insert(symbol.spec.name.clone(), id);
        let reference = self.early_references.remove(&id).or(symbol.reference);
        self.symbols.push(SymbolEntry { spec: symbol.spec, scale, reference, placed, shard });
        id
    }

    /// Whether a symbol may be changed so.
    pub(crate) fn check_patch(&self, symbol: SymbolId, patch: &SymbolPatch) -> Result<(), Refusal> {
        let entry = self.symbol(symbol).ok_or(Refusal::UnknownSymbol)?;
        check_reference(patch.reference)?;
        patch.apply(entry.spec.rules).check().map_err(Refusal::SymbolInvalid)
    }

    /// Changes a symbol's rules, without the reference price.
    pub(crate) fn apply_patch(&mut self, symbol: SymbolId, patch: &SymbolPatch) {
        let entry = &mut self.symbols[symbol.0 as usize];
        entry.spec.rules = patch.apply(entry.spec.rules);
    }

    /// Reference prices that overtook the definition of their symbol.
    pub(crate) fn early_references(&self) -> impl Iterator<Item = (SymbolId, Price)> {
        self.early_references.iter().map(|(&symbol, &price)| (symbol, price))
    }

    /// Adds an asset from an image.
    pub(crate) fn restore_asset(&mut self, asset: Asset) -> Result<AssetId, Refusal> {
        self.check_asset(&asset)?;
        Ok(self.define_asset(asset))
    }

    /// Adds a symbol from an image.
    pub(crate) fn restore_symbol(
        &mut self,
        symbol: NewSymbol,
        placed: Option<ShardId>,
        placement: Placement,
    ) -> Result<SymbolId, Refusal> {
        self.check_symbol(&symbol)?;
        Ok(self.define_symbol(symbol, placed, placement))
    }

    /// Publishes a reference price.
    pub(crate) fn set_reference(&mut self, symbol: SymbolId, price: Price) {
        match self.symbols.get_mut(symbol.0 as usize) {
            Some(entry) => entry.reference = Some(price),
            None => {
                self.early_references.insert(symbol, price);
            }
        }
    }
}

/// The shard that has the book of a symbol that was placed by hand, or was not.
pub(crate) fn owner_of(symbol: SymbolId, placed: Option<ShardId>, placement: Placement) -> ShardId {
    match placed {
        Some(asked) => placement.shard_placed(asked),
        None => placement.shard_of(symbol),
    }
}

fn check_reference(reference: Option<Price>) -> Result<(), Refusal> {
    match reference {
        Some(Price(0)) => Err(Refusal::Rule(RuleBreak::PriceZero)),
        _ => Ok(()),
    }
}

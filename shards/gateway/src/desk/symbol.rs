//! Symbols by name, with their separator or without it.

use engine::Registry;
use money::SymbolId;

use crate::native::Context;
use crate::native::failure::{Code, Failure};
use crate::native::fields::Field;

/// Between base and quote.
const SEPARATOR: char = '_';
/// Longest name without a separator that can be one: two assets of 16 characters.
const MAX_NAME_LENGTH_BYTES: usize = 32;

/// The symbol that a field names.
pub(super) fn symbol_of(context: &Context<'_>, field: &Field<'_>) -> Result<SymbolId, Failure> {
    symbol_named(context.registry, field.name, field.required_text()?)
}

/// The symbol that a field names, if it names one.
pub(super) fn optional_symbol(
    context: &Context<'_>,
    field: &Field<'_>,
) -> Result<Option<SymbolId>, Failure> {
    let name = field.text()?;
    name.map(|name| symbol_named(context.registry, field.name, name)).transpose()
}

/// The symbol of this name, which stands in the field `field`.
pub(super) fn symbol_named(
    registry: &Registry,
    field: &str,
    name: &str,
) -> Result<SymbolId, Failure> {
    let unknown = || Failure::new(Code::UnknownSymbol, format!("{field}: unknown"));
    if let Some(symbol) = registry.symbol_named(name) {
        return Ok(symbol);
    }
    let is_joined = name.len() <= MAX_NAME_LENGTH_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_joined {
        return Err(unknown());
    }
    let mut found: Option<(SymbolId, String)> = None;
    for at in 1..name.len() {
        let (base, quote) = name.split_at(at);
        let whole = format!("{base}{SEPARATOR}{quote}");
        let Some(symbol) = registry.symbol_named(&whole) else { continue };
        if let Some((_, other)) = found.replace((symbol, whole.clone())) {
            let rule = format!("may be {other} or {whole}, write it with {SEPARATOR}");
            return Err(Failure::parameter(field, rule));
        }
    }
    found.map(|(symbol, _)| symbol).ok_or_else(unknown)
}

//! Names of symbols, so that a line shows `"price":"100.50"` and no ticks.
//!
//! Shards publish them, the writer keeps the table. Promise: publishing waits for no I/O; a record
//! that is handed over after its symbol was published shows the name.

use std::sync::{Mutex, PoisonError};

/// Ids from here on have no name, which bounds the table.
pub const MAX_SYMBOLS: u32 = 1 << 20;
/// Longest name, in bytes.
pub const MAX_SYMBOL_NAME_BYTES: usize = 64;
/// Most decimals of a tick or of the base asset.
pub const MAX_DECIMALS: u8 = 38;
/// Most published symbols that the writer has not taken yet; it takes them many times a second.
const MAX_NEWS: usize = 1 << 16;

/// What a line needs to know of a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// As clients know it.
    pub name: String,
    /// A tick is this many units of 10^-`tick_decimals` of the quote asset.
    pub tick_mantissa: u64,
    /// See `tick_mantissa`; at most [`MAX_DECIMALS`].
    pub tick_decimals: u8,
    /// A lot is this many units of 10^-`base_decimals` of the base asset.
    pub lot_units: u64,
    /// See `lot_units`; at most [`MAX_DECIMALS`].
    pub base_decimals: u8,
}

/// Why a symbol gets no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// The id is out of range.
    #[error("id: must be below {MAX_SYMBOLS}")]
    Id,
    /// The name is too long.
    #[error("name: must be at most {MAX_SYMBOL_NAME_BYTES} bytes")]
    Name,
    /// Too many decimals.
    #[error("tick_decimals, base_decimals: must be at most {MAX_DECIMALS}")]
    Decimals,
    /// The writer has stood still while very many were published.
    #[error("too many symbols wait for the writer of the audit trail")]
    Full,
}

/// Published and not taken yet.
#[derive(Default)]
pub(crate) struct News(Mutex<Vec<(u32, Symbol)>>);

impl News {
    pub fn publish(&self, id: u32, symbol: Symbol) -> Result<(), SymbolError> {
        if id >= MAX_SYMBOLS {
            return Err(SymbolError::Id);
        }
        if symbol.name.len() > MAX_SYMBOL_NAME_BYTES {
            return Err(SymbolError::Name);
        }
        if symbol.tick_decimals.max(symbol.base_decimals) > MAX_DECIMALS {
            return Err(SymbolError::Decimals);
        }
        let mut news = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if news.len() >= MAX_NEWS {
            return Err(SymbolError::Full);
        }
        news.push((id, symbol));
        Ok(())
    }

    fn take(&self) -> Vec<(u32, Symbol)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The writer's table, by id.
#[derive(Default)]
pub(crate) struct Names(Vec<Option<Symbol>>);

impl Names {
    pub fn take_news(&mut self, news: &News) {
        for (id, symbol) in news.take() {
            let index = id as usize;
            if self.0.len() <= index {
                self.0.resize(index + 1, None);
            }
            self.0[index] = Some(symbol);
        }
    }

    /// The symbol, also if it was published a moment ago.
    pub fn get(&mut self, id: u32, news: &News) -> Option<&Symbol> {
        let index = id as usize;
        if !matches!(self.0.get(index), Some(Some(_))) {
            self.take_news(news);
        }
        self.0.get(index)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shown_is_refused_with_the_field() {
        let symbol = Symbol {
            name: "BTC-USDT".into(),
            tick_mantissa: 1,
            tick_decimals: 2,
            lot_units: 1,
            base_decimals: 8,
        };
        let news = News::default();
        let refused = |id, symbol: Symbol| news.publish(id, symbol).unwrap_err().to_string();
        assert!(refused(MAX_SYMBOLS, symbol.clone()).starts_with("id:"));
        let long = Symbol { name: "x".repeat(65), ..symbol.clone() };
        assert!(refused(0, long).starts_with("name:"));
        let fine = Symbol { base_decimals: 39, ..symbol.clone() };
        assert!(refused(0, fine).starts_with("tick_decimals, base_decimals:"));
        for _ in 0..MAX_NEWS {
            news.publish(3, symbol.clone()).unwrap();
        }
        assert_eq!(news.publish(3, symbol.clone()), Err(SymbolError::Full));
        assert_eq!(Names::default().get(3, &news), Some(&symbol));
    }
}

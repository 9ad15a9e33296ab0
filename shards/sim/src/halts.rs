//! Which symbols may be halted, as far as the clients can tell.
//!
//! A user's cancel of all leaves the orders of a halted symbol alone, and whoever asks cannot know
//! whether a halt that somebody else asked for comes before or behind it.

use std::collections::BTreeMap;

use money::SymbolId;

use crate::mesh::Token;

#[derive(Default)]
pub(crate) struct Halts(BTreeMap<SymbolId, Halt>);

struct Halt {
    /// The request that asked for it, the last one if there were several.
    asked: Token,
    /// The request that came first when every shard was known to trade again.
    over: Option<Token>,
}

impl Halts {
    /// A halt is asked for.
    pub fn ask(&mut self, symbol: SymbolId, asked: Token) {
        self.0.insert(symbol, Halt { asked, over: None });
    }

    /// A later change is in force on every shard, before request `next`.
    pub fn end(&mut self, symbol: SymbolId, next: Token) {
        if let Some(halt) = self.0.get_mut(&symbol) {
            halt.over.get_or_insert(next);
        }
    }

    /// Whether the symbol may have been halted at some moment since a request was asked.
    pub fn may_have_been_since(&self, symbol: SymbolId, asked: Token) -> bool {
        let Some(halt) = self.0.get(&symbol) else { return false };
        halt.asked > asked || halt.over.is_none_or(|over| over > asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_counts_from_its_request_to_the_answer_that_ends_it() {
        let (mut halts, symbol) = (Halts::default(), SymbolId(0));
        assert!(!halts.may_have_been_since(symbol, 1));
        halts.ask(symbol, 5);
        assert!(halts.may_have_been_since(symbol, 4), "it may overtake what was asked before");
        assert!(halts.may_have_been_since(symbol, 6));
        halts.end(symbol, 9);
        assert!(halts.may_have_been_since(symbol, 8), "asked while it was halted");
        assert!(!halts.may_have_been_since(symbol, 9));
        assert!(!halts.may_have_been_since(SymbolId(1), 1));
    }
}

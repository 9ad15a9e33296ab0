//! A book as those see it who follow it: levels, built from released changes alone.

use std::collections::{BTreeMap, BTreeSet};

use engine::BookLevel;
use gateway::native::push::PriceLevel;
use money::{Price, Side};

/// The levels of a book at one of its changes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Shadow {
    bids: BTreeMap<Price, u128>,
    asks: BTreeMap<Price, u128>,
    /// The last change that is in here.
    pub update: u64,
}

impl Shadow {
    /// A whole book.
    pub fn new(bids: &[BookLevel], asks: &[BookLevel], update: u64) -> Shadow {
        let side =
            |levels: &[BookLevel]| levels.iter().map(|level| (level.price, level.qty)).collect();
        Shadow { bids: side(bids), asks: side(asks), update }
    }

    /// Takes a change in. `qty_lots` 0 removes the level.
    pub fn apply(&mut self, update: u64, side: Side, price: Price, qty_lots: u128) {
        self.update = update;
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        match qty_lots {
            0 => levels.remove(&price),
            _ => levels.insert(price, qty_lots),
        };
    }

    /// The best levels of a side, best first.
    pub fn levels(&self, side: Side, limit: usize) -> Vec<PriceLevel> {
        let level = |(&price, &qty_lots): (&Price, &u128)| PriceLevel { price, qty_lots };
        match side {
            Side::Buy => self.bids.iter().rev().take(limit).map(level).collect(),
            Side::Sell => self.asks.iter().take(limit).map(level).collect(),
        }
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Option<PriceLevel> {
        let best = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        best.map(|(&price, &qty_lots)| PriceLevel { price, qty_lots })
    }

    fn at(&self, side: Side, price: Price) -> PriceLevel {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        PriceLevel { price, qty_lots: levels.get(&price).copied().unwrap_or(0) }
    }
}

/// Which levels have changed since something was last sent of them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    bids: BTreeSet<Price>,
    asks: BTreeSet<Price>,
    /// The last change that was sent.
    sent: u64,
}

/// Changed levels, best first, as they are now.
#[derive(Debug, PartialEq)]
pub(super) struct Changed {
    pub first_update: u64,
    pub last_update: u64,
    pub bids: Vec<PriceLevel>,
    pub asks: Vec<PriceLevel>,
}

impl Changes {
    /// None yet, of a book at this change.
    pub fn since(update: u64) -> Changes {
        Changes { sent: update, ..Changes::default() }
    }

    /// A level has changed.
    pub fn note(&mut self, side: Side, price: Price) {
        match side {
            Side::Buy => self.bids.insert(price),
            Side::Sell => self.asks.insert(price),
        };
    }

    /// What is to be sent. `None`: nothing has changed. Consecutive answers leave no number out.
    pub fn take(&mut self, shadow: &Shadow) -> Option<Changed> {
        if self.sent == shadow.update {
            return None;
        }
        let bids = std::mem::take(&mut self.bids).into_iter().rev();
        let asks = std::mem::take(&mut self.asks).into_iter();
        let first_update = self.sent + 1;
        self.sent = shadow.update;
        Some(Changed {
            first_update,
            last_update: shadow.update,
            bids: bids.map(|price| shadow.at(Side::Buy, price)).collect(),
            asks: asks.map(|price| shadow.at(Side::Sell, price)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: u64, qty_lots: u128) -> PriceLevel {
        PriceLevel { price: Price(price), qty_lots }
    }

    #[test]
    fn changes_are_the_newest_state_of_each_level_once() {
        let mut shadow = Shadow::default();
        let mut changes = Changes::since(0);
        for (update, side, price, qty) in [
            (1, Side::Buy, 10, 5),
            (2, Side::Buy, 11, 7),
            (3, Side::Sell, 12, 1),
            (4, Side::Buy, 10, 6),
            (4, Side::Sell, 12, 0),
        ] {
            shadow.apply(update, side, Price(price), qty);
            changes.note(side, Price(price));
        }
        let changed = changes.take(&shadow).expect("changed");
        assert_eq!((changed.first_update, changed.last_update), (1, 4));
        assert_eq!(changed.bids, [level(11, 7), level(10, 6)]);
        assert_eq!(changed.asks, [level(12, 0)]);
        assert_eq!(changes.take(&shadow), None);
        shadow.apply(7, Side::Sell, Price(13), 2);
        changes.note(Side::Sell, Price(13));
        let changed = changes.take(&shadow).expect("changed");
        assert_eq!((changed.first_update, changed.last_update), (5, 7), "no number is left out");
    }

    #[test]
    fn the_best_is_the_highest_bid_and_the_lowest_ask() {
        let mut shadow = Shadow::default();
        assert_eq!(shadow.best(Side::Buy), None);
        for price in [3, 9, 5] {
            shadow.apply(1, Side::Buy, Price(price), 1);
            shadow.apply(1, Side::Sell, Price(price + 10), 2);
        }
        assert_eq!(shadow.best(Side::Buy), Some(level(9, 1)));
        assert_eq!(shadow.best(Side::Sell), Some(level(13, 2)));
        assert_eq!(shadow.levels(Side::Buy, 2), [level(9, 1), level(5, 1)]);
        assert_eq!(shadow.levels(Side::Sell, 2), [level(13, 2), level(15, 2)]);
    }
}

//! What happened: the users' trades of one shard and the tape of one symbol, both bounded.

use std::collections::VecDeque;

use ledger::Account;
use money::{Lots, OrderId, Price, Role, Side, SymbolId, TradeId, Units};

use crate::image::TradeImage;
use crate::message::Fill;
use crate::registry::Registry;
use crate::reply::{TapeEntry, TradeView};

/// Trade sides that a shard remembers for its users.
pub const TRADE_HISTORY_ENTRIES: u64 = 1 << 20;
/// Trades that a symbol remembers.
pub const TAPE_ENTRIES: usize = 1 << 17;

/// Names an entry of the history: counts up from 1, 0 is none.
pub(crate) type Link = u64;

/// One side of a trade. There are a million: the asset of the fee follows from symbol and side, and a
/// link from the distance to it.
#[derive(Debug)]
struct Entry {
    fee: Units,
    trade: TradeId,
    order: OrderId,
    price: Price,
    qty: Lots,
    at_ms: u64,
    symbol: SymbolId,
    before_of_account: u32,
    before_of_order: u32,
    side: Side,
    role: Role,
}

/// How far back a link is; 0 when there is none, or too far to be remembered still.
fn distance(here: Link, before: Link) -> u32 {
    if before == 0 { 0 } else { u32::try_from(here - before).unwrap_or(0) }
}

/// The last [`TRADE_HISTORY_ENTRIES`] trade sides of a shard's users, chained per user and per
/// order, newest first.
#[derive(Debug, Default)]
pub(crate) struct TradeHistory {
    entries: VecDeque<Entry>,
    /// Link of the front entry.
    first: Link,
    /// By account.
    last_of_account: Vec<Link>,
}

impl TradeHistory {
    pub fn new() -> TradeHistory {
        TradeHistory { first: 1, ..TradeHistory::default() }
    }

    /// Remembers a trade; returns its link, which the order keeps for the next call.
    #[inline]
    pub fn push(
        &mut self,
        account: Account,
        fill: &Fill,
        fee: Units,
        before_of_order: Link,
    ) -> Link {
        let link = self.first + self.entries.len() as u64;
        let at = account.0 as usize;
        if at >= self.last_of_account.len() {
            self.last_of_account.resize(at + 1, 0);
        }
        let before_of_account = std::mem::replace(&mut self.last_of_account[at], link);
        self.entries.push_back(Entry {
            fee,
            trade: fill.trade,
            order: fill.order,
            price: fill.price,
            qty: fill.qty,
            at_ms: fill.at_ms,
            symbol: fill.symbol,
            before_of_account: distance(link, before_of_account),
            before_of_order: distance(link, before_of_order),
            side: fill.side,
            role: fill.role,
        });
        if self.entries.len() as u64 > TRADE_HISTORY_ENTRIES {
            self.entries.pop_front();
            self.first += 1;
        }
        link
    }

    /// The link of the oldest entry, or of the next one when there is none.
    pub fn first(&self) -> Link {
        self.first
    }

    /// The link of a user's last trade; 0 is none.
    pub fn last_of(&self, account: Account) -> Link {
        self.last_of_account.get(account.0 as usize).copied().unwrap_or(0)
    }

    /// All entries, oldest first, as they stand in an image.
    pub fn image(&self) -> impl Iterator<Item = TradeImage> {
        self.entries.iter().map(|entry| TradeImage {
            fee: entry.fee,
            trade: entry.trade,
            order: entry.order,
            price: entry.price,
            qty: entry.qty,
            at_ms: entry.at_ms,
            symbol: entry.symbol,
            before_of_account: entry.before_of_account,
            before_of_order: entry.before_of_order,
            side: entry.side,
            role: entry.role,
        })
    }

    /// Begins a history whose oldest entry has this link.
    pub fn restored(first: Link) -> TradeHistory {
        TradeHistory { first, ..TradeHistory::default() }
    }

    /// Adds an entry from an image. `false` when there are too many, or it reaches back before the
    /// first one that ever was.
    pub fn restore(&mut self, image: &TradeImage) -> bool {
        let Some(link) = self.first.checked_add(self.entries.len() as u64) else { return false };
        let reaches = |distance: u32| u64::from(distance) < link;
        if !reaches(image.before_of_account)
            || !reaches(image.before_of_order)
            || self.entries.len() as u64 >= TRADE_HISTORY_ENTRIES
        {
            return false;
        }
        self.entries.push_back(Entry {
            fee: image.fee,
            trade: image.trade,
            order: image.order,
            price: image.price,
            qty: image.qty,
            at_ms: image.at_ms,
            symbol: image.symbol,
            before_of_account: image.before_of_account,
            before_of_order: image.before_of_order,
            side: image.side,
            role: image.role,
        });
        true
    }

    /// Names the last trade of the next account, from an image.
    pub fn restore_account(&mut self, last: Link) {
        self.last_of_account.push(last);
    }

    fn get(&self, link: Link) -> Option<&Entry> {
        self.entries.get(usize::try_from(link.checked_sub(self.first)?).ok()?)
    }

    /// From `last` back along one chain.
    fn chain(&self, last: Link, before: impl Fn(&Entry) -> u32) -> impl Iterator<Item = &Entry> {
        let mut next = last;
        std::iter::from_fn(move || {
            let entry = self.get(next)?;
            let distance = u64::from(before(entry));
            next = if distance == 0 { 0 } else { next - distance };
            Some(entry)
        })
    }

    /// One entry.
    pub fn view(&self, link: Link, registry: &Registry) -> Option<TradeView> {
        self.get(link).map(|entry| entry.view(registry))
    }

    /// A user's trades, newest first.
    pub fn of_account(
        &self,
        account: Account,
        registry: &Registry,
    ) -> impl Iterator<Item = TradeView> {
        self.chain(self.last_of(account), |entry| entry.before_of_account)
            .map(|entry| entry.view(registry))
    }

    /// The trades of the order that keeps `last`, oldest first.
    pub fn of_order(&self, last: Link, registry: &Registry) -> Vec<TradeView> {
        let chain = self.chain(last, |entry| entry.before_of_order);
        let mut trades: Vec<TradeView> = chain.map(|entry| entry.view(registry)).collect();
        trades.reverse();
        trades
    }
}

impl Entry {
    fn view(&self, registry: &Registry) -> TradeView {
        let spec = &registry.symbol(self.symbol).expect("of a trade").spec;
        TradeView {
            trade: self.trade,
            order: self.order,
            symbol: self.symbol,
            side: self.side,
            price: self.price,
            qty: self.qty,
            fee: self.fee,
            fee_asset: if self.side == Side::Buy { spec.base } else { spec.quote },
            role: self.role,
            at_ms: self.at_ms,
        }
    }
}

/// The last [`TAPE_ENTRIES`] trades of a symbol.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    entries: VecDeque<TapeEntry>,
}

impl Tape {
    #[inline]
    pub fn push(&mut self, entry: TapeEntry) {
        if self.entries.len() == TAPE_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// All of it, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &TapeEntry> {
        self.entries.iter()
    }

    /// Newest first.
    pub fn newest(&self, limit: usize) -> Vec<TapeEntry> {
        self.entries.iter().rev().take(limit).copied().collect()
    }

    /// Oldest first, with ids above `after`. Ids count up by one, so the place is computed.
    pub fn after(&self, after: u64, limit: usize) -> Vec<TapeEntry> {
        let Some(front) = self.entries.front() else { return Vec::new() };
        let skip = after.saturating_add(1).saturating_sub(front.trade.0);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(limit).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::NewSymbol;
    use money::{AssetId, Placement, SymbolRules, SymbolSpec};

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let spec = SymbolSpec {
            name: "A_B".into(),
            base: AssetId(4),
            quote: AssetId(5),
            base_decimals: 0,
            quote_decimals: 0,
            tick_mantissa: 1,
            tick_decimals: 0,
            lot_units: 1,
            rules: SymbolRules::default(),
        };
        registry.define_symbol(NewSymbol { spec, reference: None }, None, Placement::new(1));
        registry
    }

    fn fill(trade: u64) -> Fill {
        Fill {
            order: OrderId(1),
            symbol: SymbolId(0),
            trade: TradeId(trade),
            price: Price(1),
            qty: Lots(1),
            side: if trade.is_multiple_of(2) { Side::Buy } else { Side::Sell },
            role: Role::Maker,
            fee_ppm: 0,
            at_ms: 0,
        }
    }

    #[test]
    fn the_oldest_trades_are_forgotten_by_user_and_by_order() {
        let (mut history, registry) = (TradeHistory::new(), registry());
        let (seldom, often) = (Account(0), Account(7));
        let mut last_of_order = history.push(seldom, &fill(1), 3, 0);
        let trades = |views: Vec<TradeView>| {
            views.iter().map(|view| (view.trade.0, view.fee, view.fee_asset.0)).collect::<Vec<_>>()
        };
        assert_eq!(trades(history.of_order(last_of_order, &registry)), [(1, 3, 5)]);
        let count = TRADE_HISTORY_ENTRIES + 10;
        let mut last = 0;
        for trade in 2..count {
            last = history.push(often, &fill(trade), 0, last);
        }
        assert_eq!(history.of_account(seldom, &registry).count(), 0);
        assert_eq!(history.of_order(last_of_order, &registry), vec![]);
        last_of_order = history.push(seldom, &fill(count), 9, last_of_order);
        assert_eq!(trades(history.of_order(last_of_order, &registry)), [(count, 9, 4)]);
        assert_eq!(history.of_account(seldom, &registry).count(), 1);
        let kept = TRADE_HISTORY_ENTRIES - 1;
        assert_eq!(history.of_account(often, &registry).count() as u64, kept);
        assert_eq!(history.of_order(last, &registry).len() as u64, kept);
        let newest = history.of_account(often, &registry).next().unwrap();
        assert_eq!(newest.trade, TradeId(count - 1));
        assert_eq!(history.of_account(Account(99), &registry).count(), 0);
    }

    #[test]
    fn the_tape_forgets_its_oldest_trades_and_finds_the_rest_by_number() {
        let mut tape = Tape::default();
        assert_eq!(tape.after(0, 5), vec![]);
        let entry = |trade| TapeEntry {
            trade: TradeId(trade),
            taker: OrderId(1),
            maker: OrderId(2),
            price: Price(1),
            qty: Lots(1),
            taker_side: Side::Buy,
            at_ms: 0,
        };
        let count = TAPE_ENTRIES as u64 + 5;
        (1..=count).for_each(|trade| tape.push(entry(trade)));
        assert_eq!(tape.after(0, 1), vec![entry(6)]);
        assert_eq!(tape.after(count - 1, 9), vec![entry(count)]);
        assert_eq!(tape.after(u64::MAX, 9), vec![]);
        assert_eq!(tape.newest(usize::MAX).len(), TAPE_ENTRIES);
        assert_eq!(tape.newest(1), vec![entry(count)]);
    }
}

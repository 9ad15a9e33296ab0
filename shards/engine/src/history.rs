//! What happened: the users' trades of one shard and the tape of one symbol, both bounded.

use std::collections::VecDeque;

use ledger::Account;

use crate::reply::{TapeEntry, TradeView};

/// Trade sides that a shard remembers for its users.
pub const TRADE_HISTORY_ENTRIES: u64 = 1 << 20;
/// Trades that a symbol remembers.
pub const TAPE_ENTRIES: usize = 1 << 17;

/// Names an entry of the history: counts up from 1, 0 is none.
pub(crate) type Link = u64;

#[derive(Debug)]
struct Entry {
    view: TradeView,
    account: Account,
    before_of_account: Link,
    before_of_order: Link,
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
    pub fn push(&mut self, account: Account, view: TradeView, before_of_order: Link) -> Link {
        let link = self.first + self.entries.len() as u64;
        let at = account.0 as usize;
        if at >= self.last_of_account.len() {
            self.last_of_account.resize(at + 1, 0);
        }
        let before_of_account = std::mem::replace(&mut self.last_of_account[at], link);
        self.entries.push_back(Entry { view, account, before_of_account, before_of_order });
        if self.entries.len() as u64 > TRADE_HISTORY_ENTRIES {
            self.entries.pop_front();
            self.first += 1;
        }
        link
    }

    fn get(&self, link: Link) -> Option<&Entry> {
        self.entries.get(usize::try_from(link.checked_sub(self.first)?).ok()?)
    }

    /// A user's trades, newest first.
    pub fn of_account(&self, account: Account) -> impl Iterator<Item = &TradeView> {
        let newest = self.last_of_account.get(account.0 as usize).copied().unwrap_or(0);
        let mut next = self.get(newest);
        std::iter::from_fn(move || {
            let entry = next?;
            debug_assert_eq!(entry.account, account);
            next = self.get(entry.before_of_account);
            Some(&entry.view)
        })
    }

    /// The trades of the order that keeps `last`, oldest first.
    pub fn of_order(&self, last: Link) -> Vec<TradeView> {
        let mut trades = Vec::new();
        let mut next = self.get(last);
        while let Some(entry) = next {
            trades.push(entry.view);
            next = self.get(entry.before_of_order);
        }
        trades.reverse();
        trades
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
    use money::{AssetId, Lots, OrderId, Price, Role, Side, SymbolId, TradeId};

    fn view(trade: u64) -> TradeView {
        TradeView {
            trade: TradeId(trade),
            order: OrderId(1),
            symbol: SymbolId(0),
            side: Side::Buy,
            price: Price(1),
            qty: Lots(1),
            fee: 0,
            fee_asset: AssetId(0),
            role: Role::Maker,
            at_ms: 0,
        }
    }

    #[test]
    fn the_oldest_trades_are_forgotten_by_user_and_by_order() {
        let mut history = TradeHistory::new();
        let (seldom, often) = (Account(0), Account(7));
        let mut last_of_order = history.push(seldom, view(1), 0);
        let count = TRADE_HISTORY_ENTRIES + 10;
        let mut last = 0;
        for trade in 2..count {
            last = history.push(often, view(trade), last);
        }
        assert_eq!(history.of_account(seldom).count(), 0);
        assert_eq!(history.of_order(last_of_order), vec![]);
        last_of_order = history.push(seldom, view(count), last_of_order);
        assert_eq!(history.of_order(last_of_order), vec![view(count)]);
        assert_eq!(history.of_account(seldom).count(), 1);
        assert_eq!(history.of_account(often).count() as u64, TRADE_HISTORY_ENTRIES - 1);
        assert_eq!(history.of_account(often).next(), Some(&view(count - 1)));
        assert_eq!(history.of_account(Account(99)).count(), 0);
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

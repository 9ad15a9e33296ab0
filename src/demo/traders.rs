//! Synthetic traders: market makers around a price that walks at random, takers who hit them, and
//! people who change their minds.
//!
//! What they do depends on the seed alone, not on time and not on the answers.

use std::collections::VecDeque;

use engine::{Command, OrderRef, Place, SymbolEntry};
use money::{Cid, Decimal, Lots, OrderKind, Price, SelfTrade, Side, SymbolId, TimeInForce, UserId};

/// The first of the traders; the users below it are for whoever looks around.
pub const FIRST_TRADER: u64 = 2_001;
/// How many traders there are.
pub const TRADERS: u64 = 20;
/// Orders of a market that are remembered in order to cancel them.
const REMEMBERED_ORDERS: usize = 400;
/// Sizes of orders are multiples of the largest one divided by this.
const SIZES: u64 = 500;

/// What a demo market is like: symbol, price at the start, largest order.
const MARKETS: [(&str, &str, &str); 3] =
    [("BTC_USDT", "60000", "0.5"), ("ETH_USDT", "3000", "5"), ("ETH_BTC", "0.05", "5")];

/// SplitMix64 (Steele, Lea, Flood): small, and good enough to look lively.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// From 0 to below `end`.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// One market as the traders see it.
struct Market {
    symbol: SymbolId,
    /// Where the price began, in ticks, and is drawn back to.
    home: u64,
    /// What the traders believe in, in ticks.
    fair: u64,
    /// In lots.
    size_step: u64,
    /// Orders that may still rest, oldest first.
    orders: VecDeque<(UserId, Cid)>,
}

/// All traders together.
pub struct Traders {
    random: Random,
    markets: Vec<Market>,
    prefix: String,
    orders: u64,
}

impl Traders {
    /// Traders of those of the demo's markets that are there. `prefix` begins their client order
    /// ids, which must not have been used before.
    pub fn new<'a>(
        seed: u64,
        prefix: String,
        symbols: impl Iterator<Item = (SymbolId, &'a SymbolEntry)>,
    ) -> Traders {
        let markets = symbols.filter_map(|(symbol, entry)| {
            let (_, price, size) = MARKETS.iter().find(|(name, ..)| *name == entry.spec.name)?;
            let fair = entry.spec.price(Decimal::parse(price).ok()?).ok()?.0;
            let largest = entry.spec.qty(Decimal::parse(size).ok()?).ok()?.0;
            let (size_step, orders) = ((largest / SIZES).max(1), VecDeque::new());
            Some(Market { symbol, home: fair, fair, size_step, orders })
        });
        Traders { random: Random(seed), markets: markets.collect(), prefix, orders: 0 }
    }

    /// Everybody who trades.
    pub fn users() -> impl Iterator<Item = UserId> {
        (FIRST_TRADER..FIRST_TRADER + TRADERS).map(UserId)
    }

    /// The markets that they trade in.
    pub fn symbols(&self) -> impl Iterator<Item = SymbolId> {
        self.markets.iter().map(|market| market.symbol)
    }

    /// What happens next; nothing where there are no markets.
    pub fn next(&mut self) -> Option<Command> {
        let random = &mut self.random;
        let at = random.below(self.markets.len().max(1) as u64) as usize;
        let market = self.markets.get_mut(at)?;
        market.walk(random);
        let dice = random.below(100);
        if market.orders.len() > REMEMBERED_ORDERS {
            return market.cancel(0);
        }
        if dice < 20 && !market.orders.is_empty() {
            let which = random.below(market.orders.len() as u64) as usize;
            return market.cancel(which);
        }
        self.orders += 1;
        let cid = Cid::parse(&format!("{}-{}", self.prefix, self.orders)).ok()?;
        let user = UserId(FIRST_TRADER + random.below(TRADERS));
        let place = if dice < 75 {
            market.orders.push_back((user, cid));
            market.make(user, cid, random)
        } else {
            market.take(user, cid, random)
        };
        Some(Command::Place(place))
    }
}

impl Market {
    /// A small step up or down, a little more often towards home.
    fn walk(&mut self, random: &mut Random) {
        let step = random.below(self.home / 10_000 + 2);
        let is_above = self.fair > self.home;
        let goes_down = random.below(1_000) < if is_above { 520 } else { 480 };
        self.fair = if goes_down {
            self.fair.saturating_sub(step).max(self.home / 2)
        } else {
            self.fair + step
        };
    }

    fn cancel(&mut self, which: usize) -> Option<Command> {
        let (user, cid) = self.orders.remove(which)?;
        Some(Command::Cancel { user, order: OrderRef::Cid(cid) })
    }

    fn size(&self, random: &mut Random) -> Lots {
        // The smaller of two draws: small orders are more common.
        let size = 1 + random.below(SIZES).min(random.below(SIZES));
        Lots(size * self.size_step)
    }

    /// A resting order, near the fair price more often than far from it.
    fn make(&self, user: UserId, cid: Cid, random: &mut Random) -> Place {
        let range = self.home / 400 + 2;
        let distance = 1 + random.below(range).min(random.below(range)).min(random.below(range));
        let (side, price) = match random.below(2) {
            0 => (Side::Buy, self.fair.saturating_sub(distance).max(1)),
            _ => (Side::Sell, self.fair + distance),
        };
        self.place(user, cid, side, price, self.size(random), TimeInForce::Gtc)
    }

    /// An order that takes what is offered within a reach.
    fn take(&self, user: UserId, cid: Cid, random: &mut Random) -> Place {
        let reach = self.home / 800 + 1;
        let (side, price) = match random.below(2) {
            0 => (Side::Buy, self.fair + reach),
            _ => (Side::Sell, self.fair.saturating_sub(reach).max(1)),
        };
        self.place(user, cid, side, price, self.size(random), TimeInForce::Ioc)
    }

    fn place(
        &self,
        user: UserId,
        cid: Cid,
        side: Side,
        price: u64,
        qty: Lots,
        time_in_force: TimeInForce,
    ) -> Place {
        Place {
            user,
            symbol: self.symbol,
            side,
            kind: OrderKind::Limit,
            time_in_force,
            self_trade: SelfTrade::ExpireMaker,
            wait: false,
            price: Price(price),
            qty,
            quote_qty: None,
            cid: Some(cid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use money::{AssetId, ShardId, SymbolRules, SymbolSpec};

    fn entry() -> SymbolEntry {
        let spec = SymbolSpec {
            name: "BTC_USDT".into(),
            base: AssetId(0),
            quote: AssetId(1),
            base_decimals: 8,
            quote_decimals: 2,
            tick_mantissa: 1,
            tick_decimals: 2,
            lot_units: 1,
            rules: SymbolRules::default(),
        };
        let scale = spec.scale().unwrap();
        SymbolEntry { scale, spec, reference: None, placed: None, shard: ShardId(0) }
    }

    fn commands(seed: u64) -> Vec<Command> {
        let entry = entry();
        let symbols = std::iter::once((SymbolId(0), &entry));
        let mut traders = Traders::new(seed, "x".into(), symbols);
        (0..5_000).map(|_| traders.next().unwrap()).collect()
    }

    #[test]
    fn the_same_seed_does_the_same() {
        assert_eq!(commands(7), commands(7));
        assert_ne!(commands(7), commands(8));
    }

    #[test]
    fn there_are_makers_takers_and_cancels_at_sensible_prices() {
        let (mut makers, mut takers, mut cancels) = (0, 0, 0);
        for command in commands(1) {
            match command {
                Command::Cancel { .. } => cancels += 1,
                Command::Place(place) => {
                    assert!((3_000_000..12_000_000).contains(&place.price.0), "{place:?}");
                    assert!((1..=50_000_000).contains(&place.qty.0), "{place:?}");
                    match place.time_in_force {
                        TimeInForce::Gtc => makers += 1,
                        _ => takers += 1,
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(makers > 1_000 && takers > 500 && cancels > 500, "{makers} {takers} {cancels}");
    }

    #[test]
    fn without_markets_nothing_happens() {
        assert!(Traders::new(1, "x".into(), std::iter::empty()).next().is_none());
    }
}

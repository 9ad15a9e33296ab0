//! Random markets and random orders: few prices, small balances, every kind and flag, so that
//! everything collides.

use std::collections::VecDeque;

use engine::{Command, NewSymbol, Place, PlacedSymbol, Transfer};
use money::{
    Asset, AssetId, Lots, OrderKind, Placement, Price, SelfTrade, ShardId, Side, SymbolId,
    SymbolPatch, SymbolRules, SymbolSpec, SymbolStatus, TimeInForce, UserId,
};

use crate::random::Random;

/// Lowest price at which anything is traded, in ticks.
const LOWEST_PRICE: u64 = 1_000;
/// Base and quote of the symbols, in the order of their definition.
const PAIRS: [(u32, u32); 6] = [(0, 1), (2, 1), (0, 3), (2, 3), (0, 2), (3, 1)];
/// How many of a hundred symbols are placed by hand.
const PLACED_PERCENT: u64 = 40;
const ASSETS: [(&str, u8); 4] = [("AAA", 3), ("BBB", 2), ("CCC", 4), ("DDD", 1)];

/// The market of one seed.
pub(crate) struct Market {
    pub users: Vec<UserId>,
    pub symbols: u32,
    levels: u64,
    most_qty: u64,
    /// What sets the market up, in order.
    pub script: VecDeque<Command>,
}

impl Market {
    pub fn new(placement: Placement, random: &mut Random) -> Market {
        let shards = u64::from(placement.shards());
        // On every shard, and some more on some.
        let mut users: Vec<UserId> = (0..shards).map(|shard| UserId(shard + shards * 3)).collect();
        for _ in 0..random.range(1, 5) {
            let user = UserId(random.below(40));
            if !users.contains(&user) {
                users.push(user);
            }
        }
        let symbols = random.range(1, PAIRS.len() as u64) as u32;
        let mut market = Market {
            users,
            symbols,
            levels: random.range(2, 12),
            most_qty: random.range(5, 60),
            script: VecDeque::new(),
        };
        market.write_script(placement, random);
        market
    }

    /// There are so many shards now: nobody asks for one that is not there.
    pub fn move_to(&mut self, placement: Placement) {
        for command in &mut self.script {
            if let Command::CreatePlacedSymbol(placed) = command {
                placed.shard = ShardId(placed.shard.0 % placement.shards());
            }
        }
    }

    fn write_script(&mut self, placement: Placement, random: &mut Random) {
        for (name, decimals) in ASSETS {
            let asset = Asset { name: name.into(), decimals };
            self.script.push_back(Command::CreateAsset(asset));
        }
        for &user in &self.users {
            let create = Command::CreateUser { user: Some(user), shard: ShardId(0), name: None };
            self.script.push_back(create);
        }
        for (index, &user) in self.users.iter().enumerate() {
            for asset in 0..ASSETS.len() as u32 {
                let amount = self.funds(random);
                let reference = format!("first-{index}-{asset}");
                let asset = AssetId(asset);
                self.script.push_back(Command::Deposit(Transfer {
                    user,
                    asset,
                    amount,
                    reference,
                }));
            }
        }
        // The first symbol comes before the funds, the others while trading goes on.
        for index in 0..self.symbols {
            let at = (ASSETS.len() + 1).min(self.script.len());
            let symbol = self.symbol(index, random);
            let create = match random.chance(PLACED_PERCENT) {
                true => {
                    let shard = ShardId(random.below(u64::from(placement.shards())) as u16);
                    Command::CreatePlacedSymbol(Box::new(PlacedSymbol { symbol, shard }))
                }
                false => Command::CreateSymbol(Box::new(symbol)),
            };
            match index {
                0 => self.script.insert(at, create),
                _ => self.script.push_back(create),
            }
        }
        self.script.push_back(Command::CreateAsset(Asset { name: "LATE".into(), decimals: 0 }));
    }

    /// Little enough that orders are refused, mostly.
    fn funds(&self, random: &mut Random) -> u128 {
        let much = random.chance(40);
        u128::from(random.range(100, if much { 200_000 } else { 8_000 }))
    }

    fn symbol(&self, index: u32, random: &mut Random) -> NewSymbol {
        let (base, quote) = PAIRS[index as usize];
        let decimals = |asset: u32| ASSETS[asset as usize].1;
        let rules = SymbolRules {
            maker_fee_ppm: random.pick(&[0, 0, 1_000, 77_777]),
            taker_fee_ppm: random.pick(&[0, 2_000, 33_333]),
            price_band_ppm: random.pick(&[0, 0, 5_000, 500_000]),
            min_notional: random.pick(&[0, 0, 3]),
            max_qty: Lots(random.pick(&[1_000_000, 50])),
            ..SymbolRules::default()
        };
        let spec = SymbolSpec {
            name: format!("{}_{}", ASSETS[base as usize].0, ASSETS[quote as usize].0),
            base: AssetId(base),
            quote: AssetId(quote),
            base_decimals: decimals(base),
            quote_decimals: decimals(quote),
            // One tick times one lot is a fraction of a unit: nearly every trade leaves dust.
            tick_mantissa: random.pick(&[1, 3, 7]),
            tick_decimals: 2,
            lot_units: random.pick(&[1, 3, 10]),
            rules,
        };
        let reference =
            random.chance(60).then(|| Price(LOWEST_PRICE + random.below(self.levels) * 3));
        NewSymbol { spec, reference }
    }

    pub fn price(&self, random: &mut Random) -> Price {
        Price(match random.below(200) {
            0 => 0,
            1 => u64::MAX,
            2..=6 => LOWEST_PRICE * random.range(1, 3),
            _ => LOWEST_PRICE + random.below(self.levels) * 3,
        })
    }

    pub fn qty(&self, random: &mut Random) -> Lots {
        Lots(match random.below(200) {
            0 => 0,
            1 => u64::MAX,
            2..=40 => 1,
            _ => random.range(1, self.most_qty),
        })
    }

    pub fn symbol_id(&self, random: &mut Random) -> SymbolId {
        // Most of the trading in one, so that its book is deep.
        match random.below(100) {
            0 => SymbolId(77),
            1..=50 => SymbolId(0),
            _ => SymbolId(random.below(u64::from(self.symbols)) as u32),
        }
    }

    pub fn asset_id(&self, random: &mut Random) -> AssetId {
        AssetId(random.below(ASSETS.len() as u64) as u32)
    }

    /// An order, still without a client id.
    pub fn place(&self, user: UserId, random: &mut Random) -> Place {
        let kind = match random.below(20) {
            0..=4 => OrderKind::Market,
            5..=6 => OrderKind::PostOnly,
            _ => OrderKind::Limit,
        };
        let time_in_force = match random.below(10) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            _ if kind == OrderKind::Market => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        };
        let is_market = kind == OrderKind::Market;
        let by_quote = is_market && random.chance(50);
        Place {
            user,
            symbol: self.symbol_id(random),
            side: random.pick(Side::ALL),
            kind,
            time_in_force,
            self_trade: match random.below(2) {
                0 => random.pick(SelfTrade::ALL),
                _ => SelfTrade::None,
            },
            wait: random.chance(50),
            price: if is_market { Price(0) } else { self.price(random) },
            qty: if by_quote { Lots(0) } else { self.qty(random) },
            quote_qty: by_quote.then(|| u128::from(random.below(2_000))),
            cid: None,
        }
    }

    /// A change of a symbol's rules.
    pub fn patch(&self, random: &mut Random) -> SymbolPatch {
        let mut patch = SymbolPatch::default();
        match random.below(7) {
            0 => patch.maker_fee_ppm = Some(random.below(90_000) as u32),
            1 => patch.taker_fee_ppm = Some(random.below(5_000) as u32),
            2 => patch.price_band_ppm = Some(random.pick(&[0, 4_000, 500_000])),
            3 => patch.reference = Some(self.price(random)),
            4 => patch.min_notional = Some(u128::from(random.below(20))),
            5 => patch.status = Some(SymbolStatus::CancelOnly),
            _ => patch.status = Some(SymbolStatus::Halted),
        }
        if random.chance(70) {
            patch.status = Some(SymbolStatus::Trading);
        }
        patch
    }
}

//! Random commands: every type and flag mixed, at so few prices that orders meet, with some
//! nonsense between.

use engine::{Command, OrderRef, Place};
use money::{
    Cid, Lots, OrderId, OrderKind, Price, SelfTrade, ShardId, Side, SymbolId, SymbolPatch,
    SymbolStatus, TimeInForce, UserId,
};

use super::Rng;
use super::world::{
    BTC, ETH, SYMBOLS, USERS, deposit, end_withdrawal, limit, patch, request, withdraw,
};

/// Makes commands from a seed. They name orders by `cid`, so that they mean the same in every
/// cluster.
pub struct Flow {
    rng: Rng,
    placed: u64,
    payments: u64,
    /// Whose payment had a number last.
    requesters: std::collections::BTreeMap<u64, UserId>,
    /// With commands that mean something else when there are more shards.
    pub by_shard: bool,
    /// With prices and quantities of any magnitude.
    pub extreme: bool,
}

impl Flow {
    pub fn new(seed: u64) -> Flow {
        Flow {
            rng: Rng::new(seed ^ 0x00F1_0000),
            placed: 0,
            payments: 0,
            requesters: std::collections::BTreeMap::new(),
            by_shard: true,
            extreme: false,
        }
    }

    fn magnitude(&mut self) -> u64 {
        let bit = self.rng.below(64);
        (1u64 << bit).wrapping_add(self.rng.below(3)).wrapping_sub(1)
    }

    fn price(&mut self) -> Price {
        if self.extreme && self.rng.chance(70) {
            return Price(self.magnitude());
        }
        Price(match self.rng.below(100) {
            0 => self.rng.number(),
            1 => u64::MAX,
            2 => 0,
            3..=6 => 10_000 * (1 + self.rng.below(5)),
            _ => 10_000 + self.rng.below(12) * 7,
        })
    }

    fn qty(&mut self) -> Lots {
        if self.extreme && self.rng.chance(70) {
            return Lots(self.magnitude());
        }
        Lots(match self.rng.below(100) {
            0 => self.rng.number(),
            1 => u64::MAX,
            2 => 0,
            3..=20 => 1 + self.rng.below(3),
            _ => 1 + self.rng.below(400),
        })
    }

    fn user(&mut self) -> UserId {
        if self.rng.chance(1) { UserId(777_777) } else { self.rng.pick(&USERS) }
    }

    fn symbol(&mut self) -> SymbolId {
        if self.rng.chance(1) { SymbolId(99) } else { self.rng.pick(&SYMBOLS) }
    }

    fn place(&mut self) -> Place {
        let kind = match self.rng.below(20) {
            0..=3 => OrderKind::Market,
            4..=5 => OrderKind::PostOnly,
            _ => OrderKind::Limit,
        };
        let time_in_force = match self.rng.below(10) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            _ => TimeInForce::Gtc,
        };
        let self_trade = match self.rng.below(3) {
            0 => self.rng.pick(SelfTrade::ALL),
            _ => SelfTrade::None,
        };
        let (price, qty) = (self.price(), self.qty());
        let quote_qty = match kind {
            OrderKind::Market if self.rng.chance(50) => Some(u128::from(self.rng.below(5_000))),
            // Nonsense that the gateway would not let through.
            _ if self.rng.chance(1) => Some(u128::from(self.rng.number())),
            _ => None,
        };
        // Sometimes the number of the last one again.
        self.placed += u64::from(!self.rng.chance(3));
        let (user, cid) = name(self.placed);
        Place {
            symbol: self.symbol(),
            kind,
            time_in_force,
            self_trade,
            wait: self.rng.chance(50),
            quote_qty,
            cid: Some(cid),
            ..limit(user, self.rng.pick(Side::ALL), price.0, qty.0)
        }
    }

    /// An order that was placed not long ago, mostly.
    fn order(&mut self) -> (UserId, OrderRef) {
        let (user, cid) = name(self.placed.saturating_sub(self.rng.below(60)));
        match self.rng.below(100) {
            0 => (user, OrderRef::Id(OrderId(self.rng.number()))),
            1 => (self.user(), OrderRef::Cid(cid)),
            _ => (user, OrderRef::Cid(cid)),
        }
    }

    fn payment(&mut self) -> Command {
        // One in five repeats a `ref`, mostly with another amount: which must be refused.
        self.payments += u64::from(!self.rng.chance(20));
        let amount = u128::from(self.rng.below(3)) * 1_000;
        let asset = self.rng.pick(&[BTC, ETH]);
        let (user, reference) = (self.user(), format!("payment-{}", self.payments));
        self.requesters.insert(self.payments, user);
        match self.rng.below(4) {
            0 => deposit(user, asset, amount, &reference),
            1 => withdraw(user, asset, amount, &reference),
            2 => request(user, asset, amount, &reference),
            // One that was asked for not long ago, or something else altogether.
            _ => {
                let number = self.payments.saturating_sub(self.rng.below(4));
                let reference = format!("payment-{number}");
                let user = self.requesters.get(&number).copied().unwrap_or(user);
                end_withdrawal(user, &reference, self.rng.chance(50))
            }
        }
    }

    fn rules(&mut self) -> Command {
        let mut change = SymbolPatch::default();
        match self.rng.below(6) {
            0 => change.status = Some(SymbolStatus::CancelOnly),
            1 => change.status = Some(SymbolStatus::Halted),
            2 => change.taker_fee_ppm = Some(self.rng.below(5_000) as u32),
            3 => change.price_band_ppm = Some(self.rng.below(2) as u32 * 50_000),
            4 => change.reference = Some(Price(9_900 + self.rng.below(300))),
            _ => change.min_notional = Some(u128::from(self.rng.below(20))),
        }
        if self.rng.chance(80) {
            change.status = Some(SymbolStatus::Trading);
        }
        patch(self.symbol(), change)
    }

    /// The next command.
    pub fn command(&mut self) -> Command {
        let user = self.user();
        match self.rng.below(1_000) {
            0..=649 => Command::Place(self.place()),
            650..=799 => {
                let (user, order) = self.order();
                Command::Cancel { user, order }
            }
            800..=859 => {
                let (user, order) = self.order();
                Command::Reduce { user, order, by: self.qty() }
            }
            860..=939 => {
                let (user, order) = self.order();
                Command::Move { user, order, price: self.price() }
            }
            940..=969 => self.payment(),
            970..=979 => self.rules(),
            980..=985 => Command::FreezeUser { user, frozen: self.rng.chance(20) },
            986..=989 => Command::CancelUser { user, symbol: None },
            990 => Command::CancelUser { user, symbol: Some(self.symbol()) },
            991 if self.by_shard => {
                Command::CancelShard { shard: ShardId(0), symbol: Some(self.symbol()) }
            }
            992..=994 => Command::Prove,
            _ => Command::Place(self.place()),
        }
    }
}

/// The user and the `cid` of the order with this number.
fn name(number: u64) -> (UserId, Cid) {
    let user = USERS[(number.wrapping_mul(0x9E37_79B9) >> 16) as usize % USERS.len()];
    (user, Cid::parse(&format!("order-{number}")).unwrap())
}

//! A small exchange: three assets, three symbols, a few users with funds, and short ways to say
//! what they do.

use engine::{
    Command, NewSymbol, OrderFilter, OrderRef, OrderView, Place, PlacedSymbol, Query, Reply,
    Transfer, WithdrawalRequest,
};
use money::{
    Asset, AssetId, Cid, Lots, OrderKind, OrderStatus, Price, SelfTrade, ShardId, Side, SymbolId,
    SymbolPatch, SymbolRules, SymbolSpec, TimeInForce, Units, UserId,
};

use super::{Cluster, Disk};

pub const BTC: AssetId = AssetId(0);
pub const USDT: AssetId = AssetId(1);
pub const ETH: AssetId = AssetId(2);
/// One tick times one lot is a thousandth of a quote unit: nearly every trade leaves dust.
pub const BTC_USDT: SymbolId = SymbolId(0);
pub const ETH_USDT: SymbolId = SymbolId(1);
pub const ETH_BTC: SymbolId = SymbolId(2);
pub const SYMBOLS: [SymbolId; 3] = [BTC_USDT, ETH_USDT, ETH_BTC];
/// Their homes are all four shards, twice.
pub const USERS: [UserId; 8] = [
    UserId(0),
    UserId(1),
    UserId(2),
    UserId(3),
    UserId(4),
    UserId(5),
    UserId(6),
    UserId(1_000_003),
];
/// What every user has of every asset at first, in units.
pub const FUNDS: Units = 1_000_000_000_000_000_000_000;

pub fn asset(name: &str, decimals: u8) -> Command {
    Command::CreateAsset(Asset { name: name.into(), decimals })
}

pub fn spec(name: &str, (base, quote): (AssetId, AssetId), rules: SymbolRules) -> SymbolSpec {
    let decimals = |asset: AssetId| [8, 2, 18][asset.0 as usize];
    SymbolSpec {
        name: name.into(),
        base,
        quote,
        base_decimals: decimals(base),
        quote_decimals: decimals(quote),
        tick_mantissa: 1,
        tick_decimals: 2,
        lot_units: 10u64.pow(u32::from(decimals(base)) - 3),
        rules,
    }
}

pub fn fees(maker_fee_ppm: u32, taker_fee_ppm: u32) -> SymbolRules {
    SymbolRules { maker_fee_ppm, taker_fee_ppm, ..SymbolRules::default() }
}

pub fn symbol(spec: SymbolSpec, reference: Option<Price>) -> Command {
    Command::CreateSymbol(Box::new(NewSymbol { spec, reference }))
}

pub fn placed(spec: SymbolSpec, shard: u16) -> Command {
    let symbol = NewSymbol { spec, reference: None };
    Command::CreatePlacedSymbol(Box::new(PlacedSymbol { symbol, shard: ShardId(shard) }))
}

pub fn patch(symbol: SymbolId, patch: SymbolPatch) -> Command {
    Command::UpdateSymbol { symbol, patch: Box::new(patch) }
}

pub fn deposit(user: UserId, asset: AssetId, amount: Units, reference: &str) -> Command {
    Command::Deposit(Transfer { user, asset, amount, reference: reference.into() })
}

pub fn withdraw(user: UserId, asset: AssetId, amount: Units, reference: &str) -> Command {
    Command::Withdraw(Transfer { user, asset, amount, reference: reference.into() })
}

pub fn request(user: UserId, asset: AssetId, amount: Units, reference: &str) -> Command {
    let (reference, destination) = (reference.to_owned(), Some("somewhere".to_owned()));
    let request = WithdrawalRequest { user, asset, amount, reference, destination };
    Command::RequestWithdrawal(Box::new(request))
}

pub fn end_withdrawal(user: UserId, reference: &str, confirm: bool) -> Command {
    Command::EndWithdrawal { user, reference: reference.to_owned(), confirm }
}

pub fn create_user(user: UserId) -> Command {
    Command::CreateUser { user: Some(user), shard: money::ShardId(0), name: None }
}

pub fn cid(text: &str) -> Cid {
    Cid::parse(text).unwrap()
}

pub fn by_cid(text: &str) -> OrderRef {
    OrderRef::Cid(cid(text))
}

/// A GTC limit order in BTC_USDT that is answered once matched.
pub fn limit(user: UserId, side: Side, price: u64, qty: u64) -> Place {
    Place {
        user,
        symbol: BTC_USDT,
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        self_trade: SelfTrade::None,
        wait: true,
        price: Price(price),
        qty: Lots(qty),
        quote_qty: None,
        cid: None,
    }
}

/// A market order by quantity.
pub fn market(user: UserId, side: Side, qty: u64) -> Place {
    let kind = OrderKind::Market;
    Place { kind, time_in_force: TimeInForce::Ioc, ..limit(user, side, 0, qty) }
}

/// A market order by quote budget.
pub fn market_for(user: UserId, side: Side, quote: Units) -> Place {
    Place { quote_qty: Some(quote), ..market(user, side, 0) }
}

/// An empty cluster with the small exchange on it.
pub fn world(shards: u16, seed: u64, disk: Disk) -> Cluster {
    world_with(shards, seed, disk, FUNDS)
}

pub fn world_with(shards: u16, seed: u64, disk: Disk, funds: Units) -> Cluster {
    world_placed(shards, seed, disk, funds, [None; 3])
}

/// The same with symbols on shards that are asked for.
pub fn world_placed(
    shards: u16,
    seed: u64,
    disk: Disk,
    funds: Units,
    places: [Option<u16>; 3],
) -> Cluster {
    let mut cluster = Cluster::new(shards, seed, disk);
    for (name, decimals) in [("BTC", 8), ("USDT", 2), ("ETH", 18)] {
        assert!(matches!(cluster.call(asset(name, decimals)), Reply::Asset(_)));
    }
    let symbols = [
        spec("BTC_USDT", (BTC, USDT), fees(1_000, 2_000)),
        spec("ETH_USDT", (ETH, USDT), fees(0, 0)),
        spec("ETH_BTC", (ETH, BTC), fees(0, 333)),
    ];
    for (spec, place) in symbols.into_iter().zip(places) {
        let create = match place {
            None => symbol(spec, None),
            Some(shard) => placed(spec, shard),
        };
        assert!(matches!(cluster.call(create), Reply::Symbol(_)));
    }
    for user in USERS {
        assert_eq!(cluster.call(create_user(user)), Reply::User(user));
        for asset in [BTC, USDT, ETH].into_iter().filter(|_| funds > 0) {
            let reply = cluster.call(deposit(user, asset, funds, &format!("first-{asset}")));
            assert!(matches!(reply, Reply::Balance(_)), "{reply:?}");
        }
    }
    cluster
}

impl Cluster {
    /// Places, waits, and returns the order as it is then.
    pub fn place(&mut self, place: Place) -> OrderView {
        match self.call(Command::Place(Place { wait: true, ..place })) {
            Reply::Matched { order, .. } => *order,
            other => panic!("{other:?} to {place:?}"),
        }
    }

    /// Places and returns where the order stands.
    pub fn status_of(&mut self, place: Place) -> OrderStatus {
        self.place(place).status
    }

    pub fn order(&self, user: UserId, order: OrderRef) -> OrderView {
        match self.query(Query::Order { user, order }) {
            Reply::Order(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub fn orders(&self, user: UserId, filter: OrderFilter) -> Vec<OrderView> {
        let mut all: Vec<OrderView> = Vec::new();
        loop {
            let before = all.last().map(|view| view.order);
            match self.query(Query::Orders { user, symbol: None, filter, before, limit: 1_000 }) {
                Reply::Orders(page) if page.is_empty() => return all,
                Reply::Orders(page) => all.extend(page),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Available and frozen units.
    pub fn balance(&self, user: UserId, asset: AssetId) -> (Units, Units) {
        let Reply::Balances(balances) = self.query(Query::Balances { user }) else {
            panic!("no user {user}");
        };
        let found = balances.iter().find(|balance| balance.asset == asset);
        found.map_or((0, 0), |balance| (balance.avail, balance.frozen))
    }

    pub fn change_symbol(&mut self, symbol: SymbolId, change: SymbolPatch) {
        assert_eq!(self.call(patch(symbol, change)), Reply::Symbol(symbol));
    }
}

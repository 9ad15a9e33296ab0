//! A small exchange of one shard without sockets and disk: what the gateway's dialects talk to.

use std::net::{IpAddr, Ipv4Addr};

use engine::{
    Command, Effects, Engine, EngineConfig, Input, NewSymbol, Origin, Place, Query, Reply, Transfer,
};
use gateway::auth::{Auth, Caller};
use gateway::http::Request;
use gateway::middleware::Limits;
use gateway::native::{
    Action, Context, Gather, Ports, Serving, World, resolve, respond, respond_shards, respond_text,
};
use money::{
    Asset, AssetId, Lots, OrderKind, Placement, Price, SelfTrade, ShardId, Side, SymbolId,
    SymbolRules, SymbolSpec, TimeInForce, UserId,
};

use crate::records::NOW_MS;

/// The users that exist.
pub const USERS: [UserId; 2] = [UserId(1001), UserId(1002)];
const HERE: ShardId = ShardId(0);
/// From where everybody asks.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The exchange.
pub struct Exchange {
    engine: Engine,
    auth: Auth,
    ports: Ports,
}

impl World for Exchange {
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0xab);
    }

    fn admit_address(&self, _: IpAddr, _: u32) -> Result<(), u64> {
        Ok(())
    }
}

/// What a request asks for.
pub fn route(request: &Request<'_>, context: &Context<'_>) -> Action {
    gateway::enter(request, context, ADDRESS).action
}

impl Exchange {
    /// Three assets, two markets, two users with funds; a few orders rest and one trade was made.
    pub fn open() -> Exchange {
        let engine = Engine::new(EngineConfig { shard: HERE, shards: 1, hash_seed: 1 });
        let ports = Ports { shared: 8080, per_shard: vec![8081] };
        let mut exchange = Exchange { engine, auth: Auth::development(), ports };
        setup(1).into_iter().for_each(|command| {
            let reply = exchange.apply(command);
            assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
        });
        exchange
    }

    /// What the dialects see.
    pub fn context(&self) -> Context<'_> {
        Context {
            registry: self.engine.registry(),
            placement: Placement::new(1),
            shard: HERE,
            auth: &self.auth,
            identities: self.engine.identities(),
            now_ms: NOW_MS,
            limits: &Limits::OFF,
            world: self,
            ports: &self.ports,
            serving: Serving::Ready,
        }
    }

    /// Routes a request and does what it asks for. Returns the answer; `None` for what is not
    /// answered in HTTP alone.
    pub fn serve(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        let action = route(request, &self.context());
        self.perform(action)
    }

    /// Who a user is, or nobody.
    pub fn caller(&self, user: Option<UserId>) -> Caller {
        let known = user.map(|user| Caller::development(user, self.engine.identities()));
        known.unwrap_or(Caller::NOBODY)
    }

    fn apply(&mut self, command: Command) -> Reply {
        let mut effects = Effects::default();
        let origin = Origin { shard: HERE, token: 0 };
        let input = Input::Command(command);
        let _ = self.engine.step(NOW_MS, &input, Some(origin), &mut effects);
        effects.replies.pop().expect("a shard alone answers at once").1
    }

    fn perform(&mut self, action: Action) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match action {
            Action::Answer(answer) => return Some(answer.bytes),
            Action::Metrics { respond } => respond_text(&respond, "text/plain", b"x 1\n", &mut out),
            Action::Command { command, respond: how, .. } => {
                let reply = self.apply(command);
                respond(&how, &reply, &self.context(), &mut out);
            }
            Action::Query { query, respond: how } => {
                respond(&how, &self.engine.query(&query), &self.context(), &mut out);
            }
            Action::Resolve { query, pending } => {
                let next = resolve(&pending, &self.engine.query(&query), &self.context());
                return self.perform(next);
            }
            Action::Gather { gather: Gather::Shards, respond: how } => {
                respond_shards(&how, &[], &mut out);
            }
            Action::Gather { gather, respond: how } => {
                let reply = match (gather.command(HERE), gather.query(HERE)) {
                    (Some(command), _) => self.apply(command),
                    (None, Some(query)) => self.engine.query(&query),
                    (None, None) => return None,
                };
                respond(&how, &reply, &self.context(), &mut out);
            }
            Action::IfUser { user, command, respond: how } => {
                let reply = match self.engine.query(&Query::User { user }) {
                    Reply::Account(_) => self.apply(command),
                    refused => refused,
                };
                respond(&how, &reply, &self.context(), &mut out);
            }
            // They go on over a stream, on another thread, or over all connections.
            _ => return None,
        }
        Some(out)
    }
}

/// The commands that make the exchange, on the first of so many shards.
pub fn setup(shards: u64) -> Vec<Command> {
    let asset = |name: &str, decimals| Command::CreateAsset(Asset { name: name.into(), decimals });
    let mut commands = vec![
        asset("BTC", 8),
        asset("USDT", 2),
        asset("ESH4", 0),
        symbol("BTC_USDT", AssetId(0), 8, (1, 2), 10_000, SymbolRules::default(), None),
        symbol(
            "ESH4_USDT",
            AssetId(2),
            0,
            (25, 2),
            1,
            SymbolRules { price_band_ppm: 100_000, taker_fee_ppm: 500, ..SymbolRules::default() },
            Some(Price(19_200)),
        ),
    ];
    for user in USERS.map(|user| UserId(user.0 / shards * shards)) {
        let name = Some(format!("user {user}"));
        commands.push(Command::CreateUser { user: Some(user), shard: HERE, name });
        for asset in 0..3 {
            commands.push(Command::Deposit(Transfer {
                user,
                asset: AssetId(asset),
                amount: 1_000_000_000_000,
                reference: format!("opening {asset}"),
            }));
        }
        let is_first = commands.len() < 10;
        let (side, price) = if is_first { (Side::Buy, 9_990) } else { (Side::Sell, 10_010) };
        for step in 0..3 {
            commands.push(place(user, side, price + step, 20 + step));
        }
        // The second one takes from the first.
        commands.push(place(user, side, if is_first { 10_000 } else { 9_995 }, 5));
    }
    commands
}

fn symbol(
    name: &str,
    base: AssetId,
    base_decimals: u8,
    (tick_mantissa, tick_decimals): (u64, u8),
    lot_units: u64,
    rules: SymbolRules,
    reference: Option<Price>,
) -> Command {
    let spec = SymbolSpec {
        name: name.into(),
        base,
        quote: AssetId(1),
        base_decimals,
        quote_decimals: 2,
        tick_mantissa,
        tick_decimals,
        lot_units,
        rules,
    };
    Command::CreateSymbol(Box::new(NewSymbol { spec, reference }))
}

fn place(user: UserId, side: Side, price: u64, qty: u64) -> Command {
    Command::Place(Place {
        user,
        symbol: SymbolId(0),
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        self_trade: SelfTrade::None,
        wait: false,
        price: Price(price),
        qty: Lots(qty),
        quote_qty: None,
        cid: money::Cid::parse(&format!("c-{price}")).ok(),
    })
}

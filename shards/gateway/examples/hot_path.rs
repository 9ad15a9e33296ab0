//! What one order costs in the gateway: bytes to command, reply to bytes.
//!
//! `cargo run --release -p ringbook-gateway --example hot_path`

use std::hint::black_box;
use std::time::Instant;

use engine::{Command, Effects, Engine, EngineConfig, Input, NewSymbol, Reply};
use gateway::auth::Auth;
use gateway::http::Connection;
use gateway::middleware::Limits;
use gateway::native::{Action, Context, Ports, Respond, Serving, World, respond};
use money::{Asset, AssetId, OrderId, Placement, ShardId, SymbolRules, SymbolSpec};

/// Repetitions of a measurement, of which the best is told.
const ROUNDS: usize = 20;
/// Orders in a measurement.
const ORDERS: u32 = 100_000;

/// What wrk sends: few headers.
const LEAN: &str = "POST /api/v1/create_order HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
    X-User-ID: 1001\r\nContent-Type: application/json\r\nContent-Length: 95\r\n\r\n\
    {\"symbol\":\"BTC_USDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"price\":\"84970.07\",\"qty\":\"0.0109\",\"cid\":\"c-1\"}";

fn main() {
    let engine = markets();
    let auth = Auth::development();
    let ports = Ports::default();
    let context = Context {
        registry: engine.registry(),
        placement: Placement::new(1),
        shard: ShardId(0),
        auth: &auth,
        identities: engine.identities(),
        now_ms: 1_700_000_000_000,
        limits: &Limits::OFF,
        world: &Nowhere,
        ports: &ports,
        serving: Serving::Ready,
    };
    let curl = LEAN.replace(
        "Content-Type",
        "User-Agent: curl/8.5.0\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate, br\r\n\
         Connection: keep-alive\r\nPrefer: wait\r\nContent-Type",
    );
    for (name, text) in [("lean", LEAN), ("browser-like", curl.as_str())] {
        let both = measure(|connection| order(connection, text.as_bytes(), &context, true));
        let parse = measure(|connection| order(connection, text.as_bytes(), &context, false));
        let http = measure(|connection| {
            connection.feed(text.as_bytes());
            let slot = connection.next_request().expect("accepted").expect("whole").slot;
            connection.complete(slot, |_| {});
        });
        println!(
            "{name}: {} bytes, HTTP {http:.0} ns, with route {parse:.0} ns, with answer {both:.0} ns",
            text.len()
        );
    }
    let how = how_of(LEAN.as_bytes(), &context);
    let mut out = Vec::with_capacity(1024);
    let answer = measure(|_| {
        out.clear();
        respond(black_box(&how), black_box(&accepted()), &context, &mut out);
        black_box(&out);
    });
    println!("answer alone: {} bytes, {answer:.0} ns", out.len());
}

/// Nothing of it is needed for an order.
struct Nowhere;

impl World for Nowhere {
    fn random(&self, _: &mut [u8]) {}

    fn admit_address(&self, _: std::net::IpAddr, _: u32) -> Result<(), u64> {
        Ok(())
    }
}

fn route(request: &gateway::http::Request<'_>, context: &Context<'_>) -> Action {
    gateway::enter(request, context, std::net::Ipv4Addr::LOCALHOST.into()).action
}

fn accepted() -> Reply {
    let cid = money::Cid::parse("c-1").ok();
    Reply::Accepted { order: OrderId(123_456_789), cid, at_ms: 1_700_000_000_000 }
}

fn how_of(text: &[u8], context: &Context<'_>) -> Respond {
    let mut connection = Connection::new();
    connection.feed(text);
    let request = connection.next_request().expect("accepted").expect("whole");
    match route(&request, context) {
        Action::Command { respond, .. } => respond,
        other => panic!("{other:?}"),
    }
}

/// One order over a connection that stays.
fn order(connection: &mut Connection, text: &[u8], context: &Context<'_>, answers: bool) {
    connection.feed(text);
    let request = connection.next_request().expect("accepted").expect("whole");
    let slot = request.slot;
    let Action::Command { command, respond: how, .. } = route(&request, context) else {
        panic!("refused");
    };
    black_box(&command);
    connection.complete(slot, |out| {
        if answers {
            respond(&how, black_box(&accepted()), context, out);
        }
    });
    let length = connection.output().len();
    connection.advance_output(length);
}

/// Nanoseconds a call, of the best round.
fn measure(mut call: impl FnMut(&mut Connection)) -> f64 {
    let mut connection = Connection::new();
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..ORDERS {
            call(&mut connection);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(ORDERS));
    }
    best
}

fn markets() -> Engine {
    let config = EngineConfig { shard: ShardId(0), shards: 1, hash_seed: 1 };
    let mut engine = Engine::new(config);
    let mut effects = Effects::default();
    let mut apply = |command| {
        let _ = engine.step(1, &Input::Command(command), None, &mut effects);
    };
    apply(Command::CreateAsset(Asset { name: "BTC".into(), decimals: 8 }));
    apply(Command::CreateAsset(Asset { name: "USDT".into(), decimals: 2 }));
    let spec = SymbolSpec {
        name: "BTC_USDT".into(),
        base: AssetId(0),
        quote: AssetId(1),
        base_decimals: 8,
        quote_decimals: 2,
        tick_mantissa: 1,
        tick_decimals: 2,
        lot_units: 10_000,
        rules: SymbolRules::default(),
    };
    apply(Command::CreateSymbol(Box::new(NewSymbol { spec, reference: None })));
    engine
}

//! A shard with the market of a set, its users and what they own.

use engine::{
    Command, Effects, Engine, EngineConfig, Input, NewSymbol, Origin, Refusal, Reply, Transfer,
};
use money::{Asset, ShardId};

use crate::data::Set;

/// The only shard.
pub const HERE: ShardId = ShardId(0);

/// A new one.
pub fn open_market(set: &Set) -> Engine {
    let mut engine = Engine::new(EngineConfig { shard: HERE, shards: 1, hash_seed: 1 });
    for (name, decimals) in set.assets.clone() {
        setup(&mut engine, Command::CreateAsset(Asset { name, decimals }));
    }
    let symbol = NewSymbol { spec: set.spec.clone(), reference: None };
    setup(&mut engine, Command::CreateSymbol(Box::new(symbol)));
    for (number, &(user, asset, amount)) in set.deposits.iter().enumerate() {
        setup(&mut engine, Command::CreateUser { user: Some(user), shard: HERE, name: None });
        let reference = number.to_string();
        setup(&mut engine, Command::Deposit(Transfer { user, asset, amount, reference }));
    }
    engine
}

fn setup(engine: &mut Engine, command: Command) {
    let mut out = Effects::default();
    let origin = Some(Origin { shard: HERE, token: 0 });
    let _ = engine.step(1, &Input::Command(command), origin, &mut out);
    match &out.replies[0].1 {
        // A user has several deposits.
        Reply::Refused(Refusal::UserExists) => {}
        Reply::Refused(refusal) => panic!("{refusal}"),
        _ => {}
    }
}

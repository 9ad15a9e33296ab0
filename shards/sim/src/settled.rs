//! What the shards would come to if nothing new happened from here on.
//!
//! At a recovery messages are under way, moves are undecided, sums are spread over shards and mesh. So
//! what holds at rest is looked at in a copy: fresh engines replay the journals, which must give the
//! recovered state, and then hand each other every message at once, past disk and mesh.

use engine::{AssetProof, Command, Effects, Engine, EngineConfig, Input, Origin, Reply, Restore};
use journal::Entry;
use money::ShardId;

use crate::view::Engines;

/// Of the copies' hash maps; must reach no output.
const HASH_SEED: u64 = 4;

/// More than any two shards have under way.
const ALL: usize = usize::MAX;

/// A plain replay: the same records, other hash maps.
pub(crate) fn replay(mut engine: Engine, records: &[Entry]) -> Engine {
    let mut effects = Effects::default();
    for entry in records {
        let _ = engine.step(entry.time_ms, &entry.input, None, &mut effects);
        effects.clear();
    }
    engine
}

/// The same engine again, from its image.
pub(crate) fn restore(engine: &Engine) -> Engine {
    let (shard, shards) = (engine.shard(), engine.placement().shards());
    let mut restore = Restore::new(EngineConfig { shard, shards, hash_seed: HASH_SEED });
    for piece in engine.image() {
        restore.piece(piece).expect("an engine's own image");
    }
    restore.finish().expect("an engine's own image")
}

/// An empty shard.
pub(crate) fn empty(shard: ShardId, shards: u16) -> Engine {
    Engine::new(EngineConfig { shard, shards, hash_seed: HASH_SEED })
}

pub(crate) struct Settled {
    engines: Vec<Engine>,
    effects: Effects,
}

impl Settled {
    /// From replayed engines.
    pub fn new(engines: Vec<Engine>) -> Settled {
        let mut settled = Settled { engines, effects: Effects::default() };
        settled.deliver();
        settled
    }

    /// Hands on messages until there are none.
    fn deliver(&mut self) {
        let placement = self.engines[0].placement();
        let mut idle = false;
        while !idle {
            idle = true;
            for from in placement.all() {
                for to in placement.all().filter(|&to| to != from) {
                    idle &= !self.hand_on(from, to);
                }
            }
        }
    }

    /// Hands on what there is from one shard to another; whether there was something.
    fn hand_on(&mut self, from: ShardId, to: ShardId) -> bool {
        let (sender, receiver) = (usize::from(from.0), usize::from(to.0));
        let applied = self.engines[receiver].applied(from);
        let last = self.engines[sender].last_message(to);
        assert!(applied <= last, "shard {to} knows more of shard {from} than that itself");
        self.engines[sender].confirm(to, applied);
        if applied == last {
            return false;
        }
        let batch = self.engines[sender].outgoing(to, applied + 1, last, ALL, 0);
        assert_eq!(batch.first_sequence, applied + 1, "shard {from} forgot what {to} never had");
        let engine = &mut self.engines[receiver];
        let now_ms = engine.now_ms();
        let _ = engine.step(now_ms, &Input::Peer(batch), None, &mut self.effects);
        self.engines[sender].confirm(to, last);
        true
    }

    /// The engines' own sums.
    pub fn prove(&mut self) -> Vec<AssetProof> {
        self.effects.clear();
        let origin = Origin { shard: ShardId(0), token: 0 };
        let now_ms = self.engines[0].now_ms();
        let prove = Input::Command(Command::Prove);
        let _ = self.engines[0].step(now_ms, &prove, Some(origin), &mut self.effects);
        self.deliver();
        match self.effects.replies.pop() {
            Some((_, Reply::Proof(proofs))) => proofs,
            other => panic!("{other:?} to a proof"),
        }
    }

    /// To look at.
    pub fn engines(&self) -> Engines<'_> {
        let placement = self.engines[0].placement();
        Engines { engines: self.engines.iter().collect(), placement }
    }
}

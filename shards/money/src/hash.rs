//! Hash maps that cannot make two replays differ.
//!
//! The pure crates never iterate over these: they look up, insert and remove. The hasher is seeded
//! from outside (the runtime draws the seed once per start), so that a client who chooses keys, such
//! as client order ids, cannot aim for collisions.

use std::hash::{BuildHasher, Hash};

/// The hasher state: fast, seeded by the caller.
#[derive(Clone, Copy, Debug)]
pub struct FixedState {
    seed: u64,
}

impl FixedState {
    /// A hasher for this seed. The seed must not reach any output.
    pub fn new(seed: u64) -> FixedState {
        FixedState { seed }
    }
}

impl BuildHasher for FixedState {
    type Hasher = foldhash::fast::FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        foldhash::fast::FoldHasher::with_seed(self.seed, foldhash::SharedSeed::global_fixed())
    }
}

/// A map for lookups.
pub type Map<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// All entries by key: the one way to walk over a map, for what is far from the hot path.
#[expect(clippy::disallowed_methods, reason = "sorted, so that the hash order reaches nobody")]
pub fn sorted<K: Ord + Copy, V>(map: &Map<K, V>) -> Vec<(K, &V)> {
    let mut entries: Vec<(K, &V)> = map.iter().map(|(&key, value)| (key, value)).collect();
    entries.sort_unstable_by_key(|&(key, _)| key);
    entries
}

/// Hash of one value.
#[inline]
pub fn hash_one<T: Hash>(state: FixedState, value: T) -> u64 {
    state.hash_one(value)
}

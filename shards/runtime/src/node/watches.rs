//! Who watches what, at its owner: users at their home, books at their symbol's shard. What is released
//! is sent once to every shard with somebody who watches, in the order of the journal.
//!
//! A watch begins in two steps. When it is asked for, the engine begins to tell; when the state of that
//! moment has been released (an ordinary answer through the gate), the watch is live. So whoever
//! watches gets that state first and then every change behind it, none of them twice.

use std::collections::HashMap;
use std::hash::Hash;

use money::ShardId;

/// Names a watch among those of the shard that asked for it.
pub(crate) type WatchId = u64;

struct Watch {
    shard: ShardId,
    id: WatchId,
    is_live: bool,
}

/// The watches of one thing.
#[derive(Default)]
pub(crate) struct Watchers {
    watches: Vec<Watch>,
    /// With a live watch, each once.
    shards: Vec<ShardId>,
}

impl Watchers {
    /// Shards that want to be told.
    pub fn shards(&self) -> &[ShardId] {
        &self.shards
    }

    fn count_shards(&mut self) {
        self.shards.clear();
        self.shards
            .extend(self.watches.iter().filter(|watch| watch.is_live).map(|watch| watch.shard));
        self.shards.sort_unstable();
        self.shards.dedup();
    }
}

/// All watches on things of one kind that this shard owns.
pub(crate) struct Watches<K> {
    by_key: HashMap<K, Watchers>,
}

impl<K> Default for Watches<K> {
    fn default() -> Watches<K> {
        Watches { by_key: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Watches<K> {
    /// Notes that a watch has been asked for.
    pub fn begin(&mut self, key: K, shard: ShardId, id: WatchId) {
        let watchers = self.by_key.entry(key).or_default();
        watchers.watches.push(Watch { shard, id, is_live: false });
    }

    /// From now on what is released goes there. `false`: it has been ended meanwhile.
    pub fn go_live(&mut self, key: K, shard: ShardId, id: WatchId) -> bool {
        let Some(watchers) = self.by_key.get_mut(&key) else { return false };
        let found =
            watchers.watches.iter_mut().find(|watch| (watch.shard, watch.id) == (shard, id));
        let Some(watch) = found else { return false };
        watch.is_live = true;
        watchers.count_shards();
        true
    }

    /// Ends a watch. Whether it was the last one of this key.
    pub fn end(&mut self, key: K, shard: ShardId, id: WatchId) -> bool {
        let Some(watchers) = self.by_key.get_mut(&key) else { return false };
        watchers.watches.retain(|watch| (watch.shard, watch.id) != (shard, id));
        watchers.count_shards();
        let is_last = watchers.watches.is_empty();
        if is_last {
            self.by_key.remove(&key);
        }
        is_last
    }

    /// Shards to tell of this key.
    pub fn shards(&self, key: K) -> &[ShardId] {
        self.by_key.get(&key).map_or(&[], Watchers::shards)
    }

    /// Whether anybody has asked to be told of this key.
    pub fn contains(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_hears_nothing_before_it_is_live() {
        let mut watches = Watches::default();
        watches.begin(7, ShardId(1), 1);
        assert!(watches.shards(7).is_empty());
        assert!(watches.go_live(7, ShardId(1), 1));
        assert_eq!(watches.shards(7), [ShardId(1)]);
        assert!(watches.shards(8).is_empty());
    }

    #[test]
    fn a_watch_that_ended_before_it_was_live_stays_ended() {
        let mut watches = Watches::default();
        watches.begin(7, ShardId(1), 1);
        assert!(watches.end(7, ShardId(1), 1));
        assert!(!watches.go_live(7, ShardId(1), 1));
        assert!(watches.is_empty());
    }

    #[test]
    fn a_shard_is_told_once_while_anybody_there_watches() {
        let mut watches = Watches::default();
        for (shard, id) in [(1, 1), (1, 2), (0, 1)] {
            watches.begin(7, ShardId(shard), id);
            watches.go_live(7, ShardId(shard), id);
        }
        assert_eq!(watches.shards(7), [ShardId(0), ShardId(1)]);
        assert!(!watches.end(7, ShardId(1), 1));
        assert_eq!(watches.shards(7), [ShardId(0), ShardId(1)]);
        assert!(!watches.end(7, ShardId(1), 2));
        assert_eq!(watches.shards(7), [ShardId(0)]);
        assert!(watches.end(7, ShardId(0), 1));
        assert!(watches.is_empty());
    }
}

//! Whether there is room on disk, for all shards together. A shard's reserve covers what was under
//! way when it ran short, no more: were the others to go on admitting orders, their messages would
//! fill it to the last block, and then not even a read would be answered.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One shard's view of how many shards are short of room.
#[derive(Default)]
pub(crate) struct Room {
    short_shards: Arc<AtomicUsize>,
    is_short_here: Cell<bool>,
}

impl Room {
    /// The view of one more shard.
    pub fn new(short_shards: Arc<AtomicUsize>) -> Room {
        Room { short_shards, is_short_here: Cell::new(false) }
    }

    /// Tells the others how it is here.
    pub fn tell(&self, is_short: bool) {
        if self.is_short_here.replace(is_short) == is_short {
            return;
        }
        if is_short {
            self.short_shards.fetch_add(1, Ordering::Relaxed);
        } else {
            self.short_shards.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a shard is short of room.
    pub fn is_short(&self) -> bool {
        self.short_shards.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_short_of_room_is_enough_and_each_counts_once() {
        let count = Arc::default();
        let (one, other) = (Room::new(Arc::clone(&count)), Room::new(count));
        one.tell(true);
        one.tell(true);
        assert!(other.is_short());
        other.tell(true);
        one.tell(false);
        assert!(one.is_short());
        other.tell(false);
        other.tell(false);
        assert!(!one.is_short());
    }
}

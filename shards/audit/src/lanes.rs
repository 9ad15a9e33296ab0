//! The queues between shards and the writer: one for each shard and kind.
//!
//! Promise: handing over a record is a few stores. It neither waits nor allocates, and it makes no
//! system call: the writer looks by itself. The memory of all queues is taken and touched at the
//! start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::config::TrailConfig;
use crate::line::Gap;
use crate::record::{Kind, Record};

/// What one shard records of one kind.
pub(crate) struct Lane {
    queue: ArrayQueue<Record>,
    /// Since the start.
    dropped: AtomicU64,
    /// When the first and the last that no gap tells of yet were dropped; 0 for none.
    first_dropped_ms: AtomicU64,
    last_dropped_ms: AtomicU64,
}

impl Lane {
    fn new(records: usize) -> Lane {
        Lane {
            // One place stays free, see `push`.
            queue: ArrayQueue::new(records + 1),
            dropped: AtomicU64::new(0),
            first_dropped_ms: AtomicU64::new(0),
            last_dropped_ms: AtomicU64::new(0),
        }
    }

    /// The last free place is never taken: it may be the one that the writer is taking a record out
    /// of, and if the system has stopped the writer right there, the queue would spin until it runs
    /// again.
    fn push(&self, record: Record) {
        if self.queue.len() + 1 < self.queue.capacity() {
            match self.queue.push(record) {
                Ok(()) => {}
                Err(record) => self.drop_record(&record),
            }
        } else {
            self.drop_record(&record);
        }
    }

    #[cold]
    fn drop_record(&self, record: &Record) {
        let at_ms = record.at_ms.max(1);
        let first = &self.first_dropped_ms;
        let _ = first.compare_exchange(0, at_ms, Ordering::Relaxed, Ordering::Relaxed);
        self.last_dropped_ms.store(at_ms, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Release);
    }

    pub fn pop(&self) -> Option<Record> {
        self.queue.pop()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many parts of 16 are taken.
    pub fn fill(&self) -> usize {
        self.queue.len() * 16 / self.queue.capacity()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    /// What was dropped beyond the first `told`.
    pub fn gap(&self, shard: u16, told: u64) -> Option<Gap> {
        let dropped = self.dropped() - told;
        if dropped == 0 {
            return None;
        }
        let from_ms = self.first_dropped_ms.swap(0, Ordering::Relaxed);
        let to_ms = self.last_dropped_ms.load(Ordering::Relaxed);
        // A drop between the two reads may have put the first one into the gap before.
        let from_ms = if from_ms == 0 { to_ms } else { from_ms };
        Some(Gap { shard, dropped, from_ms, to_ms })
    }
}

/// All lanes.
pub(crate) struct Lanes(Vec<[Lane; Kind::ALL.len()]>);

impl Lanes {
    pub fn new(config: &TrailConfig, shards: u16) -> Lanes {
        let records = |kind| match kind {
            Kind::Order => config.order_queue_records,
            _ => config.other_queue_records,
        };
        Lanes((0..shards).map(|_| Kind::ALL.map(|kind| Lane::new(records(kind)))).collect())
    }

    pub fn shards(&self) -> u16 {
        self.0.len() as u16
    }

    pub fn lane(&self, shard: u16, kind: Kind) -> &Lane {
        &self.0[usize::from(shard)][kind as usize]
    }

    /// The lanes of a kind with their shards.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (u16, &Lane)> {
        self.0.iter().enumerate().map(move |(shard, lanes)| (shard as u16, &lanes[kind as usize]))
    }
}

/// A shard's way to the trail. Made for one thread; several may use it, they then contend.
#[derive(Clone)]
pub struct Sender {
    lanes: Arc<Lanes>,
    shard: u16,
}

impl Sender {
    pub(crate) fn new(lanes: Arc<Lanes>, shard: u16) -> Sender {
        Sender { lanes, shard }
    }

    /// Hands over a record. Where there is no room for it, it is dropped and counted, and a line of
    /// the trail will say so.
    #[inline]
    pub fn record(&self, record: Record) {
        self.lanes.lane(self.shard, record.kind).push(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Actor, Detail};

    fn record(at_ms: u64, kind: Kind) -> Record {
        Record {
            at_ms,
            kind,
            action: "order.place",
            user: None,
            actor: Actor::Nobody,
            address: None,
            dialect: "native",
            status: 200,
            code: "OK",
            detail: Detail::None,
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_leaves_other_kinds_and_shards_alone() {
        let config = TrailConfig {
            order_queue_records: 4,
            other_queue_records: 2,
            ..TrailConfig::new("unused")
        };
        let lanes = Arc::new(Lanes::new(&config, 2));
        let sender = Sender::new(lanes.clone(), 1);
        for at_ms in 1..=10 {
            sender.record(record(at_ms, Kind::Order));
        }
        sender.record(record(11, Kind::Auth));
        let orders = lanes.lane(1, Kind::Order);
        assert_eq!((orders.len(), orders.dropped()), (4, 6));
        assert_eq!(lanes.lane(1, Kind::Auth).len(), 1);
        assert_eq!(lanes.lane(0, Kind::Order).len(), 0);
        let gap = orders.gap(1, 0).unwrap();
        assert_eq!((gap.dropped, gap.from_ms, gap.to_ms), (6, 5, 10));
        assert!(orders.gap(1, 6).is_none());
        let kept: Vec<u64> = std::iter::from_fn(|| orders.pop()).map(|kept| kept.at_ms).collect();
        assert_eq!(kept, [1, 2, 3, 4]);
    }
}

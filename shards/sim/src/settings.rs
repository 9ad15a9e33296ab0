//! What a seed decides before anything happens: speeds, sizes, how often what goes wrong.

use std::path::PathBuf;

use journal::retention::{RetentionPolicy, SegmentPolicy};
use journal::{BLOCK_BYTES, JournalConfig};
use money::ShardId;

use crate::disk::DiskFaults;
use crate::random::Random;

/// Most messages of one batch: with these and the largest messages that the simulator makes, a
/// record fits the shortest batch of [`Settings::journal`].
pub(crate) const MOST_MESSAGES: u64 = 10;

/// Length of most segments.
const COMMON_SEGMENT_BLOCKS: u64 = 10;

/// How likely each kind of action is, against the others.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// By shard.
    pub disk: Vec<u64>,
    pub turn: Vec<u64>,
    pub commit: Vec<u64>,
    /// By sender and receiver.
    pub link: Vec<Vec<u64>>,
    pub client: u64,
}

/// The settings of one run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub weights: Weights,
    /// A crash, one in so many steps; likewise the rest. 0 is never.
    pub crash: u64,
    pub dropped_connection: u64,
    pub full_disk: u64,
    pub faults: DiskFaults,
    /// A snapshot of some shard is wanted, one in so many steps.
    pub snapshot: u64,
    pub retention: RetentionPolicy,
    /// Requests under way at once, at most.
    pub most_asked: usize,
    /// Requests of one gateway under way at once, at most: past it they are turned away.
    pub most_waiting: usize,
    /// Parcels in one lane of the mesh, at most.
    pub lane: usize,
    /// Percent of starts from which on another number of shards is wanted.
    pub reshard: u64,
    /// Percent of crashes that are power cuts.
    pub power_cuts: u64,
    /// Percent of recoveries that come to rest and are audited.
    pub audits: u64,
}

impl Settings {
    pub fn new(shards: usize, random: &mut Random) -> Settings {
        let mut speeds = |count: usize, most: u64| -> Vec<u64> {
            (0..count).map(|_| random.range(1, most)).collect()
        };
        let weights = Weights {
            disk: speeds(shards, 20),
            turn: speeds(shards, 12),
            commit: speeds(shards, 12),
            link: (0..shards).map(|_| speeds(shards, 12)).collect(),
            client: speeds(1, 40)[0],
        };
        let faults = DiskFaults {
            write_error: random.pick(&[0, 300, 2_000]),
            sync_error: random.pick(&[0, 300, 2_000]),
            read_error: random.pick(&[0, 300, 2_000]),
            name_error: random.pick(&[0, 300, 2_000]),
            short_write: random.pick(&[0, 3, 30]),
            full: false,
        };
        Settings {
            weights,
            crash: random.pick(&[300, 800, 2_000]),
            dropped_connection: random.pick(&[0, 40, 300]),
            full_disk: random.pick(&[0, 500, 2_000]),
            faults,
            most_asked: random.pick(&[5, 40, 150]),
            most_waiting: random.pick(&[4, 30, 1_000]),
            lane: random.pick(&[1, 3, 1_000]),
            snapshot: random.pick(&[0, 100, 400, 2_000]),
            retention: retention(random),
            reshard: random.pick(&[0, 0, 10, 40]),
            power_cuts: random.pick(&[20, 60, 100]),
            audits: 25,
        }
    }

    /// The journal of one start: small, so that batches and segments end often. The lengths may
    /// differ from one start to the next.
    pub fn journal(shard: ShardId, shards: u16, random: &mut Random) -> JournalConfig {
        let blocks = |count: u64| count * BLOCK_BYTES as u64;
        let batch = random.pick(&[2, 3, 8]);
        // The same one often enough that a segment can be made out of an earlier one.
        let lengths = |random: &mut Random| match random.chance(60) {
            true => blocks(COMMON_SEGMENT_BLOCKS),
            false => blocks(batch + 1 + random.below(12)),
        };
        JournalConfig {
            shard,
            shards,
            segment_bytes: lengths(random),
            first_segment_bytes: lengths(random),
            segments_ahead: random.range(1, 2) as usize,
            batch_bytes: blocks(batch) as usize,
            reserve_bytes: blocks(random.range(1, 8)),
        }
    }
}

/// What is kept. The length of segments comes with each start.
fn retention(random: &mut Random) -> RetentionPolicy {
    RetentionPolicy {
        keep_snapshots: random.range(1, 3) as usize,
        keep_snapshots_ms: 0,
        segments: match random.below(5) {
            0 => SegmentPolicy::Keep,
            1 | 2 => SegmentPolicy::Archive(PathBuf::new()),
            _ => SegmentPolicy::Delete,
        },
        keep_segments: random.pick(&[0, 0, 2]),
        keep_segments_ms: 0,
        spares: random.below(3) as usize,
        segment_bytes: 0,
    }
}

//! A shard to which nothing has happened yet has no snapshot: one of record 0 would claim to be what
//! its journal began with, and no start would take it.

use journal::{JournalConfig, StdDisk, block_on};
use money::ShardId;
use shard::{Shard, SnapshotError, make_snapshot};

#[test]
fn a_snapshot_that_is_asked_for_too_early_does_not_lock_the_shard_out() {
    let directory = std::env::temp_dir().join(format!("ringbook-empty-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    let mut config = JournalConfig::new(ShardId(0), 1);
    (config.segment_bytes, config.first_segment_bytes) = (2 << 20, 2 << 20);
    let disk = StdDisk::new(&directory);
    let recover = || block_on(Shard::recover(disk.clone(), config.clone(), 1, 0, |_| {}));
    let shard = recover().expect("a new journal");
    let checkpoint = shard.checkpoint();
    let made = make_snapshot(disk.clone(), config.clone(), &checkpoint, 0);
    assert!(matches!(block_on(made), Err(SnapshotError::Nothing { .. })));
    drop(shard);
    assert!(recover().is_ok(), "starts as before");
    std::fs::remove_dir_all(&directory).expect("was made");
}

//! A start with another number of shards than the last one.
//!
//! Before anything listens: every old shard is recovered, what was in flight between them is
//! delivered, users and symbols are dealt out anew, and each new shard's beginning is written and read
//! again, in a generation of its own. Then one file says that it counts. A crash before that leaves
//! the old generation as it was; the next start begins anew.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use engine::{Engine, reshard};
use journal::{JournalConfig, Recovery, StdDisk, block_on};
use money::ShardId;
use shard::{load_engine, write_beginning};

use crate::config::RunError;
use crate::layout::Layout;

/// Carries a data directory over to `shards` shards.
pub(crate) fn change_shard_count(
    data: &Path,
    old: Layout,
    shards: u16,
    now_ms: u64,
    replayed: &AtomicU64,
) -> Result<Layout, RunError> {
    let since = Instant::now();
    let hash_seed = super::server::random_seed();
    let engines = load_all(data, old, hash_seed, now_ms, replayed)?;
    let resharded = reshard(engines, shards, hash_seed);
    let resharded = resharded.map_err(|error| RunError::Resharding(error.to_string()))?;
    let new = old.next(shards);
    // What an earlier attempt left would be in the way.
    old.clean(data)?;
    new.make_directories(data)?;
    write_all(data, new, &resharded.engines, now_ms)?;
    new.commit(data)?;
    let moved = resharded.moved;
    tracing::info!(
        from = old.shards,
        to = shards,
        users = moved.users,
        users_moved = moved.users_moved,
        symbols = moved.symbols,
        symbols_moved = moved.symbols_moved,
        open_orders = moved.open_orders,
        messages_delivered = moved.messages,
        took_ms = since.elapsed().as_millis() as u64,
        "the shard count changed from {} to {shards}: {} of {} users and {} of {} symbols moved",
        old.shards,
        moved.users_moved,
        moved.users,
        moved.symbols_moved,
        moved.symbols,
    );
    Ok(new)
}

/// Recovers all old shards, each on a thread of its own.
fn load_all(
    data: &Path,
    old: Layout,
    hash_seed: u64,
    now_ms: u64,
    replayed: &AtomicU64,
) -> Result<Vec<Engine>, RunError> {
    let load = |shard: u16| {
        let disk = StdDisk::new(old.shard_directory(data, shard)).direct();
        let journal = JournalConfig::new(ShardId(shard), old.shards);
        let progress = |_| {
            replayed.fetch_add(1, Ordering::Relaxed);
        };
        block_on(load_engine(disk, journal, hash_seed, now_ms, progress))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..old.shards).map(|shard| scope.spawn(move || load(shard))).collect();
        let loaded = threads.into_iter().zip(0u16..).map(|(thread, shard)| {
            let loaded = thread.join().expect("a panic has ended the process");
            let (engine, report) =
                loaded.map_err(|cause| RunError::Recovery(format!("shard {shard}: {cause}")))?;
            tell_recovery(shard, &report);
            Ok(engine)
        });
        loaded.collect()
    })
}

fn write_all(data: &Path, new: Layout, engines: &[Engine], now_ms: u64) -> Result<(), RunError> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = engines
            .iter()
            .map(|engine| {
                let directory = new.shard_directory(data, engine.shard().0);
                scope.spawn(move || {
                    let disk = StdDisk::new(directory).direct();
                    block_on(write_beginning(disk, engine, now_ms))
                })
            })
            .collect();
        for (thread, shard) in threads.into_iter().zip(0u16..) {
            let written = thread.join().expect("a panic has ended the process");
            written.map_err(|cause| {
                RunError::Resharding(format!("the beginning of shard {shard}: {cause}"))
            })?;
        }
        Ok(())
    })
}

/// Tells the operator what a recovery met that is not as it should be.
pub(crate) fn tell_recovery(shard: u16, report: &Recovery) {
    for damaged in &report.damaged_snapshots {
        tracing::error!(
            shard,
            file = damaged.file,
            offset = damaged.offset,
            "a snapshot is damaged ({}): an older one and the journal were used; look at the disk",
            damaged.why
        );
    }
    if let Some(cut) = &report.cut {
        tracing::warn!(
            shard,
            file = cut.file,
            offset = cut.offset,
            length_bytes = cut.length_bytes,
            "the journal's end was torn ({}) and has been cut: if the machine did not crash while \
             writing it, the disk has lost an acknowledged batch",
            cut.why
        );
    }
}

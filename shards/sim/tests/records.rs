//! What shards send each other fits the receiver's records: a shard that cannot append what it must
//! take stops, and again after every restart.

use std::path::{Path, PathBuf};

use engine::{Command, Transfer};
use journal::{JournalConfig, StdDisk, block_on};
use money::{Asset, AssetId, ShardId, UserId};
use shard::{Output, Shard, ShardError};

const ASSETS: u32 = 200;

/// A directory that is gone with the test.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(directory: &Path, shard: u16) -> Shard<StdDisk> {
    let directory = directory.join(shard.to_string());
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    let mut config = JournalConfig::new(ShardId(shard), 2);
    (config.segment_bytes, config.first_segment_bytes) = (2 << 20, 2 << 20);
    let recovered = Shard::recover(StdDisk::new(&directory), config, 1, 0, |_| {});
    block_on(recovered).expect("a sound journal")
}

/// Until nothing is under way between the two.
fn settle(shards: &mut [Shard<StdDisk>; 2]) -> Result<(), ShardError> {
    let mut idle = 0;
    while idle < 3 {
        idle += 1;
        for at in 0..2 {
            while let Some(preparation) = shards[at].journal_mut().preparation(0) {
                let prepared = block_on(preparation.run());
                shards[at].journal_mut().complete_preparation(prepared)?;
            }
            while let Some(batch) = shards[at].take_batch() {
                let written = block_on(batch.write());
                shards[at].written(written)?;
            }
            let mut outputs = Vec::new();
            shards[at].release(&mut outputs);
            for output in outputs {
                if let Output::Send(to, batch) = output {
                    idle = 0;
                    shards[usize::from(to.0)].peer(0, batch)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn many_proofs_of_many_assets_fit_the_records() {
    let name = format!("ringbook-records-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    let mut shards = [open(&directory.0, 0), open(&directory.0, 1)];
    let command = |shards: &mut [Shard<StdDisk>; 2], at: usize, command| {
        shards[at].command(0, command, None).expect("there is room");
    };
    for number in 0..ASSETS {
        let asset = Asset { name: format!("A{number}"), decimals: 0 };
        command(&mut shards, 0, Command::CreateAsset(asset));
    }
    settle(&mut shards).expect("definitions fit");
    let user = UserId(1);
    command(
        &mut shards,
        1,
        Command::CreateUser { user: Some(user), shard: ShardId(1), name: None },
    );
    // Sums reach up to the last asset that anybody has.
    let asset = AssetId(ASSETS - 1);
    let reference = "first".to_owned();
    let transfer = Transfer { user, asset, amount: 1, reference };
    command(&mut shards, 1, Command::Deposit(transfer));
    settle(&mut shards).expect("a payment fits");
    for _ in 0..engine::MAX_CUTS {
        command(&mut shards, 0, Command::Prove);
    }
    settle(&mut shards).expect("sixteen reports at once fit");
    drop(shards);
    let mut shards = [open(&directory.0, 0), open(&directory.0, 1)];
    for here in 0..2u16 {
        let there = 1 - here;
        let applied = shards[usize::from(there)].greeting(ShardId(here));
        shards[usize::from(here)].resume(ShardId(there), applied).expect("they agree");
    }
    settle(&mut shards).expect("the same after a restart");
}

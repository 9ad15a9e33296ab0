//! What shards send each other fits the receiver's records: a shard that cannot append what it must
//! take stops, and again after every restart.

use std::path::{Path, PathBuf};

use engine::{Command, Transfer};
use identity::{
    Change, KeyId, KeyKind, KeyRecord, MAX_KEY_NAME_LENGTH_BYTES, MAX_KEY_NETWORKS,
    MAX_KEYS_PER_USER, MAX_PASSWORD_HASH_LENGTH_BYTES, Network, Permissions, UserChange,
};
use journal::{JournalConfig, StdDisk, block_on};
use money::{Asset, AssetId, ShardId, UserId};
use shard::{Output, Shard, ShardError};

const ASSETS: u32 = 200;
const KEYS: u64 = 1_000;

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

/// After a restart what was not confirmed is sent again.
fn restart(directory: &Path, shards: [Shard<StdDisk>; 2]) -> [Shard<StdDisk>; 2] {
    drop(shards);
    let mut shards = [open(directory, 0), open(directory, 1)];
    for here in 0..2u16 {
        let there = 1 - here;
        let applied = shards[usize::from(there)].greeting(ShardId(here));
        shards[usize::from(here)].resume(ShardId(there), applied).expect("they agree");
    }
    shards
}

#[test]
fn many_of_the_longest_keys_fit_the_records() {
    let name = format!("ringbook-keys-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    let mut shards = [open(&directory.0, 0), open(&directory.0, 1)];
    let network = Network::parse("2001:db8::/32").expect("a network");
    for number in 0..KEYS {
        let record = KeyRecord {
            key: KeyId(number),
            user: UserId(number / MAX_KEYS_PER_USER as u64),
            name: "k".repeat(MAX_KEY_NAME_LENGTH_BYTES),
            kind: KeyKind::Ed25519 { public: [7; 32] },
            permissions: Permissions::ALL,
            networks: vec![network; MAX_KEY_NETWORKS],
            created_ms: u64::MAX,
            expires_ms: Some(u64::MAX),
            used_ms: Some(u64::MAX),
        };
        let command = Command::Identity(Box::new(Change::AddKey(record)));
        shards[0].command(0, command, None).expect("there is room");
        let user = UserId(number);
        let password_hash = Some("h".repeat(MAX_PASSWORD_HASH_LENGTH_BYTES));
        let password = UserChange { user, password_hash, ..UserChange::default() };
        let command = Command::Identity(Box::new(Change::User(password)));
        shards[0].command(0, command, None).expect("there is room");
    }
    // One batch as long as a record may be, and not one message more.
    settle(&mut shards).expect("keys fit");
    let mut shards = restart(&directory.0, shards);
    settle(&mut shards).expect("the same after a restart");
    let [registrar, other] = &shards;
    assert_eq!(other.engine().identities().keys().count() as u64, KEYS);
    assert_eq!(registrar.engine().identities(), other.engine().identities());
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
    let mut shards = restart(&directory.0, shards);
    settle(&mut shards).expect("the same after a restart");
}

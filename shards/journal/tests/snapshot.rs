//! The snapshot file: what was written comes back, and nothing else does.

mod common;

use common::NOW_MS;
use common::mem_disk::MemDisk;
use common::model::{Model, head, write_snapshot};
use engine::{Command, Effects, Engine, EngineConfig, Input, Piece, Restore, Transfer};
use journal::{
    BLOCK_BYTES, Identity, Lsn, MAX_PIECE_BYTES, RecoverError, SNAPSHOT_WRITE_BYTES, ScanError,
    SnapshotFile, SnapshotHead, SnapshotWriter, StdDisk, block_on, list_snapshots, read_snapshot,
    verify_snapshot,
};
use money::{Asset, AssetId, Price, ShardId, SymbolId, UserId};

const ENGINE: EngineConfig = EngineConfig { shard: ShardId(0), shards: 1, hash_seed: 7 };

/// An engine with something in it.
fn engine() -> Engine {
    let mut engine = Engine::new(ENGINE);
    let asset = |name: &str| Command::CreateAsset(Asset { name: name.into(), decimals: 2 });
    let user = |number: u64| Command::CreateUser {
        user: Some(UserId(number)),
        shard: ShardId(0),
        name: Some(format!("user {number}")),
    };
    let deposit = |number: u64| {
        Command::Deposit(Transfer {
            user: UserId(1 + number % 3),
            asset: AssetId(0),
            amount: u128::from(number) << 60,
            reference: format!("payment {number}"),
        })
    };
    let commands = [asset("EUR"), asset("BTC")].into_iter().chain((1..4).map(user));
    for (number, command) in commands.chain((1..9).map(deposit)).enumerate() {
        let time_ms = NOW_MS + number as u64;
        let _ = engine.step(time_ms, &Input::Command(command), None, &mut Effects::default());
    }
    engine
}

fn head_of(engine: &Engine, lsn: u64) -> SnapshotHead {
    SnapshotHead {
        shard: ENGINE.shard,
        shards: ENGINE.shards,
        lsn: Lsn(lsn),
        state_hash: engine.state_hash(),
        time_ms: engine.now_ms(),
        created_ms: NOW_MS,
    }
}

/// A snapshot of [`engine`], and its bytes.
fn engine_snapshot() -> (SnapshotFile, Vec<u8>) {
    let (disk, engine) = (MemDisk::default(), engine());
    let pieces: Vec<Piece> = engine.image().collect();
    let file = write_snapshot(&disk, head_of(&engine, 13), &pieces);
    let bytes = disk.durable_files().remove(&file.name).expect("durable");
    (file, bytes)
}

/// Reads damaged bytes: `None` if they pass, else where the damage was seen.
fn seen_damage(name: &str, bytes: Vec<u8>) -> Option<u64> {
    let disk = MemDisk::with_files([(name.to_owned(), bytes)]);
    match block_on(verify_snapshot(&disk, name)) {
        Ok(_) => None,
        Err(ScanError::DamagedSnapshot { file, offset, why }) => {
            assert!(file == name && !why.is_empty());
            Some(offset)
        }
        Err(other) => panic!("{other}"),
    }
}

/// Where each frame begins, the end frame included, and where that ends.
fn frames(bytes: &[u8]) -> Vec<u64> {
    let mut starts = vec![BLOCK_BYTES as u64];
    loop {
        let at = *starts.last().expect("one") as usize;
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let kind = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
        starts.push((at + 24 + length.next_multiple_of(8)) as u64);
        if kind == 2 {
            return starts;
        }
    }
}

#[test]
fn an_engine_comes_back_from_its_snapshot() {
    let (disk, engine) = (MemDisk::default(), engine());
    let pieces: Vec<Piece> = engine.image().collect();
    let written = write_snapshot(&disk, head_of(&engine, 13), &pieces);
    assert_eq!(written.name, "snapshot-0000000000000013.ringbook");
    let mut restore = Restore::new(ENGINE);
    let identity = Some(Identity { shard: ShardId(0), shards: 1 });
    let read =
        block_on(read_snapshot(&disk, &written.name, identity, &mut |piece| restore.piece(piece)));
    assert_eq!(read.unwrap(), written);
    let restored = restore.finish().unwrap();
    assert_eq!(restored.state_hash(), written.head.state_hash);
    assert_eq!(restored.image().collect::<Vec<_>>(), pieces);
    let listed = block_on(list_snapshots(&disk)).unwrap();
    assert_eq!((listed.len(), listed[0].head), (1, Some(written.head)));
    assert_eq!(listed[0].bytes, written.bytes);
}

#[test]
fn every_flipped_byte_is_refused_at_its_frame() {
    let (file, bytes) = engine_snapshot();
    let frames = frames(&bytes);
    assert!(frames.len() > 5 && bytes.len() == 2 * BLOCK_BYTES, "small, and of several frames");
    for at in 0..bytes.len() {
        for flip in [1u8 << (at % 8), 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let seen = seen_damage(&file.name, damaged);
            let frame = frames.iter().rfind(|&&start| start <= at as u64).copied().unwrap_or(0);
            assert_eq!(seen, Some(frame), "byte {at}");
        }
    }
}

#[test]
fn every_cut_length_is_refused_where_the_file_fails() {
    let (file, bytes) = engine_snapshot();
    for length in 0..bytes.len() {
        let seen = seen_damage(&file.name, bytes[..length].to_vec());
        assert!(seen.is_some_and(|offset| offset <= bytes.len() as u64), "{length} bytes pass");
        // The same length, the rest never written.
        let mut zeroed = bytes[..length].to_vec();
        zeroed.resize(bytes.len(), 0);
        if zeroed != bytes {
            assert!(seen_damage(&file.name, zeroed).is_some(), "zeros from {length} on pass");
        }
    }
    for more in [1, 8, BLOCK_BYTES] {
        let mut grown = bytes.clone();
        grown.resize(bytes.len() + more, 0);
        assert!(seen_damage(&file.name, grown).is_some(), "{more} bytes more pass");
    }
}

#[test]
fn frames_swapped_dropped_or_doubled_are_refused() {
    let model = Model { times: (0..60).collect(), ..Model::default() };
    let disk = MemDisk::default();
    let file = model.snapshot(&disk);
    let bytes = disk.files().remove(&file.name).unwrap();
    let starts: Vec<usize> = frames(&bytes).iter().map(|&start| start as usize).collect();
    let frame = |index: usize| &bytes[starts[index]..starts[index + 1]];
    let whole = starts.len() - 1;
    let rebuilt = |order: &[usize]| {
        let mut damaged = bytes[..BLOCK_BYTES].to_vec();
        order.iter().for_each(|&index| damaged.extend_from_slice(frame(index)));
        damaged.resize(damaged.len().next_multiple_of(BLOCK_BYTES), 0);
        damaged
    };
    let order: Vec<usize> = (0..whole).collect();
    assert_eq!(seen_damage(&file.name, rebuilt(&order)), None, "the same again");
    for index in 0..whole {
        let dropped: Vec<_> = order.iter().copied().filter(|&other| other != index).collect();
        assert!(seen_damage(&file.name, rebuilt(&dropped)).is_some(), "frame {index} dropped");
        let mut doubled = order.clone();
        doubled.insert(index, index);
        assert!(seen_damage(&file.name, rebuilt(&doubled)).is_some(), "frame {index} doubled");
        let mut swapped = order.clone();
        swapped.swap(index, (index + 1) % whole);
        assert!(seen_damage(&file.name, rebuilt(&swapped)).is_some(), "frame {index} swapped");
    }
}

#[test]
fn a_frame_of_another_snapshot_is_found_by_the_hash_at_the_end() {
    let disk = MemDisk::default();
    let one = Model { times: (0..30).collect(), ..Model::default() };
    let other = Model { times: (100..130).collect(), ..Model::default() };
    let file = one.snapshot(&disk);
    let mut bytes = disk.files().remove(&file.name).unwrap();
    let foreign = {
        let file = other.snapshot(&disk);
        disk.files().remove(&file.name).unwrap()
    };
    let starts = frames(&bytes);
    let frame = starts[1] as usize..starts[2] as usize;
    assert_ne!(bytes[frame.clone()], foreign[frame.clone()]);
    bytes[frame.clone()].copy_from_slice(&foreign[frame]);
    let end = starts[starts.len() - 2];
    assert_eq!(seen_damage(&file.name, bytes), Some(end));
}

#[test]
fn pieces_longer_than_a_write_come_back_and_a_longer_one_is_refused() {
    let disk = MemDisk::default();
    let long = |count: usize| {
        Piece::EarlyReferences((0..count).map(|at| (SymbolId(at as u32), Price(1))).collect())
    };
    let pieces = [long(1), long(300_000), long(7), long(60_000), long(0)];
    block_on(async {
        let mut writer = SnapshotWriter::begin(disk.clone(), head(Lsn(9))).await.unwrap();
        let mut written = Vec::new();
        for piece in &pieces {
            written.push(writer.piece(piece).await.unwrap());
        }
        assert_eq!((written[0], written[2], written[4]), (0, 0, 0), "gathered");
        assert!(written.iter().all(|bytes| bytes.is_multiple_of(SNAPSHOT_WRITE_BYTES as u64)));
        assert!(written[1] > 10 * SNAPSHOT_WRITE_BYTES as u64);
        let file = writer.finish().await.unwrap();
        let mut read = Vec::new();
        let mut collect = |piece| {
            read.push(piece);
            Ok::<(), ()>(())
        };
        let result = read_snapshot(&disk, &file.name, None, &mut collect).await;
        assert_eq!(result.unwrap(), file);
        assert_eq!(read, pieces);
        let mut writer = SnapshotWriter::begin(disk.clone(), head(Lsn(10))).await.unwrap();
        let error = writer.piece(&long(MAX_PIECE_BYTES / 8)).await.unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        assert!(writer.piece(&long(1)).await.is_err(), "the first error is final");
        assert!(writer.finish().await.is_err());
    });
    assert_eq!(disk.files().len(), 1, "nothing is left of the second");
}

#[test]
fn short_writes_are_continued() {
    let model = Model { times: (0..40_000).collect(), ..Model::default() };
    let (whole, short) = (MemDisk::default(), MemDisk::default());
    short.faults.write_limit.set(Some(10 * BLOCK_BYTES + 512));
    let file = model.snapshot(&whole);
    short.faults.write_limit.set(Some(20 * BLOCK_BYTES + 512));
    assert_eq!(model.snapshot(&short), file);
    assert_eq!(short.durable_files(), whole.durable_files());
}

#[test]
fn a_full_or_failing_disk_leaves_no_file_behind() {
    let model = Model { times: (0..100_000).collect(), ..Model::default() };
    let attempt = |disk: &MemDisk| {
        block_on(async {
            let mut writer = SnapshotWriter::begin(disk.clone(), head(Lsn(100_000))).await?;
            for piece in model.image() {
                writer.piece(&piece).await?;
            }
            writer.finish().await
        })
    };
    let disk = MemDisk::default();
    disk.faults.no_space_to_create.set(true);
    assert!(attempt(&disk).unwrap_err().is_no_space());
    disk.faults.no_space_to_create.set(false);
    disk.faults.no_space_to_write.set(true);
    assert!(attempt(&disk).unwrap_err().is_no_space());
    disk.faults.no_space_to_write.set(false);
    disk.faults.fail_write.set(true);
    assert!(attempt(&disk).unwrap_err().to_string().contains("EIO on write"));
    disk.faults.fail_sync.set(true);
    assert!(attempt(&disk).unwrap_err().to_string().contains("EIO on sync"));
    assert!(disk.files().is_empty());
    // What an attempt left that could not even remove its file.
    disk.put("snapshot-0000000000100000.preparing", vec![7; BLOCK_BYTES]);
    let file = attempt(&disk).unwrap();
    assert_eq!(block_on(verify_snapshot(&disk, &file.name)).unwrap(), file);
    assert_eq!(disk.durable_files().len(), 1);
}

#[test]
fn another_shards_and_a_newer_snapshot_are_refused_as_such() {
    let disk = MemDisk::default();
    let file = Model::default().snapshot(&disk);
    let read = |disk: &MemDisk, shard: u16, shards: u16| {
        let identity = Some(Identity { shard: ShardId(shard), shards });
        block_on(read_snapshot(disk, &file.name, identity, &mut |_| Ok::<(), ()>(())))
    };
    assert!(read(&disk, 1, 3).is_ok());
    let error = read(&disk, 2, 3).unwrap_err();
    assert!(matches!(error, RecoverError::Scan(ScanError::ForeignShard { .. })), "{error:?}");
    let error = read(&disk, 1, 4).unwrap_err();
    assert!(matches!(error, RecoverError::Scan(ScanError::ShardCount { .. })), "{error:?}");
    let mut bytes = disk.files().remove(&file.name).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..60]), &bytes[64..BLOCK_BYTES]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let disk = MemDisk::with_files([(file.name.clone(), bytes)]);
    let error = read(&disk, 1, 3).unwrap_err();
    assert!(matches!(error, RecoverError::Scan(ScanError::NewerFormat { version: 2, .. })));
}

#[test]
fn a_renamed_snapshot_is_refused() {
    let (file, bytes) = engine_snapshot();
    assert_eq!(seen_damage("snapshot-0000000000000014.ringbook", bytes.clone()), Some(0));
    assert_eq!(seen_damage("snapshot-14.ringbook", bytes.clone()), Some(0));
    let disk = MemDisk::with_files([("snapshot-0000000000000014.ringbook".to_owned(), bytes)]);
    let listed = block_on(list_snapshots(&disk)).unwrap();
    assert_eq!((listed[0].lsn, listed[0].head), (Lsn(14), None));
    assert_ne!(file.name, listed[0].name);
}

#[test]
fn a_forged_piece_never_panics() {
    // Damage that no checksum shows: only the checks of the archive are left.
    let (file, bytes) = engine_snapshot();
    let starts = frames(&bytes);
    let (mut refused, mut taken) = (0, 0);
    for pair in starts.windows(2).take(starts.len() - 2) {
        let frame = pair[0] as usize..pair[1] as usize;
        for at in frame.start + 24..frame.end {
            let mut forged = bytes.clone();
            forged[at] ^= 0xFF;
            let crc = crc32c::crc32c_append(
                crc32c::crc32c(&forged[frame.start..frame.start + 16]),
                &forged[frame.start + 20..frame.end],
            );
            forged[frame.start + 16..frame.start + 20].copy_from_slice(&crc.to_le_bytes());
            match seen_damage(&file.name, forged) {
                // Another value of the same shape: the hash at the end finds it.
                Some(offset) if offset == starts[starts.len() - 2] => taken += 1,
                Some(offset) => {
                    assert_eq!(offset, pair[0]);
                    refused += 1;
                }
                None => panic!("byte {at} passes"),
            }
        }
    }
    assert!(refused > 50 && taken > 50, "{refused} refused, {taken} taken");
}

#[test]
fn plain_files_hold_snapshots_too_buffered_or_direct() {
    let directory = std::env::temp_dir().join(format!("ringbook-snapshot-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let model = Model { times: (0..100_000).collect(), ..Model::default() };
    let buffered = StdDisk::new(&directory);
    let direct = StdDisk::new(&directory).direct();
    let reader = StdDisk::read_only(&directory).direct();
    for disk in [&buffered, &direct] {
        let file = model.snapshot(disk);
        for reader in [&buffered, &direct, &reader] {
            assert_eq!(block_on(verify_snapshot(reader, &file.name)).unwrap(), file);
        }
        // A length that direct I/O cannot read whole.
        let path = directory.join(&file.name);
        let bytes = std::fs::read(&path).unwrap();
        for cut in [1, 511, 512, 4095, 4096, 5000] {
            std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            for reader in [&buffered, &direct] {
                let error = block_on(verify_snapshot(reader, &file.name)).unwrap_err();
                assert!(matches!(error, ScanError::DamagedSnapshot { .. }), "{cut}: {error}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

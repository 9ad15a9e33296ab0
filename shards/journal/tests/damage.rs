//! Damage: every byte flip and every cut is found, refused with file and offset, or was a torn tail.

mod common;

use common::mem_disk::MemDisk;
use common::model::{head, write_snapshot};
use common::{append, append_committed, check_prefix, commit, prepare, replay, small_config};
use journal::{BLOCK_BYTES, JournalConfig, Lsn, RecoverError, ScanError, block_on, verify};
use money::ShardId;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn name(segment: u64) -> String {
    format!("segment-{segment:010}.ringbook")
}

/// One batch a block: three in the first segment, two in the second.
fn journal_of_five_blocks() -> Files {
    let config = JournalConfig { batch_bytes: BLOCK_BYTES, ..config() };
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &config).unwrap();
    for _ in 0..5 {
        append(&mut journal, 2);
        prepare_if_full(&mut journal);
        let batch = journal.take_batch().unwrap();
        assert_eq!(batch.length_bytes(), BLOCK_BYTES);
        journal.complete(block_on(batch.write())).unwrap();
    }
    assert_eq!(disk.files().len(), 2);
    disk.files()
}

fn prepare_if_full(journal: &mut journal::Journal<MemDisk>) {
    if journal.room_bytes() == 0 {
        prepare(journal, 0).unwrap();
    }
}

fn config() -> JournalConfig {
    JournalConfig { segment_bytes: 4 * 4096, ..small_config() }
}

enum Outcome {
    Records(u64),
    Refused(String),
}

/// Recovers a damaged copy: some records from the start, or a refusal. Also reads it as a tool would.
fn outcome(files: Files) -> Outcome {
    let disk = MemDisk::with_files(files);
    let read_only = block_on(verify(&disk));
    match replay(&disk, &config()) {
        Ok((_, records, _)) => {
            let count = check_prefix(&records);
            assert_eq!(read_only.unwrap().records, count, "the tool sees what the server sees");
            Outcome::Records(count)
        }
        Err(error) => {
            assert!(matches!(error, RecoverError::Scan(_)), "{error}");
            Outcome::Refused(error.to_string())
        }
    }
}

fn damaged(files: &Files, name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let mut files = files.clone();
    damage(files.get_mut(name).unwrap());
    outcome(files)
}

#[test]
fn every_byte_flip_is_refused_by_file_and_offset_or_was_the_torn_tail() {
    let files = journal_of_five_blocks();
    for segment in 1..=2 {
        let name = name(segment);
        for offset in 0..files[&name].len() {
            let flip = 1u8 << (offset % 8) | (offset as u8 & 0x80);
            let found = damaged(&files, &name, |bytes| bytes[offset] ^= flip);
            let block = offset / BLOCK_BYTES * BLOCK_BYTES;
            match (found, segment, block / BLOCK_BYTES) {
                // The last batch, and the free blocks behind it.
                (Outcome::Records(8), 2, 2) | (Outcome::Records(10), 2, 3) => {}
                (Outcome::Refused(text), 1, 0..=3) | (Outcome::Refused(text), 2, 0 | 1) => {
                    let place = format!("{name} at offset {block}:");
                    assert!(text.starts_with(&place), "offset {offset}: {text}");
                }
                (Outcome::Records(count), ..) => panic!("{name} at {offset}: {count} records"),
                (Outcome::Refused(text), ..) => panic!("{name} at {offset}: {text}"),
            }
        }
    }
}

#[test]
fn a_file_cut_at_any_length_is_refused_by_name() {
    let files = journal_of_five_blocks();
    for segment in 1..=2 {
        let name = name(segment);
        for length in 0..files[&name].len() {
            match damaged(&files, &name, |bytes| bytes.truncate(length)) {
                Outcome::Refused(text) => assert!(text.starts_with(&name), "{text}"),
                Outcome::Records(count) => panic!("{name} of {length} bytes: {count} records"),
            }
        }
        match damaged(&files, &name, |bytes| bytes.extend([0; BLOCK_BYTES])) {
            Outcome::Refused(text) => assert!(text.contains("20480"), "{text}"),
            Outcome::Records(count) => panic!("{name} grown: {count} records"),
        }
    }
}

#[test]
fn a_batch_lost_whole_in_the_middle_is_refused() {
    let files = journal_of_five_blocks();
    for (segment, block) in [(1, 1), (1, 2), (1, 3), (2, 1)] {
        let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
        match damaged(&files, &name(segment), |bytes| bytes[range.clone()].fill(0)) {
            Outcome::Refused(text) => {
                let place = format!("{} at offset {}", name(segment), range.start);
                assert!(text.starts_with(&place) && text.contains("zeros"), "{text}");
            }
            Outcome::Records(count) => panic!("segment {segment} block {block}: {count} records"),
        }
    }
}

#[test]
fn all_batches_of_a_segment_lost_are_refused_when_later_ones_are_there() {
    let files = journal_of_five_blocks();
    let found = damaged(&files, &name(1), |bytes| bytes[BLOCK_BYTES..].fill(0));
    assert!(matches!(found, Outcome::Refused(_)));
}

#[test]
fn batches_swapped_or_doubled_are_refused() {
    let files = journal_of_five_blocks();
    for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 2)] {
        let found = damaged(&files, &name(1), |bytes| {
            let from = from * BLOCK_BYTES..(from + 1) * BLOCK_BYTES;
            bytes.copy_within(from, to * BLOCK_BYTES);
        });
        let Outcome::Refused(text) = found else { panic!("{from} over {to} was taken") };
        assert!(text.contains("out of sequence"), "{text}");
    }
}

#[test]
fn a_batch_of_another_history_is_refused_by_its_chain() {
    let files = journal_of_five_blocks();
    // The same numbers, other content before: as if a torn batch had been told as durable.
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &config()).unwrap();
    for round in 0..3 {
        for number in 0..2 {
            journal.append(round, &common::place(number)).unwrap();
        }
        commit(&mut journal).unwrap();
    }
    let other = disk.files();
    let found = damaged(&files, &name(1), |bytes| {
        let range = 2 * BLOCK_BYTES..3 * BLOCK_BYTES;
        bytes[range.clone()].copy_from_slice(&other[&name(1)][range]);
    });
    let Outcome::Refused(text) = found else { panic!("taken") };
    assert!(text.contains("does not follow"), "{text}");
}

#[test]
fn a_missing_segment_is_refused_by_name() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append_committed(&mut journal, 100);
    let files = disk.files();
    for missing in 1..files.len() as u64 {
        let mut files = files.clone();
        files.remove(&name(missing));
        let error = replay(&MemDisk::with_files(files), &small_config()).err().unwrap();
        let text = format!("{}: missing segment", name(missing));
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn segments_behind_a_snapshot_may_be_gone_and_no_others() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append_committed(&mut journal, 100);
    let mut files = disk.files();
    files.remove(&name(1));
    files.remove(&name(2));
    let start = |snapshot: Option<u64>| {
        let disk = MemDisk::with_files(files.clone());
        if let Some(lsn) = snapshot {
            write_snapshot(&disk, head(Lsn(lsn)), &[]);
        }
        replay(&disk, &small_config())
    };
    let disk = MemDisk::with_files(files.clone());
    let first = block_on(verify(&disk)).unwrap().first.0;
    assert!(first > 2);
    for snapshot in [None, Some(0), Some(first - 2)] {
        let error = start(snapshot).err().unwrap();
        assert!(matches!(error, RecoverError::Scan(ScanError::MissingSegment { .. })), "{error}");
    }
    for snapshot in [first - 1, first, 99, 100] {
        let (journal, records, report) = start(Some(snapshot)).unwrap();
        assert_eq!((journal.last(), report.replayed), (Lsn(100), 100 - snapshot));
        let numbers: Vec<_> = records.iter().map(|(lsn, ..)| lsn.0).collect();
        assert_eq!(numbers, (snapshot + 1..=100).collect::<Vec<_>>());
    }
    let error = start(Some(101)).err().unwrap();
    assert!(matches!(error, RecoverError::Scan(ScanError::Behind { .. })), "{error}");
}

#[test]
fn a_renamed_segment_is_refused() {
    let mut files = journal_of_five_blocks();
    let first = files[&name(1)].clone();
    let second = files.insert(name(1), files[&name(2)].clone()).map(|_| first).unwrap();
    files.insert(name(2), second);
    let Outcome::Refused(text) = outcome(files) else { panic!("taken") };
    // The newest is looked at first.
    assert!(text.starts_with(&name(2)) && text.contains("renamed"), "{text}");
}

#[test]
fn another_shard_or_shard_count_is_refused() {
    let disk = MemDisk::with_files(journal_of_five_blocks());
    let error = replay(&disk, &JournalConfig { shard: ShardId(2), ..config() }).err().unwrap();
    assert!(matches!(error, RecoverError::Scan(ScanError::ForeignShard { .. })), "{error}");
    let error = replay(&disk, &JournalConfig { shards: 4, ..config() }).err().unwrap();
    assert!(matches!(error, RecoverError::Scan(ScanError::ShardCount { .. })), "{error}");
}

/// Puts the right checksum over changed blocks.
fn reseal(blocks: &mut [u8]) {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&blocks[..60]), &blocks[64..]);
    blocks[60..64].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_segment_of_impossible_length_is_refused() {
    // Forged: the writer would find no room for a batch in it, or write past its end.
    let files = journal_of_five_blocks();
    for length in [BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES - 512] {
        let found = damaged(&files, &name(2), |bytes| {
            bytes.truncate(length);
            bytes[24..32].copy_from_slice(&(length as u64).to_le_bytes());
            reseal(&mut bytes[..BLOCK_BYTES]);
        });
        let Outcome::Refused(text) = found else { panic!("{length} bytes were taken") };
        assert!(text.starts_with(&name(2)) && text.contains("room"), "{text}");
    }
}

#[test]
fn the_first_record_in_a_later_segment_is_refused() {
    // Forged: no writer leaves the first segment without a batch.
    let mut first = journal_of_five_blocks().remove(&name(1)).unwrap();
    for (index, block) in first.chunks_mut(BLOCK_BYTES).enumerate() {
        block[16] = 2;
        if index == 2 {
            block.fill(0);
        } else {
            reseal(block);
        }
    }
    first.truncate(3 * BLOCK_BYTES);
    first[24..32].copy_from_slice(&(3 * BLOCK_BYTES as u64).to_le_bytes());
    reseal(&mut first[..BLOCK_BYTES]);
    let error = replay(&MemDisk::with_files([(name(2), first)]), &config()).err().unwrap();
    assert_eq!(error.to_string(), format!("{}: missing segment", name(1)));
}

#[test]
fn a_newer_format_is_refused_as_such() {
    let files = journal_of_five_blocks();
    for (segment, block) in [(1, 0), (2, 0), (1, 1), (2, 2)] {
        let start = block * BLOCK_BYTES;
        let found = damaged(&files, &name(segment), |bytes| {
            bytes[start + 8] = 2;
            reseal(&mut bytes[start..start + BLOCK_BYTES]);
        });
        let Outcome::Refused(text) = found else { panic!("taken") };
        let expected = format!("{} at offset {start}: format version 2 is newer", name(segment));
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn a_forged_record_never_panics() {
    // Damage that the checksum does not show: only the checks of the archive are left.
    let files = journal_of_five_blocks();
    let last = 2 * BLOCK_BYTES;
    let (mut refused, mut taken) = (0, 0);
    for offset in 40..1_200 {
        if (60..64).contains(&offset) {
            continue;
        }
        for flip in [0x01, 0x80, 0xFF] {
            let mut files = files.clone();
            let bytes = files.get_mut(&name(2)).unwrap();
            bytes[last + offset] ^= flip;
            reseal(&mut bytes[last..last + BLOCK_BYTES]);
            match replay(&MemDisk::with_files(files), &config()) {
                Ok((_, records, _)) => {
                    // Another value of the same shape, or no batch at all (its length is wrong).
                    assert!(records.len() == 8 || records.len() == 10);
                    assert_eq!(check_prefix(&records[..8]), 8);
                    taken += 1;
                }
                Err(RecoverError::Scan(ScanError::Record { file, .. })) => {
                    assert_eq!(file, name(2));
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(refused > 100 && taken > 100, "{refused} refused, {taken} taken");
}

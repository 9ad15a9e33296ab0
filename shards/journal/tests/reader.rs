//! The tools' view: everything that is there, nothing changed.

mod common;

use common::mem_disk::MemDisk;
use common::{append, append_committed, check_prefix, commit, replay, small_config};
use journal::{BLOCK_BYTES, Reader, ScanError, StdDisk, block_on, entries, verify};
use money::ShardId;

#[test]
fn a_dump_shows_every_record_and_changes_nothing() {
    let directory = std::env::temp_dir().join(format!("ringbook-dump-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (mut journal, ..) = replay(&StdDisk::new(&directory), &small_config()).unwrap();
    append_committed(&mut journal, 80);
    // A server that runs: records gather, one batch is on its way.
    append(&mut journal, 3);
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let mut dump = entries(&directory).unwrap();
    let records: Vec<_> = dump.by_ref().map(Result::unwrap).collect();
    let triples: Vec<_> =
        records.iter().map(|entry| (entry.lsn, entry.time_ms, entry.input.clone())).collect();
    assert_eq!(check_prefix(&triples), 80);
    assert!(records.last().unwrap().segment > 2);
    let summary = dump.summary();
    assert_eq!((summary.shard, summary.shards), (ShardId(1), 3));
    assert_eq!((summary.first.0, summary.last.0, summary.records), (1, 80, 80));
    assert!(!summary.torn && summary.batches >= 10);
    assert_eq!(files(), before);
    let empty = directory.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    assert!(matches!(entries(&empty), Err(ScanError::Empty)));
    assert!(entries(&directory.join("nowhere")).is_err());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn an_entry_names_the_place_of_its_record() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append_committed(&mut journal, 40);
    let files = disk.files();
    let mut reader = block_on(Reader::open(&disk)).unwrap();
    while let Some(entry) = block_on(reader.next()).unwrap() {
        let file = &files[&format!("segment-{:010}.ringbook", entry.segment)];
        let frame = &file[entry.offset as usize..];
        let time_ms = u64::from_le_bytes(frame[8..16].try_into().unwrap());
        let length = u32::from_le_bytes(frame[0..4].try_into().unwrap()) as usize;
        assert_eq!(time_ms, entry.time_ms);
        assert_eq!(journal::decode(&frame[16..16 + length]), Some(entry.input));
    }
}

#[test]
fn a_torn_tail_is_reported_and_left_alone() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append(&mut journal, 2);
    commit(&mut journal).unwrap();
    append(&mut journal, 2);
    commit(&mut journal).unwrap();
    let mut files = disk.files();
    let first = files.get_mut("segment-0000000001.ringbook").unwrap();
    first[2 * BLOCK_BYTES + 100] ^= 1;
    let disk = MemDisk::with_files(files.clone());
    let summary = block_on(verify(&disk)).unwrap();
    assert_eq!((summary.records, summary.torn), (2, true));
    assert_eq!(summary.end_file, "segment-0000000001.ringbook");
    assert_eq!(summary.end_offset, 2 * BLOCK_BYTES as u64);
    assert_eq!(disk.files(), files);
}

#[test]
fn a_write_that_completes_while_a_tool_reads_is_no_damage() {
    // The tool has read the block before the batch went in, and meets the batch after it.
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append(&mut journal, 1);
    commit(&mut journal).unwrap();
    let mut reader = block_on(Reader::open(&disk)).unwrap();
    assert!(block_on(reader.next()).unwrap().is_some());
    append(&mut journal, 1);
    commit(&mut journal).unwrap();
    append_committed(&mut journal, 30);
    let mut last = 1;
    while let Some(entry) = block_on(reader.next()).unwrap() {
        last = entry.lsn.0;
    }
    assert!(last > 2, "only {last} records seen");
    assert_eq!(block_on(verify(&disk)).unwrap().last.0, 32);
}

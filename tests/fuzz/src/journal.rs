//! Bytes as the segment files of a journal: read by the tools, then by recovery.
//!
//! Promises: no panic, no endless work, and reading changes nothing; what recovery replays is what
//! the tools read, and is what stands in the file; a journal that was recovered is whole: it says
//! the same again, and takes one more record.

use engine::{Command, Input};
use journal::{
    BLOCK_BYTES, Entry, FRAME_HEADER_BYTES, JournalConfig, Lsn, Reader, ScanError, block_on,
};

use crate::journal_file;
use crate::mem_disk::MemDisk;
use crate::records::{NOW_MS, Record, SHARD, SHARDS, append, commit, replay};
use crate::rkyv_bytes::check_round_trip;

/// Most disk operations of one recovery, by blocks of the files. Recovery looks at each block once
/// or twice; a walk that goes back and forth would need many more.
const MAX_OPERATIONS_PER_BLOCK: u64 = 16;

fn config() -> JournalConfig {
    let block = BLOCK_BYTES as u64;
    JournalConfig {
        segment_bytes: 6 * block,
        first_segment_bytes: 4 * block,
        batch_bytes: 3 * BLOCK_BYTES,
        reserve_bytes: block,
        ..JournalConfig::new(SHARD, SHARDS)
    }
}

/// Takes the bytes for the files of a journal, in the notation of [`journal_file`].
pub fn run(data: &[u8]) {
    let disk = MemDisk::with_files(journal_file::read(data));
    let files = disk.files();
    let read = read_all(&disk);
    assert!(disk.files() == files, "a reader wrote");
    if let Ok(entries) = &read {
        entries.iter().for_each(|entry| check_entry(entry, &files[&file_of(entry)]));
    }
    let blocks = files.values().map(|bytes| bytes.len() / BLOCK_BYTES + 1).sum::<usize>() as u64;
    let before = disk.faults.operations.get();
    let Ok(recovered) = replay(&disk, &config()) else { return };
    let operations = disk.faults.operations.get() - before;
    assert!(operations <= (blocks + 8) * MAX_OPERATIONS_PER_BLOCK, "{operations} disk operations");
    let records = recovered.records;
    if !files.is_empty() {
        let entries = read.expect("what recovery takes, the tools read");
        let entries: Vec<Record> =
            entries.into_iter().map(|entry| (entry.lsn, entry.time_ms, entry.input)).collect();
        assert_eq!(records, entries, "recovery and the tools differ");
    }
    assert_eq!(recovered.report.last, records.last().map_or(Lsn(0), |record| record.0));
    let again = replay(&disk, &config()).expect("recovered once, recovered twice");
    assert_eq!(again.records, records);
    assert_eq!(again.report.cut, None, "what was cut is gone");
    go_on(again, &disk);
}

/// Appends one record behind those that were replayed.
fn go_on(recovered: crate::records::Replayed<MemDisk>, disk: &MemDisk) {
    let crate::records::Replayed { mut journal, mut records, .. } = recovered;
    let input = Input::Command(Command::Prove);
    if !append(&mut journal, NOW_MS, &input) {
        return;
    }
    commit(&mut journal, |_| {}).expect("the disk has no faults");
    records.push((journal.last(), NOW_MS, input));
    let again = replay(disk, &config()).expect("the record was durable");
    assert_eq!(again.records, records);
}

fn read_all(disk: &MemDisk) -> Result<Vec<Entry>, ScanError> {
    let mut reader = block_on(Reader::open(disk))?;
    let mut entries = Vec::new();
    while let Some(entry) = block_on(reader.next())? {
        entries.push(entry);
    }
    let summary = reader.summary();
    assert_eq!(summary.records, entries.len() as u64);
    Ok(entries)
}

fn file_of(entry: &Entry) -> String {
    journal_file::segment_name(entry.segment)
}

/// Whether the record is what stands at its place.
fn check_entry(entry: &Entry, file: &[u8]) {
    let frame = &file[entry.offset as usize..];
    let length = u32::from_le_bytes(frame[0..4].try_into().expect("four bytes")) as usize;
    let time_ms = u64::from_le_bytes(frame[8..16].try_into().expect("eight bytes"));
    assert_eq!(time_ms, entry.time_ms);
    let payload = &frame[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length];
    assert_eq!(journal::decode(payload).as_ref(), Some(&entry.input));
    check_round_trip(&entry.input);
}

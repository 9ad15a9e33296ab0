//! Power cuts: at every step of a journal's life, with every outcome for what was not synced.

mod common;

use common::mem_disk::{MemDisk, SECTOR_BYTES};
use common::{
    NOW_MS, append, append_committed, check_prefix, commit, input, prepare, replay, small_config,
    time_of,
};
use engine::Input;
use journal::{BLOCK_BYTES, Disk, Journal, Lsn, block_on};
use proptest::prelude::*;

/// A small generator, so that a failing case is named by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

/// What the owner of a journal knows: every input that it appended, in order, and how many of them
/// it was told are durable.
#[derive(Default)]
struct Owner {
    appended: Vec<Input>,
    durable: usize,
    salt: u64,
}

impl Owner {
    /// Recovers, and compares with what the owner knows.
    fn start(&mut self, disk: &MemDisk) -> Option<Journal<MemDisk>> {
        let result = replay(disk, &small_config());
        if disk.faults.power_left.get() == Some(0) && result.is_err() {
            return None;
        }
        let (journal, read, _) =
            result.unwrap_or_else(|error| panic!("refused after a crash: {error}"));
        let read: Vec<Input> = read.into_iter().map(|(_, _, input)| input).collect();
        assert!(read.len() >= self.durable, "{} of {} lost", read.len(), self.durable);
        assert!(read.len() <= self.appended.len(), "records from nowhere");
        assert_eq!(read, self.appended[..read.len()], "misread");
        self.appended.truncate(read.len());
        self.durable = read.len();
        assert_eq!(journal.durable().lsn(), Lsn(read.len() as u64));
        Some(journal)
    }

    fn append(&mut self, journal: &mut Journal<MemDisk>, count: u64) {
        for _ in 0..count {
            // Never the same input again under the same number: remains would look right.
            self.salt += 1;
            let input = input(self.salt * 7);
            if journal.append(time_of(self.salt), &input).is_err() {
                return;
            }
            self.appended.push(input);
        }
    }

    /// Works until the work is done (`true`) or the power goes.
    fn work(&mut self, journal: &mut Journal<MemDisk>, random: &mut Random) -> bool {
        for _ in 0..8 {
            self.append(journal, 1 + random.below(30));
            if random.below(3) == 0 && prepare(journal, NOW_MS).is_err() {
                return false;
            }
            while let Some(batch) = journal.take_batch() {
                let more = random.below(4);
                self.append(journal, more);
                let Ok(durable) = journal.complete(block_on(batch.write())) else { return false };
                self.durable = durable.lsn().0 as usize;
                if prepare(journal, NOW_MS).is_err() {
                    return false;
                }
            }
        }
        true
    }
}

/// Starts, works, is killed after `operations`, five times over on the same disk: either the power
/// goes, or only the process, and what was not synced stays for the next one to find.
fn live_through_crashes(seed: u64, operations: u64) -> bool {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut disk = MemDisk::default();
    let mut owner = Owner::default();
    let mut done = false;
    for _ in 0..5 {
        disk.faults.power_left.set(Some(operations + random.below(3)));
        done = match owner.start(&disk) {
            Some(mut journal) => owner.work(&mut journal, &mut random),
            None => false,
        };
        if random.below(3) > 0 {
            let odds = random.below(5);
            disk = disk.after_power_cut(|| random.below(4) < odds);
        }
    }
    disk = disk.after_power_cut(|| random.below(2) == 0);
    owner.start(&disk).expect("the power is back");
    done
}

#[test]
fn a_crash_at_every_operation_loses_nothing_acknowledged() {
    let mut operations = 0;
    let mut finished = 0;
    while finished < 5 {
        for seed in 0..3 {
            let done = live_through_crashes(seed * 1_000 + operations, operations);
            finished += u64::from(done && seed == 0);
        }
        operations += 1;
        assert!(operations < 1_000, "the work never ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_crash_recovers_to_a_prefix(seed in any::<u64>(), operations in 0u64..220) {
        live_through_crashes(seed, operations);
    }
}

#[test]
fn a_kill_of_the_process_then_a_power_cut_keeps_what_recovery_took() {
    // The write had ended, its sync had not: the bytes are there for the next process, not for the
    // one after a power cut. Recovery takes them and answers for them, so it must sync them.
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append(&mut journal, 5);
    disk.faults.fail_sync.set(true);
    let batch = journal.take_batch().unwrap();
    assert!(journal.complete(block_on(batch.write())).is_err());
    let (journal, records, _) = replay(&disk, &small_config()).unwrap();
    assert_eq!((records.len(), journal.durable().lsn()), (5, Lsn(5)));
    let disk = disk.after_power_cut(|| false);
    assert_eq!(check_prefix(&replay(&disk, &small_config()).unwrap().1), 5);
}

/// A disk with some committed records and one whole batch behind them.
struct LastBatch {
    before: u64,
    more: u64,
    /// The disk without the last batch.
    old: MemDisk,
    /// The disk with it.
    new: MemDisk,
}

impl LastBatch {
    /// `before` batches of one block, then one of `blocks` blocks.
    fn new(before: u64, blocks: usize) -> LastBatch {
        (1..100).find_map(|more| LastBatch::with(before, more, blocks)).expect("a batch so long")
    }

    fn with(before: u64, more: u64, blocks: usize) -> Option<LastBatch> {
        let new = MemDisk::default();
        let (mut journal, ..) = replay(&new, &small_config()).unwrap();
        prepare(&mut journal, NOW_MS).unwrap();
        for _ in 0..before {
            append(&mut journal, 1);
            commit(&mut journal).unwrap();
        }
        let old = MemDisk::with_files(new.files());
        append(&mut journal, more);
        let batch = journal.take_batch()?;
        if batch.length_bytes() != blocks * BLOCK_BYTES {
            return None;
        }
        journal.complete(block_on(batch.write())).unwrap();
        assert!(journal.is_settled(), "one batch only");
        Some(LastBatch { before, more, old, new })
    }
}

/// The sectors that the last batch changed.
fn changed_sectors(old: &MemDisk, new: &MemDisk) -> Vec<(String, usize)> {
    let (old, new) = (old.files(), new.files());
    let mut changed = Vec::new();
    for (name, bytes) in &new {
        let pairs = bytes.chunks(SECTOR_BYTES).zip(old[name].chunks(SECTOR_BYTES));
        let differ = pairs.enumerate().filter(|(_, (new, old))| new != old);
        changed.extend(differ.map(|(sector, _)| (name.clone(), sector)));
    }
    changed
}

fn torn(old: &MemDisk, new: &MemDisk, landed: &[&(String, usize)]) -> MemDisk {
    let mut files = old.files();
    let new = new.files();
    for (name, sector) in landed {
        let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        files.get_mut(name).unwrap()[range.clone()].copy_from_slice(&new[name][range]);
    }
    MemDisk::with_files(files)
}

/// A torn tail is cut; the journal goes on with shorter batches over the remains; nothing confuses
/// the next starts.
fn check_cut_and_go_on(disk: &MemDisk, before: u64, whole: Option<u64>) {
    let (mut journal, records, report) = replay(disk, &small_config()).unwrap();
    assert_eq!(check_prefix(&records), whole.unwrap_or(before));
    assert_eq!(report.cut.is_some(), whole.is_none(), "{:?}", report.cut);
    for _ in 0..2 {
        append(&mut journal, 1);
        commit(&mut journal).unwrap();
        let (_, records, report) = replay(disk, &small_config()).unwrap();
        assert_eq!(check_prefix(&records), journal.last().0);
        assert_eq!(report.cut, None, "remains were left");
    }
}

fn check_every_tear(batch: &LastBatch) {
    let LastBatch { before, more, old, new } = batch;
    let changed = changed_sectors(old, new);
    assert!(changed.len() > 8, "a batch of several blocks, not {} sectors", changed.len());
    for count in 1..changed.len() {
        // Everything up to a sector; everything from one on; one missing; one alone.
        let first: Vec<_> = changed[..count].iter().collect();
        let last: Vec<_> = changed[count..].iter().collect();
        let without: Vec<_> = changed.iter().filter(|sector| **sector != changed[count]).collect();
        for landed in [first, last, without, vec![&changed[count]]] {
            check_cut_and_go_on(&torn(old, new, &landed), *before, None);
        }
    }
    let all: Vec<_> = changed.iter().collect();
    check_cut_and_go_on(&torn(old, new, &all), *before, Some(before + more));
}

#[test]
fn a_tail_torn_at_any_sector_is_cut() {
    check_every_tear(&LastBatch::new(1, 2));
}

#[test]
fn a_torn_first_batch_of_the_next_segment_is_cut() {
    let batch = LastBatch::new(2, 3);
    let changed = changed_sectors(&batch.old, &batch.new);
    assert!(changed.iter().all(|(name, _)| name.contains("0002")), "{changed:?}");
    check_every_tear(&batch);
}

#[test]
fn an_unfinished_segment_is_removed_and_made_again() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append(&mut journal, 5);
    commit(&mut journal).unwrap();
    disk.put("segment-0000000003.preparing", vec![7; 3 * BLOCK_BYTES]);
    disk.put("notes.txt", vec![1, 2, 3]);
    let (mut journal, records, report) = replay(&disk, &small_config()).unwrap();
    assert_eq!((check_prefix(&records), report.unfinished), (5, 1));
    append_committed(&mut journal, 200);
    assert_eq!(check_prefix(&replay(&disk, &small_config()).unwrap().1), 205);
    assert!(disk.files().contains_key("notes.txt"));
}

#[test]
fn stale_batches_of_a_recycled_segment_are_never_misread() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append_committed(&mut journal, 150);
    let ready = journal.segment() + 1;
    drop(journal);
    // As a recycler would: an old file under a new header.
    let mut files = disk.files();
    for old in 2..ready {
        let stale = files[&format!("segment-{old:010}.ringbook")].clone();
        let target = files.get_mut(&format!("segment-{ready:010}.ringbook")).unwrap();
        assert_eq!(target.len(), stale.len());
        target[BLOCK_BYTES..].copy_from_slice(&stale[BLOCK_BYTES..]);
        let recycled = MemDisk::with_files(files.clone());
        let (mut journal, records, report) = replay(&recycled, &small_config()).unwrap();
        assert_eq!(check_prefix(&records), 150);
        assert!(report.cut.is_none() || report.cut.unwrap().why.contains("first batch"));
        // One short batch at a time, so that each leaves stale blocks behind it.
        for _ in 0..12 {
            append(&mut journal, 1);
            commit(&mut journal).unwrap();
            let (_, records, _) = replay(&recycled, &small_config()).unwrap();
            assert_eq!(check_prefix(&records), journal.last().0);
        }
    }
}

#[test]
fn stale_blocks_of_the_current_segment_are_no_torn_batch() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    let full = small_config().segment_bytes - BLOCK_BYTES as u64;
    while journal.segment() < 3 || !(BLOCK_BYTES as u64..full).contains(&journal.room_bytes()) {
        append_committed(&mut journal, 1);
    }
    let (current, last) = (journal.segment(), journal.last().0);
    let tail = small_config().segment_bytes - journal.room_bytes();
    drop(journal);
    let mut files = disk.files();
    let stale =
        files[&format!("segment-{:010}.ringbook", 1)][BLOCK_BYTES..2 * BLOCK_BYTES].to_vec();
    let file = files.get_mut(&format!("segment-{current:010}.ringbook")).unwrap();
    file[tail as usize..tail as usize + BLOCK_BYTES].copy_from_slice(&stale);
    let recycled = MemDisk::with_files(files);
    let (_, records, report) = replay(&recycled, &small_config()).unwrap();
    assert_eq!((check_prefix(&records), report.cut), (last, None));
}

#[test]
fn an_unreadable_disk_is_an_error_not_an_empty_journal() {
    let disk = MemDisk::default();
    drop(replay(&disk, &small_config()).unwrap());
    for operations in 0..6 {
        disk.faults.power_left.set(Some(operations));
        let error = replay(&disk, &small_config()).err().unwrap().to_string();
        assert!(error.contains("no power"), "{error}");
    }
    disk.faults.power_left.set(None);
    assert!(block_on(disk.list()).unwrap().len() == 1);
}

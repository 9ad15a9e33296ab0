//! A journal that is written as a shard writes it, then damaged at chosen places.
//!
//! Promises: what is read afterwards is a prefix of what was written, byte for byte, or the journal
//! is refused; damage at one place costs at most the last batch; a power cut alone costs nothing
//! that was durable.

use engine::Input;
use journal::{BLOCK_BYTES, Journal, JournalConfig, Lsn, block_on, verify};

use crate::inputs;
use crate::journal_file::segment_name;
use crate::mem_disk::MemDisk;
use crate::records::{NOW_MS, Record, SHARD, SHARDS, append, commit, replay};
use crate::rkyv_bytes::Archived;
use crate::source::Source;

const MAX_STEPS: usize = 12;
const MAX_RECORDS_PER_STEP: usize = 6;
const MAX_MUTATIONS: usize = 4;

/// Takes the bytes for choices: what to write, what to damage.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let mut writing = Writing::begin(&mut source);
    for _ in 0..1 + source.pick(MAX_STEPS) {
        writing.step(&mut source);
    }
    let mut damage = Damage { disk: writing.disk.clone(), places: 0, is_any: false };
    if source.flag() {
        writing.write_without_answer();
        damage.disk = writing.disk.after_power_cut(|| source.flag());
    }
    damage.mutate(&mut source);
    writing.check(&damage);
}

/// A journal under way and what is known of it.
struct Writing {
    config: JournalConfig,
    disk: MemDisk,
    journal: Journal<MemDisk>,
    /// All that was appended.
    records: Vec<Record>,
    /// The last records of all batches that are durable.
    batches: Vec<Lsn>,
}

impl Writing {
    fn begin(source: &mut Source<'_>) -> Writing {
        let block = BLOCK_BYTES as u64;
        let batch_blocks = 1 + source.pick(3) as u64;
        let segment = |source: &mut Source<'_>| (batch_blocks + 1 + source.pick(6) as u64) * block;
        let config = JournalConfig {
            segment_bytes: segment(source),
            first_segment_bytes: segment(source),
            batch_bytes: (batch_blocks * block) as usize,
            reserve_bytes: block,
            segments_ahead: 1 + source.pick(2),
            ..JournalConfig::new(SHARD, SHARDS)
        };
        let disk = MemDisk::default();
        let journal = replay(&disk, &config).expect("an empty disk is a new journal").journal;
        Writing { config, disk, journal, records: Vec::new(), batches: Vec::new() }
    }

    fn step(&mut self, source: &mut Source<'_>) {
        match source.pick(8) {
            // A file that was a segment once, to be used again with what stands in it.
            0 => self.keep_spare(source),
            // A process that ends and begins anew.
            1 => {
                self.commit();
                let again = replay(&self.disk, &self.config).expect("nothing is damaged");
                assert_eq!(again.records, self.records);
                self.journal = again.journal;
            }
            2 => self.gather(source),
            _ => {
                self.gather(source);
                self.commit();
            }
        }
    }

    fn gather(&mut self, source: &mut Source<'_>) {
        for _ in 0..1 + source.pick(MAX_RECORDS_PER_STEP) {
            let (time_ms, input) = (NOW_MS + u64::from(source.byte()), inputs::input(source));
            if append(&mut self.journal, time_ms, &input) {
                self.records.push((self.journal.last(), time_ms, input));
            }
        }
    }

    fn commit(&mut self) {
        let batches = &mut self.batches;
        commit(&mut self.journal, |last| batches.push(last)).expect("the disk has no faults");
    }

    /// As retention does, but the segment stays too: without a snapshot all of them are needed.
    fn keep_spare(&mut self, source: &mut Source<'_>) {
        let number = 1 + source.pick(self.journal.segment() as usize) as u64;
        if let Some(bytes) = self.disk.files().get(&segment_name(number)) {
            self.disk.put(&format!("spare-{number:010}.ringbook"), bytes.clone());
        }
    }

    /// A batch on its way when the power goes: written or not, sector by sector.
    fn write_without_answer(&mut self) {
        if let Some(batch) = self.journal.take_batch() {
            self.disk.faults.fail_sync.set(true);
            let written = block_on(batch.write());
            assert!(self.journal.complete(written).is_err(), "the sync failed");
        }
    }

    fn check(&self, damage: &Damage) {
        let verified = block_on(verify(&damage.disk));
        let replayed = match replay(&damage.disk, &self.config) {
            Ok(replayed) => replayed,
            Err(error) => {
                assert!(damage.is_any, "refused without damage: {error}");
                return;
            }
        };
        let count = replayed.records.len();
        assert!(count <= self.records.len(), "more is read than was written");
        for (read, written) in replayed.records.iter().zip(&self.records) {
            assert_eq!(read, written, "a record was misread");
            assert_eq!(read.2.encode(), written.2.encode());
        }
        if let Ok(verified) = verified {
            assert_eq!(verified.records, count as u64, "the tools and recovery differ");
        }
        let batches = match damage.places {
            0 => self.batches.len(),
            1 => self.batches.len().saturating_sub(1),
            _ => 0,
        };
        let least = batches.checked_sub(1).map_or(0, |last| self.batches[last].0);
        assert!(count as u64 >= least, "{count} records of {least} that were durable");
        let again = replay(&damage.disk, &self.config).expect("recovered once, recovered twice");
        assert_eq!(again.records.len(), count);
    }
}

/// What was done to the files of a journal.
struct Damage {
    disk: MemDisk,
    /// How many batches may have been hit.
    places: usize,
    is_any: bool,
}

impl Damage {
    fn mutate(&mut self, source: &mut Source<'_>) {
        for _ in 0..source.pick(MAX_MUTATIONS) {
            let files = self.disk.files();
            let names: Vec<&String> = files.keys().collect();
            let name = names[source.pick(names.len())];
            let other = names[source.pick(names.len())];
            let bytes = &files[name];
            let changed = match source.pick(6) {
                0 => self.flip(source, bytes),
                1 => self.erase_block(source, bytes),
                2 => self.copy_block(source, bytes, &files[other]),
                3 => self.cut(source, bytes),
                4 => self.swap(other, name, &files),
                _ => self.tear(source, bytes),
            };
            self.is_any |= &changed != bytes;
            self.disk.put(name, changed);
        }
    }

    /// Some bits of one byte. By exclusive or, not by a new value: a fuzzer that sees a checksum
    /// compared could write the right one, and a forged record is no damage.
    fn flip(&mut self, source: &mut Source<'_>, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let at = source.place(changed.len() / 16) * 16 + source.pick(16);
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= source.byte();
            self.places += 1;
        }
        changed
    }

    fn erase_block(&mut self, source: &mut Source<'_>, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let at = source.pick(bytes.len() / BLOCK_BYTES) * BLOCK_BYTES;
        if let Some(block) = changed.get_mut(at..at + BLOCK_BYTES) {
            block.fill(0);
            self.places += 1;
        }
        changed
    }

    /// A write that went to the wrong place.
    fn copy_block(&mut self, source: &mut Source<'_>, bytes: &[u8], from: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let blocks = bytes.len() / BLOCK_BYTES;
        let (to, from_block) = (source.pick(blocks), source.pick(from.len() / BLOCK_BYTES));
        let to = to * BLOCK_BYTES..(to + 1) * BLOCK_BYTES;
        let from_block = from_block * BLOCK_BYTES..(from_block + 1) * BLOCK_BYTES;
        if let (Some(block), Some(from)) = (changed.get_mut(to), from.get(from_block)) {
            block.copy_from_slice(from);
            self.places += 1;
        }
        changed
    }

    /// A file that is shorter or longer. What it costs depends on what was in it.
    fn cut(&mut self, source: &mut Source<'_>, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        changed.resize(source.place(bytes.len() + BLOCK_BYTES), 0);
        self.places = usize::MAX / 2;
        changed
    }

    fn swap(
        &mut self,
        other: &str,
        name: &str,
        files: &std::collections::BTreeMap<String, Vec<u8>>,
    ) -> Vec<u8> {
        self.disk.put(other, files[name].clone());
        self.is_any |= files[name] != files[other];
        self.places = usize::MAX / 2;
        files[other].clone()
    }

    /// Some sectors of one block of zeros.
    fn tear(&mut self, source: &mut Source<'_>, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let block = source.pick(bytes.len() / BLOCK_BYTES) * BLOCK_BYTES;
        let lost = source.byte();
        for (index, sector) in changed[block..].chunks_mut(512).take(8).enumerate() {
            if lost >> index & 1 == 1 {
                sector.fill(0);
            }
        }
        self.places += 1;
        changed
    }
}

/// What a journal's segments hold after a few steps: for the seeds of the other journal target.
pub fn sample(records: &[(u64, Input)], config: &JournalConfig) -> Vec<Vec<u8>> {
    let disk = MemDisk::default();
    let mut journal = replay(&disk, config).expect("an empty disk is a new journal").journal;
    for (at, (time_ms, input)) in records.iter().enumerate() {
        assert!(append(&mut journal, *time_ms, input), "a record too long for a seed");
        if at % 3 == 2 {
            commit(&mut journal, |_| {}).expect("the disk has no faults");
        }
    }
    commit(&mut journal, |_| {}).expect("the disk has no faults");
    disk.files().into_values().collect()
}

//! What a crash does to what was not synced.

use crate::disk::{Content, FileId, NameChange, SECTOR_BYTES, State, Write};
use crate::random::Random;
use crate::totals::Totals;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashKind {
    /// The machine lives on: what a write had returned for is there, though not durable.
    Kill,
    /// Only what was synced is there for sure.
    PowerCut,
}

/// Decides what of each unsynced write and name survives.
pub(crate) struct Fates<'a> {
    random: &'a mut Random,
    /// Percent of writes that are kept whole, and of those left that are torn.
    kept: u64,
    torn: u64,
}

impl Fates<'_> {
    pub fn new(random: &mut Random) -> Fates<'_> {
        // A crash that loses nothing and one that loses everything are as likely as one between.
        let kept = random.pick(&[0, 0, 30, 60, 100]);
        let torn = random.pick(&[0, 50, 100]);
        Fates { random, kept, torn }
    }

    /// The whole disk after a crash.
    pub fn decide(&mut self, state: &mut State, kind: CrashKind) {
        if kind == CrashKind::PowerCut {
            self.decide_names(state);
        }
        let State { files, names, durable_names, changes, totals, .. } = state;
        let is_named = |file: &FileId| {
            let changed = |change: &NameChange| change.file() == Some(*file);
            names.values().chain(durable_names.values()).any(|named| named == file)
                || changes.iter().any(changed)
        };
        files.retain(|file, _| is_named(file));
        for content in files.values_mut() {
            match kind {
                CrashKind::Kill => self.kill(content, totals),
                CrashKind::PowerCut => self.cut_power(content, totals),
            }
        }
    }

    fn decide_names(&mut self, state: &mut State) {
        let mut names = state.durable_names.clone();
        let changes: Vec<NameChange> = std::mem::take(&mut state.changes);
        let in_order = self.random.chance(50);
        let mut cut = false;
        for change in changes {
            let kept = self.random.below(100) < self.kept && !cut;
            if kept {
                change.apply(&mut names);
            } else {
                cut = in_order;
                state.totals.names_lost += 1;
            }
        }
        state.names = names.clone();
        state.durable_names = names;
    }

    fn kill(&mut self, content: &mut Content, totals: &mut Totals) {
        let Content { live, unsynced, .. } = content;
        let mut after = Vec::new();
        for write in std::mem::take(unsynced) {
            if write.returned {
                after.push(write);
                continue;
            }
            for piece in self.survivors(write, totals) {
                put(live, &piece);
                after.push(piece);
            }
        }
        *unsynced = after;
    }

    fn cut_power(&mut self, content: &mut Content, totals: &mut Totals) {
        let mut writes = std::mem::take(&mut content.unsynced);
        // The device may have written a later one first, over which the earlier one then came.
        self.random.shuffle(&mut writes);
        for write in writes {
            for piece in self.survivors(write, totals) {
                put(&mut content.durable, &piece);
            }
        }
        content.live.clone_from(&content.durable);
        content.fresh = false;
    }

    /// A device that failed to sync has dropped what it could not write: nobody reads it again.
    pub fn settle_failed_sync(&mut self, content: &mut Content) {
        self.cut_power(content, &mut Totals::default());
    }

    /// The parts of a write that reached the device.
    fn survivors(&mut self, write: Write, totals: &mut Totals) -> Vec<Write> {
        if self.random.below(100) < self.kept {
            totals.writes_kept += 1;
            return vec![Write { returned: true, ..write }];
        }
        let sectors = telling_sectors(&write.bytes);
        if sectors < 2 || !self.random.chance(self.torn) {
            totals.writes_lost += 1;
            return Vec::new();
        }
        totals.writes_torn += 1;
        let at = 1 + self.random.index(sectors - 1);
        let shape = self.random.below(4);
        let odds = self.random.range(10, 90);
        let mut pieces = Vec::new();
        for (number, bytes) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
            let kept = match shape {
                0 => number < at,
                1 => number >= at,
                2 => number != at,
                _ => self.random.chance(odds),
            };
            if kept {
                let offset = write.offset + number * SECTOR_BYTES;
                let bytes = bytes.to_vec();
                pieces.push(Write { id: write.id, offset, bytes, returned: true, aged: false });
            }
        }
        pieces
    }
}

/// The sectors among which a tear shows: without the zeros at the end, unless there is nothing else.
fn telling_sectors(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|&byte| byte != 0);
    last.map_or(bytes.len(), |last| last + 1).div_ceil(SECTOR_BYTES)
}

fn put(target: &mut [u8], write: &Write) {
    target[write.offset..write.offset + write.bytes.len()].copy_from_slice(&write.bytes);
}

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
        let mut fates = Vec::new();
        for write in writes {
            let (id, length) = (write.id, write.bytes.len());
            let pieces = self.survivors(write, totals);
            let kept: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
            fates.push((id, kept == length, kept > 0));
            pieces.iter().for_each(|piece| put(&mut content.durable, piece));
        }
        totals.writes_reordered += overtaken(fates);
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

/// How many writes were not kept whole while something of a later one was: by number, whole, at all.
fn overtaken(mut fates: Vec<(u64, bool, bool)>) -> u64 {
    fates.sort_unstable_by_key(|&(id, ..)| std::cmp::Reverse(id));
    let (mut later, mut count) = (false, 0);
    for (_, whole, any) in fates {
        count += u64::from(later && !whole);
        later |= any;
    }
    count
}

/// The sectors among which a tear shows: without the zeros at the end, unless there is nothing else.
fn telling_sectors(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|&byte| byte != 0);
    last.map_or(bytes.len(), |last| last + 1).div_ceil(SECTOR_BYTES)
}

/// Puts a write into a file, which grows if the write reaches beyond its end.
pub(crate) fn put(target: &mut Vec<u8>, write: &Write) {
    let end = write.offset + write.bytes.len();
    target.resize(target.len().max(end), 0);
    target[write.offset..end].copy_from_slice(&write.bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SECTORS: usize = 6;

    /// Which sectors of one unsynced write survive a power cut, over many of them.
    fn survivors() -> BTreeSet<Vec<bool>> {
        let mut random = Random::new(1);
        let mut seen = BTreeSet::new();
        for _ in 0..5_000 {
            let length = SECTORS * SECTOR_BYTES;
            let bytes = vec![1; length];
            let write = Write { id: 1, offset: 0, bytes, returned: false, aged: false };
            let (live, durable) = (vec![0; length], vec![0; length]);
            let mut content =
                Content { live, durable, unsynced: vec![write], fresh: false, grows: false };
            Fates::new(&mut random).cut_power(&mut content, &mut Totals::default());
            assert_eq!(content.live, content.durable, "a power cut leaves one truth");
            seen.insert(content.live.chunks(SECTOR_BYTES).map(|sector| sector[0] == 1).collect());
        }
        seen
    }

    #[test]
    fn an_unsynced_write_is_kept_lost_and_torn_at_every_sector() {
        let seen = survivors();
        for at in 0..=SECTORS {
            let prefix: Vec<bool> = (0..SECTORS).map(|sector| sector < at).collect();
            let suffix: Vec<bool> = prefix.iter().map(|kept| !kept).collect();
            assert!(seen.contains(&prefix) && seen.contains(&suffix), "torn at sector {at}");
        }
        let hole: Vec<bool> = (0..SECTORS).map(|sector| sector != 3).collect();
        assert!(seen.contains(&hole));
        assert!(seen.len() > 50, "and in other ways: {}", seen.len());
    }

    #[test]
    fn a_later_write_may_survive_an_earlier_one() {
        let mut random = Random::new(1);
        let mut states = BTreeSet::new();
        for _ in 0..2_000 {
            let write = |id, value| {
                let bytes = vec![value; SECTOR_BYTES];
                Write { id, offset: 0, bytes, returned: true, aged: false }
            };
            let (live, durable) = (vec![2; SECTOR_BYTES], vec![0; SECTOR_BYTES]);
            let unsynced = vec![write(1, 1), write(2, 2)];
            let mut content = Content { live, durable, unsynced, fresh: false, grows: false };
            let mut totals = Totals::default();
            Fates::new(&mut random).cut_power(&mut content, &mut totals);
            states.insert((content.live[0], totals.writes_kept, totals.writes_reordered));
        }
        // Nothing; each alone; both, in either order.
        let expected = [(0, 0, 0), (1, 1, 0), (1, 2, 0), (2, 1, 1), (2, 2, 0)];
        assert_eq!(states, BTreeSet::from(expected));
    }
}

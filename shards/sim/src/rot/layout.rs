//! What lies where on a disk, and what damage there must come to.

use journal::{BATCH_HEADER_BYTES, BLOCK_BYTES, Entry, Reader};

use super::Expected;
use crate::disk::SimDisk;
use crate::random::Random;
use crate::task::at_once;

/// How the names of segments and snapshots begin and end.
pub(super) const SEGMENT: &str = "segment-";
const SNAPSHOT: &str = "snapshot-";
const SUFFIX: &str = ".ringbook";
/// The segment that a journal begins with.
const FIRST_SEGMENT: u64 = 1;

/// Where a batch says how long it is.
const LENGTH_FIELD: std::ops::Range<usize> = 40..44;

/// The number in the name of a whole segment or snapshot.
pub(super) fn number_of(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.strip_suffix(SUFFIX)?.parse().ok()
}

pub(super) fn segment_name(number: u64) -> String {
    format!("{SEGMENT}{number:010}{SUFFIX}")
}

/// Where a segment's header says that the file has held another one.
const RECYCLED_FIELD: usize = 48;

/// A whole batch.
struct Placed {
    file: String,
    segment: u64,
    start: usize,
    end: usize,
    first_lsn: u64,
}

pub(super) struct Layout {
    /// Oldest first: record and name.
    pub snapshots: Vec<(u64, String)>,
    pub segments: Vec<u64>,
    /// The segment that a recovery begins to read with; those before it nobody looks at.
    pub start: u64,
    batches: Vec<Placed>,
    /// Segments in files that have held other ones.
    recycled: Vec<String>,
}

impl Layout {
    pub fn of(disk: &SimDisk) -> Layout {
        let files = disk.files();
        let names = || files.iter().map(|(name, _)| name);
        let snapshots = names().filter_map(|name| Some((number_of(name, SNAPSHOT)?, name.clone())));
        let segments = names().filter_map(|name| number_of(name, SEGMENT));
        let (snapshots, segments) = (snapshots.collect(), segments.collect());
        let is_recycled = |name: &&String| {
            number_of(name, SEGMENT).is_some() && disk.bytes(name)[RECYCLED_FIELD] != 0
        };
        let recycled = names().filter(is_recycled).cloned().collect();
        let batches = Vec::new();
        let mut layout = Layout { snapshots, segments, start: 0, batches, recycled };
        let image = disk.image();
        let mut reader = at_once(Reader::open(&image)).expect("a crash leaves what can be read");
        while let Some(entry) = at_once(reader.next()).expect("a crash leaves what can be read") {
            layout.note_batch(&image, &entry);
        }
        let next = layout.snapshots.last().map_or(0, |(lsn, _)| *lsn) + 1;
        let begins = |segment: &&u64| {
            let first = layout.batches.iter().find(|placed| placed.segment == **segment);
            first.is_some_and(|placed| placed.first_lsn <= next)
        };
        layout.start = layout.segments.iter().rfind(begins).copied().unwrap_or(layout.oldest());
        layout
    }

    pub fn oldest(&self) -> u64 {
        self.segments[0]
    }

    /// The first record of a batch tells where the batch is.
    fn note_batch(&mut self, image: &SimDisk, entry: &Entry) {
        let file = segment_name(entry.segment);
        let offset = entry.offset as usize;
        let start = offset - offset % BLOCK_BYTES;
        let known = self.batches.last();
        if known.is_some_and(|last| last.file == file && offset < last.end) {
            return;
        }
        assert_eq!(offset - start, BATCH_HEADER_BYTES, "a batch begins with its header");
        let bytes = image.bytes(&file);
        let field = bytes[start..][LENGTH_FIELD].try_into().expect("four bytes");
        let length = u32::from_le_bytes(field) as usize;
        let end = start + length.next_multiple_of(BLOCK_BYTES);
        let (segment, first_lsn) = (entry.segment, entry.lsn.0);
        self.batches.push(Placed { file, segment, start, end, first_lsn });
    }

    /// A place for damage: one of the last batches, the newest snapshot, or anywhere.
    pub fn choose(&self, files: &[(String, usize)], random: &mut Random) -> (String, usize) {
        let anywhere = random.chance(40);
        if let (false, Some((_, name))) = (anywhere || random.chance(60), self.snapshots.last()) {
            let length =
                files.iter().find(|(file, _)| file == name).map_or(1, |(_, length)| *length);
            return (name.clone(), random.index(length));
        }
        if anywhere || self.batches.is_empty() {
            let (name, length) = &files[random.index(files.len())];
            return (name.clone(), random.index(*length));
        }
        let back = random.index(self.batches.len().min(4));
        let placed = &self.batches[self.batches.len() - 1 - back];
        (placed.file.clone(), placed.start + random.index(placed.end - placed.start))
    }

    /// Whether a file has held another segment.
    pub fn is_recycled(&self, name: &str) -> bool {
        self.recycled.iter().any(|recycled| recycled == name)
    }

    /// Whether there is a way to the state without the newest snapshot: from an older one, or from
    /// nothing if the journal began with that.
    pub fn has_older(&self) -> bool {
        let before = match self.snapshots.as_slice() {
            [(0, _)] => return false,
            [.., (older, _), _] => *older,
            _ => 0,
        };
        let first = self.batches.first();
        self.oldest() == FIRST_SEGMENT || first.is_some_and(|first| first.first_lsn <= before + 1)
    }

    pub fn expect(&self, name: &str, offset: usize) -> Expected {
        if let Some(lsn) = number_of(name, SNAPSHOT) {
            let is_newest = self.snapshots.last().is_some_and(|(newest, _)| *newest == lsn);
            return match (is_newest, self.has_older()) {
                (false, _) => Expected::Harmless,
                (true, true) => Expected::Older(name.to_owned()),
                (true, false) => Expected::RefusedFor(name.to_owned()),
            };
        }
        match number_of(name, SEGMENT) {
            Some(number) if number >= self.start => self.expect_in_segment(number, offset),
            // Spares, what is being made, and what a snapshot covers.
            _ => Expected::Harmless,
        }
    }

    fn expect_in_segment(&self, number: u64, offset: usize) -> Expected {
        if offset < BLOCK_BYTES {
            return Expected::Refused(segment_name(number), 0);
        }
        let within = |placed: &Placed| {
            placed.segment == number && (placed.start..placed.end).contains(&offset)
        };
        let Some(index) = self.batches.iter().position(within) else {
            return Expected::Harmless;
        };
        let Placed { file, start, first_lsn, .. } = &self.batches[index];
        let is_covered = self.snapshots.last().is_some_and(|(lsn, _)| lsn >= first_lsn);
        let is_first = index == 0 && number != FIRST_SEGMENT;
        match index + 1 == self.batches.len() {
            // Nothing is left that tells the number of the first record.
            _ if is_first => Expected::RefusedSomehow,
            true if is_covered => Expected::RefusedSomehow,
            true => Expected::Cut(file.clone(), *start, first_lsn - 1),
            false => Expected::Refused(file.clone(), *start),
        }
    }
}

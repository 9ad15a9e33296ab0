//! Single-bit rot in data at rest: found and refused, or of no consequence; never misread.
//!
//! Tried on an image of what a crash left, so that the run itself goes on with sound disks.

use engine::{Effects, Engine, EngineConfig};
use journal::{BATCH_HEADER_BYTES, BLOCK_BYTES, Entry, JournalConfig, Reader};
use shard::Shard;

use crate::disk::SimDisk;
use crate::random::Random;
use crate::task::at_once;
use crate::totals::Totals;

/// Where a batch says how long it is.
const LENGTH_FIELD: std::ops::Range<usize> = 40..44;

/// Where a batch names its segment. With a lower number it looks like one left over in a recycled
/// file, which is erased without a report: known, to be refined in the journal's `judge`.
const SEGMENT_FIELD: std::ops::Range<usize> = 16..24;

/// What a recovery comes to.
#[derive(Debug, PartialEq, Eq)]
struct Recovered {
    last: u64,
    state_hash: u64,
}

/// A whole batch.
struct Placed {
    file: String,
    start: usize,
    end: usize,
    first_lsn: u64,
}

/// What lies where.
struct Layout {
    batches: Vec<Placed>,
    /// The state hash after each record.
    hashes: Vec<u64>,
}

/// What a flip must come to.
#[derive(Debug)]
enum Expected {
    /// Refused, naming this file and offset.
    Refused(String, usize),
    /// Cut as a torn tail at this place, back to this record: nothing in a journal tells damage to
    /// its last batch from a torn write.
    Cut(String, usize, u64),
    Harmless,
}

/// Flips some bits, each in a fresh image of the disk.
pub(crate) fn try_rot(
    disk: &SimDisk,
    config: &JournalConfig,
    random: &mut Random,
    flips: u64,
    totals: &mut Totals,
) {
    let files = disk.files();
    if !files.iter().any(|(name, _)| name.ends_with(".ringbook")) {
        return;
    }
    let layout = Layout::of(disk, config);
    let (sound, _) = recover(&disk.image(), config)
        .unwrap_or_else(|error| panic!("refused after a crash: {error}"));
    for _ in 0..flips {
        let (name, offset) = match layout.batches.is_empty() || random.chance(40) {
            true => {
                let (name, length) = &files[random.index(files.len())];
                (name.as_str(), random.index(*length))
            }
            false => {
                // The last ones are the most telling.
                let back = random.index(layout.batches.len().min(4));
                let placed = &layout.batches[layout.batches.len() - 1 - back];
                let reach = placed.end - placed.start;
                (placed.file.as_str(), placed.start + random.index(reach))
            }
        };
        let image = disk.image();
        image.flip(name, offset, random.below(8));
        totals.rot += 1;
        let result = recover(&image, config);
        judge(&layout, &sound, (name, offset), result, totals);
    }
}

type Result = std::result::Result<(Recovered, Option<(String, u64)>), String>;

/// Recovers from an image: where it ends, and what was cut.
fn recover(image: &SimDisk, config: &JournalConfig) -> Result {
    let recovered = at_once(Shard::recover(image.clone(), config.clone(), 1, 0, |_| {}));
    let shard = recovered.map_err(|error| error.to_string())?;
    let report = shard.recovery();
    let state_hash = shard.engine().state_hash();
    let cut = report.cut.as_ref().map(|cut| (cut.file.clone(), cut.offset));
    Ok((Recovered { last: report.last.0, state_hash }, cut))
}

fn judge(
    layout: &Layout,
    sound: &Recovered,
    place: (&str, usize),
    result: Result,
    totals: &mut Totals,
) {
    match (layout.expect(place.0, place.1), result) {
        (Expected::Refused(file, offset), Err(error)) => {
            let named = error.contains(&format!("{file} at offset {offset}:"));
            assert!(named, "rot at {place:?}, in {file} at {offset}, is called: {error}");
            totals.rot_refused += 1;
        }
        (Expected::Cut(file, offset, last), Ok((found, cut))) => {
            let unreported = cut.is_none() && SEGMENT_FIELD.contains(&(place.1 - offset));
            assert!(cut == Some((file, offset as u64)) || unreported, "rot at {place:?}: {cut:?}");
            let state_hash = last.checked_sub(1).map_or(0, |index| layout.hashes[index as usize]);
            assert_eq!(found, Recovered { last, state_hash }, "rot at {place:?}");
            totals.rot_cut += 1;
        }
        (Expected::Harmless, Ok((found, _))) => {
            assert_eq!(&found, sound, "rot at {place:?}");
            totals.rot_harmless += 1;
        }
        (expected, result) => panic!("rot at {place:?}: expected {expected:?}, got {result:?}"),
    }
}

impl Layout {
    fn of(disk: &SimDisk, config: &JournalConfig) -> Layout {
        let engine = EngineConfig { shard: config.shard, shards: config.shards, hash_seed: 2 };
        let (mut engine, mut effects) = (Engine::new(engine), Effects::default());
        let image = disk.image();
        let mut layout = Layout { batches: Vec::new(), hashes: Vec::new() };
        let mut reader = at_once(Reader::open(&image)).expect("a crash leaves what can be read");
        while let Some(entry) = at_once(reader.next()).expect("a crash leaves what can be read") {
            layout.note_batch(&image, &entry);
            let _ = engine.step(entry.time_ms, &entry.input, None, &mut effects);
            effects.clear();
            layout.hashes.push(engine.state_hash());
        }
        layout
    }

    /// The first record of a batch tells where the batch is.
    fn note_batch(&mut self, image: &SimDisk, entry: &Entry) {
        let file = format!("segment-{:010}.ringbook", entry.segment);
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
        self.batches.push(Placed { file, start, end, first_lsn: entry.lsn.0 });
    }

    fn expect(&self, name: &str, offset: usize) -> Expected {
        if !name.ends_with(".ringbook") {
            return Expected::Harmless;
        }
        if offset < BLOCK_BYTES {
            return Expected::Refused(name.to_owned(), 0);
        }
        let within =
            |placed: &Placed| placed.file == name && (placed.start..placed.end).contains(&offset);
        let Some(index) = self.batches.iter().position(within) else {
            return Expected::Harmless;
        };
        let Placed { file, start, first_lsn, .. } = &self.batches[index];
        if index + 1 == self.batches.len() {
            return Expected::Cut(file.clone(), *start, first_lsn - 1);
        }
        Expected::Refused(file.clone(), *start)
    }
}

//! Damage to data at rest: found and refused, or of no consequence; never misread.
//!
//! Single bits, whole sectors and whole files. Tried on an image of what a crash left, so that the run
//! itself goes on with sound disks.

mod layout;

use journal::JournalConfig;
use shard::Shard;

use crate::disk::{SECTOR_BYTES, SimDisk};
use crate::random::Random;
use crate::task::at_once;
use crate::totals::Totals;
use layout::{Layout, SEGMENT, number_of, segment_name};

/// How often something is tried in one image.
const TIMES: u64 = 3;
/// Where a batch names its segment. With a lower number it looks like one left over in a recycled
/// file, which is erased without a report: known, to be refined in the journal's `judge`.
const SEGMENT_FIELD: std::ops::Range<usize> = 16..24;

/// What happens to data at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// One bit flips.
    Bit,
    /// A sector reads as zeros.
    Zeros,
    /// A sector reads as something else.
    Garbage,
}

/// What a recovery comes to.
#[derive(Debug, PartialEq, Eq)]
struct Recovered {
    last: u64,
    state_hash: u64,
}

/// And what it says of the way there.
struct Report {
    cut: Option<(String, usize)>,
    damaged_snapshots: Vec<String>,
}

type Result = std::result::Result<(Recovered, Report), String>;

/// What damage must come to.
#[derive(Debug)]
enum Expected {
    /// Refused, naming this file and offset.
    Refused(String, usize),
    /// Refused, naming this file.
    RefusedFor(String),
    /// Refused; what the journal ends with now depends on more than the place.
    RefusedSomehow,
    /// Cut as a torn tail at this place, back to this record: nothing in a journal tells damage to
    /// its last batch from a torn write.
    Cut(String, usize, u64),
    /// An older snapshot and the records behind it come to the same; this one is reported.
    Older(String),
    Harmless,
}

/// Does some damage, each in a fresh image of the disk. `hashes` are the state's: before the first
/// record, and after each.
pub(crate) fn try_rot(
    disk: &SimDisk,
    config: &JournalConfig,
    hashes: (u64, &[u64]),
    random: &mut Random,
    totals: &mut Totals,
) {
    let files: Vec<_> = disk.files().into_iter().filter(|(_, length)| *length > 0).collect();
    if !files.iter().any(|(name, _)| number_of(name, SEGMENT).is_some()) {
        return;
    }
    let layout = Layout::of(disk);
    let (sound, _) = recover(&disk.image(), config)
        .unwrap_or_else(|error| panic!("refused after a crash: {error}"));
    for _ in 0..TIMES {
        let (name, offset) = layout.choose(&files, random);
        let damage = random.pick(&[Damage::Bit, Damage::Bit, Damage::Zeros, Damage::Garbage]);
        let image = disk.image();
        let Some(offset) = do_damage(&image, damage, &name, offset, random) else { continue };
        totals.rot += u64::from(damage == Damage::Bit);
        totals.rot_sectors += u64::from(damage != Damage::Bit);
        let (expected, result) = (layout.expect(&name, offset), recover(&image, config));
        let place = (name.as_str(), offset, damage, layout.is_recycled(&name));
        judge(expected, place, &sound, hashes, result, totals);
    }
    lose_file(disk, config, &layout, &sound, random, totals);
}

/// Returns the first byte that is another one now, if any is.
fn do_damage(
    image: &SimDisk,
    damage: Damage,
    name: &str,
    offset: usize,
    random: &mut Random,
) -> Option<usize> {
    if damage == Damage::Bit {
        image.flip(name, offset, random.below(8));
        return Some(offset);
    }
    let mut bytes = image.bytes(name);
    let before = bytes.clone();
    let start = offset - offset % SECTOR_BYTES;
    let garbage = random.number().to_le_bytes();
    for (at, byte) in bytes[start..start + SECTOR_BYTES].iter_mut().enumerate() {
        *byte = if damage == Damage::Zeros { 0 } else { garbage[at % garbage.len()] };
    }
    let changed = bytes.iter().zip(&before).position(|(now, then)| now != then);
    image.overwrite(name, bytes);
    changed
}

/// A segment with others behind it vanishes, or the newest snapshot: refused, unless something else
/// stands in for it.
fn lose_file(
    disk: &SimDisk,
    config: &JournalConfig,
    layout: &Layout,
    sound: &Recovered,
    random: &mut Random,
    totals: &mut Totals,
) {
    let image = disk.image();
    let lost = match layout.snapshots.last() {
        Some((_, name)) if random.chance(50) => {
            image.lose(name);
            (!layout.has_older()).then(|| segment_name(layout.oldest().max(2) - 1))
        }
        _ if layout.segments.len() < 2 => return,
        _ => {
            let at = random.index(layout.segments.len() - 1);
            let number = layout.segments[at];
            image.lose(&segment_name(number));
            let is_covered = at == 0 && number < layout.start;
            (!is_covered).then(|| segment_name(number))
        }
    };
    totals.lost_files += 1;
    match (lost, recover(&image, config)) {
        (Some(name), Err(error)) => assert!(error.contains(&name), "without {name}: {error}"),
        (None, Ok((found, _))) => assert_eq!(&found, sound, "without a file that nobody needs"),
        (lost, result) => panic!("{lost:?} is lost: {:?}", result.map(|(found, _)| found)),
    }
}

/// Recovers from an image.
fn recover(image: &SimDisk, config: &JournalConfig) -> Result {
    let recovered = at_once(Shard::recover(image.clone(), config.clone(), 1, 0, |_| {}));
    let shard = recovered.map_err(|error| error.to_string())?;
    let (report, state_hash) = (shard.recovery(), shard.engine().state_hash());
    let cut = report.cut.as_ref().map(|cut| (cut.file.clone(), cut.offset as usize));
    let damaged = report.damaged_snapshots.iter();
    let damaged_snapshots = damaged.map(|snapshot| snapshot.file.clone()).collect();
    Ok((Recovered { last: report.last.0, state_hash }, Report { cut, damaged_snapshots }))
}

fn judge(
    expected: Expected,
    place: (&str, usize, Damage, bool),
    sound: &Recovered,
    hashes: (u64, &[u64]),
    result: Result,
    totals: &mut Totals,
) {
    let (is_zeros, is_recycled) = (place.2 == Damage::Zeros, place.3);
    match (expected, result) {
        (Expected::Refused(file, offset), Err(error)) => {
            // Zeros where something should be look like an end that came too early.
            let named = error.contains(&format!("{file} at offset {offset}:")) || is_zeros;
            assert!(named, "rot at {place:?}, in {file} at {offset}, is called: {error}");
            totals.rot_refused += 1;
        }
        (Expected::RefusedFor(file), Err(error)) => {
            assert!(error.contains(&file), "rot at {place:?} is called: {error}");
            totals.rot_refused += 1;
        }
        (Expected::RefusedSomehow, Err(_)) => totals.rot_refused += 1,
        (Expected::Cut(file, offset, last), Ok((found, report))) => {
            // Nothing is left of a batch that fits its sector, and of others it does not show.
            // Without its beginning a batch in a recycled file looks like what another one left.
            let is_beginning = is_recycled && place.1 - offset < SEGMENT_FIELD.end;
            let is_segment = SEGMENT_FIELD.contains(&(place.1 - offset));
            let is_hidden = is_segment || is_beginning || is_zeros;
            let cut = report.cut;
            assert!(is_hidden || cut == Some((file, offset)), "rot at {place:?}: {cut:?}");
            let state_hash = last.checked_sub(1).map_or(hashes.0, |at| hashes.1[at as usize]);
            assert_eq!(found, Recovered { last, state_hash }, "rot at {place:?}");
            totals.rot_cut += 1;
        }
        (Expected::Older(file), Ok((found, report))) => {
            assert_eq!(&found, sound, "rot at {place:?}");
            assert_eq!(report.damaged_snapshots, [file], "rot at {place:?}");
            totals.rot_older += 1;
        }
        (Expected::Harmless, Ok((found, _))) => {
            assert_eq!(&found, sound, "rot at {place:?}");
            totals.rot_harmless += 1;
        }
        (expected, result) => {
            let result = result.map(|(found, _)| found);
            panic!("rot at {place:?}: expected {expected:?}, got {result:?}");
        }
    }
}

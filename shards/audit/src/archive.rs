//! What happens to closed files: they are compressed, and removed when they are old.
//!
//! Promises: the file that is being written is never touched. A compressed file gets its name when it
//! is on the disk whole, and only then the plain one goes; a crash at any moment leaves one of them.
//! Memory is one block.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::Hours;
use crate::files::{Found, create, directory_of, list, sync_directory};
use crate::record::Kind;
use crate::shared::{Shared, Writing};
use crate::time::Day;

const BLOCK_BYTES: usize = 256 << 10;
/// Half the time of the usual level for a tenth more bytes.
const LEVEL: Compression = Compression::new(4);
const HOUR_MS: u64 = 3_600_000;

/// The files of a kind that nobody writes to, oldest first.
pub(crate) fn closed(shared: &Shared, kind: Kind) -> io::Result<Vec<Found>> {
    // In this order: see `Writing`.
    let mut files = list(&directory_of(&shared.config.directory, kind))?;
    match shared.told(kind).state().writing {
        Writing::Nothing => {}
        Writing::Next => files.clear(),
        Writing::File(name) => files.retain(|file| file.name != name),
    }
    Ok(files)
}

/// Removes the closed files of a kind that are older than its retention; gives how many.
pub(crate) fn remove_old(shared: &Shared, kind: Kind) -> io::Result<u64> {
    let days = u64::from(shared.config.retention.days(kind));
    let today = Day::of(shared.config.now_ms());
    let mut removed = 0;
    if days == 0 {
        return Ok(0);
    }
    for file in closed(shared, kind)? {
        if file.name.day.0 + days < today.0 {
            fs::remove_file(&file.path)?;
            removed += 1;
        }
    }
    if removed > 0 {
        sync_directory(&directory_of(&shared.config.directory, kind))?;
    }
    Ok(removed)
}

/// The closed files of a kind that are plain, and of such an age at least.
pub(crate) fn plain(shared: &Shared, kind: Kind, age: Hours) -> io::Result<Vec<Found>> {
    let before_ms = shared.config.now_ms().saturating_sub(u64::from(age.0) * HOUR_MS);
    let mut files = closed(shared, kind)?;
    files.retain(|file| !file.is_packed && (age == Hours(0) || file.changed_ms <= before_ms));
    Ok(files)
}

/// Compresses a closed file. `false` if the trail is being closed, which leaves it as it was.
pub(crate) fn pack(shared: &Shared, kind: Kind, file: &Found) -> io::Result<bool> {
    let directory = directory_of(&shared.config.directory, kind);
    let partial = directory.join(file.name.partial());
    let _ = fs::remove_file(&partial);
    let packed = write_packed(shared, &file.path, &partial);
    if !matches!(packed, Ok(true)) {
        let _ = fs::remove_file(&partial);
        return packed;
    }
    fs::rename(&partial, directory.join(file.name.packed()))?;
    sync_directory(&directory)?;
    fs::remove_file(&file.path)?;
    Ok(true)
}

fn write_packed(shared: &Shared, from: &Path, to: &Path) -> io::Result<bool> {
    let mut from = File::open(from)?;
    let mut encoder = GzEncoder::new(create(to)?, LEVEL);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        if shared.is_closing() {
            return Ok(false);
        }
        let count = match from.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        if count == 0 {
            break;
        }
        encoder.write_all(&block[..count])?;
    }
    encoder.finish()?.sync_all()?;
    Ok(true)
}

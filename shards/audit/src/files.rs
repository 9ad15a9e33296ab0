//! Names and permissions of the files of the trail.
//!
//! `<directory>/<kind>/audit-2026-01-31-001.ndjson`, and `.ndjson.gz` once it is compressed. The day
//! is that of its first write, the number counts from 1 within the day, so names in order are files in
//! order. Promises: files are readable by their owner alone (0600 in 0700); a file is never opened for
//! writing twice, so what a crash left is not appended to.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::record::Kind;
use crate::time::Day;

const PREFIX: &str = "audit-";
const PLAIN: &str = ".ndjson";
const PACKED: &str = ".ndjson.gz";
/// Ends the name of a file that is being compressed into.
const PARTIAL: &str = ".partial";
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// How often a number that is taken already is passed over before that is an error.
const MAX_TAKEN_NUMBERS: u32 = 1_000;

/// Which file of a kind: in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub day: Day,
    pub number: u32,
}

impl Name {
    pub fn plain(self) -> String {
        format!("{PREFIX}{}-{:03}{PLAIN}", self.day, self.number)
    }

    pub fn packed(self) -> String {
        format!("{PREFIX}{}-{:03}{PACKED}", self.day, self.number)
    }

    pub fn partial(self) -> String {
        format!("{}{PARTIAL}", self.packed())
    }

    /// The name of a file, and whether it is compressed.
    fn parse(text: &str) -> Option<(Name, bool)> {
        let (stem, is_packed) = match (text.strip_suffix(PACKED), text.strip_suffix(PLAIN)) {
            (Some(stem), _) => (stem, true),
            (None, stem) => (stem?, false),
        };
        let (day, number) = stem.strip_prefix(PREFIX)?.rsplit_once('-')?;
        let name = Name { day: Day::parse(day)?, number: number.parse().ok()? };
        let spelled = if is_packed { name.packed() } else { name.plain() };
        (spelled == text).then_some((name, is_packed))
    }
}

/// A file that is there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub name: Name,
    pub path: PathBuf,
    pub is_packed: bool,
    /// On the disk.
    pub bytes: u64,
    /// Its last change, in ms since the epoch.
    pub changed_ms: u64,
}

pub(crate) fn directory_of(root: &Path, kind: Kind) -> PathBuf {
    root.join(kind.as_str())
}

/// Makes a directory that nobody else may look into, or makes one that is there such.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) => Err(error),
    }
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The files of a directory, oldest first. Of a file that is there in both forms only the compressed
/// one, which is whole: it gets its name last.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let text = entry.file_name();
        let Some((name, is_packed)) = text.to_str().and_then(Name::parse) else { continue };
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (path, changed_ms) = (entry.path(), changed.as_millis() as u64);
        found.push(Found { name, path, is_packed, bytes: metadata.len(), changed_ms });
    }
    found.sort_by_key(|file| (file.name, !file.is_packed));
    found.dedup_by_key(|file| file.name);
    Ok(found)
}

/// Removes what a crash in the middle of compressing left: half of a compressed file, or the plain
/// form of one that is whole.
pub(crate) fn clear_leftovers(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let text = entry.file_name();
        let Some(text) = text.to_str() else { continue };
        let half = text.strip_suffix(PARTIAL).and_then(Name::parse);
        let doubled = Name::parse(text)
            .is_some_and(|(name, is_packed)| !is_packed && directory.join(name.packed()).is_file());
        if half.is_some() || doubled {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Creates the next file of a day.
pub(crate) fn create_next(directory: &Path, day: Day) -> io::Result<(Name, File)> {
    let files = match list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_directory(directory)?;
            Vec::new()
        }
        other => other?,
    };
    let same_day = files.iter().filter(|file| file.name.day == day);
    let last = same_day.map(|file| file.name.number).max().unwrap_or(0);
    for step in 1..=MAX_TAKEN_NUMBERS {
        let name = Name { day, number: last.saturating_add(step) };
        match create(&directory.join(name.plain())) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => {
                let file = result?;
                sync_directory(directory)?;
                return Ok((name, file));
            }
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "the next numbers of the day are all taken"))
}

/// Creates a file that was not there.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Whether nobody can reach an open file by a name any more.
pub(crate) fn is_gone(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Whether a plain file ends in the middle of a line.
pub(crate) fn is_torn(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_the_trail_gives_are_its_files() {
        let name = Name { day: Day::parse("2026-01-31").unwrap(), number: 12 };
        assert_eq!(name.plain(), "audit-2026-01-31-012.ndjson");
        assert_eq!(Name::parse(&name.plain()), Some((name, false)));
        assert_eq!(Name::parse(&name.packed()), Some((name, true)));
        for other in ["audit-2026-01-31-12.ndjson", "audit-2026-02-30-001.ndjson", "x.ndjson"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        assert_eq!(Name::parse(&name.partial()), None);
        let many = Name { number: 1_000, ..name };
        assert!(many > name && Name::parse(&many.plain()) == Some((many, false)));
    }

    #[test]
    fn a_crash_while_compressing_leaves_one_form_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: String| directory.path().join(name);
        let name = Name { day: Day::parse("2026-01-31").unwrap(), number: 1 };
        let next = Name { number: 2, ..name };
        for name in [name.plain(), name.packed(), next.plain(), next.partial()] {
            fs::write(path(name), "x\n").unwrap();
        }
        let listed = list(directory.path()).unwrap();
        assert_eq!(listed.iter().map(|file| file.is_packed).collect::<Vec<_>>(), [true, false]);
        clear_leftovers(directory.path()).unwrap();
        assert!(!path(name.plain()).exists() && path(name.packed()).exists());
        assert!(path(next.plain()).exists() && !path(next.partial()).exists());
    }
}

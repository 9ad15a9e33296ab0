//! Where a data directory keeps its shards, and how many it has.
//!
//! ```text
//! DATA/layout                       which generation counts, and its number of shards
//! DATA/generation-0001/shard-0000/  the journal and the snapshots of one shard
//! DATA/generation-0002/…            made by a change of the shard count
//! ```
//!
//! Promises: the file `layout` is replaced atomically, so at every moment exactly one generation
//! counts; a generation is complete and durable before it does. One that was never finished is removed
//! at the next start; the one before the current one is kept, until the next change of the shard
//! count, for whoever wants to look back.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the file that says which generation counts.
const LAYOUT_FILE: &str = "layout";
const LAYOUT_PREPARING: &str = "layout.preparing";
const GENERATION_PREFIX: &str = "generation-";
const FORMAT: u32 = 1;

/// Which set of shard directories counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Counts up from 1 with every change of the shard count.
    pub generation: u32,
    /// How many shards.
    pub shards: u16,
}

/// Why a data directory cannot be understood or prepared.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The file is not one that this program wrote.
    #[error("{}: {why}", file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There are journals, but nothing says which of them count.
    #[error(
        "{} has shards in it but no file `layout` that says which of them count; put that file \
         back, or choose another directory with --data",
        directory.display()
    )]
    Missing {
        /// The data directory.
        directory: PathBuf,
    },
    /// The system's error.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_path_buf();
    move |source| LayoutError::Io { what, path, source }
}

impl Layout {
    /// What a new data directory begins with.
    pub fn first(shards: u16) -> Layout {
        Layout { generation: 1, shards }
    }

    /// The layout of a data directory; `None` when it is new.
    pub fn read(data: &Path) -> Result<Option<Layout>, LayoutError> {
        let file = data.join(LAYOUT_FILE);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let why = "is not a layout that this version of ringbook can read";
                parse(&text).map(Some).ok_or(LayoutError::Malformed { file, why })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A first start that was killed has made directories, but nothing in them.
                let generations = generations(data)?;
                let is_used = |path: &PathBuf| has_files(path).unwrap_or(true);
                match generations.iter().any(|(_, path)| is_used(path)) {
                    true => Err(LayoutError::Missing { directory: data.to_path_buf() }),
                    false => Ok(None),
                }
            }
            Err(error) => Err(failed("read", &file)(error)),
        }
    }

    /// The generation behind this one.
    pub fn next(self, shards: u16) -> Layout {
        Layout { generation: self.generation + 1, shards }
    }

    /// The directory of one shard.
    pub fn shard_directory(self, data: &Path, shard: u16) -> PathBuf {
        self.directory(data).join(format!("shard-{shard:04}"))
    }

    fn directory(self, data: &Path) -> PathBuf {
        data.join(format!("{GENERATION_PREFIX}{:04}", self.generation))
    }

    /// Makes the directories of all its shards, durable by name.
    pub fn make_directories(self, data: &Path) -> Result<(), LayoutError> {
        for shard in 0..self.shards {
            let directory = self.shard_directory(data, shard);
            std::fs::create_dir_all(&directory).map_err(failed("make", &directory))?;
        }
        for directory in [&self.directory(data), data] {
            sync_directory(directory)?;
        }
        Ok(())
    }

    /// Makes this the layout that counts, at once and durably.
    pub fn commit(self, data: &Path) -> Result<(), LayoutError> {
        let (preparing, file) = (data.join(LAYOUT_PREPARING), data.join(LAYOUT_FILE));
        let Layout { generation, shards } = self;
        let text = format!("format {FORMAT}\ngeneration {generation}\nshards {shards}\n");
        let written = File::create(&preparing).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed("write", &preparing))?;
        std::fs::rename(&preparing, &file).map_err(failed("rename", &preparing))?;
        sync_directory(data)
    }

    /// For before anything is served: makes durable that this layout counts, removes generations that
    /// were never finished, and those before the last one.
    pub fn clean(self, data: &Path) -> Result<(), LayoutError> {
        // Whoever gave the file its name may have been killed before the directory was synced: a
        // power cut would then take back the whole generation that is served from now on.
        sync_directory(data)?;
        for (generation, path) in generations(data)? {
            if generation > self.generation || generation + 1 < self.generation {
                std::fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn parse(text: &str) -> Option<Layout> {
    let mut lines = text.lines();
    let mut number = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    let (format, generation, shards): (u32, u32, u32) =
        (number("format")?, number("generation")?, number("shards")?);
    let is_whole = format == FORMAT && generation > 0 && shards > 0 && lines.next().is_none();
    is_whole.then_some(Layout { generation, shards: u16::try_from(shards).ok()? })
}

fn generations(data: &Path) -> Result<Vec<(u32, PathBuf)>, LayoutError> {
    let entries = std::fs::read_dir(data).map_err(failed("list", data))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed("list", data))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(GENERATION_PREFIX).and_then(|digits| digits.parse().ok());
        found.extend(number.map(|number| (number, path.clone())));
    }
    Ok(found)
}

/// Whether any shard's directory has something in it.
fn has_files(generation: &Path) -> io::Result<bool> {
    for shard in std::fs::read_dir(generation)? {
        if std::fs::read_dir(shard?.path())?.next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn sync_directory(directory: &Path) -> Result<(), LayoutError> {
    let synced = File::open(directory).and_then(|file| file.sync_all());
    synced.map_err(failed("sync", directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    #[test]
    fn what_was_committed_is_read_again() {
        let directory = TestDirectory::new("layout");
        let data = directory.path();
        assert_eq!(Layout::read(data).unwrap(), None);
        let first = Layout::first(2);
        first.make_directories(data).unwrap();
        assert_eq!(Layout::read(data).unwrap(), None, "a start that was killed begins anew");
        first.commit(data).unwrap();
        assert_eq!(Layout::read(data).unwrap(), Some(first));
        let second = first.next(4);
        second.make_directories(data).unwrap();
        second.commit(data).unwrap();
        assert_eq!(Layout::read(data).unwrap(), Some(Layout { generation: 2, shards: 4 }));
    }

    #[test]
    fn unfinished_and_old_generations_are_removed_and_the_last_one_is_kept() {
        let directory = TestDirectory::new("layout-clean");
        let data = directory.path();
        let mut layout = Layout::first(1);
        for shards in 2..6 {
            layout.make_directories(data).unwrap();
            layout = layout.next(shards);
        }
        let current = Layout { generation: 3, shards: 3 };
        current.clean(data).unwrap();
        let mut left: Vec<u32> = generations(data).unwrap().iter().map(|&(at, _)| at).collect();
        left.sort_unstable();
        assert_eq!(left, [2, 3]);
    }

    #[test]
    fn journals_without_a_layout_are_refused() {
        let directory = TestDirectory::new("layout-missing");
        let data = directory.path();
        let layout = Layout::first(1);
        layout.make_directories(data).unwrap();
        std::fs::write(layout.shard_directory(data, 0).join("segment"), "x").unwrap();
        assert!(matches!(Layout::read(data), Err(LayoutError::Missing { .. })));
    }

    #[test]
    fn a_file_that_is_no_layout_is_refused() {
        let directory = TestDirectory::new("layout-malformed");
        let data = directory.path();
        for text in [
            "",
            "format 2\ngeneration 1\nshards 1\n",
            "format 1\ngeneration 0\nshards 1\n",
            "format 1\ngeneration 1\nshards 0\n",
            "format 1\ngeneration 1\nshards 70000\n",
            "format 1\ngeneration 1\n",
            "format 1\ngeneration 1\nshards 1\nmore",
        ] {
            std::fs::write(data.join(LAYOUT_FILE), text).unwrap();
            assert!(matches!(Layout::read(data), Err(LayoutError::Malformed { .. })), "{text:?}");
        }
    }
}

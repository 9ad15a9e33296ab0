//! The lock on a data directory: two servers on one directory would destroy each other's journal,
//! and with `SO_REUSEPORT` the second would even take half of the first one's connections.
//!
//! It is an advisory lock (`flock`) on the file [`LOCK_FILE_NAME`] inside the directory, which the
//! kernel releases with the process however it ends, so a crash leaves nothing to clean up. The
//! file holds the process id of the holder only to name it in the error; the id alone never counts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Name of the lock file inside a data directory.
pub const LOCK_FILE_NAME: &str = "ringbook.lock";

/// Why a data directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "the data directory {} is in use by {}; stop it, or choose another directory with --data",
        directory.display(),
        holder(*process)
    )]
    Held {
        /// The directory.
        directory: PathBuf,
        /// Its holder's process id, if the lock file tells.
        process: Option<u32>,
    },
    /// The lock file cannot be opened, read or written.
    #[error("cannot lock the data directory {}: {source}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(process: Option<u32>) -> String {
    match process {
        Some(id) => format!("another ringbook (process {id})"),
        None => "another ringbook".to_owned(),
    }
}

/// Holds a data directory until dropped, or until the process ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
    directory: PathBuf,
}

impl DirectoryLock {
    /// Locks the directory, which must exist.
    pub fn acquire(directory: impl AsRef<Path>) -> Result<DirectoryLock, LockError> {
        let directory = directory.as_ref().to_path_buf();
        let failed = |source| LockError::Io { directory: directory.clone(), source };
        // Not truncated on opening: the content is the holder's until the lock is ours.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(LOCK_FILE_NAME))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let process =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held { directory, process });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(DirectoryLock { _file: file, directory })
    }

    /// The locked directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    #[test]
    fn the_second_is_refused_and_told_who_holds_it() {
        let directory = TestDirectory::new("lock");
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let refused = DirectoryLock::acquire(directory.path()).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(&directory.path().display().to_string()), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(first);
        let again = DirectoryLock::acquire(directory.path()).unwrap();
        assert_eq!(again.directory(), directory.path());
    }

    #[test]
    fn a_stale_file_does_not_count() {
        let directory = TestDirectory::new("lock-stale");
        std::fs::write(directory.path().join(LOCK_FILE_NAME), "4194303\nmore text").unwrap();
        let _lock = DirectoryLock::acquire(directory.path()).unwrap();
        let text = std::fs::read_to_string(directory.path().join(LOCK_FILE_NAME)).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = DirectoryLock::acquire("/nonexistent/ringbook").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ringbook"), "{error}");
    }
}

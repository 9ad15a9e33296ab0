//! Files with secrets: read only if nobody but their owner may, written so that nobody but their owner can.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Longest such file: a key and its secret are far below.
const MAX_BYTES: u64 = 4 * 1024;
/// What only the owner may do, and what others must not be able to.
const OWNERS: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Reads one.
pub fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    // Of what was opened, not of what has the name a moment later.
    let metadata = file.metadata().with_context(|| format!("cannot read {shown}"))?;
    ensure!(metadata.is_file(), "{shown} is no regular file");
    ensure!(
        metadata.permissions().mode() & OTHERS == 0,
        "{shown} may be read by others than its owner: chmod 600 {shown}"
    );
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {shown}"))?;
    ensure!(text.len() as u64 <= MAX_BYTES, "{shown} is longer than {MAX_BYTES} bytes");
    Ok(text)
}

/// Makes an empty one, which must not be there yet.
pub fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(OWNERS).open(path);
    file.with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_made_can_be_read_until_others_may_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        create(&path).unwrap().write_all(b"text").unwrap();
        assert_eq!(read(&path).unwrap(), "text");
        assert!(create(&path).is_err(), "it was there");
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("chmod 600"), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_small_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(directory.path()).unwrap_err().to_string().contains("regular"));
        let path = directory.path().join("long");
        create(&path).unwrap().write_all(&[b'a'; 5_000]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("4096"));
    }
}

//! A [`Disk`] on plain files, for tools and tests: nothing here ever waits in the background, so its
//! futures are ready at once and [`block_on`] needs no executor.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::disk::{Disk, DiskBuffer, DiskFile};

/// A directory of plain files.
#[derive(Clone, Debug)]
pub struct StdDisk {
    directory: Arc<Path>,
    read_only: bool,
}

/// An open plain file.
#[derive(Debug)]
pub struct StdFile {
    file: File,
}

/// Plain memory.
#[derive(Debug)]
pub struct StdBuffer(Vec<u8>);

impl StdDisk {
    /// A directory, for reading and writing.
    pub fn new(directory: impl Into<PathBuf>) -> StdDisk {
        StdDisk { directory: Arc::from(directory.into()), read_only: false }
    }

    /// A directory that must not change: files open for reading, everything else is refused.
    pub fn read_only(directory: impl Into<PathBuf>) -> StdDisk {
        StdDisk { directory: Arc::from(directory.into()), read_only: true }
    }

    fn writable_path(&self, name: &str) -> io::Result<PathBuf> {
        match self.read_only {
            true => Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "opened read-only")),
            false => Ok(self.directory.join(name)),
        }
    }
}

impl DiskBuffer for StdBuffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Disk for StdDisk {
    type File = StdFile;
    type Buffer = StdBuffer;

    fn buffer(&self, length: usize) -> StdBuffer {
        StdBuffer(vec![0; length])
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    async fn create(&self, name: &str, length: u64) -> io::Result<StdFile> {
        let path = self.writable_path(name)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(length)?;
        Ok(StdFile { file })
    }

    async fn open(&self, name: &str) -> io::Result<StdFile> {
        let path = self.directory.join(name);
        let file = OpenOptions::new().read(true).write(!self.read_only).open(path)?;
        Ok(StdFile { file })
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.writable_path(from)?, self.writable_path(to)?)
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.writable_path(name)?)
    }

    async fn sync_directory(&self) -> io::Result<()> {
        File::open(self.writable_path("")?)?.sync_all()
    }
}

impl DiskFile for StdFile {
    type Buffer = StdBuffer;

    async fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    async fn write_at(
        &self,
        buffer: StdBuffer,
        length: usize,
        offset: u64,
    ) -> (StdBuffer, io::Result<usize>) {
        let result = match buffer.0.get(..length) {
            Some(bytes) => self.file.write_all_at(bytes, offset).map(|()| length),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "longer than the buffer")),
        };
        (buffer, result)
    }

    async fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Runs a future to its end on this thread. For futures that are ready whenever they are polled, as
/// those of [`StdDisk`] are; one that waits is polled again and again.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

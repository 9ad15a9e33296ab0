//! A [`Disk`] on plain files, for tools, tests and the thread that writes snapshots: nothing here ever
//! waits in the background, so its futures are ready at once and [`block_on`] needs no executor.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use crate::pace::Pace;

/// How much of a file one removal takes at once where it goes gently, in bytes. What frees space makes
/// the file system's own journal, and a device that is told of free space, busy for as long as that
/// takes, and a shard's commit waits behind it.
const SHRINK_BYTES: u64 = 4 << 20;
/// Of unfinished segments and snapshots.
const UNFINISHED_EXTENSION: &str = "preparing";

/// A directory of plain files.
#[derive(Clone, Debug)]
pub struct StdDisk {
    directory: Arc<Path>,
    read_only: bool,
    direct: bool,
    pace: Option<Arc<Pace>>,
}

/// An open plain file.
#[derive(Debug)]
pub struct StdFile {
    file: File,
    pace: Option<Arc<Pace>>,
}

/// Plain memory, aligned as direct I/O needs it.
#[derive(Debug)]
pub struct StdBuffer {
    /// A block longer than the buffer, so that an aligned part of the length is in it.
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl StdBuffer {
    fn zeroed(length: usize) -> StdBuffer {
        let memory = vec![0; length + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        StdBuffer { memory, start, length }
    }
}

impl StdDisk {
    /// A directory, for reading and writing.
    pub fn new(directory: impl Into<PathBuf>) -> StdDisk {
        StdDisk {
            directory: Arc::from(directory.into()),
            read_only: false,
            direct: false,
            pace: None,
        }
    }

    /// A directory that must not change: files open for reading, everything else is refused.
    pub fn read_only(directory: impl Into<PathBuf>) -> StdDisk {
        StdDisk { read_only: true, ..StdDisk::new(directory) }
    }

    /// The same directory, but files are read and written past the page cache (`O_DIRECT`): for a
    /// thread beside a live shard, which must neither crowd that cache nor look at its copy of blocks
    /// that the shard writes directly. On a file system that has no direct I/O, such as tmpfs, it goes
    /// through the cache after all, as everything there does.
    #[must_use]
    pub fn direct(self) -> StdDisk {
        StdDisk { direct: true, ..self }
    }

    /// The same directory, for a thread that shares the device with live shards: what is read and
    /// written goes in small pieces, at most `bytes_per_s` of both together, and files are removed a
    /// part at a time. 0 is without a limit, but still in pieces. Clones share the limit.
    #[must_use]
    pub fn gentle(self, bytes_per_s: u64) -> StdDisk {
        StdDisk { pace: Some(Arc::new(Pace::new(bytes_per_s))), ..self }
    }

    fn open_with(&self, options: &mut OpenOptions, path: &Path) -> io::Result<StdFile> {
        let file = |file| StdFile { file, pace: self.pace.clone() };
        if self.direct {
            match options.clone().custom_flags(libc::O_DIRECT).open(path) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                opened => return Ok(file(opened?)),
            }
        }
        Ok(file(options.open(path)?))
    }

    /// Takes a file's space away from its end on.
    fn shrink(path: &Path, pace: &Pace) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let mut length = file.metadata()?.len();
        while length > SHRINK_BYTES {
            length -= SHRINK_BYTES;
            file.set_len(length)?;
            pace.took(SHRINK_BYTES);
        }
        Ok(())
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
        &self.memory[self.start..self.start + self.length]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

impl Disk for StdDisk {
    type File = StdFile;
    type Buffer = StdBuffer;

    fn buffer(&self, length: usize) -> StdBuffer {
        StdBuffer::zeroed(length)
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
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.set_len(length)?;
        if !self.direct {
            return Ok(StdFile { file, pace: self.pace.clone() });
        }
        self.open_with(OpenOptions::new().read(true).write(true), &path)
    }

    async fn open(&self, name: &str) -> io::Result<StdFile> {
        let path = self.directory.join(name);
        self.open_with(OpenOptions::new().read(true).write(!self.read_only), &path)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.writable_path(from)?, self.writable_path(to)?)
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.writable_path(name)?;
        let Some(pace) = &self.pace else { return std::fs::remove_file(path) };
        // A part of a file must not be taken for the whole: it goes under the name, durably, of one
        // that was never finished, which a start removes.
        let going = path.with_extension(UNFINISHED_EXTENSION);
        std::fs::rename(path, &going)?;
        self.sync_directory().await?;
        StdDisk::shrink(&going, pace)?;
        std::fs::remove_file(going)
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
        let mut buffer = StdBuffer::zeroed(length);
        let bytes = buffer.bytes_mut();
        let mut filled = 0;
        while filled < length {
            let end = match &self.pace {
                Some(pace) => pace.piece_end(filled, length),
                None => length,
            };
            match self.file.read_at(&mut bytes[filled..end], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    if let Some(pace) = &self.pace {
                        pace.took(count as u64);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // The end of the file: direct I/O could not go on from the middle of a block.
            if !filled.is_multiple_of(BLOCK_BYTES) {
                break;
            }
        }
        let StdBuffer { mut memory, start, .. } = buffer;
        memory.truncate(start + filled);
        memory.drain(..start);
        Ok(memory)
    }

    async fn write_at(
        &self,
        buffer: StdBuffer,
        length: usize,
        offset: u64,
    ) -> (StdBuffer, io::Result<usize>) {
        let result = match buffer.bytes().get(..length) {
            Some(bytes) => match &self.pace {
                Some(pace) => write_in_pieces(&self.file, bytes, offset, pace),
                None => write_at(&self.file, bytes, offset),
            },
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "longer than the buffer")),
        };
        (buffer, result)
    }

    async fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Several small writes; as much of it as the system takes.
fn write_in_pieces(file: &File, bytes: &[u8], offset: u64, pace: &Pace) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let piece = &bytes[done..pace.piece_end(done, bytes.len())];
        match write_at(file, piece, offset + done as u64) {
            Ok(count) => {
                done += count;
                pace.took(count as u64);
                if count < piece.len() {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            // The caller goes on behind what is written, and meets the error again.
            Err(_) => break,
        }
    }
    Ok(done)
}

/// One write; as much of it as the system takes, for the caller to go on from there.
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.write_at(bytes, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_gently_reads_what_was_written_and_removes_all_of_it() {
        let name = format!("ringbook-gentle-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let disk = StdDisk::new(directory.as_path()).gentle(0);
        let length = (2 * SHRINK_BYTES) as usize + BLOCK_BYTES;
        let content: Vec<u8> = (0..length).map(|at| (at / BLOCK_BYTES) as u8 ^ at as u8).collect();
        block_on(async {
            let file = disk.create("spare-0000000007.ringbook", 0).await.unwrap();
            let mut buffer = disk.buffer(length);
            buffer.bytes_mut().copy_from_slice(&content);
            let (_, written) = file.write_at(buffer, length, 0).await;
            assert_eq!(written.unwrap(), length);
            assert!(file.read_at(0, length + BLOCK_BYTES).await.unwrap() == content);
            disk.remove("spare-0000000007.ringbook").await.unwrap();
            assert_eq!(disk.list().await.unwrap(), Vec::<String>::new());
            let error = disk.remove("spare-0000000007.ringbook").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

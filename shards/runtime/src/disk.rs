//! The journal's [`Disk`] on real hardware: direct I/O through io_uring.
//!
//! A [`DirectDisk`] is one directory, used by one executor. It promises:
//!
//! - every write goes straight to the device (`O_DIRECT`), from aligned memory, and the executor
//!   runs on while it is under way;
//! - a short write is reported as one, never hidden or continued;
//! - an error carries the operation and the path, and keeps its kind, so that a full disk is still
//!   [`io::ErrorKind::StorageFull`] for the journal;
//! - after [`DiskFile::sync`] returned, everything written before is on the device. Whether each
//!   write is durable by itself ([`Durability::EachWrite`]) or only the sync makes it so is the
//!   configuration's choice, not the caller's concern.
//!
//! Renaming, removing and listing go to glommio's helper thread: io_uring has no list, and these
//! happen once a segment.

use crate::error::io_error;
use glommio::io::{Directory, DmaBuffer, DmaFile, OpenOptions};
use journal::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use nix::libc;
use std::cell::Cell;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How much of a new file is zeroed with one write, in bytes: small enough to let a commit of
/// another file in between, large enough to reach the device's bandwidth.
const ZERO_FILL_CHUNK_BYTES: usize = 512 * 1024;

/// Name of the file that the check for direct I/O creates and removes.
const PROBE_FILE_NAME: &str = ".ringbook-direct-io-probe";

/// How written bytes become durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Files are opened with `O_DSYNC`: a write returns when its bytes are durable. One trip to the
    /// device instead of two, so the default; see docs/benchmarks.md.
    #[default]
    EachWrite,
    /// Writes return when the device has the bytes, perhaps in a volatile cache;
    /// [`DiskFile::sync`] is an `fdatasync`.
    Sync,
}

/// How a [`DirectDisk`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectDiskConfig {
    /// How bytes become durable.
    pub durability: Durability,
    /// Whether a new file is written full of zeros. Costs its length once, and makes each later
    /// write into it about a third faster: the file system has no extents to convert.
    pub zero_fill: bool,
    /// Whether a file system in memory (tmpfs) will do: for tests and throw-away runs.
    pub allow_memory: bool,
}

impl Default for DirectDiskConfig {
    fn default() -> Self {
        Self { durability: Durability::default(), zero_fill: true, allow_memory: false }
    }
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file system refuses `O_DIRECT`.
    #[error(
        "the file system of {} has no direct I/O (O_DIRECT), which the journal needs; put the data \
         directory on ext4 or xfs, for instance with --data on a local disk",
        directory.display()
    )]
    NoDirectIo {
        /// The directory.
        directory: PathBuf,
    },
    /// The file system lives in memory and would forget everything at a power cut.
    #[error(
        "{} is on a file system in memory (tmpfs), where no order would survive a power cut; \
         choose a directory on a disk with --data",
        directory.display()
    )]
    InMemory {
        /// The directory.
        directory: PathBuf,
    },
    /// The system's error.
    #[error("cannot use the directory {}: {source}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory of files under direct I/O. Cheap to clone. See the module documentation.
#[derive(Clone, Debug)]
pub struct DirectDisk {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    config: DirectDiskConfig,
}

impl DirectDisk {
    /// Opens a directory, which must exist, and checks that it can do what the journal needs.
    /// For the start of a server: it touches the disk synchronously.
    pub fn open(
        directory: impl Into<PathBuf>,
        config: DirectDiskConfig,
    ) -> Result<DirectDisk, DiskError> {
        let directory = directory.into();
        let failed = |source| DiskError::Io { directory: directory.clone(), source };
        let kind = nix::sys::statfs::statfs(&directory).map_err(|errno| failed(errno.into()))?;
        if kind.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC {
            if !config.allow_memory {
                return Err(DiskError::InMemory { directory });
            }
        } else if !direct_io_works(&directory).map_err(failed)? {
            return Err(DiskError::NoDirectIo { directory });
        }
        Ok(DirectDisk { inner: Rc::new(Inner { directory, config }) })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// The path of a file. Names are plain: a separator in one is a mistake of the caller.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("file name {name:?}")));
        }
        Ok(self.inner.directory.join(name))
    }

    fn durable_flags(&self) -> libc::c_int {
        match self.inner.config.durability {
            Durability::EachWrite => libc::O_DSYNC,
            Durability::Sync => 0,
        }
    }

    async fn open_path(&self, path: &Path, flags: libc::c_int) -> io::Result<DmaFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags);
        options.dma_open(path).await.map_err(io_error)
    }
}

fn direct_io_works(directory: &Path) -> io::Result<bool> {
    let path = directory.join(PROBE_FILE_NAME);
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path);
    let works = match opened {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => return Err(error),
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => works,
    }
}

/// Zeroes the file from end to end. Plain writes: the later sync makes them durable together.
async fn fill_with_zeros(file: &DmaFile, length: u64) -> io::Result<()> {
    let chunk_bytes = (ZERO_FILL_CHUNK_BYTES as u64).min(length) as usize;
    let mut zeros = file.alloc_dma_buffer(chunk_bytes);
    zeros.as_bytes_mut().fill(0);
    let zeros = Rc::new(zeros);
    let mut offset = 0;
    while offset < length {
        let left = length - offset;
        let written = if left >= chunk_bytes as u64 {
            file.write_rc_at(zeros.clone(), offset).await.map_err(io_error)?
        } else {
            let mut tail = file.alloc_dma_buffer(left as usize);
            tail.as_bytes_mut().fill(0);
            file.write_at(tail, offset).await.map_err(io_error)?
        };
        if written == 0 || written % BLOCK_BYTES != 0 {
            // A device stops in the middle of a block only when it is full.
            return Err(io::ErrorKind::StorageFull.into());
        }
        offset += written as u64;
    }
    Ok(())
}

impl Disk for DirectDisk {
    type File = DirectFile;
    type Buffer = DirectBuffer;

    fn buffer(&self, length: usize) -> DirectBuffer {
        DirectBuffer::zeroed(length)
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        let directory = self.inner.directory.clone();
        let list = move || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                if entry.file_type()?.is_file()
                    && let Ok(name) = entry.file_name().into_string()
                {
                    names.push(name);
                }
            }
            Ok(names)
        };
        glommio::executor().spawn_blocking(list).await
    }

    async fn create(&self, name: &str, length: u64) -> io::Result<DirectFile> {
        let path = self.path(name)?;
        // Filled through a plain descriptor: `O_DSYNC` would flush the device at every chunk.
        let file = self.open_path(&path, libc::O_CREAT | libc::O_EXCL).await?;
        if length > 0 {
            let prepared = async {
                file.pre_allocate(length, false).await.map_err(io_error)?;
                if self.inner.config.zero_fill {
                    fill_with_zeros(&file, length).await?;
                }
                Ok(())
            };
            if let Err(error) = prepared.await {
                // Half a file would stand in the way of the next attempt.
                let _ = glommio::io::remove(&path).await;
                return Err(error);
            }
        }
        // Whoever fills it further does so without a flush at every write, and syncs once.
        Ok(DirectFile { file, durability: Durability::Sync, unsynced: Cell::new(true) })
    }

    async fn open(&self, name: &str) -> io::Result<DirectFile> {
        let path = self.path(name)?;
        let file = self.open_path(&path, self.durable_flags()).await?;
        // A killed process may have left bytes that no sync has covered yet.
        let (durability, unsynced) = (self.inner.config.durability, Cell::new(true));
        Ok(DirectFile { file, durability, unsynced })
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from)?, self.path(to)?);
        glommio::executor().spawn_blocking(move || std::fs::rename(from, to)).await
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        glommio::executor().spawn_blocking(move || std::fs::remove_file(path)).await
    }

    async fn sync_directory(&self) -> io::Result<()> {
        let directory = Directory::open(&self.inner.directory).await.map_err(io_error)?;
        directory.sync().await.map_err(io_error)?;
        directory.close().await.map_err(io_error)
    }
}

/// An open file of a [`DirectDisk`].
#[derive(Debug)]
pub struct DirectFile {
    file: DmaFile,
    durability: Durability,
    /// With [`Durability::EachWrite`]: whether something was done that `O_DSYNC` does not cover
    /// (the allocation and the zeros of a new file).
    unsynced: Cell<bool>,
}

impl DiskFile for DirectFile {
    type Buffer = DirectBuffer;

    async fn length(&self) -> io::Result<u64> {
        self.file.file_size().await.map_err(io_error)
    }

    async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        check_aligned(offset, length)?;
        let mut bytes = Vec::new();
        // The kernel may stop early in the middle of a file; only a read of nothing is its end.
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            let missing = length - bytes.len();
            let part = self.file.read_at_aligned(at, missing).await.map_err(io_error)?;
            bytes.reserve_exact(missing);
            bytes.extend_from_slice(&part);
            if part.is_empty() || part.len() % BLOCK_BYTES != 0 {
                break;
            }
        }
        Ok(bytes)
    }

    async fn write_at(
        &self,
        buffer: DirectBuffer,
        length: usize,
        offset: u64,
    ) -> (DirectBuffer, io::Result<usize>) {
        let checked = check_aligned(offset, length);
        if checked.is_err() || length == 0 || length > buffer.bytes().len() {
            let too_long = || io::Error::from(io::ErrorKind::InvalidInput);
            let empty = if length == 0 { Ok(0) } else { Err(too_long()) };
            return (buffer, checked.and(empty));
        }
        if self.durability == Durability::Sync {
            self.unsynced.set(true);
        }
        if length == buffer.bytes().len() {
            return self.write_whole(buffer, offset).await;
        }
        // glommio writes a buffer whole and cannot lend a part of one, so the part is copied: about
        // a microsecond for 32 KiB, against the fifty that the device takes.
        let mut part = self.file.alloc_dma_buffer(length);
        part.as_bytes_mut().copy_from_slice(&buffer.bytes()[..length]);
        let written = self.file.write_at(part, offset).await.map_err(io_error);
        (buffer, written)
    }

    async fn sync(&self) -> io::Result<()> {
        if !self.unsynced.get() {
            return Ok(());
        }
        self.file.fdatasync().await.map_err(io_error)?;
        self.unsynced.set(false);
        Ok(())
    }
}

impl DirectFile {
    async fn write_whole(
        &self,
        buffer: DirectBuffer,
        offset: u64,
    ) -> (DirectBuffer, io::Result<usize>) {
        let shared = Rc::new(buffer.memory);
        let written = self.file.write_rc_at(shared.clone(), offset).await.map_err(io_error);
        let memory = Rc::try_unwrap(shared).unwrap_or_else(|still_shared| {
            // The reactor lets go of the buffer before it wakes us; should that change, copy.
            let mut copy = glommio::allocate_dma_buffer(still_shared.len());
            copy.as_bytes_mut().copy_from_slice(still_shared.as_bytes());
            copy
        });
        (DirectBuffer { memory }, written)
    }
}

fn check_aligned(offset: u64, length: usize) -> io::Result<()> {
    if offset.is_multiple_of(BLOCK_BYTES as u64) && length.is_multiple_of(BLOCK_BYTES) {
        return Ok(());
    }
    let text = format!("offset {offset} or length {length} is no multiple of {BLOCK_BYTES}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Memory that the device can read directly: from the executor's registered region while that
/// lasts, from the allocator beyond it.
#[derive(Debug)]
pub struct DirectBuffer {
    memory: DmaBuffer,
}

impl DirectBuffer {
    /// A zeroed buffer of `length` bytes, more than none, on the executor that runs this.
    pub fn zeroed(length: usize) -> Self {
        let mut memory = glommio::allocate_dma_buffer(length);
        memory.as_bytes_mut().fill(0);
        Self { memory }
    }
}

impl DiskBuffer for DirectBuffer {
    fn bytes(&self) -> &[u8] {
        self.memory.as_bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.as_bytes_mut()
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;

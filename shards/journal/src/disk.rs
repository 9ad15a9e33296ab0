//! The one seam between the journal and storage.
//!
//! The real disk is io_uring with direct I/O, in `runtime`; the tests and the simulator bring faulty
//! ones. All methods are `async` so that one thread can have a write under way and gather the next
//! batch meanwhile; nothing here needs a particular executor.

use std::io;

/// Block size of all writes, in bytes: offsets, lengths and buffers are multiples of it.
pub const BLOCK_BYTES: usize = 4096;

/// A buffer that can be written directly: aligned to [`BLOCK_BYTES`], its length a multiple of it.
pub trait DiskBuffer: 'static {
    /// The bytes.
    fn bytes(&self) -> &[u8];
    /// The bytes, to fill.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// A directory of files.
#[allow(async_fn_in_trait)]
pub trait Disk: Clone + 'static {
    /// An open file.
    type File: DiskFile<Buffer = Self::Buffer>;
    /// A buffer for writes.
    type Buffer: DiskBuffer;

    /// A zeroed buffer of exactly `length` bytes, a multiple of [`BLOCK_BYTES`].
    fn buffer(&self, length: usize) -> Self::Buffer;
    /// Names of the files, in any order.
    async fn list(&self) -> io::Result<Vec<String>>;
    /// Creates a file of `length` bytes with its space allocated; fails if it exists. Neither the
    /// content nor the name is durable yet. A full disk must come back as
    /// [`io::ErrorKind::StorageFull`] or `QuotaExceeded`: it is a state, any other error is the end.
    ///
    /// The file that this returns is for filling only: even where writes are durable on return, its
    /// writes need not be (64 MiB of zeros would wait for the device at every chunk), as long as its
    /// [`DiskFile::sync`] makes them so. The journal opens the file again to write batches.
    ///
    /// A file created with length 0 is one whose length nobody knows yet: writes at its end extend
    /// it, block after block without a gap, and its length is durable when its content is. Files
    /// created with a length are never written beyond it.
    async fn create(&self, name: &str, length: u64) -> io::Result<Self::File>;
    /// Opens a file for reading and writing.
    async fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Renames a file, replacing `to`.
    async fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    async fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable: what was created, renamed or removed before.
    async fn sync_directory(&self) -> io::Result<()>;
}

/// An open file. Offsets and lengths are multiples of [`BLOCK_BYTES`].
#[allow(async_fn_in_trait)]
pub trait DiskFile: 'static {
    /// A buffer for writes.
    type Buffer: DiskBuffer;

    /// Length of the file in bytes.
    async fn length(&self) -> io::Result<u64>;
    /// Reads up to `length` bytes; fewer only at the end of the file.
    async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// Writes the first `length` bytes of the buffer. May write fewer than asked: returns how many.
    /// Gives the buffer back for reuse. Whether the bytes are durable on return (`O_DSYNC`) is the
    /// disk's choice; only [`DiskFile::sync`] promises it. The journal always asks for the whole
    /// buffer (`length` is the buffer's length), so a disk that cannot write a part need not.
    async fn write_at(
        &self,
        buffer: Self::Buffer,
        length: usize,
        offset: u64,
    ) -> (Self::Buffer, io::Result<usize>);
    /// Makes everything written before durable. Never called again after it failed once.
    ///
    /// A disk whose writes are durable on return may do nothing here, except the first time after
    /// opening: recovery relies on it for what a killed process wrote and never synced.
    async fn sync(&self) -> io::Result<()>;
}

//! A disk in memory that fails as disks do.
//!
//! It keeps what was written apart from what is durable. A power cut keeps every unsynced sector of
//! 512 bytes or loses it, each on its own, and the same for every unsynced name, in order. A file that
//! grew is then as long as what was kept of it, or as it was.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

use journal::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};

pub const SECTOR_BYTES: usize = 512;

type Content = Rc<RefCell<File>>;

#[derive(Default)]
struct File {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: BTreeSet<usize>,
    /// Created without a length.
    grows: bool,
}

#[derive(Clone)]
enum NameChange {
    Set(String, Content),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct State {
    names: BTreeMap<String, Content>,
    durable_names: BTreeMap<String, Content>,
    unsynced_names: Vec<NameChange>,
}

/// What the disk is to do wrong.
#[derive(Default)]
pub struct Faults {
    /// Disk operations that still work; then the power is gone and every one fails.
    pub power_left: Cell<Option<u64>>,
    /// Bytes that one write takes at most.
    pub write_limit: Cell<Option<usize>>,
    /// The next write fails.
    pub fail_write: Cell<bool>,
    /// The next sync fails.
    pub fail_sync: Cell<bool>,
    /// Creating a file fails: no space.
    pub no_space_to_create: Cell<bool>,
    /// Writing fails: no space.
    pub no_space_to_write: Cell<bool>,
    /// What is not synced yet comes and goes from one read of it to the next: whether the next shows
    /// it.
    pub flickering: Cell<Option<bool>>,
    /// Operations so far.
    pub operations: Cell<u64>,
    /// Writes so far.
    pub writes: Cell<u64>,
    /// Syncs of files so far.
    pub syncs: Cell<u64>,
}

#[derive(Clone, Default)]
pub struct MemDisk {
    state: Rc<RefCell<State>>,
    pub faults: Rc<Faults>,
}

pub struct MemFile {
    content: Content,
    faults: Rc<Faults>,
}

pub struct MemBuffer(Vec<u8>);

impl Faults {
    fn operation(&self) -> io::Result<()> {
        self.operations.set(self.operations.get() + 1);
        match self.power_left.get() {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                self.power_left.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl MemDisk {
    /// The disk after a power cut. `keep` decides for each unsynced sector and name.
    pub fn after_power_cut(&self, mut keep: impl FnMut() -> bool) -> MemDisk {
        let state = self.state.borrow();
        let mut names = state.durable_names.clone();
        for change in &state.unsynced_names {
            if !keep() {
                break;
            }
            change.apply(&mut names);
        }
        let survive = |content: &Content| {
            let file = content.borrow();
            let mut bytes = file.durable.clone();
            if file.live.len() > bytes.len() && keep() {
                bytes.resize(file.live.len(), 0);
            }
            for &sector in &file.unsynced {
                let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
                if keep() {
                    bytes.resize(bytes.len().max(range.end), 0);
                    bytes[range.clone()].copy_from_slice(&file.live[range]);
                }
            }
            bytes
        };
        let files: Vec<_> = names.keys().cloned().zip(names.values().map(survive)).collect();
        MemDisk::with_files(files)
    }

    /// This disk, failing together with another.
    pub fn on_power_of(self, other: &MemDisk) -> MemDisk {
        MemDisk { faults: other.faults.clone(), ..self }
    }

    /// A disk on which all this is durable.
    pub fn with_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> MemDisk {
        let disk = MemDisk::default();
        for (name, bytes) in files {
            disk.put(&name, bytes);
        }
        disk
    }

    /// All files as they read now.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state.borrow();
        state.names.iter().map(|(name, file)| (name.clone(), file.borrow().live.clone())).collect()
    }

    /// All files as they would read after a power cut that loses all it can.
    pub fn durable_files(&self) -> BTreeMap<String, Vec<u8>> {
        self.after_power_cut(|| false).files()
    }

    /// Puts a file, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = File { live: bytes.clone(), durable: bytes, ..File::default() };
        let content = Rc::new(RefCell::new(file));
        let mut state = self.state.borrow_mut();
        state.names.insert(name.to_owned(), content.clone());
        state.durable_names.insert(name.to_owned(), content);
    }

    fn change_name(&self, change: NameChange) {
        let mut state = self.state.borrow_mut();
        change.apply(&mut state.names);
        state.unsynced_names.push(change);
    }

    fn content(&self, name: &str) -> io::Result<Content> {
        let state = self.state.borrow();
        state.names.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, Content>) {
        match self {
            NameChange::Set(name, content) => names.insert(name.clone(), content.clone()),
            NameChange::Rename(from, to) => {
                names.remove(from).and_then(|content| names.insert(to.clone(), content))
            }
            NameChange::Remove(name) => names.remove(name),
        };
    }
}

impl DiskBuffer for MemBuffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Disk for MemDisk {
    type File = MemFile;
    type Buffer = MemBuffer;

    fn buffer(&self, length: usize) -> MemBuffer {
        assert!(length > 0 && length.is_multiple_of(BLOCK_BYTES));
        MemBuffer(vec![0; length])
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        self.faults.operation()?;
        Ok(self.state.borrow().names.keys().cloned().collect())
    }

    async fn create(&self, name: &str, length: u64) -> io::Result<MemFile> {
        self.faults.operation()?;
        if self.faults.no_space_to_create.get() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.content(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Old garbage, not zeros: nobody promised zeros before they are written and synced.
        let bytes = vec![0xA5; length as usize];
        let grows = length == 0;
        let file = File { live: bytes.clone(), durable: bytes, grows, ..File::default() };
        let content = Rc::new(RefCell::new(file));
        self.change_name(NameChange::Set(name.to_owned(), content.clone()));
        Ok(MemFile { content, faults: self.faults.clone() })
    }

    async fn open(&self, name: &str) -> io::Result<MemFile> {
        self.faults.operation()?;
        Ok(MemFile { content: self.content(name)?, faults: self.faults.clone() })
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.faults.operation()?;
        self.content(from)?;
        self.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        self.faults.operation()?;
        self.content(name)?;
        self.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    async fn sync_directory(&self) -> io::Result<()> {
        self.faults.operation()?;
        let mut state = self.state.borrow_mut();
        state.unsynced_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl DiskFile for MemFile {
    type Buffer = MemBuffer;

    async fn length(&self) -> io::Result<u64> {
        self.faults.operation()?;
        Ok(self.content.borrow().live.len() as u64)
    }

    async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.faults.operation()?;
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
        let content = self.content.borrow();
        let start = (offset as usize).min(content.live.len());
        let end = (start + length).min(content.live.len());
        let sectors = start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        if let Some(is_shown) = self.faults.flickering.get()
            && content.unsynced.range(sectors).next().is_some()
        {
            self.faults.flickering.set(Some(!is_shown));
            if !is_shown {
                return Ok(content.durable[start..end].to_vec());
            }
        }
        Ok(content.live[start..end].to_vec())
    }

    async fn write_at(
        &self,
        buffer: MemBuffer,
        length: usize,
        offset: u64,
    ) -> (MemBuffer, io::Result<usize>) {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64) && length.is_multiple_of(BLOCK_BYTES));
        self.faults.writes.set(self.faults.writes.get() + 1);
        let powered = self.faults.operation();
        let failed = self.faults.fail_write.take();
        let length = length.min(self.faults.write_limit.get().unwrap_or(length));
        let start = offset as usize;
        if !self.faults.no_space_to_write.get() {
            // A write that fails may have written anything: all of it, as far as this disk goes, and
            // the power cut decides sector by sector.
            let mut content = self.content.borrow_mut();
            if content.grows && start <= content.live.len() {
                let end = content.live.len().max(start + length);
                content.live.resize(end, 0);
            }
            content.live[start..start + length].copy_from_slice(&buffer.0[..length]);
            let sectors = start / SECTOR_BYTES..(start + length).div_ceil(SECTOR_BYTES);
            content.unsynced.extend(sectors);
        }
        let result = match powered {
            Err(error) => Err(error),
            Ok(()) if self.faults.no_space_to_write.get() => Err(io::ErrorKind::StorageFull.into()),
            Ok(()) if failed => Err(io::Error::other("EIO on write")),
            Ok(()) => Ok(length),
        };
        (buffer, result)
    }

    async fn sync(&self) -> io::Result<()> {
        self.faults.operation()?;
        self.faults.syncs.set(self.faults.syncs.get() + 1);
        if self.faults.fail_sync.take() {
            return Err(io::Error::other("EIO on sync"));
        }
        let mut content = self.content.borrow_mut();
        content.durable = content.live.clone();
        content.unsynced.clear();
        Ok(())
    }
}

//! A disk in memory that fails as disks do, at a moment that the scheduler chooses.
//!
//! Every operation waits until the scheduler lets it go ([`SimDisk::allow`]), so a crash may fall
//! between any two. What was written is kept apart from what is durable: a power cut keeps, loses or
//! tears (sector by sector) each unsynced write on its own, also one that never returned; a kill of
//! the process only tears what had not returned. Names are durable once the directory was synced;
//! before that a power cut keeps the first changes or any.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use journal::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};

use crate::crash::{CrashKind, Fates, put};
use crate::mutation::Mutation;
use crate::random::Random;
use crate::totals::Totals;

/// What one write to the device is made of.
pub(crate) const SECTOR_BYTES: usize = 512;

pub(crate) type FileId = u64;
pub(crate) type Names = BTreeMap<String, FileId>;

/// How often what goes wrong: one in so many operations of the kind; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DiskFaults {
    pub write_error: u64,
    pub sync_error: u64,
    pub read_error: u64,
    pub name_error: u64,
    pub short_write: u64,
    /// No file can be made or grows.
    pub full: bool,
}

/// Bytes on their way to the device.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub id: u64,
    pub offset: usize,
    pub bytes: Vec<u8>,
    pub returned: bool,
    /// Was there when the sync before came: see [`Mutation::ReleaseBeforeDurable`].
    pub aged: bool,
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// What a reader sees.
    pub live: Vec<u8>,
    /// What a power cut cannot take.
    pub durable: Vec<u8>,
    pub unsynced: Vec<Write>,
    /// Never synced: its space is not there for sure.
    pub fresh: bool,
    /// Created without a length: a write at its end extends it, and that is durable when the write
    /// is.
    pub grows: bool,
}

/// A change of names that the directory has not synced.
#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Set(String, FileId),
    Rename(String, String, FileId),
    Remove(String),
}

impl NameChange {
    /// Which file it names.
    pub fn file(&self) -> Option<FileId> {
        match self {
            NameChange::Set(_, file) | NameChange::Rename(_, _, file) => Some(*file),
            NameChange::Remove(_) => None,
        }
    }

    pub fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Set(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub names: Names,
    pub durable_names: Names,
    pub changes: Vec<NameChange>,
    pub files: BTreeMap<FileId, Content>,
    next_id: u64,
    /// Operations that wait for the scheduler.
    waiting: Vec<u64>,
    allowed: Option<u64>,
    /// Nothing waits: for looking at an image.
    instant: bool,
    pub faults: DiskFaults,
    /// An error was injected since the last crash.
    pub failed: bool,
    /// Names whose removal an injected error prevented since the last crash.
    unremoved: BTreeSet<String>,
    /// A crash met something unsynced since the last recovery.
    pub disturbed: bool,
    mutation: Option<Mutation>,
    random: Random,
    pub totals: Totals,
}

/// One shard's directory. Cheap to clone; all clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    pub state: Rc<RefCell<State>>,
}

pub(crate) struct SimFile {
    disk: SimDisk,
    file: FileId,
}

pub(crate) struct SimBuffer(Vec<u8>);

impl DiskBuffer for SimBuffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl SimDisk {
    pub fn new(random: Random, mutation: Option<Mutation>) -> SimDisk {
        SimDisk {
            state: Rc::new(RefCell::new(State {
                names: Names::new(),
                durable_names: Names::new(),
                changes: Vec::new(),
                files: BTreeMap::new(),
                next_id: 1,
                waiting: Vec::new(),
                allowed: None,
                instant: false,
                faults: DiskFaults::default(),
                failed: false,
                unremoved: BTreeSet::new(),
                disturbed: false,
                mutation,
                random,
                totals: Totals::default(),
            })),
        }
    }

    /// A copy of what a reader sees, on a disk that works at once and without a fault.
    pub fn image(&self) -> SimDisk {
        let copy = SimDisk::new(Random::new(1), None);
        {
            let (from, mut to) = (self.state.borrow(), copy.state.borrow_mut());
            to.instant = true;
            for (name, file) in &from.names {
                let live = from.files[file].live.clone();
                let content = Content { durable: live.clone(), live, ..Content::default() };
                to.files.insert(*file, content);
                to.names.insert(name.clone(), *file);
            }
            to.durable_names = to.names.clone();
            to.next_id = from.next_id;
        }
        copy
    }

    /// Becomes what an image holds, durably.
    pub fn restore(&self, image: &SimDisk) {
        let (mut to, from) = (self.state.borrow_mut(), image.state.borrow());
        to.names = from.names.clone();
        to.durable_names = from.names.clone();
        to.files = from.files.clone();
        to.changes.clear();
    }

    /// An image with those of another's files too that are not here.
    pub fn image_with(&self, other: &SimDisk) -> SimDisk {
        let image = self.image();
        {
            let (mut to, from) = (image.state.borrow_mut(), other.state.borrow());
            for (name, file) in &from.names {
                if !to.names.contains_key(name) {
                    let id = to.take_id();
                    to.files.insert(id, from.files[file].clone());
                    to.names.insert(name.clone(), id);
                }
            }
        }
        image
    }

    /// Makes a file, durably and at once.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state.borrow_mut();
        let file = state.take_id();
        let content = Content { durable: bytes.clone(), live: bytes, ..Content::default() };
        state.files.insert(file, content);
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }

    /// Syncs the directory at once.
    pub fn sync_names(&self) {
        let mut state = self.state.borrow_mut();
        state.changes.clear();
        state.durable_names = state.names.clone();
    }

    /// All files as they read now.
    pub fn files(&self) -> Vec<(String, usize)> {
        let state = self.state.borrow();
        state
            .names
            .iter()
            .map(|(name, file)| (name.clone(), state.files[file].live.len()))
            .collect()
    }

    /// A file as it reads now.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state.borrow();
        state.files[&state.names[name]].live.clone()
    }

    /// Flips one bit at rest.
    pub fn flip(&self, name: &str, offset: usize, bit: u64) {
        let mut state = self.state.borrow_mut();
        let file = state.names[name];
        let content = state.files.get_mut(&file).expect("has a name");
        content.live[offset] ^= 1 << bit;
        content.durable[offset] ^= 1 << bit;
    }

    /// Puts other bytes into a file at rest.
    pub fn overwrite(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state.borrow_mut();
        let file = state.names[name];
        let content = state.files.get_mut(&file).expect("has a name");
        content.durable.clone_from(&bytes);
        content.live = bytes;
    }

    /// A file is gone.
    pub fn lose(&self, name: &str) {
        let mut state = self.state.borrow_mut();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// How many operations wait for the scheduler.
    pub fn waiting(&self) -> usize {
        self.state.borrow().waiting.len()
    }

    /// Lets one of them go; whoever waits for it must be polled then.
    pub fn allow(&self, index: usize) {
        let mut state = self.state.borrow_mut();
        let id = state.waiting.remove(index);
        state.allowed = Some(id);
        state.totals.operations += 1;
    }

    /// Whether a power cut now could take something.
    pub fn has_unsynced(&self) -> bool {
        let state = self.state.borrow();
        !state.changes.is_empty() || state.files.values().any(|file| !file.unsynced.is_empty())
    }

    pub fn set_faults(&self, faults: DiskFaults) {
        self.state.borrow_mut().faults = faults;
    }

    pub fn faults(&self) -> DiskFaults {
        self.state.borrow().faults
    }

    pub fn set_full(&self, full: bool) {
        self.state.borrow_mut().faults.full = full;
    }

    /// Whether an error was injected since the last crash.
    pub fn has_failed(&self) -> bool {
        self.state.borrow().failed
    }

    /// Whether a crash met something unsynced; asked once per recovery.
    pub fn take_disturbed(&self) -> bool {
        std::mem::take(&mut self.state.borrow_mut().disturbed)
    }

    /// Ends whatever was under way. Everyone who held a file of this disk is gone by now.
    pub fn crash(&self, kind: CrashKind, random: &mut Random) {
        let unsynced = self.has_unsynced();
        let mut state = self.state.borrow_mut();
        state.waiting.clear();
        state.allowed = None;
        state.failed = false;
        state.unremoved.clear();
        state.disturbed |= unsynced;
        let mut fates = Fates::new(random);
        fates.decide(&mut state, kind);
    }

    /// Waits until the scheduler lets this operation go.
    async fn turn(&self) {
        if self.state.borrow().instant {
            return;
        }
        let id = {
            let mut state = self.state.borrow_mut();
            let id = state.take_id();
            state.waiting.push(id);
            id
        };
        poll_fn(|_| {
            let mut state = self.state.borrow_mut();
            if state.allowed == Some(id) {
                state.allowed = None;
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Waits, and fails now and then.
    async fn name_turn(&self) -> io::Result<()> {
        self.turn().await;
        let mut state = self.state.borrow_mut();
        let rate = state.faults.name_error;
        if state.strikes(rate) {
            state.totals.name_errors += 1;
            return Err(io::Error::other("simulated: EIO on a name"));
        }
        Ok(())
    }
}

impl State {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn strikes(&mut self, rate: u64) -> bool {
        let strikes = rate > 0 && self.random.one_in(rate);
        self.failed |= strikes;
        strikes
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn find(&self, name: &str) -> io::Result<FileId> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn no_space(&mut self) -> io::Error {
        self.failed = true;
        self.totals.no_space += 1;
        io::ErrorKind::StorageFull.into()
    }

    /// What a reader sees. Of a write under way that is any of its sectors, and others at the next
    /// read: a mirror may answer from either copy.
    fn read(&mut self, file: FileId, offset: usize, length: usize) -> Vec<u8> {
        let Content { live, unsynced, grows, .. } = &self.files[&file];
        let start = offset.min(live.len());
        let end = (start + length).min(live.len());
        let mut bytes = live[start..end].to_vec();
        for write in unsynced.iter().filter(|write| !write.returned && !grows) {
            for (number, sector) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
                let at = write.offset + number * SECTOR_BYTES;
                if at >= start && at + sector.len() <= end && self.random.chance(50) {
                    bytes[at - start..at - start + sector.len()].copy_from_slice(sector);
                }
            }
        }
        bytes
    }

    /// What a write that was let go comes to.
    fn finish_write(&mut self, file: FileId, id: u64) -> io::Result<usize> {
        let (write_error, short_write) = (self.faults.write_error, self.faults.short_write);
        if self.strikes(write_error) {
            // It stays among those that never returned: the crash that follows tears it.
            self.totals.write_errors += 1;
            return Err(io::Error::other("simulated: EIO on write"));
        }
        let fresh = self.files[&file].fresh;
        if self.faults.full && fresh {
            return Err(self.no_space());
        }
        let short = short_write > 0 && self.random.one_in(short_write);
        let content = self.files.get_mut(&file).expect("is open");
        let write = content.unsynced.iter_mut().find(|write| write.id == id).expect("is there");
        let asked = write.bytes.len();
        if short {
            self.totals.short_writes += 1;
            let sectors = self.random.below((asked / SECTOR_BYTES) as u64) as usize;
            write.bytes.truncate(sectors * SECTOR_BYTES);
        }
        write.returned = true;
        let done = write.bytes.len();
        put(&mut content.live, write);
        match self.mutation {
            Some(Mutation::IgnoredShortWrite) => Ok(asked),
            _ => Ok(done),
        }
    }

    fn finish_sync(&mut self, file: FileId) -> io::Result<()> {
        let rate = self.faults.sync_error;
        let failed = self.strikes(rate);
        let early = self.mutation == Some(Mutation::ReleaseBeforeDurable);
        let content = self.files.get_mut(&file).expect("is open");
        if failed {
            self.totals.sync_errors += 1;
            self.disturbed = true;
            Fates::new(&mut self.random).settle_failed_sync(content);
            return match self.mutation {
                Some(Mutation::IgnoredSyncError) => Ok(()),
                _ => Err(io::Error::other("simulated: EIO on sync")),
            };
        }
        if content.grows && self.mutation == Some(Mutation::UnsyncedSnapshot) {
            return Ok(());
        }
        content.fresh = false;
        let mut rest = Vec::new();
        for mut write in content.unsynced.drain(..) {
            if !write.returned || (early && !write.aged) {
                write.aged = true;
                rest.push(write);
                continue;
            }
            put(&mut content.durable, &write);
        }
        content.unsynced = rest;
        Ok(())
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Buffer = SimBuffer;

    fn buffer(&self, length: usize) -> SimBuffer {
        assert!(length > 0 && length.is_multiple_of(BLOCK_BYTES));
        SimBuffer(vec![0; length])
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        self.name_turn().await?;
        Ok(self.state.borrow().names.keys().cloned().collect())
    }

    async fn create(&self, name: &str, length: u64) -> io::Result<SimFile> {
        self.name_turn().await?;
        let mut state = self.state.borrow_mut();
        if state.find(name).is_ok() {
            let kind = io::ErrorKind::AlreadyExists;
            return Err(match state.unremoved.contains(name) {
                true => io::Error::new(kind, "simulated: there since EIO on its removal"),
                false => kind.into(),
            });
        }
        // Thin storage notices only when it is written to.
        if state.faults.full && state.random.chance(50) {
            return Err(state.no_space());
        }
        let file = state.take_id();
        // Old garbage, not zeros: nobody promised zeros before they are written and synced.
        let live = vec![0xA5; length as usize];
        let (fresh, grows) = (true, length == 0);
        let content = Content { durable: live.clone(), live, unsynced: Vec::new(), fresh, grows };
        state.files.insert(file, content);
        state.change_name(NameChange::Set(name.to_owned(), file));
        Ok(SimFile { disk: self.clone(), file })
    }

    async fn open(&self, name: &str) -> io::Result<SimFile> {
        self.name_turn().await?;
        let file = self.state.borrow().find(name)?;
        Ok(SimFile { disk: self.clone(), file })
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.name_turn().await?;
        let mut state = self.state.borrow_mut();
        let file = state.find(from)?;
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        if let Err(error) = self.name_turn().await {
            self.state.borrow_mut().unremoved.insert(name.to_owned());
            return Err(error);
        }
        let mut state = self.state.borrow_mut();
        state.find(name)?;
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    async fn sync_directory(&self) -> io::Result<()> {
        self.name_turn().await?;
        let mut state = self.state.borrow_mut();
        if state.mutation != Some(Mutation::UnsyncedDirectory) {
            state.changes.clear();
            state.durable_names = state.names.clone();
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    type Buffer = SimBuffer;

    async fn length(&self) -> io::Result<u64> {
        self.disk.name_turn().await?;
        Ok(self.disk.state.borrow().files[&self.file].live.len() as u64)
    }

    async fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
        self.disk.turn().await;
        let mut state = self.disk.state.borrow_mut();
        let rate = state.faults.read_error;
        if state.strikes(rate) {
            state.totals.read_errors += 1;
            return Err(io::Error::other("simulated: EIO on read"));
        }
        Ok(state.read(self.file, offset as usize, length))
    }

    async fn write_at(
        &self,
        buffer: SimBuffer,
        length: usize,
        offset: u64,
    ) -> (SimBuffer, io::Result<usize>) {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64) && length.is_multiple_of(BLOCK_BYTES));
        let id = {
            let mut state = self.disk.state.borrow_mut();
            let id = state.take_id();
            let content = state.files.get_mut(&self.file).expect("is open");
            let offset = offset as usize;
            let end = content.live.len();
            let fits = offset + length <= end || (content.grows && offset <= end);
            assert!(fits, "a write past the end of the file");
            let bytes = buffer.0[..length].to_vec();
            let write = Write { id, offset, bytes, returned: false, aged: false };
            content.unsynced.push(write);
            id
        };
        self.disk.turn().await;
        let result = self.disk.state.borrow_mut().finish_write(self.file, id);
        (buffer, result)
    }

    async fn sync(&self) -> io::Result<()> {
        self.disk.turn().await;
        self.disk.state.borrow_mut().finish_sync(self.file)
    }
}

//! The data directory of a whole exchange: generations of shard directories, and one file that says
//! which of them counts. The twin of the runtime's layout.

use std::collections::BTreeMap;
use std::io;

use journal::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};

use crate::crash::CrashKind;
use crate::disk::SimDisk;
use crate::mutation::Mutation;
use crate::random::Random;
use crate::totals::Totals;

const LAYOUT: &str = "layout";
const PREPARING: &str = "layout.preparing";

/// Which generation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub generation: u32,
    pub shards: u16,
}

/// One shard's directory, and that of its archive.
#[derive(Clone)]
pub(crate) struct Directory {
    pub disk: SimDisk,
    pub archive: SimDisk,
}

pub(crate) struct Store {
    pub root: SimDisk,
    generations: BTreeMap<u32, Vec<Directory>>,
    mutation: Option<Mutation>,
    random: Random,
    /// Of directories that are gone.
    totals: Totals,
}

impl Directory {
    fn count(&self, totals: &mut Totals) {
        for disk in [&self.disk, &self.archive] {
            totals.add(&disk.state.borrow().totals);
        }
    }
}

impl Store {
    /// With a first generation of so many shards.
    pub fn new(shards: u16, mutation: Option<Mutation>, mut random: Random) -> Store {
        let root = SimDisk::new(random.fork(), mutation);
        root.put(LAYOUT, block(Layout { generation: 1, shards }));
        let (generations, totals) = (BTreeMap::new(), Totals::default());
        let mut store = Store { root, generations, mutation, random, totals };
        store.make(Layout { generation: 1, shards });
        store
    }

    /// What a start finds, and makes durable: the process before may have been killed between the
    /// change of the name and the sync of the directory.
    pub fn layout(&self) -> Layout {
        if self.mutation != Some(Mutation::UnsyncedLayout) {
            self.root.sync_names();
        }
        let bytes = self.root.bytes(LAYOUT);
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        Layout { generation: number(0), shards: number(4) as u16 }
    }

    pub fn directories(&self, generation: u32) -> &[Directory] {
        &self.generations[&generation]
    }

    /// Makes the empty directories of a generation. Those of an attempt that failed go, and those
    /// before the last one.
    pub fn make(&mut self, layout: Layout) {
        let Layout { generation, shards } = layout;
        let faults = self.root.faults();
        let is_kept = |other: u32| other < generation && other + 2 >= generation;
        for (_, gone) in self.generations.extract_if(.., |&other, _| !is_kept(other)) {
            gone.iter().for_each(|directory| directory.count(&mut self.totals));
        }
        let (mutation, random) = (self.mutation, &mut self.random);
        let mut disk = || {
            let disk = SimDisk::new(random.fork(), mutation);
            disk.set_faults(faults);
            disk
        };
        let made = (0..shards).map(|_| Directory { disk: disk(), archive: disk() }).collect();
        self.generations.insert(generation, made);
    }

    /// All disks there are.
    pub fn disks(&self) -> impl Iterator<Item = &SimDisk> {
        let directories = self.generations.values().flatten();
        std::iter::once(&self.root).chain(directories.flat_map(|one| [&one.disk, &one.archive]))
    }

    /// What all disks did, also those that are gone.
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        totals.add(&self.root.state.borrow().totals);
        let directories = self.generations.values().flatten();
        directories.for_each(|directory| directory.count(&mut totals));
        totals
    }

    pub fn crash(&self, kind: CrashKind, random: &mut Random) {
        self.disks().for_each(|disk| disk.crash(kind, random));
    }
}

/// Makes a layout the one that counts.
pub(crate) async fn commit(root: SimDisk, layout: Layout) -> io::Result<()> {
    match root.remove(PREPARING).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = root.create(PREPARING, BLOCK_BYTES as u64).await?;
    let mut written = 0;
    while written < BLOCK_BYTES {
        let mut buffer = root.buffer(BLOCK_BYTES);
        buffer.bytes_mut().copy_from_slice(&block(layout));
        written = file.write_at(buffer, BLOCK_BYTES, 0).await.1?;
    }
    file.sync().await?;
    root.rename(PREPARING, LAYOUT).await?;
    root.sync_directory().await
}

fn block(layout: Layout) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    block[..4].copy_from_slice(&layout.generation.to_le_bytes());
    block[4..8].copy_from_slice(&u32::from(layout.shards).to_le_bytes());
    block
}

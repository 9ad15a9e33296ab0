//! Power cuts in the whole life of a shard's directory: while a snapshot is written, while retention
//! tidies up, archives and recycles, and while the journal goes on beside that.

mod common;

use common::mem_disk::MemDisk;
use common::model::{Model, head};
use common::{NOW_MS, input, prepare, small_config};
use journal::retention::{RetentionPolicy, SegmentPolicy, apply, inventory, plan};
use journal::{
    Journal, Lsn, Reader, RecoverError, SnapshotWriter, block_on, recover, replay_until,
};
use proptest::prelude::*;

/// A small generator, so that a failing case is named by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }
}

/// What was done, to see that the tests do something.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    snapshots: u64,
    from_snapshot: u64,
    recycled: u64,
    removed: u64,
    archived: u64,
}

/// What the owner of a journal knows: the time of every record that it appended, none of them ever
/// used twice, and how many of them it was told are durable.
struct Owner {
    times: Vec<u64>,
    durable: usize,
    salt: u64,
    policy: RetentionPolicy,
    done: Done,
}

/// The power is gone.
struct PowerCut;

impl Owner {
    fn new(random: &mut Random) -> Owner {
        let archive = random.below(2) == 0;
        let segments =
            if archive { SegmentPolicy::Archive("/a".into()) } else { SegmentPolicy::Delete };
        let policy = RetentionPolicy {
            keep_snapshots: 1 + random.below(2) as usize,
            segments,
            keep_segments: random.below(2) as usize,
            spares: random.below(3) as usize,
            segment_bytes: small_config().segment_bytes,
            ..RetentionPolicy::default()
        };
        Owner { times: Vec::new(), durable: 0, salt: 0, policy, done: Done::default() }
    }

    /// Recovers, and compares with what the owner knows.
    fn start(&mut self, disk: &MemDisk) -> Result<Journal<MemDisk>, PowerCut> {
        let mut model = Model::default();
        let result = block_on(recover(disk.clone(), small_config(), NOW_MS, &mut model));
        if disk.faults.power_left.get() == Some(0) && result.is_err() {
            return Err(PowerCut);
        }
        let recovered = result.unwrap_or_else(|error| panic!("refused after a crash: {error}"));
        let read = model.times.len();
        assert!(read >= self.durable, "{read} of {} records", self.durable);
        assert_eq!(Some(&model.times[..]), self.times.get(..read), "another state");
        assert_eq!(recovered.report.damaged_snapshots, [], "a crash damages no snapshot");
        self.done.from_snapshot += u64::from(recovered.report.snapshot.is_some());
        self.times.truncate(read);
        self.durable = read;
        Ok(recovered.journal)
    }

    fn append(&mut self, journal: &mut Journal<MemDisk>, count: u64) {
        for _ in 0..count {
            self.salt += 1;
            if journal.append(NOW_MS + self.salt, &input(self.salt * 7)).is_err() {
                return;
            }
            self.times.push(NOW_MS + self.salt);
        }
    }

    /// Commits all that has gathered.
    fn commit(
        &mut self,
        journal: &mut Journal<MemDisk>,
        random: &mut Random,
    ) -> Result<(), PowerCut> {
        while let Some(batch) = journal.take_batch() {
            self.append(journal, random.below(4));
            let written = block_on(batch.write());
            self.durable = journal.complete(written).map_err(|_| PowerCut)?.lsn().0 as usize;
            prepare(journal, NOW_MS).map_err(|_| PowerCut)?;
        }
        Ok(())
    }

    /// Makes a snapshot as a server does: by replaying beside the journal, while that goes on.
    fn snapshot(
        &mut self,
        disk: &MemDisk,
        journal: &mut Journal<MemDisk>,
        random: &mut Random,
    ) -> Result<(), PowerCut> {
        let until = Lsn(self.durable as u64);
        self.append(journal, random.below(9));
        let batch = journal.take_batch();
        let mut model = Model::default();
        let replayed = block_on(replay_until(disk, small_config().identity(), until, &mut model));
        match replayed {
            Ok(last) => assert_eq!(last, until),
            Err(RecoverError::Io(_) | RecoverError::Scan(_)) if is_off(disk) => {
                return Err(PowerCut);
            }
            Err(error) => panic!("refused beside a running journal: {error}"),
        }
        assert_eq!(model.times, self.times[..self.durable]);
        let created = SnapshotWriter::begin(disk.clone(), head(until));
        let mut writer = block_on(created).map_err(|_| PowerCut)?;
        for piece in model.image() {
            block_on(writer.piece(&piece)).map_err(|_| PowerCut)?;
        }
        if let Some(batch) = batch {
            let written = block_on(batch.write());
            self.durable = journal.complete(written).map_err(|_| PowerCut)?.lsn().0 as usize;
        }
        block_on(writer.finish()).map_err(|_| PowerCut)?;
        self.done.snapshots += 1;
        Ok(())
    }

    fn retain(&mut self, disk: &MemDisk, archive: &MemDisk) -> Result<(), PowerCut> {
        let found = block_on(inventory(disk, small_config().identity()));
        let found = match found {
            Ok(found) => found,
            Err(_) if is_off(disk) => return Err(PowerCut),
            Err(error) => panic!("refused beside a running journal: {error}"),
        };
        let actions = plan(&found, &self.policy, NOW_MS);
        match block_on(apply(disk, Some(archive), &actions)) {
            Ok(applied) => {
                self.done.removed += applied.removed;
                self.done.archived += applied.archived;
                Ok(())
            }
            Err(_) if is_off(disk) => Err(PowerCut),
            Err(error) => panic!("{error}"),
        }
    }

    /// Works until the work is done or the power goes.
    fn work(
        &mut self,
        disk: &MemDisk,
        archive: &MemDisk,
        journal: &mut Journal<MemDisk>,
        random: &mut Random,
    ) -> Result<(), PowerCut> {
        for _ in 0..4 {
            for _ in 0..2 {
                self.append(journal, 1 + random.below(20));
                if random.below(3) == 0 {
                    prepare(journal, NOW_MS).map_err(|_| PowerCut)?;
                }
                self.commit(journal, random)?;
            }
            self.snapshot(disk, journal, random)?;
            self.retain(disk, archive)?;
            self.commit(journal, random)?;
        }
        Ok(())
    }

    /// The archive and the journal together hold every record from the first on.
    fn check_archive(&self, disk: &MemDisk, archive: &MemDisk) {
        if self.policy.segments == SegmentPolicy::Delete {
            return;
        }
        let is_segment = |(name, _): &(String, Vec<u8>)| {
            name.starts_with("segment") && name.ends_with(".ringbook")
        };
        let mut files = archive.files();
        for (name, bytes) in disk.files().into_iter().filter(is_segment) {
            let copy = files.insert(name, bytes.clone());
            assert!(copy.is_none_or(|copy| copy == bytes));
        }
        files.retain(|name, _| name.ends_with(".ringbook"));
        let whole = MemDisk::with_files(files);
        let mut reader = block_on(Reader::open(&whole)).unwrap();
        let mut times = Vec::new();
        while let Some(entry) = block_on(reader.next()).unwrap() {
            times.push(entry.time_ms);
        }
        assert_eq!(times, self.times);
    }
}

fn is_off(disk: &MemDisk) -> bool {
    disk.faults.power_left.get() == Some(0)
}

/// Starts, works, is killed after `operations`, several times over on the same disks: either the
/// power goes, or only the process, and what was not synced stays for the next one to find.
fn live_through_crashes(seed: u64, operations: u64) -> (bool, Done) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut disk = MemDisk::default();
    let mut archive = MemDisk::default();
    let mut owner = Owner::new(&mut random);
    let mut is_done = false;
    for _ in 0..4 {
        disk.faults.power_left.set(Some(operations + random.below(3)));
        archive = archive.on_power_of(&disk);
        let life = owner.start(&disk).and_then(|mut journal| {
            let done = owner.work(&disk, &archive, &mut journal, &mut random);
            owner.done.recycled += journal.statistics().recycled;
            done
        });
        is_done = life.is_ok();
        if random.below(3) > 0 {
            let odds = random.below(5);
            disk = disk.after_power_cut(|| random.below(4) < odds);
            archive = archive.after_power_cut(|| random.below(4) < odds);
        }
    }
    disk = disk.after_power_cut(|| random.below(2) == 0);
    assert!(owner.start(&disk).is_ok(), "the power is back");
    owner.check_archive(&disk, &archive.after_power_cut(|| false));
    (is_done, owner.done)
}

#[test]
fn a_crash_at_every_operation_recovers_the_same_state() {
    let (mut operations, mut finished) = (0, 0);
    let mut most = Done::default();
    while finished < 3 {
        for seed in 0..3 {
            let (is_done, done) = live_through_crashes(seed * 10_000 + operations, operations);
            finished += u64::from(is_done && seed == 0);
            most.snapshots = most.snapshots.max(done.snapshots);
            most.from_snapshot = most.from_snapshot.max(done.from_snapshot);
            most.recycled = most.recycled.max(done.recycled);
            most.removed = most.removed.max(done.removed);
            most.archived = most.archived.max(done.archived);
        }
        operations += 1;
        assert!(operations < 3_000, "the work never ends");
    }
    let enough = most.snapshots > 8 && most.from_snapshot > 2 && most.recycled > 3;
    assert!(enough && most.removed > 10 && most.archived > 5, "{most:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_crash_recovers_the_same_state(seed in any::<u64>(), operations in 0u64..700) {
        live_through_crashes(seed, operations);
    }
}

//! Starting from snapshots: the newest whole one, an older one, nothing, or not at all.

mod common;

use common::mem_disk::MemDisk;
use common::model::{Model, head, write_snapshot};
use common::{NOW_MS, append, append_committed, commit, prepare, small_config, time_of};
use engine::{Command, Effects, Engine, EngineConfig, Input, Piece, Restore};
use journal::{
    BLOCK_BYTES, Identity, Journal, JournalConfig, Lsn, RecoverError, Recovery, Replay, ScanError,
    SnapshotHead, StdDisk, block_on, recover, replay_until,
};
use money::{ShardId, UserId};
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

fn segment(number: u64) -> String {
    format!("segment-{number:010}.ringbook")
}

fn snapshot(lsn: u64) -> String {
    format!("snapshot-{lsn:016}.ringbook")
}

/// The state after so many records of [`append`].
fn model(last: u64) -> Model {
    Model { times: (1..=last).map(time_of).collect(), ..Model::default() }
}

fn start(
    disk: &MemDisk,
) -> Result<(Journal<MemDisk>, Model, Recovery), RecoverError<&'static str>> {
    let mut model = Model::default();
    let recovered = block_on(recover(disk.clone(), small_config(), NOW_MS, &mut model))?;
    Ok((recovered.journal, model, recovered.report))
}

/// Why a start with these files is refused.
fn refusal(files: &Files) -> ScanError {
    match start(&MemDisk::with_files(files.clone())) {
        Err(RecoverError::Scan(error)) => error,
        Err(other) => panic!("{other}"),
        Ok((_, model, _)) => panic!("taken, with {} records", model.times.len()),
    }
}

/// A journal of 100 records over many segments, and snapshots of these records.
fn files(snapshots: &[u64]) -> Files {
    let disk = MemDisk::default();
    let mut journal = start(&disk).unwrap().0;
    for _ in 0..50 {
        append(&mut journal, 2);
        commit(&mut journal).unwrap();
    }
    assert!(journal.segment() > 6);
    snapshots.iter().for_each(|&lsn| drop(model(lsn).snapshot(&disk)));
    disk.files()
}

fn identity() -> Identity {
    small_config().identity()
}

#[test]
fn the_newest_snapshot_and_the_records_behind_it_make_the_state() {
    let disk = MemDisk::with_files(files(&[10, 60, 90]));
    let (mut journal, model, report) = start(&disk).unwrap();
    assert_eq!(model.times, self::model(100).times);
    assert_eq!((model.begun, model.replayed, model.empty), (vec![Lsn(90)], 10, false));
    assert_eq!((report.last, report.replayed), (Lsn(100), 10));
    let used = report.snapshot.unwrap();
    assert_eq!((used.name.clone(), used.head, used.bytes), (snapshot(90), head(Lsn(90)), 4096 * 2));
    assert!(report.damaged_snapshots.is_empty());
    append_committed(&mut journal, 50);
    assert_eq!(start(&disk).unwrap().1.times, self::model(150).times);
}

#[test]
fn segments_that_the_snapshot_covers_are_not_read() {
    let mut files = files(&[80]);
    let report = start(&MemDisk::with_files(files.clone())).unwrap().2;
    // Nothing of them is as it was, their headers included.
    let untouched = report.segments;
    for number in 1..=3 {
        files.get_mut(&segment(number)).unwrap().fill(0xEE);
    }
    let (_, model, report) = start(&MemDisk::with_files(files)).unwrap();
    assert_eq!((model.times, report.segments), (self::model(100).times, untouched));
    assert!(report.batches < 16, "{} batches", report.batches);
}

#[test]
fn a_damaged_newest_snapshot_is_reported_and_an_older_one_used() {
    let files = files(&[30, 60, 90]);
    let length = files[&snapshot(90)].len();
    for at in (0..length).step_by(61) {
        let mut files = files.clone();
        files.get_mut(&snapshot(90)).unwrap()[at] ^= 0x10;
        let (_, model, report) = start(&MemDisk::with_files(files.clone())).unwrap();
        assert_eq!(model.times, self::model(100).times, "byte {at}");
        assert_eq!((model.replayed, model.complete), (40, true));
        assert_eq!(report.snapshot.map(|used| used.name), Some(snapshot(60)));
        let [damaged] = report.damaged_snapshots.as_slice() else { panic!("one") };
        assert_eq!(damaged.file, snapshot(90));
        assert!(damaged.offset <= at as u64 && !damaged.why.is_empty());
        // And the next older one, and then nothing at all.
        files.get_mut(&snapshot(60)).unwrap().truncate(length - 1);
        let (_, model, report) = start(&MemDisk::with_files(files.clone())).unwrap();
        assert_eq!((model.times, model.replayed), (self::model(100).times, 70));
        assert_eq!(report.damaged_snapshots.len(), 2);
        files.get_mut(&snapshot(30)).unwrap().clear();
        let (_, model, report) = start(&MemDisk::with_files(files)).unwrap();
        assert_eq!((model.times, model.replayed), (self::model(100).times, 100));
        assert!(model.empty && report.snapshot.is_none());
        assert_eq!(report.damaged_snapshots.len(), 3);
    }
}

#[test]
fn a_damaged_snapshot_that_nothing_can_stand_in_for_is_refused_by_file_and_offset() {
    let mut files = files(&[30, 90]);
    // Only what the newest needs is left.
    let first = |number: u64| {
        let bytes = &files[&segment(number)];
        u64::from_le_bytes(bytes[BLOCK_BYTES + 24..BLOCK_BYTES + 32].try_into().unwrap())
    };
    let gone: Vec<_> = (1..20).take_while(|number| first(number + 1) <= 90).map(segment).collect();
    assert!(gone.len() > 3);
    gone.iter().for_each(|name| drop(files.remove(name)));
    assert_eq!(start(&MemDisk::with_files(files.clone())).unwrap().1.times, model(100).times);
    files.get_mut(&snapshot(90)).unwrap()[5000] ^= 1;
    for with_older in [true, false] {
        let error = refusal(&files);
        let ScanError::NothingOlder { file, offset, missing, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((file, missing), (&snapshot(90), gone.last().unwrap()));
        assert!((4096..=5000).contains(offset), "{error}");
        assert!(error.to_string().starts_with(&format!("{file} at offset {offset}: damaged")));
        if with_older {
            files.remove(&snapshot(30));
        }
    }
}

#[test]
fn a_journal_that_ends_before_a_snapshot_is_refused_even_if_that_is_damaged() {
    let mut files = files(&[90]);
    // The last batches, as if a disk had lost acknowledged writes.
    let last = files.keys().filter(|name| name.starts_with("segment")).count() as u64;
    for number in last - 4..=last {
        files.get_mut(&segment(number)).unwrap()[BLOCK_BYTES..].fill(0);
    }
    for damage in [false, true] {
        if damage {
            files.get_mut(&snapshot(90)).unwrap()[0] ^= 1;
        }
        let error = refusal(&files);
        assert!(matches!(error, ScanError::Behind { after: Lsn(90), .. }), "{error}");
    }
    let journal: Vec<_> =
        files.keys().filter(|name| name.starts_with("segment")).cloned().collect();
    journal.iter().for_each(|name| drop(files.remove(name)));
    let error = refusal(&files);
    assert!(matches!(error, ScanError::NoJournal { lsn: Lsn(90), .. }), "{error}");
}

#[test]
fn an_unfinished_snapshot_is_removed() {
    let disk = MemDisk::with_files(files(&[60]));
    disk.put("snapshot-0000000000000090.preparing", vec![7; BLOCK_BYTES]);
    let (_, model, report) = start(&disk).unwrap();
    assert_eq!((model.times, report.unfinished), (self::model(100).times, 1));
    assert!(!disk.files().contains_key("snapshot-0000000000000090.preparing"));
}

#[test]
fn another_shards_or_a_newer_snapshot_is_refused_though_an_older_one_would_do() {
    let files = files(&[60]);
    for (shard, shards) in [(2, 3), (1, 4)] {
        let disk = MemDisk::with_files(files.clone());
        let foreign = SnapshotHead { shard: ShardId(shard), shards, ..head(Lsn(90)) };
        write_snapshot(&disk, foreign, &[]);
        let error = refusal(&disk.files());
        let expected =
            matches!(error, ScanError::ForeignShard { .. } | ScanError::ShardCount { .. });
        assert!(expected && error.to_string().starts_with(&snapshot(90)), "{error}");
    }
    let disk = MemDisk::with_files(files);
    model(90).snapshot(&disk);
    let mut files = disk.files();
    let block = &mut files.get_mut(&snapshot(90)).unwrap()[..BLOCK_BYTES];
    block[8] = 9;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&block[..60]), &block[64..]);
    block[60..64].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(refusal(&files), ScanError::NewerFormat { version: 9, .. }));
}

#[test]
fn a_snapshot_that_the_engine_refuses_is_no_damage() {
    let disk = MemDisk::with_files(files(&[60, 90]));
    let mut model = Model { refuse_pieces: true, ..Model::default() };
    let error = block_on(recover(disk, small_config(), NOW_MS, &mut model)).err().unwrap();
    assert_eq!(error.to_string(), format!("{}: no such piece", snapshot(90)));
    let disk = MemDisk::with_files(files(&[60]));
    write_snapshot(&disk, head(Lsn(90)), &self::model(89).image());
    let error = start(&disk).err().unwrap();
    assert_eq!(error.to_string(), format!("{}: incomplete", snapshot(90)));
}

/// A state that a redistribution made: it covers no record.
fn redistributed(disk: &MemDisk, created_ms: u64) {
    write_snapshot(disk, SnapshotHead { created_ms, ..head(Lsn(0)) }, &[]);
}

#[test]
fn a_snapshot_of_record_0_begins_a_journal_and_stays_its_beginning() {
    let disk = MemDisk::default();
    redistributed(&disk, 5);
    for _ in 0..2 {
        let (journal, model, report) = start(&disk).unwrap();
        assert_eq!((journal.last(), model.begun), (Lsn(0), vec![Lsn(0)]));
        assert_eq!(report.snapshot.map(|used| used.name), Some(snapshot(0)));
    }
    let (mut journal, ..) = start(&disk).unwrap();
    append_committed(&mut journal, 40);
    assert_eq!(start(&disk).unwrap().1.times, model(40).times);
    let mut files = disk.files();
    let beginning = files.remove(&snapshot(0)).unwrap();
    // Gone, damaged, another one.
    let error = refusal(&files);
    assert!(matches!(error, ScanError::Beginning { .. }), "{error}");
    let mut damaged = beginning.clone();
    damaged[4100] ^= 1;
    files.insert(snapshot(0), damaged);
    let error = refusal(&files);
    assert!(matches!(error, ScanError::NothingOlder { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("{} at offset 4096", snapshot(0))), "{error}");
    let other = MemDisk::with_files(files);
    block_on(journal::Disk::remove(&other, &snapshot(0))).unwrap();
    redistributed(&other, 6);
    let error = refusal(&other.files());
    assert!(matches!(error, ScanError::Beginning { .. }), "{error}");
    // With a later one the beginning does not matter.
    model(30).snapshot(&other);
    assert_eq!(start(&other).unwrap().1.times, model(40).times);
    // A journal that began with nothing, and a beginning beside it.
    let disk = MemDisk::with_files(self::files(&[]));
    redistributed(&disk, 5);
    let error = refusal(&disk.files());
    assert!(matches!(error, ScanError::Beginning { .. }), "{error}");
}

#[test]
fn a_damaged_beginning_without_a_journal_is_refused() {
    let disk = MemDisk::default();
    redistributed(&disk, 5);
    let mut files = disk.files();
    files.get_mut(&snapshot(0)).unwrap()[4100] ^= 1;
    let error = refusal(&files);
    assert!(matches!(error, ScanError::NothingOlder { offset: 4096, .. }), "{error}");
}

#[test]
fn any_record_can_be_replayed_to_from_any_snapshot() {
    let disk = MemDisk::with_files(files(&[30, 60, 90]));
    for until in 0..=100 {
        let mut model = Model::default();
        let last = block_on(replay_until(&disk, identity(), Lsn(until), &mut model)).unwrap();
        assert_eq!((last, model.times), (Lsn(until), self::model(until).times));
        let begun = (until >= 30).then_some(Lsn(until / 30 * 30));
        assert_eq!(model.begun, begun.into_iter().collect::<Vec<_>>());
        assert_eq!(model.replayed, until - until / 30 * 30);
    }
    let before = disk.files();
    let mut model = Model::default();
    let error = block_on(replay_until(&disk, identity(), Lsn(101), &mut model)).unwrap_err();
    let expected = RecoverError::Scan::<&str>(ScanError::Behind {
        file: String::new(),
        offset: 0,
        last: Lsn(100),
        after: Lsn(101),
    });
    assert_eq!(error.to_string().split("ends").nth(1), expected.to_string().split("ends").nth(1));
    assert_eq!(disk.files(), before, "read only");
    let empty = MemDisk::default();
    assert_eq!(block_on(replay_until(&empty, identity(), Lsn(0), &mut model)).unwrap(), Lsn(0));
    assert!(block_on(replay_until(&empty, identity(), Lsn(1), &mut model)).is_err());
}

#[test]
fn replaying_beside_a_running_server_stops_where_it_is_told() {
    let disk = MemDisk::default();
    let mut journal = start(&disk).unwrap().0;
    for round in 0..40u64 {
        append(&mut journal, 1 + round % 7);
        commit(&mut journal).unwrap();
        let durable = journal.durable().lsn();
        // One batch is half written, more gathers, a segment is in the making.
        append(&mut journal, 12);
        let in_flight = journal.take_batch();
        disk.put("segment-0000000099.preparing", vec![1; 2 * BLOCK_BYTES]);
        let torn = torn_last_batch(&disk, in_flight.is_some());
        for until in [durable.0.saturating_sub(3), durable.0] {
            let mut model = Model::default();
            block_on(replay_until(&torn, identity(), Lsn(until), &mut model)).unwrap();
            assert_eq!(model.times, self::model(until).times, "round {round}");
        }
        if let Some(batch) = in_flight {
            journal.complete(block_on(batch.write())).unwrap();
        }
        commit(&mut journal).unwrap();
        if round % 9 == 8 {
            model(durable.0).snapshot(&disk);
        }
    }
}

#[test]
fn a_read_need_not_see_again_what_an_earlier_one_saw_of_a_batch_under_way() {
    let disk = MemDisk::default();
    let mut journal = start(&disk).unwrap().0;
    append_committed(&mut journal, 40);
    while journal.room_bytes() > 0 {
        append(&mut journal, 1);
        commit(&mut journal).unwrap();
    }
    // The newest snapshot ends where a segment does, and the first batch of the next is on its way.
    let (durable, segment) = (journal.durable().lsn(), journal.segment());
    model(durable.0).snapshot(&disk);
    append(&mut journal, 1);
    disk.faults.fail_sync.set(true);
    let batch = journal.take_batch().unwrap();
    assert_eq!(journal.segment(), segment + 1);
    assert!(journal.complete(block_on(batch.write())).is_err());
    for is_shown_first in [true, false] {
        disk.faults.flickering.set(Some(is_shown_first));
        let mut model = Model::default();
        let last = block_on(replay_until(&disk, identity(), durable, &mut model)).unwrap();
        assert_eq!((last, model.times), (durable, self::model(durable.0).times));
    }
}

/// The disk, with some of a batch behind its last one: the head of a batch of its own shape.
fn torn_last_batch(disk: &MemDisk, torn: bool) -> MemDisk {
    let mut files = disk.files();
    for (_, bytes) in files.iter_mut().filter(|_| torn) {
        let mut blocks = bytes.chunks(BLOCK_BYTES);
        let Some(last) = blocks.rposition(|block| block[..8] == *b"RBKBATCH") else { continue };
        let behind = (last + 1) * BLOCK_BYTES;
        if behind < bytes.len() && bytes[behind..].iter().all(|&byte| byte == 0) {
            bytes.copy_within(behind - BLOCK_BYTES..behind - BLOCK_BYTES + 700, behind);
            bytes[behind + 100] ^= 1;
        }
    }
    MemDisk::with_files(files)
}

#[test]
fn another_thread_replays_while_a_server_appends() {
    let directory = std::env::temp_dir().join(format!("ringbook-beside-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let config = JournalConfig {
        segment_bytes: 16 * BLOCK_BYTES as u64,
        first_segment_bytes: 16 * BLOCK_BYTES as u64,
        ..small_config()
    };
    let mut state = Model::default();
    let live = StdDisk::new(&directory).direct();
    let recovered = block_on(recover(live, config, NOW_MS, &mut state)).unwrap();
    let mut journal = recovered.journal;
    let (tell, told) = std::sync::mpsc::channel::<Lsn>();
    let beside = directory.clone();
    let replayer = std::thread::spawn(move || {
        let reader = StdDisk::read_only(&beside).direct();
        let writer = StdDisk::new(&beside).direct();
        let mut replays = 0;
        while let Ok(first) = told.recv() {
            let until = told.try_iter().last().unwrap_or(first);
            let mut model = Model::default();
            block_on(replay_until(&reader, identity(), until, &mut model)).unwrap();
            assert_eq!(model.times, self::model(until.0).times);
            if replays % 4 == 3 {
                model.snapshot(&writer);
            }
            replays += 1;
        }
        replays
    });
    for round in 0..600u64 {
        append(&mut journal, 1 + round % 5);
        commit(&mut journal).unwrap();
        tell.send(journal.durable().lsn()).unwrap();
    }
    drop(tell);
    let last = journal.last().0;
    assert!(replayer.join().unwrap() > 3);
    let mut state = Model::default();
    let disk = StdDisk::new(&directory);
    block_on(recover(disk, small_config(), NOW_MS, &mut state)).unwrap();
    assert_eq!(state.times, model(last).times);
    assert!(!state.begun.is_empty(), "from a snapshot");
    std::fs::remove_dir_all(&directory).unwrap();
}

const ENGINE: EngineConfig = EngineConfig { shard: ShardId(1), shards: 3, hash_seed: 7 };

/// An engine, rebuilt as a shard does it.
struct Rebuilt {
    engine: Engine,
    restore: Option<Restore>,
}

impl Replay for Rebuilt {
    type Error = String;

    fn begin(&mut self, _: &SnapshotHead) {
        self.restore = Some(Restore::new(ENGINE));
    }

    fn piece(&mut self, piece: Piece) -> Result<(), String> {
        let restore = self.restore.as_mut().ok_or("no beginning")?;
        restore.piece(piece).map_err(|error| error.to_string())
    }

    fn loaded(&mut self) -> Result<(), String> {
        let restore = self.restore.take().ok_or("no beginning")?;
        self.engine = restore.finish().map_err(|error| error.to_string())?;
        Ok(())
    }

    fn empty(&mut self) {
        self.engine = Engine::new(ENGINE);
    }

    fn record(&mut self, _: Lsn, time_ms: u64, input: Input) -> Result<(), String> {
        let _ = self.engine.step(time_ms, &input, None, &mut Effects::default());
        Ok(())
    }
}

#[test]
fn an_engine_is_the_same_from_a_snapshot_as_from_all_records() {
    let disk = MemDisk::default();
    let config = JournalConfig { segment_bytes: 8 * 4096, ..small_config() };
    let rebuilt = || Rebuilt { engine: Engine::new(ENGINE), restore: None };
    let opened = block_on(recover(disk.clone(), config.clone(), NOW_MS, &mut rebuilt())).unwrap();
    let mut journal = opened.journal;
    let placement = rebuilt().engine.placement();
    let shard = ENGINE.shard;
    let users: Vec<_> =
        (1..).map(UserId).filter(|&user| placement.home_of(user) == shard).take(20).collect();
    for number in 0..200u64 {
        let user = users[(number * 7 % 20) as usize];
        let command = match number {
            0..20 => Command::CreateUser { user: Some(user), shard, name: None },
            _ => Command::FreezeUser { user, frozen: number % 3 == 0 },
        };
        journal.append(time_of(number), &Input::Command(command)).unwrap();
        prepare(&mut journal, NOW_MS).unwrap();
        commit(&mut journal).unwrap();
    }
    let mut whole = rebuilt();
    block_on(replay_until(&disk, identity(), Lsn(200), &mut whole)).unwrap();
    for lsn in [1, 50, 120, 199] {
        let mut part = rebuilt();
        block_on(replay_until(&disk, identity(), Lsn(lsn), &mut part)).unwrap();
        let state_hash = part.engine.state_hash();
        let pieces: Vec<Piece> = part.engine.image().collect();
        write_snapshot(&disk, SnapshotHead { state_hash, ..head(Lsn(lsn)) }, &pieces);
        let mut recovered = rebuilt();
        let opened = block_on(recover(disk.clone(), config.clone(), NOW_MS, &mut recovered));
        assert_eq!(opened.unwrap().report.replayed, 200 - lsn);
        assert_eq!(recovered.engine.state_hash(), whole.engine.state_hash());
        let images = (recovered.engine.image().collect(), whole.engine.image().collect());
        let (recovered, whole): (Vec<Piece>, Vec<Piece>) = images;
        assert_eq!(recovered, whole);
    }
}

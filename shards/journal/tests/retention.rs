//! Retention: what goes, what stays, and that a start always finds its way.

mod common;

use common::mem_disk::MemDisk;
use common::model::{Model, head};
use common::{NOW_MS, append, append_committed, commit, replay, small_config, time_of};
use journal::retention::{
    Action, Inventory, RetentionError, RetentionPolicy, SegmentListing, SegmentPolicy,
    SpareListing, apply, inventory, plan,
};
use journal::{
    BLOCK_BYTES, Disk, Journal, Lsn, SnapshotListing, StdDisk, block_on, recover, verify,
};
use proptest::prelude::*;

const SEGMENT_BYTES: u64 = 6 * 4096;

fn segment(number: u64) -> String {
    format!("segment-{number:010}.ringbook")
}

fn snapshot(lsn: u64) -> String {
    format!("snapshot-{lsn:016}.ringbook")
}

fn listing(lsn: u64) -> SnapshotListing {
    let (name, head) = (snapshot(lsn), head(Lsn(lsn)));
    SnapshotListing { name, lsn: Lsn(lsn), bytes: 8192, head: Some(head) }
}

fn policy() -> RetentionPolicy {
    RetentionPolicy { segment_bytes: SEGMENT_BYTES, spares: 0, ..RetentionPolicy::default() }
}

/// Segments of ten records each from `first` on, the last without any.
fn segments(first: u64, count: u64) -> Vec<SegmentListing> {
    let listing = |number| {
        let lsn = (number - 1) * 10 + 1;
        let first = (number + 1 < first + count).then_some((Lsn(lsn), time_of(lsn)));
        SegmentListing { number, length_bytes: SEGMENT_BYTES, first }
    };
    (first..first + count).map(listing).collect()
}

fn remove_segments(numbers: std::ops::Range<u64>) -> Vec<Action> {
    numbers.map(|number| Action::Remove(segment(number))).collect()
}

#[test]
fn only_what_the_oldest_kept_snapshot_covers_goes() {
    let mut found = Inventory {
        snapshots: [15, 35, 61].map(listing).to_vec(),
        segments: segments(1, 9),
        spares: Vec::new(),
    };
    let mut expected = vec![Action::Remove(snapshot(15))];
    expected.extend(remove_segments(1..4));
    assert_eq!(plan(&found, &policy(), NOW_MS), expected);
    // Not even one record of the segment behind is in the snapshot: it may not be durable.
    found.snapshots[1] = listing(30);
    expected.truncate(3);
    assert_eq!(plan(&found, &policy(), NOW_MS), expected);
    let keep_one = RetentionPolicy { keep_snapshots: 0, ..policy() };
    let mut expected = vec![Action::Remove(snapshot(15)), Action::Remove(snapshot(30))];
    expected.extend(remove_segments(1..7));
    assert_eq!(plan(&found, &keep_one, NOW_MS), expected);
    // The segment that is written and the one that stands ready never go.
    found.snapshots.push(listing(1_000));
    expected.insert(2, Action::Remove(snapshot(61)));
    expected.extend(remove_segments(7..8));
    assert_eq!(plan(&found, &keep_one, NOW_MS), expected);
}

#[test]
fn nothing_goes_before_there_are_as_many_snapshots_as_to_be_kept() {
    let mut found = Inventory { segments: segments(1, 9), ..Inventory::default() };
    assert_eq!(plan(&found, &policy(), NOW_MS), []);
    found.snapshots.push(listing(61));
    assert_eq!(plan(&found, &policy(), NOW_MS), []);
    // One that cannot be read does not count, and goes once it is older than what does.
    found.snapshots.push(SnapshotListing { head: None, ..listing(71) });
    assert_eq!(plan(&found, &policy(), NOW_MS), []);
    found.snapshots.extend([listing(75), listing(80)]);
    assert_eq!(
        plan(&found, &policy(), NOW_MS)[..2],
        [61, 71].map(|lsn| Action::Remove(snapshot(lsn)))
    );
}

#[test]
fn young_snapshots_and_young_segments_stay() {
    let found = Inventory {
        snapshots: [15, 35, 61, 75].map(listing).to_vec(),
        segments: segments(1, 9),
        spares: Vec::new(),
    };
    let now_ms = NOW_MS + 200;
    let young = |created_lsn: u64| RetentionPolicy {
        keep_snapshots_ms: now_ms - head(Lsn(created_lsn)).created_ms + 1,
        ..policy()
    };
    let mut expected = vec![Action::Remove(snapshot(15))];
    expected.extend(remove_segments(1..4));
    assert_eq!(plan(&found, &young(35), now_ms), expected);
    assert_eq!(plan(&found, &young(15), now_ms), remove_segments(1..2));
    assert_eq!(plan(&found, &policy(), now_ms).len(), 2 + 6);
    // Segment 4 ends when segment 5 begins, with record 41.
    let keep_segments_ms = now_ms - time_of(41) + 1;
    let policy_ms = RetentionPolicy { keep_segments_ms, ..policy() };
    assert_eq!(plan(&found, &policy_ms, now_ms)[2..], remove_segments(1..4));
    let policy_count = RetentionPolicy { keep_segments: 2, ..policy() };
    assert_eq!(plan(&found, &policy_count, now_ms)[2..], remove_segments(1..5));
    let keep = RetentionPolicy { segments: SegmentPolicy::Keep, ..policy() };
    assert_eq!(plan(&found, &keep, now_ms), [15, 35].map(|lsn| Action::Remove(snapshot(lsn))));
}

#[test]
fn spares_are_made_as_many_as_wanted_and_of_the_right_length() {
    let mut found = Inventory {
        snapshots: [51, 61].map(listing).to_vec(),
        segments: segments(1, 9),
        spares: vec![SpareListing { number: 0, length_bytes: SEGMENT_BYTES }],
    };
    found.segments[0].length_bytes = 4 * 4096;
    let with_spares = RetentionPolicy { spares: 2, ..policy() };
    let mut expected = vec![Action::Remove(segment(1)), Action::Recycle(2)];
    expected.extend(remove_segments(3..6));
    assert_eq!(plan(&found, &with_spares, NOW_MS), expected);
    found.segments.clear();
    found.spares =
        (1..5).map(|number| SpareListing { number, length_bytes: SEGMENT_BYTES }).collect();
    found.spares[0].length_bytes += 4096;
    let spare = |number| Action::Remove(format!("spare-{number:010}.ringbook"));
    assert_eq!(plan(&found, &with_spares, NOW_MS), [spare(1), spare(4)]);
}

#[test]
fn the_beginning_stays_as_long_as_the_first_segment() {
    let mut found = Inventory {
        snapshots: [0, 15, 35].map(listing).to_vec(),
        segments: segments(1, 9),
        spares: Vec::new(),
    };
    let keep = RetentionPolicy { segments: SegmentPolicy::Keep, ..policy() };
    assert_eq!(plan(&found, &keep, NOW_MS), []);
    found.snapshots[1] = listing(5);
    assert_eq!(plan(&found, &policy(), NOW_MS), []);
    found.snapshots[1] = listing(15);
    let expected = [Action::Remove(segment(1)), Action::Remove(snapshot(0))];
    assert_eq!(plan(&found, &policy(), NOW_MS), expected);
    // As after a crash between the two.
    found.segments.remove(0);
    assert_eq!(plan(&found, &policy(), NOW_MS), expected[1..]);
    found.segments = segments(1, 9);
    let archive = RetentionPolicy { segments: SegmentPolicy::Archive("/a".into()), ..policy() };
    let expected = [
        Action::Archive(segment(1)),
        Action::Remove(segment(1)),
        Action::Archive(snapshot(0)),
        Action::Remove(snapshot(0)),
    ];
    assert_eq!(plan(&found, &archive, NOW_MS), expected);
    // It is one of those to be kept itself.
    found.snapshots.remove(1);
    assert_eq!(plan(&found, &policy(), NOW_MS), []);
}

proptest! {
    #[test]
    fn no_plan_leaves_a_hole_or_less_than_a_start_needs(
        lsns in prop::collection::btree_set(0u64..120, 0..6),
        unreadable in any::<u8>(),
        first in 1u64..4,
        count in 1u64..12,
        keep in (0usize..4, 0u64..300, 0usize..4, 0u64..200),
        spares in 0usize..4,
    ) {
        let (keep_snapshots, keep_snapshots_ms, keep_segments, keep_segments_ms) = keep;
        let policy = RetentionPolicy {
            keep_snapshots, keep_snapshots_ms, keep_segments, keep_segments_ms, spares, ..policy()
        };
        let listed = lsns.iter().enumerate().map(|(index, &lsn)| {
            let head = (unreadable >> index & 1 == 0).then_some(head(Lsn(lsn)));
            SnapshotListing { head, ..listing(lsn) }
        });
        let snapshots: Vec<_> = listed.collect();
        let found =
            Inventory { snapshots, segments: segments(first, count), spares: Vec::new() };
        let mut left = found.segments.clone();
        let mut snapshots = found.snapshots.clone();
        for action in plan(&found, &policy, NOW_MS + 100) {
            match action {
                Action::Remove(name) if name.starts_with("snapshot") => {
                    snapshots.retain(|snapshot| snapshot.name != name);
                }
                Action::Remove(name) => prop_assert_eq!(name, segment(left.remove(0).number)),
                Action::Recycle(number) => prop_assert_eq!(number, left.remove(0).number),
                Action::Archive(_) => prop_assert!(false),
            }
            prop_assert!(!left.is_empty());
            if left.len() == found.segments.len() {
                continue;
            }
            // Whichever snapshot that can be read is left, but for the beginning, leads on.
            let (start, _) = left[0].first.expect("a batch to start from");
            let readable = snapshots.iter().filter(|snapshot| snapshot.head.is_some());
            let usable: Vec<_> = readable.filter(|snapshot| snapshot.lsn >= start).collect();
            prop_assert!(usable.len() >= keep_snapshots.max(1));
            prop_assert!(snapshots.iter().all(|left| left.head.is_none()
                || left.lsn == Lsn(0) || left.lsn >= start));
        }
    }
}

/// A journal of so many records, a few to a batch.
fn journal_with(disk: &MemDisk, records: u64) -> Journal<MemDisk> {
    let (mut journal, ..) = replay(disk, &small_config()).unwrap();
    while journal.last().0 < records {
        append(&mut journal, 2);
        commit(&mut journal).unwrap();
    }
    journal
}

fn model(last: u64) -> Model {
    Model { times: (1..=last).map(time_of).collect(), ..Model::default() }
}

fn recovered(disk: &MemDisk) -> Model {
    let mut model = Model::default();
    let recovered = block_on(recover(disk.clone(), small_config(), NOW_MS, &mut model)).unwrap();
    // Every write here has completed, whatever a recycled segment holds behind the last batch.
    assert_eq!(recovered.report.cut, None, "a torn end after a clean one");
    model
}

fn retain(disk: &MemDisk, archive: Option<&MemDisk>, policy: &RetentionPolicy) -> Vec<Action> {
    let found = block_on(inventory(disk, small_config().identity())).unwrap();
    let actions = plan(&found, policy, NOW_MS);
    block_on(apply(disk, archive, &actions)).unwrap();
    actions
}

#[test]
fn an_inventory_tells_what_is_there() {
    let disk = MemDisk::default();
    let journal = journal_with(&disk, 60);
    let file = model(40).snapshot(&disk);
    disk.put("spare-0000000001.ringbook", vec![1; 8192]);
    disk.put("notes.txt", vec![1]);
    let found = block_on(inventory(&disk, small_config().identity())).unwrap();
    assert_eq!(found.snapshots.len(), 1);
    assert_eq!(found.snapshots[0].head, Some(file.head));
    assert_eq!(found.spares, [SpareListing { number: 1, length_bytes: 8192 }]);
    assert_eq!(found.segments.first().unwrap().first, Some((Lsn(1), time_of(1))));
    let with_records = found.segments.iter().take_while(|segment| segment.first.is_some()).count();
    assert_eq!(with_records as u64, journal.segment());
    assert!(found.segments.len() > with_records, "one stands ready");
    for segment in &found.segments[..with_records] {
        let (lsn, time_ms) = segment.first.unwrap();
        assert_eq!(time_ms, time_of(lsn.0));
    }
}

#[test]
fn a_journal_lives_on_recycled_segments_for_ever() {
    let disk = MemDisk::default();
    let policy = RetentionPolicy { spares: 2, ..policy() };
    let mut journal = journal_with(&disk, 20);
    let mut most_files = 0;
    for round in 1..=30 {
        let last = 20 + round * 16;
        while journal.last().0 < last {
            append(&mut journal, 1 + round % 3);
            commit(&mut journal).unwrap();
        }
        model(journal.durable().lsn().0).snapshot(&disk);
        retain(&disk, None, &policy);
        assert_eq!(
            recovered(&MemDisk::with_files(disk.files())).times,
            model(journal.last().0).times
        );
        // And without the newest snapshot, once there are two.
        let mut files = disk.files();
        let newest = files.keys().rfind(|name| name.starts_with("snapshot")).cloned();
        files.get_mut(&newest.unwrap()).unwrap()[5_000] ^= 1;
        assert_eq!(recovered(&MemDisk::with_files(files)).times, model(journal.last().0).times);
        most_files = most_files.max(disk.files().len());
    }
    assert!(journal.statistics().recycled > 30, "{:?}", journal.statistics());
    assert!(most_files < 20, "{most_files} files");
    assert!(disk.files().keys().any(|name| name.starts_with("spare")));
}

#[test]
fn a_recycled_segment_needs_no_space() {
    let disk = MemDisk::default();
    let mut journal = journal_with(&disk, 60);
    model(50).snapshot(&disk);
    model(60).snapshot(&disk);
    retain(&disk, None, &RetentionPolicy { spares: 2, ..policy() });
    disk.faults.no_space_to_create.set(true);
    let (segment, before) = (journal.segment(), journal.last().0);
    while journal.segment() < segment + 3 {
        append(&mut journal, 2);
        commit(&mut journal).unwrap();
        assert!(journal.last().0 < before + 100 && journal.is_settled());
    }
    assert_eq!((journal.statistics().recycled, journal.no_space()), (2, true));
    assert_eq!(recovered(&disk).times, model(journal.last().0).times);
}

#[test]
fn a_spare_of_another_length_or_a_later_number_is_left_alone() {
    let disk = MemDisk::default();
    let mut journal = journal_with(&disk, 20);
    disk.put("spare-0000000001.ringbook", vec![1; 4096]);
    disk.put("spare-0000000900.ringbook", vec![1; SEGMENT_BYTES as usize]);
    append_committed(&mut journal, 60);
    assert_eq!(journal.statistics().recycled, 0);
    assert_eq!(disk.files().keys().filter(|name| name.starts_with("spare")).count(), 2);
    disk.put("spare-0000000002.ringbook", vec![1; SEGMENT_BYTES as usize]);
    append_committed(&mut journal, 60);
    assert_eq!(journal.statistics().recycled, 1);
    assert_eq!(recovered(&disk).times, model(140).times);
}

#[test]
fn an_archive_and_what_is_left_hold_every_record() {
    let (disk, archive) = (MemDisk::default(), MemDisk::default());
    let policy = RetentionPolicy {
        segments: SegmentPolicy::Archive("/elsewhere".into()),
        spares: 1,
        ..policy()
    };
    let mut journal = journal_with(&disk, 60);
    model(50).snapshot(&disk);
    model(60).snapshot(&disk);
    let actions = retain(&disk, Some(&archive), &policy);
    assert!(actions.iter().filter(|action| matches!(action, Action::Archive(_))).count() > 3);
    append_committed(&mut journal, 40);
    model(100).snapshot(&disk);
    retain(&disk, Some(&archive), &policy);
    assert_eq!(archive.files(), archive.durable_files());
    let mut whole = archive.files();
    whole.extend(disk.files().into_iter().filter(|(name, _)| name.starts_with("segment")));
    let whole = MemDisk::with_files(whole);
    assert_eq!(recovered(&whole).times, model(100).times);
    assert_eq!(block_on(verify(&whole)).unwrap().records, 100);
    assert_eq!(recovered(&disk).times, model(100).times);
}

#[test]
fn a_copy_in_the_archive_that_differs_stops_retention_and_loses_nothing() {
    let (disk, archive) = (MemDisk::default(), MemDisk::default());
    let policy =
        RetentionPolicy { segments: SegmentPolicy::Archive("/elsewhere".into()), ..policy() };
    journal_with(&disk, 60);
    model(50).snapshot(&disk);
    model(60).snapshot(&disk);
    let mut copy = disk.files().remove(&segment(2)).unwrap();
    copy[5 * BLOCK_BYTES] ^= 1;
    archive.put(&segment(2), copy);
    let found = block_on(inventory(&disk, small_config().identity())).unwrap();
    let actions = plan(&found, &policy, NOW_MS);
    let error = block_on(apply(&disk, Some(&archive), &actions)).unwrap_err();
    assert!(matches!(error, RetentionError::ArchiveDiffers { .. }), "{error}");
    assert!(error.to_string().starts_with(&segment(2)), "{error}");
    assert_eq!(recovered(&disk).times, model(60).times);
    let actions = [Action::Archive(segment(2))];
    let error = block_on(apply(&disk, None::<&MemDisk>, &actions)).unwrap_err();
    assert!(matches!(error, RetentionError::NoArchive { .. }), "{error}");
}

#[test]
fn plain_directories_archive_too() {
    let directory = std::env::temp_dir().join(format!("ringbook-retain-{}", std::process::id()));
    let archive = directory.join("archive");
    std::fs::create_dir_all(&archive).unwrap();
    let disk = StdDisk::new(&directory).direct();
    let policy = RetentionPolicy { segments: SegmentPolicy::Archive(archive.clone()), ..policy() };
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append_committed(&mut journal, 100);
    model(80).snapshot(&disk);
    model(100).snapshot(&disk);
    let found = block_on(inventory(&disk, small_config().identity())).unwrap();
    let actions = plan(&found, &policy, NOW_MS);
    let applied = block_on(apply(&disk, Some(&StdDisk::new(&archive)), &actions)).unwrap();
    assert!(applied.archived > 1 && applied.archived == applied.removed, "{applied:?}");
    assert_eq!(block_on(StdDisk::new(&archive).list()).unwrap().len() as u64, applied.archived);
    let mut state = Model::default();
    block_on(recover(disk, small_config(), NOW_MS, &mut state)).unwrap();
    assert_eq!(state.times, model(100).times);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_batch_that_is_not_durable_yet_is_nothing_to_start_from() {
    let disk = MemDisk::default();
    let mut journal = journal_with(&disk, 40);
    // The first batch of a segment is on its way: a reader beside it sees it whole.
    while journal.room_bytes() > 0 {
        append(&mut journal, 1);
        commit(&mut journal).unwrap();
    }
    let (durable, segment) = (journal.durable().lsn().0, journal.segment());
    append(&mut journal, 1);
    disk.faults.fail_sync.set(true);
    let batch = journal.take_batch().unwrap();
    assert!(journal.complete(block_on(batch.write())).is_err());
    model(durable).snapshot(&disk);
    let found = block_on(inventory(&disk, small_config().identity())).unwrap();
    let next = found.segments.iter().find(|listed| listed.number == segment + 1).unwrap();
    assert_eq!(next.first.map(|(lsn, _)| lsn), Some(Lsn(durable + 1)));
    retain(&disk, None, &RetentionPolicy { keep_snapshots: 1, ..policy() });
    let after = disk.after_power_cut(|| false);
    assert_eq!(after.files().keys().next(), Some(&self::segment(segment)));
    assert_eq!(recovered(&after).times, model(durable).times);
}

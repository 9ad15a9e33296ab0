//! Everything that was appended comes back, in order, as it was.

mod common;

use common::mem_disk::MemDisk;
use common::model::{Model, head, write_snapshot};
use common::{
    append, append_committed, check_prefix, commit, input, replay, small_config, time_of,
};
use engine::{Command, Input, OrderRef, Place, Transfer};
use journal::{BLOCK_BYTES, JournalConfig, Lsn, StdDisk, block_on, recover};
use money::{
    AssetId, Cid, Lots, OrderId, OrderKind, Price, SelfTrade, ShardId, Side, SymbolId, TimeInForce,
    UserId,
};
use proptest::prelude::*;

#[test]
fn a_new_journal_is_empty_and_recovers_empty() {
    let disk = MemDisk::default();
    for _ in 0..3 {
        let (journal, records, report) = replay(&disk, &small_config()).unwrap();
        assert!(records.is_empty() && report.cut.is_none());
        assert_eq!((journal.last(), journal.durable().lsn()), (Lsn(0), Lsn(0)));
        assert!(journal.admits() && journal.is_settled());
    }
}

#[test]
fn records_come_back_over_many_segments_and_many_starts() {
    let disk = MemDisk::default();
    let mut last = 0;
    for start in 0..6 {
        let (mut journal, records, report) = replay(&disk, &small_config()).unwrap();
        assert_eq!(check_prefix(&records), last);
        assert_eq!((report.last, report.replayed, report.cut), (Lsn(last), last, None));
        for round in 0..12 {
            append(&mut journal, 1 + (start * 5 + round) % 17);
            commit(&mut journal).unwrap();
        }
        assert!(journal.is_settled());
        assert!(journal.statistics().segments > 1, "the test must cross segments");
        last = journal.last().0;
    }
    assert_eq!(disk.files(), disk.durable_files(), "settled means durable");
}

#[test]
fn a_batch_that_fills_its_segment_to_the_last_block_is_followed_by_the_next_segment() {
    let disk = MemDisk::default();
    let config = small_config();
    let (mut journal, ..) = replay(&disk, &config).unwrap();
    let blocks = config.first_segment_bytes / BLOCK_BYTES as u64 - 1;
    for _ in 0..blocks {
        append(&mut journal, 1);
        commit(&mut journal).unwrap();
    }
    assert_eq!((journal.segment(), journal.room_bytes()), (1, 0));
    // Once with the tail at the very end of a segment, once behind it.
    for expected in [blocks, blocks + 1] {
        let (mut journal, records, _) = replay(&disk, &config).unwrap();
        assert_eq!(check_prefix(&records), expected);
        append(&mut journal, 1);
        commit(&mut journal).unwrap();
        assert_eq!(journal.segment(), 2);
    }
}

#[test]
fn only_records_behind_the_snapshot_are_replayed() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append_committed(&mut journal, 50);
    for after in [1, 20, 49, 50] {
        write_snapshot(&disk, head(Lsn(after)), &[]);
        let (journal, records, report) = replay(&disk, &small_config()).unwrap();
        let seen: Vec<_> = records.iter().map(|(lsn, ..)| lsn.0).collect();
        assert_eq!(seen, (after + 1..=50).collect::<Vec<_>>());
        assert_eq!((journal.last(), report.replayed), (Lsn(50), 50 - after));
        assert_eq!(report.snapshot.map(|snapshot| snapshot.head), Some(head(Lsn(after))));
    }
}

#[test]
fn a_record_that_the_shard_cannot_apply_ends_the_start() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append(&mut journal, 9);
    commit(&mut journal).unwrap();
    let mut model = Model { refuse: Some(7), ..Model::default() };
    let error = block_on(recover(disk, small_config(), 0, &mut model)).err().unwrap();
    assert_eq!(error.to_string(), "record 7: refused");
}

#[test]
fn a_configuration_whose_lengths_do_not_fit_is_refused_by_key() {
    let good = small_config();
    let cases = [
        ("batch_bytes", JournalConfig { batch_bytes: 5000, ..good.clone() }),
        ("segment_bytes", JournalConfig { segment_bytes: 8192, ..good.clone() }),
        ("first_segment_bytes", JournalConfig { first_segment_bytes: 0, ..good }),
    ];
    for (key, config) in cases {
        let error = replay(&MemDisk::default(), &config).err().unwrap();
        assert!(error.to_string().starts_with(key), "{error}");
    }
}

#[test]
fn a_longer_batch_than_an_older_segment_holds_is_not_gathered() {
    let disk = MemDisk::default();
    drop(replay(&disk, &small_config()).unwrap());
    let config = JournalConfig {
        batch_bytes: 64 << 10,
        segment_bytes: 256 << 10,
        first_segment_bytes: 256 << 10,
        ..small_config()
    };
    let (mut journal, ..) = replay(&disk, &config).unwrap();
    append(&mut journal, 100);
    commit(&mut journal).unwrap();
    assert!(journal.is_settled());
    assert_eq!(check_prefix(&replay(&disk, &config).unwrap().1), 100);
}

#[test]
fn plain_files_hold_a_journal_too() {
    let directory = std::env::temp_dir().join(format!("ringbook-journal-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let disk = StdDisk::new(&directory);
    let mut last = 0;
    for _ in 0..3 {
        let (mut journal, records, _) = replay(&disk, &small_config()).unwrap();
        assert_eq!(check_prefix(&records), last);
        append_committed(&mut journal, 60);
        last = journal.last().0;
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

fn any_cid() -> impl Strategy<Value = Cid> {
    "[!-~]{1,36}".prop_filter_map("not a cid", |text| Cid::parse(&text).ok())
}

fn any_order() -> impl Strategy<Value = OrderRef> {
    prop_oneof![
        any::<u64>().prop_map(|id| OrderRef::Id(OrderId(id))),
        any_cid().prop_map(OrderRef::Cid)
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let words = (
        prop::sample::select(Side::ALL),
        prop::sample::select(OrderKind::ALL),
        prop::sample::select(TimeInForce::ALL),
        prop::sample::select(SelfTrade::ALL),
    );
    let place = (
        words,
        any::<(u64, u32, u64, u64, bool)>(),
        any::<Option<u128>>(),
        prop::option::of(any_cid()),
    )
        .prop_map(|((side, kind, time_in_force, self_trade), numbers, quote_qty, cid)| {
            let (user, symbol, price, qty, wait) = numbers;
            Command::Place(Place {
                user: UserId(user),
                symbol: SymbolId(symbol),
                side,
                kind,
                time_in_force,
                self_trade,
                wait,
                price: Price(price),
                qty: Lots(qty),
                quote_qty,
                cid,
            })
        });
    let transfer = (any::<(u64, u32, u128)>(), any::<String>()).prop_map(
        |((user, asset, amount), reference)| {
            let (user, asset) = (UserId(user), AssetId(asset));
            Command::Withdraw(Transfer { user, asset, amount, reference })
        },
    );
    prop_oneof![
        place,
        transfer,
        (any::<u64>(), any_order(), any::<u64>()).prop_map(|(user, order, price)| Command::Move {
            user: UserId(user),
            order,
            price: Price(price)
        }),
        (any::<Option<u64>>(), any::<u16>(), any::<Option<String>>()).prop_map(
            |(user, shard, name)| Command::CreateUser {
                user: user.map(UserId),
                shard: ShardId(shard),
                name
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_input_comes_back_equal(
        batches in prop::collection::vec(
            prop::collection::vec((any::<u64>(), any_command()), 1..12), 1..12),
    ) {
        let disk = MemDisk::default();
        let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
        let mut expected = Vec::new();
        for batch in batches {
            for (time_ms, command) in batch {
                let input = Input::Command(command);
                let lsn = journal.append(time_ms, &input).unwrap();
                expected.push((lsn, time_ms, input));
            }
            commit(&mut journal).unwrap();
        }
        let (_, records, report) = replay(&disk, &small_config()).unwrap();
        prop_assert_eq!(records, expected);
        prop_assert_eq!(report.cut, None);
    }
}

#[test]
fn the_helpers_number_inputs_by_their_lsn() {
    let disk = MemDisk::default();
    let (mut journal, ..) = replay(&disk, &small_config()).unwrap();
    append(&mut journal, 3);
    commit(&mut journal).unwrap();
    let (_, records, _) = replay(&disk, &small_config()).unwrap();
    assert_eq!(records[2], (Lsn(3), time_of(3), input(3)));
}

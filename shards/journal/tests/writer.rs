//! The writer: what gathers, what is refused, what an error does.

mod common;

use std::collections::BTreeSet;

use common::mem_disk::MemDisk;
use common::{
    NOW_MS, append, append_committed, check_prefix, commit, input, peer, place, prepare, replay,
    small_config, time_of,
};
use engine::{Input, Message, NewSymbol, PeerBatch};
use journal::{
    AppendError, BLOCK_BYTES, Gate, Journal, JournalConfig, Lsn, MAX_GATHERED_BATCHES,
    MAX_PEER_MESSAGES, MAX_RECORD_BYTES, MAX_WRITE_ROUNDS, PREPARE_RETRY_MS, block_on,
    encoded_length,
};
use money::{AssetId, Price, ShardId, SymbolId, SymbolRules, SymbolSpec};

fn open(disk: &MemDisk) -> Journal<MemDisk> {
    replay(disk, &small_config()).unwrap().0
}

#[test]
fn records_gather_while_a_batch_is_written_and_share_the_next() {
    let disk = MemDisk::default();
    let mut journal = open(&disk);
    assert!(journal.take_batch().is_none(), "nothing to write");
    append(&mut journal, 1);
    let first = journal.take_batch().unwrap();
    assert_eq!((first.records(), first.last_lsn()), (1, Lsn(1)));
    append(&mut journal, 3);
    assert!(journal.take_batch().is_none() && journal.in_flight(), "one at a time");
    let writes = disk.faults.writes.get();
    assert_eq!(journal.complete(block_on(first.write())).unwrap().lsn(), Lsn(1));
    let second = journal.take_batch().unwrap();
    assert_eq!((second.records(), second.last_lsn()), (3, Lsn(4)));
    assert_eq!(journal.complete(block_on(second.write())).unwrap().lsn(), Lsn(4));
    assert_eq!(disk.faults.writes.get() - writes, 2, "three records, one write");
    assert_eq!(check_prefix(&replay(&disk, &small_config()).unwrap().1), 4);
}

#[test]
fn the_gate_opens_with_the_batch_and_not_before() {
    let disk = MemDisk::default();
    let mut journal = open(&disk);
    let mut gate = Gate::new();
    for number in 1..=3 {
        gate.hold(journal.append(0, &input(number)).unwrap(), number);
    }
    assert_eq!(gate.release(journal.durable()).count(), 0);
    let batch = journal.take_batch().unwrap();
    gate.hold(journal.append(0, &input(4)).unwrap(), 4);
    let written = block_on(batch.write());
    assert_eq!(gate.release(journal.durable()).count(), 0);
    let durable = journal.complete(written).unwrap();
    assert_eq!(gate.release(durable).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(gate.len(), 1);
}

#[test]
fn a_full_queue_refuses_and_loses_nothing() {
    let disk = MemDisk::default();
    let mut journal = open(&disk);
    append(&mut journal, 1);
    let first = journal.take_batch().unwrap();
    let mut refused = None;
    for number in 2..10_000 {
        if let Err(error) = journal.append(time_of(number), &input(number)) {
            refused = Some((number, error));
            break;
        }
    }
    let (number, error) = refused.expect("the queue is bounded");
    assert!(matches!(error, AppendError::Full), "{error}");
    assert_eq!(journal.last(), Lsn(number - 1));
    journal.complete(block_on(first.write())).unwrap();
    commit(&mut journal).unwrap();
    assert!(journal.statistics().batches as usize > MAX_GATHERED_BATCHES);
    append(&mut journal, 5);
    commit(&mut journal).unwrap();
    assert_eq!(check_prefix(&replay(&disk, &small_config()).unwrap().1), number + 4);
}

#[test]
fn an_oversize_record_is_an_error_and_leaves_no_trace() {
    let disk = MemDisk::default();
    let config = JournalConfig {
        batch_bytes: 1 << 20,
        segment_bytes: 4 << 20,
        first_segment_bytes: 4 << 20,
        ..small_config()
    };
    let (mut journal, ..) = replay(&disk, &config).unwrap();
    for _ in 0..2 {
        let error = journal.append(0, &peer(1, 20_000)).unwrap_err();
        assert!(matches!(error, AppendError::Oversize { limit: MAX_RECORD_BYTES }), "{error}");
        append(&mut journal, 3);
    }
    commit(&mut journal).unwrap();
    assert_eq!(check_prefix(&replay(&disk, &config).unwrap().1), 6);
    // A batch that is configured short lowers the limit.
    let mut journal = open(&MemDisk::default());
    let error = journal.append(0, &peer(1, 1_000)).unwrap_err();
    assert!(matches!(error, AppendError::Oversize { limit } if limit < 3 * BLOCK_BYTES));
}

#[test]
fn the_longest_record_that_fits_comes_back() {
    let disk = MemDisk::default();
    let config = JournalConfig::new(ShardId(0), 1);
    let (mut journal, ..) = replay(&disk, &config).unwrap();
    let sizes: Vec<_> = (1_500..4_000).map(|count| peer(1, count)).collect();
    let longest = sizes.iter().rposition(|input| encoded_length(input) <= MAX_RECORD_BYTES);
    let longest = longest.unwrap();
    assert!(longest + 1 < sizes.len());
    for _ in 0..6 {
        journal.append(1, &sizes[longest]).unwrap();
    }
    assert!(journal.append(1, &sizes[longest + 1]).is_err());
    commit(&mut journal).unwrap();
    let (_, records, _) = replay(&disk, &config).unwrap();
    assert!(records.len() == 6 && records.iter().all(|(.., read)| *read == sizes[longest]));
}

#[test]
fn the_promised_number_of_messages_fits_a_record() {
    let whole = |message: Message| {
        let messages = vec![message; MAX_PEER_MESSAGES];
        let batch = PeerBatch { source: ShardId(0), first_sequence: 1, confirmed: 0, messages };
        encoded_length(&Input::Peer(batch))
    };
    let Input::Peer(some) = peer(0, 3) else { unreachable!() };
    for message in some.messages {
        assert!(whole(message.clone()) <= MAX_RECORD_BYTES, "{message:?}");
    }
    let spec = SymbolSpec {
        name: "N".repeat(41),
        base: AssetId(0),
        quote: AssetId(1),
        base_decimals: 18,
        quote_decimals: 18,
        tick_mantissa: 1,
        tick_decimals: 0,
        lot_units: 1,
        rules: SymbolRules::default(),
    };
    let definition = Box::new(NewSymbol { spec, reference: Some(Price(1)) });
    let define = Message::DefineSymbol { ticket: 1, symbol: SymbolId(1), definition };
    assert!(whole(define.clone()) <= MAX_RECORD_BYTES, "{} bytes", whole(define));
}

#[test]
fn a_failed_write_or_sync_is_final() {
    for sync in [false, true] {
        let disk = MemDisk::default();
        let mut journal = open(&disk);
        append_committed(&mut journal, 2);
        append(&mut journal, 2);
        let fault = if sync { &disk.faults.fail_sync } else { &disk.faults.fail_write };
        fault.set(true);
        let batch = journal.take_batch().unwrap();
        let first = journal.complete(block_on(batch.write())).unwrap_err().to_string();
        assert!(first.contains("EIO") && first.contains("segment-0000000001.ringbook"), "{first}");
        let (writes, syncs) = (disk.faults.writes.get(), disk.faults.syncs.get());
        let again = journal.append(0, &place(1)).unwrap_err();
        assert!(matches!(&again, AppendError::Failed(error) if error.to_string() == first));
        assert!(journal.take_batch().is_none() && journal.preparation(u64::MAX).is_none());
        assert!(!journal.admits());
        assert_eq!(journal.failure().unwrap().to_string(), first);
        assert_eq!(journal.durable().lsn(), Lsn(2), "nothing more was promised");
        let now = (disk.faults.writes.get(), disk.faults.syncs.get());
        assert_eq!(now, (writes, syncs), "nothing was retried");
    }
}

#[test]
fn a_failed_preparation_is_final_and_ends_the_batch_under_way_too() {
    let disk = MemDisk::default();
    let mut journal = open(&disk);
    append(&mut journal, 1);
    let batch = journal.take_batch().unwrap();
    let preparation = journal.preparation(NOW_MS).unwrap();
    disk.faults.fail_sync.set(true);
    let prepared = block_on(preparation.run());
    let first = journal.complete_preparation(prepared).unwrap_err().to_string();
    let second = journal.complete(block_on(batch.write())).unwrap_err().to_string();
    assert_eq!(first, second);
    assert_eq!(journal.durable().lsn(), Lsn(0));
}

#[test]
fn short_writes_are_continued_at_whole_blocks() {
    for limit in [512, 4096, 4096 + 512, 8192, 3 * 4096 - 512] {
        let disk = MemDisk::default();
        let mut journal = open(&disk);
        prepare(&mut journal, NOW_MS).unwrap();
        append(&mut journal, 21);
        let batch = journal.take_batch().unwrap();
        assert!(batch.length_bytes() > 4096);
        disk.faults.write_limit.set(Some(limit));
        let writes = disk.faults.writes.get();
        let result = journal.complete(block_on(batch.write()));
        if limit < BLOCK_BYTES {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("short write"), "{error}");
            assert_eq!(disk.faults.writes.get() - writes, MAX_WRITE_ROUNDS as u64);
            continue;
        }
        let durable = result.unwrap();
        disk.faults.write_limit.set(None);
        let (_, records, _) = replay(&disk, &small_config()).unwrap();
        assert_eq!(check_prefix(&records), durable.lsn().0);
    }
}

#[test]
fn a_full_disk_is_a_state_that_ends_by_itself() {
    for on_create in [true, false] {
        let disk = MemDisk::default();
        let mut journal = open(&disk);
        let fault = if on_create {
            &disk.faults.no_space_to_create
        } else {
            &disk.faults.no_space_to_write
        };
        fault.set(true);
        prepare(&mut journal, NOW_MS).unwrap();
        assert!(journal.no_space() && journal.statistics().no_space == 1);
        assert!(journal.admits(), "there is room in the current segment");
        assert!(journal.preparation(NOW_MS + PREPARE_RETRY_MS - 1).is_none(), "not at once again");
        assert_eq!(disk.files().len(), 1, "half a segment holds no space");
        fault.set(false);
        // The current segment fills up: first admission ends, then there is no room at all.
        let mut refused_at = None;
        for _ in 0..5 {
            if !journal.admits() {
                refused_at = refused_at.or(Some(journal.room_bytes()));
            }
            append(&mut journal, 1);
            if let Some(batch) = journal.take_batch() {
                journal.complete(block_on(batch.write())).unwrap();
            }
        }
        assert!(!journal.admits() && refused_at.is_some());
        assert!(!journal.is_settled() && journal.take_batch().is_none());
        // Room again: the next try succeeds and everything goes on.
        prepare(&mut journal, NOW_MS + PREPARE_RETRY_MS).unwrap();
        assert!(journal.admits() && !journal.no_space());
        commit(&mut journal).unwrap();
        assert!(journal.is_settled());
        assert_eq!(check_prefix(&replay(&disk, &small_config()).unwrap().1), 5);
    }
}

#[test]
fn the_switch_to_a_ready_segment_writes_nothing_but_the_batch() {
    let disk = MemDisk::default();
    let mut journal = open(&disk);
    prepare(&mut journal, NOW_MS).unwrap();
    for _ in 0..3 {
        append(&mut journal, 1);
        let batch = journal.take_batch().unwrap();
        journal.complete(block_on(batch.write())).unwrap();
    }
    assert_eq!(journal.segment(), 1);
    let operations = disk.faults.operations.get();
    append(&mut journal, 1);
    let batch = journal.take_batch().unwrap();
    journal.complete(block_on(batch.write())).unwrap();
    assert_eq!(journal.segment(), 2);
    assert_eq!(disk.faults.operations.get() - operations, 2, "one write, one sync");
}

#[test]
fn a_new_segment_is_zeros_whatever_the_disk_held() {
    let disk = MemDisk::default();
    let mut journal = open(&disk);
    prepare(&mut journal, NOW_MS).unwrap();
    let files = disk.durable_files();
    assert_eq!(files.len(), 2, "durable with their names");
    for (name, bytes) in files {
        assert!(bytes[BLOCK_BYTES..].iter().all(|&byte| byte == 0), "{name}");
    }
    let names: BTreeSet<_> = disk.files().into_keys().collect();
    assert!(names.contains("segment-0000000002.ringbook"));
}

//! What the journals have said so far, record by record, and who has listened from the first one on.
//!
//! After each recovery the new records are read and fed once: to the oracle, and to a copy of the
//! engine that was restored from its image at the recovery before. What was read is durable by then,
//! so it may never change or vanish again. A change of the shard count begins a new set of journals
//! with what the old ones came to.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Command, Effects, Engine, Input, reshard};
use journal::{Entry, Reader, ScanError};
use money::{Placement, ShardId, UserId};

use crate::disk::SimDisk;
use crate::oracle::{self, NaiveShard};
use crate::settled::{empty, replay, restore};
use crate::task::at_once;

/// One shard's journal.
struct Followed {
    /// What it begins with.
    base: Engine,
    records: Vec<Entry>,
    naive: NaiveShard,
    /// Restored now and then, and fed with every record since.
    copy: Engine,
    /// By peer: the number of its last message.
    applied: BTreeMap<ShardId, u64>,
}

pub(crate) struct Witness {
    shards: Vec<Followed>,
    /// Every payment and every request for one by its reference.
    paid: BTreeSet<(UserId, String)>,
    /// Records of all journals that are no longer written to.
    past_records: u64,
}

impl Witness {
    pub fn new(placement: Placement) -> Witness {
        let follow = |here| {
            let naive = NaiveShard::new(here, placement);
            Followed::new(empty(here, placement.shards()), naive)
        };
        let shards = placement.all().map(follow).collect();
        Witness { shards, paid: BTreeSet::new(), past_records: 0 }
    }

    /// The same users and symbols on another number of shards. Only when everything was read.
    pub fn reshard(&mut self, shards: u16) {
        self.past_records = self.records();
        let resharded = reshard(self.replay(), shards, 5).expect("recovered shards fit together");
        let naive = self.shards.drain(..).map(|shard| shard.naive).collect();
        let naive = oracle::reshard(naive, shards);
        let both = resharded.engines.into_iter().zip(naive);
        self.shards = both.map(|(base, naive)| Followed::new(base, naive)).collect();
    }

    /// Reads what is new. Only when everything in the journals is durable.
    pub fn follow(&mut self, disks: &[SimDisk]) {
        for (at, disk) in disks.iter().enumerate() {
            self.follow_until(at, disk, u64::MAX);
        }
    }

    /// Reads what is new in one journal up to a record that is durable, before it may be removed.
    pub fn follow_until(&mut self, at: usize, disk: &SimDisk, until: u64) {
        let shard = &mut self.shards[at];
        let mut effects = Effects::default();
        let mut last = 0;
        for entry in read_journal(disk).into_iter().take_while(|entry| entry.lsn.0 <= until) {
            last = entry.lsn.0;
            if let Some(known) = shard.records.get(last as usize - 1) {
                assert_eq!(*known, entry, "a durable record changed");
                continue;
            }
            shard.check_order(&entry);
            note_payment(&mut self.paid, &entry.input);
            shard.naive.step(entry.time_ms, &entry.input);
            let _ = shard.copy.step(entry.time_ms, &entry.input, None, &mut effects);
            effects.clear();
            shard.records.push(entry);
        }
        let known = shard.records.len() as u64;
        let is_whole = until < u64::MAX || last == known;
        assert!(is_whole, "durable records vanished: shard {at} ends at {last}, not at {known}");
    }

    /// A journal holds every record there ever was.
    pub fn check_whole(&self, at: usize, disk: &SimDisk) {
        let (found, known) = (read_journal(disk), &self.shards[at].records);
        let differing = found.iter().zip(known).find(|(found, known)| found != known);
        assert!(differing.is_none(), "archived with shard {at}: {differing:?}");
        assert_eq!(found.len(), known.len(), "records archived with shard {at}");
    }

    /// Whether a payment is in some journal.
    pub fn has_paid(&self, user: UserId, reference: &str) -> bool {
        self.paid.contains(&(user, reference.to_owned()))
    }

    /// Every payment in the journals.
    pub fn paid(&self) -> impl Iterator<Item = &(UserId, String)> {
        self.paid.iter()
    }

    /// What the oracle makes of it all.
    pub fn oracle(&self) -> Vec<&NaiveShard> {
        self.shards.iter().map(|shard| &shard.naive).collect()
    }

    /// Fresh engines that have replayed everything.
    pub fn replay(&self) -> Vec<Engine> {
        let of = |shard: &Followed| replay(restore(&shard.base), &shard.records);
        self.shards.iter().map(of).collect()
    }

    /// By shard: the hash of the state before the first record.
    pub fn base_hashes(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.base.state_hash()).collect()
    }

    /// By shard: the last record.
    pub fn last(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.records.len() as u64).collect()
    }

    /// The copies, to be compared and restored anew.
    pub fn copies(&mut self) -> impl Iterator<Item = &mut Engine> {
        self.shards.iter_mut().map(|shard| &mut shard.copy)
    }

    /// Records in all journals.
    pub fn records(&self) -> u64 {
        self.past_records + self.last().iter().sum::<u64>()
    }
}

impl Followed {
    fn new(base: Engine, naive: NaiveShard) -> Followed {
        let copy = restore(&base);
        Followed { base, records: Vec::new(), naive, copy, applied: BTreeMap::new() }
    }

    /// Records and messages of each peer are there once, in order, without a gap.
    fn check_order(&mut self, entry: &Entry) {
        let before_ms = self.records.last().map_or(self.base.now_ms(), |one| one.time_ms);
        assert_eq!(entry.lsn.0, self.records.len() as u64 + 1, "records without gaps");
        assert!(entry.time_ms >= before_ms, "time went back");
        if let Input::Peer(batch) = &entry.input {
            let applied = self.applied.entry(batch.source).or_default();
            assert_eq!(batch.first_sequence, *applied + 1, "messages of shard {}", batch.source);
            *applied = batch.last_sequence();
        }
    }
}

fn note_payment(paid: &mut BTreeSet<(UserId, String)>, input: &Input) {
    let key = match input {
        Input::Command(Command::Deposit(transfer) | Command::Withdraw(transfer)) => {
            (transfer.user, transfer.reference.clone())
        }
        Input::Command(Command::RequestWithdrawal(request)) => {
            (request.user, request.reference.clone())
        }
        _ => return,
    };
    assert!(paid.insert(key), "paid twice: {input:?}");
}

/// All whole records of a shard's journal.
fn read_journal(disk: &SimDisk) -> Vec<Entry> {
    let image = disk.image();
    let mut reader = match at_once(Reader::open(&image)) {
        Ok(reader) => reader,
        // A shard that begins with a snapshot and has not begun yet.
        Err(ScanError::Empty) => return Vec::new(),
        Err(error) => panic!("recovered just now: {error}"),
    };
    let mut entries = Vec::new();
    while let Some(entry) = at_once(reader.next()).expect("recovered just now") {
        entries.push(entry);
    }
    entries
}

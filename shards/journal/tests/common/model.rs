//! A state to rebuild, in place of an engine's: the times of all records, which no two share.

use engine::{AssetTotals, Input, Piece};
use journal::{Disk, Lsn, Replay, SnapshotFile, SnapshotHead, SnapshotWriter, block_on};
use money::{Price, ShardId, SymbolId};

use super::NOW_MS;

/// How many times are in a piece.
const PIECE_TIMES: usize = 7;

/// The state, and what it was told on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The time of each record, the first one's first.
    pub times: Vec<u64>,
    /// Records replayed.
    pub replayed: u64,
    /// The snapshots that began.
    pub begun: Vec<Lsn>,
    /// Whether the last of them is complete.
    pub complete: bool,
    /// Whether it was told to start from nothing.
    pub empty: bool,
    /// The record that it does not take.
    pub refuse: Option<u64>,
    /// Takes no piece.
    pub refuse_pieces: bool,
}

impl Model {
    /// Its image, cut into pieces of one kind and some of another.
    pub fn image(&self) -> Vec<Piece> {
        let pieces = self.times.chunks(PIECE_TIMES).enumerate();
        pieces
            .flat_map(|(index, times)| {
                let pair = |(at, &time)| (SymbolId(at as u32), Price(time));
                let references = times.iter().enumerate().map(pair).collect();
                let other = Piece::CutTotals(Vec::<AssetTotals>::new());
                let other = (index % 3 == 1).then_some(other);
                [Some(Piece::EarlyReferences(references)), other].into_iter().flatten()
            })
            .collect()
    }

    /// Writes its snapshot.
    pub fn snapshot<D: Disk>(&self, disk: &D) -> SnapshotFile {
        write_snapshot(disk, head(Lsn(self.times.len() as u64)), &self.image())
    }
}

impl Replay for Model {
    type Error = &'static str;

    fn begin(&mut self, head: &SnapshotHead) {
        self.times.clear();
        self.begun.push(head.lsn);
        (self.complete, self.empty) = (false, false);
    }

    fn piece(&mut self, piece: Piece) -> Result<(), &'static str> {
        assert!(!self.begun.is_empty() && !self.complete);
        match piece {
            _ if self.refuse_pieces => Err("no such piece"),
            Piece::EarlyReferences(references) => {
                self.times.extend(references.iter().map(|(_, price)| price.0));
                Ok(())
            }
            Piece::CutTotals(totals) if totals.is_empty() => Ok(()),
            _ => Err("refused"),
        }
    }

    fn loaded(&mut self) -> Result<(), &'static str> {
        self.complete = true;
        let expected = self.begun.last().map(|lsn| lsn.0 as usize);
        if Some(self.times.len()) == expected { Ok(()) } else { Err("incomplete") }
    }

    fn empty(&mut self) {
        self.times.clear();
        self.empty = true;
    }

    fn record(&mut self, lsn: Lsn, time_ms: u64, _: Input) -> Result<(), &'static str> {
        assert!(self.empty != self.complete, "a snapshot or nothing");
        assert_eq!(lsn.0, self.times.len() as u64 + 1, "a gap");
        if self.refuse == Some(lsn.0) {
            return Err("refused");
        }
        self.times.push(time_ms);
        self.replayed += 1;
        Ok(())
    }
}

/// A head for the shard of the tests.
pub fn head(lsn: Lsn) -> SnapshotHead {
    SnapshotHead {
        shard: ShardId(1),
        shards: 3,
        lsn,
        state_hash: lsn.0.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        time_ms: NOW_MS + lsn.0,
        created_ms: NOW_MS + 2 * lsn.0,
    }
}

/// Writes a snapshot; the disk must work.
pub fn write_snapshot<D: Disk>(disk: &D, head: SnapshotHead, pieces: &[Piece]) -> SnapshotFile {
    block_on(async {
        let mut writer = SnapshotWriter::begin(disk.clone(), head).await.unwrap();
        for piece in pieces {
            writer.piece(piece).await.unwrap();
        }
        writer.finish().await.unwrap()
    })
}

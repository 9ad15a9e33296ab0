//! What a state must be able to do to be rebuilt from a snapshot and the records behind it.

use engine::{Input, Piece};

use crate::format::Lsn;
use crate::snapshot::SnapshotHead;

/// A state under reconstruction: by [`recover`](crate::recover()) at a start, by
/// [`replay_until`](crate::replay_until) beside a running server.
///
/// Either [`Replay::begin`], all pieces and [`Replay::loaded`] come first, or [`Replay::empty`]; then
/// the records, in order, without a gap. A snapshot that turns out damaged half way is followed by
/// another `begin` or by `empty`.
pub trait Replay {
    /// Why something could not be applied. It ends the replay.
    type Error;

    /// A snapshot begins: forget what an earlier, damaged one left.
    fn begin(&mut self, head: &SnapshotHead);
    /// The next piece. It is whole, but those behind it may turn out damaged.
    fn piece(&mut self, piece: Piece) -> Result<(), Self::Error>;
    /// All pieces are there.
    fn loaded(&mut self) -> Result<(), Self::Error>;
    /// No snapshot could be used: start from nothing, and forget what a damaged one left.
    fn empty(&mut self);
    /// The next record; `time_ms` is the time that the shard applied it at.
    fn record(&mut self, lsn: Lsn, time_ms: u64, input: Input) -> Result<(), Self::Error>;
}

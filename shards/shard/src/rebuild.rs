//! An engine under reconstruction, from a snapshot and the records behind it: the same for a start,
//! for a new snapshot and for a change of the shard count.

use engine::{Effects, Engine, EngineConfig, ImageError, Input, Piece, Restore};
use journal::{Lsn, Replay, SnapshotHead};

/// Rebuilds an engine. Nobody waits for the answers of a replay, and what is to be sent again stays
/// in the engine until the peers have said what they know.
pub(crate) struct Rebuild<P> {
    config: EngineConfig,
    restore: Option<Restore>,
    engine: Engine,
    effects: Effects,
    progress: P,
}

impl<P: FnMut(u64)> Rebuild<P> {
    /// Begins with nothing. `progress` is told the number of every record.
    pub fn new(config: EngineConfig, progress: P) -> Rebuild<P> {
        let (engine, effects) = (Engine::new(config), Effects::default());
        Rebuild { config, restore: None, engine, effects, progress }
    }

    /// What was rebuilt.
    pub fn into_engine(self) -> Engine {
        self.engine
    }
}

impl<P: FnMut(u64)> Replay for Rebuild<P> {
    type Error = ImageError;

    fn begin(&mut self, _head: &SnapshotHead) {
        self.restore = Some(Restore::new(self.config));
    }

    fn piece(&mut self, piece: Piece) -> Result<(), ImageError> {
        self.restore.as_mut().expect("a snapshot has begun").piece(piece)
    }

    fn loaded(&mut self) -> Result<(), ImageError> {
        self.engine = self.restore.take().expect("a snapshot has begun").finish()?;
        Ok(())
    }

    fn empty(&mut self) {
        self.restore = None;
        self.engine = Engine::new(self.config);
    }

    fn record(&mut self, lsn: Lsn, time_ms: u64, input: Input) -> Result<(), ImageError> {
        let _ = self.engine.step(time_ms, &input, None, &mut self.effects);
        self.effects.clear();
        (self.progress)(lsn.0);
        Ok(())
    }
}

//! Choosing where a replay starts: the newest snapshot that is whole, or nothing, and the records
//! behind it.
//!
//! The rows named here (N2, S1, …) are those of the decision table in [`recover`](mod@crate::recover).
//! Nothing in this module writes.

use crate::disk::Disk;
use crate::error::{RecoverError, ScanError};
use crate::format::Lsn;
use crate::replay::Replay;
use crate::scan::{Identity, Walk};
use crate::segment::{FIRST_NUMBER, segment_name};
use crate::snapshot::{SnapshotFile, Source, snapshot_lsns, snapshot_name};

/// A snapshot that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedSnapshot {
    /// Which file.
    pub file: String,
    /// Where it is not as it was written.
    pub offset: u64,
    /// What is wrong there.
    pub why: &'static str,
}

/// Where a replay starts.
pub(crate) struct Start<D: Disk> {
    /// The journal, in front of the batch with the next record; `None` when there are no segments.
    pub walk: Option<Walk<D>>,
    /// The snapshot that was loaded.
    pub snapshot: Option<SnapshotFile>,
    /// The last record that the journal must hold, because some snapshot covers it.
    pub needed: Lsn,
    /// Newer snapshots that are damaged.
    pub damaged: Vec<DamagedSnapshot>,
}

impl<D: Disk> Start<D> {
    /// The last record whose effect is in the state.
    pub fn after(&self) -> Lsn {
        self.snapshot.as_ref().map_or(Lsn(0), |snapshot| snapshot.head.lsn)
    }
}

/// What is known before a snapshot is chosen.
struct Choice<'a, D> {
    disk: &'a D,
    identity: Identity,
    needed: Lsn,
    damaged: Vec<DamagedSnapshot>,
}

/// Loads the newest usable snapshot of record `until` or an earlier one.
pub(crate) async fn load<D: Disk, R: Replay>(
    disk: &D,
    identity: Identity,
    until: Lsn,
    replay: &mut R,
) -> Result<Start<D>, RecoverError<R::Error>> {
    let mut lsns = snapshot_lsns(disk).await?;
    lsns.retain(|&lsn| lsn <= until);
    let needed = lsns.last().copied().unwrap_or_default();
    let mut choice = Choice { disk, identity, needed, damaged: Vec::new() };
    for &lsn in lsns.iter().rev() {
        match choice.load(lsn, replay).await {
            Ok((walk, snapshot)) => {
                let damaged = choice.damaged;
                return Ok(Start { walk, snapshot: Some(snapshot), needed, damaged });
            }
            // N2: look for an older one.
            Err(RecoverError::Scan(ScanError::DamagedSnapshot { file, offset, why })) => {
                choice.damaged.push(DamagedSnapshot { file, offset, why });
            }
            Err(error) => return Err(error),
        }
    }
    let walk = choice.open_behind(Lsn(0)).await?;
    match walk.as_ref().map(Walk::beginning) {
        // N5: that the journal is to begin with a snapshot is known, with which state is not.
        None if !choice.damaged.is_empty() => {
            return Err(choice.nothing_without(segment_name(FIRST_NUMBER)).into());
        }
        // N9.
        Some(Some(beginning)) if beginning != 0 => {
            return Err(choice.nothing_without(snapshot_name(Lsn(0))).into());
        }
        // S1: whatever a later segment says that it begins with.
        Some(None) => return Err(choice.nothing_without(segment_name(FIRST_NUMBER)).into()),
        // N10.
        None | Some(Some(_)) => replay.empty(),
    }
    Ok(Start { walk, snapshot: None, needed, damaged: choice.damaged })
}

impl<D: Disk> Choice<'_, D> {
    async fn load<R: Replay>(
        &self,
        lsn: Lsn,
        replay: &mut R,
    ) -> Result<(Option<Walk<D>>, SnapshotFile), RecoverError<R::Error>> {
        // N2 to N4, for the header.
        let mut source = Source::open(self.disk, lsn, Some(self.identity)).await?;
        let walk = self.open_behind(lsn).await?;
        let file = source.name().to_owned();
        let refused = |cause| RecoverError::Snapshot { file: file.clone(), cause };
        replay.begin(source.head());
        // N2, for the frames.
        while let Some(piece) = source.next().await? {
            // N11.
            replay.piece(piece).map_err(refused)?;
        }
        let snapshot = source.into_file();
        if let Some(walk) = &walk
            && lsn == Lsn(0)
        {
            check_beginning(walk, &snapshot)?;
        }
        replay.loaded().map_err(refused)?;
        Ok((walk, snapshot))
    }

    /// The journal from the record behind `lsn` on; `None` when there are no segments.
    async fn open_behind(&self, lsn: Lsn) -> Result<Option<Walk<D>>, ScanError> {
        let Some(mut walk) = Walk::open_behind(self.disk, self.identity, lsn).await? else {
            // N8.
            let (file, lsn) = (snapshot_name(self.needed), self.needed);
            return if lsn > Lsn(0) { Err(ScanError::NoJournal { file, lsn }) } else { Ok(None) };
        };
        // N5 and S1.
        match walk.reaches(lsn).await? {
            true => Ok(Some(walk)),
            false => Err(self.nothing_without(walk.name_before())),
        }
    }

    /// Names the newest damaged snapshot, if one is to blame for a file that is needed.
    fn nothing_without(&self, missing: String) -> ScanError {
        match self.damaged.first().cloned() {
            Some(DamagedSnapshot { file, offset, why }) => {
                ScanError::NothingOlder { file, offset, why, missing }
            }
            None if missing == snapshot_name(Lsn(0)) => {
                let why = "the journal began with a snapshot of record 0, which is not here";
                ScanError::Beginning { file: segment_name(FIRST_NUMBER), why }
            }
            None => ScanError::MissingSegment { file: missing },
        }
    }
}

/// Row N9.
fn check_beginning<D: Disk>(walk: &Walk<D>, snapshot: &SnapshotFile) -> Result<(), ScanError> {
    let why = match walk.beginning() {
        Some(beginning) if beginning == snapshot.beginning() => return Ok(()),
        Some(0) => "the journal began with nothing, but there is a snapshot of record 0",
        _ => "the journal began with another snapshot of record 0 than the one that is here",
    };
    Err(ScanError::Beginning { file: segment_name(FIRST_NUMBER), why })
}

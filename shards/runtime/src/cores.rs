//! Which core runs which shard.
//!
//! Only cores that the process may use count (its affinity mask: `taskset`, containers), which
//! glommio's own `MaxSpread` ignores. Shards are pinned one per core, in the order of the core
//! numbers; when there are more shards than cores none is pinned, because two pinned to one core
//! while another idles would be worse than what the kernel does.

use glommio::{CpuSet, Placement, PoolPlacement};
use nix::sched::{CpuSet as Mask, sched_getaffinity};
use nix::unistd::Pid;
use std::fmt;
use std::io;
use std::str::FromStr;

/// Why cores or shards cannot be as asked.
#[derive(Debug, thiserror::Error)]
pub enum CoresError {
    /// Not of the form `0-3,6`.
    #[error("cores: {text:?} is not a list like 0-3,6")]
    Malformed {
        /// The list.
        text: String,
    },
    /// A core that does not exist, or that the process may not use.
    #[error("cores: core {core} is not available to this process; available are {available}")]
    Unavailable {
        /// The core.
        core: usize,
        /// What could be used.
        available: CoreList,
    },
    /// Zero shards.
    #[error("shards: there must be at least one")]
    NoShards,
    /// The system does not tell.
    #[error("cannot read the affinity mask of the process: {0}")]
    Mask(io::Error),
}

/// A set of cores by number, ascending, without repetition, never empty. Reads and prints as
/// `0-3,6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreList {
    cores: Vec<usize>,
}

impl CoreList {
    /// The cores that this process may use.
    pub fn available() -> Result<CoreList, CoresError> {
        let mask = sched_getaffinity(Pid::from_raw(0)).map_err(|e| CoresError::Mask(e.into()))?;
        let cores = (0..Mask::count()).filter(|core| mask.is_set(*core).unwrap_or(false));
        Ok(CoreList { cores: cores.collect() })
    }

    /// The core numbers.
    pub fn cores(&self) -> &[usize] {
        &self.cores
    }

    /// This list, if all of it is within `available`.
    pub fn within(self, available: &CoreList) -> Result<CoreList, CoresError> {
        match self.cores.iter().find(|core| !available.cores.contains(core)) {
            Some(core) => {
                Err(CoresError::Unavailable { core: *core, available: available.clone() })
            }
            None => Ok(self),
        }
    }
}

impl FromStr for CoreList {
    type Err = CoresError;

    fn from_str(text: &str) -> Result<CoreList, CoresError> {
        let malformed = || CoresError::Malformed { text: text.to_owned() };
        let number = |text: &str| {
            let core = text.trim().parse::<usize>().ok();
            core.filter(|core| *core < Mask::count()).ok_or_else(malformed)
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(malformed());
            }
            cores.extend(first..=last);
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(CoreList { cores })
    }
}

impl fmt::Display for CoreList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.cores.chunk_by(|left, right| left + 1 == *right);
        for (index, run) in runs.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match run {
                [core] => write!(formatter, "{comma}{core}")?,
                run => write!(formatter, "{comma}{}-{}", run[0], run[run.len() - 1])?,
            }
        }
        Ok(())
    }
}

/// Where each shard runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlacement {
    /// By shard: its core, or `None` when the kernel moves it as it likes.
    cores: Vec<Option<usize>>,
    allowed: CoreList,
}

impl ShardPlacement {
    /// Places `shards` (by default one per core) on `asked` (by default all available) cores.
    pub fn decide(
        asked: Option<CoreList>,
        shards: Option<usize>,
    ) -> Result<ShardPlacement, CoresError> {
        Self::decide_among(CoreList::available()?, asked, shards)
    }

    fn decide_among(
        available: CoreList,
        asked: Option<CoreList>,
        shards: Option<usize>,
    ) -> Result<ShardPlacement, CoresError> {
        let allowed = match asked {
            Some(asked) => asked.within(&available)?,
            None => available,
        };
        let shards = shards.unwrap_or(allowed.cores.len());
        if shards == 0 {
            return Err(CoresError::NoShards);
        }
        let cores = match allowed.cores.get(..shards) {
            Some(cores) => cores.iter().copied().map(Some).collect(),
            None => vec![None; shards],
        };
        Ok(ShardPlacement { cores, allowed })
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.cores.len()
    }

    /// The core of a shard; `None` when it is not pinned.
    pub fn core(&self, shard: usize) -> Option<usize> {
        self.cores[shard]
    }

    /// The same for glommio's executor. An unpinned shard is still held within the cores asked for.
    pub(crate) fn executor(&self, shard: usize) -> Placement {
        match (self.cores[shard], self.allowed_set()) {
            (Some(core), _) => Placement::Fixed(core),
            (None, Some(set)) => Placement::Fenced(set),
            (None, None) => Placement::Unbound,
        }
    }

    /// For an executor's helper thread, which would otherwise run on the shard's own core.
    pub(crate) fn helper(&self) -> PoolPlacement {
        self.allowed_set().map_or(PoolPlacement::Unbound(1), |set| PoolPlacement::Fenced(1, set))
    }

    /// `None` where `/sys` does not tell glommio which cores there are.
    fn allowed_set(&self) -> Option<CpuSet> {
        let online = CpuSet::online().ok()?;
        Some(online.filter(|location| self.allowed.cores.contains(&location.cpu)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> CoreList {
        text.parse().unwrap()
    }

    #[test]
    fn lists_are_read_and_printed() {
        assert_eq!(list("0-3,6").cores(), [0, 1, 2, 3, 6]);
        assert_eq!(list(" 6 , 0-1,1").to_string(), "0-1,6");
        assert_eq!(list("5").to_string(), "5");
        for bad in ["", ",", "1-", "-1", "3-1", "a", "0-3,,6", "99999999999999999999", "1-4000000"]
        {
            assert!(bad.parse::<CoreList>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_are_pinned_while_there_are_cores_for_them() {
        let decide = |asked: Option<&str>, shards| {
            let asked = asked.map(list);
            ShardPlacement::decide_among(list("0-3,6"), asked, shards)
        };
        assert_eq!(decide(None, None).unwrap().cores, [0, 1, 2, 3, 6].map(Some));
        assert_eq!(decide(None, Some(2)).unwrap().cores, [Some(0), Some(1)]);
        assert_eq!(decide(Some("2,6"), None).unwrap().cores, [Some(2), Some(6)]);
        assert_eq!(decide(Some("2,6"), Some(3)).unwrap().cores, [None; 3]);
        assert!(matches!(decide(None, Some(0)), Err(CoresError::NoShards)));
        let error = decide(Some("4"), None).unwrap_err().to_string();
        assert!(error.contains("core 4") && error.contains("0-3,6"), "{error}");
    }

    #[test]
    fn the_affinity_mask_is_honoured() {
        let available = CoreList::available().unwrap();
        let last = *available.cores().last().unwrap();
        let check = move || {
            let mut mask = Mask::new();
            mask.set(last).unwrap();
            nix::sched::sched_setaffinity(Pid::from_raw(0), &mask).unwrap();
            assert_eq!(CoreList::available().unwrap().cores(), [last]);
            let placement = ShardPlacement::decide(None, None).unwrap();
            assert_eq!((placement.shards(), placement.core(0)), (1, Some(last)));
        };
        std::thread::spawn(check).join().unwrap();
    }
}

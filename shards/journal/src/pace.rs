//! How a thread that is in no hurry uses a device on which others wait for each write.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How much is read or written at once, in bytes: a commit that comes meanwhile waits for no more than
/// this.
const PIECE_BYTES: usize = 128 << 10;
/// A pause that was missed is not made up for by a burst longer than this.
const BURST: Duration = Duration::from_millis(5);

/// A limit on bytes per second, shared by all files of a disk.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_s: u64,
    /// When everything so far may have been read or written.
    due: Mutex<Instant>,
}

impl Pace {
    /// 0 bytes per second: no limit, only small pieces.
    pub fn new(bytes_per_s: u64) -> Pace {
        Pace { bytes_per_s, due: Mutex::new(Instant::now()) }
    }

    /// Where the piece ends that begins at `start` of `length` bytes.
    pub fn piece_end(&self, start: usize, length: usize) -> usize {
        length.min(start + PIECE_BYTES)
    }

    /// So many bytes are done: sleeps until the next may begin.
    pub fn took(&self, bytes: u64) {
        if self.bytes_per_s == 0 {
            return;
        }
        let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        let now = Instant::now();
        // A panic elsewhere leaves a time that is as good as any.
        let mut due = self.due.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *due = (*due).max(now.checked_sub(BURST).unwrap_or(now)) + time;
        let pause = due.saturating_duration_since(now);
        drop(due);
        std::thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_back_and_none_does_not() {
        let since = Instant::now();
        let free = Pace::new(0);
        (0..1_000).for_each(|_| free.took(1 << 30));
        let pace = Pace::new(10 << 20);
        (0..10).for_each(|_| pace.took(128 << 10));
        // 1.25 MiB at 10 MiB/s, less the burst that the beginning may have.
        assert!(since.elapsed() >= Duration::from_millis(115));
    }

    #[test]
    fn pieces_cover_everything_once() {
        let (pace, length) = (Pace::new(0), 3 * PIECE_BYTES + 1);
        let mut ends = vec![0];
        while ends[ends.len() - 1] < length {
            ends.push(pace.piece_end(ends[ends.len() - 1], length));
        }
        assert_eq!(ends, [0, PIECE_BYTES, 2 * PIECE_BYTES, 3 * PIECE_BYTES, length]);
    }
}

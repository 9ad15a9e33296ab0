//! Tells whoever waits for a long start that it is getting on.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A start that is done by then says nothing of its progress.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a terminal is told more.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(500);
/// How often a log is.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Tells how many records have been replayed, from [`PATIENCE`] on until it is dropped.
pub(crate) struct Progress {
    is_over: Arc<AtomicBool>,
    teller: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    /// Begins to count the time.
    pub fn start(replayed: Arc<AtomicU64>) -> Progress {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let tell = move || tell(&over, &replayed);
        // Without the thread nothing is told; the start goes on.
        let teller = std::thread::Builder::new().name("progress".to_owned()).spawn(tell).ok();
        Progress { is_over, teller }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(teller) = self.teller.take() {
            teller.thread().unpark();
            let _ = teller.join();
        }
    }
}

fn tell(is_over: &AtomicBool, replayed: &AtomicU64) {
    let since = Instant::now();
    let on_terminal = std::io::stderr().is_terminal();
    let interval = if on_terminal { TERMINAL_INTERVAL } else { LOG_INTERVAL };
    let mut next = PATIENCE;
    let mut has_told = false;
    while !is_over.load(Ordering::Relaxed) {
        std::thread::park_timeout(next.saturating_sub(since.elapsed()));
        if since.elapsed() < next {
            continue;
        }
        next = since.elapsed() + interval;
        let (records, seconds) = (replayed.load(Ordering::Relaxed), since.elapsed().as_secs());
        if on_terminal {
            eprint!("\rrecovering: {records} records replayed, {seconds} s\x1b[K");
            let _ = std::io::stderr().flush();
        } else {
            tracing::info!(records, seconds, "recovering");
        }
        has_told = true;
    }
    if has_told && on_terminal {
        eprint!("\r\x1b[K");
    }
}

//! What the tests share: the real binary as a server, small HTTP and WebSocket clients, an exchange to
//! trade on, recorded flows, and a seeded random number generator.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub mod exchange;
pub mod http;
pub mod production;
pub mod random;
pub mod raw;
pub mod server;
pub mod sets;
pub mod websocket;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it: long, because the machine may be busy
/// with other things, and never waited for when all is well.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something; panics with what `described` says when it never does.
pub fn wait_for<T>(
    described: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    const PAUSE: Duration = Duration::from_millis(2);
    let begin = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begin.elapsed() < limit, "waited {} s in vain: {described}", limit.as_secs());
        std::thread::sleep(PAUSE);
    }
}

/// Tells other threads to stop when it is dropped: also when a test fails, else they would go on for
/// ever.
pub struct StopAtEnd<'a>(pub &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

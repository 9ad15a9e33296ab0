//! A client that does nothing wrong, and how it fares while others do.

use std::time::{Duration, Instant};

use super::stand::{BOB, ORDER, SHARDS, Stand, order};

const ORDERS: usize = 200;
/// Far above what an order takes on a busy machine, far below what a stalled shard would.
const WORST_P99: Duration = Duration::from_secs(1);

/// How long its orders took.
pub struct Fare {
    p50: Duration,
    p99: Duration,
}

impl Fare {
    /// Places orders on each shard; panics unless all are taken.
    #[track_caller]
    pub fn of(stand: &Stand, name: &str) -> Fare {
        let bearer = stand.bearer(BOB);
        let mut times: Vec<Duration> = Vec::new();
        for shard in 0..SHARDS {
            let mut client = stand.at(shard);
            for number in 0..ORDERS {
                let body = order(&format!("{name}-{shard}-{number}"));
                let since = Instant::now();
                let answer = client.call_with("POST", ORDER, &bearer, &body);
                times.push(since.elapsed());
                assert_eq!(answer.status, 202, "{name}: {answer}");
            }
        }
        times.sort();
        Fare { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
    }

    /// Panics if somebody stood in its way.
    #[track_caller]
    pub fn expect_fair(&self, before: &Fare, attack: &str) {
        println!("{attack}: {self}, before it {before}");
        assert!(self.p99 < WORST_P99, "{attack}: {self}, before it {before}");
    }

    /// The strict comparison, for a machine that does nothing else.
    #[track_caller]
    pub fn expect_undisturbed(&self, before: &Fare, attack: &str) {
        println!("{attack}: {self}, before it {before}");
        let most = before.p99 * 3 + Duration::from_millis(2);
        assert!(self.p99 <= most, "{attack}: {self}, before it {before}");
    }
}

impl std::fmt::Display for Fare {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "p50 {} µs, p99 {} µs", self.p50.as_micros(), self.p99.as_micros())
    }
}

/// Memory of the server that is in use, in bytes.
pub fn resident_bytes(stand: &Stand) -> u64 {
    let path = format!("/proc/{}/status", stand.server.process_id());
    let status = std::fs::read_to_string(&path).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

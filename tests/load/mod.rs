//! Load and audit: many clients that do everything an exchange can do, as fast as it answers, and
//! know afterwards what must be there. Shared by the tests that kill the server and those that take
//! its disk away.

// Every test program uses a part of this.
#![allow(dead_code)]

pub mod audit;
pub mod kills;
pub mod known;
pub mod market;
pub mod request;
pub mod retry;
pub mod trader;

use std::sync::atomic::AtomicBool;

use crate::support::StopAtEnd;
use crate::support::exchange::{number, word};
use crate::support::http::Client;
use crate::support::random::Random;
use crate::support::{LIMIT, wait_for};
use retry::Resolved;
use trader::{Counts, Trader};

/// The clients of one exchange.
pub struct Load {
    pub traders: Vec<Trader>,
}

impl Load {
    /// So many clients of a new exchange.
    pub fn new(clients: u64, random: &Random) -> Load {
        let trader = |number| Trader::new(number, random.fork(number));
        Load { traders: (0..clients).map(trader).collect() }
    }

    /// Has all clients trade while `meanwhile` runs; they stop when it ends, or when the server is
    /// gone.
    pub fn trade_during<T>(&mut self, ports: &[u16], meanwhile: impl FnOnce() -> T) -> T {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (trader, &port) in self.traders.iter_mut().zip(ports.iter().cycle()) {
                let stop = &stop;
                scope.spawn(move || trader.trade(port, stop));
            }
            let _stop = StopAtEnd(&stop);
            meanwhile()
        })
    }

    /// Has all clients send again what was not answered, while `meanwhile` runs. Whoever loses the
    /// server keeps the rest.
    pub fn resolve_during(&mut self, port: u16, meanwhile: impl FnOnce()) -> Resolved {
        std::thread::scope(|scope| {
            let resolve = |trader| scope.spawn(move || resolve_what_goes(trader, port));
            let threads: Vec<_> = self.traders.iter_mut().map(resolve).collect();
            meanwhile();
            let mut sum = Resolved::default();
            for thread in threads {
                sum += thread.join().expect("a client");
            }
            sum
        })
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> usize {
        self.traders.iter().map(|trader| trader.unanswered.len()).sum()
    }

    /// What all clients have counted.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.traders.iter().map(|trader| trader.counts) {
            sum.acknowledged += counts.acknowledged;
            sum.orders += counts.orders;
            sum.unavailable += counts.unavailable;
            sum.reads += counts.reads;
        }
        sum
    }

    /// Closes all connections.
    pub fn disconnect(&mut self) {
        self.traders.iter_mut().for_each(Trader::disconnect);
    }
}

fn resolve_what_goes(trader: &mut Trader, port: u16) -> Resolved {
    let before = trader.unanswered.len() as u64;
    match trader.resolve(port) {
        Ok(resolved) => resolved,
        // How those went that were resolved before the server left is forgotten.
        Err(_) => {
            let either = before - trader.unanswered.len() as u64;
            Resolved { either, ..Resolved::default() }
        }
    }
}

/// Waits until no message is under way between the shards, and everything is durable.
pub fn wait_until_quiet(port: u16) {
    let mut admin = Client::admin(port);
    wait_for("the shards to have nothing under way", LIMIT, || {
        let shards = admin.get("/api/v1/admin/shards").data();
        let is_quiet = |shard: &serde_json::Value| {
            number(&shard["unconfirmed_messages"]) == 0
                && shard["appended_lsn"] == shard["durable_lsn"]
                && !word(&shard["state_hash"]).is_empty()
        };
        shards.as_array().expect("shards").iter().all(is_quiet).then_some(())
    });
}

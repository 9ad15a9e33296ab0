//! The deterministic simulator: a whole exchange of many shards in one thread, under one seed.
//!
//! What runs is the real thing: [`shard::Shard`] with the real engine, journal and gate, driven in the
//! order of calls that the runtime has. What it touches is simulated: the disk, the mesh, the clock,
//! the scheduler, the gateways and their clients. Everything that happens is drawn from the seed, so
//! the same seed always ends in the same state.
//!
//! | module | what it plays |
//! | --- | --- |
//! | `world` | the scheduler: what happens next, crashes, full disks, the way to rest |
//! | `process`, `node`, `task` | one process: recovery, greetings, then turns, commits and ticks |
//! | `disk`, `crash` | the disk: every operation waits for the scheduler; what a crash leaves |
//! | `mesh` | the transport: ordered, at least once, slow, cutting batches |
//! | `market`, `clients`, `known`, `answers` | users who lose answers, ask again and remember |
//! | `rot` | single bits that flip between a crash and the recovery |
//! | `check` | what must hold after every recovery, and at rest |
//! | `oracle` | a second exchange, as plain as possible, fed with the same journals |
//! | `mutation` | planted bugs: does it all notice? |
//!
//! # What is checked
//!
//! *After every recovery*, before anything new happens: the replayed state has the hash that it had
//! before the crash at the same record, and nothing that was said to be durable is missing; every
//! acknowledged order, cancel, reduction, move, payment, user and definition is there; no fill that
//! somebody saw is taken back, no ended order lives, no trade vanishes or changes, and what was said
//! to be settled on both sides is; payments and peer messages are in the journals once.
//!
//! *At any moment*: proofs balance; no answer contradicts what its client knew when it asked; a
//! process ends by itself only if a fault was injected.
//!
//! *At rest*: Σ frozen is what the open orders need, books are what the homes' open orders say, all
//! shards know the same rules, nothing is unconfirmed, every request was answered; a plain replay of
//! each journal has the live shard's hash; the oracle agrees to the last field about orders, trades,
//! tapes, books, balances, fees, and about every message between any two shards.
//!
//! # Where more goes
//!
//! A new thing that can happen (a snapshot, a redistribution to another shard count) is one more
//! `Action` of the scheduler, or one more `Stage` of a starting process; its disk operations wait like
//! all others, so crashes fall into it by themselves.

mod answers;
mod check;
mod clients;
mod crash;
mod disk;
mod known;
mod market;
mod mesh;
mod mutation;
mod node;
mod oracle;
mod process;
mod random;
mod rot;
mod run;
mod settings;
mod task;
mod totals;
mod view;
mod world;

pub use mutation::Mutation;
pub use run::{DEFAULT_STEPS, Options, Outcome, run};
pub use totals::Totals;

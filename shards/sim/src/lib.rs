//! The deterministic simulator: a whole exchange of many shards in one thread, under one seed.
//!
//! What runs is the real thing: [`shard::Shard`] with the real engine, journal and gate, driven in the
//! order of calls that the runtime has. What it touches is simulated: the disk, the mesh, the clock,
//! the scheduler, the gateways and their clients. Everything that happens is drawn from the seed, so
//! the same seed always ends in the same state.
//!
//! | module | what it plays |
//! | --- | --- |
//! | `world` | the scheduler: what happens next, crashes and starts, full disks, the way to rest |
//! | `process`, `node`, `task` | one process: recovery, greetings, then turns, commits and ticks |
//! | `snapshots` | snapshots and retention beside a running shard |
//! | `store`, `resharding` | the data directory, and a start on another number of shards |
//! | `disk`, `crash` | the disk: every operation waits for the scheduler; what a crash leaves |
//! | `mesh` | the transport: ordered, at least once, slow, cutting batches |
//! | `market`, `clients`, `known`, `answers`, `halts` | users who lose answers, ask again, remember |
//! | `credentials`, `withdrawing` | likewise: roles, keys, sessions; withdrawals in two steps |
//! | `rot` | bits, sectors and files that are lost between a crash and the recovery |
//! | `check` | what must hold after every recovery, and at rest |
//! | `witness` | all records there ever were, for those who follow them from the first one on |
//! | `oracle` | a second exchange, as plain as possible, fed with the same journals |
//! | `settled` | what the shards would come to if nothing new happened |
//! | `mutation` | planted bugs: does it all notice? |
//!
//! # What is checked
//!
//! *After every recovery*, before anything new happens: the recovered state has the hash that it had
//! before the crash at the same record, and nothing that was said to be durable is missing; it is, to
//! the last field, what a plain replay from the first record comes to, and what an image taken at the
//! recovery before comes to with the records since; the oracle agrees about every order, trade, tape,
//! book, balance and reservation, and about every message heard; every acknowledged order, cancel,
//! reduction, move, payment, user, definition, key and session is there; no fill that somebody saw is taken back, no
//! ended order lives, no trade vanishes or changes, and what was said to be settled on both sides is;
//! payments and peer messages are in the journals once, and no payment that nobody asked for. In a copy, in which every message arrives at
//! once, sums are conserved, Σ frozen is what the open orders need, and books are what the homes' open
//! orders say; the same copy, dealt out over another number of shards, too.
//!
//! *At any moment*: a change of a role, key or session is in force on every shard when its answer leaves,
//! and every shard has told of what it ended; proofs balance; no answer contradicts what its client knew when it asked; a
//! process ends by itself only if a fault was injected; a snapshot proves the live shard's hash, and
//! is there from then on; what retention removes no start needs.
//!
//! *At rest*: all of that about the running shards themselves, nothing is unconfirmed, everything told
//! was heard, the proof's sums are the oracle's, archives hold what the journals do not, every request
//! was answered.
//!
//! # Where more goes
//!
//! A new thing that can happen is one more `Action` of the scheduler, or one more kind of `Process`;
//! its disk operations wait like all others, so crashes fall into it by themselves.

mod answers;
mod check;
mod clients;
mod crash;
mod credentials;
mod disk;
mod halts;
mod known;
mod market;
mod mesh;
mod mutation;
mod node;
mod oracle;
mod process;
mod random;
mod resharding;
mod rot;
mod run;
mod settings;
mod settled;
mod snapshots;
mod store;
mod task;
mod totals;
mod view;
mod withdrawing;
mod witness;
mod world;

pub use mutation::Mutation;
pub use run::{DEFAULT_STEPS, Options, Outcome, run};
pub use totals::Totals;

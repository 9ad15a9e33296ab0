//! The audit trail of an exchange: who did what, from where, with which result.
//!
//! A shard hands a [`Record`] to its [`Sender`] and goes on; one thread formats all records as JSON
//! lines and writes them to files, a directory for each [`Kind`]; a second one answers queries,
//! compresses closed files and removes old ones.
//!
//! Promises: [`Sender::record`] never waits, never allocates and makes no system call. Memory is
//! bounded whatever the disk does: what finds its queue full is dropped, counted, and told by a line
//! of type `gap` in the files, so nobody takes a trail with a hole for a whole one. Kinds have queues
//! of their own, so a flood of orders pushes out no login. A query sees what was recorded before it
//! was asked. What was written is on the disk about a second later: a crash of the machine may take
//! that second, and the trail is no journal.

mod archive;
mod config;
mod files;
mod lanes;
mod line;
mod log;
mod pending;
mod query;
mod record;
mod scan;
mod shared;
mod symbols;
mod time;
mod trail;
mod worker;
mod writer;

pub use config::{
    Clock, Hours, MAX_FILE_BYTES, MIN_FILE_BYTES, ORDER_QUEUE_RECORDS, OTHER_QUEUE_RECORDS,
    Retention, StartError, TrailConfig, system_clock,
};
pub use lanes::Sender;
pub use pending::{Pending, QueryError};
pub use query::{LogPage, LogQuery, MAX_LOG_LINES};
pub use record::{Actor, CUT_MARK, Detail, Kind, MAX_TEXT_BYTES, Record};
pub use symbols::{MAX_DECIMALS, MAX_SYMBOL_NAME_BYTES, MAX_SYMBOLS, Symbol, SymbolError};
pub use trail::{CLOSE_MS, CloseError, Trail};
pub use worker::{KindStats, MAX_WAITING_JOBS, Stats};

pub use shared::Counters;

//! The journal of one shard: rkyv records in checksummed, chained batches in preallocated segments.
//!
//! A shard appends every input that it applied, and nothing that the input caused may leave before
//! the record is durable ([`Gate`] is that rule). This crate promises:
//!
//! - **Nothing acknowledged is lost.** A [`Durable`] exists only after write and sync succeeded; the
//!   first I/O error is latched and every later call returns it.
//! - **Nothing is misread.** Every record comes back as it was written, or recovery cuts a torn last
//!   batch, or it refuses to start and names file and offset. See [`recover()`] for the table.
//! - **A lone record never waits for company, and company shares a write.** While one batch is being
//!   written the next one gathers ([`Journal::append`], [`Journal::take_batch`]).
//! - **A full disk is met one segment ahead**, as a state ([`Journal::admits`]), not as an error.
//!
//! All numbers on disk are little-endian. A *block* is [`BLOCK_BYTES`] (4096) bytes; every write is
//! whole blocks at a block boundary.
//!
//! # A segment
//!
//! ```text
//! segment-0000000007.ringbook, its length fixed when it is made
//! ┌────────────────┬─────────────┬──────────────────┬─────────────┬───────────────────────────┐
//! │ segment header │ batch       │ batch            │ batch       │ zeros (or, in a recycled  │
//! │ 1 block        │ 1..n blocks │                  │             │ file, stale batches)      │
//! └────────────────┴─────────────┴──────────────────┴─────────────┴───────────────────────────┘
//!
//! header  0   magic "RBKSEGMT"        16  segment number u64      60  CRC-32C u32 of the whole
//!         8   format version u16      24  length in bytes u64         block without this field
//!         10  shard u16               32  created, ms since the   64  zeros to the end of the
//!         12  shard count u16             epoch u64                   block
//!         14  zero u16                40  zeros
//! ```
//!
//! A segment is made under another name, filled with zeros, synced, renamed and its directory
//! synced, all before the first batch goes in: so under its own name a segment is always whole, and a
//! broken header is damage, never a crash. It is made before anyone knows which batch will come
//! first, so the first sequence number and the chain stand in that batch's header, not in the
//! segment's.
//!
//! # A batch
//!
//! ```text
//! ┌──────────────┬────────┬─────────┬───┬────────┬─────────┬───┬──────────────────────────┐
//! │ batch header │ frame  │ payload │pad│ frame  │ payload │pad│ zeros to the end of the  │
//! │ 64 bytes     │ 16     │ rkyv    │ 8 │ 16     │ rkyv    │ 8 │ block                    │
//! └──────────────┴────────┴─────────┴───┴────────┴─────────┴───┴──────────────────────────┘
//!
//! header  0   magic "RBKBATCH"        16  segment number u64      40  length in bytes u32, header
//!         8   format version u16      24  first LSN u64               included, zeros at the end not
//!         10  shard u16               32  chain: xxh3-64 of the   44  zeros
//!         12  record count u32            batch before, whole     60  CRC-32C u32 of all blocks of
//!                                         blocks u64                  the batch without this field
//!
//! frame   0   payload length u32      4   kind u32 (1: Input)     8   time in ms u64
//! ```
//!
//! A payload is the rkyv archive of one [`engine::Input`], its root at the end. An LSN is the number
//! of a record, counting from 1 without gaps. The chain also crosses segments; before the first batch
//! it is [`GENESIS_CHAIN`]. A batch that a recycled file kept from an earlier life carries the
//! earlier segment's number, so it is never taken for a new one.

mod batch;
mod config;
mod disk;
mod error;
mod format;
mod gate;
mod reader;
mod record;
mod recover;
mod scan;
mod segment;
mod std_disk;
mod writer;

pub use batch::{Batch, MAX_WRITE_ROUNDS, Written};
pub use config::{
    ConfigError, FIRST_SEGMENT_BYTES, JournalConfig, MAX_SEGMENT_BYTES, RESERVE_BYTES,
    SEGMENT_BYTES, SEGMENTS_AHEAD,
};
pub use disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
pub use error::{AppendError, JournalError, RecoverError, ScanError};
pub use format::{
    BATCH_HEADER_BYTES, FORMAT_VERSION, FRAME_HEADER_BYTES, GENESIS_CHAIN, Lsn, MAX_BATCH_BYTES,
    MAX_PEER_MESSAGES, MAX_RECORD_BYTES,
};
pub use gate::{Durable, Gate, Held};
pub use reader::{Entries, Entry, Reader, Verified, entries, verify};
pub use record::{decode, encoded_length};
pub use recover::{Cut, Recovered, Recovery, recover};
pub use scan::BrokenBatch;
pub use segment::{Preparation, Prepared, ZERO_FILL_BYTES};
pub use std_disk::{StdBuffer, StdDisk, StdFile, block_on};
pub use writer::{Journal, MAX_GATHERED_BATCHES, PREPARE_RETRY_MS, Statistics};

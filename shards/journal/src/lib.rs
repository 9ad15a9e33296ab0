//! The journal of one shard: rkyv records in checksummed, chained batches in preallocated segments;
//! snapshots of the state beside them, and the tidying up behind those.
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
//! - **A start reads one snapshot and the records behind it** ([`SnapshotWriter`], [`recover()`]), and
//!   what no start needs any more goes ([`retention`]).
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
//!         14  zero u16                40  beginning u64
//!                                     48  recycled u8, then zeros
//! ```
//!
//! A segment is made under another name, filled with zeros, synced, renamed and its directory
//! synced, all before the first batch goes in: so under its own name a segment is always whole, and a
//! broken header is damage, never a crash. It is made before anyone knows which batch will come
//! first, so the first sequence number and the chain stand in that batch's header, not in the
//! segment's. The *beginning* is 0, but in the first segment of a journal that began with a snapshot of
//! record 0: there it is [`SnapshotFile::beginning`].
//!
//! A segment may be made out of `spare-0000000003.ringbook`, an earlier one that retention took out of
//! the journal: that is not filled with zeros, and gets its new header before its new name.
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
//!
//! # A snapshot
//!
//! ```text
//! snapshot-0000000000001234.ringbook, the number being the last record whose effect is in it
//! ┌────────────────┬────────┬─────────┬───┬────────┬─────────┬───┬───────────┬────────────────────┐
//! │ header         │ frame  │ payload │pad│ frame  │ payload │pad│ end frame │ zeros to the end   │
//! │ 1 block        │ 24     │ rkyv    │ 8 │ 24     │ rkyv    │ 8 │ 24 + 16   │ of the block       │
//! └────────────────┴────────┴─────────┴───┴────────┴─────────┴───┴───────────┴────────────────────┘
//!
//! header  0   magic "RBKSNAPS"        16  last LSN u64            48  zeros
//!         8   format version u16      24  state hash u64          60  CRC-32C u32 of the whole
//!         10  shard u16               32  engine's time, ms u64       block without this field
//!         12  shard count u16         40  created, ms since the   64  zeros to the end of the
//!         14  zero u16                    epoch u64                   block
//!
//! frame   0   payload length u32      8   number u64, from 1      16  CRC-32C u32 of header, payload
//!         4   kind u32 (1: Piece,                                     and pad without this field
//!             2: end)                                             20  zero u32
//!
//! end     0   count of pieces u64     8   xxh3-64 of everything
//!                                         before the end frame u64
//! ```
//!
//! A payload is the rkyv archive of one [`engine::Piece`], of at most [`MAX_PIECE_BYTES`], its root at
//! the end. The file ends with the block that the end frame ends in. It is written under another name,
//! synced, renamed and its directory synced, so under its own name it is always whole. LSN 0 is a state
//! that no record led to: the journal begins behind it.

pub mod retention;

mod batch;
mod choose;
mod config;
mod disk;
mod error;
mod format;
mod gate;
mod pace;
mod read_ahead;
mod reader;
mod record;
mod recover;
mod replay;
mod scan;
mod segment;
mod snapshot;
mod std_disk;
mod writer;

pub use batch::{Batch, MAX_WRITE_ROUNDS, Written};
pub use choose::DamagedSnapshot;
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
pub use recover::{Cut, Recovered, Recovery, recover, replay_until};
pub use replay::Replay;
pub use scan::{BrokenBatch, Identity};
pub use segment::{Preparation, Prepared, ZERO_FILL_BYTES};
pub use snapshot::{
    MAX_PIECE_BYTES, SNAPSHOT_FRAME_BYTES, SNAPSHOT_WRITE_BYTES, SnapshotFile, SnapshotHead,
    SnapshotListing, SnapshotWriter, list_snapshots, read_snapshot, verify_snapshot,
};
pub use std_disk::{StdBuffer, StdDisk, StdFile, block_on};
pub use writer::{Journal, MAX_GATHERED_BATCHES, PREPARE_RETRY_MS, Statistics};

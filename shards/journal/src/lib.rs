//! The journal of one shard: rkyv records in checksummed, chained batches in preallocated segments.
mod disk;
pub use disk::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};

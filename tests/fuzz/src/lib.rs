//! What the fuzz targets do with their bytes. `scripts/fuzz` runs them.
//!
//! Every target is a function of a byte slice that panics where a promise is broken, so that a test
//! (`tests/seeds.rs`) can run them without a fuzzer too. Checksums and hashes would keep a fuzzer
//! out of everything behind them; the file formats here therefore have *repairs*: the first byte of
//! an input says which of the seals are put right before the bytes are read.

pub mod answer;
pub mod exchange;
pub mod http;
pub mod identities;
pub mod inputs;
pub mod journal;
pub mod journal_file;
pub mod journal_mutated;
pub mod json;
pub mod memory;
pub mod mesh;
pub mod messages;
pub mod ranges;
pub mod records;
pub mod rkyv_bytes;
pub mod seeds;
pub mod snapshot;
pub mod snapshot_file;
pub mod source;

/// The disk of the journal's own tests.
#[path = "../../../shards/journal/tests/common/mem_disk.rs"]
#[allow(missing_docs, dead_code)]
pub mod mem_disk;

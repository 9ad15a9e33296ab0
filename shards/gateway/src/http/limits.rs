//! Every bound of the HTTP side in one place, units last.

/// Longest request line and headers together. Past it: 431.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header lines of one request. Past it: 431.
pub const MAX_HEADERS: usize = 64;
/// Longest body, decoded. Past it: 413.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Most bytes of one chunked body that are not data: sizes, extensions, line ends, trailers.
pub const MAX_CHUNK_FRAMING_BYTES: usize = 64 * 1024;
/// Most digits of a chunk's size. The largest allowed body needs five; leading zeros are legal.
pub const MAX_CHUNK_SIZE_DIGITS: u32 = 16;
/// Most digits of a Content-Length.
pub const MAX_CONTENT_LENGTH_DIGITS: usize = 19;

/// Requests of one connection that may wait for their answers; the next is parsed when one leaves.
pub const MAX_OUTSTANDING_REQUESTS: u64 = 128;
/// Unsent answers of one connection at which no further request is parsed.
pub const OUTPUT_HIGH_WATER_BYTES: usize = 256 * 1024;

/// First size of a connection's input buffer: an order with its headers and room to spare.
pub const INITIAL_INPUT_BYTES: usize = 1024;
/// Largest size of it: one whole request, and room in which chunk framing is read.
pub const MAX_INPUT_BYTES: usize = MAX_HEAD_BYTES + MAX_BODY_BYTES + 4096;
/// Room that a read should find; below it the buffer is compacted or grown.
pub const MIN_READ_BYTES: usize = 512;
/// Capacity that the output buffer keeps over [`crate::http::Connection::release_memory`].
pub const IDLE_OUTPUT_BYTES: usize = 1024;

/// Time for a request's head from its first byte. Told to the caller, which has the clock. Past
/// it: 408.
pub const HEAD_TIME_LIMIT_MS: u64 = 10_000;
/// Time for a request's body behind its head. Past it: 408.
pub const BODY_TIME_LIMIT_MS: u64 = 10_000;
/// Time that a connection may be without a request. Past it: closed without a word.
pub const IDLE_TIME_LIMIT_MS: u64 = 60_000;

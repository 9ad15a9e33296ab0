//! Every bound of the WebSocket side in one place, units last.

/// Longest message of a client, fragments together. Past it the connection is closed with
/// [`super::close_code::TOO_LONG`].
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Longest payload of one frame of a client. Past it as above, before the payload is here.
pub const MAX_FRAME_BYTES: usize = MAX_MESSAGE_BYTES;

/// What tungstenite reads at once. It clears that much for each read, so more costs time as well as
/// memory; it grows by itself where a frame is longer.
pub const READ_BUFFER_BYTES: usize = 1024;
/// First size of the buffer for what is received and not read yet.
pub const INITIAL_INPUT_BYTES: usize = 1024;
/// Largest size of it; what came behind the upgrade request may be longer.
pub const MAX_INPUT_BYTES: usize = 4096;
/// Room that a read should find; below it the buffer is compacted or grown.
pub const MIN_READ_BYTES: usize = 512;

/// Unsent output of one connection at which none of its messages is read, so that answers and pongs
/// cannot pile up.
pub const INPUT_HIGH_WATER_BYTES: usize = 64 * 1024;
/// Unsent output of one connection at which it gets no market data but the newest, later.
pub const MARKET_DATA_HIGH_WATER_BYTES: usize = 64 * 1024;
/// Most unsent output of one connection. Past it, it is closed with
/// [`super::close_code::SLOW_CONSUMER`].
pub const MAX_OUTPUT_BYTES: usize = 512 * 1024;
/// Frames from this length on are shared between the connections they are for; a shorter one is
/// copied, which costs less than to write it by itself.
pub const MIN_SHARED_FRAME_BYTES: usize = 4096;
/// Capacity that the output keeps over [`super::Connection::release_memory`].
pub const IDLE_OUTPUT_BYTES: usize = 512;

/// Time between two pings.
pub const PING_INTERVAL_MS: u64 = 20_000;
/// Time without a byte from the client after which it is held to be gone.
pub const DEAD_AFTER_MS: u64 = 60_000;
/// Time that a close frame may take to leave and to be answered.
pub const CLOSE_TIME_LIMIT_MS: u64 = 5_000;

/// Longest reason in a close frame: a control frame holds 125 bytes, two of them the code.
pub const MAX_CLOSE_REASON_BYTES: usize = 123;

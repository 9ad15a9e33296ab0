//! The codes that the server closes with: RFC 6455 section 7.4, and its own from 4000 on.

/// All is said.
pub const NORMAL: u16 = 1000;
/// The server goes down.
pub const GOING_AWAY: u16 = 1001;
/// The client broke the protocol.
pub const PROTOCOL: u16 = 1002;
/// A kind of message that is not understood.
pub const UNSUPPORTED: u16 = 1003;
/// A text that is not UTF-8.
pub const NOT_UTF8: u16 = 1007;
/// The client may not do this, for instance because it failed to authenticate.
pub const POLICY: u16 = 1008;
/// A message longer than [`super::limits::MAX_MESSAGE_BYTES`].
pub const TOO_LONG: u16 = 1009;
/// A defect of the server.
pub const INTERNAL: u16 = 1011;
/// The client reads more slowly than its events come: [`super::limits::MAX_OUTPUT_BYTES`] are unsent.
/// No event was left out before the close frame.
pub const SLOW_CONSUMER: u16 = 1013;

//! WebSocket over bytes: what arrives becomes messages, what is sent becomes bytes. Every dialect
//! speaks through this; none of it knows what the messages mean.
//!
//! tungstenite reads the protocol over buffers in memory. Promises: how the bytes are split over
//! reads changes nothing; a client that breaks the protocol is told so in a close frame and nothing
//! behind it is read; pings are answered and close frames acknowledged without the caller; every
//! buffer is bounded (see [`limits`]); a connection on which nothing happens costs this struct and
//! nothing more; nothing panics on input.
//!
//! # How the caller uses it
//!
//! 1. [`handshake::accept`] reads the request and writes the answer 101,
//!    [`crate::http::Connection::upgrade`] sends it and ends HTTP,
//!    [`crate::http::Connection::take_upgraded`] gives what becomes a [`Connection`].
//! 2. While [`Connection::wants_input`]: [`Connection::feed`] it, or read into
//!    [`Connection::spare`] and [`Connection::advance`]. At the end of the stream
//!    [`Connection::end_of_input`].
//! 3. Take [`Connection::next_message`] until `None`; again after output has left. Drop each message
//!    before the next one: they share the buffer.
//! 4. Send with [`Connection::send_text`], or encode once with [`encode_text_frame`] and give the same
//!    bytes to many connections with [`Connection::send_frame`]. Market data only while
//!    [`Connection::keeps_up`]; what must not be lost always, and past the bound the connection is
//!    closed with [`close_code::SLOW_CONSUMER`].
//! 5. Write [`Connection::output`], then [`Connection::advance_output`], until it is empty. When
//!    [`Connection::is_finished`]: shut the socket down.
//! 6. About once a second [`Connection::tick`], and [`Connection::release_memory`] where it was quiet.

pub mod close_code;
mod connection;
mod frame;
pub mod handshake;
mod input;
pub mod limits;
mod liveness;
mod output;
mod walk;

pub use connection::{Closed, Connection, Incoming, SendError, Violation};
pub use frame::{encode_text_frame, encode_text_frame_with};
pub use liveness::Tick;
pub use tungstenite::Utf8Bytes;

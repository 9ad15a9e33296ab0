//! One file a part.

pub mod http;
pub mod latency;
pub mod memory;
pub mod profile;
pub mod replay;
pub mod start;

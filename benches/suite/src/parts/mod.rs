//! One file a part.

mod divided;
pub mod http;
pub mod instructions;
pub mod latency;
pub mod memory;
pub mod profile;
pub mod replay;
pub mod scaling;
pub mod start;

//! One file a part.

pub mod replay;

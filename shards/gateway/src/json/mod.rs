//! The JSON of requests: one flat object, read in one pass into the fields that a route knows; an
//! array or object within it is handed on as text, to be read in its turn.
//!
//! No tree is built and, escapes aside, nothing is allocated. Promises: exactly the texts that RFC
//! 8259 allows are accepted, down to a bounded depth; numbers are handed on as they are written;
//! a known field that is given twice is refused, because two readers would take two values.

mod scanner;
pub mod write;

pub use scanner::{JsonError, MAX_DEPTH, Value, read_array, read_object};

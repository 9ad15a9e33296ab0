//! Who may do what: roles and what they allow, API keys, sessions, and the table of all of them.
//!
//! Every shard has the whole table, so that a request is judged where it comes in. One shard decides what
//! changes ([`Identities::decide`]) and tells the others, which repeat it ([`Identities::apply`]) in the same
//! order. Promises: what was decided applies everywhere with the same outcome; everything is bounded; no
//! secret is in here, only what a secret can be checked against. The crate is pure: no I/O, clock,
//! randomness, threads or async.

mod access;
mod address;
mod change;
mod key;
mod session;
mod table;

pub use access::{Access, Permissions, Role};
pub use address::{Network, NetworkError};
pub use change::{Change, Ended, Outcome, Refusal, UserChange};
pub use key::{KeyId, KeyIdError, KeyKind, KeyRecord, MAX_KEY_NAME_LENGTH_BYTES, MAX_KEY_NETWORKS};
pub use session::{SessionId, SessionRecord};
pub use table::{
    Identities, MAX_KEYS_PER_USER, MAX_PASSWORD_HASH_LENGTH_BYTES, MAX_SESSIONS_PER_USER, Rate,
    USED_STEP_MS, UserIdentity,
};

//! The accounts of one shard's users: balances, reservations, fees, settlement.
//!
//! Promises: an amount is never created or lost. Every change either moves units between the parts
//! of one asset (`avail`, `frozen`, house fees, the other side of a trade) or is a deposit or a
//! withdrawal; nothing wraps, and what cannot be done is refused before anything changed. What an
//! order freezes is a function of the order alone, see [`Hold`]. The crate is pure: no I/O, clock,
//! randomness, threads or async, and nothing iterates a hash map.

mod accounts;
mod hold;
mod payments;
mod withdrawals;

pub use accounts::{Account, Balance, Ledger, LedgerError, MAX_TOTAL_UNITS, Slot, Totals};
pub use hold::{Hold, Reservation, Settled};
pub use payments::{Payment, PaymentKind, Payments};
pub use withdrawals::{Withdrawal, Withdrawals};

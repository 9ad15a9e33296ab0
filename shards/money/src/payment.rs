//! The words of a payment.

use rkyv::{Archive, Deserialize, Serialize};

use crate::order::words;

words!(
    /// Where a withdrawal in two steps stands.
    WithdrawalStatus {
        /// Asked for; what it takes is frozen.
        Pending = "PENDING",
        /// Ended: paid out.
        Confirmed = "CONFIRMED",
        /// Ended: what it took is available again.
        Rejected = "REJECTED",
    }
);

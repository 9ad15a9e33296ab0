//! Whose requests they are: a range of user ids.

use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use serde::Serialize;

/// The first of the users where only their number is given: far from those whom somebody named.
const FIRST_LOAD_USER: u64 = 1_000_001;
/// Ids are below this.
const ID_LIMIT: u64 = 1 << 53;
/// Most users: a setup creates and pays for one after the other.
const MAX_USERS: u64 = 1_000_000;

/// Users from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UserRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl UserRange {
    /// How many they are.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.first..=self.last
    }
}

impl FromStr for UserRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<UserRange> {
        let number = |text: &str| {
            text.parse::<u64>().with_context(|| format!("{text:?} is not a whole number"))
        };
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None => {
                let count = number(text)?;
                ensure!(count > 0, "must be at least one user");
                (FIRST_LOAD_USER, FIRST_LOAD_USER.saturating_add(count - 1))
            }
        };
        ensure!(first <= last, "the last user must not be before the first");
        ensure!(last < ID_LIMIT, "user ids are below 2^53");
        ensure!(last - first < MAX_USERS, "must be at most {MAX_USERS} users");
        Ok(UserRange { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_names_users_of_nobody_else() {
        let users: UserRange = "10".parse().unwrap();
        assert_eq!((users.first, users.last, users.count()), (1_000_001, 1_000_010, 10));
    }

    #[test]
    fn a_range_includes_its_last_user() {
        let users: UserRange = "1001..1003".parse().unwrap();
        assert_eq!(users.iter().collect::<Vec<u64>>(), [1001, 1002, 1003]);
        assert_eq!("7..7".parse::<UserRange>().unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["", "0", "a", "5..4", "1..", "..5", "1..9007199254740992", "1..1000001"] {
            assert!(bad.parse::<UserRange>().is_err(), "{bad}");
        }
    }
}

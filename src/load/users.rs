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

/// Users from `first` to `last`, both included, every `step`th of them: with the number of shards as step
/// all are at home on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UserRange {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// From one to the next.
    pub step: u64,
}

impl UserRange {
    /// How many they are.
    pub fn count(self) -> u64 {
        (self.last - self.first) / self.step + 1
    }

    /// One of them, by its number from 0 on.
    pub fn nth(self, number: u64) -> u64 {
        self.first + number * self.step
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        (self.first..=self.last).step_by(self.step as usize)
    }
}

impl FromStr for UserRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<UserRange> {
        let number = |text: &str| {
            text.parse::<u64>().with_context(|| format!("{text:?} is not a whole number"))
        };
        let (text, step) = match text.split_once('/') {
            Some((range, step)) => (range, number(step)?),
            None => (text, 1),
        };
        ensure!(step > 0, "the step must be at least 1");
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
        // The last one that there is.
        let users = UserRange { first, last: last - (last - first) % step, step };
        ensure!(users.count() <= MAX_USERS, "must be at most {MAX_USERS} users");
        Ok(users)
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
    fn a_step_leaves_out_those_between() {
        let users: UserRange = "1001..1006/2".parse().unwrap();
        assert_eq!(users.iter().collect::<Vec<u64>>(), [1001, 1003, 1005]);
        assert_eq!((users.count(), users.nth(2), users.last), (3, 1005, 1005));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in [
            "",
            "0",
            "a",
            "5..4",
            "1..",
            "..5",
            "1..9007199254740992",
            "1..1000001",
            "1..9/0",
            "1..9/",
        ] {
            assert!(bad.parse::<UserRange>().is_err(), "{bad}");
        }
    }
}

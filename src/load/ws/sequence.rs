//! Whether a stream of market data is complete and in order.

use std::ops::AddAssign;

use serde::Serialize;

use super::channels::Tag;
use super::message::Numbers;

/// What was wrong with the order of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Disorder {
    /// Places where something is missing.
    pub gaps: u64,
    /// How much is missing there, as far as it is numbered.
    pub missed: u64,
    /// The same again.
    pub duplicates: u64,
    /// Something older than what came before.
    pub disorder: u64,
}

/// Counts in which nothing was wrong are equal to this.
pub const IN_ORDER: Disorder = Disorder { gaps: 0, missed: 0, duplicates: 0, disorder: 0 };

impl AddAssign for Disorder {
    fn add_assign(&mut self, other: Disorder) {
        self.gaps += other.gaps;
        self.missed += other.missed;
        self.duplicates += other.duplicates;
        self.disorder += other.disorder;
    }
}

/// What one connection follows of one channel, and how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub tag: Tag,
    /// Which of the run's channels.
    pub channel: u16,
    last: Option<u64>,
}

impl Stream {
    /// Nothing has come yet.
    pub fn new(tag: Tag, channel: u16) -> Stream {
        Stream { tag, channel, last: None }
    }

    /// Another message; counts what is wrong with its place.
    pub fn next(&mut self, numbers: Numbers, wrong: &mut Disorder) {
        let (first, last) = match numbers {
            Numbers::None => return,
            Numbers::Snapshot(last) => {
                // It stands for everything before it, so it may leave out, and not go back.
                wrong.disorder += u64::from(self.last.is_some_and(|before| last < before));
                self.last = Some(last);
                return;
            }
            Numbers::Latest(last) => {
                wrong.disorder += u64::from(self.last.is_some_and(|before| last < before));
                self.last = self.last.max(Some(last));
                return;
            }
            Numbers::Trade(id) => (id, id),
            Numbers::Changes(first, last) => (first, last),
        };
        match self.last {
            // Trades begin anywhere; changes need a book to begin with.
            None if matches!(numbers, Numbers::Changes(..)) => wrong.gaps += 1,
            None => {}
            Some(before) if first == before + 1 => {}
            Some(before) if first > before => {
                wrong.gaps += 1;
                wrong.missed += first - before - 1;
            }
            Some(before) if last == before => wrong.duplicates += 1,
            Some(_) => wrong.disorder += 1,
        }
        // An empty range goes back too.
        wrong.disorder += u64::from(last < first);
        self.last = self.last.max(Some(last));
    }
}

#[cfg(test)]
mod tests {
    use super::super::channels::Family;
    use super::super::channels::tests::channels;
    use super::*;

    fn wrong(messages: &[Numbers]) -> Disorder {
        let channels = channels("trades", None).unwrap();
        let mut stream = Stream::new(channels.tag(Family::Trades, b"BTC_USDT").unwrap(), 0);
        let mut wrong = IN_ORDER;
        messages.iter().for_each(|&numbers| stream.next(numbers, &mut wrong));
        wrong
    }

    #[test]
    fn trades_rise_by_one_from_anywhere() {
        let trades =
            |ids: &[u64]| wrong(&ids.iter().copied().map(Numbers::Trade).collect::<Vec<_>>());
        assert_eq!(trades(&[7, 8, 9]), IN_ORDER);
        assert_eq!(trades(&[7, 10]), Disorder { gaps: 1, missed: 2, ..IN_ORDER });
        assert_eq!(trades(&[7, 7, 8]), Disorder { duplicates: 1, ..IN_ORDER });
        assert_eq!(trades(&[7, 8, 6, 9]), Disorder { disorder: 1, ..IN_ORDER });
    }

    #[test]
    fn changes_continue_each_other_and_a_snapshot_begins_anew() {
        use Numbers::{Changes, Snapshot};
        assert_eq!(wrong(&[Snapshot(4), Changes(5, 9), Changes(10, 10)]), IN_ORDER);
        assert_eq!(wrong(&[Snapshot(4), Snapshot(90), Changes(91, 92)]), IN_ORDER);
        let gap = wrong(&[Snapshot(4), Changes(7, 9), Changes(10, 11)]);
        assert_eq!(gap, Disorder { gaps: 1, missed: 2, ..IN_ORDER });
        assert_eq!(wrong(&[Changes(7, 9)]), Disorder { gaps: 1, ..IN_ORDER });
        let again = wrong(&[Snapshot(4), Changes(5, 9), Changes(5, 9)]);
        assert_eq!(again, Disorder { duplicates: 1, ..IN_ORDER });
        let overlap = wrong(&[Snapshot(4), Changes(3, 9)]);
        assert_eq!(overlap, Disorder { disorder: 1, ..IN_ORDER });
        assert_eq!(wrong(&[Snapshot(4), Snapshot(3)]), Disorder { disorder: 1, ..IN_ORDER });
    }

    #[test]
    fn the_latest_may_leave_out_and_not_go_back() {
        let latest =
            |ids: &[u64]| wrong(&ids.iter().copied().map(Numbers::Latest).collect::<Vec<_>>());
        assert_eq!(latest(&[1, 1, 9]), IN_ORDER);
        assert_eq!(latest(&[9, 1]), Disorder { disorder: 1, ..IN_ORDER });
    }
}

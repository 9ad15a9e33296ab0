//! Token buckets: so many a second in the long run, so many at once.

use identity::Rate;

/// Thousandths of a token in one.
const MILLI: u64 = 1_000;

/// One bucket. Full when it is new.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// Thousandths of tokens that were taken and have not come back.
    taken_milli: u64,
    at_ms: u64,
}

impl Bucket {
    /// Takes `weight` tokens. What is left, or in how many ms there will be enough.
    ///
    /// A weight above the burst is taken from a full bucket, else it could never be.
    pub fn take(&mut self, rate: Rate, weight: u32, now_ms: u64) -> Result<u32, u64> {
        let Rate { orders_per_second, burst } = rate;
        let (per_ms, weight_milli) = (u64::from(orders_per_second), u64::from(weight) * MILLI);
        self.refill(per_ms, now_ms);
        let capacity_milli = (u64::from(burst) * MILLI).max(weight_milli);
        let wanted_milli = self.taken_milli + weight_milli;
        if wanted_milli > capacity_milli {
            return Err((wanted_milli - capacity_milli).div_ceil(per_ms.max(1)));
        }
        self.taken_milli = wanted_milli;
        Ok(((capacity_milli - wanted_milli) / MILLI) as u32)
    }

    /// Whether nothing is missing, so that the bucket may be forgotten.
    pub fn is_full(&self, rate: Rate, now_ms: u64) -> bool {
        let mut later = *self;
        later.refill(u64::from(rate.orders_per_second), now_ms);
        later.taken_milli == 0
    }

    fn refill(&mut self, per_ms: u64, now_ms: u64) {
        // One token a second is a thousandth in a ms.
        let back_milli = now_ms.saturating_sub(self.at_ms).saturating_mul(per_ms);
        self.taken_milli = self.taken_milli.saturating_sub(back_milli);
        self.at_ms = self.at_ms.max(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { orders_per_second: 100, burst: 10 };

    #[test]
    fn in_the_long_run_exactly_the_rate_is_admitted() {
        let mut bucket = Bucket::default();
        let seconds = 60;
        let admitted = (0..seconds * 1_000)
            .map(|now_ms| (0..3).filter(|_| bucket.take(RATE, 1, now_ms).is_ok()).count())
            .sum::<usize>();
        assert_eq!(admitted, 10 + 100 * seconds as usize - 1);
    }

    #[test]
    fn who_is_too_fast_is_told_when_to_come_again() {
        let mut bucket = Bucket::default();
        for left in (0..10).rev() {
            assert_eq!(bucket.take(RATE, 1, 5), Ok(left));
        }
        assert_eq!(bucket.take(RATE, 1, 5), Err(10));
        assert_eq!(bucket.take(RATE, 1, 14), Err(1));
        assert_eq!(bucket.take(RATE, 1, 15), Ok(0));
        assert!(!bucket.is_full(RATE, 15) && bucket.is_full(RATE, 115));
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(RATE, 10, 1_000).is_ok());
        assert!(bucket.take(RATE, 1, 0).is_err());
        assert!(bucket.take(RATE, 10, 1_099).is_err());
        assert!(bucket.take(RATE, 10, 1_100).is_ok());
    }

    #[test]
    fn what_weighs_more_than_the_burst_can_be_had() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(RATE, 25, 0), Ok(0));
        assert_eq!(bucket.take(RATE, 25, 0), Err(250));
        assert_eq!(bucket.take(RATE, 25, 250), Ok(0));
    }
}

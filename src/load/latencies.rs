//! Many durations and what can be said of them: a histogram with an exact maximum.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Significant digits where there are few histograms: a quantile is off by a thousandth at most.
pub const FINE_DIGITS: u8 = 3;
/// And where there are many, one a window: a hundredth, and a twelfth of the memory.
pub const COARSE_DIGITS: u8 = 2;

/// Durations in ns.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
    max_ns: u64,
}

/// What is said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many there are; the rest is 0 where there are none.
    pub count: u64,
    /// The shortest.
    pub min: u64,
    /// Their mean.
    pub mean: u64,
    /// The median.
    pub p50: u64,
    /// One in ten was longer.
    pub p90: u64,
    /// One in a hundred was longer.
    pub p99: u64,
    /// One in a thousand was longer.
    pub p99_9: u64,
    /// The longest, exactly.
    pub max: u64,
}

impl Latencies {
    /// None yet.
    pub fn new(digits: u8) -> Latencies {
        // Fails only for more than five digits.
        let histogram = Histogram::new(digits).unwrap_or_else(|error| panic!("{digits}: {error}"));
        Latencies { histogram, max_ns: 0 }
    }

    /// One more.
    #[inline]
    pub fn record(&mut self, duration_ns: u64) {
        // It grows with the largest value, which a u64 of ns cannot bring to its limit.
        let _ = self.histogram.record(duration_ns.max(1));
        self.max_ns = self.max_ns.max(duration_ns);
    }

    /// Those of another, which has the same digits or more.
    pub fn add(&mut self, other: &Latencies) {
        let _ = self.histogram.add(&other.histogram);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// What can be said of them.
    pub fn quantiles(&self) -> Quantiles {
        if self.histogram.is_empty() {
            return Quantiles::default();
        }
        // The histogram answers with the end of a bucket, which may lie beyond the longest.
        let at = |quantile| self.histogram.value_at_quantile(quantile).min(self.max_ns);
        Quantiles {
            count: self.histogram.len(),
            min: self.histogram.min().min(self.max_ns),
            mean: self.histogram.mean() as u64,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.max_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut latencies = Latencies::new(FINE_DIGITS);
        (1..=1_000).for_each(|value| latencies.record(value * 1_000));
        let quantiles = latencies.quantiles();
        let near = |value: u64, expected: u64| value.abs_diff(expected) <= expected / 1_000;
        assert!(near(quantiles.p50, 500_000) && near(quantiles.p99, 990_000), "{quantiles:?}");
        assert_eq!((quantiles.count, quantiles.max), (1_000, 1_000_000));
    }

    #[test]
    fn hours_and_nothing_at_all_are_counted() {
        let mut latencies = Latencies::new(COARSE_DIGITS);
        assert_eq!(latencies.quantiles(), Quantiles::default());
        latencies.record(0);
        latencies.record(3_600_000_000_000);
        let quantiles = latencies.quantiles();
        assert_eq!((quantiles.count, quantiles.max), (2, 3_600_000_000_000));
        assert!(quantiles.p99 <= quantiles.max);
    }

    #[test]
    fn a_sum_has_both() {
        let (mut left, mut right) = (Latencies::new(COARSE_DIGITS), Latencies::new(COARSE_DIGITS));
        left.record(10);
        right.record(1_000_000);
        left.add(&right);
        assert_eq!((left.count(), left.quantiles().max), (2, 1_000_000));
    }
}

//! A histogram that records fast and is read in the buckets of Prometheus.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Upper bounds of the buckets of every duration, in nanoseconds.
pub const DURATION_BOUNDS_NS: &[u64] = &[
    20_000,
    50_000,
    75_000,
    100_000,
    150_000,
    200_000,
    250_000,
    300_000,
    400_000,
    500_000,
    700_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
];
/// Upper bounds of the buckets of the parts of a request's time, in nanoseconds: those on the processor
/// are far below a commit.
pub const PART_BOUNDS_NS: &[u64] = &[
    500,
    1_000,
    2_000,
    3_000,
    5_000,
    7_500,
    10_000,
    15_000,
    20_000,
    30_000,
    50_000,
    75_000,
    100_000,
    150_000,
    200_000,
    250_000,
    300_000,
    400_000,
    500_000,
    700_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
];
/// Upper bounds of the buckets of the records in a batch.
pub const BATCH_RECORDS_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];
/// Upper bounds of the buckets of the bytes in a batch: whole blocks, up to the longest batch.
pub const BATCH_BYTES_BOUNDS: &[u64] =
    &[4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576];

/// Durations below this are not told apart, in nanoseconds.
const SHORTEST_NS: u64 = 1_000;
/// Parts below this are not told apart, in nanoseconds.
const SHORTEST_PART_NS: u64 = 8;
/// Longer durations count as this, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;
/// Larger counts count as this.
const LARGEST_COUNT: u64 = 1 << 30;
const SIGNIFICANT_DIGITS: u8 = 2;

/// What the recorded numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds, written as seconds.
    Nanoseconds,
    /// Things or bytes, written as they are.
    Count,
}

/// Values since the start of the process.
#[derive(Debug)]
pub(crate) struct Recorder {
    values: RefCell<Histogram<u64>>,
    sum: Cell<u64>,
    bounds: &'static [u64],
    unit: Unit,
}

impl Recorder {
    pub fn durations() -> Recorder {
        Recorder::new(Unit::Nanoseconds, SHORTEST_NS, LONGEST_NS, DURATION_BOUNDS_NS)
    }

    pub fn parts() -> Recorder {
        Recorder::new(Unit::Nanoseconds, SHORTEST_PART_NS, LONGEST_NS, PART_BOUNDS_NS)
    }

    pub fn counts(bounds: &'static [u64]) -> Recorder {
        Recorder::new(Unit::Count, 1, LARGEST_COUNT, bounds)
    }

    fn new(unit: Unit, least: u64, most: u64, bounds: &'static [u64]) -> Recorder {
        let values = Histogram::new_with_bounds(least, most, SIGNIFICANT_DIGITS);
        let values = RefCell::new(values.expect("the constants fit together"));
        Recorder { values, sum: Cell::new(0), bounds, unit }
    }

    #[inline]
    pub fn record(&self, value: u64) {
        self.sum.set(self.sum.get().wrapping_add(value));
        self.values.borrow_mut().saturating_record(value);
    }

    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        let seconds = duration.as_secs().wrapping_mul(1_000_000_000);
        self.record(seconds.wrapping_add(u64::from(duration.subsec_nanos())));
    }

    pub fn buckets(&self) -> Buckets {
        let values = self.values.borrow();
        let mut cumulative = vec![0; self.bounds.len()];
        if !values.is_empty() {
            let mut cells = values.iter_recorded().peekable();
            let mut count = 0;
            for (bound, cumulative) in self.bounds.iter().zip(&mut cumulative) {
                // By its lowest value: what lies on a bound belongs to that bound.
                let belongs = |value| values.lowest_equivalent(value) <= *bound;
                while let Some(cell) = cells.next_if(|cell| belongs(cell.value_iterated_to())) {
                    count += cell.count_at_value();
                }
                *cumulative = count;
            }
        }
        Buckets {
            bounds: self.bounds,
            unit: self.unit,
            cumulative,
            count: values.len(),
            sum: self.sum.get(),
        }
    }
}

/// How often a value was at most each bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    pub bounds: &'static [u64],
    pub unit: Unit,
    pub cumulative: Vec<u64>,
    pub count: u64,
    pub sum: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_counted_at_that_bound_and_not_at_the_one_before() {
        let bytes = Recorder::counts(BATCH_BYTES_BOUNDS);
        let durations = Recorder::durations();
        let parts = Recorder::parts();
        for recorder in [&bytes, &durations, &parts] {
            recorder.bounds.iter().for_each(|bound| recorder.record(*bound));
            let expected: Vec<u64> = (1..=recorder.bounds.len() as u64).collect();
            assert_eq!(recorder.buckets().cumulative, expected);
        }
    }

    #[test]
    fn a_value_two_percent_above_a_bound_is_not_counted_at_it() {
        let recorder = Recorder::durations();
        recorder.record(102_000);
        let buckets = recorder.buckets();
        assert_eq!(buckets.cumulative[3..5], [0, 1], "100 µs and 150 µs");
    }

    #[test]
    fn values_past_the_last_bound_count_in_the_total_alone() {
        let recorder = Recorder::durations();
        recorder.record_duration(Duration::from_secs(7));
        recorder.record_duration(Duration::from_secs(100_000));
        let buckets = recorder.buckets();
        assert_eq!(buckets.cumulative.iter().sum::<u64>(), 0);
        assert_eq!((buckets.count, buckets.sum), (2, 100_007_000_000_000));
    }

    #[test]
    fn the_sum_is_exact_although_the_values_are_rounded() {
        let recorder = Recorder::durations();
        (0..1_000).for_each(|step| recorder.record(123_457 + step));
        assert_eq!(recorder.buckets().sum, 123_457 * 1_000 + 499_500);
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        let buckets = Recorder::counts(BATCH_RECORDS_BOUNDS).buckets();
        assert_eq!((buckets.count, buckets.sum), (0, 0));
        assert_eq!(buckets.cumulative, vec![0; BATCH_RECORDS_BOUNDS.len()]);
    }

    #[test]
    fn zero_is_below_every_bound() {
        let recorder = Recorder::counts(BATCH_RECORDS_BOUNDS);
        recorder.record(0);
        assert_eq!(recorder.buckets().cumulative, vec![1; BATCH_RECORDS_BOUNDS.len()]);
    }
}

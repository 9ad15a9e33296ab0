//! A histogram as `/metrics` tells it: what came into it between two readings, and its quantiles.
//!
//! A quantile is interpolated between the bounds of its bucket, as Prometheus does it, so it is no more
//! exact than those lie apart.

/// How often a value was at most each bound, over all shards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Bounds, the last one infinite, with the counts up to them.
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// The family out of a text, its samples with this label alone; an empty label: all of them.
    pub fn read(metrics: &str, family: &str, label: &str) -> Histogram {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix(family) else { continue };
            let Some((labels, count)) =
                rest.strip_prefix("_bucket{").and_then(|rest| rest.rsplit_once("} "))
            else {
                continue;
            };
            let bound = labels.split_once("le=\"").and_then(|(_, rest)| rest.split_once('"'));
            let bound = bound.and_then(|(text, _)| text.parse::<f64>().ok());
            let (Some(bound), Ok(count)) = (bound, count.parse::<f64>()) else { continue };
            if !labels.contains(label) {
                continue;
            }
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        Histogram { buckets }
    }

    /// What came in since an earlier reading of the same.
    pub fn since(&self, before: &Histogram) -> Histogram {
        let earlier = |bound: f64| {
            let found = before.buckets.iter().find(|(known, _)| *known == bound);
            found.map_or(0.0, |(_, count)| *count)
        };
        let buckets = self.buckets.iter().map(|&(bound, count)| (bound, count - earlier(bound)));
        Histogram { buckets: buckets.collect() }
    }

    /// How many values.
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// The value below which this share of them lies; of no values there is none. Past the last finite
    /// bound it is that bound.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = self.count() * share;
        let (mut lower, mut below) = (0.0, 0.0);
        for &(bound, count) in &self.buckets {
            if count >= rank && count > below {
                let inside = (rank - below) / (count - below);
                return Some(if bound.is_finite() {
                    lower + (bound - lower) * inside
                } else {
                    lower
                });
            }
            if bound.is_finite() {
                (lower, below) = (bound, count);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE part_seconds histogram
part_seconds_bucket{shard=\"0\",part=\"read\",le=\"0.1\"} 2
part_seconds_bucket{shard=\"0\",part=\"read\",le=\"0.2\"} 4
part_seconds_bucket{shard=\"0\",part=\"read\",le=\"+Inf\"} 4
part_seconds_sum{shard=\"0\",part=\"read\"} 0.5
part_seconds_count{shard=\"0\",part=\"read\"} 4
part_seconds_bucket{shard=\"1\",part=\"read\",le=\"0.1\"} 0
part_seconds_bucket{shard=\"1\",part=\"read\",le=\"0.2\"} 4
part_seconds_bucket{shard=\"1\",part=\"read\",le=\"+Inf\"} 6
part_seconds_bucket{shard=\"0\",part=\"hop\",le=\"0.1\"} 7
part_seconds_bucket{shard=\"0\",part=\"hop\",le=\"0.2\"} 7
part_seconds_bucket{shard=\"0\",part=\"hop\",le=\"+Inf\"} 7
";

    fn read() -> Histogram {
        Histogram::read(TEXT, "part_seconds", "part=\"read\"")
    }

    #[test]
    fn shards_are_added_and_other_labels_and_names_left_out() {
        let buckets = vec![(0.1, 2.0), (0.2, 8.0), (f64::INFINITY, 10.0)];
        assert_eq!(read(), Histogram { buckets });
        assert_eq!(Histogram::read(TEXT, "part_seconds", "").count(), 17.0);
        assert_eq!(Histogram::read(TEXT, "part", ""), Histogram::default());
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket() {
        let histogram = read();
        assert_eq!(histogram.quantile(0.1), Some(0.05));
        assert!((histogram.quantile(0.5).unwrap() - 0.15).abs() < 1e-9);
        assert_eq!(histogram.quantile(0.99), Some(0.2), "no more is known than the last bound");
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn only_what_came_since_counts() {
        let after = read();
        let none = after.since(&after);
        assert_eq!((none.count(), none.quantile(0.5)), (0.0, None));
        assert_eq!(after.since(&Histogram::default()), after);
    }
}

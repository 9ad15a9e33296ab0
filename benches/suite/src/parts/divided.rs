//! An order's time, divided into the parts that the server counts at `/metrics`.
//!
//! A part is counted once for each batch, parcel or connection, not for each order: at a rate at which
//! orders are mostly alone that is the same, but for what an order has several times.

use std::process::Child;
use std::time::Duration;

use anyhow::{Result, ensure};
use suite::{Better, Figure};

use crate::histogram::Histogram;
use crate::server::{Server, sum};

/// How often it is looked whether the load has begun.
const POLL: Duration = Duration::from_millis(20);
const COMMIT: &str = "commit";
const HOP: &str = "hop";
/// In the order in which an order meets them.
const PARTS: [&str; 6] = ["read", "gather", COMMIT, "release", HOP, "write"];
const COMMIT_PLACE: usize = 2;
const HOP_PLACE: usize = 4;
/// What is told of each: a name, and the share of values below it.
const SHARES: [(&str, f64); 2] = [("p50", 0.5), ("p99", 0.99)];

/// One look at `/metrics`.
pub struct Reading {
    parts: [Histogram; PARTS.len()],
    orders: f64,
}

impl Reading {
    /// Now.
    pub fn of(server: &Server) -> Result<Reading> {
        Ok(Reading::read(&server.get("/metrics")?))
    }

    fn read(text: &str) -> Reading {
        let part = |name: &str| match name {
            COMMIT => Histogram::read(text, "ringbook_journal_commit_duration_seconds", ""),
            name => Histogram::read(text, "ringbook_part_seconds", &format!("part=\"{name}\"")),
        };
        Reading { parts: PARTS.map(part), orders: sum(text, "ringbook_orders_placed_total") }
    }

    /// When the load has made its users and begins: they are no part of it. `None` when it has ended
    /// before.
    pub fn at_the_first_order(server: &Server, load: &mut Child) -> Result<Option<Reading>> {
        loop {
            let reading = Reading::of(server)?;
            if reading.orders > 0.0 {
                return Ok(Some(reading));
            }
            if load.try_wait()?.is_some() {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// The parts of the orders of one round.
#[derive(Clone, Debug)]
pub struct Divided {
    /// By part and [`SHARES`], in µs; `None` of a part that no order had.
    times_us: [Option<[f64; SHARES.len()]>; PARTS.len()],
    /// How often an order has each.
    each: [f64; PARTS.len()],
    /// The whole order by [`SHARES`], in µs.
    whole_us: [f64; SHARES.len()],
    /// Writes of the journal per order.
    pub writes_each: f64,
}

impl Divided {
    /// Of what came between two readings. `whole_us` begins with the quantiles of [`SHARES`].
    pub fn between(before: &Reading, after: &Reading, whole_us: &[f64]) -> Result<Divided> {
        let orders = after.orders - before.orders;
        ensure!(orders > 0.0, "no order was counted");
        let parts: [Histogram; PARTS.len()] =
            std::array::from_fn(|at| after.parts[at].since(&before.parts[at]));
        let times = |part: &Histogram| {
            let mut times = [0.0; SHARES.len()];
            for (time, (_, share)) in times.iter_mut().zip(SHARES) {
                *time = part.quantile(share)? * 1e6;
            }
            Some(times)
        };
        let each: [f64; PARTS.len()] = std::array::from_fn(|at| parts[at].count() / orders);
        Ok(Divided {
            times_us: std::array::from_fn(|at| times(&parts[at])),
            each,
            whole_us: [whole_us[0], whole_us[1]],
            writes_each: each[COMMIT_PLACE],
        })
    }

    /// The figures of some rounds: each part beside the whole order, and what they are together.
    pub fn figures(row: &str, whose: &str, rounds: &[Divided]) -> Vec<Figure> {
        let mut figures = Vec::new();
        let whole = |share: usize| -> Vec<f64> {
            rounds.iter().map(|round| round.whole_us[share]).collect()
        };
        let figure = |part: &str, share: usize, values: Vec<f64>| {
            let name = SHARES[share].0;
            let title = format!("of an order, 1000/s, {whose}: {part}, {name}");
            Figure::new(&format!("{row}/part/{part}/{name}"), &title, "µs", Better::Lower, values)
                .beside("the whole order", whole(share))
        };
        for (at, part) in PARTS.iter().enumerate() {
            let counts: Vec<f64> = rounds.iter().map(|round| round.each[at]).collect();
            let mean = counts.iter().sum::<f64>() / counts.len().max(1) as f64;
            for share in 0..SHARES.len() {
                let times = rounds.iter().map(|round| Some(round.times_us[at]?[share]));
                let Some(times) = times.collect::<Option<Vec<f64>>>() else { continue };
                let figure = figure(part, share, times);
                figures.push(match share {
                    0 => figure.note(format!("{mean:.2} of it an order")),
                    _ => figure,
                });
            }
        }
        // Where an order has each part once; the p99 of a sum is no sum of p99s.
        if rounds.iter().all(|round| round.times_us[HOP_PLACE].is_none()) {
            let together = |round: &Divided| {
                round.times_us.iter().flatten().map(|times| times[0]).sum::<f64>()
            };
            figures.push(figure("all parts", 0, rounds.iter().map(together).collect()));
        }
        figures.retain(|figure| !figure.values.is_empty());
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a family whose values are all in the bucket up to 100 µs.
    fn family(name: &str, labels: &str, count: u32) -> String {
        format!(
            "{name}_bucket{{shard=\"0\",{labels}le=\"0.0001\"}} {count}\n\
             {name}_bucket{{shard=\"0\",{labels}le=\"+Inf\"}} {count}\n"
        )
    }

    fn reading(orders: u32, with_hops: bool) -> Reading {
        let mut text = family("ringbook_journal_commit_duration_seconds", "", orders);
        for part in ["read", "gather", "release", "hop", "write"] {
            let count = if part == "hop" && !with_hops { 0 } else { orders };
            let labels = format!("part=\"{part}\",");
            text += &family("ringbook_part_seconds", &labels, count);
        }
        text += &format!("ringbook_orders_placed_total{{shard=\"0\"}} {orders}\n");
        Reading::read(&text)
    }

    #[test]
    fn parts_stand_beside_the_whole_order_and_are_summed_where_each_is_there_once() {
        let before = reading(10, false);
        let round = Divided::between(&before, &reading(30, false), &[400.0, 900.0]).unwrap();
        assert_eq!(round.writes_each, 1.0);
        let figures = Divided::figures("latency/1000", "one shard", &[round]);
        let rows: Vec<&str> = figures.iter().map(|figure| figure.row.as_str()).collect();
        assert_eq!(rows.len(), 5 * 2 + 1, "no hop: {rows:?}");
        let of = |row: &str| figures.iter().find(|figure| figure.row == row).unwrap();
        let read = of("latency/1000/part/read/p50");
        assert_eq!((read.values[0].round(), read.ratio().unwrap().round()), (50.0, 8.0));
        assert_eq!(read.note.as_deref(), Some("1.00 of it an order"));
        assert_eq!(of("latency/1000/part/all parts/p50").values[0].round(), 250.0);
        let late = &of("latency/1000/part/write/p99").beside;
        assert_eq!(late.as_ref().unwrap().values, [900.0]);
    }

    #[test]
    fn parts_of_orders_between_shards_are_not_summed() {
        let round = Divided::between(&reading(10, true), &reading(30, true), &[1.0, 1.0]).unwrap();
        let figures = Divided::figures("latency/cross", "two shards", &[round]);
        assert_eq!(figures.len(), 6 * 2);
        assert!(figures.iter().all(|figure| !figure.row.contains("all parts")));
    }

    #[test]
    fn a_round_without_an_order_is_an_error() {
        let error = Divided::between(&reading(10, false), &reading(10, false), &[1.0, 1.0]);
        assert!(error.unwrap_err().to_string().contains("no order"));
    }
}

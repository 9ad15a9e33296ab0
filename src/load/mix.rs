//! Which requests a load consists of, and in which proportion.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};

use super::random::Random;

/// Largest weight: their sum stays far from any limit.
const MAX_WEIGHT: u64 = 1_000_000;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A limit order near the price; answered when it is accepted.
    Place,
    /// The same; answered when it is matched and settled.
    PlaceWait,
    /// Cancels an order placed before.
    Cancel,
    /// The balances of a user.
    Balances,
    /// A few levels of a book.
    Depth,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 5] =
        [Kind::Place, Kind::PlaceWait, Kind::Cancel, Kind::Balances, Kind::Depth];

    /// The name on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Place => "place",
            Kind::PlaceWait => "place_wait",
            Kind::Cancel => "cancel",
            Kind::Balances => "balances",
            Kind::Depth => "depth",
        }
    }
}

/// A weight for each kind, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: [u64; Kind::ALL.len()],
}

impl Mix {
    /// One of the kinds, by their weights.
    pub fn pick(&self, random: &mut Random) -> Kind {
        let mut dice = random.below(self.weights.iter().sum());
        for (kind, &weight) in Kind::ALL.iter().zip(&self.weights) {
            if dice < weight {
                return *kind;
            }
            dice -= weight;
        }
        // The sum of the weights is above the dice.
        Kind::Place
    }

    /// The weight of one kind.
    pub fn weight(&self, kind: Kind) -> u64 {
        self.weights[kind as usize]
    }
}

impl FromStr for Mix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Mix> {
        let mut weights = [None; Kind::ALL.len()];
        for part in text.split(',') {
            let (name, weight) =
                part.split_once('=').with_context(|| format!("{part:?} is not KIND=WEIGHT"))?;
            let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
                let names = Kind::ALL.map(Kind::name).join(", ");
                bail!("{name:?} is none of {names}");
            };
            let weight: u64 =
                weight.parse().ok().filter(|&weight| weight <= MAX_WEIGHT).with_context(|| {
                    format!("{name}: must be a whole number up to {MAX_WEIGHT}")
                })?;
            ensure!(weights[kind as usize].replace(weight).is_none(), "{name} is there twice");
        }
        let mix = Mix { weights: weights.map(Option::unwrap_or_default) };
        ensure!(mix.weights.iter().sum::<u64>() > 0, "all weights are zero");
        let places = mix.weight(Kind::Place) + mix.weight(Kind::PlaceWait);
        ensure!(
            mix.weight(Kind::Cancel) == 0 || places > 0,
            "cancel: without orders there is nothing to cancel"
        );
        Ok(mix)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = Kind::ALL.into_iter().filter(|&kind| self.weight(kind) > 0);
        let parts: Vec<String> =
            parts.map(|kind| format!("{}={}", kind.name(), self.weight(kind))).collect();
        formatter.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_in_their_proportion() {
        let mix: Mix = "place=3,cancel=1".parse().unwrap();
        let (mut random, mut counts) = (Random::new(1, 0), [0; Kind::ALL.len()]);
        for _ in 0..10_000 {
            counts[mix.pick(&mut random) as usize] += 1;
        }
        assert_eq!(counts[Kind::Place as usize] + counts[Kind::Cancel as usize], 10_000);
        assert!((7_300..7_700).contains(&counts[Kind::Place as usize]), "{counts:?}");
    }

    #[test]
    fn numbers_of_kinds_are_their_places() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
    }

    #[test]
    fn a_mix_is_written_as_it_is_read() {
        for text in ["place=80,cancel=20", "place_wait=1,balances=2,depth=3"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_mix_is_refused_by_the_name_of_its_kind() {
        for (bad, word) in [
            ("place", "KIND=WEIGHT"),
            ("take=1", "take"),
            ("place=-1", "place"),
            ("place=1,place=2", "twice"),
            ("place=0", "zero"),
            ("cancel=1", "cancel"),
        ] {
            let error = bad.parse::<Mix>().unwrap_err().to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }
}

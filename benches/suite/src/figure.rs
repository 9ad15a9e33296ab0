//! One measured figure: every run of it, its aim, and what ran beside it.
//!
//! A benchmark writes an array of these as JSON; the suite reads it, and nothing else of what the
//! benchmark prints. Units and times are the benchmark's business, medians and ratios are this one's.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Throughput.
    Higher,
    /// Time, bytes, instructions.
    Lower,
}

/// What ran in the same rounds to compare with: a peer, or a floor that does less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// Its name, with the version where it is somebody else's.
    pub name: String,
    /// One a run, in the unit of the figure.
    pub values: Vec<f64>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name, like `book/cme-es`: stays the same from version to version, so that runs compare.
    pub row: String,
    /// The same for people.
    pub title: String,
    /// Of the values, like `M commands/s`.
    pub unit: String,
    /// Which way is good.
    pub better: Better,
    /// One a run, at least one.
    pub values: Vec<f64>,
    /// What the median is to reach.
    #[serde(default)]
    pub target: Option<f64>,
    /// What the ratio to the other one is to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_target: Option<f64>,
    /// What ran in the same rounds.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// How the measured program was started, and where.
    #[serde(default)]
    pub flags: String,
    /// What to type to measure it again.
    #[serde(default)]
    pub command: String,
    /// What has to be known to read it right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The median of some runs, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the mean of both in the middle.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

impl Spread {
    /// Of no values there is none.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&lowest, &highest) = (sorted.first()?, sorted.last()?);
        let half = sorted.len() / 2;
        let is_even = sorted.len().is_multiple_of(2);
        let below = if is_even { sorted[half - 1] } else { sorted[half] };
        Some(Spread { median: (below + sorted[half]) / 2.0, lowest, highest })
    }
}

impl Figure {
    /// A figure without an aim, and with nothing beside it.
    pub fn new(row: &str, title: &str, unit: &str, better: Better, values: Vec<f64>) -> Figure {
        Figure {
            row: row.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            better,
            values,
            target: None,
            ratio_target: None,
            beside: None,
            flags: String::new(),
            command: String::new(),
            note: None,
        }
    }

    /// With what the median is to reach.
    #[must_use]
    pub fn target(mut self, target: f64) -> Figure {
        self.target = Some(target);
        self
    }

    /// With what the ratio is to reach.
    #[must_use]
    pub fn ratio_target(mut self, target: f64) -> Figure {
        self.ratio_target = Some(target);
        self
    }

    /// With what ran in the same rounds.
    #[must_use]
    pub fn beside(mut self, name: &str, values: Vec<f64>) -> Figure {
        self.beside = Some(Beside { name: name.to_owned(), values });
        self
    }

    /// With how it was started and what to type.
    #[must_use]
    pub fn from(mut self, flags: &str, command: &str) -> Figure {
        self.flags = flags.to_owned();
        self.command = command.to_owned();
        self
    }

    /// With what has to be known to read it right.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Figure {
        self.note = Some(note.into());
        self
    }

    /// The runs; `None` where there is no run.
    pub fn spread(&self) -> Option<Spread> {
        Spread::of(&self.values)
    }

    /// The figure against the other one by their medians, so that more is better: 2 is twice the
    /// throughput, or half the time.
    pub fn ratio(&self) -> Option<f64> {
        let other = Spread::of(&self.beside.as_ref()?.values)?.median;
        let own = self.spread()?.median;
        let ratio = match self.better {
            Better::Higher => own / other,
            Better::Lower => other / own,
        };
        ratio.is_finite().then_some(ratio)
    }

    /// Whether all its aims are met; `None` without an aim.
    pub fn is_met(&self) -> Option<bool> {
        let own = self.spread()?.median;
        let by_value = self.target.map(|target| match self.better {
            Better::Higher => own >= target,
            Better::Lower => own <= target,
        });
        let by_ratio =
            self.ratio_target.map(|target| self.ratio().is_some_and(|ratio| ratio >= target));
        match (by_value, by_ratio) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        }
    }
}

/// Writes the figures of a benchmark.
///
/// # Errors
/// Where the file cannot be written, or a value is no number: it would be read as none.
pub fn write_figures(path: &Path, figures: &[Figure]) -> io::Result<()> {
    let is_number = |values: &[f64]| values.iter().all(|value| value.is_finite());
    for Figure { row, values, beside, .. } in figures {
        if !is_number(values) || !beside.as_ref().is_none_or(|beside| is_number(&beside.values)) {
            return Err(io::Error::other(format!("{row}: values: must be numbers")));
        }
    }
    let mut text = serde_json::to_vec_pretty(figures)?;
    text.push(b'\n');
    std::fs::write(path, text)
}

/// Reads what a benchmark has written.
///
/// # Errors
/// Where there is no such file, or something else in it, or a figure without a run.
pub fn read_figures(path: &Path) -> io::Result<Vec<Figure>> {
    let figures: Vec<Figure> = serde_json::from_slice(&std::fs::read(path)?)?;
    match figures.iter().find(|figure| figure.values.is_empty()) {
        Some(figure) => Err(io::Error::other(format!("{}: values: must not be empty", figure.row))),
        None => Ok(figures),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(better: Better, values: &[f64]) -> Figure {
        Figure::new("book/cme-es", "cme-es", "M commands/s", better, values.to_vec())
    }

    #[test]
    fn the_median_is_the_middle_run_whatever_their_order() {
        let spread = Spread::of(&[9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.lowest, spread.median, spread.highest), (1.0, 2.0, 9.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_above_one_is_good_for_throughput_and_for_time() {
        let beside = vec![4.0];
        let rate = figure(Better::Higher, &[8.0]).beside("peer", beside.clone());
        let time = figure(Better::Lower, &[2.0]).beside("peer", beside);
        assert_eq!((rate.ratio(), time.ratio()), (Some(2.0), Some(2.0)));
        assert_eq!(figure(Better::Lower, &[0.0]).beside("peer", vec![1.0]).ratio(), None);
    }

    #[test]
    fn an_aim_is_met_only_when_both_of_it_are() {
        let figure = |value| figure(Better::Higher, &[value]).beside("peer", vec![10.0]);
        assert_eq!(figure(8.0).is_met(), None);
        assert_eq!(figure(8.0).target(7.0).is_met(), Some(true));
        assert_eq!(figure(8.0).target(7.0).ratio_target(0.9).is_met(), Some(false));
        assert_eq!(figure(8.0).target(9.0).ratio_target(0.7).is_met(), Some(false));
        let time = Figure { better: Better::Lower, ..figure(8.0) };
        assert_eq!(time.clone().target(9.0).is_met(), Some(true));
        assert_eq!(time.target(7.0).is_met(), Some(false));
    }

    #[test]
    fn figures_come_back_as_they_were_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let figures =
            [figure(Better::Lower, &[1.5, 2.0]).target(3.0).note("quiet").from("-x", "y")];
        write_figures(file.path(), &figures).unwrap();
        assert_eq!(read_figures(file.path()).unwrap(), figures);
    }

    #[test]
    fn a_figure_without_a_run_is_refused_by_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_figures(file.path(), &[figure(Better::Lower, &[])]).unwrap();
        let error = read_figures(file.path()).unwrap_err().to_string();
        assert!(error.contains("book/cme-es: values"), "{error}");
    }

    #[test]
    fn what_is_no_number_is_refused_before_it_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = write_figures(file.path(), &[figure(Better::Lower, &[1.0, f64::INFINITY])]);
        assert!(error.unwrap_err().to_string().contains("book/cme-es: values"));
    }

    #[test]
    fn what_another_program_writes_need_not_have_what_is_optional() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = r#"[{"row":"a/b","title":"t","unit":"µs","better":"lower","values":[1],
            "target":null,"beside":null,"flags":"","command":""}]"#;
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(read_figures(file.path()).unwrap()[0].better, Better::Lower);
    }
}

//! The parts that are in this program: each starts a server or a tool and looks at it from outside.

use anyhow::Result;
use suite::{Figure, write_figures};

use crate::arguments::Own;
use crate::plan::Places;
use crate::{parts, run};

/// What a part needs to know.
pub struct Context {
    /// Where things are.
    pub places: Places,
    /// Fewer and shorter rounds.
    pub quick: bool,
}

/// Measures; nothing where this machine cannot, after saying why.
type Measure = fn(&Context) -> Result<Vec<Figure>>;

/// By name.
pub const OWN_PARTS: [(&str, Measure); 8] = [
    ("replay", parts::replay::measure),
    ("instructions", parts::instructions::measure),
    ("http", parts::http::measure),
    ("profile", parts::profile::measure),
    ("latency", parts::latency::measure),
    ("start", parts::start::measure),
    ("memory", parts::memory::measure),
    ("scaling", parts::scaling::measure),
];

/// Runs one of them and leaves its figures in the file.
pub fn run(wanted: &Own) -> Result<()> {
    let context = Context { places: run::places()?, quick: wanted.quick };
    let (_, measure) = OWN_PARTS.iter().find(|own| own.0 == wanted.name).expect("was checked");
    let figures = measure(&context)?;
    if !figures.is_empty() {
        write_figures(&wanted.json, &figures)?;
    }
    Ok(())
}

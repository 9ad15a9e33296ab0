//! What all benchmarks have in common: a figure, and the file of figures that each leaves for the
//! suite. The program beside it runs them all.

mod figure;

pub use figure::{Beside, Better, Figure, Spread, read_figures, write_figures};

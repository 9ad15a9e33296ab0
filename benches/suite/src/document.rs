//! Keeps `docs/benchmarks.md`: replaces what lies between the marks of the parts that ran, and the rows
//! of its first table whose figures were measured. Everything else there is written by people.
//!
//! `<!-- bench:begin NAME -->` and `<!-- bench:end NAME -->` enclose a part. In the first table a row
//! names its figure in a comment, `<!-- row NAME -->`, at its end; the row's second and third cell are
//! then the figure and its aim.

use std::path::Path;

use anyhow::{Context, Result, bail};
use suite::Figure;

use crate::plan::SCALING;
use crate::run::Results;
use crate::table;

const ROW: &str = "<!-- row ";

/// Puts the results into the document.
pub fn update(path: &Path, results: &Results) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let new = updated(&text, results).with_context(|| path.display().to_string())?;
    // Whoever interrupts it must not leave half of the document.
    let beside = path.with_extension("md.tmp");
    std::fs::write(&beside, new)?;
    std::fs::rename(beside, path)?;
    Ok(())
}

fn updated(text: &str, results: &Results) -> Result<String> {
    let mut text = text.to_owned();
    for (name, figures) in results.parts.iter().filter(|(_, figures)| !figures.is_empty()) {
        let quick = if results.quick { ", few and short rounds" } else { "" };
        let drawing = if name == SCALING {
            "![Shards: cost, latency, prediction](scaling.svg)\n\n"
        } else {
            ""
        };
        let table = table::markdown(figures);
        let body = format!("{}{quick}\n\n{drawing}{table}", results.machine);
        text = replace(&text, name, &body)?;
    }
    let figures: Vec<&Figure> = results.parts.values().flatten().collect();
    let lines = text.lines().map(|line| first_table_row(line, &figures));
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

fn replace(text: &str, name: &str, body: &str) -> Result<String> {
    let (begin, end) =
        (format!("<!-- bench:begin {name} -->"), format!("<!-- bench:end {name} -->"));
    let Some((before, rest)) = text.split_once(&begin) else {
        bail!("there is no {begin}");
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("there is no {end} behind {begin}");
    };
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", body.trim_end()))
}

/// `| what | figure | aim | command | <!-- row NAME -->`, with the figure where it was measured.
fn first_table_row(line: &str, figures: &[&Figure]) -> String {
    let measured = || {
        let (head, rest) = line.split_once(ROW)?;
        let name = rest.split(' ').next()?;
        let figure = figures.iter().find(|figure| figure.row == name)?;
        let mut cells = head.split('|').skip(1);
        let what = cells.next()?.trim();
        let [_, own, aim, beside, ratio] = table::cells(figure);
        let beside = match (beside.is_empty(), ratio.is_empty()) {
            (true, _) | (_, true) => String::new(),
            _ => format!("; {beside}: ratio {ratio}"),
        };
        let command = cells.nth(2)?.trim();
        Some(format!("| {what} | {own}{beside} | {aim} | {command} | {ROW}{name} -->"))
    };
    measured().unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::machine::Machine;
    use suite::Better;

    const TEXT: &str = "\
# Top
| what | figure | aim | command |
| --- | --- | --- | --- |
| the book | - | - | `scripts/bench book` | <!-- row book/x -->
| crashes | 0 lost | 0 | `scripts/kill` |
words
<!-- bench:begin book -->
old
<!-- bench:end book -->
more words
<!-- bench:begin http -->
older
<!-- bench:end http -->
";

    fn results(part: &str) -> Results {
        let machine = Machine {
            at_s: 0,
            time: "2026-11-21 10:00".to_owned(),
            commit: "abc".to_owned(),
            model: "a processor".to_owned(),
            cores: 2,
            memory_gib: 24,
            kernel: "6".to_owned(),
            file_system: "ext4".to_owned(),
            load: "0.1".to_owned(),
        };
        let figure = Figure::new("book/x", "x", "M/s", Better::Higher, vec![20.0]).target(15.0);
        let parts = BTreeMap::from([(part.to_owned(), vec![figure])]);
        Results { machine, quick: false, parts }
    }

    #[test]
    fn only_the_part_that_ran_and_its_row_change() {
        let text = updated(TEXT, &results("book")).unwrap();
        for kept in ["# Top", "| crashes | 0 lost | 0 |", "words\n", "more words", "older"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert!(!text.contains("\nold\n"));
        assert!(text.contains(
            "| the book | 20 M/s | ≥ 15: met | `scripts/bench book` | <!-- row book/x -->"
        ));
        assert!(text.contains("| x | 20 M/s | ≥ 15: met |"));
    }

    #[test]
    fn writing_the_same_again_changes_nothing() {
        let once = updated(TEXT, &results("book")).unwrap();
        assert_eq!(updated(&once, &results("book")).unwrap(), once);
    }

    #[test]
    fn a_part_without_a_mark_is_an_error_that_names_it() {
        let error = updated(TEXT, &results("shard")).unwrap_err().to_string();
        assert!(error.contains("bench:begin shard"), "{error}");
    }
}

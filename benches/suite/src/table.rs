//! Figures as tables: for the terminal with every row, for the document with what it takes to repeat
//! them.

use std::collections::BTreeMap;
use std::fmt::Write;

use suite::{Figure, Spread};

type Parts = BTreeMap<String, Vec<Figure>>;

/// A number with about four digits that say something, and commas between thousands.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1_000.0 || size.fract() == 0.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    match fraction {
        "" => out,
        fraction => out + "." + fraction,
    }
}

fn spread(spread: Spread) -> String {
    if spread.lowest == spread.highest {
        return number(spread.median);
    }
    let [median, lowest, highest] = [spread.median, spread.lowest, spread.highest].map(number);
    format!("{median} ({lowest} to {highest})")
}

/// The aim and whether it is met.
pub fn aim(figure: &Figure) -> String {
    let sign = if figure.better == suite::Better::Higher { '≥' } else { '≤' };
    let mut aims = Vec::new();
    aims.extend(figure.target.map(|target| format!("{sign} {}", number(target))));
    aims.extend(figure.ratio_target.map(|target| format!("ratio ≥ {}", number(target))));
    match figure.is_met() {
        None => String::new(),
        Some(true) => format!("{}: met", aims.join(", ")),
        Some(false) => format!("{}: **missed**", aims.join(", ")),
    }
}

/// The figure, its unit and what stands beside it, as cells.
pub fn cells(figure: &Figure) -> [String; 5] {
    let own = figure.spread().map_or_else(String::new, spread);
    let beside = figure.beside.as_ref().and_then(|beside| {
        Some(format!("{} {}", beside.name, spread(Spread::of(&beside.values)?)))
    });
    let ratio = figure.ratio().map(number);
    [
        figure.title.clone(),
        format!("{own} {}", figure.unit),
        aim(figure),
        beside.unwrap_or_default(),
        ratio.unwrap_or_default(),
    ]
}

/// For the terminal; beside each figure how it has changed since `before`.
pub fn print(figures: &[Figure], before: Option<&Parts>) -> String {
    if figures.is_empty() {
        return "no figures".to_owned();
    }
    let old = |figure: &Figure| {
        let before = before?.values().flatten().find(|old| old.row == figure.row)?;
        Some((figure.spread()?.median / before.spread()?.median - 1.0) * 100.0)
    };
    let mut rows = vec![
        ["figure", "median (lowest to highest)", "aim", "beside", "ratio", "change"]
            .map(str::to_owned),
    ];
    for figure in figures {
        let [title, own, aim, beside, ratio] = cells(figure);
        let change = old(figure).map(|percent| format!("{percent:+.1} %")).unwrap_or_default();
        rows.push([title, own, aim.replace("**", ""), beside, ratio, change]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for figure in figures {
        if let Some(note) = &figure.note {
            let _ = writeln!(text, "  {}: {note}", figure.row);
        }
    }
    text
}

/// How many aims are met, and those that are not.
pub fn aims(parts: &Parts) -> String {
    let all = parts.values().flatten();
    let (met, missed): (Vec<_>, Vec<_>) =
        all.filter_map(|figure| Some((figure, figure.is_met()?))).partition(|(_, met)| *met);
    let mut text = format!("aims met: {} of {}", met.len(), met.len() + missed.len());
    for (figure, _) in missed {
        let own = figure.spread().map_or_else(String::new, spread);
        let _ = write!(text, "\n  missed: {} {own} {}", figure.row, figure.unit);
    }
    text
}

/// For the document.
pub fn markdown(figures: &[Figure]) -> String {
    let mut text = "| figure | median (lowest to highest) | aim | beside | ratio |\n\
                    | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for figure in figures {
        let [title, own, aim, beside, ratio] = cells(figure);
        let _ = writeln!(text, "| {title} | {own} | {aim} | {beside} | {ratio} |");
    }
    let mut told: Vec<(&str, &str)> = Vec::new();
    for Figure { command, flags, .. } in figures {
        if !command.is_empty() && !told.contains(&(command, flags)) {
            told.push((command, flags));
        }
    }
    for (command, flags) in told {
        let flags = if flags.is_empty() { String::new() } else { format!(" ({flags})") };
        let _ = write!(text, "\n`{command}`{flags}  ");
    }
    text.push('\n');
    let notes = figures.iter().filter_map(|figure| Some((&figure.title, figure.note.as_ref()?)));
    for (title, note) in notes {
        let _ = write!(text, "\n- {title}: {note}");
    }
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use suite::Better;

    #[test]
    fn numbers_have_commas_and_few_digits() {
        for (value, text) in [
            (1_234_567.8, "1,234,568"),
            (123.45, "123.5"),
            (32.0, "32"),
            (1.234, "1.23"),
            (0.12345, "0.123"),
            (-1_234.5, "-1,234"),
            (999.0, "999"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_change_is_against_the_same_row() {
        let figure = |value| Figure::new("a/b", "ours", "s", Better::Lower, vec![value]);
        let before = BTreeMap::from([("a".to_owned(), vec![figure(100.0)])]);
        assert!(print(&[figure(102.0)], Some(&before)).contains("+2.0 %"));
    }

    #[test]
    fn an_aim_that_is_missed_is_told() {
        let figure = Figure::new("a/b", "ours", "s", Better::Lower, vec![2.0]).target(1.0);
        let parts = BTreeMap::from([("a".to_owned(), vec![figure.clone()])]);
        assert!(aims(&parts).contains("0 of 1") && aims(&parts).contains("a/b"));
        assert!(markdown(&[figure]).contains("| ours | 2 s | ≤ 1: **missed** |"));
    }
}

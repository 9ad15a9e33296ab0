//! What can be asked for.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::own::OWN_PARTS;
use crate::plan::{PARTS, SCALING};

/// Said after a wrong argument; `scripts/bench --help` has more words.
pub const USAGE: &str = "\
usage: ringbook-suite [--quick] [--docs] [--against FILE] [PART…]
       ringbook-suite part NAME [--quick] --json FILE";

/// What to do.
pub enum Arguments {
    /// Parts, one after the other.
    All(All),
    /// One part that is in this program, for the suite itself.
    Own(Own),
}

/// Parts to run.
pub struct All {
    /// Fewer and shorter rounds.
    pub quick: bool,
    /// Write the document after a quick run too.
    pub docs: bool,
    /// Figures of another run to compare with.
    pub against: Option<PathBuf>,
    /// Their names; all when nobody names one.
    pub parts: Vec<String>,
}

/// One part of this program.
pub struct Own {
    /// Its name.
    pub name: String,
    /// Fewer and shorter rounds.
    pub quick: bool,
    /// Where the figures go.
    pub json: PathBuf,
}

impl Arguments {
    /// Reads the words; an error names the one that is wrong.
    pub fn parse(words: &[String]) -> Result<Arguments> {
        let mut all = All { quick: false, docs: false, against: None, parts: Vec::new() };
        let mut json = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = |words: &mut std::slice::Iter<String>| {
                words.next().map(PathBuf::from).with_context(|| format!("{word}: needs a file"))
            };
            match word.as_str() {
                "--quick" => all.quick = true,
                "--docs" => all.docs = true,
                "--against" => all.against = Some(value(&mut words)?),
                "--json" => json = Some(value(&mut words)?),
                option if option.starts_with('-') => bail!("{option}: there is no such option"),
                part => all.parts.push(part.to_owned()),
            }
        }
        if all.parts.first().is_some_and(|first| first == "part") {
            ensure!(all.parts.len() == 2, "part: needs one name");
            let name = all.parts.swap_remove(1);
            ensure!(OWN_PARTS.iter().any(|own| own.0 == name), "part: {name:?} is none");
            let json = json.context("--json: is missing")?;
            return Ok(Arguments::Own(Own { name, quick: all.quick, json }));
        }
        ensure!(json.is_none(), "--json: only for one `part`; a run of many writes target/bench");
        for name in &all.parts {
            let known = PARTS.map(|part| part.name).join(", ");
            ensure!(PARTS.iter().any(|part| part.name == *name), "{name:?} is none of {known}");
        }
        if all.parts.is_empty() {
            let names = PARTS.iter().map(|part| part.name).filter(|name| *name != SCALING);
            all.parts = names.map(str::to_owned).collect();
        }
        Ok(Arguments::All(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn without_a_name_all_parts_are_run() {
        let Ok(Arguments::All(all)) = parse("--quick") else { panic!() };
        assert!(all.quick && !all.docs);
        assert_eq!(all.parts.len(), PARTS.len() - 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, name) in [
            ("bok", "bok"),
            ("--fast", "--fast"),
            ("--against", "--against"),
            ("book --json x", "--json"),
            ("part replay", "--json"),
            ("part bok --json x", "bok"),
        ] {
            let Err(error) = parse(text) else { panic!("{text}") };
            assert!(error.to_string().contains(name), "{text}: {error}");
        }
    }
}

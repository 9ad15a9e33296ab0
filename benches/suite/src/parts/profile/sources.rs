//! From a place in the program to the part of it that the source file there belongs to.
//!
//! The line tables say which functions were inlined at an address, so a sample counts for the innermost
//! file of ours and not for the function that the compiler put it into. perf tells offsets in the file,
//! addr2line asks for addresses in memory; these differ by what the program headers say. That the two
//! meet is checked: the function that perf names must be the one that the line tables have outermost.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::names::{CRATES, FILES, NUMBERS, OTHER_CRATES, TYPES};

/// Of a hundred samples at least so many must be in the function that perf names. Closures and such have
/// two names, hence not all.
const LEAST_AGREED_PERCENT: usize = 80;

/// The parts of a program.
pub struct Sources {
    binary: PathBuf,
    root: PathBuf,
    segments: Vec<Segment>,
    places: HashMap<u64, Place>,
}

/// A piece of the file and where it is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    offset: u64,
    address: u64,
    length: u64,
}

/// What the line tables say of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    part: &'static str,
    /// The function around all that is inlined here.
    function: String,
}

impl Sources {
    /// Of a program with its line tables.
    pub fn new(binary: &Path, root: &Path) -> Result<Sources> {
        let (binary, root) = (binary.canonicalize()?, root.canonicalize()?);
        let output =
            Command::new("readelf").args(["--program-headers", "--wide"]).arg(&binary).output()?;
        let segments = segments(&String::from_utf8_lossy(&output.stdout));
        ensure!(!segments.is_empty(), "readelf tells no segments of {}", binary.display());
        Ok(Sources { binary, root, segments, places: HashMap::new() })
    }

    fn address(&self, offset: u64) -> Option<u64> {
        let within = |one: &&Segment| (one.offset..one.offset + one.length).contains(&offset);
        self.segments.iter().find(within).map(|one| offset - one.offset + one.address)
    }

    /// Finds the parts of samples at these offsets in the file, each with the function that perf names.
    ///
    /// # Errors
    /// Also when the two do not fit together: then every part would be a wrong one.
    pub fn resolve(&mut self, samples: &[(u64, &str)]) -> Result<()> {
        let mut wanted: Vec<u64> =
            samples.iter().filter_map(|sample| self.address(sample.0)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut text = String::new();
        for address in &wanted {
            writeln!(text, "{address:x}")?;
        }
        let mut command = Command::new("addr2line");
        command.args(["--inlines", "--addresses", "--functions", "--demangle", "--exe"]);
        command.arg(&self.binary);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().expect("is piped");
        let feeding = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output()?;
        feeding.join().expect("does not panic")?;
        ensure!(output.status.success(), "addr2line failed");
        self.take(&String::from_utf8_lossy(&output.stdout));
        let agrees = |sample: &&(u64, &str)| {
            let place = self.place(sample.0);
            place.is_some_and(|place| last_name(&place.function) == last_name(sample.1))
        };
        let agreed = samples.iter().filter(agrees).count();
        ensure!(
            agreed * 100 >= samples.len() * LEAST_AGREED_PERCENT,
            "perf and addr2line name the same function for {agreed} of {} samples only: the addresses \
             do not fit",
            samples.len()
        );
        Ok(())
    }

    /// Each address is followed by pairs of lines, a function and its file, innermost first.
    fn take(&mut self, text: &str) {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(address) = line.strip_prefix("0x") else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            let (mut files, mut outermost) = (Vec::new(), "");
            while let Some(function) = lines.next_if(|line| !line.starts_with("0x")) {
                outermost = function;
                files.extend(lines.next());
            }
            let part = self.part_of(&files, outermost);
            let place = Place { part, function: outermost.to_owned() };
            self.places.insert(address, place);
        }
    }

    /// Of the files around an address, innermost first, and the function around all of them.
    fn part_of(&self, files: &[&str], function: &str) -> &'static str {
        let ours = files.iter().filter_map(|file| below(&self.root, file));
        let part = |path: &str| FILES.iter().find(|file| path.starts_with(file.0)).map(|one| one.1);
        if let Some(part) = ours.clone().find_map(part) {
            return part;
        }
        if ours.clone().any(|path| path.starts_with(NUMBERS.0)) {
            return NUMBERS.1;
        }
        let foreign = |file: &&str| CRATES.iter().find(|one| file.contains(one.0));
        let typed = || TYPES.iter().find(|one| function.contains(one.0));
        files.iter().find_map(foreign).or_else(typed).map_or(OTHER_CRATES, |one| one.1)
    }

    fn place(&self, offset: u64) -> Option<&Place> {
        self.places.get(&self.address(offset)?)
    }

    /// The part of an offset in the file that was resolved.
    pub fn part(&self, offset: u64) -> Result<&'static str> {
        let place = self.place(offset).with_context(|| format!("no segment has {offset:#x}"))?;
        Ok(place.part)
    }
}

fn below<'a>(root: &Path, file: &'a str) -> Option<&'a str> {
    Path::new(file).strip_prefix(root).ok()?.to_str()
}

/// The lines of `readelf` that tell what is loaded: `LOAD offset address physical file-length …`.
fn segments(text: &str) -> Vec<Segment> {
    let number = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    let segment = |line: &str| {
        let mut words = line.trim().strip_prefix("LOAD")?.split_whitespace();
        let (offset, address) = (number(words.next()?)?, number(words.next()?)?);
        let length = number(words.nth(1)?)?;
        Some(Segment { offset, address, length })
    };
    text.lines().filter_map(segment).collect()
}

/// The last component of a path of modules, without types, closures and hashes, as far as both tools
/// write it in one way.
fn last_name(path: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for character in path.chars() {
        match character {
            '<' | '{' => depth += 1,
            '>' | '}' if depth > 0 => depth -= 1,
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    let is_hash = |word: &str| {
        let digits = word.strip_prefix('h').unwrap_or_default();
        digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    let words = plain.split("::").map(str::trim).filter(|word| !word.is_empty() && !is_hash(word));
    words.last().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let text = "  Type  Offset   VirtAddr\n  LOAD 0x000000 0x0 0x0 0x100 0x100 R 0x1000\n  \
                    LOAD 0x000100 0x0000000000001100 0x0000000000001100 0x000200 0x000300 R E 0x1000\n";
        let segments = segments(text);
        assert_eq!(segments[1], Segment { offset: 0x100, address: 0x1100, length: 0x200 });
        let (binary, root) = (PathBuf::new(), PathBuf::from("/p"));
        Sources { binary, root, segments, places: HashMap::new() }
    }

    #[test]
    fn the_innermost_file_of_ours_gets_the_sample() {
        let mut sources = sources();
        sources.take(
            "0x1110\nwrite\n/rustc/library/core/src/ptr.rs:1\ntake<T>\n/p/shards/ledger/src/hold.rs:2\n\
             engine::placing::place\n/p/shards/engine/src/placing.rs:3\n0x1120\n??\n??:0\n0x1130\nhex\n\
             /p/shards/gateway/src/auth/hex.rs:7 (discriminator 2)\n0x1140\nparse\n/x/httparse-1.10/a.rs:1\n\
             0x1150\nfloor\n/p/shards/money/src/scale.rs:1\nsettle\n/p/shards/ledger/src/hold.rs:9\n",
        );
        let part = |offset| sources.part(offset).unwrap();
        assert!(part(0x110).starts_with("ledger"));
        assert_eq!(part(0x120), OTHER_CRATES);
        assert!(part(0x130).starts_with("auth"));
        assert!(part(0x140).starts_with("parse"));
        assert!(part(0x150).starts_with("ledger"), "numbers are of whoever counts");
        assert!(sources.part(0x300).is_err(), "behind the last segment");
        assert_eq!(sources.place(0x110).unwrap().function, "engine::placing::place");
    }

    #[test]
    fn both_tools_names_of_a_function_are_the_same_name() {
        for (perf, lines) in [
            ("engine::engine::Engine::command", "engine::engine::Engine::command"),
            ("core::ptr::drop_in_place<a::B<C>>", "drop_in_place<a::B<C>>"),
            ("hashbrown::raw::RawTable<T,A>::reserve_rehash", "reserve_rehash<(u64, a::B), C>"),
            (
                "runtime::node::sessions::accept::{{closure}}",
                "runtime::node::sessions::accept::{closure#0}",
            ),
            ("a::b::h0123456789abcdef", "b"),
            ("<a::B as c::D>::next", "a::{impl#3}::next"),
        ] {
            assert_eq!(last_name(perf), last_name(lines), "{perf}");
        }
        assert_ne!(last_name("a::place"), last_name("a::cancel"));
    }
}

//! Checks rule by rule what docs/design.md says about the pure crates: see `scripts/purity`.
//!
//! It reads tokens, so comments and strings do not count, and neither do tests. What the pure crates
//! may use of the standard library and of other crates is a list of what is allowed: what nobody
//! thought of is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bottom up: a crate depends only on crates before it.
const LAYERS: [&str; 12] = [
    "money",
    "identity",
    "book",
    "ledger",
    "engine",
    "journal",
    "shard",
    "sim",
    "gateway",
    "telemetry",
    "audit",
    "runtime",
];
/// Crates of the list that a crate does not know of although they come before it.
const STRANGERS: [(&str, &[&str]); 6] = [
    ("book", &["identity"]),
    ("ledger", &["identity", "book"]),
    ("sim", &[]),
    ("gateway", &["journal", "shard", "sim"]),
    (
        "telemetry",
        &["money", "identity", "book", "ledger", "engine", "journal", "shard", "sim", "gateway"],
    ),
    (
        "audit",
        &[
            "identity",
            "book",
            "ledger",
            "engine",
            "journal",
            "shard",
            "sim",
            "gateway",
            "telemetry",
        ],
    ),
];
const PURE: [&str; 6] = ["money", "identity", "book", "ledger", "engine", "shard"];
/// Waits for the journal during recovery; still knows no executor.
const MAY_BE_ASYNC: &str = "shard";
/// What pure crates may depend on, beside the crates below them.
const PURE_DEPENDENCIES: [&str; 4] = ["foldhash", "hashbrown", "rkyv", "thiserror"];
/// The one file that names a hash map's own crate, and walks over a map to sort it.
const HASH_FILE: &str = "shards/money/src/hash.rs";
/// The one file that names a processor's instructions: hints, which change no result.
const PREFETCH_FILE: &str = "shards/money/src/prefetch.rs";
/// What pure crates may use of `std`.
const STD: [&str; 28] = [
    "array",
    "ascii",
    "borrow",
    "boxed",
    "cell",
    "char",
    "clone",
    "cmp",
    "collections",
    "convert",
    "default",
    "error",
    "fmt",
    "hash",
    "hint",
    "iter",
    "marker",
    "mem",
    "net",
    "num",
    "ops",
    "option",
    "rc",
    "result",
    "slice",
    "str",
    "string",
    "vec",
];
const STD_COLLECTIONS: [&str; 7] =
    ["BTreeMap", "BTreeSet", "BinaryHeap", "VecDeque", "binary_heap", "btree_map", "vec_deque"];
/// Addresses are values; sockets are not.
const STD_NET: [&str; 3] = ["IpAddr", "Ipv4Addr", "Ipv6Addr"];
const STD_HASH: [&str; 4] = ["BuildHasher", "BuildHasherDefault", "Hash", "Hasher"];
const MACROS: [&str; 8] =
    ["dbg", "env", "eprint", "eprintln", "option_env", "print", "println", "thread_local"];
const WORDS: [(&str, &str); 13] = [
    ("f32", "floating point"),
    ("f64", "floating point"),
    ("HashMap", "a hash map that can be iterated: take money::Map"),
    ("HashSet", "a hash set that can be iterated: take money::Map"),
    ("RandomState", "randomness"),
    ("DefaultHasher", "a hasher that may change"),
    ("Instant", "a clock"),
    ("SystemTime", "a clock"),
    ("_rdtsc", "a clock"),
    ("_rdrand64_step", "randomness"),
    ("_rdseed64_step", "randomness"),
    ("async", "async"),
    ("await", "async"),
];
const ITERATE: [&str; 13] = [
    "drain",
    "extract_if",
    "into_iter",
    "into_keys",
    "into_values",
    "iter",
    "iter_hash",
    "iter_hash_mut",
    "iter_mut",
    "keys",
    "retain",
    "values",
    "values_mut",
];

#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

fn main() -> ExitCode {
    let root = PathBuf::from(std::env::args().nth(1).expect("usage: purity ROOT"));
    let mut problems = Vec::new();
    let mut files = 0;
    for directory in ["shards", "src", "tests", "benches"] {
        for path in files_in(&root.join(directory)) {
            let name = path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a text file");
            files += 1;
            if name.ends_with("Cargo.toml") {
                check_manifest(&name, &text, &mut problems);
            } else {
                check_source(&name, &text, &mut problems);
            }
        }
    }
    check_manifest("Cargo.toml", &read(&root.join("Cargo.toml")), &mut problems);
    let mut maps: BTreeSet<(String, String)> = BTreeSet::new();
    for (crate_name, path) in PURE.iter().flat_map(|name| sources(&root, name)) {
        let tokens = without_tests(tokens(&read(&path)));
        maps.extend(map_names(&tokens, true).into_iter().map(|name| (crate_name.clone(), name)));
    }
    for (crate_name, path) in PURE.iter().flat_map(|name| sources(&root, name)) {
        let name = path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
        let tokens = without_tests(tokens(&read(&path)));
        let mut names = map_names(&tokens, false);
        names.extend(maps.iter().filter(|(of, _)| *of == crate_name).map(|(_, name)| name.clone()));
        check_iteration(&name, &tokens, &names, &mut problems);
    }
    for problem in &problems {
        println!("purity: {problem}");
    }
    match (files, problems.len()) {
        (0, _) => {
            println!("purity: no files under {}", root.display());
            ExitCode::FAILURE
        }
        (_, 0) => {
            println!("purity: {files} files, nothing to object to");
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.expect("readable").path()) {
        if entry.is_dir() {
            if !entry.ends_with("target") {
                found.extend(files_in(&entry));
            }
        } else if entry.extension().is_some_and(|extension| extension == "rs")
            || entry.ends_with("Cargo.toml")
        {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn sources(root: &Path, name: &str) -> Vec<(String, PathBuf)> {
    let files = files_in(&root.join("shards").join(name).join("src")).into_iter();
    let files = files.filter(|path| !is_test(&path.to_string_lossy()));
    files.map(|path| (name.to_string(), path)).collect()
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs")
}

/// The crate under `shards/` whose `src` a file is in.
fn crate_of(name: &str) -> Option<&str> {
    let mut parts = name.strip_prefix("shards/")?.splitn(3, '/');
    let name = parts.next()?;
    (parts.next()? == "src").then_some(name)
}

fn check_manifest(name: &str, text: &str, problems: &mut Vec<String>) {
    let own = name.strip_prefix("shards/").and_then(|rest| rest.strip_suffix("/Cargo.toml"));
    let mut section = "";
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or("");
        if !section.contains("dependencies") || key.is_empty() || key.starts_with('#') {
            continue;
        }
        let mut object = |what: String| problems.push(format!("{name}:{number}: {what}"));
        let names_glommio = line.contains("glommio") && section != "workspace.dependencies";
        // glommio itself, mended, lies in runtime.
        let vendored = name.starts_with("shards/runtime/vendor/");
        if names_glommio && own != Some("runtime") && !vendored {
            object("glommio: only shards/runtime names it".into());
        }
        let Some(own) = own.filter(|_| section == "dependencies") else { continue };
        let layer = |name: &str| LAYERS.iter().position(|known| *known == name);
        let below = match (layer(own), layer(key)) {
            (_, None) => None,
            (None, Some(_)) => {
                object(format!("{own} is in no layer: add it to scripts/purity.rs"));
                continue;
            }
            (Some(own), Some(other)) => Some(other < own),
        };
        let strange =
            STRANGERS.iter().any(|(of, strangers)| *of == own && strangers.contains(&key));
        if below == Some(false) || strange {
            object(format!("{own} may not know of {key}"));
        }
        if below.is_none() && PURE.contains(&own) && !PURE_DEPENDENCIES.contains(&key) {
            object(format!("{key}: not among the crates that pure crates may use"));
        }
    }
}

fn check_source(name: &str, text: &str, problems: &mut Vec<String>) {
    let tokens = tokens(text);
    if !name.starts_with("shards/runtime/")
        && let Some(token) = tokens.iter().find(|token| token.text == "glommio")
    {
        problems.push(format!("{name}:{}: glommio: only shards/runtime names it", token.line));
    }
    let Some(pure) = crate_of(name).filter(|own| PURE.contains(own) && !is_test(name)) else {
        return;
    };
    let tokens = without_tests(tokens);
    let at = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    for (index, token) in tokens.iter().enumerate() {
        let mut object = |what: &str, why: &str| {
            problems.push(format!("{name}:{}: {what}: {why}", token.line));
        };
        let word = token.text.as_str();
        let is_root = ["std", "core", "alloc"].contains(&word) && at(index.wrapping_sub(1)) != ".";
        if is_root && at(index + 1) == "::" {
            for path in paths(&tokens, index + 2) {
                let excused = name == PREFETCH_FILE && path == "arch::x86_64";
                if !is_allowed(&path) && !excused {
                    object(&format!("{word}::{path}"), "not of what pure crates may use");
                }
            }
        } else if is_root && ["use", "crate"].contains(&at(index.wrapping_sub(1))) {
            object(word, "name what is used of it");
        }
        if MACROS.contains(&word) && at(index + 1) == "!" {
            object(&format!("{word}!"), "the world");
        }
        if word == "hashbrown" && name != HASH_FILE {
            object(word, "take money::Map");
        }
        for (banned, why) in WORDS {
            let excused = (name == HASH_FILE && banned == "HashMap")
                || (pure == MAY_BE_ASYNC && why == "async");
            if word == banned && !excused {
                object(banned, why);
            }
        }
    }
}

/// The first two steps of every path that a use, or an expression, names from here on.
fn paths(tokens: &[Token], start: usize) -> Vec<String> {
    let at = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    if at(start) != "{" {
        let first = at(start).to_string();
        if at(start + 1) != "::" {
            return vec![first];
        }
        if at(start + 2) != "{" {
            return vec![format!("{first}::{}", at(start + 2))];
        }
        let inner = paths(tokens, start + 2);
        return inner.into_iter().map(|path| format!("{first}::{path}")).collect();
    }
    let (mut found, mut depth, mut index) = (Vec::new(), 0, start);
    loop {
        match at(index) {
            "{" => depth += 1,
            "}" => depth -= 1,
            "" => return found,
            _ => {}
        }
        if depth == 0 {
            return found;
        }
        if depth == 1 && ["{", ","].contains(&at(index)) && at(index + 1) != "}" {
            found.extend(paths(tokens, index + 1));
        }
        index += 1;
    }
}

fn is_allowed(path: &str) -> bool {
    let (module, item) = path.split_once("::").unwrap_or((path, ""));
    let item = item.split("::").next().unwrap_or("");
    match module {
        "collections" => STD_COLLECTIONS.contains(&item),
        "hash" => STD_HASH.contains(&item),
        "net" => STD_NET.contains(&item),
        _ => STD.contains(&module) || is_primitive(module),
    }
}

fn is_primitive(name: &str) -> bool {
    let digits = name.strip_prefix(['u', 'i']).unwrap_or("");
    ["8", "16", "32", "64", "128", "size"].contains(&digits)
}

/// Names of fields and bindings that are hash maps or tables.
fn map_names(tokens: &[Token], only_public: bool) -> BTreeSet<String> {
    let at = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut names = BTreeSet::new();
    for index in 0..tokens.len() {
        if !["Map", "Table"].contains(&at(index)) || !["<", "::"].contains(&at(index + 1)) {
            continue;
        }
        let mut before = index.wrapping_sub(1);
        // `money::Map`, `&mut Map`, `&'a Map`.
        while ["::", "money", "&", "mut"].contains(&at(before)) || at(before).starts_with('\'') {
            before = before.wrapping_sub(1);
        }
        let name = before.wrapping_sub(1);
        let declares = [":", "="].contains(&at(before));
        let is_public = ["pub", ")"].contains(&at(name.wrapping_sub(1)));
        if declares && (is_public || !only_public) {
            names.insert(at(name).to_string());
        }
    }
    names
}

fn check_iteration(
    name: &str,
    tokens: &[Token],
    maps: &BTreeSet<String>,
    problems: &mut Vec<String>,
) {
    let at = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| maps.contains(&token.text))
    {
        let by_method = at(index + 1) == "." && ITERATE.contains(&at(index + 2));
        let mut start = index;
        while [".", "self", "&", "mut"].contains(&at(start.wrapping_sub(1)))
            || (at(start) == "." && start > 0)
        {
            start -= 1;
        }
        let by_loop = at(start.wrapping_sub(1)) == "in" && at(index + 1) == "{";
        // money::sorted is the one walk, and gives no hash order away.
        if (by_method || by_loop) && name != HASH_FILE {
            let what = &token.text;
            problems.push(format!("{name}:{}: {what}: iterates a hash map", token.line));
        }
    }
}

/// Leaves out every item under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index < tokens.len() {
        let is_mark = tokens[index..].iter().map(|token| token.text.as_str()).take(7).eq(MARK);
        if !is_mark {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        index += MARK.len();
        let mut depth = 0;
        while let Some(token) = tokens.get(index) {
            index += 1;
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => continue,
            }
            if depth == 0 {
                break;
            }
        }
    }
    kept
}

/// Words, `::`, lifetimes and single marks; no comments, no strings, no characters.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let (mut found, mut line, mut index) = (Vec::new(), 1, 0);
    while index < bytes.len() {
        let start = index;
        match at(index) {
            b'/' if at(index + 1) == b'/' => {
                while index < bytes.len() && at(index) != b'\n' {
                    index += 1;
                }
            }
            b'/' if at(index + 1) == b'*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        (b'/', b'*') => (depth, index) = (depth + 1, index + 2),
                        (b'*', b'/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= bytes.len() {
                        break;
                    }
                }
            }
            b'"' => index = end_of_string(bytes, index),
            b'\'' if at(index + 1) == b'\\' => {
                index += 3;
                while index < bytes.len() && at(index) != b'\'' {
                    index += 1;
                }
                index += 1;
            }
            b'\'' => {
                let character = text[index + 1..].chars().next().map_or(0, char::len_utf8);
                if at(index + 1 + character) == b'\'' {
                    index += character + 2;
                } else {
                    index += 1;
                    while is_word(at(index)) {
                        index += 1;
                    }
                    found.push(Token { text: text[start..index].into(), line });
                }
            }
            byte if is_word(byte) => {
                while is_word(at(index)) {
                    index += 1;
                }
                let word = &text[start..index];
                let mut hashes = index;
                while at(hashes) == b'#' {
                    hashes += 1;
                }
                if ["r", "br", "cr"].contains(&word) && at(hashes) == b'"' {
                    let end = format!("\"{}", "#".repeat(hashes - index));
                    let rest = &text[hashes + 1..];
                    let length = rest.find(&end).map_or(rest.len(), |found| found + end.len());
                    index = hashes + 1 + length;
                } else if word == "b" && at(index) == b'\'' {
                    // A byte: the next round takes it as a character.
                } else {
                    found.push(Token { text: word.into(), line });
                }
            }
            b':' if at(index + 1) == b':' => {
                index += 2;
                found.push(Token { text: "::".into(), line });
            }
            byte if byte.is_ascii_whitespace() => index += 1,
            byte => {
                index += 1;
                found.push(Token { text: char::from(byte).into(), line });
            }
        }
        line += text[start..index.min(bytes.len())].matches('\n').count();
    }
    found
}

fn end_of_string(bytes: &[u8], quote: usize) -> usize {
    let mut index = quote + 1;
    while index < bytes.len() && bytes[index] != b'"' {
        index += if bytes[index] == b'\\' { 2 } else { 1 };
    }
    index + 1
}

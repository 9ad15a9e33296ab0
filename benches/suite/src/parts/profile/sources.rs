//! From an address of the program to the part of it that the source file belongs to.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

/// Parts by the beginning of a path below the project's root, the first one that fits.
const PARTS: [(&str, &str); 22] = [
    ("shards/gateway/src/http", "reading and writing HTTP"),
    ("shards/gateway/src/ws", "reading and writing frames"),
    ("shards/gateway/src/auth", "who asks, and may it"),
    ("shards/gateway/src/middleware", "who asks, and may it"),
    ("shards/identity", "who asks, and may it"),
    ("shards/runtime/src/node/guard", "who asks, and may it"),
    ("shards/runtime/src/bucket", "who asks, and may it"),
    ("shards/gateway", "request to command, reply to answer"),
    ("shards/ledger", "ledger"),
    ("shards/book", "book"),
    ("shards/engine", "protocol between ledger and book"),
    ("shards/money", "protocol between ledger and book"),
    ("shards/shard", "the gate: what waits to be durable"),
    ("shards/journal", "journal"),
    ("shards/telemetry", "metrics"),
    ("shards/audit", "audit trail"),
    ("shards/runtime/src/node", "connections and dispatch"),
    ("shards/runtime/src/listener", "connections and dispatch"),
    ("shards/runtime/src/disk", "journal"),
    ("shards/runtime/vendor", "executor and io_uring"),
    ("shards/runtime", "connections and dispatch"),
    ("src", "connections and dispatch"),
];
/// Of a file in none of ours: allocation, copying, the standard library, with nothing of ours inlined
/// around it.
pub const LIBRARIES: &str = "library functions: copying, allocation, hashing";

/// The part of each address.
pub struct Sources {
    binary: PathBuf,
    root: PathBuf,
    parts: HashMap<u64, String>,
}

impl Sources {
    /// Of a program with its debug information.
    pub fn new(binary: &Path, root: &Path) -> Result<Sources> {
        let (binary, root) = (binary.canonicalize()?, root.canonicalize()?);
        Ok(Sources { binary, root, parts: HashMap::new() })
    }

    /// Finds the parts of these addresses.
    pub fn resolve(&mut self, addresses: impl Iterator<Item = u64>) -> Result<()> {
        let mut wanted: Vec<u64> = addresses.collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut text = String::new();
        for address in &wanted {
            writeln!(text, "{address:x}")?;
        }
        let mut command = Command::new("addr2line");
        command.args(["--inlines", "--addresses", "--exe"]).arg(&self.binary);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().expect("is piped");
        let feeding = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output()?;
        feeding.join().expect("does not panic")?;
        ensure!(output.status.success(), "addr2line failed");
        self.take(&String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    /// Each address is followed by its files, innermost first.
    fn take(&mut self, text: &str) {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(address) = line.strip_prefix("0x") else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            let mut part = None;
            while let Some(file) = lines.next_if(|line| !line.starts_with("0x")) {
                part = part.or_else(|| self.part_of(file));
            }
            let part = part.unwrap_or(LIBRARIES);
            self.parts.insert(address, part.to_owned());
        }
    }

    fn part_of(&self, file: &str) -> Option<&'static str> {
        let path = Path::new(file).strip_prefix(&self.root).ok()?;
        PARTS
            .iter()
            .find(|(begin, _)| path.starts_with(begin) || starts(path, begin))
            .map(|part| part.1)
    }

    /// The part of an address that was resolved.
    pub fn part(&self, address: u64) -> String {
        self.parts.get(&address).cloned().unwrap_or_else(|| LIBRARIES.to_owned())
    }
}

/// Also where the last component is the beginning of a file's name.
fn starts(path: &Path, begin: &str) -> bool {
    path.to_str().is_some_and(|path| path.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_file_of_ours_gets_the_sample() {
        let (binary, root) = (PathBuf::new(), PathBuf::from("/p"));
        let mut sources = Sources { binary, root, parts: HashMap::new() };
        sources.take(
            "0x10\n/rustc/library/core/src/ptr.rs:1\n/p/shards/ledger/src/hold.rs:2\n\
             /p/shards/engine/src/placing.rs:3\n0x20\n??:0\n0x30\n/p/shards/gateway/src/auth/hex.rs:7 (discriminator 2)\n",
        );
        assert_eq!(sources.part(0x10), "ledger");
        assert_eq!(sources.part(0x20), LIBRARIES);
        assert_eq!(sources.part(0x30), "who asks, and may it");
    }
}

//! Which parts there are, and what each starts.
//!
//! A part is a process that leaves its figures in a file; a part that cannot be measured on this
//! machine says why and leaves none.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A part.
#[derive(Clone, Copy)]
pub struct Part {
    /// Its name on the command line and in the document's marks.
    pub name: &'static str,
    /// What it measures.
    pub title: &'static str,
    /// What starts it.
    pub start: Start,
}

/// What starts a part.
#[derive(Clone, Copy)]
pub enum Start {
    /// A benchmark of a package.
    Bench {
        /// The package, as cargo names it.
        package: &'static str,
        /// The benchmark.
        bench: &'static str,
    },
    /// The package of the other crates' books.
    Peers,
    /// An example of `shards/runtime`.
    Example(&'static str),
    /// `benches/fanout.rs`, which needs another server beside.
    Fanout,
    /// This program.
    Own,
}

const fn bench(package: &'static str, bench: &'static str) -> Start {
    Start::Bench { package, bench }
}

/// Runs only when it is named: `scripts/scaling`.
pub const SCALING: &str = "scaling";

/// All parts, in the order in which they run.
pub const PARTS: [Part; 17] = [
    Part { name: "book", title: "the book alone, one core", start: bench("ringbook-book", "book") },
    Part { name: "peers", title: "the book beside other crates' books", start: Start::Peers },
    Part {
        name: "shard",
        title: "ledger, book and protocol of one shard, without disk",
        start: bench("ringbook-engine", "shard"),
    },
    Part {
        name: "durable",
        title: "a whole shard with its journal on disk, in process",
        start: bench("ringbook-runtime", "durable"),
    },
    Part {
        name: "replay",
        title: "whole flows in process, the journal on disk",
        start: Start::Own,
    },
    Part {
        name: "instructions",
        title: "what book and shard execute, counted by valgrind",
        start: Start::Own,
    },
    Part {
        name: "allocations",
        title: "what book and shard allocate",
        start: bench("ringbook-engine", "allocations"),
    },
    Part { name: "http", title: "create_order under wrk beside a bare server", start: Start::Own },
    Part { name: "profile", title: "CPU per order by part", start: Start::Own },
    Part { name: "latency", title: "order to durable answer at given rates", start: Start::Own },
    Part {
        name: "credentials",
        title: "CPU per order by credential",
        start: bench("ringbook", "credentials"),
    },
    Part { name: "fanout", title: "trades to many WebSockets", start: Start::Fanout },
    Part { name: "start", title: "from the command to the first answer", start: Start::Own },
    Part { name: "memory", title: "idle, per user, open order and connection", start: Start::Own },
    Part { name: SCALING, title: "the same load on 1 to N shards", start: Start::Own },
    Part { name: "disk", title: "one durable direct write", start: Start::Example("measure_disk") },
    Part {
        name: "metrics",
        title: "what recording a metric costs",
        start: bench("ringbook-telemetry", "record"),
    },
];

/// Where things are.
pub struct Places {
    /// The project.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// For what servers and benchmarks write, on a real disk; removed at the end.
    pub scratch: PathBuf,
}

impl Part {
    /// Whether the project has it: a benchmark in a file of its own may not be there yet.
    pub fn is_there(&self, places: &Places) -> bool {
        match self.start {
            Start::Bench { package: "ringbook", bench } => {
                places.root.join(format!("benches/{bench}.rs")).exists()
            }
            _ => true,
        }
    }

    /// What builds it, if anything is to be built: beside the clock, so that the time of a run is the
    /// time of its measurements.
    pub fn build(&self, places: &Places) -> Option<Command> {
        let mut words = match self.start {
            Start::Own => return None,
            Start::Bench { package, bench } => {
                vec!["bench", "--no-run", "-p", package, "--bench", bench]
            }
            Start::Fanout => vec!["bench", "--no-run", "-p", "ringbook", "--bench", "fanout"],
            Start::Peers => {
                vec!["build", "--release", "--manifest-path", "benches/peers/Cargo.toml"]
            }
            Start::Example(example) => {
                vec!["build", "--release", "-p", "ringbook-runtime", "--example", example]
            }
        };
        words.push("--quiet");
        let mut command = self.cargo(places);
        command.args(words);
        Some(command)
    }

    /// Cargo in the project's directory. Peers have a target directory of their own: so are their
    /// profile and lock file.
    fn cargo(&self, places: &Places) -> Command {
        let target = match self.start {
            Start::Peers => places.target.join("peers"),
            _ => places.target.clone(),
        };
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&places.root).env("CARGO_TARGET_DIR", target);
        command
    }

    /// The process that measures it.
    pub fn command(&self, places: &Places, quick: bool, json: &Path) -> std::io::Result<Command> {
        let mut command = match self.start {
            Start::Own => Command::new(std::env::current_exe()?),
            _ => self.cargo(places),
        };
        if matches!(self.start, Start::Own) {
            command.current_dir(&places.root).env("CARGO_TARGET_DIR", &places.target);
        }
        command.env("BENCH_SCRATCH", &places.scratch);
        match self.start {
            Start::Bench { package, bench } => {
                command.args(["bench", "--quiet", "-p", package, "--bench", bench, "--"]);
            }
            Start::Peers => {
                command.args(["run", "--quiet", "--release", "--manifest-path"]);
                command.args(["benches/peers/Cargo.toml", "--"]);
            }
            Start::Example(example) => {
                command.args(["run", "--quiet", "--release", "-p", "ringbook-runtime"]);
                command.args(["--example", example, "--"]).arg(&places.scratch);
            }
            Start::Fanout => {
                command.args(["bench", "--quiet", "-p", "ringbook", "--bench", "fanout", "--"]);
                command.arg("--bare").arg(places.target.join("release/examples/bare_frames"));
                command.arg(&places.scratch);
            }
            Start::Own => {
                command.args(["part", self.name]);
            }
        }
        if quick {
            command.arg("--quick");
        }
        command.arg("--json").arg(json);
        Ok(command)
    }
}

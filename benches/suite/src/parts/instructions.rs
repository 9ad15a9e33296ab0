//! What book and shard execute, counted by valgrind inside the function that applies the flow: nothing
//! that else happens on the machine is in it, so a change of a percent is one of the program.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use suite::{Better, Figure};

use crate::own::Context;

/// Probing a hash table and growing memory depend a little on where things lie.
const ROUNDS: usize = 5;
/// The same of a flow that takes a minute: its count differs by less, the longer it is.
const LARGE_ROUNDS: usize = 1;

/// A benchmark, what its flow option is called, and the function that is counted.
struct Counted {
    name: &'static str,
    package: &'static str,
    bench: &'static str,
    option: &'static str,
    flows: &'static [&'static str],
    /// Too large for a quick run.
    large: &'static [&'static str],
}

const ALL: [Counted; 2] = [
    Counted {
        name: "book",
        package: "ringbook-book",
        bench: "book",
        option: "--flow",
        flows: &["lobster-aapl", "cme-es", "mix"],
        large: &["zxi-1m3-cancel"],
    },
    Counted {
        name: "shard",
        package: "ringbook-engine",
        bench: "shard",
        option: "--set",
        flows: &["lobster-aapl", "cme-es"],
        large: &["zxi-1m3-cancel"],
    },
];

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind is not installed");
        return Ok(Vec::new());
    }
    let mut figures = Vec::new();
    for counted in &ALL {
        let program = build(context, counted)?;
        let large = if context.quick { &[] } else { counted.large };
        for flow in counted.flows.iter().chain(large) {
            let mut values = Vec::new();
            let is_large = counted.large.contains(flow);
            for _ in 0..if context.quick || is_large { LARGE_ROUNDS } else { ROUNDS } {
                values.extend(count(context, counted, &program, flow)?);
            }
            let Some(&value) = values.first() else { continue };
            let (row, title) = (
                format!("instructions/{}/{flow}", counted.name),
                format!("{}, {flow}", counted.name),
            );
            let command = format!(
                "valgrind --tool=callgrind --toggle-collect='{}::counted_*' PROGRAM --bench --once {} {flow}",
                counted.bench, counted.option
            );
            println!("{title:<28} {value:>8.1} instructions a command");
            figures.push(
                Figure::new(&row, &title, "instructions/command", Better::Lower, values)
                    .from("bench profile, x86-64", &command),
            );
        }
    }
    Ok(figures)
}

/// Builds the benchmark and returns its program.
fn build(context: &Context, counted: &Counted) -> Result<PathBuf> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&context.places.root)
        .env("CARGO_TARGET_DIR", &context.places.target)
        .args(["bench", "--quiet", "--no-run", "--message-format", "json"])
        .args(["-p", counted.package, "--bench", counted.bench])
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{} does not build", counted.bench);
    let text = String::from_utf8(output.stdout)?;
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)?;
        if message["target"]["name"] == counted.bench
            && let Some(program) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(program));
        }
    }
    bail!("cargo names no program for {}", counted.bench)
}

/// Instructions for each command; `None` where the flow is not on this machine.
fn count(
    context: &Context,
    counted: &Counted,
    program: &PathBuf,
    flow: &str,
) -> Result<Option<f64>> {
    let output = Command::new("valgrind")
        .current_dir(&context.places.root)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={}::counted_*", counted.bench))
        .arg(program)
        .args(["--bench", "--once", counted.option, flow])
        .output()?;
    let (out, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if out.contains("skipped") {
        println!("{}", out.trim());
        return Ok(None);
    }
    ensure!(output.status.success(), "valgrind: {error}");
    per_command(&out, &error).with_context(|| format!("valgrind said: {error}")).map(Some)
}

fn per_command(out: &str, error: &str) -> Option<f64> {
    let commands = out.lines().find_map(|line| line.strip_suffix(" commands"))?;
    let collected = error.lines().find_map(|line| line.split_once("Collected : "))?;
    let collected: f64 = collected.1.trim().parse().ok()?;
    // None at all: the function was not found.
    (collected > 0.0).then_some(collected / commands.trim().parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_what_both_say() {
        let error = "==1== Events    : Ir\n==1== Collected : 3000\n==1== I refs: 3,000\n";
        assert_eq!(per_command("10 commands\n", error), Some(300.0));
    }

    #[test]
    fn a_function_that_was_not_found_is_no_figure() {
        assert_eq!(per_command("10 commands\n", "==1== Collected : 0\n"), None);
    }
}

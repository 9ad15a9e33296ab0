//! Runs parts one after the other, and keeps what they found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use suite::{Figure, read_figures};

use crate::arguments::All;
use crate::machine::Machine;
use crate::parts::scaling;
use crate::plan::{PARTS, Part, Places, SCALING};
use crate::{document, table};

/// What is kept of a run: `target/bench/DATE.json`.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// Where and when.
    pub machine: Machine,
    /// Whether rounds were few and short.
    pub quick: bool,
    /// By part.
    pub parts: BTreeMap<String, Vec<Figure>>,
}

/// Runs the parts; returns whether all of them could be run.
pub fn all(wanted: &All) -> Result<bool> {
    let places = places()?;
    let before = wanted.against.as_deref().map(read_results).transpose()?;
    let machine = Machine::look(&places);
    println!("{machine}");
    let mut results = Results { machine, quick: wanted.quick, parts: BTreeMap::new() };
    let mut failed = Vec::new();
    let parts: Vec<&Part> =
        PARTS.iter().filter(|part| wanted.parts.iter().any(|name| name == part.name)).collect();
    for part in &parts {
        build(part, &places)?;
    }
    let begin = Instant::now();
    for part in parts {
        println!("\n## {}: {}\n", part.name, part.title);
        let since = Instant::now();
        match run(part, &places, wanted.quick) {
            Ok(figures) => {
                println!("{}", table::print(&figures, before.as_ref().map(|all| &all.parts)));
                results.parts.insert(part.name.to_owned(), figures);
            }
            Err(error) => {
                eprintln!("bench: {}: {error:#}", part.name);
                failed.push(part.name);
            }
        }
        println!("({:.0} s)", since.elapsed().as_secs_f64());
    }
    println!("\nall parts: {:.0} s", begin.elapsed().as_secs_f64());
    let _ = std::fs::remove_dir_all(&places.scratch);
    let path = write_results(&places, &results)?;
    println!("\n{}", table::aims(&results.parts));
    println!("figures: {}", path.display());
    if wanted.docs || !wanted.quick {
        document::update(&places.root.join("docs/benchmarks.md"), &results)?;
        if results.parts.contains_key(SCALING) {
            let drawing = places.target.join("bench").join(scaling::SVG);
            std::fs::copy(drawing, places.root.join("docs").join(scaling::SVG))?;
        }
        println!("tables: docs/benchmarks.md");
    } else {
        println!(
            "docs/benchmarks.md is left alone after a quick run; --docs writes it all the same"
        );
    }
    ensure!(!results.parts.is_empty(), "no part was measured");
    Ok(failed.is_empty())
}

/// Where this process was started is the project.
pub fn places() -> Result<Places> {
    let root = std::env::current_dir()?;
    ensure!(
        root.join("benches/suite").is_dir(),
        "start it in the project's directory, as scripts/bench does"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    std::fs::create_dir_all(&target)?;
    let target = target.canonicalize()?;
    let scratch = match std::env::var_os("BENCH_SCRATCH") {
        Some(scratch) => PathBuf::from(scratch),
        None => {
            let parent = std::env::var_os("BENCH_DATA").map_or(target.clone(), PathBuf::from);
            let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(parent);
            scratch.context("BENCH_DATA: no directory for journals")?.keep()
        }
    };
    Ok(Places { root, target, scratch })
}

fn build(part: &Part, places: &Places) -> Result<()> {
    let Some(mut command) = part.build(places).filter(|_| part.is_there(places)) else {
        return Ok(());
    };
    let status = command.status()?;
    ensure!(status.success(), "{}: does not build: {status}", part.name);
    Ok(())
}

fn run(part: &Part, places: &Places, quick: bool) -> Result<Vec<Figure>> {
    let json = places.scratch.join(format!("{}.json", part.name));
    let _ = std::fs::remove_file(&json);
    if !part.is_there(places) {
        println!("skipped: there is no such benchmark yet");
        return Ok(Vec::new());
    }
    let status = part.command(places, quick, &json)?.status()?;
    ensure!(status.success(), "ended with {status}");
    if !json.exists() {
        return Ok(Vec::new());
    }
    read_figures(&json).context("its figures")
}

fn read_results(path: &Path) -> Result<Results> {
    let text = std::fs::read(path).with_context(|| format!("against: {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("against: {}", path.display()))
}

fn write_results(places: &Places, results: &Results) -> Result<PathBuf> {
    let directory = places.target.join("bench");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{}.json", results.machine.file_name()));
    std::fs::write(&path, serde_json::to_vec_pretty(results)?)?;
    Ok(path)
}

//! The seeds without a fuzzer: a harness or a seed that does not fit the code any more is seen here
//! first.

use std::collections::BTreeMap;
use std::path::Path;

/// The committed seeds of a target, by name.
fn committed(target: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn the_committed_seeds_are_those_that_the_code_makes() {
    for (target, seeds) in fuzz::seeds::all() {
        let seeds = seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        let same = committed(target) == seeds;
        assert!(
            same,
            "{target}: run cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds"
        );
    }
}

fn run_all(target: &str, run: fn(&[u8])) {
    for (name, bytes) in committed(target) {
        println!("{target}/{name}");
        run(&bytes);
    }
}

#[test]
fn the_journal_target_takes_its_seeds() {
    run_all("journal", fuzz::journal::run);
    run_all("journal_mutated", fuzz::journal_mutated::run);
}

#[test]
fn the_snapshot_target_takes_its_seeds() {
    run_all("snapshot", fuzz::snapshot::run);
}

#[test]
fn the_mesh_target_takes_its_seeds() {
    run_all("mesh", fuzz::mesh::run);
}

#[test]
fn the_gateway_targets_take_their_seeds() {
    run_all("http", fuzz::http::run);
    run_all("json", fuzz::json::run);
    run_all("messages", fuzz::messages::run);
}

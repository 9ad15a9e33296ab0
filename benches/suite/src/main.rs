//! Runs the benchmarks of ringbook, each in a process of its own, prints what they found beside what was
//! aimed at, and keeps `docs/benchmarks.md`. `scripts/bench` is how a person starts it.

mod arguments;
mod document;
mod histogram;
mod machine;
mod own;
mod parts;
mod plan;
mod run;
mod server;
mod table;

use std::process::ExitCode;

use anyhow::Result;

use self::arguments::Arguments;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done: Result<bool> = match Arguments::parse(&words) {
        Ok(Arguments::All(wanted)) => run::all(&wanted),
        Ok(Arguments::Own(wanted)) => own::run(&wanted).map(|()| true),
        Err(error) => {
            eprintln!("bench: {error:#}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

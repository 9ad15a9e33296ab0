//! How soon a server answers: empty, and the next time; then recovery, by `benches/startup.rs`.

use std::process::Command;

use anyhow::{Result, ensure};
use suite::{Better, Figure, read_figures};

use crate::own::Context;
use crate::server::{Cores, Server};

const ROUNDS: usize = 15;
const QUICK_ROUNDS: usize = 3;
/// In ms.
const AIM: f64 = 100.0;

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    let (mut empty, mut again) = (Vec::new(), Vec::new());
    for _ in 0..if context.quick { QUICK_ROUNDS } else { ROUNDS } {
        let data = context.places.scratch.join("start");
        let _ = std::fs::remove_dir_all(&data);
        empty.push(start(context)?);
        again.push(start(context)?);
    }
    let figure = |row: &str, title: &str, values| {
        Figure::new(row, title, "ms", Better::Lower, values).target(AIM).from(
            "serve --shards 1 --cores 0, from the process to its first answer",
            "scripts/bench start",
        )
    };
    let mut figures = vec![
        figure("start/empty", "start on a new directory", empty),
        figure("start/again", "start on that directory again", again),
    ];
    figures.extend(recovery(context)?);
    Ok(figures)
}

fn start(context: &Context) -> Result<f64> {
    let scratch = &context.places.scratch;
    let cores = Cores::split(1)?;
    let (list, data) = (Cores::list(&cores.server), scratch.join("start"));
    let data = data.to_string_lossy();
    let arguments = ["--shards", "1", "--cores", &list, "--data", &data];
    let server = Server::ringbook(&context.places.target, scratch, &cores.server, &arguments)?;
    Ok(server.start.as_secs_f64() * 1e3)
}

fn recovery(context: &Context) -> Result<Vec<Figure>> {
    let json = context.places.scratch.join("recovery.json");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&context.places.root).env("CARGO_TARGET_DIR", &context.places.target);
    command.args(["bench", "--quiet", "-p", "ringbook", "--bench", "startup", "--"]);
    if context.quick {
        command.arg("--quick");
    }
    let status = command.arg("--json").arg(&json).arg(&context.places.scratch).status()?;
    ensure!(status.success(), "startup ended with {status}");
    Ok(read_figures(&json)?)
}

//! `create_order` under wrk beside a server on the same runtime that only answers, both fed the same
//! prebuilt requests.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use suite::{Better, Figure};

use crate::own::Context;
use crate::server::{Cores, Server, free_port, spawn_on};

const LUA: &str = "scripts/wrk/create_order.lua";
const ROUNDS: usize = 5;
const SECONDS: u32 = 5;
/// Requests that a pipelining client sends at once.
const PIPELINE: usize = 8;
/// Of the bare server, in requests per second and in CPU per request.
const AIM: f64 = 0.6;
/// With fewer connections than these the disk is waited for and not the processor.
const AIM_CONNECTIONS: usize = 64;

/// One load.
#[derive(Clone, Copy)]
pub struct Case {
    shards: usize,
    connections: usize,
    pipeline: usize,
    /// Each request says that it is the last one of its connection.
    closes: bool,
}

/// A load on kept connections.
pub const fn case(shards: usize, connections: usize, pipeline: usize) -> Case {
    Case { shards, connections, pipeline, closes: false }
}

/// The same, but each request comes on a connection of its own.
pub const fn one_order_each(case: Case) -> Case {
    Case { closes: true, ..case }
}

const CASES: [Case; 8] = [
    case(1, 1, 1),
    case(1, 16, 1),
    case(1, 64, 1),
    case(1, 256, 1),
    case(1, 16, PIPELINE),
    case(2, 16, 1),
    case(2, 64, 1),
    case(2, 64, PIPELINE),
];
const QUICK_CASES: [Case; 4] =
    [case(1, 1, 1), case(1, 64, 1), case(1, 16, PIPELINE), case(2, 64, 1)];

/// What a server did under one load.
#[derive(Clone, Copy)]
pub struct Sample {
    per_s: f64,
    /// µs of the server's processor time per request.
    pub cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    if Command::new("wrk").arg("--version").output().is_err() {
        println!("skipped: wrk is not installed");
        return Ok(Vec::new());
    }
    let (cases, rounds, seconds) = match context.quick {
        true => (&QUICK_CASES[..], 1, 1),
        false => (&CASES[..], ROUNDS, SECONDS),
    };
    let config = context.places.scratch.join("http.toml");
    std::fs::write(&config, exchange())?;
    let mut figures = Vec::new();
    for shards in [1, 2] {
        let cases: Vec<Case> = cases.iter().copied().filter(|case| case.shards == shards).collect();
        let cores = Cores::split(shards)?;
        let mut samples = vec![[Vec::new(), Vec::new()]; cases.len()];
        for _ in 0..rounds {
            let bare = bare(context, shards, &cores)?;
            for (case, samples) in cases.iter().zip(&mut samples) {
                samples[1].push(load(&bare, *case, seconds, &cores)?);
            }
            drop(bare);
            let exchange = ringbook(context, shards, &cores)?;
            for (case, samples) in cases.iter().zip(&mut samples) {
                samples[0].push(load(&exchange, *case, seconds, &cores)?);
            }
        }
        for (case, samples) in cases.iter().zip(samples) {
            figures.extend(told(*case, &samples, &cores));
        }
    }
    Ok(figures)
}

/// An exchange whose users can go on trading for the whole run; see the Lua script.
pub fn exchange() -> String {
    let mut text = "[[assets]]\nasset = \"BTC\"\ndecimals = 8\n[[assets]]\nasset = \"USDT\"\n\
                    decimals = 2\n[[symbols]]\nsymbol = \"BTC_USDT\"\nbase = \"BTC\"\n\
                    quote = \"USDT\"\ntick = \"0.01\"\nlot = \"0.00000001\"\n"
        .to_owned();
    for user in 1..=1_000 {
        text += &format!(
            "[[users]]\nuser_id = {user}\n\
             balances = {{ BTC = \"1000000000\", USDT = \"100000000000000\" }}\n"
        );
    }
    text
}

fn bare(context: &Context, shards: usize, cores: &Cores) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(context.places.target.join("release/examples/bare_ok"));
    command.args([port.to_string(), shards.to_string(), Cores::list(&cores.server)]).arg("ok");
    Server::start(command, port, &context.places.scratch, &cores.server)
}

/// Starts it anew on empty data.
pub fn ringbook(context: &Context, shards: usize, cores: &Cores) -> Result<Server> {
    let scratch = &context.places.scratch;
    let data = scratch.join("http");
    let _ = std::fs::remove_dir_all(&data);
    let (data, config) = (data.to_string_lossy(), scratch.join("http.toml"));
    let (shards, config) = (shards.to_string(), config.to_string_lossy());
    let list = Cores::list(&cores.server);
    let arguments = ["--shards", &shards, "--cores", &list, "--data", &data, "--config", &config];
    Server::ringbook(&context.places.target, scratch, &cores.server, &arguments)
}

/// Lets wrk loose on it.
pub fn load(server: &Server, case: Case, seconds: u32, cores: &Cores) -> Result<Sample> {
    let before = server.cpu_s()?;
    let mut command = Command::new("wrk");
    let duration = format!("{seconds}s");
    command.args(["--threads", "1", "--connections", &case.connections.to_string()]);
    command.args(["--duration", &duration, "--latency", "--script", LUA, &server.url(), "--"]);
    command.args(["1000", "BTC_USDT", "50000", "1", "0.001", &case.pipeline.to_string()]);
    command.args(case.closes.then_some("close"));
    command.stdout(std::process::Stdio::piped());
    let output = spawn_on(&cores.client, &mut command)?.wait_with_output()?;
    let cpu_s = server.cpu_s()? - before;
    let text = String::from_utf8(output.stdout)?;
    let (mut sample, requests) = parse(&text).with_context(|| format!("wrk said: {text}"))?;
    ensure!(requests > 0.0, "wrk got no answer: {text}");
    sample.cpu_us = cpu_s * 1e6 / requests;
    Ok(sample)
}

/// The line of the Lua script, and how many requests were answered. `None` where any of them failed.
fn parse(text: &str) -> Option<(Sample, f64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "))?;
    let after = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let requests = text.lines().find(|line| line.contains(" requests in "))?;
    let requests = requests.split_whitespace().next()?.parse::<f64>().ok()?;
    let failed = after("errors")? + after("non-2xx")?;
    let sample = Sample {
        per_s: after("requests/s")?,
        cpu_us: 0.0,
        p50_us: after("p50")?,
        p99_us: after("p99")?,
    };
    (failed == 0.0).then_some((sample, requests))
}

fn told(case: Case, samples: &[Vec<Sample>; 2], cores: &Cores) -> Vec<Figure> {
    let Case { shards, connections, pipeline, .. } = case;
    let (shard, plural) = (format!("{shards}-shard"), if shards == 1 { "" } else { "s" });
    let mut row = format!("http/{shard}/{connections}");
    let mut title = format!("create_order, {shards} shard{plural}, {connections} connections");
    if pipeline > 1 {
        row += &format!("x{pipeline}");
        title += &format!(", {pipeline} pipelined");
    }
    let column = |of: usize, field: fn(&Sample) -> f64| samples[of].iter().map(field).collect();
    let (server, client) = (Cores::list(&cores.server), Cores::list(&cores.client));
    let flags = format!(
        "serve --shards {shards} --cores {server}, bare_ok PORT {shards} {server} ok, \
         wrk on core {client}"
    );
    let figure = |what: &str, name: &str, unit: &str, better, field: fn(&Sample) -> f64| {
        let (row, title) = (format!("{row}{what}"), format!("{title}{name}"));
        Figure::new(&row, &title, unit, better, column(0, field))
            .beside("bare ok", column(1, field))
            .from(&flags, "scripts/bench http")
    };
    let mut figures = vec![
        figure("", "", "requests/s", Better::Higher, |one| one.per_s),
        figure("/cpu", ", server CPU", "µs/request", Better::Lower, |one| one.cpu_us),
    ];
    if pipeline > 1 {
        // What wrk tells of bursts are no times of single requests.
        return figures;
    }
    if shards == 1 && connections >= AIM_CONNECTIONS {
        figures.iter_mut().for_each(|figure| figure.ratio_target = Some(AIM));
    }
    figures.push(figure("/p50", ", p50", "µs", Better::Lower, |one| one.p50_us));
    figures.push(figure("/p99", ", p99", "µs", Better::Lower, |one| one.p99_us));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "  1000 requests in 1.00s, 2MB read\nRESULT requests/s 999  p50 12 us  \
                        p99 34 us  max 50 us  errors 0  non-2xx 0\n";

    #[test]
    fn the_line_of_the_script_is_read() {
        let (sample, requests) = parse(TEXT).unwrap();
        assert_eq!((sample.per_s, sample.p50_us, sample.p99_us), (999.0, 12.0, 34.0));
        assert_eq!(requests, 1_000.0);
    }

    #[test]
    fn a_run_with_a_refused_order_is_no_figure() {
        assert!(parse(&TEXT.replace("non-2xx 0", "non-2xx 1")).is_none());
        assert!(parse(&TEXT.replace("errors 0", "errors 1")).is_none());
    }
}

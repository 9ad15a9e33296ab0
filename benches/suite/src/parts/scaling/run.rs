//! One server under one load: what it did, by its own counters and the kernel's.

use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::own::Context;
use crate::server::{Cores, Server, spawn_on, sum};

/// Symbols of the exchange, spread over the shards by their number.
pub const SYMBOLS: usize = 8;

/// A part of the load.
pub struct Flow {
    /// Connections, each with one order under way.
    pub connections: usize,
    /// Names, separated by commas.
    pub symbols: String,
    /// As `ringbook load` takes them.
    pub users: String,
    /// Orders per second; 0: as fast as they are answered.
    pub rate: u32,
    /// Only to this shard, at its own port, instead of to any.
    pub shard: Option<u16>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Orders per second.
    pub per_s: f64,
    /// CPU of the server, µs an order.
    pub cpu_us: f64,
    /// The same of the shard that used most.
    pub busiest_us: f64,
    /// Requests forwarded to the shard that owns their user, an order.
    pub hops: f64,
    /// Of all orders those whose symbol is on another shard than their user.
    pub crossing: f64,
    /// Messages between shards, an order.
    pub messages: f64,
    /// Parcels that these travelled in, an order.
    pub parcels: f64,
    /// From the intended start, of the first flow.
    pub p50_us: f64,
    /// The same.
    pub p99_us: f64,
    /// Of all orders those of the first flow.
    pub first_share: f64,
}

/// The name of a symbol.
pub fn symbol(number: usize) -> String {
    format!("S{number}_USDT")
}

/// All of them, as `ringbook load` takes them.
pub fn all_symbols() -> String {
    (0..SYMBOLS).map(symbol).collect::<Vec<_>>().join(",")
}

fn exchange() -> String {
    let mut text = "[[assets]]\nasset = \"USDT\"\ndecimals = 2\n".to_owned();
    for number in 0..SYMBOLS {
        text += &format!(
            "[[assets]]\nasset = \"S{number}\"\ndecimals = 8\n[[symbols]]\nsymbol = \"{}\"\n\
             base = \"S{number}\"\nquote = \"USDT\"\ntick = \"0.01\"\nlot = \"0.00000001\"\n",
            symbol(number)
        );
    }
    text
}

/// Counters at one moment.
struct Counters {
    cpu_s: f64,
    by_shard_s: Vec<f64>,
    metrics: String,
}

impl Counters {
    fn read(server: &Server) -> Result<Counters> {
        Ok(Counters {
            cpu_s: server.cpu_s()?,
            by_shard_s: server.cpu_by_shard_s()?,
            metrics: server.get("/metrics")?,
        })
    }

    fn since(&self, before: &Counters, name: &str) -> f64 {
        sum(&self.metrics, name) - sum(&before.metrics, name)
    }
}

/// Runs the flows at once against a new server.
pub fn run(context: &Context, shards: usize, flows: &[Flow], seconds: u32) -> Result<Sample> {
    let scratch = &context.places.scratch;
    let (data, config) = (scratch.join("scaling"), scratch.join("scaling.toml"));
    let _ = std::fs::remove_dir_all(&data);
    std::fs::write(&config, exchange())?;
    let cores = Cores::split(shards)?;
    let (count, list) = (shards.to_string(), Cores::list(&cores.server));
    let (data, config) = (data.to_string_lossy(), config.to_string_lossy());
    let arguments = [
        "--shards",
        &count,
        "--cores",
        &list,
        "--data",
        &data,
        "--config",
        &config,
        // Its reading would be counted too.
        "--snapshot-every-mib",
        "0",
        "--shard-ports",
    ];
    let server = Server::ringbook(&context.places.target, scratch, &cores.server, &arguments)?;
    for flow in flows {
        let quiet = Flow {
            connections: 1,
            rate: 1,
            users: flow.users.clone(),
            symbols: flow.symbols.clone(),
            shard: None,
        };
        finish(load(context, &server, &cores, &quiet, 1, "auto", 0)?, context, 0)?;
    }
    let before = Counters::read(&server)?;
    let start = |(at, flow)| load(context, &server, &cores, flow, seconds, "never", at);
    let loads: Vec<Child> = flows.iter().enumerate().map(start).collect::<Result<_>>()?;
    let finish = |(at, load)| finish(load, context, at);
    let results: Vec<Value> = loads.into_iter().enumerate().map(finish).collect::<Result<_>>()?;
    sample(&before, &Counters::read(&server)?, &results)
}

fn sample(before: &Counters, after: &Counters, results: &[Value]) -> Result<Sample> {
    let orders = after.since(before, "ringbook_orders_placed_total");
    ensure!(orders > 0.0, "no order was placed");
    let each = |name: &str| after.since(before, name) / orders;
    let busiest =
        after.by_shard_s.iter().zip(&before.by_shard_s).map(|(after, before)| after - before);
    let number = |value: &Value| value.as_f64().context("the results of the load lack a number");
    let rates: Vec<f64> =
        results.iter().map(|one| number(&one["answers_per_s"])).collect::<Result<_>>()?;
    let per_s: f64 = rates.iter().sum();
    Ok(Sample {
        per_s,
        cpu_us: (after.cpu_s - before.cpu_s) * 1e6 / orders,
        busiest_us: busiest.fold(0.0, f64::max) * 1e6 / orders,
        hops: each("ringbook_hops_total"),
        crossing: each("ringbook_orders_cross_shard_total"),
        messages: each("ringbook_mesh_messages_sent_total"),
        parcels: each("ringbook_mesh_parcels_sent_total"),
        p50_us: number(&results[0]["latency_ns"]["p50"])? / 1e3,
        p99_us: number(&results[0]["latency_ns"]["p99"])? / 1e3,
        first_share: rates[0] / per_s,
    })
}

fn load(
    context: &Context,
    server: &Server,
    cores: &Cores,
    flow: &Flow,
    seconds: u32,
    setup: &str,
    at: usize,
) -> Result<Child> {
    let mut load = Command::new(context.places.target.join("release/ringbook"));
    let threads = cores.client.len().min(flow.connections).to_string();
    load.args(["load", "http", "--mix", "place=1", "--warmup-s", "1"]);
    let port = server.port + flow.shard.map_or(0, |shard| 1 + shard);
    load.args(["--url", &format!("http://127.0.0.1:{port}")]);
    load.args(["--connections", &flow.connections.to_string(), "--rate", &flow.rate.to_string()]);
    load.args(["--symbols", &flow.symbols, "--users", &flow.users, "--threads", &threads]);
    load.args(["--setup", setup, "--duration-s", &seconds.to_string(), "--json"]);
    load.arg(context.places.scratch.join(format!("scaling-{at}.json")));
    load.stdout(Stdio::null()).stderr(Stdio::piped());
    spawn_on(&cores.client, &mut load)
}

fn finish(load: Child, context: &Context, at: usize) -> Result<Value> {
    let output = load.wait_with_output()?;
    ensure!(output.status.success(), "load: {}", String::from_utf8_lossy(&output.stderr));
    let json = context.places.scratch.join(format!("scaling-{at}.json"));
    let results: Value = serde_json::from_slice(&std::fs::read(json)?)?;
    let errors = &results["errors"];
    ensure!(errors.as_array().is_some_and(Vec::is_empty), "errors were answered: {errors}");
    Ok(results)
}

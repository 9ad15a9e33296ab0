//! What it costs the server to know who sends an order: processor time per order by credential, plain and
//! over TLS.
//!
//! `cargo bench --bench credentials -- [--quick] [--json FILE]`, once the example `bare_ok` of shards/runtime is
//! built in release; `scripts/bench credentials` does both. `--only session,development --rounds 30` is for
//! a profiler: those rows alone, and no figures.
//!
//! Three servers of one shard have the first core, this program the second: an exchange, one with TLS, and
//! one that only answers "ok". 64 connections send orders that are built and signed before, each the next
//! one when its answer is there. Every answer is durable. With HMAC there is also a row under wrk. What is told is the processor time of the server's
//! threads per order, as the kernel counts it in ns, and orders per second.

#[path = "credentials/lane.rs"]
mod lane;
#[path = "credentials/servers.rs"]
mod servers;
#[path = "credentials/signing.rs"]
mod signing;
#[path = "credentials/under_wrk.rs"]
mod under_wrk;

use std::path::{Path, PathBuf};
use std::time::Instant;

use lane::Lane;
use servers::{Server, Servers};
use signing::{Credential, Signer};
use suite::{Better, Figure, Spread, write_figures};

/// How the names of the rows begin.
const ROWS: &str = "credentials/";
const COMMAND: &str = "scripts/bench credentials";
const FLAGS: &str =
    "serve --shards 1 --cores 0; 64 connections from core 1, each with one order under way";
const CONNECTIONS: usize = 64;
/// Orders of a connection in a round. All are signed before the first is sent, so they must be sent within
/// the window of a signature.
const ORDERS: usize = 600;
const QUICK_ORDERS: usize = 100;
const ROUNDS: usize = 7;
const QUICK_ROUNDS: usize = 1;
const WRK_FLAGS: &str =
    "serve --shards 1 --cores 0; wrk -t1 -c64 -d3s on core 1, requests signed before";
/// What HMAC is to reach of the bare server under wrk, in requests per second and in processor time.
const HMAC_OF_BARE: f64 = 0.5;

/// One way to come in.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Bare,
    Exchange { credential: Credential, is_tls: bool },
}

/// One round of a way.
#[derive(Clone, Copy)]
struct Round {
    cpu_us: f64,
    per_s: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| words.iter().any(|word| word == name);
    // `cargo test --all-targets` runs this too, without it.
    if !has("--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let after = |name: &str| {
        let place = words.iter().position(|word| word == name)?;
        words.get(place + 1).map(PathBuf::from)
    };
    // This is target/PROFILE/deps/credentials-HASH.
    let own = std::env::current_exe().expect("a program");
    let bare = own.ancestors().nth(2).expect("a profile").join("examples/bare_ok");
    let directory = std::env::var_os("BENCH_SCRATCH").map(PathBuf::from);
    let directory = directory.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let (rounds, orders) = match has("--quick") {
        true => (QUICK_ROUNDS, QUICK_ORDERS),
        false => (ROUNDS, ORDERS),
    };
    let only = after("--only").map(|rows| rows.to_string_lossy().into_owned());
    let rounds = after("--rounds").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(rounds);
    let servers = Servers::start(&bare, &directory);
    let signer = Signer::open(&servers);
    let mut next_cid = 0;
    let ways = Way::all().into_iter().filter(|way| {
        only.as_ref()
            .is_none_or(|rows| rows.split(',').any(|row| way.row() == format!("{ROWS}{row}")))
    });
    let measured = measure(&servers, &signer, &mut next_cid, ways, rounds, orders);
    let median = |values: &[f64]| Spread::of(values).map_or(0.0, |spread| spread.median);
    for (title, rounds) in &measured {
        let cpu: Vec<f64> = rounds.iter().map(|round| round.cpu_us).collect();
        let per_s: Vec<f64> = rounds.iter().map(|round| round.per_s).collect();
        println!("{:<34}{:>8.2} µs{:>12.0}/s", title.title(), median(&cpu), median(&per_s));
    }
    if only.is_some() {
        return;
    }
    let under_wrk = measure_under_wrk(&servers, &signer, &directory, &mut next_cid, rounds);
    let figures = figures(&measured, &under_wrk);
    if let Some(file) = after("--json") {
        write_figures(&file, &figures).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Way {
    fn all() -> Vec<Way> {
        let plain = Credential::ALL.map(|credential| Way::Exchange { credential, is_tls: false });
        let secure = Credential::ALL.map(|credential| Way::Exchange { credential, is_tls: true });
        [Way::Bare].into_iter().chain(plain).chain(secure).collect()
    }

    fn row(self) -> String {
        match self {
            Way::Bare => format!("{ROWS}bare"),
            Way::Exchange { credential, is_tls } => {
                format!("{ROWS}{}{}", credential.row(), if is_tls { "-tls" } else { "" })
            }
        }
    }

    fn title(self) -> String {
        match self {
            Way::Bare => "bare \"ok\"".to_owned(),
            Way::Exchange { credential, is_tls } => {
                format!("{}{}", credential.title(), if is_tls { ", TLS" } else { "" })
            }
        }
    }

    /// What it is shown beside: of a credential the least one, of TLS the same without it.
    fn floor(self) -> Option<Way> {
        match self {
            Way::Bare => None,
            Way::Exchange { credential, is_tls: true } => {
                Some(Way::Exchange { credential, is_tls: false })
            }
            Way::Exchange { credential: Credential::Development, .. } => Some(Way::Bare),
            Way::Exchange { .. } => {
                Some(Way::Exchange { credential: Credential::Development, is_tls: false })
            }
        }
    }
}

type Measured = Vec<(Way, Vec<Round>)>;

/// Rounds under wrk: of the exchange with HMAC, and of the bare server.
type UnderWrk = [Vec<Round>; 2];

fn measure(
    servers: &Servers,
    signer: &Signer,
    next_cid: &mut u64,
    ways: impl Iterator<Item = Way>,
    rounds: usize,
    orders: usize,
) -> Measured {
    let mut measured: Measured = ways.map(|way| (way, Vec::new())).collect();
    // The first one warms caches up and is not counted.
    for round in 0..=rounds {
        for (way, rounds) in &mut measured {
            let done = run(*way, servers, signer, orders, next_cid);
            if round > 0 {
                rounds.push(done);
            }
        }
    }
    measured
}

fn measure_under_wrk(
    servers: &Servers,
    signer: &Signer,
    directory: &Path,
    next_cid: &mut u64,
    rounds: usize,
) -> UnderWrk {
    let mut under_wrk = UnderWrk::default();
    if std::process::Command::new("wrk").arg("--version").output().is_err() {
        println!("skipped: wrk is not installed");
        return under_wrk;
    }
    for _ in 0..rounds {
        for (server, rounds) in [&servers.plain, &servers.bare].into_iter().zip(&mut under_wrk) {
            rounds.push(under_wrk::round(server, signer, directory, next_cid));
        }
    }
    under_wrk
}

fn run(way: Way, servers: &Servers, signer: &Signer, orders: usize, next_cid: &mut u64) -> Round {
    let (server, credential) = match way {
        Way::Bare => (&servers.bare, Credential::Development),
        Way::Exchange { credential, is_tls: false } => (&servers.plain, credential),
        Way::Exchange { credential, is_tls: true } => (&servers.secure, credential),
    };
    let mut lanes: Vec<Lane> =
        (0..CONNECTIONS).map(|number| open(server, signer, credential, number)).collect();
    let messages: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS)
        .map(|number| {
            let mut message = |_| {
                *next_cid += 1;
                signer.order(credential, server.is_tls, number, *next_cid)
            };
            (0..orders).map(&mut message).collect()
        })
        .collect();
    let (cpu_ns, since) = (server.cpu_ns(), Instant::now());
    for (lane, messages) in lanes.iter_mut().zip(&messages) {
        lane.send(&messages[0]);
    }
    for place in 0..orders {
        for (lane, messages) in lanes.iter_mut().zip(&messages) {
            lane.receive();
            if let Some(message) = messages.get(place + 1) {
                lane.send(message);
            }
        }
    }
    let elapsed = since.elapsed().as_secs_f64();
    let count = (CONNECTIONS * orders) as f64;
    let cpu_us = (server.cpu_ns() - cpu_ns) as f64 / 1e3 / count;
    Round { cpu_us, per_s: count / elapsed }
}

/// A connection, which says who it is if the credential is for all that comes.
fn open(server: &Server, signer: &Signer, credential: Credential, number: usize) -> Lane {
    let mut lane = Lane::open(server, credential == Credential::Session);
    if let Some(login) = signer.login(credential, server.is_tls, number) {
        lane.send(&login);
        lane.receive();
    }
    lane
}

fn figures(measured: &Measured, under_wrk: &UnderWrk) -> Vec<Figure> {
    let of = |way: Way| &measured.iter().find(|(known, _)| *known == way).expect("measured").1;
    let cpu = |way: Way| of(way).iter().map(|round| round.cpu_us).collect::<Vec<_>>();
    let mut figures = Vec::new();
    for &(way, _) in measured {
        let title = format!("order, {}", way.title());
        let figure = Figure::new(&way.row(), &title, "µs of CPU", Better::Lower, cpu(way));
        let figure = figure.from(FLAGS, COMMAND);
        figures.push(match way.floor() {
            Some(floor) => figure.beside(&floor.title(), cpu(floor)),
            None => figure,
        });
    }
    let [hmac, bare] = under_wrk;
    if hmac.is_empty() {
        return figures;
    }
    let title = "order, HMAC-SHA256, under wrk";
    for (row, unit, better, field) in [
        ("credentials/wrk", "orders/s", Better::Higher, (|round| round.per_s) as fn(&Round) -> f64),
        ("credentials/wrk/cpu", "µs of CPU", Better::Lower, |round| round.cpu_us),
    ] {
        let figure = Figure::new(row, title, unit, better, hmac.iter().map(field).collect());
        let figure = figure.beside(&Way::Bare.title(), bare.iter().map(field).collect());
        figures.push(figure.ratio_target(HMAC_OF_BARE).from(WRK_FLAGS, COMMAND));
    }
    figures
}

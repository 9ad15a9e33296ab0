//! `ringbook load ws`: many WebSockets that follow market data, some of which trade.

mod account;
mod channels;
mod message;
mod report;
mod scanner;
mod sequence;
mod server;
mod session;
pub mod settings;
mod shared;
mod table;
mod tally;
mod trading;
mod wire;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::ProgressBar;

use self::channels::Channels;
use self::report::{Opening, WsReport};
use self::server::Usage;
use self::session::Session;
use self::settings::WsSettings;
use self::shared::{Shared, Stage};
use self::tally::Tally;
use self::trading::Desk;
use self::worker::{Plan, Worker};
use super::actions::Actions;
use super::arguments::Drive;
use super::order_times::Times;
use super::recorder::Recorder;
use super::schedule::{Clock, Period, Schedule};
use super::setup::{self, Ground};
use super::users::UserRange;
use super::{NS_PER_MS, NS_PER_S, dial, http, process, share, write_results};
use crate::format::thousands;
use crate::terminal::{self, say};

/// Between the last connection and the first order: memory comes to rest.
const LEAD_NS: u64 = 300_000_000;
/// Most connections for orders over HTTP.
const HTTP_CONNECTIONS: usize = 64;
/// Files that are open besides the connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// How often the progress is looked at.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What a load has measured.
struct Measured {
    tally: Tally,
    recorder: Recorder,
    /// The public channels' names.
    channels: Vec<String>,
    opening: Opening,
    began_ms: u64,
    cpu: CpuOf,
    server: Option<ServerOf>,
}

/// CPU of this process, when the measurement began and when it ended.
#[derive(Clone, Copy)]
struct CpuOf {
    begin_us: u64,
    end_us: u64,
}

/// What the server used before the connections were opened, after that, and in the measurement.
#[derive(Clone, Copy)]
struct ServerOf {
    pid: u32,
    before: Usage,
    open: Usage,
    begin: Usage,
    end: Usage,
}

/// Runs `load ws` and prints the results.
pub fn ws(mut settings: WsSettings) -> Result<()> {
    // Before anything is sent: a run whose results cannot be kept is in vain.
    let mut file = super::settings::open_results(&settings.load)?;
    let allowed = process::allow_descriptors();
    let needed = settings.load.connections as u64 + HTTP_CONNECTIONS as u64 + OTHER_DESCRIPTORS;
    ensure!(
        needed <= allowed,
        "connections: {} need {needed} open files, {allowed} are allowed (ulimit -Hn)",
        settings.load.connections
    );
    let ground = setup::prepare(&settings.load, settings.has_users())?;
    settings.load.symbols = ground.markets.iter().map(|market| market.symbol.clone()).collect();
    let measured = run(&settings, &ground)?;
    let report = WsReport::new(&settings, ground.shards, &measured);
    say(&table::write(&report));
    write_results(&mut file, &settings.load, &report)?;
    match report.failure() {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

type Handle = JoinHandle<Result<worker::Measured>>;

/// What the main thread has while the others work.
struct Conductor<'a> {
    settings: &'a WsSettings,
    clock: Clock,
    shared: Arc<Shared>,
    handles: Vec<Handle>,
    bar: ProgressBar,
    pid: Option<u32>,
}

fn run(settings: &WsSettings, ground: &Ground) -> Result<Measured> {
    let (clock, run_ms) = (Clock::start(), process::now_ms()?);
    let each = settings.channels_each.map(usize::from);
    let channels = Channels::new(&settings.channels, each, &ground.markets)?;
    let shared = Arc::new(Shared {
        channels,
        run: account::run_name(run_ms),
        is_traded: settings.drive != Drive::None && settings.traders > 0,
        orders: Arc::new(Times::new()),
        takers: Times::new(),
        stage: Stage::new(settings.drive == Drive::Http),
    });
    let address = dial::resolve(&settings.load.endpoint.authority)?;
    let pid = settings.pid.or_else(|| server::listener(address));
    let before = pid.and_then(server::usage);
    ensure!(
        settings.pid.is_none() || before.is_some(),
        "pid: there is no process {}",
        settings.pid.unwrap_or_default()
    );
    let began_ns = clock.now_ns();
    let handles = start(settings, ground, clock, &shared, address)?;
    let bar = terminal::progress("open");
    let mut conductor = Conductor { settings, clock, shared, handles, bar, pid };
    let opening = conductor.open(began_ns);
    let measured = opening.and_then(|opening| conductor.measure(ground, run_ms, opening, before));
    conductor.bar.finish_and_clear();
    if measured.is_err() {
        conductor.shared.stage.stop();
    }
    measured
}

/// Starts all threads, which open their connections at once.
fn start(
    settings: &WsSettings,
    ground: &Ground,
    clock: Clock,
    shared: &Arc<Shared>,
    address: std::net::SocketAddr,
) -> Result<Vec<Handle>> {
    let WsSettings { load, traders, .. } = settings;
    let window_ns = load.window_ms * NS_PER_MS;
    let windows = (load.duration_s * NS_PER_S).div_ceil(window_ns) as usize;
    let always = Period { begin_ns: clock.now_ns(), measured_ns: 0, end_ns: u64::MAX };
    let (mut before, mut trader, mut receiver) = (0, 0, 0);
    let mut handles = Vec::new();
    for thread in 0..load.threads {
        let count = share(load.connections, load.threads, thread);
        // A thread has at least as many connections as traders, since there are no more of those.
        let trading = share(*traders, load.threads, thread).min(count);
        let users = load.users.first + trader as u64..load.users.first + (trader + trading) as u64;
        let mut sessions: Vec<Session> = users.map(Session::trader).collect();
        let others = receiver..receiver + count - trading;
        sessions.extend(others.map(|number| Session::receiver(&shared.channels, number)));
        let desk = (settings.drive == Drive::Ws && trading > 0)
            .then(|| desk(settings, ground, clock, thread, (trader, trading)));
        let worker = Worker::new(Plan {
            clock,
            address,
            host: load.endpoint.authority.clone(),
            sessions,
            before,
            of: load.connections,
            opening: Schedule::new(settings.open_rate, always, thread as u64, load.threads as u64),
            desk,
            rate: load.rate,
            thread: thread as u64,
            trading_threads: settings.trading_threads() as u64,
            threads: load.threads,
            window_ns,
            tally: Tally::new(shared.channels.all().len(), windows, window_ns),
            shared: shared.clone(),
        })?;
        let name = format!("load {thread}");
        let handle = std::thread::Builder::new().name(name).spawn(move || worker.run());
        handles.push(handle.context("cannot start a thread")?);
        (before, trader, receiver) = (before + count, trader + trading, receiver + count - trading);
    }
    Ok(handles)
}

/// What the traders of a thread do, of whom `trader` is the first.
fn desk(
    settings: &WsSettings,
    ground: &Ground,
    clock: Clock,
    thread: usize,
    (trader, count): (usize, usize),
) -> Desk {
    let load = &settings.load;
    let first = load.users.first + trader as u64;
    let users = UserRange { first, last: first + count as u64 - 1, step: 1 };
    let prices: Vec<usize> = ground.markets.iter().map(|market| market.prices.len()).collect();
    let of = (thread as u64, settings.trading_threads() as u64);
    Desk {
        clock,
        actions: Actions::new(load.mix, users, &prices, load.seed, of),
        markets: ground.markets.clone(),
        pipeline: usize::from(load.pipeline),
        first_user: first,
        traders: count,
        run: None,
        idle: (0..count).collect(),
        cursor: 0,
        under_way: 0,
        was_blocked: false,
    }
}

impl Conductor<'_> {
    /// Waits until all connections are ready.
    fn open(&mut self, began_ns: u64) -> Result<Opening> {
        let connections = self.settings.load.connections;
        self.bar.set_length(connections as u64);
        loop {
            let (ready, last_ns) = self.shared.stage.ready();
            self.bar.set_position(ready as u64);
            if ready == connections {
                let took_ns = last_ns - began_ns;
                return Ok(Opening {
                    connections,
                    took_ms: took_ns as f64 / NS_PER_MS as f64,
                    connections_per_s: connections as f64 * NS_PER_S as f64 / took_ns.max(1) as f64,
                });
            }
            self.expect_all()?;
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// No thread has ended; else why.
    fn expect_all(&mut self) -> Result<()> {
        let Some(at) = self.handles.iter().position(JoinHandle::is_finished) else { return Ok(()) };
        match self.handles.swap_remove(at).join() {
            Ok(ended) => Err(ended.err().unwrap_or_else(|| anyhow!("a thread ended too soon"))),
            Err(_) => bail!("a thread of the load panicked"),
        }
    }

    fn measure(
        &mut self,
        ground: &Ground,
        run_ms: u64,
        opening: Opening,
        before: Option<Usage>,
    ) -> Result<Measured> {
        let (settings, clock) = (self.settings, self.clock);
        let load = &settings.load;
        let driver = match settings.drive {
            Drive::Http => {
                let connections = HTTP_CONNECTIONS.min(load.connections);
                let http = settings.http(connections);
                let progress = Arc::new(AtomicU64::new(0));
                let orders = &self.shared.orders;
                let connected =
                    http::connect(&http, ground, clock, run_ms, &progress, Some(orders))?;
                Some((connected, http))
            }
            Drive::Ws | Drive::None => None,
        };
        let period = Period::after(clock.now_ns() + LEAD_NS, load.warmup_s, load.duration_s);
        let began_ms = process::now_ms()? + (period.measured_ns - clock.now_ns()) / NS_PER_MS;
        let driving = driver.map(|(connected, http)| connected.start(&http, period)).transpose()?;
        self.wait_until(period.begin_ns - LEAD_NS / 2)?;
        let open = self.usage();
        self.shared.stage.begin(period);
        self.wait_until(period.measured_ns)?;
        let (begin_us, begin) = (process::cpu_us(), self.usage());
        self.wait_until(period.end_ns)?;
        let (cpu, end) = (CpuOf { begin_us, end_us: process::cpu_us() }, self.usage());
        let driven = driving.map(http::join).transpose()?;
        self.shared.stage.driven(clock.now_ns());
        let empty = || Recorder::new(period, load.window_ms * NS_PER_MS);
        let (tally, recorder) = self.join(driven.unwrap_or_else(empty))?;
        let usages = before.zip(open).zip(begin.zip(end));
        let server = self.pid.zip(usages).map(|(pid, ((before, open), (begin, end)))| ServerOf {
            pid,
            before,
            open,
            begin,
            end,
        });
        let channels = self.shared.channels.all().iter().map(|one| one.name.clone()).collect();
        Ok(Measured { tally, recorder, channels, opening, began_ms, cpu, server })
    }

    fn usage(&self) -> Option<Usage> {
        self.pid.and_then(server::usage)
    }

    /// Draws the progress until a moment has come.
    fn wait_until(&mut self, moment_ns: u64) -> Result<()> {
        let mut before = (self.shared.stage.messages(), Instant::now());
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= moment_ns {
                return Ok(());
            }
            self.expect_all()?;
            let rest = Duration::from_nanos(moment_ns - now_ns);
            std::thread::sleep(rest.min(PROGRESS_INTERVAL));
            let messages = self.shared.stage.messages();
            let rate = (messages - before.0) as f64 / before.1.elapsed().as_secs_f64();
            before = (messages, Instant::now());
            self.bar.set_message(format!("connections, {} messages/s", thousands(rate as u64)));
        }
    }

    /// What all threads have measured, and who sent the orders.
    fn join(&mut self, mut recorder: Recorder) -> Result<(Tally, Recorder)> {
        let mut sum: Option<Tally> = None;
        for handle in self.handles.drain(..) {
            let ended = handle.join().map_err(|_| anyhow!("a thread of the load panicked"))??;
            if let Some(of_thread) = &ended.recorder {
                recorder.merge(of_thread);
            }
            match &mut sum {
                Some(sum) => sum.merge(&ended.tally),
                none => *none = Some(ended.tally),
            }
        }
        Ok((sum.context("no threads")?, recorder))
    }
}

//! `ringbook load http`: orders over HTTP/1.1 on connections that are kept alive.

mod answer;
mod connection;
mod request;
mod worker;
#[cfg(test)]
mod worker_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use self::request::Requests;
use self::worker::{Plan, Run, Worker};
use super::actions::Actions;
use super::order_times::Times;
use super::recorder::Recorder;
use super::schedule::{Clock, Period, Schedule};
use super::settings::Settings;
use super::setup::Ground;
use super::{Measured, NS_PER_MS, NS_PER_S, dial, process, share};
use crate::format::thousands;
use crate::terminal;

/// Between the last connection and the first request: the threads are there by then.
const LEAD_NS: u64 = 20_000_000;
/// How long after the end answers are waited for, and what was due is still sent.
const DRAIN_NS: u64 = 10 * NS_PER_S;
/// How often the progress bar is brought up to date.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the load and returns what was measured.
pub fn run(settings: &Settings, ground: &Ground) -> Result<Measured> {
    process::allow_descriptors();
    let clock = Clock::start();
    let progress = Arc::new(AtomicU64::new(0));
    let run_ms = process::now_ms()?;
    let connected = connect(settings, ground, clock, run_ms, &progress, None)?;
    let period = Period::after(clock.now_ns() + LEAD_NS, settings.warmup_s, settings.duration_s);
    let began_ms = process::now_ms()? + (period.measured_ns - clock.now_ns()) / NS_PER_MS;
    let handles = connected.start(settings, period)?;
    watch(settings, &handles, &progress);
    Ok(Measured { recorder: join(handles)?, began_ms })
}

/// The threads of a run, with all their connections.
pub struct Connected {
    workers: Vec<Worker>,
}

/// A thread under way.
pub type Handle = JoinHandle<Result<Recorder>>;

impl Connected {
    /// Begins; [`join`] waits for the end.
    pub fn start(self, settings: &Settings, period: Period) -> Result<Vec<Handle>> {
        let threads = self.workers.len() as u64;
        let mut handles = Vec::new();
        for (thread, worker) in self.workers.into_iter().enumerate() {
            let run = Run {
                period,
                drain_ns: DRAIN_NS,
                schedule: Schedule::new(settings.rate, period, thread as u64, threads),
                recorder: Recorder::new(period, settings.window_ms * NS_PER_MS),
            };
            let name = format!("load {thread}");
            let body = move || worker.run(run);
            let handle = std::thread::Builder::new().name(name).spawn(body);
            handles.push(handle.context("cannot start a thread")?);
        }
        Ok(handles)
    }
}

/// What all threads have measured.
pub fn join(handles: Vec<Handle>) -> Result<Recorder> {
    let mut sum: Option<Recorder> = None;
    for handle in handles {
        let recorder = handle.join().map_err(|_| anyhow!("a thread of the load panicked"))??;
        match &mut sum {
            Some(sum) => sum.merge(&recorder),
            none => *none = Some(recorder),
        }
    }
    sum.context("no threads")
}

/// Connects. The intended starts of orders are noted in `order_times`.
pub fn connect(
    settings: &Settings,
    ground: &Ground,
    clock: Clock,
    run_ms: u64,
    progress: &Arc<AtomicU64>,
    order_times: Option<&Arc<Times>>,
) -> Result<Connected> {
    let host = &settings.endpoint.authority;
    let address = dial::resolve(host)?;
    let requests = Arc::new(Requests::new(host, &ground.markets, run_ms));
    let prices: Vec<usize> = ground.markets.iter().map(|market| market.prices.len()).collect();
    let connect = |thread: usize| {
        let of = (thread as u64, settings.threads as u64);
        Worker::connect(Plan {
            clock,
            address,
            connections: share(settings.connections, settings.threads, thread),
            pipeline: usize::from(settings.pipeline),
            requests: requests.clone(),
            actions: Actions::new(settings.mix, settings.users, &prices, settings.seed, of),
            progress: progress.clone(),
            order_times: order_times.cloned(),
        })
    };
    let workers = (0..settings.threads).map(connect).collect::<Result<Vec<Worker>>>()?;
    Ok(Connected { workers })
}

/// Draws the progress until all threads are through.
fn watch(settings: &Settings, handles: &[JoinHandle<Result<Recorder>>], answers: &AtomicU64) {
    let bar = terminal::progress("load");
    let total_s = settings.warmup_s + settings.duration_s;
    bar.set_length(total_s);
    let begin = std::time::Instant::now();
    let (mut before, mut shown_at) = (0, begin);
    while !handles.iter().all(JoinHandle::is_finished) {
        std::thread::sleep(PROGRESS_INTERVAL);
        let now = answers.load(Ordering::Relaxed);
        let rate = (now - before) as f64 / shown_at.elapsed().as_secs_f64();
        (before, shown_at) = (now, std::time::Instant::now());
        let elapsed_s = begin.elapsed().as_secs();
        bar.set_position(elapsed_s.min(total_s));
        let phase = match elapsed_s {
            s if s < settings.warmup_s => "s, warming up",
            s if s < total_s => "s",
            _ => "s, waiting for the last answers",
        };
        bar.set_message(format!("{phase}, {} answers/s", thousands(rate as u64)));
    }
    bar.finish_and_clear();
}

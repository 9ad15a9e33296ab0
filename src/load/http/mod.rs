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
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::request::Requests;
use self::worker::{Plan, Run, Worker};
use super::actions::Actions;
use super::recorder::Recorder;
use super::schedule::{Clock, Period, Schedule};
use super::settings::Settings;
use super::setup::Ground;
use super::{Measured, NS_PER_MS, NS_PER_S};
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
    allow_descriptors();
    let clock = Clock::start();
    let progress = Arc::new(AtomicU64::new(0));
    let run_ms = now_ms()?;
    let workers = connect(settings, ground, clock, run_ms, &progress)?;
    let begin_ns = clock.now_ns() + LEAD_NS;
    let measured_ns = begin_ns + settings.warmup_s * NS_PER_S;
    let end_ns = measured_ns + settings.duration_s * NS_PER_S;
    let period = Period { begin_ns, measured_ns, end_ns };
    let began_ms = now_ms()? + (measured_ns - clock.now_ns()) / NS_PER_MS;
    let threads = workers.len() as u64;
    let mut handles = Vec::new();
    for (thread, worker) in workers.into_iter().enumerate() {
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
    watch(settings, &handles, &progress);
    let mut sum: Option<Recorder> = None;
    for handle in handles {
        let recorder = handle.join().map_err(|_| anyhow!("a thread of the load panicked"))??;
        match &mut sum {
            Some(sum) => sum.merge(&recorder),
            none => *none = Some(recorder),
        }
    }
    Ok(Measured { recorder: sum.context("no threads")?, began_ms })
}

fn connect(
    settings: &Settings,
    ground: &Ground,
    clock: Clock,
    run_ms: u64,
    progress: &Arc<AtomicU64>,
) -> Result<Vec<Worker>> {
    let host = &settings.endpoint.authority;
    let address = worker::resolve(host)?;
    let requests = Arc::new(Requests::new(host, &ground.markets, run_ms));
    let prices: Vec<usize> = ground.markets.iter().map(|market| market.prices.len()).collect();
    let share = |thread: usize| {
        let (each, more) =
            (settings.connections / settings.threads, settings.connections % settings.threads);
        each + usize::from(thread < more)
    };
    let connect = |thread: usize| {
        let of = (thread as u64, settings.threads as u64);
        Worker::connect(Plan {
            clock,
            address,
            connections: share(thread),
            pipeline: usize::from(settings.pipeline),
            requests: requests.clone(),
            actions: Actions::new(settings.mix, settings.users, &prices, settings.seed, of),
            progress: progress.clone(),
        })
    };
    (0..settings.threads).map(connect).collect()
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

/// As many connections as the system lets us have; where it is fewer than asked for, opening them
/// says so.
fn allow_descriptors() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn now_ms() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(now.as_millis() as u64)
}

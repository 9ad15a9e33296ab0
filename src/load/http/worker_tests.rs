//! A thread of the load against small servers that do what real ones must not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::request::Requests;
use super::worker::{Plan, Run, Worker};
use crate::load::actions::Actions;
use crate::load::dial::resolve;
use crate::load::latencies::Quantiles;
use crate::load::market::Market;
use crate::load::mix::Kind;
use crate::load::recorder::{KindRecord, Recorder};
use crate::load::schedule::{Clock, Period, Schedule};
use crate::load::{NS_PER_MS, NS_PER_S};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A server that answers queries, which have no body, one at a time over all its connections.
struct Server {
    authority: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// Held while a request is looked at: what stalls one stalls all.
    answering: Mutex<()>,
    requests: AtomicUsize,
    /// Most requests that were read at once from one connection.
    most_at_once: AtomicUsize,
    /// What happens to a request, by its number.
    fate: fn(usize) -> Fate,
}

enum Fate {
    Answer,
    AnswerAfter(Duration),
    /// No answer, and the connection stays.
    Ignore,
    /// No answer, and the connection is closed.
    Close,
    /// Something that is not HTTP.
    Babble,
}

impl Server {
    fn start(fate: fn(usize) -> Fate) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            answering: Mutex::new(()),
            requests: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            fate,
        });
        let of_thread = shared.clone();
        // It ends with the test program; each connection ends when the load closes it.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.unwrap(), of_thread.clone());
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Server { authority, shared }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let (mut input, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
            input.extend_from_slice(&buffer[..count]);
            let mut at_once = 0;
            while let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                input.drain(..at + 4);
                at_once += 1;
                self.most_at_once.fetch_max(at_once, Ordering::Relaxed);
                if !self.answer(&mut stream) {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }

    /// Says whether the connection stays.
    fn answer(&self, stream: &mut TcpStream) -> bool {
        let _answering = self.answering.lock().unwrap();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        match (self.fate)(number) {
            Fate::Answer => stream.write_all(ANSWER).is_ok(),
            Fate::AnswerAfter(time) => {
                std::thread::sleep(time);
                stream.write_all(ANSWER).is_ok()
            }
            Fate::Ignore => true,
            Fate::Close => false,
            Fate::Babble => stream.write_all(b"babble\r\n\r\n").is_ok(),
        }
    }
}

/// How the load is sent.
#[derive(Clone, Copy)]
struct Load {
    rate: u64,
    duration_ms: u64,
    connections: usize,
    pipeline: usize,
    drain_ms: u64,
}

const LOAD: Load =
    Load { rate: 1_000, duration_ms: 600, connections: 4, pipeline: 16, drain_ms: 20_000 };

fn run(load: Load, server: &Server) -> Recorder {
    let (clock, prices) = (Clock::start(), vec!["1".to_owned()]);
    let assets = ["A".to_owned(), "B".to_owned()];
    let market = Market { symbol: "A_B".into(), assets, prices, qty: "1".into() };
    let (mix, users) = ("depth=1".parse().unwrap(), "1".parse().unwrap());
    let worker = Worker::connect(Plan {
        clock,
        address: resolve(&server.authority).unwrap(),
        connections: load.connections,
        pipeline: load.pipeline,
        requests: Arc::new(Requests::new(&server.authority, &[market], 1)),
        actions: Actions::new(mix, users, &[1], 1, (0, 1)),
        progress: Arc::new(AtomicU64::new(0)),
        order_times: None,
    });
    let begin_ns = clock.now_ns();
    let end_ns = begin_ns + load.duration_ms * NS_PER_MS;
    let period = Period { begin_ns, measured_ns: begin_ns, end_ns };
    let run = Run {
        period,
        drain_ns: load.drain_ms * NS_PER_MS,
        schedule: Schedule::new(load.rate, period, 0, 1),
        recorder: Recorder::new(period, NS_PER_S),
    };
    worker.unwrap().run(run).unwrap()
}

fn of(recorder: &Recorder) -> (&KindRecord, Quantiles, Quantiles) {
    let record = &recorder.kinds[Kind::Depth as usize];
    (record, record.latency.quantiles(), record.service.quantiles())
}

/// All that were due ended in one way each; returns how many were due.
#[track_caller]
fn accounted_for(recorder: &Recorder) -> u64 {
    let (record, latency, service) = of(recorder);
    let ended = record.answered() + record.unanswered + record.lost;
    assert_eq!(record.started, ended, "{:?}", recorder.faults);
    assert_eq!(service.count, record.answered());
    assert_eq!(latency.count, record.answered() + record.unanswered);
    record.started + recorder.unsent.count()
}

#[test]
fn a_stalled_server_shows_in_latency_and_not_in_service_time() {
    let server = Server::start(|number| match number {
        100 => Fate::AnswerAfter(Duration::from_millis(500)),
        _ => Fate::Answer,
    });
    // Nothing goes out behind the request that is stalled.
    let load = Load { connections: 1, pipeline: 1, duration_ms: 1_000, ..LOAD };
    let recorder = run(load, &server);
    assert_eq!(accounted_for(&recorder), 1_000);
    let (record, latency, service) = of(&recorder);
    assert_eq!(record.answered(), 1_000);
    // One request was slow; the half second's worth behind it waited for its turn.
    assert!(service.max >= 500 * NS_PER_MS && service.p99 < 200 * NS_PER_MS, "{service:?}");
    assert!(latency.p90 >= 300 * NS_PER_MS, "{latency:?}");
    assert!(latency.max >= 500 * NS_PER_MS, "{latency:?}");
}

#[test]
fn behind_a_busy_connection_requests_queue_up_to_the_bound() {
    let server = Server::start(|number| match number {
        50 => Fate::AnswerAfter(Duration::from_millis(200)),
        _ => Fate::Answer,
    });
    let recorder = run(Load { connections: 1, pipeline: 7, ..LOAD }, &server);
    assert_eq!(accounted_for(&recorder), 600);
    // The server has one of the seven in hand while it stalls.
    assert!((2..=7).contains(&server.shared.most_at_once.load(Ordering::Relaxed)));
}

#[test]
fn a_closed_loop_has_one_request_under_way_on_each_connection() {
    let server = Server::start(|_| Fate::Answer);
    let recorder = run(Load { rate: 0, pipeline: 1, duration_ms: 200, ..LOAD }, &server);
    let requests = server.shared.requests.load(Ordering::Relaxed) as u64;
    assert_eq!(accounted_for(&recorder), requests);
    assert!(requests > 100, "{requests}");
    assert_eq!(server.shared.most_at_once.load(Ordering::Relaxed), 1);
    assert_eq!(recorder.unsent.count(), 0);
}

#[test]
fn without_answers_every_request_counts_with_what_it_waited() {
    let server = Server::start(|_| Fate::Ignore);
    let load = Load { duration_ms: 200, pipeline: 2, drain_ms: 300, ..LOAD };
    let recorder = run(load, &server);
    assert_eq!(accounted_for(&recorder), 200);
    let (record, latency, _) = of(&recorder);
    assert_eq!((record.unanswered, recorder.unsent.count()), (8, 192));
    assert!(latency.p50 >= 480 * NS_PER_MS, "{latency:?}");
    let unsent = recorder.unsent.quantiles();
    assert!(unsent.min >= 300 * NS_PER_MS && unsent.max >= 480 * NS_PER_MS, "{unsent:?}");
    assert_eq!(recorder.windows[0].count(), 200);
}

#[test]
fn a_connection_that_breaks_loses_what_was_on_it_and_is_opened_again() {
    let server = Server::start(|number| match number % 100 {
        99 => Fate::Close,
        _ => Fate::Answer,
    });
    let recorder = run(LOAD, &server);
    assert_eq!(accounted_for(&recorder), 600);
    let (record, ..) = of(&recorder);
    assert!((4..100).contains(&record.lost), "{}", record.lost);
    let breaks: u64 = recorder.faults.values().sum();
    assert!(breaks >= 4, "{:?}", recorder.faults);
}

#[test]
fn an_answer_that_is_not_http_breaks_the_connection() {
    let server = Server::start(|number| match number {
        10 => Fate::Babble,
        _ => Fate::Answer,
    });
    let recorder = run(Load { duration_ms: 300, ..LOAD }, &server);
    assert_eq!(accounted_for(&recorder), 300);
    let faults: Vec<&String> = recorder.faults.keys().collect();
    assert!(faults.iter().any(|fault| fault.contains("not HTTP")), "{faults:?}");
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    drop(listener);
    let requests = Arc::new(Requests::new(&authority, &[], 1));
    let (mix, users) = ("depth=1".parse().unwrap(), "1".parse().unwrap());
    let connected = Worker::connect(Plan {
        clock: Clock::start(),
        address: resolve(&authority).unwrap(),
        connections: 2,
        pipeline: 1,
        requests,
        actions: Actions::new(mix, users, &[1], 1, (0, 1)),
        progress: Arc::new(AtomicU64::new(0)),
        order_times: None,
    });
    let error = format!("{:#}", connected.err().unwrap());
    assert!(error.contains(&authority) && error.contains("refused"), "{error}");
}

//! How fast market data reaches many subscribers, beside a server that only writes frames.
//!
//! `cargo bench --bench fanout -- [--quick] [--json FILE] --bare PATH [DIRECTORY]`, where PATH is the example
//! `bare_frames` of shards/runtime, built in release. `scripts/bench fanout` does both.
//!
//! A server of one shard has the first core, this program the second. A number of connections follow
//! the trades of one symbol; two users trade it over HTTP at a rate such that 1.05 million messages a second
//! would be due. What is told: messages that arrived here, and the processor time that the server used
//! for a million of them, without what the same orders take when nobody follows. The bare server sends frames of the same length at the
//! same rate. What both are due may be more than this program can read: then its own core is the bound,
//! and the processor time per message says more than the rate.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::Pid;
use suite::{Better, Figure, write_figures};

const SERVER_CORE: usize = 0;
const OWN_CORE: usize = 1;
/// A little more than the aim, which could not be reached otherwise.
const DUE_PER_S: f64 = 1_050_000.0;
const SUBSCRIBERS: [usize; 3] = [100, 1_000, 10_000];
const ROUNDS: usize = 3;
/// Million messages per second.
const AIM: f64 = 1.0;
/// Of the bare writer's CPU.
const AIM_OF_BARE: f64 = 0.7;
const PORT: u16 = 19_480;
const READ_BYTES: usize = 256 * 1024;
const EVENTS: usize = 1_024;
/// How long what has been sent before may take to be read.
const WARMUP: Duration = Duration::from_secs(2);
const USERS: [u64; 2] = [1001, 1002];
/// Connections that trade.
const TRADERS: usize = 16;
const HEADER_BYTES: usize = 4;

/// One connection, as far as its frames are counted.
struct Reader {
    socket: TcpStream,
    /// Of the payload under way.
    left: usize,
    header: Vec<u8>,
    frames: u64,
}

impl Reader {
    /// Counts the frames that end in these bytes. Servers' frames are not masked, and none here is as
    /// long as 64 KiB.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
                self.frames += u64::from(self.left == 0);
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            let length = match self.header.as_slice() {
                [_, short] if *short < 126 => usize::from(*short),
                [_, _, high, low] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => continue,
            };
            assert!(self.header.len() <= HEADER_BYTES);
            self.header.clear();
            self.left = length;
            self.frames += u64::from(length == 0);
        }
    }
}

struct Measured {
    per_s: f64,
    cpu_s_per_million: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| words.iter().any(|word| word == name);
    // `cargo test --all-targets` runs this too, without it.
    if !has("--bench") {
        return println!("skipped: measures only under `cargo bench`, or with --bench");
    }
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        Some((at + 1, words.get(at + 1)?.as_str()))
    };
    let (bare_at, bare) = after("--bare").expect("--bare PATH");
    let json = after("--json");
    let is_free = |at: usize| at != bare_at && json.is_none_or(|(json_at, _)| at != json_at);
    let directory =
        words.iter().enumerate().rfind(|(at, word)| is_free(*at) && !word.starts_with("--"));
    let directory = directory.map_or(env!("CARGO_TARGET_TMPDIR"), |(_, word)| word.as_str());
    let (sizes, rounds, seconds) = match has("--quick") {
        true => (&SUBSCRIBERS[1..2], 1, Duration::from_secs(2)),
        false => (&SUBSCRIBERS[..], ROUNDS, Duration::from_secs(8)),
    };
    println!("subscribers  server     messages/s   CPU s per million   of bare, by CPU");
    let mut figures = Vec::new();
    for &subscribers in sizes {
        let rate = DUE_PER_S / subscribers as f64;
        let (mut floors, mut all) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let floor = measure_bare(Path::new(bare), subscribers, rate, seconds);
            print(subscribers, "bare", &floor, 1.0);
            let ours = measure_exchange(Path::new(directory), subscribers, rate, seconds);
            let ratio = floor.cpu_s_per_million / ours.cpu_s_per_million;
            print(subscribers, "ringbook", &ours, ratio);
            floors.push(floor);
            all.push(ours);
        }
        figures.extend(told(subscribers, &all, &floors));
    }
    if let Some((_, path)) = json {
        write_figures(Path::new(path), &figures).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn told(subscribers: usize, ours: &[Measured], floors: &[Measured]) -> [Figure; 2] {
    let flags = format!(
        "serve --shards 1 --cores {SERVER_CORE}, clients on core {OWN_CORE}, 1.05 million due a second"
    );
    let column = |from: &[Measured], field: fn(&Measured) -> f64| from.iter().map(field).collect();
    let figure = |what: &str, name: &str, unit: &str, better, field| {
        let row = format!("fanout/{subscribers}{what}");
        let title = format!("trades to {subscribers} subscribers{name}");
        Figure::new(&row, &title, unit, better, column(ours, field))
            .beside("bare frames", column(floors, field))
            .from(&flags, "scripts/bench fanout")
    };
    let per_s = |one: &Measured| one.per_s / 1e6;
    [
        figure("", "", "M messages/s", Better::Higher, per_s).target(AIM),
        figure("/cpu", ", server CPU", "s per million", Better::Lower, |one| one.cpu_s_per_million)
            .ratio_target(AIM_OF_BARE),
    ]
}

fn print(subscribers: usize, name: &str, measured: &Measured, ratio: f64) {
    let Measured { per_s, cpu_s_per_million } = measured;
    println!("{subscribers:>11}  {name:<9}{per_s:>12.0}{cpu_s_per_million:>20.3}{ratio:>18.2}");
}

/// Keeps this thread, and what it starts from now on, to some cores.
fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core).expect("a core"));
    sched_setaffinity(Pid::from_raw(0), &set).expect("pinned");
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], PORT))
}

fn measure_bare(program: &Path, subscribers: usize, rate: f64, time: Duration) -> Measured {
    let arguments = [PORT.to_string(), SERVER_CORE.to_string(), rate.to_string()];
    let server = Command::new(program).args(arguments).stdout(Stdio::null()).spawn();
    let mut server = server.expect("bare_frames starts");
    pin(&[OWN_CORE]);
    wait_for_port();
    let measured = measure(&server, subscribers, time);
    end(&mut server);
    measured
}

fn measure_exchange(parent: &Path, subscribers: usize, rate: f64, time: Duration) -> Measured {
    let data = tempfile::tempdir_in(parent).expect("a directory");
    let server = Command::new(env!("CARGO_BIN_EXE_ringbook"))
        .args(["serve", "--shards", "1", "--cores", &SERVER_CORE.to_string()])
        .args(["--port", &PORT.to_string(), "--snapshot-every-mib", "0", "--data"])
        .arg(data.path().join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut server = server.expect("the server starts");
    pin(&[OWN_CORE]);
    wait_for_port();
    let stop = Arc::new(AtomicBool::new(false));
    let trader = |_| {
        let stop = stop.clone();
        std::thread::spawn(move || trade(rate / TRADERS as f64, &stop))
    };
    let traders: Vec<_> = (0..TRADERS).map(trader).collect();
    std::thread::sleep(WARMUP);
    let (cpu, since) = (cpu_s(&server), Instant::now());
    std::thread::sleep(time);
    let orders = (cpu_s(&server) - cpu) / since.elapsed().as_secs_f64();
    let mut measured = measure(&server, subscribers, time);
    measured.cpu_s_per_million -= orders / (measured.per_s / 1e6);
    stop.store(true, Ordering::Relaxed);
    traders.into_iter().for_each(|trader| trader.join().expect("the trader ends"));
    end(&mut server);
    measured
}

fn wait_for_port() {
    let since = Instant::now();
    while TcpStream::connect(address()).is_err() {
        assert!(since.elapsed() < Duration::from_secs(20), "the server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(server: &mut Child) {
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    pin(&[SERVER_CORE, OWN_CORE]);
    std::thread::sleep(Duration::from_millis(500));
}

/// User and system time of a process so far, in s.
fn cpu_s(server: &Child) -> f64 {
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks = |field: &str| field.parse::<f64>().expect("a number");
    (ticks(fields[11]) + ticks(fields[12])) / TICKS_PER_S
}

fn measure(server: &Child, subscribers: usize, time: Duration) -> Measured {
    let epoll = Epoll::new(EpollCreateFlags::empty()).expect("epoll");
    let mut readers: Vec<Reader> = (0..subscribers).map(|_| open()).collect();
    for (number, reader) in readers.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
        epoll.add(reader.socket.as_fd(), event).expect("a socket");
    }
    let mut buffer = vec![0; READ_BYTES];
    read_for(&epoll, &mut readers, &mut buffer, WARMUP);
    let total = |readers: &[Reader]| readers.iter().map(|reader| reader.frames).sum::<u64>();
    let (frames, cpu, since) = (total(&readers), cpu_s(server), Instant::now());
    read_for(&epoll, &mut readers, &mut buffer, time);
    let frames = (total(&readers) - frames) as f64;
    let (cpu, elapsed) = (cpu_s(server) - cpu, since.elapsed().as_secs_f64());
    Measured { per_s: frames / elapsed, cpu_s_per_million: cpu / (frames / 1e6) }
}

fn open() -> Reader {
    const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const SUBSCRIBE: &str = r#"{"type":"subscribe","channels":["trades:BTC_USDT"]}"#;
    let mut socket = TcpStream::connect(address()).expect("connected");
    socket.write_all(REQUEST.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "not upgraded");
    // A mask of zeros changes nothing.
    let mut frame = vec![0x81, 0x80 | SUBSCRIBE.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(SUBSCRIBE.as_bytes());
    socket.write_all(&frame).expect("sent");
    socket.set_nonblocking(true).expect("non-blocking");
    Reader { socket, left: 0, header: Vec::new(), frames: 0 }
}

fn read_for(epoll: &Epoll, readers: &mut [Reader], buffer: &mut [u8], time: Duration) {
    let mut events = vec![EpollEvent::empty(); EVENTS];
    let since = Instant::now();
    while since.elapsed() < time {
        let count = epoll.wait(&mut events, EpollTimeout::from(10u8)).expect("epoll");
        for event in &events[..count] {
            let reader = &mut readers[event.data() as usize];
            match reader.socket.read(buffer) {
                Ok(0) => panic!("the server has closed a connection"),
                Ok(count) => reader.take(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Two users trade with each other, so many times a second.
fn trade(rate: f64, stop: &AtomicBool) {
    const PAUSE: Duration = Duration::from_millis(1);
    let mut socket = TcpStream::connect(address()).expect("connected");
    let mut answers = socket.try_clone().expect("a second handle");
    answers.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; READ_BYTES];
        while answers.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    let request = |user: u64, side: &str| {
        let body = format!(
            r#"{{"symbol":"BTC_USDT","side":"{side}","type":"LIMIT","price":"50000","qty":"0.001"}}"#
        );
        format!(
            "POST /api/v1/create_order HTTP/1.1\r\nHost: x\r\nX-User-ID: {user}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let [a, b] = USERS;
    let there = request(a, "SELL") + &request(b, "BUY");
    let back = request(b, "SELL") + &request(a, "BUY");
    let (since, mut made) = (Instant::now(), 0u64);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
        let due = (since.elapsed().as_secs_f64() * rate) as u64;
        let mut text = String::new();
        while made < due {
            text.push_str(if made.is_multiple_of(2) { &there } else { &back });
            made += 1;
        }
        if socket.write_all(text.as_bytes()).is_err() {
            break;
        }
    }
    let _ = socket.shutdown(std::net::Shutdown::Both);
    let _ = reading.join();
}

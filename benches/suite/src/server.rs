//! Servers to look at from outside: started on their cores, stopped when dropped, asked for their CPU
//! and memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PORTS: std::ops::Range<u16> = 18_100..30_000;
const PORTS_EACH: u16 = 100;
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Which cores the server has and which its client.
#[derive(Clone, Debug)]
pub struct Cores {
    /// The server's.
    pub server: Vec<usize>,
    /// The client's: others, where there are any.
    pub client: Vec<usize>,
}

impl Cores {
    /// For a server of so many shards: a core each where as many are left for the client, else half of
    /// the machine.
    pub fn split(shards: usize) -> Result<Cores> {
        let set = sched_getaffinity(Pid::from_raw(0))?;
        let all: Vec<usize> =
            (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect();
        let half = (all.len() / 2).max(1);
        let (server, client) = all.split_at(shards.min(half));
        let client = if client.is_empty() { server } else { client };
        Ok(Cores { server: server.to_vec(), client: client.to_vec() })
    }

    /// As `--cores` takes it.
    pub fn list(cores: &[usize]) -> String {
        cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Starts a process that keeps to some cores with all its threads.
pub fn spawn_on(cores: &[usize], command: &mut Command) -> Result<Child> {
    let myself = Pid::from_raw(0);
    let before = sched_getaffinity(myself)?;
    let mut set = CpuSet::new();
    cores.iter().try_for_each(|&core| set.set(core))?;
    // A child is born with the cores of the thread that started it.
    sched_setaffinity(myself, &set)?;
    let child = command.spawn();
    sched_setaffinity(myself, &before)?;
    child.with_context(|| format!("{} does not start", command.get_program().display()))
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens, on this machine.
    pub port: u16,
    /// From starting the process to its first answer.
    pub start: Duration,
    log: PathBuf,
}

impl Server {
    /// Starts the exchange: `arguments` are those of `serve`, but for the port.
    pub fn ringbook(
        target: &Path,
        scratch: &Path,
        cores: &[usize],
        arguments: &[&str],
    ) -> Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(target.join("release/ringbook"));
        command.args(["serve", "--port", &port.to_string(), "--log-level", "warn"]).args(arguments);
        Server::start(command, port, scratch, cores)
    }

    /// Starts any server at this port and waits for its first answer.
    pub fn start(
        mut command: Command,
        port: u16,
        scratch: &Path,
        cores: &[usize],
    ) -> Result<Server> {
        let log = scratch.join("server.log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let since = Instant::now();
        let child = spawn_on(cores, &mut command)?;
        let mut server = Server { child, port, start: Duration::ZERO, log };
        while server.get("/readyz").is_err() {
            if let Some(status) = server.child.try_wait()? {
                let log = std::fs::read_to_string(&server.log).unwrap_or_default();
                bail!("the server ended with {status}: {log}");
            }
            ensure!(since.elapsed() < START_LIMIT, "the server does not answer");
            std::thread::sleep(POLL);
        }
        server.start = since.elapsed();
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://…`, for clients.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks over a connection of its own. Returns the body.
    pub fn get(&self, path: &str) -> Result<String> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    fn ask(&self, request: &str) -> Result<String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut chunk = [0; 64 * 1024];
        loop {
            let count = socket.read(&mut chunk)?;
            answer.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&answer);
            let whole = text.split_once("\r\n\r\n").filter(|(head, body)| {
                // A server that knows nothing of `Connection: close` leaves it open.
                count == 0 || content_length(head).is_some_and(|length| body.len() >= length)
            });
            if let Some((head, body)) = whole {
                ensure!(head.starts_with("HTTP/1.1 2"), "{}", head.lines().next().unwrap_or(""));
                return Ok(body.to_owned());
            }
            ensure!(count > 0, "the server has closed the connection");
        }
    }

    /// User and system time of all its threads so far, the kernel's workers for it included, in s.
    pub fn cpu_s(&self) -> Result<f64> {
        const TICKS_PER_S: f64 = 100.0;
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: Vec<f64> =
            fields.skip(11).take(2).filter_map(|text| text.parse().ok()).collect();
        ensure!(ticks.len() == 2, "/proc/PID/stat: {text}");
        Ok((ticks[0] + ticks[1]) / TICKS_PER_S)
    }

    /// CPU of each shard's own threads so far, in s: those are named `shard-SHARD-…`.
    pub fn cpu_by_shard_s(&self) -> Result<Vec<f64>> {
        let mut shards: BTreeMap<usize, f64> = BTreeMap::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let task = task?.path();
            // A thread may end while we look.
            let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
            let number = name.strip_prefix("shard-").and_then(|name| name.split('-').next());
            let Some(shard) = number.and_then(|number| number.parse().ok()) else { continue };
            let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let ns = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
            *shards.entry(shard).or_default() += ns.unwrap_or(0.0) / 1e9;
        }
        ensure!(!shards.is_empty(), "the server has no thread named after a shard");
        Ok(shards.into_values().collect())
    }

    /// Its resident memory, in bytes.
    pub fn resident_bytes(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = kib.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        Ok(kib.context("VmRSS is missing")? * 1024.0)
    }

    /// A number of `/metrics`, over all shards.
    pub fn metric(&self, name: &str) -> Result<f64> {
        Ok(sum(&self.get("/metrics")?, name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let since = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if since.elapsed() > STOP_LIMIT {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn content_length(head: &str) -> Option<usize> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

/// The sum of a series over all its labels.
pub fn sum(metrics: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    };
    metrics.lines().filter_map(value).sum()
}

/// A port that nobody has, with as many free ones behind it as a server may want for its shards. Below
/// those that the system gives to clients.
pub fn free_port() -> Result<u16> {
    let mut candidates = PORTS.step_by(usize::from(PORTS_EACH));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let are_free = |first: &u16| (*first..first + PORTS_EACH).all(|port| is_free(&port));
    candidates.find(are_free).context("no free ports")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_summed_over_its_labels_and_not_with_longer_names() {
        let text =
            "# TYPE hops counter\nhops{shard=\"0\"} 3\nhops{shard=\"1\"} 4\nhops_total{} 9\n";
        assert_eq!(sum(text, "hops"), 7.0);
    }

    #[test]
    fn client_and_server_share_no_core_where_there_are_two() {
        let cores = Cores::split(1).unwrap();
        let shared = cores.server.iter().any(|core| cores.client.contains(core));
        assert_eq!(shared, std::thread::available_parallelism().unwrap().get() == 1);
    }
}

//! The real binary as a server, on a port and a data directory of its own.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http::Client;
use super::{LIMIT, wait_for};

/// Segments are short: most tests write little, and every start fills one with zeros.
const SEGMENT_MIB: &str = "2";
/// Ports that one server may take: its own and one per shard.
const PORT_BLOCK: u16 = 16;
/// Below where the kernel takes ports for outgoing connections from.
const FIRST_PORT: u16 = 12_000;
const PORT_BLOCKS: u16 = 1_200;
/// How long a whole run may take, on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// The binary under test.
pub fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ringbook"))
}

/// The binary with nothing of the environment that would configure it.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGBOOK_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs the binary to its end, which must come.
pub fn run(arguments: &[&str]) -> Output {
    run_within(RUN_LIMIT, arguments)
}

/// As [`run`], for what must end soon.
pub fn run_within(limit: Duration, arguments: &[&str]) -> Output {
    let mut child = command()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // What it says fits into the pipes, or is read by the thread below.
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.expect("piped").read_to_end(&mut bytes);
            bytes
        })
    };
    let stdout = read(stdout.map(|stream| Box::new(stream) as _));
    let stderr = read(stderr.map(|stream| Box::new(stream) as _));
    let status = wait_for_exit(&mut child, limit, &format!("ringbook {}", arguments.join(" ")));
    let stdout = stdout.join().expect("read");
    let stderr = stderr.join().expect("read");
    Output { status, stdout, stderr }
}

fn wait_for_exit(child: &mut Child, limit: Duration, described: &str) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status;
        }
        if begin.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{described} has not ended within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A directory on a real disk, removed in the end. A script that cleans up after interrupted runs says
/// where it is to be.
pub fn directory() -> TempDir {
    let given = std::env::var_os("FAULTS_DIRECTORY");
    let parent = given.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    tempfile::Builder::new().prefix("ringbook-").tempdir_in(parent).expect("a directory")
}

/// A block of ports that nobody listens on.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Programs that run at the same time begin in different places.
    let offset = std::process::id() as u16;
    for _ in 0..PORT_BLOCKS {
        let block = offset.wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + block % PORT_BLOCKS * PORT_BLOCK;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (port..port + PORT_BLOCK).all(is_free) {
            return port;
        }
    }
    panic!("no free ports");
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many shards.
    pub shards: u16,
    /// Further arguments.
    pub arguments: Vec<String>,
}

impl Options {
    /// An empty exchange on so many shards, each also on a port of its own.
    pub fn shards(shards: u16) -> Options {
        let arguments = ["--empty", "--shard-ports", "--segment-mib", SEGMENT_MIB];
        Options { shards, arguments: arguments.map(str::to_owned).to_vec() }
    }
}

/// A server. Killed when it is dropped.
pub struct Server {
    /// The shared port; shard i is alone on `port + 1 + i`.
    pub port: u16,
    options: Options,
    child: Option<Child>,
    data: PathBuf,
    log: PathBuf,
    directory: Option<TempDir>,
}

impl Server {
    /// Starts one on a new data directory and waits until it is ready.
    pub fn start(options: Options) -> Server {
        let directory = directory();
        let (data, log) = (directory.path().join("data"), directory.path().join("log"));
        let port = free_ports();
        let directory = Some(directory);
        let mut server = Server { port, options, child: None, data, log, directory };
        server.spawn();
        server.wait_until_ready();
        server
    }

    /// One that is not started yet, with a configuration file for its beginning.
    pub fn configured(options: Options, configuration: &str) -> Server {
        let directory = directory();
        let data = directory.path().join("data");
        let mut server = Server::on(options, configuration, directory.path(), data);
        server.directory = Some(directory);
        server
    }

    /// As [`Server::configured`], with files in a directory that is somebody else's to remove, and
    /// the data where it is said.
    pub fn on(
        mut options: Options,
        configuration: &str,
        directory: &Path,
        data: PathBuf,
    ) -> Server {
        let file = directory.join("ringbook.toml");
        std::fs::write(&file, configuration).expect("a file");
        let file = file.to_str().expect("a path in UTF-8").to_owned();
        options.arguments.extend(["--config".to_owned(), file]);
        let (log, port) = (directory.join("log"), free_ports());
        Server { port, options, child: None, data, log, directory: None }
    }

    /// An empty exchange on so many shards.
    pub fn empty(shards: u16) -> Server {
        Server::start(Options::shards(shards))
    }

    /// The port of one shard alone.
    pub fn shard_port(&self, shard: u16) -> u16 {
        self.port + 1 + shard
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.options.shards
    }

    /// From its next start on it has so many shards.
    pub fn set_shards(&mut self, shards: u16) {
        self.options.shards = shards;
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process.
    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// The arguments of another server like this, for a given data directory.
    pub fn arguments(&self, shards: u16, port: u16, data: &Path) -> Vec<String> {
        let (shards, port) = (shards.to_string(), port.to_string());
        let data = data.to_str().expect("a path in UTF-8");
        let fixed = ["serve", "--host", "127.0.0.1", "--port", &port, "--shards", &shards];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
        arguments.extend(["--data".to_owned(), data.to_owned()]);
        arguments.extend(self.options.arguments.iter().cloned());
        arguments
    }

    /// Starts the process on the data that is there; does not wait.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = |file: &Path| -> File {
            OpenOptions::new().create(true).append(true).open(file).expect("a log file")
        };
        let arguments = self.arguments(self.options.shards, self.port, &self.data);
        let child = command()
            .args(arguments)
            .stdout(log(&self.log))
            .stderr(log(&self.log))
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    /// Waits until it takes requests.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        let log = self.log.clone();
        let child = self.child.as_mut().expect("the server runs");
        let mut client = Client::anonymous(self.port);
        wait_for("the server to be ready", LIMIT, || {
            if let Some(status) = child.try_wait().expect("the child can be waited for") {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                panic!("the server has ended before it was ready: {status}\n{log}");
            }
            let answer = client.try_call("GET", "/readyz", "", "").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Whether the process has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        let child = self.child.as_mut().expect("the server was started");
        child.try_wait().expect("the child can be waited for").is_none()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the server can be killed");
        child.wait().expect("the child can be waited for");
    }

    /// `kill -9`, and another start on the same data and port.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.spawn();
        self.wait_until_ready();
    }

    /// Sends `SIGTERM` and does not wait.
    pub fn terminate(&self) {
        // The standard library sends no other signal than SIGKILL; every shell does.
        let signal = format!("kill -TERM {}", self.process_id());
        let status = Command::new("sh").args(["-c", &signal]).status().expect("a shell");
        assert!(status.success(), "{signal}: {status}");
    }

    /// Waits for the end that somebody has asked for.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        wait_for_exit(&mut child, LIMIT, "the server")
    }

    /// `SIGTERM`, and the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait_for_exit()
    }

    /// What it has written to stdout and stderr, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where a shard's journal and snapshots are, as the data directory's `layout` says.
    pub fn shard_directory(&self, shard: u16) -> PathBuf {
        let layout = std::fs::read_to_string(self.data.join("layout")).expect("a layout");
        let generation = layout.lines().find_map(|line| line.strip_prefix("generation "));
        let generation: u32 = generation.and_then(|text| text.parse().ok()).expect("a number");
        self.data.join(format!("generation-{generation:04}")).join(format!("shard-{shard:04}"))
    }

    /// The segments of a shard's journal, the oldest first; the last one is prepared ahead.
    pub fn segments(&self, shard: u16) -> Vec<PathBuf> {
        let directory = self.shard_directory(shard);
        let entries = std::fs::read_dir(&directory).expect("the shard's directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_segment = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("segment-") && name.ends_with(".ringbook")
        };
        let mut segments: Vec<PathBuf> = paths.filter(is_segment).collect();
        segments.sort();
        segments
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            println!("log of the server:\n{}", self.log());
            println!("its data is kept in {}", directory.keep().display());
        }
    }
}

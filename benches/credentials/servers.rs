//! The servers that are measured: an exchange, the same with TLS, and one that answers "ok".

use std::fmt::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tempfile::TempDir;

const SERVER_CORE: usize = 0;
const OWN_CORE: usize = 1;
const PORTS: [u16; 3] = [19_490, 19_491, 19_492];
/// Users, in turn one for each connection.
pub const USERS: u64 = 16;

/// One of them; it ends when this is dropped.
pub struct Server {
    child: Child,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    /// Whether it speaks TLS.
    pub is_tls: bool,
}

/// All of them.
pub struct Servers {
    /// The exchange.
    pub plain: Server,
    /// The exchange with TLS.
    pub secure: Server,
    /// The other one.
    pub bare: Server,
    _directory: TempDir,
}

impl Servers {
    /// Starts them on the first core, and keeps this program to the second.
    pub fn start(bare: &Path, parent: &Path) -> Servers {
        let directory = tempfile::tempdir_in(parent).expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("market.toml"), market()).expect("a file");
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let certified = certified.expect("a certificate");
        std::fs::write(path("cert.pem"), certified.cert.pem()).expect("a file");
        std::fs::write(path("key.pem"), certified.signing_key.serialize_pem()).expect("a file");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path("key.pem"), private).expect("a mode");
        let exchange = |port: u16, name: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ringbook"));
            command.env("RINGBOOK_LOG_LEVEL", "error");
            command.args(["serve", "--shards", "1", "--cores", &SERVER_CORE.to_string()]);
            command.args(["--port", &port.to_string(), "--snapshot-every-mib", "0"]);
            command.arg("--config").arg(path("market.toml")).arg("--data").arg(path(name));
            command
        };
        let plain = Server::start(exchange(PORTS[0], "plain"), PORTS[0], None);
        let mut secure = exchange(PORTS[1], "secure");
        secure.arg("--tls-certificate").arg(path("cert.pem")).arg("--tls-key").arg(path("key.pem"));
        let mut trusted = RootCertStore::empty();
        trusted.add(certified.cert.der().clone()).expect("a certificate");
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("a version")
                .with_root_certificates(trusted)
                .with_no_client_auth();
        let secure = Server::start(secure, PORTS[1], Some(Arc::new(config)));
        let mut command = Command::new(bare);
        command.args([PORTS[2].to_string(), "1".to_owned(), SERVER_CORE.to_string()]).arg("ok");
        let bare = Server::start(command, PORTS[2], None);
        pin(&[OWN_CORE]);
        Servers { plain, secure, bare, _directory: directory }
    }
}

impl Server {
    fn start(mut command: Command, port: u16, tls: Option<Arc<ClientConfig>>) -> Server {
        let child = command.stdout(Stdio::null()).spawn();
        let is_tls = tls.is_some();
        let server = Server { child: child.expect("the server starts"), port, tls, is_tls };
        let since = Instant::now();
        while TcpStream::connect(server.address()).is_err() {
            assert!(since.elapsed() < Duration::from_secs(20), "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The beginning of a TLS session with it, if it wants one.
    pub fn session(&self) -> Option<ClientConnection> {
        let config = self.tls.clone()?;
        let name = "localhost".try_into().expect("a name");
        Some(ClientConnection::new(config, name).expect("a client"))
    }

    /// Processor time of all its threads so far, in ns.
    pub fn cpu_ns(&self) -> u64 {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(tasks).expect("it runs");
        let of_task = |task: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(of_task).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps this thread, and what it starts from now on, to some cores.
fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core).expect("a core"));
    sched_setaffinity(Pid::from_raw(0), &set).expect("pinned");
}

/// Users who can go on trading for the whole run.
fn market() -> String {
    let mut text = String::from(
        "[[assets]]\nasset = \"BTC\"\ndecimals = 8\n[[assets]]\nasset = \"USDT\"\ndecimals = 2\n\
         [[symbols]]\nsymbol = \"BTC_USDT\"\nbase = \"BTC\"\nquote = \"USDT\"\ntick = \"0.01\"\n\
         lot = \"0.00000001\"\n",
    );
    for user in 1..=USERS {
        let balances = "{ BTC = \"1000000000\", USDT = \"100000000000000\" }";
        writeln!(text, "[[users]]\nuser_id = {user}\nbalances = {balances}").expect("a string");
    }
    text
}

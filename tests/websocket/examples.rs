//! The clients of `docs/examples` against a real server, where there is an interpreter for them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL};
use crate::support::{server, wait_for};

/// Longer than the clients' own limit.
const LIMIT: Duration = Duration::from_secs(40);
/// Where Python finds the package `websockets`, if not among its own.
const PYTHON_PATH: &str = "RINGBOOK_TEST_PYTHONPATH";

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)
}

/// Whether a program says so by its exit code.
fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a client to its end. Its exit code, and what it said.
fn run(interpreter: &dyn Fn() -> Command, example: &Path, port: u16, user: u64) -> (i32, String) {
    let directory = server::directory();
    let said = directory.path().join("said");
    let file = std::fs::File::create(&said).expect("a file");
    let mut child = interpreter()
        .arg(example)
        .args([format!("ws://127.0.0.1:{port}/ws"), user.to_string(), SYMBOL.to_owned()])
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a second handle"))
        .stderr(file)
        .spawn()
        .expect("an interpreter");
    let status = wait_for("the client to end", LIMIT, || child.try_wait().expect("a child"));
    (status.code().unwrap_or(-1), std::fs::read_to_string(said).expect("text"))
}

fn expect_example(interpreter: &dyn Fn() -> Command, name: &str) {
    let mut exchange = Exchange::open(2, 1);
    for shard in 0..2 {
        let port = exchange.server.shard_port(shard);
        let (code, said) = run(interpreter, &example(name), port, FIRST_USER);
        assert_eq!(code, 0, "{name}: {said}");
        for line in ["accepted", "is NEW", "is CANCELED", "book", "held", "done"] {
            assert!(said.contains(line), "{name} does not say {line:?}: {said}");
        }
    }
    let orders = exchange.user(FIRST_USER).get("/api/v1/orders?status=CANCELED").data();
    assert_eq!(orders.as_array().map(Vec::len), Some(2));
    // What goes wrong is told by the exit code: a user whom nobody knows, and no server at all.
    let port = exchange.server.port;
    let (code, said) = run(interpreter, &example(name), port, 999);
    assert!(code > 0 && said.contains("failed"), "{name} ends with {code}: {said}");
    exchange.server.kill();
    let (code, said) = run(interpreter, &example(name), port, FIRST_USER);
    assert!(code > 0 && said.contains("failed"), "{name} ends with {code}: {said}");
}

#[test]
fn the_python_example_follows_its_order() {
    let python = || {
        let mut command = Command::new("python3");
        if let Some(path) = std::env::var_os(PYTHON_PATH) {
            command.env("PYTHONPATH", path);
        }
        command.env("PYTHONUNBUFFERED", "1");
        command
    };
    let needs = "import asyncio, websockets; asyncio.timeout";
    if !succeeds(python().args(["-c", needs])) {
        println!(
            "SKIPPED client.py: no python3 from 3.11 on with websockets; {PYTHON_PATH} may say where"
        );
        return;
    }
    expect_example(&python, "client.py");
}

#[test]
fn the_javascript_example_follows_its_order() {
    const HAS_WEBSOCKET: &str = "process.exit(typeof WebSocket === 'function' ? 0 : 1)";
    // Before 22 it has to be asked for.
    let flags: [&[&str]; 2] = [&[], &["--experimental-websocket"]];
    let node = |flags: &[&str]| {
        let mut command = Command::new("node");
        command.args(flags);
        command
    };
    let found = flags.into_iter().find(|flags| succeeds(node(flags).args(["-e", HAS_WEBSOCKET])));
    let Some(flags) = found else {
        println!("SKIPPED client.js: no node with a WebSocket");
        return;
    };
    expect_example(&|| node(flags), "client.js");
}

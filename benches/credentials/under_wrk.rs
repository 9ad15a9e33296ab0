//! Signed orders under wrk, beside the bare server under the same wrk.

use std::path::Path;
use std::process::Command;

use crate::Round;
use crate::servers::Server;
use crate::signing::{Credential, Signer};

const SECONDS: usize = 3;
/// More than are sent in that time: each is good once.
const REQUESTS: usize = 120_000 * SECONDS;
const CONNECTIONS: usize = 64;

/// One round of signed orders, built and signed just before.
pub fn round(server: &Server, signer: &Signer, directory: &Path, next_cid: &mut u64) -> Round {
    let mut text = Vec::with_capacity(REQUESTS * 512);
    for number in 0..REQUESTS {
        *next_cid += 1;
        text.extend(signer.order(Credential::Hmac, false, number, *next_cid));
        text.push(0);
    }
    let file = directory.join("requests");
    std::fs::write(&file, text).expect("a file");
    let cpu_ns = server.cpu_ns();
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{SECONDS}s"), "--script"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/wrk/prepared.lua"))
        .arg(format!("http://{}", server.address()))
        .arg("--")
        .arg(&file)
        .output()
        .expect("wrk runs");
    let cpu_ns = (server.cpu_ns() - cpu_ns) as f64;
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers: Vec<f64> = result
        .unwrap_or_else(|| panic!("wrk said: {text}"))
        .split(' ')
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [per_s, requests, failed] = numbers[..] else { panic!("wrk said: {text}") };
    assert!(failed == 0.0, "{failed} of {requests} were not taken: {text}");
    Round { cpu_us: cpu_ns / 1e3 / requests, per_s }
}

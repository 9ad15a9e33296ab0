//! A real `SIGTERM` to a real process. Without the test harness, whose threads would exist before
//! the signals are blocked.

use glommio::{LocalExecutorBuilder, Placement};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::drain::{Drain, block_signals};
use std::time::Duration;

fn main() {
    block_signals().unwrap();
    let drain = Drain::on_signals().unwrap();
    let start = || {
        let drain = drain.clone();
        let run = || async move { drain.noticed().await };
        LocalExecutorBuilder::new(Placement::Unbound).spawn(run).unwrap()
    };
    let executors = [start(), start()];
    std::thread::sleep(Duration::from_millis(50));
    assert!(!drain.is_given());
    kill(Pid::this(), Signal::SIGTERM).unwrap();
    for executor in executors {
        executor.join().unwrap();
    }
    println!("signal: every executor drained");
}

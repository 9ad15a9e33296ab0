//! A few seeds as a test; `scripts/sim` runs many.

use std::process::Command;

use sim::{Options, Outcome, run};

/// Fewer than `scripts/sim` takes: this runs without optimization too.
const STEPS: u64 = 15_000;

fn options(seed: u64) -> Options {
    Options { seed, shards: 1 + (seed % 4) as u16, steps: STEPS, may_reshard: true, mutation: None }
}

/// Prints how to repeat the seed, should it panic.
struct Notice(u64);

impl Drop for Notice {
    fn drop(&mut self) {
        let (seed, end) = (self.0, self.0 + 1);
        eprintln!("seed {seed} fails. Again: scripts/sim --seeds {seed}..{end} --steps {STEPS}");
    }
}

fn run_seed(seed: u64) -> Outcome {
    let notice = Notice(seed);
    let outcome = run(&options(seed));
    std::mem::forget(notice);
    outcome
}

#[test]
fn twenty_seeds_lose_and_double_nothing() {
    let mut totals = sim::Totals::default();
    for seed in 0..20 {
        totals.add(&run_seed(seed).totals);
    }
    // A simulator in which nothing happens proves nothing.
    println!("{totals}");
    assert!(totals.accepted > 1_000 && totals.trades > 500 && totals.proofs > 20);
    assert!(totals.identities > 100 && totals.withdrawals > 30);
    assert!(totals.kills > 50 && totals.power_cuts > 50 && totals.crashes_in_recovery > 20);
    assert!(totals.crashes_in_commit > 50 && totals.crashes_in_preparation > 20);
    assert!(totals.torn_tails > 0 && totals.writes_torn > 0 && totals.names_lost > 0);
    assert!(totals.write_errors > 0 && totals.sync_errors > 0 && totals.short_writes > 0);
    assert!(totals.no_space > 0 && totals.rot_refused > 0 && totals.segments > 0);
    assert!(totals.crashes_in_switch > 0 && totals.crashes_in_snapshot > 0);
    assert!(totals.snapshots > 50 && totals.from_snapshot > 50 && totals.removed > 20);
    assert!(totals.reshardings > 10 && totals.crashes_in_resharding > 0);
    assert!(totals.overtaken > 1_000 && totals.full_lanes > 100 && totals.turned_away > 100);
    assert!(totals.dropped > 0 && totals.lost > 0 && totals.checks > 100);
}

#[test]
fn the_same_seed_ends_the_same_twice() {
    for seed in [3, 100, 101, 102] {
        assert_eq!(run_seed(seed), run_seed(seed), "seed {seed}");
    }
    assert_ne!(run_seed(3).hash, run_seed(7).hash);
}

#[test]
fn every_planted_bug_is_found() {
    // Each in processes of their own: in a server's build a panic ends the process.
    let output = Command::new(env!("CARGO_BIN_EXE_ringbook-sim"))
        .args(["--seeds", "0..100", "--mutation", "all"])
        .output()
        .expect("the simulator starts");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}");
}

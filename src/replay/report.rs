//! Writes what came of a flow, in the format of the expected files, and sums it up for a person.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use money::{OrderId, Side, UserId, write_units};
use serde_json::json;

use super::driver::Outcome;
use super::set::{Leg, Set};
use crate::format::{duration, thousands};
use crate::load::process;

/// Writes the four files into the folder `out`, which is made.
pub fn write_files(set: &Set, outcome: &Outcome, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (name, content) in [
        ("trades.csv", trades(set, outcome)?),
        ("rejected.csv", rejected(set, outcome)),
        ("balances_after.csv", balances(set, outcome)),
        ("book_after.csv", book(set, outcome)?),
    ] {
        let path = out.join(name);
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Writes how long it took, for programs. The CPU is that of the whole process.
pub fn write_times(set: &Set, outcome: &Outcome, path: &Path) -> Result<()> {
    let ns = |quantile| outcome.latency_ns.value_at_quantile(quantile);
    let times = json!({
        "set": set.market.spec.name,
        "commands": set.flow.len(),
        "elapsed_s": outcome.elapsed.as_secs_f64(),
        "cpu_s": process::cpu_us() as f64 / 1e6,
        "latency_ns": {
            "p50": ns(0.5), "p90": ns(0.9), "p99": ns(0.99), "p99_9": ns(0.999),
            "max": outcome.latency_ns.max(),
        },
    });
    std::fs::write(path, format!("{times:#}\n"))
        .with_context(|| format!("json: cannot write {}", path.display()))
}

fn push_reference(set: &Set, outcome: &Outcome, line: &mut Vec<u8>, order: OrderId) -> Result<()> {
    let index = outcome.index_of.get(&order).ok_or_else(|| {
        anyhow!("order {order} is not of this set: somebody else trades the symbol")
    })?;
    line.extend_from_slice(set.reference(*index).as_str().as_bytes());
    Ok(())
}

fn trades(set: &Set, outcome: &Outcome) -> Result<Vec<u8>> {
    let mut out = b"trade_no,taker_ref,maker_ref,price,qty\n".to_vec();
    for trade in &outcome.trades {
        out.extend_from_slice(trade.id.to_string().as_bytes());
        out.push(b',');
        push_reference(set, outcome, &mut out, trade.taker)?;
        out.push(b',');
        push_reference(set, outcome, &mut out, trade.maker)?;
        out.push(b',');
        set.market.write_price(&mut out, trade.price);
        out.push(b',');
        set.market.write_qty(&mut out, trade.qty);
        out.push(b'\n');
    }
    Ok(out)
}

fn rejected(set: &Set, outcome: &Outcome) -> Vec<u8> {
    let mut out = b"ref\n".to_vec();
    for order in &outcome.rejected {
        out.extend_from_slice(set.reference(*order).as_str().as_bytes());
        out.push(b'\n');
    }
    out
}

fn book(set: &Set, outcome: &Outcome) -> Result<Vec<u8>> {
    let mut out = b"side,price,ref,remaining\n".to_vec();
    for (side, orders) in Side::ALL.iter().zip(&outcome.book) {
        for resting in orders {
            out.extend_from_slice(side.as_str().as_bytes());
            out.push(b',');
            set.market.write_price(&mut out, resting.price);
            out.push(b',');
            push_reference(set, outcome, &mut out, resting.order)?;
            out.push(b',');
            set.market.write_qty(&mut out, resting.remaining);
            out.push(b'\n');
        }
    }
    Ok(out)
}

fn balances(set: &Set, outcome: &Outcome) -> Vec<u8> {
    let mut out = b"user_id,asset,avail,frozen\n".to_vec();
    for (user, leg) in balance_rows(set, outcome) {
        let at = outcome.balances.binary_search_by_key(&user, |(user, _)| *user);
        let balance = at.map(|at| outcome.balances[at].1.of(leg)).unwrap_or_default();
        let decimals = set.market.decimals(leg);
        out.extend_from_slice(format!("{user},{},", set.market.asset(leg)).as_bytes());
        write_units(&mut out, balance.avail, decimals);
        out.push(b',');
        write_units(&mut out, balance.frozen, decimals);
        out.push(b'\n');
    }
    out
}

/// The rows of `balances.csv`, then what users came to hold beside them. A file that is ordered by
/// user stays so.
fn balance_rows(set: &Set, outcome: &Outcome) -> Vec<(UserId, Leg)> {
    let mut seen = BTreeSet::new();
    let mut rows: Vec<(UserId, Leg)> = set
        .deposits
        .iter()
        .map(|deposit| (deposit.user, deposit.leg))
        .filter(|row| seen.insert(*row))
        .collect();
    let is_ordered = rows.is_sorted_by_key(|(user, _)| *user);
    for (user, balances) in &outcome.balances {
        for leg in [Leg::Base, Leg::Quote] {
            if !balances.of(leg).is_zero() && seen.insert((*user, leg)) {
                rows.push((*user, leg));
            }
        }
    }
    if is_ordered {
        rows.sort_by_key(|(user, _)| *user);
    }
    rows
}

/// A few lines for a person. `venue` says where the flow was replayed.
pub fn summary(set: &Set, outcome: &Outcome, venue: &str) -> String {
    let commands = set.flow.len() as u64;
    let counts = &outcome.counts;
    let seconds = outcome.elapsed.as_secs_f64().max(1e-9);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}: {} commands in {}: {} commands/s ({venue})",
        set.market.spec.name,
        thousands(commands),
        duration(outcome.elapsed),
        thousands((commands as f64 / seconds) as u64),
    );
    let _ = write!(text, "command to answer:");
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        let latency = Duration::from_nanos(outcome.latency_ns.value_at_quantile(quantile));
        let _ = write!(text, "  {name} {}", duration(latency));
    }
    let _ = writeln!(text, "  max {}", duration(Duration::from_nanos(outcome.latency_ns.max())));
    let _ = writeln!(
        text,
        "orders: {} accepted, {} refused for want of funds; {} canceled or reduced, {} too late",
        thousands(counts.placed),
        thousands(outcome.rejected.len() as u64),
        thousands(counts.changed),
        thousands(counts.idle),
    );
    let _ = writeln!(
        text,
        "trades: {}; resting orders: {}",
        thousands(outcome.trades.len() as u64),
        thousands(outcome.book.iter().map(Vec::len).sum::<usize>() as u64),
    );
    if counts.reconnects > 0 {
        let _ = writeln!(text, "connections lost and found again: {}", counts.reconnects);
    }
    text
}

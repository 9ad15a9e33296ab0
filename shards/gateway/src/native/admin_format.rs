//! What administrators are answered.

use engine::{AssetProof, BalanceView, Reply, TapeEntry};
use money::{SymbolSpec, write_units};

use super::action::{Shape, ShardReport};
use super::amounts::{asset_parts, symbol_entry, write_price, write_qty};
use super::context::Context;
use super::market::{write_asset, write_symbol};
use crate::json::write;

/// Appends the data of a reply that [`super::format`] does not write itself.
pub(super) fn write_data(out: &mut Vec<u8>, shape: Shape, reply: &Reply, context: &Context<'_>) {
    match (reply, shape) {
        (Reply::Balance(balance), _) => write_balance(out, balance, context),
        (Reply::Balances(balances), _) => {
            write::array(out, balances, |out, balance| write_balance(out, balance, context));
        }
        (Reply::User(user), _) => {
            out.extend_from_slice(b"{\"user_id\":");
            write::integer(out, user.0);
            out.push(b'}');
        }
        (Reply::Asset(asset), _) => match context.registry.asset(*asset) {
            Some(asset) => write_asset(out, asset),
            None => out.extend_from_slice(b"null"),
        },
        (Reply::Symbol(symbol), _) => match context.registry.symbol(*symbol) {
            Some(entry) => write_symbol(out, entry, context),
            None => out.extend_from_slice(b"null"),
        },
        (Reply::Proof(proofs), _) => {
            write::array(out, proofs, |out, proof| write_proof(out, proof, context));
        }
        (Reply::Tape(rows), Shape::AdminMarket(symbol)) => {
            let spec = &symbol_entry(context.registry, symbol).spec;
            write::array(out, rows, |out, row| write_tape_entry(out, row, spec));
        }
        (Reply::Book(orders), Shape::AdminMarket(symbol)) => {
            let spec = &symbol_entry(context.registry, symbol).spec;
            write::array(out, orders, |out, order| {
                out.extend_from_slice(b"{\"order_id\":");
                write::integer(out, order.id.0);
                out.extend_from_slice(b",\"user_id\":");
                write::integer(out, order.user.0);
                out.extend_from_slice(b",\"price\":\"");
                write_price(out, spec, order.price);
                out.extend_from_slice(b"\",\"remaining\":\"");
                write_qty(out, spec, u128::from(order.remaining.0));
                out.extend_from_slice(b"\"}");
            });
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_balance(out: &mut Vec<u8>, balance: &BalanceView, context: &Context<'_>) {
    let (name, decimals) = asset_parts(context.registry, balance.asset);
    out.extend_from_slice(b"{\"asset\":");
    write::string(out, name);
    for (field, units) in [
        (",\"avail\":\"", balance.avail),
        ("\",\"frozen\":\"", balance.frozen),
        ("\",\"total\":\"", balance.avail.saturating_add(balance.frozen)),
    ] {
        out.extend_from_slice(field.as_bytes());
        write_units(out, units, decimals);
    }
    out.extend_from_slice(b"\"}");
}

fn write_proof(out: &mut Vec<u8>, proof: &AssetProof, context: &Context<'_>) {
    let (name, decimals) = asset_parts(context.registry, proof.asset);
    let totals = &proof.totals;
    out.extend_from_slice(b"{\"asset\":");
    write::string(out, name);
    for (field, units) in [
        (",\"deposits\":\"", totals.deposits),
        ("\",\"withdrawals\":\"", totals.withdrawals),
        ("\",\"avail\":\"", totals.avail),
        ("\",\"frozen\":\"", totals.frozen),
        ("\",\"fees\":\"", totals.fees),
    ] {
        out.extend_from_slice(field.as_bytes());
        write_units(out, units, decimals);
    }
    out.extend_from_slice(b"\",\"in_flight\":\"");
    if totals.in_flight < 0 {
        out.push(b'-');
    }
    write_units(out, totals.in_flight.unsigned_abs(), decimals);
    out.extend_from_slice(if proof.is_balanced() {
        b"\",\"balanced\":true}".as_slice()
    } else {
        b"\",\"balanced\":false}"
    });
}

fn write_tape_entry(out: &mut Vec<u8>, trade: &TapeEntry, spec: &SymbolSpec) {
    out.extend_from_slice(b"{\"id\":");
    write::integer(out, trade.trade.0);
    out.extend_from_slice(b",\"taker_order_id\":");
    write::integer(out, trade.taker.0);
    out.extend_from_slice(b",\"maker_order_id\":");
    write::integer(out, trade.maker.0);
    out.extend_from_slice(b",\"price\":\"");
    write_price(out, spec, trade.price);
    out.extend_from_slice(b"\",\"qty\":\"");
    write_qty(out, spec, u128::from(trade.qty.0));
    out.extend_from_slice(b"\",\"taker_side\":\"");
    out.extend_from_slice(trade.taker_side.as_str().as_bytes());
    out.extend_from_slice(b"\",\"time\":");
    write::integer(out, trade.at_ms);
    out.push(b'}');
}

/// Appends one shard's report.
pub(super) fn write_snapshot(out: &mut Vec<u8>, report: &ShardReport) {
    let snapshot = &report.snapshot;
    out.extend_from_slice(b"{\"shard\":");
    write::integer(out, u64::from(report.shard.0));
    out.extend_from_slice(b",\"state\":");
    write::string(out, snapshot.state.as_str());
    for (name, value) in [
        ("made", Some(snapshot.made)),
        ("lsn", snapshot.lsn),
        ("created_ms", snapshot.created_ms),
        ("bytes", snapshot.bytes),
        ("took_ms", snapshot.took_ms),
    ] {
        out.push(b',');
        write::string(out, name);
        out.push(b':');
        match value {
            Some(value) => write::integer(out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b",\"failure\":");
    match &snapshot.failure {
        Some(failure) => write::string(out, failure),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

pub(super) fn write_shard(out: &mut Vec<u8>, report: &ShardReport) {
    let status = &report.status;
    let mut first = true;
    for (name, value) in [
        ("shard", Some(u64::from(report.shard.0))),
        ("users", Some(status.users)),
        ("symbols", Some(status.symbols)),
        ("open_orders", Some(status.open_orders)),
        ("resting_orders", Some(status.resting_orders)),
        ("unconfirmed_messages", Some(status.unconfirmed)),
        ("appended_lsn", Some(report.appended_lsn)),
        ("durable_lsn", Some(report.durable_lsn)),
        ("snapshot_lsn", report.snapshot.lsn),
        ("outbox_depth", Some(report.outbox_depth)),
        ("held_effects", Some(report.held_effects)),
        ("requests_in_flight", Some(report.requests_in_flight)),
    ] {
        out.push(if std::mem::take(&mut first) { b'{' } else { b',' });
        write::string(out, name);
        out.push(b':');
        match value {
            Some(value) => write::integer(out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    // All 64 bits of a hash are more than JavaScript reads.
    out.extend_from_slice(format!(",\"state_hash\":\"{:016x}\"}}", status.state_hash).as_bytes());
}

//! Events of one user: its orders, trades and balances.

use engine::{BalanceReason, OrderView, Registry, TradeView};
use money::{AssetId, Units, write_units};

use super::write_signed;
use crate::json::write;
use crate::native::amounts::{asset_parts, symbol_entry, write_average, write_qty};
use crate::native::format::{word, write_cid, write_trade};

/// A balance that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceChange {
    /// Of what.
    pub asset: AssetId,
    /// Free to use now, in units.
    pub avail: Units,
    /// Held by open orders now, in units.
    pub frozen: Units,
    /// By how much `avail` has changed, in units.
    pub delta: i128,
    /// What for.
    pub reason: BalanceReason,
}

/// Appends `order.update`, for `order_updates`: where an order stands.
pub fn order_update(order: &OrderView, registry: &Registry, out: &mut Vec<u8>) {
    let spec = &symbol_entry(registry, order.symbol).spec;
    out.extend_from_slice(b"{\"type\":\"order.update\",\"data\":{\"order_id\":");
    write::integer(out, order.order.0);
    if let Some(cid) = &order.cid {
        write_cid(out, cid);
    }
    out.extend_from_slice(b",\"symbol\":");
    write::string(out, &spec.name);
    word(out, ",\"status\":\"", order.status.as_str());
    out.extend_from_slice(b"\",\"filled_qty\":\"");
    write_qty(out, spec, u128::from(order.filled.0));
    out.extend_from_slice(b"\",\"avg_price\":\"");
    write_average(out, spec, order.filled, order.filled_quote);
    out.extend_from_slice(b"\",\"updated_at\":");
    write::integer(out, order.updated_at_ms);
    out.extend_from_slice(b"}}");
}

/// Appends `trade`, for `trades`: one of the user's trades.
pub fn own_trade(trade: &TradeView, registry: &Registry, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"trade\",\"data\":");
    write_trade(out, trade, registry);
    out.push(b'}');
}

/// Appends `balance.update`, for `balance_updates`.
pub fn balance_update(change: &BalanceChange, registry: &Registry, out: &mut Vec<u8>) {
    let (name, decimals) = asset_parts(registry, change.asset);
    out.extend_from_slice(b"{\"type\":\"balance.update\",\"data\":{\"asset\":");
    write::string(out, name);
    out.extend_from_slice(b",\"avail\":\"");
    write_units(out, change.avail, decimals);
    out.extend_from_slice(b"\",\"frozen\":\"");
    write_units(out, change.frozen, decimals);
    out.extend_from_slice(b"\",\"delta\":\"");
    write_signed(out, change.delta < 0, change.delta.unsigned_abs(), decimals);
    word(out, "\",\"reason\":\"", reason_word(change.reason));
    out.extend_from_slice(b"\"}}");
}

fn reason_word(reason: BalanceReason) -> &'static str {
    match reason {
        BalanceReason::TradeSettled => "trade_settled",
        BalanceReason::OrderPlaced => "order_placed",
        BalanceReason::OrderEnded => "order_ended",
        BalanceReason::Deposit => "deposit",
        BalanceReason::Withdrawal => "withdrawal",
    }
}

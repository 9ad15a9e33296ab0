//! What is sent unasked: events of a user, and market data, each as one JSON object with a `type`.
//!
//! Pure functions from plain values to text. What many connections get is written once and shared
//! ([`crate::ws::encode_text_frame_with`]). Events of a user carry what they say in `data`, market
//! data beside `symbol`. Decimals and times are as in `/api/v1`.

mod market;
mod user;

pub use market::{
    Bbo, DepthChange, Kline, PriceLevel, bbo, depth_snapshot, depth_update, kline, public_trade,
    ticker,
};
pub(super) use market::{write_candle_fields, write_no_ticker_fields, write_ticker_fields};
pub use user::{BalanceChange, balance_update, order_update, own_trade};

use money::{Units, write_units};

/// Appends the sign, `+` too unless it is zero, and the decimal.
fn write_signed(out: &mut Vec<u8>, is_negative: bool, magnitude: Units, decimals: u8) {
    match magnitude {
        0 => {}
        _ if is_negative => out.push(b'-'),
        _ => out.push(b'+'),
    }
    write_units(out, magnitude, decimals);
}

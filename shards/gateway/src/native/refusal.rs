//! Refusals of the engine in the words of the wire: code, field, amounts in decimal.

use engine::{Refusal, Reply};
use money::{Price, RuleBreak, SymbolSpec, write_units};

use super::action::{Respond, Shape};
use super::amounts::{asset_parts, symbol_entry, text, write_price, write_qty};
use super::context::Context;
use super::failure::{Code, Failure};

/// What a refusal is told as.
pub(crate) fn failure_of(refusal: &Refusal, shape: Shape, context: &Context<'_>) -> Failure {
    let code = code_of(refusal, shape);
    let detail = match refusal {
        Refusal::InsufficientBalance { asset, needed, avail } => {
            let (name, decimals) = asset_parts(context.registry, *asset);
            let amount = |units| text(|out| write_units(out, units, decimals));
            format!("needs {} {name}, {} available", amount(*needed), amount(*avail))
        }
        Refusal::Rule(rule) => rule_text(*rule, shape, context),
        Refusal::UnknownUser if shape != Shape::Admin => "X-User-ID: unknown user".into(),
        other => other.to_string(),
    };
    Failure::new(code, detail)
}

/// What has come of a command or query, in one word; `None` where it was done.
pub fn word_of(reply: &Reply, respond: &Respond, context: &Context<'_>) -> Option<&'static str> {
    let Reply::Refused(refusal) = reply else { return None };
    let (_, word, _) = failure_of(refusal, respond.shape, context).code.parts();
    Some(word)
}

fn code_of(refusal: &Refusal, shape: Shape) -> Code {
    match refusal {
        Refusal::InsufficientBalance { .. } => Code::InsufficientBalance,
        Refusal::Rule(_) | Refusal::MoveWouldTake | Refusal::MoveMarket => Code::InvalidPriceOrQty,
        Refusal::UnknownSymbol => Code::UnknownSymbol,
        Refusal::UnknownUser if shape != Shape::Admin => Code::AuthFailed,
        Refusal::UserFrozen => Code::PermissionDenied,
        Refusal::SymbolNotTrading(_) | Refusal::NoReference => Code::SymbolNotTrading,
        Refusal::OrderNotFound => Code::OrderNotFound,
        Refusal::OrderNotOpen(_) => Code::OrderNotOpen,
        Refusal::MoveUnderWay => Code::OrderBusy,
        Refusal::UserExists | Refusal::AssetExists | Refusal::SymbolExists => Code::AlreadyExists,
        Refusal::IdsExhausted | Refusal::Busy => Code::Unavailable,
        Refusal::UnknownUser
        | Refusal::UnknownAsset
        | Refusal::AssetInvalid(_)
        | Refusal::SymbolInvalid(_)
        | Refusal::NoSuchShard { .. }
        | Refusal::ReferenceReused
        | Refusal::AmountTooLarge
        | Refusal::CursorGone
        | Refusal::TooManyWithdrawals
        | Refusal::Identity(identity::Refusal::OutOfBounds | identity::Refusal::TooManyKeys) => {
            Code::InvalidParameter
        }
        Refusal::UnknownWithdrawal | Refusal::Identity(identity::Refusal::UnknownKey) => {
            Code::NotFound
        }
        Refusal::WithdrawalEnded(_) => Code::WithdrawalEnded,
        // Drawn at random: it happens to nobody, and the next one is another.
        Refusal::Identity(identity::Refusal::KeyExists) => Code::Unavailable,
        Refusal::Identity(identity::Refusal::UnknownSession) => Code::AuthFailed,
    }
}

/// A broken rule with its bound in decimal, where the request's symbol is known.
fn rule_text(rule: RuleBreak, shape: Shape, context: &Context<'_>) -> String {
    let (price_field, qty_field) = match shape {
        Shape::Move(_) => ("new_price", "qty"),
        Shape::Reduce => ("price", "reduce_qty"),
        _ => ("price", "qty"),
    };
    let (Shape::Place(symbol) | Shape::Move(symbol)) = shape else {
        return match rule {
            RuleBreak::QtyMin => format!("{qty_field}: is below min_qty"),
            other => other.to_string(),
        };
    };
    let entry = symbol_entry(context.registry, symbol);
    let (spec, rules) = (&entry.spec, entry.rules());
    let qty = |lots: u64| text(|out| write_qty(out, spec, u128::from(lots)));
    match rule {
        RuleBreak::PriceZero => format!("{price_field}: must be above zero"),
        RuleBreak::PriceBand => {
            let (lower, upper) = rules.band(entry.reference);
            let (lower, upper) = (price_text(spec, lower), price_text(spec, upper));
            format!("{price_field}: is outside the price band {lower} to {upper}")
        }
        RuleBreak::QtyMin => format!("{qty_field}: is below min_qty {}", qty(rules.min_qty.0)),
        RuleBreak::QtyMax => format!("{qty_field}: is above max_qty {}", qty(rules.max_qty.0)),
        RuleBreak::Notional => {
            let least = text(|out| write_units(out, rules.min_notional, spec.quote_decimals));
            format!("{qty_field}: price × qty is below min_notional {least}")
        }
        RuleBreak::Overflow => format!("{qty_field}: price × qty is too large"),
    }
}

fn price_text(spec: &SymbolSpec, price: Price) -> String {
    text(|out| write_price(out, spec, price))
}

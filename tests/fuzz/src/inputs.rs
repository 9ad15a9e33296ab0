//! Inputs of a shard of every shape, drawn from a source: what a journal holds and a mesh carries.

use engine::{
    Answer, AssetTotals, Command, Fill, Input, Message, NewSymbol, OrderRef, PeerBatch, Place,
    PlacedSymbol,
    Submit, Transfer, WithdrawalRequest,
};
use money::{
    Asset, AssetId, Cid, Lots, OrderId, OrderKind, Price, Role, SelfTrade, ShardId, Side, SymbolId,
    SymbolPatch, SymbolRules, SymbolSpec, SymbolStatus, TimeInForce, TradeId, UserId,
};

use crate::identities;
use crate::source::Source;

/// Most messages of one batch. Real ones have up to a thousand; nothing depends on it.
const MAX_MESSAGES: usize = 24;
/// Most assets of one report.
const MAX_TOTALS: usize = 5;

/// Any input that the types allow, whether or not a shard would ever see it.
pub fn input(source: &mut Source<'_>) -> Input {
    match source.flag() {
        true => Input::Peer(batch(source)),
        false => Input::Command(command(source)),
    }
}

/// A batch of messages.
pub fn batch(source: &mut Source<'_>) -> PeerBatch {
    let count = source.pick(MAX_MESSAGES + 1);
    PeerBatch {
        source: shard(source),
        first_sequence: long(source),
        confirmed: long(source),
        messages: (0..count).map(|_| message(source)).collect(),
    }
}

fn command(source: &mut Source<'_>) -> Command {
    match source.pick(18) {
        0 => Command::Place(Place {
            user: user(source),
            symbol: symbol(source),
            side: word(source, Side::ALL),
            kind: word(source, OrderKind::ALL),
            time_in_force: word(source, TimeInForce::ALL),
            self_trade: word(source, SelfTrade::ALL),
            wait: source.flag(),
            price: Price(long(source)),
            qty: Lots(long(source)),
            quote_qty: optional(source, |source| source.number()),
            cid: optional(source, cid).flatten(),
        }),
        1 => Command::Cancel { user: user(source), order: order_ref(source) },
        2 => {
            let (user, order) = (user(source), order_ref(source));
            Command::Reduce { user, order, by: Lots(long(source)) }
        }
        3 => {
            let (user, order) = (user(source), order_ref(source));
            Command::Move { user, order, price: Price(long(source)) }
        }
        4 => Command::CancelUser { user: user(source), symbol: optional(source, symbol) },
        5 => Command::CancelShard { shard: shard(source), symbol: optional(source, symbol) },
        6 => Command::CreateUser {
            user: optional(source, user),
            shard: shard(source),
            name: optional(source, text),
        },
        7 => Command::FreezeUser { user: user(source), frozen: source.flag() },
        8 => Command::Deposit(transfer(source)),
        9 => Command::Withdraw(transfer(source)),
        10 => Command::CreateAsset(asset(source)),
        11 => Command::CreateSymbol(Box::new(new_symbol(source))),
        12 => Command::UpdateSymbol { symbol: symbol(source), patch: Box::new(patch(source)) },
        13 => Command::Identity(Box::new(identities::change(source))),
        14 => Command::RequestWithdrawal(Box::new(WithdrawalRequest {
            user: user(source),
            asset: AssetId(short(source)),
            amount: source.number(),
            reference: text(source),
            destination: optional(source, text),
        })),
        15 => Command::EndWithdrawal {
            user: user(source),
            reference: text(source),
            confirm: source.flag(),
        },
        16 => Command::CreatePlacedSymbol(Box::new(placed_symbol(source))),
        _ => Command::Prove,
    }
}

fn message(source: &mut Source<'_>) -> Message {
    match source.pick(18) {
        0 => Message::Submit(Submit {
            ticket: long(source),
            order: order(source),
            user: user(source),
            symbol: symbol(source),
            side: word(source, Side::ALL),
            time_in_force: word(source, TimeInForce::ALL),
            self_trade: word(source, SelfTrade::ALL),
            post_only: source.flag(),
            market: source.flag(),
            wait: source.flag(),
            price: Price(long(source)),
            qty: Lots(long(source)),
            budget: optional(source, |source| source.number()),
        }),
        1 => {
            let (ticket, order, symbol) = question(source);
            Message::Cancel { ticket, order, symbol }
        }
        2 => {
            let (ticket, order, symbol) = question(source);
            Message::Reduce { ticket, order, symbol, by: Lots(long(source)) }
        }
        3 => {
            let (ticket, order, symbol) = question(source);
            Message::Move { ticket, order, symbol, price: Price(long(source)) }
        }
        4 => Message::Fill(Fill {
            order: order(source),
            symbol: symbol(source),
            trade: TradeId(long(source)),
            price: Price(long(source)),
            qty: Lots(long(source)),
            side: word(source, Side::ALL),
            role: word(source, Role::ALL),
            fee_ppm: short(source),
            at_ms: long(source),
        }),
        5 => Message::MakerExpired { order: order(source), at_ms: long(source) },
        6 => Message::Done {
            ticket: long(source),
            order: order(source),
            answer: answer(source),
            probes: source.word(),
            at_ms: long(source),
        },
        7 => Message::Probe { home: shard(source), ticket: long(source) },
        8 => Message::ProbeDone { ticket: long(source) },
        9 => Message::Reference { symbol: symbol(source), price: Price(long(source)) },
        10 => Message::DefineAsset {
            ticket: long(source),
            asset: AssetId(short(source)),
            definition: Box::new(asset(source)),
        },
        11 => Message::DefineSymbol {
            ticket: long(source),
            symbol: symbol(source),
            definition: Box::new(new_symbol(source)),
        },
        12 => Message::UpdateSymbol {
            ticket: long(source),
            symbol: symbol(source),
            patch: Box::new(patch(source)),
        },
        13 => Message::Defined { ticket: long(source) },
        14 => Message::Marker { ticket: long(source) },
        15 => {
            Message::Identity { ticket: long(source), change: Box::new(identities::change(source)) }
        }
        16 => Message::DefinePlacedSymbol {
            ticket: long(source),
            symbol: symbol(source),
            definition: Box::new(placed_symbol(source)),
        },
        _ => {
            let (ticket, first) = (long(source), AssetId(short(source)));
            let count = source.pick(MAX_TOTALS);
            let totals = (0..count).map(|_| totals(source)).collect();
            Message::CutReport { ticket, first, totals, is_last: source.flag() }
        }
    }
}

fn question(source: &mut Source<'_>) -> (u64, OrderId, SymbolId) {
    (long(source), order(source), symbol(source))
}

fn answer(source: &mut Source<'_>) -> Answer {
    match source.pick(10) {
        0 => Answer::Rested,
        1 => Answer::Moved,
        2 => Answer::Filled,
        3 => Answer::Expired,
        4 => Answer::WouldTake,
        5 => Answer::NotTrading,
        6 => Answer::Canceled,
        7 => Answer::Reduced(Lots(long(source))),
        8 => Answer::Gone,
        _ => Answer::NotMoved,
    }
}

fn totals(source: &mut Source<'_>) -> AssetTotals {
    AssetTotals {
        deposits: source.number(),
        withdrawals: source.number(),
        avail: source.number(),
        frozen: source.number(),
        fees: source.number(),
        in_flight: source.number() as i128,
    }
}

fn transfer(source: &mut Source<'_>) -> Transfer {
    Transfer {
        user: user(source),
        asset: AssetId(short(source)),
        amount: source.number(),
        reference: text(source),
    }
}

fn asset(source: &mut Source<'_>) -> Asset {
    Asset { name: text(source), decimals: source.byte() }
}

fn placed_symbol(source: &mut Source<'_>) -> PlacedSymbol {
    PlacedSymbol { symbol: new_symbol(source), shard: shard(source) }
}

fn new_symbol(source: &mut Source<'_>) -> NewSymbol {
    let spec = SymbolSpec {
        name: text(source),
        base: AssetId(short(source)),
        quote: AssetId(short(source)),
        base_decimals: source.byte(),
        quote_decimals: source.byte(),
        tick_mantissa: long(source),
        tick_decimals: source.byte(),
        lot_units: long(source),
        rules: patch(source).apply(SymbolRules::default()),
    };
    NewSymbol { spec, reference: optional(source, price) }
}

fn patch(source: &mut Source<'_>) -> SymbolPatch {
    SymbolPatch {
        min_qty: optional(source, |source| Lots(long(source))),
        max_qty: optional(source, |source| Lots(long(source))),
        min_notional: optional(source, |source| source.number()),
        maker_fee_ppm: optional(source, short),
        taker_fee_ppm: optional(source, short),
        price_band_ppm: optional(source, short),
        status: optional(source, |source| word(source, SymbolStatus::ALL)),
        reference: optional(source, price),
    }
}

fn order_ref(source: &mut Source<'_>) -> OrderRef {
    match optional(source, cid).flatten() {
        Some(cid) => OrderRef::Cid(cid),
        None => OrderRef::Id(order(source)),
    }
}

fn cid(source: &mut Source<'_>) -> Option<Cid> {
    Cid::parse(&text(source)).ok()
}

/// Short text or none. ASCII stays ASCII.
pub(crate) fn text(source: &mut Source<'_>) -> String {
    let length = source.pick(70);
    String::from_utf8_lossy(source.take(length)).into_owned()
}

pub(crate) fn optional<T>(
    source: &mut Source<'_>,
    draw: impl FnOnce(&mut Source<'_>) -> T,
) -> Option<T> {
    source.flag().then(|| draw(source))
}

pub(crate) fn word<W: Copy>(source: &mut Source<'_>, all: &[W]) -> W {
    all[source.pick(all.len())]
}

pub(crate) fn long(source: &mut Source<'_>) -> u64 {
    source.number() as u64
}

pub(crate) fn short(source: &mut Source<'_>) -> u32 {
    source.number() as u32
}

pub(crate) fn user(source: &mut Source<'_>) -> UserId {
    UserId(long(source))
}

fn order(source: &mut Source<'_>) -> OrderId {
    OrderId(long(source))
}

fn symbol(source: &mut Source<'_>) -> SymbolId {
    SymbolId(short(source))
}

fn shard(source: &mut Source<'_>) -> ShardId {
    ShardId(source.word())
}

fn price(source: &mut Source<'_>) -> Price {
    Price(long(source))
}

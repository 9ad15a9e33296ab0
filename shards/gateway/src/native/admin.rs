//! Administration: assets, symbols, users, payments, and looks into the machine.

use engine::{
    Command, MAX_REFERENCE_LENGTH_BYTES, MAX_USER_NAME_LENGTH_BYTES, NewSymbol, PlacedSymbol,
    Query, Transfer,
};
use money::{
    Asset, AssetId, Lots, MAX_ASSET_DECIMALS, OrderId, PPM, ShardId, Side, SymbolId, SymbolPatch,
    SymbolRules, SymbolSpec, TradeId, Units, UserId,
};

use super::account::rows;
use super::action::{Action, Gather, Respond, Shape};
use super::amounts::{read_amount, read_price, read_qty};
use super::context::Context;
use super::failure::{Code, Failure};
use super::fields::{Field, body_fields, path_field, query_fields};
use super::order::{optional_symbol, symbol_of};
use crate::http::response::Framing;
use crate::http::{Method, Request};

/// Most decimals of a tick, see `money::SymbolSpec::check`.
const MAX_TICK_DECIMALS: u32 = 18;

fn command(command: Command, framing: Framing) -> Action {
    let respond = Respond { shape: Shape::Admin, framing };
    Action::Command { command, respond, repeat_while_more: false }
}

/// `POST /api/v1/admin/assets`.
pub(super) fn create_asset(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [asset, decimals] = body_fields(request.body, ["asset", "decimals"])?;
    let name = asset.required_text()?.to_owned();
    let decimals = decimals
        .integer(0, u64::from(MAX_ASSET_DECIMALS))?
        .ok_or_else(|| decimals.missing())? as u8;
    let asset = Asset { name, decimals };
    asset.check().map_err(|error| Failure::new(Code::InvalidParameter, error.to_string()))?;
    Ok(command(Command::CreateAsset(asset), framing))
}

pub(super) fn asset_of(
    context: &Context<'_>,
    field: &Field<'_>,
) -> Result<(AssetId, Asset), Failure> {
    let id = context.registry.asset_named(field.required_text()?);
    id.and_then(|id| Some((id, context.registry.asset(id)?.clone())))
        .ok_or_else(|| field.failure("unknown asset"))
}

/// The fields of a symbol that may change, in the order of [`Rules`].
const RULE_NAMES: [&str; 8] = [
    "min_qty",
    "max_qty",
    "min_notional",
    "maker_fee_ppm",
    "taker_fee_ppm",
    "price_band_ppm",
    "status",
    "reference_price",
];

/// Reads [`RULE_NAMES`] into a patch.
fn read_rules(spec: &SymbolSpec, fields: &[Field<'_>; 8]) -> Result<SymbolPatch, Failure> {
    let [min_qty, max_qty, min_notional, maker_fee, taker_fee, band, status, reference] = fields;
    let code = Code::InvalidParameter;
    let lots = |field: &Field<'_>| -> Result<Option<Lots>, Failure> {
        let value = field.decimal(code)?;
        let lots = value.map(|value| read_qty(spec, field.name, value)).transpose();
        lots.map_err(as_parameter)
    };
    let ppm = |field: &Field<'_>| -> Result<Option<u32>, Failure> {
        Ok(field.integer(0, u64::from(PPM))?.map(|ppm| ppm as u32))
    };
    let reference = reference
        .decimal(code)?
        .map(|value| read_price(spec, reference.name, value))
        .transpose()
        .map_err(as_parameter)?;
    Ok(SymbolPatch {
        min_qty: lots(min_qty)?,
        max_qty: lots(max_qty)?,
        min_notional: read_notional(min_notional, spec.quote_decimals)?,
        maker_fee_ppm: ppm(maker_fee)?,
        taker_fee_ppm: ppm(taker_fee)?,
        price_band_ppm: ppm(band)?,
        status: status.word()?,
        reference,
    })
}

/// Of a symbol's own rules the parameter is at fault, not a price.
fn as_parameter(failure: Failure) -> Failure {
    Failure { code: Code::InvalidParameter, ..failure }
}

/// Zero is no minimum.
fn read_notional(field: &Field<'_>, decimals: u8) -> Result<Option<Units>, Failure> {
    match field.decimal(Code::InvalidParameter)? {
        None => Ok(None),
        Some(value) if value.is_zero() => Ok(Some(0)),
        Some(value) => read_amount(field.name, Code::InvalidParameter, value, decimals).map(Some),
    }
}

/// `POST /api/v1/admin/symbols`.
pub(super) fn create_symbol(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = RULE_NAMES;
    let [symbol, base, quote, tick, lot, shard, rules @ ..] = body_fields(
        request.body,
        ["symbol", "base", "quote", "tick", "lot", "shard", r0, r1, r2, r3, r4, r5, r6, r7],
    )?;
    let shard = shard.integer(0, u64::from(context.placement.shards()) - 1)?;
    let name = symbol.required_text()?;
    let (base_id, base_asset) = asset_of(context, &base)?;
    let (quote_id, quote_asset) = asset_of(context, &quote)?;
    let expected = format!("{}_{}", base_asset.name, quote_asset.name);
    if name != expected {
        return Err(symbol.failure(format_args!("must be BASE_QUOTE, here {expected}")));
    }
    let (tick_mantissa, tick_decimals) = read_tick(&tick)?;
    let lot_units = read_lot(&lot, base_asset.decimals)?;
    let mut spec = SymbolSpec {
        name: expected,
        base: base_id,
        quote: quote_id,
        base_decimals: base_asset.decimals,
        quote_decimals: quote_asset.decimals,
        tick_mantissa,
        tick_decimals,
        lot_units,
        rules: SymbolRules::default(),
    };
    let patch = read_rules(&spec, &rules)?;
    spec.rules = patch.apply(spec.rules);
    spec.check().map_err(|error| Failure::new(Code::InvalidParameter, error.to_string()))?;
    let symbol = NewSymbol { spec, reference: patch.reference };
    let create = match shard {
        None => Command::CreateSymbol(Box::new(symbol)),
        Some(shard) => {
            let shard = ShardId(shard as u16);
            Command::CreatePlacedSymbol(Box::new(PlacedSymbol { symbol, shard }))
        }
    };
    Ok(command(create, framing))
}

fn read_tick(tick: &Field<'_>) -> Result<(u64, u8), Failure> {
    let value = tick.required_decimal(Code::InvalidParameter)?;
    if value.scale() > MAX_TICK_DECIMALS {
        return Err(tick.failure(format_args!("has more than {MAX_TICK_DECIMALS} decimals")));
    }
    let decimals = value.scale() as u8;
    let mantissa = read_amount(tick.name, Code::InvalidParameter, value, decimals)?;
    let mantissa = u64::try_from(mantissa).map_err(|_| tick.failure("is too large"))?;
    Ok((mantissa, decimals))
}

fn read_lot(lot: &Field<'_>, decimals: u8) -> Result<u64, Failure> {
    let value = lot.required_decimal(Code::InvalidParameter)?;
    let units = read_amount(lot.name, Code::InvalidParameter, value, decimals)?;
    u64::try_from(units).map_err(|_| lot.failure("is too large"))
}

/// `PATCH /api/v1/admin/symbols/{symbol}`.
pub(super) fn update_symbol(
    request: &Request<'_>,
    context: &Context<'_>,
    segment: &str,
    framing: Framing,
) -> Result<Action, Failure> {
    let symbol = symbol_of(context, &path_field("symbol", segment)?)?;
    let [r0, r1, r2, r3, r4, r5, r6, r7] = RULE_NAMES;
    let [name, base, quote, tick, lot, shard, rules @ ..] = body_fields(
        request.body,
        ["symbol", "base", "quote", "tick", "lot", "shard", r0, r1, r2, r3, r4, r5, r6, r7],
    )?;
    for fixed in [name, base, quote, tick, lot, shard] {
        if !fixed.is_absent() {
            return Err(fixed.failure("cannot be changed"));
        }
    }
    if rules.iter().all(Field::is_absent) {
        return Err(Failure::parameter("body", "names no rule to change"));
    }
    let Some(entry) = context.registry.symbol(symbol) else {
        return Err(Failure::new(Code::UnknownSymbol, "symbol: unknown"));
    };
    let patch = read_rules(&entry.spec, &rules)?;
    let rules = patch.apply(*entry.rules());
    rules.check().map_err(|error| Failure::new(Code::InvalidParameter, error.to_string()))?;
    Ok(command(Command::UpdateSymbol { symbol, patch: Box::new(patch) }, framing))
}

/// `POST /api/v1/admin/users`.
pub(super) fn create_user(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [user, name] = body_fields(request.body, ["user_id", "name"])?;
    let text = bounded_text(&name, MAX_USER_NAME_LENGTH_BYTES)?;
    let create = Command::CreateUser {
        user: user.id()?.map(UserId),
        shard: context.shard,
        name: text.map(str::to_owned),
    };
    Ok(command(create, framing))
}

pub(super) fn bounded_text<'a>(
    field: &'a Field<'_>,
    most_bytes: usize,
) -> Result<Option<&'a str>, Failure> {
    let text = field.text()?;
    if text.is_some_and(|text| text.is_empty() || text.len() > most_bytes) {
        return Err(field.failure(format_args!("must be 1 to {most_bytes} bytes long")));
    }
    Ok(text)
}

/// `POST /api/v1/admin/deposits` and `/withdrawals`.
pub(super) fn transfer(
    request: &Request<'_>,
    context: &Context<'_>,
    make: fn(Transfer) -> Command,
    framing: Framing,
) -> Result<Action, Failure> {
    let [user, asset, amount, reference] =
        body_fields(request.body, ["user_id", "asset", "amount", "ref"])?;
    let user = UserId(user.required_id()?);
    let (asset, definition) = asset_of(context, &asset)?;
    let value = amount.required_decimal(Code::InvalidParameter)?;
    let amount = read_amount(amount.name, Code::InvalidParameter, value, definition.decimals)?;
    let text = bounded_text(&reference, MAX_REFERENCE_LENGTH_BYTES)?;
    let text = text.ok_or_else(|| reference.missing())?.to_owned();
    Ok(command(make(Transfer { user, asset, amount, reference: text }), framing))
}

/// `DELETE /api/v1/admin/orders`.
pub(super) fn cancel_all(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, user] = query_fields(request.query, ["symbol", "user_id"])?;
    let symbol = optional_symbol(context, &symbol)?;
    let respond = Respond { shape: Shape::Admin, framing };
    Ok(match user.id()?.map(UserId) {
        Some(user) => Action::Command {
            command: Command::CancelUser { user, symbol },
            respond,
            repeat_while_more: true,
        },
        None => Action::Gather { gather: Gather::CancelAll { symbol }, respond },
    })
}

/// `GET /api/v1/admin/proof`.
pub(super) fn proof(framing: Framing) -> Action {
    command(Command::Prove, framing)
}

/// `GET /api/v1/admin/shards`.
pub(super) fn shards(framing: Framing) -> Action {
    Action::Gather { gather: Gather::Shards, respond: Respond { shape: Shape::Admin, framing } }
}

/// `GET` or `POST /api/v1/admin/snapshots`.
pub(super) fn snapshots(method: Method, framing: Framing) -> Action {
    let begun = method == Method::Post;
    let gather = if begun { Gather::BeginSnapshots } else { Gather::Shards };
    Action::Gather { gather, respond: Respond { shape: Shape::Snapshots { begun }, framing } }
}

fn about(symbol: SymbolId, query: Query, framing: Framing) -> Action {
    Action::Query { query, respond: Respond { shape: Shape::AdminMarket(symbol), framing } }
}

/// `GET /api/v1/admin/book`.
pub(super) fn book(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, side, after, limit] =
        query_fields(request.query, ["symbol", "side", "after", "limit"])?;
    let symbol = symbol_of(context, &symbol)?;
    let query = Query::Book {
        symbol,
        side: side.required_word::<Side>()?,
        after: after.id()?.map(OrderId),
        limit: rows(&limit)?,
    };
    Ok(about(symbol, query, framing))
}

/// `GET /api/v1/admin/tape`.
pub(super) fn tape(
    request: &Request<'_>,
    context: &Context<'_>,
    framing: Framing,
) -> Result<Action, Failure> {
    let [symbol, after, limit] = query_fields(request.query, ["symbol", "after", "limit"])?;
    let symbol = symbol_of(context, &symbol)?;
    let after = TradeId(after.id()?.unwrap_or(0));
    Ok(about(symbol, Query::Tape { symbol, after, limit: rows(&limit)? }, framing))
}

/// `GET /api/v1/admin/balances`.
pub(super) fn balances(request: &Request<'_>, framing: Framing) -> Result<Action, Failure> {
    let [user] = query_fields(request.query, ["user_id"])?;
    let user = UserId(user.required_id()?);
    let respond = Respond { shape: Shape::Admin, framing };
    Ok(Action::Query { query: Query::Balances { user }, respond })
}

//! What `docs/api.md` promises of everything that the dialect lets through, checked once more and in
//! another way: on the command, not on the text.

use engine::{
    Command, MAX_DESTINATION_LENGTH_BYTES, MAX_REFERENCE_LENGTH_BYTES, MAX_USER_NAME_LENGTH_BYTES,
    NewSymbol, OrderRef, Place, Query, Registry, Transfer,
};
use gateway::native::{Action, Context, Then};
use money::{
    Asset, Cid, ID_LIMIT, Lots, MAX_ASSET_DECIMALS, MAX_CID_LENGTH_BYTES, MAX_FEE_PPM,
    MAX_NAME_LENGTH_BYTES, OrderKind, PPM, Price, SymbolId, SymbolRules, TimeInForce, UserId,
};

use crate::identities;

/// Fails if an action asks for something that no client may ask for.
pub fn check_action(action: &Action, context: &Context<'_>) {
    match action {
        Action::Command { command, .. } => check_command(command, context),
        Action::IfUser { user, command, .. } => {
            check_user(*user);
            check_command(command, context);
        }
        Action::Password(asked) => {
            check_user(asked.user);
            if let Then::Change(change) = &asked.then {
                assert_eq!(asked.user, change.user);
                assert_eq!(change.password_hash, None, "a hash from outside");
            }
        }
        Action::Query { query: Query::Order { user, order }, .. }
        | Action::Resolve { query: Query::Order { user, order }, .. } => {
            check_user(*user);
            check_order_ref(order);
        }
        _ => {}
    }
}

fn check_command(command: &Command, context: &Context<'_>) {
    let (registry, here) = (context.registry, context.shard);
    match command {
        Command::Place(place) => check_place(place, registry),
        Command::Cancel { user, order } => {
            check_user(*user);
            check_order_ref(order);
        }
        Command::Reduce { user, order, by } => {
            check_user(*user);
            check_order_ref(order);
            assert!(by.0 > 0, "reduced by nothing");
        }
        Command::Move { user, order, price } => {
            check_user(*user);
            check_order_ref(order);
            assert!(price.0 > 0, "moved to a price of nothing");
        }
        Command::CreateUser { user, shard, name } => {
            user.iter().for_each(|&user| check_user(user));
            assert_eq!(*shard, here);
            let length = name.as_ref().map_or(1, String::len);
            assert!((1..=MAX_USER_NAME_LENGTH_BYTES).contains(&length), "{name:?}");
        }
        Command::FreezeUser { user, .. } => check_user(*user),
        Command::Deposit(transfer) | Command::Withdraw(transfer) => {
            check_transfer(transfer, registry);
        }
        Command::CreateAsset(asset) => check_asset(asset),
        Command::CreateSymbol(symbol) => check_symbol(symbol, registry),
        Command::CreatePlacedSymbol(placed) => {
            check_symbol(&placed.symbol, registry);
            assert!(context.placement.all().any(|shard| shard == placed.shard), "{placed:?}");
        }
        Command::UpdateSymbol { symbol, patch } => {
            let entry = registry.symbol(*symbol).expect("a symbol that is there");
            check_rules(&patch.apply(*entry.rules()));
            assert_ne!(patch.reference, Some(Price(0)));
        }
        Command::RequestWithdrawal(request) => {
            check_user(request.user);
            assert!(registry.asset(request.asset).is_some());
            assert!(request.amount > 0);
            check_reference(&request.reference);
            let length = request.destination.as_ref().map_or(1, String::len);
            assert!((1..=MAX_DESTINATION_LENGTH_BYTES).contains(&length), "{request:?}");
        }
        Command::EndWithdrawal { user, reference, .. } => {
            check_user(*user);
            check_reference(reference);
        }
        Command::Identity(change) => identities::check(change),
        Command::CancelUser { .. } | Command::CancelShard { .. } | Command::Prove => {
            panic!("no body asks for this: {command:?}")
        }
    }
}

fn check_place(place: &Place, registry: &Registry) {
    let &Place { user, symbol, kind, time_in_force, price, qty, quote_qty, cid, .. } = place;
    check_user(user);
    check_is_symbol(symbol, registry);
    cid.iter().for_each(check_cid);
    match kind {
        OrderKind::Limit => assert!(price.0 > 0 && qty.0 > 0 && quote_qty.is_none(), "{place:?}"),
        OrderKind::PostOnly => {
            assert!(price.0 > 0 && qty.0 > 0 && quote_qty.is_none(), "{place:?}");
            assert_eq!(time_in_force, TimeInForce::Gtc);
        }
        OrderKind::Market => {
            assert_eq!(price, Price(0));
            assert_ne!(time_in_force, TimeInForce::Gtc);
            let by_budget = quote_qty.is_some_and(|units| units > 0);
            assert!((qty > Lots(0)) ^ by_budget && (by_budget || quote_qty.is_none()), "{place:?}");
        }
    }
}

fn check_is_symbol(symbol: SymbolId, registry: &Registry) {
    assert!(registry.symbol(symbol).is_some(), "{symbol}");
}

fn check_transfer(transfer: &Transfer, registry: &Registry) {
    check_user(transfer.user);
    assert!(registry.asset(transfer.asset).is_some());
    assert!(transfer.amount > 0);
    check_reference(&transfer.reference);
}

fn check_reference(reference: &str) {
    let length = reference.len();
    assert!((1..=MAX_REFERENCE_LENGTH_BYTES).contains(&length), "{length}");
}

fn check_asset(asset: &Asset) {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    assert!(
        (1..=MAX_NAME_LENGTH_BYTES).contains(&asset.name.len()) && asset.name.bytes().all(is_name)
    );
    assert!(asset.decimals <= MAX_ASSET_DECIMALS);
}

fn check_symbol(symbol: &NewSymbol, registry: &Registry) {
    let spec = &symbol.spec;
    let (base, quote) = (registry.asset(spec.base), registry.asset(spec.quote));
    let (base, quote) =
        (base.expect("a base that is there"), quote.expect("a quote that is there"));
    assert_eq!(spec.name, format!("{}_{}", base.name, quote.name));
    assert_ne!(spec.base, spec.quote);
    assert_eq!((spec.base_decimals, spec.quote_decimals), (base.decimals, quote.decimals));
    assert!(spec.tick_mantissa > 0 && spec.lot_units > 0);
    assert!(spec.scale().is_ok(), "{spec:?}");
    assert_ne!(symbol.reference, Some(Price(0)));
    check_rules(&spec.rules);
}

fn check_rules(rules: &SymbolRules) {
    assert!(rules.min_qty > Lots(0) && rules.min_qty <= rules.max_qty, "{rules:?}");
    assert!(rules.maker_fee_ppm <= MAX_FEE_PPM && rules.taker_fee_ppm <= MAX_FEE_PPM, "{rules:?}");
    assert!(rules.price_band_ppm < PPM, "{rules:?}");
}

fn check_user(user: UserId) {
    assert!(user.0 < ID_LIMIT, "{user}");
}

fn check_order_ref(order: &OrderRef) {
    match order {
        OrderRef::Id(order) => assert!(order.0 < ID_LIMIT, "{order}"),
        OrderRef::Cid(cid) => check_cid(cid),
    }
}

fn check_cid(cid: &Cid) {
    let text = cid.as_str();
    assert!((1..=MAX_CID_LENGTH_BYTES).contains(&text.len()), "{text}");
    assert!(
        text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte)),
        "{text}"
    );
}

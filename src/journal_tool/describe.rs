//! Records as named fields.
//!
//! Prices are in ticks, quantities in lots, amounts in units: a record says no more, and to turn them
//! into decimals is the work of whoever knows the symbol at that time. Amounts are text, because JSON
//! readers lose integers beyond 2^53.

use engine::{
    Command, Fill, Input, Message, NewSymbol, OrderRef, PeerBatch, Place, Submit, Transfer,
    WithdrawalRequest,
};
use identity::Change;
use money::{Asset, Price, SymbolId, SymbolPatch, Units, UserId};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// An id, a count, a price or a quantity.
    Number(u64),
    /// Words, and numbers beyond 64 bits.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Several objects.
    List(Vec<Fields>),
}

/// Fields in the order in which they are told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(&'static str, Field)>);

impl Fields {
    fn of(kind: &str) -> Fields {
        Fields::default().text("kind", kind)
    }

    /// Adds a field.
    pub fn push(&mut self, name: &'static str, field: Field) {
        self.0.push((name, field));
    }

    /// Adds the fields of another object.
    pub fn extend(&mut self, other: Fields) {
        self.0.extend(other.0);
    }

    fn number(mut self, name: &'static str, number: impl Into<u64>) -> Fields {
        self.push(name, Field::Number(number.into()));
        self
    }

    fn text(mut self, name: &'static str, text: impl ToString) -> Fields {
        self.push(name, Field::Text(text.to_string()));
        self
    }

    fn flag(mut self, name: &'static str, flag: bool) -> Fields {
        self.push(name, Field::Flag(flag));
        self
    }

    fn units(self, name: &'static str, units: Units) -> Fields {
        self.text(name, units)
    }

    /// Adds a field when there is something to tell.
    fn maybe<T>(self, value: Option<T>, add: impl FnOnce(Fields, T) -> Fields) -> Fields {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    fn order(self, order: &OrderRef) -> Fields {
        match order {
            OrderRef::Id(id) => self.number("order_id", id.0),
            OrderRef::Cid(cid) => self.text("cid", cid),
        }
    }

    fn symbol(self, symbol: Option<SymbolId>) -> Fields {
        self.maybe(symbol, |fields, symbol| fields.number("symbol", symbol.0))
    }

    fn reference(self, price: Option<Price>) -> Fields {
        self.maybe(price, |fields, price| fields.number("reference_price", price.0))
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Number(number) => serializer.serialize_u64(*number),
            Field::Text(text) => serializer.serialize_str(text),
            Field::Flag(flag) => serializer.serialize_bool(*flag),
            Field::List(list) => {
                let mut sequence = serializer.serialize_seq(Some(list.len()))?;
                for fields in list {
                    sequence.serialize_element(fields)?;
                }
                sequence.end()
            }
        }
    }
}

/// The kind of a record and its fields.
pub fn describe(input: &Input) -> Fields {
    match input {
        Input::Command(command) => describe_command(command),
        Input::Peer(batch) => {
            let messages = batch.messages.iter().map(describe_message).collect();
            let mut fields = Fields::of("peer")
                .number("source", batch.source.0)
                .number("first_sequence", batch.first_sequence)
                .number("confirmed", batch.confirmed);
            fields.push("messages", Field::List(messages));
            fields
        }
    }
}

fn describe_command(command: &Command) -> Fields {
    match command {
        Command::Place(place) => describe_place(place),
        Command::Cancel { user, order } => {
            Fields::of("cancel").number("user_id", user.0).order(order)
        }
        Command::Reduce { user, order, by } => {
            Fields::of("reduce").number("user_id", user.0).order(order).number("by", by.0)
        }
        Command::Move { user, order, price } => {
            Fields::of("move").number("user_id", user.0).order(order).number("price", price.0)
        }
        Command::CancelUser { user, symbol } => {
            Fields::of("cancel_user").number("user_id", user.0).symbol(*symbol)
        }
        Command::CancelShard { shard, symbol } => {
            Fields::of("cancel_shard").number("of_shard", shard.0).symbol(*symbol)
        }
        Command::CreateUser { user, name, .. } => Fields::of("create_user")
            .maybe(*user, |fields, user| fields.number("user_id", user.0))
            .maybe(name.as_ref(), |fields, name| fields.text("name", name)),
        Command::FreezeUser { user, frozen } => {
            Fields::of("freeze_user").number("user_id", user.0).flag("frozen", *frozen)
        }
        Command::Deposit(transfer) => describe_transfer("deposit", transfer),
        Command::Withdraw(transfer) => describe_transfer("withdraw", transfer),
        Command::CreateAsset(asset) => describe_asset(Fields::of("create_asset"), asset),
        Command::CreateSymbol(symbol) => describe_symbol(Fields::of("create_symbol"), symbol),
        Command::CreatePlacedSymbol(placed) => describe_symbol(
            Fields::of("create_symbol").number("on_shard", placed.shard.0),
            &placed.symbol,
        ),
        Command::UpdateSymbol { symbol, patch } => {
            describe_patch(Fields::of("update_symbol").symbol(Some(*symbol)), patch)
        }
        Command::Prove => Fields::of("prove"),
        Command::Identity(change) => describe_change(Fields::of("identity"), change),
        Command::RequestWithdrawal(request) => describe_request(request),
        Command::EndWithdrawal { user, reference, confirm } => Fields::of("end_withdrawal")
            .number("user_id", user.0)
            .text("ref", reference)
            .flag("confirm", *confirm),
    }
}

fn describe_place(place: &Place) -> Fields {
    Fields::of("place")
        .number("user_id", place.user.0)
        .symbol(Some(place.symbol))
        .text("side", place.side)
        .text("type", place.kind)
        .text("time_in_force", place.time_in_force)
        .text("stp", place.self_trade)
        .number("price", place.price.0)
        .number("qty", place.qty.0)
        .maybe(place.quote_qty, |fields, units| fields.units("quote_qty", units))
        .maybe(place.cid, |fields, cid| fields.text("cid", cid))
        .flag("wait", place.wait)
}

fn describe_transfer(kind: &str, transfer: &Transfer) -> Fields {
    Fields::of(kind)
        .number("user_id", transfer.user.0)
        .number("asset", transfer.asset.0)
        .units("amount", transfer.amount)
        .text("ref", &transfer.reference)
}

fn describe_request(request: &WithdrawalRequest) -> Fields {
    Fields::of("request_withdrawal")
        .number("user_id", request.user.0)
        .number("asset", request.asset.0)
        .units("amount", request.amount)
        .text("ref", &request.reference)
        .maybe(request.destination.as_ref(), |fields, to| fields.text("to", to))
}

fn describe_asset(fields: Fields, asset: &Asset) -> Fields {
    fields.text("name", &asset.name).number("decimals", asset.decimals)
}

fn describe_symbol(fields: Fields, symbol: &NewSymbol) -> Fields {
    let (spec, rules) = (&symbol.spec, &symbol.spec.rules);
    fields
        .text("name", &spec.name)
        .number("base", spec.base.0)
        .number("quote", spec.quote.0)
        .number("base_decimals", spec.base_decimals)
        .number("quote_decimals", spec.quote_decimals)
        .number("tick_mantissa", spec.tick_mantissa)
        .number("tick_decimals", spec.tick_decimals)
        .number("lot_units", spec.lot_units)
        .number("min_qty", rules.min_qty.0)
        .number("max_qty", rules.max_qty.0)
        .units("min_notional", rules.min_notional)
        .number("maker_fee_ppm", rules.maker_fee_ppm)
        .number("taker_fee_ppm", rules.taker_fee_ppm)
        .number("price_band_ppm", rules.price_band_ppm)
        .text("status", rules.status)
        .reference(symbol.reference)
}

fn describe_patch(fields: Fields, patch: &SymbolPatch) -> Fields {
    fields
        .maybe(patch.min_qty, |fields, qty| fields.number("min_qty", qty.0))
        .maybe(patch.max_qty, |fields, qty| fields.number("max_qty", qty.0))
        .maybe(patch.min_notional, |fields, units| fields.units("min_notional", units))
        .maybe(patch.maker_fee_ppm, |fields, ppm| fields.number("maker_fee_ppm", ppm))
        .maybe(patch.taker_fee_ppm, |fields, ppm| fields.number("taker_fee_ppm", ppm))
        .maybe(patch.price_band_ppm, |fields, ppm| fields.number("price_band_ppm", ppm))
        .maybe(patch.status, |fields, status| fields.text("status", status))
        .reference(patch.reference)
}

fn describe_message(message: &Message) -> Fields {
    match message {
        Message::Submit(submit) => describe_submit(submit),
        Message::Cancel { ticket, order, symbol } => {
            about("cancel", *ticket).number("order_id", order.0).symbol(Some(*symbol))
        }
        Message::Reduce { ticket, order, symbol, by } => about("reduce", *ticket)
            .number("order_id", order.0)
            .symbol(Some(*symbol))
            .number("by", by.0),
        Message::Move { ticket, order, symbol, price } => about("move", *ticket)
            .number("order_id", order.0)
            .symbol(Some(*symbol))
            .number("price", price.0),
        Message::Fill(fill) => describe_fill(fill),
        Message::MakerExpired { order, at_ms } => {
            Fields::of("maker_expired").number("order_id", order.0).number("at_ms", *at_ms)
        }
        Message::Done { ticket, order, answer, probes, at_ms } => about("done", *ticket)
            .number("order_id", order.0)
            .text("answer", format!("{answer:?}"))
            .number("probes", *probes)
            .number("at_ms", *at_ms),
        Message::Probe { home, ticket } => about("probe", *ticket).number("home", home.0),
        Message::ProbeDone { ticket } => about("probe_done", *ticket),
        Message::Reference { symbol, price } => {
            Fields::of("reference").symbol(Some(*symbol)).number("price", price.0)
        }
        Message::DefineAsset { ticket, asset, definition } => {
            describe_asset(about("define_asset", *ticket).number("asset", asset.0), definition)
        }
        Message::DefineSymbol { ticket, symbol, definition } => {
            describe_symbol(about("define_symbol", *ticket).symbol(Some(*symbol)), definition)
        }
        Message::DefinePlacedSymbol { ticket, symbol, definition } => describe_symbol(
            about("define_symbol", *ticket)
                .symbol(Some(*symbol))
                .number("on_shard", definition.shard.0),
            &definition.symbol,
        ),
        Message::UpdateSymbol { ticket, symbol, patch } => {
            describe_patch(about("update_symbol", *ticket).symbol(Some(*symbol)), patch)
        }
        Message::Defined { ticket } => about("defined", *ticket),
        Message::Marker { ticket } => about("marker", *ticket),
        Message::CutReport { ticket, first, totals, is_last } => {
            let totals = totals.iter().map(|totals| {
                Fields::default()
                    .units("deposits", totals.deposits)
                    .units("withdrawals", totals.withdrawals)
                    .units("avail", totals.avail)
                    .units("frozen", totals.frozen)
                    .units("fees", totals.fees)
                    .text("in_flight", totals.in_flight)
            });
            let totals = totals.collect();
            let fields = about("cut_report", *ticket).number("first_asset", first.0);
            let mut fields = fields.text("is_last", is_last);
            fields.push("totals", Field::List(totals));
            fields
        }
        Message::Identity { ticket, change } => describe_change(about("identity", *ticket), change),
    }
}

/// What changes, without anything that a password or a token could be guessed against.
fn describe_change(fields: Fields, change: &Change) -> Fields {
    match change {
        Change::User(change) => fields
            .text("change", "user")
            .number("user_id", change.user.0)
            .maybe(change.role, |fields, role| fields.text("role", role.as_str()))
            .flag("new_password", change.password_hash.is_some())
            .maybe(change.rate.flatten(), |fields, rate| {
                fields
                    .number("orders_per_second", rate.orders_per_second)
                    .number("burst", rate.burst)
            })
            .flag("default_rate", change.rate == Some(None)),
        Change::AddKey(record) => fields
            .text("change", "add_key")
            .text("api_key", record.key)
            .number("user_id", record.user.0)
            .text("name", &record.name)
            .text("permissions", record.permissions.words().collect::<Vec<_>>().join(" ")),
        Change::RevokeKey { key, owner } => fields
            .text("change", "revoke_key")
            .text("api_key", key)
            .maybe(*owner, |fields, owner| fields.number("user_id", owner.0)),
        Change::KeyUsed { key, at_ms } => {
            fields.text("change", "key_used").text("api_key", key).number("at_ms", *at_ms)
        }
        Change::OpenSession(record) => fields
            .text("change", "open_session")
            .text("session", record.session)
            .number("user_id", record.user.0)
            .number("expires_ms", record.expires_ms),
        Change::RotateSession { session, expires_ms, .. } => fields
            .text("change", "rotate_session")
            .text("session", session)
            .number("expires_ms", *expires_ms),
        Change::CloseSession { session } => {
            fields.text("change", "close_session").text("session", session)
        }
        Change::CloseSessions { user } => {
            fields.text("change", "close_sessions").number("user_id", user.0)
        }
    }
}

fn about(kind: &str, ticket: u64) -> Fields {
    Fields::of(kind).number("ticket", ticket)
}

fn describe_submit(submit: &Submit) -> Fields {
    about("submit", submit.ticket)
        .number("order_id", submit.order.0)
        .number("user_id", submit.user.0)
        .symbol(Some(submit.symbol))
        .text("side", submit.side)
        .text("time_in_force", submit.time_in_force)
        .text("stp", submit.self_trade)
        .flag("post_only", submit.post_only)
        .flag("market", submit.market)
        .number("price", submit.price.0)
        .number("qty", submit.qty.0)
        .maybe(submit.budget, |fields, units| fields.units("budget", units))
        .flag("wait", submit.wait)
}

fn describe_fill(fill: &Fill) -> Fields {
    Fields::of("fill")
        .number("order_id", fill.order.0)
        .symbol(Some(fill.symbol))
        .number("trade_id", fill.trade.0)
        .text("side", fill.side)
        .text("role", fill.role)
        .number("price", fill.price.0)
        .number("qty", fill.qty.0)
        .number("fee_ppm", fill.fee_ppm)
        .number("at_ms", fill.at_ms)
}

/// What of a record names this user: the whole of a command, of a peer's messages the orders on
/// their way and the changes of roles, keys and sessions. Fills name orders, not users.
pub fn keep_user(input: Input, user: UserId) -> Option<Input> {
    match input {
        Input::Command(command) => {
            (user_of(&command) == Some(user)).then_some(Input::Command(command))
        }
        Input::Peer(PeerBatch { source, first_sequence, confirmed, mut messages }) => {
            messages.retain(|message| match message {
                Message::Submit(submit) => submit.user == user,
                Message::Identity { change, .. } => user_of_change(change) == Some(user),
                _ => false,
            });
            let batch = PeerBatch { source, first_sequence, confirmed, messages };
            (!batch.messages.is_empty()).then_some(Input::Peer(batch))
        }
    }
}

fn user_of(command: &Command) -> Option<UserId> {
    match command {
        Command::Place(Place { user, .. })
        | Command::Cancel { user, .. }
        | Command::Reduce { user, .. }
        | Command::Move { user, .. }
        | Command::CancelUser { user, .. }
        | Command::FreezeUser { user, .. }
        | Command::Deposit(Transfer { user, .. })
        | Command::Withdraw(Transfer { user, .. })
        | Command::EndWithdrawal { user, .. } => Some(*user),
        Command::RequestWithdrawal(request) => Some(request.user),
        Command::CreateUser { user, .. } => *user,
        Command::CancelShard { .. }
        | Command::CreateAsset(_)
        | Command::CreateSymbol(_)
        | Command::CreatePlacedSymbol(_)
        | Command::UpdateSymbol { .. }
        | Command::Prove => None,
        Command::Identity(change) => user_of_change(change),
    }
}

/// Who it is about, as far as it says so.
fn user_of_change(change: &Change) -> Option<UserId> {
    match change {
        Change::User(change) => Some(change.user),
        Change::AddKey(record) => Some(record.user),
        Change::OpenSession(record) => Some(record.user),
        Change::CloseSessions { user } => Some(*user),
        Change::RevokeKey { owner, .. } => *owner,
        Change::KeyUsed { .. } | Change::RotateSession { .. } | Change::CloseSession { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{SessionId, SessionRecord, UserChange};
    use money::{AssetId, Cid, ShardId};

    fn deposit(user: u64) -> Input {
        Input::Command(Command::Deposit(Transfer {
            user: UserId(user),
            asset: AssetId(2),
            amount: u128::MAX,
            reference: "wire \"7\"".into(),
        }))
    }

    #[test]
    fn fields_keep_their_order_and_their_digits() {
        assert_eq!(
            serde_json::to_string(&describe(&deposit(7))).unwrap(),
            format!(
                r#"{{"kind":"deposit","user_id":7,"asset":2,"amount":"{}","ref":"wire \"7\""}}"#,
                u128::MAX
            )
        );
        let cancel =
            Command::Cancel { user: UserId(0), order: OrderRef::Cid(Cid::parse("a.1").unwrap()) };
        assert_eq!(
            serde_json::to_string(&describe(&Input::Command(cancel))).unwrap(),
            r#"{"kind":"cancel","user_id":0,"cid":"a.1"}"#
        );
    }

    #[test]
    fn a_dump_holds_nothing_that_a_password_or_token_could_be_guessed_against() {
        let password_hash = Some("$argon2id$secret".to_owned());
        let password = UserChange { user: UserId(7), password_hash, ..UserChange::default() };
        let token_hash = [0xAB; 32];
        let (session, user) = (SessionId(9), UserId(7));
        let opened = SessionRecord { session, user, token_hash, opened_ms: 1, expires_ms: 2 };
        let rotated = Change::RotateSession {
            session,
            old_hash: token_hash,
            new_hash: token_hash,
            at_ms: 1,
            expires_ms: 2,
        };
        for change in [Change::User(password), Change::OpenSession(opened), rotated] {
            let change = Box::new(change);
            let messages = vec![Message::Identity { ticket: 1, change: change.clone() }];
            let batch = PeerBatch { source: ShardId(0), first_sequence: 1, confirmed: 0, messages };
            for input in [Input::Command(Command::Identity(change)), Input::Peer(batch)] {
                let text = serde_json::to_string(&describe(&input)).unwrap();
                assert!(text.contains(r#""kind":"identity""#), "{text}");
                for secret in ["argon2", "abab", "ABAB", "171"] {
                    assert!(!text.contains(secret), "{text}");
                }
            }
        }
    }

    #[test]
    fn a_user_is_found_in_commands_and_nowhere_else() {
        assert!(keep_user(deposit(7), UserId(7)).is_some());
        assert!(keep_user(deposit(8), UserId(7)).is_none());
        let batch = PeerBatch {
            source: ShardId(1),
            first_sequence: 1,
            confirmed: 0,
            messages: vec![Message::Defined { ticket: 7 }],
        };
        assert!(keep_user(Input::Peer(batch), UserId(7)).is_none());
    }
}

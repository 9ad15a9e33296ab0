//! Users, payments, assets and symbols.

use ledger::{Payment, PaymentKind};
use money::{Asset, AssetId, ID_LIMIT, ShardId, SymbolId, SymbolPatch, UserId};

use crate::changing::Applied;
use crate::command::{NewSymbol, PlacedSymbol, Transfer};
use crate::effect::{BalanceReason, Effects};
use crate::engine::{Engine, Step, reply};
use crate::message::{Message, Ticket};
use crate::pending::Question;
use crate::reply::{BalanceView, Origin, Refusal, Reply};

impl Engine {
    pub(crate) fn create_user(
        &mut self,
        user: Option<UserId>,
        name: Option<String>,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let chosen = match user {
            Some(user) => user,
            None => self.next_automatic_user(),
        };
        if chosen.0 >= ID_LIMIT {
            return Err(Refusal::IdsExhausted);
        }
        self.ledger.create_user(chosen, name).map_err(|_| Refusal::UserExists)?;
        if user.is_none() {
            self.user_count = chosen.0 / u64::from(self.placement.shards()) + 1;
        }
        let user = chosen;
        self.mix(user.0);
        reply(out, origin, || Reply::User(user));
        Ok(Step::Changed)
    }

    /// The next id of this shard that nobody has. One chosen by hand, however high, costs only
    /// itself.
    fn next_automatic_user(&self) -> UserId {
        let (shards, here) = (u64::from(self.placement.shards()), u64::from(self.here.0));
        let mut count = self.user_count;
        while self.ledger.account(UserId(count * shards + here)).is_some() {
            count += 1;
        }
        UserId(count * shards + here)
    }

    pub(crate) fn freeze_user(
        &mut self,
        user: UserId,
        frozen: bool,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let account = self.account(user)?;
        self.ledger.set_frozen(account, frozen);
        self.mix(user.0 << 1 | u64::from(frozen));
        reply(out, origin, || Reply::User(user));
        Ok(Step::Changed)
    }

    pub(crate) fn deposit(
        &mut self,
        transfer: &Transfer,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        self.transfer(PaymentKind::Deposit, transfer, origin, out)
    }

    pub(crate) fn withdraw(
        &mut self,
        transfer: &Transfer,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        self.transfer(PaymentKind::Withdrawal, transfer, origin, out)
    }

    fn transfer(
        &mut self,
        kind: PaymentKind,
        transfer: &Transfer,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let &Transfer { user, asset, amount, ref reference } = transfer;
        let account = self.account(user)?;
        self.registry.asset(asset).ok_or(Refusal::UnknownAsset)?;
        let payment = Payment { kind, asset, amount };
        if let Some(made) = self.payments.find(user, reference) {
            if made != payment {
                return Err(Refusal::ReferenceReused);
            }
            let view = self.balance_view(user, asset)?;
            reply(out, origin, || Reply::Balance(view));
            return Ok(Step::Unchanged);
        }
        if self.withdrawals.find(user, reference).is_some() {
            return Err(Refusal::ReferenceReused);
        }
        if kind == PaymentKind::Withdrawal {
            if self.ledger.is_frozen(account) {
                return Err(Refusal::UserFrozen);
            }
            // A refusal must not leave an empty balance behind.
            let avail = self.balance_view(user, asset)?.avail;
            if avail < amount {
                return Err(Refusal::InsufficientBalance { asset, needed: amount, avail });
            }
        } else if !self.ledger.can_deposit(asset, amount) {
            return Err(Refusal::AmountTooLarge);
        }
        let slot = self.ledger.slot(account, asset);
        let before = self.before(account, [slot, slot], out).first();
        match kind {
            PaymentKind::Deposit => self.ledger.deposit(slot, amount),
            PaymentKind::Withdrawal => self.ledger.withdraw(slot, amount),
        }
        .expect("was checked");
        let reason = match kind {
            PaymentKind::Deposit => BalanceReason::Deposit,
            PaymentKind::Withdrawal => BalanceReason::Withdrawal,
        };
        self.tell_balances(account, before, None, reason, out);
        self.payments.record(user, reference.clone(), payment);
        self.mix(user.0 ^ (amount as u64).rotate_left(17) ^ kind as u64);
        self.mix(u64::from(asset.0) ^ (amount >> 64) as u64);
        let view = self.balance_view(user, asset)?;
        reply(out, origin, || Reply::Balance(view));
        Ok(Step::Changed)
    }

    fn balance_view(&self, user: UserId, asset: AssetId) -> Result<BalanceView, Refusal> {
        let account = self.account(user)?;
        let balance = self.ledger.find(account, asset);
        Ok(BalanceView { asset, avail: balance.avail, frozen: balance.frozen })
    }

    pub(crate) fn create_asset(
        &mut self,
        asset: &Asset,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        self.registry.check_asset(asset)?;
        let id = self.registry.define_asset(asset.clone());
        let ticket = self.ask_everyone(Question::Asset(id), origin);
        self.tell_peers(|| Message::DefineAsset {
            ticket,
            asset: id,
            definition: Box::new(asset.clone()),
        });
        self.mix(u64::from(id.0) << 32);
        self.finish(ticket, out);
        Ok(Step::Changed)
    }

    pub(crate) fn create_symbol(
        &mut self,
        symbol: &NewSymbol,
        placed: Option<ShardId>,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let shards = self.placement.shards();
        if placed.is_some_and(|shard| shard.0 >= shards) {
            return Err(Refusal::NoSuchShard { shards });
        }
        self.registry.check_symbol(symbol)?;
        let id = self.define_symbol(symbol.clone(), placed);
        let ticket = self.ask_everyone(Question::Symbol(id), origin);
        self.tell_peers(|| match placed {
            None => {
                let definition = Box::new(symbol.clone());
                Message::DefineSymbol { ticket, symbol: id, definition }
            }
            Some(shard) => {
                let definition = Box::new(PlacedSymbol { symbol: symbol.clone(), shard });
                Message::DefinePlacedSymbol { ticket, symbol: id, definition }
            }
        });
        self.finish(ticket, out);
        Ok(Step::Changed)
    }

    fn define_symbol(&mut self, symbol: NewSymbol, placed: Option<ShardId>) -> SymbolId {
        let id = self.registry.define_symbol(symbol, placed, self.placement);
        self.open_market(id);
        self.mix(u64::from(id.0) << 33);
        if let Some(shard) = placed {
            self.mix(u64::from(shard.0) << 35 | 1);
        }
        id
    }

    pub(crate) fn update_symbol(
        &mut self,
        symbol: SymbolId,
        patch: &SymbolPatch,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        self.registry.check_patch(symbol, patch)?;
        let ticket = self.ask_everyone(Question::Symbol(symbol), origin);
        self.change_symbol(ticket, self.here, symbol, patch);
        if patch.reference.is_some() && self.market(symbol).is_none() {
            let thirds = i32::from(self.placement.shards()) - 2;
            self.pending.get_mut(ticket).expect("was just opened").probes += thirds;
        }
        self.tell_peers(|| Message::UpdateSymbol { ticket, symbol, patch: Box::new(*patch) });
        self.finish(ticket, out);
        Ok(Step::Changed)
    }

    /// Changes a symbol's rules. A reference price goes the way of all others, from the symbol's
    /// shard to everyone: else it could overtake one of those, and two shards would know different
    /// ones for ever. The third shards tell the registrar, so that it answers when all know.
    fn change_symbol(
        &mut self,
        ticket: Ticket,
        registrar: ShardId,
        symbol: SymbolId,
        patch: &SymbolPatch,
    ) {
        self.registry.apply_patch(symbol, patch);
        self.mix(u64::from(symbol.0) << 34);
        if self.market(symbol).is_none() {
            return;
        }
        let Some(price) = patch.reference else { return };
        self.publish_reference(symbol, price);
        if registrar == self.here {
            return;
        }
        for third in self.placement.all() {
            if third != self.here && third != registrar {
                self.peers.push(third, Message::Probe { home: registrar, ticket });
            }
        }
    }

    pub(crate) fn on_update_symbol(
        &mut self,
        source: ShardId,
        ticket: Ticket,
        symbol: SymbolId,
        patch: &SymbolPatch,
        out: &mut Effects,
    ) {
        self.change_symbol(ticket, source, symbol, patch);
        self.deliver(source, Message::Defined { ticket }, out);
    }

    /// A question that every peer answers with `Defined`.
    pub(crate) fn ask_everyone(&mut self, question: Question, origin: Option<Origin>) -> Ticket {
        let ticket = self.pending.ticket();
        let others = u32::from(self.placement.shards()) - 1;
        self.pending.open(ticket, question, others, origin);
        ticket
    }

    pub(crate) fn on_define_asset(
        &mut self,
        source: ShardId,
        ticket: Ticket,
        asset: AssetId,
        definition: Asset,
        out: &mut Effects,
    ) {
        let id = self.registry.define_asset(definition);
        assert_eq!(id, asset, "the registrar's order of assets is everyone's");
        self.mix(u64::from(id.0) << 32);
        self.deliver(source, Message::Defined { ticket }, out);
    }

    pub(crate) fn on_define_symbol(
        &mut self,
        source: ShardId,
        ticket: Ticket,
        symbol: SymbolId,
        definition: NewSymbol,
        placed: Option<ShardId>,
        out: &mut Effects,
    ) {
        let id = self.define_symbol(definition, placed);
        assert_eq!(id, symbol, "the registrar's order of symbols is everyone's");
        self.deliver(source, Message::Defined { ticket }, out);
    }

    pub(crate) fn on_defined(&mut self, ticket: Ticket, out: &mut Effects) {
        let Some(pending) = self.pending.get_mut(ticket) else { return };
        pending.outstanding -= 1;
        self.finish(ticket, out);
    }
}

//! One shard, written a second time: its state, and what its inputs and messages do.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Command, Input, Message, OrderRef, PeerBatch, TradeView, WithdrawalView};
use money::{
    Asset, AssetId, Lots, OrderId, Placement, Price, ShardId, SymbolId, SymbolPatch, SymbolSpec,
    Units, UserId,
};

use super::books::NaiveMarket;
use super::home::NaiveOrder;
use super::identities::NaiveIdentities;

/// Ids given by the exchange begin here.
const FIRST_AUTOMATIC_USER: u64 = 1_001;

/// A symbol as this shard knows it.
#[derive(Clone)]
pub(crate) struct NaiveSymbol {
    pub spec: SymbolSpec,
    pub reference: Option<Price>,
    /// The shard that was asked for.
    pub placed: Option<ShardId>,
}

/// What the operator has to do with one asset.
#[derive(Clone, Copy, Default)]
pub(crate) struct House {
    pub deposits: Units,
    pub withdrawals: Units,
    pub fees: Units,
}

pub(crate) struct NaiveShard {
    pub here: ShardId,
    pub placement: Placement,
    pub now_ms: u64,
    pub assets: Vec<Asset>,
    pub symbols: Vec<NaiveSymbol>,
    pub identities: NaiveIdentities,
    /// References that came before their symbol.
    pub(super) early: BTreeMap<SymbolId, Price>,
    /// In the order of their creation.
    pub users: Vec<UserId>,
    pub(super) user_count: u64,
    /// All that came in less all that went out.
    pub(super) totals: BTreeMap<(UserId, AssetId), Units>,
    pub(super) payments: BTreeSet<(UserId, String)>,
    /// In the order of their requests.
    pub withdrawals: Vec<WithdrawalView>,
    /// May cancel and look, nothing else.
    pub(super) barred: BTreeSet<UserId>,
    pub house: BTreeMap<AssetId, House>,
    pub orders: BTreeMap<OrderId, NaiveOrder>,
    pub order_count: u64,
    /// Oldest first.
    pub trades: Vec<(UserId, TradeView)>,
    pub books: BTreeMap<SymbolId, NaiveMarket>,
    /// By peer: what of the messages names orders, trades and rules.
    pub told: Vec<Vec<Message>>,
    pub heard: Vec<Vec<Message>>,
}

impl NaiveShard {
    pub fn new(here: ShardId, placement: Placement) -> NaiveShard {
        let shards = usize::from(placement.shards());
        NaiveShard {
            here,
            placement,
            now_ms: 0,
            assets: Vec::new(),
            symbols: Vec::new(),
            identities: NaiveIdentities::default(),
            early: BTreeMap::new(),
            users: Vec::new(),
            user_count: FIRST_AUTOMATIC_USER.div_ceil(u64::from(placement.shards())),
            totals: BTreeMap::new(),
            payments: BTreeSet::new(),
            withdrawals: Vec::new(),
            barred: BTreeSet::new(),
            house: BTreeMap::new(),
            orders: BTreeMap::new(),
            order_count: 0,
            trades: Vec::new(),
            books: BTreeMap::new(),
            told: vec![Vec::new(); shards],
            heard: vec![Vec::new(); shards],
        }
    }

    pub fn step(&mut self, time_ms: u64, input: &Input) {
        self.now_ms = time_ms;
        match input {
            Input::Command(command) => self.command(command),
            Input::Peer(PeerBatch { source, messages, .. }) => {
                for message in messages {
                    self.heard[source.0 as usize].extend(essence(message));
                    self.handle(*source, message);
                }
            }
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Place(place) => self.place(place),
            Command::Cancel { user, order } => {
                let order = self.find(*user, *order);
                self.ask_to_cancel(order);
            }
            Command::Reduce { user, order, by } => {
                let order = self.find(*user, *order);
                self.ask_to_reduce(order, *by);
            }
            Command::Move { user, order, price } => {
                let order = self.find(*user, *order);
                self.ask_to_move(order, *price);
            }
            Command::CancelUser { user, symbol } => self.cancel_all(&[*user], *symbol, true),
            Command::CancelShard { symbol, .. } => {
                let users = self.users.clone();
                self.cancel_all(&users, *symbol, false);
            }
            Command::CreateUser { user, .. } => self.create_user(*user),
            Command::FreezeUser { user, frozen: true } => {
                self.barred.insert(*user);
            }
            Command::FreezeUser { user, frozen: false } => {
                self.barred.remove(user);
            }
            Command::Prove => {}
            Command::Deposit(transfer) => self.pay(transfer, true),
            Command::Withdraw(transfer) => self.pay(transfer, false),
            Command::RequestWithdrawal(request) => self.request_withdrawal(request),
            Command::EndWithdrawal { user, reference, confirm } => {
                self.end_withdrawal(*user, reference, *confirm);
            }
            Command::CreateAsset(asset) => {
                let id = AssetId(self.assets.len() as u32);
                self.assets.push(asset.clone());
                let definition = Box::new(asset.clone());
                self.tell_all(Message::DefineAsset { ticket: 0, asset: id, definition });
            }
            Command::CreateSymbol(new) => {
                let id = SymbolId(self.symbols.len() as u32);
                self.define_symbol(&new.spec, new.reference, None);
                let definition = new.clone();
                self.tell_all(Message::DefineSymbol { ticket: 0, symbol: id, definition });
            }
            Command::CreatePlacedSymbol(new) => {
                assert!(new.shard.0 < self.placement.shards(), "placed on no shard: {new:?}");
                let id = SymbolId(self.symbols.len() as u32);
                self.define_symbol(&new.symbol.spec, new.symbol.reference, Some(new.shard));
                let definition = new.clone();
                self.tell_all(Message::DefinePlacedSymbol { ticket: 0, symbol: id, definition });
            }
            Command::UpdateSymbol { symbol, patch } => {
                self.update_symbol(*symbol, patch);
                let (symbol, patch) = (*symbol, patch.clone());
                self.tell_all(Message::UpdateSymbol { ticket: 0, symbol, patch });
            }
            Command::Identity(asked) => {
                let change = Box::new(self.identities.decide(asked));
                self.identities.apply(&change);
                self.tell_all(Message::Identity { ticket: 0, change });
            }
        }
    }

    pub(super) fn handle(&mut self, source: ShardId, message: &Message) {
        match message {
            Message::Submit(submit) => self.match_order(submit),
            Message::Cancel { order, symbol, .. } => self.take_out(source, *order, *symbol),
            Message::Reduce { order, symbol, by, .. } => {
                self.make_smaller(source, *order, *symbol, *by)
            }
            Message::Move { order, symbol, price, .. } => {
                self.reprice(source, *order, *symbol, *price)
            }
            Message::Fill(fill) => self.settle(fill),
            Message::MakerExpired { order, at_ms } => self.expire(*order, *at_ms),
            Message::Done { order, answer, at_ms, .. } => self.done(*order, *answer, *at_ms),
            Message::Reference { symbol, price } => self.set_reference(*symbol, *price),
            Message::DefineAsset { definition, .. } => self.assets.push((**definition).clone()),
            Message::DefineSymbol { definition, .. } => {
                self.define_symbol(&definition.spec, definition.reference, None);
            }
            Message::DefinePlacedSymbol { definition, .. } => {
                let (new, asked) = (&definition.symbol, definition.shard);
                self.define_symbol(&new.spec, new.reference, Some(asked));
            }
            Message::UpdateSymbol { symbol, patch, .. } => self.update_symbol(*symbol, patch),
            Message::Identity { change, .. } => self.identities.apply(change),
            Message::Probe { .. }
            | Message::ProbeDone { .. }
            | Message::Defined { .. }
            | Message::Marker { .. }
            | Message::CutReport { .. } => {}
        }
    }

    /// Hands a message on, to itself at once.
    pub fn tell(&mut self, to: ShardId, message: Message) {
        if to == self.here {
            self.handle(to, &message);
        } else {
            self.told[to.0 as usize].extend(essence(&message));
        }
    }

    fn tell_all(&mut self, message: Message) {
        let here = self.here;
        for peer in self.placement.all().filter(|&peer| peer != here) {
            self.tell(peer, message.clone());
        }
    }

    fn find(&self, user: UserId, order: OrderRef) -> OrderId {
        match order {
            OrderRef::Id(id) => id,
            OrderRef::Cid(cid) => self.find_cid(user, cid).expect("was found by the engine"),
        }
    }

    pub fn find_cid(&self, user: UserId, cid: money::Cid) -> Option<OrderId> {
        let mut orders = self.orders.values().map(|order| &order.view);
        orders.find(|view| view.user == user && view.cid == Some(cid)).map(|view| view.order)
    }

    fn create_user(&mut self, user: Option<UserId>) {
        let user = user.unwrap_or_else(|| {
            let (shards, here) = (u64::from(self.placement.shards()), u64::from(self.here.0));
            let id = |count: u64| UserId(count * shards + here);
            while self.users.contains(&id(self.user_count)) {
                self.user_count += 1;
            }
            self.user_count += 1;
            id(self.user_count - 1)
        });
        assert!(!self.users.contains(&user), "user {user} was created twice");
        self.users.push(user);
    }

    pub fn check_allowed(&self, user: UserId) {
        assert!(!self.barred.contains(&user), "user {user} is frozen");
    }

    pub fn total(&self, user: UserId, asset: AssetId) -> Units {
        self.totals.get(&(user, asset)).copied().unwrap_or(0)
    }

    /// What the open orders and pending withdrawals hold, counted anew.
    pub fn frozen(&self, user: UserId, asset: AssetId) -> Units {
        let orders = self.orders.values().filter(|order| order.view.user == user);
        let held: Units =
            orders.map(|order| order.frozen(self.spec(order.view.symbol), asset)).sum();
        held + self.requested(user, asset)
    }

    pub fn avail(&self, user: UserId, asset: AssetId) -> Units {
        let frozen = self.frozen(user, asset);
        self.total(user, asset).checked_sub(frozen).expect("no more is frozen than there is")
    }

    pub fn receive(&mut self, user: UserId, asset: AssetId, amount: Units) {
        *self.totals.entry((user, asset)).or_default() += amount;
    }

    pub fn spend(&mut self, user: UserId, asset: AssetId, amount: Units) {
        let total = self.totals.entry((user, asset)).or_default();
        *total = total.checked_sub(amount).expect("nobody spends more than there is");
    }

    pub fn symbol(&self, symbol: SymbolId) -> &NaiveSymbol {
        &self.symbols[symbol.0 as usize]
    }

    pub fn spec(&self, symbol: SymbolId) -> &SymbolSpec {
        &self.symbol(symbol).spec
    }

    /// Where a symbol's book is.
    pub fn shard_of(&self, symbol: SymbolId) -> ShardId {
        let number = match self.symbol(symbol).placed {
            Some(ShardId(asked)) => u32::from(asked),
            None => symbol.0,
        };
        ShardId((number % u32::from(self.placement.shards())) as u16)
    }

    fn define_symbol(
        &mut self,
        spec: &SymbolSpec,
        reference: Option<Price>,
        placed: Option<ShardId>,
    ) {
        let id = SymbolId(self.symbols.len() as u32);
        let reference = self.early.remove(&id).or(reference);
        self.symbols.push(NaiveSymbol { spec: spec.clone(), reference, placed });
        if self.shard_of(id) == self.here {
            self.books.insert(id, NaiveMarket::new(spec));
        }
    }

    fn update_symbol(&mut self, symbol: SymbolId, patch: &SymbolPatch) {
        let known = &mut self.symbols[symbol.0 as usize];
        known.spec.rules = patch.apply(known.spec.rules);
        if let (Some(price), true) = (patch.reference, self.books.contains_key(&symbol)) {
            self.publish(symbol, price);
        }
    }

    fn set_reference(&mut self, symbol: SymbolId, price: Price) {
        match self.symbols.get_mut(symbol.0 as usize) {
            Some(known) => known.reference = Some(price),
            None => {
                self.early.insert(symbol, price);
            }
        }
    }

    /// Tells everybody the reference price of a symbol that lives here.
    pub fn publish(&mut self, symbol: SymbolId, price: Price) {
        self.set_reference(symbol, price);
        self.tell_all(Message::Reference { symbol, price });
    }
}

/// What of a message the oracle knows: no tickets, nothing about who waits for whom, no proofs.
fn essence(message: &Message) -> Option<Message> {
    let mut message = message.clone();
    match &mut message {
        Message::Submit(submit) => submit.ticket = 0,
        Message::Cancel { ticket, .. }
        | Message::Reduce { ticket, .. }
        | Message::Move { ticket, .. }
        | Message::DefineAsset { ticket, .. }
        | Message::DefineSymbol { ticket, .. }
        | Message::DefinePlacedSymbol { ticket, .. }
        | Message::UpdateSymbol { ticket, .. }
        | Message::Identity { ticket, .. } => *ticket = 0,
        Message::Done { ticket, probes, .. } => (*ticket, *probes) = (0, 0),
        Message::Fill(_) | Message::MakerExpired { .. } | Message::Reference { .. } => {}
        Message::Probe { .. }
        | Message::ProbeDone { .. }
        | Message::Defined { .. }
        | Message::Marker { .. }
        | Message::CutReport { .. } => return None,
    }
    Some(message)
}

/// No lots.
pub(super) const NOTHING: Lots = Lots(0);

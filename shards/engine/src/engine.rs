//! The state machine itself: one step from input to effects.

use book::FastBook;
use identity::Identities;
use ledger::{Account, Ledger, Payments, Withdrawals};
use money::{OrderId, Placement, ShardId, SymbolId, UserId};

use crate::command::{Command, Input, PlacedSymbol};
use crate::cut::Cuts;
use crate::effect::Effects;
use crate::history::{Tape, TradeHistory};
use crate::klines::Klines;
use crate::message::{Message, PeerBatch};
use crate::orders::Orders;
use crate::peers::{Peers, SequenceGap};
use crate::pending::PendingQuestions;
use crate::registry::Registry;
use crate::reply::{Origin, Refusal, Reply};

/// Who this shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// This shard.
    pub shard: ShardId,
    /// All shards of the node.
    pub shards: u16,
    /// Seed of the hash maps. Reaches no output; drawn anew by every process.
    pub hash_seed: u64,
}

/// The book of a symbol that lives here, and what it has done.
#[derive(Debug)]
pub(crate) struct Market {
    pub book: FastBook,
    pub last_trade: u64,
    pub last_update: u64,
    pub tape: Tape,
    pub klines: Klines,
}

/// Whether a step changed the state. One that did not need not be journaled: replaying without it
/// gives the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a step that changed the state must be journaled"]
pub enum Step {
    /// The input must be journaled.
    Changed,
    /// Refused, or known already.
    Unchanged,
}

/// One shard.
#[derive(Debug)]
pub struct Engine {
    pub(crate) here: ShardId,
    pub(crate) placement: Placement,
    pub(crate) hash_seed: u64,
    /// Time of the step under way; never goes back.
    pub(crate) now_ms: u64,
    pub(crate) registry: Registry,
    pub(crate) identities: Identities,
    pub(crate) ledger: Ledger,
    pub(crate) payments: Payments,
    pub(crate) withdrawals: Withdrawals,
    pub(crate) orders: Orders,
    pub(crate) history: TradeHistory,
    /// By symbol id; `None` where another shard owns it.
    pub(crate) markets: Vec<Option<Box<Market>>>,
    pub(crate) peers: Peers,
    pub(crate) pending: PendingQuestions,
    pub(crate) cuts: Cuts,
    /// Orders of this shard so far: the count inside the next order id.
    pub(crate) order_count: u64,
    /// Of them, since this engine was made, those whose book is on another shard. Only counted: no part
    /// of the state.
    pub(crate) crossing_count: u64,
    /// The count inside the next automatic user id.
    pub(crate) user_count: u64,
    pub(crate) state_hash: u64,
    pub(crate) book_events: Vec<book::Event>,
    pub(crate) probed: Vec<ShardId>,
    /// Scratch: what a change of identities has ended.
    pub(crate) ended: Vec<identity::Ended>,
}

/// First user id that is given when an administrator names none.
const FIRST_AUTOMATIC_USER: u64 = 1_001;

impl Engine {
    /// An empty shard.
    pub fn new(config: EngineConfig) -> Engine {
        let EngineConfig { shard, shards, hash_seed } = config;
        let placement = Placement::new(shards);
        assert!(shard.0 < shards, "a shard is one of its node's");
        Engine {
            here: shard,
            placement,
            hash_seed,
            now_ms: 0,
            registry: Registry::default(),
            identities: Identities::default(),
            ledger: Ledger::new(hash_seed),
            payments: Payments::default(),
            withdrawals: Withdrawals::default(),
            orders: Orders::new(hash_seed),
            history: TradeHistory::new(),
            markets: Vec::new(),
            peers: Peers::new(shard, shards),
            pending: PendingQuestions::new(hash_seed),
            cuts: Cuts::default(),
            order_count: 0,
            crossing_count: 0,
            user_count: FIRST_AUTOMATIC_USER.div_ceil(u64::from(shards)),
            state_hash: 0,
            book_events: Vec::new(),
            probed: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Applies one input. What it causes is appended to `out`; the caller holds it back until the
    /// input's record is durable.
    ///
    /// `origin` is who waits for the answer to a command; `None` in a replay.
    ///
    /// # Panics
    /// When a peer batch does not follow on the one before: pass it through [`Engine::admit`].
    pub fn step(
        &mut self,
        now_ms: u64,
        input: &Input,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Step {
        self.now_ms = self.now_ms.max(now_ms);
        let step = match input {
            Input::Command(command) => self.command(command, origin, out),
            Input::Peer(batch) => {
                self.peer_batch(batch, out);
                Step::Changed
            }
        };
        self.peers.drain_touched(&mut out.sends);
        step
    }

    /// What of a peer's batch is new. `None` when all of it was applied before.
    pub fn admit(&self, batch: PeerBatch) -> Result<Option<PeerBatch>, SequenceGap> {
        self.peers.admit(batch)
    }

    /// The time of the last step: what to journal it under.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// This shard.
    pub fn shard(&self) -> ShardId {
        self.here
    }

    /// Who owns what.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The account of a user at home here.
    pub fn account_of(&self, user: UserId) -> Option<Account> {
        self.ledger.account(user)
    }

    /// Assets and symbols.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Roles, keys and sessions: the same on every shard, but for what is under way.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// The number of the last message applied from a peer: what it is told after a restart.
    pub fn applied(&self, from: ShardId) -> u64 {
        self.peers.applied(from)
    }

    /// Forgets messages to a peer that it has applied durably. Not part of the replayed state.
    pub fn confirm(&mut self, to: ShardId, confirmed: u64) {
        self.peers.confirm(to, confirmed);
    }

    /// The last message that a peer has confirmed.
    pub fn confirmed(&self, to: ShardId) -> u64 {
        self.peers.kept(to).0 - 1
    }

    /// The number of the last message to a peer, sent or not.
    pub fn last_message(&self, to: ShardId) -> u64 {
        self.peers.last(to)
    }

    /// A batch of up to `limit` kept messages to `to`, with numbers in `first..=last`. `confirmed`
    /// is the last message from `to` that is durably applied here.
    pub fn outgoing(
        &self,
        to: ShardId,
        first: u64,
        last: u64,
        limit: usize,
        confirmed: u64,
    ) -> PeerBatch {
        let (first_sequence, messages) = self.peers.outgoing(to, first, last, limit);
        PeerBatch { source: self.here, first_sequence, confirmed, messages }
    }

    /// A running hash of everything that the inputs have caused. Equal on a replay.
    pub fn state_hash(&self) -> u64 {
        self.state_hash
    }

    #[inline]
    pub(crate) fn mix(&mut self, value: u64) {
        // One multiplication: the hot path must not feel it.
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        self.state_hash = (self.state_hash.rotate_left(23) ^ value).wrapping_mul(ODD);
    }

    fn command(&mut self, command: &Command, origin: Option<Origin>, out: &mut Effects) -> Step {
        let result = match command {
            Command::Place(place) => self.place(place, origin, out),
            Command::Cancel { user, order } => self.cancel(*user, *order, origin, out),
            Command::Reduce { user, order, by } => self.reduce(*user, *order, *by, origin, out),
            Command::Move { user, order, price } => {
                self.move_price(*user, *order, *price, origin, out)
            }
            Command::CancelUser { user, symbol } => self.cancel_user(*user, *symbol, origin, out),
            Command::CancelShard { symbol, .. } => self.cancel_shard(*symbol, origin, out),
            Command::CreateUser { user, name, .. } => {
                self.create_user(*user, name.clone(), origin, out)
            }
            Command::FreezeUser { user, frozen } => self.freeze_user(*user, *frozen, origin, out),
            Command::Deposit(transfer) => self.deposit(transfer, origin, out),
            Command::Withdraw(transfer) => self.withdraw(transfer, origin, out),
            Command::CreateAsset(asset) => self.create_asset(asset, origin, out),
            Command::CreateSymbol(symbol) => self.create_symbol(symbol, None, origin, out),
            Command::UpdateSymbol { symbol, patch } => {
                self.update_symbol(*symbol, patch, origin, out)
            }
            Command::Prove => self.prove(origin, out),
            Command::Identity(change) => self.change_identity(change, origin, out),
            Command::RequestWithdrawal(request) => self.request_withdrawal(request, origin, out),
            Command::EndWithdrawal { user, reference, confirm } => {
                self.end_withdrawal(*user, reference, *confirm, origin, out)
            }
            Command::CreatePlacedSymbol(placed) => {
                self.create_symbol(&placed.symbol, Some(placed.shard), origin, out)
            }
        };
        result.unwrap_or_else(|refusal| {
            reply(out, origin, || Reply::Refused(refusal));
            Step::Unchanged
        })
    }

    fn peer_batch(&mut self, batch: &PeerBatch, out: &mut Effects) {
        self.peers.apply(batch);
        self.peers.confirm(batch.source, batch.confirmed);
        self.mix(batch.last_sequence() ^ u64::from(batch.source.0) << 48);
        for message in &batch.messages {
            self.observe_cuts(batch.source, message);
            self.handle(batch.source, message.clone(), out);
        }
    }

    /// Hands a message to a shard: by a call when it is this one.
    #[inline]
    pub(crate) fn deliver(&mut self, to: ShardId, message: Message, out: &mut Effects) {
        if to == self.here {
            self.handle(to, message, out);
        } else {
            self.peers.push(to, message);
        }
    }

    pub(crate) fn tell_peers(&mut self, mut message: impl FnMut() -> Message) {
        for to in self.placement.all() {
            if to != self.here {
                self.peers.push(to, message());
            }
        }
    }

    fn handle(&mut self, source: ShardId, message: Message, out: &mut Effects) {
        match message {
            Message::Submit(submit) => self.on_submit(&submit, out),
            Message::Cancel { ticket, order, symbol } => {
                self.on_cancel(source, ticket, order, symbol, out)
            }
            Message::Reduce { ticket, order, symbol, by } => {
                self.on_reduce(source, ticket, order, symbol, by, out);
            }
            Message::Move { ticket, order, symbol, price } => {
                self.on_move(source, ticket, order, symbol, price, out);
            }
            Message::Fill(fill) => self.on_fill(&fill, out),
            Message::MakerExpired { order, at_ms } => self.on_maker_expired(order, at_ms, out),
            Message::Done { ticket, order, answer, probes, at_ms } => {
                self.on_done(ticket, order, answer, probes, at_ms, out);
            }
            Message::Probe { home, ticket } => {
                self.deliver(home, Message::ProbeDone { ticket }, out)
            }
            Message::ProbeDone { ticket } => self.on_probe_done(ticket, out),
            Message::Reference { symbol, price } => self.registry.set_reference(symbol, price),
            Message::DefineAsset { ticket, asset, definition } => {
                self.on_define_asset(source, ticket, asset, *definition, out);
            }
            Message::DefineSymbol { ticket, symbol, definition } => {
                self.on_define_symbol(source, ticket, symbol, *definition, None, out);
            }
            Message::DefinePlacedSymbol { ticket, symbol, definition } => {
                let PlacedSymbol { symbol: new, shard } = *definition;
                self.on_define_symbol(source, ticket, symbol, new, Some(shard), out);
            }
            Message::UpdateSymbol { ticket, symbol, patch } => {
                self.on_update_symbol(source, ticket, symbol, &patch, out);
            }
            Message::Defined { ticket } => self.on_defined(ticket, out),
            Message::Marker { ticket } => self.on_marker(source, ticket, out),
            Message::CutReport { ticket, first, totals, is_last } => {
                self.on_cut_report(ticket, first, &totals, is_last, out);
            }
            Message::Identity { ticket, change } => self.on_identity(source, ticket, &change, out),
        }
    }

    pub(crate) fn account(&self, user: UserId) -> Result<Account, Refusal> {
        self.ledger.account(user).ok_or(Refusal::UnknownUser)
    }

    /// The shard that has a symbol's book.
    #[inline]
    pub(crate) fn shard_of(&self, symbol: SymbolId) -> ShardId {
        self.registry.shard_of(symbol, self.placement)
    }

    pub(crate) fn market(&self, symbol: SymbolId) -> Option<&Market> {
        self.markets.get(symbol.0 as usize)?.as_deref()
    }

    pub(crate) fn market_mut(&mut self, symbol: SymbolId) -> Option<&mut Market> {
        self.markets.get_mut(symbol.0 as usize)?.as_deref_mut()
    }

    pub(crate) fn next_order_id(&self) -> Result<OrderId, Refusal> {
        OrderId::compose(self.here, self.order_count + 1).ok_or(Refusal::IdsExhausted)
    }
}

/// Answers, if somebody waits.
#[inline]
pub(crate) fn reply(out: &mut Effects, origin: Option<Origin>, reply: impl FnOnce() -> Reply) {
    if let Some(origin) = origin {
        out.replies.push((origin, reply()));
    }
}

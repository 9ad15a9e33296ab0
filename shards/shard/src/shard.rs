//! See the crate's documentation.

use engine::{
    AssetTotals, Command, Effects, Engine, EngineConfig, EngineStatus, Event, ImageError, Input,
    Message, Origin, PeerBatch, Query, Refusal, Reply, SequenceGap, Step,
};
use journal::{
    AppendError, Batch, Disk, Durable, Gate, Journal, JournalConfig, JournalError,
    MAX_PEER_MESSAGES, MAX_RECORD_BYTES, RecoverError, Recovered, Recovery, Written,
};
use money::{ShardId, UserId};

use crate::rebuild::Rebuild;
use crate::snapshot::Checkpoint;

/// Messages that a shard applies from a peer, durably, before it says so without having anything
/// else to say. What the peer keeps meanwhile is bounded by this and by what it sends in a round
/// trip.
pub const CONFIRM_EVERY_MESSAGES: u64 = 1_024;

/// Most bytes that a message takes in a record without its list; 190 is the longest that a test of
/// the journal's encoding found.
const MESSAGE_BYTES: usize = 256;
/// Most bytes that a change of a role, a key or a session takes beside its message: a key with all its
/// networks is the longest.
const CHANGE_BYTES: usize = 768;
/// What a record takes beside its messages, generously.
const RECORD_HEADER_BYTES: usize = 1_024;

/// What a gateway asks of a shard.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Journaled.
    Command(Command),
    /// Not journaled.
    Query(Query),
}

/// What leaves a shard.
#[derive(Debug)]
pub enum Output {
    /// An answer for a gateway.
    Reply(Origin, Reply),
    /// Messages for a peer.
    Send(ShardId, PeerBatch),
    /// Something happened; but for the end of credentials only when somebody watches.
    Event(Event),
    /// What [`Shard::announce_durable`] was called with.
    Durable(u64),
}

/// What waits in the gate.
#[derive(Debug)]
enum Kept {
    Reply(Origin, Reply),
    /// Messages up to this number may be sent to the peer.
    Send(ShardId, u64),
    /// Messages from the peer up to this number are applied.
    Applied(ShardId, u64),
    Event(Event),
    Announce(u64),
}

/// Where the messages to one peer, and from it, stand.
#[derive(Clone, Copy, Debug, Default)]
struct Exchange {
    /// Last message that may be sent.
    releasable: u64,
    /// Last message handed to the transport.
    sent: u64,
    /// Last message from the peer that is durably applied here.
    applied: u64,
    /// The peer has been told so up to here.
    told: u64,
}

/// Why a shard must stop. Nothing that is not durable has left it.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The journal cannot go on.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// A record could not be appended although there was room before the step.
    #[error("journal: {0}")]
    Append(#[from] AppendError),
    /// The transport lost or reordered messages.
    #[error("mesh: {0}")]
    Gap(#[from] SequenceGap),
}

/// Why a recovered shard and a peer do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "shard {peer} has applied message {applied} of shard {here}, which has sent only {last}: \
     the journal of shard {here} has lost its end"
)]
pub struct ResumeError {
    /// The peer that knows more.
    pub peer: ShardId,
    /// This shard.
    pub here: ShardId,
    /// What the peer has applied.
    pub applied: u64,
    /// What this shard has sent.
    pub last: u64,
}

/// Why a shard could not be recovered from its journal.
#[derive(Debug, thiserror::Error)]
#[error("shard {shard}: {cause}")]
pub struct RecoverShardError {
    /// Which shard.
    pub shard: ShardId,
    /// Why.
    pub cause: RecoverError<ImageError>,
}

/// What a shard reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ShardStatus {
    /// What it holds.
    pub engine: EngineStatus,
    /// The last record appended.
    pub appended_lsn: u64,
    /// The last record that is durable.
    pub durable_lsn: u64,
    /// Effects that wait in the gate.
    pub gate_depth: u64,
}

/// One shard: engine, journal and gate.
pub struct Shard<D: Disk> {
    engine: Engine,
    journal: Journal<D>,
    gate: Gate<Kept>,
    exchanges: Vec<Exchange>,
    effects: Effects,
    report: Recovery,
}

impl<D: Disk> Shard<D> {
    /// Loads the newest snapshot, replays the journal behind it and makes the shard that goes on
    /// from there. `progress` is told the number of every record.
    pub async fn recover(
        disk: D,
        journal: JournalConfig,
        hash_seed: u64,
        now_ms: u64,
        progress: impl FnMut(u64),
    ) -> Result<Shard<D>, RecoverShardError> {
        let shard = journal.shard;
        let config = EngineConfig { shard, shards: journal.shards, hash_seed };
        let mut rebuild = Rebuild::new(config, progress);
        let recovered = journal::recover(disk, journal, now_ms, &mut rebuild).await;
        let recovered = recovered.map_err(|cause| RecoverShardError { shard, cause })?;
        let (engine, effects) = (rebuild.into_engine(), Effects::default());
        let exchange = |peer| Exchange {
            releasable: engine.last_message(peer),
            sent: engine.last_message(peer),
            applied: engine.applied(peer),
            told: 0,
        };
        let exchanges = engine.placement().all().map(exchange).collect();
        let Recovered { journal, report } = recovered;
        Ok(Shard { engine, journal, gate: Gate::new(), exchanges, effects, report })
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The journal, to prepare segments and to look at.
    pub fn journal(&self) -> &Journal<D> {
        &self.journal
    }

    /// As [`Shard::journal`].
    pub fn journal_mut(&mut self) -> &mut Journal<D> {
        &mut self.journal
    }

    /// What the recovery met.
    pub fn recovery(&self) -> &Recovery {
        &self.report
    }

    /// Whether trades and levels of this shard's books come out as [`Output::Event`]s.
    pub fn watch_market(&mut self, wanted: bool) {
        self.effects.watch.market = wanted;
    }

    /// Whether a user's orders, trades and balances come out as [`Output::Event`]s. `false` when there
    /// is no such user here.
    pub fn watch_user(&mut self, user: UserId, wanted: bool) -> bool {
        let Some(account) = self.engine.account_of(user) else { return false };
        self.effects.watch.set(account, wanted);
        true
    }

    /// Whether commands are admitted: the journal has room and the disk has space. Peers' messages
    /// are taken beyond that, out of the reserve.
    pub fn admits(&self) -> bool {
        self.journal.admits() && self.journal.has_room()
    }

    /// Whether a peer's batch can be taken now; if not, after the next [`Shard::written`].
    pub fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    /// Applies a command. Refuses it as busy when there is no room: nothing has changed then.
    pub fn command(
        &mut self,
        now_ms: u64,
        command: Command,
        origin: Option<Origin>,
    ) -> Result<(), ShardError> {
        if !self.admits() {
            if let Some(origin) = origin {
                self.hold(Kept::Reply(origin, Reply::Refused(Refusal::Busy)));
            }
            return Ok(());
        }
        self.apply(now_ms, &Input::Command(command), origin)
    }

    /// Answers a query. The answer waits until everything that it shows is durable.
    pub fn query(&mut self, query: &Query, origin: Origin) {
        let reply = self.engine.query(query);
        self.hold(Kept::Reply(origin, reply));
    }

    /// Lets [`Output::Durable`] come out once everything applied so far is durable: for an answer
    /// that the caller made himself from what he saw.
    pub fn announce_durable(&mut self, token: u64) {
        self.hold(Kept::Announce(token));
    }

    /// Applies what is new of a peer's batch. The caller makes sure of [`Shard::has_room`].
    pub fn peer(&mut self, now_ms: u64, batch: PeerBatch) -> Result<(), ShardError> {
        let (source, confirmed) = (batch.source, batch.confirmed);
        let Some(batch) = self.engine.admit(batch)? else {
            // Only news about what the peer has: not worth a record, a replay learns it anew.
            self.engine.confirm(source, confirmed);
            return Ok(());
        };
        let last = batch.last_sequence();
        self.apply(now_ms, &Input::Peer(batch), None)?;
        self.hold(Kept::Applied(source, last));
        Ok(())
    }

    fn apply(
        &mut self,
        now_ms: u64,
        input: &Input,
        origin: Option<Origin>,
    ) -> Result<(), ShardError> {
        let step = self.engine.step(now_ms, input, origin, &mut self.effects);
        if step == Step::Changed {
            self.journal.append(self.engine.now_ms(), input)?;
        }
        let lsn = self.journal.last();
        for event in self.effects.events.drain(..) {
            self.gate.hold(lsn, Kept::Event(event));
        }
        for (to, last) in self.effects.sends.drain(..) {
            self.gate.hold(lsn, Kept::Send(to, last));
        }
        for (origin, reply) in self.effects.replies.drain(..) {
            self.gate.hold(lsn, Kept::Reply(origin, reply));
        }
        Ok(())
    }

    fn hold(&mut self, kept: Kept) {
        self.gate.hold(self.journal.last(), kept);
    }

    /// The next write job, if something has gathered and none is under way.
    pub fn take_batch(&mut self) -> Option<Batch<D>> {
        self.journal.take_batch()
    }

    /// Takes a finished write job back. What it made durable leaves with the next
    /// [`Shard::release`].
    pub fn written(&mut self, written: Written<D>) -> Result<Durable, ShardError> {
        Ok(self.journal.complete(written)?)
    }

    /// Lets go everything whose record is durable. Messages come out as one run of batches per peer,
    /// behind the answers.
    pub fn release(&mut self, out: &mut Vec<Output>) {
        let durable = self.journal.durable();
        let (gate, exchanges) = (&mut self.gate, &mut self.exchanges);
        for kept in gate.release(durable) {
            match kept {
                Kept::Reply(origin, reply) => out.push(Output::Reply(origin, reply)),
                Kept::Event(event) => out.push(Output::Event(event)),
                Kept::Announce(token) => out.push(Output::Durable(token)),
                Kept::Send(to, last) => exchanges[to.0 as usize].releasable = last,
                Kept::Applied(from, last) => exchanges[from.0 as usize].applied = last,
            }
        }
        for peer in self.engine.placement().all() {
            self.send(peer, out);
        }
    }

    /// Hands the transport what may be sent to a peer and was not yet.
    fn send(&mut self, to: ShardId, out: &mut Vec<Output>) {
        let exchange = &mut self.exchanges[to.0 as usize];
        let confirm_alone = exchange.applied >= exchange.told + CONFIRM_EVERY_MESSAGES;
        if exchange.sent == exchange.releasable && confirm_alone {
            out.push(Output::Send(to, confirmation(&self.engine, exchange)));
        }
        while exchange.sent < exchange.releasable {
            let (first, last) = (exchange.sent + 1, exchange.releasable);
            let mut batch =
                self.engine.outgoing(to, first, last, MAX_PEER_MESSAGES, exchange.applied);
            cut_to_record(&mut batch);
            exchange.sent = batch.last_sequence();
            exchange.told = exchange.applied;
            out.push(Output::Send(to, batch));
        }
    }

    /// Tells every peer what has been applied since it was last told: now and then, so that a quiet
    /// shard's peers need not keep what it has long had.
    pub fn confirm_all(&mut self, out: &mut Vec<Output>) {
        for peer in self.engine.placement().all() {
            let exchange = &mut self.exchanges[peer.0 as usize];
            if exchange.applied > exchange.told {
                out.push(Output::Send(peer, confirmation(&self.engine, exchange)));
            }
        }
    }

    /// What a recovered shard tells a peer: the last of its messages that is applied here.
    pub fn greeting(&self, to: ShardId) -> u64 {
        self.engine.applied(to)
    }

    /// Takes a peer's greeting: what it has not applied is sent again with the next release.
    pub fn resume(&mut self, peer: ShardId, applied: u64) -> Result<(), ResumeError> {
        let last = self.engine.last_message(peer);
        if applied > last {
            return Err(ResumeError { peer, here: self.engine.shard(), applied, last });
        }
        self.engine.confirm(peer, applied);
        self.exchanges[peer.0 as usize].sent = applied;
        Ok(())
    }

    /// What a snapshot of the state as it is now must be like. It may begin when the record is durable,
    /// see [`Shard::status`].
    pub fn checkpoint(&self) -> Checkpoint {
        let peers = self.engine.placement().all();
        Checkpoint {
            shard: self.engine.shard(),
            lsn: self.journal.last().0,
            state_hash: self.engine.state_hash(),
            confirmed: peers.map(|peer| self.engine.confirmed(peer)).collect(),
        }
    }

    /// What this shard reports.
    pub fn status(&self) -> ShardStatus {
        ShardStatus {
            engine: self.engine.status(),
            appended_lsn: self.journal.last().0,
            durable_lsn: self.journal.durable().lsn().0,
            gate_depth: self.gate.len() as u64,
        }
    }

    /// Whether everything appended is durable and has left.
    pub fn is_settled(&self) -> bool {
        self.gate.is_empty() && self.journal.is_settled()
    }
}

/// Takes off the end of a batch what the receiver's record might have no room for: it would have to
/// stop, and again after every restart. Only messages that hold a list of their own are long, and those
/// with a key or a password's hash.
fn cut_to_record(batch: &mut PeerBatch) {
    let mut left = MAX_RECORD_BYTES - RECORD_HEADER_BYTES;
    let fitting = batch.messages.iter().take_while(|message| {
        let list = match message {
            Message::CutReport { totals, .. } => totals.len() * size_of::<AssetTotals>(),
            Message::Identity { .. } => CHANGE_BYTES,
            _ => 0,
        };
        let fits = MESSAGE_BYTES + list <= left;
        left = left.saturating_sub(MESSAGE_BYTES + list);
        fits
    });
    // The first one goes in any case: alone it fits, or nothing can be done here.
    let count = fitting.count().max(1);
    batch.messages.truncate(count);
}

fn confirmation(engine: &Engine, exchange: &mut Exchange) -> PeerBatch {
    exchange.told = exchange.applied;
    PeerBatch {
        source: engine.shard(),
        first_sequence: exchange.sent + 1,
        confirmed: exchange.applied,
        messages: Vec::new(),
    }
}

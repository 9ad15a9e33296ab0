//! One shard as the runtime drives it: the twin of `runtime`'s node, commit and tick.
//!
//! The order of calls is the runtime's. What there are tasks and notices are here flags that the
//! scheduler looks at, so it may put anything between any two of them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use engine::{Command, Event, Origin, PeerBatch, Query, Refusal, Reply, Transfer};
use identity::Ended;
use journal::{Prepared, Written};
use money::{Placement, ShardId, WithdrawalStatus};
use shard::{Output, Request, Shard, ShardError};

use crate::disk::SimDisk;
use crate::mesh::{Mesh, Parcel, Token};
use crate::mutation::Mutation;
use crate::snapshots::Snapshots;
use crate::task::Task;

/// An answer for a gateway of this shard.
pub(crate) type Answer = (Token, engine::Reply);

pub(crate) struct Node {
    pub here: ShardId,
    pub placement: Placement,
    pub shard: Shard<SimDisk>,
    inbox: VecDeque<(ShardId, Parcel)>,
    /// What goes to each peer at the end of the turn.
    parcels: Vec<Parcel>,
    outputs: Vec<Output>,
    pub answers: Vec<Answer>,
    /// Answers about identities that this shard has just let go.
    pub released: Vec<Answer>,
    /// What of credentials was told to have ended, since the start.
    pub ended: Vec<Ended>,
    commit: Option<Task<Written<SimDisk>>>,
    preparation: Option<Task<Prepared<SimDisk>>>,
    /// Something is to be taken in, let go or sent.
    pub wants_turn: bool,
    /// Something has gathered in the journal.
    wants_commit: bool,
    mutation: Option<Mutation>,
    /// How many shards are short of room on disk, shared by all; and whether this one is.
    short_shards: Rc<Cell<usize>>,
    is_short: bool,
    pub snapshots: Snapshots,
    /// The batch on its way is the first of its segment.
    is_switching: bool,
    /// Requests of this gateway without an answer.
    waiting: usize,
    /// Turns that ended because the journal had no room.
    pub stalls: u64,
    /// The state hash after each record since the start, from the one behind `first_lsn`.
    pub hashes: Vec<u64>,
    pub first_lsn: u64,
}

impl Node {
    pub fn new(shard: Shard<SimDisk>, mutation: Option<Mutation>) -> Node {
        let (here, placement) = (shard.engine().shard(), shard.engine().placement());
        let first_lsn = shard.journal().last().0;
        Node {
            here,
            placement,
            shard,
            inbox: VecDeque::new(),
            parcels: placement.all().map(|_| Parcel::default()).collect(),
            outputs: Vec::new(),
            answers: Vec::new(),
            released: Vec::new(),
            ended: Vec::new(),
            commit: None,
            preparation: None,
            wants_turn: false,
            wants_commit: false,
            mutation,
            short_shards: Rc::default(),
            is_short: false,
            snapshots: Snapshots::default(),
            is_switching: false,
            waiting: 0,
            stalls: 0,
            hashes: Vec::new(),
            first_lsn,
        }
    }

    /// Before the first turn: the rest of what the runtime does once all shards are recovered.
    pub fn begin(&mut self, now_ms: u64, short_shards: Rc<Cell<usize>>) {
        self.short_shards = short_shards;
        self.prepare(now_ms);
        self.wants_turn = true;
    }

    /// A parcel has arrived.
    pub fn receive(&mut self, from: ShardId, parcel: Parcel) {
        self.inbox.push_back((from, parcel));
        self.wants_turn = true;
    }

    /// Whether the gateway turns requests away, at so many without an answer.
    pub fn is_full(&self, most_waiting: usize) -> bool {
        self.waiting >= most_waiting
    }

    /// A connection of this shard's gateway asks.
    pub fn request(
        &mut self,
        now_ms: u64,
        token: Token,
        request: Request,
    ) -> Result<(), ShardError> {
        let owner = match &request {
            Request::Command(command) => command.owner(self.placement),
            Request::Query(query) => query.owner(self.placement, self.shard.engine().registry()),
        };
        self.wants_turn = true;
        self.waiting += 1;
        if owner == self.here {
            return self.apply(now_ms, self.here, token, request);
        }
        self.parcels[owner.0 as usize].asks.push((token, request));
        Ok(())
    }

    fn apply(
        &mut self,
        now_ms: u64,
        from: ShardId,
        token: Token,
        request: Request,
    ) -> Result<(), ShardError> {
        let origin = Origin { shard: from, token };
        match request {
            Request::Command(_) if self.short_shards.get() > 0 => {
                self.dispatch(Output::Reply(origin, Reply::Refused(Refusal::Busy)));
            }
            Request::Command(Command::Identity(change))
                if self.mutation == Some(Mutation::EarlyIdentity) =>
            {
                let decided = self.shard.engine().identities().decide(&change);
                let reply = match decided {
                    Ok((_, outcome)) => Reply::Identity(outcome),
                    Err(refusal) => Reply::Refused(Refusal::Identity(refusal)),
                };
                self.shard.command(now_ms, Command::Identity(change), None)?;
                self.dispatch(Output::Reply(origin, reply));
            }
            Request::Command(command) => {
                let again = self.plant_payout(&command);
                self.shard.command(now_ms, command, Some(origin))?;
                if let Some(again) = again {
                    self.note_hash();
                    self.shard.command(now_ms, again, None)?;
                }
            }
            Request::Query(query) if self.mutation == Some(Mutation::ReadBeforeDurable) => {
                let reply = self.shard.engine().query(&query);
                self.dispatch(Output::Reply(origin, reply));
            }
            Request::Query(query) => self.shard.query(&query, origin),
        }
        self.note_hash();
        Ok(())
    }

    /// Remembers what a replay must come to.
    fn note_hash(&mut self) {
        let last = self.shard.journal().last().0;
        if last > self.first_lsn + self.hashes.len() as u64 {
            self.hashes.push(self.shard.engine().state_hash());
        }
    }

    /// Whether a turn would find something to do.
    pub fn has_turn(&self) -> bool {
        self.wants_turn
    }

    /// The turn: takes what came, lets go what is durable, sends.
    pub fn turn(&mut self, now_ms: u64, mesh: &mut Mesh, most: usize) -> Result<(), ShardError> {
        self.wants_turn = false;
        self.take_inbox(now_ms, most)?;
        self.tell_room();
        self.release();
        for peer in self.placement.all() {
            let parcel = std::mem::take(&mut self.parcels[peer.0 as usize]);
            if !parcel.is_empty() {
                mesh.send(self.here, peer, parcel);
            }
        }
        if !self.shard.is_settled() {
            self.wants_commit = true;
        }
        Ok(())
    }

    /// Tells the others whether there is room here.
    fn tell_room(&mut self) {
        let is_short = !self.shard.journal().admits();
        let count = self.short_shards.get() - usize::from(self.is_short);
        self.short_shards.set(count + usize::from(is_short));
        self.is_short = is_short;
    }

    fn take_inbox(&mut self, now_ms: u64, most: usize) -> Result<(), ShardError> {
        for _ in 0..most {
            if !self.shard.has_room() {
                // The commit under way gives the next notice.
                self.stalls += 1;
                return Ok(());
            }
            let Some((from, mut parcel)) = self.inbox.pop_front() else { return Ok(()) };
            let mut batches = std::mem::take(&mut parcel.batches).into_iter();
            while let Some(batch) = batches.next() {
                if !self.shard.has_room() {
                    parcel.batches = std::iter::once(batch).chain(batches).collect();
                    self.inbox.push_front((from, parcel));
                    return Ok(());
                }
                self.shard.peer(now_ms, batch)?;
                self.note_hash();
            }
            for (token, request) in parcel.asks {
                self.apply(now_ms, from, token, request)?;
            }
            parcel.tells.into_iter().for_each(|(token, reply)| self.answer(token, reply));
        }
        self.wants_turn = true;
        Ok(())
    }

    fn release(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.shard.release(&mut outputs);
        for output in outputs.drain(..) {
            self.dispatch(output);
        }
        self.outputs = outputs;
    }

    fn dispatch(&mut self, output: Output) {
        if let Output::Reply(origin, reply @ Reply::Identity(_)) = &output {
            self.released.push((origin.token, reply.clone()));
        }
        match output {
            Output::Reply(origin, reply) if origin.shard == self.here => {
                self.answer(origin.token, reply);
            }
            Output::Reply(origin, reply) => {
                self.parcels[origin.shard.0 as usize].tells.push((origin.token, reply));
            }
            Output::Send(to, batch) => {
                let batch = self.plant(to, batch);
                self.parcels[to.0 as usize].batches.push(batch);
            }
            Output::Event(Event::CredentialEnded(ended)) => self.ended.push(ended),
            Output::Durable(_) | Output::Event(_) => {}
        }
    }

    fn answer(&mut self, token: Token, reply: engine::Reply) {
        self.waiting -= 1;
        self.answers.push((token, reply));
    }

    /// What a confirmation pays that comes again.
    fn plant_payout(&self, command: &Command) -> Option<Command> {
        let Command::EndWithdrawal { user, reference, confirm: true } = command else {
            return None;
        };
        if self.mutation != Some(Mutation::DoublePayout) {
            return None;
        }
        let (status, limit) = (Some(WithdrawalStatus::Confirmed), engine::MAX_ROWS);
        let query = Query::Withdrawals { user: *user, status, limit };
        let Reply::Withdrawals(rows) = self.shard.engine().query(&query) else { return None };
        let paid = rows.into_iter().find(|row| row.reference == *reference)?;
        let reference = format!("{reference}-again");
        let (user, asset, amount) = (paid.user, paid.asset, paid.amount);
        Some(Command::Withdraw(Transfer { user, asset, amount, reference }))
    }

    fn plant(&self, to: ShardId, batch: PeerBatch) -> PeerBatch {
        match self.mutation {
            Some(Mutation::EarlyConfirm) => {
                PeerBatch { confirmed: self.shard.engine().applied(to), ..batch }
            }
            _ => batch,
        }
    }

    /// Whether the commit task would find something to do.
    pub fn has_commit(&self) -> bool {
        self.wants_commit && self.commit.is_none()
    }

    pub fn is_committing(&self) -> bool {
        self.commit.is_some()
    }

    pub fn is_preparing(&self) -> bool {
        self.preparation.is_some()
    }

    /// Whether the first batch of a segment is on its way to the disk.
    pub fn is_switching(&self) -> bool {
        self.is_switching
    }

    /// Starts to write what has gathered.
    pub fn start_commit(&mut self) {
        self.wants_commit = false;
        let segment = self.shard.journal().segment();
        if let Some(batch) = self.shard.take_batch() {
            self.is_switching = self.shard.journal().segment() != segment;
            self.commit = Some(Task::new(batch.write()));
        }
    }

    /// Has the next segment made in the background, if one is wanted.
    pub fn prepare(&mut self, now_ms: u64) {
        if let Some(preparation) = self.shard.journal_mut().preparation(now_ms) {
            self.preparation = Some(Task::new(preparation.run()));
        }
    }

    /// Lets those go on who wait for the disk.
    pub fn poll_disk(&mut self, now_ms: u64) -> Result<(), ShardError> {
        if let Some(written) = self.commit.as_mut().and_then(Task::poll) {
            self.commit = None;
            self.is_switching = false;
            self.shard.written(written)?;
            self.wants_turn = true;
            // The next batch, if one has gathered.
            self.wants_commit = true;
            self.prepare(now_ms);
        }
        if let Some(prepared) = self.preparation.as_mut().and_then(Task::poll) {
            self.preparation = None;
            self.shard.journal_mut().complete_preparation(prepared)?;
            // A full segment may have held batches back, and orders have been refused.
            self.wants_commit = true;
            self.wants_turn = true;
        }
        Ok(())
    }

    /// What happens by the clock.
    pub fn tick(&mut self, now_ms: u64) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.shard.confirm_all(&mut outputs);
        self.wants_turn |= !outputs.is_empty();
        for output in outputs.drain(..) {
            self.dispatch(output);
        }
        self.outputs = outputs;
        self.prepare(now_ms);
    }

    /// Whether nothing is under way here.
    pub fn is_quiet(&self) -> bool {
        self.inbox.is_empty()
            && self.answers.is_empty()
            && self.commit.is_none()
            && self.shard.is_settled()
            && self.snapshots.is_idle()
            && self.parcels.iter().all(Parcel::is_empty)
    }
}

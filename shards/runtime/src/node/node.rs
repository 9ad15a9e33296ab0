//! The state that all tasks of one executor share.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use audit::Trail;
use engine::{Origin, Query, Refusal, Reply};
use gateway::auth::Auth;
use gateway::middleware::{Admission, Limits};
use gateway::native::{self, Context, Ports, Serving, World};
use gateway::{Entered, http, rpc};
use identity::KeyId;
use money::{Placement, ShardId, SymbolId};
use shard::{Output, Request, Shard, ShardError};
use slab::Slab;
use telemetry::ShardMetrics;

use super::checkpoints::Checkpoints;
use super::feeds::Feeds;
use super::guard::Guard;
use super::market::Market;
use super::measure::{ROUTES, route_of};
use super::outlet::{Flush, Source};
use super::parcel::{Ask, News, Parcel, Tell, Token};
use super::private::Audience;
use super::room::Room;
use super::session::Session;
use super::socket::{Socket, Speech};
use super::stages::Stages;
use super::waiting::Waiting;
use crate::clock::CoarseClock;
use crate::disk::DirectDisk;
use crate::files::{StaticFile, StaticFiles};
use crate::mesh::{Mesh, MeshEvent};
use crate::passwords::Passwords;
use crate::registry::Registry;
use crate::throttle::Throttle;
use crate::wake::Notify;

/// Parcels that are taken from the peers in one turn.
const TURN_PARCELS: usize = 256;
/// Connections that are sent market data in one turn, some microseconds each: orders come first.
const TURN_LATER_FLUSHES: usize = 64;
/// Exit code after an error that the node cannot go on with.
pub(crate) const FATAL_EXIT_CODE: i32 = 1;

/// What a node is made of.
pub(crate) struct NodeParts {
    pub shard: Shard<DirectDisk>,
    pub mesh: Mesh<Parcel>,
    pub auth: Auth,
    pub ports: Ports,
    pub checkpoints: Checkpoints,
    pub room: Room,
    pub epoch: u64,
    pub registry: Arc<Registry>,
    pub files: Arc<StaticFiles>,
    pub limits: Limits,
    pub throttle: Arc<Throttle>,
    pub passwords: Arc<Passwords>,
    pub trail: Option<Trail>,
    pub gather: Duration,
}

/// One executor's shard and everything around it.
pub(crate) struct Node {
    pub here: ShardId,
    pub placement: Placement,
    pub clock: CoarseClock,
    pub shard: RefCell<Shard<DirectDisk>>,
    pub waiting: Waiting,
    pub serving: Cell<Serving>,
    pub metrics: ShardMetrics,
    pub(super) stages: Stages,
    /// What of the engine's own counts is in the metrics already.
    pub(super) counted_orders: Cell<u64>,
    pub(super) counted_crossing: Cell<u64>,
    pub(super) counted_trades: Cell<u64>,
    /// Something is to be taken in, let go or sent.
    pub turn: Notify,
    /// Something has gathered in the journal.
    pub commit: Notify,
    pub(super) auth: Auth,
    ports: Ports,
    /// How fast whom.
    pub(super) limits: Limits,
    /// What this shard admits of its users.
    pub(super) guard: Guard,
    /// What all shards admit of addresses, and of guesses at passwords.
    pub(super) throttle: Arc<Throttle>,
    pub(super) passwords: Arc<Passwords>,
    /// The way into the audit trail.
    pub(super) trail: Option<audit::Sender>,
    /// The trail itself, for questions.
    pub(super) whole_trail: Option<Trail>,
    /// How many symbols this shard has told the trail of.
    pub(super) told_symbols: Cell<usize>,
    /// Keys whose use this shard has told of.
    pub(super) told_keys: RefCell<HashMap<KeyId, u64>>,
    /// Itself, for tasks that it begins.
    pub(super) me: Weak<Node>,
    pub(super) checkpoints: Checkpoints,
    pub(super) room: Room,
    pub(super) mesh: Mesh<Parcel>,
    /// What goes to each peer at the end of the turn.
    pub(super) parcels: RefCell<Vec<Parcel>>,
    inbox: RefCell<VecDeque<(ShardId, Parcel)>>,
    /// Let go, on the way to whom it is for. Kept for its memory.
    pub(super) outputs: RefCell<Vec<Output>>,
    /// Connections with bytes to send.
    pub(super) dirty: RefCell<Vec<Rc<dyn Flush>>>,
    /// Connections with market data to send.
    dirty_later: RefCell<VecDeque<Rc<dyn Flush>>>,
    pub(crate) sessions: RefCell<Slab<Rc<Session>>>,
    pub(crate) sockets: RefCell<Slab<Rc<Socket>>>,
    /// Which run of the server this is: the same on all shards, greater than that of any before.
    pub(super) epoch: u64,
    /// All connections of all shards.
    pub(super) registry: Arc<Registry>,
    /// Files of the operator's.
    files: Arc<StaticFiles>,
    /// What is told to others of what this shard owns.
    pub(super) feeds: Feeds,
    /// Who here is told of users, of any shard.
    pub(super) audience: Audience,
    /// Who here is told of books, of any shard.
    pub(super) market: Market,
    /// Connections that are being told why they are refused.
    pub(super) refusals: Cell<usize>,
    /// How long a record waits for others before it is written.
    pub(super) gather: Duration,
    leaving: Cell<bool>,
}

impl Node {
    pub fn new(parts: NodeParts) -> Rc<Node> {
        let NodeParts {
            shard,
            mesh,
            auth,
            ports,
            checkpoints,
            room,
            epoch,
            registry,
            files,
            limits,
            throttle,
            passwords,
            trail,
            gather,
        } = parts;
        let (here, placement) = (shard.engine().shard(), shard.engine().placement());
        let parcels = placement.all().map(|_| Parcel::default()).collect();
        let stages = Stages::new(shard.journal().last());
        Rc::new_cyclic(|me| Node {
            here,
            placement,
            clock: CoarseClock::new(),
            shard: RefCell::new(shard),
            waiting: Waiting::default(),
            serving: Cell::new(Serving::Recovering),
            metrics: ShardMetrics::new(ROUTES),
            stages,
            counted_orders: Cell::new(0),
            counted_crossing: Cell::new(0),
            counted_trades: Cell::new(0),
            turn: Notify::new(),
            commit: Notify::new(),
            auth,
            ports,
            limits,
            guard: Guard::default(),
            throttle,
            passwords,
            trail: trail.as_ref().map(|trail| trail.sender(here.0)),
            whole_trail: trail,
            told_symbols: Cell::new(0),
            told_keys: RefCell::default(),
            me: me.clone(),
            checkpoints,
            room,
            mesh,
            parcels: RefCell::new(parcels),
            inbox: RefCell::default(),
            outputs: RefCell::default(),
            dirty: RefCell::default(),
            dirty_later: RefCell::default(),
            sessions: RefCell::default(),
            sockets: RefCell::default(),
            epoch,
            registry,
            files,
            feeds: Feeds::default(),
            audience: Audience::default(),
            market: Market::default(),
            refusals: Cell::new(0),
            gather,
            leaving: Cell::new(false),
        })
    }

    /// Ends the process: nothing that is not durable has left, and nothing more may leave.
    pub fn fatal(&self, error: &dyn std::fmt::Display) -> ! {
        tracing::error!(shard = self.here.0, "{error}");
        eprintln!("ringbook: shard {}: {error}", self.here);
        std::process::exit(FATAL_EXIT_CODE);
    }

    fn check(&self, result: Result<(), ShardError>) {
        if let Err(error) = result {
            self.fatal(&error);
        }
    }

    /// Registers a connection.
    pub fn enter(&self, session: Rc<Session>) -> usize {
        self.metrics.connection_opened();
        self.sessions.borrow_mut().insert(session)
    }

    /// Forgets a connection.
    pub fn leave(&self, key: usize) {
        self.metrics.connection_closed();
        self.sessions.borrow_mut().remove(key);
    }

    /// Reads a request from an address: what it asks for, and its route's place in the metrics.
    pub fn route(
        &self,
        request: &http::Request<'_>,
        address: IpAddr,
    ) -> (Entered, usize, Option<Speech>) {
        let shard = self.shard.borrow();
        let context = self.context(&shard);
        let endpoint = rpc::endpoint(request.path);
        let mut entered = gateway::enter(request, &context, address);
        if entered.entry.refused == Some(native::Code::NotFound)
            && let Some(file) = self.file_of(request)
        {
            entered.entry.refused = None;
            entered.action = native::file(request, &context, file.content_type, &file.body);
        }
        let speech = endpoint.map(|endpoint| Speech::Rpc(endpoint, RefCell::default()));
        (entered, route_of(request.path), speech)
    }

    fn file_of(&self, request: &http::Request<'_>) -> Option<&StaticFile> {
        self.files.get(request.path).filter(|_| native::may_be_file(request))
    }

    pub(super) fn context<'a>(&'a self, shard: &'a Shard<DirectDisk>) -> Context<'a> {
        Context {
            registry: shard.engine().registry(),
            placement: self.placement,
            shard: self.here,
            auth: &self.auth,
            identities: shard.engine().identities(),
            now_ms: self.clock.now_ms(),
            limits: &self.limits,
            world: self,
            ports: &self.ports,
            serving: self.serving.get(),
        }
    }

    /// Asks a shard, this one or a peer. The answer comes to whoever waits under the token.
    pub fn ask(&self, owner: ShardId, token: Token, ask: Ask) {
        if owner == self.here {
            self.apply(self.here, token, ask);
        } else {
            self.metrics.hop();
            self.parcel_for(owner).asks.push((token, ask));
        }
    }

    /// The shard that can answer a query.
    pub(super) fn owner_of(&self, query: &Query) -> ShardId {
        query.owner(self.placement, self.shard.borrow().engine().registry())
    }

    /// The shard that has a symbol's book.
    pub(super) fn shard_of(&self, symbol: SymbolId) -> ShardId {
        self.shard.borrow().engine().registry().shard_of(symbol, self.placement)
    }

    /// The same of what knows its owner. What is given to be admitted is of a user of that shard.
    pub(super) fn ask_request(&self, token: Token, request: Request, admission: Option<Admission>) {
        let owner = match &request {
            Request::Command(command) => command.owner(self.placement),
            Request::Query(query) => self.owner_of(query),
        };
        self.ask(owner, token, Ask::Request(request, admission));
    }

    /// Admits something of a user of this shard, or says why not. What is left goes ahead of the answer.
    fn admit_here(&self, origin: Origin, admission: &Admission) -> bool {
        let admitted = {
            let shard = self.shard.borrow();
            let identities = shard.engine().identities();
            self.guard.admit(admission, &self.limits, identities, self.clock.now_ms())
        };
        match admitted {
            Ok(None) => true,
            Ok(Some(budget)) if origin.shard == self.here => {
                self.waiting.set_budget(origin.token, budget);
                true
            }
            Ok(Some(budget)) => {
                self.send_news(origin.shard, News::Budget(origin.token, budget));
                true
            }
            Err(why) => {
                self.tell(origin, Tell::NotAdmitted(why));
                false
            }
        }
    }

    /// Whether commands are admitted here: by this shard, and as far as room goes by all.
    pub fn admits(&self) -> bool {
        !self.room.is_short() && self.shard.borrow().admits()
    }

    /// Applies what a gateway asks of this shard.
    fn apply(&self, from: ShardId, token: Token, ask: Ask) {
        let origin = Origin { shard: from, token };
        let admission = match &ask {
            Ask::Request(_, admission) => admission.as_ref(),
            Ask::Admit(admission) => Some(admission),
            _ => None,
        };
        if admission.is_some_and(|admission| !self.admit_here(origin, admission)) {
            return;
        }
        match ask {
            Ask::Admit(_) => self.tell(origin, Tell::Admitted),
            Ask::Request(Request::Command(_), _) if self.room.is_short() => {
                self.tell(origin, Tell::Reply(Reply::Refused(Refusal::Busy)));
            }
            Ask::Request(Request::Command(command), _) => {
                self.metrics.command_applied();
                let origin = Some(origin);
                self.check(self.step(|shard, now_ms| shard.command(now_ms, command, origin)));
            }
            Ask::Request(Request::Query(query), _) => {
                self.metrics.query_applied();
                self.shard.borrow_mut().query(&query, origin);
            }
            Ask::Snapshot => {
                self.checkpoints.want();
                let query = Query::Status { shard: self.here };
                self.shard.borrow_mut().query(&query, origin);
            }
            Ask::EndSession(session) => {
                self.end_session(session);
                self.tell(origin, Tell::SessionEnded);
            }
            Ask::WatchUser(watch) => self.begin_user_watch(origin, watch),
            Ask::UnwatchUser(watch) => self.end_user_watch(from, watch),
            Ask::WatchMarket { symbol, id } => self.begin_market_watch(origin, symbol, id),
            Ask::UnwatchMarket { symbol, id } => self.end_market_watch(from, symbol, id),
            Ask::Metrics => {
                let metrics = Tell::Metrics(Box::new((self.here.0, self.snapshot())));
                self.tell(origin, metrics);
            }
        }
    }

    /// Starts to take what the peers send. Greetings go to `greet`, the rest waits for its turn.
    pub fn listen_to_peers(self: &Rc<Self>, greet: impl Fn(ShardId, u64) + 'static) {
        let node = self.clone();
        self.mesh.receive(move |from, event| {
            let from = ShardId(from as u16);
            match event {
                MeshEvent::Parcel(Parcel { greeting: Some(applied), .. }) => greet(from, applied),
                MeshEvent::Parcel(parcel) => {
                    let messages = parcel.batches.iter().map(|batch| batch.messages.len() as u64);
                    node.metrics.parcel_received(messages.sum());
                    node.inbox.borrow_mut().push_back((from, parcel));
                    node.turn.notify();
                }
                MeshEvent::Closed if node.leaving.get() => {}
                MeshEvent::Closed => {
                    // One shard alone cannot serve; the journals hold everything.
                    node.fatal(&format_args!("shard {from} has ended"));
                }
            }
        });
    }

    /// Tells every peer what of its messages is applied here.
    pub fn greet_peers(&self) {
        for peer in self.placement.all().filter(|&peer| peer != self.here) {
            let greeting = Some(self.shard.borrow().greeting(peer));
            self.send_parcel(peer, Parcel { greeting, ..Parcel::default() });
        }
    }

    pub(super) fn send_parcel(&self, peer: ShardId, parcel: Parcel) {
        let messages = parcel.batches.iter().map(|batch| batch.messages.len() as u64);
        self.metrics.parcel_sent(messages.sum());
        if self.mesh.send(peer.0 as usize, parcel).is_err() && !self.leaving.get() {
            self.fatal(&format_args!("shard {peer} has ended"));
        }
    }

    /// The turn: takes what came, lets go what is durable, sends. Never ends.
    pub async fn take_turns(self: Rc<Self>) {
        loop {
            self.turn.notified().await;
            self.clock.turn();
            self.begin_stages_of_turn();
            self.take_inbox();
            self.finish_turn();
            // A notice that was given meanwhile is taken without a pause, and the others wait.
            futures_lite::future::yield_now().await;
        }
    }

    /// Takes what the peers sent, as far as the journal has room and the turn allows.
    fn take_inbox(&self) {
        for _ in 0..TURN_PARCELS {
            if !self.shard.borrow().has_room() {
                // The commit under way gives the next notice.
                return;
            }
            let Some((from, mut parcel)) = self.inbox.borrow_mut().pop_front() else { return };
            self.parcel_taken(&mut parcel);
            let mut batches = std::mem::take(&mut parcel.batches).into_iter();
            while let Some(batch) = batches.next() {
                if !self.shard.borrow().has_room() {
                    parcel.batches = std::iter::once(batch).chain(batches).collect();
                    self.inbox.borrow_mut().push_front((from, parcel));
                    return;
                }
                self.check(self.step(|shard, now_ms| shard.peer(now_ms, batch)));
            }
            for (token, ask) in parcel.asks {
                self.apply(from, token, ask);
            }
            for news in parcel.news {
                match news {
                    News::Answer(token, tell) => self.answered(token, tell),
                    News::Budget(token, budget) => self.waiting.set_budget(token, budget),
                    News::Private(private) => self.private_event(&private),
                    News::Market(event) => self.market_event(&event),
                }
            }
        }
        self.turn.notify();
    }

    /// Lets go what is durable, writes to connections and peers, and has the rest committed.
    pub fn finish_turn(&self) {
        self.room.tell(!self.shard.borrow().journal().admits());
        self.dispatch_released();
        self.end_market_turn();
        self.send_parcels();
        self.flush_sessions();
        self.end_stages_of_turn();
        if !self.shard.borrow().is_settled() {
            self.commit.notify();
        }
    }

    fn send_parcels(&self) {
        if self.placement.shards() == 1 {
            return;
        }
        for peer in self.placement.all() {
            let parcel = {
                let parcel = &mut self.parcels.borrow_mut()[peer.0 as usize];
                if parcel.is_empty() {
                    continue;
                }
                std::mem::take(parcel)
            };
            self.send_parcel(peer, parcel);
        }
    }

    /// Notes that a connection has bytes to send. The turn sends them; who is not inside a turn
    /// gives notice for one.
    pub fn soil<S: Source>(&self, source: &Rc<S>) {
        if !source.outlet().dirty.replace(true) {
            self.dirty.borrow_mut().push(source.clone());
        }
    }

    /// Notes that a connection has market data to send. It waits for those that have been soiled, and
    /// for its turn among its like; what comes for it meanwhile leaves with it.
    pub fn soil_later<S: Source>(&self, source: &Rc<S>) {
        if !source.outlet().dirty_later.replace(true) {
            self.dirty_later.borrow_mut().push_back(source.clone());
        }
    }

    fn flush_sessions(&self) {
        let mut dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for session in dirty.drain(..) {
            session.flush();
            self.answers_written();
        }
        // Flushing soils nobody, so the list is still empty and its memory can be kept.
        *self.dirty.borrow_mut() = dirty;
        for _ in 0..TURN_LATER_FLUSHES {
            let next = self.dirty_later.borrow_mut().pop_front();
            let Some(source) = next else { return };
            source.flush_later();
        }
        if !self.dirty_later.borrow().is_empty() {
            self.turn.notify();
        }
    }

    /// Whether nothing is under way here any more.
    pub fn is_quiet(&self) -> bool {
        let has_output = !self.dirty.borrow().is_empty();
        self.waiting.len() == 0 && !has_output && self.shard.borrow().is_settled()
    }

    /// From now on a peer that ends is no surprise.
    pub fn leave_mesh(&self) {
        self.leaving.set(true);
    }
}

impl World for Node {
    fn random(&self, bytes: &mut [u8]) {
        self.fill_random(bytes);
    }

    fn admit_address(&self, address: IpAddr, weight: u32) -> Result<(), u64> {
        self.throttle.address(address, self.limits.address, weight, self.clock.now_ms())
    }
}

//! The full mesh between shards: from every executor to every other one, ordered and bounded.
//!
//! [`seats`] makes all lanes up front, in the thread that starts the server; each executor takes
//! its [`Seat`] and connects, which waits for nobody. A shard that fails to start drops its seat,
//! and the others see a closed peer instead of hanging.
//!
//! What a [`Mesh`] promises:
//!
//! - **Sending never waits.** [`Mesh::send`] puts a parcel into the peer's lane or, when that is
//!   full, into this shard's outbox for the peer, in order. The outbox is flushed as soon as the
//!   peer has made room. It is bounded by admission at the gateway, not here: what is inside must
//!   get through.
//! - **Receiving never waits for anything but parcels.** One task takes them from all peers and
//!   hands each to a handler, a plain function.
//! - **A sleeping peer is woken at once**, with one `eventfd` write; a busy one costs none beyond
//!   the first, so send one parcel per destination and loop turn.
//! - **A closed peer is told:** to the handler as [`MeshEvent::Closed`], to a sender as
//!   [`SendError::Closed`]. Nobody sends to himself.
//!
//! Why not glommio's own channels, which the first version used: waking an executor through
//! glommio's notifier can leave it asleep with tasks ready to run (see [`crate::executor`]); a
//! ping-pong between two shards hung within some ten thousand rounds. Besides, taking a parcel from
//! such a channel wakes the sender, awaiting a full one whose receiver is gone never ends, and
//! connecting spins until the other end connects. Here each executor waits on an `eventfd` like on
//! any socket.

use crossbeam_queue::ArrayQueue;
use glommio::io::PollableFd;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// After how many parcels the receiving task lets others run.
const RECEIVE_BURST_PARCELS: usize = 256;

/// Why a parcel was not taken. It is given back.
#[derive(thiserror::Error)]
pub enum SendError<T> {
    /// The peer's executor has ended, or never started.
    #[error("shard {to} is closed")]
    Closed {
        /// The peer.
        to: usize,
        /// What was to be sent.
        parcel: T,
    },
    /// There is no such peer: oneself, or a number beyond the mesh.
    #[error("shard {to} is not a peer")]
    NoPeer {
        /// The number.
        to: usize,
        /// What was to be sent.
        parcel: T,
    },
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// What a peer sends.
#[derive(Debug, PartialEq, Eq)]
pub enum MeshEvent<T> {
    /// A parcel, in the order in which the peer sent them.
    Parcel(T),
    /// The peer will never send again.
    Closed,
}

/// Wakes one shard.
struct Bell {
    event: EventFd,
    /// Whether the shard wants to be woken. Who turns it off rings.
    armed: AtomicBool,
}

impl Bell {
    fn new() -> Self {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let event = EventFd::from_value_and_flags(0, flags);
        let event = event.expect("a free file descriptor for each shard of the mesh");
        Self { event, armed: AtomicBool::new(false) }
    }

    /// After something was put where the shard looks.
    fn ring(&self) {
        // Pairs with the fence in `arm`: either we see it armed or it sees what we put.
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            // It can only fail when the counter is full, and then the shard is awake anyway.
            let _ = self.event.write(1);
        }
    }

    /// Before looking for the last time and going to sleep.
    fn arm(&self) {
        self.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }
}

/// One direction between two shards.
struct Lane<T> {
    parcels: ArrayQueue<T>,
    /// The sender found it full and wants to hear when there is room.
    stuck: AtomicBool,
    /// The sender will put nothing more.
    sender_closed: AtomicBool,
    /// The receiver will take nothing more.
    receiver_closed: AtomicBool,
}

impl<T> Lane<T> {
    fn new(capacity: usize) -> Self {
        Self {
            parcels: ArrayQueue::new(capacity),
            stuck: AtomicBool::new(false),
            sender_closed: AtomicBool::new(false),
            receiver_closed: AtomicBool::new(false),
        }
    }

    /// Whether the receiving task has something to do here. `told`: it knows that it is closed.
    fn has_news(&self, told: bool) -> bool {
        !self.parcels.is_empty() || (!told && self.sender_closed.load(Ordering::Acquire))
    }
}

/// What connects one shard with one peer.
struct Link<T> {
    to: Arc<Lane<T>>,
    from: Arc<Lane<T>>,
    peer_bell: Arc<Bell>,
}

impl<T> Link<T> {
    fn close(&self) {
        self.to.sender_closed.store(true, Ordering::Release);
        self.peer_bell.ring();
    }
}

impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        self.from.receiver_closed.store(true, Ordering::Release);
        self.close();
    }
}

/// One shard's ends of all its lanes, on the way to its executor. Dropping it closes them.
pub struct Seat<T: Send + 'static> {
    shard: usize,
    bell: Arc<Bell>,
    /// By peer; `None` for oneself.
    links: Vec<Option<Link<T>>>,
}

/// Makes the lanes between `shards` executors, each holding at most `capacity` parcels. Panics when
/// the process is out of file descriptors.
pub fn seats<T: Send + 'static>(shards: usize, capacity: usize) -> Vec<Seat<T>> {
    let bells: Vec<_> = (0..shards).map(|_| Arc::new(Bell::new())).collect();
    let row = |_| (0..shards).map(|_| Arc::new(Lane::new(capacity))).collect();
    let lanes: Vec<Vec<Arc<Lane<T>>>> = (0..shards).map(row).collect();
    let link = |shard: usize, peer: usize| {
        (shard != peer).then(|| Link {
            to: lanes[shard][peer].clone(),
            from: lanes[peer][shard].clone(),
            peer_bell: bells[peer].clone(),
        })
    };
    let seat = |shard| Seat {
        shard,
        bell: bells[shard].clone(),
        links: (0..shards).map(|peer| link(shard, peer)).collect(),
    };
    (0..shards).map(seat).collect()
}

impl<T: Send + 'static> fmt::Debug for Seat<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Seat {} of {}", self.shard, self.links.len())
    }
}

impl<T: Send + 'static> Seat<T> {
    /// The shard whose seat this is.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// How many shards the mesh has.
    pub fn shards(&self) -> usize {
        self.links.len()
    }

    /// Takes the seat, on the executor of this shard. What peers sent before waits in the lanes.
    pub async fn connect(self) -> Mesh<T> {
        let peer = |link| Peer { link, outbox: RefCell::default(), told_closed: Cell::new(false) };
        let peers = self.links.into_iter().map(|link| link.map(peer)).collect();
        Mesh { inner: Rc::new(Inner { shard: self.shard, bell: self.bell, peers }) }
    }
}

struct Peer<T> {
    link: Link<T>,
    outbox: RefCell<VecDeque<T>>,
    /// Whether the handler has been told that the peer is closed.
    told_closed: Cell<bool>,
}

impl<T> Peer<T> {
    fn is_closed(&self) -> bool {
        self.link.to.receiver_closed.load(Ordering::Acquire)
    }

    /// Moves what fits from the outbox into the lane. Without room, the peer will ring.
    fn flush(&self) {
        let mut outbox = self.outbox.borrow_mut();
        if self.is_closed() {
            // Nobody is left to read them; after a restart the protocol sends them again.
            outbox.clear();
        }
        let mut moved = false;
        while let Some(parcel) = outbox.pop_front() {
            match self.push(parcel) {
                Ok(()) => moved = true,
                Err(parcel) => {
                    outbox.push_front(parcel);
                    break;
                }
            }
        }
        if moved {
            self.link.peer_bell.ring();
        }
    }

    fn push(&self, parcel: T) -> Result<(), T> {
        let lane = &self.link.to;
        lane.parcels.push(parcel).or_else(|parcel| {
            // Once more after asking to be rung: the peer may have made room just before.
            lane.stuck.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            lane.parcels.push(parcel)
        })
    }

    fn depth(&self) -> usize {
        self.link.to.parcels.len() + self.outbox.borrow().len()
    }
}

struct Inner<T> {
    shard: usize,
    bell: Arc<Bell>,
    /// By shard; `None` for oneself.
    peers: Vec<Option<Peer<T>>>,
}

/// One shard's connection to all others. Cheap to clone; the last clone closes it. See the module
/// documentation.
pub struct Mesh<T: Send + 'static> {
    inner: Rc<Inner<T>>,
}

impl<T: Send + 'static> Clone for Mesh<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T: Send + 'static> fmt::Debug for Mesh<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mesh of shard {} of {}", self.shard(), self.shards())
    }
}

impl<T: Send + 'static> Mesh<T> {
    /// This shard.
    pub fn shard(&self) -> usize {
        self.inner.shard
    }

    /// How many shards there are, this one included.
    pub fn shards(&self) -> usize {
        self.inner.peers.len()
    }

    /// Sends a parcel, or keeps it in the outbox until there is room. Never waits.
    pub fn send(&self, to: usize, parcel: T) -> Result<(), SendError<T>> {
        let Some(peer) = self.inner.peers.get(to).and_then(Option::as_ref) else {
            return Err(SendError::NoPeer { to, parcel });
        };
        if peer.is_closed() {
            return Err(SendError::Closed { to, parcel });
        }
        let mut outbox = peer.outbox.borrow_mut();
        if !outbox.is_empty() {
            outbox.push_back(parcel);
            return Ok(());
        }
        match peer.push(parcel) {
            Ok(()) => peer.link.peer_bell.ring(),
            Err(parcel) => outbox.push_back(parcel),
        }
        Ok(())
    }

    /// Starts receiving: `handler(from, event)` is called for every parcel of every peer, from one
    /// task of this executor. It should only put the parcel where the shard's loop finds it, and
    /// hold no clone of the mesh, which would then never close. To be called once.
    pub fn receive(&self, handler: impl Fn(usize, MeshEvent<T>) + 'static) {
        let bell = PollableFd::new(BellHandle(self.inner.bell.clone()));
        let bell = bell.expect("an executor runs this");
        glommio::spawn_local(receive(Rc::downgrade(&self.inner), bell, handler)).detach();
    }

    /// Ends sending to every peer. They receive what is in the lanes, then [`MeshEvent::Closed`].
    /// What is still in an outbox is lost, so look at [`Mesh::depth`] first.
    pub fn close(&self) {
        self.inner.peers.iter().flatten().for_each(|peer| peer.link.close());
    }

    /// How many parcels the peer has not taken yet, in lane and outbox; 0 for oneself.
    pub fn depth(&self, to: usize) -> usize {
        self.inner.peers.get(to).and_then(Option::as_ref).map_or(0, Peer::depth)
    }
}

/// The descriptor to wait on.
struct BellHandle(Arc<Bell>);

impl AsRawFd for BellHandle {
    fn as_raw_fd(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}

/// The receiving task. Ends with the mesh.
async fn receive<T: Send + 'static>(
    mesh: Weak<Inner<T>>,
    bell: PollableFd<BellHandle>,
    handler: impl Fn(usize, MeshEvent<T>),
) {
    loop {
        let Some(inner) = mesh.upgrade() else { return };
        inner.peers.iter().flatten().for_each(Peer::flush);
        let mut taken = 0;
        for (from, peer) in inner.peers.iter().enumerate() {
            let Some(peer) = peer else { continue };
            taken += drain(peer, |event| handler(from, event));
        }
        inner.bell.arm();
        if inner.has_news() {
            inner.bell.disarm();
            drop(inner);
            if taken > RECEIVE_BURST_PARCELS {
                futures_lite::future::yield_now().await;
            }
            continue;
        }
        drop(inner);
        if let Err(error) = bell.readable().await {
            // Never seen; without it nothing would be received, so end loudly.
            panic!("cannot wait for other shards: {error}");
        }
        let _ = bell.get_ref().0.event.read();
    }
}

impl<T> Inner<T> {
    fn has_news(&self) -> bool {
        let peers = self.peers.iter().flatten();
        peers.into_iter().any(|peer| {
            let room = !peer.outbox.borrow().is_empty() && !peer.link.to.parcels.is_full();
            room || peer.link.from.has_news(peer.told_closed.get())
        })
    }
}

/// Takes what is there, one burst at most; how many parcels it was.
fn drain<T>(peer: &Peer<T>, mut handler: impl FnMut(MeshEvent<T>)) -> usize {
    let lane = &peer.link.from;
    // Before looking: what comes before the closing is in the lane then.
    let closed = lane.sender_closed.load(Ordering::Acquire);
    let mut taken = 0;
    while taken <= RECEIVE_BURST_PARCELS {
        let Some(parcel) = lane.parcels.pop() else {
            if closed && !peer.told_closed.replace(true) {
                handler(MeshEvent::Closed);
            }
            break;
        };
        taken += 1;
        handler(MeshEvent::Parcel(parcel));
    }
    if taken > 0 {
        // Pairs with the fence in `push`.
        fence(Ordering::SeqCst);
        if lane.stuck.load(Ordering::Relaxed) && lane.stuck.swap(false, Ordering::AcqRel) {
            peer.link.peer_bell.ring();
        }
    }
    taken
}

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;

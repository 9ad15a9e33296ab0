//! The full mesh between shards: from every executor to every other one, ordered and bounded.
//!
//! [`seats`] makes all channels up front, in the thread that starts the server; each executor takes
//! its [`Seat`] and connects. So no shard ever waits for a name service, and a shard that fails to
//! start drops its seat, which the others see as a closed peer instead of hanging.
//!
//! What a [`Mesh`] promises, and the traps of glommio's channels that it avoids:
//!
//! - **Sending never waits.** [`Mesh::send`] puts a parcel into the channel or, when that is full,
//!   into this shard's outbox for the peer, in order. (Two shards that await each other's full
//!   channels deadlock; awaiting a full channel whose receiver is gone never ends.) The outbox is
//!   bounded by admission at the gateway, not here: what is inside must get through.
//! - **Receiving never waits for anything but parcels.** One task per peer takes them and hands
//!   each to a handler, a plain function. One task per peer, because a task that polls several
//!   glommio receivers leaves a waker behind in every silent one at each poll.
//! - **A full channel drains by itself:** the outbox is flushed when the peer sends something, and
//!   every [`OUTBOX_RETRY`] until it is empty.
//! - **Nobody sends to himself:** glommio drops such a message; here it is an error.
//! - **A closed peer is told:** to the handler as [`MeshEvent::Closed`], to a sender as
//!   [`SendError::Closed`].
//!
//! Send one parcel per destination and loop turn: a parcel costs one wake-up of a sleeping peer.

use crate::wake::Notify;
use glommio::GlommioError;
use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often a full channel is tried again.
pub const OUTBOX_RETRY: Duration = Duration::from_millis(1);

/// After how many parcels a receiving task lets others run.
const RECEIVE_BURST_PARCELS: usize = 64;

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

/// One shard's ends of all its channels, on the way to its executor.
pub struct Seat<T: Send + 'static> {
    shard: usize,
    /// By peer; `None` for oneself.
    links: Vec<Option<SeatLink<T>>>,
}

struct SeatLink<T: Send + 'static> {
    sender: SharedSender<T>,
    sent_received: Arc<AtomicU64>,
    receiver: SharedReceiver<T>,
    got_received: Arc<AtomicU64>,
}

/// Makes the channels between `shards` executors, each holding at most `capacity` parcels.
pub fn seats<T: Send + 'static>(shards: usize, capacity: usize) -> Vec<Seat<T>> {
    let mut to: Vec<Vec<_>> = Vec::new();
    let mut from: Vec<Vec<_>> = (0..shards).map(|_| Vec::new()).collect();
    for source in 0..shards {
        let mut row = Vec::new();
        for (target, incoming) in from.iter_mut().enumerate() {
            let ends = (source != target).then(|| {
                let (sender, receiver) = new_bounded(capacity);
                let received = Arc::new(AtomicU64::new(0));
                ((sender, received.clone()), (receiver, received))
            });
            let (outgoing, arriving) = ends.unzip();
            row.push(outgoing);
            incoming.push(arriving);
        }
        to.push(row);
    }
    let seat = |(shard, (to, from)): (usize, (Vec<_>, Vec<_>))| Seat {
        shard,
        links: to.into_iter().zip(from).map(|(to, from)| seat_link(to, from)).collect(),
    };
    to.into_iter().zip(from).enumerate().map(seat).collect()
}

type Counted<T> = Option<(T, Arc<AtomicU64>)>;

fn seat_link<T: Send + 'static>(
    to: Counted<SharedSender<T>>,
    from: Counted<SharedReceiver<T>>,
) -> Option<SeatLink<T>> {
    let ((sender, sent_received), (receiver, got_received)) = (to?, from?);
    Some(SeatLink { sender, sent_received, receiver, got_received })
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

    /// Connects, on the executor of this shard, as the first thing it does: each peer that has
    /// connected already waits for us, and glommio waits by spinning. Ends when every peer has
    /// connected or dropped its seat.
    pub async fn connect(self) -> Mesh<T> {
        // Each end in a task of its own: an end announces itself when it is first polled, so ends
        // awaited one after the other would wait for each other in a circle.
        let connect = |link: SeatLink<T>| {
            let sender = glommio::spawn_local(link.sender.connect());
            let receiver = glommio::spawn_local(link.receiver.connect());
            (sender, link.sent_received, receiver, link.got_received)
        };
        let connecting: Vec<_> = self.links.into_iter().map(|link| link.map(connect)).collect();
        let (mut peers, mut receivers) = (Vec::new(), Vec::new());
        for link in connecting {
            let Some((sender, sent_received, receiver, got_received)) = link else {
                peers.push(None);
                receivers.push(None);
                continue;
            };
            peers.push(Some(Peer::new(sender.await, sent_received)));
            receivers.push(Some((receiver.await, got_received)));
        }
        let inner = Inner { shard: self.shard, peers, stuck: Notify::new() };
        Mesh { inner: Rc::new(inner), receivers: Rc::new(RefCell::new(receivers)) }
    }
}

struct Peer<T: Send> {
    sender: ConnectedSender<T>,
    outbox: RefCell<VecDeque<T>>,
    sent: Cell<u64>,
    /// Written by the peer.
    received: Arc<AtomicU64>,
}

/// What trying to send came to.
enum Attempt<T> {
    Sent,
    Full(T),
    Closed(T),
}

impl<T: Send> Peer<T> {
    fn new(sender: ConnectedSender<T>, received: Arc<AtomicU64>) -> Self {
        Self { sender, outbox: RefCell::new(VecDeque::new()), sent: Cell::new(0), received }
    }

    fn attempt(&self, parcel: T) -> Attempt<T> {
        use glommio::ResourceType::Channel;
        match self.sender.try_send(parcel) {
            Ok(()) => {
                self.sent.set(self.sent.get() + 1);
                Attempt::Sent
            }
            Err(GlommioError::WouldBlock(Channel(parcel))) => Attempt::Full(parcel),
            Err(GlommioError::Closed(Channel(parcel))) => Attempt::Closed(parcel),
            Err(_) => unreachable!("a channel is full or closed, nothing else"),
        }
    }

    /// Moves what fits from the outbox into the channel; whether something is left.
    fn flush(&self) -> bool {
        let mut outbox = self.outbox.borrow_mut();
        while let Some(parcel) = outbox.pop_front() {
            match self.attempt(parcel) {
                Attempt::Sent => {}
                Attempt::Full(parcel) => {
                    outbox.push_front(parcel);
                    return true;
                }
                // Nobody is left to read them; after a restart the protocol sends them again.
                Attempt::Closed(_) => outbox.clear(),
            }
        }
        false
    }

    fn depth(&self) -> usize {
        let in_channel = self.sent.get().saturating_sub(self.received.load(Ordering::Relaxed));
        in_channel as usize + self.outbox.borrow().len()
    }
}

struct Inner<T: Send> {
    shard: usize,
    /// By shard; `None` for oneself.
    peers: Vec<Option<Peer<T>>>,
    /// Given when an outbox stops being empty.
    stuck: Notify,
}

impl<T: Send> Inner<T> {
    fn flush(&self) -> bool {
        // Every peer, also after one that is still full.
        self.peers.iter().flatten().filter(|peer| peer.flush()).count() > 0
    }
}

type Receivers<T> = Vec<Option<(ConnectedReceiver<T>, Arc<AtomicU64>)>>;

/// One shard's connection to all others. Cheap to clone. See the module documentation.
pub struct Mesh<T: Send + 'static> {
    inner: Rc<Inner<T>>,
    /// Until [`Mesh::receive`] takes them.
    receivers: Rc<RefCell<Receivers<T>>>,
}

impl<T: Send + 'static> Clone for Mesh<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), receivers: self.receivers.clone() }
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
        if !peer.outbox.borrow().is_empty() {
            peer.outbox.borrow_mut().push_back(parcel);
            return Ok(());
        }
        match peer.attempt(parcel) {
            Attempt::Sent => Ok(()),
            Attempt::Closed(parcel) => Err(SendError::Closed { to, parcel }),
            Attempt::Full(parcel) => {
                peer.outbox.borrow_mut().push_back(parcel);
                self.inner.stuck.notify();
                Ok(())
            }
        }
    }

    /// Starts receiving: `handler(from, event)` is called for every parcel of every peer, from
    /// tasks of this executor. It should only put the parcel where the shard's loop finds it.
    /// To be called once.
    pub fn receive(&self, handler: impl Fn(usize, MeshEvent<T>) + 'static) {
        let handler = Rc::new(handler);
        let receivers = std::mem::take(&mut *self.receivers.borrow_mut());
        for (from, link) in receivers.into_iter().enumerate() {
            let Some((receiver, received)) = link else { continue };
            let (handler, inner) = (handler.clone(), Rc::downgrade(&self.inner));
            glommio::spawn_local(async move {
                drain(from, receiver, &received, &inner, &*handler).await;
                handler(from, MeshEvent::Closed);
            })
            .detach();
        }
        glommio::spawn_local(flush_when_stuck(Rc::downgrade(&self.inner))).detach();
    }

    /// Closes the way to every peer. They receive what is in the channels, then
    /// [`MeshEvent::Closed`]. What is still in an outbox is lost, so look at [`Mesh::depth`] first.
    pub fn close(&self) {
        for peer in self.inner.peers.iter().flatten() {
            peer.sender.close();
        }
        self.inner.stuck.notify();
    }

    /// How many parcels the peer has not taken yet, in channel and outbox; 0 for oneself.
    pub fn depth(&self, to: usize) -> usize {
        self.inner.peers.get(to).and_then(Option::as_ref).map_or(0, Peer::depth)
    }
}

async fn drain<T: Send + 'static>(
    from: usize,
    receiver: ConnectedReceiver<T>,
    received: &AtomicU64,
    inner: &Weak<Inner<T>>,
    handler: &impl Fn(usize, MeshEvent<T>),
) {
    let (mut count, mut burst) = (0_u64, 0);
    while let Some(parcel) = receiver.recv().await {
        count += 1;
        received.store(count, Ordering::Relaxed);
        // A peer that sends is awake and has probably made room.
        if let Some(peer) = inner.upgrade().as_deref().and_then(|mesh| mesh.peers[from].as_ref()) {
            peer.flush();
        }
        handler(from, MeshEvent::Parcel(parcel));
        burst += 1;
        if burst == RECEIVE_BURST_PARCELS {
            burst = 0;
            futures_lite::future::yield_now().await;
        }
    }
}

/// Lives as long as the mesh does.
async fn flush_when_stuck<T: Send + 'static>(inner: Weak<Inner<T>>) {
    loop {
        let waited = std::future::poll_fn(|context| match inner.upgrade() {
            Some(mesh) => mesh.stuck.poll_notified(context).map(Some),
            None => std::task::Poll::Ready(None),
        });
        if waited.await.is_none() {
            return;
        }
        while inner.upgrade().is_some_and(|mesh| mesh.flush()) {
            glommio::timer::sleep(OUTBOX_RETRY).await;
        }
    }
}

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;

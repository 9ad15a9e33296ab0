//! The transport between shards: ordered, at least once, as slow as the scheduler likes.
//!
//! What the protocol allows the transport is done: batches are cut anywhere, and now and then an
//! older one comes again. As in the runtime a lane holds so many parcels; what finds it full waits in
//! the sender's outbox, in order.

use std::collections::{BTreeMap, VecDeque};

use engine::{Message, PeerBatch, Reply};
use money::{OrderId, Placement, Price, ShardId, Side};
use shard::Request;

use crate::mutation::Mutation;
use crate::random::Random;
use crate::totals::Totals;

/// Names who waits for an answer.
pub(crate) type Token = u64;

/// One turn's worth for one peer: the twin of the runtime's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcel {
    pub greeting: Option<u64>,
    pub batches: Vec<PeerBatch>,
    pub asks: Vec<(Token, Request)>,
    pub tells: Vec<(Token, Reply)>,
}

impl Parcel {
    pub fn is_empty(&self) -> bool {
        self.greeting.is_none()
            && self.batches.is_empty()
            && self.asks.is_empty()
            && self.tells.is_empty()
    }
}

/// One direction between two shards.
#[derive(Debug, Default)]
struct Link {
    /// What the receiver can take, each with its number among all that was ever sent.
    lane: VecDeque<(u64, Parcel)>,
    /// What found the lane full.
    outbox: VecDeque<(u64, Parcel)>,
    /// Some batch that was sent, to come again.
    older: Option<PeerBatch>,
    /// By how much the numbers are off: see [`Mutation::DoubleSettle`].
    shift: u64,
    /// How often the planted bug was at work.
    planted: u64,
}

pub(crate) struct Mesh {
    placement: Placement,
    /// By sender, then by receiver.
    links: Vec<Vec<Link>>,
    /// Most messages in one batch, so that it fits the small journals' records.
    most_messages: u64,
    /// Most parcels in one lane.
    capacity: usize,
    /// Parcels sent on all links, and the newest of those that arrived.
    sent: u64,
    newest_arrived: u64,
    /// By order: what it would pay at most. See [`Mutation::LostDust`].
    limits: BTreeMap<OrderId, Price>,
    mutation: Option<Mutation>,
    random: Random,
    pub totals: Totals,
}

impl Mesh {
    pub fn new(
        placement: Placement,
        most_messages: u64,
        capacity: usize,
        mutation: Option<Mutation>,
        random: Random,
    ) -> Mesh {
        let mut mesh = Mesh {
            placement,
            links: Vec::new(),
            most_messages,
            capacity,
            sent: 0,
            newest_arrived: 0,
            limits: BTreeMap::new(),
            mutation,
            random,
            totals: Totals::default(),
        };
        mesh.clear();
        mesh
    }

    /// The next process has another number of shards.
    pub fn move_to(&mut self, placement: Placement) {
        self.placement = placement;
        self.clear();
    }

    /// The process has ended: nothing is on its way any more.
    pub fn clear(&mut self) {
        let shards = usize::from(self.placement.shards());
        self.links = (0..shards).map(|_| (0..shards).map(|_| Link::default()).collect()).collect();
    }

    /// Whether the receiver finds a parcel in its lane.
    pub fn has_arrival(&self, from: usize, to: usize) -> bool {
        !self.links[from][to].lane.is_empty()
    }

    /// Takes the oldest parcel of a lane.
    pub fn deliver(&mut self, from: usize, to: usize) -> Option<Parcel> {
        let (number, parcel) = self.links[from][to].lane.pop_front()?;
        self.totals.parcels += 1;
        self.totals.overtaken += u64::from(number < self.newest_arrived);
        self.newest_arrived = self.newest_arrived.max(number);
        Some(parcel)
    }

    /// Whether a lane has room again for what waits in its outbox.
    pub fn can_flush(&self, from: usize, to: usize) -> bool {
        let link = &self.links[from][to];
        !link.outbox.is_empty() && link.lane.len() < self.capacity
    }

    /// The sender has noticed that there is room.
    pub fn flush(&mut self, from: usize, to: usize) {
        let link = &mut self.links[from][to];
        let room = self.capacity.saturating_sub(link.lane.len());
        let moved = link.outbox.len().min(room);
        link.lane.extend(link.outbox.drain(..moved));
    }

    pub fn send(&mut self, from: ShardId, to: ShardId, parcel: Parcel) {
        let Parcel { greeting, batches, asks, tells } = parcel;
        let mut parcels = vec![Parcel { greeting, ..Parcel::default() }];
        for batch in batches {
            for batch in self.cut(batch) {
                let Some(batch) = self.plant(from, to, batch) else { continue };
                if self.random.one_in(4) {
                    parcels.push(Parcel::default());
                }
                let repeated = self.repeat(from, to, &batch);
                let last = parcels.last_mut().expect("there is one");
                last.batches.push(batch);
                last.batches.extend(repeated);
            }
        }
        let last = parcels.last_mut().expect("there is one");
        last.asks = asks;
        last.tells = tells;
        for parcel in parcels.into_iter().filter(|parcel| !parcel.is_empty()) {
            self.push(from, to, parcel);
        }
        let link = &mut self.links[from.0 as usize][to.0 as usize];
        let reorder = self.mutation == Some(Mutation::ReorderedMesh) && link.lane.len() > 1;
        if reorder && self.random.one_in(20) {
            let last = link.lane.len() - 1;
            link.lane.swap(last, last - 1);
        }
    }

    /// Into the lane, or behind what waits for room in it already.
    fn push(&mut self, from: ShardId, to: ShardId, parcel: Parcel) {
        self.sent += 1;
        let link = &mut self.links[from.0 as usize][to.0 as usize];
        if link.outbox.is_empty() && link.lane.len() < self.capacity {
            link.lane.push_back((self.sent, parcel));
        } else {
            self.totals.full_lanes += 1;
            link.outbox.push_back((self.sent, parcel));
        }
    }

    /// Cuts a batch where the transport may.
    fn cut(&mut self, batch: PeerBatch) -> Vec<PeerBatch> {
        let PeerBatch { source, mut first_sequence, confirmed, mut messages } = batch;
        let mut batches = Vec::new();
        loop {
            let most = match self.random.one_in(3) {
                true => self.random.range(1, self.most_messages),
                false => self.most_messages,
            };
            let rest = messages.split_off(messages.len().min(most as usize));
            let length = messages.len() as u64;
            batches.push(PeerBatch { source, first_sequence, confirmed, messages });
            if rest.is_empty() {
                return batches;
            }
            self.totals.cuts += 1;
            first_sequence += length;
            messages = rest;
        }
    }

    /// An older batch of this link, to follow the new one.
    fn repeat(&mut self, from: ShardId, to: ShardId, batch: &PeerBatch) -> Option<PeerBatch> {
        let link = &mut self.links[from.0 as usize][to.0 as usize];
        let repeated = if self.random.one_in(20) { link.older.clone() } else { None };
        if link.older.is_none() || self.random.one_in(6) {
            link.older = Some(batch.clone());
        }
        self.totals.repeats += u64::from(repeated.is_some());
        repeated
    }

    /// The planted bugs of the transport.
    fn plant(&mut self, from: ShardId, to: ShardId, batch: PeerBatch) -> Option<PeerBatch> {
        let mut batch = batch;
        let link = &mut self.links[from.0 as usize][to.0 as usize];
        match self.mutation {
            Some(Mutation::SkippedConfirm) => {
                batch.confirmed = 0;
                if batch.messages.is_empty() {
                    return None;
                }
            }
            Some(Mutation::LostMessages) if self.random.one_in(200) => return None,
            Some(Mutation::DoubleSettle) => {
                batch.first_sequence += link.shift;
                let fill =
                    batch.messages.iter().find(|message| matches!(message, Message::Fill(_)));
                if let (Some(fill), true) = (fill.cloned(), self.random.one_in(50)) {
                    batch.messages.push(fill);
                    link.shift += 1;
                    link.planted += 1;
                }
            }
            Some(Mutation::LostUnits) => {
                for message in &mut batch.messages {
                    if let Message::Fill(fill) = message
                        && fill.side == Side::Buy
                        && self.random.one_in(20)
                    {
                        fill.price = Price(fill.price.0 + 1);
                    }
                }
            }
            Some(Mutation::LostDust) => self.lose_dust(&mut batch),
            _ => {}
        }
        Some(batch)
    }

    /// Makes the home of a buy settle a fill as if nothing were to be given back: at the order's own
    /// limit, which it reads off the order on its way to the book.
    fn lose_dust(&mut self, batch: &mut PeerBatch) {
        for message in &mut batch.messages {
            match message {
                Message::Submit(submit) if submit.side == Side::Buy && !submit.market => {
                    self.limits.insert(submit.order, submit.price);
                }
                Message::Move { order, .. } => {
                    self.limits.remove(order);
                }
                Message::Fill(fill) => {
                    if let (Some(limit), true) =
                        (self.limits.get(&fill.order), self.random.one_in(10))
                    {
                        fill.price = *limit;
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_a_lane_full_comes_later_but_in_order() {
        let mut mesh = Mesh::new(Placement::new(2), 10, 2, None, Random::new(1));
        let (from, to) = (ShardId(0), ShardId(1));
        let parcel =
            |token| Parcel { tells: vec![(token, Reply::Proof(Vec::new()))], ..Parcel::default() };
        let take = |mesh: &mut Mesh| mesh.deliver(0, 1).map(|parcel| parcel.tells[0].0);
        (1..=3).for_each(|token| mesh.send(from, to, parcel(token)));
        assert!(!mesh.can_flush(0, 1), "no room yet");
        assert_eq!(take(&mut mesh), Some(1));
        mesh.send(from, to, parcel(4));
        assert!(mesh.can_flush(0, 1));
        assert_eq!(take(&mut mesh), Some(2));
        assert!(!mesh.has_arrival(0, 1), "nobody overtakes what waits");
        mesh.flush(0, 1);
        assert_eq!([take(&mut mesh), take(&mut mesh), take(&mut mesh)], [Some(3), Some(4), None]);
        assert_eq!(mesh.totals.full_lanes, 2);
    }
}

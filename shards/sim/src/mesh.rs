//! The transport between shards: ordered, at least once, as slow as the scheduler likes.
//!
//! What the protocol allows the transport is done: batches are cut anywhere, and now and then an
//! older one comes again.

use std::collections::VecDeque;

use engine::{Message, PeerBatch, Reply};
use money::{Placement, Price, ShardId, Side};
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
    parcels: VecDeque<Parcel>,
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
    mutation: Option<Mutation>,
    random: Random,
    pub totals: Totals,
}

impl Mesh {
    pub fn new(
        placement: Placement,
        most_messages: u64,
        mutation: Option<Mutation>,
        random: Random,
    ) -> Mesh {
        let mut mesh = Mesh {
            placement,
            links: Vec::new(),
            most_messages,
            mutation,
            random,
            totals: Totals::default(),
        };
        mesh.clear();
        mesh
    }

    /// The process has ended: nothing is on its way any more.
    pub fn clear(&mut self) {
        let shards = usize::from(self.placement.shards());
        self.links = (0..shards).map(|_| (0..shards).map(|_| Link::default()).collect()).collect();
    }

    /// Parcels under way from one shard to another.
    pub fn under_way(&self, from: usize, to: usize) -> usize {
        self.links[from][to].parcels.len()
    }

    /// Takes the oldest parcel of a link.
    pub fn deliver(&mut self, from: usize, to: usize) -> Option<Parcel> {
        self.links[from][to].parcels.pop_front()
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
        let link = &mut self.links[from.0 as usize][to.0 as usize];
        link.parcels.extend(parcels.into_iter().filter(|parcel| !parcel.is_empty()));
        let reorder = self.mutation == Some(Mutation::ReorderedMesh) && link.parcels.len() > 1;
        if reorder && self.random.one_in(20) {
            let last = link.parcels.len() - 1;
            link.parcels.swap(last, last - 1);
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
            _ => {}
        }
        Some(batch)
    }
}

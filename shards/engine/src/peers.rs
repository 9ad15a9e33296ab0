//! Exactly-once message exchange with the other shards.
//!
//! To each peer: messages numbered from 1, kept until the peer has confirmed them durable. From each
//! peer: the number of the last one applied. After a restart a peer tells that number, and the rest
//! is sent again; what comes twice is dropped here.

use std::collections::VecDeque;

use money::ShardId;

use crate::message::{Message, PeerBatch};

/// The transport broke its promise of order: messages are missing before this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("messages from shard {source_shard} jump from {applied} to {first}")]
pub struct SequenceGap {
    /// Who sent.
    pub source_shard: ShardId,
    /// The last message applied.
    pub applied: u64,
    /// The first of the batch.
    pub first: u64,
}

#[derive(Debug, Default)]
struct Peer {
    /// Number of the front of `kept`, or of the next message when empty.
    first: u64,
    kept: VecDeque<Message>,
    /// Number of the last message applied from this peer.
    applied: u64,
    /// Whether this step has added to `kept` already.
    touched: bool,
}

impl Peer {
    fn last(&self) -> u64 {
        self.first + self.kept.len() as u64 - 1
    }
}

/// This shard's side of the exchange with every peer.
#[derive(Debug)]
pub(crate) struct Peers {
    here: ShardId,
    peers: Vec<Peer>,
    touched: Vec<ShardId>,
}

impl Peers {
    pub fn new(here: ShardId, shards: u16) -> Peers {
        let peers = (0..shards).map(|_| Peer { first: 1, ..Peer::default() }).collect();
        Peers { here, peers, touched: Vec::new() }
    }

    /// Appends a message to a peer.
    #[inline]
    pub fn push(&mut self, to: ShardId, message: Message) {
        debug_assert_ne!(to, self.here, "a local hop is a call");
        let peer = &mut self.peers[to.0 as usize];
        peer.kept.push_back(message);
        if !peer.touched {
            peer.touched = true;
            self.touched.push(to);
        }
    }

    /// Tells, for every peer that got messages since the last call, the number of the last one.
    #[inline]
    pub fn drain_touched(&mut self, out: &mut Vec<(ShardId, u64)>) {
        for to in self.touched.drain(..) {
            let peer = &mut self.peers[to.0 as usize];
            peer.touched = false;
            out.push((to, peer.last()));
        }
    }

    /// Drops the messages of a batch that were applied before; `None` when nothing is left.
    pub fn admit(&self, mut batch: PeerBatch) -> Result<Option<PeerBatch>, SequenceGap> {
        let applied = self.applied(batch.source);
        if batch.messages.is_empty() || batch.last_sequence() <= applied {
            return Ok(None);
        }
        if batch.first_sequence > applied + 1 {
            return Err(SequenceGap {
                source_shard: batch.source,
                applied,
                first: batch.first_sequence,
            });
        }
        let known = (applied + 1 - batch.first_sequence) as usize;
        batch.messages.drain(..known);
        batch.first_sequence = applied + 1;
        Ok(Some(batch))
    }

    /// Marks an admitted batch as applied.
    ///
    /// # Panics
    /// When it does not follow on what was applied: the caller must [`Peers::admit`] first.
    pub fn apply(&mut self, batch: &PeerBatch) {
        let peer = &mut self.peers[batch.source.0 as usize];
        assert_eq!(batch.first_sequence, peer.applied + 1, "a batch follows on the one before");
        peer.applied = batch.last_sequence();
    }

    /// The last message applied from a peer.
    pub fn applied(&self, from: ShardId) -> u64 {
        self.peers[from.0 as usize].applied
    }

    /// Forgets what the peer has confirmed.
    pub fn confirm(&mut self, to: ShardId, confirmed: u64) {
        let peer = &mut self.peers[to.0 as usize];
        assert!(confirmed <= peer.last(), "a peer confirms only what was sent");
        while peer.first <= confirmed {
            peer.kept.pop_front();
            peer.first += 1;
        }
    }

    /// Number of the last message to a peer; 0 when there never was one.
    pub fn last(&self, to: ShardId) -> u64 {
        self.peers[to.0 as usize].last()
    }

    /// Up to `limit` kept messages to a peer with numbers in `first..=last`, and the number of the
    /// first of them.
    pub fn outgoing(
        &self,
        to: ShardId,
        first: u64,
        last: u64,
        limit: usize,
    ) -> (u64, Vec<Message>) {
        let peer = &self.peers[to.0 as usize];
        let first = first.max(peer.first);
        let skip = (first - peer.first) as usize;
        let wanted = last.saturating_add(1).saturating_sub(first).min(limit as u64) as usize;
        (first, peer.kept.iter().skip(skip).take(wanted).cloned().collect())
    }

    /// The number of the first message kept for a peer, or of the next one, and what is kept.
    pub fn kept(&self, to: ShardId) -> (u64, impl Iterator<Item = &Message>) {
        let peer = &self.peers[to.0 as usize];
        (peer.first, peer.kept.iter())
    }

    /// Sets where the exchange with a peer stands, from an image.
    pub fn restore(&mut self, peer: ShardId, first_kept: u64, applied: u64) {
        self.peers[peer.0 as usize] = Peer { first: first_kept, applied, ..Peer::default() };
    }

    /// Adds a message that is kept for a peer, from an image.
    pub fn restore_kept(&mut self, to: ShardId, message: Message) {
        self.peers[to.0 as usize].kept.push_back(message);
    }

    /// Messages that peers have not confirmed.
    pub fn unconfirmed(&self) -> u64 {
        self.peers.iter().map(|peer| peer.kept.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: ShardId = ShardId(0);
    const THERE: ShardId = ShardId(1);

    fn message(ticket: u64) -> Message {
        Message::ProbeDone { ticket }
    }

    fn batch(first_sequence: u64, count: u64) -> PeerBatch {
        let messages = (first_sequence..first_sequence + count).map(message).collect();
        PeerBatch { source: THERE, first_sequence, confirmed: 0, messages }
    }

    #[test]
    fn a_batch_sent_again_is_applied_once() {
        let mut peers = Peers::new(HERE, 2);
        let first = peers.admit(batch(1, 3)).unwrap().unwrap();
        peers.apply(&first);
        assert_eq!(peers.admit(batch(1, 3)), Ok(None));
        let rest = peers.admit(batch(2, 4)).unwrap().unwrap();
        assert_eq!((rest.first_sequence, rest.messages.len()), (4, 2));
    }

    #[test]
    fn a_missing_message_is_an_error_not_a_guess() {
        let peers = Peers::new(HERE, 2);
        assert_eq!(
            peers.admit(batch(2, 1)),
            Err(SequenceGap { source_shard: THERE, applied: 0, first: 2 })
        );
    }

    #[test]
    fn what_is_not_confirmed_is_kept_and_sent_again() {
        let mut peers = Peers::new(HERE, 2);
        for ticket in 1..=5 {
            peers.push(THERE, message(ticket));
        }
        peers.confirm(THERE, 2);
        let (first, messages) = peers.outgoing(THERE, 1, 5, 100);
        assert_eq!((first, messages.len()), (3, 3));
        let (first, messages) = peers.outgoing(THERE, 4, 5, 1);
        assert_eq!((first, messages), (4, vec![message(4)]));
        peers.confirm(THERE, 5);
        assert_eq!(peers.outgoing(THERE, 1, 5, 100).1, vec![]);
        peers.push(THERE, message(6));
        assert_eq!(peers.outgoing(THERE, 6, 6, 100), (6, vec![message(6)]));
    }
}

//! Questions whose answer is still to come from other shards.
//!
//! A question is part of the state (a replay rebuilds it), who asked is not: after a restart nobody
//! waits any more.

use money::{FixedState, Map, OrderId, SymbolId};

use crate::message::Ticket;
use crate::reply::{Origin, Refusal};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Place an order and wait for both sides' settlement.
    Place(OrderId),
    /// Cancel, reduce or move an order.
    Change(OrderId),
    /// Cancel several orders; there may be more.
    CancelAll { more: bool },
    /// Define an asset.
    Asset(money::AssetId),
    /// Define or change a symbol.
    Symbol(SymbolId),
    /// Change a role, a key or a session: it comes to this.
    Identity(identity::Outcome),
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub question: Question,
    /// Answers of symbol shards still to come.
    pub outstanding: u32,
    /// Probes still to come back. Below zero when they overtook the answer that announces them.
    pub probes: i32,
    /// Orders canceled, for `CancelAll`.
    pub count: u32,
    /// Why the one change was refused after all.
    pub refusal: Option<Refusal>,
    /// Who asked, since the start of this process.
    pub origins: Origins,
}

/// Who waits for one answer. Nearly always it is one, for whom nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    first: Option<Origin>,
    more: Vec<Origin>,
}

impl Origins {
    /// Adds who waits, if anybody does.
    pub fn add(&mut self, origin: Option<Origin>) {
        match self.first {
            None => self.first = origin,
            Some(_) => self.more.extend(origin),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub fn iter(&self) -> impl Iterator<Item = Origin> {
        self.first.into_iter().chain(self.more.iter().copied())
    }
}

/// All questions under way.
#[derive(Debug)]
pub(crate) struct PendingQuestions {
    open: Map<Ticket, Pending>,
    next: Ticket,
}

impl PendingQuestions {
    pub fn new(hash_seed: u64) -> PendingQuestions {
        PendingQuestions { open: Map::with_hasher(FixedState::new(hash_seed)), next: 1 }
    }

    /// A new ticket.
    #[inline]
    pub fn ticket(&mut self) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        ticket
    }

    /// Remembers a question.
    pub fn open(
        &mut self,
        ticket: Ticket,
        question: Question,
        outstanding: u32,
        origin: Option<Origin>,
    ) {
        let mut origins = Origins::default();
        origins.add(origin);
        let pending =
            Pending { question, outstanding, probes: 0, count: 0, refusal: None, origins };
        self.open.insert(ticket, pending);
    }

    /// All of them, by ticket. Sorts: not for the hot path.
    pub fn by_ticket(&self) -> Vec<(Ticket, &Pending)> {
        money::sorted(&self.open)
    }

    /// The next ticket.
    pub fn next_ticket(&self) -> Ticket {
        self.next
    }

    /// Sets the next ticket, from an image.
    pub fn restore_next(&mut self, next: Ticket) {
        self.next = next;
    }

    /// Adds a question from an image, that nobody waits for. `false` when it is there already.
    pub fn restore(&mut self, ticket: Ticket, pending: Pending) -> bool {
        self.open.insert(ticket, pending).is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        self.open.get_mut(&ticket)
    }

    /// Takes the question out if nothing more is to come for it.
    pub fn take_if_complete(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.open.get(&ticket)?;
        if pending.outstanding > 0 || pending.probes != 0 {
            return None;
        }
        self.open.remove(&ticket)
    }
}

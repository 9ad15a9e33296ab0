//! The orders of one shard's users: open ones, and the last ended ones for queries and for clients
//! that ask again by `cid`.

use std::collections::VecDeque;

use ledger::{Account, Hold};
use money::{
    Cid, FixedState, Lots, Map, OrderId, OrderKind, OrderStatus, Price, Side, SymbolId, Table,
    TimeInForce, Units, UserId, hash_one,
};

use crate::history::Link;
use crate::message::Ticket;
use crate::reply::OrderView;

/// Ended orders that a shard remembers.
pub const ENDED_ORDERS: usize = 100_000;

/// No slot.
const NONE: u32 = u32::MAX;

/// Where an order is stored; valid until the order is forgotten.
pub(crate) type OrderSlot = u32;

/// An order as its home knows it.
#[derive(Debug)]
pub(crate) struct Order {
    pub id: OrderId,
    pub cid: Option<Cid>,
    pub user: UserId,
    pub account: Account,
    pub symbol: SymbolId,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub status: OrderStatus,
    pub price: Price,
    pub qty: Lots,
    pub quote_qty: Option<Units>,
    pub filled: Lots,
    pub filled_quote: Units,
    pub created_at_ms: u64,
    pub updated_at_ms: u64,
    pub hold: Hold,
    /// The question that brought it to the book.
    pub ticket: Ticket,
    /// The book has answered that question.
    pub matched: bool,
    /// The price of a move that the book has not answered yet.
    pub moving_to: Option<Price>,
    pub last_trade: Link,
    /// Neighbours in the user's list of open or of ended orders.
    newer: OrderSlot,
    older: OrderSlot,
}

impl Order {
    pub fn view(&self) -> OrderView {
        OrderView {
            order: self.id,
            cid: self.cid,
            user: self.user,
            symbol: self.symbol,
            side: self.side,
            kind: self.kind,
            time_in_force: self.time_in_force,
            price: self.price,
            qty: if self.quote_qty.is_some() { self.filled } else { self.qty },
            quote_qty: self.quote_qty,
            filled: self.filled,
            filled_quote: self.filled_quote,
            status: self.status,
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
        }
    }

    /// Whether the book's "filled" means FILLED: an order by quantity that only ran out of what was
    /// reserved for it, or one that got nothing at all, has expired.
    pub fn is_filled(&self) -> bool {
        self.filled.0 > 0 && (self.quote_qty.is_some() || self.filled == self.qty)
    }

    /// The fields that only the store sets.
    pub fn unlinked() -> (OrderSlot, OrderSlot) {
        (NONE, NONE)
    }
}

/// What is needed to make an [`Order`]; the rest starts at nothing.
pub(crate) struct NewOrder {
    pub id: OrderId,
    pub cid: Option<Cid>,
    pub user: UserId,
    pub account: Account,
    pub symbol: SymbolId,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub price: Price,
    pub qty: Lots,
    pub quote_qty: Option<Units>,
    pub hold: Hold,
    pub ticket: Ticket,
    pub now_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Lists {
    open: OrderSlot,
    ended: OrderSlot,
}

/// Which list of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Open,
    Ended,
}

/// All orders that a shard knows.
#[derive(Debug)]
pub(crate) struct Orders {
    slots: Vec<Order>,
    free: Vec<OrderSlot>,
    by_id: Map<OrderId, OrderSlot>,
    by_cid: Table<OrderSlot>,
    hasher: FixedState,
    /// By account.
    lists: Vec<Lists>,
    ended: VecDeque<OrderSlot>,
    open_count: u64,
}

impl Orders {
    pub fn new(hash_seed: u64) -> Orders {
        let hasher = FixedState::new(hash_seed);
        Orders {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: Map::with_hasher(hasher),
            by_cid: Table::new(),
            hasher,
            lists: Vec::new(),
            ended: VecDeque::new(),
            open_count: 0,
        }
    }

    pub fn open_count(&self) -> u64 {
        self.open_count
    }

    #[inline]
    pub fn find(&self, id: OrderId) -> Option<OrderSlot> {
        self.by_id.get(&id).copied()
    }

    #[inline]
    pub fn find_cid(&self, account: Account, cid: &Cid) -> Option<OrderSlot> {
        let hash = hash_one(self.hasher, (account, cid));
        self.by_cid
            .find(hash, |&slot| {
                let order = &self.slots[slot as usize];
                order.account == account && order.cid.as_ref() == Some(cid)
            })
            .copied()
    }

    #[inline]
    pub fn get(&self, slot: OrderSlot) -> &Order {
        &self.slots[slot as usize]
    }

    #[inline]
    pub fn get_mut(&mut self, slot: OrderSlot) -> &mut Order {
        &mut self.slots[slot as usize]
    }

    /// Adds an open order. Its `cid` must be new to the user.
    pub fn insert(&mut self, new: NewOrder) -> OrderSlot {
        let (newer, older) = Order::unlinked();
        let order = Order {
            id: new.id,
            cid: new.cid,
            user: new.user,
            account: new.account,
            symbol: new.symbol,
            side: new.side,
            kind: new.kind,
            time_in_force: new.time_in_force,
            status: OrderStatus::New,
            price: new.price,
            qty: new.qty,
            quote_qty: new.quote_qty,
            filled: Lots(0),
            filled_quote: 0,
            created_at_ms: new.now_ms,
            updated_at_ms: new.now_ms,
            hold: new.hold,
            ticket: new.ticket,
            matched: false,
            moving_to: None,
            last_trade: 0,
            newer,
            older,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = order;
                slot
            }
            None => {
                self.slots.push(order);
                (self.slots.len() - 1) as OrderSlot
            }
        };
        self.by_id.insert(new.id, slot);
        if let Some(cid) = new.cid {
            let hash = hash_one(self.hasher, (new.account, &cid));
            let (slots, hasher) = (&self.slots, self.hasher);
            self.by_cid.insert_unique(hash, slot, |&slot| cid_hash(slots, hasher, slot));
        }
        self.link(slot, List::Open);
        self.open_count += 1;
        slot
    }

    /// Moves an open order among the ended ones and forgets the one that ended longest ago.
    pub fn end(&mut self, slot: OrderSlot, status: OrderStatus, now_ms: u64) {
        let order = &mut self.slots[slot as usize];
        assert!(order.status.is_open(), "an order ends once");
        debug_assert!(!status.is_open());
        order.status = status;
        order.updated_at_ms = now_ms;
        order.moving_to = None;
        self.unlink(slot, List::Open);
        self.link(slot, List::Ended);
        self.open_count -= 1;
        self.ended.push_back(slot);
        if self.ended.len() > ENDED_ORDERS {
            let oldest = self.ended.pop_front().expect("not empty");
            self.forget(oldest);
        }
    }

    fn forget(&mut self, slot: OrderSlot) {
        self.unlink(slot, List::Ended);
        let order = &self.slots[slot as usize];
        self.by_id.remove(&order.id);
        if let Some(cid) = order.cid {
            let hash = hash_one(self.hasher, (order.account, &cid));
            if let Ok(entry) = self.by_cid.find_entry(hash, |&candidate| candidate == slot) {
                entry.remove();
            }
        }
        self.free.push(slot);
    }

    /// A user's orders of one list, newest (or last ended) first, beginning behind `after`.
    pub fn list(
        &self,
        account: Account,
        list: List,
        after: Option<OrderSlot>,
    ) -> impl Iterator<Item = (OrderSlot, &Order)> {
        let mut next = match after {
            Some(slot) => self.get(slot).older,
            None => self.lists.get(account.0 as usize).map_or(NONE, |lists| head(lists, list)),
        };
        std::iter::from_fn(move || {
            let slot = next;
            let order = self.slots.get(slot as usize)?;
            next = order.older;
            Some((slot, order))
        })
    }

    fn link(&mut self, slot: OrderSlot, list: List) {
        let account = self.slots[slot as usize].account.0 as usize;
        if account >= self.lists.len() {
            self.lists.resize(account + 1, Lists { open: NONE, ended: NONE });
        }
        let head = head_mut(&mut self.lists[account], list);
        let older = std::mem::replace(head, slot);
        let order = &mut self.slots[slot as usize];
        (order.newer, order.older) = (NONE, older);
        if older != NONE {
            self.slots[older as usize].newer = slot;
        }
    }

    fn unlink(&mut self, slot: OrderSlot, list: List) {
        let order = &self.slots[slot as usize];
        let (account, newer, older) = (order.account.0 as usize, order.newer, order.older);
        match newer {
            NONE => *head_mut(&mut self.lists[account], list) = older,
            newer => self.slots[newer as usize].older = older,
        }
        if older != NONE {
            self.slots[older as usize].newer = newer;
        }
    }
}

fn cid_hash(slots: &[Order], hasher: FixedState, slot: OrderSlot) -> u64 {
    let order = &slots[slot as usize];
    hash_one(hasher, (order.account, order.cid.as_ref().expect("only orders with a cid are in")))
}

fn head(lists: &Lists, list: List) -> OrderSlot {
    match list {
        List::Open => lists.open,
        List::Ended => lists.ended,
    }
}

fn head_mut(lists: &mut Lists, list: List) -> &mut OrderSlot {
    match list {
        List::Open => &mut lists.open,
        List::Ended => &mut lists.ended,
    }
}

//! The orders of one shard's users: open ones, and the last ended ones for queries and for clients
//! that ask again by `cid`.

use std::collections::VecDeque;

use ledger::{Account, Hold};
use money::{
    Cid, FixedState, IdHasher, Lots, OrderId, OrderKind, OrderStatus, Price, Side, SlotIndex,
    SymbolId, TimeInForce, Units, UserId, hash_one, prefetch, prefetch_all,
};

use crate::history::Link;
use crate::image::OrderImage;
use crate::message::Ticket;
use crate::reply::OrderView;

/// Ended orders that a shard remembers.
pub const ENDED_ORDERS: usize = 100_000;

/// No slot.
const NONE: u32 = u32::MAX;

/// Where an order is stored; valid until the order is forgotten.
pub(crate) type OrderSlot = u32;

/// An order as its home knows it. There may be millions, and a fill finds its maker cold: what a
/// fill touches comes first, on two cache lines.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Order {
    pub hold: Hold,
    pub filled_quote: Units,
    pub id: OrderId,
    pub qty: Lots,
    pub filled: Lots,
    pub updated_at_ms: u64,
    pub last_trade: Link,
    /// See [`Order::moving_to`].
    moving_to: Price,
    pub user: UserId,
    pub account: Account,
    pub symbol: SymbolId,
    pub status: OrderStatus,
    /// The book has answered the question that brought it there.
    pub matched: bool,
    pub side: Side,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub cid: Option<Cid>,
    /// Of its `cid`, if it has one: kept, because hashing so many bytes is dear.
    cid_hash: u32,
    pub price: Price,
    pub created_at_ms: u64,
    /// The question that brought it to the book.
    pub ticket: Ticket,
    /// See [`Order::quote_qty`].
    quote_qty: Units,
}

/// The neighbours of an order in its user's list of open or of ended orders. Apart from the orders,
/// because linking one touches two others, which are cold.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    newer: OrderSlot,
    older: OrderSlot,
}

const ALONE: Neighbours = Neighbours { newer: NONE, older: NONE };

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
            qty: if self.quote_qty > 0 { self.filled } else { self.qty },
            quote_qty: self.quote_qty(),
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
        self.filled.0 > 0 && (self.quote_qty > 0 || self.filled == self.qty)
    }

    /// The quote budget of a market order by one. Kept as 0 where there is none: no order has that.
    #[inline]
    pub fn quote_qty(&self) -> Option<Units> {
        (self.quote_qty > 0).then_some(self.quote_qty)
    }

    /// The price of a move that the book has not answered yet. Kept as 0 where there is none: no
    /// order has that price.
    #[inline]
    pub fn moving_to(&self) -> Option<Price> {
        (self.moving_to.0 > 0).then_some(self.moving_to)
    }

    /// Itself, as it stands in an image.
    pub fn image(&self) -> OrderImage {
        // An ended order holds nothing, whatever was left to it.
        let hold = self.status.is_open().then(|| self.hold.image());
        OrderImage {
            id: self.id,
            cid: self.cid,
            user: self.user,
            symbol: self.symbol,
            side: self.side,
            kind: self.kind,
            time_in_force: self.time_in_force,
            status: self.status,
            matched: self.matched,
            price: self.price,
            qty: self.qty,
            quote_qty: self.quote_qty,
            filled: self.filled,
            filled_quote: self.filled_quote,
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
            ticket: self.ticket,
            moving_to: self.moving_to,
            last_trade: self.last_trade,
            hold_price: hold.map_or(Price(0), |hold| hold.price),
            hold_remaining: hold.map_or(Lots(0), |hold| hold.qty),
            hold_budget: hold.and_then(|hold| hold.budget),
        }
    }

    /// The order of an image, with its hold.
    pub fn restored(image: &OrderImage, account: Account, hold: Hold) -> Order {
        Order {
            hold,
            filled_quote: image.filled_quote,
            id: image.id,
            qty: image.qty,
            filled: image.filled,
            updated_at_ms: image.updated_at_ms,
            last_trade: image.last_trade,
            moving_to: image.moving_to,
            user: image.user,
            account,
            symbol: image.symbol,
            status: image.status,
            matched: image.matched,
            side: image.side,
            kind: image.kind,
            time_in_force: image.time_in_force,
            cid: image.cid,
            // Set with the table's own seed, when it is put there.
            cid_hash: 0,
            price: image.price,
            created_at_ms: image.created_at_ms,
            ticket: image.ticket,
            quote_qty: image.quote_qty,
        }
    }

    pub fn set_moving_to(&mut self, price: Option<Price>) {
        self.moving_to = price.unwrap_or(Price(0));
    }
}

/// What is needed to make an [`Order`]; the rest starts at nothing.
pub(crate) struct NewOrder {
    pub id: OrderId,
    pub cid: Option<Cid>,
    /// [`Orders::cid_hash`] of its `cid`, if it has one.
    pub cid_hash: u32,
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

/// An ended order in the queue to be forgotten, with all that this takes: by then the order itself has
/// long left the cache.
#[derive(Clone, Copy, Debug)]
struct Ended {
    id: OrderId,
    slot: OrderSlot,
    /// Of its `cid`, if it has one.
    cid_hash: Option<u32>,
}

/// All orders that a shard knows.
#[derive(Debug)]
pub(crate) struct Orders {
    slots: Vec<Order>,
    /// By slot.
    neighbours: Vec<Neighbours>,
    free: Vec<OrderSlot>,
    by_id: SlotIndex,
    by_cid: SlotIndex,
    id_hasher: IdHasher,
    hasher: FixedState,
    /// By account.
    lists: Vec<Lists>,
    ended: VecDeque<Ended>,
    open_count: u64,
}

impl Orders {
    pub fn new(hash_seed: u64) -> Orders {
        Orders {
            slots: Vec::new(),
            neighbours: Vec::new(),
            free: Vec::new(),
            by_id: SlotIndex::default(),
            by_cid: SlotIndex::default(),
            id_hasher: IdHasher::new(hash_seed),
            hasher: FixedState::new(hash_seed),
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
        self.by_id.get(self.id_hasher.hash(id), |slot| self.get(slot).id == id)
    }

    #[inline]
    pub fn find_cid(&self, account: Account, cid: &Cid) -> Option<OrderSlot> {
        self.find_cid_hashed(account, cid, self.cid_hash(account, cid))
    }

    /// The same with the hash at hand.
    #[inline]
    pub fn find_cid_hashed(&self, account: Account, cid: &Cid, hash: u32) -> Option<OrderSlot> {
        self.by_cid.get(hash, |slot| {
            let order = self.get(slot);
            order.account == account && order.cid.as_ref() == Some(cid)
        })
    }

    /// Has what will soon be asked about an id fetched.
    #[inline]
    pub fn expect(&self, id: OrderId) {
        self.by_id.expect(self.id_hasher.hash(id));
    }

    /// Has what will soon be asked about a `cid` fetched.
    #[inline]
    pub fn expect_cid(&self, account: Account, cid: &Cid) {
        self.by_cid.expect(self.cid_hash(account, cid));
    }

    /// Has an order and its neighbours' places fetched: it is about to change.
    #[inline]
    pub fn expect_change(&self, slot: OrderSlot) {
        prefetch_all(&self.slots[slot as usize]);
        prefetch(&self.neighbours[slot as usize]);
    }

    /// Has the neighbours of an order fetched, which is about to end.
    #[inline]
    pub fn expect_end(&self, slot: OrderSlot) {
        let Neighbours { newer, older } = self.neighbours[slot as usize];
        for neighbour in [newer, older] {
            if let Some(neighbours) = self.neighbours.get(neighbour as usize) {
                prefetch(neighbours);
            }
        }
    }

    /// Has what the next new order will take fetched.
    #[inline]
    pub fn expect_new(&self, id: OrderId) {
        self.expect(id);
        if let Some(&slot) = self.free.last() {
            self.expect_change(slot);
        }
    }

    /// By what a `cid` is found.
    #[inline]
    pub fn cid_hash(&self, account: Account, cid: &Cid) -> u32 {
        hash_one(self.hasher, (account, cid)) as u32
    }

    #[inline]
    pub fn get(&self, slot: OrderSlot) -> &Order {
        &self.slots[slot as usize]
    }

    #[inline]
    pub fn get_mut(&mut self, slot: OrderSlot) -> &mut Order {
        &mut self.slots[slot as usize]
    }

    /// The open orders by account, each user's oldest first: whoever restores them finds the user in
    /// the cache. Looks at every slot and sorts: not for the hot path.
    pub fn open_by_account(&self) -> Vec<&Order> {
        // A free slot keeps an order that has ended.
        let mut open: Vec<&Order> =
            self.slots.iter().filter(|order| order.status.is_open()).collect();
        open.sort_unstable_by_key(|order| (order.account, order.id));
        open
    }

    /// The ended orders that are remembered, in the order they ended.
    pub fn ended(&self) -> impl ExactSizeIterator<Item = &Order> {
        self.ended.iter().map(|ended| self.get(ended.slot))
    }

    /// Adds an order from an image behind those of its list. `false` when its id is known, or when an
    /// open one is not newer than those. Whether its `cid` is new to the user is not looked at, which
    /// would cost more than all the rest: of two orders with one `cid` either is found by it.
    pub fn restore(&mut self, mut order: Order) -> bool {
        order.cid_hash = order.cid.map_or(0, |cid| self.cid_hash(order.account, &cid));
        if self.find(order.id).is_some() {
            return false;
        }
        if order.status.is_open() {
            let newest = self.list(order.account, List::Open, None).next();
            if newest.is_some_and(|(_, newest)| newest.id >= order.id) {
                return false;
            }
            self.add(order);
            return true;
        }
        // As if it had been open and ended now.
        let (status, at_ms) = (order.status, order.updated_at_ms);
        let slot = self.add(Order { status: OrderStatus::New, ..order });
        self.end(slot, status, at_ms);
        true
    }

    /// Makes room for so many orders more.
    pub fn reserve(&mut self, orders: usize) {
        self.slots.reserve(orders);
        self.neighbours.reserve(orders);
        self.by_id.reserve(orders);
        self.by_cid.reserve(orders);
    }

    /// Adds an open order. Its `cid` must be new to the user.
    pub fn insert(&mut self, new: NewOrder) -> OrderSlot {
        self.add(Order {
            id: new.id,
            cid: new.cid,
            cid_hash: new.cid_hash,
            user: new.user,
            account: new.account,
            symbol: new.symbol,
            side: new.side,
            kind: new.kind,
            time_in_force: new.time_in_force,
            status: OrderStatus::New,
            price: new.price,
            qty: new.qty,
            quote_qty: new.quote_qty.unwrap_or(0),
            filled: Lots(0),
            filled_quote: 0,
            created_at_ms: new.now_ms,
            updated_at_ms: new.now_ms,
            hold: new.hold,
            ticket: new.ticket,
            matched: false,
            moving_to: Price(0),
            last_trade: 0,
        })
    }

    #[inline]
    fn add(&mut self, order: Order) -> OrderSlot {
        let (id, cid_hash) = (order.id, order.cid.map(|_| order.cid_hash));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = order;
                slot
            }
            None => {
                self.slots.push(order);
                self.neighbours.push(ALONE);
                (self.slots.len() - 1) as OrderSlot
            }
        };
        self.by_id.insert(self.id_hasher.hash(id), slot);
        if let Some(hash) = cid_hash {
            self.by_cid.insert(hash, slot);
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
        order.set_moving_to(None);
        self.unlink(slot, List::Open);
        self.link(slot, List::Ended);
        self.open_count -= 1;
        let order = &self.slots[slot as usize];
        let cid_hash = order.cid.is_some().then_some(order.cid_hash);
        self.ended.push_back(Ended { id: order.id, slot, cid_hash });
        if self.ended.len() > ENDED_ORDERS {
            let oldest = self.ended.pop_front().expect("not empty");
            self.forget(oldest);
            self.expect_forget();
        }
    }

    /// Has what it takes to forget the next order fetched: all of it has long left the cache.
    #[inline]
    fn expect_forget(&self) {
        let Some(next) = self.ended.front() else { return };
        self.expect(next.id);
        if let Some(hash) = next.cid_hash {
            self.by_cid.expect(hash);
        }
        prefetch(&self.neighbours[next.slot as usize]);
    }

    fn forget(&mut self, Ended { id, slot, cid_hash }: Ended) {
        self.unlink(slot, List::Ended);
        let removed = self.by_id.remove(self.id_hasher.hash(id), |one| one == slot);
        debug_assert_eq!(removed, Some(slot));
        if let Some(hash) = cid_hash {
            self.by_cid.remove(hash, |one| one == slot);
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
            Some(slot) => self.neighbours[slot as usize].older,
            None => self.lists.get(account.0 as usize).map_or(NONE, |lists| head(lists, list)),
        };
        std::iter::from_fn(move || {
            let slot = next;
            let order = self.slots.get(slot as usize)?;
            next = self.neighbours[slot as usize].older;
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
        self.neighbours[slot as usize] = Neighbours { newer: NONE, older };
        if older != NONE {
            self.neighbours[older as usize].newer = slot;
        }
    }

    fn unlink(&mut self, slot: OrderSlot, list: List) {
        let Neighbours { newer, older } = self.neighbours[slot as usize];
        if newer == NONE {
            let account = self.slots[slot as usize].account.0 as usize;
            *head_mut(&mut self.lists[account], list) = older;
        } else {
            self.neighbours[newer as usize].older = older;
        }
        if older != NONE {
            self.neighbours[older as usize].newer = newer;
        }
    }
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

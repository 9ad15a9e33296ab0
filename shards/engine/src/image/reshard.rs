//! The same exchange on another number of shards.
//!
//! First everything in flight between the old shards is delivered, so that no question is open and
//! every user's and every symbol's state stands at one place. Then each piece of it goes to the shard
//! that owns it now. What holds over all shards together is checked at the end: balances and house
//! accounts per asset, users, open and resting orders.
//!
//! A symbol that was placed by hand goes to `asked mod shards`, and keeps what was asked: where there are
//! as many shards as before again, it is back.
//!
//! What belongs to a shard and to no user or symbol: the house accounts go to shard 0; every new
//! shard continues from the highest order count, so that order ids stay unique; a shard's memory of
//! ended orders and of trades is bounded, so fewer shards remember less.

use book::Book;
use ledger::{Totals, Withdrawal};
use money::{Placement, ShardId, SymbolId, UserId};

use super::piece::*;
use super::restore::{ImageError, Restore};
use crate::command::Input;
use crate::effect::Effects;
use crate::engine::{Engine, EngineConfig};
use crate::history::TRADE_HISTORY_ENTRIES;
use crate::orders::{ENDED_ORDERS, Order};
use crate::peers::SequenceGap;
use crate::registry::owner_of;

/// Messages delivered at once while the old shards come to rest.
const SETTLE_BATCH_MESSAGES: usize = 1_000;

/// What a change of the shard count moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Messages that were in flight and were delivered first.
    pub messages: u64,
    /// Users in all.
    pub users: u64,
    /// Users whose home is another shard now.
    pub users_moved: u64,
    /// Symbols in all.
    pub symbols: u64,
    /// Symbols whose book is on another shard now.
    pub symbols_moved: u64,
    /// Open orders.
    pub open_orders: u64,
}

/// The new shards.
#[derive(Debug)]
pub struct Resharded {
    /// By shard.
    pub engines: Vec<Engine>,
    /// What was done.
    pub moved: Moved,
}

/// Why the shard count cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReshardError {
    /// A peer has applied more than was sent.
    #[error(
        "shard {peer} has applied message {applied} of shard {source_shard}, which has sent only \
         {last}: the journal of shard {source_shard} has lost its end"
    )]
    Lost {
        /// Who knows more.
        peer: ShardId,
        /// Who sent.
        source_shard: ShardId,
        /// What the peer has applied.
        applied: u64,
        /// What was sent.
        last: u64,
    },
    /// Messages are missing.
    #[error(transparent)]
    Gap(#[from] SequenceGap),
    /// A question is open with no message in flight: a defect.
    #[error("shard {0} has questions open although no message is in flight")]
    Unsettled(ShardId),
    /// The shards know different assets or symbols: a defect.
    #[error("shard {0} knows other assets or symbols than shard 0")]
    Registry(ShardId),
    /// The shards know different roles, keys or sessions: a defect.
    #[error("shard {0} knows other roles, keys or sessions than shard 0")]
    Identities(ShardId),
    /// The pieces do not fit: a defect.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Something was lost or made: a defect.
    #[error("{0} before and after differ")]
    Differs(&'static str),
}

/// Redistributes recovered shards, `old` by shard number, over `shards` new ones.
///
/// # Errors
/// When the old shards do not fit together. Nothing else is changed than `old`.
pub fn reshard(
    mut old: Vec<Engine>,
    shards: u16,
    hash_seed: u64,
) -> Result<Resharded, ReshardError> {
    let messages = settle(&mut old)?;
    let before = sums(&old);
    let target = Placement::new(shards);
    let mut histories = histories(&old, target);
    let mut engines = Vec::with_capacity(usize::from(shards));
    for shard in target.all() {
        let history = std::mem::take(&mut histories.by_shard[usize::from(shard.0)]);
        let config = EngineConfig { shard, shards, hash_seed };
        engines.push(new_engine(&old, config, target, history, &histories.links)?);
    }
    let after = sums(&engines);
    let differs = |what, same: bool| if same { Ok(()) } else { Err(ReshardError::Differs(what)) };
    differs("balances", before.totals == after.totals)?;
    differs("users", before.users == after.users)?;
    differs("open orders", before.open_orders == after.open_orders)?;
    differs("resting orders", before.resting == after.resting)?;
    let mut moved = Moved { messages, open_orders: after.open_orders, ..Moved::default() };
    count_moved(&old, target, &mut moved);
    Ok(Resharded { engines, moved })
}

/// Delivers everything in flight. Ends, because every message has been caused by a command and
/// causes a bounded number of further ones.
fn settle(engines: &mut [Engine]) -> Result<u64, ReshardError> {
    let now_ms = engines.iter().map(Engine::now_ms).max().unwrap_or(0);
    let mut effects = Effects::default();
    let mut delivered = 0;
    loop {
        let before = delivered;
        for from in 0..engines.len() {
            for to in (0..engines.len()).filter(|&to| to != from) {
                delivered += deliver(engines, from, to, now_ms, &mut effects)?;
            }
        }
        if delivered == before {
            break;
        }
    }
    for engine in engines.iter() {
        let cuts_open = !engine.cuts.open.is_empty() || !engine.cuts.collections.is_empty();
        if !engine.pending.is_empty() || cuts_open {
            return Err(ReshardError::Unsettled(engine.here));
        }
        if engine.registry.assets() != engines[0].registry.assets()
            || engine.registry.symbols() != engines[0].registry.symbols()
        {
            return Err(ReshardError::Registry(engine.here));
        }
        if engine.identities != engines[0].identities {
            return Err(ReshardError::Identities(engine.here));
        }
    }
    Ok(delivered)
}

fn deliver(
    engines: &mut [Engine],
    from: usize,
    to: usize,
    now_ms: u64,
    effects: &mut Effects,
) -> Result<u64, ReshardError> {
    let (source, peer) = (ShardId(from as u16), ShardId(to as u16));
    let (applied, last) = (engines[to].applied(source), engines[from].last_message(peer));
    if applied > last {
        return Err(ReshardError::Lost { peer, source_shard: source, applied, last });
    }
    engines[from].confirm(peer, applied);
    let confirmed = engines[from].applied(peer);
    let batch = engines[from].outgoing(peer, applied + 1, last, SETTLE_BATCH_MESSAGES, confirmed);
    let Some(batch) = engines[to].admit(batch)? else { return Ok(0) };
    let count = batch.messages.len() as u64;
    let _ = engines[to].step(now_ms, &Input::Peer(batch), None, effects);
    effects.clear();
    Ok(count)
}

/// What is the same before and after.
#[derive(PartialEq)]
struct Sums {
    totals: Vec<Totals>,
    users: u64,
    open_orders: u64,
    resting: u64,
}

fn sums(engines: &[Engine]) -> Sums {
    let mut sums = Sums { totals: Vec::new(), users: 0, open_orders: 0, resting: 0 };
    for engine in engines {
        let totals = engine.ledger.totals();
        sums.totals.resize(sums.totals.len().max(totals.len()), Totals::default());
        for (sum, part) in sums.totals.iter_mut().zip(totals) {
            sum.deposits += part.deposits;
            sum.withdrawals += part.withdrawals;
            sum.avail += part.avail;
            sum.frozen += part.frozen;
            sum.fees += part.fees;
        }
        sums.users += engine.ledger.users() as u64;
        sums.open_orders += engine.orders.open_count();
        sums.resting +=
            engine.markets.iter().flatten().map(|one| one.book.len() as u64).sum::<u64>();
    }
    sums
}

fn count_moved(old: &[Engine], target: Placement, moved: &mut Moved) {
    let source = old[0].placement;
    for engine in old {
        for account in 0..engine.ledger.users() as u32 {
            let user = engine.ledger.user(ledger::Account(account));
            moved.users += 1;
            moved.users_moved += u64::from(source.home_of(user) != target.home_of(user));
        }
    }
    for (symbol, entry) in (0..).map(SymbolId).zip(old[0].registry.symbols()) {
        moved.symbols += 1;
        let is_moved = entry.shard != owner_of(symbol, entry.placed, target);
        moved.symbols_moved += u64::from(is_moved);
    }
}

/// The trades of one new shard.
#[derive(Default)]
struct History {
    first: u64,
    trades: Vec<TradeImage>,
}

/// The trades of all new shards.
struct Histories {
    by_shard: Vec<History>,
    links: Links,
}

/// By old shard, then by place in its history: the link in the new shard's; 0 is none.
struct Links {
    /// By old shard: the link of its oldest entry.
    first: Vec<u64>,
    new: Vec<Vec<u64>>,
}

impl Links {
    fn place(&self, old: usize, link: u64) -> Option<usize> {
        let place = usize::try_from(link.checked_sub(self.first[old])?).ok()?;
        (place < self.new[old].len()).then_some(place)
    }

    /// The new link of an old one.
    fn new_link(&self, old: usize, link: u64) -> u64 {
        self.place(old, link).map_or(0, |place| self.new[old][place])
    }
}

/// Deals the trades out. One user's trades keep their order; those of different old shards are merged
/// by their times.
fn histories(old: &[Engine], target: Placement) -> Histories {
    let trades: Vec<Vec<TradeImage>> =
        old.iter().map(|engine| engine.history.image().collect()).collect();
    let first = old.iter().map(|engine| engine.history.first()).collect();
    let new = trades.iter().map(|trades| vec![0; trades.len()]).collect();
    let mut links = Links { first, new };
    let owners: Vec<Vec<Option<ShardId>>> =
        (0..old.len()).map(|at| owners(&old[at], at, &trades[at], &links, target)).collect();
    let mut by_shard: Vec<History> = target.all().map(|_| History::default()).collect();
    let mut next = vec![0; old.len()];
    loop {
        let waiting = (0..old.len()).filter(|&at| next[at] < trades[at].len());
        let Some(at) = waiting.min_by_key(|&at| (trades[at][next[at]].at_ms, at)) else { break };
        let place = next[at];
        next[at] += 1;
        // An entry that no chain reaches belongs to nobody who could ask for it.
        let Some(owner) = owners[at][place] else { continue };
        let history = &mut by_shard[usize::from(owner.0)];
        let (trade, here) = (trades[at][place], links.first[at] + place as u64);
        let link = history.trades.len() as u64 + 1;
        let distance = |back: u32| match back {
            0 => 0,
            back => match links.new_link(at, here - u64::from(back)) {
                0 => 0,
                before => u32::try_from(link - before).unwrap_or(0),
            },
        };
        history.trades.push(TradeImage {
            before_of_account: distance(trade.before_of_account),
            before_of_order: distance(trade.before_of_order),
            ..trade
        });
        links.new[at][place] = link;
    }
    for history in &mut by_shard {
        let surplus = history.trades.len().saturating_sub(TRADE_HISTORY_ENTRIES as usize);
        history.trades.drain(..surplus);
        history.first = surplus as u64 + 1;
    }
    Histories { by_shard, links }
}

/// By place in an old shard's history: the new home of its user.
fn owners(
    engine: &Engine,
    at: usize,
    trades: &[TradeImage],
    links: &Links,
    target: Placement,
) -> Vec<Option<ShardId>> {
    let mut owners = vec![None; trades.len()];
    for account in (0..engine.ledger.users() as u32).map(ledger::Account) {
        let owner = target.home_of(engine.ledger.user(account));
        let mut link = engine.history.last_of(account);
        while let Some(place) = links.place(at, link) {
            owners[place] = Some(owner);
            match trades[place].before_of_account {
                0 => break,
                back => link -= u64::from(back),
            }
        }
    }
    owners
}

/// Builds one new shard.
fn new_engine(
    old: &[Engine],
    config: EngineConfig,
    target: Placement,
    history: History,
    links: &Links,
) -> Result<Engine, ReshardError> {
    let is_mine = |user: UserId| target.home_of(user) == config.shard;
    let mut restore = Restore::new(config);
    restore.piece(Piece::Counters(counters(old, config, history.first)))?;
    for piece in old[0].definitions() {
        restore.piece(piece)?;
    }
    if config.shard == ShardId(0) {
        for engine in old {
            restore.piece(Piece::House(engine.house().collect()))?;
        }
    }
    for (at, engine) in old.iter().enumerate() {
        for account in (0..engine.ledger.users() as u32).map(ledger::Account) {
            if is_mine(engine.ledger.user(account)) {
                let mut person = engine.person(account);
                person.last_trade = links.new_link(at, person.last_trade);
                restore.piece(Piece::People(vec![person]))?;
            }
        }
    }
    for engine in old {
        let payments = engine.made_payments().filter(|payment| is_mine(payment.user));
        restore.piece(Piece::Payments(payments.collect()))?;
    }
    restore.piece(Piece::Trades(history.trades))?;
    restore.piece(Piece::Open(open_orders(old, is_mine, links)))?;
    restore.piece(Piece::Ended(ended_orders(old, is_mine, links)))?;
    for engine in old {
        for (symbol, market) in engine.owned_markets() {
            let placed = engine.registry.symbol(symbol).and_then(|entry| entry.placed);
            if owner_of(symbol, placed, target) == config.shard {
                for piece in market.image(symbol) {
                    restore.piece(piece)?;
                }
            }
        }
    }
    restore.piece(Piece::Withdrawals(withdrawals(old, is_mine)))?;
    for piece in old[0].known_identities() {
        restore.piece(piece)?;
    }
    Ok(restore.finish()?)
}

/// In the order of their requests.
fn withdrawals(old: &[Engine], is_mine: impl Fn(UserId) -> bool) -> Vec<Withdrawal> {
    let all = old.iter().flat_map(|engine| engine.withdrawals.iter());
    let mut mine: Vec<Withdrawal> = all.filter(|one| is_mine(one.user)).cloned().collect();
    // Stable: those of one shard keep their order.
    mine.sort_by_key(|one| one.requested_at_ms);
    mine
}

fn counters(old: &[Engine], config: EngineConfig, first_trade: u64) -> Counters {
    let most = |of: fn(&Engine) -> u64| old.iter().map(of).max().unwrap_or(0);
    // Past every id that an old shard has given by itself.
    let user_ids = (most(|engine| engine.user_count) + 1) * old.len() as u64;
    let mix = |hash: u64, engine: &Engine| hash.rotate_left(23) ^ engine.state_hash;
    Counters {
        shard: config.shard,
        shards: config.shards,
        now_ms: most(Engine::now_ms),
        state_hash: old.iter().fold(u64::from(config.shard.0), mix),
        order_count: most(|engine| engine.order_count),
        user_count: user_ids.div_ceil(u64::from(config.shards)),
        next_ticket: most(|engine| engine.pending.next_ticket()),
        first_trade,
        // Room is made as it goes.
        users: 0,
        balances: 0,
        orders: 0,
    }
}

fn moved_order(order: &Order, old: usize, links: &Links) -> OrderImage {
    // Its question has been answered.
    OrderImage { ticket: 0, last_trade: links.new_link(old, order.last_trade), ..order.image() }
}

fn open_orders(old: &[Engine], is_mine: impl Fn(UserId) -> bool, links: &Links) -> Vec<OrderImage> {
    let mut orders: Vec<OrderImage> = Vec::new();
    for (at, engine) in old.iter().enumerate() {
        let mine = engine.orders.open_by_account().into_iter().filter(|order| is_mine(order.user));
        orders.extend(mine.map(|order| moved_order(order, at, links)));
    }
    orders.sort_unstable_by_key(|order| (order.user, order.id));
    orders
}

fn ended_orders(
    old: &[Engine],
    is_mine: impl Fn(UserId) -> bool,
    links: &Links,
) -> Vec<OrderImage> {
    let mut orders: Vec<OrderImage> = Vec::new();
    for (at, engine) in old.iter().enumerate() {
        let mine = engine.orders.ended().filter(|order| is_mine(order.user));
        orders.extend(mine.map(|order| moved_order(order, at, links)));
    }
    // Stable: those of one shard keep their order.
    orders.sort_by_key(|order| order.updated_at_ms);
    let surplus = orders.len().saturating_sub(ENDED_ORDERS);
    orders.drain(..surplus);
    orders
}

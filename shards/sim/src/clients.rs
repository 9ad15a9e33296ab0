//! The clients: they ask, lose answers, ask again, and remember what they were promised.
//!
//! Each connection belongs to some shard's gateway. A client that lost an answer asks for an order
//! again by its `cid` and for a payment by its `ref`; it cancels again; it does not repeat what
//! would then happen twice (a reduction, an order without a `cid`).

use std::collections::{BTreeMap, BTreeSet};

use engine::{AssetProof, Command, OrderFilter, OrderRef, Place, Query, TapeEntry, Transfer};
use money::{
    Cid, Lots, Placement, Price, ShardId, SymbolId, SymbolPatch, SymbolStatus, TradeId, UserId,
    WithdrawalStatus,
};
use shard::Request;

use crate::credentials::{Aim, Credentials};
use crate::halts::Halts;
use crate::known::{Known, Past, Payment};
use crate::market::Market;
use crate::mesh::Token;
use crate::random::Random;
use crate::totals::Totals;
use crate::withdrawing::{self, Withdrawals};

/// What a request is for.
#[derive(Clone, Debug)]
pub(crate) enum Intent {
    Place(usize),
    Cancel(usize),
    Reduce(usize, Lots),
    Move(usize, Price),
    Order(usize),
    Pay(usize),
    Identity(Aim),
    Withdraw(withdrawing::Step),
    /// Whatever withdrawals the answer shows.
    Withdrawals,
    Script,
    Patch(SymbolId, u64),
    Prove,
    /// With the orders that it must end (trader and order); those of a symbol that was halted since
    /// the request it leaves alone, if one is named.
    CancelAll(Vec<(usize, usize)>, Option<Token>),
    Tape(SymbolId, u64),
    Depth(SymbolId, u64),
    /// Whatever the answer is.
    Other,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub trader: usize,
    pub intent: Intent,
    pub past: Past,
}

pub(crate) struct Trader {
    pub user: UserId,
    pub orders: Vec<Known>,
    pub payments: Vec<Payment>,
    pub withdrawals: Withdrawals,
}

/// What everybody has seen, and nobody may unsee.
#[derive(Default)]
pub(crate) struct Seen {
    pub tape: BTreeMap<(SymbolId, TradeId), TapeEntry>,
    /// The newest trade seen, and the last update of a book.
    pub last_trade: BTreeMap<SymbolId, u64>,
    pub last_update: BTreeMap<SymbolId, u64>,
    /// Trades that were said to be settled on both sides.
    pub settled: BTreeSet<(SymbolId, TradeId)>,
}

/// Where the changes of one symbol's rules stand.
#[derive(Default)]
pub(crate) struct Patches {
    pub asked: u64,
    /// The last one, if it was acknowledged.
    pub in_force: Option<SymbolPatch>,
    pub last: SymbolPatch,
    pub under_way: bool,
    /// One whose connection is gone may still arrive, behind later ones.
    pub stray: bool,
}

pub(crate) struct Clients {
    placement: Placement,
    pub market: Market,
    pub traders: Vec<Trader>,
    pub asked: BTreeMap<Token, Asked>,
    /// Asked by connections that are gone.
    pub dropped: BTreeSet<Token>,
    pub seen: Seen,
    pub patches: BTreeMap<SymbolId, Patches>,
    pub halts: Halts,
    pub credentials: Credentials,
    /// Every payment that somebody asked for, by its reference.
    pub asked_payments: BTreeSet<(UserId, String)>,
    /// The proof that was answered last.
    pub proof: Vec<AssetProof>,
    /// Script lines whose answer has come.
    pub acknowledged: Vec<Command>,
    script_under_way: bool,
    most_asked: usize,
    pub(crate) next_token: Token,
    pub(crate) random: Random,
    pub totals: Totals,
}

impl Clients {
    pub fn new(placement: Placement, most_asked: usize, mut random: Random) -> Clients {
        let market = Market::new(placement, &mut random);
        let trader = |&user: &UserId| Trader {
            user,
            orders: Vec::new(),
            payments: Vec::new(),
            withdrawals: Withdrawals::default(),
        };
        Clients {
            placement,
            traders: market.users.iter().map(trader).collect(),
            market,
            asked: BTreeMap::new(),
            dropped: BTreeSet::new(),
            seen: Seen::default(),
            patches: BTreeMap::new(),
            halts: Halts::default(),
            credentials: Credentials::default(),
            asked_payments: BTreeSet::new(),
            proof: Vec::new(),
            acknowledged: Vec::new(),
            script_under_way: false,
            most_asked,
            next_token: 1,
            random,
            totals: Totals::default(),
        }
    }

    /// The next process has another number of shards.
    pub fn move_to(&mut self, placement: Placement) {
        self.placement = placement;
        self.market.move_to(placement);
    }

    /// Something new, or something again.
    pub fn act(&mut self) -> Option<(ShardId, Token, Request)> {
        if self.asked.len() >= self.most_asked {
            return None;
        }
        if !self.script_under_way && !self.market.script.is_empty() && self.random.chance(40) {
            return Some(self.ask_script());
        }
        let trader = self.random.index(self.traders.len());
        let (intent, request) = match self.random.below(1_000) {
            0..=399 => self.place(trader),
            400..=434 => self.change_identity()?,
            435..=469 => self.withdraw(trader),
            470..=559 => self.again(trader)?,
            560..=659 => self.on_order(trader, 0)?,
            660..=709 => self.on_order(trader, 1)?,
            710..=789 => self.on_order(trader, 2)?,
            790..=859 => self.on_order(trader, 3)?,
            860..=919 => self.pay(trader),
            920..=969 => self.look(trader),
            _ => self.administer(trader)?,
        };
        Some(self.ask(trader, intent, request))
    }

    /// What is still open after the last fault: everything that may be asked again, once.
    pub fn finish(&mut self) -> Vec<(ShardId, Token, Request)> {
        let mut requests = Vec::new();
        if !self.script_under_way && !self.market.script.is_empty() {
            requests.push(self.ask_script());
        }
        for trader in 0..self.traders.len() {
            for index in 0..self.traders[trader].orders.len() {
                let known = &self.traders[trader].orders[index];
                let open = known.accepted.is_none() && !known.given_up;
                if open && known.place.cid.is_some() {
                    let request = Request::Command(Command::Place(known.place));
                    requests.push(self.ask(trader, Intent::Place(index), request));
                }
            }
            for index in 0..self.traders[trader].payments.len() {
                let payment = &self.traders[trader].payments[index];
                if !payment.acknowledged && !payment.given_up {
                    let request = Request::Command(payment.command.clone());
                    requests.push(self.ask(trader, Intent::Pay(index), request));
                }
            }
            for index in self.traders[trader].withdrawals.unsure().collect::<Vec<_>>() {
                let (step, command) = self.traders[trader].withdrawals.again(index);
                requests.push(self.ask(trader, Intent::Withdraw(step), Request::Command(command)));
            }
        }
        requests
    }

    fn ask(
        &mut self,
        trader: usize,
        intent: Intent,
        request: Request,
    ) -> (ShardId, Token, Request) {
        let past = match intent {
            Intent::Place(index)
            | Intent::Cancel(index)
            | Intent::Reduce(index, _)
            | Intent::Move(index, _)
            | Intent::Order(index) => self.traders[trader].orders[index].past(),
            _ => Past::default(),
        };
        self.asked_payments.extend(payment_of(&request));
        let token = self.next_token;
        self.next_token += 1;
        self.totals.requests += 1;
        self.asked.insert(token, Asked { trader, intent, past });
        let gateway = ShardId(self.random.below(u64::from(self.placement.shards())) as u16);
        (gateway, token, request)
    }

    fn ask_script(&mut self) -> (ShardId, Token, Request) {
        self.script_under_way = true;
        let command = self.market.script[0].clone();
        self.ask(0, Intent::Script, Request::Command(command))
    }

    /// The script goes on with its next line, or does the same one again.
    pub fn script_answered(&mut self, done: bool) {
        self.script_under_way = false;
        if done && let Some(command) = self.market.script.pop_front() {
            self.acknowledged.push(command);
        }
    }

    fn place(&mut self, trader: usize) -> (Intent, Request) {
        let (user, index) = (self.traders[trader].user, self.traders[trader].orders.len());
        let mut place = self.market.place(user, &mut self.random);
        if !self.random.chance(7) {
            place.cid = Cid::parse(&format!("{user}-{index}")).ok();
        }
        self.traders[trader].orders.push(Known::new(place));
        (Intent::Place(index), Request::Command(Command::Place(place)))
    }

    /// The same order or payment once more: what was not answered, mostly.
    fn again(&mut self, trader: usize) -> Option<(Intent, Request)> {
        let random = &mut self.random;
        let trader = &mut self.traders[trader];
        if random.chance(25) && !trader.payments.is_empty() {
            let index = random.index(trader.payments.len());
            let command = trader.payments[index].command.clone();
            return Some((Intent::Pay(index), Request::Command(command)));
        }
        let recent = recent(trader.orders.len(), 40, random)?;
        let unsure = |index: &usize| {
            let known = &trader.orders[*index];
            known.accepted.is_none() && !known.given_up && known.place.cid.is_some()
        };
        let index = (recent..trader.orders.len()).find(unsure).unwrap_or(recent);
        let place = trader.orders[index].place;
        place.cid?;
        // Whoever asks again may want to wait this time.
        let place = Place { wait: place.wait ^ random.chance(20), ..place };
        trader.orders[index].is_waited_for &= place.wait;
        Some((Intent::Place(index), Request::Command(Command::Place(place))))
    }

    /// Cancel (0), reduce (1), move (2) or look at (3) an order.
    fn on_order(&mut self, trader: usize, what: u64) -> Option<(Intent, Request)> {
        let random = &mut self.random;
        let user = self.traders[trader].user;
        let index = recent(self.traders[trader].orders.len(), 60, random)?;
        let known = &mut self.traders[trader].orders[index];
        let order = match (known.place.cid, known.accepted) {
            (Some(cid), Some((order, _))) if random.chance(30) => {
                let _ = cid;
                OrderRef::Id(order)
            }
            (Some(cid), _) => OrderRef::Cid(cid),
            (None, Some((order, _))) => OrderRef::Id(order),
            (None, None) => return None,
        };
        let (intent, command) = match what {
            0 => (Intent::Cancel(index), Command::Cancel { user, order }),
            1 => {
                // Only from a quantity that is known for sure.
                if known.accepted.is_none() || known.reducing || known.unsure > 0 {
                    return None;
                }
                let by = self.market.qty(random);
                known.reducing = true;
                (Intent::Reduce(index, by), Command::Reduce { user, order, by })
            }
            2 => {
                if known.accepted.is_none() || known.moving || known.price.is_none() {
                    return None;
                }
                let price = self.market.price(random);
                known.moving = true;
                known.is_waited_for = false;
                (Intent::Move(index, price), Command::Move { user, order, price })
            }
            _ => return Some((Intent::Order(index), Request::Query(Query::Order { user, order }))),
        };
        Some((intent, Request::Command(command)))
    }

    fn pay(&mut self, trader: usize) -> (Intent, Request) {
        let asset = self.market.asset_id(&mut self.random);
        let random = &mut self.random;
        let trader = &mut self.traders[trader];
        let index = trader.payments.len();
        let amount = u128::from(random.range(1, 3_000));
        let reference = format!("pay-{index}");
        let transfer = Transfer { user: trader.user, asset, amount, reference };
        let command = match random.chance(65) {
            true => Command::Deposit(transfer),
            false => Command::Withdraw(transfer),
        };
        let payment = Payment { command: command.clone(), acknowledged: false, given_up: false };
        trader.payments.push(payment);
        (Intent::Pay(index), Request::Command(command))
    }

    fn change_identity(&mut self) -> Option<(Intent, Request)> {
        // Two users, so that there are many sessions of one.
        let user = self.traders[self.random.index(self.traders.len().min(2))].user;
        let (aim, change) = self.credentials.act(user, &mut self.random)?;
        Some((Intent::Identity(aim), Request::Command(Command::Identity(Box::new(change)))))
    }

    fn withdraw(&mut self, trader: usize) -> (Intent, Request) {
        let asset = self.market.asset_id(&mut self.random);
        let trader = &mut self.traders[trader];
        let (step, command) = trader.withdrawals.act(trader.user, asset, &mut self.random);
        (Intent::Withdraw(step), Request::Command(command))
    }

    fn look(&mut self, trader: usize) -> (Intent, Request) {
        let user = self.traders[trader].user;
        let symbol = self.market.symbol_id(&mut self.random);
        let some_shard = ShardId(self.random.below(u64::from(self.placement.shards())) as u16);
        let (intent, query) = match self.random.below(12) {
            0 => (Intent::Other, Query::Balances { user }),
            1 => {
                let (filter, limit) = (OrderFilter::Open, 100);
                (Intent::Other, Query::Orders { user, symbol: None, filter, before: None, limit })
            }
            2 => (Intent::Other, Query::Trades { user, symbol: None, before: None, limit: 100 }),
            3..=5 => {
                let newest = self.seen.last_trade.get(&symbol).copied().unwrap_or(0);
                let after = TradeId(newest.saturating_sub(self.random.below(5)));
                (Intent::Tape(symbol, newest), Query::Tape { symbol, after, limit: 50 })
            }
            6 => {
                let last = self.seen.last_update.get(&symbol).copied().unwrap_or(0);
                (Intent::Depth(symbol, last), Query::Depth { symbol, limit: 5 })
            }
            7 => {
                let status = self.random.pick(&[None, Some(WithdrawalStatus::Confirmed)]);
                (Intent::Withdrawals, Query::Withdrawals { user, status, limit: 20 })
            }
            8 => (Intent::Withdrawals, Query::PendingWithdrawals { shard: some_shard, limit: 20 }),
            9 => (Intent::Other, Query::Users { shard: some_shard, after: Some(user), limit: 3 }),
            10 => (Intent::Other, Query::User { user }),
            _ => (Intent::Other, Query::Status { shard: some_shard }),
        };
        (intent, Request::Query(query))
    }

    fn administer(&mut self, trader: usize) -> Option<(Intent, Request)> {
        let user = self.traders[trader].user;
        let symbol = self.market.symbol_id(&mut self.random);
        let random = &mut self.random;
        let some_shard = ShardId(random.below(u64::from(self.placement.shards())) as u16);
        let (intent, command) = match random.below(30) {
            0..=11 => (Intent::Prove, Command::Prove),
            12..=19 => {
                let patches = self.patches.entry(symbol).or_default();
                if patches.under_way {
                    return None;
                }
                let patch = self.market.patch(random);
                patches.asked += 1;
                patches.under_way = true;
                patches.in_force = None;
                patches.last = patch;
                if patch.status == Some(SymbolStatus::Halted) {
                    self.halts.ask(symbol, self.next_token);
                }
                let command = Command::UpdateSymbol { symbol, patch: Box::new(patch) };
                (Intent::Patch(symbol, patches.asked), command)
            }
            20..=22 => (Intent::Other, Command::FreezeUser { user, frozen: random.chance(25) }),
            23..=26 => {
                let symbol = random.chance(50).then_some(symbol);
                let covered = self.covered(|of| of == user, symbol);
                (
                    Intent::CancelAll(covered, Some(self.next_token)),
                    Command::CancelUser { user, symbol },
                )
            }
            27..=28 => {
                let symbol = random.chance(50).then_some(symbol);
                let placement = self.placement;
                let at_home = |of| placement.home_of(of) == some_shard;
                let covered = self.covered(at_home, symbol);
                (
                    Intent::CancelAll(covered, None),
                    Command::CancelShard { shard: some_shard, symbol },
                )
            }
            _ => {
                let name = random.chance(50).then(|| "somebody".to_owned());
                (Intent::Other, Command::CreateUser { user: None, shard: some_shard, name })
            }
        };
        Some((intent, Request::Command(command)))
    }

    /// What a cancel of all that is asked now must end.
    fn covered(
        &self,
        of: impl Fn(UserId) -> bool,
        symbol: Option<SymbolId>,
    ) -> Vec<(usize, usize)> {
        let mut covered = Vec::new();
        for (at, trader) in self.traders.iter().enumerate().filter(|(_, one)| of(one.user)) {
            for (index, known) in trader.orders.iter().enumerate() {
                let place = &known.place;
                let meant = symbol.is_none_or(|symbol| symbol == place.symbol);
                if known.accepted.is_some() && known.ended.is_none() && meant {
                    covered.push((at, index));
                }
            }
        }
        covered
    }

    /// The proof that everything at rest is compared with.
    pub fn ask_for_proof(&mut self) -> (ShardId, Token, Request) {
        self.proof.clear();
        self.ask(0, Intent::Prove, Request::Command(Command::Prove))
    }

    /// A connection breaks: one request's answer will reach nobody.
    pub fn drop_connection(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let at = self.random.index(self.asked.len());
        let token = *self.asked.keys().nth(at).expect("within");
        let asked = self.asked.remove(&token).expect("is there");
        self.dropped.insert(token);
        self.totals.dropped += 1;
        self.lose(asked);
    }

    /// A gateway had no room for a request: it went nowhere.
    pub fn turned_away(&mut self, token: Token) {
        let Some(Asked { trader, intent, .. }) = self.asked.remove(&token) else { return };
        self.totals.turned_away += 1;
        match intent {
            Intent::Script => self.script_under_way = false,
            // Else all of them are asked again at the end, in front of one gate.
            Intent::Place(index) => {
                let known = &mut self.traders[trader].orders[index];
                known.given_up = known.accepted.is_none();
            }
            Intent::Pay(index) => {
                let payment = &mut self.traders[trader].payments[index];
                payment.given_up = !payment.acknowledged;
            }
            Intent::Withdraw(step) => self.traders[trader].withdrawals.turned_away(&step),
            Intent::Identity(aim) => self.credentials.no_longer_under_way(&aim),
            Intent::Reduce(index, _) => self.traders[trader].orders[index].reducing = false,
            Intent::Move(index, _) => self.traders[trader].orders[index].moving = false,
            Intent::Patch(symbol, _) => {
                self.patches.entry(symbol).or_default().under_way = false;
            }
            _ => {}
        }
    }

    /// The process has ended: so have all connections.
    pub fn lose_everything(&mut self) {
        self.totals.lost += self.asked.len() as u64;
        self.dropped.clear();
        for (_, asked) in std::mem::take(&mut self.asked) {
            self.lose(asked);
        }
        // With the process ended whatever was on its way to it.
        self.patches.values_mut().for_each(|patches| patches.stray = false);
        self.credentials.lose_everything();
    }

    fn lose(&mut self, asked: Asked) {
        let Asked { trader, intent, .. } = asked;
        match intent {
            Intent::Script => self.script_under_way = false,
            Intent::Identity(aim) => self.credentials.lose(&aim),
            Intent::Reduce(index, by) => {
                let known = &mut self.traders[trader].orders[index];
                known.reducing = false;
                known.unsure = by.0.max(1);
            }
            Intent::Move(index, _) => {
                let known = &mut self.traders[trader].orders[index];
                known.moving = false;
                known.price = None;
            }
            Intent::Patch(symbol, _) => {
                let patches = self.patches.entry(symbol).or_default();
                (patches.under_way, patches.stray) = (false, true);
            }
            _ => {}
        }
    }
}

/// What a request pays, or asks to be paid.
fn payment_of(request: &Request) -> Option<(UserId, String)> {
    match request {
        Request::Command(Command::Deposit(transfer) | Command::Withdraw(transfer)) => {
            Some((transfer.user, transfer.reference.clone()))
        }
        Request::Command(Command::RequestWithdrawal(request)) => {
            Some((request.user, request.reference.clone()))
        }
        _ => None,
    }
}

/// The place of something not long ago.
fn recent(length: usize, reach: u64, random: &mut Random) -> Option<usize> {
    if length == 0 {
        return None;
    }
    Some(length - 1 - (random.below(reach) as usize).min(length - 1))
}
